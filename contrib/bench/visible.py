"""From an emit in a program to its line in `codex-telemetryd tail -f --json`."""

import json
import os
import pathlib
import subprocess
import sys
import threading
import time

from agents import HERE, ROOT, Agent
from figures import quantile

SECTION = "(d) emit to visible in `tail -f --json`, the client's defaults, random gaps"
PRODUCER = """
import random, sys, time
sys.path.insert(0, sys.argv[1])
import codex_telemetry as telemetry
count, mean, seed = int(sys.argv[2]), float(sys.argv[3]), int(sys.argv[4])
rng = random.Random(seed)
for number in range(count):
    time.sleep(rng.expovariate(1 / mean))
    telemetry.event("bench.tick", {"bench.emitted": time.monotonic_ns(), "bench.number": number})
"""


def follow(agent, seen):
    """Starts `tail -f`; every line's arrival goes to `seen` as (time, record)."""
    tail = subprocess.Popen([agent.program, "tail", "-f", "--json", "-n", "0"], env=agent.env,
                            stdin=subprocess.DEVNULL, stdout=subprocess.PIPE)

    def read():
        for line in tail.stdout:
            seen.append((time.monotonic_ns(), line))

    reader = threading.Thread(target=read, daemon=True)
    reader.start()
    return tail


def ticks(agent, count, mean, seed):
    """Runs a producer to its end: its records carry when they were emitted."""
    env = agent.env | {"CODEX_OTEL_ENABLED": "1"}
    words = [sys.executable, "-c", PRODUCER, ROOT / "contrib/clients/python", count, mean, seed]
    subprocess.run([str(word) for word in words], env=env, check=True)


def measure(tools, report, quick):
    """Section (d)."""
    if not tools.agent:
        return report.lacks(SECTION, "no program")
    count, runs, mean, seed = 500, 1 if quick else 3, 0.02, 20
    medians, nineties, worst, missing = [], [], [], 0
    for run in range(runs):
        # The built-in configuration, as a user has it.
        with Agent(tools, configuration=None) as agent:
            seen = []
            tail = follow(agent, seen)
            try:
                ticks(agent, 1, mean, seed)
                wait(lambda: seen, 10)
                seen.clear()
                ticks(agent, count, mean, seed + run)
                wait(lambda: len(seen) >= count, 5)
            finally:
                tail.terminate()
                tail.wait()
            late = [(at - emitted(line)) / 1e6 for at, line in seen]
        missing += count - len(late)
        if late:
            medians.append(quantile(late, 0.5))
            nineties.append(quantile(late, 0.99))
            worst.append(max(late))
    report.add(SECTION, "p50", "ms", medians, against="the client's flush interval", limit=[100])
    report.add(SECTION, "p99", "ms", nineties, bar=("<=", 250), against="the client's flush interval", limit=[100])
    report.add(SECTION, "max", "ms", worst, against="the client's flush interval", limit=[100])
    report.note(f"(d) {runs} x {count} events of the Python client, gaps exponential with a mean of"
                f" {mean * 1e3:.0f} ms, seed {seed}; not seen: {missing}")


def emitted(line):
    """When the record of a line was emitted."""
    return int(json.loads(line)["attributes"]["bench.emitted"])


def wait(condition, seconds):
    """Waits for what another process does; silence is seen in the count."""
    end = time.monotonic() + seconds
    while not condition() and time.monotonic() < end:
        time.sleep(0.01)

"""What `exec -- true` costs beyond `true`, and what an idle agent costs."""

import os
import time

from agents import Agent

SECTION = "(f) exec: wall time of `exec -- true` beside `true`, in turn, an agent running"
TRUE = "/bin/true"


def timed(words, env):
    """Milliseconds from spawn to exit, and CPU milliseconds, children included."""
    null = [(os.POSIX_SPAWN_OPEN, fd, "/dev/null", os.O_RDWR, 0) for fd in (0, 1, 2)]
    start = time.perf_counter()
    pid = os.posix_spawn(words[0], words, env, file_actions=null)
    _, status, used = os.wait4(pid, 0)
    wall = (time.perf_counter() - start) * 1e3
    if os.waitstatus_to_exitcode(status) != 0:
        raise RuntimeError(f"{' '.join(words)} ended with {os.waitstatus_to_exitcode(status)}")
    return wall, (used.ru_utime + used.ru_stime) * 1e3


def measure(tools, report, quick):
    """Section (f)."""
    if not tools.agent:
        return report.lacks(SECTION, "no program")
    count = 50 if quick else 200
    with Agent(tools) as agent:
        program, env = str(tools.agent), agent.env | {"CODEX_TELEMETRY_AUTOSTART": "0"}
        kinds = {"bare": [TRUE], "version": [program, "version"], "exec": [program, "exec", "--", TRUE]}
        found = {kind: [] for kind in kinds}
        for turn in range(count + 5):
            for kind, words in kinds.items():
                sample = timed(words, env)
                if turn >= 5:
                    found[kind].append(sample)
        stored = agent.status()["log"]["stored"]["records"]
    wall = {kind: [sample[0] for sample in samples] for kind, samples in found.items()}
    own = [command - bare for command, bare in zip(wall["exec"], wall["bare"])]
    report.add(SECTION, "exec's own cost: exec -- true less true", "ms", own, bar=("<=", 8),
               against="bare true", limit=wall["bare"])
    report.add(SECTION, "exec -- true", "ms", wall["exec"])
    report.add(SECTION, "`version`: only the program's start", "ms", wall["version"])
    report.add(SECTION, "CPU of exec -- true, the command's included", "ms", [s[1] for s in found["exec"]])
    if stored != count + 5:
        report.note(f"(f) {count + 5} runs of exec left {stored} records in the log")

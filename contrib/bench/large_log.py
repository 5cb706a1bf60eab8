#!/usr/bin/env python3
"""What opening a large log costs: time and memory of the real agent and of the library alone.

    contrib/bench/large_log.py [--bytes N] [--directory DIR]

Three states of one log: as a killed agent leaves it (one segment without a footer), as an orderly end
leaves it, and with every footer, `meta`, `position` and the dedupe checkpoint gone, so that all of it must
be read. $CODEX_TELEMETRYD and $DAMAGE_CHECK name the programs, else they are built. The exit code is 1 if
one opening took 50 MB of memory or more, or found other batches than were written.
"""

import argparse
import json
import os
import pathlib
import shutil
import signal
import socket
import struct
import subprocess
import sys
import tempfile
import time

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent))
sys.dont_write_bytecode = True

from agents import program  # noqa: E402

MEMORY_MAX = 50_000_000
CONFIGURATION = "exporters: {journald: {enabled: false}}\nlog: {cap: 64GiB}\n"


def resident(pid):
    """Bytes of anonymous memory and of mapped files."""
    found = {}
    for line in pathlib.Path(f"/proc/{pid}/status").read_text().splitlines():
        name, _, rest = line.partition(":")
        if name in ("RssAnon", "RssFile", "RssShmem"):
            found[name] = int(rest.split()[0]) * 1024
    return found.get("RssAnon", 0), found.get("RssFile", 0) + found.get("RssShmem", 0)


class Agent:
    """A user agent on a state directory, from its start to the opening of its intake."""

    def __init__(self, agent, home):
        run = home / "run"
        shutil.rmtree(run, ignore_errors=True)
        run.mkdir(mode=0o700)
        (home / "otel-config.yaml").write_text(CONFIGURATION)
        self.env = {"HOME": str(home), "XDG_RUNTIME_DIR": str(run), "PATH": os.environ["PATH"],
                    "LANG": "C.UTF-8", "TZ": "UTC"}
        self.agent, start = agent, time.monotonic()
        self.process = subprocess.Popen(
            [agent, "run", "--user", "--config", home / "otel-config.yaml", "--state-dir", home / "state"],
            env=self.env, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE)
        self.peak = [0, 0, 0]
        path = str(run / "codex-telemetry/ingest.sock")
        while self.process.poll() is None:
            self.look()
            with socket.socket(socket.AF_UNIX) as probe:
                try:
                    probe.connect(path)
                    break
                except OSError:
                    time.sleep(0.002)
        self.seconds = time.monotonic() - start
        self.status = json.loads(subprocess.run(
            [agent, "status", "--json"], env=self.env, capture_output=True, text=True).stdout)
        self.look()

    def look(self):
        try:
            anonymous, file = resident(self.process.pid)
        except (FileNotFoundError, ProcessLookupError):
            return
        now = (anonymous, file, anonymous + file)
        self.peak = [max(old, new) for old, new in zip(self.peak, now)]

    def end(self, number):
        self.process.send_signal(number)
        _, words = self.process.communicate(timeout=60)
        return words.decode()


def lose_everything_but_entries(log):
    """Cuts each footer off and takes the small files away."""
    for path in sorted(log.glob("*.segment")):
        with open(path, "r+b") as file:
            file.seek(-16, os.SEEK_END)
            count, _, magic = struct.unpack("<II8s", file.read(16))
            if magic == b"CXTLEND0":
                file.truncate(path.stat().st_size - 16 - count)
    for name in ("meta", "position", "dedupe"):
        (log / name).unlink(missing_ok=True)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--bytes", type=int, default=2 << 30)
    parser.add_argument("--directory", default=None, help="where the log is made; needs that space twice")
    options = parser.parse_args()
    agent, check = program("codex-telemetryd", "CODEX_TELEMETRYD"), program("damage-check", "DAMAGE_CHECK")
    bad = False
    home = pathlib.Path(tempfile.mkdtemp(prefix="cxt-large-", dir=options.directory))
    try:
        start = time.monotonic()
        made = json.loads(subprocess.run([check, "large", home / "state", str(options.bytes)], check=True,
                                         capture_output=True, text=True).stdout)
        print(f"a log of {made['bytes'] / 2**30:.2f} GiB, {made['batches']} batches, made in "
              f"{time.monotonic() - start:.0f} s; memory in MB: anonymous + mapped files = together, at the peak")

        def tell(state, what, seconds, peak, batches):
            nonlocal bad
            wrong = peak[2] >= MEMORY_MAX or batches != made["batches"]
            bad = bad or wrong
            print(f"  {state:34} {what:8} open in {seconds:7.3f} s   {peak[0] / 1e6:5.1f} + {peak[1] / 1e6:5.1f} "
                  f"= {peak[2] / 1e6:5.1f}   {batches} batches{'   MISSED' if wrong else ''}", flush=True)

        def both(state, prepare, last):
            # The library first, on a state that its own end does not change for the agent.
            for what in ("library", "agent"):
                prepare()
                if what == "library":
                    done = json.loads(subprocess.run([check, "measure", home / "state"], check=True,
                                                     capture_output=True, text=True).stdout)
                    tell(state, what, done["seconds"],
                         (done["anonymous_peak_bytes"], done["file_bytes"], done["peak_bytes"]), done["batches"])
                else:
                    opened = Agent(agent, home)
                    tell(state, what, opened.seconds, opened.peak, opened.status["log"]["kept"]["batches"])
                    opened.end(last)

        log = home / "state/log"
        newest = sorted(log.glob("*.segment"))[-1]
        small = [log / name for name in ("meta", "position", "dedupe") if (log / name).exists()]
        kept = {path: path.read_bytes() for path in [newest, *small]}

        def unclean():
            for path, content in kept.items():
                path.write_bytes(content)

        both("killed: one segment unsealed", unclean, signal.SIGTERM)
        both("ended in order", lambda: None, signal.SIGTERM)
        both("all but the entries lost", lambda: lose_everything_but_entries(log), signal.SIGTERM)
    finally:
        shutil.rmtree(home, ignore_errors=True)
    return 1 if bad else 0


if __name__ == "__main__":
    sys.exit(main())

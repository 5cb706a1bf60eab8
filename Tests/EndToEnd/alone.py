"""A user of one's own without systemd: a temporary HOME, no agent, and what the tests ask of it."""

import json
import os
import pathlib
import shutil
import signal
import subprocess
import tempfile
import unittest

from host import eventually
from installed import binary, needs

# What contrib/sanitize tells the program that it has built.
SANITIZERS = ("ASAN_OPTIONS", "TSAN_OPTIONS", "SWIFT_BACKTRACE")


class AloneCase(unittest.TestCase):
    """Each test has its own home; an agent that was started on demand there is ended with it."""

    verbs = ("run", "status", "tail", "exec")

    def setUp(self):
        needs(*self.verbs)
        self.program = str(binary())
        self.home = pathlib.Path(tempfile.mkdtemp(prefix="codex-telemetry-home-"))
        (self.home / "run").mkdir(mode=0o700)
        self.env = {
            "HOME": str(self.home),
            "XDG_RUNTIME_DIR": str(self.home / "run"),
            "PATH": os.environ["PATH"],
            "LANG": "C.UTF-8",
            "TZ": "UTC",
        } | {name: os.environ[name] for name in SANITIZERS if name in os.environ}
        self.addCleanup(self.leave)

    def leave(self):
        for pid in self.agents():
            os.kill(pid, signal.SIGTERM)
            eventually(lambda: not self.runs(pid), 20, f"agent {pid} ends on SIGTERM")
        shutil.rmtree(self.home)

    @staticmethod
    def runs(pid):
        """Whether a process is there and not merely unburied."""
        try:
            state = pathlib.Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0]
        except (FileNotFoundError, ProcessLookupError):
            return False
        return state != "Z"

    def agents(self):
        """Processes of this home that are an agent: started as `run`."""
        found = []
        for folder in pathlib.Path("/proc").iterdir():
            if not folder.name.isdigit():
                continue
            try:
                words = (folder / "cmdline").read_bytes().split(b"\0")
                variables = (folder / "environ").read_bytes().split(b"\0")
            except OSError:
                continue
            if b"run" in words[1:2] and f"HOME={self.home}".encode() in variables:
                if self.runs(int(folder.name)):
                    found.append(int(folder.name))
        return found

    def telemetry(self, *words, check=True, timeout=60, env=None, **rest):
        """`codex-telemetryd WORDS` in this home."""
        done = subprocess.run(
            [self.program, *map(str, words)],
            env=self.env | (env or {}),
            stdin=rest.pop("stdin", subprocess.DEVNULL),
            capture_output=True,
            text=True,
            timeout=timeout,
            **rest,
        )
        if check and done.returncode != 0:
            raise AssertionError(f"{words} ended with {done.returncode}:\n{done.stdout}{done.stderr}")
        return done

    def records(self, count, *selection, seconds=10):
        """At least `count` records as `tail --json` shows them, once they are there."""

        def ask():
            told = self.telemetry("tail", "--json", "-n", "10000", *selection).stdout
            found = [json.loads(line) for line in told.splitlines()]
            return len(found) >= count and found

        return eventually(ask, seconds, f"{count} records in tail {' '.join(selection)}")

"""A host with the agent installed as contrib/install does it, and what the tests ask of it."""

import functools
import json
import os
import pathlib
import unittest

from host import Host, eventually

ROOT = pathlib.Path(__file__).resolve().parents[2]
SOURCE = "/usr/local/src/codex-telemetryd"
SOCKETS = ("codex-telemetryd.socket", "codex-telemetryd-control.socket", "codex-telemetryd-otlp.socket")
SERVICE = "codex-telemetryd.service"
INGEST = "/run/codex-telemetry/ingest.sock"
CONTROL = "/run/codex-telemetry/control.sock"
PYTHON = "/usr/bin/python3"


def binary():
    """The program under test: CODEX_TELEMETRYD, else the debug build."""
    named = os.environ.get("CODEX_TELEMETRYD")
    path = pathlib.Path(named) if named else ROOT / ".build/debug/codex-telemetryd"
    if not path.exists():
        raise unittest.SkipTest(f"{path} is not built (swift build)")
    return path.resolve()


@functools.cache
def verbs():
    """What the program under test can do, by its help."""
    import subprocess

    told = subprocess.run([binary(), "--help"], capture_output=True, text=True)
    return told.stdout.split()


def needs(*names):
    """Skips, and says so, where the program does not have a verb yet."""
    missing = [name for name in names if name not in verbs()]
    if missing:
        raise unittest.SkipTest(f"the program has no verb {', '.join(missing)}")


class HostCase(unittest.TestCase):
    """Tests that share one booted host with two ordinary users, 2001 and 2002."""

    # Folders of this machine that the host sees, as {inside: outside}.
    binds = {}

    @classmethod
    def setUpClass(cls):
        why_not = Host.why_not()
        if why_not:
            raise unittest.SkipTest(why_not)
        cls.host = Host(cls.__name__.lower(), cls.binds)
        cls.addClassCleanup(cls.host.stop)
        cls.host.start()
        cls.host.add_user("ada", 2001)
        cls.host.add_user("bob", 2002)

    @classmethod
    def bring(cls, program):
        """Copies what an installation needs into the host."""
        for part in ("contrib", "runbook", "LICENSE", "Tests/EndToEnd", "Tests/Witness"):
            if (ROOT / part).exists():
                cls.host.copy(ROOT / part, f"{SOURCE}/{part}")
        cls.host.copy(program, f"{SOURCE}/codex-telemetryd", 0o755)

    @classmethod
    def install(cls, program=None):
        """Installs for the host; returns what the installer printed."""
        cls.bring(program or binary())
        return cls.host.run(
            f"{SOURCE}/contrib/install", "--system", "--binary", f"{SOURCE}/codex-telemetryd"
        ).stdout


class AgentCase(HostCase):
    """Tests against the system agent, started by its sockets."""

    @classmethod
    def setUpClass(cls):
        needs("run", "status", "emit")
        super().setUpClass()
        cls.install()

    def telemetry(self, *words, user=None, check=True, env=None, input=None, timeout=60):
        """`codex-telemetry WORDS` in the host."""
        return self.host.run(
            "codex-telemetry", *words, user=user, check=check, env=env, input=input, timeout=timeout
        )

    def status(self, user=None):
        """The agent's status; exit code 1 only means that it is degraded."""
        told = self.telemetry("status", "--json", user=user, check=False)
        self.assertIn(told.returncode, (0, 1), told.stdout + told.stderr)
        return json.loads(told.stdout)

    def main_pid(self):
        """The agent's process, 0 if it does not run."""
        return int(self.host.properties(SERVICE, "MainPID")["MainPID"])

    def entries(self, count, *selection, seconds=20):
        """At least `count` of our journal entries, once they are there."""
        return eventually(
            lambda: (found := self.host.journal("-t", "codex-telemetry", *selection))
            and len(found) >= count
            and found,
            seconds,
            lambda: f"{count} journal entries ({' '.join(selection)}); status: {self.status()}",
        )

"""The agent as a process: without root, systemd or HOME; its sockets, its lock, its signals."""

import json
import os
import pathlib
import shutil
import signal
import socket
import stat
import subprocess
import tempfile
import unittest

from alone import AloneCase
from host import eventually
from installed import binary, needs


class AgentProcess(AloneCase):
    verbs = ("run", "status", "tail", "emit")

    def agent(self, *words, env=None):
        """A running agent, ready for clients."""
        process = subprocess.Popen(
            [self.program, "run", "--user", *words],
            env=self.env | (env or {}), stdin=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True,
        )

        def end():
            if process.poll() is None:
                process.kill()
            process.wait()
            process.stderr.close()

        self.addCleanup(end)
        eventually(lambda: self.listens() or process.poll() is not None, 15, "the agent listens")
        return process

    @property
    def ingest(self):
        return self.home / "run/codex-telemetry/ingest.sock"

    def listens(self):
        with socket.socket(socket.AF_UNIX) as client:
            try:
                client.connect(str(self.ingest))
            except OSError:
                return False
            return True

    def test_its_sockets_are_the_users_alone(self):
        self.agent()
        for path, mode in ((self.ingest, 0o600), (self.ingest.with_name("control.sock"), 0o600)):
            self.assertEqual(stat.S_IMODE(path.stat().st_mode), mode)
        self.assertEqual(stat.S_IMODE(self.ingest.parent.stat().st_mode), 0o700)
        self.assertEqual(stat.S_IMODE((self.home / ".local/state/codex-telemetry").stat().st_mode), 0o700)

    def test_it_ends_on_sigterm_with_everything_kept(self):
        agent = self.agent()
        self.telemetry("emit", "event", "kept.by.sigterm")
        self.records(1, "--name", "kept.by.sigterm")
        agent.send_signal(signal.SIGTERM)
        self.assertEqual(agent.wait(20), 0)
        self.assertFalse(self.ingest.exists(), "the socket is still there")
        self.agent()
        self.records(1, "--name", "kept.by.sigterm")

    def test_it_gives_back_what_its_start_took(self):
        agent = self.agent()

        def resident():
            with open(f"/proc/{agent.pid}/status") as status:
                return next(int(line.split()[1]) for line in status if line.startswith("RssFile:"))

        at_first = resident()
        eventually(lambda: resident() < at_first * 0.8, 20, lambda: f"of {at_first} kB are mapped {resident()}")
        self.telemetry("emit", "event", "afterwards")
        self.records(1, "--name", "afterwards")

    def test_a_killed_agents_socket_and_lock_are_taken_over(self):
        agent = self.agent()
        self.telemetry("emit", "event", "kept.by.sigkill")
        self.records(1, "--name", "kept.by.sigkill")
        agent.kill()
        agent.wait()
        self.assertTrue(self.ingest.exists())
        self.agent()
        self.assertEqual(len(self.records(1, "--name", "kept.by.sigkill")), 1)

    def test_a_second_agent_leaves_the_first_alone(self):
        first = self.agent()
        second = subprocess.run(
            [self.program, "run", "--user"], env=self.env, stdin=subprocess.DEVNULL,
            capture_output=True, text=True, timeout=30,
        )
        self.assertNotEqual(second.returncode, 0)
        self.assertIn("codex-telemetry", second.stderr)
        self.assertIsNone(first.poll())
        status = json.loads(self.telemetry("status", "--json", check=False).stdout)
        self.assertEqual(status["agent"]["pid"], first.pid)

    def test_sighup_reads_the_configuration_again(self):
        agent = self.agent()
        path = self.home / ".codex/otel-config.yaml"
        path.parent.mkdir(exist_ok=True)
        path.write_text("exporters:\n  no_such_thing:\n")

        def reasons():
            # It listens before it has learned of signals: one that comes too early is not heard.
            agent.send_signal(signal.SIGHUP)
            status = json.loads(self.telemetry("status", "--json", check=False).stdout)
            return " ".join(status["agent"]["reasons"])

        eventually(lambda: "no_such_thing" in reasons(), 10, "status names the error")
        path.write_text("{}\n")
        eventually(lambda: "no_such_thing" not in reasons(), 10, "the error is gone")
        self.assertIsNone(agent.poll())

    def test_a_path_too_long_for_a_socket_is_a_clear_error(self):
        long = self.home / ("x" * 120) / "ingest.sock"
        done = subprocess.run(
            [self.program, "run", "--user", "--socket", long], env=self.env,
            stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=30,
        )
        self.assertNotEqual(done.returncode, 0)
        self.assertIn("107", done.stderr)

    def test_follow_shows_a_record_as_it_comes(self):
        self.agent()
        follow = subprocess.Popen(
            [self.program, "tail", "-f", "-n", "1", "--json"], env=self.env,
            stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, text=True,
        )
        self.addCleanup(lambda: (follow.kill(), follow.wait(), follow.stdout.close()))
        for name in ("first", "second"):
            self.telemetry("emit", "event", f"followed.{name}")
            self.assertIn(f"followed.{name}", follow.stdout.readline())

    def test_status_without_an_agent_says_so_with_3(self):
        done = self.telemetry("status", check=False, env={"CODEX_TELEMETRY_AUTOSTART": "0"})
        self.assertEqual(done.returncode, 3, done.stdout + done.stderr)


@unittest.skipUnless(os.geteuid() == 0, "needs root, to be somebody without root")
class WithNothing(unittest.TestCase):
    """As a user that the machine has never heard of, without HOME, XDG_* or systemd."""

    UID = 61_337

    def test_it_runs(self):
        needs("run", "status", "emit", "tail")
        state = pathlib.Path(f"/tmp/codex-telemetry-{self.UID}")
        shutil.rmtree(state, ignore_errors=True)
        folder = pathlib.Path(tempfile.mkdtemp(prefix="codex-telemetry-nobody-"))
        self.addCleanup(shutil.rmtree, state, ignore_errors=True)
        self.addCleanup(shutil.rmtree, folder)
        folder.chmod(0o755)
        program = folder / "codex-telemetryd"
        shutil.copy(binary(), program)
        who = ["setpriv", f"--reuid={self.UID}", f"--regid={self.UID}", "--clear-groups"]
        bare = [*who, "env", "-i", "PATH=/usr/bin:/bin", str(program)]
        options = {"cwd": "/", "stdin": subprocess.DEVNULL, "text": True}
        agent = subprocess.Popen([*bare, "run"], stderr=subprocess.PIPE, **options)
        self.addCleanup(lambda: (agent.kill(), agent.wait(), agent.stderr.close()))

        def ask(*words):
            return subprocess.run([*bare, *words], capture_output=True, timeout=30, **options)

        eventually(lambda: (state / "ingest.sock").exists() or agent.poll() is not None, 15, "it listens")
        self.assertEqual(ask("emit", "event", "from.nobody").returncode, 0)
        eventually(lambda: "from.nobody" in ask("tail", "--json").stdout, 10, "the event is in tail")
        self.assertEqual(state.stat().st_uid, self.UID)
        agent.terminate()
        self.assertEqual(agent.wait(30), 0)


if __name__ == "__main__":
    unittest.main()

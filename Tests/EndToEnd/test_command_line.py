"""What the program makes of arguments, variables and places that it cannot use."""

import os
import pathlib
import shutil
import subprocess
import sys
import unittest

from alone import AloneCase
from host import eventually

QUIET = {"CODEX_TELEMETRY_AUTOSTART": "0"}


class CommandLine(AloneCase):
    def ask(self, *words, env=None):
        """`codex-telemetryd WORDS`, bytes allowed; output as bytes."""
        return subprocess.run(
            [self.program, *words], env=self.env | QUIET | (env or {}), stdin=subprocess.DEVNULL,
            capture_output=True, timeout=60,
        )

    def assert_no_controls(self, text):
        self.assertEqual([byte for byte in text if byte < 0x20 and byte != 0x0A or byte == 0x7F], [])

    def test_an_error_repeats_no_control_bytes_of_the_arguments(self):
        evil = "\x1b]0;title\x07\x9b31m\x7f\r"
        for words in (
            [evil], ["--" + evil], ["status", evil], ["status", "--user=" + evil], ["tail", "--since", evil],
            ["emit", "counter", "x", evil], ["emit", "event", "x", "--severity", evil],
            ["exec", "--" + evil, "--", "true"], ["config", "check", evil], ["trace", evil],
        ):
            with self.subTest(words):
                done = self.ask(*words)
                self.assertNotEqual(done.returncode, 0)
                self.assertNotEqual(done.stderr, b"")
                self.assert_no_controls(done.stdout + done.stderr)
        # Written out: the caller sees what it was, and gets the usual code and usage.
        done = self.ask("status", "\x1b[31m")
        self.assertEqual(done.returncode, 64)
        self.assertIn(b"\\x1B[31m", done.stderr)
        self.assertIn(b"Usage: codex-telemetryd status", done.stderr)
        self.assertEqual(self.ask("--help").returncode, 0)
        self.assertEqual(self.ask("--version").stderr, b"")

    def test_a_path_that_is_not_utf_8_is_refused(self):
        bad = b"/tmp/\xff\xfe"
        for name in ("HOME", "XDG_RUNTIME_DIR", "XDG_STATE_HOME", "CODEX_TELEMETRY_SOCKET",
                     "CODEX_TELEMETRY_STATE_DIR"):
            for verb in (["status"], ["run"], ["tail"], ["emit", "event", "x"], ["config"]):
                with self.subTest(name, verb=verb):
                    done = self.ask(*verb, env={name: bad})
                    self.assertEqual(done.returncode, 64, done.stderr)
                    self.assertIn(f"{name} is not UTF-8".encode(), done.stderr)
        for words in (
            ["status", "--control-socket", bad], ["run", "--state-dir", bad], ["tail", "--socket", bad],
            ["config", "--config", bad], ["config", "check", bad],
        ):
            with self.subTest(words):
                done = self.ask(*words)
                self.assertEqual(done.returncode, 64, done.stderr)
                self.assertIn(b"is not UTF-8", done.stderr)
        self.assertEqual(self.ask("exec", "--socket", bad, "--", "true").returncode, 125)
        # U+FFFD itself is a letter like others.
        self.assertIn(b"nobody answers", self.ask("status", "--control-socket", "/tmp/\ufffd").stderr)
        self.assertEqual(list(pathlib.Path("/tmp").glob("*\ufffd*")), [])

    def test_exec_runs_its_command_whatever_the_variables_are(self):
        done = self.ask("exec", "--", "sh", "-c", "printf %s \"$HOME\"; exit 5", env={"HOME": b"/\xff"})
        self.assertEqual((done.returncode, done.stdout), (5, b"/\xff"))
        self.assertIn(b"not recorded: HOME is not UTF-8", done.stderr)

    def test_what_stands_in_a_sockets_place_is_named(self):
        run = self.home / "run/codex-telemetry"
        kinds = {
            "a file": lambda path: path.write_text("x"),
            "a directory": lambda path: path.mkdir(),
            "a named pipe (FIFO)": os.mkfifo,
            "a symbolic link": lambda path: path.symlink_to("/nowhere"),
        }
        for name, option in (("ingest.sock", "--socket"), ("control.sock", "--control-socket")):
            for kind, make in kinds.items():
                with self.subTest(name, kind=kind):
                    run.mkdir(exist_ok=True)
                    path = run / name
                    make(path)
                    done = self.ask("run")
                    self.assertEqual(done.returncode, 1)
                    told = done.stderr.decode()
                    self.assertIn(f"{path} is {kind}, not a socket: remove it, or choose another", told)
                    self.assertIn(option, told)
                    self.assertTrue(os.path.lexists(path))
                    if name == "control.sock":
                        told = self.ask("status").stderr.decode()
                        self.assertIn(f"{path} is {kind}, not a socket", told)
                    shutil.rmtree(run)

    def test_somebody_elses_socket_is_no_agent(self):
        if os.geteuid() != 0:
            self.skipTest("another user needs root")
        run = self.home / "strange"
        run.mkdir()
        self.home.chmod(0o755)
        os.chown(run, 65534, 65534)
        # Takes every connection, says nothing.
        listen = (
            "import os, socket, sys\nos.setgid(65534); os.setuid(65534)\nopen_ = []\n"
            "for name in ('ingest.sock', 'control.sock'):\n"
            "    s = socket.socket(socket.AF_UNIX); s.bind(sys.argv[1] + '/' + name); s.listen(64)\n"
            "    open_.append(s)\n"
            "print('up', flush=True); sys.stdin.read()\n"
        )
        stranger = subprocess.Popen(
            [sys.executable, "-c", listen, run], stdin=subprocess.PIPE, stdout=subprocess.PIPE
        )
        self.addCleanup(stranger.stdout.close)
        self.addCleanup(stranger.communicate)
        self.assertEqual(stranger.stdout.readline(), b"up\n")
        env = {"CODEX_TELEMETRY_SOCKET": str(run / "ingest.sock")}
        done = self.ask("status", env=env)
        self.assertEqual(done.returncode, 3, done.stderr)
        self.assertIn(f"uid 65534 listens at {run}/control.sock: not asked", done.stderr.decode())
        # A command that needs an agent tries to start one of our own, and the record is kept.
        done = self.ask("exec", "--", "true", env=env | {"CODEX_TELEMETRY_AUTOSTART": "1"})
        self.assertEqual(done.returncode, 0, done.stderr)
        state = self.home / ".local/state/codex-telemetry"
        self.assertTrue((state / "starting.lock").exists())
        self.assertEqual(len(list((state / "spool").glob("*.spool"))), 1)
        eventually(lambda: not self.agents(), 20, "the agent sees that the place is taken, and ends")

    def test_a_service_that_was_named_beats_the_variable(self):
        env = {"CODEX_OTEL_SERVICE_NAME": "from-variable"}
        self.telemetry("exec", "--service", "named", "--", "true", env=env)
        self.telemetry("exec", "--", "true", env=env)
        self.telemetry("exec", "--", "true")
        self.telemetry("emit", "event", "x", "--service", "emitted", env=env)
        self.telemetry("emit", "event", "y", env=env)
        found = self.records(5)
        # Whether it is well or degraded (there is no journald), that is said on standard output.
        self.assertEqual(self.telemetry("status", check=False).stderr, "")
        self.assertEqual(
            sorted(record["resource"]["attributes"]["service.name"] for record in found),
            ["emitted", "from-variable", "from-variable", "named", "true"],
        )


if __name__ == "__main__":
    unittest.main()

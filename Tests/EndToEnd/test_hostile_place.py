"""What an agent finds in its places must not keep it from its work."""

import json
import os
import pathlib
import resource
import shutil
import signal
import socket
import subprocess
import sys
import time
import unittest

from alone import AloneCase
from host import eventually
from installed import ROOT
from producer import Producer, record

sys.path.insert(0, str(ROOT / "Tests/Witness"))
from frames import BATCH, HELLO, frame  # noqa: E402
from hand_made import batch  # noqa: E402


class HostilePlace(AloneCase):
    def start(self, **rest):
        """An agent in the foreground of this home, once its intake is open."""
        self.messages = open(self.home / "messages", "ab")
        self.addCleanup(self.messages.close)
        agent = subprocess.Popen(
            [self.program, "run"], env=self.env, stdin=subprocess.DEVNULL,
            stdout=self.messages, stderr=self.messages, **rest,
        )
        self.agent = agent

        def is_open():
            self.assertIsNone(agent.poll(), (self.home / "messages").read_text())
            with socket.socket(socket.AF_UNIX) as probe:
                return probe.connect_ex(self.ingest) == 0

        eventually(is_open, 20, "the intake opens")

    def end(self):
        self.agent.send_signal(signal.SIGTERM)
        self.assertEqual(self.agent.wait(20), 0)

    def setUp(self):
        super().setUp()
        self.ingest = str(self.home / "run/codex-telemetry/ingest.sock")
        self.state = self.home / ".local/state/codex-telemetry"

    def store_one(self):
        span = {"trace_id": "11" * 16, "span_id": "22" * 8, "name": "x", "start": 1, "end": 2}
        producer = Producer(self.ingest)
        producer.send(1, [record(span)])
        producer.wait(1)
        producer.close()

    def test_what_is_no_file_where_a_file_belongs_is_set_aside(self):
        outside = self.home / "outside"
        outside.write_text("precious")

        def fifo(path):
            os.mkfifo(path)

        def directory(path):
            path.mkdir()
            (path / "x").write_text("x")

        def link(path):
            path.symlink_to(outside)

        self.start()
        self.store_one()
        self.end()
        kept = self.home / "kept"
        shutil.copytree(self.state, kept)
        names = ["lock", "quarantine", "cursors", "log", "log/meta", "log/position", "log/dedupe"]
        names += ["log/0000000001.segment", "log/0000000099.segment", "log/meta.tmp"]
        names += ["cursors/journald.cursor"]
        for number, name in enumerate(names):
            make = (fifo, directory, link)[number % 3]
            if "/" not in name and name != "lock":
                make = fifo
            with self.subTest(name, kind=make.__name__):
                shutil.rmtree(self.state)
                shutil.copytree(kept, self.state)
                path = self.state / name
                if path.is_dir():
                    shutil.rmtree(path)
                path.unlink(missing_ok=True)
                make(path)
                self.start()
                self.store_one()
                self.end()
                self.assertTrue(list(path.parent.glob(path.name + ".misplaced-*")))
        self.assertEqual(outside.read_text(), "precious")

    def test_a_fifo_in_the_place_of_the_configuration_is_not_waited_for(self):
        (self.home / ".codex").mkdir()
        os.mkfifo(self.home / ".codex/otel-config.yaml")
        self.start()
        self.store_one()
        self.end()

    def test_a_file_size_limit_ends_no_command_by_its_record(self):
        def limit():
            resource.setrlimit(resource.RLIMIT_FSIZE, (0, 0))

        done = self.telemetry(
            "exec", "--", "sh", "-c", "exit 5", check=False, preexec_fn=limit,
            env={"CODEX_TELEMETRY_AUTOSTART": "0"},
        )
        self.assertEqual(done.returncode, 5, done.stderr)

    def test_the_torn_end_of_a_spool_file_is_told(self):
        self.telemetry("exec", "--", "true", env={"CODEX_TELEMETRY_AUTOSTART": "0"})
        (file,) = (self.state / "spool").glob("*.spool")
        with open(file, "ab") as spool:
            spool.write(b"half a frame")
        self.start()
        eventually(lambda: not file.exists(), 10, "the spool is taken")
        self.assertIn("bytes=12", (self.home / "messages").read_text())
        self.records(1)
        self.end()

    def test_a_wrong_bit_in_a_spool_file_costs_one_batch(self):
        folder = self.state / "spool"
        folder.mkdir(mode=0o700, parents=True)
        producer = bytes(range(1, 17))
        frames = [frame(BATCH, batch(producer, number)) for number in range(1, 6)]
        data = bytearray(frame(HELLO, b"CXTL\0\0\x28\0" + producer + bytes(17)) + b"".join(frames))
        at = len(data) - 4 * len(frames[0])
        data[at + 1] ^= 0x20  # A bit of the second's length.
        file = folder / f"{producer.hex()}.spool"
        file.touch(mode=0o600)
        file.write_bytes(data)
        self.start()
        eventually(lambda: not file.exists(), 10, "the spool is taken")
        messages = (self.home / "messages").read_text()
        self.assertRegex(messages, f"bytes={len(frames[0])}.*file={file}.*offset={at}")
        kept = file.with_suffix(".damaged")
        self.assertEqual((kept.read_bytes(), kept.stat().st_mode & 0o777), (bytes(data), 0o600))
        status = json.loads(self.telemetry("status", "--json").stdout)
        self.assertEqual(status["log"]["stored"]["batches"], 4)
        self.assertEqual(status["producers"]["spool_damaged_bytes"], len(frames[0]))
        self.assertEqual(status["producers"]["spool_files_refused"], {"damaged": 1})
        self.end()

    @unittest.skipUnless(os.geteuid() == 0, "needs root: no limit of processes holds for it")
    def test_few_threads_are_a_sentence_and_no_wait(self):
        self.home.chmod(0o777)
        (self.home / "run").chmod(0o777)
        self.env |= {"HOME": f"{self.home}/nobody", "CODEX_TELEMETRY_STATE_DIR": f"{self.home}/nobody/state"}
        os.mkdir(self.env["HOME"])
        user = 987_654  # Nobody else's: processes are counted by user.
        os.chown(self.env["HOME"], user, user)
        shutil.rmtree(self.home / "run")
        for count in (0, 1, 2, 5, 10):
            def limit():
                os.setgroups([])
                os.setgid(user)
                os.setuid(user)
                # After the change of user: before it, a program could not even be started.
                resource.setrlimit(resource.RLIMIT_NPROC, (count, count))

            began = time.monotonic()
            done = subprocess.run(
                [self.program, "run"], env=self.env, stdin=subprocess.DEVNULL, capture_output=True, text=True,
                timeout=20, preexec_fn=limit)
            self.assertEqual(done.returncode, 1, done.stderr)
            self.assertRegex(done.stderr, "the agent cannot start: it could make [0-9]+ threads.*ulimit -u")
            self.assertEqual(done.stderr.count("\n"), 1, done.stderr)
            done = subprocess.run(
                [self.program, "emit", "event", "x"], env=self.env, stdin=subprocess.DEVNULL,
                capture_output=True, text=True, timeout=20, preexec_fn=limit)
            self.assertEqual(done.returncode, 0, done.stderr)
            # Both together, and far from the seconds that an agent is waited for; a busy machine is slow.
            self.assertLess(time.monotonic() - began, 6)
        # Nobody took them, and none is lost.
        spool = pathlib.Path(self.env["CODEX_TELEMETRY_STATE_DIR"]) / "spool"
        self.assertEqual(len(list(spool.glob("*.spool"))), 5)

    def test_relative_paths_of_xdg_are_ignored_and_said(self):
        self.env |= {"XDG_RUNTIME_DIR": "run", "XDG_STATE_HOME": "relative"}
        self.ingest = str(self.home / ".codex/telemetry/ingest.sock")
        self.start(cwd=self.home)
        self.store_one()
        status = json.loads(self.telemetry("status", "--json").stdout)
        self.assertEqual(
            status["agent"]["places"]["state_directory"], f"{self.home}/.local/state/codex-telemetry")
        said = (self.home / "messages").read_text()
        for name, told in zip(("XDG_RUNTIME_DIR", "XDG_STATE_HOME"), status["agent"]["warnings"]):
            self.assertIn(f"{name} is no absolute path and is ignored", told)
            self.assertEqual(said.count(told), 1, said)
        self.assertFalse((self.home / "relative").exists())
        self.end()

    def test_few_descriptors_stop_nobody(self):
        def limit():
            resource.setrlimit(resource.RLIMIT_NOFILE, (48, 48))

        self.start(preexec_fn=limit)
        crowd = []
        for _ in range(64):
            one = socket.socket(socket.AF_UNIX)
            self.addCleanup(one.close)
            one.connect(self.ingest)
            crowd.append(one)
        for one in crowd:
            one.close()
        self.store_one()
        status = self.telemetry("status", "--json").stdout
        self.assertIn('"state": "writing"', status.replace('":"', '": "'))
        self.end()


if __name__ == "__main__":
    unittest.main()

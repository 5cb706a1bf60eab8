"""What the tests of broken places share: an agent with a state directory of its own, honest producers that
keep what is not acked, file systems that run out, and a shim before the C library (shim.c)."""

import atexit
import contextlib
import functools
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
import threading
import time
import unittest

import producer as wire
from alone import AloneCase
from host import eventually
from installed import ROOT

sys.path.insert(0, str(ROOT / "Tests/Witness"))
from counting import count_state  # noqa: E402
from wire_bytes import crc32c  # noqa: E402

EDQUOT = 122
only_full = unittest.skipUnless(os.environ.get("CODEX_TELEMETRY_TEST_FULL"), "only with contrib/test --full")


def frame(kind, body=b"", version=0, checksum=None, length=None):
    """A frame, right or wrong."""
    checksum = crc32c(body) if checksum is None else checksum
    length = len(body) if length is None else length
    return struct.pack("<IBBHI", length, kind, version, 0, checksum) + body


def hello(identity, flags=1, version=0, magic=b"CXTL"):
    return struct.pack("<4sHH16sQII", magic, version, 40, identity, 1, flags, 0) + b"\0"


class Batches:
    """Batches of one producer, cheap to make: the records of one are those of all but for the header."""

    def __init__(self, identity, records=1, padding=0):
        self.identity = identity
        self.records = records
        spans = [
            wire.record({
                "trace_id": os.urandom(16).hex(), "span_id": os.urandom(8).hex(), "name": "honest",
                "start": 1_700_000_000_000_000_000, "end": 1_700_000_000_000_001_000,
                "attributes": {"padding": "x" * padding},
            })
            for _ in range(records)
        ]
        encoder = wire.codex_telemetry.Encoder(spans[0]["start"])
        self.body = bytearray(encoder.encode(identity, 1, spans, ("", 0, {"service.name": "honest"})))

    def frame(self, sequence):
        struct.pack_into("<Q", self.body, 24, sequence)
        return frame(wire.BATCH, bytes(self.body))


class Honest(threading.Thread):
    """A producer that keeps what is not acked, and sends it again after a throttle or a broken connection:
    what wire.md asks of a client. `acked` is what it was told; all of it has to be in the log."""

    def __init__(self, path, records=1, padding=0, window=8, pause=0.0, count=None):
        super().__init__(daemon=True)
        self.path = str(path)
        self.identity, self.uid = os.urandom(16), os.geteuid()
        self.batches = Batches(self.identity, records, padding)
        self.window, self.pause, self.count = window, pause, count
        self.sent = self.acked = 0
        self.connects = 0
        self.throttles = {}
        self.problem = None
        self._ending = threading.Event()

    def run(self):
        while not self.is_done():
            try:
                self._converse()
            except (OSError, EOFError):
                time.sleep(0.05)
            except Exception as problem:  # shown by `end`
                self.problem = problem
                return

    def is_done(self):
        return self._ending.is_set() or (self.count is not None and self.acked >= self.count)

    def _converse(self):
        with socket.socket(socket.AF_UNIX) as peer:
            peer.settimeout(20)
            peer.connect(self.path)
            self.connects += 1
            stream = peer.makefile("rb")
            peer.sendall(frame(wire.HELLO, hello(self.identity)))
            stored = struct.unpack_from("<Q", self._answer(stream, wire.WELCOME), 24)[0]
            # An ack that was on its way when the connection broke.
            self.acked = max(self.acked, stored)
            sent = self.acked
            while not self.is_done():
                # A write to an agent that has closed fails; what it said before is there to be read.
                with contextlib.suppress(BrokenPipeError, ConnectionResetError):
                    while sent < self.acked + self.window and (self.count is None or sent < self.count):
                        peer.sendall(self.batches.frame(sent + 1))
                        sent += 1
                        self.sent = max(self.sent, sent)
                self.acked = struct.unpack_from("<Q", self._answer(stream, wire.ACK))[0]
                if self.pause:
                    self._ending.wait(self.pause)
            peer.sendall(frame(wire.GOODBYE))

    def _answer(self, stream, expected):
        header = stream.read(12)
        if len(header) < 12:
            raise EOFError
        length, kind, _, _, _ = struct.unpack("<IBBHI", header)
        body = stream.read(length)
        if kind == wire.THROTTLE:
            reason, _, milliseconds = struct.unpack("<HHI", body[:8])
            self.throttles[reason] = self.throttles.get(reason, 0) + 1
            self._ending.wait(min(milliseconds / 1000, 0.3))
            raise EOFError
        if kind != expected:
            raise AssertionError(f"an honest producer was told {kind:#x}: {body!r}")
        return body

    @property
    def tally(self):
        """For contrib/balance."""
        open_ = self.sent - self.acked
        return {
            "uid": self.uid,
            "producer": self.identity.hex(),
            "acked": {"batches": self.acked, "records": self.acked * self.batches.records},
            "unsettled": {"batches": open_, "records": open_ * self.batches.records},
        }

    def end(self):
        """Lets it go; what went wrong with it."""
        self._ending.set()
        self.join(30)
        if self.is_alive():
            return AssertionError("an honest producer hangs")
        return self.problem


class Faults:
    """The shim's memory: what a program under it sees."""

    def __init__(self, folder):
        self.path = pathlib.Path(folder, "faults")
        self.path.write_bytes(bytes(4096))
        self.file = open(self.path, "r+b", buffering=0)

    def _put(self, at, layout, value):
        self.file.seek(at)
        self.file.write(struct.pack(layout, value))

    def clocks(self, wall=0, boottime=0):
        """Shifts the clocks, in seconds, from what the machine has."""
        self._put(8, "<q", int(boottime * 1e9))
        self._put(0, "<q", int(wall * 1e9))

    def writes_fail(self, errno):
        self._put(16, "<i", errno)

    def network(self, path):
        self._put(20, "<256s", str(path).encode())

    @property
    def variables(self):
        return {"LD_PRELOAD": str(shim()), "FAULTS": str(self.path)}

    def close(self):
        self.file.close()


@functools.cache
def shim():
    """The shim, compiled; a machine that built the agent has a C compiler."""
    compiler = shutil.which("cc") or shutil.which("clang")
    if not compiler:
        raise unittest.SkipTest("there is no C compiler for the shim")
    folder = tempfile.TemporaryDirectory(prefix="codex-telemetry-shim-")
    atexit.register(folder.cleanup)
    path = pathlib.Path(folder.name, "shim.so")
    source = pathlib.Path(__file__).with_name("shim.c")
    subprocess.run([compiler, "-shared", "-fPIC", "-O", "-o", path, source, "-ldl"], check=True)
    return path


class FaultCase(AloneCase):
    """An agent in the foreground of a home of its own."""

    verbs = ("run", "status", "emit", "tail")
    # Seconds until an agent takes data, or has ended.
    patience = 30

    def setUp(self):
        super().setUp()
        self.ingest = self.home / "run/codex-telemetry/ingest.sock"
        self.state = self.home / ".local/state/codex-telemetry"
        self.messages = self.home / "messages"
        # No command of a test starts an agent of its own.
        self.env["CODEX_TELEMETRY_AUTOSTART"] = "0"

    def start(self, *words, env=None, wait=True, **rest):
        """An agent; waits until its intake is open."""
        with open(self.messages, "ab") as messages:
            agent = subprocess.Popen(
                [self.program, "run", "--user", *map(str, words)], env=self.env | (env or {}),
                stdin=subprocess.DEVNULL, stdout=messages, stderr=messages, **rest,
            )
        self.agent = agent
        self.addCleanup(self._bury, agent)
        if wait:
            eventually(lambda: self.listens() or self._ended(agent), self.patience, "the intake opens")
        return agent

    def _ended(self, agent):
        self.assertIsNone(agent.poll(), self.messages.read_text())

    @staticmethod
    def _bury(agent):
        if agent.poll() is None:
            agent.kill()
        agent.wait()

    def fails_to_start(self, *words, env=None, **rest):
        """What an agent says that cannot start."""
        done = subprocess.run(
            [self.program, "run", "--user", *map(str, words)], env=self.env | (env or {}),
            stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=30, **rest,
        )
        self.assertEqual(done.returncode, 1, done.stdout + done.stderr)
        return done.stderr

    def stop(self):
        self.agent.send_signal(signal.SIGTERM)
        self.assertEqual(self.agent.wait(self.patience), 0, self.messages.read_text())

    def listens(self, path=None):
        with socket.socket(socket.AF_UNIX) as probe:
            return probe.connect_ex(str(path or self.ingest)) == 0

    def status(self, code=None, *words):
        """The agent's status; with `code` its exit code has to be that."""
        done = self.telemetry("status", "--json", *words, check=False)
        if code is not None:
            self.assertEqual(done.returncode, code, done.stdout + done.stderr)
        return json.loads(done.stdout)

    def status_where(self, what, condition, seconds=20):
        """A status for which the condition holds, once there is one."""

        def ask():
            status = self.status()
            return status if condition(status) else None

        return eventually(ask, seconds, lambda: f"{what}: {json.dumps(self.status())}")

    def produce(self, **rest):
        one = Honest(self.ingest, **rest)
        one.start()
        self.addCleanup(one.end)
        return one

    def end_producers(self, *producers):
        for one in producers:
            problem = one.end()
            if problem:
                raise problem

    def assert_all_there(self, *producers, state=None, expired=False):
        """The log holds each batch that was acked exactly once, by a reader that shares no code with the
        agent. With `expired` retention may have taken the oldest."""
        counted = count_state(str(state or self.state))
        self.assertTrue(counted["exactly_once"], counted["examples"])
        self.assertEqual(counted["damaged"], {"ranges": 0, "batches": 0, "records": 0})
        mine = {(each["uid"], each["producer"]): each for each in counted["producers"]}
        for one in producers:
            none = {"batches": 0, "last": 0, "missing": 0, "first": 1}
            there = mine.get((one.uid, one.identity.hex()), none)
            self.assertGreaterEqual(there["last"], one.acked, "acked and not in the log")
            self.assertEqual(there["missing"], 0, f"a hole: {there}")
            if not expired and one.acked:
                self.assertEqual(there["first"], 1)
                self.assertEqual(there["batches"], there["last"])
        return counted

    def balance(self, *producers, words=()):
        """Every figure of status is what contrib/balance counts, with the tallies of producers that have
        ended."""
        tallies = self.home / "tallies.json"
        tallies.write_text(json.dumps([each.tally for each in producers]))
        done = subprocess.run(
            [sys.executable, ROOT / "contrib/balance", "--program", self.program, "--tally", tallies, *words],
            env=self.env, capture_output=True, text=True, timeout=120,
        )
        self.assertEqual(done.returncode, 0, done.stdout + done.stderr)
        self.assertIn("producers.records", done.stdout)
        return done.stdout

    def balances(self, status):
        """Whether the figures of the intake add up, in the midst of it all."""
        intake = status["intake"]
        for unit in ("batches", "records"):
            refused = sum(each[unit] for each in intake["refused"].values())
            out = sum(intake[part][unit] for part in ("stored", "duplicate", "in_flight"))
            self.assertEqual(intake["received"][unit], out + refused, intake)

    @staticmethod
    def device(folder):
        """What is mounted on a folder."""
        with open("/proc/mounts") as mounts:
            return next(line.split()[0] for line in mounts if f" {folder} " in line)

    # Broken places

    def mount(self, kind, target, options="", source="none"):
        """A file system on a folder, for the time of a test."""
        if os.geteuid() != 0:
            self.skipTest("mounts need root")
        target.mkdir(parents=True, exist_ok=True)
        words = ["mount", "-t", kind, *(["-o", options] if options else []), source, target]
        done = subprocess.run(words, capture_output=True, text=True)
        if done.returncode != 0:
            raise MountFailed(done.stderr.strip())
        self.addCleanup(subprocess.run, ["umount", "-l", target], check=True)

    def image(self, megabytes, *features):
        """A new ext4 file system in a file."""
        if not shutil.which("mkfs.ext4", path="/usr/sbin:/sbin:/usr/bin:/bin"):
            self.skipTest("mkfs.ext4 is not installed")
        path = self.home / "image"
        with open(path, "wb") as file:
            file.truncate(megabytes << 20)
        subprocess.run(["mkfs.ext4", "-q", "-F", "-m", "0", *features, path], check=True,
                       env={"PATH": "/usr/sbin:/sbin:/usr/bin:/bin"})
        return path

    @contextlib.contextmanager
    def ballast(self, folder, name="ballast", greedy=True):
        """Somebody else's file that takes all the space of a file system, and, if greedy, what becomes free
        of it, until the end of the block."""
        path, ending = pathlib.Path(folder, name), threading.Event()

        def fill(file):
            for size in (1 << 20, 4096):
                with contextlib.suppress(OSError):
                    while file.write(bytes(size)):
                        pass

        def keep_filling(file):
            while not ending.wait(0.02) and greedy:
                fill(file)

        with open(path, "wb", buffering=0) as file:
            fill(file)
            thread = threading.Thread(target=keep_filling, args=(file,))
            thread.start()
            try:
                yield path
            finally:
                ending.set()
                thread.join()
                path.unlink()


class MountFailed(Exception):
    """The kernel cannot mount this."""

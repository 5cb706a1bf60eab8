"""Peers that send garbage, flood, stall and lie, against the real agent, while honest producers of the same
and of another uid go on: each hostile connection gets its error and is closed and counted; nobody else loses
a record; memory stays bounded."""

import collections
import contextlib
import ctypes
import os
import random
import socket
import struct
import threading
import time
import unittest

import producer as wire
from faults import Batches, FaultCase, Honest, frame, hello, only_full
from host import eventually
from wire_bytes import CODES

NAMES = {code: name for name, code in CODES.items()}
SEED = 20_261_121
# What the agent may have of one hostile uid beyond its own few: incomplete frames, 32 MiB in all, in buffers
# that may be half empty.
ANONYMOUS_BYTES_MAX = 64 << 20
ROOT_UID, HOSTILE_UID, OTHER_UID = 0, 4001, 4002
SETRESUID = {"x86_64": 117, "aarch64": 147}.get(os.uname().machine)
libc = ctypes.CDLL(None, use_errno=True)


@contextlib.contextmanager
def effective(uid):
    """This thread alone is another user: the C library's own call would take all threads along."""

    def become(number):
        if libc.syscall(SETRESUID, -1, number, -1) != 0:
            raise OSError(ctypes.get_errno(), "setresuid")

    if uid != ROOT_UID:
        become(uid)
    try:
        yield
    finally:
        if uid != ROOT_UID:
            become(ROOT_UID)


def connect(path, uid=HOSTILE_UID):
    peer = socket.socket(socket.AF_UNIX)
    try:
        with effective(uid):
            # Waits where the agent has not accepted those before.
            peer.connect(str(path))
    except OSError:
        peer.close()
        raise
    peer.settimeout(20)
    return peer


class OtherHonest(Honest):
    """An honest producer of another uid."""

    def __init__(self, *words, **rest):
        super().__init__(*words, **rest)
        self.uid = OTHER_UID

    def _converse(self):
        with effective(OTHER_UID):
            super()._converse()


class Memory(threading.Thread):
    """The peak of a process's anonymous memory."""

    def __init__(self, pid):
        super().__init__(daemon=True)
        self.path, self.peak, self.first = f"/proc/{pid}/status", 0, None
        self.ending = threading.Event()

    def run(self):
        while not self.ending.wait(0.02):
            with open(self.path) as status:
                now = next(int(line.split()[1]) << 10 for line in status if line.startswith("RssAnon"))
            self.first = self.first or now
            self.peak = max(self.peak, now)


@unittest.skipUnless(os.geteuid() == 0 and SETRESUID, "needs root, to be several users")
class HostilePeers(FaultCase):
    def setUp(self):
        super().setUp()
        self.random = random.Random(SEED)
        self.told = collections.Counter()
        self.start()
        # For the other users of this test.
        for folder in (self.home, self.home / "run", self.ingest.parent):
            folder.chmod(0o755)
        self.ingest.chmod(0o666)
        self.memory = Memory(self.agent.pid)
        self.memory.start()
        self.addCleanup(self.memory.join)
        self.addCleanup(self.memory.ending.set)
        self.honest = [self.produce(records=20, padding=100, pause=0.005) for _ in range(2)]
        for _ in range(2):
            other = OtherHonest(self.ingest, records=20, padding=100, pause=0.005)
            other.start()
            self.addCleanup(other.end)
            self.honest.append(other)
        eventually(lambda: all(each.acked > 2 for each in self.honest), 20, "honest records come in")

    # What peers do

    def answers(self, peer):
        """Every answer until the agent closes the connection."""
        found, rest = [], b""
        with contextlib.suppress(ConnectionResetError):
            while more := peer.recv(65_536):
                rest += more
        while len(rest) >= 12:
            length, kind = struct.unpack_from("<IB", rest)
            found.append((kind, rest[12 : 12 + length]))
            rest = rest[12 + length :]
        self.assertEqual(rest, b"", "half a frame of the agent")
        return found

    def ends_with(self, data, *names, uid=HOSTILE_UID, closes=False):
        """Sends bytes on a connection of their own: the last answer is this error, and the end."""
        with connect(self.ingest, uid) as peer:
            with contextlib.suppress(BrokenPipeError, ConnectionResetError):
                peer.sendall(data)
            if closes:
                peer.shutdown(socket.SHUT_WR)
            kind, body = self.answers(peer)[-1]
        self.assertEqual(kind, wire.ERROR, body)
        code, flags = struct.unpack_from("<HH", body)
        self.assertEqual(flags & 1, 1, "an error that ends the connection says so")
        self.assertIn(NAMES[code], names, body)
        self.assertGreater(body[16], 0, "a message")
        self.told[NAMES[code]] += 1

    def is_told(self, data, count):
        """Sends bytes and reads that many answers; the connection goes on, and says goodbye."""
        with connect(self.ingest) as peer:
            peer.sendall(data)
            stream, found = peer.makefile("rb"), []
            with stream:
                while len(found) < count:
                    length, kind = struct.unpack("<IB7x", stream.read(12))
                    found.append((kind, stream.read(length)))
                peer.sendall(frame(wire.GOODBYE))
                self.assertEqual(stream.read(), b"")
            return found

    def identity(self):
        return self.random.randbytes(16)

    def greeting(self, identity=None, flags=1):
        return frame(wire.HELLO, hello(identity or self.identity(), flags))

    # The tests

    def finish(self):
        """Honest records are all there, each of them once; the counts are those of what was told."""
        marks = [each.acked for each in self.honest]
        eventually(
            lambda: all(each.acked > mark + 10 for each, mark in zip(self.honest, marks)), 20,
            "honest producers go on",
        )
        self.end_producers(*self.honest)
        self.memory.ending.set()
        status = self.status(0)
        self.balance(*self.honest)
        closed = status["intake"]["connections_closed"]
        for name, count in self.told.items():
            self.assertEqual(closed.get(name, 0), count, f"{name}: {closed} {self.told}")
        for each in self.honest:
            self.assertEqual(each.connects, 1, "an honest connection was broken")
            self.assertEqual(each.throttles, {})
        self.stop()
        self.counted = self.assert_all_there(*self.honest)
        print(f"  {self.id().split('.')[-1]}: closed {closed}; honest batches acked and there "
              f"{sum(each.acked for each in self.honest)}; anonymous memory {self.memory.first >> 20} MiB, "
              f"peak {self.memory.peak >> 20} MiB of {ANONYMOUS_BYTES_MAX >> 20} MiB")
        self.assertLess(self.memory.peak, ANONYMOUS_BYTES_MAX)
        return status

    def test_garbage_and_lies_end_their_own_connection(self):
        mine = Batches(self.identity())
        good = frame(wire.HELLO, hello(mine.identity))
        first = mine.frame(1)
        for _ in range(100):
            self.ends_with(
                self.random.randbytes(self.random.randrange(12, 3000)),
                "unsupported_version", "bad_magic", "frame_too_large",
            )
        for data, name in (
            (frame(wire.HELLO, hello(self.identity()), version=9), "unsupported_version"),
            (frame(wire.HELLO, hello(self.identity(), version=7)), "unsupported_version"),
            (frame(wire.HELLO, hello(self.identity(), magic=b"HTTP")), "bad_magic"),
            (b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n", "unsupported_version"),
            (first, "bad_magic"),
            (good + good, "unexpected_frame"),
            (good + frame(wire.ACK, bytes(24)), "unexpected_frame"),
            (frame(wire.HELLO, length=0xFFFFFFFF), "frame_too_large"),
            (frame(wire.HELLO, length=(64 << 10) + 1), "frame_too_large"),
            (good + frame(wire.BATCH, length=0xFFFFFFFF), "frame_too_large"),
            (good + frame(wire.BATCH, length=(4 << 20) + 1), "frame_too_large"),
            (good + frame(wire.BATCH, bytes(mine.body), checksum=0), "bad_checksum"),
            (good + first[:90] + b"\xff" + first[91:], "bad_checksum"),
            (frame(wire.HELLO, hello(self.identity()), checksum=7), "bad_checksum"),
            (frame(wire.HELLO, hello(bytes(16))), "bad_value"),
            (frame(wire.HELLO, hello(self.identity())[:20]), "truncated"),
            # Two kilobytes of good frames, then a bad one: the good ones are kept.
            (good + first + frame(wire.BATCH, bytes(mine.body), checksum=0), "bad_checksum"),
        ):
            for _ in range(5):
                with self.subTest(name, data=data[:40]):
                    self.ends_with(data, name)
        self.finish()
        kept = [each for each in self.counted["producers"] if each["uid"] == HOSTILE_UID]
        self.assertEqual([(each["producer"], each["batches"]) for each in kept], [(mine.identity.hex(), 1)])

    def test_half_frames_and_a_silent_end(self):
        batch = Batches(self.identity(), padding=2000)
        whole = self.greeting(batch.identity) + batch.frame(1)
        for cut in range(1, len(whole), 97):
            with connect(self.ingest) as peer:
                peer.sendall(whole[:cut])
        intake = self.finish()["intake"]
        self.assertEqual(intake["refused"], {})

    def test_a_batch_that_lies_is_refused_alone(self):
        mine = Batches(self.identity())
        right = mine.frame(1)[12:]
        count = right[:4] + struct.pack("<I", 60_000) + right[8:]
        stranger = right[:8] + self.identity() + right[24:]
        cut = right[:-3]
        version = struct.pack("<H", 9) + right[2:]
        lies = [frame(wire.BATCH, body) for body in (count, stranger, cut, version, b"", bytes(64))]
        told = self.is_told(
            self.greeting(mine.identity) + b"".join(lies) + mine.frame(2), len(lies) + 2
        )
        codes = [NAMES[struct.unpack_from("<H", body)[0]] for kind, body in told if kind == wire.ERROR]
        self.assertEqual(codes[:4], ["count_mismatch", "wrong_producer", "truncated", "unsupported_version"])
        self.assertEqual(len(codes), len(lies))
        self.assertEqual(told[-1][0], wire.ACK)
        refused = self.finish()["intake"]["refused"]
        self.assertEqual(sum(each["batches"] for each in refused.values()), len(lies))
        for name in codes:
            self.assertEqual(refused[name]["batches"], codes.count(name))

    def test_replayed_and_skipped_sequences(self):
        mine = Batches(self.identity())
        order = [1, 2, 3, 2, 1, 3, 10, 5, 20, 11, 20, 1 << 62]
        with connect(self.ingest) as peer:
            peer.sendall(self.greeting(mine.identity) + b"".join(map(mine.frame, order)))
            with peer.makefile("rb") as stream:
                acked = 0
                while acked < 1 << 62:
                    length, kind = struct.unpack("<IB7x", stream.read(12))
                    body = stream.read(length)
                    if kind == wire.ACK:
                        acked = struct.unpack_from("<Q", body)[0]
        # Another uid's producer id, and a sequence above all that it will ever use.
        for victim in self.honest:
            thief = Batches(victim.identity)
            told = self.is_told(self.greeting(thief.identity) + thief.frame((1 << 63) + 5), 2)
            welcome = struct.unpack_from("<Q", told[0][1], 24)[0]
            self.assertEqual(welcome, 0, "what another uid stored is nobody's business")
            self.assertEqual(told[1][0], wire.ACK)
        intake = self.finish()["intake"]
        self.assertEqual(intake["duplicate"]["batches"], 6)

    @only_full
    def test_peers_that_do_not_read(self):
        """Acks of 30,000 batches, errors of 30,000 more: what nobody reads is not kept."""
        peers = []
        self.addCleanup(lambda: [each.close() for each in peers])
        mine = Batches(self.identity())
        for lies in (False, True):
            peer = connect(self.ingest)
            peers.append(peer)
            peer.sendall(self.greeting(mine.identity if not lies else None))
            peer.settimeout(1)
            sent = 0
            with contextlib.suppress(TimeoutError):
                while sent < 30_000:
                    chunk = b"".join(mine.frame(sent + one + 1) for one in range(100))
                    peer.sendall(chunk)
                    sent += 100
            print(f"  a peer that reads nothing could send {sent} {'wrong' if lies else 'right'} batches")
            self.assertGreater(sent, 100)
        for each in peers:
            each.close()
        self.finish()

    @only_full
    def test_slow_peers(self):
        """A byte a second: a writer has 30 s for a frame; a reader is only its own loss."""
        ending = threading.Event()
        closed, told = collections.Counter(), []
        slow = [connect(self.ingest) for _ in range(20)]
        mine = Batches(self.identity())
        readers = [connect(self.ingest) for _ in range(5)]
        self.addCleanup(lambda: [each.close() for each in slow + readers])

        def write():
            data = self.greeting() + mine.frame(1)
            for at in range(len(data)):
                for each in list(slow):
                    try:
                        each.sendall(data[at : at + 1])
                    except OSError:
                        closed["writers"] += 1
                        told.append(self.answers(each)[-1])
                        each.close()
                        slow.remove(each)
                if not slow or ending.wait(1):
                    return

        def read():
            sequence = 0
            for each in readers:
                each.sendall(self.greeting())
            while not ending.wait(1):
                sequence += 1
                for each in readers:
                    each.sendall(frame(0x40, bytes(10)))
                    each.recv(1)
                closed["read"] += 1

        threads = [threading.Thread(target=each) for each in (write, read)]
        for each in threads:
            each.start()
        try:
            eventually(lambda: closed["writers"] == 20, 45, lambda: f"slow writers are let go of: {closed}")
        finally:
            ending.set()
            for each in threads:
                each.join()
        self.assertGreater(closed["read"], 20)
        for kind, body in told:
            self.assertEqual((kind, *struct.unpack_from("<HH", body)), (wire.ERROR, CODES["frame_deadline"], 1))
        self.told["frame_deadline"] = 20
        self.finish()

    @only_full
    def test_a_thousand_connections(self):
        """Of one uid: 512 may stay, the others are told to come back later; another uid's are not touched."""
        crowd, refused = [], 0
        self.addCleanup(lambda: [each.close() for each in crowd])
        for _ in range(1000):
            crowd.append(connect(self.ingest))
        eventually(
            lambda: self.status()["intake"]["connections_closed"].get("too_many_connections") == 488, 20,
            lambda: str(self.status()["intake"]),
        )
        self.assertEqual(self.status()["producers"]["connections"], 512 + len(self.honest))
        for each in crowd[512:]:
            kind, body = self.answers(each)[0]
            self.assertEqual((kind, struct.unpack_from("<H", body)[0]), (wire.THROTTLE, CODES["too_many_connections"]))
            refused += 1
        self.assertEqual(refused, 488)
        late = self.produce(count=10)
        eventually(lambda: late.acked == 10, 20, "one who comes later, of another uid")
        for each in crowd:
            each.close()
        crowd.clear()
        eventually(lambda: self.status()["producers"]["connections"] <= len(self.honest), 20, "they have gone")
        self.told["too_many_connections"] = 488
        self.finish()

    @only_full
    def test_large_frames_that_are_never_completed(self):
        """100 connections with 3.9 MiB each of a frame of 4 MiB: 390 MiB, if the agent kept them."""
        held = []
        self.addCleanup(lambda: [each.close() for each in held])
        part = frame(wire.BATCH, length=4 << 20) + bytes(3_900_000)
        for _ in range(100):
            peer = connect(self.ingest)
            with contextlib.suppress(OSError):
                peer.sendall(self.greeting() + part)
            held.append(peer)
        closed = self.status()["intake"]["connections_closed"]["too_many_connections"]
        self.assertGreater(closed, 80)
        for each in held:
            each.close()
        held.clear()
        self.finish()

    def test_floods_of_tiny_frames(self):
        """Five connections as fast as they can, for three seconds: others are slower, not stopped."""
        ending = time.monotonic() + 3
        unknown = frame(0x40) * 5000
        empty = frame(wire.BATCH) * 500
        sent = collections.Counter()

        def flood(data):
            with connect(self.ingest) as peer:
                peer.sendall(self.greeting(flags=0))
                while time.monotonic() < ending:
                    peer.sendall(data)
                    sent[len(data)] += len(data) // 12

        marks = [each.acked for each in self.honest]
        threads = [threading.Thread(target=flood, args=(each,)) for each in (unknown, unknown, unknown, empty, empty)]
        for each in threads:
            each.start()
        for each in threads:
            each.join()
        for each, mark in zip(self.honest, marks):
            self.assertGreater(each.acked, mark + 5, "an honest producer stood still")
        refused = self.finish()["intake"]["refused"]["truncated"]["batches"]
        self.assertEqual(refused, sent[len(empty)])
        print(f"  tiny frames taken: {sent[len(unknown)]} unknown ones, {refused} empty batches")


if __name__ == "__main__":
    unittest.main()

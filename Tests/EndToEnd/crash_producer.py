#!/usr/bin/env python3
"""A producer of numbered records that survives its own death: what it sends stands in a file of its own
before, and its next run begins with what had no answer.

    crash_producer.py SOCKET SPOOL FOLDER FIRST LAST SEED LIMIT

Sends the records FIRST … LAST, one span each with its number as span id, in batches of many sizes. Reads
lines from standard input: each is a number, beyond which it does not go yet (LIMIT is the first). What
an earlier run in FOLDER left without an answer it sends again under the producer id that it had, or
leaves in a spool file of that id (SPOOL "-": never); then it goes on under a new id. Ends once every record is answered or
spooled; FOLDER/tally.json then says, for each producer id, what was handed over.
"""

import collections
import fcntl
import json
import os
import pathlib
import random
import select
import socket
import struct
import sys
import time

ROOT = pathlib.Path(__file__).resolve().parents[2]
sys.path[:0] = [str(ROOT / "contrib/clients/python"), str(ROOT / "Tests/Witness")]
import codex_telemetry  # noqa: E402
from frames import (  # noqa: E402
    ACK, BATCH, GOODBYE, HELLO, THROTTLE, WELCOME, frame, read_ack, read_frame, read_throttle, read_welcome,
)
from wire_bytes import WireError  # noqa: E402

SIZES = (1, 1, 3, 8, 8, 20, 64, 64, 300, 1024)
BASE = 1_700_000_000_000_000_000
WINDOW = 256 << 10
HEADER_FIELDS = struct.Struct("<16sQQ")
MARK = 0x5AFE_0000_0000_0000

Batch = collections.namedtuple("Batch", "sequence first count frame")


def hello(producer, answers):
    return frame(HELLO, struct.pack("<4sHH16sQII", b"CXTL", 0, 40, producer, 1, answers, 0) + b"\0")


class Templates:
    """A batch of each size, made once by the Python client; for each send only numbers are put in."""

    def __init__(self):
        self.made = {}

    def body(self, producer, sequence, first, count):
        if count not in self.made:
            self.made[count] = self._make(count)
        template, places = self.made[count]
        body = bytearray(template)
        HEADER_FIELDS.pack_into(body, 8, producer, sequence, BASE + first)
        for number, place in enumerate(places, first):
            struct.pack_into(">Q", body, place, number)
        return bytes(body)

    @staticmethod
    def _make(count):
        records = [
            {"type": 1, "trace_id": b"crash-test-trace", "span_id": struct.pack(">Q", MARK + index),
             "name": "crash.span", "start": BASE, "end": BASE + 500, "attributes": {"kind": "crash"}}
            for index in range(count)
        ]
        resource = ("", 0, {"service.name": "crash"})
        body = codex_telemetry.Encoder(BASE).encode(b"\1" * 16, 1, records, resource)
        places, at = [], 0
        for index in range(count):
            at = body.index(struct.pack(">Q", MARK + index), at)
            places.append(at)
        return body, places


def batch_of(framed):
    """What a frame of ours holds, by its own bytes."""
    (count,) = struct.unpack_from("<I", framed, 12 + 4)
    _, sequence, base = HEADER_FIELDS.unpack_from(framed, 12 + 8)
    return Batch(sequence, base - BASE, count, framed)


class Life:
    """One producer id: its batches on disk, and the answers to them."""

    def __init__(self, folder, producer):
        self.producer = producer
        self.frames = folder / f"{producer.hex()}.frames"
        self.answers = folder / f"{producer.hex()}.answers"
        self.spooled = folder / f"{producer.hex()}.spooled"
        self.batches, self.acked, self.sequence = [], 0, 0
        if self.frames.exists():
            self._read()
        self.unanswered = collections.deque(each for each in self.batches if each.sequence > self.acked)
        self.in_flight = sum(len(each.frame) for each in self.unanswered)
        self.file = os.open(self.frames, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
        self.answer_file = os.open(self.answers, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)

    def _read(self):
        data, at = self.frames.read_bytes(), 0
        while at < len(data):
            try:
                _, _, after = read_frame(data, at)
            except WireError:
                break  # Killed in the write: it was never sent.
            self.batches.append(batch_of(data[at:after]))
            at = after
        if at < len(data):
            os.truncate(self.frames, at)
        if self.answers.exists():
            lines = self.answers.read_text().split("\n")[:-1]
            self.acked = int(lines[-1]) if lines else 0
        self.sequence = self.batches[-1].sequence if self.batches else 0

    def add(self, templates, first, count):
        self.sequence += 1
        framed = frame(BATCH, templates.body(self.producer, self.sequence, first, count))
        os.write(self.file, framed)
        batch = Batch(self.sequence, first, count, framed)
        self.batches.append(batch)
        self.unanswered.append(batch)
        self.in_flight += len(framed)
        return batch

    def answered(self, sequence):
        if sequence <= self.acked:
            return
        self.acked = sequence
        os.write(self.answer_file, b"%d\n" % sequence)
        while self.unanswered and self.unanswered[0].sequence <= sequence:
            self.in_flight -= len(self.unanswered.popleft().frame)

    def spool(self, directory):
        """Leaves what has no answer in a spool file: from now on that is this id's only way out."""
        directory.mkdir(mode=0o700, parents=True, exist_ok=True)
        path = directory / f"{self.producer.hex()}.spool"
        while True:
            try:
                file = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_APPEND, 0o600)
            except FileExistsError:
                # Ours: an earlier run of us died while it wrote it, or after. Once it is drained, or if it
                # can be locked, it is written again as a whole.
                time.sleep(0.02)
                continue
            fcntl.flock(file, fcntl.LOCK_EX)
            if os.fstat(file).st_nlink == 1:
                break
            os.close(file)
        for part in (hello(self.producer, 0), *(each.frame for each in self.unanswered)):
            os.write(file, part)
        self.spooled.write_text("")
        os.close(file)
        self.unanswered.clear()

    def close(self):
        os.close(self.file)
        os.close(self.answer_file)

    def tally(self):
        is_spooled = self.spooled.exists()
        acked = [each for each in self.batches if is_spooled or each.sequence <= self.acked]
        rest = [each for each in self.batches if not is_spooled and each.sequence > self.acked]
        return {"producer": self.producer.hex(), "acked": counts(acked), "unsettled": counts(rest)}


def counts(batches):
    return {"batches": len(batches), "records": sum(each.count for each in batches)}


class Producer:
    def __init__(self, path, spool, folder, first, last, seed, limit):
        self.path, self.spool_directory, self.folder = path, pathlib.Path(spool), pathlib.Path(folder)
        self.may_spool = spool != "-"
        self.next, self.last, self.limit = first, last, limit
        self.random, self.templates = random.Random(seed), Templates()
        self.connection, self.pending, self.away_since = None, b"", None
        self.not_before, self.heard = 0, b""
        self.folder.mkdir(exist_ok=True)
        self.lives = []
        for path in sorted(self.folder.glob("*.frames")):
            life = Life(self.folder, bytes.fromhex(path.stem))
            self.lives.append(life)
            for batch in life.batches:
                self.next = max(self.next, batch.first + batch.count)
            if life.spooled.exists():
                life.unanswered.clear()

    # Life

    def run(self):
        for life in [each for each in self.lives if each.unanswered]:
            # What the last run left has one way out: the socket, or a spool file.
            if self.random.random() < 0.4 * self.may_spool:
                life.spool(self.spool_directory)
            else:
                self.serve(life, is_old=True)
            self.leave()
        while self.next <= self.last:
            life = Life(self.folder, os.urandom(16))
            self.lives.append(life)
            self.serve(life)
            self.leave()
        for life in self.lives:
            life.close()
        tallies = [life.tally() for life in self.lives]
        temporary = self.folder / "tally.tmp"
        temporary.write_text(json.dumps(tallies))
        temporary.rename(self.folder / "tally.json")

    def serve(self, life, is_old=False):
        """Until all of this id is answered, or it went into the spool."""
        while life.unanswered or (not is_old and self.next <= self.last):
            self.read_limit()
            if self.connection is None and not self.connect(life):
                away = time.monotonic() - self.away_since
                if life.unanswered and away > 0.3 and self.random.random() < 0.02 * self.may_spool:
                    life.spool(self.spool_directory)
                    return
                self.wait(0.02)
                continue
            try:
                if not is_old:
                    self.fill(life)
                self.receive(life, 0 if self.may_send(life) and not is_old else 0.05)
            except (OSError, ConnectionError):
                self.leave()

    def may_send(self, life):
        return self.next <= min(self.last, self.limit) and life.in_flight < WINDOW

    def fill(self, life):
        for _ in range(16):
            if not self.may_send(life):
                return
            count = min(self.random.choice(SIZES), self.last - self.next + 1, self.limit - self.next + 1)
            batch = life.add(self.templates, self.next, count)
            self.next += count
            self.connection.sendall(batch.frame)

    # Connection

    def connect(self, life):
        if time.monotonic() < self.not_before:
            return False
        try:
            self.connection = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
            self.connection.settimeout(20)
            self.connection.connect(self.path)
            self.pending = b""
            self.connection.sendall(hello(life.producer, 1))
            kind, body = self.next_frame()
            if kind != WELCOME:
                raise ConnectionError(f"a frame of type {kind:#x} instead of a welcome")
            life.answered(read_welcome(body)["highest"])
            for batch in list(life.unanswered):
                self.connection.sendall(batch.frame)
        except (OSError, ConnectionError):
            self.leave()
            return False
        self.away_since = None
        return True

    def leave(self):
        if self.connection is not None:
            try:
                self.connection.sendall(frame(GOODBYE))
            except OSError:
                pass
            self.connection.close()
        self.connection = None
        if self.away_since is None:
            self.away_since = time.monotonic()

    def next_frame(self):
        while True:
            if len(self.pending) >= 12:
                (length,) = struct.unpack_from("<I", self.pending)
                if len(self.pending) >= 12 + length:
                    kind, body, after = read_frame(self.pending)
                    self.pending = self.pending[after:]
                    return kind, body
            data = self.connection.recv(65536)
            if not data:
                raise ConnectionError("the agent closed the connection")
            self.pending += data

    def receive(self, life, seconds):
        if not select.select([self.connection], [], [], seconds)[0]:
            return
        self.pending += (data := self.connection.recv(65536))
        if not data:
            raise ConnectionError("the agent closed the connection")
        while len(self.pending) >= 12 and len(self.pending) >= 12 + struct.unpack_from("<I", self.pending)[0]:
            kind, body = self.next_frame()
            if kind == ACK:
                life.answered(read_ack(body)["sequence"])
            elif kind == THROTTLE:
                self.not_before = time.monotonic() + min(read_throttle(body)["wait_ms"], 200) / 1000
                raise ConnectionError("throttled")
            else:
                sys.exit(f"the agent sent {kind:#x}: {body!r}")

    # The test's word

    def read_limit(self):
        while select.select([0], [], [], 0)[0]:
            data = os.read(0, 65536)
            if not data:
                sys.exit("the test has gone")
            *whole, self.heard = (self.heard + data).split(b"\n")
            if whole:
                self.limit = int(whole[-1])

    def wait(self, seconds):
        select.select([0], [], [], seconds)


def main(arguments):
    path, spool, folder, *numbers = arguments
    first, last, seed, limit = map(int, numbers)
    Producer(path, spool, folder, first, last, seed, limit).run()


if __name__ == "__main__":
    main(sys.argv[1:])

"""Reads the files of segment-log.md: segments, meta, position, checkpoints. It never repairs."""

from __future__ import annotations

import os
import struct
from dataclasses import dataclass, field
from typing import Iterator

from wire_bytes import MASK64, crc32c

HEADER = struct.Struct("<8sHHI16sQQQQQ")
ENVELOPE = struct.Struct("<4sHHIIQQQQIIIBBH16sQIIQQIQI")
FOOTER = struct.Struct("<4sHHQQQQQQQQQIIIIQQQQ")
TRAILER = struct.Struct("<II8s")
INDEX = struct.Struct("<IIQ")
DEDUPE = struct.Struct("<II16sQQ")
HEADER_BYTES_MIN = 80
ENVELOPE_BYTES_MIN = 128
RECEIVERS = {1: "socket", 2: "file", 3: "otlp_http", 4: "otlp_grpc", 5: "agent"}


def offset_text(offset: int) -> str:
    return f"{offset >> 32}:{offset & 0xFFFFFFFF}"


@dataclass(frozen=True, slots=True)
class Entry:
    """A stored batch: its envelope, and its payload if the payload's checksum is right."""

    offset: int
    receipt_time: int
    start_ticks: int
    uid: int
    gid: int
    pid: int
    receiver: int
    flags: int
    producer: bytes
    sequence: int
    records: int
    spans: int
    logs: int
    earliest: int
    latest: int
    payload: bytes


@dataclass(frozen=True, slots=True)
class Damage:
    """Bytes of a file that should be something and are not. `batch`: the envelope is right."""

    file: str
    start: int
    end: int
    what: str
    batch: bool = False
    records: int = 0


@dataclass(frozen=True, slots=True)
class DedupeEntry:
    uid: int
    producer: bytes
    sequence: int
    last_receipt: int


@dataclass(frozen=True)
class Footer:
    position: int
    number: int
    nonce: int
    batches: int
    records: int
    earliest_receipt: int
    latest_receipt: int
    earliest_record: int
    latest_record: int
    index: list[tuple[int, int]]
    dedupe: list[DedupeEntry]
    spans: int
    logs: int
    batches_before: int
    records_before: int
    filter_words: tuple[int, ...]
    filter_hashes: int

    def may_contain(self, trace_id: bytes) -> bool:
        """False: no record of this trace is in the segment. True if there is no filter."""
        if not self.filter_words:
            return True
        a = int.from_bytes(trace_id[:8], "big")
        b = int.from_bytes(trace_id[8:], "big") | 1
        bits = 64 * len(self.filter_words)
        for i in range(self.filter_hashes):
            bit = (a + i * b & MASK64) % bits
            if not self.filter_words[bit // 64] >> bit % 64 & 1:
                return False
        return True


@dataclass
class Segment:
    """What is in one segment file. Walking `entries()` fills `damage` and the ends."""

    path: str
    data: bytes
    number: int
    committed: int | None = None
    newest: bool = False
    log_id: bytes = b""
    nonce: int | None = None
    created: int = 0
    entries_start: int = HEADER_BYTES_MIN
    batches_before: int | None = None
    records_before: int | None = None
    footer: Footer | None = None
    damage: list[Damage] = field(default_factory=list)
    not_yet: int = 0

    @property
    def name(self) -> str:
        return os.path.basename(self.path)

    def entries(self) -> Iterator[Entry]:
        """Every whole entry in order; steps over damage and notes it."""
        self.damage.clear()
        self.not_yet = 0
        self.footer = read_footer(self.data)
        self._read_header()
        end = self.footer.position if self.footer else len(self.data)
        at = self.entries_start
        while at + ENVELOPE_BYTES_MIN <= end and self.nonce is not None:
            found = self._entry_at(at, end)
            if isinstance(found, tuple):
                entry, at = found
                if entry is not None:
                    yield entry
                continue
            following = self._resynchronise(at + 8, end)
            self._broken(at, following, end)
            at = end if following is None else following
        if at < end:
            self._broken(at, None, end)

    def _read_header(self) -> None:
        data, problem = self.data, self._header_problem()
        if not problem:
            (_, _, self.entries_start, _, self.log_id, _, self.nonce, self.created,
             self.batches_before, self.records_before) = HEADER.unpack_from(data)
            return
        if self.newest and not any(data):
            self.not_yet = len(data)  # Preallocated; its header is not written yet.
            return
        self._note(0, min(HEADER_BYTES_MIN, len(data)), problem)
        if self.footer:
            self.nonce = self.footer.nonce
            self.batches_before = self.footer.batches_before
            self.records_before = self.footer.records_before
        else:
            self.nonce = self._nonce_of_first_entry()

    def _header_problem(self) -> str:
        data = self.data
        if len(data) < HEADER_BYTES_MIN:
            return "shorter than a header"
        size = struct.unpack_from("<H", data, 10)[0]
        if size < HEADER_BYTES_MIN or size % 8 or size > len(data):
            return f"a header of {size} bytes"
        if data[:8] != b"CXTLSEG0":
            return "header magic"
        if crc32c(data[: size - 4]) != struct.unpack_from("<I", data, size - 4)[0]:
            return "header checksum"
        if data[8:10] != b"\0\0":
            return "header of another version"
        number = struct.unpack_from("<Q", data, 32)[0]
        return "" if number == self.number else f"header says segment {number}"

    def _nonce_of_first_entry(self) -> int | None:
        at = HEADER_BYTES_MIN
        while (at := self.data.find(b"CXTE", at)) >= 0:
            if at % 8 == 0 and at + ENVELOPE_BYTES_MIN <= len(self.data):
                nonce = struct.unpack_from("<Q", self.data, at + 16)[0]
                if self._envelope_size(at, len(self.data), nonce):
                    return nonce
            at += 1
        return None

    def _envelope_size(self, at: int, end: int, nonce: int | None) -> int:
        """The size of a right envelope at `at`, else 0."""
        data = self.data
        if at + ENVELOPE_BYTES_MIN > end or data[at : at + 4] != b"CXTE":
            return 0
        version, size = struct.unpack_from("<HH", data, at + 4)
        if version != 0 or size < ENVELOPE_BYTES_MIN or size % 8 or at + size > end:
            return 0
        own_nonce, offset = struct.unpack_from("<QQ", data, at + 16)
        if own_nonce != nonce or offset != self.number << 32 | at:
            return 0
        checksum = struct.unpack_from("<I", data, at + size - 4)[0]
        return size if crc32c(data[at : at + size - 4]) == checksum else 0

    def _entry_at(self, at: int, end: int) -> tuple[Entry | None, int] | None:
        size = self._envelope_size(at, end, self.nonce)
        if not size:
            return None
        (_, _, _, length, payload_crc, _, offset, receipt, ticks, uid, gid, pid, receiver, flags, _,
         producer, sequence, records, spans, earliest, latest, logs, _,
         _) = ENVELOPE.unpack_from(self.data, at)
        start = at + size
        after = start + length + 7 & ~7
        if start + length > end:
            # Only the committed position can say that there was more of it.
            if (self.newest and self.footer is None and self.committed is not None
                    and self.number << 32 | after <= self.committed):
                self._note(at, after, f"payload of {length} bytes runs past the end", True, records)
                return None, end
            return None
        after = min(after, end)
        payload = self.data[start : start + length]
        if crc32c(payload) != payload_crc:
            if self._is_not_yet(at):
                self.not_yet = end - at
                return None, end
            self._note(at, after, "payload checksum", True, records)
            return None, after
        return Entry(offset, receipt, ticks, uid, gid, pid, receiver, flags, producer, sequence,
                     records, spans, logs, earliest, latest, payload), after

    def _resynchronise(self, at: int, end: int) -> int | None:
        while 0 <= (at := self.data.find(b"CXTE", at, end)):
            if at % 8 == 0 and self._envelope_size(at, end, self.nonce):
                return at
            at += 1
        return None

    def _is_not_yet(self, at: int) -> bool:
        """Beyond the committed position of the segment that is being written."""
        return (self.newest and self.footer is None
                and (self.committed is None or self.number << 32 | at >= self.committed))

    def _broken(self, start: int, following: int | None, end: int) -> None:
        """Bytes that are no entry: preallocated zeros, not yet written, or damage."""
        if following is not None:
            self._note(start, following, "no entry")
            return
        if self.footer is not None:
            self._note(start, end, "no entry")
            return
        used = start + len(self.data[start:end].rstrip(b"\0"))
        if self.newest and self.footer is None and self.committed is not None:
            limit = max(0, self.committed - (self.number << 32))
            if start < limit:
                self._note(start, min(limit, end), "no entry below the committed position")
            self.not_yet = max(0, used - max(start, limit))
        elif self._is_not_yet(start):
            self.not_yet = used - start
        elif used > start:
            self._note(start, used, "no entry")

    def _note(self, start: int, end: int, what: str, batch: bool = False, records: int = 0) -> None:
        self.damage.append(Damage(self.name, start, end, what, batch, records))


def read_footer(data: bytes) -> Footer | None:
    """The footer of a sealed segment; None if trailer, length, checksum or footer is wrong."""
    if len(data) < HEADER_BYTES_MIN + FOOTER.size + TRAILER.size:
        return None
    size, checksum, magic = TRAILER.unpack_from(data, len(data) - TRAILER.size)
    start = len(data) - TRAILER.size - size
    if magic != b"CXTLEND0" or size < FOOTER.size or start < HEADER_BYTES_MIN or start % 8:
        return None
    if crc32c(data[start : start + size]) != checksum:
        return None
    (own_magic, version, fixed, number, nonce, position, batches, records, first_receipt,
     last_receipt, first_record, last_record, indexes, dedupes, words, hashes, spans, logs,
     batches_before, records_before) = FOOTER.unpack_from(data, start)
    variable = indexes * INDEX.size + dedupes * DEDUPE.size + words * 8
    if (own_magic != b"CXTF" or version != 0 or fixed < FOOTER.size or position != start
            or fixed + variable > size or hashes > 16 or words & words - 1):
        return None
    at = start + fixed
    index = [(place, receipt) for place, _, receipt
             in INDEX.iter_unpack(data[at : at + indexes * INDEX.size])]
    at += indexes * INDEX.size
    dedupe = read_dedupe_entries(data[at : at + dedupes * DEDUPE.size])
    at += dedupes * DEDUPE.size
    return Footer(position, number, nonce, batches, records, first_receipt, last_receipt,
                  first_record, last_record, index, dedupe, spans, logs,
                  batches_before, records_before, struct.unpack_from(f"<{words}Q", data, at), hashes)


def read_dedupe_entries(data: bytes) -> list[DedupeEntry]:
    return [DedupeEntry(uid, producer, sequence, receipt)
            for uid, _, producer, sequence, receipt in DEDUPE.iter_unpack(data)]


@dataclass(frozen=True)
class Meta:
    log_id: bytes
    next_segment: int
    clean: bool
    batches_before: int
    records_before: int


@dataclass(frozen=True)
class Position:
    committed: int
    synced: int
    heartbeat: int
    stored: tuple[int, int] = (0, 0)
    # What retention deleted, and the number below which it left no segment; None if it does not say.
    expired: tuple[int, int] | None = None
    first: int = 0


@dataclass(frozen=True)
class Checkpoint:
    magic: bytes
    log_id: bytes
    offset: int
    body: bytes


def _small_file(path: str, parse):
    """What is in `meta` or `position`; None if it is not there or not whole."""
    # The writer may be at it: a wrong checksum is read again before it counts.
    for _ in range(5):
        try:
            with open(path, "rb") as file:
                found = parse(file.read())
        except FileNotFoundError:
            return None
        if found is not None:
            return found
    return None


def _is_small(data: bytes, magic: bytes) -> bool:
    return (len(data) >= 64 and data[:8] == magic
            and crc32c(data[:60]) == struct.unpack_from("<I", data, 60)[0])


def parse_meta(data: bytes) -> Meta | None:
    if not _is_small(data, b"CXTLMET0"):
        return None
    _, version, _, _, log_id, following, clean, batches, records = struct.unpack_from(
        "<8sHHI16sQB3xQQ", data)
    return Meta(log_id, following, clean == 1, batches, records) if version == 0 else None


def parse_position(data: bytes) -> Position | None:
    if not _is_small(data, b"CXTLPOS0"):
        return None
    committed, synced, heartbeat, batches, records = struct.unpack_from("<QQQQQ", data, 8)
    expired, first = None, 0
    if len(data) >= 96 and crc32c(data[64:92]) == struct.unpack_from("<I", data, 92)[0]:
        first, _, *counts = struct.unpack_from("<IIQQ", data, 64)
        expired = (counts[0], counts[1])
    return Position(committed, synced, heartbeat, (batches, records), expired, first)


def read_meta(path: str) -> Meta | None:
    return _small_file(path, parse_meta)


def read_position(path: str) -> Position | None:
    return _small_file(path, parse_position)


def parse_checkpoint(data: bytes) -> Checkpoint | None:
    if len(data) < 48:
        return None
    magic, version, _, size, checksum, own_checksum, log_id, offset = struct.unpack_from(
        "<8sHHIII16sQ", data)
    if crc32c(data[:20] + bytes(4) + data[24:48]) != own_checksum:
        return None
    body = data[48 : 48 + size]
    if version != 0 or len(body) != size or crc32c(body) != checksum:
        return None
    return Checkpoint(magic, log_id, offset, body)


def read_checkpoint(path: str) -> Checkpoint | None:
    """A checkpoint (`dedupe`, `*.cursor`); None if it is damaged or of another version."""
    with open(path, "rb") as file:
        return parse_checkpoint(file.read())


@dataclass
class Log:
    """A state directory's log, as it is at the moment of opening."""

    directory: str
    meta: Meta | None
    position: Position | None
    numbers: list[int]

    @staticmethod
    def open(state: str) -> "Log":
        """`state` is a state directory, or its `log` directory itself."""
        directory = os.path.join(state, "log")
        if not os.path.isdir(directory):
            directory = state
        names = [name for name in (os.listdir(directory) if os.path.isdir(directory) else ())
                 if name.endswith(".segment") and len(name) == 18 and name[:10].isdigit()]
        return Log(directory, read_meta(os.path.join(directory, "meta")),
                   read_position(os.path.join(directory, "position")),
                   sorted(int(name[:10]) for name in names))

    def segments(self) -> Iterator[Segment]:
        """One at a time, so that memory holds one file; a deleted one is stepped over."""
        for number in self.numbers:
            path = os.path.join(self.directory, f"{number:010}.segment")
            try:
                # Read, never mapped: a mapped file that is truncated kills its reader.
                with open(path, "rb") as file:
                    data = file.read()
            except FileNotFoundError:
                continue
            committed = self.position.committed if self.position else None
            yield Segment(path, data, number, committed, number == self.numbers[-1])

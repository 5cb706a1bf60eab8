"""What a start has to find in a damaged log, worked out from contrib/protocol/segment-log.md alone."""

from __future__ import annotations

import os
import struct
from dataclasses import dataclass, field

from segment_reader import (HEADER_BYTES_MIN, Entry, Footer, Segment, offset_text,
                            parse_checkpoint, parse_meta, parse_position, read_dedupe_entries,
                            read_footer)
from wire_bytes import crc32c

Files = dict[str, bytes]
Range = list  # [offset as text, bytes]


@dataclass(frozen=True, slots=True)
class Variant:
    """One way to damage a log: a file of it, and what happens to that file."""

    file: str
    change: str
    numbers: tuple[int, ...] = ()

    def text(self) -> str:
        return " ".join((self.file, self.change, *map(str, self.numbers)))

    def applied(self, files: Files) -> Files:
        data = bytearray(files[self.file])
        if self.change == "flip":
            data[self.numbers[0]] ^= self.numbers[1]
        elif self.change == "cut":
            del data[self.numbers[0]:]
        elif self.change == "zero":
            start, count = self.numbers
            data[start : start + count] = bytes(len(data[start : start + count]))
        changed = {name: content for name, content in files.items() if name != self.file}
        if self.change != "missing":
            changed[self.file] = bytes(data)
        return changed


def variants(files: Files) -> list[Variant]:
    """Each byte flipped with one bit and with all, each file cut at each length, blocks of zeros, each file
    missing."""
    found = []
    for name in sorted(name for name in files if name.startswith("log/")):
        size = len(files[name])
        found += [Variant(name, "flip", (at, 1 << at % 8)) for at in range(size)]
        found += [Variant(name, "flip", (at, 255)) for at in range(size)]
        found += [Variant(name, "cut", (length,)) for length in range(size)]
        # A lost sector or two, at every place that the medium could lose it, and between.
        found += [Variant(name, "zero", (at, count)) for count in (64, 512) for at in range(0, size, 64)]
        found.append(Variant(name, "missing"))
    return found


def read_state(state: str) -> Files:
    """A state directory's log, file by file."""
    files = {}
    for name in os.listdir(os.path.join(state, "log")):
        with open(os.path.join(state, "log", name), "rb") as file:
            files["log/" + name] = file.read()
    return files


@dataclass
class Walk:
    """One segment, walked."""

    entries: list[list]
    damage: list[tuple[int, int, bool]]
    footer: Footer | None
    nonce: int | None
    log_id: bytes
    before: tuple[int, int] | None
    start: int
    last: int
    used: int
    raw: list[Entry]
    lost: tuple[int, int]


def walk(number: int, data: bytes, committed: int | None = None, newest: bool = False) -> Walk:
    segment = Segment("", data, number, committed, newest)
    raw = list(segment.entries())
    last = segment.entries_start
    if raw:
        position = raw[-1].offset & 0xFFFFFFFF
        size = struct.unpack_from("<H", data, position + 6)[0]
        last = position + (size + len(raw[-1].payload) + 7 & ~7)
    before = None
    if segment.batches_before is not None:
        before = (segment.batches_before, segment.records_before)
    entries = [[offset_text(e.offset), e.uid, e.producer.hex(), e.sequence, e.records,
                crc32c(e.payload)] for e in raw]
    known = [d.records for d in segment.damage if d.batch]
    return Walk(entries, [(d.start, d.end, d.batch) for d in segment.damage], segment.footer,
                segment.nonce, segment.log_id, before, segment.entries_start, last,
                len(data.rstrip(b"\0")), raw, (len(known), sum(known)))


@dataclass
class Start:
    """What a start finds, does and says."""

    clean: bool = False
    log_id: str | None = None
    entries: list = field(default_factory=list)
    torn: list[Range] = field(default_factory=list)
    damaged: list[Range] = field(default_factory=list)
    # What a reader reports after this start.
    passed_over: list[Range] = field(default_factory=list)
    quarantine: dict[str, str] = field(default_factory=dict)
    highest: dict[tuple[int, str], int] = field(default_factory=dict)
    # Small files that must be named in words.
    named: set[str] = field(default_factory=set)
    stored: tuple[int, int] = (0, 0)
    kept: tuple[int, int] = (0, 0)
    expired: tuple[int, int] = (0, 0)
    # Stored before the first segment that is there: deleted, or lost.
    before: tuple[int, int] = (0, 0)


class Model:
    """Works out starts; walks of unchanged segments are kept."""

    def __init__(self) -> None:
        self._walks: dict[tuple, Walk] = {}

    def walk(self, number: int, data: bytes, committed: int | None = None,
             newest: bool = False) -> Walk:
        key = (number, data, committed, newest)
        if key not in self._walks:
            if len(self._walks) > 64:
                self._walks.clear()
            self._walks[key] = walk(*key)
        return self._walks[key]

    @staticmethod
    def numbers(files: Files) -> list[int]:
        return sorted(int(name[4:14]) for name in files if name.endswith(".segment"))

    def reader(self, files: Files) -> tuple[list, list[Range], tuple[int, int]]:
        """What a reader finds that begins at the beginning while no agent runs: batches, damage below
        the committed position, and how many batches and records it missed."""
        position = small(files, "log/position", parse_position)
        entries, damage = [], []
        ever: tuple[int, int] | None = None
        missed = (0, 0)
        numbers = self.numbers(files)
        for number in numbers:
            found = self.walk(number, files[name_of(number)],
                              position.committed if position else None, number == numbers[-1])
            if position and number > position.committed >> 32:
                continue
            if found.before is not None:
                if ever is not None and ever < found.before:
                    missed = plus(missed, minus(found.before, ever))
                ever = found.before
            entries += found.entries
            # Up to the committed position there are entries, and no footer.
            is_open = found.footer is None and not (position and number == position.committed >> 32)
            damage += [[f"{number}:{start}", end - start] for start, end, _ in found.damage
                       if start >= 80 and not (is_open and start >= found.last
                                               and is_footer_magic(files[name_of(number)], start))]
            count = counted(found)
            missed = plus(missed, found.lost)
            if ever is not None:
                ever = plus(ever, plus(count, found.lost))
        return entries, damage, missed

    def start(self, files: Files) -> Start:
        """A start of the agent."""
        result = Start()
        meta = small(files, "log/meta", parse_meta)
        position = small(files, "log/position", parse_position)
        for name, value in (("meta", meta), ("position", position)):
            if value is None and (name == "meta" or "log/" + name in files):
                result.named.add(name)
        clean = meta.clean if meta else False
        synced = position.synced if position else 0
        reached = (meta.batches_before, meta.records_before) if meta else (0, 0)
        first_before = None
        # Told to be deleted, and there all the same.
        undone = (0, 0)
        log_id = meta.log_id if meta else None
        was_scanned = False
        for number in self.numbers(files):
            data = files[name_of(number)]
            found = self.walk(number, data)
            log_id = log_id or found.log_id or None
            if found.footer is not None:
                if any(start == 0 for start, _, _ in found.damage):
                    self._damaged(result, data, number, 0, 80)
                self._note(result, [(e.uid, e.producer, e.sequence) for e in found.footer.dedupe])
                result.entries += found.entries
                result.passed_over += [[f"{number}:{start}", end - start]
                                       for start, end, _ in found.damage if start >= 80]
                held = (found.footer.batches, found.footer.records)
                before = (found.footer.batches_before, found.footer.records_before)
            else:
                if not self._scan(result, number, data, found, synced, clean):
                    continue
                was_scanned = True
                held = counted(found)
                before = found.before if found.before is not None else reached
            first_before = before if first_before is None else first_before
            reached = plus(before, held)
            result.kept = plus(result.kept, held)
            if position and number < position.first:
                undone = plus(undone, held)
        if (synced & 0xFFFFFFFF and name_of(synced >> 32) not in files):
            result.damaged.append([f"{synced >> 32}:0", synced & 0xFFFFFFFF])
        stored = position.stored if position else (0, 0)
        result.stored = tuple(map(max, reached, stored))
        result.before = result.expired = first_before if first_before is not None else reached
        if position and position.expired is not None:
            limit = first_before if first_before is not None else result.stored
            result.expired = tuple(min(max(0, e - u), most)
                                   for e, u, most in zip(position.expired, undone, limit))
        result.clean = clean and not was_scanned
        result.log_id = log_id.hex() if log_id else None
        self._checkpoint(result, files, log_id)
        return result

    def _scan(self, result: Start, number: int, data: bytes, found: Walk, synced: int,
              clean: bool) -> bool:
        """A segment without a right footer; False if there is nothing to keep of it."""
        safe_end = synced & 0xFFFFFFFF if synced >> 32 == number else 0
        if found.nonce is None:
            end = max(found.used, safe_end)
            if end or clean or number << 32 < synced:
                keep = self._damaged if end > HEADER_BYTES_MIN else self._torn
                keep(result, data, number, 0, end)
            return False
        # Between right entries it is damage, and stays; above the last it is cut off.
        for start, end, _ in found.damage:
            if end <= found.last and found.raw:
                self._damaged(result, data, number, start, end)
                if start >= 80:
                    result.passed_over.append([f"{number}:{start}", end - start])
        safe = clean or (number << 32 | found.last) < synced
        # A footer is written when what stands before it is safe; only an orderly end waits for it.
        if not clean and safe_end <= found.last and is_footer_magic(data, found.last):
            safe = False
        end = max(found.used, safe_end) if safe else found.used
        if end > found.last:
            (self._damaged if safe else self._torn)(result, data, number, found.last, end)
        result.entries += found.entries
        self._note(result, [(e.uid, e.producer, e.sequence) for e in found.raw])
        return True

    @staticmethod
    def _damaged(result: Start, data: bytes, number: int, start: int, end: int) -> None:
        result.damaged.append([f"{number}:{start}", end - start])
        if data[start:end]:
            result.quarantine[f"{number}-{start}.bytes"] = data[start:end].hex()

    @staticmethod
    def _torn(result: Start, data: bytes, number: int, start: int, end: int) -> None:
        result.torn.append([f"{number}:{start}", end - start])
        if data[start:end]:
            result.quarantine[f"{number}-{start}.bytes"] = data[start:end].hex()

    @staticmethod
    def _note(result: Start, sequences: list[tuple[int, bytes, int]]) -> None:
        for uid, producer, sequence in sequences:
            key = (uid, producer.hex())
            result.highest[key] = max(result.highest.get(key, 0), sequence)

    def _checkpoint(self, result: Start, files: Files, log_id: bytes | None) -> None:
        data = files.get("log/dedupe")
        if data is None:
            return
        checkpoint = parse_checkpoint(data)
        if checkpoint is None or checkpoint.magic != b"CXTLDED0" or checkpoint.log_id != log_id:
            result.named.add("dedupe")
            return
        self._note(result, [(e.uid, e.producer, e.sequence)
                            for e in read_dedupe_entries(checkpoint.body)])


def name_of(number: int) -> str:
    return f"log/{number:010}.segment"


def small(files: Files, name: str, parse):
    return parse(files[name]) if name in files else None


def is_footer_magic(data: bytes, start: int) -> bool:
    """Behind the last entry, a footer, or as much of its magic as is there: it is, or was, being written."""
    begins = data[start : start + 4].rstrip(b"\0")
    return bool(begins) and b"CXTF".startswith(begins)


def counted(found: Walk) -> tuple[int, int]:
    return len(found.raw), sum(e.records for e in found.raw)


def plus(a: tuple[int, int], b: tuple[int, int]) -> tuple[int, int]:
    return a[0] + b[0], a[1] + b[1]


def minus(a: tuple[int, int], b: tuple[int, int]) -> tuple[int, int]:
    return max(0, a[0] - b[0]), max(0, a[1] - b[1])

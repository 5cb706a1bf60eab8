"""What a state directory holds, counted from the files alone."""

from __future__ import annotations

import os
import struct
from collections import Counter
from typing import Any

from batch_reader import read_batch, read_header
from canonical import TYPES
from frames import read_spool
from segment_reader import RECEIVERS, Entry, Log, offset_text, read_checkpoint
from wire_bytes import WireError

EXAMPLES_MAX = 20


class Count:
    """A fold over stored batches: totals, producers, duplicates, gaps, disagreements."""

    def __init__(self, decode: bool) -> None:
        self.decode = decode
        self.totals: Counter[str] = Counter()
        self.receivers: Counter[str] = Counter()
        self.kinds: Counter[str] = Counter()
        self.producers: dict[tuple[int, bytes], dict[str, int]] = {}
        self.seen: dict[tuple[int, bytes], set[int]] = {}
        self.duplicates: list[str] = []
        self.out_of_order = 0
        self.wrong: list[str] = []
        self.receipts: list[int] = []

    def add(self, entry: Entry) -> None:
        totals = self.totals
        totals["batches"] += 1
        totals["payload_bytes"] += len(entry.payload)
        totals["records"] += entry.records
        totals["spans"] += entry.spans
        totals["logs"] += entry.logs
        totals["rewritten"] += entry.flags & 1
        self.receivers[RECEIVERS.get(entry.receiver, f"unknown {entry.receiver}")] += 1
        if not self.receipts:
            self.receipts = [entry.receipt_time, entry.receipt_time]
        self.receipts = [min(self.receipts[0], entry.receipt_time),
                         max(self.receipts[1], entry.receipt_time)]
        key = (entry.uid, entry.producer)
        mine = self.producers.get(key)
        if mine is None:
            mine = self.producers[key] = dict.fromkeys(
                ("batches", "records", "duplicates", "dropped_spans", "dropped_logs",
                 "dropped_points"), 0)
            mine["first"], mine["last"] = entry.sequence, 0
            self.seen[key] = set()
        mine["batches"] += 1
        mine["records"] += entry.records
        if entry.sequence in self.seen[key]:
            mine["duplicates"] += 1
            self._example(self.duplicates, entry, f"sequence {entry.sequence} again")
        elif entry.sequence < mine["last"]:
            self.out_of_order += 1
        self.seen[key].add(entry.sequence)
        mine["first"] = min(mine["first"], entry.sequence)
        mine["last"] = max(mine["last"], entry.sequence)
        self._payload(entry, mine)

    def _payload(self, entry: Entry, mine: dict[str, int]) -> None:
        try:
            batch = read_batch(entry.payload) if self.decode else None
            header = batch.header if batch else read_header(entry.payload)
        except WireError as error:
            self._disagree(entry, f"the payload is no batch: {error}")
            return
        for name in ("dropped_spans", "dropped_logs", "dropped_points"):
            mine[name] += header[name]
            self.totals[name] += header[name]
        if header["producer"] != entry.producer or header["sequence"] != entry.sequence:
            self._disagree(entry, "envelope and batch name another producer or sequence")
        if header["record_count"] != entry.records:
            self._disagree(entry, f"envelope says {entry.records} records, the batch "
                                  f"{header['record_count']}")
        if batch is None:
            return
        kinds = Counter(TYPES.get(record["type"], "unknown") for record in batch.records)
        self.kinds.update(kinds)
        if (kinds["span"], kinds["log"]) != (entry.spans, entry.logs):
            self._disagree(entry, f"envelope says {entry.spans} spans and {entry.logs} logs, "
                                  f"the batch holds {kinds['span']} and {kinds['log']}")

    def _disagree(self, entry: Entry, what: str) -> None:
        self.totals["disagreements"] += 1
        self._example(self.wrong, entry, what)

    def _example(self, examples: list[str], entry: Entry, what: str) -> None:
        if len(examples) < EXAMPLES_MAX:
            examples.append(f"{offset_text(entry.offset)} uid {entry.uid} producer "
                            f"{entry.producer.hex()}: {what}")

    def report(self) -> dict[str, Any]:
        names = ("batches", "records", "spans", "logs", "payload_bytes", "rewritten",
                 "dropped_spans", "dropped_logs", "dropped_points", "disagreements")
        result: dict[str, Any] = {name: self.totals[name] for name in names}
        result["points"] = result["records"] - result["spans"] - result["logs"]
        result["duplicates"] = sum(p["duplicates"] for p in self.producers.values())
        result["out_of_order"] = self.out_of_order
        result["exactly_once"] = result["duplicates"] == 0
        result["receivers"] = dict(self.receivers)
        if self.decode:
            result["kinds"] = dict(self.kinds)
        result["receipt_times"] = self.receipts
        result["producers"] = [
            {"uid": uid, "producer": producer.hex(), **mine,
             "missing": mine["last"] - mine["first"] + 1 - len(self.seen[(uid, producer)])}
            for (uid, producer), mine in self.producers.items()]
        result["uids"] = sorted({uid for uid, _ in self.producers})
        result["examples"] = self.duplicates + self.wrong
        return result


def count_state(state: str, decode: bool = False) -> dict[str, Any]:
    """Everything that can be said about the log in `state` without asking the agent."""
    log = Log.open(state)
    count = Count(decode)
    segments = {"count": 0, "sealed": 0, "bytes": 0, "not_yet_bytes": 0}
    damage = []
    # The headers' counts say what the log ever stored, and what is no longer or not rightly there.
    ever: list[int] | None = None
    gone, missing = [0, 0], [0, 0]
    for segment in log.segments():
        before = (count.totals["batches"], count.totals["records"])
        for entry in segment.entries():
            count.add(entry)
        segments["count"] += 1
        segments["bytes"] += len(segment.data)
        segments["not_yet_bytes"] += segment.not_yet
        damage += segment.damage
        found = (count.totals["batches"] - before[0], count.totals["records"] - before[1])
        if segment.batches_before is not None and segment.records_before is not None:
            says = [segment.batches_before, segment.records_before]
            if ever is None:
                gone = says
            else:
                missing = [m + s - e for m, s, e in zip(missing, says, ever)]
            ever = says
        ever = [e + f for e, f in zip(ever or gone, found)]
        if segment.footer:
            segments["sealed"] += 1
            if not segment.damage and found != (segment.footer.batches, segment.footer.records):
                count.totals["disagreements"] += 1
                count.wrong.append(f"{segment.name}: the footer says {segment.footer.batches} "
                                   f"batches of {segment.footer.records} records, found {found}")
    result = count.report()
    result["segments"] = segments
    names = ("batches", "records")
    result["stored_ever"] = dict(zip(names, ever or (0, 0)))
    result["deleted"] = dict(zip(names, gone))
    result["missing"] = dict(zip(names, missing))
    result["damaged"] = {"ranges": sum(not d.batch for d in damage),
                         "batches": sum(d.batch for d in damage),
                         "records": sum(d.records for d in damage)}
    result["log_id"] = log.meta.log_id.hex() if log.meta else None
    result["clean"] = log.meta.clean if log.meta else None
    result["committed"] = offset_text(log.position.committed) if log.position else None
    result["synced"] = offset_text(log.position.synced) if log.position else None
    result["spool"] = count_spool(os.path.join(state, "spool"))
    return result


def count_spool(directory: str) -> dict[str, int]:
    """What waits in a spool directory."""
    result = {"files": 0, "batches": 0, "records": 0, "stopped": 0}
    for name in sorted(os.listdir(directory)) if os.path.isdir(directory) else ():
        if not name.endswith(".spool"):
            continue
        try:
            spool = read_spool(os.path.join(directory, name))
        except FileNotFoundError:
            continue  # Drained meanwhile.
        result["files"] += 1
        result["batches"] += len(spool.batches)
        result["stopped"] += not spool.is_whole
        for body in spool.batches:
            result["records"] += struct.unpack_from("<I", body, 4)[0] if len(body) >= 64 else 0
    return result


def damage_report(state: str) -> dict[str, Any]:
    """What survives and what is damaged, by file and offset."""
    log = Log.open(state)
    segments, surviving = [], Counter[str]()
    for segment in log.segments():
        batches = records = 0
        for entry in segment.entries():
            batches, records = batches + 1, records + entry.records
        surviving.update(batches=batches, records=records)
        segments.append({
            "file": segment.name, "sealed": segment.footer is not None,
            "nonce_known": segment.nonce is not None, "batches": batches, "records": records,
            "not_yet_bytes": segment.not_yet,
            "damage": [{"start": d.start, "end": d.end, "bytes": d.end - d.start, "what": d.what,
                        "batch": d.batch, "records": d.records} for d in segment.damage]})
    files = {}
    checks = [("meta", log.meta), ("position", log.position)]
    for name, value in checks:
        there = os.path.exists(os.path.join(log.directory, name))
        files[name] = "absent" if not there else "damaged" if value is None else "right"
    checkpoints = [os.path.join(log.directory, "dedupe")]
    cursors = os.path.join(state, "cursors")
    if os.path.isdir(cursors):
        checkpoints += [os.path.join(cursors, name) for name in sorted(os.listdir(cursors))
                        if name.endswith(".cursor")]
    for path in checkpoints:
        try:
            files[os.path.relpath(path, state)] = "right" if read_checkpoint(path) else "damaged"
        except FileNotFoundError:
            files[os.path.relpath(path, state)] = "absent"
    quarantine = os.path.join(state, "quarantine")
    return {"surviving": dict(surviving), "segments": segments, "files": files,
            "quarantine": sorted(os.listdir(quarantine)) if os.path.isdir(quarantine) else []}

"""Reads and validates a batch as contrib/protocol/batch.md says, and nothing else says."""

from __future__ import annotations

import struct
from typing import Any, Callable

from wire_bytes import MASK64, Reader, WireError

BATCH_BYTES_MAX = 4 << 20
RECORDS_MAX = 65_535
STRINGS_MAX = 262_144
STRING_BYTES_MAX = 1 << 20
TRACES_MAX = 65_535
SCOPES_MAX = 1_024
METRICS_MAX = 16_384
BOUNDS_MAX = 4_096
LIST_MAX = 4_096
NESTING_MAX = 32
BUCKETS_MAX = 16_384
VALUES_MAX = 2_097_152

HEADER = struct.Struct("<HHI16sQQQIIII")
# Which kinds of metric a point's record type goes with.
POINT_KINDS = {3: (1, 2), 4: (3,), 5: (4,), 6: (5,)}


class Pairs(list):
    """A list of (key, value): attributes, or a value of the kind map. Order and repeats are kept."""


def read_header(data: bytes) -> dict[str, Any]:
    """The header alone, checked in the order that wire.md gives: version, length, limits, values."""
    if len(data) < 2:
        raise WireError("truncated", 0, "the header")
    if (version := data[0] | data[1] << 8) != 0:
        raise WireError("unsupported_version", 0, f"batch version {version}")
    if len(data) < 4:
        raise WireError("truncated", 2, "the header")
    if (header_bytes := data[2] | data[3] << 8) < 64:
        raise WireError("bad_value", 2, f"a header of {header_bytes} bytes")
    if header_bytes > len(data):
        raise WireError("truncated", 2, f"a header of {header_bytes} bytes")
    if len(data) > BATCH_BYTES_MAX:
        raise WireError("limit_exceeded", 0, f"a batch of {len(data)} bytes")
    (_, _, records, producer, sequence, base, threshold, spans, logs, points,
     flags) = HEADER.unpack_from(data)
    if records > RECORDS_MAX:
        raise WireError("limit_exceeded", 4, f"{records} records")
    if not any(producer):
        raise WireError("bad_value", 8, "the producer id is zero")
    if sequence == 0:
        raise WireError("bad_value", 24, "the sequence is zero")
    if threshold >> 56:
        raise WireError("bad_value", 40, "a sampling threshold above 56 bits")
    if flags:
        raise WireError("bad_value", 60, f"header flags {flags:#x}")
    return {"header_bytes": header_bytes, "record_count": records, "producer": producer,
            "sequence": sequence, "base_time": base, "threshold": threshold,
            "dropped_spans": spans, "dropped_logs": logs, "dropped_points": points}


class BatchReader:
    """One pass over a batch. `read` returns its header, resource and records as Python values."""

    def __init__(self, data: bytes) -> None:
        self.data = bytes(data)
        self.header = read_header(self.data)
        self.base: int = self.header["base_time"]
        self.r = Reader(self.data, self.header["header_bytes"])
        self.strings: list[str | bytes] = [""]
        self.traces: list[bytes] = [bytes(16)]
        self.resource: dict[str, Any] = {"schema_url": "", "dropped": 0, "attributes": Pairs()}
        self.scopes: list[dict[str, Any]] = [self._empty_scope()]
        self.metrics: list[dict[str, Any]] = [{}]
        self.bounds: list[tuple[float, ...]] = [()]
        self.records: list[dict[str, Any]] = []
        self.values = 0
        self.read_record: dict[int, Callable[[dict[str, Any]], None]] = {
            1: self._span, 2: self._log, 3: self._number, 4: self._histogram,
            5: self._exponential, 6: self._summary}

    @staticmethod
    def _empty_scope() -> dict[str, Any]:
        return {"name": "", "version": "", "schema_url": "", "dropped": 0, "attributes": Pairs()}

    def read(self) -> "BatchReader":
        r, last, size = self.r, 0, len(self.data)
        sections = {1: self._strings, 2: self._traces, 3: self._resource, 4: self._scopes,
                    5: self._metrics, 6: self._bounds, 7: self._records}
        while r.pos < size:
            kind = r.u8()
            if kind <= last:
                raise r.fail("bad_section", f"section {kind} after {last}", r.pos - 1)
            last = kind
            end = r.inner_end()
            if kind in sections:
                r.end = end
                sections[kind]()
            r.pos, r.end = end, size
        if len(self.records) != self.header["record_count"]:
            raise WireError("count_mismatch", 4, f"{len(self.records)} records are there")
        return self

    # Sections

    def _count(self, limit: int, what: str) -> int:
        at = self.r.pos
        count = self.r.varint()
        if count > limit:
            raise WireError("limit_exceeded", at, f"{count} {what}")
        return count

    def _strings(self) -> None:
        r, add = self.r, self.strings.append
        for _ in range(self._count(STRINGS_MAX, "strings")):
            at = r.pos
            header = r.varint()
            if header >> 1 > STRING_BYTES_MAX:
                raise WireError("limit_exceeded", at, f"a string of {header >> 1} bytes")
            content = r.take(header >> 1)
            if header & 1:
                add(content)
                continue
            try:
                add(content.decode("utf-8"))
            except UnicodeDecodeError as error:
                raise WireError("bad_text", at, str(error)) from None

    def _traces(self) -> None:
        for _ in range(self._count(TRACES_MAX, "trace ids")):
            self.traces.append(self.r.take(16))

    def _resource(self) -> None:
        self.resource = {"schema_url": self._text(), "dropped": self._u32(),
                         "attributes": self._attributes()}

    def _scopes(self) -> None:
        for _ in range(self._count(SCOPES_MAX, "scopes")):
            self.scopes.append(self._bounded(self._scope))

    def _scope(self) -> dict[str, Any]:
        return {"name": self._text(), "version": self._text(), "schema_url": self._text(),
                "dropped": self._u32(), "attributes": self._attributes()}

    def _metrics(self) -> None:
        for _ in range(self._count(METRICS_MAX, "metrics")):
            self.metrics.append(self._bounded(self._metric))

    def _metric(self) -> dict[str, Any]:
        at = self.r.pos
        flags = self.r.varint()
        kind, temporality = flags & 7, flags >> 3 & 3
        if not 1 <= kind <= 5:
            raise WireError("bad_value", at, f"metric kind {kind}")
        if temporality == 3:
            raise WireError("bad_value", at, "temporality 3")
        return {"kind": kind, "temporality": temporality, "monotonic": bool(flags & 32),
                "name": self._text(), "description": self._text(), "unit": self._text(),
                "scope": self._index(self.scopes, "scope"),
                "metadata": self._attributes() if flags & 64 else None}

    def _bounds(self) -> None:
        r = self.r
        for _ in range(self._count(BOUNDS_MAX, "bounds entries")):
            count = self._count(BOUNDS_MAX, "bounds")
            self.bounds.append(struct.unpack(f"<{count}d", r.take(8 * count)))

    def _records(self) -> None:
        r, end, records = self.r, self.r.end, self.records
        while r.pos < end:
            if len(records) == RECORDS_MAX:
                raise r.fail("limit_exceeded", "records")
            kind = r.u8()
            body_end = r.inner_end()
            record: dict[str, Any] = {"type": kind}
            if kind in self.read_record:
                r.end = body_end
                self.read_record[kind](record)
            records.append(record)
            r.pos, r.end = body_end, end

    def _bounded(self, read: Callable[[], Any]) -> Any:
        r, outer = self.r, self.r.end
        r.end = end = r.inner_end()
        result = read()
        r.pos, r.end = end, outer
        return result

    # Fields

    def _text(self) -> str:
        r = self.r
        at = r.pos
        ref = r.varint()
        if ref >= len(self.strings):
            raise WireError("bad_reference", at, f"string {ref}")
        text = self.strings[ref]
        if type(text) is not str:
            raise WireError("bad_reference", at, f"string {ref} is binary")
        return text

    def _bytes(self) -> bytes:
        at = self.r.pos
        ref = self.r.varint()
        if ref >= len(self.strings):
            raise WireError("bad_reference", at, f"string {ref}")
        content = self.strings[ref]
        if ref == 0:
            return b""
        if type(content) is not bytes:
            raise WireError("bad_reference", at, f"string {ref} is text")
        return content

    def _index(self, table: list[Any], what: str) -> int:
        at = self.r.pos
        index = self.r.varint()
        if index >= len(table):
            raise WireError("bad_reference", at, f"{what} {index}")
        return index

    def _trace(self) -> bytes:
        return self.traces[self._index(self.traces, "trace")]

    def _u32(self) -> int:
        at = self.r.pos
        value = self.r.varint()
        if value >> 32:
            raise WireError("bad_value", at, f"{value} in a field of 32 bits")
        return value

    def _i32(self) -> int:
        at = self.r.pos
        value = self.r.zigzag()
        if not -(1 << 31) <= value < 1 << 31:
            raise WireError("bad_value", at, f"{value} in a field of 32 bits")
        return value

    def _time(self, origin: int) -> int:
        return origin + self.r.zigzag() & MASK64

    def _attributes(self, depth: int = 0) -> Pairs:
        text, value = self._text, self._value
        return Pairs((text(), value(depth)) for _ in range(self._count(LIST_MAX, "attributes")))

    def _value(self, depth: int = 0) -> Any:
        r = self.r
        at = r.pos
        tag = r.u8()
        self.values += 1
        if self.values > VALUES_MAX:
            raise WireError("limit_exceeded", at, "values in a batch")
        if tag == 1:
            return self._text()
        if tag == 4:
            return r.zigzag()
        if tag == 5:
            return r.f64()
        if tag == 2 or tag == 3:
            return tag == 3
        if tag == 0:
            return None
        if tag == 6:
            return self._bytes()
        if tag > 8:
            raise WireError("bad_value", at, f"value tag {tag}")
        if depth == NESTING_MAX:
            raise WireError("limit_exceeded", at, "nesting of values")
        if tag == 8:
            return self._attributes(depth + 1)
        return [self._value(depth + 1) for _ in range(self._count(LIST_MAX, "array values"))]

    def _nested_flags(self, known: int, what: str) -> int:
        at = self.r.pos
        flags = self.r.varint()
        if flags & ~known:
            raise WireError("bad_value", at, f"{what} flags {flags:#x}")
        return flags

    # Records

    def _span(self, record: dict[str, Any]) -> None:
        r, at = self.r, self.r.pos
        flags = r.varint()
        if flags & 7 > 5:
            raise WireError("bad_value", at, f"span kind {flags & 7}")
        if flags >> 3 & 3 == 3:
            raise WireError("bad_value", at, "span status 3")
        record["kind"], record["status"] = flags & 7, flags >> 3 & 3
        record["trace_id"] = self._trace()
        record["span_id"] = r.take(8)
        record["name"] = self._text()
        record["start"] = start = self._time(self.base)
        record["end"] = start + r.varint() & MASK64
        if flags & 1 << 5:
            record["parent_span_id"] = r.take(8)
        if flags & 1 << 6:
            record["attributes"] = self._attributes()
        if flags & 1 << 7:
            record["scope"] = self._index(self.scopes, "scope")
        if flags & 1 << 8:
            record["status_message"] = self._text()
        if flags & 1 << 9:
            record["trace_state"] = self._text()
        if flags & 1 << 10:
            record["flags"] = self._u32()
        if flags & 1 << 11:
            record["events"] = [self._event(start) for _ in range(self._count(LIST_MAX, "events"))]
        if flags & 1 << 12:
            record["links"] = [self._link() for _ in range(self._count(LIST_MAX, "links"))]
        if flags & 1 << 13:
            record["dropped"] = (self._u32(), self._u32(), self._u32())

    def _event(self, start: int) -> dict[str, Any]:
        flags = self._nested_flags(3, "event")
        event: dict[str, Any] = {"time": self._time(start), "name": self._text()}
        if flags & 1:
            event["attributes"] = self._attributes()
        if flags & 2:
            event["dropped"] = self._u32()
        return event

    def _link(self) -> dict[str, Any]:
        flags = self._nested_flags(15, "link")
        link: dict[str, Any] = {"trace_id": self._trace(), "span_id": self.r.take(8)}
        if flags & 1:
            link["attributes"] = self._attributes()
        if flags & 2:
            link["trace_state"] = self._text()
        if flags & 4:
            link["flags"] = self._u32()
        if flags & 8:
            link["dropped"] = self._u32()
        return link

    def _log(self, record: dict[str, Any]) -> None:
        r = self.r
        flags = r.varint()
        if flags & 1 << 0:
            record["time"] = self._time(self.base)
        if flags & 1 << 1:
            record["trace_id"] = self._trace()
        if flags & 1 << 2:
            record["span_id"] = r.take(8)
        if flags & 1 << 3:
            at = r.pos
            record["severity"] = severity = r.varint()
            if severity > 24:
                raise WireError("bad_value", at, f"severity {severity}")
        if flags & 1 << 4:
            record["event_name"] = self._text()
        if flags & 1 << 5:
            record["body"] = self._value()
        if flags & 1 << 6:
            record["attributes"] = self._attributes()
        if flags & 1 << 7:
            record["scope"] = self._index(self.scopes, "scope")
        if flags & 1 << 8:
            record["observed"] = self._time(self.base)
        if flags & 1 << 9:
            record["severity_text"] = self._text()
        if flags & 1 << 10:
            record["flags"] = self._u32()
        if flags & 1 << 11:
            record["dropped"] = self._u32()

    def _point(self, record: dict[str, Any]) -> int:
        """The fixed start of a point; returns its flags."""
        r = self.r
        flags_at, flags = r.pos, r.varint()
        if record["type"] == 3 and flags & 48 == 48:
            raise WireError("bad_value", flags_at, "an integer and a double value")
        at = r.pos
        index = self._index(self.metrics, "metric")
        if index == 0:
            raise WireError("bad_reference", at, "metric 0")
        if self.metrics[index]["kind"] not in POINT_KINDS[record["type"]]:
            raise WireError("bad_value", at, "a point of another kind than its metric")
        record["metric"] = index
        record["time"] = self._time(self.base)
        return flags

    def _point_common(self, record: dict[str, Any], flags: int) -> None:
        if flags & 1:
            record["start"] = self._time(record["time"])
        if flags & 2:
            record["attributes"] = self._attributes()
        if flags & 4:
            record["exemplars"] = [self._exemplar(record["time"])
                                   for _ in range(self._count(LIST_MAX, "exemplars"))]
        if flags & 8:
            record["flags"] = self._u32()

    def _exemplar(self, origin: int) -> dict[str, Any]:
        r, at = self.r, self.r.pos
        flags = self._nested_flags(31, "exemplar")
        if flags & 24 == 24:
            raise WireError("bad_value", at, "an integer and a double value")
        exemplar: dict[str, Any] = {"time": self._time(origin)}
        if flags & 1:
            exemplar["attributes"] = self._attributes()
        if flags & 2:
            exemplar["trace_id"] = self._trace()
        if flags & 4:
            exemplar["span_id"] = r.take(8)
        if flags & 8:
            exemplar["int"] = r.zigzag()
        if flags & 16:
            exemplar["double"] = r.f64()
        return exemplar

    def _optional_doubles(self, record: dict[str, Any], flags: int, first: int,
                          names: tuple[str, ...]) -> None:
        for bit, name in enumerate(names, first):
            if flags & 1 << bit:
                record[name] = self.r.f64()

    def _number(self, record: dict[str, Any]) -> None:
        flags = self._point(record)
        self._point_common(record, flags)
        if flags & 16:
            record["int"] = self.r.zigzag()
        if flags & 32:
            record["double"] = self.r.f64()

    def _histogram(self, record: dict[str, Any]) -> None:
        flags = self._point(record)
        record["count"] = self.r.varint()
        record["bounds"] = self._index(self.bounds, "bounds")
        record["buckets"] = self._buckets()
        self._point_common(record, flags)
        self._optional_doubles(record, flags, 4, ("sum", "min", "max"))

    def _exponential(self, record: dict[str, Any]) -> None:
        flags = self._point(record)
        record["count"] = self.r.varint()
        record["scale"] = self._i32()
        record["zero_count"] = self.r.varint()
        self._point_common(record, flags)
        self._optional_doubles(record, flags, 4, ("sum", "min", "max", "zero_threshold"))
        for bit, side in ((8, "positive"), (9, "negative")):
            if flags & 1 << bit:
                record[side] = {"offset": self._i32(), "buckets": self._buckets()}

    def _summary(self, record: dict[str, Any]) -> None:
        flags = self._point(record)
        record["count"] = self.r.varint()
        record["sum"] = self.r.f64()
        record["quantiles"] = [(self.r.f64(), self.r.f64())
                               for _ in range(self._count(LIST_MAX, "quantiles"))]
        self._point_common(record, flags)

    def _buckets(self) -> list[int]:
        r = self.r
        total = self._count(BUCKETS_MAX, "buckets")
        counts: list[int] = []
        while len(counts) < total:
            at = r.pos
            count = r.varint()
            if count:
                counts.append(count)
                continue
            run = r.varint() + 1
            if run > total - len(counts):
                raise WireError("bad_value", at, f"a run of {run} zeros")
            counts.extend([0] * run)
        return counts


def read_batch(data: bytes) -> BatchReader:
    """Validates `data` whole; raises `WireError`, and nothing else, for what batch.md forbids."""
    return BatchReader(data).read()

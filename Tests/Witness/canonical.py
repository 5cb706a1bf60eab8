"""Decoded batches and frames as the JSON of contrib/protocol/vectors/README.md; lines for `dump`."""

from __future__ import annotations

import math
from typing import Any, Iterator

from batch_reader import BatchReader, Pairs, read_batch
from frames import (ACK, BATCH, ERROR, GOODBYE, HELLO, READERS, THROTTLE, WELCOME, parse_spool,
                    read_frame)
from segment_reader import RECEIVERS, Entry, offset_text
from wire_bytes import MASK64, WireError

TYPES = {1: "span", 2: "log", 3: "number", 4: "histogram", 5: "exponential", 6: "summary"}
NO_TRACE, NO_SPAN = bytes(16), bytes(8)


def double_json(value: float | None) -> float | str | None:
    if value is None or math.isfinite(value):
        return value
    return "NaN" if math.isnan(value) else "Infinity" if value > 0 else "-Infinity"


def value_json(value: Any) -> dict[str, Any]:
    if value is None:
        return {"none": None}
    if isinstance(value, str):
        return {"string": value}
    if isinstance(value, bool):
        return {"bool": value}
    if isinstance(value, int):
        return {"int": str(value)}
    if isinstance(value, float):
        return {"double": double_json(value)}
    if isinstance(value, bytes):
        return {"bytes": value.hex()}
    if isinstance(value, Pairs):
        return {"map": pairs_json(value)}
    return {"array": [value_json(item) for item in value]}


def pairs_json(pairs: Any) -> list[list[Any]]:
    return [[key, value_json(value)] for key, value in pairs or ()]


def _scope_json(scope: dict[str, Any]) -> dict[str, Any]:
    return {"name": scope["name"], "version": scope["version"], "schema_url": scope["schema_url"],
            "dropped_attributes": scope["dropped"], "attributes": pairs_json(scope["attributes"])}


def _metric_json(metric: dict[str, Any]) -> dict[str, Any]:
    names = ("kind", "temporality", "monotonic", "name", "description", "unit", "scope")
    return {**{name: metric[name] for name in names}, "metadata": pairs_json(metric["metadata"])}


def _span_json(record: dict[str, Any]) -> dict[str, Any]:
    get = record.get
    dropped = get("dropped", (0, 0, 0))
    return {
        "type": "span", "kind": record["kind"], "status": record["status"],
        "status_message": get("status_message", ""), "trace_id": record["trace_id"].hex(),
        "span_id": record["span_id"].hex(), "parent_span_id": get("parent_span_id", NO_SPAN).hex(),
        "name": record["name"], "start": str(record["start"]),
        "duration": str(record["end"] - record["start"] & MASK64),
        "attributes": pairs_json(get("attributes")), "scope": get("scope", 0),
        "trace_state": get("trace_state", ""), "flags": get("flags", 0),
        "events": [{"time": str(event["time"]), "name": event["name"],
                    "attributes": pairs_json(event.get("attributes")),
                    "dropped_attributes": event.get("dropped", 0)} for event in get("events", ())],
        "links": [{"trace_id": link["trace_id"].hex(), "span_id": link["span_id"].hex(),
                   "attributes": pairs_json(link.get("attributes")),
                   "trace_state": link.get("trace_state", ""), "flags": link.get("flags", 0),
                   "dropped_attributes": link.get("dropped", 0)} for link in get("links", ())],
        "dropped_attributes": dropped[0], "dropped_events": dropped[1], "dropped_links": dropped[2]}


def _log_json(record: dict[str, Any]) -> dict[str, Any]:
    get = record.get
    return {
        "type": "log", "time": str(get("time", 0)), "observed_time": str(get("observed", 0)),
        "trace_id": get("trace_id", NO_TRACE).hex(), "span_id": get("span_id", NO_SPAN).hex(),
        "severity": get("severity", 0), "severity_text": get("severity_text", ""),
        "event_name": get("event_name", ""),
        "body": value_json(record["body"]) if "body" in record else None,
        "attributes": pairs_json(get("attributes")), "scope": get("scope", 0),
        "flags": get("flags", 0), "dropped_attributes": get("dropped", 0)}


def _number_json(record: dict[str, Any]) -> dict[str, Any]:
    return value_json(record.get("int", record.get("double")))


def _side_json(side: dict[str, Any] | None) -> dict[str, Any] | None:
    return side and {"offset": side["offset"], "buckets": [str(n) for n in side["buckets"]]}


def _point_json(batch: BatchReader, record: dict[str, Any]) -> dict[str, Any]:
    get = record.get
    result: dict[str, Any] = {
        "type": TYPES[record["type"]], "metric": record["metric"], "time": str(record["time"]),
        "start_time": str(get("start", 0)), "attributes": pairs_json(get("attributes")),
        "exemplars": [{"time": str(one["time"]), "attributes": pairs_json(one.get("attributes")),
                       "trace_id": one.get("trace_id", NO_TRACE).hex(),
                       "span_id": one.get("span_id", NO_SPAN).hex(),
                       "value": _number_json(one)} for one in get("exemplars", ())],
        "flags": get("flags", 0)}
    if record["type"] == 3:
        return {**result, "value": _number_json(record)}
    result["count"] = str(record["count"])
    if record["type"] == 6:
        return {**result, "sum": double_json(record["sum"]),
                "quantiles": [list(map(double_json, pair)) for pair in record["quantiles"]]}
    totals = {name: double_json(get(name)) for name in ("sum", "min", "max")}
    if record["type"] == 4:
        return {**result, "bounds": list(map(double_json, batch.bounds[record["bounds"]])),
                "buckets": [str(n) for n in record["buckets"]], **totals}
    return {**result, "scale": record["scale"], "zero_count": str(record["zero_count"]), **totals,
            "zero_threshold": double_json(get("zero_threshold", 0.0)),
            "positive": _side_json(get("positive")), "negative": _side_json(get("negative"))}


def record_json(batch: BatchReader, record: dict[str, Any]) -> dict[str, Any]:
    if record["type"] not in TYPES:
        return {"type": "unknown", "number": record["type"]}
    if record["type"] == 1:
        return _span_json(record)
    return _log_json(record) if record["type"] == 2 else _point_json(batch, record)


def summary_json(batch: BatchReader) -> dict[str, Any]:
    """What a validator gives: counts, the range of the records' times, the traces."""
    kinds = [record["type"] for record in batch.records]
    times: list[int] = []
    for record in batch.records:
        if record["type"] == 1:
            times += (record["start"], record["end"])
        elif record["type"] == 2:
            times.append(record.get("time") or record.get("observed", 0))
        elif record["type"] in TYPES:
            times.append(record["time"])
    times = [time for time in times if time]
    others = sum(kind not in TYPES for kind in kinds)
    return {"spans": kinds.count(1), "logs": kinds.count(2),
            "points": len(kinds) - kinds.count(1) - kinds.count(2) - others, "others": others,
            "earliest": str(min(times, default=0)), "latest": str(max(times, default=0)),
            "trace_ids": [trace.hex() for trace in batch.traces[1:]]}


def batch_json(batch: BatchReader) -> dict[str, Any]:
    """The canonical JSON of a whole batch."""
    header = batch.header
    return {
        "header": {
            "version": 0, "record_count": header["record_count"],
            "producer": header["producer"].hex(), "sequence": str(header["sequence"]),
            "base_time": str(header["base_time"]), "sampling_threshold": str(header["threshold"]),
            "dropped_spans": header["dropped_spans"], "dropped_logs": header["dropped_logs"],
            "dropped_points": header["dropped_points"]},
        "resource": resource_json(batch),
        "scopes": [_scope_json(scope) for scope in batch.scopes[1:]],
        "metrics": [_metric_json(metric) for metric in batch.metrics[1:]],
        "records": [record_json(batch, record) for record in batch.records],
        "summary": summary_json(batch)}


def resource_json(batch: BatchReader) -> dict[str, Any]:
    return {"schema_url": batch.resource["schema_url"],
            "dropped_attributes": batch.resource["dropped"],
            "attributes": pairs_json(batch.resource["attributes"])}


def _frame_json(kind: int, body: bytes) -> dict[str, Any]:
    if kind == BATCH:
        return {"type": "batch", "body": body.hex()}
    if kind == GOODBYE:
        return {"type": "goodbye"}
    if kind not in READERS:
        return {"type": "unknown", "number": kind, "body": body.hex()}
    value = READERS[kind](body)
    if kind == HELLO:
        return {"type": "hello", "producer": value["producer"].hex(),
                "next_sequence": str(value["next_sequence"]),
                "reads_answers": bool(value["flags"] & 1),
                "properties": [list(pair) for pair in value["keys"]]}
    if kind == WELCOME:
        return {"type": "welcome", "body_bytes_max": value["body_bytes_max"],
                "log_id": value["log_id"].hex(), "stored_sequence": str(value["highest"]),
                "window_bytes": str(value["in_flight_bytes_max"]), "synced": str(value["synced"])}
    if kind == ACK:
        return {"type": "ack", **{name: str(number) for name, number in value.items()}}
    if kind == THROTTLE:
        return {"type": "throttle", "reason": value["reason"], "delay_ms": value["wait_ms"]}
    assert kind == ERROR
    return {"type": "error", "code": value["code"], "fatal": bool(value["flags"] & 1),
            "sequence": str(value["sequence"]), "message": value["message"]}


def stream_json(data: bytes) -> dict[str, Any]:
    """Frames up to the first that is not complete or not right."""
    frames, at, stopped = [], 0, None
    try:
        while at < len(data):
            kind, body, after = read_frame(data, at)
            frames.append(_frame_json(kind, body))
            at = after
    except WireError as error:
        stopped = "incomplete" if error.name == "truncated" else error.name
    return {"frames": frames, "complete_bytes": at, "stopped": stopped}


def spool_json(data: bytes) -> dict[str, Any]:
    """What is taken of a spool file of the vectors."""
    found = parse_spool(data, "101112131415161718191a1b1c1d1e1f.spool")
    return {"producer": found.producer.hex(),
            "frames": [_frame_json(kind, body) for kind, body in found.frames],
            "damaged": [list(each) for each in found.damaged],
            "torn": list(found.torn) if found.torn else None}


def stored_records(entry: Entry, log_id: bytes) -> Iterator[dict[str, Any]]:
    """A line for each record of a stored batch; one with the error if it is no batch."""
    try:
        batch = read_batch(entry.payload)
    except WireError as error:
        yield {"offset": offset_text(entry.offset), "error": str(error)}
        return
    resource = resource_json(batch)
    for index, record in enumerate(batch.records):
        content = record_json(batch, record)
        if "metric" in content:  # What a table holds stands in the line itself.
            content["metric"] = _metric_json(batch.metrics[record["metric"]])
            content["scope"] = content["metric"].pop("scope")
        if "scope" in content:
            content["scope"] = _scope_json(batch.scopes[content["scope"]])
        yield {"offset": f"{offset_text(entry.offset)}.{index}", "log_id": log_id.hex(),
               "receipt_time": str(entry.receipt_time),
               "receiver": RECEIVERS.get(entry.receiver, entry.receiver),
               "rewritten": bool(entry.flags & 1),
               "peer": {"uid": entry.uid, "gid": entry.gid, "pid": entry.pid,
                        "start_ticks": entry.start_ticks},
               "producer": entry.producer.hex(), "sequence": entry.sequence,
               "resource": resource, "record": content}

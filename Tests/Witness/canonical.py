"""Decoded batches as JSON: the canonical form of contrib/protocol/vectors, and lines for `dump`."""

from __future__ import annotations

import math
from typing import Any, Iterator

from batch_reader import METRIC_KINDS, RECORD_TYPES, BatchReader, Pairs, read_batch
from segment_reader import RECEIVERS, Entry, offset_text
from wire_bytes import WireError


def value_json(value: Any) -> Any:
    """A value: text, truth and null as they are; what JSON cannot tell apart, in an object."""
    if isinstance(value, bool) or value is None or isinstance(value, str):
        return value
    if isinstance(value, int):
        return {"int": str(value)}
    if isinstance(value, float):
        return {"double": double_json(value)}
    if isinstance(value, bytes):
        return {"bytes": value.hex()}
    if isinstance(value, Pairs):
        return {"map": pairs_json(value)}
    return [value_json(item) for item in value]


def double_json(value: float) -> float | str:
    if math.isnan(value):
        return "NaN"
    if math.isinf(value):
        return "Infinity" if value > 0 else "-Infinity"
    return value


def pairs_json(pairs: Pairs) -> list[list[Any]]:
    return [[key, value_json(value)] for key, value in pairs]


def plain_json(value: Any) -> Any:
    """Ids as hex, doubles that JSON has no word for as strings, attributes as pairs."""
    if isinstance(value, Pairs):
        return pairs_json(value)
    if isinstance(value, bytes):
        return value.hex()
    if isinstance(value, float):
        return double_json(value)
    if isinstance(value, dict):
        return {key: value_json(item) if key == "body" else plain_json(item)
                for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [plain_json(item) for item in value]
    return value


def record_json(batch: BatchReader, record: dict[str, Any]) -> dict[str, Any]:
    """A record with its references resolved."""
    result = plain_json(record)
    result["type"] = RECORD_TYPES.get(record["type"], record["type"])
    if record.get("scope"):
        result["scope"] = plain_json(batch.scopes[record["scope"]])
    else:
        result.pop("scope", None)
    if "metric" in record:
        metric = batch.metrics[record["metric"]]
        result["metric"] = plain_json(metric)
        result["metric"]["kind"] = METRIC_KINDS[metric["kind"]]
        result["metric"]["scope"] = plain_json(batch.scopes[metric["scope"]])
    if "bounds" in record:
        result["bounds"] = plain_json(batch.bounds[record["bounds"]])
    return result


def batch_json(batch: BatchReader) -> dict[str, Any]:
    """The canonical JSON of a whole batch."""
    return {"header": plain_json(batch.header), "resource": plain_json(batch.resource),
            "records": [record_json(batch, record) for record in batch.records]}


def stored_records(entry: Entry, log_id: bytes) -> Iterator[dict[str, Any]]:
    """A line for each record of a stored batch; one with the error if it is no batch."""
    try:
        batch = read_batch(entry.payload)
    except WireError as error:
        yield {"offset": offset_text(entry.offset), "error": str(error)}
        return
    resource = plain_json(batch.resource)
    for index, record in enumerate(batch.records):
        yield {"offset": f"{offset_text(entry.offset)}.{index}", "log_id": log_id.hex(),
               "receipt_time": entry.receipt_time,
               "receiver": RECEIVERS.get(entry.receiver, entry.receiver),
               "rewritten": bool(entry.flags & 1),
               "peer": {"uid": entry.uid, "gid": entry.gid, "pid": entry.pid,
                        "start_ticks": entry.start_ticks},
               "producer": entry.producer.hex(), "sequence": entry.sequence,
               "resource": resource, "record": record_json(batch, record)}

#!/usr/bin/env python3
"""Runs the golden vectors through the client's encoder and the witness's decoder.

For each valid batch: the bytes decode to the JSON, and if they are the reference encoding, the
client's encoder makes these very bytes of the JSON. For each invalid one: the error is the named
one. Frames and spool files likewise; the client makes the frames that a client sends.
"""

from __future__ import annotations

import contextlib
import io
import json
import os
import sys
import tempfile
from typing import Any, Callable

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path[:0] = [HERE, os.path.join(HERE, "../../../Tests/Witness")]

import codex_telemetry as client  # noqa: E402
from batch_reader import read_batch  # noqa: E402
from canonical import batch_json, stream_json  # noqa: E402
from frames import check_client_stream  # noqa: E402
from test_vectors import index, same, vector_bytes, vector_text  # noqa: E402
from wire_bytes import WireError  # noqa: E402

NUMBERS = {"span": 1, "log": 2, "number": 3, "histogram": 4, "exponential": 5, "summary": 6}


def value_of(value: dict[str, Any]) -> Any:
    """The client's value of a canonical one."""
    [(kind, content)] = value.items()
    if kind == "map":
        return pairs_of(content)
    if kind == "array":
        return [value_of(item) for item in content]
    return {"int": int, "double": float, "bytes": bytes.fromhex}.get(kind, lambda same: same)(
        content)


def pairs_of(pairs: list[Any]) -> client.Pairs:
    return client.Pairs((key, value_of(value)) for key, value in pairs)


def id_of(text: str) -> bytes | None:
    return bytes.fromhex(text) if text.strip("0") else None


def number_of(text: str) -> int | None:
    return int(text) or None


def double_of(value: Any) -> float | None:
    return None if value is None else float(value)


def scope_of(scope: dict[str, Any]) -> tuple:
    return (scope["name"], scope["version"], scope["schema_url"], scope["dropped_attributes"],
            tuple(pairs_of(scope["attributes"])))


def span_of(record: dict[str, Any], scopes: list[tuple]) -> dict[str, Any]:
    start = int(record["start"])
    lost = [record["dropped_" + what] for what in ("attributes", "events", "links")]
    return {
        "kind": record["kind"], "status": record["status"], "name": record["name"],
        "trace_id": bytes.fromhex(record["trace_id"]), "span_id": bytes.fromhex(record["span_id"]),
        "start": start, "end": start + int(record["duration"]),
        "parent_span_id": id_of(record["parent_span_id"]), "scope": scopes[record["scope"]],
        "attributes": pairs_of(record["attributes"]), "status_message": record["status_message"],
        "trace_state": record["trace_state"], "flags": record["flags"] or None,
        "events": [{"time": int(event["time"]), "name": event["name"],
                    "attributes": pairs_of(event["attributes"]),
                    "dropped": event["dropped_attributes"] or None} for event in record["events"]],
        "links": [{"trace_id": bytes.fromhex(link["trace_id"]),
                   "span_id": bytes.fromhex(link["span_id"]), "flags": link["flags"] or None,
                   "attributes": pairs_of(link["attributes"]), "trace_state": link["trace_state"],
                   "dropped": link["dropped_attributes"] or None} for link in record["links"]],
        "dropped": lost if any(lost) else None}


def log_of(record: dict[str, Any], scopes: list[tuple]) -> dict[str, Any]:
    return {
        "time": number_of(record["time"]), "observed": number_of(record["observed_time"]),
        "trace_id": id_of(record["trace_id"]), "span_id": id_of(record["span_id"]),
        "severity": record["severity"] or None, "severity_text": record["severity_text"],
        "event_name": record["event_name"], "scope": scopes[record["scope"]],
        "body": None if record["body"] is None else (value_of(record["body"]),),
        "attributes": pairs_of(record["attributes"]), "flags": record["flags"] or None,
        "dropped": record["dropped_attributes"] or None}


def side_of(side: dict[str, Any] | None) -> tuple[int, list[int]] | None:
    return side and (side["offset"], list(map(int, side["buckets"])))


def point_of(record: dict[str, Any], metrics: list[client.Metric]) -> dict[str, Any]:
    point: dict[str, Any] = {
        "metric": metrics[record["metric"] - 1], "time": int(record["time"]),
        "start": number_of(record["start_time"]), "attributes": pairs_of(record["attributes"]),
        "flags": record["flags"] or None,
        "exemplars": [{"time": int(one["time"]), "attributes": pairs_of(one["attributes"]),
                       "trace_id": id_of(one["trace_id"]), "span_id": id_of(one["span_id"]),
                       **numbers_of(one["value"])} for one in record["exemplars"]]}
    point.update({name: double_of(record[name]) for name in ("sum", "min", "max")
                  if name in record})
    match record["type"]:
        case "number":
            point.update(numbers_of(record["value"]))
        case "histogram":
            point.update(count=int(record["count"]), bounds=tuple(map(float, record["bounds"])),
                         buckets=list(map(int, record["buckets"])))
        case "exponential":
            point.update(count=int(record["count"]), scale=record["scale"],
                         zero_count=int(record["zero_count"]),
                         zero_threshold=float(record["zero_threshold"]) or None,
                         positive=side_of(record["positive"]), negative=side_of(record["negative"]))
        case "summary":
            point.update(count=int(record["count"]),
                         quantiles=[tuple(map(float, pair)) for pair in record["quantiles"]])
    return point


def numbers_of(value: dict[str, Any]) -> dict[str, Any]:
    [(kind, _)] = value.items()
    return {} if kind == "none" else {kind: value_of(value)}


def encode(batch: dict[str, Any]) -> bytes:
    """The client's bytes of a canonical batch."""
    scopes = [client.NO_SCOPE, *map(scope_of, batch["scopes"])]
    metrics = [client.Metric(
        metric["kind"], metric["name"], metric["unit"], metric["temporality"], metric["monotonic"],
        metric["description"], scopes[metric["scope"]], pairs_of(metric["metadata"]) or None)
        for metric in batch["metrics"]]
    records = []
    for record in batch["records"]:
        make = {"span": span_of, "log": log_of}.get(record["type"])
        content = make(record, scopes) if make else point_of(record, metrics)
        records.append({"type": NUMBERS[record["type"]], **content})
    header, resource = batch["header"], batch["resource"]
    return client.Encoder(int(header["base_time"])).encode(
        bytes.fromhex(header["producer"]), int(header["sequence"]), records,
        (resource["schema_url"], resource["dropped_attributes"], pairs_of(resource["attributes"])),
        int(header["sampling_threshold"]),
        (header["dropped_spans"], header["dropped_logs"], header["dropped_points"]))


def encode_frames(stream: dict[str, Any]) -> bytes | None:
    """The client's bytes of a stream, None if it has frames that no client of ours sends."""
    out = b""
    for each in stream["frames"]:
        match each["type"]:
            case "hello":
                out += client.hello(bytes.fromhex(each["producer"]), int(each["next_sequence"]),
                                    int(each["reads_answers"]), each["properties"])
            case "batch":
                out += client.frame(2, bytes.fromhex(each["body"]))
            case "goodbye":
                out += client.frame(3)
            case _:
                return None
    return out


def environment(vector: dict[str, Any]) -> dict[str, Any]:
    """What the client makes of an environment, in a home of its own."""
    with tempfile.TemporaryDirectory() as home, contextlib.redirect_stderr(io.StringIO()) as told:
        if vector["file"]:
            os.mkdir(os.path.join(home, ".codex"))
            with open(os.path.join(home, ".codex/otel-config.yaml"), "w", encoding="utf-8"):
                pass
        env = {"HOME": home, **vector["environment"]}
        client._warned.clear()
        recorder = client._Recorder(env, None, {})
        context, baggage = recorder.root, client.baggage_from(env)
    return {
        "enabled": recorder.on, "service_name": recorder.resource["service.name"],
        "threshold": str(recorder.threshold), "console": recorder.console,
        "context": context and {
            "trace_id": context.trace_id.hex(), "span_id": context.span_id.hex(),
            "sampled": context.sampled, "trace_state": context.trace_state,
            "threshold": str(context.threshold)},
        "session_id": baggage.get("session.id"), "originator": baggage.get("originator"),
        "warns": [name for name in vector["environment"]
                  for line in told.getvalue().splitlines() if name + "=" in line]}


def read_spool_json(data: bytes) -> dict[str, Any]:
    """What the client's own reader takes of a spool file of the vectors."""
    producer, bodies, rest = client.read_spool(data, "101112131415161718191a1b1c1d1e1f.spool")
    return {"producer": producer.hex(), "batches": [body.hex() for body in bodies],
            "rest": [list(each) for each in rest]}


def spool_wanted(wanted: dict[str, Any]) -> dict[str, Any]:
    """The same of a vector: the client need not tell damage from a torn end."""
    return {"producer": wanted["producer"],
            "batches": [frame["body"] for frame in wanted["frames"] if frame["type"] == "batch"],
            "rest": wanted["damaged"] + ([wanted["torn"]] if wanted["torn"] else [])}


class Run:
    def __init__(self) -> None:
        self.passed = self.failed = 0

    def check(self, name: str, got: Callable[[], Any], wanted: Any) -> None:
        try:
            result = got()
        except WireError as error:
            result = error.name
        except Exception as error:
            result = repr(error)
        if result == wanted:
            self.passed += 1
        else:
            self.failed += 1
            print(f"FAILED {name}: {str(result)[:300]} instead of {str(wanted)[:300]}")

    def all(self) -> "Run":
        for vector in index("batches/valid"):
            name, data = "batches/valid/" + vector["name"], vector_bytes("batches/valid", vector)
            wanted = json.loads(vector_text("batches/valid", vector))
            self.check(name + " decoded", lambda: same(batch_json(read_batch(data))), same(wanted))
            if vector["reference"]:
                self.check(name + " encoded", lambda: encode(wanted).hex(), data.hex())
        for folder, read in (("batches/invalid", read_batch),
                             ("frames/invalid", check_client_stream)):
            for vector in index(folder):
                data = vector_bytes(folder, vector)
                self.check(f"{folder}/{vector['name']}", lambda: read(data), vector["error"])
        for vector in index("spool"):
            data, wanted = vector_bytes("spool", vector), json.loads(vector_text("spool", vector))
            self.check(f"spool/{vector['name']}", lambda: same(read_spool_json(data)),
                       same(spool_wanted(wanted)))
        for folder in ("frames/valid",):
            for vector in index(folder):
                name, data = f"{folder}/{vector['name']}", vector_bytes(folder, vector)
                wanted = json.loads(vector_text(folder, vector))
                self.check(name + " decoded", lambda: same(stream_json(data)), same(wanted))
                made = encode_frames(wanted)
                # What stands in reserved bits, behind known content or after the end is not ours.
                if made is not None and vector["name"] not in ("hello-longer", "flags-ignored"):
                    end = wanted["complete_bytes"]
                    self.check(name + " encoded", lambda: made.hex(), data[:end].hex())
        for vector in index("environment"):
            self.check(f"environment/{vector['name']}", lambda: environment(vector),
                       vector["result"])
        return self


def main() -> int:
    run = Run().all()
    with open(client.__file__, encoding="utf-8") as file:
        lines = file.read().splitlines()
    print(f"{run.passed} passed, {run.failed} failed; the client is {len(lines)} lines, "
          f"{sum(bool(line.strip()) for line in lines)} of them not blank")
    return 1 if run.failed or not run.passed else 0


if __name__ == "__main__":
    sys.exit(main())

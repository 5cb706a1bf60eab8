"""What the real Codex sent, through our batches and back."""

from __future__ import annotations

import json
import os
import unittest
from collections import Counter
from typing import Any

from google.protobuf.message import Message

import otlp_json
from echo import JSON, PROTOBUF, ROOT, Echo
from flatten import count, flatten, listed
from messages import REQUESTS, name

FOLDER = os.path.join(ROOT, "..", "shared", "data", "codex")


@unittest.skipUnless(os.path.isdir(FOLDER), f"no payloads in {FOLDER}")
class CodexPayloads(unittest.TestCase):
    def setUp(self) -> None:
        with open(os.path.join(FOLDER, "index.json"), encoding="utf-8") as index:
            self.files = json.load(index)["files"]

    def test_each_payload_comes_out_as_it_went_in(self) -> None:
        with Echo() as echo:
            for file in self.files:
                with self.subTest(file=file["file"]):
                    self.check(echo, file)
        print(f"\n{len(self.files)} payloads", end=" ")

    def check(self, echo: Echo, file: dict[str, Any]) -> None:
        with open(os.path.join(FOLDER, file["file"]), "rb") as payload:
            body = payload.read()
        signal = file["signal"]
        encoding = JSON if file["file"].endswith(".json") else PROTOBUF
        sent = (REQUESTS[signal].FromString(body) if encoding == PROTOBUF
                else otlp_json.read_leniently(REQUESTS[signal](), body))
        self.assertEqual(counts(sent), expected(file))
        for answer in (PROTOBUF, JSON):
            got = echo.send(signal, body, encoding, answer)
            self.assertFalse(got.refused, got.body)
            self.assertEqual(got.counts, {
                "accepted": count(sent), "batches": 1, "rejected": 0, "reasons": "",
                "repaired": 0, "unknown": {}})
            message = (REQUESTS[signal].FromString(got.body) if answer == PROTOBUF
                       else otlp_json.read(REQUESTS[signal](), got.body))
            self.assertEqual(flatten(sent), flatten(message))
            self.assertEqual(counts(message), expected(file))

    def test_a_codex_span_gets_its_duration(self) -> None:
        request = REQUESTS["traces"]()
        spans = request.resource_spans.add().scope_spans.add().spans
        for text in ("codex.turn", "codex", "other", "codex.tool"):
            span = spans.add()
            span.name = text
            span.span_id = b"12345678"
            span.start_time_unix_nano, span.end_time_unix_nano = 1_000_000, 2_250_000
        own = spans[3].attributes.add()
        own.key, own.value.int_value = "duration_ms", 7
        with Echo() as echo:
            got = REQUESTS["traces"].FromString(
                echo.send("traces", request.SerializeToString(), additions=True).body)
        found = [[(a.key, a.value.double_value or a.value.int_value) for a in span.attributes]
                 for span in got.resource_spans[0].scope_spans[0].spans]
        self.assertEqual(found, [[("duration_ms", 1.25)], [], [], [("duration_ms", 7)]])


def counts(request: Message) -> dict[str, Any]:
    """What index.json counts, taken of a request."""
    records = [record for container in listed(request, 0) for scoped in listed(container, 1)
               for record in listed(scoped, 1)]
    kind = name(request.DESCRIPTOR)
    if "Trace" in kind:
        return {"spans": len(records), "traces": len({r.trace_id for r in records}),
                "span_events": sum(len(r.events) for r in records),
                "names": len({r.name for r in records})}
    if "Logs" in kind:
        events = Counter(next((a.value.string_value for a in r.attributes
                               if a.key == "event.name"), "(none)") for r in records)
        return {"log_records": len(records), "events": dict(events)}
    points = sum(len(getattr(m, m.WhichOneof("data")).data_points) for m in records)
    temporality = {getattr(m, m.WhichOneof("data")).aggregation_temporality for m in records
                   if m.WhichOneof("data") not in ("gauge", "summary")}
    return {"metrics": len(records),
            "data_points": points, "temporality": sorted(temporality)}


def expected(file: dict[str, Any]) -> dict[str, Any]:
    wanted = ("spans", "traces", "span_events", "names", "log_records", "events", "metrics",
              "data_points", "temporality")
    return {key: file[key] for key in wanted if key in file}


if __name__ == "__main__":
    unittest.main()

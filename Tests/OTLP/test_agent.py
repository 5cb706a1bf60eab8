"""What is sent to the agent is what a backend behind it gets: the corpus and the real Codex's payloads, from one
program's HTTP client through intake, log and exporters to another's HTTP server."""

from __future__ import annotations

import json
import os
import unittest
from collections import Counter
from typing import Any, Iterable

from google.protobuf.message import Message

import otlp_json
from agent import ENCODINGS, MEDIA_TYPES, ThroughTheAgent
from corpus import requests
from flatten import Flat, count, flatten, frozen, listed, points
from messages import REQUESTS, SIGNALS, is_message, is_repeated, is_unknown, name
from test_codex_payloads import FOLDER, counts, expected
from test_fidelity import NAMES, SEED, corpus


def with_durations(request: Message) -> Message:
    """A documented addition: `duration_ms` on spans `codex.…` (contrib/protocol/otlp.md)."""
    if name(request.DESCRIPTOR) != "ExportTraceServiceRequest":
        return request
    copy, is_same = type(request)(), True
    copy.CopyFrom(request)
    for container in copy.resource_spans:
        for span in (span for scoped in container.scope_spans for span in scoped.spans):
            nanoseconds = (span.end_time_unix_nano - span.start_time_unix_nano) % 2**64
            has_one = any(each.key == "duration_ms" for each in span.attributes)
            if span.name.startswith("codex.") and not has_one and nanoseconds < 2**63:
                added = span.attributes.add()
                added.key = "duration_ms"
                added.value.double_value = nanoseconds / 1e6
                is_same = False
    return request if is_same else copy


def with_mark(request: Message, mark: str) -> Message:
    """The other one: each resource says which agents it went through, where the backend is on this host."""
    copy = type(request)()
    copy.CopyFrom(request)
    for container in listed(copy, 0):
        added = container.resource.attributes.add()
        added.key, added.value.string_value = "codex.telemetry.hops", mark
    return copy


def joined(found: Iterable[tuple[str, Message]]) -> dict[str, Flat]:
    """The records of many requests, in their order, by signal."""
    flats: dict[str, Flat] = {signal: {} for signal in SIGNALS}
    for signal, request in found:
        for key, records in flatten(request).items():
            flats[signal].setdefault(key, []).extend(records)
    return flats


def unknown_fields(request: Message, in_json: bool = False) -> Counter[str]:
    """How often each unknown field stands in a request; equal resources are one. In JSON a list is one
    member, and members are counted where they stand."""
    found: Counter[str] = Counter()
    seen: set[tuple[bytes, str]] = set()
    pending = [request]
    while pending:
        message = pending.pop()
        is_again = False
        if "resource" in message.DESCRIPTOR.fields_by_name and not in_json:
            key = (frozen(message.resource), message.schema_url)
            is_again = key in seen
            seen.add(key)
        for field, value in message.ListFields():
            values = list(value) if is_repeated(field) else [value]
            if is_unknown(field):
                path = f"{name(message.DESCRIPTOR)}.{field.number}"
                found[NAMES[path] if in_json else path] += 1 if in_json else len(values)
            elif is_message(field) and not (is_again and field.name == "resource"):
                pending += values
    return found


def pruned(request: Message) -> Message:
    """The same without the containers that hold no record: they go, and all that is in them."""
    copy = type(request)()
    copy.CopyFrom(request)
    for container in reversed(listed(copy, 0)):
        for scoped in reversed(listed(container, 1)):
            records = listed(scoped, 1)
            for record in reversed(records):
                if name(record.DESCRIPTOR) == "Metric" and not any(points(record)):
                    records.remove(record)
            if not records:
                listed(container, 1).remove(scoped)
        if not listed(container, 1):
            listed(copy, 0).remove(container)
    return copy


class Comparing(ThroughTheAgent):
    def expected(self, requests_in: list[tuple[str, Message]]) -> list[dict[str, Flat]]:
        """What each of the backends has to get."""
        whole = [(signal, with_durations(request)) for signal, request in requests_in]
        mark = self.status()["log"]["id"][:16]
        return [joined((signal, with_mark(request, mark)) for signal, request in whole), joined(whole)]

    def compare(self, sent: dict[str, Flat], got: dict[str, Flat], where: str) -> None:
        for signal in SIGNALS:
            self.assertEqual(len(sent[signal]), len(got[signal]), f"{where}, {signal}: containers")
            for key, records in sent[signal].items():
                self.assertEqual(records, got[signal].get(key), f"{where}, {signal}, in {key}")


class Fidelity(Comparing):
    def test_the_corpus_comes_out_as_it_went_in(self) -> None:
        """All ways in, both ways out; every record in its order."""
        requests_in = [(signal, request) for signal, request, _ in corpus()]
        expected = self.expected(requests_in)
        added = sum(with_durations(request) is not request for _, request in requests_in)
        self.assertGreater(added, 10)
        total = sum(count(request) for _, request in requests_in)
        writer = otlp_json.Writer(SEED, liberties=True)
        ways = {
            "protobuf": lambda signal, request: self.give(
                signal, request.SerializeToString(), MEDIA_TYPES[0]),
            "JSON": lambda signal, request: self.give(
                signal, writer.text(request).encode(), MEDIA_TYPES[1]),
            "gRPC": lambda signal, request: self.call(signal, request.SerializeToString()),
        }
        for number, (way, give) in enumerate(ways.items(), 1):
            for signal, request in requests_in:
                give(signal, request)
            for encoding, sent, found in zip(ENCODINGS, expected, self.received(total * number)):
                self.compare(sent, joined(found), f"seed {SEED}: {way} to {encoding}")
                print(f"\n{way} to the agent, {encoding} from it: {len(requests_in)} requests,"
                      f" {total} records, {len(found)} requests out", end=" ")
        status = self.status()
        self.assertEqual(status["receivers"][0]["answers"],
                         {"200": 2 * len(requests_in), "OK": len(requests_in)})
        self.assertEqual(status["receivers"][0]["unknown_fields"], {})
        self.assertEqual(status["receivers"][0]["rejected_records"], 0)
        self.assertEqual(status["receivers"][0]["repaired_texts"], 0)
        self.assertEqual(status["intake"]["stored"]["records"], 3 * total)
        self.stop()

    def test_fields_that_the_version_does_not_know_are_counted_and_the_rest_is_kept(self) -> None:
        requests_in = [(signal, pruned(request))
                       for signal, request in requests(SEED + 1, 300, unknown=True)]
        total = sum(count(request) for _, request in requests_in)
        expected = self.expected(requests_in)
        writer = otlp_json.Writer(SEED)
        wanted: Counter[str] = Counter()
        for number, kind in enumerate(MEDIA_TYPES):
            for signal, request in requests_in:
                wanted += unknown_fields(request, in_json=number == 1)
                body = writer.text(request).encode() if number else request.SerializeToString()
                self.give(signal, body, kind)
            for encoding, sent, found in zip(ENCODINGS, expected, self.received(total * (number + 1))):
                self.compare(sent, joined(found), f"{ENCODINGS[number]} to {encoding}")
        counted = self.status()["receivers"][0]["unknown_fields"]
        self.assertEqual(counted, dict(wanted))
        self.assertEqual(set(counted), {*NAMES, *NAMES.values()})
        print(f"\n{total} records twice; unknown fields counted: {counted}", end=" ")
        self.stop()


@unittest.skipUnless(os.path.isdir(FOLDER), f"no payloads in {FOLDER}")
class OfTheRealCodex(Comparing):
    def test_each_payload_comes_out_as_it_went_in(self) -> None:
        with open(os.path.join(FOLDER, "index.json"), encoding="utf-8") as index:
            files = json.load(index)["files"]
        total = 0
        for file in files:
            with self.subTest(file["file"]):
                total += self.check(file, total)
        self.assertGreater(total, 2000)
        status = self.status()
        self.assertEqual(status["intake"]["stored"]["records"], total)
        self.assertEqual(status["receivers"][0]["unknown_fields"], {})
        print(f"\n{len(files)} payloads, {total} records to each of two backends", end=" ")
        self.stop()

    def check(self, file: dict[str, Any], before: int) -> int:
        with open(os.path.join(FOLDER, file["file"]), "rb") as payload:
            body = payload.read()
        signal, is_json = file["signal"], file["file"].endswith(".json")
        request = REQUESTS[signal]()
        if is_json:
            otlp_json.read_leniently(request, body)
        else:
            request.ParseFromString(body)
        self.assertEqual(counts(request), expected(file))
        if file["transport"] == "grpc":
            self.call(signal, body)
        else:
            self.give(signal, body, MEDIA_TYPES[is_json])
        wanted = self.expected([(signal, request)])
        for sent, found in zip(wanted, self.received(before + count(request))):
            self.compare(sent, joined(found), file["file"])
            # With equal resources and scopes together, so with the batch's records in one request.
            merged = REQUESTS[signal]()
            for _, one in found:
                merged.MergeFrom(one)
            self.assertEqual(counts(merged), expected(file))
        return count(request)


if __name__ == "__main__":
    unittest.main()

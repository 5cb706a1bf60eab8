"""What OTLP says is what comes out: a corpus that sets every field, through our batches and back."""

from __future__ import annotations

import functools
import os
import unittest
from collections import Counter

from google.protobuf.message import Message

import otlp_json
from corpus import covered, requests
from echo import JSON, PROTOBUF, Answer, Echo
from flatten import Flat, flatten, listed
from messages import REQUESTS, SIGNALS, is_unknown, known_fields, name, walk

SEED = int(os.environ.get("OTLP_SEED", "20261121"))
REQUESTS_MIN = 2_100

# The fields of status "Development", by number and by JSON name.
NAMES = {"Resource.3": "Resource.entityRefs", "KeyValue.3": "KeyValue.keyStrindex",
         "AnyValue.8": "AnyValue.stringValueStrindex"}


@functools.cache
def corpus() -> list[tuple[str, Message, Flat]]:
    """The requests and, flattened, what must come out."""
    return [(signal, sent, flatten(sent)) for signal, sent in requests(SEED, REQUESTS_MIN)]


def paths(request: Message) -> set[str]:
    """The unknown fields that are in a request."""
    return {f"{name(message.DESCRIPTOR)}.{field.number}" for message in walk(request)
            for field, _ in message.ListFields() if is_unknown(field)}


def recorded(request: Message) -> Message:
    """The same without resources and scopes that hold no record."""
    copy = type(request)()
    for container in listed(request, 0):
        kept = [scoped for scoped in listed(container, 1) if any(
            name(record.DESCRIPTOR) != "Metric" or record.WhichOneof("data")
            and getattr(record, record.WhichOneof("data")).data_points
            for record in listed(scoped, 1))]
        if kept:
            bare = listed(copy, 0).add()
            bare.resource.CopyFrom(container.resource)
            for scoped in kept:
                listed(bare, 1).add().scope.CopyFrom(scoped.scope)
    return copy


class Fidelity(unittest.TestCase):
    def run_corpus(self, encoding: int, answer: int) -> None:
        writer = otlp_json.Writer(SEED, liberties=True)
        records = batches = 0
        with Echo() as echo:
            for index, (signal, sent, flat) in enumerate(corpus()):
                body = (sent.SerializeToString() if encoding == PROTOBUF
                        else writer.text(sent).encode())
                got = echo.send(signal, body, encoding, answer, small=index % 4 == 3)
                self.compare(index, signal, flat, got, answer)
                records += got.counts["accepted"]
                batches += got.counts["batches"]
        names = ("protobuf", "JSON")
        print(f"\n{names[encoding]} to {names[answer]}: {REQUESTS_MIN} requests, {records} records,"
              f" {batches} batches", end=" ")

    def compare(self, index: int, signal: str, sent: Flat, got: Answer, answer: int) -> None:
        where = f"request {index}, seed {SEED}, {signal}"
        self.assertFalse(got.refused, f"{where}: {got.body!r}")
        self.assertEqual(got.counts["rejected"], 0, f"{where}: {got.counts}")
        self.assertEqual(got.counts["unknown"], {}, where)
        self.assertEqual(got.counts["accepted"], sum(map(len, sent.values())), where)
        message = REQUESTS[signal]()
        if answer == PROTOBUF:
            message.ParseFromString(got.body)
            # Canonical: each length in its shortest form, fields in their order.
            self.assertEqual(message.SerializeToString(), got.body, where)
        else:
            otlp_json.read(message, got.body)
        self.assertEqual(sent, flatten(message), where)

    def test_the_corpus_sets_every_field_of_every_message(self) -> None:
        wanted = set().union(*(known_fields(signal) for signal in SIGNALS))
        self.assertEqual(wanted - covered(SEED, 600), set())

    def test_fields_of_later_versions_are_counted_and_the_rest_is_kept(self) -> None:
        writer = otlp_json.Writer(SEED)
        found: Counter[str] = Counter()
        with Echo() as echo:
            for index, (signal, sent) in enumerate(requests(SEED + 1, 600, unknown=True)):
                got = echo.send(signal, sent.SerializeToString())
                self.assertFalse(got.refused or got.counts["rejected"], got)
                message = REQUESTS[signal].FromString(got.body)
                self.assertEqual(flatten(sent), flatten(message), index)
                # Resources and scopes without records are dropped with all that is in them.
                self.assertLessEqual(paths(recorded(sent)), set(got.counts["unknown"]))
                self.assertLessEqual(set(got.counts["unknown"]), paths(sent))
                found.update(got.counts["unknown"])
                named = echo.send(signal, writer.text(sent).encode(), JSON)
                self.assertEqual(flatten(sent), flatten(REQUESTS[signal].FromString(named.body)))
                self.assertLessEqual(set(named.counts["unknown"]), set(NAMES.values()))
        self.assertEqual(set(found), set(NAMES))
        print(f"\n{dict(found)}", end=" ")

    def test_protobuf_comes_out_as_it_went_in(self) -> None:
        self.run_corpus(PROTOBUF, PROTOBUF)

    def test_json_comes_out_as_it_went_in(self) -> None:
        self.run_corpus(JSON, JSON)

    def test_protobuf_comes_out_as_json(self) -> None:
        self.run_corpus(PROTOBUF, JSON)

    def test_json_comes_out_as_protobuf(self) -> None:
        self.run_corpus(JSON, PROTOBUF)


if __name__ == "__main__":
    unittest.main()

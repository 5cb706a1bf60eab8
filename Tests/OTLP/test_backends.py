"""Backends that nobody here wrote, behind the agent: what the real Codex and a corpus of ours sent is with them,
read back and counted.

rotel takes all three signals and passes them on, so that they can be compared. Phoenix keeps spans in a
database of its own and shows them; it is large, and only for contrib/test --full.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
import unittest
import urllib.error
import urllib.request
from typing import Any, Iterator

from google.protobuf.descriptor import FieldDescriptor
from google.protobuf.message import Message

import otlp_json
from agent import MEDIA_TYPES, Backend, SendingCase
from corpus import requests
from echo import ROOT
from flatten import count, listed
from host import eventually
from messages import REQUESTS, SIGNALS, is_repeated, walk
from test_agent import joined, with_durations
from test_codex_payloads import FOLDER
from test_otlp_intake import free_port

sys.path.append(os.path.join(ROOT, "contrib", "bench"))
import otlp_requests  # noqa: E402

BUILD = os.path.join(ROOT, ".build")
ROTEL = os.path.join(BUILD, "backends", "rotel", "rotel-agent")
PHOENIX = os.path.join(BUILD, "phoenix", "bin", "phoenix")


def payloads() -> Iterator[tuple[str, bytes, str, Message]]:
    """What the real Codex sent: signal, body, media type, and what it says."""
    if not os.path.isdir(FOLDER):
        return
    with open(os.path.join(FOLDER, "index.json"), encoding="utf-8") as index:
        files = json.load(index)["files"]
    for file in files:
        with open(os.path.join(FOLDER, file["file"]), "rb") as payload:
            body = payload.read()
        signal, is_json = file["signal"], file["file"].endswith(".json")
        request = REQUESTS[signal]()
        if is_json:
            otlp_json.read_leniently(request, body)
        else:
            request.ParseFromString(body)
        yield signal, body, MEDIA_TYPES[is_json], request


def without_minus_zeros(request: Message) -> Message:
    """As rotel's library of protobuf writes it again: −0, in a field without presence, is 0."""
    copy = type(request)()
    copy.CopyFrom(request)
    for message in walk(copy):
        for field in message.DESCRIPTOR.fields:
            if (field.type == FieldDescriptor.TYPE_DOUBLE and not is_repeated(field)
                    and not field.has_presence and getattr(message, field.name) == 0):
                setattr(message, field.name, 0.0)
    return copy


def without_marks(request: Message) -> Message:
    """The same without the attribute that agents give to resources on their way to this host."""
    for container in listed(request, 0):
        attributes = container.resource.attributes
        for each in [each for each in attributes if each.key == "codex.telemetry.hops"]:
            attributes.remove(each)
    return request


class RealBackend(SendingCase):
    def launch(self, words: list[str], ready: str, env: dict[str, str] | None = None) -> None:
        """Starts a backend, and waits until it answers at an address; ends it with the test."""
        with open(self.home / "backend.log", "wb") as log:
            process = subprocess.Popen(
                words, stdin=subprocess.DEVNULL, stdout=log, stderr=log,
                env=self.env | (env or {}), cwd=self.home)
        self.addCleanup(process.wait)
        self.addCleanup(process.kill)

        def answers() -> bool:
            self.assertIsNone(process.poll(), (self.home / "backend.log").read_text())
            try:
                urllib.request.urlopen(ready, timeout=5).close()
            except urllib.error.HTTPError:
                return True
            except OSError:
                return False
            return True

        eventually(answers, 120, lambda: (self.home / "backend.log").read_text())

    def send_all(self, sendings: list[tuple[str, bytes, str, Message]]) -> int:
        """How many records were sent, all in all."""
        total = 0
        for signal, body, kind, request in sendings:
            self.give(signal, body, kind)
            total += count(request)
        self.delivered(total)
        return total


@unittest.skipUnless(os.path.exists(ROTEL), "contrib/prerequisites --tests has not been run: no rotel")
class Rotel(RealBackend):
    def test_all_signals_are_with_it_as_they_were_sent(self) -> None:
        sink, ports = Backend(), {"http": free_port(), "grpc": free_port()}
        self.addCleanup(sink.close)
        self.launch(
            [ROTEL, "start", "--otlp-http-endpoint", f"127.0.0.1:{ports['http']}",
             "--otlp-grpc-endpoint", f"127.0.0.1:{ports['grpc']}", "--exporter", "otlp",
             "--otlp-exporter-endpoint", f"http://127.0.0.1:{sink.port}",
             "--otlp-exporter-protocol", "http", "--pid-file", str(self.home / "rotel.pid")],
            f"http://127.0.0.1:{ports['http']}/")
        self.begin_with({
            "otlp_http": {"endpoint": f"http://127.0.0.1:{ports['http']}"},
            "otlp_grpc": {"endpoint": f"http://127.0.0.1:{ports['grpc']}"}})
        sendings = list(payloads())
        sendings += [(signal, request.SerializeToString(), MEDIA_TYPES[0], request)
                     for signal, request in requests(5, 300)]
        total = self.send_all(sendings)

        def found() -> list[tuple[str, Message]]:
            return [(signal, without_marks(REQUESTS[signal].FromString(body)))
                    for signal, _, body in sink.requests]

        eventually(lambda: sum(count(request) for _, request in found()) >= 2 * total, 30,
                   lambda: f"{sum(count(r) for _, r in found())} of twice {total} came through rotel")
        sent = joined((signal, without_minus_zeros(with_durations(request)))
                      for signal, _, _, request in sendings)
        got = joined(found())
        for signal in SIGNALS:
            self.assertEqual(set(sent[signal]), set(got[signal]))
            # Each came over HTTP and over gRPC; it joins requests in an order of its own.
            wrong = [key for key, records in sent[signal].items()
                     if sorted(2 * records) != sorted(got[signal][key])]
            self.assertEqual(wrong[:1], [], f"{len(wrong)} resources of {signal}")
            print(f"\n{sum(map(len, got[signal].values()))} records of {signal} read back from rotel,"
                  " half of them over gRPC", end=" ")
        self.stop()


@unittest.skipUnless(os.path.exists(PHOENIX), "contrib/prerequisites --tests --full has not been run: no Phoenix")
class Phoenix(RealBackend):
    def test_spans_are_in_its_database(self) -> None:
        port = free_port()
        self.launch([PHOENIX, "serve"], f"http://127.0.0.1:{port}/healthz", {
            "PHOENIX_WORKING_DIR": str(self.home), "PHOENIX_HOST": "127.0.0.1", "PHOENIX_PORT": str(port),
            "PHOENIX_GRPC_PORT": str(free_port()), "PHOENIX_TELEMETRY_ENABLED": "false"})
        base = f"http://127.0.0.1:{port}"
        self.begin_with({"otlp_http": {"traces_endpoint": f"{base}/v1/traces"}})
        sendings = [each for each in payloads() if each[0] == "traces"]
        for body in map(otlp_requests.protobuf, otlp_requests.requests(5, 100)):
            sendings.append(("traces", body, MEDIA_TYPES[0], REQUESTS["traces"].FromString(body)))
        total = self.send_all(sendings)
        expected = {span.span_id.hex(): span.name for _, _, _, request in sendings
                    for container in request.resource_spans for scoped in container.scope_spans
                    for span in scoped.spans}
        # Each look makes it read all of them, which takes longer than to store them.
        def enough() -> dict[str, str] | None:
            time.sleep(2)
            found = self.spans(base)
            return found if len(found) >= len(expected) else None

        stored = eventually(enough, 300, lambda: f"{len(self.spans(base))} of {len(expected)} are in Phoenix")
        self.assertEqual(stored, expected)
        print(f"\n{total} spans sent, {len(stored)} read back from Phoenix", end=" ")
        self.stop()

    @staticmethod
    def spans(base: str) -> dict[str, str]:
        """The names of all spans that it has, by id."""
        found: dict[str, str] = {}
        cursor = ""
        while True:
            with urllib.request.urlopen(
                    f"{base}/v1/projects/default/spans?limit=1000{cursor}", timeout=30) as answer:
                page: dict[str, Any] = json.load(answer)
            for span in page["data"]:
                found[span["context"]["span_id"]] = span["name"]
            if not page.get("next_cursor"):
                return found
            cursor = f"&cursor={page['next_cursor']}"


if __name__ == "__main__":
    unittest.main()

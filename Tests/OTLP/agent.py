"""The real agent between a sender and two backends: OTLP over HTTP and gRPC in, and out as protobuf and as JSON."""

from __future__ import annotations

import gzip
import http.client
import http.server
import json
import os
import sys
import threading
from typing import Any

import grpc
from google.protobuf.message import Message

import otlp_json
from echo import ROOT
from messages import REQUESTS

sys.path.insert(0, os.path.join(ROOT, "Tests", "EndToEnd"))
from host import eventually  # noqa: E402
from test_otlp_intake import OTLPCase, free_port  # noqa: E402

# What the class's descriptor calls a signal, for the path of a call.
SERVICES = {"traces": "trace.v1.TraceService", "logs": "logs.v1.LogsService",
            "metrics": "metrics.v1.MetricsService"}
MEDIA_TYPES = ("application/x-protobuf", "application/json")
ENCODINGS = ("proto", "json")


class Backend:
    """Takes everything and keeps it, as it came."""

    def __init__(self) -> None:
        # Guarded by the interpreter: handlers append, the test copies once all is delivered.
        self.requests: list[tuple[str, str, bytes]] = []
        backend = self

        class Handler(http.server.BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["Content-Length"]))
                if self.headers.get("Content-Encoding") == "gzip":
                    body = gzip.decompress(body)
                kind = self.headers["Content-Type"]
                backend.requests.append((self.path.removeprefix("/v1/"), kind, body))
                answer = b"{}" if kind == "application/json" else b""
                self.send_response(200)
                self.send_header("Content-Type", kind)
                self.send_header("Content-Length", str(len(answer)))
                self.end_headers()
                self.wfile.write(answer)

            def log_message(self, *_: object) -> None:
                pass

        self.server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.server.daemon_threads = True
        self.port = self.server.server_address[1]
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    def close(self) -> None:
        self.server.shutdown()
        self.server.server_close()


def parsed(signal: str, kind: str, body: bytes) -> Message:
    """A request as a strict reader takes it; protobuf must be canonical besides."""
    message = REQUESTS[signal]()
    if kind == MEDIA_TYPES[1]:
        return otlp_json.read(message, body)
    message.ParseFromString(body)
    if message.SerializeToString() != body:
        raise AssertionError(f"a request of {signal} that is not canonical")
    return message


class SendingCase(OTLPCase):
    """An agent that takes OTLP over HTTP and gRPC, with exporters of the test's choice."""

    def begin_with(self, exporters: dict[str, Any]) -> None:
        self.port, grpc_port = free_port(), free_port()
        config = self.home / "config.yaml"
        config.write_text(json.dumps({
            "receivers": {"otlp": {"protocols": {
                "http": {"endpoint": f"localhost:{self.port}"},
                "grpc": {"endpoint": f"localhost:{grpc_port}"}}}},
            "exporters": exporters | {"journald": {"enabled": False}},
        }))
        self.start("--config", config)
        self.status_where("the receiver is open", lambda s: not self.closed_places(s))
        self.connection = http.client.HTTPConnection("localhost", self.port, timeout=30)
        self.addCleanup(self.connection.close)
        self.channel = grpc.insecure_channel(f"localhost:{grpc_port}")
        self.addCleanup(self.channel.close)

    def call(self, signal: str, body: bytes) -> None:
        """The same by gRPC."""
        path = f"/opentelemetry.proto.collector.{SERVICES[signal]}/Export"
        self.assertEqual(self.channel.unary_unary(path)(body, timeout=30), b"")

    def give(self, signal: str, body: bytes, kind: str) -> None:
        """Sends a request, all of which has to be taken."""
        self.connection.request("POST", f"/v1/{signal}", body, {"Content-Type": kind})
        answer = self.connection.getresponse()
        told = answer.read()
        self.assertEqual((answer.status, told), (200, b"{}" if kind == MEDIA_TYPES[1] else b""))

    def delivered(self, records: int) -> None:
        """Waits until every exporter has delivered so many records since the start."""

        def all_there() -> bool:
            figures = self.status()["exporters"]
            return all(each["delivered"] == records and each["waiting"] == 0 for each in figures)

        eventually(all_there, 60, lambda: f"{records}: {json.dumps(self.status()['exporters'])}")


class ThroughTheAgent(SendingCase):
    """An agent with an exporter to each of two backends: one gets protobuf, packed and with the agent's mark, the
    other JSON without."""

    def setUp(self) -> None:
        super().setUp()
        self.backends = [Backend(), Backend()]
        for backend in self.backends:
            self.addCleanup(backend.close)
        self.begin_with({
            f"otlp_http/{encoding}": {
                "endpoint": f"http://127.0.0.1:{backend.port}", "encoding": encoding,
                "compression": compression, "mark_hops": encoding == "proto"}
            for encoding, compression, backend in zip(ENCODINGS, ("gzip", "none"), self.backends)})

    def received(self, records: int) -> list[list[tuple[str, Message]]]:
        """What each backend got once it has so many records since the start: signals and requests."""
        self.delivered(records)
        found = []
        for number, backend in enumerate(self.backends):
            taken, backend.requests = backend.requests, []
            self.assertEqual({kind for _, kind, _ in taken}, {MEDIA_TYPES[number]})
            found.append([(signal, parsed(signal, kind, body)) for signal, kind, body in taken])
        return found


__all__ = ["ENCODINGS", "MEDIA_TYPES", "Backend", "SendingCase", "ThroughTheAgent", "parsed"]

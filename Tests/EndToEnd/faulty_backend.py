"""A backend that takes OTLP over HTTP and has every fault that one may have, drawn by a seed; and the numbers of the
records in its requests. Needs OpenTelemetry's own classes: runs with the Python of .build/python.
"""

import array
import collections
import dataclasses
import email.utils
import gzip
import http.server
import os
import select
import socket
import ssl
import struct
import subprocess
import threading
import time

from opentelemetry.proto.collector.logs.v1 import logs_service_pb2 as logs
from opentelemetry.proto.collector.metrics.v1 import metrics_service_pb2 as metrics
from opentelemetry.proto.collector.trace.v1 import trace_service_pb2 as traces

PROTOBUF = "application/x-protobuf"
REQUESTS = {
    "traces": traces.ExportTraceServiceRequest,
    "logs": logs.ExportLogsServiceRequest,
    "metrics": metrics.ExportMetricsServiceRequest,
}
ANSWERS = {
    "traces": (traces.ExportTraceServiceResponse, "rejected_spans"),
    "logs": (logs.ExportLogsServiceResponse, "rejected_log_records"),
    "metrics": (metrics.ExportMetricsServiceResponse, "rejected_data_points"),
}
# What becomes of a request, and how often of a hundred.
FATES = {
    "ok": 58, "slow": 6, "503": 6, "502": 2, "504": 2, "429 seconds": 2, "429 date": 2, "400": 2, "partial": 6,
    # Taken, and then no answer, or half of one.
    "reset after": 4, "half an answer": 4, "stall": 2,
    # Not taken.
    "reset before": 2, "cut": 2,
}
# What `rejected/` keeps of an exporter: fewer, so that all of them are there in the end.
REJECTED_MAX = 90


def numbers(signal, request):
    """The number of each record: span ids, and in metrics the value."""
    found = array.array("Q")
    if signal == "metrics":
        for each in request.resource_metrics:
            for scope in each.scope_metrics:
                for metric in scope.metrics:
                    found.extend(point.as_int for point in metric.sum.data_points)
        return found
    containers = request.resource_spans if signal == "traces" else request.resource_logs
    for each in containers:
        for scope in each.scope_spans if signal == "traces" else each.scope_logs:
            records = scope.spans if signal == "traces" else scope.log_records
            found.extend(struct.unpack(">Q", record.span_id)[0] for record in records)
    return found


@dataclasses.dataclass
class Taken:
    """A request that had come to its end."""

    fate: str
    signal: str
    numbers: array.array
    # How many of the first ones are not taken although the request is.
    partial: int = 0
    # All of the answer was written.
    is_answered: bool = False


class FaultyBackend:
    """Listens on a port of 127.0.0.1, over TLS if there is a context."""

    fate_weights = FATES
    # The fate of what is refused for good, and of what may come again.
    refused, unavailable = "400", "503"

    def __init__(self, random, context=None, handler=None):
        self.random = random
        self.is_calm = False
        # What the agent did that the protocol forbids.
        self.problems = []
        # Answers that came after it had stopped to wait, as far as it says so.
        self.late = 0
        # Guards what follows.
        self.lock = threading.Lock()
        self.requests = []
        self.fates = collections.Counter()
        self.server = _Server(("127.0.0.1", 0), type("Handler", (handler or _Handler,), {"backend": self}))
        if context:
            self.server.socket = context.wrap_socket(
                self.server.socket, server_side=True, do_handshake_on_connect=False)
        self.port = self.server.server_address[1]
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    def draw(self):
        with self.lock:
            weights = self.fate_weights
            fate = "ok" if self.is_calm else self.random.choices(list(weights), list(weights.values()))[0]
            if fate == self.refused and self.fates[fate] == REJECTED_MAX:
                fate = self.unavailable
            self.fates[fate] += 1
            return fate

    def note(self, taken):
        with self.lock:
            self.requests.append(taken)

    def finished(self):
        """How many requests have come, once none is dealt with any more: after the sender's death."""
        end = time.monotonic() + 30
        # Connections are accepted in their order: with ours, all of the dead one's are.
        with socket.create_connection(("127.0.0.1", self.port)) as probe:
            address = probe.getsockname()
            while address not in self.server.accepted:
                if time.monotonic() > end:
                    raise RuntimeError("a backend accepts nothing")
                time.sleep(0.002)
        while self.server.open:
            if time.monotonic() > end:
                raise RuntimeError("a connection of a dead agent stays open")
            time.sleep(0.002)
        with self.lock:
            return len(self.requests)

    def close(self):
        self.server.shutdown()
        self.server.server_close()


class _Server(http.server.ThreadingHTTPServer):
    daemon_threads = True

    def __init__(self, *words):
        # Addresses of the peers: all of them, and those whose connection is not done with.
        self.accepted, self.open = set(), set()
        super().__init__(*words)

    def process_request(self, request, client_address):
        self.open.add(client_address)
        self.accepted.add(client_address)
        super().process_request(request, client_address)

    def process_request_thread(self, request, client_address):
        super().process_request_thread(request, client_address)
        self.open.discard(client_address)

    def handle_error(self, *_):
        pass


class _Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    backend = None

    def setup(self):
        self.request.settimeout(30)
        super().setup()

    def do_POST(self):
        signal = self.path.removeprefix("/v1/")
        length = int(self.headers["Content-Length"])
        fate = self.backend.draw()
        if fate == "reset before":
            return self._reset()
        if fate == "cut":
            self.rfile.read(length // 2)
            return self._reset()
        body = self.rfile.read(length)
        if self.headers.get("Content-Encoding") == "gzip":
            body = gzip.decompress(body)
        taken = Taken(fate, signal, numbers(signal, REQUESTS[signal].FromString(body)))
        if fate == "partial":
            taken.partial = self.backend.random.randint(1, min(3, len(taken.numbers)))
        # Before the answer: whoever has that finds this.
        self.backend.note(taken)
        self._answer(taken, *ANSWERS[signal])

    def _answer(self, taken, response, field):
        fate = taken.fate
        if fate == "reset after":
            return self._reset()
        if fate == "stall":
            # Until the sender has had enough.
            select.select([self.connection], [], [], 20)
            return self._reset()
        if fate == "slow":
            time.sleep(0.3)
        message, status, more = response(), 200, {}
        if taken.partial:
            setattr(message.partial_success, field, taken.partial)
            message.partial_success.error_message = "some are not liked"
        if fate[0] in "45":
            status = int(fate[:3])
        if fate == "429 seconds":
            more["Retry-After"] = "1"
        if fate == "429 date":
            more["Retry-After"] = email.utils.formatdate(time.time() + 2, usegmt=True)
        content = message.SerializeToString() if status == 200 else b""
        self.send_response(status)
        for name, value in more.items():
            self.send_header(name, value)
        self.send_header("Content-Type", PROTOBUF)
        if fate == "half an answer":
            self.send_header("Content-Length", "100")
            self.end_headers()
            self.wfile.write(bytes(50))
            self.wfile.flush()
            return self._reset()
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)
        self.wfile.flush()
        taken.is_answered = True

    def _reset(self):
        self.close_connection = True
        reset(self.connection)

    def log_message(self, *_):
        pass


def reset(connection):
    """Ends a connection by a reset."""
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    # Beside all objects that hold the socket, so that TLS does not say goodbye either.
    os.close(connection.detach())


def certificate(folder, name):
    """A context for a server of 127.0.0.1, and the file of the authority that vouches for it."""
    key, file = folder / f"{name}.key", folder / f"{name}.pem"
    subprocess.run(
        ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-days", "2",
         "-subj", "/CN=backend", "-addext", "subjectAltName=IP:127.0.0.1", "-keyout", key, "-out", file],
        check=True, capture_output=True)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(file, key)
    return context, file

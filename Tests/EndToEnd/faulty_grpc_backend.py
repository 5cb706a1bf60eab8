"""faulty_backend.py for OTLP over gRPC, frame by frame on h2, so that it can leave at any point of a call. h2 also holds the
agent to the protocol: what it calls an error is one.
"""

import base64
import dataclasses
import gzip
import socket
import socketserver
import time

import h2.config
import h2.connection
import h2.errors
import h2.events
import h2.exceptions
import hyperframe.frame
from google.protobuf import duration_pb2
from google.rpc import error_details_pb2, status_pb2

from faulty_backend import ANSWERS, REQUESTS, FaultyBackend, Taken, numbers, reset

PATHS = {
    f"/opentelemetry.proto.collector.{each}.v1.{name}Service/Export": signal
    for each, name, signal in (("trace", "Trace", "traces"), ("logs", "Logs", "logs"), ("metrics", "Metrics", "metrics"))
}
CODES = {
    "CANCELLED": 1, "INVALID_ARGUMENT": 3, "DEADLINE_EXCEEDED": 4, "RESOURCE_EXHAUSTED": 8, "ABORTED": 10, "UNAVAILABLE": 14,
}
# What becomes of a call, and how often of a hundred.
FATES = {
    "ok": 53, "slow": 6, "UNAVAILABLE": 7, "CANCELLED": 1, "DEADLINE_EXCEEDED": 1, "ABORTED": 1, "INVALID_ARGUMENT": 2,
    "RESOURCE_EXHAUSTED with RetryInfo": 3, "RESOURCE_EXHAUSTED": 2, "partial": 6,
    # The last one that this connection takes.
    "goodbye": 2,
    # Taken, and then no answer, or half of one.
    "reset after": 3, "stream reset after": 2, "half an answer": 3, "stall": 2,
    # Not taken.
    "reset before": 1, "stream refused": 2, "cut": 1, "closed": 1, "goodbye before": 1,
}
# What is too large for a backend that does not say when it would take it.
LARGE = 100
SLOW = 0.3


class FaultyCalls(FaultyBackend):
    """Listens on a port of 127.0.0.1, over TLS if there is a context."""

    fate_weights = FATES
    refused = "INVALID_ARGUMENT"
    unavailable = "UNAVAILABLE"

    def __init__(self, random, context=None):
        if context:
            context.set_alpn_protocols(["h2"])
        super().__init__(random, context, _Connection)


@dataclasses.dataclass
class _Call:
    signal: str
    fate: str
    is_packed: bool
    body: bytearray = dataclasses.field(default_factory=bytearray)
    taken: Taken | None = None


class _Connection(socketserver.BaseRequestHandler):
    """A connection: one thread, which waits for bytes and for the time of slow answers."""

    backend = None

    def handle(self):
        self.http = h2.connection.H2Connection(h2.config.H2Configuration(client_side=False, header_encoding="utf-8"))
        self.calls, self.answered, self.due = {}, {}, []
        # The last call that is taken, once goodbye was said.
        self.last = None
        # It is to be left, and nothing is answered on it: as soon as everything that was is heard, at the other's PING.
        self.is_doomed = False
        self.raw = bytearray()
        self.skipped = len(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n")
        try:
            self.request.settimeout(30)
            self.http.initiate_connection()
            self.flush()
            while self.turn():
                pass
        except h2.exceptions.ProtocolError as problem:
            self.backend.problems.append(repr(problem))
        except OSError:
            # The other side, or ourselves, left.
            pass

    def turn(self):
        """Waits for the next thing; false at the end."""
        wait = min((due - time.monotonic() for due, _ in self.due), default=30)
        if wait > 0:
            self.request.settimeout(wait)
            try:
                data = self.request.recv(65_536)
            except TimeoutError:
                return True
            if not data:
                return False
            self.note_resets(data)
            for event in self.http.receive_data(data):
                try:
                    if not self.take(event):
                        return False
                except h2.exceptions.StreamClosedError:
                    # The other side had given it up already.
                    self.calls.pop(event.stream_id, None)
            self.flush()
        while self.due and self.due[0][0] <= time.monotonic():
            _, stream = self.due.pop(0)
            if not self.is_doomed and stream in self.calls:
                self.answer(stream)
        return True

    def flush(self):
        self.request.sendall(self.http.data_to_send())

    def note_resets(self, data):
        """h2 hides resets of calls that were answered: for the other side they were not."""
        self.raw += data
        while True:
            if self.skipped:
                gone = min(self.skipped, len(self.raw))
                del self.raw[:gone]
                self.skipped -= gone
            if self.skipped or len(self.raw) < 9:
                return
            stream = int.from_bytes(self.raw[5:9], "big") & 0x7FFF_FFFF
            if self.raw[3] == 3 and (taken := self.answered.pop(stream, None)):
                taken.is_answered = False
                self.backend.late += 1
            self.skipped = 9 + int.from_bytes(self.raw[:3], "big")

    # Events

    def take(self, event):
        """False where the connection ends."""
        match event:
            case h2.events.PingAckReceived() if self.is_doomed:
                reset(self.request)
                return False
            case h2.events.ConnectionTerminated():
                return True
            case h2.events.StreamReset():
                self.calls.pop(event.stream_id, None)
            case h2.events.DataReceived():
                # Room for more, whatever becomes of these.
                self.http.acknowledge_received_data(event.flow_controlled_length, event.stream_id)
        if self.is_doomed or self.last is not None and getattr(event, "stream_id", 0) > self.last:
            return True
        match event:
            case h2.events.RequestReceived():
                return self.begin(event.stream_id, dict(event.headers))
            case h2.events.DataReceived() if call := self.calls.get(event.stream_id):
                if call.fate == "cut":
                    del self.calls[event.stream_id]
                    self.leave()
                call.body += event.data
            case h2.events.StreamEnded() if event.stream_id in self.calls:
                self.end(event.stream_id, self.calls[event.stream_id])
        return True

    def begin(self, stream, headers):
        fate = self.backend.draw()
        match fate:
            case "reset before":
                self.leave()
            case "closed":
                # In order, but amid: what was answered arrives before.
                self.is_doomed = True
                self.flush()
                self.request.settimeout(30)
                self.request.shutdown(socket.SHUT_WR)
                while self.request.recv(65_536):
                    pass
                return False
            case "stream refused":
                self.http.reset_stream(stream, h2.errors.ErrorCodes.REFUSED_STREAM)
            case "goodbye before":
                self.goodbye(max(stream - 2, 0))
            case _:
                self.calls[stream] = _Call(PATHS[headers[":path"]], fate, headers.get("grpc-encoding") == "gzip")
        return True

    def end(self, stream, call):
        """The call is whole."""
        is_packed, length, body = call.body[0], int.from_bytes(call.body[1:5], "big"), bytes(call.body[5:])
        if length != len(body) or bool(is_packed) != call.is_packed:
            self.backend.problems.append(f"a message of {len(body)} bytes says {length}, packed: {is_packed}")
        found = numbers(call.signal, REQUESTS[call.signal].FromString(gzip.decompress(body) if is_packed else body))
        if call.fate == "RESOURCE_EXHAUSTED" and len(found) < LARGE:
            call.fate = self.backend.unavailable
        call.taken = Taken(call.fate, call.signal, found)
        if call.fate == "partial":
            call.taken.partial = self.backend.random.randint(1, min(3, len(found)))
        # Before the answer: whoever has that finds this.
        self.backend.note(call.taken)
        match call.fate:
            case "slow":
                self.due.append((time.monotonic() + SLOW, stream))
            case "stall":
                pass
            case "reset after":
                self.leave()
            case "stream reset after":
                del self.calls[stream]
                self.http.reset_stream(stream, h2.errors.ErrorCodes.INTERNAL_ERROR)
            case "half an answer":
                self.http.send_headers(stream, [(":status", "200"), ("content-type", "application/grpc")])
                self.http.send_data(stream, bytes([0, 0, 0, 0, 100]) + bytes(50))
                self.leave()
            case "goodbye":
                self.goodbye(self.http.highest_inbound_stream_id)
                self.answer(stream)
            case _:
                self.answer(stream)

    # What goes out

    def leave(self):
        """The connection ends by a reset once the other side has read what was answered."""
        self.is_doomed = True
        self.http.ping(b"heard it")

    def goodbye(self, last):
        """h2 would say nothing more after its own."""
        if self.last is None:
            self.last = last
            self.flush()
            self.request.sendall(hyperframe.frame.GoAwayFrame(0, last_stream_id=last).serialize())

    def answer(self, stream):
        call = self.calls.pop(stream)
        plain = [(":status", "200"), ("content-type", "application/grpc")]
        name = call.fate.split()[0]
        if name in CODES:
            status = status_pb2.Status(code=CODES[name], message="not \u2014 now")
            if call.fate.endswith("RetryInfo"):
                status.details.add().Pack(error_details_pb2.RetryInfo(retry_delay=duration_pb2.Duration(nanos=300_000_000)))
            details = base64.b64encode(status.SerializeToString()).rstrip(b"=").decode()
            self.http.send_headers(stream, plain + [
                ("grpc-status", str(CODES[name])), ("grpc-message", "not %E2%80%94 now"), ("grpc-status-details-bin", details),
            ], end_stream=True)
        else:
            response, field = ANSWERS[call.signal]
            message = response()
            if call.taken.partial:
                setattr(message.partial_success, field, call.taken.partial)
                message.partial_success.error_message = "some are not liked"
            content = message.SerializeToString()
            self.http.send_headers(stream, plain)
            self.http.send_data(stream, b"\0" + len(content).to_bytes(4, "big") + content)
            self.http.send_headers(stream, [("grpc-status", "0")], end_stream=True)
        self.flush()
        self.answered[stream] = call.taken
        call.taken.is_answered = True

"""Hostile senders of OTLP against the real agent, while an honest one goes on: each gets a clear status or is let
go of, the honest one is answered in time, and memory stays bounded."""

import contextlib
import gzip
import http.client
import os
import socket
import statistics
import threading
import time
import unittest

from host import eventually
from test_hostile_peers import Memory
from test_otlp_intake import OTLPCase

BODY_BYTES_MAX = 20 << 20
CONNECTIONS_MAX = 512
# What the agent may have beyond its own few: a body as it came and decompressed, its batches, and what is under way.
ANONYMOUS_BYTES_MAX = 128 << 20
FULL = bool(os.environ.get("CODEX_TELEMETRY_TEST_FULL"))
PROTOBUF = "application/x-protobuf"


def length(count):
    """A varint."""
    out = bytearray()
    while count >= 0x80:
        out.append(count & 0x7F | 0x80)
        count >>= 7
    return bytes(out) + bytes([count])


def field(number, content):
    return bytes([number << 3 | 2]) + length(len(content)) + content


def spans(count, padding=0):
    """A request of one resource."""
    span = field(1, bytes(range(16))) + field(2, bytes(range(8))) + field(5, b"honest" + b"x" * padding)
    return field(1, field(2, field(2, span) * count))


def padded(size):
    """A request of exactly this size: a span with attributes, then a field that nobody knows."""
    start = spans(1)
    rest = size - len(start)
    for header in range(2, 8):
        if len(length(rest - header)) == header - 1:
            return start + bytes([15 << 3 | 2]) + length(rest - header) + bytes(rest - header)
    raise AssertionError(size)


def nested(depth):
    """A value in an array in a value …, so deep: a valid `AnyValue`. From the inside, whose length is all one has to know."""
    prefixes, size = [], 0
    for _ in range(depth):
        for tag in (0x0A, 0x2A):
            prefix = bytes([tag]) + length(size)
            prefixes.append(prefix)
            size += len(prefix)
    return b"".join(reversed(prefixes))


def with_value(path, value):
    """A request with an honest record and one that has this value."""
    if path == "/v1/traces":
        return field(1, field(2, field(2, field(5, b"good")) + field(2, field(9, field(1, b"k") + field(2, value)))))
    if path == "/v1/logs":
        return field(1, field(2, field(2, field(3, b"good")) + field(2, field(5, value))))
    point = field(1, field(7, field(1, b"k") + field(2, value)))
    return field(1, field(2, field(2, field(1, b"good") + field(5, field(1, b"") + point))))


class Sender(threading.Thread):
    """An honest sender: a request every few milliseconds on one connection; it comes again if it is told so, or if
    its connection is taken from it."""

    def __init__(self, port):
        super().__init__(daemon=True)
        self.port, self.body = port, spans(20)
        self.stored, self.again, self.seconds, self.problem = 0, 0, [], None
        self.ending = threading.Event()

    def run(self):
        try:
            with contextlib.ExitStack() as stack:
                peer = None
                while not self.ending.wait(0.005):
                    start = time.monotonic()
                    try:
                        peer = peer or stack.enter_context(socket.create_connection(("127.0.0.1", self.port), 20))
                        status = post(peer, self.body)
                    except (ConnectionError, EOFError):
                        self.again += 1
                        peer = None
                        continue
                    self.seconds.append(time.monotonic() - start)
                    if status == 200:
                        self.stored += 20
                    elif status in (429, 503):
                        self.again += 1
                    else:
                        raise AssertionError(f"an honest sender was told {status}")
        except Exception as problem:  # shown by the test
            self.problem = problem


def head(size, path="/v1/traces", kind=PROTOBUF, **more):
    lines = [f"POST {path} HTTP/1.1", "Host: localhost", f"Content-Type: {kind}"]
    if size is not None:
        lines.append(f"Content-Length: {size}")
    lines += [f"{name.replace('_', '-')}: {value}" for name, value in more.items()]
    return ("\r\n".join(lines) + "\r\n\r\n").encode()


def answer(peer):
    """The status of the next answer, and its head."""
    with peer.makefile("rb") as stream:
        first = stream.readline()
        if not first:
            raise EOFError
        told = {}
        while line := stream.readline().strip():
            name, _, value = line.decode().partition(":")
            told[name.lower()] = value.strip()
        stream.read(int(told.get("content-length", 0)))
    return int(first.split()[1]), told


def post(peer, body, **more):
    peer.sendall(head(len(body), **more) + body)
    return answer(peer)[0]


class HostileSenders(OTLPCase):
    def setUp(self):
        super().setUp()
        self.begin()
        self.memory = Memory(self.agent.pid)
        self.memory.start()
        self.addCleanup(self.memory.join)
        self.addCleanup(self.memory.ending.set)
        self.honest = Sender(self.port)
        self.honest.start()
        self.addCleanup(self.honest.join)
        self.addCleanup(self.honest.ending.set)
        eventually(lambda: self.honest.stored > 100, 20, "an honest sender's records come in")

    def connect(self):
        peer = socket.create_connection(("127.0.0.1", self.port), 20)
        self.addCleanup(peer.close)
        return peer

    def sent(self, body, **more):
        """The answer to a request on a connection of its own; the agent may close before it has read all."""
        with socket.create_connection(("127.0.0.1", self.port), 20) as peer:
            with contextlib.suppress(BrokenPipeError, ConnectionResetError):
                peer.sendall(head(len(body), **more) + body)
            return answer(peer)[0]

    def told(self, body, path="/v1/traces", kind=PROTOBUF):
        """The answer in full."""
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=30)
        try:
            connection.request("POST", path, body, {"Content-Type": kind})
            answer = connection.getresponse()
            return answer.status, answer.read()
        finally:
            connection.close()

    def finish(self, stored=0):
        """All of the honest one's records are in the log, once; it was answered in time; memory is bounded."""
        before = self.honest.stored
        eventually(lambda: self.honest.stored > before + 100, 20, "the honest sender goes on")
        self.honest.ending.set()
        self.honest.join(30)
        if self.honest.problem:
            raise self.honest.problem
        status = self.status()
        self.balances(status)
        self.assertEqual(status["intake"]["stored"]["records"], self.honest.stored + stored)
        self.memory.ending.set()
        self.memory.join()
        self.assertLess(self.memory.peak - self.memory.first, ANONYMOUS_BYTES_MAX)
        worst = max(self.honest.seconds)
        # A debug build decodes a body of the limit for seconds.
        self.assertLess(worst, 3 if FULL else 15)
        print(f"  {self.id().split('.')[-1]}: {len(self.honest.seconds)} honest requests, median "
              f"{statistics.median(self.honest.seconds) * 1e3:.1f} ms, worst {worst * 1e3:.0f} ms, sent again {self.honest.again}; "
              f"answers {status['receivers'][0]['answers']}, closed {status['intake']['connections_closed']}; memory "
              f"{self.memory.first >> 20} to {self.memory.peak >> 20} MiB", flush=True)
        self.stop()
        self.assertEqual(self.assert_all_there()["records"], self.honest.stored + stored)

    def test_bombs(self):
        zeros = gzip.compress(bytes(400 << 20), 9)
        tower = b"".join(gzip.compress(bytes(1 << 20), 9) for _ in range(64))
        empty = gzip.compress(b"") * 100_000
        for _ in range(3):
            self.assertEqual(self.sent(zeros, Content_Encoding="gzip"), 413)
            self.assertEqual(self.sent(tower, Content_Encoding="gzip"), 413)
            self.assertEqual(self.sent(empty, Content_Encoding="gzip"), 400)
        # Two bytes each, and fifteen in a batch. A debug build decodes them for seconds.
        if FULL:
            self.assertEqual(self.sent(field(1, field(2, b"\x12\x00" * 5_000_000))), 413)
        self.finish()

    def test_a_body_of_the_limit_is_taken_and_one_byte_more_is_not(self):
        taken = 0
        for size, status in ((BODY_BYTES_MAX, 200), (BODY_BYTES_MAX + 1, 413)):
            body = padded(size)
            self.assertEqual(len(body), size)
            self.assertEqual(self.sent(body), status)
            self.assertEqual(self.sent(gzip.compress(body, 1), Content_Encoding="gzip"), status)
            taken += 2 * (status == 200)
            with self.connect() as peer:
                with contextlib.suppress(BrokenPipeError, ConnectionResetError):
                    peer.sendall(head(None, Transfer_Encoding="chunked"))
                    for at in range(0, size, 1 << 20):
                        piece = body[at : at + (1 << 20)]
                        peer.sendall(f"{len(piece):x}\r\n".encode() + piece + b"\r\n")
                    peer.sendall(b"0\r\n\r\n")
                self.assertEqual(answer(peer)[0], status)
            taken += status == 200
        self.finish(stored=taken)

    def test_a_body_of_the_limit_that_is_records_to_the_last_byte_is_taken(self):
        # Names of their own: what repeats would stand once in a batch.
        spans = [field(2, field(5, b"%06d" % number + b"x" * 400))
                 for number in range((BODY_BYTES_MAX - 64) // len(field(2, field(5, b"x" * 406))))]
        body, count = field(1, field(2, b"".join(spans))), len(spans)
        self.assertTrue(BODY_BYTES_MAX - 1000 < len(body) <= BODY_BYTES_MAX, len(body))
        self.assertEqual(self.told(body), (200, b""))
        self.finish(stored=count)

    def test_nesting(self):
        """100,000 deep: in JSON the whole is refused, in protobuf, where lengths lead past it, the record alone."""
        values = b'{"arrayValue":{"values":[' * 100_000 + b"]}}" * 100_000
        for body, what in (
            (b'{"a":' * 100_000 + b"1" + b"}" * 100_000, b"nested"),
            (b'{"resourceSpans":' + b"[" * 100_000 + b"]" * 100_000 + b"}", b"wrong type"),
            (b'{"resourceSpans":[{"scopeSpans":[{"spans":[{"attributes":[{"key":"k","value":' + values + b"}]}]}]}]}", b"nested"),
        ):
            status, text = self.told(body, kind="application/json")
            self.assertEqual(status, 400, text[:200])
            self.assertIn(what, text)
        stored = 0
        for path in ("/v1/traces", "/v1/logs", "/v1/metrics"):
            body = with_value(path, nested(100_000))
            self.assertGreater(len(body), 700_000)
            status, text = self.told(body, path)
            self.assertEqual(status, 200, text[:200])
            # `partial_success { rejected: 1 … }`
            self.assertEqual(text[2:4], b"\x08\x01", text)
            self.assertIn(b"nested too deep", text)
            stored += 1
        self.assertEqual(self.status()["receivers"][0]["rejected_records"], 3)
        self.finish(stored=stored)

    def test_requests_that_trickle(self):
        """More of them than there are connections, each a byte of its body a second, or a line of its head."""
        ending = threading.Event()
        peers = [self.connect() for _ in range(CONNECTIONS_MAX + 100)]

        def trickle():
            for number, peer in enumerate(peers):
                with contextlib.suppress(OSError):
                    begin = head(1000)
                    peer.sendall(begin[:-2] if number % 2 else begin)
            while not ending.wait(1):
                for number, peer in enumerate(peers):
                    with contextlib.suppress(OSError):
                        peer.sendall(b"x: y\r\n" if number % 2 else b"x")

        thread = threading.Thread(target=trickle)
        thread.start()
        try:
            for _ in range(5):
                with self.connect() as peer:
                    self.assertEqual(post(peer, b""), 200)
                time.sleep(0.5)
        finally:
            ending.set()
            thread.join()
        self.finish()

    def test_500_idle_connections(self):
        peers = [self.connect() for _ in range(500)]
        for peer in peers[::10]:
            self.assertEqual(post(peer, b""), 200)
        eventually(lambda: self.honest.stored > 1000, 20, "the honest sender goes on")
        for peer in peers[::25]:
            self.assertEqual(post(peer, b""), 200)
        self.finish()

    def test_peers_that_do_not_read_and_garbage(self):
        for _ in range(20 if FULL else 1):
            # Little room, so that the agent is soon left with its answers.
            peer = socket.socket()
            self.addCleanup(peer.close)
            peer.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
            peer.connect(("127.0.0.1", self.port))
            peer.settimeout(0.5)
            with contextlib.suppress(OSError):
                while True:
                    peer.sendall(b"POST /v1/none HTTP/1.1\r\nHost: localhost\r\nContent-Length: 0\r\n\r\n" * 1000)
        for data in (b"\0" * 1000, b"GET " + b"x" * 200_000, b"PRY * HTTP/2.0\r\n\r\nSM\r\n\r\n", b"CXTL" + bytes(40),
                     head(None, Transfer_Encoding="chunked") + b"FFFFFFFFFFFFFFFFF\r\n", head(-1), head("1, 2"),
                     b"POST /v1/traces HTTP/1.1\r\n" + b"a: b\r\n" * 100_000 + b"\r\n"):
            with self.connect() as peer:
                with contextlib.suppress(BrokenPipeError, ConnectionResetError):
                    peer.sendall(data)
                    peer.shutdown(socket.SHUT_WR)
                with contextlib.suppress(EOFError, ConnectionResetError):
                    self.assertIn(answer(peer)[0], (400, 404, 405, 413, 431), data[:40])
        self.finish()


if __name__ == "__main__":
    unittest.main()

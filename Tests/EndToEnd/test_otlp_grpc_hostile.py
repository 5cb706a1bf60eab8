"""test_otlp_hostile.py over HTTP/2: hostile peers, frame by frame, while an honest sender goes on; memory stays bounded."""

import contextlib
import gzip
import socket
import struct
import unittest

import test_otlp_hostile
from host import eventually
from test_otlp_hostile import CONNECTIONS_MAX, spans

PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
DATA, HEADERS, RESET, SETTINGS, PING, CONTINUATION = 0, 1, 3, 4, 6, 9
END_STREAM, END_HEADERS = 1, 4
METHOD = "/opentelemetry.proto.collector.trace.v1.TraceService/Export"


def frame(kind, content=b"", flags=0, stream=0):
    return struct.pack(">I", len(content))[1:] + bytes([kind, flags]) + struct.pack(">I", stream) + content


def text(value):
    """A literal of HPACK, not Huffman's (RFC 7541, 5.2)."""
    value = value.encode() if isinstance(value, str) else value
    count, out = len(value), bytearray()
    if count < 127:
        return bytes([count]) + value
    count -= 127
    while count >= 128:
        out.append(count & 127 | 128)
        count >>= 7
    return b"\x7f" + bytes(out) + bytes([count]) + value


def block(path=METHOD, **more):
    """The headers of a call, each a literal that nobody remembers."""
    fields = {":method": "POST", ":scheme": "http", ":path": path, ":authority": "localhost", "content-type": "application/grpc",
              "te": "trailers"} | {name.replace("_", "-"): value for name, value in more.items()}
    return b"".join(b"\0" + text(name) + text(value) for name, value in fields.items())


def head(stream, flags=END_HEADERS, **more):
    return frame(HEADERS, block(**more), flags, stream)


def message(body, flag=0):
    return bytes([flag]) + struct.pack(">I", len(body)) + body


class HostileCalls(test_otlp_hostile.HostileSenders):
    def peer(self, room=None):
        """A connection that has said what HTTP/2 begins with, and knows the agent's windows."""
        peer = socket.socket()
        self.addCleanup(peer.close)
        if room:
            peer.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, room)
        peer.settimeout(20)
        peer.connect(("127.0.0.1", self.grpc_port))
        peer.sendall(PREFACE + frame(SETTINGS))
        self.assertEqual(peer.recv(9)[3], SETTINGS)
        peer.sendall(frame(SETTINGS, flags=1))
        return peer

    def answers(self):
        return self.status()["receivers"][0]["answers"]

    def flood(self, peer, data, times=1):
        with contextlib.suppress(OSError):
            for _ in range(times):
                peer.sendall(data)

    def test_messages_that_never_end(self):
        """A hundred on each connection: far more bytes than there is room for."""
        peers = [self.peer() for _ in range(40)]
        start = message(bytes(4 << 20))[: 16_384]
        for peer in peers:
            self.flood(peer, b"".join(head(2 * n + 1) + frame(DATA, start, 0, 2 * n + 1) for n in range(100)))
        eventually(lambda: self.answers().get("RESOURCE_EXHAUSTED", 0) > 500, 60, lambda: f"some are refused: {self.answers()}")
        self.finish()

    def test_peers_that_do_not_read(self):
        for _ in range(5):
            peer = self.peer(room=4096)
            peer.settimeout(0.5)
            calls = b"".join(head(2 * n + 1, END_STREAM | END_HEADERS, path="/none") for n in range(2000))
            self.flood(peer, calls)
            self.flood(peer, frame(PING, bytes(8)) * 1000, times=100)
        self.finish()

    def test_resets_and_floods(self):
        for _ in range(5):
            resets = b"".join(head(2 * n + 1) + frame(RESET, struct.pack(">I", 8), 0, 2 * n + 1) for n in range(2000))
            for data in (resets, frame(PING, bytes(8)) * 10_000, frame(SETTINGS) * 10_000, frame(DATA, b"", 0, 1) * 10_000,
                         b"".join(head(2 * n + 1) for n in range(1000))):
                self.flood(self.peer(), data)
        self.finish()

    def test_headers_without_end_and_headers_that_unfold(self):
        named = b"\x40" + text("x") + text(b"a" * 4000) + b"\xbe" * 12_000
        for _ in range(5):
            self.flood(self.peer(), frame(HEADERS, named, END_STREAM | END_HEADERS, 1))
            self.flood(self.peer(), frame(HEADERS, b"\x82", 0, 1) + frame(CONTINUATION, b"\x82" * 16_000, 0, 1) * 1000)
            self.flood(self.peer(), head(1, path="/" + "x" * 15_000) * 10)
        self.finish()

    def test_500_idle_connections_of_http2(self):
        peers = [self.peer() for _ in range(CONNECTIONS_MAX - 12)]
        for peer in peers[::20]:
            peer.sendall(head(1) + frame(DATA, message(b""), END_STREAM, 1))
        eventually(lambda: self.answers().get("OK", 0) >= len(peers[::20]), 20, "they are served")
        self.finish()

    def test_bombs_over_grpc(self):
        bomb = message(gzip.compress(bytes(400 << 20), 9), 1)
        for _ in range(3):
            peer = self.peer()
            peer.sendall(head(1, grpc_encoding="gzip") + b"".join(
                frame(DATA, bomb[at : at + 16_384], 0, 1) for at in range(0, len(bomb), 16_384)) + frame(DATA, b"", END_STREAM, 1))
        eventually(lambda: self.answers().get("RESOURCE_EXHAUSTED", 0) == 3, 30, lambda: f"they are refused: {self.answers()}")
        peer = self.peer()
        peer.sendall(head(1) + frame(DATA, message(spans(7)), END_STREAM, 1))
        eventually(lambda: self.answers().get("OK", 0) == 1, 20, "what is none is taken")
        self.finish(stored=7)


# Those of HTTP/1.1 have been run.
for name in set(dir(test_otlp_hostile.HostileSenders)) - set(vars(HostileCalls)):
    if name.startswith("test_"):
        setattr(HostileCalls, name, None)

if __name__ == "__main__":
    unittest.main()

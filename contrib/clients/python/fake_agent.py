"""An agent for tests: welcomes, stores what it gets, acks, and misbehaves on request."""

from __future__ import annotations

import os
import socket
import struct
import sys
import threading
import time
from typing import Any

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, os.path.join(HERE, "../../../Tests/Witness"))

from batch_reader import read_batch  # noqa: E402
from frames import ACK, BATCH, ERROR, GOODBYE, HELLO, THROTTLE, WELCOME  # noqa: E402
from frames import frame, read_frame, read_hello  # noqa: E402
from wire_bytes import WireError  # noqa: E402


class FakeAgent:
    """Stores like the real one: once for each (producer, sequence) that rises."""

    def __init__(self, path: str, ack: bool = True, window: int = 1 << 20,
                 welcome: bool = True) -> None:
        self.path, self.ack, self.window, self.welcome = path, ack, window, welcome
        self.stored: list[Any] = []
        self.hellos: list[dict[str, Any]] = []
        self.highest: dict[bytes, int] = {}
        self.received = self.goodbyes = 0
        self.dead = False
        self.refuse: set[int] = set()
        self.throttle_ms: int | None = None
        self.fatal: int | None = None
        self.supersede_at: int | None = None
        self.kill_after: int | None = None
        self.lock = threading.Lock()
        self.connections: list[socket.socket] = []
        self.threads: list[threading.Thread] = []
        os.makedirs(os.path.dirname(path), exist_ok=True)
        if os.path.exists(path):
            os.unlink(path)
        self.listener = socket.socket(socket.AF_UNIX)
        self.listener.bind(path)
        self.listener.listen()
        self._start(self._accept)

    def _start(self, target: Any, *arguments: Any) -> None:
        thread = threading.Thread(target=target, args=arguments, daemon=True)
        self.threads.append(thread)
        thread.start()

    def _accept(self) -> None:
        while True:
            try:
                peer, _ = self.listener.accept()
            except OSError:
                return
            self.connections.append(peer)
            self._start(self._serve, peer)

    def _serve(self, peer: socket.socket) -> None:
        data, producer = b"", b""
        try:
            while chunk := peer.recv(65536):
                data += chunk
                while not self.dead:
                    try:
                        kind, body, after = read_frame(data)
                    except WireError as error:
                        if error.name == "truncated":
                            break
                        raise
                    data = data[after:]
                    if kind == HELLO:
                        hello = read_hello(body)
                        producer = hello["producer"]
                        self.hellos.append(hello)
                        if self.throttle_ms is not None:
                            body = struct.pack("<HHI", 0x22, 0, self.throttle_ms)
                            peer.sendall(frame(THROTTLE, body))
                            peer.close()
                            return
                        if self.fatal is not None:
                            body = struct.pack("<HHIQ", self.fatal, 1, 0, 0) + b"\0"
                            peer.sendall(frame(ERROR, body))
                            peer.close()
                            return
                        if hello["flags"] & 1 and self.welcome:
                            peer.sendall(frame(WELCOME, struct.pack(
                                "<HHI16sQQQQ", 0, 56, 4 << 20, b"l" * 16,
                                self.highest.get(producer, 0), self.window, 0, 0)))
                    elif kind == BATCH:
                        self._batch(peer, producer, body)
                    elif kind == GOODBYE:
                        self.goodbyes += 1
        except OSError:
            pass  # The test or the client closed it.

    def _batch(self, peer: socket.socket, producer: bytes, body: bytes) -> None:
        batch = read_batch(body)
        sequence = batch.header["sequence"]
        assert batch.header["producer"] == producer
        with self.lock:
            self.received += 1
            if self.supersede_at == sequence:
                self.supersede_at = None
                peer.sendall(frame(ERROR, struct.pack("<HHIQ", 0x07, 1, 0, 0) + b"\0"))
                peer.shutdown(socket.SHUT_RDWR)
                return
            if sequence in self.refuse:
                peer.sendall(frame(ERROR, struct.pack("<HHIQ", 0x16, 0, 0, sequence) + b"\2no"))
            elif sequence > self.highest.get(producer, 0):
                self.highest[producer] = sequence
                self.stored.append(batch)
        if self.kill_after is not None and self.received >= self.kill_after:
            self.stop()
        elif self.ack:
            peer.sendall(frame(ACK, struct.pack("<QQQ", sequence, 80, 0)))

    def records(self) -> list[dict[str, Any]]:
        with self.lock:
            return [record for batch in self.stored for record in batch.records]

    def wait(self, count: int, seconds: float = 10.0) -> list[dict[str, Any]]:
        """Waits until so many records are stored."""
        until = time.monotonic() + seconds
        while len(self.records()) < count and time.monotonic() < until:
            time.sleep(0.005)
        return self.records()

    def stop(self) -> None:
        """Dies: nobody is answered any more."""
        self.dead = True
        try:
            self.listener.shutdown(socket.SHUT_RDWR)
        except OSError:
            pass  # It was stopped before.
        self.listener.close()
        for peer in self.connections:
            try:
                peer.shutdown(socket.SHUT_RDWR)
            except OSError:
                pass  # Closed already.
            peer.close()

    def close(self) -> None:
        self.stop()
        for thread in self.threads:
            if thread is not threading.current_thread():
                thread.join(5)

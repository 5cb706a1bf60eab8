"""The agent's codec as a filter: requests to batches and back."""

from __future__ import annotations

import json
import os
import struct
import subprocess
from dataclasses import dataclass
from typing import Any

from messages import SIGNALS

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
PROGRAM = os.environ.get("OTLP_ECHO", os.path.join(ROOT, ".build", "debug", "otlp-echo"))
PROTOBUF, JSON = 0, 1


@dataclass
class Answer:
    """What came back of a request: its records again, or why it was refused; and what was counted."""

    refused: bool
    body: bytes
    counts: dict[str, Any]


class Echo:
    """The program, as long as it runs."""

    def __enter__(self) -> Echo:
        self.process = subprocess.Popen([PROGRAM, "echo"], stdin=subprocess.PIPE,
                                        stdout=subprocess.PIPE)
        return self

    def __exit__(self, *_: object) -> None:
        assert self.process.stdin and self.process.stdout
        self.process.stdin.close()
        code = self.process.wait(30)
        self.process.stdout.close()
        if code != 0:
            raise RuntimeError(f"otlp-echo ended with {code}")

    def send(self, signal: str, body: bytes, encoding: int = PROTOBUF, answer: int = PROTOBUF,
             additions: bool = False, small: bool = False) -> Answer:
        assert self.process.stdin and self.process.stdout
        flags = additions | small << 1
        self.process.stdin.write(struct.pack(
            "<IBBBB", len(body), SIGNALS.index(signal), encoding, answer, flags) + body)
        self.process.stdin.flush()
        refused, length = struct.unpack("<BI", self.read(5))
        content = self.read(length)
        counts = json.loads(self.read(struct.unpack("<I", self.read(4))[0]))
        return Answer(bool(refused), content, counts)

    def read(self, length: int) -> bytes:
        assert self.process.stdout
        data = self.process.stdout.read(length)
        if len(data) != length:
            raise RuntimeError(f"otlp-echo ended with {self.process.wait(30)}")
        return data

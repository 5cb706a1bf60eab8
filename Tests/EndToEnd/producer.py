#!/usr/bin/env python3
"""A producer whose every byte the test decides: frames by hand, batches by the Python client's encoder.

    producer.py SOCKET < JSON           {"service": …, "resource": {…}, "records": [{…}, …]}
    producer.py SOCKET load COUNT SIZE  COUNT spans in batches of SIZE, as fast as acks allow

A record is a span with hexadecimal ids, times in nanoseconds and attributes. Prints a line of JSON: its
pid and uid, its producer id, what welcome and the last ack said, and its tally for contrib/balance.
"""

import json
import os
import pathlib
import socket
import struct
import sys

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[2] / "contrib/clients/python"))
import codex_telemetry  # noqa: E402

HELLO, BATCH, GOODBYE, WELCOME, ACK, THROTTLE, ERROR = 0x01, 0x02, 0x03, 0x81, 0x82, 0x83, 0x84


class Producer:
    """One connection of one producer that reads answers."""

    def __init__(self, path):
        self.id = os.urandom(16)
        self.socket = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self.socket.connect(path)
        self.file = self.socket.makefile("rb")
        hello = struct.pack("<4sHH16sQII", b"CXTL", 0, 40, self.id, 1, 1, 0) + b"\0"
        self.socket.sendall(codex_telemetry.frame(HELLO, hello))
        kind, body = self.read()
        assert kind == WELCOME, (hex(kind), body)
        _, _, self.body_max, log_id, _, self.window, _, _ = struct.unpack_from("<HHI16sQQQQ", body)
        self.log_id = log_id.hex()
        self.acked = self.offset = 0
        self.sent = {}

    def read(self):
        """The next frame of the agent."""
        header = self.file.read(12)
        if len(header) < 12:
            raise ConnectionError("the agent closed the connection")
        length, kind, version, _, crc = struct.unpack("<IBBHI", header)
        body = self.file.read(length)
        assert version == 0 and codex_telemetry.crc32c(body) == crc
        return kind, body

    def send(self, sequence, records, service="codex-cli", resource=None):
        """Sends one batch and returns its bytes; does not wait."""
        attributes = {"service.name": service} | (resource or {})
        start = min(record.get("start") or record["time"] for record in records)
        batch = codex_telemetry.Encoder(start).encode(
            self.id, sequence, records, ("", 0, attributes)
        )
        self.socket.sendall(codex_telemetry.frame(BATCH, batch))
        self.sent[sequence] = len(records)
        return len(batch)

    def wait(self, sequence):
        """Waits until everything up to a sequence is dealt with."""
        while self.acked < sequence:
            kind, body = self.read()
            if kind != ACK:
                raise AssertionError(f"the agent sent {kind:#x}: {body!r}")
            self.acked, self.offset, _ = struct.unpack_from("<QQQ", body)

    def close(self):
        self.socket.sendall(codex_telemetry.frame(GOODBYE))
        self.socket.close()

    def summary(self):
        return {
            "pid": os.getpid(),
            "uid": os.getuid(),
            "producer": self.id.hex(),
            "log_id": self.log_id,
            "acked": self.acked,
            "offset": self.offset,
            "tally": self.tally(),
        }

    def tally(self):
        acked = [count for sequence, count in self.sent.items() if sequence <= self.acked]
        sent = {"batches": len(self.sent), "records": sum(self.sent.values())}
        done = {"batches": len(acked), "records": sum(acked)}
        rest = {unit: sent[unit] - done[unit] for unit in sent}
        return {"producer": self.id.hex(), "acked": done, "unsettled": rest, "sent": sent, "refused": {}}


def record(given):
    """A record of the encoder from its JSON."""
    made = dict(given)
    made.setdefault("type", 1)
    for key in ("trace_id", "span_id", "parent_span_id"):
        if key in made:
            made[key] = bytes.fromhex(made[key])
    if "body" in made:
        made["body"] = (made["body"],)
    return made


def load(producer, count, size):
    """`count` spans, each of its own id, with at most 8 batches that are not acked."""
    trace, base, sequence = os.urandom(16), 1_700_000_000_000_000_000, 0
    for first in range(0, count, size):
        sequence += 1
        records = [
            {
                "type": 1,
                "trace_id": trace,
                "span_id": struct.pack(">Q", number + 1),
                "name": "load.span",
                "start": base + number * 1000,
                "end": base + number * 1000 + 500,
                "attributes": {"number": number, "kind": "load"},
            }
            for number in range(first, min(first + size, count))
        ]
        producer.send(sequence, records, service="load")
        producer.wait(sequence - 8)
    producer.wait(sequence)


def main(arguments):
    producer = Producer(arguments[0])
    if arguments[1:2] == ["load"]:
        load(producer, int(arguments[2]), int(arguments[3]))
    else:
        given = json.load(sys.stdin)
        producer.send(
            1, [record(each) for each in given["records"]], given["service"], given.get("resource")
        )
        producer.wait(1)
    print(json.dumps(producer.summary()))
    producer.close()


if __name__ == "__main__":
    main(sys.argv[1:])

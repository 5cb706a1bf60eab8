"""The least that is a client: it writes a hello, batches of spans, and closes. It reads nothing.

    python3 minimal.py SOCKET NAME...        one span for each name

What it lacks: acknowledgements, resending, the spool, anything but spans. See codex_telemetry.py.
"""

import os
import socket
import struct
import sys
import time


def crc32c(data):
    crc = 0xFFFFFFFF
    for byte in data:
        crc ^= byte
        for _ in range(8):
            crc = crc >> 1 ^ (0x82F63B78 if crc & 1 else 0)
    return crc ^ 0xFFFFFFFF


def frame(kind, body):
    return struct.pack("<IBBHI", len(body), kind, 0, 0, crc32c(body)) + body


def varint(value):
    out = bytearray()
    while value > 0x7F:
        out.append(value & 0x7F | 0x80)
        value >>= 7
    return bytes(out) + bytes((value,))


def sized(content):
    return varint(len(content)) + content


def batch(producer, sequence, service, spans):
    """`spans`: (trace id, span id, name, start, end), at most 65,535."""
    base = spans[0][3]
    texts, traces, records = ["service.name", service], [], b""
    for trace, span, name, start, end in spans:
        for table, entry in ((texts, name), (traces, trace)):
            if entry not in table:
                table.append(entry)
        since = start - base
        records += b"\1" + sized(
            varint(1) + varint(traces.index(trace) + 1) + span + varint(texts.index(name) + 1)
            + varint(since << 1 if since >= 0 else ~since << 1 | 1) + varint(end - start))
    strings = b"".join(varint(len(text.encode()) << 1) + text.encode() for text in texts)
    sections = ((1, varint(len(texts)) + strings), (2, varint(len(traces)) + b"".join(traces)),
                (3, b"\0\0" + b"\1" + b"\1" + b"\1" + b"\2"), (7, records))
    header = struct.pack("<HHI16sQQQIIII", 0, 64, len(spans), producer, sequence, base, 0, 0, 0, 0, 0)
    return header + b"".join(bytes((kind,)) + sized(content) for kind, content in sections)


def main():
    path, *names = sys.argv[1:]
    producer, now = os.urandom(16), time.time_ns()
    spans = [(os.urandom(16), os.urandom(8), name, now, now + 1_000_000) for name in names]
    hello = struct.pack("<4sHH16sQII", b"CXTL", 0, 40, producer, 1, 0, 0) + b"\0"
    with socket.socket(socket.AF_UNIX) as agent:
        agent.connect(path)
        agent.sendall(frame(1, hello) + frame(2, batch(producer, 1, "minimal", spans)))


if __name__ == "__main__":
    main()

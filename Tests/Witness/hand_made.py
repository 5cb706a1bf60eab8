"""Log files made by hand from segment-log.md, for the witness's own tests."""

from __future__ import annotations

import os
import struct

from wire_bytes import crc32c

LOG_ID = bytes(range(16))
NONCE = 0x1122334455667788


def batch(producer: bytes, sequence: int, records: int = 1, dropped: int = 0) -> bytes:
    """A batch of spans with one-byte names, in the shortest encoding."""
    # Type, length, flags (internal), trace 1, span id, name 1, start base + 2, duration 7.
    body = b"".join(bytes((1, 13, 1, 1)) + bytes(7) + bytes((i % 255 + 1, 1, 4, 7))
                    for i in range(records))
    strings, traces = b"\1\2a", b"\1" + b"\7" * 16
    length = bytes(((len(body) & 127) | 128, len(body) >> 7 & 127 | 128, len(body) >> 14))
    return (struct.pack("<HHI16sQQQ4I", 0, 64, records, producer, sequence, 1000, 0, dropped, 0, 0,
                        0)
            + b"\1\3" + strings + b"\2\x11" + traces + b"\7" + length + body)


def entry(number: int, position: int, payload: bytes, producer: bytes, sequence: int,
          records: int = 1, uid: int = 1000, nonce: int = NONCE) -> bytes:
    envelope = struct.pack("<4sHHIIQQQQIIIBBH16sQIIQQIQ", b"CXTE", 0, 128, len(payload),
                           crc32c(payload), nonce, number << 32 | position, 5000 + position, 77,
                           uid, 100, 42, 1, 0, 0, producer, sequence, records, records, 1002,
                           1009, 0, 0)
    whole = envelope + struct.pack("<I", crc32c(envelope)) + payload
    return whole + bytes(-len(whole) % 8)


def header(number: int, batches_before: int = 0, records_before: int = 0) -> bytes:
    fixed = struct.pack("<8sHHI16sQQQQQI", b"CXTLSEG0", 0, 80, 0, LOG_ID, number, NONCE, 4000,
                        batches_before, records_before, 0)
    return fixed + struct.pack("<I", crc32c(fixed))


def footer(number: int, position: int, batches: int, records: int, dedupe: list[tuple],
           trace_ids: list[bytes] = [], words: int = 4, hashes: int = 3) -> bytes:
    bits = [0] * words
    for trace in trace_ids:
        a, b = struct.unpack(">QQ", trace)
        for i in range(hashes):
            n = (a + i * (b | 1)) % 2**64 % (64 * words)
            bits[n // 64] |= 1 << n % 64
    body = struct.pack("<4sHHQQQQQQQQQIIIIQQQQ", b"CXTF", 0, 128, number, NONCE, position, batches,
                       records, 5080, 6000, 1002, 1009, 1, len(dedupe), words, hashes, records, 0,
                       0, 0)
    body += struct.pack("<IIQ", 80, 0, 5080)
    body += b"".join(struct.pack("<II16sQQ", uid, 0, *rest) for uid, *rest in dedupe)
    body += struct.pack(f"<{words}Q", *bits)
    return body + struct.pack("<II8s", len(body), crc32c(body), b"CXTLEND0")


def small(magic: bytes, content: bytes) -> bytes:
    fixed = (magic + content).ljust(60, b"\0")
    return fixed + struct.pack("<I", crc32c(fixed))


def meta(next_segment: int, clean: bool) -> bytes:
    return small(b"CXTLMET0", struct.pack("<HHI16sQB3xQQ", 0, 64, 0, LOG_ID, next_segment, clean,
                                          0, 0))


def position(committed: int, synced: int) -> bytes:
    return small(b"CXTLPOS0", struct.pack("<QQQ", committed, synced, 1))


def checkpoint(magic: bytes, offset: int, body: bytes) -> bytes:
    fixed = struct.pack("<8sHHIII16sQ", magic, 0, 0, len(body), crc32c(body), 0, LOG_ID, offset)
    return fixed[:20] + struct.pack("<I", crc32c(fixed)) + fixed[24:] + body


class StateDirectory:
    """Writes segments into a temporary state directory and remembers where entries begin."""

    def __init__(self, path: str) -> None:
        self.path = path
        os.makedirs(os.path.join(path, "log"))
        self.places: dict[int, list[int]] = {}

    def file(self, number: int) -> str:
        return os.path.join(self.path, "log", f"{number:010}.segment")

    def write(self, name: str, data: bytes) -> None:
        os.makedirs(os.path.dirname(os.path.join(self.path, name)), exist_ok=True)
        with open(os.path.join(self.path, name), "wb") as file:
            file.write(data)

    def segment(self, number: int, batches: list[tuple[bytes, int, int]], sealed: bool = False,
                zeros: int = 0, traces: list[bytes] = [],
                before: tuple[int, int] = (0, 0)) -> None:
        """`batches`: (producer, sequence, records) each."""
        data, places = header(number, *before), []
        for producer, sequence, records in batches:
            places.append(len(data))
            data += entry(number, len(data), batch(producer, sequence, records), producer, sequence,
                          records)
        self.places[number] = places + [len(data)]
        if sealed:
            data += footer(number, len(data), len(batches), sum(b[2] for b in batches),
                           [(1000, b[0], b[1], 5000) for b in batches[-1:]], traces)
        self.write(f"log/{number:010}.segment", data + bytes(zeros))

    def damage(self, number: int, at: int, data: bytes) -> None:
        with open(self.file(number), "r+b") as file:
            file.seek(at)
            file.write(data)

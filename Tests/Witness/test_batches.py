"""The witness's decoder: each error code by hand, limits at and one past, seeded fuzz."""

from __future__ import annotations

import os
import random
import struct
import sys
import unittest

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path[:0] = [HERE, os.path.join(HERE, "../../contrib/clients/python")]

import codex_telemetry as client
import frames
import hand_made as made
from batch_reader import read_batch
from canonical import batch_json
from wire_bytes import Reader, WireError, crc32c

BASE = 1_700_000_000_000_000_000
SPAN = bytes((1, 13, 1, 0)) + b"spanspan" + bytes((0, 0, 0))


def varint(value: int) -> bytes:
    out = bytearray()
    while value > 127:
        out.append(value & 127 | 128)
        value >>= 7
    return bytes(out) + bytes((value,))


def batch(*sections: tuple[int, bytes], records: int = 0, **fields: object) -> bytes:
    at = {"version": 0, "size": 64, "producer": b"p" * 16, "sequence": 1, "threshold": 0,
          "flags": 0, **fields}
    head = struct.pack("<HHI16sQQQ4I", at["version"], at["size"], records, at["producer"],
                       at["sequence"], BASE, at["threshold"], 0, 0, 0, at["flags"])
    return head + b"".join(bytes((kind,)) + varint(len(content)) + content
                           for kind, content in sections)


def log_body(value: bytes) -> tuple[int, bytes]:
    body = varint(1 << 5) + value
    return 7, b"\2" + varint(len(body)) + body


def rich_records() -> list[dict]:
    scope = ("lib", "1", "url", 2, (("a", 1),))
    histogram = client.Metric(3, "h", "ms", 1)
    deep = client.Pairs([("m", [None, True, -5, 2.5, "s", b"b", {"k": [1]}]), ("m", 2)])
    return [
        {"type": 1, "kind": 3, "status": 2, "trace_id": b"t" * 16, "span_id": b"s" * 8,
         "parent_span_id": b"p" * 8, "name": "codex.tool", "start": BASE + 5, "end": BASE + 900,
         "attributes": deep, "scope": scope, "status_message": "bad", "trace_state": "x=y",
         "flags": 257, "dropped": (1, 2, 3),
         "events": [{"time": BASE + 7, "name": "e", "attributes": {"q": -5}, "dropped": 3}],
         "links": [{"trace_id": b"u" * 16, "span_id": b"v" * 8, "flags": 1, "trace_state": "z=1",
                    "attributes": {"l": 1.5}, "dropped": 1}]},
        {"type": 2, "time": BASE - 9, "trace_id": b"t" * 16, "span_id": b"s" * 8, "severity": 17,
         "event_name": "ev", "body": (deep,), "attributes": {"ü": "ß"}, "observed": 0,
         "severity_text": "ERROR", "flags": 1, "dropped": 4, "scope": scope},
        {"type": 3, "metric": client.Metric(2, "n", "1", 2, True, "what", scope, {"m": 1}),
         "time": BASE, "start": BASE - 60, "int": -5, "flags": 1,
         "exemplars": [{"time": BASE + 1, "double": 0.5, "trace_id": b"t" * 16,
                        "span_id": b"s" * 8, "attributes": {"x": 1}}]},
        {"type": 4, "metric": histogram, "time": BASE, "count": 3, "bounds": (1.0, 2.0),
         "buckets": [0, 0, 3], "sum": 4.5, "min": 1.0, "max": 2.0},
        {"type": 5, "metric": client.Metric(4, "x"), "time": BASE, "count": 9, "scale": -2,
         "zero_count": 1, "positive": (-3, [1, 0, 0, 2, 0]), "negative": (4, [7]),
         "zero_threshold": 0.5},
        {"type": 6, "metric": client.Metric(5, "s"), "time": BASE, "count": 9, "sum": 2.0,
         "quantiles": [(0.5, 1.0), (0.9, 2.0)]},
    ]


def rich_batch() -> bytes:
    return client.Encoder(BASE).encode(b"p" * 16, 7, rich_records(), ("u", 1, {"service.name": "s"}),
                                       5, (1, 2, 3))


class BatchTests(unittest.TestCase):
    def refused(self, name: str, data: bytes) -> None:
        with self.assertRaises(WireError) as caught:
            read_batch(data)
        self.assertEqual(caught.exception.name, name, caught.exception)

    def test_an_empty_batch_is_valid(self) -> None:
        self.assertEqual(read_batch(batch()).records, [])

    def test_the_header_is_checked_in_the_specified_order(self) -> None:
        self.refused("unsupported_version", batch(version=1, size=0, producer=bytes(16)))
        self.refused("bad_value", batch(size=63, records=65_536))
        self.refused("truncated", batch()[:63])
        self.refused("truncated", batch(size=65))
        self.refused("limit_exceeded", batch(records=65_536, producer=bytes(16)))
        self.refused("bad_value", batch(producer=bytes(16)))
        self.refused("bad_value", batch(sequence=0))
        self.refused("bad_value", batch(flags=1))
        self.refused("bad_value", batch(threshold=1 << 56))
        self.refused("limit_exceeded", batch() + bytes(4 << 20))

    def test_unknown_sections_records_and_trailing_bytes_are_skipped(self) -> None:
        read_batch(batch(size=72)[:64] + bytes(8))
        content = b"\x63\3abc" + SPAN
        result = read_batch(batch((1, b"\0junk"), (7, content), (99, b"x" * 300), records=2))
        self.assertEqual([record["type"] for record in result.records], [99, 1])

    def test_sections_must_rise(self) -> None:
        self.refused("bad_section", batch((2, b"\0"), (1, b"\0")))
        self.refused("bad_section", batch((1, b"\0"), (1, b"\0")))

    def test_references(self) -> None:
        binary = (1, b"\1" + varint(3 << 1 | 1) + b"\xff\0\xff")
        text = (1, b"\1\2a")
        for strings, value, valid in ((binary, b"\1\1", False), (binary, b"\6\1", True),
                                      (text, b"\6\1", False), (text, b"\1\1", True),
                                      (text, b"\1\2", False), (text, b"\6\0", True),
                                      (text, b"\1\0", True)):
            with self.subTest(value=value, strings=strings):
                data = batch(strings, log_body(value), records=1)
                read_batch(data) if valid else self.refused("bad_reference", data)
        self.refused("bad_reference", batch((7, b"\1\x0d\1\1" + SPAN[4:]), records=1))

    def test_text_varints_and_values(self) -> None:
        self.refused("bad_text", batch((1, b"\1\2\xff")))
        self.refused("bad_text", batch((1, b"\1\6\xed\xa0\x80")))
        self.refused("bad_varint", batch((1, b"\x80" * 10)))
        self.refused("bad_varint", batch((1, b"\xff" * 9 + b"\2")))
        self.refused("truncated", batch((1, b"\x80" * 9)))
        self.assertEqual(read_batch(batch((1, b"\x80" * 9 + b"\0"))).strings, [""])
        self.refused("bad_value", batch(log_body(b"\x09"), records=1))
        self.refused("count_mismatch", batch((7, SPAN), records=2))

    def test_limits_at_and_one_past(self) -> None:
        def nested(depth: int) -> bytes:
            return batch(log_body(b"\7\1" * depth + b"\0"), records=1)
        read_batch(nested(32))
        self.refused("limit_exceeded", nested(33))
        for kind, limit in ((1, 262_144), (2, 65_535), (4, 1_024), (5, 16_384), (6, 4_096)):
            # One past is refused before its content is missed; at the limit the content is missed.
            self.refused("limit_exceeded", batch((kind, varint(limit + 1))))
            self.refused("truncated", batch((kind, varint(limit))))
        self.refused("limit_exceeded", batch((1, b"\1" + varint((1 << 20) + 1 << 1))))
        self.refused("limit_exceeded", batch(log_body(b"\7" + varint(4097)), records=1))
        read_batch(batch(log_body(b"\7" + varint(4096) + bytes(4096)), records=1))
        self.refused("limit_exceeded", batch(log_body(b"\x08" + varint(4097)), records=1))
        def values(last: int) -> bytes:  # 1 + 512 * 4096 values if the last array has 4095.
            arrays = (b"\7" + varint(4095) + bytes(4095)) * 511
            return log_body(b"\7" + varint(512) + arrays + b"\7" + varint(last) + bytes(last))
        read_batch(batch(values(4094), records=1))
        self.refused("limit_exceeded", batch(values(4095), records=1))

    def test_points(self) -> None:
        gauge = (5, b"\1\5\1\0\0\0\0")
        self.refused("bad_reference", batch(gauge, (7, b"\3\3\0\0\0"), records=1))
        self.refused("bad_value", batch(gauge, (7, b"\3\x0b\x30\1\0\2" + bytes(8)), records=1))
        self.refused("bad_value", batch(gauge, (7, b"\4\6\0\1\0\0\0\0"), records=1))
        read_batch(batch(gauge, (7, b"\3\3\0\1\0"), records=1))
        histogram = (5, b"\1\5\3\0\0\0\0")
        good = read_batch(batch(histogram, (7, b"\4\x09\0\1\0\4\0\4\0\2\5"), records=1))
        self.assertEqual(good.records[0]["buckets"], [0, 0, 0, 5])
        self.refused("bad_value", batch(histogram, (7, b"\4\x08\0\1\0\4\0\4\0\4"), records=1))

    def test_a_batch_of_everything_survives_the_round_trip(self) -> None:
        result = read_batch(rich_batch())
        self.assertEqual([record["type"] for record in result.records], [1, 2, 3, 4, 5, 6])
        self.assertEqual(result.records[0]["end"], BASE + 900)
        self.assertEqual(result.records[1]["observed"], 0)
        self.assertEqual(result.records[4]["positive"], {"offset": -3, "buckets": [1, 0, 0, 2, 0]})
        self.assertEqual(len(batch_json(result)["records"]), 6)

    def test_only_its_own_errors_escape_from_any_bytes(self) -> None:
        seed = int(os.environ.get("SEED", "20261121"))
        chance, whole, refused = random.Random(seed), rich_batch(), 0
        for n in range(6_000):
            data = bytearray(whole)
            for _ in range(chance.choice((1, 1, 2, 8))):
                at = chance.randrange(len(data))
                match chance.randrange(5):
                    case 0:
                        data[at] = chance.randrange(256)
                    case 1:
                        data[at] ^= 1 << chance.randrange(8)
                    case 2:
                        del data[at : at + chance.randrange(1, 9)]
                    case 3:
                        data[at:at] = chance.randbytes(chance.randrange(1, 9))
                    case _:
                        data[at : at + 3] = b"\xff\xff\xff"
            if n % 10 == 0:
                data = bytearray(whole[:64]) + chance.randbytes(chance.randrange(200))
            try:
                batch_json(read_batch(bytes(data)))
            except WireError:
                refused += 1
            except Exception as error:
                self.fail(f"seed {seed}, input {n}, {bytes(data).hex()}: {error!r}")
        self.assertGreater(refused, 1000)

    def test_every_truncation_is_refused(self) -> None:
        whole = rich_batch()
        for cut in range(len(whole)):
            with self.assertRaises(WireError):
                read_batch(whole[:cut])


class FrameTests(unittest.TestCase):
    def test_the_checksum_is_castagnoli(self) -> None:
        self.assertEqual(crc32c(b"123456789"), 0xE3069283)
        chance = random.Random(5)
        for size in (*range(150), 4096, 70_001):
            data, cut = chance.randbytes(size), chance.randrange(size + 1)
            self.assertEqual(crc32c(data), client.crc32c(data))
            self.assertEqual(crc32c(data[cut:], crc32c(data[:cut])), crc32c(data))

    def test_frames(self) -> None:
        whole = frames.frame(frames.BATCH, b"abc") + frames.frame(0x55, b"") + frames.frame(3)
        self.assertEqual([kind for kind, _ in frames.frames_of(whole)], [2, 0x55, 3])
        broken = bytearray(whole)
        broken[13] ^= 1
        for name, data in (("bad_checksum", broken), ("truncated", whole[:14]),
                           ("frame_too_large", struct.pack("<IBBHI", (4 << 20) + 1, 2, 0, 0, 0)),
                           ("frame_too_large", struct.pack("<IBBHI", (64 << 10) + 1, 1, 0, 0, 0)),
                           ("unsupported_version", struct.pack("<IBBHI", 0, 2, 1, 0, 0))):
            with self.subTest(name), self.assertRaises(WireError) as caught:
                frames.read_frame(bytes(data))
            self.assertEqual(caught.exception.name, name)

    def test_a_zigzag_of_each_end(self) -> None:
        for value in (0, -1, 1, -(1 << 63), (1 << 63) - 1):
            self.assertEqual(Reader(varint((value << 1 ^ value >> 63) & (1 << 64) - 1)).zigzag(),
                             value)

    def test_hand_made_batches_are_batches(self) -> None:
        self.assertEqual(len(read_batch(made.batch(b"p" * 16, 1, 300)).records), 300)


if __name__ == "__main__":
    unittest.main()

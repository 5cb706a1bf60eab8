"""The witness on log files made by hand, whole and damaged."""

from __future__ import annotations

import contextlib
import io
import json
import os
import random
import struct
import sys
import tempfile
import unittest

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))

import hand_made as made
import witness
from counting import count_state, damage_report
from segment_reader import Log, read_checkpoint, read_dedupe_entries, read_meta, read_position

A, B = b"A" * 16, b"B" * 16


class SegmentTests(unittest.TestCase):
    def setUp(self) -> None:
        holder = tempfile.TemporaryDirectory()
        self.addCleanup(holder.cleanup)
        self.state = made.StateDirectory(os.path.join(holder.name, "state"))

    def entries(self) -> list[tuple[bytes, int]]:
        return [(e.producer, e.sequence) for s in Log.open(self.state.path).segments()
                for e in s.entries()]

    def damage(self) -> list[tuple[str, int, int, bool]]:
        return [(part["file"][:10], d["start"], d["end"], d["batch"])
                for part in damage_report(self.state.path)["segments"] for d in part["damage"]]

    def test_whole_log_is_counted(self) -> None:
        self.state.segment(1, [(A, 1, 3), (B, 1, 2)], sealed=True)
        self.state.segment(2, [(A, 2, 5), (A, 4, 1)], zeros=4096)
        self.state.write("log/meta", made.meta(3, False))
        self.state.write("log/position", made.position(2 << 32 | self.state.places[2][2], 0))
        result = count_state(self.state.path, decode=True)
        self.assertEqual((result["batches"], result["records"], result["spans"]), (4, 11, 11))
        self.assertEqual(result["kinds"], {"span": 11})
        self.assertTrue(result["exactly_once"])
        self.assertEqual(result["disagreements"], 0)
        self.assertEqual(result["segments"]["sealed"], 1)
        self.assertEqual(result["segments"]["not_yet_bytes"], 0)
        self.assertEqual([p["missing"] for p in result["producers"]], [1, 0])
        self.assertEqual(self.damage(), [])

    def test_a_batch_that_stands_twice_is_found(self) -> None:
        self.state.segment(1, [(A, 1, 1), (A, 2, 1), (A, 1, 1)])
        result = count_state(self.state.path)
        self.assertEqual(result["duplicates"], 1)
        self.assertFalse(result["exactly_once"])
        with contextlib.redirect_stdout(io.StringIO()) as out:
            self.assertEqual(witness.main(["count", self.state.path]), 1)
        self.assertIn("exactly once: NO", out.getvalue())

    def test_what_is_deleted_and_what_is_missing_shows_in_the_counts(self) -> None:
        self.state.segment(5, [(A, 1, 2)], before=(10, 70))
        self.state.segment(6, [(A, 2, 2), (A, 3, 2)], before=(11, 72))
        self.state.segment(8, [(A, 9, 1)], before=(15, 80))
        result = count_state(self.state.path)
        self.assertEqual(result["deleted"], {"batches": 10, "records": 70})
        self.assertEqual(result["missing"], {"batches": 2, "records": 4})
        self.assertEqual(result["stored_ever"], {"batches": 16, "records": 81})

    def test_a_damaged_payload_costs_one_batch(self) -> None:
        self.state.segment(1, [(A, n, 2) for n in range(1, 6)], sealed=True)
        at = self.state.places[1][2]
        self.state.damage(1, at + 130, b"\xff")
        self.assertEqual([n for _, n in self.entries()], [1, 2, 4, 5])
        [(_, start, _, batch)] = self.damage()
        self.assertEqual((start, batch), (at, True))
        self.assertEqual(count_state(self.state.path)["damaged"],
                         {"ranges": 0, "batches": 1, "records": 2})

    def test_a_damaged_envelope_is_passed_over_to_the_next_entry(self) -> None:
        self.state.segment(1, [(A, n, 1) for n in range(1, 6)], sealed=True)
        start, end = self.state.places[1][1], self.state.places[1][2]
        for at in range(start, start + 128, 5):
            with self.subTest(byte=at - start):
                with open(self.state.file(1), "rb") as file:
                    file.seek(at)
                    byte = file.read(1)
                self.state.damage(1, at, bytes((byte[0] ^ 0x10,)))
                self.assertEqual([n for _, n in self.entries()], [1, 3, 4, 5])
                self.assertEqual(self.damage(), [("0000000001", start, end, False)])
                self.state.damage(1, at, byte)

    def test_a_payload_cannot_forge_an_entry(self) -> None:
        # A whole entry of another place or nonce inside a payload is never taken for one.
        data = made.header(1)
        inner = made.entry(1, 80 + 128 + 8, made.batch(B, 9), B, 9, nonce=made.NONCE ^ 1)
        elsewhere = made.entry(1, 88, made.batch(B, 8), B, 8)
        payload = bytes(8) + inner + elsewhere
        data += made.entry(1, 80, payload, A, 1)
        after = len(data)
        data += made.entry(1, after, made.batch(A, 2), A, 2)
        self.state.write("log/0000000001.segment", data)
        self.state.damage(1, 80, b"\0")
        self.assertEqual(self.entries(), [(A, 2)])
        self.assertEqual(self.damage(), [("0000000001", 80, after, False)])

    def test_a_damaged_header_leaves_the_entries(self) -> None:
        for sealed in (True, False):
            with self.subTest(sealed=sealed):
                self.state.segment(1, [(A, 1, 1), (A, 2, 1)], sealed=sealed)
                self.state.damage(1, 40, b"\xee" * 8)
                self.assertEqual([n for _, n in self.entries()], [1, 2])
                self.assertEqual(self.damage(), [("0000000001", 0, 80, False)])

    def test_a_damaged_header_and_first_entry_leave_the_rest(self) -> None:
        self.state.segment(1, [(A, 1, 1), (A, 2, 1)])
        self.state.damage(1, 0, b"\xee" * 120)
        self.assertEqual([n for _, n in self.entries()], [2])

    def test_a_damaged_footer_reads_as_unsealed(self) -> None:
        self.state.segment(1, [(A, 1, 1), (A, 2, 1)], sealed=True)
        self.state.segment(2, [(A, 3, 1)])
        self.state.damage(1, self.state.places[1][2] + 50, b"\xee")
        self.assertEqual([n for _, n in self.entries()], [1, 2, 3])
        self.assertEqual(count_state(self.state.path)["segments"]["sealed"], 0)
        # What is there and is no entry shows as damage from where the entries end.
        self.assertEqual([d[1] for d in self.damage()], [self.state.places[1][2]])

    def test_beyond_the_committed_position_is_not_yet(self) -> None:
        self.state.segment(1, [(A, 1, 1), (A, 2, 1), (A, 3, 1)], zeros=512)
        last = self.state.places[1][2]
        self.state.write("log/position", made.position(1 << 32 | last, 0))
        for name, at in (("payload", last + 130), ("envelope", last + 20)):
            with self.subTest(name):
                self.state.damage(1, at, b"\xee")
                self.assertEqual([n for _, n in self.entries()], [1, 2])
                self.assertEqual(self.damage(), [])
        self.assertGreater(count_state(self.state.path)["segments"]["not_yet_bytes"], 0)

    def test_below_the_committed_position_it_is_damage(self) -> None:
        self.state.segment(1, [(A, 1, 1), (A, 2, 1)], zeros=512)
        last, end = self.state.places[1][1:]
        self.state.write("log/position", made.position(1 << 32 | end, 0))
        self.state.damage(1, last, b"\0" * (end - last))
        self.assertEqual([n for _, n in self.entries()], [1])
        self.assertEqual(self.damage(), [("0000000001", last, end, False)])

    def test_a_torn_tail_of_an_older_segment_is_damage(self) -> None:
        self.state.segment(1, [(A, 1, 1), (A, 2, 1)])
        os.truncate(self.state.file(1), self.state.places[1][1] + 140)
        self.state.segment(2, [(A, 3, 1)])
        self.assertEqual([n for _, n in self.entries()], [1, 3])
        self.assertEqual([(d[1], d[3]) for d in self.damage()], [(self.state.places[1][1], False)])

    def test_every_truncation_and_every_zeroed_block_is_survived(self) -> None:
        self.state.segment(1, [(A, n, 3) for n in range(1, 6)], sealed=True)
        with open(self.state.file(1), "rb") as file:
            whole = file.read()
        for cut in range(0, len(whole), 13):
            self.state.write("log/0000000001.segment", whole[:cut])
            numbers = [n for _, n in self.entries()]
            self.assertEqual(numbers, list(range(1, len(numbers) + 1)))
            blank = whole[:cut] + bytes(min(64, len(whole) - cut)) + whole[cut + 64 :]
            self.state.write("log/0000000001.segment", blank)
            self.assertGreaterEqual(len(self.entries()), 3)

    def test_no_damage_whatever_raises_or_invents_an_entry(self) -> None:
        seed = int(os.environ.get("SEED", "20261121"))
        chance = random.Random(seed)
        self.state.segment(1, [(A, n, 3) for n in range(1, 8)], sealed=True)
        with open(self.state.file(1), "rb") as file:
            whole = file.read()
        for n in range(1_500):
            data = bytearray(whole)
            for _ in range(chance.randrange(1, 4)):
                at = chance.randrange(len(data))
                match chance.randrange(4):
                    case 0:
                        data[at : at + 64] = chance.randbytes(64)
                    case 1:
                        data[at] ^= 1 << chance.randrange(8)
                    case 2:
                        del data[at : at + chance.randrange(40)]
                    case _:
                        source = chance.randrange(len(whole))
                        data[at:at] = whole[source : source + chance.randrange(500)]
            self.state.write("log/0000000001.segment", bytes(data))
            with self.subTest(seed=seed, n=n):
                numbers = [number for producer, number in self.entries() if producer == A]
                self.assertEqual(numbers, sorted(set(numbers)))
                self.assertLessEqual(set(numbers), set(range(1, 8)))
                damage_report(self.state.path)

    def test_the_trace_filter_has_no_false_negative(self) -> None:
        traces = [bytes([n]) * 16 for n in range(1, 30)]
        self.state.segment(1, [(A, 1, 1)], sealed=True, traces=traces)
        [segment] = Log.open(self.state.path).segments()
        list(segment.entries())
        assert segment.footer
        self.assertTrue(all(map(segment.footer.may_contain, traces)))
        strangers = [struct.pack(">QQ", n * 0x9E3779B97F4A7C15 % 2**64, n) for n in range(1000)]
        self.assertLess(sum(map(segment.footer.may_contain, strangers)), 500)
        self.assertEqual([(d.uid, d.producer, d.sequence) for d in segment.footer.dedupe],
                         [(1000, A, 1)])

    def test_meta_position_and_checkpoints(self) -> None:
        self.state.write("log/meta", made.meta(7, True))
        self.state.write("log/position", made.position(5 << 32 | 80, 3))
        body = struct.pack("<II16sQQ", 1000, 0, A, 9, 5)
        self.state.write("log/dedupe", made.checkpoint(b"CXTLDED0", 77, body))
        log = os.path.join(self.state.path, "log")
        meta, position = read_meta(log + "/meta"), read_position(log + "/position")
        assert meta and position
        self.assertEqual((meta.log_id, meta.next_segment, meta.clean), (made.LOG_ID, 7, True))
        self.assertEqual((position.committed, position.synced), (5 << 32 | 80, 3))
        dedupe = read_checkpoint(log + "/dedupe")
        assert dedupe
        self.assertEqual((dedupe.offset, read_dedupe_entries(dedupe.body)[0].sequence), (77, 9))
        for name in ("meta", "position", "dedupe"):
            with open(f"{log}/{name}", "r+b") as file:
                file.seek(41 if name == "dedupe" else 17)
                file.write(b"\xee")
        files = damage_report(self.state.path)["files"]
        self.assertEqual(files, {"meta": "damaged", "position": "damaged",
                                 "log/dedupe": "damaged"})

    def test_a_state_directory_without_a_log_is_empty(self) -> None:
        result = count_state(os.path.join(self.state.path, "nothing"))
        self.assertEqual((result["records"], result["exactly_once"]), (0, True))

    def test_the_command_line(self) -> None:
        self.state.segment(1, [(A, 1, 2), (B, 1, 1)], sealed=True)
        with contextlib.redirect_stdout(io.StringIO()) as out:
            self.assertEqual(witness.main(["count", self.state.path, "--json", "--decode"]), 0)
            self.assertEqual(witness.main(["damage", self.state.path]), 0)
            self.assertEqual(witness.main(["dump", self.state.path]), 0)
        first, _, *lines = out.getvalue().splitlines()
        self.assertEqual(json.loads(first)["records"], 3)
        records = [json.loads(line) for line in lines]
        self.assertEqual([r["offset"].split(".")[1] for r in records], ["0", "1", "0"])
        self.assertEqual(records[0]["record"]["name"], "a")
        self.assertEqual(records[0]["peer"]["uid"], 1000)


if __name__ == "__main__":
    unittest.main()

"""The witness's decoder against the golden vectors."""

from __future__ import annotations

import json
import os
import sys
import unittest

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, HERE)

from batch_reader import read_batch
from canonical import batch_json, spool_json, stream_json
from frames import check_client_stream
from wire_bytes import CODES, WireError

VECTORS = os.environ.get("VECTORS", os.path.join(HERE, "../../contrib/protocol/vectors"))


def index(folder: str) -> list[dict]:
    with open(os.path.join(VECTORS, folder, "index.json"), encoding="utf-8") as file:
        return json.load(file)


def vector_bytes(folder: str, vector: dict) -> bytes:
    if parts := vector.get("parts"):
        return b"".join(bytes.fromhex(part["hex"]) * part["times"] for part in parts)
    with open(os.path.join(VECTORS, folder, vector["name"] + ".hex"), encoding="utf-8") as file:
        return bytes.fromhex("".join(line.split("#")[0] for line in file))


def vector_text(folder: str, vector: dict) -> str:
    with open(os.path.join(VECTORS, folder, vector["name"] + ".json"), encoding="utf-8") as file:
        return file.read()


def same(a: object) -> str:
    """As text, so that 0.0 and -0.0, 1 and 1.0 and True differ."""
    return json.dumps(a, sort_keys=True)


class VectorTests(unittest.TestCase):
    maxDiff = None

    def valid(self, folder: str, decode) -> None:
        vectors = index(folder)
        self.assertTrue(vectors)
        for vector in vectors:
            with self.subTest(f"{folder}/{vector['name']}"):
                self.assertEqual(same(decode(vector_bytes(folder, vector))),
                                 same(json.loads(vector_text(folder, vector))))

    def invalid(self, folder: str, check) -> None:
        vectors = index(folder)
        self.assertTrue(vectors)
        for vector in vectors:
            with self.subTest(f"{folder}/{vector['name']}"):
                with self.assertRaises(WireError) as caught:
                    check(vector_bytes(folder, vector))
                self.assertEqual((caught.exception.name, CODES[caught.exception.name]),
                                 (vector["error"], vector["code"]), caught.exception)

    def test_valid_batches(self) -> None:
        self.valid("batches/valid", lambda data: batch_json(read_batch(data)))

    def test_invalid_batches(self) -> None:
        self.invalid("batches/invalid", read_batch)

    def test_valid_frames(self) -> None:
        self.valid("frames/valid", stream_json)

    def test_invalid_frames(self) -> None:
        self.invalid("frames/invalid", check_client_stream)

    def test_spool_files(self) -> None:
        self.valid("spool", spool_json)


if __name__ == "__main__":
    unittest.main()

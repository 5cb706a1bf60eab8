"""The client passes every golden vector."""

from __future__ import annotations

import os
import sys
import unittest

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))

import vectors


class GoldenTest(unittest.TestCase):
    def test_every_vector_passes(self) -> None:
        run = vectors.Run().all()
        self.assertEqual(run.failed, 0)
        self.assertGreater(run.passed, 200)


if __name__ == "__main__":
    unittest.main()

"""Each byte of a small log flipped, each file cut at each length: what the agent's code then finds is what the
specification says."""

from __future__ import annotations

import os
import pathlib
import random
import sys
import unittest

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))

from damage_check import check

ROOT = pathlib.Path(__file__).resolve().parents[2]


class DamageTests(unittest.TestCase):
    def test_every_damaged_log_opens_as_specified(self) -> None:
        program = os.environ.get("DAMAGE_CHECK") or str(ROOT / ".build/debug/damage-check")
        if not os.path.exists(program):
            self.skipTest(f"{program} is not built (swift build)")
        # A debug build takes thirty times as long: it gets a small seeded part.
        part = 1 if os.environ.get("DAMAGE_CHECK") else 400
        seed = int(os.environ.get("SEED") or random.randrange(1 << 32))
        counts, wrong = check(program, part, seed, jobs=os.cpu_count() or 1)
        shown = "\n".join("\n    ".join((text, *problems)) for text, problems in wrong[:10])
        self.assertEqual(len(wrong), 0, f"seed {seed}, part {part}: {shown}")
        self.assertGreater(counts["variants"], 15_000 // part)
        self.assertGreater(counts["with batches lost"], 5_000 // part)


if __name__ == "__main__":
    unittest.main()

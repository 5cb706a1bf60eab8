"""Slices of contrib/soak's `open` and `load`: large logs open in little memory, a backlog is caught up with."""

import os
import pathlib
import subprocess
import sys
import unittest

from host import Host

BENCH = pathlib.Path(__file__).resolve().parents[2] / "contrib/bench"


@unittest.skipUnless(os.environ.get("CODEX_TELEMETRY_TEST_FULL"), "only with contrib/test --full")
class LargeLogTests(unittest.TestCase):
    def run_bench(self, name, *words):
        done = subprocess.run([sys.executable, BENCH / name, *words], capture_output=True, text=True, timeout=900)
        print(done.stdout, file=sys.stderr)
        self.assertEqual(done.returncode, 0, done.stdout + done.stderr)

    def test_a_large_log_opens_in_little_memory_whatever_it_lost(self):
        self.run_bench("large_log.py", "--bytes", "300000000")

    def test_a_backlog_is_delivered_or_expires_and_every_count_agrees(self):
        if why_not := Host.why_not():
            self.skipTest(why_not)
        self.run_bench("backlog.py", "--backlog", "200000000", "--cap", "240000000", "--slice", "30000000")


if __name__ == "__main__":
    unittest.main()

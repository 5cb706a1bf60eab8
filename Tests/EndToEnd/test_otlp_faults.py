"""OTLP in and out with everything that can go wrong, and an agent that is killed: nothing is lost. A slice of
`contrib/soak otlp-faults`."""

import json
import os
import random
import shutil
import subprocess
import unittest

from installed import ROOT, needs
from test_otlp_intake import PYTHON

SECONDS = 30 if os.environ.get("CODEX_TELEMETRY_TEST_FULL") else 15
KILLS = 10


@unittest.skipUnless(PYTHON.exists(), "contrib/prerequisites --tests has not been run: no OpenTelemetry classes")
@unittest.skipUnless(shutil.which("openssl"), "openssl is not installed: no certificate for the backend")
class Faults(unittest.TestCase):
    def test_every_record_is_at_the_backends_or_rejected_whatever_they_do_and_whoever_is_killed(self):
        needs("run", "status")
        # A seed fixes the faults, not their moments: it is for reading, and to look again.
        seed = random.randrange(1_000_000)
        done = subprocess.run(
            [PYTHON, ROOT / "Tests/EndToEnd/otlp_faults.py", "--seed", str(seed), "--seconds", str(SECONDS),
             "--kills", str(KILLS)], capture_output=True, text=True, timeout=400)
        self.assertEqual(done.returncode, 0, done.stdout + done.stderr)
        print(done.stdout, flush=True)
        told = json.loads(done.stdout)
        self.assertEqual(told["kills"], KILLS)
        self.assertGreater(told["records"], 10_000)
        self.assertGreater(told["balance_figures"], 25)
        exporters = [each for each in told if each.startswith("otlp_")]
        self.assertEqual(len(exporters), 4)
        for name in exporters:
            # The backend was as bad as it was meant to be.
            self.assertGreater(told[name]["requests"], told[name]["fates"]["ok"])
            self.assertGreater(told[name]["answer_broken"], 0)


if __name__ == "__main__":
    unittest.main()

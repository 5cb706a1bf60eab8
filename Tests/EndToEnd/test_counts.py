"""What arrives is counted by a reader that shares no code with the agent."""

import json
import os
import pathlib
import signal
import subprocess
import sys
import time
import unittest

from alone import AloneCase
from host import eventually
from installed import ROOT

FULL = bool(os.environ.get("CODEX_TELEMETRY_TEST_FULL"))
PRODUCERS = 4
RECORDS = 1_000_000 if FULL else 40_000


class Counts(AloneCase):
    verbs = ("run", "status")

    def test_records_of_four_producers_arrive_once_each(self):
        agent = subprocess.Popen([self.program, "run", "--user"], env=self.env, stdin=subprocess.DEVNULL)
        self.addCleanup(lambda: agent.poll() is None and (agent.send_signal(signal.SIGTERM), agent.wait()))
        socket = self.home / "run/codex-telemetry/ingest.sock"
        eventually(socket.exists, 10, "the agent listens")
        script = pathlib.Path(__file__).with_name("producer.py")
        started = time.monotonic()
        producers = [
            subprocess.Popen(
                [sys.executable, script, socket, "load", str(RECORDS // PRODUCERS), "512"],
                env=self.env, stdout=subprocess.PIPE, text=True,
            )
            for _ in range(PRODUCERS)
        ]
        told = [json.loads(each.communicate(timeout=1200)[0]) for each in producers]
        seconds = time.monotonic() - started
        self.assertEqual([each.returncode for each in producers], [0] * PRODUCERS)
        status = json.loads(self.telemetry("status", "--json", check=False).stdout)

        state = self.home / ".local/state/codex-telemetry"
        witness = ROOT / "Tests/Witness/witness.py"
        counted = subprocess.run(
            [sys.executable, witness, "count", state, "--json"], capture_output=True, text=True, timeout=1200
        )
        self.assertEqual(counted.returncode, 0, counted.stdout[-2000:] + counted.stderr[-2000:])
        count = json.loads(counted.stdout)
        print(f"{count['records']} records of {PRODUCERS} producers in {seconds:.0f} s (producers' own time)")
        self.assertEqual((count["records"], count["spans"]), (RECORDS, RECORDS))
        self.assertTrue(count["exactly_once"])
        stored = status["log"]["stored"]
        self.assertEqual((stored["records"], stored["batches"]), (count["records"], count["batches"]))
        self.assertEqual(status["intake"]["received"]["records"], RECORDS)
        self.assertEqual({each["log_id"] for each in told}, {status["log"]["id"]})


if __name__ == "__main__":
    unittest.main()

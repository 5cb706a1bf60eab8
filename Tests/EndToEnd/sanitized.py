"""The agent under load, asked, reloaded, killed and ended, built with a sanitizer: contrib/sanitize runs this.

Its name does not begin with `test`: the ordinary run, without a sanitizer, has nothing to learn from it.
"""

import signal
import subprocess
import unittest

from faults import FaultCase
from host import eventually

PRODUCERS = 4
LIVES = 4
# A producer's batches in each life of the agent.
BATCHES = 75
EVENTS = 4


class Sanitized(FaultCase):
    verbs = ("run", "status", "tail", "emit")
    patience = 120

    def test_load_questions_kills_and_restarts(self):
        self.start()
        producers = [self.produce(records=16, padding=40, window=16, pause=0.01) for _ in range(PRODUCERS)]
        for life in range(1, LIVES + 1):
            follower = subprocess.Popen(
                [self.program, "tail", "-f", "--json"], env=self.env, stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
            )
            self.addCleanup(self._bury, follower)
            for number in range(EVENTS):
                self.telemetry("emit", "event", f"life.{life}", "-a", f"number:={number}")
            eventually(
                lambda: all(one.acked >= life * BATCHES or one.problem for one in producers), 120,
                lambda: f"each producer is at {life * BATCHES}: {[one.acked for one in producers]}",
            )
            self.status(None)
            self.telemetry("tail", "--json", "-n", "50")
            if life % 2 == 1:
                self.agent.kill()
                self.agent.wait()
            else:
                self.agent.send_signal(signal.SIGHUP)
                self.status(None)
                self.stop()
            self.start()
        self.end_producers(*producers)
        counted = self.assert_all_there(*producers)
        self.assertEqual(len(counted["producers"]), PRODUCERS + LIVES * EVENTS)
        self.balance(*producers, words=("--wait", "60"))
        self.stop()


if __name__ == "__main__":
    unittest.main()

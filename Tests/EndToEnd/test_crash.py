"""Nothing that was acknowledged is lost, and nothing stands twice, wherever the agent dies."""

import os
import random
import re
import shutil
import unittest

import crash
from installed import binary, needs

FULL = bool(os.environ.get("CODEX_TELEMETRY_TEST_FULL"))


class Crashes(unittest.TestCase):
    def test_every_record_is_in_the_log_exactly_once_whatever_is_killed(self):
        needs("run", "status")
        # A seed fixes the order of the deaths, not their moments: it is for reading, and to look again.
        seed = random.randrange(1_000_000)
        if FULL:
            result = crash.run(binary(), seed, records=100_000, kills=20)
        else:
            result = crash.run(binary(), seed, records=8_000, kills=2, share=8)
        print(result)
        if FULL:
            named = 2 * len(crash.NEEDS_JOURNALD)
            self.assertEqual(result["places"], result["places_known"] - named)
        self.assertGreater(result["kills_at_places"], 5)
        self.assertGreater(result["balance_figures"], 25)

    def test_one_lost_batch_is_found(self):
        needs("run", "status")
        with self.assertRaisesRegex(crash.Wrong, "not green(?s:.*)DIFFERS(?s:.*)producers.records") as caught:
            crash.run(
                binary(), 1, records=4_000, kills=8, share=40, sabotage="batch.submit.before=drop@2")
        shutil.rmtree(re.search(r"\(see (.+)\)", str(caught.exception))[1])


if __name__ == "__main__":
    unittest.main()

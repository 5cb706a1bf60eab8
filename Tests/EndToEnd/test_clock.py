"""The clock jumps by a day, the laptop sleeps, the machine starts anew: nothing is lost or deleted, nothing
stands still or spins. The agent's clocks are shifted by the shim while it runs: a namespace cannot move the
wall clock, and a seam in the product would not reach the libraries that it is built on."""

import pathlib
import subprocess
import time
import unittest

from faults import FaultCase, Faults, only_full
from host import eventually

DAY = 86_400
# Two turns of the log's care, which comes every five seconds, and what retention would need.
CARE_SECONDS = 11


class Clock(FaultCase):
    def setUp(self):
        super().setUp()
        self.faults = Faults(self.home)
        self.addCleanup(self.faults.close)
        # The shortest retention there is: what a step made old would be gone at once.
        self.config = self.home / "config.yaml"
        self.config.write_text("log: {retention: 60s}\n")

    def begin(self):
        self.start("--config", self.config, env=self.faults.variables)

    def processor_seconds(self):
        fields = pathlib.Path(f"/proc/{self.agent.pid}/stat").read_text().rsplit(")", 1)[1].split()
        return (int(fields[11]) + int(fields[12])) / 100

    def goes_on(self, producers):
        """Records come in, are synced within the interval, and the agent then rests."""
        marks = [each.acked for each in producers]
        eventually(
            lambda: all(p.acked > m + 20 for p, m in zip(producers, marks)), 15, "records come in")
        self.status_where(
            "synced", lambda s: s["log"]["synced"] == s["log"]["committed"] or self.moved(s), 10)

    def moved(self, status):
        """Whether the synced position has moved since it was last asked for."""
        before, self.synced = getattr(self, "synced", None), status["log"]["synced"]
        return before is not None and self.synced != before

    def rests(self):
        """With nobody sending, a second costs next to nothing; nothing waits for a sync."""
        self.status_where("all is synced", lambda s: s["log"]["synced"] == s["log"]["committed"], 5)
        used, since = self.processor_seconds(), time.monotonic()
        time.sleep(2)
        share = (self.processor_seconds() - used) / (time.monotonic() - since)
        self.assertLess(share, 0.2, "it spins")
        return share

    def care(self):
        """Time for retention to do what it would."""
        time.sleep(CARE_SECONDS)

    def steps(self, *shifts):
        self.begin()
        producers = [self.produce(pause=0.005) for _ in range(2)]
        self.goes_on(producers)
        up = self.status()["agent"]["uptime_seconds"]
        for wall, boottime in shifts:
            self.faults.clocks(wall, boottime)
            self.goes_on(producers)
        late = self.produce(pause=0.005)
        self.goes_on([late])
        self.care()
        self.goes_on([*producers, late])
        status = self.status()
        self.assertEqual(status["log"]["expired"]["batches"], 0)
        self.assertLess(status["agent"]["uptime_seconds"] - up, 60, "the uptime jumped")
        self.end_producers(*producers, late)
        share = self.rests()
        for each in (*producers, late):
            self.assertEqual((each.connects, each.throttles), (1, {}))
        self.balance(*producers, late, words=["--clock-stepped"])
        self.stop()
        counted = self.assert_all_there(*producers, late)
        print(f"  shifts {shifts}: {counted['batches']} batches, all there; "
              f"{share:.1%} of a processor afterwards")

    def test_a_step_of_a_day_back(self):
        self.steps((-DAY, 0))

    @only_full
    def test_a_step_of_a_day_ahead_and_home_again(self):
        self.steps((DAY, 0), (0, 0))

    @only_full
    def test_a_sleep_of_eight_hours(self):
        """Wall clock and boottime go on, the monotonic clock has stood still."""
        self.steps((8 * 3600, 8 * 3600))

    def test_starts_by_other_clocks(self):
        """A day ahead, a day back, after a boot: what is there stays, and no batch is stored twice."""
        self.begin()
        one = self.produce(pause=0.005)
        self.goes_on([one])
        since_boot = time.clock_gettime(time.CLOCK_BOOTTIME)
        for wall, boottime in ((DAY, 0), (-DAY, 0), (0, 30 - since_boot)):
            self.agent.kill()
            self.agent.wait()
            self.faults.clocks(wall, boottime)
            self.begin()
            self.goes_on([one])
        self.care()
        self.goes_on([one])
        self.assertEqual(self.status()["log"]["expired"]["batches"], 0)
        self.end_producers(one)
        self.rests()
        self.balance(one, words=["--clock-stepped"])
        self.stop()
        self.assert_all_there(one)

    def test_durations_are_monotonic(self):
        self.begin()
        for number, wall in enumerate((DAY, -DAY), 1):
            self.faults.clocks()
            command = subprocess.Popen(
                [self.program, "exec", "--", "sleep", "1"], env=self.env | self.faults.variables)
            time.sleep(0.4)
            self.faults.clocks(wall=wall)
            self.assertEqual(command.wait(20), 0)
            last = self.records(number, "--operation", "command")[-1]
            milliseconds = last["duration_ms"]
            self.assertTrue(1000 <= milliseconds < 10_000, last)
        self.stop()


if __name__ == "__main__":
    unittest.main()

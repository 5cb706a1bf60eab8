"""Somebody takes the agent's files away while it runs: what was in them is lost, counted and said; nothing that
is acked afterwards is; and nothing of another agent's is touched."""

import json
import shutil
import unittest

from faults import FaultCase
from host import eventually

STORAGE_FAILED = 0x24


class RemovedFiles(FaultCase):
    def begin(self):
        self.start()
        one = self.produce(pause=0.005)
        eventually(lambda: one.acked > 20, 20, "records come in")
        return one

    def said(self, words):
        return self.messages.read_text().count(words)

    def segments(self):
        return sorted((self.state / "log").glob("*.segment"))

    def test_the_segment_that_is_written_to(self):
        one = self.begin()
        newest = self.segments()[-1]
        newest.unlink()
        status = self.status_where("it says so", lambda s: s["log"]["removed"]["batches"])
        noticed = status["log"]["removed"]
        mark = one.acked
        self.assertEqual(status["agent"]["state"], "degraded")
        self.assertIn("removed by somebody else", " ".join(status["agent"]["reasons"]))
        self.assertEqual(status["log"]["state"], "writing")
        eventually(lambda: one.acked > mark + 50, 20, "it goes on")
        eventually(lambda: self.said(f"{newest} was removed by somebody else"), 10, "a line")
        self.assertGreater(self.segments()[-1].name, newest.name)
        self.end_producers(one)
        status = self.status(1)
        lost = status["log"]["removed"]
        self.assertEqual(status["log"]["lost"], lost)
        self.assertEqual(status["log"]["expired"]["batches"], 0)
        self.balance(one)
        self.stop()
        counted = self.assert_all_there()
        mine = counted["producers"][0]
        # What was acked after it was noticed is all there, and nothing more was lost.
        self.assertEqual(lost, noticed)
        self.assertEqual(mine["first"], noticed["batches"] + 1)
        self.assertEqual((mine["missing"], mine["batches"]), (0, mine["last"] - mine["first"] + 1))
        self.assertGreaterEqual(mine["last"], one.acked)
        self.assertEqual(mine["batches"] + lost["batches"], status["log"]["stored"]["batches"])
        # A start does not forget what it was.
        self.start()
        status = self.status(0)
        self.assertEqual(status["log"]["lost"], lost)
        self.assertEqual(status["log"]["expired"]["batches"], 0)
        self.assertEqual(self.said("was removed by somebody else"), 1)

    def test_every_commit_is_not_acked_in_a_removed_file(self):
        config = self.home / "config.yaml"
        config.write_text("log: {fsync: every_commit}\n")
        self.start("--config", config)
        one = self.produce(pause=0.005)
        eventually(lambda: one.acked > 20, 20, "records come in")
        self.segments()[-1].unlink()
        self.status_where("it says so", lambda s: s["log"]["removed"]["batches"])
        mark = one.acked
        eventually(lambda: one.acked > mark + 20, 20, "it goes on")
        self.end_producers(one)
        lost = self.status(1)["log"]["removed"]["batches"]
        self.stop()
        mine = self.assert_all_there()["producers"][0]
        # The batch that met it was refused, and is there all the same: its client sent it again.
        self.assertLessEqual(mine["first"], lost + 1)
        self.assertEqual(mine["missing"], 0)
        self.assertGreaterEqual(one.throttles.get(STORAGE_FAILED, 0), 1)

    def test_the_state_directory(self):
        one = self.begin()
        while self.state.exists():
            # It may make a segment in the midst of it.
            shutil.rmtree(self.state, ignore_errors=True)
        eventually(lambda: one.throttles.get(STORAGE_FAILED), 20, "a throttle")
        mark = one.acked
        status = self.status_where("it says so", lambda s: s["log"]["state"] == "failed")
        self.assertEqual(status["intake"]["state"], "closed")
        reasons = " ".join(status["agent"]["reasons"])
        # The log in it may be found gone before the directory itself is.
        self.assertRegex(reasons, rf"the state directory {self.state}(/log)? was removed")
        self.assertIn("restart codex-telemetryd", reasons)
        eventually(lambda: self.said(" was removed, or taken"), 10, "a line")
        self.telemetry("emit", "event", "meanwhile")
        self.assertEqual(one.acked, mark)
        # Nothing of a log was made again; the spool is the command's.
        self.assertEqual([each.name for each in self.state.iterdir()], ["spool"])
        self.agent.terminate()
        self.agent.wait(self.patience)
        self.assertFalse((self.state / "log").exists())
        self.start()
        eventually(lambda: one.acked > mark + 20, 20, "a new log")
        self.records(1, "--name", "meanwhile")
        self.end_producers(one)
        self.status(0)
        self.stop()
        mine = self.assert_all_there()["producers"]
        mine = next(each for each in mine if each["producer"] == one.identity.hex())
        self.assertLessEqual(mine["first"], mark + 1)
        self.assertEqual(mine["missing"], 0)

    def test_the_log_moved_away(self):
        one = self.begin()
        moved = self.home / "moved"
        (self.state / "log").rename(moved)
        shutil.copytree(moved, self.state / "log")
        eventually(lambda: one.throttles.get(STORAGE_FAILED), 20, "a throttle")
        mark = one.acked
        status = self.status_where("it says so", lambda s: s["log"]["state"] == "failed")
        self.assertEqual(status["intake"]["state"], "closed")
        self.assertIn(f"{self.state}/log was removed", " ".join(status["agent"]["reasons"]))
        self.assertLessEqual(len(list(moved.glob("*.segment"))), 2)
        self.assertEqual(one.acked, mark)
        self.agent.terminate()
        self.agent.wait(self.patience)
        self.start()
        eventually(lambda: one.acked > mark + 20, 20, "the copy goes on")
        self.end_producers(one)
        self.stop()
        mine = self.assert_all_there()["producers"]
        mine = next(each for each in mine if each["producer"] == one.identity.hex())
        self.assertGreaterEqual(mine["last"], one.acked)

    def test_a_second_agent_after_the_lock_was_removed(self):
        one = self.begin()
        first, messages = self.agent, self.messages
        (self.state / "lock").unlink()
        self.messages = self.home / "second"
        places = self.home / "other"
        places.mkdir()
        second = self.start(
            "--socket", places / "ingest.sock", "--control-socket", places / "control.sock", wait=False)
        eventually(lambda: self.listens(places / "ingest.sock"), 20, "the second takes data")
        eventually(lambda: one.throttles.get(STORAGE_FAILED), 20, "the first takes none")
        eventually(lambda: "was removed, or taken" in messages.read_text(), 10, "and says so")
        mark = one.acked
        self.ingest, old = places / "ingest.sock", self.ingest
        two = self.produce(pause=0.005)
        eventually(lambda: two.acked > 50, 20, "the second's client")
        before = {each: (self.state / "log" / each).stat().st_ino for each in ("meta", "position")}
        first.terminate()
        first.wait(self.patience)
        self.assertEqual(one.acked, mark)
        after = {each: (self.state / "log" / each).stat().st_ino for each in ("meta", "position")}
        self.assertEqual(before["position"], after["position"])
        self.end_producers(one, two)
        done = self.telemetry("status", "--json", "--control-socket", places / "control.sock", check=False)
        self.assertEqual(done.returncode, 0, done.stdout)
        said = json.loads(done.stdout)["log"]["stored"]["batches"]
        self.assertIsNone(second.poll())
        self.stop()
        counted = self.assert_all_there(two)
        self.assertTrue(counted["clean"])
        self.assertGreaterEqual(counted["stored_ever"]["batches"], said)
        # The second agent's start found all that the first had acked.
        mine = next(each for each in counted["producers"] if each["producer"] == one.identity.hex())
        self.assertEqual((mine["first"], mine["missing"]), (1, 0))
        self.ingest = old


if __name__ == "__main__":
    unittest.main()

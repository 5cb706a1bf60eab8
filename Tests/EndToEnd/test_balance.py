"""Every figure of the status has a counterpart that somebody else counted, and a loss turns it red."""

import copy
import json
import pathlib
import signal
import subprocess
import sys
import unittest

from alone import AloneCase
from host import eventually
from installed import ROOT

BALANCE = ROOT / "contrib/balance"
PRODUCER = pathlib.Path(__file__).with_name("producer.py")
# Figures of the status, and what the script calls them.
FIGURES = {
    ("intake", "received", "records"): "intake.received.records",
    ("intake", "stored", "records"): "intake.stored.records",
    ("intake", "stored", "batches"): "intake.stored.batches",
    ("intake", "duplicate", "records"): "intake.received.records",
    ("intake", "in_flight", "batches"): "intake.in_flight.batches",
    ("intake", "producer_dropped", "spans"): "intake.dropped.spans",
    ("log", "stored", "batches"): "log.stored.batches",
    ("log", "stored", "records"): "log.stored.records",
    ("log", "kept", "records"): "log.kept.records",
    ("log", "kept_spans"): "log.kept.spans",
    ("log", "expired", "batches"): "log.expired.batches",
    ("log", "segments"): "log.segments",
    ("log", "bytes"): "log.bytes",
    ("log", "committed"): "log.committed",
    ("log", "synced"): "log.synced",
    ("log", "id"): "log.id",
    ("exporters", 0, "stored"): "exporter.journald.stored",
    ("exporters", 0, "delivered"): "exporter.journald.stored",
    ("exporters", 0, "waiting"): "exporter.journald.waiting",
    ("exporters", 0, "cursor"): "exporter.journald.cursor",
    ("exporters", 0, "saved_cursor"): "exporter.journald.saved_cursor",
}


class Balance(AloneCase):
    verbs = ("run", "status")

    def start(self, plan=None):
        """An agent of this home, with a failpoint if one is planned."""
        extra = {"CODEX_TELEMETRY_FAILPOINT": plan} if plan else {}
        agent = subprocess.Popen(
            [self.program, "run", "--user"], env=self.env | extra, stdin=subprocess.DEVNULL,
            stderr=subprocess.PIPE, text=True,
        )
        self.addCleanup(lambda: (agent.poll() is None and agent.kill(), agent.wait(), agent.stderr.close()))
        eventually(lambda: self.socket.exists() or agent.poll() is not None, 15, "the agent listens")
        return agent

    @property
    def socket(self):
        return self.home / "run/codex-telemetry/ingest.sock"

    def load(self, *counts):
        """Sends records, one producer after the other; adds their tallies."""
        path = self.home / "tallies.json"
        tallies = json.loads(path.read_text()) if path.exists() else []
        for count in counts:
            told = subprocess.run(
                [sys.executable, PRODUCER, self.socket, "load", str(count), "50"], env=self.env,
                capture_output=True, text=True, timeout=60, check=True,
            )
            tallies.append(json.loads(told.stdout)["tally"])
        path.write_text(json.dumps(tallies))

    def balance(self, *words, wait="10"):
        return subprocess.run(
            [sys.executable, BALANCE, "--program", self.program, "--tally", self.home / "tallies.json",
             "--all-tallied", "--wait", wait, *words],
            env=self.env, capture_output=True, text=True, timeout=120,
        )

    def assertGreen(self, *words):
        done = self.balance(*words)
        self.assertEqual(done.returncode, 0, done.stdout + done.stderr)
        return done.stdout

    def red(self, *words, wait="1"):
        """The names of the figures that differ."""
        done = self.balance(*words, wait=wait)
        self.assertEqual(done.returncode, 1, done.stdout + done.stderr)
        return done.stderr.strip().removeprefix("RED: ").split(", ")

    def test_all_agrees_also_after_a_death_and_an_orderly_end(self):
        agent = self.start()
        self.load(1000, 70)
        self.assertIn("intake.sent.records", self.assertGreen())
        agent.kill()
        agent.wait()
        self.socket.unlink()
        agent = self.start()
        self.load(130)
        self.assertGreen()
        agent.send_signal(signal.SIGTERM)
        self.assertEqual(agent.wait(30), 0)
        self.start()
        self.assertGreen()

    def test_a_cursor_that_is_not_saved_is_left_out_with_the_reason(self):
        self.start()
        self.load(100)
        self.assertGreen()
        told = subprocess.run([self.program, "status", "--json"], env=self.env, capture_output=True, text=True)
        status, file = json.loads(told.stdout), self.home / "status.json"
        # As it is shown while the disk is full from the start on.
        nothing = {"cursor": "0:0", "stored": 0, "delivered": 0, "waiting": 0, "excluded": {}, "lost": {}}
        for state, reason, names in (("degraded", "no space", None), ("running", "", "exporter.journald.saved_cursor")):
            status["exporters"][0] |= nothing | {"saved_cursor": "", "state": state, "reason": reason}
            file.write_text(json.dumps(status))
            if names is None:
                self.assertIn("left out, its cursor is not saved: no space", self.assertGreen("--status", file))
            else:
                self.assertIn(names, self.red("--status", file))

    def test_a_batch_dropped_without_being_counted_turns_it_red(self):
        self.start("batch.submit.before=drop@3")
        self.load(500)
        found = self.red()
        self.assertIn("producers.records", found)
        self.assertIn("intake.sent.records", found)

    def at_rest(self):
        status = json.loads(self.telemetry("status", "--json", check=False).stdout)
        cursors = {each[name] for each in status["exporters"] for name in ("cursor", "saved_cursor")}
        return status if cursors == {status["log"]["committed"]} else None

    def test_every_figure_of_the_status_counts(self):
        self.start()
        self.load(500)
        self.assertGreen()
        # A saved answer is compared with files that stand still: the exporter's cursor is the last to move.
        status = eventually(self.at_rest, 20, "the exporter is done")
        path = self.home / "status.json"
        path.write_text(json.dumps(status))
        self.assertGreen("--status", str(path))
        for place, name in FIGURES.items():
            with self.subTest(name=name, place=place):
                wrong = copy.deepcopy(status)
                *above, last = place
                within = wrong
                for key in above:
                    within = within[key]
                value = within[last]
                within[last] = value + 1 if isinstance(value, int) else value + "0"
                path.write_text(json.dumps(wrong))
                self.assertIn(name, self.red("--status", str(path)))

    def test_what_is_missing_from_the_log_turns_it_red(self):
        agent = self.start()
        self.load(500)
        self.assertGreen()
        status = json.loads(self.telemetry("status", "--json", check=False).stdout)
        path = self.home / "status.json"
        path.write_text(json.dumps(status))
        agent.kill()
        agent.wait()
        segment = next((self.home / ".local/state/codex-telemetry/log").glob("*.segment"))
        data = bytearray(segment.read_bytes())
        data[int(status["log"]["committed"].split(":")[1]) - 20] ^= 1
        segment.write_bytes(data)
        self.assertIn("log.end", self.red("--status", str(path)))

    def test_without_an_agent_there_is_nothing_to_compare(self):
        (self.home / "tallies.json").write_text("[]")
        done = self.balance()
        self.assertEqual(done.returncode, 2, done.stdout + done.stderr)

    def test_a_misspelt_failpoint_keeps_the_agent_from_starting(self):
        for plan, told in (
            ("segment.wirte.before=kill", '"segment.wirte.before" is no place; known are directory.create.before'),
            ("segment.write.before=die", '"die" is no action'),
            ("segment.write.before=kill@0", "a turn is a number"),
        ):
            done = subprocess.run(
                [self.program, "run", "--user"], env=self.env | {"CODEX_TELEMETRY_FAILPOINT": plan},
                stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=30,
            )
            self.assertEqual(done.returncode, 64, done.stderr)
            self.assertIn(told, done.stderr)
            self.assertFalse((self.home / ".local/state/codex-telemetry").exists())


if __name__ == "__main__":
    unittest.main()

"""Every record in the journal exactly once, through deaths of journald and of the agent; and every figure
of the status as somebody else counts it."""

import collections
import json
import time
import unittest

from host import eventually
from installed import INGEST, PYTHON, SERVICE, SOURCE, AgentCase

COUNT = 50_000
KILLS = 10


class JournalDelivery(AgentCase):
    tallies = []

    def setUp(self):
        self.host.write(
            "/etc/codex-telemetry/otel-config.yaml",
            "exporters:\n"
            "  journald:\n"
            "    detail: all\n"
            "    entries_per_second_max: 0\n"
            "    bytes_per_day_max: 0\n",
        )
        self.host.systemctl("restart", SERVICE)
        self.addCleanup(self.host.systemctl, "restart", SERVICE)
        self.addCleanup(self.host.path("/etc/codex-telemetry/otel-config.yaml").unlink)

    def journald(self):
        """The exporter's part of the status."""
        return next(each for each in self.status()["exporters"] if each["name"] == "journald")

    def kill(self, unit):
        """Kills a service; systemd starts it again, however often that was."""
        self.host.systemctl("reset-failed", unit, check=False)
        self.host.systemctl("kill", "-s", "KILL", unit)

    def load(self, *killed):
        """Sends the records while services are killed; the journal's entries of them, by place."""
        before = self.journald()
        since = f"@{time.time():.6f}"
        for round_ in range(KILLS):
            self.send(COUNT // KILLS)
            for unit in killed:
                self.kill(unit)

        def done():
            now = self.journald()
            return now["waiting"] == 0 and now["stored"] - before["stored"] == COUNT and now

        after = eventually(
            done, 120, lambda: f"{COUNT} records are delivered: {before} then, {self.journald()} now"
        )
        self.assertEqual(after["delivered"] - before["delivered"], COUNT, after)
        self.balance()
        return self.found(since)

    def send(self, count):
        """Sends records, and keeps their producer's tally."""
        script = f"{SOURCE}/Tests/EndToEnd/producer.py"
        told = self.host.run(PYTHON, script, INGEST, "load", str(count), "50", user="ada")
        self.tallies.append(json.loads(told.stdout)["tally"])

    def send_through_deaths(self, count):
        """The same, with a producer that comes back when the agent does."""
        folder = f"/home/ada/producer-{time.time_ns()}"
        script = f"{SOURCE}/Tests/EndToEnd/crash_producer.py"
        held = self.host.popen(
            PYTHON, script, INGEST, "-", folder, "1", str(count), "1", str(count), user="ada", stdin=-1)
        with held:
            self.assertEqual(held.wait(120), 0)
        self.tallies += json.loads(self.host.path(f"{folder}/tally.json").read_text())

    def balance(self):
        """All figures agree with log, journal and tallies."""
        self.host.write("/run/tallies.json", json.dumps(self.tallies))
        told = self.host.run(
            PYTHON, f"{SOURCE}/contrib/balance", "--program", "codex-telemetry", "--journal",
            "--tally", "/run/tallies.json", "--all-tallied", "--wait", "20", check=False, timeout=300,
        )
        self.assertEqual(told.returncode, 0, told.stdout + told.stderr)
        for figure in ("exporter.journald.delivered", "exporter.journald.twice", "producers.records"):
            self.assertIn(figure, told.stdout)

    def found(self, since):
        """The journal's entries of our records, by place."""
        # By one field alone: journald may have died before it had linked an entry into the lists of others.
        found = self.host.run(
            "journalctl", "-q", "-t", "codex-telemetry", "--since", since, "-o", "json",
            "--output-fields=CODEX_OFFSET,CODEX_NAME", timeout=120,
        ).stdout.splitlines()
        entries = (json.loads(each) for each in found)
        return collections.Counter(
            each["CODEX_OFFSET"] for each in entries if each["CODEX_NAME"] in ("load.span", "crash.span")
        )

    def test_journald_killed_ten_times_loses_and_doubles_nothing(self):
        entries = self.load("systemd-journald.service")
        self.assertEqual((len(entries), max(entries.values())), (COUNT, 1))

    def test_journald_and_the_agent_killed_ten_times_lose_and_double_nothing(self):
        entries = self.load(SERVICE, "systemd-journald.service")
        self.assertEqual((len(entries), max(entries.values())), (COUNT, 1))

    def test_killed_on_either_side_of_a_send_loses_and_doubles_nothing(self):
        for side in ("before", "after"):
            with self.subTest(side=side):
                before, since = self.journald(), f"@{time.time():.6f}"
                path = f"/run/systemd/system/{SERVICE}.d/failpoint.conf"
                place = f"journal.send.{side}"
                self.host.systemctl("stop", SERVICE)
                self.host.write(path, f"[Service]\nEnvironment=CODEX_TELEMETRY_FAILPOINT={place}=kill@3\n")
                try:
                    self.host.systemctl("daemon-reload")
                    self.host.systemctl("start", SERVICE)
                    self.send_through_deaths(2000)
                    self.deaths(place, since, 3)
                finally:
                    self.host.path(path).unlink()
                    self.host.systemctl("daemon-reload")
                self.host.systemctl("restart", SERVICE)
                eventually(
                    lambda: (now := self.journald())["waiting"] == 0
                    and now["stored"] - before["stored"] == 2000,
                    60, lambda: f"all is delivered: {before} then, {self.journald()} now",
                )
                self.balance()
                entries = self.found(since)
                self.assertEqual((len(entries), max(entries.values())), (2000, 1))

    def test_a_stop_before_the_journal_was_looked_at_doubles_nothing(self):
        before, since = self.journald(), f"@{time.time():.6f}"
        path = f"/run/systemd/system/{SERVICE}.d/failpoint.conf"
        place = "journal.send.after"
        self.host.systemctl("stop", SERVICE)
        self.host.write(path, f"[Service]\nEnvironment=CODEX_TELEMETRY_FAILPOINT={place}=kill\n")
        try:
            self.host.systemctl("daemon-reload")
            self.host.systemctl("start", SERVICE)
            # After an orderly end the first send is of entries; after a death it is a barrier.
            self.send_through_deaths(50)
            self.deaths(place, since, 1)
            self.host.systemctl("stop", SERVICE)
        finally:
            self.host.path(path).unlink()
            self.host.systemctl("daemon-reload")
        journald = self.host.properties("systemd-journald.service", "MainPID")["MainPID"]
        self.host.run("kill", "-STOP", journald)
        try:
            self.host.systemctl("start", SERVICE)
            self.host.systemctl("stop", SERVICE)
        finally:
            self.host.run("kill", "-CONT", journald)
        self.host.systemctl("start", SERVICE)
        eventually(
            lambda: (now := self.journald())["waiting"] == 0 and now["stored"] - before["stored"] == 50,
            60, lambda: f"all is delivered: {before} then, {self.journald()} now",
        )
        self.balance()
        entries = self.found(since)
        self.assertEqual((len(entries), max(entries.values())), (50, 1))

    def deaths(self, place, since, count):
        """Waits until the agent has died there so many times, and systemd has started it again."""
        def said():
            told = self.host.journal("--unit", SERVICE, "--since", since)
            return [each for each in told if f"failpoint {place}: kill" in each["MESSAGE"]]

        eventually(lambda: len(said()) >= count, 30, lambda: f"{count} deaths at {place}: {said()}")


if __name__ == "__main__":
    unittest.main()

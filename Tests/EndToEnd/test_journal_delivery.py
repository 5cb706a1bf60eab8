"""Every record in the journal exactly once, through deaths of journald and of the agent."""

import collections
import json
import time
import unittest

from host import eventually
from installed import INGEST, PYTHON, SERVICE, SOURCE, AgentCase

COUNT = 50_000
KILLS = 10


class JournalDelivery(AgentCase):
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
        script = f"{SOURCE}/Tests/EndToEnd/producer.py"
        for round_ in range(KILLS):
            self.host.run(PYTHON, script, INGEST, "load", str(COUNT // KILLS), "50", user="ada")
            for unit in killed:
                self.kill(unit)

        def done():
            now = self.journald()
            return now["waiting"] == 0 and now["stored"] - before["stored"] == COUNT and now

        after = eventually(
            done, 120, lambda: f"{COUNT} records are delivered: {before} then, {self.journald()} now"
        )
        self.assertEqual(after["delivered"] - before["delivered"], COUNT, after)
        # By one field alone: journald may have died before it had linked an entry into the lists of others.
        found = self.host.run(
            "journalctl", "-q", "-t", "codex-telemetry", "--since", since, "-o", "json",
            "--output-fields=CODEX_OFFSET,CODEX_NAME", timeout=120,
        ).stdout.splitlines()
        entries = (json.loads(each) for each in found)
        return collections.Counter(
            each["CODEX_OFFSET"] for each in entries if each["CODEX_NAME"] == "load.span"
        )

    def test_journald_killed_ten_times_loses_and_doubles_nothing(self):
        entries = self.load("systemd-journald.service")
        self.assertEqual((len(entries), max(entries.values())), (COUNT, 1))

    def test_journald_and_the_agent_killed_ten_times_lose_and_double_nothing(self):
        entries = self.load(SERVICE, "systemd-journald.service")
        self.assertEqual((len(entries), max(entries.values())), (COUNT, 1))


if __name__ == "__main__":
    unittest.main()

"""What the real Codex CLI sent, in the journal: by default an entry for each operation, by choice every record."""

import json
import os
import unittest

import codex
from host import eventually
from installed import PYTHON, ROOT, SERVICE, SOURCE, AgentCase

# Runs Codex to its end against a model of its own, in the host's network, which has the loopback and no more.
RUN = """
import sys
sys.path.insert(0, sys.argv[1])
from codex import Codex, Model
import pathlib
home = pathlib.Path(sys.argv[2])
home.mkdir(exist_ok=True)
with Model(command="exit 3") as model:
    user = Codex(home, model)
    user.settings(user.exporters(4318))
    run = user.run()
    print(run.text)
    sys.exit(run.code)
"""


class CodexInTheJournal(AgentCase):
    # Too much for the host's memory.
    binds = {f"{SOURCE}/.build/codex": str(ROOT / ".build/codex")}

    @classmethod
    def setUpClass(cls):
        why_not = codex.why_not()
        if why_not:
            raise unittest.SkipTest(why_not)
        super().setUpClass()

    def run_codex(self):
        """A turn with a tool call; the records of it, by signal."""
        done = self.host.run(PYTHON, "-c", RUN, f"{SOURCE}/Tests/EndToEnd", "/srv/codex", timeout=180)
        self.assertIn("all done", done.stdout)

    def journald(self):
        return next(each for each in self.status()["exporters"] if each["name"] == "journald")

    def delivered(self):
        """The exporter's figures once it has seen everything."""

        def ask():
            exporter = self.journald()
            return exporter["stored"] > 0 and exporter["waiting"] == 0 and exporter

        return eventually(ask, 90, lambda: json.dumps(self.journald()))

    def test_an_entry_for_each_operation_and_by_choice_for_every_record(self):
        self.run_codex()
        exporter = self.delivered()
        found = [(entry["CODEX_OPERATION"], entry["CODEX_STATUS"]) for entry in self.host.journal("-t", "codex-telemetry")]
        # Two requests to the model, for the call of the tool and for the answer.
        self.assertEqual(sorted(found), [
            ("codex.api_request", "ok"), ("codex.api_request", "ok"), ("codex.command", "unset"), ("codex.tool", "ok"),
            ("codex.turn", "unset"),
        ])
        self.assertEqual(exporter["delivered"], len(found))
        # Points become a summary of an interval.
        self.assertEqual(set(exporter["excluded"]), {"not_selected", "aggregated"})
        self.assertEqual(sum(exporter["excluded"].values()), exporter["stored"] - len(found))
        turn = next(entry for entry in self.host.journal("-t", "codex-telemetry", "CODEX_OPERATION=codex.turn"))
        self.assertRegex(turn["MESSAGE"], r"^turn gpt-test in .* · session …[0-9a-f]{8} · codex_exec$")
        first = self.status()["log"]

        self.host.write(
            "/etc/codex-telemetry/otel-config.yaml",
            "exporters:\n  journald: {detail: all, entries_per_second_max: 0, bytes_per_day_max: 0}\n")
        self.host.systemctl("restart", SERVICE)
        self.addCleanup(os.unlink, self.host.path("/etc/codex-telemetry/otel-config.yaml"))
        self.run_codex()
        exporter = self.delivered()
        second = self.status()["log"]
        # Summaries of metrics come when their interval ends.
        entries = [entry for entry in self.host.journal("-t", "codex-telemetry") if entry["CODEX_RECORD"] != "metrics"]
        spans = [entry for entry in entries if entry["CODEX_RECORD"] == "span"]
        self.assertEqual(len(spans), second["kept_spans"] - first["kept_spans"] + sum(name in ("codex.command", "codex.turn") for name, _ in found))
        self.assertGreater(len(spans), 400)
        self.assertEqual(exporter["lost"], {})
        self.assertEqual(len(entries), exporter["delivered"])
        records = [each["stored"]["records"] for each in (first, second)]
        print(f"  operations: {len(found)} of {records[0]} records; all: {len(entries) - len(found)} of {records[1] - records[0]}", flush=True)


if __name__ == "__main__":
    unittest.main()

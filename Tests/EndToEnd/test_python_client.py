"""The Python client, written from the specification alone, against the real agent."""

import json
import os
import signal
import subprocess
import sys
import time
import unittest

from alone import AloneCase
from host import eventually
from installed import ROOT

WORK = """
import codex_telemetry as telemetry, sys, time
for number in range(int(sys.argv[1])):
    with telemetry.span("codex.tool", {"gen_ai.tool.name": "step", "number": number}):
        pass
    if number % 50 == 0:
        time.sleep(0.02)
"""
PRODUCERS, SPANS = 3, 6_000


class PythonClient(AloneCase):
    verbs = ("run", "status", "tail")

    def setUp(self):
        super().setUp()
        self.env |= {"CODEX_OTEL_ENABLED": "1", "PYTHONPATH": str(ROOT / "contrib/clients/python")}
        self.socket = self.home / "run/codex-telemetry/ingest.sock"
        self.state = self.home / ".local/state/codex-telemetry"

    def agent(self):
        agent = subprocess.Popen([self.program, "run", "--user"], env=self.env, stdin=subprocess.DEVNULL)
        self.addCleanup(lambda: agent.poll() is None and (agent.send_signal(signal.SIGTERM), agent.wait()))
        return agent

    def work(self, count):
        return subprocess.Popen([sys.executable, "-c", WORK, str(count)], env=self.env)

    def count(self):
        told = subprocess.run(
            [sys.executable, ROOT / "Tests/Witness/witness.py", "count", self.state, "--json", "--decode"],
            capture_output=True, text=True, timeout=120,
        )
        self.assertEqual(told.returncode, 0, told.stdout + told.stderr)
        return json.loads(told.stdout)

    def test_every_kind_of_record_is_stored_and_shown(self):
        self.agent()
        eventually(self.socket.exists, 10, "the agent listens")
        script = """
import codex_telemetry as telemetry
telemetry.init("python-test")
with telemetry.span("codex.tool", {"gen_ai.tool.name": "shell"}) as span:
    telemetry.event("codex.approval", {"decision": "approved"}, body={"k": [1, 2.5, None, b"b"]})
    span.error("timeout", "too late")
telemetry.counter("calls").add(2)
telemetry.gauge("depth").set(1.5)
telemetry.histogram("took", "ms").record(7)
"""
        subprocess.run([sys.executable, "-c", script], env=self.env, check=True, timeout=20)
        count = eventually(lambda: self.count()["records"] == 5 and self.count(), 10, "five records")
        self.assertEqual(count["kinds"], {"span": 1, "log": 1, "number": 2, "histogram": 1})
        self.assertEqual(count["uids"], [os.geteuid()])
        self.assertIn("codex.tool", json.dumps(self.records(1)))

    def test_kills_of_the_agent_lose_nothing_and_store_nothing_twice(self):
        agent = self.agent()
        eventually(self.socket.exists, 10, "the agent listens")
        producers = [self.work(SPANS) for _ in range(PRODUCERS)]
        for outage in (0, 3.0, 0):  # The second is longer than the clients wait before they spool.
            time.sleep(0.7)  # of the clients' work between two kills
            agent.kill()
            agent.wait()
            time.sleep(outage)
            agent = self.agent()
        self.assertEqual([each.wait(60) for each in producers], [0] * PRODUCERS)
        agent.kill()
        agent.wait()
        self.assertEqual(self.work(100).wait(60), 0)  # It finds nobody, and spools.
        self.agent()
        wanted = PRODUCERS * SPANS + 100
        eventually(lambda: self.count()["records"] >= wanted, 30, "all records")
        count = self.count()
        self.assertEqual((count["records"], count["exactly_once"]), (wanted, True))
        self.assertEqual((count["dropped_spans"], count["disagreements"]), (0, 0))
        eventually(lambda: not os.listdir(self.state / "spool"), 10, "the spool is drained")


if __name__ == "__main__":
    unittest.main()

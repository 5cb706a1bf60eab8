"""The real Codex CLI sends to the agent: every record that left it is in the log once, and at a backend behind."""

import collections
import contextlib
import json
import socket
import subprocess
import unittest

import codex
from codex import Codex, Model
from faults import FaultCase
from host import eventually
from installed import ROOT
from otlp_proxy import Recorder

PYTHON = ROOT / ".build/python/bin/python"


HAS_PYTHON = unittest.skipUnless(PYTHON.exists(), "contrib/prerequisites --tests has not been run: no OpenTelemetry classes")


class CodexCase(FaultCase):
    """The loopback is the test's own: the agent is on port 4318 as it is anywhere."""

    port = 4318

    @classmethod
    def setUpClass(cls):
        why_not = codex.why_not()
        if why_not:
            raise unittest.SkipTest(why_not)
        super().setUpClass()
        alone = codex.loopback()
        alone.__enter__()
        cls.addClassCleanup(alone.__exit__, None, None, None)

    def setUp(self):
        super().setUp()
        self.file, self.backend_port = self.home / "backend.jsonl", 9999

    def enter(self, context):
        value = context.__enter__()
        self.addCleanup(context.__exit__, None, None, None)
        return value

    def records(self, count, *selection, seconds=60):
        return super().records(count, *selection, seconds=seconds)

    def codex(self, **model):
        """Codex in this home, with a model of its own."""
        return Codex(self.home, self.enter(Model(**model)))

    def begin(self, **exporter):
        """An agent that passes on what it takes."""
        self.start("--config", self.pass_on(**exporter))
        self.status_where(
            "the receiver is open",
            lambda s: all("problem" not in place for each in s["receivers"] for place in each["places"]))

    def pass_on(self, **exporter):
        """A configuration with a backend behind."""
        config = self.home / "config.yaml"
        sends = {"endpoint": f"http://127.0.0.1:{self.backend_port}", "retry_on_failure": {"max_interval": "1s"}} | exporter
        config.write_text(json.dumps({"exporters": {"otlp_http": sends, "journald": {"enabled": False}}}))
        return config

    def backend(self):
        process = subprocess.Popen(
            [PYTHON, ROOT / "Tests/EndToEnd/otlp_sink.py", str(self.backend_port), self.file], stdout=subprocess.PIPE, text=True)
        self.addCleanup(process.stdout.close)
        self.addCleanup(self._bury, process)
        self.assertEqual(process.stdout.readline(), "listens\n")

    def arrived(self):
        """How often each record is at the backend, by path."""
        lines = [json.loads(line) for line in self.file.read_text().splitlines()] if self.file.exists() else []
        found = collections.defaultdict(collections.Counter)
        for line in lines:
            found[line["path"]].update(line["records"])
        return found

    def sent(self, folder):
        """What left Codex and was recorded there, by path."""
        told = subprocess.run(
            [PYTHON, ROOT / "Tests/EndToEnd/otlp_proxy.py", folder], capture_output=True, text=True, timeout=60)
        self.assertEqual(told.returncode, 0, told.stderr)
        found = collections.defaultdict(list)
        for request in json.loads(told.stdout):
            found[request["path"]] += request["records"]
        return found

    def delivered(self, count, seconds=90):
        def ask():
            exporter = next(each for each in self.status()["exporters"] if each["name"] == "otlp_http")
            return exporter["delivered"] == count and exporter["waiting"] == 0

        eventually(ask, seconds, lambda: f"{count} delivered: {json.dumps(self.status()['exporters'])}")


@HAS_PYTHON
class EveryRecord(CodexCase):
    def check(self, protocol):
        self.backend()
        self.begin()
        recorded = self.home / "recorded"
        port = self.record_calls(recorded) if protocol == "grpc" else self.enter(Recorder(recorded, self.port)).port
        user = self.codex()
        user.settings(user.exporters(port, protocol))
        run = user.run()
        self.assertEqual(run.code, 0, run.text)
        self.assertIn("all done", run.text)
        answers = {json.loads(each.read_text()).get("status") for each in recorded.glob("*.json")}
        self.assertEqual(answers, {200})
        sent = self.sent(recorded)
        count = sum(len(each) for each in sent.values())
        # A turn with a tool call; the figures that it had elsewhere, with room.
        self.assertGreater(len(sent["/v1/traces"]), 400)
        self.assertGreater(len(sent["/v1/metrics"]), 100)
        self.assertIn("codex.tool_result", sent["/v1/logs"])
        status = self.status()
        self.assertEqual(status["intake"]["stored"]["records"], count)
        self.assertEqual(status["log"]["kept_spans"], len(sent["/v1/traces"]))
        self.assertEqual(status["receivers"][0]["unknown_fields"], {})
        self.delivered(count)
        arrived = self.arrived()
        self.assertEqual(arrived["/v1/traces"], collections.Counter(sent["/v1/traces"]))
        self.assertEqual(max(arrived["/v1/traces"].values()), 1)
        self.assertEqual(arrived["/v1/metrics"], collections.Counter(sent["/v1/metrics"]))
        self.assertEqual(sum(arrived["/v1/logs"].values()), len(sent["/v1/logs"]))
        self.stop()
        self.assertEqual(self.assert_all_there()["records"], count)
        print(f"  {protocol}: " + ", ".join(f"{len(sent[path])} {path[4:]}" for path in sorted(sent)), flush=True)

    def test_a_backend_that_was_away_receives_everything_once(self):
        """Away in each of the ways in which Codex by itself loses records or waits for 20 s."""
        user = self.codex()
        user.settings(user.exporters(self.port))
        # Refusing.
        self.begin()
        self.assertEqual(user.run().code, 0)
        for way in ("accepting and never answering", "a full queue of connections: packets are dropped"):
            with socket.socket() as away, contextlib.ExitStack() as waiting:
                away.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
                away.bind(("127.0.0.1", self.backend_port))
                if way.startswith("accepting"):
                    away.listen(64)
                else:
                    away.listen(0)
                    waiting.enter_context(socket.create_connection(away.getsockname()))
                run = user.run()
                self.assertEqual(run.code, 0, run.text)
        count = self.status()["intake"]["stored"]["records"]
        spans = self.status()["log"]["kept_spans"]
        self.assertGreater(spans, 3 * 400)
        self.backend()
        self.delivered(count)
        arrived = self.arrived()
        self.assertEqual(len(arrived["/v1/traces"]), spans)
        self.assertEqual(max(arrived["/v1/traces"].values()), 1)
        self.assertEqual(sum(sum(each.values()) for each in arrived.values()), count)

    def record_calls(self, folder):
        """A recorder of gRPC before the agent; its port."""
        folder.mkdir()
        process = subprocess.Popen(
            [PYTHON, ROOT / "Tests/EndToEnd/otlp_grpc_proxy.py", folder, str(self.port - 1)], stdout=subprocess.PIPE, text=True)
        self.addCleanup(process.stdout.close)
        self.addCleanup(self._bury, process)
        return int(process.stdout.readline())

    def test_over_grpc_is_in_the_log_and_at_a_backend_once(self):
        self.check("grpc")

    def test_over_protobuf_is_in_the_log_and_at_a_backend_once(self):
        self.check("binary")

    def test_over_json_is_in_the_log_and_at_a_backend_once(self):
        self.check("json")


if __name__ == "__main__":
    unittest.main()

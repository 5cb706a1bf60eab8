"""What an OpenTelemetry SDK sent is at a backend behind the agent, whatever happened to the backend or the agent meanwhile."""

import collections
import json
import os
import signal
import subprocess
import unittest

from host import eventually
from installed import ROOT
from test_otlp_intake import PYTHON, OTLPCase, free_port


class ExportCase(OTLPCase):
    """An agent between an SDK and a backend."""

    def setUp(self):
        super().setUp()
        self.backend_port, self.file = free_port(), self.home / "backend.jsonl"
        self.port = free_port()

    def configure(self, **more):
        """An agent that takes OTLP and passes it on."""
        self.config = self.home / "config.yaml"
        exporter = {"endpoint": f"http://127.0.0.1:{self.backend_port}", "retry_on_failure": {"max_interval": "1s"}} | more
        self.config.write_text(json.dumps({
            "receivers": {"otlp": {"protocols": {"http": {"endpoint": f"localhost:{self.port}"}}}},
            "exporters": {"otlp_http": exporter, "journald": {"enabled": False}},
        }))
        self.begin_agent()

    def begin_agent(self):
        self.start("--config", self.config)
        self.status_where("the receiver is open", lambda s: not self.closed_places(s))

    def backend(self, answers=""):
        words = [PYTHON, ROOT / "Tests/EndToEnd/otlp_sink.py", str(self.backend_port), self.file, *([answers] if answers else [])]
        process = subprocess.Popen(words, stdout=subprocess.PIPE, text=True)
        self.addCleanup(process.stdout.close)
        self.addCleanup(self._bury, process)
        self.assertEqual(process.stdout.readline(), "listens\n")
        return process

    def lines(self):
        return [json.loads(line) for line in self.file.read_text().splitlines()] if self.file.exists() else []

    def there(self):
        """How often each record is at the backend."""
        return collections.Counter((line["path"], name) for line in self.lines() for name in line["records"])

    def send(self, count=100, *packing):
        sent = self.sdk(f"http://localhost:{self.port}", "http", count, *packing)
        self.assertTrue(sent["flushed"])
        return sum(sent[each] for each in ("spans", "logs", "points"))

    def exporter(self):
        return next(each for each in self.status()["exporters"] if each["name"] == "otlp_http")

    def delivered(self, count, seconds=30):
        """The exporter's figures once all is delivered."""

        def ask():
            exporter = self.exporter()
            return exporter if exporter["delivered"] == count and exporter["waiting"] == 0 else None

        return eventually(ask, seconds, lambda: f"{count} delivered: {json.dumps(self.exporter())}")

    def assert_once(self, total):
        there = self.there()
        self.assertEqual(sum(there.values()), total)
        # Spans have ids; what names the others repeats from program to program.
        again = {name: count for name, count in there.items() if count > 1 and name[0] == "/v1/traces"}
        self.assertEqual(again, {})


@unittest.skipUnless(PYTHON.exists(), "contrib/prerequisites --tests has not been run: no OpenTelemetry classes")
class OTLPExport(ExportCase):
    def test_in_protobuf_and_in_json_every_record_arrives_once(self):
        self.backend()
        for number, (encoding, compression) in enumerate((("proto", "gzip"), ("json", "none"))):
            with self.subTest(encoding):
                self.file.unlink(missing_ok=True)
                self.configure(encoding=encoding, compression=compression, headers={"X-Scope": "tenant"})
                total = self.send()
                exporter = self.delivered(total * (number + 1))
                self.assertEqual(exporter["state"], "running")
                self.assert_once(total)
                for line in self.lines():
                    headers = line["headers"]
                    self.assertEqual(headers["X-Scope"], "tenant")
                    self.assertEqual(headers.get("Content-Encoding"), "gzip" if compression == "gzip" else None)
                    self.assertEqual(headers["Content-Type"], "application/json" if encoding == "json" else "application/x-protobuf")
                shown = self.telemetry("config", "--config", self.config).stdout
                self.assertNotIn("tenant", shown)
                self.stop()

    def test_a_backend_that_was_down_receives_everything_once(self):
        self.configure()
        total = self.send()
        exporter = eventually(lambda: (e := self.exporter())["state"] == "degraded" and e, 20, "the exporter says so")
        self.assertEqual((exporter["delivered"], exporter["waiting"]), (0, total))
        self.assertRegex(exporter["reason"], f"connection refused by 127.0.0.1:{self.backend_port}: nothing listens there; start the backend")
        total += self.send()
        self.backend()
        self.delivered(total)
        self.assert_once(total)
        self.assertEqual(self.exporter()["state"], "running")
        self.stop()

    def test_the_agent_is_killed_and_everything_arrives(self):
        self.configure()
        total = self.send()
        self.agent.kill()
        self.agent.wait()
        self.backend()
        self.begin_agent()
        total += self.send()
        for _ in range(3):
            self.agent.send_signal(signal.SIGKILL)
            self.agent.wait()
            self.begin_agent()
            total += self.send(20)
        exporter = eventually(
            lambda: (e := self.exporter())["waiting"] == 0 and e["delivered"] == total and e, 30,
            lambda: f"{total}: {json.dumps(self.exporter())}")
        self.assertEqual(exporter["lost"], {})
        there = self.there()
        self.assertEqual(len([name for name in there if name[0] == "/v1/traces"]), 2 * (200 + 60))
        self.assertGreaterEqual(sum(there.values()), total)
        print(f"  {total} records, {sum(there.values()) - total} of them twice", flush=True)
        self.stop()

    def test_a_death_repeats_nothing_that_was_answered(self):
        """The cursor is saved once a second; the agent dies within that second."""
        self.backend()
        self.configure()
        total = 0
        for _ in range(4):
            total += self.send(20)
            self.delivered(total)
            self.agent.send_signal(signal.SIGKILL)
            self.agent.wait()
            self.begin_agent()
        self.delivered(total)
        self.assertEqual(sum(self.there().values()), total)
        self.stop()

    def test_answers_are_understood(self):
        """Whoever is told to come again does, and everything arrives once."""
        self.backend("503:3,429:3")
        self.configure()
        total = self.send()
        exporter = self.delivered(total)
        self.assertGreaterEqual(int(exporter["details"]["sent_again"]), 6)
        self.assert_once(total)
        self.stop()

    def test_what_is_refused_for_good_is_kept_and_holds_nothing_up(self):
        self.backend("400:1,partial:1")
        self.configure()
        total = self.send()
        exporter = eventually(lambda: (e := self.exporter())["waiting"] == 0 and e["lost"] and e, 30, lambda: json.dumps(self.exporter()))
        lost = exporter["lost"]["rejected"]
        self.assertEqual(exporter["delivered"] + lost, total)
        folder = self.state / "rejected/otlp_http"
        names = sorted(os.listdir(folder))
        self.assertEqual(len(names), 2, names)
        self.assertIn("answered 400", next(folder.glob("*.reason")).read_text())
        # The request that was refused left no records at the backend; the record of the partial success did.
        self.assertEqual(sum(self.there().values()), total - lost + 1)
        self.assertEqual(exporter["state"], "running")
        self.stop()

    def test_a_configuration_that_sends_to_ourselves_is_refused(self):
        self.backend_port = self.port
        config = self.home / "config.yaml"
        config.write_text(
            f"receivers: {{otlp: {{protocols: {{http: {{endpoint: 'localhost:{self.port}'}}}}}}}}\n"
            f"exporters:\n  otlphttp/loop:\n    endpoint: http://127.0.0.1:{self.port}/v1/traces\n  otlp_http/none:\n    timeout: 1s\n")
        told = self.telemetry("config", "check", config, check=False)
        self.assertNotEqual(told.returncode, 0)
        self.assertRegex(told.stdout + told.stderr, r":4:15: exporters\.otlp_http/loop\.endpoint would send to this agent's own receiver")
        self.assertRegex(told.stdout + told.stderr, r":5:3: exporters\.otlp_http/none needs an endpoint")


if __name__ == "__main__":
    unittest.main()

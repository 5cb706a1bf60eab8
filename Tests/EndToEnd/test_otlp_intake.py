"""OTLP senders that are not ours: the OpenTelemetry SDK and the real Codex's payloads. What they sent is in the
log, each record once."""

import http.client
import json
import pathlib
import socket
import subprocess
import unittest

from faults import FaultCase
from installed import ROOT

PYTHON = ROOT / ".build/python/bin/python"
PAYLOADS = ROOT.parent / "shared/data/codex"


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


class OTLPCase(FaultCase):
    def begin(self):
        """An agent that listens at a port of the test's own."""
        self.port = free_port()
        config = self.home / "config.yaml"
        config.write_text(f"receivers: {{otlp: {{protocols: {{http: {{endpoint: 'localhost:{self.port}'}}}}}}}}\n")
        self.start("--config", config)
        self.status_where("the receiver is open", lambda s: not self.closed_places(s))

    @staticmethod
    def closed_places(status):
        return [place for each in status["receivers"] for place in each["places"] if place.get("problem")]

    def sdk(self, *words):
        done = subprocess.run([PYTHON, ROOT / "Tests/EndToEnd/otel_sdk.py", *map(str, words)],
                              capture_output=True, text=True, timeout=120)
        self.assertEqual(done.returncode, 0, done.stderr)
        self.assertEqual(done.stderr, "")
        return json.loads(done.stdout)

    def post(self, path, body, kind="application/x-protobuf", **headers):
        connection = http.client.HTTPConnection("localhost", self.port, timeout=30)
        try:
            connection.request("POST", path, body, {"Content-Type": kind, **headers})
            answer = connection.getresponse()
            return answer.status, answer.read()
        finally:
            connection.close()


@unittest.skipUnless(PYTHON.exists(), "contrib/prerequisites --tests has not been run: no OpenTelemetry SDK")
class OfTheSDK(OTLPCase):
    def test_every_record_over_http_is_in_the_log_once(self):
        self.begin()
        for packing in ((), ("gzip",)):
            sent = self.sdk(f"http://localhost:{self.port}", "http", 300, *packing)
            self.assertTrue(sent["flushed"])
        status = self.status()
        expected = 2 * sum(sent[each] for each in ("spans", "logs", "points"))
        self.assertEqual(status["intake"]["stored"]["records"], expected)
        self.assertEqual(status["log"]["kept_spans"], 2 * sent["spans"])
        self.assertEqual(list(status["receivers"][0]["answers"]), ["200"])
        self.assertEqual(status["receivers"][0]["unknown_fields"], {})
        shown = self.records(1, "--name", "outer 299")[-1]
        self.assertEqual(shown["resource"]["attributes"]["service.name"], "sdk-http")
        self.assertEqual(shown["attributes"]["number"], 299)
        self.stop()
        counted = self.assert_all_there()
        self.assertEqual(counted["records"], expected)


@unittest.skipUnless(PAYLOADS.is_dir(), f"{PAYLOADS} is not there: no payloads of the real Codex")
class OfTheRealCodex(OTLPCase):
    def test_its_payloads_are_taken_whole(self):
        self.begin()
        expected = 0
        for facts in json.loads((PAYLOADS / "index.json").read_text())["files"]:
            body = (PAYLOADS / facts["file"]).read_bytes()
            kind = facts["content_type"]
            if facts["transport"] == "grpc":
                kind = "application/x-protobuf"
            with self.subTest(facts["file"]):
                answer = self.post(f"/v1/{facts['signal']}", body, kind)
                self.assertEqual(answer, (200, b"{}" if kind == "application/json" else b""))
            expected += sum(facts.get(each, 0) for each in ("spans", "data_points", "log_records"))
        self.assertGreater(expected, 2000)
        status = self.status()
        self.assertEqual(status["intake"]["stored"]["records"], expected)
        self.assertEqual(status["receivers"][0]["unknown_fields"], {})
        self.stop()
        self.assertEqual(self.assert_all_there()["records"], expected)


if __name__ == "__main__":
    unittest.main()

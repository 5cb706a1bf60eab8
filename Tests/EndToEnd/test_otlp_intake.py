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
        """An agent that listens at ports of the test's own."""
        self.port, self.grpc_port = free_port(), free_port()
        config = self.home / "config.yaml"
        protocols = {"http": {"endpoint": f"localhost:{self.port}"}, "grpc": {"endpoint": f"localhost:{self.grpc_port}"}}
        config.write_text(json.dumps({"receivers": {"otlp": {"protocols": protocols}}}))
        self.start("--config", config)
        self.status_where("the receiver is open", lambda s: not self.closed_places(s))

    @staticmethod
    def closed_places(status):
        """Places without a receiver; the usual port of gRPC may be another's."""
        return [place for each in status["receivers"] for place in each["places"]
                if place.get("problem") and not place["place"].endswith(":4317")]

    def sdk(self, *words):
        done = subprocess.run([PYTHON, ROOT / "Tests/EndToEnd/otel_sdk.py", *map(str, words)],
                              capture_output=True, text=True, timeout=120)
        self.assertEqual(done.returncode, 0, done.stderr)
        self.assertEqual(done.stderr, "", done.stderr[:600])
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
    def sent_is_stored(self, protocol, endpoints, answer):
        """All three signals to each of the endpoints, packed for every second."""
        expected = spans = 0
        for number, endpoint in enumerate(endpoints):
            sent = self.sdk(endpoint, protocol, 300, *["gzip"] * (number % 2))
            self.assertTrue(sent["flushed"])
            expected += sum(sent[each] for each in ("spans", "logs", "points"))
            spans += sent["spans"]
        status = self.status()
        self.assertEqual(status["intake"]["stored"]["records"], expected)
        self.assertEqual(status["log"]["kept_spans"], spans)
        self.assertEqual(list(status["receivers"][0]["answers"]), [answer])
        self.assertEqual(status["receivers"][0]["unknown_fields"], {})
        shown = self.records(1, "--name", "outer 299")[-1]
        self.assertEqual(shown["resource"]["attributes"]["service.name"], f"sdk-{protocol}")
        self.assertEqual(shown["attributes"]["number"], 299)
        self.assertEqual(shown["receiver"], f"otlp_{protocol}")
        self.stop()
        self.assertEqual(self.assert_all_there()["records"], expected)

    def test_every_record_over_http_is_in_the_log_once(self):
        self.begin()
        self.sent_is_stored("http", [f"http://localhost:{self.port}", f"http://127.0.0.1:{self.grpc_port}"], "200")

    def test_every_record_over_grpc_is_in_the_log_once(self):
        self.begin()
        # Every place takes both protocols.
        socket_path = next(each["place"] for each in self.status()["receivers"][0]["places"] if "otlp.sock" in each["place"])
        self.sent_is_stored(
            "grpc", [f"localhost:{self.grpc_port}", f"127.0.0.1:{self.port}", f"unix://{socket_path}"], "OK")


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

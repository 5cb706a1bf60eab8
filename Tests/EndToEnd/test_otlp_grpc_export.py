"""test_otlp_export.py over gRPC, to a backend of grpcio; and what gRPC has beside: TLS, goodbyes, ways that are gone."""

import json
import os
import shutil
import socket
import subprocess
import unittest

import test_otlp_export
from host import eventually
from installed import ROOT
from test_otlp_intake import PYTHON


def certificate(folder):
    """A certificate of its own authority for localhost, for servers and clients."""
    subprocess.run(
        ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-days", "2",
         "-keyout", folder / "key.pem", "-out", folder / "certificate.pem", "-subj", "/CN=somebody",
         "-addext", "subjectAltName=DNS:localhost,IP:127.0.0.1"], check=True, capture_output=True)
    return folder


class GRPCExport(test_otlp_export.OTLPExport):
    def configure(self, **more):
        self.config = self.home / "config.yaml"
        exporter = {"endpoint": f"http://127.0.0.1:{self.backend_port}", "retry_on_failure": {"max_interval": "1s"}} | more
        self.config.write_text(json.dumps({
            "receivers": {"otlp": {"protocols": {"http": {"endpoint": f"localhost:{self.port}"}}}},
            "exporters": {"otlp": exporter, "journald": {"enabled": False}},
        }))
        self.begin_agent()

    def backend(self, answers="", *more, address=None):
        words = [PYTHON, ROOT / "Tests/EndToEnd/otlp_grpc_sink.py", address or str(self.backend_port), self.file,
                 "--answers", answers, *more]
        process = subprocess.Popen(words, stdout=subprocess.PIPE, text=True, env={**os.environ, "GRPC_VERBOSITY": "NONE"})
        self.addCleanup(process.stdout.close)
        self.addCleanup(self._bury, process)
        self.assertEqual(process.stdout.readline(), "listens\n")
        return process

    def exporter(self):
        return next(each for each in self.status()["exporters"] if each["type"] == "otlp_grpc")

    def degraded(self, reason):
        return eventually(
            lambda: (e := self.exporter())["state"] == "degraded" and reason in e["reason"] and e, 20,
            lambda: f"{reason}: {json.dumps(self.exporter())}")

    def test_in_protobuf_and_in_json_every_record_arrives_once(self):
        """In protobuf, packed or not, with metadata and a deadline."""
        self.backend()
        for number, compression in enumerate(("gzip", "none")):
            with self.subTest(compression):
                self.file.unlink(missing_ok=True)
                self.configure(compression=compression, headers={"X-Scope": "tenant"}, timeout="20s")
                total = self.send()
                exporter = self.delivered(total * (number + 1))
                self.assertEqual(exporter["state"], "running")
                self.assert_once(total)
                for line in self.lines():
                    self.assertEqual(line["headers"]["x-scope"], "tenant")
                    self.assertIn("codex-telemetryd", line["headers"]["user-agent"])
                    self.assertTrue(0 < line["seconds"] <= 20, line["seconds"])
                # Three signals, one connection.
                self.assertEqual(len({line["peer"] for line in self.lines()}), 1)
                shown = self.telemetry("config", "--config", self.config).stdout
                self.assertNotIn("tenant", shown)
                self.stop()

    def test_what_is_refused_for_good_is_kept_and_holds_nothing_up(self):
        self.backend("400:1,partial:1,exhausted:1")
        self.configure()
        total = self.send()
        exporter = eventually(
            lambda: (e := self.exporter())["waiting"] == 0 and e["lost"] and e, 30, lambda: json.dumps(self.exporter()))
        lost = exporter["lost"]["rejected"]
        self.assertEqual(exporter["delivered"] + lost, total)
        reasons = sorted(each.read_text() for each in (self.state / "rejected" / "otlp_grpc").glob("*.reason"))
        # What is too large is sent again in parts.
        self.assertEqual(len(reasons), 1, reasons)
        self.assertIn("answered INVALID_ARGUMENT: not \u2014 now", reasons[0])
        self.assertEqual(sum(self.there().values()), total - lost + 1)
        self.assertEqual(exporter["state"], "running")
        self.stop()

    def test_a_backend_that_says_goodbye_receives_everything_once(self):
        self.backend("", "--age", "150")
        self.configure(sending_queue={"batch": {"max_size": 20}})
        total = 0
        for _ in range(3):
            total += self.send(50)
            self.delivered(total)
        self.assertEqual(sum(self.there().values()), total)
        self.assertGreater(len({line["peer"] for line in self.lines()}), 1)
        self.stop()

    def test_a_way_that_is_gone_is_found_again(self):
        with socket.socket() as hole:
            hole.bind(("127.0.0.1", self.backend_port))
            hole.listen()
            self.configure(timeout="500ms")
            total = self.send()
            self.degraded("no answer within")
        self.backend()
        self.delivered(total)
        self.assert_once(total)
        self.stop()

    def test_a_socket_of_the_file_system(self):
        path = f"unix:{self.home}/backend.sock"
        self.backend(address=path)
        self.configure(endpoint=f"unix://{self.home}/backend.sock")
        total = self.send()
        self.delivered(total)
        self.assert_once(total)
        self.stop()

    def test_what_comes_back_is_known(self):
        """Through a link of the file system, which the configuration cannot see through."""
        (self.home / "loop.sock").symlink_to(self.home / "run/codex-telemetry/otlp.sock")
        self.configure(endpoint=f"unix://{self.home}/loop.sock")
        total = self.send()
        exporter = eventually(
            lambda: (e := self.exporter())["waiting"] == 0 and e["stored"] >= total and e, 20,
            lambda: json.dumps(self.exporter()))
        self.assertEqual(exporter["stored"], total)
        self.assertEqual(self.status()["intake"]["stored"]["records"], total)
        self.stop()

    @unittest.skipUnless(shutil.which("openssl"), "openssl is not installed: no certificates")
    def test_with_tls_both_sides_are_known(self):
        folder = certificate(self.home)
        self.backend("", "--tls", folder, "--clients")
        tls = {"ca_file": f"{folder}/certificate.pem"}
        # Without a scheme there is TLS.
        endpoint = f"localhost:{self.backend_port}"
        self.configure(endpoint=endpoint, tls=tls)
        total = self.send()
        self.degraded("connection was lost")
        self.stop()
        self.configure(endpoint=endpoint, tls=tls | {
            "cert_file": f"{folder}/certificate.pem", "key_file": f"{folder}/key.pem"})
        self.delivered(total)
        self.assert_once(total)
        self.assertEqual({line["client"] for line in self.lines() if line["records"]}, {"somebody"})
        self.stop()
        # Nobody whom the system's authorities know.
        self.configure(endpoint=f"https://{endpoint}")
        self.send(10)
        self.degraded("its certificate is not trusted")
        self.stop()

    def test_a_configuration_that_sends_to_ourselves_is_refused(self):
        config = self.home / "config.yaml"
        config.write_text(
            f"receivers: {{otlp: {{protocols: {{grpc: {{endpoint: 'localhost:{self.port}'}}}}}}}}\n"
            f"exporters:\n  otlp/loop:\n    endpoint: 127.0.0.1:{self.port}\n  otlp_grpc/none:\n    timeout: 1s\n"
            "  otlp/half:\n    endpoint: backend.example:4317\n    tls: {cert_file: /x.pem}\n")
        told = self.telemetry("config", "check", config, check=False)
        self.assertNotEqual(told.returncode, 0)
        shown = told.stdout + told.stderr
        self.assertRegex(shown, r":4:15: exporters\.otlp_grpc/loop\.endpoint would send to this agent's own receiver")
        self.assertRegex(shown, r":5:3: exporters\.otlp_grpc/none needs an endpoint")
        self.assertRegex(shown, r":9:22: exporters\.otlp_grpc/half\.tls\.cert_file needs tls\.key_file, too")
        config.write_text("exporters:\n  otlp/path:\n    endpoint: https://backend.example:4317/v1/traces\n")
        told = self.telemetry("config", "check", config, check=False)
        self.assertRegex(told.stdout + told.stderr, r":3:15: exporters\.otlp_grpc/path\.endpoint .*without a path")


if __name__ == "__main__":
    unittest.main()

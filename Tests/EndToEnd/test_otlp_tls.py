"""Receivers on other addresses than the loopback's: only with TLS, and, if set, only for clients that are vouched for."""

import json
import os
import shutil
import signal
import socket
import ssl
import subprocess
import unittest
import unittest.mock

from host import eventually
from installed import ROOT
from test_otlp_hostile import head, spans
from test_otlp_intake import PYTHON, OTLPCase, free_port

# Of this host, and none of the two that need no TLS.
ADDRESS = "127.0.0.2"


def sign(folder, name, authority=None):
    """A key and a certificate, by an authority or its own."""
    words = ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-days", "2",
             "-keyout", folder / f"{name}.key", "-out", folder / f"{name}.pem", "-subj", f"/CN={name}",
             "-addext", f"subjectAltName=IP:{ADDRESS}"]
    if authority:
        words += ["-CA", folder / f"{authority}.pem", "-CAkey", folder / f"{authority}.key",
                  "-addext", "basicConstraints=critical,CA:FALSE"]
    subprocess.run(words, check=True, capture_output=True)


@unittest.skipUnless(shutil.which("openssl"), "openssl is not installed: no certificates")
class WithTLS(OTLPCase):
    def setUp(self):
        super().setUp()
        for name, authority in (("authority", None), ("server", "authority"), ("client", "authority"), ("stranger", None)):
            sign(self.home, name, authority)
        self.port, self.grpc_port = free_port(), free_port()

    def configure(self, wait=True, **tls):
        both = {"cert_file": f"{self.home}/server.pem", "key_file": f"{self.home}/server.key"} | tls
        protocols = {"http": {"endpoint": f"{ADDRESS}:{self.port}", "tls": both},
                     "grpc": {"endpoint": f"https://{ADDRESS}:{self.grpc_port}", "tls": both}}
        config = self.home / "config.yaml"
        config.write_text(json.dumps({"receivers": {"otlp": {"protocols": protocols}}}))
        self.start("--config", config)
        if wait:
            self.status_where("the receiver is open", lambda s: not self.closed_places(s))

    def context(self, name=None, protocol="http/1.1"):
        made = ssl.create_default_context(cafile=self.home / "authority.pem")
        made.set_alpn_protocols([protocol])
        if name:
            made.load_cert_chain(self.home / f"{name}.pem", self.home / f"{name}.key")
        return made

    def post(self, context):
        """The status of a request of one span."""
        with socket.create_connection((ADDRESS, self.port), 20) as plain, context.wrap_socket(plain, server_hostname=ADDRESS) as peer:
            body = spans(1)
            # The name of the certificate is the host's.
            peer.sendall(head(len(body)).replace(b"localhost", ADDRESS.encode()) + body)
            return int(peer.recv(4096).split()[1])

    @unittest.skipUnless(PYTHON.exists(), "contrib/prerequisites --tests has not been run: no OpenTelemetry SDK")
    def test_the_sdk_over_both_protocols(self):
        self.configure(client_ca_file=f"{self.home}/authority.pem")
        places = [place for place in self.status()["receivers"][0]["places"] if "with TLS" in place["place"]]
        self.assertEqual({place["place"] for place in places},
                         {f"{ADDRESS}:{self.port} with TLS", f"{ADDRESS}:{self.grpc_port} with TLS"})
        known = unittest.mock.patch.dict(os.environ, {f"OTEL_EXPORTER_OTLP_{name}": f"{self.home}/{file}" for name, file in (
            ("CERTIFICATE", "authority.pem"), ("CLIENT_CERTIFICATE", "client.pem"), ("CLIENT_KEY", "client.key"))})
        known.start()
        self.addCleanup(known.stop)
        # They win over what the SDK is told.
        for name in ("REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE"):
            os.environ.pop(name, None)
        expected = 0
        for protocol, port in (("http", self.port), ("grpc", self.grpc_port)):
            sent = self.sdk(f"https://{ADDRESS}:{port}", protocol, 100)
            self.assertTrue(sent["flushed"])
            expected += sum(sent[each] for each in ("spans", "logs", "points"))
        self.assertEqual(self.status()["intake"]["stored"]["records"], expected)
        self.stop()
        self.assertEqual(self.assert_all_there()["records"], expected)

    def test_only_clients_that_are_vouched_for(self):
        self.configure(client_ca_file=f"{self.home}/authority.pem")
        self.assertEqual(self.post(self.context("client")), 200)
        for name in (None, "stranger"):
            with self.assertRaises((ssl.SSLError, ConnectionError, IndexError)):
                self.post(self.context(name))
        # Nor without TLS.
        with socket.create_connection((ADDRESS, self.port), 20) as plain:
            plain.sendall(head(0))
            self.assertNotIn(b"HTTP/1.1", plain.recv(4096))
        self.assertEqual(self.status()["intake"]["stored"]["records"], 1)
        self.stop()

    def test_without_an_authority_any_client_and_the_protocol_of_the_port(self):
        self.configure()
        self.assertEqual(self.post(self.context()), 200)
        for port, wanted in ((self.port, "http/1.1"), (self.grpc_port, "h2")):
            with socket.create_connection((ADDRESS, port), 20) as plain:
                with self.context(protocol=wanted).wrap_socket(plain, server_hostname=ADDRESS) as peer:
                    self.assertEqual(peer.selected_alpn_protocol(), wanted)
                    self.assertGreaterEqual(peer.version(), "TLSv1.2")
        self.stop()

    def test_files_that_are_wrong_are_told_and_tried_again(self):
        (self.home / "server.key").rename(self.home / "later.key")
        self.configure(wait=False)
        problem = self.status_where(
            "it says so", lambda s: any("tls.key_file" in p.get("problem", "") for p in s["receivers"][0]["places"]))
        self.assertTrue(problem)
        (self.home / "later.key").rename(self.home / "server.key")
        self.status_where("it is open", lambda s: not self.closed_places(s))
        self.assertEqual(self.post(self.context()), 200)
        self.stop()

    def test_certificates_are_renewed_by_a_reload_and_no_connection_is_lost(self):
        self.configure()
        with socket.create_connection((ADDRESS, self.port), 20) as plain, \
                self.context().wrap_socket(plain, server_hostname=ADDRESS) as peer:

            def ask():
                body = spans(1)
                peer.sendall(head(len(body)).replace(b"localhost", ADDRESS.encode()) + body)
                return int(peer.recv(4096).split()[1])

            def serial():
                with socket.create_connection((ADDRESS, self.port), 20) as other, \
                        self.context().wrap_socket(other, server_hostname=ADDRESS) as later:
                    return later.getpeercert()["serialNumber"]

            self.assertEqual(ask(), 200)
            first = serial()
            sign(self.home, "server", "authority")
            self.assertEqual(serial(), first)
            self.telemetry("config", "reload")
            second = serial()
            self.assertNotEqual(second, first)
            # The connection that was there goes on.
            self.assertEqual(ask(), 200)
            # By a signal, too.
            sign(self.home, "server", "authority")
            self.agent.send_signal(signal.SIGHUP)
            eventually(lambda: serial() != second, 30, "the third certificate is there")
            third = serial()
            # With a wrong one nothing changes.
            sign(self.home, "stranger")
            (self.home / "stranger.key").rename(self.home / "server.key")
            told = self.telemetry("config", "reload", check=False)
            self.assertNotEqual(told.returncode, 0)
            self.assertIn("is not the key of tls.cert_file", told.stderr)
            self.assertEqual((serial(), ask()), (third, 200))
        self.stop()

    def test_config_check_tests_the_files(self):
        config, here = self.home / "mine.yaml", self.home
        (here / "text.pem").write_text("no certificate\n")
        (here / "folder").mkdir()
        wrong = (
            ("cert_file", here / "nowhere.pem", "cannot be used"), ("cert_file", here / "text.pem", "cannot be used|has no certificate"),
            ("key_file", here / "nowhere.key", "cannot be used"), ("key_file", here / "text.pem", "cannot be used"),
            ("key_file", here / "client.key", "is not the key of tls.cert_file"),
            ("cert_file", here / "folder", "cannot be used|has no certificate"),
        )
        for receiver in (True, False):
            for key, file, expected in wrong:
                files = {"cert_file": here / "server.pem", "key_file": here / "server.key"} | {key: file}
                lines = "".join(f"{name}: {path}\n" for name, path in files.items())
                if receiver:
                    top, indent, name = f"receivers:\n  otlp:\n    protocols:\n      http:\n        endpoint: {ADDRESS}:{self.port}\n        tls:\n", 10, "receivers.otlp.protocols.http"
                else:
                    top, indent, name = "exporters:\n  otlp_http:\n    endpoint: https://127.0.0.1:9\n    tls:\n", 6, "exporters.otlp_http"
                config.write_text(top + "".join(" " * indent + line for line in lines.splitlines(True)))
                with self.subTest(receiver=receiver, key=key, file=file.name):
                    told = self.telemetry("config", "check", config, check=False)
                    self.assertEqual(told.returncode, 78, told.stderr)
                    number = next(n for n, line in enumerate(config.read_text().splitlines(), 1) if f"{key}:" in line)
                    self.assertRegex(told.stderr, rf"mine\.yaml:{number}:\d+: {name}\.tls\.{key} {file} .*(?:{expected})")
                    self.assertRegex(told.stderr, "must be a file in PEM that the agent's user may read|name the key that")
        config.write_text(top.replace("tls:\n", f"tls: {{ca_file: {here}/authority.pem, cert_file: {here}/client.pem, key_file: {here}/client.key}}\n"))
        self.assertIn("as it should be", self.telemetry("config", "check", config).stdout)


class Configuration(OTLPCase):
    def check(self, text):
        config = self.home / "config.yaml"
        config.write_text(text)
        told = self.telemetry("config", "check", config, check=False)
        return told.returncode, told.stdout + told.stderr

    def test_other_hosts_need_tls(self):
        for protocol, port in (("http", 4318), ("grpc", 4317)):
            for address in ("0.0.0.0", "[::]", "192.0.2.7", "host.example"):
                code, told = self.check(f"receivers:\n  otlp:\n    protocols:\n      {protocol}:\n        endpoint: '{address}:{port}'\n")
                self.assertEqual(code, 78, told)
                self.assertRegex(told, rf":5:19: receivers\.otlp\.protocols\.{protocol}\.endpoint .*cert_file and key_file.*localhost:{port}")

    def test_half_of_it_and_one_port_for_both(self):
        code, told = self.check("receivers: {otlp: {protocols: {http: {tls: {cert_file: /x.pem}}}}}\n")
        self.assertEqual(code, 78)
        self.assertIn("receivers.otlp.protocols.http.tls needs key_file, too", told)
        tls = "tls: {cert_file: /x.pem, key_file: /x.key}"
        code, told = self.check(
            f"receivers: {{otlp: {{protocols: {{http: {{endpoint: '0.0.0.0:4000', {tls}}}, grpc: {{endpoint: '0.0.0.0:4000', {tls}}}}}}}}}\n")
        self.assertEqual(code, 78)
        self.assertIn("with TLS each needs one of its own", told)


if __name__ == "__main__":
    unittest.main()

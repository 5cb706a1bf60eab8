"""The ways to a backend: certificates, proxies, requests of its size, records that come back, places in the log that are moved."""

import base64
import http.client
import http.server
import json
import select
import socket
import ssl
import subprocess
import sys
import threading
import unittest

from host import eventually
from installed import ROOT
from test_otlp_export import ExportCase
from test_otlp_intake import PYTHON, OTLPCase, free_port


class Quiet(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def log_message(self, *_):
        pass


class Proxy(Quiet):
    """Connects as it is told to, and keeps what it was told."""

    def do_CONNECT(self):
        self.server.seen.append((self.path, self.headers.get("Proxy-Authorization")))
        # Whatever name was asked for, the backend is here.
        with socket.create_connection(("127.0.0.1", self.server.backend)) as far:
            self.send_response(200)
            self.end_headers()
            pair = [self.connection, far]
            while True:
                for one in select.select(pair, [], [], 30)[0]:
                    data = one.recv(65536)
                    if not data:
                        self.close_connection = True
                        return
                    pair[1 - pair.index(one)].sendall(data)


class Backend(Quiet):
    """Takes requests of `bytes_max`, and sends them on to `forward` if that is set, without their headers."""

    def do_POST(self):
        body = self.rfile.read(int(self.headers["Content-Length"]))
        status, server = 200, self.server
        if len(body) > server.bytes_max:
            status = 413
        server.sizes.append((status, len(body)))
        if status == 200 and server.forward:
            connection = http.client.HTTPConnection("127.0.0.1", server.forward, timeout=20)
            kept = {name: self.headers[name] for name in ("Content-Type", "Content-Encoding") if name in self.headers}
            connection.request("POST", self.path, body, kept)
            answer = connection.getresponse()
            server.answers.append((answer.status, answer.read()))
            connection.close()
        self.send_response(status)
        self.send_header("Content-Length", "0")
        self.end_headers()


class WaysCase(OTLPCase):
    def setUp(self):
        super().setUp()
        self.port = free_port()

    def serve(self, handler, tls=None, **settings):
        server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler)
        server.daemon_threads = True
        server.sizes, server.answers, server.seen = [], [], []
        server.bytes_max, server.forward = 1 << 30, None
        for name, value in settings.items():
            setattr(server, name, value)
        if tls:
            server.socket = tls.wrap_socket(server.socket, server_side=True)
        threading.Thread(target=server.serve_forever, daemon=True).start()
        self.addCleanup(server.server_close)
        self.addCleanup(server.shutdown)
        return server

    def configure(self, env=None, kind="otlp_http", **exporter):
        config = self.home / "config.yaml"
        basic = {"retry_on_failure": {"initial_interval": "50ms", "max_interval": "200ms"}, "timeout": "5s"}
        config.write_text(json.dumps({
            "receivers": {"otlp": {"protocols": {"http": {"endpoint": f"localhost:{self.port}"}}}},
            "exporters": {kind: basic | exporter, "journald": {"enabled": False}},
        }))
        self.start("--config", config, env=env)
        self.status_where("the receiver is open", lambda s: not self.closed_places(s))

    def exporter(self):
        return next(each for each in self.status()["exporters"] if each["name"] == "otlp_http")

    def delivered(self, count):
        return eventually(lambda: (e := self.exporter())["delivered"] == count and e, 30, lambda: json.dumps(self.exporter()))

    def emit(self, count, padding=0):
        producer = self.produce(records=2, count=count, padding=padding)
        eventually(producer.is_done, 30, "all are acked")
        self.end_producers(producer)
        return 2 * count

    # Certificates

    def certificates(self):
        """An authority, a backend's certificate for localhost, and a client's."""
        folder = self.home / "pem"
        folder.mkdir()

        def run(*words):
            subprocess.run(["openssl", *map(str, words)], check=True, capture_output=True, cwd=folder)

        key = ["-newkey", "rsa:2048", "-nodes", "-days", "2"]
        run("req", "-x509", *key, "-keyout", "ca.key", "-out", "ca.pem", "-subj", "/CN=authority")
        for name in ("localhost", "client"):
            run("req", *key[:-2], "-keyout", f"{name}.key", "-out", f"{name}.csr", "-subj", f"/CN={name}")
            (folder / "ext").write_text(f"subjectAltName=DNS:{name}\n")
            run("x509", "-req", "-in", f"{name}.csr", "-CA", "ca.pem", "-CAkey", "ca.key", "-CAcreateserial", "-days", "2",
                "-out", f"{name}.pem", "-extfile", "ext")
        return folder

    def context(self, folder):
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(folder / "localhost.pem", folder / "localhost.key")
        return context


class Ways(WaysCase):
    def test_a_backend_is_who_its_certificate_says_and_wants_ours(self):
        folder = self.certificates()
        context = self.context(folder)
        context.verify_mode = ssl.CERT_REQUIRED
        context.load_verify_locations(folder / "ca.pem")
        server = self.serve(Backend, tls=context)
        url = f"https://localhost:{server.server_address[1]}"
        own = {"cert_file": str(folder / "client.pem"), "key_file": str(folder / "client.key")}
        self.configure(endpoint=url, tls=own)
        total = self.emit(5)
        eventually(lambda: "its certificate is not trusted; name its authority" in self.exporter()["reason"], 20, lambda: json.dumps(self.exporter()))
        self.assertEqual(server.sizes, [])
        self.stop()
        self.configure(endpoint=url, tls={"ca_file": str(folder / "ca.pem")})
        eventually(lambda: self.exporter()["state"] == "degraded", 20, lambda: json.dumps(self.exporter()))
        self.assertEqual(server.sizes, [])
        self.stop()
        self.configure(endpoint=url, tls=own | {"ca_file": str(folder / "ca.pem")})
        self.delivered(total)
        self.stop()

    def test_a_backend_may_be_anybody_if_that_is_wanted_and_said(self):
        server = self.serve(Backend, tls=self.context(self.certificates()))
        self.configure(endpoint=f"https://127.0.0.1:{server.server_address[1]}", tls={"insecure_skip_verify": True})
        self.delivered(self.emit(3))
        self.assertIn("exporter otlp_http: insecure_skip_verify is set", self.messages.read_text())
        self.stop()
        self.configure(kind="otlp_grpc", endpoint=f"localhost:{free_port()}", tls={"insecure_skip_verify": True})
        eventually(lambda: "exporter otlp_grpc: insecure_skip_verify is set" in self.messages.read_text(), 20, "it is said")
        self.stop()

    # Proxies

    def test_the_way_leads_through_a_proxy(self):
        folder = self.certificates()
        server = self.serve(Backend, tls=self.context(folder))
        proxy = self.serve(Proxy, backend=server.server_address[1])
        at = f"me:secret@127.0.0.1:{proxy.server_address[1]}"
        tls = {"ca_file": str(folder / "ca.pem")}
        self.configure(endpoint="https://localhost:4443", tls=tls, proxy_url=f"http://{at}")
        total = self.emit(3)
        self.delivered(total)
        credentials = "Basic " + base64.b64encode(b"me:secret").decode()
        self.assertEqual(set(proxy.seen), {("localhost:4443", credentials)})
        self.stop()
        # The environment's is for other hosts than this.
        env = {"HTTPS_PROXY": f"http://{at}", "NO_PROXY": "not.example"}
        skip = {"insecure_skip_verify": True}
        proxy.seen.clear()
        self.configure(env=env, endpoint="https://backend.example", tls=skip)
        total += self.emit(3)
        self.delivered(total)
        self.assertEqual(set(proxy.seen), {("backend.example:443", credentials)})
        self.stop()
        proxy.seen.clear()
        self.configure(env=env, endpoint=f"https://localhost:{server.server_address[1]}", tls=skip)
        total += self.emit(3)
        self.delivered(total)
        self.assertEqual(proxy.seen, [])
        self.stop()

    # Sizes

    def test_a_request_that_is_too_large_is_taken_apart(self):
        server = self.serve(Backend, bytes_max=20_000)
        self.configure(endpoint=f"http://127.0.0.1:{server.server_address[1]}", compression="none")
        exporter = self.delivered(self.emit(300, padding=500))
        self.assertEqual(exporter["lost"], {})
        refused = [size for status, size in server.sizes if status == 413]
        self.assertTrue(refused)
        self.assertEqual(int(exporter["details"]["split_requests"]), len(refused))
        self.assertGreater(len([1 for status, _ in server.sizes if status == 200]), len(refused))
        self.stop()

    # Loops

    def test_records_that_come_back_are_refused_and_counted(self):
        """Through a program that passes on bodies and no headers, as a Collector does."""
        server = self.serve(Backend, forward=self.port)
        self.configure(endpoint=f"http://127.0.0.1:{server.server_address[1]}")
        total = self.emit(4)
        self.delivered(total)
        status = self.status()
        self.assertEqual(status["log"]["stored"]["records"], total)
        self.assertEqual(status["intake"]["refused"]["not_permitted"]["records"], total)
        self.assertTrue(server.answers)
        for code, body in server.answers:
            self.assertEqual(code, 200)
            self.assertIn(b"come back to the agent that sent it", body)
        self.stop()


@unittest.skipUnless(PYTHON.exists(), "contrib/prerequisites --tests has not been run: no OpenTelemetry classes")
class Moving(ExportCase):
    """`replay` and `export`."""

    def test_an_exporter_sends_again_what_is_in_the_log_since_a_time(self):
        self.backend()
        self.configure()
        total = self.send(20)
        self.delivered(total)
        told = self.telemetry("replay", "otlp_http", "--since", "1h")
        self.assertIn("its counts begin there", told.stdout)
        self.delivered(total)
        self.assertEqual(set(self.there().values()) - {2, 4, 8}, set())
        self.assertEqual(sum(self.there().values()), 2 * total)
        self.balanced()
        # What comes goes on behind it, and a death changes nothing.
        more = self.send(20)
        self.delivered(total + more)
        self.agent.kill()
        self.agent.wait()
        self.begin_agent()
        self.delivered(total + more)
        self.assertEqual(sum(self.there().values()), 2 * total + more)
        for words, why in ((("nobody", "--since", "1h"), "there is no exporter nobody"),
                           (("otlp_http", "--since", "2100-01-01T00:00:00Z"), "no record of that time")):
            told = self.telemetry("replay", *words, check=False)
            self.assertEqual(told.returncode, 1)
            self.assertIn(why, told.stderr)
        self.balanced()
        self.stop()

    def test_a_range_is_sent_once_from_the_command_line(self):
        self.configure(enabled=False)
        total = self.send(20)
        self.backend()
        url = f"http://127.0.0.1:{self.backend_port}"
        told = self.telemetry("export", "--otlp", url, "--since", "1h")
        self.assertEqual(told.stdout, f"{total} records sent, 0 refused, 0 left\n")
        self.assertEqual(sum(self.there().values()), total)
        told = self.telemetry("export", "--otlp", url, "--since", "2h", "--until", "1h")
        self.assertEqual(told.stdout, "0 records sent, 0 refused, 0 left\n")
        nobody = f"http://127.0.0.1:{free_port()}"
        told = self.telemetry("export", "--otlp", nobody, "--since", "1h", "--patience", "1", check=False)
        self.assertEqual((told.returncode, told.stdout), (1, f"0 records sent, 0 refused, {total} left\n"))
        self.assertIn("not all was sent", told.stderr)
        self.stop()

    def test_a_range_is_not_sent_to_where_it_came_from_nor_nowhere(self):
        self.configure(enabled=False)
        total = self.send(5)
        # One log alone has them: else each export would double it.
        told = self.telemetry("export", "--otlp", f"http://localhost:{self.port}", "--since", "1h", check=False)
        self.assertEqual((told.returncode, told.stdout), (1, f"0 records sent, {total} refused, 0 left\n"))
        self.assertEqual(self.status()["log"]["stored"]["records"], total)
        for url in ("http://127.0.0.1:99999", "http://ada:secret@127.0.0.1:1", "http://127.0.0.1:1\n", "http://", "ftp://127.0.0.1", ""):
            told = self.telemetry("export", "--otlp", url, "--since", "1h", check=False)
            self.assertEqual(told.returncode, 64, url)
            self.assertIn("is no URL of a backend", told.stderr)
        for header in ("nothing", "=x", "a b=c", "a=b\r\nc: d", "Content-Length=1"):
            told = self.telemetry("export", "--otlp", "http://127.0.0.1:1", "--since", "1h", "--header", header, check=False)
            self.assertEqual(told.returncode, 64, header)
            self.assertIn("is no NAME=VALUE", told.stderr)
        with socket.create_server(("127.0.0.1", 0)) as silent:
            url = f"http://127.0.0.1:{silent.getsockname()[1]}"
            told = self.telemetry("export", "--otlp", url, "--since", "1h", "--patience", "1", check=False)
            self.assertIn("not all was sent: no answer within 1 s", told.stderr)
        told = self.telemetry("export", "--otlp", url, "--since", "2100-01-01T00:00:00Z", "--patience", str(2**64 - 1))
        self.assertEqual(told.stdout, "0 records sent, 0 refused, 0 left\n")
        self.stop()

    def balanced(self):
        done = subprocess.run(
            [sys.executable, ROOT / "contrib/balance", "--program", self.program], env=self.env, capture_output=True, text=True, timeout=60)
        self.assertEqual(done.returncode, 0, done.stdout + done.stderr)


if __name__ == "__main__":
    unittest.main()

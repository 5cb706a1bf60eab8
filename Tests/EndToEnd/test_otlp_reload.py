"""Reloads while backends hang, are away, or have new certificates: what did not change goes on, memory stays."""

import json
import socket
import threading
import unittest

from host import eventually
from test_otlp_intake import PYTHON
from test_otlp_ways import Backend, WaysCase


class Hanging:
    """Takes connections and what comes on them, and never answers."""

    def __init__(self):
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.url = f"http://127.0.0.1:{self.listener.getsockname()[1]}"
        # Each connection and what came on it first.
        self.calls = []
        threading.Thread(target=self.accept, daemon=True).start()

    def accept(self):
        while True:
            try:
                peer, _ = self.listener.accept()
            except OSError:
                return
            threading.Thread(target=self.keep, args=(peer,), daemon=True).start()

    def keep(self, peer):
        call = {"head": peer.recv(65536), "open": True}
        self.calls.append(call)
        try:
            while peer.recv(65536):
                pass
        except OSError:
            pass
        call["open"] = False
        peer.close()


class Web(Backend):
    """A login page until `open` is set."""

    def do_POST(self):
        if self.server.open:
            super().do_POST()
            return
        self.rfile.read(int(self.headers["Content-Length"]))
        page = b"<html>Please log in</html>"
        self.send_response(200)
        self.send_header("Content-Type", "text/html; charset=utf-8")
        self.send_header("Content-Length", str(len(page)))
        self.end_headers()
        self.wfile.write(page)


@unittest.skipUnless(PYTHON.exists(), "contrib/prerequisites --tests has not been run: no OpenTelemetry classes")
class Reload(WaysCase):
    basic = {"retry_on_failure": {"initial_interval": "50ms", "max_interval": "200ms"}, "start_at": "beginning"}

    def put(self, exporters):
        self.config = self.home / "config.yaml"
        self.config.write_text(json.dumps({
            "receivers": {"otlp": {"enabled": False}}, "exporters": exporters | {"journald": {"enabled": False}}}))

    def begin(self, exporters):
        self.put(exporters)
        self.start("--config", self.config)

    def reload(self):
        self.telemetry("config", "reload")

    def named(self, name):
        return next((each for each in self.status()["exporters"] if each["name"] == name), None)

    def test_a_backend_that_hangs_holds_up_nobody_else(self):
        hanging = Hanging()
        self.addCleanup(hanging.listener.close)
        at = self.basic | {"endpoint": hanging.url}
        other = self.basic | {"endpoint": f"http://127.0.0.1:{self.serve(Backend).server_address[1]}"}
        self.begin({"otlp_http": at, "otlp_http/kept": at})
        total = self.emit(3)
        eventually(lambda: len(hanging.calls) == 2, 20, "both have a request under way")
        was_early = False
        for number in range(5):
            # The machine may have stood still for as long as an exporter may take to end: then once more.
            before = [call for call in hanging.calls if call["open"]]
            self.put({"otlp_http": at | {"headers": {"X-Round": str(number)}}, "otlp_http/kept": at,
                      f"otlp_http/new-{number}": other})
            self.reload()
            self.assertIsNotNone(self.named(f"otlp_http/new-{number}"))
            self.assertIsNotNone(self.named("otlp_http"))
            was_early = all(call["open"] for call in before)
            new = f"x-round: {number}".encode()
            eventually(lambda: any(new in call["head"].lower() for call in hanging.calls), 30, "the successor is at work")
            if was_early:
                break
        self.assertTrue(was_early, "a reload waits for a backend that hangs")
        eventually(lambda: (self.named(f"otlp_http/new-{number}") or {}).get("delivered") == total, 30, "the new one delivers")
        # Whose part of the configuration is the same has its first request yet.
        def kept():
            return [call for call in hanging.calls if b"x-round" not in call["head"].lower() and call["open"]]

        eventually(lambda: len(kept()) == 1, 20, lambda: str(hanging.calls))
        self.put({"otlp_http/last": other})
        self.reload()
        self.assertEqual([each["name"] for each in self.status()["exporters"]], ["otlp_http/last"])
        self.stop()

    def test_an_exporters_certificates_are_read_again(self):
        folder = self.certificates()
        right = (folder / "ca.pem").read_text()
        trusted = folder / "trusted.pem"
        # Nobody's that the backend has.
        trusted.write_text((folder / "client.pem").read_text())
        server = self.serve(Backend, tls=self.context(folder))
        self.begin({"otlp_http": self.basic | {
            "endpoint": f"https://localhost:{server.server_address[1]}", "tls": {"ca_file": str(trusted)}}})
        total = self.emit(3)
        eventually(lambda: "its certificate is not trusted" in self.exporter()["reason"], 20, lambda: json.dumps(self.exporter()))
        trusted.write_text(right)
        self.reload()
        self.delivered(total)
        requests = self.exporter()["details"]["requests"]
        trusted.write_text("nonsense")
        self.assertNotEqual(self.telemetry("config", "reload", check=False).returncode, 0)
        # It is the same one: its counts go on.
        self.assertEqual(self.exporter()["details"]["requests"], requests)
        self.delivered(total + self.emit(3))
        self.stop()

    def test_a_web_page_is_no_receipt(self):
        server = self.serve(Web, open=False)
        self.begin({"otlp_http": self.basic | {"endpoint": f"http://127.0.0.1:{server.server_address[1]}"}})
        total = self.emit(3)
        eventually(lambda: "answered 200 with a web page" in self.exporter()["reason"], 20, lambda: json.dumps(self.exporter()))
        self.assertEqual(self.exporter()["delivered"], 0)
        eventually(lambda: int(self.exporter()["details"]["sent_again"]) > 2, 20, "it is sent again")
        said = [line for line in self.messages.read_text().splitlines() if "web page" in line]
        self.assertEqual(len(said), 1)
        self.assertIn("correct the exporter's endpoint", said[0])
        server.open = True
        self.assertEqual(self.delivered(total)["state"], "running")
        self.stop()

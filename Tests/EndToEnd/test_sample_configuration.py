"""A configuration that people have today, as it is: a Collector's file with a receiver, a batch, a file and logging."""

import json
import unittest

from host import eventually
from installed import PYTHON as SYSTEM_PYTHON
from installed import ROOT, SOURCE, binary, needs
from test_otlp_intake import PYTHON
from test_user_agent import UserCase

SAMPLE = """\
receivers:
  otlp:
    protocols:
      http:
        endpoint: localhost:4318
processors:
  batch:
    timeout: 1s
exporters:
  file:
    path: ~/.codex/telemetry/codex-traces.json
  logging:
    verbosity: detailed
service:
  pipelines:
    traces:
      receivers: [otlp]
      processors: [batch]
      exporters: [file, logging]
"""
FILE = "/home/ada/.codex/otel-config.yaml"
WRITTEN = "/home/ada/.codex/telemetry/codex-traces.json"
PROGRAM = "/home/ada/.local/bin/codex-telemetry"
PACKAGES = "/usr/local/lib/otel-sdk"

CLIENT = """
import codex_telemetry as telemetry
telemetry.init("the-python-client")
with telemetry.span("codex.tool", {"gen_ai.tool.name": "of the client"}):
    pass
"""
SDK = """
import sys
from opentelemetry import trace
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor

provider = TracerProvider(resource=Resource.create({"service.name": "the-sdk"}))
provider.add_span_processor(BatchSpanProcessor(OTLPSpanExporter()))
with provider.get_tracer("t").start_as_current_span("codex.tool", attributes={"gen_ai.tool.name": "of the SDK"}):
    pass
assert provider.force_flush()
"""
SERVICES = {"true": "codex.command", "the-python-client": "codex.tool", "the-sdk": "codex.tool"}


@unittest.skipUnless(PYTHON.exists(), "contrib/prerequisites --tests has not been run: no OpenTelemetry SDK")
class Sample(UserCase):
    @classmethod
    def setUpClass(cls):
        needs("run", "status", "exec", "config")
        super().setUpClass()
        cls.bring(binary())
        cls.host.copy(next(PYTHON.parents[1].glob("lib/python3*/site-packages")), PACKAGES)
        cls.host.run(f"{SOURCE}/contrib/install", "--binary", f"{SOURCE}/codex-telemetryd", user="ada", env=cls.env)

    def ada(self, *words, check=True, timeout=60, **more):
        return self.host.run(*words, user="ada", env=self.env | more, check=check, timeout=timeout)

    def written(self):
        """The spans in the file: (service, name)."""
        path = self.host.path(WRITTEN)
        found = []
        for line in path.read_text().splitlines() if path.exists() else []:
            for each in json.loads(line)["resourceSpans"]:
                resource = {pair["key"]: pair["value"] for pair in each["resource"]["attributes"]}
                for scope in each["scopeSpans"]:
                    found += [(resource["service.name"]["stringValue"], span["name"]) for span in scope["spans"]]
        return found

    def in_journal(self):
        return [(entry["CODEX_SERVICE"], entry["CODEX_NAME"]) for entry in self.host.journal("-t", "codex-telemetry")]

    def settled(self):
        status = json.loads(self.ada(PROGRAM, "status", "--json", check=False).stdout)
        return status if all(each["waiting"] == 0 for each in status["exporters"]) else None

    def test_it_is_right_as_it_is_and_does_what_it_says(self):
        self.host.write(FILE, SAMPLE)
        self.host.run("chown", "-R", "ada:ada", "/home/ada/.codex")
        told = self.ada(PROGRAM, "config", "check", FILE)
        self.assertIn("as it should be", told.stdout)
        self.assertRegex(told.stderr, r"otel-config\.yaml:7:3: processors\.batch: each exporter batches by itself")
        # Who begins with this file has no agent yet.
        self.ada("systemctl", "--user", "stop", "codex-telemetryd.service")

        self.ada(PROGRAM, "exec", "--", "true")
        self.ada(SYSTEM_PYTHON, "-c", CLIENT, PYTHONPATH=f"{SOURCE}/contrib/clients/python")
        self.ada(SYSTEM_PYTHON, "-c", SDK, PYTHONPATH=PACKAGES)

        expected = sorted(SERVICES.items())
        eventually(lambda: sorted(self.written()) == expected, 20, lambda: f"in the file: {self.written()}")
        eventually(lambda: sorted(self.in_journal()) == expected, 20, lambda: f"in the journal: {self.in_journal()}")
        status = eventually(self.settled, 20, "everything is settled")
        self.assertEqual(status["agent"]["reasons"], [])
        figures = {each["name"]: each for each in status["exporters"]}
        self.assertEqual(set(figures), {"journald", "file", "debug"})
        for each in figures.values():
            self.assertEqual((each["state"], each["waiting"], each["lost"]), ("running", 0, {}), each)
        self.assertEqual(figures["file"]["delivered"], 3)
        told = self.host.run("journalctl", "_SYSTEMD_USER_UNIT=codex-telemetryd.service", "-o", "cat").stdout
        self.assertIn("of the SDK", told, "logging prints it")
        # The receiver is at both addresses of localhost.
        places = [place["place"] for each in status["receivers"] for place in each["places"]]
        self.assertLessEqual({"127.0.0.1:4318", "[::1]:4318"}, set(places))


if __name__ == "__main__":
    unittest.main()

"""The files of contrib/otel, each as it is: the agent reads it and sends, and a sink stands where the file says that the
backend is. That is so because agent and sink are alone on a network of their own, with a hosts file that has the vendors'
names on the loopback and with an authority that vouches for them. What is set are the variables that the file asks for.
"""

import base64
import dataclasses
import http.client
import json
import os
import re
import shutil
import subprocess
import unittest

from alone import AloneCase
from codex import loopback
from host import eventually
from installed import ROOT
from test_otlp_intake import PYTHON, OTLPCase

FOLDER = ROOT / "contrib/otel"
ALL = ("traces", "logs", "metrics")
SECRET = "c2VjcmV0"

# What is sent: a span, a log event, and metrics whose names say what they are.
REQUESTS = """
import base64, json
from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import ExportLogsServiceRequest
from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import ExportMetricsServiceRequest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

START, TIME = 1_700_000_000_000_000_000, 1_700_000_060_000_000_000
traces, logs, metrics = ExportTraceServiceRequest(), ExportLogsServiceRequest(), ExportMetricsServiceRequest()
traces.resource_spans.add().scope_spans.add().spans.add(
    trace_id=b"t" * 16, span_id=b"s" * 8, name="work", start_time_unix_nano=START, end_time_unix_nano=TIME)
logs.resource_logs.add().scope_logs.add().log_records.add(time_unix_nano=TIME).body.string_value = "said"
scope = metrics.resource_metrics.add().scope_metrics.add()
times = {"start_time_unix_nano": START, "time_unix_nano": TIME}
scope.metrics.add(name="gauge").gauge.data_points.add(time_unix_nano=TIME, as_int=5)
for number, kind in ((1, "delta"), (2, "cumulative")):
    for name, rises in (("rising", True), ("moving", False)):
        data = scope.metrics.add(name=f"{name}.{kind}").sum
        data.aggregation_temporality, data.is_monotonic = number, rises
        data.data_points.add(as_int=7, **times)
    data = scope.metrics.add(name=f"histogram.{kind}").histogram
    data.aggregation_temporality = number
    data.data_points.add(count=3, sum=4.5, bucket_counts=[1, 2], explicit_bounds=[1.0], **times)
    data = scope.metrics.add(name=f"exponential.{kind}").exponential_histogram
    data.aggregation_temporality = number
    point = data.data_points.add(count=2, sum=4.0, scale=3, **times)
    point.positive.offset, point.positive.bucket_counts[:] = 8, [1, 1]
requests = {"traces": traces, "logs": logs, "metrics": metrics}
print(json.dumps({name: base64.b64encode(each.SerializeToString()).decode() for name, each in requests.items()}))
"""
METRICS = {"gauge": "gauge"} | {
    f"{name}.{kind}": kind for name in ("rising", "moving", "histogram", "exponential") for kind in ("delta", "cumulative")}
# What is left of them for a backend that can take but one temporality.
TAKEN = {
    "any": METRICS,
    "delta": {name: kind for name, kind in METRICS.items() if kind != "cumulative" or name.startswith("moving")},
    "cumulative": {name: kind for name, kind in METRICS.items() if kind != "delta"},
}
# Of HTTP's and of the body, not of the backend's asking.
PLAIN = {"host", "content-length", "content-type", "content-encoding", "user-agent", "connection", "accept-encoding"}


@dataclasses.dataclass
class Way:
    """What an exporter of a file has to do: `url` is the base, `headers` are all that are beside HTTP's own."""

    exporter: str
    url: str
    signals: tuple = ALL
    headers: dict = dataclasses.field(default_factory=dict)
    temporality: str = "any"

    def requests(self):
        return {f"{self.url}/v1/{signal}": self for signal in self.signals}

    def delivered(self):
        return sum(len(TAKEN[self.temporality]) if signal == "metrics" else 1 for signal in self.signals)

    def excluded(self):
        counts = {"not_selected": sum(len(METRICS) if signal == "metrics" else 1 for signal in ALL if signal not in self.signals)}
        if "metrics" in self.signals:
            counts["filtered"] = len(METRICS) - len(TAKEN[self.temporality])
        return {cause: count for cause, count in counts.items() if count}


@dataclasses.dataclass
class Fragment:
    """A file of contrib/otel. `needs`: the variables without which it is an error, and what they are set to here."""

    ways: list
    needs: dict = dataclasses.field(default_factory=dict)


TENANT = {"X-Scope-OrgID": "anonymous"}
TEAM = {"x-honeycomb-team": SECRET}
DATADOG, HONEYCOMB = "https://otlp.datadoghq.com", "https://api.honeycomb.io"
GATEWAY = "https://otlp-gateway-prod-eu-west-2.grafana.net/otlp"
FRAGMENTS = {
    "collector-http": Fragment([Way("otlp_http/collector", "http://localhost:14318")]),
    "collector-grpc": Fragment([Way("otlp_grpc/collector", "http://localhost:14317")]),
    "jaeger": Fragment([Way("otlp_http/jaeger", "http://localhost:14318", ("traces",))]),
    "grafana": Fragment([
        Way("otlp_http/tempo", "http://localhost:14318", ("traces",), TENANT),
        Way("otlp_http/loki", "http://localhost:3100/otlp", ("logs",), TENANT),
        Way("otlp_http/mimir", "http://localhost:9009/otlp", ("metrics",), TENANT, "cumulative")]),
    "grafana-cloud": Fragment(
        [Way("otlp_http/grafana-cloud", GATEWAY, ALL, {"Authorization": f"Basic {SECRET}"}, "cumulative")],
        {"GRAFANA_CLOUD_ENDPOINT": GATEWAY, "GRAFANA_CLOUD_AUTH": SECRET}),
    "phoenix": Fragment([Way("otlp_http/phoenix", "http://localhost:6006", ("traces",))]),
    "signoz": Fragment([Way("otlp_http/signoz", "http://localhost:14318")]),
    "signoz-cloud": Fragment(
        [Way("otlp_http/signoz", "https://ingest.us.signoz.cloud", ALL, {"signoz-ingestion-key": SECRET})],
        {"SIGNOZ_INGESTION_KEY": SECRET}),
    "honeycomb": Fragment([
        Way("otlp_http/honeycomb", HONEYCOMB, ("traces", "logs"), TEAM),
        Way("otlp_http/honeycomb-metrics", HONEYCOMB, ("metrics",), TEAM | {"x-honeycomb-dataset": "codex-metrics"})],
        {"HONEYCOMB_API_KEY": SECRET}),
    "datadog": Fragment([
        Way("otlp_http/datadog", DATADOG, ("logs", "metrics"), {"dd-api-key": SECRET}, "delta"),
        Way("otlp_http/datadog-traces", DATADOG, ("traces",), {"dd-api-key": SECRET, "dd-otlp-source": "example"})],
        {"DD_API_KEY": SECRET, "DD_OTLP_SOURCE": "example"}),
    "newrelic": Fragment(
        [Way("otlp_http/newrelic", "https://otlp.nr-data.net", ALL, {"api-key": SECRET})], {"NEW_RELIC_LICENSE_KEY": SECRET}),
}
NAMES = sorted({way.url.split("/")[2] for each in FRAGMENTS.values() for way in each.ways if way.url.startswith("https:")})
PORTS = (14318, 3100, 9009, 6006)


class Files(AloneCase):
    verbs = ("config",)

    def test_every_file_is_here(self):
        self.assertEqual({path.stem for path in FOLDER.glob("*.yaml")}, set(FRAGMENTS))

    def test_each_is_right_and_says_what_it_lacks(self):
        for name, fragment in FRAGMENTS.items():
            with self.subTest(name):
                file = FOLDER / f"{name}.yaml"
                told = self.telemetry("config", "check", file, env=fragment.needs)
                self.assertEqual((told.stdout, told.stderr), (f"{file}: as it should be\n", ""))
                if fragment.needs:
                    told = self.telemetry("config", "check", file, check=False)
                    self.assertEqual(told.returncode, 78)
                    for variable in fragment.needs:
                        self.assertIn(f"the environment variable {variable} is not set", told.stderr)
        # Which no sink of gRPC shows.
        shown = self.telemetry("config", "--config", FOLDER / "collector-grpc.yaml").stdout
        self.assertRegex(shown, r"(?m)^exporters\.otlp_grpc/collector\.compression: gzip ")

    def test_the_table_says_what_they_do(self):
        rows = {}
        for line in (FOLDER / "README.md").read_text().splitlines():
            named = re.match(r"\| .* \[([a-z-]+)\.yaml\]", line)
            if named:
                rows[named.group(1)] = line
        self.assertEqual(set(rows), set(FRAGMENTS))
        for name, fragment in FRAGMENTS.items():
            with self.subTest(name):
                for way in fragment.ways:
                    wanted = [*way.headers, "gzip", way.temporality, *way.signals]
                    if way.exporter.startswith("otlp_http"):
                        path = way.url.split("/", 3)[3:]
                        wanted.append("/" + "/".join([*path, "v1/"]))
                    for each in wanted:
                        self.assertIn(each, rows[name])
                # And in the file's head stands what one has to set.
                text = (FOLDER / f"{name}.yaml").read_text()
                head = text[:text.index("\nexporters:")]
                for variable in re.findall(r"\$\{env:(\w+)", text):
                    self.assertIn(variable, head)


@unittest.skipUnless(PYTHON.exists(), "contrib/prerequisites --tests has not been run: no OpenTelemetry classes")
@unittest.skipUnless(shutil.which("openssl"), "openssl is not installed: no certificates")
@unittest.skipUnless(os.geteuid() == 0, "a network and a hosts file of one's own need root")
class Fragments(OTLPCase):
    def setUp(self):
        super().setUp()
        enter = loopback()
        enter.__enter__()
        self.addCleanup(enter.__exit__, None, None, None)
        self.disguise()
        made = subprocess.run([PYTHON, "-c", REQUESTS], capture_output=True, text=True, check=True, timeout=60)
        self.bodies = {name: base64.b64decode(body) for name, body in json.loads(made.stdout).items()}
        self.file = self.home / "backend.jsonl"
        self.sink("otlp_sink.py", ",".join(map(str, PORTS)), self.file, "--tls", f"443:{self.home}/tls")
        self.sink("otlp_grpc_sink.py", "14317", self.file)

    def disguise(self):
        """The program, where the vendors' names are the loopback's and one authority vouches for all of them."""
        etc, tls = self.home / "etc", self.home / "tls"
        for folder in (etc, etc / "certs", tls):
            folder.mkdir()
        (etc / "hosts").write_text("".join(f"127.0.0.1 {name}\n" for name in ["localhost", *NAMES]))
        (etc / "nsswitch.conf").write_text("passwd: files\ngroup: files\nhosts: files\n")
        subprocess.run(
            ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-days", "2",
             "-keyout", tls / "key.pem", "-out", tls / "certificate.pem", "-subj", "/CN=vendors",
             "-addext", "subjectAltName=" + ",".join(f"DNS:{name}" for name in NAMES)], check=True, capture_output=True)
        shutil.copy(tls / "certificate.pem", etc / "certs/ca-certificates.crt")
        mounts = " && ".join(f"mount --bind {etc}/{mine} /etc/{its}" for mine, its in (
            ("hosts", "hosts"), ("nsswitch.conf", "nsswitch.conf"), ("certs", "ssl/certs")))
        program = self.home / "disguised"
        program.write_text(f'#!/bin/sh\nexec unshare --mount sh -c \'{mounts} && exec {self.program} "$@"\' sh "$@"\n')
        program.chmod(0o755)
        self.disguised = program

    def sink(self, script, *words):
        process = subprocess.Popen([PYTHON, ROOT / "Tests/EndToEnd" / script, *map(str, words)], stdout=subprocess.PIPE, text=True)
        self.addCleanup(process.stdout.close)
        self.addCleanup(self._bury, process)
        self.assertEqual(process.stdout.readline(), "listens\n")

    def send(self):
        connection = http.client.HTTPConnection("127.0.0.1", 4318, timeout=30)
        for signal, body in self.bodies.items():
            connection.request("POST", f"/v1/{signal}", body, {"Content-Type": "application/x-protobuf"})
            answer = connection.getresponse()
            self.assertEqual((answer.status, answer.read()), (200, b""))
        connection.close()

    def run_with(self, name):
        """An agent with a file; what its exporters say, and what came to the sinks, once all is settled."""
        fragment = FRAGMENTS[name]
        self.file.write_text("")
        shutil.rmtree(self.state, ignore_errors=True)
        plain, self.program = self.program, str(self.disguised)
        # Of what is built in journald is none of this.
        self.start("--config", FOLDER / f"{name}.yaml", env=fragment.needs | {"CODEX_OTEL_EXPORTER": "none"})
        self.program = plain
        try:
            return self.settle()
        finally:
            self._bury(self.agent)

    def settle(self):
        self.status_where("the receiver is open", lambda s: not self.closed_places(s))
        self.send()

        def settled():
            exporters = {each["name"]: each for each in self.status()["exporters"]}
            total = sum(len(METRICS) if signal == "metrics" else 1 for signal in ALL)
            done = all(each["delivered"] + sum(each["excluded"].values()) == total for each in exporters.values())
            return exporters if done else None

        exporters = eventually(settled, 60, lambda: f"all is settled: {json.dumps(self.status()['exporters'])}")
        self.stop()
        return exporters, [json.loads(line) for line in self.file.read_text().splitlines()]

    def test_each_sends_what_the_backend_asks_for(self):
        for name, fragment in FRAGMENTS.items():
            with self.subTest(name):
                exporters, lines = self.run_with(name)
                self.assertEqual(set(exporters), {way.exporter for way in fragment.ways})
                for way in fragment.ways:
                    its = exporters[way.exporter]
                    self.assertEqual(
                        (its["delivered"], its["excluded"], its["lost"]), (way.delivered(), way.excluded(), {}), its)
                wanted = {url: way for way in fragment.ways for url, way in way.requests().items()}
                self.assertEqual(len(lines), len(wanted), lines)
                if name == "collector-grpc":
                    self.of_grpc(lines)
                else:
                    self.assertEqual({self.url(line) for line in lines}, set(wanted))
                    for line in lines:
                        self.of_http(line, wanted[self.url(line)])

    @staticmethod
    def url(line):
        host = next(value for name, value in line["headers"].items() if name.lower() == "host")
        return f"{line['scheme']}://{host.removesuffix(':443')}{line['path']}"

    def of_http(self, line, way):
        headers = {name.lower(): value for name, value in line["headers"].items()}
        self.assertEqual(headers["content-type"], "application/x-protobuf")
        self.assertEqual(headers["content-encoding"], "gzip")
        self.assertEqual(
            {name: value for name, value in headers.items() if name not in PLAIN},
            {name.lower(): value for name, value in way.headers.items()})
        self.of_signal(line, line["path"], way.temporality)

    def of_grpc(self, lines):
        self.assertEqual({line["path"] for line in lines}, {f"/v1/{signal}" for signal in ALL})
        for line in lines:
            self.assertIn("codex-telemetryd", line["headers"]["user-agent"])
            self.of_signal(line, line["path"], "any")

    def of_signal(self, line, path, temporality):
        metrics = TAKEN[temporality] if path.endswith("/v1/metrics") else {}
        self.assertEqual(line["temporalities"], metrics)
        expected = {"traces": [b"s".hex() * 8], "logs": ["said"], "metrics": sorted(metrics)}[path.rsplit("/", 1)[1]]
        self.assertEqual(sorted(line["records"]), expected)


if __name__ == "__main__":
    unittest.main()

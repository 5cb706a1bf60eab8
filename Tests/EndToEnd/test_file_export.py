"""Records in a file, as the OpenTelemetry Collector's file exporter writes them: each line once, whatever happened to the agent, the
file or the disk meanwhile."""

import collections
import json
import os
import signal
import subprocess
import sys
import time
import unittest

from host import eventually
from installed import ROOT
from test_otlp_intake import PYTHON, OTLPCase, free_port

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


class FileExport(OTLPCase):
    def setUp(self):
        super().setUp()
        self.port = free_port()
        self.folder = self.home / "out"
        self.file = self.folder / "traces.json"

    def configure(self, text=None, **exporter):
        self.config = self.home / "config.yaml"
        self.config.write_text(text or json.dumps({
            "receivers": {"otlp": {"protocols": {"http": {"endpoint": f"localhost:{self.port}"}}}},
            "exporters": {"file": {"path": str(self.file)} | exporter, "journald": {"enabled": False}},
        }))
        self.begin_agent()

    def begin_agent(self):
        self.start("--config", self.config)
        self.status_where("the receiver is open", lambda s: not self.closed_places(s))

    def exporter(self, name="file"):
        return next(each for each in self.status()["exporters"] if each["name"] == name)

    def settled(self, name="file", seconds=60):
        """The exporter's figures once nothing waits."""

        def ask():
            status = self.status()
            exporter = next(each for each in status["exporters"] if each["name"] == name)
            return exporter if exporter["waiting"] == 0 and exporter["stored"] == status["log"]["stored"]["records"] else None

        return eventually(ask, seconds, lambda: json.dumps(self.exporter(name)))

    def spans(self):
        """Every span in the file and those that were set aside, in their order."""
        found = []
        for path in sorted(self.folder.glob("traces-*.json")) + [self.file]:
            for line in path.read_text().splitlines():
                request = json.loads(line)
                self.assertEqual(len(request), 1)
                for resource in request.get("resourceSpans", []):
                    for scope in resource["scopeSpans"]:
                        found += scope["spans"]
        return found

    @unittest.skipUnless(PYTHON.exists(), "contrib/prerequisites --tests has not been run: no OpenTelemetry SDK")
    def test_the_file_that_people_have_runs_as_it_is(self):
        self.file = self.home / ".codex/telemetry/codex-traces.json"
        self.folder = self.file.parent
        self.configure(SAMPLE.replace("localhost:4318", f"localhost:{self.port}"))
        self.assertTrue(self.sdk(f"http://localhost:{self.port}", "http", 5)["flushed"])
        self.telemetry("exec", "--", "true")
        client = subprocess.run(
            [sys.executable, "-c", "import codex_telemetry as t\nwith t.span('from python'): pass\nt.shutdown()"],
            env=self.env | {"PYTHONPATH": str(ROOT / "contrib/clients/python"), "CODEX_OTEL_ENABLED": "1"}, capture_output=True, text=True)
        self.assertEqual(client.returncode, 0, client.stderr)

        def ask():
            names = collections.Counter(span["name"] for span in self.spans()) if self.file.exists() else {}
            return names if names.get("inner") == 5 and names.get("from python") and len(names) > 6 else None

        names = eventually(ask, 20, lambda: str([span["name"] for span in self.spans()]))
        self.assertEqual(set(names.values()) - {5}, {1})
        self.assertEqual(self.file.stat().st_mode & 0o777, 0o600)
        # What the pipeline is not for is not there, and counted.
        exporter = self.settled()
        self.assertEqual(exporter["excluded"], {"not_selected": 5 + 6})
        told = self.messages.read_text()
        self.assertIn("Name           : from python", told)
        self.assertIn("-> service.name: Str(sdk-http)", told)
        self.stop()

    def test_each_span_is_there_once_though_the_agent_is_killed_again_and_again(self):
        """By the log's own records, one of which would be missing or there twice."""
        self.configure(rotation={"max_megabytes": 1, "max_backups": 100})
        producers = [self.produce(records=3, padding=2000, pause=0.002) for _ in range(2)]
        for number in range(6):
            eventually(lambda: self.file.exists() and self.file.stat().st_size, 20, "something is written")
            time.sleep(0.2 + 0.13 * number)
            self.agent.send_signal(signal.SIGKILL)
            self.agent.wait()
            self.begin_agent()
        self.end_producers(*producers)
        exporter = self.settled()
        self.assertEqual(exporter["lost"], {})
        spans = self.spans()
        self.assertEqual(len(spans), self.status()["log"]["stored"]["records"])
        self.assertEqual(len(spans), exporter["delivered"])
        times = len(list(self.folder.glob("traces-*.json")))
        self.assertGreater(times, 0)
        for path in self.folder.iterdir():
            self.assertLessEqual(path.stat().st_size, 1 << 20)
        print(f"  {len(spans)} spans in {times + 1} files", flush=True)
        self.balance(*producers)
        self.stop()

    def test_a_full_disk_holds_records_up_and_loses_none(self):
        self.mount("tmpfs", self.folder, "size=2m,mode=700")
        self.configure()
        producer = self.produce(records=2, padding=3000, pause=0.001)
        full = eventually(lambda: (e := self.exporter())["state"] == "degraded" and e, 40, lambda: json.dumps(self.exporter()))
        self.assertIn("No space left", full["reason"])
        self.assertIn("make room", full["reason"])
        for line in self.file.read_text().splitlines():
            json.loads(line)
        subprocess.run(["mount", "-o", "remount,size=400m", self.folder], check=True)
        self.end_producers(producer)
        exporter = self.settled()
        self.assertEqual(exporter["state"], "running")
        self.assertEqual(len(self.spans()), self.status()["log"]["stored"]["records"])
        self.assertEqual(exporter["lost"], {})
        self.stop()

    def test_logrotate_takes_the_file_away(self):
        self.configure()
        producer = self.produce(records=1, pause=0.002)
        moved = 0
        for number in range(5):
            eventually(lambda: self.file.exists() and self.file.stat().st_size, 20, "something is written")
            os.rename(self.file, self.folder / f"traces-{number}.json")
            moved += 1
        self.end_producers(producer)
        self.settled()
        eventually(self.file.exists, 5, "it is made anew")
        self.assertEqual(len(self.spans()), self.status()["log"]["stored"]["records"])
        self.assertEqual(moved, 5)
        self.stop()

    def test_a_dead_and_a_slow_exporter_hold_up_nobody(self):
        """And the figures of each balance."""
        dead, link = free_port(), self.home / "elsewhere"
        self.config = self.home / "config.yaml"
        os.symlink("/dev/null", link)
        self.config.write_text(json.dumps({
            "receivers": {"otlp": {"protocols": {"http": {"endpoint": f"localhost:{self.port}"}}}},
            "exporters": {
                "file": {"path": str(self.file)}, "file/refused": {"path": str(link)},
                "otlp_http/dead": {"endpoint": f"http://127.0.0.1:{dead}"},
                "debug": {"verbosity": "normal", "lines_per_second_max": 5}, "journald": {"enabled": False},
            }}))
        self.begin_agent()
        producer = self.produce(records=2, count=500)
        eventually(producer.is_done, 30, "all are acked")
        self.end_producers(producer)
        self.assertEqual(self.settled()["delivered"], 1000)
        printed = self.settled("debug")
        self.assertEqual(printed["delivered"] + printed["excluded"]["rate_capped"], 1000)
        for name, why in (("file/refused", "Too many levels of symbolic links"), ("otlp_http/dead", "refused")):
            exporter = eventually(
                lambda: (e := self.exporter(name))["state"] == "degraded" and e["waiting"] == 1000 and e, 20,
                lambda: json.dumps(self.exporter(name)))
            self.assertIn(why, exporter["reason"])
        self.balance(producer)
        self.stop()


if __name__ == "__main__":
    unittest.main()

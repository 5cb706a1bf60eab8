"""Backends of a test's own behind an agent that takes its configuration from a file."""

import json
import subprocess

from host import eventually
from installed import ROOT
from test_otlp_intake import PYTHON, OTLPCase, free_port


class Backend:
    """A process that takes OTLP over HTTP (otlp_sink.py)."""

    def __init__(self, file, answers=""):
        self.port, self.file = free_port(), file
        self.url = f"http://127.0.0.1:{self.port}"
        words = [PYTHON, ROOT / "Tests/EndToEnd/otlp_sink.py", str(self.port), file, *([answers] if answers else [])]
        self.process = subprocess.Popen(words, stdout=subprocess.PIPE, text=True)
        if self.process.stdout.readline() != "listens\n":
            raise AssertionError("the backend does not listen")

    def end(self):
        self.process.kill()
        self.process.wait()
        self.process.stdout.close()

    def lines(self):
        return [json.loads(line) for line in self.file.read_text().splitlines()] if self.file.exists() else []

    def count(self):
        """The records that it has, the same one twice if it came twice."""
        return sum(len(line["records"]) for line in self.lines())


class BackendCase(OTLPCase):
    def setUp(self):
        super().setUp()
        self.config = self.home / "config.yaml"
        self.backends = 0

    def backend(self, answers=""):
        self.backends += 1
        made = Backend(self.home / f"backend-{self.backends}.jsonl", answers)
        self.addCleanup(made.end)
        return made

    def stored(self, producer):
        """The records in the log once a producer has ended: those that it was told of, and some that it was not."""
        self.end_producers(producer)
        return self.status()["intake"]["stored"]["records"]

    def exporter(self, name):
        return next(each for each in self.status()["exporters"] if each["name"] == name)

    def delivered(self, name, count, seconds=30):
        """The exporter's figures once all is delivered."""

        def ask():
            exporter = self.exporter(name)
            return exporter if exporter["delivered"] == count and exporter["waiting"] == 0 else None

        return eventually(ask, seconds, lambda: f"{count} delivered: {json.dumps(self.exporter(name))}")

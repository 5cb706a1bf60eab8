"""OTLP in, log, OTLP out, beside rotel in the same run: the same requests, the same compression out."""

import json
import os
import pathlib
import shutil
import socket
import subprocess
import sys
import tempfile
import time
import urllib.request

import otlp_requests
from agents import ROOT, Agent
from figures import Processor, memory
from socket_to_log import Series

SECTION = "(h) OTLP in, log, OTLP/HTTP protobuf with gzip out, beside rotel (which keeps nothing on disk)"
PEER_VERSION = "rotel==0.0.1a15"
SINK_PORT, PEER_PORT, PEER_GRPC_PORT = 14_400, 14_318, 14_317
CONFIGURATION = """exporters:
  journald: {enabled: false}
  otlp_http/sink: {endpoint: "http://127.0.0.1:%d", compression: gzip}
receivers: {otlp: {protocols: {http: {endpoint: "127.0.0.1:%d"}, grpc: {endpoint: "127.0.0.1:%d"}}}}
"""
OWN_PORT, OWN_GRPC_PORT = 14_319, 14_320
BINARY, TEXT, GRPC = "application/x-protobuf", "application/json", "application/grpc"
PATHS = {GRPC: "/opentelemetry.proto.collector.trace.v1.TraceService/Export"}


def peer_program():
    """rotel's program, from PyPI into .build/peers."""
    folder = ROOT / ".build/peers"
    found = lambda: next(iter(folder.glob("lib/python*/site-packages/rotel/rotel-agent")), None)
    if not found():
        subprocess.run([sys.executable, "-m", "venv", folder], check=True, stdout=sys.stderr)
        subprocess.run([folder / "bin/pip", "install", "-q", "--disable-pip-version-check", PEER_VERSION],
                       check=True, stdout=sys.stderr)
    return found()


class Peer:
    """rotel, from OTLP to the sink."""

    def __init__(self, program):
        self.program, self.port, self.grpc_port = program, PEER_PORT, PEER_GRPC_PORT

    def __enter__(self):
        self.home = pathlib.Path(tempfile.mkdtemp(prefix="cxt-bench-"))
        words = ["start", "--pid-file", self.home / "pid", "--log-file", self.home / "log",
                 "--otlp-http-endpoint", f"127.0.0.1:{PEER_PORT}", "--otlp-grpc-endpoint", f"127.0.0.1:{PEER_GRPC_PORT}",
                 "--exporter", "otlp", "--otlp-exporter-protocol", "http", "--otlp-exporter-compression", "gzip",
                 "--otlp-exporter-endpoint", f"http://127.0.0.1:{SINK_PORT}"]
        self.output = open(self.home / "output", "w")
        self.process = subprocess.Popen([self.program, *map(str, words)], stdin=subprocess.DEVNULL,
                                        stdout=self.output, stderr=self.output)
        self.proc = f"/proc/{self.process.pid}"
        wait_for_port(PEER_PORT, self.process)
        return self

    def __exit__(self, *_):
        self.process.kill()
        self.process.wait()
        self.output.close()
        shutil.rmtree(self.home, ignore_errors=True)

    def processor(self):
        return Processor(self.proc)

    def memory(self):
        return memory(self.proc)


class Own(Agent):
    """Our agent, from OTLP through its log to the sink."""

    port, grpc_port = OWN_PORT, OWN_GRPC_PORT

    def __init__(self, tools):
        super().__init__(tools, CONFIGURATION % (SINK_PORT, OWN_PORT, OWN_GRPC_PORT))

    def __enter__(self):
        super().__enter__()
        wait_for_port(OWN_PORT, self.process)
        wait_for_port(OWN_GRPC_PORT, self.process)
        return self


def wait_for_port(port, process):
    end = time.monotonic() + 20
    while time.monotonic() < end and process.poll() is None:
        try:
            return socket.create_connection(("127.0.0.1", port), 1).close()
        except OSError:
            time.sleep(0.02)
    raise RuntimeError(f"nobody listens on {port}")


class Sink:
    """The backend of all runs."""

    def __init__(self, program):
        self.process = subprocess.Popen([program, str(SINK_PORT)], stdin=subprocess.DEVNULL)
        wait_for_port(SINK_PORT, self.process)

    def counts(self):
        with urllib.request.urlopen(f"http://127.0.0.1:{SINK_PORT}/", timeout=30) as answer:
            return json.load(answer)

    def end(self):
        self.process.kill()
        self.process.wait()


def settled(receiver, sink, before, spans):
    """The receiver's CPU seconds once the sink has all of it and the receiver is at rest."""
    end, last, quiet = time.monotonic() + 60, receiver.processor(), 0
    while time.monotonic() < end and quiet < 2:
        time.sleep(0.5)
        used = last.seconds()
        last = receiver.processor()
        arrived = sink.counts()["records"] - before
        quiet = quiet + 1 if used < 0.02 and arrived >= spans else 0
    return sink.counts()["records"] - before


def run(tools, receiver, sink, series, plan):
    """One load, and what it cost the receiver."""
    requests, content, spans, count, rate = plan
    port = receiver.grpc_port if content == GRPC else receiver.port
    line = [tools.otlp_load, str(port), PATHS.get(content, "/v1/traces"), content, str(requests), "4"]

    def send(count, rate=0):
        done = subprocess.run([*line, str(count), str(rate)], capture_output=True, text=True, timeout=600)
        if done.returncode != 0:
            raise RuntimeError(f"otlp_load failed: {done.stdout}{done.stderr}")
        return json.loads(done.stdout)

    before = sink.counts()["records"]
    warm = send(8)["answered"] * spans
    settled(receiver, sink, before, warm)
    before, used = sink.counts()["records"], receiver.processor()
    told = send(count, rate / spans)
    sent = told["answered"] * spans
    arrived = settled(receiver, sink, before, sent)
    series.put(cpu=used.seconds() / sent * 1e6, rate=sent / told["seconds"], peak=receiver.memory()["peak"],
               p50=told["ms_p50"], p99=told["ms_p99"], lost=sent - arrived, refused=told["refused"])


def measure(tools, report, quick):
    """Section (h)."""
    tools.otlp_load, sink_program = tools.c("otlp_load"), tools.c("otlp_sink", "-ldeflate")
    if not (tools.agent and tools.otlp_load and sink_program):
        return report.lacks(SECTION, "a program is missing")
    try:
        peer = peer_program()
    except (OSError, subprocess.CalledProcessError) as error:
        return report.lacks(SECTION, f"rotel cannot be installed: {error}")
    files = {}
    for name, coding, spans in [("512", otlp_requests.protobuf, 512), ("64", otlp_requests.protobuf, 64),
                                ("json", otlp_requests.as_json, 512)]:
        files[name] = tools.scratch / f"requests-{name}"
        size = otlp_requests.write(files[name], coding, 64, spans) / spans
        report.note(f"(h) {name}: {size:.0f} bytes a span in")
    million = 200_000 if quick else 1_000_000
    plans = {
        "protobuf, 512 a request": (files["512"], BINARY, 512, million // 512, 0),
        "protobuf, 64 a request, 20,000 spans/s": (files["64"], BINARY, 64, million // 5 // 64, 20_000),
        "gRPC, 512 a request": (files["512"], GRPC, 512, million // 512, 0),
        "JSON, 512 a request": (files["json"], TEXT, 512, million // 4 // 512, 0),
    }
    sink, found = Sink(sink_program), {}
    try:
        for _ in range(1 if quick else 3):
            for name, plan in plans.items():
                for make, who in ((lambda: Own(tools), "own"), (lambda: Peer(peer), "peer")):
                    with make() as receiver:
                        run(tools, receiver, sink, found.setdefault((name, who), Series()), plan)
    finally:
        sink.end()
    for name, plan in plans.items():
        own, other = found[name, "own"], found[name, "peer"]
        bar = ("<=", 0.4) if plan[1] == BINARY else None
        report.add(SECTION, f"CPU, {name}", "CPU-s/M spans", own["cpu"], against="rotel", limit=other["cpu"], ratio_bar=bar)
        report.add(SECTION, f"peak memory, {name}", "MB", own["peak"], against="rotel", limit=other["peak"],
                   ratio_bar=("<=", 0.5))
        if plan[4] == 0:
            report.add(SECTION, f"throughput, {name}", "spans/s", own["rate"], against="rotel", limit=other["rate"])
        report.add(SECTION, f"request p50, {name}", "ms", own["p50"], against="rotel", limit=other["p50"])
        report.add(SECTION, f"request p99, {name}", "ms", own["p99"], against="rotel", limit=other["p99"],
                   bar=("<=", 5) if plan[4] else None)
        lost = ", ".join(f"{who} {max(found[name, who]['lost'])} of them not at the backend, {max(found[name, who]['refused'])}"
                         " requests refused" for who in ("own", "peer"))
        report.note(f"(h) {name}: {plan[3] * plan[2]:,} spans a run; {lost}")

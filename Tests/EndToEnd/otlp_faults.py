#!/usr/bin/env python3
"""OTLP from end to end with everything that can go wrong: backends with every fault, over HTTP (faulty_backend.py) and gRPC
(faulty_grpc_backend.py), with and without TLS, and an agent that is killed again and again, while senders of OTLP and producers of our own wire send
numbered records. Then holds, by the log as the witness reads it and by what the backends wrote down, that every record
is at each backend, in `rejected/` or counted as partially rejected, and that each one that came twice had a reason.

    otlp_faults.py --seed N [--seconds N] [--kills N] [--keep]

Runs with the Python of .build/python. Prints a line of JSON; exit code 1 if anything is wrong, with what it is on
standard error. The agent is $CODEX_TELEMETRYD, else the debug build. The seed fixes the faults, not their moments.
"""

import argparse
import collections
import gzip
import http.client
import itertools
import json
import os
import pathlib
import random
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
import time

HERE = pathlib.Path(__file__).resolve().parent
ROOT = HERE.parents[1]
sys.path[:0] = [str(HERE), str(ROOT / "Tests/Witness")]
from batch_reader import read_batch  # noqa: E402
from crash import Wrong, apart  # noqa: E402
from faulty_backend import PROTOBUF, REQUESTS, FaultyBackend, certificate, numbers  # noqa: E402
from faulty_grpc_backend import FaultyCalls  # noqa: E402
from segment_reader import Log  # noqa: E402
from test_otlp_intake import free_port  # noqa: E402

# Our own wire's records are numbered from 1, those of OTLP from here, each signal in a range of its own.
BASES = {"traces": 1 << 40, "logs": 2 << 40, "metrics": 3 << 40}
KINDS = {"otlp_http": FaultyBackend, "otlp_grpc": FaultyCalls}
WAYS = ("plain", "tls")
# Fates of requests that are taken, with an answer and without.
TAKEN = ("ok", "slow", "partial", "goodbye")
UNANSWERED = ("reset after", "stream reset after", "half an answer", "stall")
RECORDS = 30
PRODUCERS = 2
PAUSE = 0.05
TIMES = 1_700_000_000_000_000_000


class Sender(threading.Thread):
    """Sends requests of a signal over OTLP/HTTP, protobuf and JSON in turn, each until it is answered with 200."""

    def __init__(self, port, kind):
        super().__init__(daemon=True)
        self.port, self.kind = port, kind
        self.next, self.requests, self.again = BASES[kind] + 1, 0, 0
        # Numbers of requests whose answer did not come: they may be in the log as often as they were sent.
        self.unheard = collections.Counter()
        self.ending, self.problem = threading.Event(), None

    def run(self):
        try:
            while not self.ending.is_set():
                self.send(self.next)
                self.next += RECORDS
                self.requests += 1
                self.ending.wait(PAUSE)
        except Exception as problem:  # shown at the end
            self.problem = problem

    def send(self, first):
        is_json = self.requests % 2 == 1
        body = self.json(first) if is_json else self.protobuf(first)
        headers = {"Content-Type": "application/json" if is_json else PROTOBUF}
        end = time.monotonic() + 60
        connection = None
        while time.monotonic() < end:
            try:
                connection = connection or http.client.HTTPConnection("127.0.0.1", self.port, timeout=20)
                connection.request("POST", f"/v1/{self.kind}", body, headers)
                answer = connection.getresponse()
                answer.read()
            except ConnectionRefusedError:
                self.again += 1
            except (OSError, http.client.HTTPException):
                # The agent may have died between the log and the answer.
                self.again += 1
                self.unheard.update(range(first, first + RECORDS))
                connection.close()
                connection = None
            else:
                if answer.status == 200:
                    connection.close()
                    return
                if answer.status not in (429, 503):
                    raise Wrong(f"a sender of {self.kind} was told {answer.status}")
                self.again += 1
            time.sleep(0.05)
        raise Wrong(f"a request of {self.kind} is not taken within 60 s")

    def protobuf(self, first):
        request = REQUESTS[self.kind]()
        if self.kind == "metrics":
            metric = request.resource_metrics.add().scope_metrics.add().metrics.add()
            metric.name = "numbers"
            for number in range(first, first + RECORDS):
                metric.sum.data_points.add(as_int=number, time_unix_nano=TIMES + number)
            return request.SerializeToString()
        for number in range(first, first + RECORDS):
            identity = {"span_id": number.to_bytes(8, "big"), "trace_id": number.to_bytes(16, "big")}
            if self.kind == "traces":
                scope = (request.resource_spans or [request.resource_spans.add()])[0].scope_spans
                (scope or [scope.add()])[0].spans.add(
                    name="faults", start_time_unix_nano=TIMES, end_time_unix_nano=TIMES + number, **identity)
            else:
                scope = (request.resource_logs or [request.resource_logs.add()])[0].scope_logs
                (scope or [scope.add()])[0].log_records.add(time_unix_nano=TIMES + number, **identity)
        return request.SerializeToString()

    def json(self, first):
        these = range(first, first + RECORDS)
        if self.kind == "metrics":
            points = [{"asInt": str(number), "timeUnixNano": str(TIMES + number)} for number in these]
            scope = {"metrics": [{"name": "numbers", "sum": {"dataPoints": points}}]}
            return json.dumps({"resourceMetrics": [{"scopeMetrics": [scope]}]}).encode()
        ids = [{"spanId": f"{number:016x}", "traceId": f"{number:032x}"} for number in these]
        if self.kind == "traces":
            spans = [each | {"name": "faults", "startTimeUnixNano": str(TIMES)} for each in ids]
            return json.dumps({"resourceSpans": [{"scopeSpans": [{"spans": spans}]}]}).encode()
        return json.dumps({"resourceLogs": [{"scopeLogs": [{"logRecords": ids}]}]}).encode()

    def end(self):
        self.ending.set()
        self.join(70)
        if self.problem or self.is_alive():
            raise self.problem or Wrong(f"a sender of {self.kind} hangs")


class Faults:
    def __init__(self, program, seed, seconds, kills, folder):
        self.program, self.seconds, self.kills = str(program), seconds, kills
        self.random, self.folder = random.Random(seed), pathlib.Path(folder)
        self.state, self.port = self.folder / "state", free_port()
        self.ingest = self.folder / "ingest.sock"
        self.deaths, self.agent = [], None
        self.backends = {}
        for kind, way in itertools.product(KINDS, WAYS):
            context, authority = certificate(self.folder, kind) if way == "tls" else (None, "")
            backend = KINDS[kind](random.Random(self.random.random()), context)
            self.backends[f"{kind}/{way}"] = backend
            backend.authority = str(authority)
        self.configure()

    def configure(self):
        exporters = {"journald": {"enabled": False}}
        for name, backend in self.backends.items():
            exporters[name] = {
                "endpoint": f"http{'s' * bool(backend.authority)}://127.0.0.1:{backend.port}", "timeout": "2s",
                "retry_on_failure": {"initial_interval": "100ms", "max_interval": "1s"},
                "sending_queue": {"batch": {"max_size": 1000, "flush_timeout": "100ms"}},
            } | ({"tls": {"ca_file": backend.authority}} if backend.authority else {})
        (self.folder / "config.yaml").write_text(json.dumps({
            "receivers": {"otlp": {"protocols": {"http": {"endpoint": f"127.0.0.1:{self.port}"}}}},
            "exporters": exporters, "service": {"telemetry": {"logs": {"level": "error"}}},
        }))

    # The agent

    def words(self, verb, *more):
        return [self.program, verb, "--user", "--state-dir", str(self.state), "--socket", str(self.ingest),
                "--control-socket", str(self.folder / "control.sock"), *more]

    @property
    def environment(self):
        return {"HOME": str(self.folder), "XDG_RUNTIME_DIR": str(self.folder), "PATH": os.environ["PATH"],
                "LANG": "C.UTF-8", "TZ": "UTC"}

    def start(self):
        with open(self.folder / "agent.err", "ab") as errors:
            self.agent = subprocess.Popen(
                apart(self.words("run", "--config", str(self.folder / "config.yaml"))), env=self.environment,
                stdin=subprocess.DEVNULL, stderr=errors)

    def status(self):
        done = subprocess.run(self.words("status", "--json"), env=self.environment, capture_output=True, text=True)
        return json.loads(done.stdout) if done.returncode in (0, 1) else None

    def exporters(self):
        status = self.status()
        return {each["name"]: each for each in status["exporters"] if each["name"] in self.backends} if status else {}

    def kill(self):
        self.agent.kill()
        self.agent.wait()
        # How much each backend had taken: nothing of that agent comes any more.
        self.deaths.append({name: backend.finished() for name, backend in self.backends.items()})
        self.start()

    # The whole

    def run(self):
        self.start()
        senders = [Sender(self.port, kind) for kind in BASES]
        producers = [self.producer(index) for index in range(PRODUCERS)]
        for sender in senders:
            sender.start()
        try:
            self.trouble(producers)
            for sender in senders:
                sender.end()
            self.end_producers(producers)
            return self.settle(senders)
        finally:
            for sender in senders:
                sender.ending.set()
            for process in producers:
                process.kill()
                process.wait()
                process.stdin.close()
            for backend in self.backends.values():
                backend.close()
            if self.agent.poll() is None:
                self.agent.kill()
            self.agent.wait()

    def trouble(self, producers):
        began = time.monotonic()
        moments = sorted(self.random.uniform(0.05, 0.98) * self.seconds for _ in range(self.kills))
        while (now := time.monotonic() - began) < self.seconds:
            share = int(self.share * now / self.seconds)
            for index, process in enumerate(producers):
                process.stdin.write(b"%d\n" % (self.base(index) + share))
            if moments and moments[0] <= now:
                moments.pop(0)
                self.kill()
            if self.agent.poll() is not None:
                raise Wrong(f"the agent ended with {self.agent.returncode}")
            time.sleep(0.05)

    @property
    def share(self):
        """Records of each producer."""
        return int(self.seconds * 400)

    @staticmethod
    def base(index):
        """The number before a producer's first."""
        return index << 32

    def producer(self, index):
        base = self.base(index)
        words = [sys.executable, HERE / "crash_producer.py", self.ingest, "-", self.folder / f"producer-{index}", base + 1,
                 base + self.share, self.random.randrange(1 << 30), base]
        return subprocess.Popen(
            [str(word) for word in words], stdin=subprocess.PIPE, env=self.environment, bufsize=0)

    def end_producers(self, producers):
        for index, process in enumerate(producers):
            process.stdin.write(b"%d\n" % (self.base(index) + self.share))
        for process in producers:
            if process.wait(60) != 0:
                raise Wrong(f"a producer ended with {process.returncode}")

    def settle(self, senders):
        """The backends are well from now on: everything arrives, and every figure is right."""
        for backend in self.backends.values():
            backend.is_calm = True
        end = time.monotonic() + 90
        while not (found := self.exporters()) or any(each["waiting"] for each in found.values()):
            if time.monotonic() > end:
                raise Wrong(f"not delivered within 90 s: {json.dumps(found)}")
            time.sleep(0.1)
        figures = self.balance()
        exporters, stored = self.exporters(), self.status()["log"]["stored"]["records"]
        self.agent.send_signal(signal.SIGTERM)
        if self.agent.wait(60) != 0:
            raise Wrong(f"the agent ended with {self.agent.returncode} on SIGTERM")
        log = self.read_log()
        self.check_intake(senders, log, stored)
        told = {name: self.check_exporter(name, exporters[name], log, stored) for name in self.backends}
        return {"records": stored, "kills": len(self.deaths), "balance_figures": figures,
                "sent_again": sum(sender.again for sender in senders)} | told

    def balance(self):
        """All figures agree, or it is wrong; how many there are."""
        tallies = []
        for index in range(PRODUCERS):
            tallies += json.loads((self.folder / f"producer-{index}/tally.json").read_text())
        (self.folder / "tallies.json").write_text(json.dumps([each for each in tallies if each["acked"]["batches"]]))
        wrapper = self.folder / "status"
        wrapper.write_text("#!/bin/sh\nshift\nexec " + " ".join(self.words("status")) + " --json\n")
        wrapper.chmod(0o755)
        done = subprocess.run(
            [sys.executable, ROOT / "contrib/balance", "--program", wrapper, "--state", self.state,
             "--tally", self.folder / "tallies.json", "--wait", "120"],
            env=self.environment, capture_output=True, text=True, timeout=600)
        if done.returncode != 0:
            raise Wrong(f"the balance is not green:\n{done.stdout}{done.stderr}")
        return int(re.search(r"green: (\d+) figures", done.stdout)[1])

    # What must be

    def read_log(self):
        """The places of each number in the log."""
        found = collections.defaultdict(list)
        for segment in Log.open(str(self.state)).segments():
            for entry in segment.entries():
                for record in read_batch(entry.payload).records:
                    number = record["int"] if record["type"] == 3 else int.from_bytes(record["span_id"], "big")
                    found[number].append(entry.offset)
        return found

    def check_intake(self, senders, log, stored):
        """What was answered with 200, or acked, is in the log; twice only what was sent twice."""
        if (total := sum(map(len, log.values()))) != stored:
            raise Wrong(f"{total} records are in the log, {stored} were stored")
        for index in range(PRODUCERS):
            wrong = [number for number in range(self.base(index) + 1, self.base(index) + self.share + 1)
                     if len(log.get(number, ())) != 1]
            if wrong:
                raise Wrong(f"{len(wrong)} records of producer {index} are not once in the log: {wrong[:5]}")
        for sender in senders:
            these = range(BASES[sender.kind] + 1, sender.next)
            wrong = [number for number in these if not 1 <= len(log.get(number, ())) <= 1 + sender.unheard[number]]
            if wrong or not these:
                raise Wrong(f"{len(wrong)} of {len(these)} records of {sender.kind} are not in the log, or too often: {wrong[:5]}")

    def check_exporter(self, name, figures, log, stored):
        """Every record has an answer that was heard, or is in `rejected/`; one that came twice has a reason."""
        backend = self.backends[name]
        answered, broken, rejected, partial = (collections.Counter() for _ in range(4))
        for request in backend.requests:
            if request.fate in TAKEN and request.is_answered:
                answered.update(request.numbers)
            elif request.fate in TAKEN + UNANSWERED:
                broken.update(request.numbers)
            elif request.fate == backend.refused:
                rejected.update(request.numbers)
            partial.update(request.numbers[: request.partial])
        if backend.problems:
            raise Wrong(f"{name}: {len(backend.problems)} times the agent broke the protocol: {backend.problems[:5]}")
        kept = self.read_rejected(name)
        if unknown := kept - rejected:
            raise Wrong(f"{name}: {unknown.total()} records are in rejected/ that were never refused")
        missing = [number for number, places in log.items() if answered[number] + kept[number] < len(places)]
        if missing:
            raise Wrong(f"{name}: {len(missing)} records are neither at the backend nor in rejected/: {missing[:5]}")
        unheard = self.unheard(name)
        twice = answered + kept
        strange = [number for number, count in twice.items() if count > len(log.get(number, ())) + unheard[number]]
        if strange:
            raise Wrong(f"{name}: {len(strange)} records were answered more often than they are in the log, without a reason: "
                        f"{strange[:5]}\n{self.history(name, strange[0], len(log.get(strange[0], ())))}")
        lost = figures["lost"].get("rejected", 0)
        if figures["delivered"] + lost != stored or set(figures["lost"]) - {"rejected"}:
            raise Wrong(f"{name}: {stored} records are stored, the figures are {json.dumps(figures)}")
        if lost > kept.total() + partial.total():
            raise Wrong(f"{name}: {lost} records are counted as rejected, at most {kept.total() + partial.total()} were")
        copies = answered + broken
        return {
            "requests": len(backend.requests), "fates": dict(backend.fates), "rejected_kept": kept.total(),
            "partially_rejected": partial.total(), "copies_too_many": sum(
                max(0, copies[number] + kept[number] - len(places)) for number, places in log.items()),
            "answer_broken": broken.total(), "answers_late": backend.late,
            "answer_lost_in_a_death": sum(max(0, twice[number] - len(places)) for number, places in log.items()),
        }

    def history(self, name, number, places):
        """What a backend saw of a record, to be read."""
        lines = [f"record {number} is {places} times in the log; deaths: {[death[name] for death in self.deaths]}"]
        for index, request in enumerate(self.backends[name].requests):
            if number in request.numbers:
                lines.append(f"request {index}: {request.fate}, {len(request.numbers)} of {request.signal}, the record is "
                             f"{request.numbers.index(number)}, answered: {request.is_answered}")
        return "\n".join(lines)

    def unheard(self, name):
        """The records whose answer a death may have taken: of each signal those of the request that was the last."""
        found, begin = collections.Counter(), 0
        for death in self.deaths:
            last = {request.signal: request for request in self.backends[name].requests[begin : death[name]]}
            for request in last.values():
                found.update(request.numbers)
            begin = death[name]
        return found

    def read_rejected(self, name):
        """The numbers in the files of `rejected/`. The reason is written last: what has none is half a file, of an agent
        that was killed and sent the request again."""
        found, folder = collections.Counter(), self.state / "rejected" / name.replace("/", "-")
        for reason in sorted(folder.glob("*.reason")):
            if f"answered {self.backends[name].refused}" not in reason.read_text():
                raise Wrong(f"{reason} says {reason.read_text()}")
            path = next(each for each in folder.glob(f"{reason.stem}.*") if each != reason)
            kind = next(each for each in BASES if f".{each}." in path.name)
            found.update(numbers(kind, REQUESTS[kind].FromString(gzip.decompress(path.read_bytes()))))
        return found


def run(program, seed, seconds, kills, keep=False):
    """One seed in a folder of its own; its figures. Raises `Wrong`, and then leaves the folder."""
    folder = tempfile.mkdtemp(prefix=f"codex-telemetry-faults-{seed}-")
    try:
        result = Faults(program, seed, seconds, kills, folder).run()
    except (Wrong, OSError, subprocess.SubprocessError) as problem:
        raise Wrong(f"seed {seed}: {problem}\n(see {folder})") from problem
    if not keep:
        shutil.rmtree(folder)
    return {"seed": seed, "seconds": seconds} | result


def main():
    from installed import binary

    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seed", type=int, required=True)
    parser.add_argument("--seconds", type=int, default=600)
    parser.add_argument("--kills", type=int, default=10)
    parser.add_argument("--keep", action="store_true", help="leave the folder")
    options = parser.parse_args()
    try:
        print(json.dumps(run(binary(), options.seed, options.seconds, options.kills, options.keep)))
    except Wrong as wrong:
        print(wrong, file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())

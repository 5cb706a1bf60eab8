#!/usr/bin/env python3
"""An agent under full load with journald away: gigabytes wait in the log, journald returns, the log
passes its cap. On a host of its own with the real systemd (root).

    contrib/bench/backlog.py [--backlog BYTES] [--cap BYTES] [--directory DIR]

Watches the agent's memory from its start to its end, measures the rate of intake without an exporter,
with one that can deliver nothing and with one that catches up, and counts afterwards what the log and the
journal hold, from their files, beside what `status` and the producers say. $CODEX_TELEMETRYD and
$BATCH_LOAD name the programs, else they are built. The exit code is 1 if a figure is missed or a count is off.
"""

import argparse
import json
import os
import pathlib
import shutil
import struct
import subprocess
import sys
import tempfile
import threading
import time

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent))
sys.dont_write_bytecode = True

from agents import ROOT, program  # noqa: E402

sys.path.insert(0, str(ROOT / "Tests/EndToEnd"))
from host import Host, eventually  # noqa: E402

MEMORY_MAX = 64 << 20
SOURCE = "/usr/local/src/codex-telemetryd"
STATE = "/var/lib/private/codex-telemetry"
SOCKET = "/run/codex-telemetry/ingest.sock"
SERVICE = "codex-telemetryd.service"
SOCKETS = ("codex-telemetryd.socket", "codex-telemetryd-control.socket")
JOURNALD = ("systemd-journald.socket", "systemd-journald-dev-log.socket", "systemd-journald-audit.socket",
            "systemd-journald.service")
ENTRIES_PER_SECOND = 4000


class Memory(threading.Thread):
    """Looks at a process's mappings several times a second."""

    def __init__(self, smaps):
        super().__init__(daemon=True)
        self.smaps, self.ended = smaps, threading.Event()
        self.peak = {"anonymous": 0, "own files": 0, "anonymous and own files": 0, "journal files": 0}
        self.stage, self.stages, self.looks = "", {}, 0

    def run(self):
        while not self.ended.wait(0.1):
            try:
                now = self.look()
            except (FileNotFoundError, ProcessLookupError):
                continue
            self.looks += 1
            for name, value in now.items():
                self.peak[name] = max(self.peak[name], value)
            both = now["anonymous and own files"]
            self.stages[self.stage] = max(self.stages.get(self.stage, 0), both)

    def look(self):
        """Resident bytes of anonymous memory, of our program and its libraries, of the journal's files."""
        anonymous = own = journal = 0
        path = ""
        for line in self.smaps.read_text().splitlines():
            words = line.split(None, 5)
            if not words[0].endswith(":"):
                path = words[5] if len(words) > 5 else ""
            elif words[0] == "Rss:":
                resident = int(words[1]) << 10
            elif words[0] == "Anonymous:":
                private = int(words[1]) << 10
                anonymous += private
                if path.endswith((".journal", ".journal~")):
                    journal += resident - private
                else:
                    own += resident - private
        return {"anonymous": anonymous, "own files": own, "anonymous and own files": anonymous + own,
                "journal files": journal}


def count_segments(log):
    """What the segment files say, from their headers and envelopes alone: deleted, kept and ever stored."""
    first, kept, stored = None, [0, 0], [0, 0]
    for path in sorted(log.glob("*.segment")):
        with open(path, "rb") as file:
            header = file.read(80)
            assert header[:8] == b"CXTLSEG0", path
            before = struct.unpack_from("<QQ", header, 56)
            assert first is None or list(before) == stored, f"{path.name} does not follow on"
            first, stored = first or before, list(before)
            at, number = 80, int(path.name[:10])
            while len(envelope := file.read(128)) == 128 and envelope[:4] == b"CXTE":
                size, length = struct.unpack_from("<HI", envelope, 6)
                assert struct.unpack_from("<Q", envelope, 24)[0] == number << 32 | at, f"{path.name}:{at}"
                records = struct.unpack_from("<I", envelope, 88)[0]
                for sum_ in (kept, stored):
                    sum_[0] += 1
                    sum_[1] += records
                at = at + size + length + 7 & ~7
                file.seek(at)
    return list(first), kept, stored


class Load:
    """The host, its agent, and what was sent to it."""

    def __init__(self, options, scratch):
        self.options = options
        self.state = pathlib.Path(scratch, "state")
        self.state.mkdir(mode=0o700)
        self.agent, self.sender = program("codex-telemetryd", "CODEX_TELEMETRYD"), program("batch-load", "BATCH_LOAD")
        # What is measured is what contrib/install installs: stripped.
        self.stripped = pathlib.Path(scratch, "codex-telemetryd")
        subprocess.run(["strip", "-o", self.stripped, self.agent], check=True)
        self.host = Host("backlog", binds={STATE: str(self.state)})
        self.acknowledged, self.wrong = 0, []

    def __enter__(self):
        self.host.start()
        try:
            host = self.host
            host.write("/etc/systemd/journald.conf.d/load.conf", "[Journal]\nStorage=persistent\n"
                       "RateLimitIntervalSec=0\nRateLimitBurst=0\nSystemMaxUse=8G\nSystemKeepFree=0\n")
            host.systemctl("restart", JOURNALD[-1])
            # Where systemd keeps the state of a service whose user exists only while it runs.
            host.path(STATE).parent.chmod(0o700)
            for part in ("contrib", "runbook", "LICENSE"):
                host.copy(ROOT / part, f"{SOURCE}/{part}")
            host.copy(self.stripped, f"{SOURCE}/codex-telemetryd", 0o755)
            host.copy(self.sender, "/usr/local/bin/batch-load", 0o755)
            self.configure(exports=False)
            host.run(f"{SOURCE}/contrib/install", "--system", "--binary", f"{SOURCE}/codex-telemetryd")
            host.systemctl("start", *SOCKETS)
            host.systemctl("start", SERVICE)
        except BaseException:
            host.stop()
            raise
        pid = self.host.properties(SERVICE, "MainPID")["MainPID"]
        self.memory = Memory(self.host.path(f"/proc/{pid}/smaps"))
        self.memory.start()
        self.pid = pid
        return self

    def __exit__(self, *_):
        self.memory.ended.set()
        self.memory.join()
        self.host.stop()

    def configure(self, exports):
        how = "{entries_per_second_max: %d, bytes_per_day_max: 0}" % ENTRIES_PER_SECOND if exports else "{enabled: false}"
        self.host.write("/etc/codex-telemetry/otel-config.yaml",
                        f"exporters:\n  journald: {how}\nlog: {{cap: {self.options.cap}}}\n")

    def status(self):
        # A machine that is busy otherwise may keep an answer waiting longer than the command does.
        for _ in range(20):
            try:
                done = self.host.run("codex-telemetry", "status", "--json", check=False)
            except subprocess.TimeoutExpired:
                print("    status: no answer in a minute", flush=True)
                continue
            if done.returncode in (0, 1) and done.stdout.startswith("{"):
                return json.loads(done.stdout)
            print(f"    status: {done.returncode} {done.stderr.strip()}", flush=True)
            time.sleep(1)
        raise RuntimeError("no status")

    def exporter(self):
        return next((each for each in self.status()["exporters"] if each["name"] == "journald"), None)

    def send(self, stage, size):
        """Sends about so many bytes as fast as acks allow; bytes a second."""
        self.memory.stage = stage
        spans = max(64_000, size // self.options.span_bytes)
        done = self.host.run("batch-load", SOCKET, "--spans", spans, "--batch", 512, "--connections", 4,
                             "--unique-texts", timeout=3600)
        told = json.loads(done.stdout)
        self.acknowledged += told["spans"]
        rate = told["bytes"] / told["seconds"]
        print(f"  {stage:46} {told['bytes'] / 1e6:8.0f} MB  {told['spans']:>11} spans  {rate / 1e6:7.1f} MB/s "
              f"{told['spans'] / told['seconds']:>11,.0f} spans/s  ack p99 {told['ack_ms_p99']:.1f} ms", flush=True)
        return rate

    def drain(self):
        """Waits until nothing waits for the exporter."""
        end, said = time.monotonic() + self.options.patience, time.monotonic()
        while (waiting := self.exporter()["waiting"]) and time.monotonic() < end:
            if time.monotonic() > said + 60:
                said = time.monotonic()
                print(f"    {waiting} still wait", flush=True)
            time.sleep(0.5)
        if waiting:
            raise RuntimeError(f"{waiting} records still wait: {self.exporter()}")

    def same(self, what, one, other):
        if one != other:
            self.wrong.append(f"{what}: {one} and {other}")

    def run(self):
        options = self.options
        print(f"a backlog of {options.backlog / 1e9:.2f} GB, a cap of {options.cap / 1e9:.2f} GB; intake:")
        alone = self.send("no exporter", options.slice)
        self.configure(exports=True)
        self.host.systemctl("reload", SERVICE)
        eventually(lambda: (self.exporter() or {}).get("state") == "running", 20, lambda: str(self.status()["exporters"]))
        under_cursor = self.acknowledged
        self.host.systemctl("stop", *JOURNALD, check=False)
        self.send("journald stopped, the backlog grows", options.backlog)
        sent = self.acknowledged - under_cursor
        eventually(lambda: self.exporter()["waiting"] == sent, 10, lambda: f"{sent} wait: {self.exporter()}")
        print(f"    {sent} records wait; status: {self.exporter()['state']}, {self.exporter()['reason']}")
        self.send("journald stopped, the log passes its cap", options.cap - options.backlog + options.slice)
        dropped = self.status()["log"]["expired"]["records"]
        if not dropped:
            self.wrong.append("retention dropped nothing")
        if self.status()["log"]["bytes"] > options.cap:
            self.wrong.append(f"the log holds {self.status()['log']['bytes']} bytes")
        self.host.systemctl("start", *JOURNALD[:2], JOURNALD[-1])
        eventually(lambda: self.exporter()["delivered"] > 0, 60, lambda: str(self.exporter()))
        before = self.exporter()
        catching = self.send("journald back, the exporter catches up", options.slice)
        after = self.exporter()
        if after["delivered"] <= before["delivered"] or not after["waiting"]:
            self.wrong.append("the exporter did not catch up during the load")
        print(f"    meanwhile {after['delivered'] - before['delivered']} delivered; {after['waiting']} still wait")
        self.memory.stage = "the exporter alone, to the end"
        start = time.monotonic()
        self.drain()
        print(f"    caught up after {time.monotonic() - start:.0f} s more")
        again = self.send("the exporter has caught up", options.slice)
        self.drain()
        self.configure(exports=False)
        self.check(under_cursor)
        self.host.systemctl("reload", SERVICE)
        last = self.send("no exporter again", options.slice)
        self.tell(alone, catching, again, last)

    def check(self, under_cursor):
        """Every count beside another's."""
        self.memory.stage = "counting"
        status = self.status()
        log, exporter = status["log"], self.exporter()
        self.same("the agent at the beginning and at the end", self.pid,
                  self.host.properties(SERVICE, "MainPID")["MainPID"])
        self.host.systemctl("kill", "-s", "STOP", SERVICE)
        try:
            expired, kept, stored = count_segments(self.state / "log")
        finally:
            self.host.systemctl("kill", "-s", "CONT", SERVICE)
        pair = lambda part: [part["batches"], part["records"]]  # noqa: E731
        self.same("kept by status and by the files", pair(log["kept"]), kept)
        self.same("expired by status and by the files", pair(log["expired"]), expired)
        self.same("stored by status and by the files", pair(log["stored"]), stored)
        self.same("stored, and kept and expired", stored[1], kept[1] + expired[1])
        self.same("stored and acknowledged", stored[1], self.acknowledged)
        sums = {"delivered": exporter["delivered"], "waiting": exporter["waiting"],
                **{f"excluded {key}": value for key, value in exporter["excluded"].items()},
                **{f"lost {key}": value for key, value in exporter["lost"].items()}}
        self.same("the exporter's stored, and its sum", exporter["stored"], sum(sums.values()))
        self.same("under the exporter's cursor, and sent since it began", exporter["stored"],
                  self.acknowledged - under_cursor)
        lines = self.host.popen("journalctl", "-q", "-t", "codex-telemetry", "-o", "cat", "--output-fields=CODEX_OFFSET",
                                "--no-pager", stdout=subprocess.PIPE)
        places = [line for line in lines.stdout if line.strip()]
        lines.wait()
        self.same("delivered, and entries in the journal", exporter["delivered"], len(places))
        self.same("entries in the journal, and different ones", len(places), len(set(places)))
        if not exporter["lost"].get("expired"):
            self.wrong.append("nothing expired for the exporter")
        print(f"  counts: acknowledged {self.acknowledged}; log: stored {stored[1]} = kept {kept[1]} + expired "
              f"{expired[1]}; exporter: stored {exporter['stored']} = "
              + " + ".join(f"{key} {value}" for key, value in sums.items()) + f"; in the journal {len(places)}")

    def tell(self, alone, catching, again, last):
        peak = self.memory.peak
        print(f"  memory, {self.memory.looks} looks, peaks in MiB: "
              + ", ".join(f"{name} {value / 2**20:.1f}" for name, value in peak.items()))
        for stage, value in self.memory.stages.items():
            print(f"    {stage:46} {value / 2**20:6.1f}")
        print(f"  intake with the exporter catching up: {catching / max(alone, last):.2f} of that with no exporter "
              f"(before {alone / 1e6:.1f}, after {last / 1e6:.1f} MB/s)")
        print("  load average of the machine: " + " ".join(f"{value:.1f}" for value in os.getloadavg()))
        if peak["anonymous and own files"] > MEMORY_MAX:
            self.wrong.append(f"memory: {peak['anonymous and own files']} bytes")
        for each in self.wrong:
            print(f"  WRONG: {each}")


def main(words=None):
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--backlog", type=int, default=5_000_000_000)
    parser.add_argument("--cap", type=int, default=5_500_000_000)
    parser.add_argument("--slice", type=int, help="bytes of each measurement of a rate, default a tenth of the backlog")
    parser.add_argument("--patience", type=float, default=1800)
    parser.add_argument("--directory", help="where the log is put")
    options = parser.parse_args(words)
    options.slice = options.slice or options.backlog // 10
    # A span of batch-load in the log, about; the sender says how many bytes they were.
    options.span_bytes = 76
    scratch = tempfile.mkdtemp(prefix="cxt-backlog-", dir=options.directory)
    os.chmod(scratch, 0o755)
    try:
        with Load(options, scratch) as load:
            load.run()
        return 1 if load.wrong else 0
    finally:
        shutil.rmtree(scratch, ignore_errors=True)


if __name__ == "__main__":
    sys.exit(main())

"""On a host of its own with the real systemd: the exporter to journald beside a C program that sends
the same entries again, counted by reading the journal; and the agent at rest."""

import json
import statistics
import sys
import time

from agents import ROOT
from figures import Processor, memory
from socket_to_log import Series

sys.path.insert(0, str(ROOT / "Tests/EndToEnd"))
from host import Host, eventually  # noqa: E402

EXPORT = "(c) journald export, detail: all, no caps: agent beside a C sender of the same entries"
IDLE = "(e) the agent at rest: system service, journald exporter on, 10 s after its start"
SOURCE = "/usr/local/src/codex-telemetryd"
SOCKET = "/run/codex-telemetry/ingest.sock"
ENTRIES = "/var/tmp/entries"
SERVICE, JOURNALD, SENDER = "codex-telemetryd.service", "systemd-journald.service", "bench-sender.service"
SOCKETS = ("codex-telemetryd.socket", "codex-telemetryd-control.socket")
CONFIGURATION = """exporters:
  journald: {detail: all, entries_per_second_max: 0, bytes_per_day_max: 0}
"""
# Our cap stands before the journal, and the sender must not be held up either.
JOURNALD_CONFIGURATION = """[Journal]
Storage=persistent
RateLimitIntervalSec=0
RateLimitBurst=0
SystemMaxUse=8G
SystemKeepFree=0
"""
# The same way into the journal as the agent's: a service of its own.
SENDER_UNIT = f"""[Service]
Type=oneshot
ExecStart=/usr/local/bin/journal_sender replay
StandardInput=file:{ENTRIES}
StandardOutput=file:/var/tmp/sender.json
LogRateLimitIntervalSec=0
TimeoutStartSec=600
"""


class Bench:
    """The host with agent, load generator and sender installed."""

    def __init__(self, tools):
        self.tools, self.host = tools, Host("bench")

    def __enter__(self):
        self.host.start()
        try:
            host = self.host
            host.write("/etc/systemd/journald.conf.d/bench.conf", JOURNALD_CONFIGURATION)
            host.systemctl("restart", JOURNALD)
            for part in ("contrib", "runbook", "LICENSE"):
                if (ROOT / part).exists():
                    host.copy(ROOT / part, f"{SOURCE}/{part}")
            host.copy(self.tools.agent, f"{SOURCE}/codex-telemetryd", 0o755)
            host.copy(self.tools.load, "/usr/local/bin/batch-load", 0o755)
            host.copy(self.tools.journal_sender, "/usr/local/bin/journal_sender", 0o755)
            host.write("/etc/codex-telemetry/otel-config.yaml", CONFIGURATION)
            host.write(f"/etc/systemd/system/{SENDER}", SENDER_UNIT)
            host.run(f"{SOURCE}/contrib/install", "--system", "--binary", f"{SOURCE}/codex-telemetryd")
        except BaseException:
            host.stop()
            raise
        return self

    def __exit__(self, *_):
        self.host.stop()

    def proc(self, unit):
        """The folder of a unit's main process, in the host's /proc."""
        return self.host.path(f"/proc/{self.host.properties(unit, 'MainPID')['MainPID']}")

    def begin_anew(self):
        """A stopped agent and an empty journal."""
        self.host.systemctl("stop", *SOCKETS, SERVICE)
        self.host.run("journalctl", "--rotate", "--vacuum-size=1")

    def start_agent(self):
        self.host.systemctl("start", *SOCKETS)
        self.host.systemctl("start", SERVICE)

    def status(self):
        """What the agent says, and of it the exporter's part."""
        told = json.loads(self.host.run("codex-telemetry", "status", "--json", check=False).stdout)
        return told, next(each for each in told["exporters"] if each["name"] == "journald")

    def stored(self):
        return self.status()[0]["log"]["stored"]["records"]

    def is_delivered(self, records):
        """Whether the log has so many records and the exporter none that wait."""
        told, exporter = self.status()
        return told["log"]["stored"]["records"] >= records and exporter["waiting"] == 0

    def export_entries(self):
        """Writes what the journal holds of us to a file; returns how many and their first and last
        time of arrival, by journald's clock."""
        times, ids = [], set()
        reading = self.host.popen("journalctl", "-q", "-t", "codex-telemetry", "-o", "export", "--no-pager",
                                  "--all", "--no-tail", stdout=-1)
        with open(self.host.path(ENTRIES), "wb") as file:
            for line in reading.stdout:
                file.write(line)
                if line.startswith(b"__REALTIME_TIMESTAMP="):
                    times.append(int(line[21:]) / 1e6)
                elif line.startswith(b"CODEX_OFFSET="):
                    ids.add(line)
        reading.wait()
        return len(times), len(ids), min(times, default=0), max(times, default=0)

    def times(self):
        """How many entries the journal holds of us, their first and last time of arrival."""
        told = self.host.run("journalctl", "-q", "-t", "codex-telemetry", "-o", "short-unix", "--no-pager",
                             "--no-hostname", "--output-fields=MESSAGE", timeout=600).stdout
        times = [float(line.split(" ", 1)[0]) for line in told.splitlines() if line[:1].isdigit()]
        return len(times), min(times, default=0), max(times, default=0)


def agent_run(bench, spans, found):
    """The agent takes the spans and passes them on; its entries stay in a file for the sender."""
    bench.begin_anew()
    bench.start_agent()
    before = bench.stored()
    agent, journald = Processor(bench.proc(SERVICE)), Processor(bench.proc(JOURNALD))
    bench.host.run("batch-load", SOCKET, "--spans", spans, "--batch", 512, timeout=600)
    # Each question is a process or two: more of them would take the CPU that is measured. The rate is told
    # by journald's timestamps.
    eventually(lambda: time.sleep(1) or bench.is_delivered(before + spans), 300, "all entries delivered")
    found.put(agent=agent.seconds() / spans * 1e6, journald=journald.seconds() / spans * 1e6,
              **memory_of(bench))
    count, distinct, first, last = bench.export_entries()
    found.put(count=count, distinct=distinct, rate=(count - 1) / max(last - first, 1e-6))
    return count


def sender_run(bench, count, found):
    """The C program sends the same entries."""
    bench.begin_anew()
    journald = Processor(bench.proc(JOURNALD))
    bench.host.systemctl("start", SENDER, timeout=600)
    told = json.loads(bench.host.path("/var/tmp/sender.json").read_text())
    seen, first, last = eventually(lambda: (t := bench.times())[0] >= count and t, 120, "the sender's entries")
    found.put(sender=told["cpu_seconds"] / count * 1e6, sender_journald=journald.seconds() / count * 1e6,
              sender_rate=(seen - 1) / max(last - first, 1e-6), bytes=told["bytes"] / told["entries"],
              sender_count=seen)


def memory_of(bench):
    return {f"memory_{kind}": value for kind, value in memory(bench.proc(SERVICE)).items()}


def measure(tools, report, quick):
    """Sections (c) and (e)."""
    why_not = Host.why_not()
    if why_not or not (tools.agent and tools.load and tools.journal_sender):
        for section in (EXPORT, IDLE):
            report.lacks(section, why_not or "a program is missing")
        return
    spans = 51_200 if quick else 102_400
    with Bench(tools) as bench:
        measure_idle(bench, report, 1 if quick else 3)
        found = Series()
        for _ in range(2 if quick else 4):
            count = agent_run(bench, spans, found)
            sender_run(bench, count, found)
    report.add(EXPORT, "entries/s, by journald's own timestamps", "entries/s", found["rate"],
               against="C sender", limit=found["sender_rate"], ratio_bar=(">=", 0.9))
    report.add(EXPORT, "CPU of the agent, intake and reading back included", "CPU-s/M entries", found["agent"],
               against="C sender", limit=found["sender"])
    report.add(EXPORT, "CPU of journald meanwhile", "CPU-s/M entries", found["journald"],
               against="with C sender", limit=found["sender_journald"])
    report.add(EXPORT, "agent's memory afterwards: anonymous", "MB", found["memory_anonymous"])
    report.add(EXPORT, "agent's memory afterwards: mapped files (the journal's too)", "MB", found["memory_file"])
    report.add(EXPORT, "agent's peak memory", "MB", found["memory_peak"])
    report.note(f"(c) {spans:,} spans a run; entries read back: {found['count']}, distinct {found['distinct']};"
                f" {statistics.mean(found['bytes']):.0f} bytes each as sent")


def measure_idle(bench, report, runs):
    """Section (e): an agent that nobody uses."""
    found = Series()
    for _ in range(runs):
        bench.begin_anew()
        bench.start_agent()
        time.sleep(10)
        found.put(**memory_of(bench))
        processor = Processor(bench.proc(SERVICE))
        time.sleep(10)
        found.put(cpu=processor.seconds() * 1e3 / 10)
        found.put(**{f"journald_{k}": v for k, v in memory(bench.proc(JOURNALD)).items()})
    report.add(IDLE, "resident", "MB", found["memory_resident"], bar=("<=", 20),
               against="journald", limit=found["journald_resident"])
    report.add(IDLE, "  of it anonymous", "MB", found["memory_anonymous"],
               against="journald", limit=found["journald_anonymous"])
    report.add(IDLE, "  of it mapped files", "MB", found["memory_file"],
               against="journald", limit=found["journald_file"])
    report.add(IDLE, "peak since its start", "MB", found["memory_peak"])
    report.add(IDLE, "CPU", "ms/s", found["cpu"])

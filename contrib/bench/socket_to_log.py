"""From the first byte on the ingest socket to everything in the log, beside a C program that only
reads, checks and writes the same bytes; the log's bytes a span; what durability costs."""

import time

from agents import Agent

SECTION = "(b) socket into the log: 4 producers, spans of 4 attributes, journald exporter off"
DURABILITY = "(g) durability: fsync at every commit beside an interval of 100 ms"
# A sync follows the last append within the interval; its cost belongs to the run.
SETTLE_SECONDS = 0.3


class Series:
    """Values of several runs under their names."""

    def __init__(self):
        self.values = {}

    def put(self, **values):
        for name, value in values.items():
            self.values.setdefault(name, []).append(value)

    def __getitem__(self, name):
        return self.values.get(name, [])


def load_agent(tools, series, batch, spans, rate=0, configuration=None):
    """One run against a fresh agent."""
    agent = Agent(tools, configuration) if configuration else Agent(tools)
    with agent:
        tools.run_load(agent.socket, "--spans", 4 * batch, "--batch", batch)
        processor = agent.processor()
        told = tools.run_load(agent.socket, "--spans", spans, "--batch", batch, "--rate", rate)
        time.sleep(SETTLE_SECONDS)
        millions = told["spans"] / 1e6
        series.put(
            cpu=processor.seconds() / millions,
            generator=told["cpu_seconds"] / millions,
            rate=told["spans"] / told["seconds"],
            peak=agent.memory()["peak"],
            ack_p50=told["ack_ms_p50"],
            ack_p99=told["ack_ms_p99"],
        )
        return told


def load_floor(tools, series, batch, told, rate=0, sync=False):
    """The same bytes through the C program."""
    frames = tools.frames(batch, max(20480, 4 * batch))
    pause = 4 * batch * 1_000_000 // rate if rate else 0
    floor = tools.run_floor(frames, told["bytes"], pause=pause, sync=sync)
    millions = floor["frames"] * batch / 1e6
    series.put(floor_cpu=floor["cpu_seconds"] / millions, floor_rate=millions * 1e6 / floor["seconds"])


def measure(tools, report, quick):
    """Section (b)."""
    if not (tools.agent and tools.load and tools.floor):
        return report.lacks(SECTION, "a program is missing")
    runs = 2 if quick else 5
    plans = [
        ("512 spans a batch", 512, 500_000 if quick else 2_000_000, 0, ("<=", 0.25)),
        ("20 spans a batch", 20, 100_000 if quick else 500_000, 0, None),
        ("1 span a batch", 1, 20_000 if quick else 100_000, 0, None),
        ("20, at 20,000 spans/s", 20, 40_000 if quick else 100_000, 20_000, None),
        ("1, at 4,000 spans/s", 1, 8_000 if quick else 20_000, 4_000, None),
    ]
    series = {plan[0]: Series() for plan in plans}
    for _ in range(runs):
        for name, batch, spans, rate, _ in plans:
            told = load_agent(tools, series[name], batch, spans, rate)
            load_floor(tools, series[name], batch, told, rate)
    for name, _, _, rate, bar in plans:
        found = series[name]
        report.add(SECTION, f"agent CPU, {name}", "CPU-s/M spans", found["cpu"], bar=bar,
                   against="floor.c", limit=found["floor_cpu"])
        if not rate:
            report.add(SECTION, f"throughput, {name}", "spans/s", found["rate"],
                       against="floor.c", limit=found["floor_rate"])
            report.add(SECTION, f"generator CPU, {name}", "CPU-s/M spans", found["generator"])
        report.add(SECTION, f"send to ack p50, {name}", "ms", found["ack_p50"])
        report.add(SECTION, f"send to ack p99, {name}", "ms", found["ack_p99"])
        report.add(SECTION, f"peak memory, {name}", "MB", found["peak"])


def measure_sizes(tools, report, quick):
    """What the log holds for a span, everything included, beside the bytes on the wire."""
    if not (tools.agent and tools.load):
        return report.lacks(SECTION + ": bytes a span", "a program is missing")
    sizes = [(1, False), (8, False), (64, False), (512, False), (4096, False), (512, True)]
    for batch, unique in sizes:
        spans = batch * max(16, (20_000 if quick else 100_000) // batch)
        with Agent(tools) as agent:
            words = ["--spans", spans, "--batch", batch] + (["--unique-texts"] if unique else [])
            told = tools.run_load(agent.socket, *words)
            agent.stop()
            name = f"log bytes a span, {batch} a batch" + (", one text of each its own" if unique else "")
            report.add(SECTION, name, "B", [agent.log_bytes() / told["spans"]],
                       bar=("<=", 60) if batch == 4096 else None,
                       against="on the wire", limit=[told["bytes"] / told["spans"]])


def measure_durability(tools, report, quick):
    """Section (g)."""
    if not (tools.agent and tools.load and tools.floor):
        return report.lacks(DURABILITY, "a program is missing")
    off = "exporters: {journald: {enabled: false}}\nlog: {fsync: %s}\n"
    kinds = [("every_commit", off % "every_commit", True), ("interval", off % "interval", False)]
    plans = [("512", 512, 200_000 if quick else 1_000_000), ("20", 20, 20_000 if quick else 100_000),
             ("1", 1, 4_000 if quick else 10_000)]
    for label, batch, spans in plans:
        series = {kind: Series() for kind, _, _ in kinds}
        for _ in range(2 if quick else 3):
            for kind, configuration, sync in kinds:
                told = load_agent(tools, series[kind], batch, spans, configuration=configuration)
                load_floor(tools, series[kind], batch, told, sync=sync)
        every, interval = (series[kind] for kind, _, _ in kinds)
        for name, unit, key in [("agent CPU", "CPU-s/M spans", "cpu"), ("throughput", "spans/s", "rate"),
                                ("send to ack p50", "ms", "ack_p50"), ("send to ack p99", "ms", "ack_p99")]:
            report.add(DURABILITY, f"{name}, every_commit, {label} a batch", unit, every[key],
                       against="interval", limit=interval[key])
        report.add(DURABILITY, f"throughput of floor.c, fdatasync after each read, {label} a batch", "spans/s",
                   every["floor_rate"], against="fdatasync each 8 MiB", limit=interval["floor_rate"])

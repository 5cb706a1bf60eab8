"""Figures, the table they are printed in, and what the kernel says of a process."""

import os
import statistics
from dataclasses import dataclass, field

TICKS = os.sysconf("SC_CLK_TCK")


@dataclass
class Figure:
    """One measured quantity: a value for each run, and what it stands beside."""

    section: str
    name: str
    unit: str
    values: list
    # ("<=", 0.25): what was promised of the median.
    bar: tuple = None
    # What the same run's peer or physical limit reached: its name and its values.
    against: str = ""
    limit: list = field(default_factory=list)
    # Bars on the ratio to the limit rather than on the value.
    ratio_bar: tuple = None

    @property
    def median(self):
        return statistics.median(self.values)

    @property
    def ratio(self):
        """Median over the limit's median."""
        if not self.limit or statistics.median(self.limit) == 0:
            return None
        return self.median / statistics.median(self.limit)

    @property
    def verdict(self):
        """`met`, `missed`, or nothing where nothing was promised."""
        for bar, value in ((self.bar, self.median), (self.ratio_bar, self.ratio)):
            if bar and value is not None:
                met = value <= bar[1] if bar[0] == "<=" else value >= bar[1]
                return "met" if met else "missed"
        return ""

    def as_json(self):
        return {
            "section": self.section,
            "name": self.name,
            "unit": self.unit,
            "runs": self.values,
            "min": min(self.values),
            "median": self.median,
            "max": max(self.values),
            "against": self.against,
            "limit_runs": self.limit,
            "ratio": self.ratio,
            "bar": self.bar or self.ratio_bar,
            "verdict": self.verdict,
        }


def number(value):
    """Three digits that matter."""
    if value == 0:
        return "0"
    if abs(value) >= 1000:
        return f"{value:,.0f}"
    digits = 1 if abs(value) >= 100 else 2 if abs(value) >= 10 else 3
    return f"{value:.{digits}f}"


class Report:
    """Figures as they come, sentences about what could not be measured."""

    def __init__(self):
        self.figures, self.missing, self.notes = [], [], []

    def add(self, *given, **more):
        figure = Figure(*given, **more)
        if figure.values:
            self.figures.append(figure)
        else:
            self.missing.append(f"{figure.section}: {figure.name}: no run gave a value")
        return figure

    def lacks(self, section, why):
        print(f"not run: {section}: {why}", flush=True)
        self.missing.append(f"{section}: {why}")

    def note(self, text):
        self.notes.append(text)

    @property
    def missed(self):
        return [figure for figure in self.figures if figure.verdict == "missed"]

    def table(self):
        """The table, a section under the other."""
        header = ["", "min", "median", "max", "unit", "runs", "same run's peer or limit", "ratio", "bar", ""]
        rows, sections = [], []
        for figure in self.figures:
            if figure.section not in sections:
                sections.append(figure.section)
        for section in sections:
            rows.append([section])
            for f in (f for f in self.figures if f.section == section):
                limit = f"{f.against} {number(statistics.median(f.limit))}" if f.limit else f.against
                bar = f"{f.bar[0]} {number(f.bar[1])}" if f.bar else ""
                if f.ratio_bar:
                    bar = f"ratio {f.ratio_bar[0]} {number(f.ratio_bar[1])}"
                ratio = "" if f.ratio is None else f"{f.ratio:.2f}"
                spread = [number(min(f.values)), number(f.median), number(max(f.values))]
                rows.append(["  " + f.name, *spread, f.unit, str(len(f.values)), limit, ratio, bar, f.verdict])
        full = [header] + [row for row in rows if len(row) > 1]
        widths = [max(len(row[i]) for row in full) for i in range(len(header))]
        right = {1, 2, 3, 5, 7}
        lines = []
        for row in [header] + rows:
            if len(row) == 1:
                lines += ["", row[0]]
                continue
            cells = [c.rjust(w) if i in right else c.ljust(w) for i, (c, w) in enumerate(zip(row, widths))]
            lines.append("  ".join(cells).rstrip())
        lines += [""] + self.notes
        lines += [f"not run: {sentence}" for sentence in self.missing]
        count = sum(1 for f in self.figures if f.verdict == "met")
        lines.append(f"{len(self.figures)} figures; bars: {count} met, {len(self.missed)} missed")
        return "\n".join(lines)


class Processor:
    """The CPU time of a process, all threads, since this was made. `proc` is its folder in /proc."""

    def __init__(self, proc):
        self.proc = str(proc)
        self.ticks, self.threads = self._ticks(), self._threads()

    def seconds(self):
        """Exact where no thread has ended meanwhile; else in the kernel's ticks of 10 ms."""
        now = self._threads()
        if self.threads and self.threads.keys() <= now.keys():
            return sum(ns - self.threads.get(thread, 0) for thread, ns in now.items()) / 1e9
        return (self._ticks() - self.ticks) / TICKS

    def _ticks(self):
        """utime + stime."""
        with open(f"{self.proc}/stat") as file:
            fields = file.read().rsplit(")", 1)[1].split()
        return int(fields[11]) + int(fields[12])

    def _threads(self):
        """Nanoseconds on a CPU of each thread, where the kernel has schedstat."""
        try:
            found = {}
            for thread in os.listdir(f"{self.proc}/task"):
                with open(f"{self.proc}/task/{thread}/schedstat") as file:
                    found[thread] = int(file.read().split()[0])
            return found
        except OSError:
            return {}


def memory(proc):
    """Megabytes (10^6) of a process: `anonymous`, `file` (mapped files, those of a tmpfs too), `resident`,
    `peak`."""
    kinds = {"RssAnon": "anonymous", "RssFile": "file", "RssShmem": "file", "VmRSS": "resident", "VmHWM": "peak"}
    found = {}
    with open(f"{proc}/status") as file:
        for line in file:
            key, _, value = line.partition(":")
            if key in kinds:
                kind = kinds[key]
                found[kind] = found.get(kind, 0) + int(value.split()[0]) * 1024 / 1e6
    return found


def quantile(values, part):
    """The value below which `part` of all lie."""
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, int(len(ordered) * part))]

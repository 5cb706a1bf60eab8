#!/usr/bin/env python3
"""Damages a small log in every way there is, has the agent's code open each copy, and compares with what
the specification says must be found.

    damage_check.py PROGRAM [--part N] [--seed S] [--jobs J] [--show K]

PROGRAM is `damage-check` of the package. `--part N` takes a seeded Nth of the variants.
"""

from __future__ import annotations

import argparse
import json
import multiprocessing
import os
import random
import shutil
import subprocess
import sys
import tempfile
import time
from collections import Counter

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))

from damage_model import Files, Model, Variant, read_state, variants



def place(text: str) -> int:
    segment, position = text.split(":")
    return int(segment) << 32 | int(position)


class Comparison:
    """The agent's words on each variant beside the model's."""

    def __init__(self, base: Files) -> None:
        self.base, self.model = base, Model()
        self.original = self.model.start(base).entries

    def problems(self, variant: Variant, said: dict) -> list[str]:
        """What is not as it must be."""
        wrong: list[str] = []

        def same(what, agent, spec):
            if agent != spec:
                wrong.append(f"{what}: the agent {agent}, the specification {spec}")

        files = variant.applied(self.base)
        entries, damage, missed = self.model.reader(files)
        same("before: batches", said["before"]["batches"], entries)
        same("before: damaged", said["before"]["damaged"], damage)
        same("before: missed", said["before"]["missed"], list(missed))

        first, start = said["first"], self.model.start(files)
        same("clean", first["clean"], start.clean)
        if start.log_id:
            same("log id", first["log_id"], start.log_id)
        same("torn", first["torn"], start.torn)
        same("damaged", sorted(first["damaged"]), sorted(start.damaged))
        same("batches", first["read"]["batches"], start.entries)
        same("passed over", first["read"]["damaged"], start.passed_over)
        for name in start.named:
            if not any(name in problem for problem in first["problems"]):
                wrong.append(f"{name} is not right and nothing says so: {first['problems']}")
        known = {tuple(each) for each in first["damaged"]}
        met = [each for each in first["read"]["damaged"] if tuple(each) not in known]
        same("ranges counted", first["ranges"], len(known) + len(met))
        quarantine = dict(start.quarantine)
        for text, count in met:
            number, position = map(int, text.split(":"))
            data = files[f"log/{number:010}.segment"]
            quarantine[f"{number}-{position}.bytes"] = data[position : position + count].hex()
        same("quarantine", first["quarantine"], quarantine)
        self._dedupe(first, start, same)
        new = [each for each in first["sent_again"] + [first["new"]] if each != "duplicate"]
        self._offsets(first, new, wrong)
        # Batches stored since are kept, and count.
        added = len(new)
        same("stored", first["stored"][0], start.stored[0] + added)
        same("kept", first["kept"][0], start.kept[0] + added)
        same("expired", first["expired"], list(start.expired))
        same("balance", first["stored"][0],
             first["kept"][0] + first["expired"][0] + first["lost"][0])
        self._second(said["second"], first, start, new, same)
        return wrong

    def _dedupe(self, first, start, same) -> None:
        highest = dict(start.highest)
        keys = sorted({(e[1], e[2]) for e in self.original})
        same("highest sequences", first["highest"], [highest.get(key, 0) for key in keys])
        survived = {tuple(e) for e in start.entries}
        for entry, outcome in zip(self.original, first["sent_again"]):
            _, uid, producer, sequence, *_ = entry
            is_duplicate = sequence <= highest.get((uid, producer), 0)
            same(f"{producer[-4:]}/{sequence} sent again", outcome == "duplicate", is_duplicate)
            if tuple(entry) in survived:
                same(f"{producer[-4:]}/{sequence} survived and was sent again", outcome, "duplicate")
            highest[uid, producer] = max(highest.get((uid, producer), 0), sequence)

    def _offsets(self, first, new, wrong) -> None:
        used = max(place(entry[0]) for entry in self.original)
        for text in new:
            if ":" not in text or place(text) <= used:
                wrong.append(f"a new batch is {text}, not above {used >> 32}:{used & 0xFFFFFFFF}")
                break
            used = place(text)

    def _second(self, second, first, start, new, same) -> None:
        for name in ("torn", "damaged", "problems"):
            same(f"the second start's {name}", second[name], [])
        same("the second start's clean", second["clean"], True)
        same("the second start's batches", second["read"]["batches"][: len(start.entries)],
             start.entries)
        same("the second start's new batches",
             [entry[0] for entry in second["read"]["batches"][len(start.entries) :]], new)
        same("the second start's passed over", second["read"]["damaged"], start.passed_over)
        same("the second start's quarantine", second["quarantine"], first["quarantine"])
        for name in ("stored", "kept", "expired", "lost"):
            same(f"the second start's {name}", second[name], first[name])
        # Whoever reads everything can count what is not there.
        read = sum(1 for _ in second["read"]["batches"])
        same("stored, read or missed", second["stored"][0],
             read + second["read"]["missed"][0] + start.before[0])


def run(program: str, state: str, some: list[Variant], scratch: str) -> tuple[Counter, list]:
    """Checks these variants of the log in `state`."""
    comparison = Comparison(read_state(state))
    counts, wrong = Counter(), []
    with tempfile.TemporaryFile("w+") as lines:
        lines.write("".join(variant.text() + "\n" for variant in some))
        lines.seek(0)
        with subprocess.Popen([program, "open", state, scratch], stdin=lines,
                              stdout=subprocess.PIPE, text=True) as process:
            for variant in some:
                line = process.stdout.readline()
                if not line.endswith("\n"):
                    wrong.append((variant.text(), [f"no answer: {line!r}"]))
                    break
                said = json.loads(line)
                counts["variants"] += 1
                counts[variant.change] += 1
                counts["with batches lost"] += len(said["first"]["read"]["batches"]) < len(
                    comparison.original)
                counts["with damage reported"] += bool(said["first"]["damaged"])
                counts["with a torn end"] += bool(said["first"]["torn"])
                problems = comparison.problems(variant, said)
                if problems:
                    counts["wrong"] += 1
                    wrong.append((variant.text(), problems))
            process.stdout.close()
        if process.returncode:
            wrong.append(("", [f"damage-check ended with {process.returncode}"]))
    return counts, wrong


def check(program: str, part: int = 1, seed: int = 0, jobs: int = 2) -> tuple[Counter, list]:
    """All variants of an unclean and of an orderly log, or a seeded part of them."""
    counts, wrong = Counter(), []
    memory = "/dev/shm" if os.access("/dev/shm", os.W_OK) else None
    with tempfile.TemporaryDirectory(dir=memory, prefix="cxt-damage-") as folder:
        work = []
        for kind in ("unclean", "orderly"):
            state = os.path.join(folder, kind)
            subprocess.run([program, "small", state, kind], check=True)
            some = variants(read_state(state))
            generator = random.Random(seed)
            some = [each for each in some if part == 1 or generator.randrange(part) == 0]
            work += [(program, state, some[job::jobs], os.path.join(folder, f"{kind}-{job}"))
                     for job in range(jobs)]
        with multiprocessing.Pool(jobs) as pool:
            for some, bad in pool.starmap(run, work, chunksize=1):
                counts += some
                wrong += bad
    return counts, wrong


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("program")
    parser.add_argument("--part", type=int, default=1)
    parser.add_argument("--seed", type=int, default=random.randrange(1 << 32))
    parser.add_argument("--jobs", type=int, default=os.cpu_count())
    parser.add_argument("--show", type=int, default=10)
    options = parser.parse_args()
    begun = time.monotonic()
    counts, wrong = check(shutil.which(options.program) or options.program, options.part,
                          options.seed, options.jobs)
    for text, problems in wrong[: options.show]:
        print(text, *problems, sep="\n    ")
    print(f"{', '.join(f'{count} {name}' for name, count in counts.items())}; "
          f"{len(wrong)} not as specified; part {options.part}, seed {options.seed}, "
          f"{time.monotonic() - begun:.0f} s")
    return 1 if wrong or not counts["variants"] else 0


if __name__ == "__main__":
    sys.exit(main())

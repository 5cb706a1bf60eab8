#!/usr/bin/env python3
"""Kills an agent at random and at every failpoint while four producers send numbered records, and kills
the producers too; then holds that every record is in the log exactly once and that every count agrees.

    crash.py --seed N [--records N] [--kills N] [--keep] [--verbose]

Prints a line of JSON; exit code 1 if anything is wrong, with what it is on standard error. The agent is
$CODEX_TELEMETRYD, else the debug build.
"""

import argparse
import collections
import functools
import json
import multiprocessing
import os
import pathlib
import random
import re
import shutil
import socket
import struct
import subprocess
import sys
import tempfile
import time

HERE = pathlib.Path(__file__).resolve().parent
ROOT = HERE.parents[1]
sys.path[:0] = [str(HERE), str(ROOT / "Tests/Witness")]
from batch_reader import read_batch  # noqa: E402
from crash_producer import Templates, hello  # noqa: E402
from frames import BATCH, frame  # noqa: E402
from segment_reader import Log, read_checkpoint  # noqa: E402

PRODUCERS = 4
VARIABLE = "CODEX_TELEMETRY_FAILPOINT"
CONFIG = "log:\n  cap: 256MiB\nservice:\n  telemetry:\n    logs:\n      level: error\n"
QUARANTINE_MAX = 16 << 20
# Reached by traffic, again and again: the turn is drawn.
OFTEN = ("segment.write", "position.write", "batch.submit", "ack.send")
# A machine without journald, or with one that is not ours to fill, does not come there.
NEEDS_JOURNALD = ("journal.send",)


class Wrong(Exception):
    """What must not be; the text says what."""


def places(program):
    """Every failpoint there is, as the agent lists them when it refuses a wrong one."""
    done = subprocess.run(
        [program, "run", "--user"], env={"HOME": "/nonexistent", VARIABLE: "?=kill"},
        stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=30,
    )
    found = re.search(r"known are (.+)", done.stderr)
    if done.returncode != 64 or not found:
        raise Wrong(f"the agent did not refuse a wrong failpoint: {done.returncode} {done.stderr}")
    return found[1].split()


@functools.cache
def may_unshare():
    return os.geteuid() == 0 and subprocess.run(["unshare", "--mount", "true"], capture_output=True).returncode == 0


def apart(words):
    """A command that finds an empty directory where all agents of this user drain spool files, whose records would be in
    this log. Needs root; else the command as it is."""
    if not may_unshare():
        return words
    script = 'mkdir -p -m 700 "$0" && mount -t tmpfs -o mode=700 tmpfs "$0" && exec "$@"'
    return ["unshare", "--mount", "sh", "-c", script, f"/tmp/codex-telemetry-{os.geteuid()}", *words]


class Crash:
    def __init__(self, program, seed, records, kills, folder, share=1, sabotage="", say=lambda text: None):
        self.share_of_places, self.sabotage = share, sabotage
        self.program, self.seed, self.records, self.kills = str(program), seed, records, kills
        self.random, self.say = random.Random(seed), say
        self.folder = pathlib.Path(folder)
        self.state = self.folder / "state"
        self.spool = self.state / "spool"
        self.socket = str(self.folder / "ingest.sock")
        (self.folder / "otel-config.yaml").write_text(CONFIG)
        self.agent, self.producers, self.hits = None, [], collections.Counter()
        self.numbers = collections.Counter()
        self.extra_tallies = []
        self.limit = self.left = 0

    # The agent

    def words(self, verb):
        return [self.program, verb, "--user", "--state-dir", str(self.state), "--socket", self.socket,
                "--control-socket", str(self.folder / "control.sock"),
                "--config", str(self.folder / "otel-config.yaml")]

    def environment(self, plan=""):
        return {"HOME": str(self.folder), "XDG_RUNTIME_DIR": str(self.folder), "PATH": os.environ["PATH"],
                "LANG": "C.UTF-8", "TZ": "UTC"} | ({VARIABLE: plan} if plan else {})

    def start(self, plan=""):
        self.errors = open(self.folder / "agent.err", "w+")
        self.agent = subprocess.Popen(
            apart(self.words("run")), env=self.environment(plan), stdin=subprocess.DEVNULL, stderr=self.errors)

    def ended(self, seconds):
        """Waits for the agent's end; what it said."""
        try:
            self.agent.wait(seconds)
        except subprocess.TimeoutExpired:
            return None
        self.errors.seek(0)
        told = self.errors.read()
        self.errors.close()
        return told

    def listens(self, seconds=30):
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            with socket.socket(socket.AF_UNIX) as client:
                try:
                    client.connect(self.socket)
                    return
                except OSError:
                    pass
            if self.agent.poll() is not None:
                raise Wrong(f"the agent ended with {self.agent.returncode}: {self.ended(1)}")
            time.sleep(0.005)
        raise Wrong(f"the agent does not listen within {seconds} s")

    @staticmethod
    def until(condition, what, seconds=30):
        end = time.monotonic() + seconds
        while not condition():
            if time.monotonic() > end:
                raise Wrong(f"not within {seconds} s: {what}")
            time.sleep(0.02)

    # Deaths

    def kill_at_random(self):
        self.start(self.sabotage)
        if self.random.random() < 0.8:
            self.listens()
            time.sleep(self.random.uniform(0, 0.5))
        else:
            time.sleep(self.random.uniform(0, 0.1))  # In its start.
        self.agent.kill()
        self.ended(30)
        self.numbers["random"] += 1

    def kill_at(self, place):
        step, side = place.rsplit(".", 1)
        plan = self.prepare(step, place)
        self.start(plan)
        end = time.monotonic() + 30
        while (told := self.ended(0.3)) is None and time.monotonic() < end:
            # It may wait for traffic; some must be left for each of the deaths to come.
            self.allow(max(self.limit, min(self.limit + 50, self.records // PRODUCERS - self.left)))
        if told is None:
            self.agent.kill()
            raise Wrong(f"{plan} was not reached within 30 s: {self.ended(10)}")
        if self.agent.returncode != -9 or f"failpoint {place}: kill" not in told:
            raise Wrong(f"{plan}: the agent ended with {self.agent.returncode} and said {told}")
        self.hits[place] += 1

    def prepare(self, step, place):
        """Makes sure that the next run comes there; its plan."""
        log = self.state / "log"
        # As many turns as there are records for.
        turn = self.random.randint(1, 1 + min(5, self.records // 40_000)) if step in OFTEN else 1
        plan = f"{place}=kill@{turn}"
        if step == "lock.create":
            (self.state / "lock").unlink(missing_ok=True)
        elif step == "position.create":
            (log / "position").unlink(missing_ok=True)
        elif step == "leftover.remove":
            (log / "dedupe.tmp").write_bytes(b"half")
        elif step == "dedupe.aside":
            self.flip(log / "dedupe")
        elif step == "cursor.aside":
            self.flip(self.state / "cursors/journald.cursor")
        elif step in ("reserve.create", "reserve.allocate"):
            (log / "reserve").unlink(missing_ok=True)
        elif step == "segment.remove":
            # As a death between its creation and its header leaves one.
            (log / f"{self.newest() + 1:010}.segment").write_bytes(b"")
        elif step in ("segment.footer.write", "segment.truncate"):
            self.unseal()
        elif step == "reserve.remove":
            self.unseal()
            plan = f"segment.footer.write.before=full,{plan}"
        elif step.startswith("quarantine"):
            self.tear()
            if step == "quarantine.remove":
                with open(self.state / "quarantine/1-80.bytes", "wb") as file:
                    file.truncate(QUARANTINE_MAX)
        elif step == "spool.remove":
            self.leave_in_spool()
        return plan

    def newest(self):
        return max((int(path.stem) for path in (self.state / "log").glob("*.segment")), default=0)

    def unseal(self):
        """Cuts the newest segment's footer off, as if the agent had died before it; where it stood."""
        log = Log.open(str(self.state))
        # A death in its creation may have left one without a header: the one before it, then.
        log.numbers = log.numbers[-3:]
        for segment in log.segments():
            ends = [(entry.offset & 0xFFFFFFFF) + (128 + len(entry.payload) + 7 & ~7)
                    for entry in segment.entries()]
            if ends:
                path, end = segment.path, ends[-1]
        os.truncate(path, end)
        return path

    def has_stored(self):
        done = subprocess.run(
            [*self.words("status"), "--json"], env=self.environment(), capture_output=True, text=True)
        return done.returncode in (0, 1) and json.loads(done.stdout)["log"]["stored"]["batches"] > 0

    def tear(self):
        """Half an entry behind the newest segment's last."""
        with open(self.unseal(), "ab") as file:
            file.write(b"CXTE" + self.random.randbytes(self.random.randint(1, 400)))

    @staticmethod
    def flip(path):
        data = bytearray(path.read_bytes() if path.exists() else bytes(64))
        data[len(data) // 2] ^= 0x40
        path.write_bytes(data)

    def leave_in_spool(self):
        """A spool file of a producer of its own: one record, numbered behind all others."""
        producer = self.random.randbytes(16)
        number = self.records + 1 + len(self.extra_tallies)
        body = Templates().body(producer, 1, number, 1)
        self.spool.mkdir(mode=0o700, exist_ok=True)
        temporary = self.spool / "making"
        temporary.write_bytes(hello(producer, 0) + frame(BATCH, body))
        temporary.chmod(0o600)
        temporary.rename(self.spool / f"{producer.hex()}.spool")
        self.extra_tallies.append({"producer": producer.hex(), "acked": {"batches": 1, "records": 1}})

    # Producers

    def share(self, index):
        """The numbers of a producer."""
        return index * self.records // PRODUCERS + 1, (index + 1) * self.records // PRODUCERS

    def start_producer(self, index):
        first, last = self.share(index)
        words = [sys.executable, HERE / "crash_producer.py", self.socket, self.spool,
                 self.folder / f"producer-{index}", first, last, self.random.randrange(1 << 30),
                 first - 1 + self.limit]
        return subprocess.Popen(
            [str(word) for word in words], stdin=subprocess.PIPE, env=self.environment(), bufsize=0)

    def allow(self, limit):
        """Lets each producer go on to its `limit`-th record."""
        self.limit = limit
        for index, process in enumerate(self.producers):
            if process.poll() not in (None, 0):
                raise Wrong(f"producer {index} ended with {process.returncode}")
            try:
                process.stdin.write(b"%d\n" % (self.share(index)[0] - 1 + limit))
            except BrokenPipeError:
                pass  # It has done its work.

    def restart_producer(self):
        index = self.random.randrange(PRODUCERS)
        process = self.producers[index]
        if process.poll() is None:
            process.kill()
            self.numbers["producer"] += 1
        process.wait()
        process.stdin.close()
        self.producers[index] = self.start_producer(index)

    # The whole

    def run(self):
        began = time.monotonic()
        known = places(self.program)
        schedule = [place for place in known if place.rsplit(".", 1)[0] not in NEEDS_JOURNALD]
        schedule = schedule[self.seed % self.share_of_places :: self.share_of_places] + [None] * self.kills
        self.random.shuffle(schedule)
        self.start()
        self.listens()
        self.producers = [self.start_producer(index) for index in range(PRODUCERS)]
        each = self.records // PRODUCERS
        self.allow(each // (len(schedule) + 1))
        self.until(self.has_stored, "the first record is stored", 120)
        self.agent.kill()
        self.ended(30)
        try:
            for done, place in enumerate(schedule, 2):
                self.left = 2 * (len(schedule) + 2 - done)
                self.allow(max(self.limit, each * done // (len(schedule) + 2)))
                if self.random.random() < 0.2:
                    self.restart_producer()
                self.say(place or "at random")
                if place:
                    self.kill_at(place)
                else:
                    self.kill_at_random()
            self.finish()
        finally:
            for process in self.producers:
                process.kill()
                process.wait()
                process.stdin.close()
            if self.agent.poll() is None:
                self.agent.kill()
                self.agent.wait()
            self.errors.close()
        seconds = time.monotonic() - began
        result = self.verify()
        return {
            "seed": self.seed, "records": self.records, "exactly_once": result["once"],
            "kills_at_random": self.numbers["random"], "kills_at_places": sum(self.hits.values()),
            "places": len(self.hits), "places_known": len(known), "producers_killed": self.numbers["producer"],
            "producer_ids": len(self.tallies()), "segments": result["segments"],
            "balance_figures": result["figures"], "seconds": round(seconds, 1),
        }

    def finish(self):
        """All that is left goes to an agent that lives."""
        self.start()
        self.listens()
        self.allow(self.records)
        for process in self.producers:
            if process.wait(600) != 0:
                raise Wrong(f"a producer ended with {process.returncode}")
        self.until(lambda: not list(self.spool.glob("*.spool")), "the spool is drained")
        self.balance()
        self.agent.terminate()
        if (told := self.ended(60)) is None or self.agent.returncode != 0:
            raise Wrong(f"the agent ended with {self.agent.returncode} on SIGTERM: {told}")
        # What an orderly end leaves is what the next start finds.
        self.start()
        self.listens()
        self.figures = self.balance()
        self.agent.terminate()
        self.ended(60)

    def tallies(self):
        found = list(self.extra_tallies)
        for index in range(PRODUCERS):
            found += json.loads((self.folder / f"producer-{index}/tally.json").read_text())
        return [each for each in found if each["acked"]["batches"]]

    def balance(self):
        """All figures agree, or it is wrong; how many there are."""
        tally = self.folder / "tallies.json"
        tally.write_text(json.dumps(self.tallies()))
        wrapper = self.folder / "status"
        wrapper.write_text("#!/bin/sh\nshift\nexec " + " ".join(self.words("status")) + " --json\n")
        wrapper.chmod(0o755)
        done = subprocess.run(
            [sys.executable, ROOT / "contrib/balance", "--program", wrapper, "--state", self.state,
             "--tally", tally, "--all-tallied", "--wait", "2" if self.sabotage else "120"],
            env=self.environment(), capture_output=True, text=True, timeout=600,
        )
        (self.folder / "balance.txt").write_text(done.stdout + done.stderr)
        if done.returncode != 0:
            raise Wrong(f"the balance is not green:\n{done.stdout}{done.stderr}")
        return int(re.search(r"green: (\d+) figures", done.stdout)[1])

    def verify(self):
        """Every number once, by what the witness reads in the log."""
        paths = sorted((self.state / "log").glob("*.segment"))
        with multiprocessing.Pool(2) as pool:
            parts = pool.map(numbers_in, [str(path) for path in paths], chunksize=1)
        expected = self.records + len(self.extra_tallies)
        seen = bytearray(expected + 1)
        twice, strange = [], []
        for part in parts:
            for (number,) in struct.iter_unpack(">Q", part):
                if not 1 <= number <= expected:
                    strange.append(number)
                elif seen[number]:
                    twice.append(number)
                else:
                    seen[number] = 1
        missing = [number for number in range(1, expected + 1) if not seen[number]]
        if missing or twice or strange:
            raise Wrong(f"{len(missing)} records are missing ({missing[:5]}), {len(twice)} stand twice "
                        f"({twice[:5]}), {len(strange)} were never sent ({strange[:5]})")
        return {"once": sum(seen), "segments": len(paths), "figures": self.figures}


def numbers_in(path):
    """The numbers of all records of a segment file, packed."""
    state = os.path.dirname(path)
    log = Log.open(state)
    log.numbers = [int(os.path.basename(path)[:10])]
    found = []
    for segment in log.segments():
        for entry in segment.entries():
            found += [record["span_id"] for record in read_batch(entry.payload).records]
    return b"".join(found)


def run(program, seed, records, kills=20, share=1, sabotage="", keep=False, say=lambda text: None):
    """One seed in a folder of its own; its figures. Raises `Wrong`, and then leaves the folder. `share`: only
    each so-many-th failpoint. `sabotage`: a plan for the runs that are killed at random."""
    folder = tempfile.mkdtemp(prefix=f"codex-telemetry-crash-{seed}-")
    try:
        result = Crash(program, seed, records, kills, folder, share, sabotage, say).run()
    except (Wrong, OSError, subprocess.SubprocessError) as problem:
        raise Wrong(f"seed {seed}: {problem}\n(see {folder})") from problem
    if not keep:
        shutil.rmtree(folder)
    return result


def main():
    from installed import binary

    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seed", type=int, required=True)
    parser.add_argument("--records", type=int, default=1_000_000)
    parser.add_argument("--kills", type=int, default=20)
    parser.add_argument("--keep", action="store_true", help="leave the folder")
    parser.add_argument("--verbose", action="store_true", help="say where the agent is killed")
    options = parser.parse_args()
    began = time.monotonic()

    def say(text):
        if options.verbose:
            print(f"{time.monotonic() - began:7.2f} {text}", file=sys.stderr, flush=True)

    try:
        print(json.dumps(run(binary(), options.seed, options.records, options.kills,
                             keep=options.keep, say=say)))
    except Wrong as wrong:
        print(wrong, file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())

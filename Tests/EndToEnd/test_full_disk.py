"""A state directory that cannot grow: no space, no quota, no inodes, read-only, too few descriptors. The
agent stays up, sheds with counters, says so, and goes on by itself; nothing that was acked is lost."""

import contextlib
import ctypes
import fcntl
import os
import resource
import socket
import struct
import subprocess
import unittest

from faults import EDQUOT, FaultCase, Faults, MountFailed, only_full
from host import eventually

STORAGE_FULL, STORAGE_FAILED = 0x20, 0x24
# One batch of the honest producers: large enough to fill a small file system in seconds.
PADDING = 20_000


def is_full(status):
    return status["log"]["state"] == "full"


class FullDisk(FaultCase):
    def produce(self, **rest):
        return super().produce(**({"padding": PADDING, "pause": 0.01} | rest))

    def sheds(self, producers):
        """The agent says that it is full, and what to do, and counts what it refuses; it does not end."""
        status = self.status_where(
            "full and counted", lambda s: is_full(s) and s["intake"]["refused"].get("storage_full")
        )
        self.assertIsNone(self.agent.poll())
        self.assertEqual(status["agent"]["state"], "degraded")
        self.assertEqual(status["intake"]["state"], "shedding")
        refused = status["intake"]["refused"]["storage_full"]
        self.assertGreater(refused["batches"], 0)
        # One record a batch.
        self.assertEqual(refused["records"], refused["batches"])
        self.assertGreater(status["intake"]["connections_closed"]["storage_full"], 0)
        self.balances(status)
        eventually(lambda: any(p.throttles.get(STORAGE_FULL) for p in producers), 10, "a throttle")

        def ask():
            shown = self.telemetry("status", check=False)
            return shown.returncode == 1 and f"! log in {self.state}/log: " in shown.stdout and shown.stdout

        return eventually(ask, 10, "people are told, too")

    def resumes(self, producers):
        """By itself: each producer gets on, and status is well again."""
        marks = [each.acked for each in producers]
        eventually(
            lambda: all(p.acked > mark + 5 for p, mark in zip(producers, marks)), 30,
            lambda: f"intake goes on: {[p.acked for p in producers]} {self.status()['log']}",
        )
        # The exporter's cursor is saved again within seconds, too.
        self.status_where("well again", lambda s: s["log"]["state"] == "writing" and s["intake"]["state"] == "open")

    def finish(self, producers, **rest):
        self.end_producers(*producers)
        self.balance(*producers)
        self.stop()
        counted = self.assert_all_there(*producers, **rest)
        print(f"  {self.id().split('.')[-1]}: acked {sum(p.acked for p in producers)} batches of "
              f"{len(producers)} producers, in the log {counted['stored_ever']['batches']} ever, "
              f"{counted['batches']} now; throttled {sum(sum(p.throttles.values()) for p in producers)} times")

    def fills_and_goes_on(self):
        """Somebody else takes the space, and gives it back."""
        self.start()
        producers = [self.produce() for _ in range(3)]
        eventually(lambda: all(p.acked > 5 for p in producers), 20, "records come in")
        with self.ballast(self.state):
            shown = self.sheds(producers)
            self.assertIn("No space left on device", shown)
            self.assertIn("df -h", shown)
            # A command's record is in no danger either: it goes to the spool, elsewhere.
            self.telemetry("emit", "event", "while.full", env={"XDG_STATE_HOME": str(self.home / "else")})
            # A record so small may fit in what the log holds already.
            spool = self.home / "else/codex-telemetry/spool"
            kept = [each.read_bytes() for each in spool.glob("*.spool")]
            if not any(b"while.full" in each for each in kept):
                self.assertIn("while.full", self.telemetry("tail", "-n", "20").stdout)
            # Reading what is there needs no space.
            self.telemetry("tail", "-n", "1")
            # A kill and a start in the midst of it.
            self.agent.kill()
            self.agent.wait()
            self.start()
            self.sheds(producers)
        self.resumes(producers)
        self.finish(producers, expired=True)

    def test_a_small_file_system_that_somebody_else_fills(self):
        self.mount("tmpfs", self.state, "size=24m,mode=700")
        self.fills_and_goes_on()

    def test_after_a_start_on_a_full_disk_the_figures_agree(self):
        self.mount("tmpfs", self.state, "size=24m,mode=700")
        self.start()
        one = self.produce(count=50)
        eventually(lambda: one.acked == 50, 20, "records come in")
        self.end_producers(one)
        self.assertNotIn("not saved", self.balance(one))
        with self.ballast(self.state):
            # Whether a cursor can be saved is the luck of each start: the log's own room may do for it.
            for _ in range(3):
                self.agent.kill()
                self.agent.wait()
                self.start()
                self.balance(one)
        self.status_where(
            "saved", lambda s: all(each["saved_cursor"] == each["cursor"] for each in s["exporters"]))
        self.assertNotIn("not saved", self.balance(one))
        self.stop()
        self.assert_all_there(one, expired=True)

    @only_full
    def test_a_small_ext4_that_somebody_else_fills(self):
        self.mount("ext4", self.state, "loop", str(self.image(32)))
        self.fills_and_goes_on()

    @only_full
    def test_nobody_sends_anything_and_status_is_well_again_all_the_same(self):
        self.mount("tmpfs", self.state, "size=16m,mode=700")
        self.start()
        with self.ballast(self.state):
            one = self.produce()
            self.sheds([one])
            self.end_producers(one)
        self.status_where("well again", lambda s: s["log"]["state"] == "writing", seconds=15)
        self.balance(one)
        self.stop()
        self.assert_all_there(one)

    @only_full
    def test_the_log_fills_it_and_its_own_retention_makes_room(self):
        """The cap is larger than the file system; after a minute the entries are old."""
        self.mount("tmpfs", self.state, "size=6m,mode=700")
        config = self.home / "config.yaml"
        config.write_text("log: {cap: 8MiB, retention: 60s}\nexporters: {journald: {enabled: false}}\n")
        faults = Faults(self.home)
        self.addCleanup(faults.close)
        self.start("--config", config, env=faults.variables)
        producers = [self.produce() for _ in range(2)]
        self.sheds(producers)
        held = self.status()["log"]["expired"]["batches"]
        # A minute passes on every clock: no step, nothing else has changed.
        faults.clocks(wall=90, boottime=90)
        self.resumes(producers)
        status = self.status()
        self.assertGreater(status["log"]["expired"]["batches"], held)
        self.finish(producers, expired=True)

    def test_the_footers_of_a_full_log_are_written_with_the_reserve(self):
        """What retention and an orderly end need is there although the disk is full."""
        self.mount("tmpfs", self.state, "size=16m,mode=700")
        self.start()
        # Less than a segment: nothing has needed the reserve yet.
        few = self.produce(count=5)
        eventually(lambda: few.acked == 5, 20, "records come in")
        self.assertTrue((self.state / "log/reserve").exists())
        with self.ballast(self.state, greedy=False):
            one = self.produce()
            self.sheds([one])
            self.end_producers(few, one)
            # What the refused batch gave back is taken, too.
            with self.ballast(self.state, "more", greedy=False):
                self.stop()
            self.assertFalse((self.state / "log/reserve").exists())
            counted = self.assert_all_there(few, one)
            # Sealed and clean: the next start has nothing to recover.
            self.assertTrue(counted["clean"], counted)
            self.assertEqual(counted["segments"]["sealed"], counted["segments"]["count"])
            # A full file system can be used: a user takes away what is not needed.
            (self.state / "log/dedupe").unlink()

    @only_full
    def test_a_quota_of_the_state_directory(self):
        """A project quota where the kernel has them; here else the calls fail as with one."""
        why = self.project_quota()
        faults = Faults(self.home)
        self.addCleanup(faults.close)
        self.start(env=faults.variables if why else None)
        producers = [self.produce() for _ in range(2)]
        eventually(lambda: all(p.acked > 5 for p in producers), 20, "records come in")
        if why:
            print(f"  no project quota here ({why}): the calls fail with EDQUOT instead")
            faults.writes_fail(EDQUOT)
            ballast = contextlib.nullcontext()
        else:
            ballast = self.ballast(self.state)
        with ballast:
            self.assertIn("quota", self.sheds(producers).lower())
        faults.writes_fail(0)
        self.resumes(producers)
        self.finish(producers, expired=True)

    def test_a_limit_of_file_sizes(self):
        """`ulimit -f`: neither can space be made ready, nor a segment grow: as an error of the disk."""
        size = 3 << 20
        self.start(preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (size, size)))
        one = self.produce()
        status = self.status_where("failed", lambda s: s["log"]["state"] == "failed")
        self.assertIsNone(self.agent.poll())
        self.assertEqual(status["intake"]["state"], "closed")
        told = " ".join(status["agent"]["reasons"])
        self.assertIn("File too large", told)
        self.assertIn("ulimit -f", told)
        files = sum(each.stat().st_size for each in (self.state / "log").glob("*.segment"))
        self.assertEqual(status["log"]["bytes"], files)
        self.assertLessEqual(files, size)
        eventually(lambda: "failed: write: File too large" in self.messages.read_text(), 10, "a line")
        eventually(lambda: one.throttles.get(STORAGE_FAILED), 10, "a throttle")
        self.agent.terminate()
        self.agent.wait(self.patience)
        self.start()
        self.resumes([one])
        self.finish([one])

    def project_quota(self):
        """Puts the state directory under a quota of 6 MiB; why not, if that cannot be."""
        try:
            image = self.image(64, "-O", "quota,project", "-E", "quotatype=prjquota")
            self.mount("ext4", self.state, "loop,prjquota", str(image))
        except (MountFailed, subprocess.CalledProcessError) as failed:
            return str(failed).splitlines()[0]
        PROJECT, INHERIT, SET = 7, 0x200, 0x401C5820
        folder = os.open(self.state, os.O_RDONLY | os.O_DIRECTORY)
        try:
            fcntl.ioctl(folder, SET, struct.pack("=IIIII8x", INHERIT, 0, 0, PROJECT, 0))
        finally:
            os.close(folder)
        device = self.device(self.state)
        # struct if_dqblk: hard and soft limit of blocks of 1 KiB, …; only the limits are valid (1).
        limits = struct.pack("=8QI4x", 6 << 10, 6 << 10, 0, 0, 0, 0, 0, 0, 1)
        Q_SETQUOTA, PRJQUOTA = 0x800008, 2
        libc = ctypes.CDLL(None, use_errno=True)
        if libc.quotactl(Q_SETQUOTA << 8 | PRJQUOTA, device.encode(), PROJECT, limits) != 0:
            return os.strerror(ctypes.get_errno())
        return None

    @only_full
    def test_no_inodes_are_left(self):
        # The cap is far: retention must not free an inode for each one that the log needs.
        self.mount("tmpfs", self.state, "size=512m,nr_inodes=64,mode=700")
        self.start()
        producers = [self.produce() for _ in range(2)]
        eventually(lambda: all(p.acked > 5 for p in producers), 20, "records come in")
        taken = []
        with contextlib.suppress(OSError):
            while True:
                path = self.state / f"taken-{len(taken)}"
                path.touch(exist_ok=False)
                taken.append(path)
        # It writes on until it needs a file.
        shown = self.sheds(producers)
        self.assertIn("df -i", shown)
        for path in taken:
            path.unlink()
        self.resumes(producers)
        self.finish(producers, expired=True)

    def test_no_inodes_at_the_start(self):
        self.mount("tmpfs", self.state, "size=8m,nr_inodes=2,mode=700")
        told = self.fails_to_start()
        self.assertIn(str(self.state), told)
        self.assertIn("No space left on device", told)
        self.assertIn("df -i", told)
        self.assertIn("--state-dir", told)

    @only_full
    def test_it_starts_on_a_full_disk(self):
        self.mount("tmpfs", self.state, "size=8m,mode=700")
        with self.ballast(self.state):
            self.start()
            one = self.produce()
            self.sheds([one])
        self.resumes([one])
        self.finish([one], expired=True)


class ReadOnly(FaultCase):
    def test_read_only_at_the_start(self):
        self.mount("tmpfs", self.state, "size=8m,mode=700")
        subprocess.run(["mount", "-o", "remount,ro", self.state], check=True)
        told = self.fails_to_start()
        self.assertIn(str(self.state), told)
        self.assertIn("Read-only file system", told)
        self.assertIn("mount its file system read-write", told)
        self.assertIn("--state-dir", told)
        # Nobody's record is lost by it: the next place for the spool is taken.
        done = self.telemetry("emit", "event", "while.read.only", env={"HOME": "/nonexistent", "XDG_STATE_HOME": str(self.home / "else")})
        self.assertTrue(list((self.home / "else/codex-telemetry/spool").glob("*.spool")), done.stderr)
        subprocess.run(["mount", "-o", "remount,rw", self.state], check=True)
        self.start()
        self.stop()

    @only_full
    def test_the_file_system_turns_read_only_while_it_runs(self):
        """As ext4 does on an error of the disk: what is acked is kept, nothing more is taken, and it is said
        what to do; the next start goes on."""
        image = self.image(32, "-e", "remount-ro")
        self.mount("ext4", self.state, "loop,errors=remount-ro", str(image))
        device = self.device(self.state)
        trigger = f"/sys/fs/ext4/{os.path.basename(device)}/trigger_fs_error"
        if not os.path.exists(trigger):
            self.skipTest("this kernel cannot be asked to find an ext4 in error")
        # What was acked and not yet synced the device may forget, as at a loss of power: here an ack comes
        # after the sync, and nothing acked may be missing.
        config = self.home / "config.yaml"
        config.write_text("log: {fsync: every_commit}\n")
        self.start("--config", config)
        one = self.produce(pause=0.01)
        eventually(lambda: one.acked > 20, 20, "records come in")
        with open(trigger, "w") as file:
            file.write("a test\n")
        status = self.status_where("failed", lambda s: s["log"]["state"] == "failed")
        self.assertEqual(status["intake"]["state"], "closed")
        reason = " ".join(status["agent"]["reasons"])
        # What fails first, a write or a sync, decides which of the two it is.
        self.assertRegex(reason, "Read-only file system|Input/output error")
        self.assertIn(str(self.state), reason)
        self.assertRegex(reason, "(mount its file system read-write|in `journalctl -k`), then start the agent again")
        eventually(lambda: one.throttles.get(STORAGE_FAILED), 10, "clients are told to keep their records")
        self.status(code=1)
        self.balances(self.status())
        # It answers and ends as told, though it can write nothing.
        self.agent.terminate()
        self.assertIn(self.agent.wait(30), (0, 1))
        subprocess.run(["umount", self.state], check=True)
        subprocess.run(["fsck.ext4", "-p", "-f", image], capture_output=True,
                       env={"PATH": "/usr/sbin:/sbin:/usr/bin:/bin"})
        subprocess.run(["mount", "-o", "loop", image, self.state], check=True)
        self.start("--config", config)
        mark = one.acked
        eventually(lambda: one.acked > mark + 10, 20, "intake goes on after the start")
        self.end_producers(one)
        self.balance(one)
        self.stop()
        self.assert_all_there(one, expired=True)


class Descriptors(FaultCase):
    def few(self, number):
        return lambda: resource.setrlimit(resource.RLIMIT_NOFILE, (number, number))

    def test_too_few_to_start(self):
        """Whatever the number: it works, or ends with a sentence. It neither crashes nor hangs."""
        outcomes = {}
        for number in (4, 6, 8, 10, 12, 14, 16, 20, 24, 28, 32):
            with self.subTest(number):
                self.messages.write_text("")
                agent = self.start(preexec_fn=self.few(number), wait=False)
                eventually(lambda: self.listens() or agent.poll() is not None, 20, "a decision")
                if agent.poll() is None:
                    outcomes[number] = "runs"
                    self.stop()
                    continue
                outcomes[number] = agent.returncode
                told = self.messages.read_text()
                self.assertEqual(agent.returncode, 1, told)
                self.assertIn("Too many open files", told)
                self.assertIn("ulimit -n", told)
        print(f"  descriptors allowed, and what came of it: {outcomes}")
        self.assertEqual(outcomes[32], "runs")
        self.assertEqual(outcomes[28], 1)

    @only_full
    def test_connections_that_take_all_of_them(self):
        """64 descriptors, 200 connections that stay: the log goes on, status answers, nothing is lost."""
        self.start(preexec_fn=self.few(64))
        one = self.produce(pause=0.005)
        eventually(lambda: one.acked > 5, 20, "records come in")
        crowd = []
        self.addCleanup(lambda: [each.close() for each in crowd])
        for _ in range(200):
            each = socket.socket(socket.AF_UNIX)
            each.setblocking(False)
            each.connect_ex(str(self.ingest))
            crowd.append(each)
        mark = one.acked
        eventually(lambda: one.acked > mark + 50, 20, "the one that was there goes on")
        status = self.status()
        self.assertEqual(status["log"]["state"], "writing")
        self.assertGreater(status["intake"]["connections_closed"]["too_many_connections"], 0)
        for each in crowd:
            each.close()
        crowd.clear()
        late = self.produce(count=20)
        eventually(lambda: late.acked == 20, 20, "who comes when they have gone is taken")
        self.status(code=None)
        self.end_producers(one, late)
        self.balance(one, late)
        self.stop()
        self.assert_all_there(one, late)


if __name__ == "__main__":
    unittest.main()

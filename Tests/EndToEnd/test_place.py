"""The places of an agent: its runtime directory goes and comes back, another agent wants the same, HOME is on
a network. As promised, or a sentence that says what to do."""

import os
import pathlib
import shutil
import stat
import subprocess
import tempfile
import unittest

from faults import FaultCase, Faults
from host import eventually
from installed import binary


class Place(FaultCase):
    def test_a_removed_runtime_directory_is_made_again(self):
        self.start()
        one = self.produce(pause=0.005)
        eventually(lambda: one.acked > 5, 20, "records come in")
        shutil.rmtree(self.home / "run")
        # Nobody finds the agent: the record waits in the spool.
        self.telemetry("emit", "event", "between")
        eventually(self.listens, 10, "the intake is open again")
        eventually(lambda: self.listens(self.ingest.with_name("control.sock")), 10, "the control socket too")
        for path, mode in ((self.ingest, 0o600), (self.ingest.with_name("control.sock"), 0o600),
                           (self.ingest.parent, 0o700), (self.home / "run", 0o700)):
            self.assertEqual(stat.S_IMODE(path.stat().st_mode), mode, path)
        late = self.produce(count=20)
        eventually(lambda: late.acked == 20, 10, "a new client is taken")
        self.telemetry("emit", "event", "after")
        for name in ("between", "after"):
            self.records(1, "--name", name)
        self.status(0)
        self.end_producers(one, late)
        self.assertEqual(one.connects, 1, "a connection that was there is not touched")
        self.assertIn("intake open again", self.messages.read_text())
        self.balance(one, late)
        self.stop()
        self.assertFalse(self.ingest.exists())
        self.assertFalse(self.ingest.with_name("control.sock").exists())
        self.assert_all_there(one, late)

    def test_only_one_of_the_sockets_is_removed(self):
        self.start()
        for path in (self.ingest, self.ingest.with_name("control.sock")):
            path.unlink()
            eventually(lambda: self.listens(path), 10, f"{path} is there again")
            self.status(0)
        self.stop()

    def test_a_second_agent_on_the_same_state(self):
        first = self.start()
        one = self.produce(pause=0.005)
        eventually(lambda: one.acked > 5, 20, "records come in")
        (self.home / "other").mkdir()
        for words in ((), ("--socket", self.home / "other/ingest.sock")):
            told = self.fails_to_start(*words)
            self.assertIn("another agent is already using", told)
            self.assertIn(str(self.state), told)
            self.assertIn("codex-telemetryd status", told)
        # Several commands may start one at once: for the others it is no error.
        done = subprocess.run([self.program, "run", "--user", "--on-demand"], env=self.env, timeout=30,
                              stdin=subprocess.DEVNULL, capture_output=True, text=True)
        self.assertEqual((done.returncode, done.stderr), (0, ""))
        self.undisturbed(first, one)

    def test_a_second_agent_on_the_same_socket(self):
        first = self.start()
        one = self.produce(pause=0.005)
        eventually(lambda: one.acked > 5, 20, "records come in")
        told = self.fails_to_start("--state-dir", self.home / "other")
        self.assertIn(f"somebody listens at {self.ingest.parent}", told)
        self.assertRegex(told, "--(control-)?socket")
        self.undisturbed(first, one)

    def undisturbed(self, first, one):
        mark = one.acked
        eventually(lambda: one.acked > mark + 20, 20, "the first one goes on")
        self.assertEqual(self.status(0)["agent"]["pid"], first.pid)
        self.end_producers(one)
        self.assertEqual((one.connects, one.throttles), (1, {}))
        self.balance(one)
        self.stop()
        self.assert_all_there(one)

    def test_an_agent_whose_place_another_has_taken_ends(self):
        """After a new login the service manager listens where the old one's directory was: an agent that
        nobody can find any more lets go of its log."""
        first = self.start()
        one = self.produce(pause=0.005)
        eventually(lambda: one.acked > 5, 20, "records come in")
        shutil.rmtree(self.home / "run/codex-telemetry")
        second = self.start("--state-dir", self.home / "other")
        self.assertEqual(first.wait(20), 0, self.messages.read_text())
        self.assertIn("somebody else listens at", self.messages.read_text())
        moved = one.acked
        eventually(lambda: one.acked > moved + 20, 20, "its client has found the other")
        self.assertEqual(self.status(0)["agent"]["pid"], second.pid)
        self.assertTrue(self.listens(), "the first has taken the second's socket away")
        self.end_producers(one)
        self.stop()
        old = self.assert_all_there(state=self.state)["producers"][0]
        new = self.assert_all_there(state=self.home / "other")["producers"][0]
        self.assertEqual(old["missing"] + new["missing"], 0)
        self.assertLessEqual(new["first"], old["last"] + 1, "a batch fell between the two")
        self.assertGreaterEqual(new["last"], one.acked)


@unittest.skipUnless(os.geteuid() == 0, "needs root, to be somebody else")
class OfAnotherUser(FaultCase):
    """As a user without rights: what root could make again is not made."""

    UID = 61_338

    def setUp(self):
        super().setUp()
        self.shared = pathlib.Path(tempfile.mkdtemp(prefix="codex-telemetry-other-"))
        self.addCleanup(shutil.rmtree, self.shared)
        self.shared.chmod(0o755)
        self.program = str(shutil.copy(binary(), self.shared / "codex-telemetryd"))
        self.who = {"user": self.UID, "group": self.UID, "extra_groups": []}
        for folder in (self.home, self.home / "run"):
            os.chown(folder, self.UID, self.UID)

    def telemetry(self, *words, **rest):
        return super().telemetry(*words, **self.who, **rest)

    def log_in(self):
        self.runtime.mkdir(mode=0o700, parents=True)
        os.chown(self.runtime, self.UID, self.UID)

    def test_a_logout_and_a_login(self):
        """/run/user/UID vanishes, its parent is root's; after the next login it is there, empty."""
        self.runtime = self.shared / f"run/user/{self.UID}"
        self.log_in()
        self.env["XDG_RUNTIME_DIR"] = str(self.runtime)
        self.ingest = self.runtime / "codex-telemetry/ingest.sock"
        self.start(**self.who)
        one = self.produce(pause=0.005)
        eventually(lambda: one.acked > 5, 20, "records come in")
        shutil.rmtree(self.runtime)
        eventually(lambda: "cannot be made again" in self.messages.read_text(), 10, "it says so")
        told = self.messages.read_text()
        self.assertIn("log in again", told)
        self.assertIn(str(self.ingest), told)
        self.telemetry("emit", "event", "while.logged.out")
        self.assertEqual(len(list((self.state / "spool").glob("*.spool"))), 1)
        mark = one.acked
        eventually(lambda: one.acked > mark + 20, 10, "a connection that is there goes on")
        self.assertFalse(self.runtime.exists())
        self.log_in()
        eventually(self.listens, 10, "the intake is open again")
        late = self.produce(count=20)
        eventually(lambda: late.acked == 20, 10, "a new client is taken")
        self.records(1, "--name", "while.logged.out")
        self.status_where("well", lambda s: s["agent"]["state"] == "running", 10)
        # Said once, though it was tried for seconds.
        self.assertEqual(self.messages.read_text().count("ingest.sock is gone"), 1)
        self.end_producers(one, late)
        self.assertEqual(one.connects, 1)
        self.stop()
        one.uid = late.uid = 0
        self.assert_all_there(one, late)

    def test_a_home_on_a_network(self):
        """The log is in /var/tmp of this host; status says so; every command finds it."""
        local = pathlib.Path(f"/var/tmp/codex-telemetry-{self.UID}")
        shutil.rmtree(local, ignore_errors=True)
        self.addCleanup(shutil.rmtree, local, ignore_errors=True)
        faults = Faults(self.shared)
        self.addCleanup(faults.close)
        faults.path.chmod(0o644)
        faults.network(self.home)
        self.shim_for_all(faults)
        self.start(**self.who)
        self.assertIn("network file system", self.messages.read_text())
        status = self.status(0)
        self.assertEqual(status["agent"]["places"]["state_directory"], str(local))
        self.assertIn("network file system", " ".join(status["agent"]["warnings"]))
        self.assertIn(str(local), self.telemetry("status").stdout)
        self.assertEqual(local.stat().st_uid, self.UID)
        self.assertEqual(stat.S_IMODE(local.stat().st_mode), 0o700)
        self.assertFalse((self.state / "log").exists())
        self.telemetry("emit", "event", "over.the.network")
        self.telemetry("exec", "--", "true")
        self.records(2)
        # The spool may be there: a file is one process's own, and complete or not taken.
        self.stop()
        self.telemetry("emit", "event", "spooled")
        self.assertEqual(len(list((self.state / "spool").glob("*.spool"))), 1)
        self.records(2)
        # Started on demand it is the same agent, with the same log.
        del self.env["CODEX_TELEMETRY_AUTOSTART"]
        found = {each["name"] for each in self.records(3)}
        self.assertLessEqual({"over.the.network", "spooled"}, found)
        self.assertFalse((self.state / "log").exists())
        self.assertFalse((self.state / "lock").exists())
        self.assertEqual(self.status()["agent"]["places"]["state_directory"], str(local))

    def shim_for_all(self, faults):
        self.env |= faults.variables
        # The compiled shim has to be where this user can read it.
        self.env["LD_PRELOAD"] = str(shutil.copy(self.env["LD_PRELOAD"], self.shared))

    def test_a_foreign_directory_in_the_place_of_the_local_one(self):
        """/var/tmp is everybody's: who was faster gets no log of ours, nor a link his way."""
        local = pathlib.Path(f"/var/tmp/codex-telemetry-{self.UID}")
        shutil.rmtree(local, ignore_errors=True)
        faults = Faults(self.shared)
        self.addCleanup(faults.close)
        faults.path.chmod(0o644)
        faults.network(self.home)
        self.shim_for_all(faults)
        local.mkdir()
        try:
            self.assertIn(f"{local} belongs to uid 0", self.fails_to_start(**self.who))
        finally:
            local.rmdir()
        (self.home / "mine").mkdir()
        os.chown(self.home / "mine", self.UID, self.UID)
        local.symlink_to(self.home / "mine")
        try:
            self.assertIn(f"{local} is not a directory", self.fails_to_start(**self.who))
            self.assertEqual(list((self.home / "mine").iterdir()), [])
        finally:
            local.unlink()


if __name__ == "__main__":
    unittest.main()

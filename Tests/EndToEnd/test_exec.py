"""`exec` stands in for the command that it runs: codes, signals, terminal; and its spans."""

import fcntl
import json
import os
import pty
import select
import signal
import struct
import subprocess
import sys
import termios
import time
import unittest

from alone import AloneCase
from host import eventually

# The shell of a terminal, as far as jobs go: runs its arguments as the foreground job and writes what
# becomes of it, a line each, to descriptor 3; continues it when told to on descriptor 4.
JOB_CONTROL = """
import os, signal, sys
signal.signal(signal.SIGTTOU, signal.SIG_IGN)
job = os.fork()
if job == 0:
    os.setpgid(0, 0)
    os.tcsetpgrp(0, os.getpid())
    signal.signal(signal.SIGTTOU, signal.SIG_DFL)
    os.close(3); os.close(4)
    os.execv(sys.argv[1], sys.argv[1:])
try:
    os.setpgid(job, job)
except OSError:
    pass
def say(*words):
    os.write(3, (" ".join(map(str, words)) + "\\n").encode())
say("job", job)
while True:
    _, status = os.waitpid(job, os.WUNTRACED)
    if os.WIFSTOPPED(status):
        os.tcsetpgrp(0, os.getpgid(0))
        say("stopped", os.WSTOPSIG(status))
        os.read(4, 1)
        os.tcsetpgrp(0, job)
        os.killpg(job, signal.SIGCONT)
    elif os.WIFSIGNALED(status):
        say("killed", os.WTERMSIG(status)); break
    else:
        say("exited", os.WEXITSTATUS(status)); break
"""

# A command that says what it is told by its terminal, until it is told to end.
TALKER = """
import fcntl, os, signal, struct, sys, termios
def say(*words):
    # A signal may come in the middle of a print, which must not be entered twice.
    os.write(1, (" ".join(map(str, words)) + "\\n").encode())
def size(*_):
    rows, columns = struct.unpack("HHHH", fcntl.ioctl(0, termios.TIOCGWINSZ, bytes(8)))[:2]
    say("size", rows, columns)
signal.signal(signal.SIGWINCH, size)
signal.signal(signal.SIGCONT, lambda *_: say("continued"))
print("ready", os.isatty(0), flush=True)
for line in sys.stdin:
    print("got", line.strip(), flush=True)
    if line.strip() == "end":
        sys.exit(7)
"""


class Terminal:
    """A job under a terminal of its own."""

    def __init__(self, case, *command):
        self.case = case
        master, slave = pty.openpty()
        said, say = os.pipe()
        told, tell = os.pipe()

        def prepare():
            os.setsid()
            fcntl.ioctl(slave, termios.TIOCSCTTY, 0)
            # Above what is in the way, then to where the script looks for them.
            high = [fcntl.fcntl(each, fcntl.F_DUPFD, 20) for each in (say, told)]
            os.dup2(high[0], 3)
            os.dup2(high[1], 4)

        self.leader = subprocess.Popen(
            [sys.executable, "-c", JOB_CONTROL, *command],
            stdin=slave, stdout=slave, stderr=slave, env=case.env, preexec_fn=prepare,
            close_fds=False,
        )
        for each in (slave, say, told):
            os.close(each)
        self.master, self.tell, self.said = master, tell, os.fdopen(said)
        self.seen = ""
        case.addCleanup(self.close)
        self.job = int(self.event().split()[1])

    def close(self):
        if self.leader.poll() is None:
            try:
                os.killpg(self.job, signal.SIGKILL)
            except ProcessLookupError:
                pass  # The job has ended; its leader is on its way.
            self.leader.kill()
        self.leader.wait()
        os.close(self.master)
        os.close(self.tell)
        self.said.close()

    def event(self):
        """What became of the job next."""
        readable, _, _ = select.select([self.said], [], [], 10)
        self.case.assertTrue(readable, f"nothing became of the job; it printed {self.seen!r}")
        return self.said.readline().strip()

    def expect(self, text):
        """Reads the terminal until it shows a text."""
        end = time.monotonic() + 10
        while text not in self.seen:
            readable, _, _ = select.select([self.master], [], [], max(0, end - time.monotonic()))
            self.case.assertTrue(readable, f"no {text!r} in {self.seen!r}")
            try:
                self.seen += os.read(self.master, 4096).decode()
            except OSError:
                self.case.fail(f"no {text!r} in {self.seen!r}")
        self.seen = self.seen.split(text, 1)[1]

    def type(self, text):
        os.write(self.master, text.encode())

    def resize(self, rows, columns):
        fcntl.ioctl(self.master, termios.TIOCSWINSZ, struct.pack("HHHH", rows, columns, 0, 0))

    def resume(self):
        os.write(self.tell, b"x")


class ExecStandsIn(AloneCase):
    def run_to_end(self, *command, **rest):
        return self.telemetry("exec", "--", *command, check=False, **rest)

    def test_the_exit_code_is_the_commands(self):
        for code in (0, 1, 3, 64, 255):
            self.assertEqual(self.run_to_end("sh", "-c", f"exit {code}").returncode, code)

    def test_a_failing_command_records_why(self):
        self.assertEqual(self.run_to_end("sh", "-c", "exit 3").returncode, 3)
        text = str(self.records(1, "--operation", "command")[-1])
        self.assertIn("nonzero_exit", text)
        self.assertIn("codex.command", text)

    def test_death_by_signal_is_passed_on(self):
        for number in (signal.SIGTERM, signal.SIGKILL, signal.SIGSEGV, signal.SIGINT):
            done = self.run_to_end("sh", "-c", f"kill -{number.value} $$")
            # Python says -N where waitpid said WIFSIGNALED with signal N.
            self.assertEqual(done.returncode, -number.value, done.stderr)
        self.assertIn("signal", str(self.records(4, "--operation", "command")[-1]))

    def test_its_own_failures_have_the_codes_of_env(self):
        self.assertEqual(self.run_to_end("no-such-command-here").returncode, 127)
        self.assertEqual(self.run_to_end("/etc/passwd").returncode, 126)

    def test_streams_are_the_commands_own(self):
        done = subprocess.run(
            [self.program, "exec", "--", "sh", "-c", "cat; echo problem >&2"],
            input="over stdin\n", capture_output=True, text=True, env=self.env, timeout=30,
        )
        self.assertEqual((done.stdout, done.stderr), ("over stdin\n", "problem\n"))

    def test_a_signal_to_exec_reaches_the_command(self):
        ready, write = os.pipe()
        script = "trap 'exit 9' TERM; echo r >&3; while :; do sleep 0.05; done"
        exec_ = subprocess.Popen(
            [self.program, "exec", "--", "bash", "-c", script.replace(">&3", f">&{write}")],
            env=self.env, pass_fds=[write],
        )
        os.close(write)
        self.assertEqual(os.read(ready, 1), b"r")
        os.close(ready)
        exec_.send_signal(signal.SIGTERM)
        self.assertEqual(exec_.wait(10), 9)

    def test_arguments_are_not_recorded_unless_asked_for(self):
        self.run_to_end("echo", "a-secret-argument")
        self.assertNotIn("a-secret-argument", str(self.records(1, "--operation", "command")))

    def test_explicitly_disabled_it_records_nothing(self):
        done = self.run_to_end("sh", "-c", "exit 3", env={"CODEX_OTEL_ENABLED": "false"})
        self.assertEqual(done.returncode, 3)
        self.assertEqual(self.agents(), [])


class ExecInATerminal(AloneCase):
    def talker(self):
        terminal = Terminal(self, self.program, "exec", "--", sys.executable, "-c", TALKER)
        terminal.expect("ready True")
        return terminal

    def test_typing_reaches_the_command(self):
        terminal = self.talker()
        terminal.type("hello\n")
        terminal.expect("got hello")
        terminal.type("end\n")
        self.assertEqual(terminal.event(), "exited 7")

    def test_ctrl_c_ends_both_by_the_signal(self):
        terminal = Terminal(self, self.program, "exec", "--", "sh", "-c", "echo ready; exec sleep 60")
        terminal.expect("ready\r\n")
        terminal.type("\x03")
        self.assertEqual(terminal.event(), f"killed {signal.SIGINT.value}")

    def test_a_command_that_survives_ctrl_c_goes_on(self):
        script = "trap 'echo caught' INT; echo ready; read line; echo read $line; exit 5"
        terminal = Terminal(self, self.program, "exec", "--", "bash", "-c", script)
        terminal.expect("ready\r\n")
        terminal.type("\x03")
        terminal.expect("caught")
        terminal.type("more\n")
        self.assertEqual(terminal.event(), "exited 5")

    def test_ctrl_z_and_fg(self):
        terminal = self.talker()
        terminal.type("\x1a")
        self.assertEqual(terminal.event(), f"stopped {signal.SIGTSTP.value}")
        terminal.resume()
        terminal.expect("continued")
        terminal.type("end\n")
        self.assertEqual(terminal.event(), "exited 7")

    def test_a_stopped_exec_goes_on_when_continued(self):
        terminal = self.talker()
        os.kill(terminal.job, signal.SIGSTOP)
        self.assertEqual(terminal.event(), f"stopped {signal.SIGSTOP.value}")
        terminal.resume()
        terminal.type("end\n")
        self.assertEqual(terminal.event(), "exited 7")

    def test_when_the_command_stops_exec_stops(self):
        script = "echo ready; kill -STOP $$; echo again; exit 4"
        terminal = Terminal(self, self.program, "exec", "--", "sh", "-c", script)
        terminal.expect("ready")
        self.assertRegex(terminal.event(), "^stopped ")
        terminal.resume()
        terminal.expect("again")
        self.assertEqual(terminal.event(), "exited 4")

    def test_a_resize_reaches_the_command(self):
        terminal = self.talker()
        terminal.resize(33, 101)
        terminal.expect("size 33 101")
        terminal.type("end\n")
        self.assertEqual(terminal.event(), "exited 7")


class ExecRecords(AloneCase):
    def test_exec_within_exec_is_one_trace_and_one_session(self):
        self.telemetry("exec", "--", self.program, "exec", "--", "sh", "-c", "true")
        records = self.records(2, "--operation", "command")
        self.assertEqual(len(records), 2)
        self.assertEqual(len({each["trace_id"] for each in records}), 1, records)
        self.assertEqual(len({each["session_id"] for each in records}), 1, records)
        parents = {each.get("parent_span_id") for each in records}
        outer = next(each for each in records if not each.get("parent_span_id"))
        self.assertIn(outer["span_id"], parents)

    def test_twenty_at_once_without_an_agent_leave_twenty_spans_and_one_agent(self):
        self.assertEqual(self.agents(), [])
        running = [
            subprocess.Popen([self.program, "exec", "--", "true"], env=self.env, stdin=subprocess.DEVNULL)
            for _ in range(20)
        ]
        self.assertEqual([each.wait(60) for each in running], [0] * 20)
        records = self.records(20, "--operation", "command")
        self.assertEqual(len(records), 20)
        self.assertEqual(len({each["span_id"] for each in records}), 20)
        eventually(lambda: len(self.agents()) == 1, 10, f"one agent: {self.agents()}")

    def test_forbidden_to_start_an_agent_it_spools_and_the_next_agent_takes_it(self):
        never = {"CODEX_TELEMETRY_AUTOSTART": "0"}
        self.assertEqual(self.telemetry("exec", "--", "true", env=never).returncode, 0)
        self.assertEqual(self.agents(), [])
        self.telemetry("exec", "--", "true")
        self.assertEqual(len(self.records(2, "--operation", "command")), 2)

    def test_what_clients_that_do_not_wait_sent_is_counted_as_stored(self):
        for _ in range(5):
            self.telemetry("exec", "--", "true")
        self.records(5)

        def settled():
            status = json.loads(self.telemetry("status", "--json", check=False).stdout)
            return status["intake"]["in_flight"]["records"] == 0 and status

        status = eventually(settled, 10, "every batch has its outcome")
        intake = status["intake"]
        self.assertEqual(
            intake["received"]["records"],
            intake["stored"]["records"] + intake["duplicate"]["records"],
        )
        self.assertEqual(status["log"]["stored"]["records"], 5)


if __name__ == "__main__":
    unittest.main()

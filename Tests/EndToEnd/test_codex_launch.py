"""`exec --codex` and `setup codex` with the real Codex CLI."""

import collections
import contextlib
import json
import os
import signal
import socket
import stat
import subprocess
import time
import unittest

from codex import SIGNALS
from host import eventually
from otlp_proxy import Recorder
from test_codex import HAS_PYTHON, CodexCase

# Runs of which one has to show it.
TRIES = 5
KINDS = {"span": "traces", "event": "logs", "metrics": "metrics"}


class LaunchCase(CodexCase):
    def setUp(self):
        super().setUp()
        # As a user has it: whoever needs an agent starts it.
        del self.env["CODEX_TELEMETRY_AUTOSTART"]
        # An agent's end waits some seconds for a journal that is not there.
        self.configuration = self.home / ".codex/otel-config.yaml"
        self.configuration.parent.mkdir()
        self.configuration.write_text("exporters: {journald: {enabled: false}}\n")

    def launch(self, user, *more, env=None, **rest):
        """`exec --codex -- codex exec …` in this home."""
        run = user.run(under=[self.program, "exec", "--codex", "--"], env=self.env | (env or {}), more=more, **rest)
        if (env or {}).get("CODEX_TELEMETRY_AUTOSTART") != "0":
            self.assertNotIn("without telemetry", run.text)
        return run

    def turn(self, user, *more, **rest):
        """`launch`, and the run's turn as `tail` shows it. Codex gives up what it could not hand over in some seconds: on a machine
        that has no time for it the turn may be lost. Of several runs one has to show it."""
        for _ in range(TRIES):
            run = self.launch(user, *more, **rest)
            self.assertEqual(run.code, 0, run.text)
            with contextlib.suppress(AssertionError):
                ended = time.monotonic()
                found = self.records(1, "--operation", "turn", seconds=20)[0]
                print(f"  its turn is shown {time.monotonic() - ended:.2f} s after its end", flush=True)
                return run, found
            print(f"  a run of {run.seconds:.1f} s without its turn: {self.arrived_by_signal()}", flush=True)
        self.fail(f"the turn of none of {TRIES} runs arrived")

    def told(self):
        """Every record in the log, as `tail --json` shows it."""
        out = self.telemetry("tail", "--json", "-n", "100000").stdout
        return [json.loads(line) for line in out.splitlines()]

    def of_codex(self):
        """The records that Codex sent."""
        return [each for each in self.told() if each["resource"]["attributes"].get("service.name") == "codex_exec"]

    def arrived_by_signal(self, **attributes):
        """How many records Codex sent, by signal; those whose resource has these attributes."""
        counts = collections.Counter(
            KINDS[each["record"]] for each in self.of_codex() if attributes.items() <= each["resource"]["attributes"].items())
        return {name: counts[name] for name in SIGNALS}

    def own_span(self):
        return next(each for each in self.told() if each["name"] == "codex.command")


class OneRun(LaunchCase):
    """`exec --codex -- codex …`: no file is touched, no agent runs before it."""

    def test_from_an_empty_home_one_command_and_the_turn_is_in_tail(self):
        self.configuration.unlink()
        user = self.codex()
        user.settings()
        before = user.file.read_bytes()
        _, turn = self.turn(user)
        session = {"session.id": turn["resource"]["attributes"]["session.id"]}
        eventually(lambda: self.arrived_by_signal(**session)["metrics"] > 100, 60, "its metrics")
        self.assertEqual(user.file.read_bytes(), before)
        self.assertEqual([name for name in os.listdir(user.folder) if "telemetry" in name], [])
        self.assertEqual(len(self.agents()), 1)
        commands = {each["session_id"]: each for each in self.told() if each["name"] == "codex.command"}
        # Each of its records has the session of a command.
        self.assertLessEqual({each["resource"]["attributes"].get("session.id") for each in self.of_codex()}, set(commands))
        mine = commands[session["session.id"]]
        spans = [each for each in self.of_codex()
                 if each["record"] == "span" and session.items() <= each["resource"]["attributes"].items()]
        inside = [each for each in spans if each.get("trace_id") == mine["trace_id"]]
        # A few tasks that it starts at its own beginning have traces of their own.
        self.assertGreater(len(inside), 0.9 * len(spans))
        self.assertIn(mine["span_id"], {each.get("parent_span_id") for each in inside})
        print(f"  {self.arrived_by_signal(**session)}, {len(inside)} of {len(spans)} spans in the command's trace", flush=True)

    def test_what_the_user_says_wins(self):
        user = self.codex()
        user.settings()
        self.turn(user, "-c", 'otel.exporter="none"', env={"OTEL_RESOURCE_ATTRIBUTES": "team=blue,session.id=mine"})
        self.assertEqual(self.arrived_by_signal()["logs"], 0)
        attributes = self.of_codex()[0]["resource"]["attributes"]
        self.assertEqual((attributes["team"], attributes["session.id"]), ("blue", "mine"))

    def test_what_would_turn_off_codexs_export_is_not_handed_on(self):
        user = self.codex()
        user.settings()
        run, _ = self.turn(user, env={"OTEL_EXPORTER_OTLP_COMPRESSION": "gzip"})
        self.assertIn("OTEL_EXPORTER_OTLP_COMPRESSION=gzip would turn off", run.text)

    def test_an_agent_elsewhere_is_found(self):
        user = self.codex()
        user.settings()
        self.configuration.write_text(
            "receivers: {otlp: {protocols: {http: {endpoint: 'localhost:14318'}}}}\nexporters: {journald: {enabled: false}}\n")
        self.turn(user)

    def take(self, *places):
        """Another program listens there."""
        for address, port in places:
            other = self.enter(socket.socket(socket.AF_INET6 if ":" in address else socket.AF_INET))
            other.bind((address, port))
            other.listen()

    def test_where_another_program_has_a_port_codex_sends_to_one_that_is_the_agents(self):
        self.take(("127.0.0.1", 4318), ("::1", 4318), ("127.0.0.1", 4317))
        user = self.codex()
        user.settings()
        self.turn(user)
        eventually(lambda: all(self.arrived_by_signal().values()), 60, lambda: f"all signals: {self.arrived_by_signal()}")
        places = {each["place"]: each.get("problem", "") for each in self.status()["receivers"][0]["places"]}
        self.assertIn("taken", places["127.0.0.1:4318"])
        self.assertEqual([place for place, problem in places.items() if not problem and place[0] != "/"], ["[::1]:4317"])

    def test_where_another_program_has_every_port_codex_runs_and_is_told(self):
        self.take(*((address, port) for address in ("127.0.0.1", "::1") for port in (4317, 4318)))
        user = self.codex()
        user.settings()
        run = user.run(under=[self.program, "exec", "--codex", "--"], env=self.env)
        self.assertEqual(run.code, 0, run.text)
        self.assertIn("all done", run.text)
        told = next(line for _, line in run.output if "without telemetry" in line)
        for place in ("127.0.0.1:4317", "[::1]:4317", "127.0.0.1:4318", "[::1]:4318"):
            self.assertIn(f"{place}: ", told)
        self.assertIn(f"pid {os.getpid()}", told)
        print(f"  {told}", flush=True)

    def test_where_an_agent_cannot_start_codex_runs_and_is_told(self):
        user = self.codex()
        user.settings()
        # Its sockets have no place.
        (self.home / "run/codex-telemetry").write_text("")
        run = user.run(under=[self.program, "exec", "--codex", "--"], env=self.env)
        self.assertEqual(run.code, 0, run.text)
        self.assertIn("all done", run.text)
        self.assertIn("Codex runs without telemetry: the agent that was started has ended; codex-telemetryd run says why", run.text)

    def test_without_an_agent_codex_runs_as_it_is(self):
        user = self.codex()
        user.settings()
        run = self.launch(user, env={"CODEX_TELEMETRY_AUTOSTART": "0"})
        self.assertEqual(run.code, 0, run.text)
        self.assertIn("Codex runs without telemetry: no agent: CODEX_TELEMETRY_AUTOSTART is 0", run.text)
        self.assertIn("all done", run.text)

    def test_the_agent_stays_while_codex_is_silent(self):
        user = self.codex(silent=True)
        user.settings()
        self.env["CODEX_TELEMETRY_AUTOSTART"] = "0"
        self.start("--on-demand")
        held = []

        def look():
            held.append(self.status_where("exec holds a connection", lambda s: s["producers"]["connections"] > 0, 60))

        run = self.launch(user, kill=signal.SIGTERM, meanwhile=look)
        self.assertEqual(run.code, -signal.SIGTERM, run.text)
        self.assertEqual(len(held), 1)


@HAS_PYTHON
class RunsThatFail(LaunchCase):
    """What arrives of runs whose end Codex does not wait for, beside what it exports by itself."""

    def directly(self, code, user, **rest):
        """Codex by itself, sending to the backend."""
        self.backend()
        recorder = self.enter(Recorder(self.home / "recorded", self.backend_port))
        user.settings(user.exporters(recorder.port))
        run = user.run(**rest)
        self.assertEqual(run.code, code, run.text)
        sent = self.sent(recorder.folder)
        return {name: len(sent[f"/v1/{name}"]) for name in SIGNALS}

    def arrives(self, what, code, **rest):
        """Codex has said most of what it says of such a run when it ends, and waits for nothing: on a machine that has no
        time for the thread that sends, all of it may be lost. Of several runs one has to show that most of it arrives."""
        user = rest["user"]
        direct = self.directly(code, **rest)
        user.settings()
        for attempt in map(str, range(TRIES)):
            run = self.launch(env={"OTEL_RESOURCE_ATTRIBUTES": f"attempt={attempt}"}, **rest)
            self.assertEqual(run.code, code, run.text)
            # What it sent is in the agent's hands; it is in the log when the agent has had its time.
            with contextlib.suppress(AssertionError):
                eventually(lambda attempt=attempt: self.is_there(attempt), 5)
            print(f"  {what}: exec --codex {self.arrived_by_signal(attempt=attempt)}, direct {direct}", flush=True)
            if self.is_there(attempt):
                return
        self.fail(f"{what}: in {TRIES} runs most of it never arrived")

    def is_there(self, attempt):
        """The prompt, and most of the spans."""
        mine = [each for each in self.of_codex() if each["resource"]["attributes"].get("attempt") == attempt]
        return any(each["name"] == "codex.user_prompt" for each in mine) and sum(each["record"] == "span" for each in mine) > 200

    def test_the_model_answers_500(self):
        self.arrives("HTTP 500", 1, user=self.codex(fails=True))

    def test_sigterm(self):
        self.arrives("SIGTERM", -signal.SIGTERM, user=self.codex(silent=True), kill=signal.SIGTERM, after=0.6)
        self.assertEqual(self.own_span()["attributes"]["process.exit.signal"], "SIGTERM")


class SetUp(LaunchCase):
    """`setup codex`: the file."""

    def prepare(self):
        user = self.codex()
        user.settings(["# mine", 'environment = "prod"', 'exporter = "none" # off', "log_user_prompt = false"])
        user.file.chmod(0o640)
        return user

    def setup(self, *words, **rest):
        return self.telemetry("setup", "codex", *words, **rest)

    def test_codex_sends_by_what_is_written_and_undo_restores_it(self):
        user = self.prepare()
        before = user.file.read_bytes()
        told = self.setup().stdout
        self.assertEqual(user.file.read_bytes(), before)
        self.assertIn("Nothing was written", told)
        # What is shown is a patch.
        done = subprocess.run(["patch", "--dry-run", user.file], input=told, capture_output=True, text=True)
        self.assertEqual(done.returncode, 0, done.stdout + done.stderr)
        self.setup("--yes")
        after = user.file.read_text()
        self.assertIn('# mine\nenvironment = "prod"\nexporter = { otlp-http', after)
        self.assertIn("} } # off\nlog_user_prompt = false\ntrace_exporter = ", after)
        self.assertEqual(stat.S_IMODE(user.file.stat().st_mode), 0o640)
        self.assertIn("is as it should be", self.setup("--yes").stdout)
        self.assertEqual(user.file.read_text(), after)
        # It is the real Codex that has to read it.
        self.telemetry("exec", "--", "true")
        run = user.run(under=[self.program, "exec", "--"], env=self.env)
        self.assertEqual(run.code, 0, run.text)
        eventually(lambda: all(self.arrived_by_signal().values()), 60, lambda: f"all signals: {self.arrived_by_signal()}")
        # It joins the command's trace, too.
        own = self.records(2, "--operation", "command")
        trace = next(each["trace_id"] for each in own if each.get("attributes", {}).get("process.executable.name") == "codex")
        spans = [each for each in self.of_codex() if each["record"] == "span"]
        self.assertGreater(sum(each["trace_id"] == trace for each in spans), 0.9 * len(spans))
        self.assertEqual({each["resource"]["attributes"]["env"] for each in self.of_codex()}, {"prod"})
        self.setup("--undo")
        self.assertEqual(user.file.read_text(), after)
        self.setup("--undo", "--yes")
        self.assertEqual(user.file.read_bytes(), before)
        self.assertEqual(stat.S_IMODE(user.file.stat().st_mode), 0o640)
        self.assertEqual([name for name in os.listdir(user.folder) if "telemetry" in name], [])
        told = self.setup("--undo", check=False)
        self.assertEqual(told.returncode, 1)
        self.assertIn("nothing to take back", told.stderr)

    def test_what_codex_wrote_meanwhile_stays(self):
        user = self.prepare()
        before = user.file.read_text()
        self.setup("--yes")
        project = '\n[projects."/home/ada"]\ntrust_level = "trusted"\n'
        user.file.write_text(user.file.read_text() + project)
        self.setup("--undo", "--yes")
        self.assertEqual(user.file.read_text(), before + project)

    def test_what_the_user_changed_in_our_lines_is_not_taken_back(self):
        user = self.prepare()
        self.setup("--yes")
        changed = user.file.read_text().replace("4318/v1/logs", "9/v1/logs")
        user.file.write_text(changed)
        told = self.setup("--undo", "--yes", check=False)
        self.assertEqual(told.returncode, 1)
        self.assertIn("was changed since", told.stderr)
        self.assertIn("config.toml.codex-telemetry-before", told.stderr)
        self.assertEqual(user.file.read_text(), changed)

    def test_a_file_that_was_not_there_is_gone_again(self):
        home = self.home / "elsewhere"
        self.env["CODEX_HOME"] = str(home)
        self.setup("--yes")
        self.assertEqual(stat.S_IMODE((home / "config.toml").stat().st_mode), 0o600)
        self.setup("--undo", "--yes")
        self.assertEqual(os.listdir(home), [])

    def test_a_link_is_followed_and_stays(self):
        user = self.prepare()
        target = self.home / "dotfiles"
        user.file.rename(target)
        user.file.symlink_to(target)
        self.setup("--yes")
        self.assertTrue(user.file.is_symlink())
        self.assertIn("otlp-http", target.read_text())

    def test_what_it_does_not_understand_it_does_not_edit(self):
        user = self.prepare()
        user.file.write_text('model = "x"\notel = { exporter = "none" }\n')
        told = self.setup("--yes", check=False)
        self.assertEqual(told.returncode, 78)
        self.assertIn(f"{user.file}:2: gives otel as a value", told.stderr)
        self.assertEqual([name for name in os.listdir(user.folder) if "telemetry" in name], [])

    def test_what_is_no_toml_is_told_and_not_edited(self):
        user = self.prepare()
        for text, line in (("model = gpt\n", 1), ('model = "x"\n[a]\nb = 1\n[a]\n', 4)):
            user.file.write_text(text)
            told = self.setup("--yes", check=False)
            self.assertEqual(told.returncode, 78, told.stdout)
            self.assertIn(f"{user.file}:{line}: ", told.stderr)
            self.assertEqual(user.file.read_text(), text)
            self.assertEqual([name for name in os.listdir(user.folder) if "telemetry" in name], [])

    def test_what_is_no_file_is_told_and_nothing_is_left_beside_it(self):
        home = self.home / "elsewhere"
        home.mkdir()
        self.env["CODEX_HOME"] = str(home)
        file = home / "config.toml"
        for what, make in (("is no ordinary file", lambda: os.mkfifo(file)),
                           ("is a link to a file that is not there", lambda: file.symlink_to("nowhere.toml")),
                           ("is no ordinary file", file.mkdir)):
            make()
            for words in ([], ["--yes"], ["--undo", "--yes"]):
                told = self.setup(*words, check=False, timeout=60)
                self.assertEqual(told.returncode, 1, told.stdout)
                self.assertIn(f"{file} {what}: not edited", told.stderr)
                self.assertEqual(os.listdir(home), ["config.toml"])
            file.rmdir() if file.is_dir() else file.unlink()

    def test_codex_starts_where_the_file_has_an_exporter_of_grpc(self):
        user = self.codex()
        user.settings(['exporter = { otlp-grpc = { endpoint = "http://127.0.0.1:9" } }'])
        self.turn(user)


if __name__ == "__main__":
    unittest.main()

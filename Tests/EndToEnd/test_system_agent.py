"""The system agent on a booted systemd, used by two ordinary users of different uids."""

import json
import os
import select
import stat
import time
import unittest

from host import eventually
from installed import INGEST, PYTHON, SERVICE, SOCKETS, SOURCE, AgentCase

TOOL = "c9b85e82b9864615aa6f2e773ed3d878"
SECOND = 1_000_000_000

# A client as people use it: spans that rise in number, until told how many are enough.
CLIENT = """
import sys, time
sys.path.insert(0, sys.argv[1] + "/contrib/clients/python")
import codex_telemetry as telemetry
for number in range(int(sys.argv[2])):
    with telemetry.span("codex.tool", {"gen_ai.tool.name": "step", "number": number}):
        time.sleep(0.01)
"""

# A client that goes on until its input ends.
NEXT_CLIENT = """
import sys
sys.path.insert(0, sys.argv[1] + "/contrib/clients/python")
import codex_telemetry as telemetry
with telemetry.span("next.client"):
    pass
sys.stdin.read()
"""


def tool_span(start, **changes):
    """A tool call of 1,240.312 ms with everything that an entry can show."""
    return {
        "name": "codex.tool",
        "trace_id": os.urandom(16).hex(),
        "span_id": os.urandom(8).hex(),
        "parent_span_id": os.urandom(8).hex(),
        "kind": 1,
        "status": 1,
        "start": start,
        "end": start + 1_240_312_000,
        "attributes": {
            "gen_ai.tool.name": "shell",
            "session.id": "0c5e7c62-7a35-4d5f-9d14-3b6a9f4c1a2b",
            "originator": "codex_cli_rs",
            "retry count": 2,
        },
    } | changes


class SystemCase(AgentCase):
    def producer(self, user, *records, service="codex-cli"):
        """Sends one batch as a user and returns what the producer knows of it, once it is stored."""
        given = json.dumps({"service": service, "records": records})
        script = f"{SOURCE}/Tests/EndToEnd/producer.py"
        return json.loads(self.host.run(PYTHON, script, INGEST, user=user, input=given).stdout)

    def entry(self, span, *selection):
        """The journal entry of a span."""
        return self.entries(1, f"CODEX_SPAN_ID={span['span_id']}", *selection)[0]

    def witness(self):
        """What the independent reader counts in the log."""
        told = self.host.run(
            PYTHON, f"{SOURCE}/Tests/Witness/witness.py", "count", "/var/lib/codex-telemetry", "--json"
        )
        return json.loads(told.stdout)

    def drop_in(self, text):
        """Adds settings to the service for this test."""
        path = f"/run/systemd/system/{SERVICE}.d/test.conf"
        self.host.systemctl("stop", SERVICE)
        self.host.write(path, text)
        self.host.systemctl("daemon-reload")

        def undo():
            self.host.path(path).unlink(missing_ok=True)
            self.host.systemctl("daemon-reload")
            self.host.systemctl("kill", "-s", "KILL", SERVICE, check=False)
            self.host.systemctl("stop", SERVICE)
            self.host.systemctl("start", *SOCKETS)

        self.addCleanup(undo)


class SystemAgent(SystemCase):
    def state(self, *units):
        return [self.host.properties(unit, "ActiveState")["ActiveState"] for unit in units]

    def test_the_first_client_of_any_user_activates_the_service(self):
        for user in ("ada", "bob"):
            self.host.systemctl("stop", SERVICE)
            self.assertEqual(self.state(SERVICE, *SOCKETS), ["inactive"] + ["active"] * len(SOCKETS))
            span = tool_span(time.time_ns())
            self.producer(user, span)
            self.assertEqual(self.state(SERVICE), ["active"])
            self.entry(span)

    def test_the_first_question_activates_the_service(self):
        self.host.systemctl("stop", SERVICE)
        self.assertEqual(self.status(user="ada")["agent"]["scope"], "system")
        self.assertEqual(self.state(SERVICE), ["active"])

    def test_every_field_of_an_entry_is_right_in_value(self):
        for user, uid in (("ada", 2001), ("bob", 2002)):
            self.host.systemctl("stop", SERVICE)
            start = time.time_ns() // SECOND * SECOND - 2 * SECOND + 123_456_789
            span = tool_span(start)
            sent = self.producer(user, span)
            entry = self.entry(span)
            whole = time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(start // SECOND))
            expected = {
                "MESSAGE": "tool shell ok in 1.24 s · session …9f4c1a2b · codex-cli",
                "PRIORITY": "6",
                "SYSLOG_IDENTIFIER": "codex-telemetry",
                "MESSAGE_ID": TOOL,
                "CODEX_RECORD": "span",
                "CODEX_NAME": "codex.tool",
                "CODEX_OPERATION": "codex.tool",
                "CODEX_SPAN_KIND": "internal",
                "CODEX_TRACE_ID": span["trace_id"],
                "CODEX_SPAN_ID": span["span_id"],
                "CODEX_PARENT_SPAN_ID": span["parent_span_id"],
                "CODEX_SERVICE": "codex-cli",
                "CODEX_ORIGINATOR": "codex_cli_rs",
                "CODEX_SESSION_ID": "0c5e7c62-7a35-4d5f-9d14-3b6a9f4c1a2b",
                "CODEX_STATUS": "ok",
                "CODEX_DURATION_MS": "1240.312",
                "CODEX_START_TIME": f"{whole}.123456789Z",
                "CODEX_PEER_UID": str(uid),
                "CODEX_LOG_ID": sent["log_id"],
                "CODEX_ATTR_GEN_AI_TOOL_NAME": "shell",
                "CODEX_ATTR_RETRY_COUNT": "2",
            }
            self.assertEqual({key: entry.get(key) for key in expected}, expected)
            self.assertNotIn("CODEX_ERROR_TYPE", entry)
            # The producer's own pid, as the host has it, and the place in the log that it was told.
            self.assertEqual(entry["CODEX_PEER_PID"], str(sent["pid"]))
            offset, index = entry["CODEX_OFFSET"].rsplit(".", 1)
            self.assertEqual((self.offset(offset), index), (sent["offset"], "0"))
            # What the kernel says of the sender is the agent, not the peer.
            self.assertEqual(entry["_SYSTEMD_UNIT"], SERVICE)
            self.assertNotIn("OBJECT_PID", entry)

    @staticmethod
    def offset(text):
        """An offset as the wire has it: the segment in the upper half."""
        if ":" not in text:
            return int(text)
        segment, position = (int(part) for part in text.split(":"))
        return segment << 32 | position

    def test_errors_and_refusals_have_their_priority(self):
        start = time.time_ns()
        failed = tool_span(start, status=2, attributes={"gen_ai.tool.name": "rm", "error.type": "tool_failed"})
        denied = tool_span(start, status=2, attributes={"gen_ai.tool.name": "rm", "error.type": "approval_denied"})
        other = tool_span(start, name="anything.else", status=2, attributes={"error.type": "internal"})
        quiet = tool_span(start, name="anything.else", status=1)
        self.producer("ada", failed, denied, quiet, other)
        seen = {
            what: (self.entry(span)["PRIORITY"], self.entry(span)["CODEX_STATUS"])
            for what, span in (("failed", failed), ("denied", denied), ("other", other))
        }
        self.assertEqual(
            seen, {"failed": ("3", "error"), "denied": ("4", "denied"), "other": ("3", "error")}
        )
        self.assertEqual(self.entry(failed)["CODEX_ERROR_TYPE"], "tool_failed")
        # Journald keeps the order, so that what stood before `other` would be there by now.
        self.assertEqual(self.host.journal(f"CODEX_SPAN_ID={quiet['span_id']}"), [])

    def test_the_journal_explains_an_entry(self):
        span = tool_span(time.time_ns())
        self.producer("ada", span)
        self.entry(span)
        told = self.host.run("journalctl", "-q", "-x", "--no-pager", f"CODEX_SPAN_ID={span['span_id']}").stdout
        for text in (
            "Subject: A coding agent ran a tool",
            "codex-cli ran a tool (codex.tool): status ok",
            f"codex-telemetry trace {span['trace_id']}",
            "runbook/operations.md#tool",
        ):
            self.assertIn(text, told)

    def test_following_the_journal_shows_entries_as_they_come(self):
        first, second = tool_span(time.time_ns()), tool_span(time.time_ns())
        self.producer("ada", first)
        self.entry(first)
        follow = self.host.popen(
            "journalctl", "-f", "-n", "1", "-t", "codex-telemetry", "-o", "json", stdout=-1, text=True
        )
        try:
            self.assertIn(first["span_id"], follow.stdout.readline())
            self.producer("bob", second)
            readable, _, _ = select.select([follow.stdout], [], [], 10)
            self.assertTrue(readable, "nothing followed within 10 s")
            self.assertIn(second["span_id"], follow.stdout.readline())
        finally:
            follow.kill()
            follow.wait()
            follow.stdout.close()

    def test_reload_and_restart_lose_nothing(self):
        before = self.witness()["records"] if self.main_pid() else 0
        start = f"@{time.time():.6f}"
        clients = [
            self.host.popen(PYTHON, "-c", CLIENT, SOURCE, "300", user=user, env={"CODEX_OTEL_ENABLED": "1"})
            for user in ("ada", "bob")
        ]
        for verb in ("reload", "restart", "reload", "restart", "kill"):
            eventually(lambda: self.main_pid(), 10, "the agent runs")
            more = ["-s", "KILL"] if verb == "kill" else []
            self.host.systemctl(verb, *more, SERVICE)
            time.sleep(0.5)  # of the clients' work between two interruptions
        for client in clients:
            self.assertEqual(client.wait(60), 0)
        # What a client could not deliver before its exit lies in its user's spool, which the system's
        # agent never opens: the user's next client brings it.
        for user in ("ada", "bob"):
            self.empty_spool(user)
        entries = self.entries(600, "--since", start, "CODEX_ATTR_GEN_AI_TOOL_NAME=step")
        places = [(each["CODEX_LOG_ID"], each["CODEX_OFFSET"]) for each in entries]
        self.assertEqual((len(places), len(set(places))), (600, 600))
        numbers = sorted((each["CODEX_PEER_UID"], int(each["CODEX_ATTR_NUMBER"])) for each in entries)
        self.assertEqual(numbers, [(uid, n) for uid in ("2001", "2002") for n in range(300)])
        self.telemetry("status")
        count = self.witness()
        self.assertEqual((count["records"] - before, count["exactly_once"]), (602, True))

    def empty_spool(self, user):
        """Lets a client of the user's run, with one span, until nothing is left in the spool."""
        spool = self.host.path(f"/home/{user}/.local/state/codex-telemetry/spool")
        self.status()
        client = self.host.popen(
            PYTHON, "-c", NEXT_CLIENT, SOURCE, user=user, env={"CODEX_OTEL_ENABLED": "1"}, stdin=-1
        )
        try:
            eventually(
                lambda: not list(spool.glob("*.spool")), 20,
                lambda: f"{user}'s spool is empty: {os.listdir(spool)}",
            )
        finally:
            client.stdin.close()
            self.assertEqual(client.wait(30), 0)

    def test_a_reload_with_an_error_fails_and_changes_nothing(self):
        self.producer("ada", tool_span(time.time_ns()))
        pid = self.main_pid()
        self.host.systemctl("reload", SERVICE)
        path = "/etc/codex-telemetry/otel-config.yaml"
        self.host.write(path, "exporters:\n  no_such_thing:\n")
        self.addCleanup(self.host.systemctl, "reload", SERVICE)
        self.addCleanup(lambda: self.host.path(path).unlink())
        told = self.host.systemctl("reload", SERVICE, check=False)
        self.assertNotEqual(told.returncode, 0)
        why = "\n".join(each["MESSAGE"] for each in self.host.journal("-u", SERVICE, "-n", "20"))
        self.assertRegex(why, r"otel-config\.yaml:2.*no_such_thing")
        self.assertEqual((self.main_pid(), self.state(SERVICE)), (pid, ["active"]))
        span = tool_span(time.time_ns())
        self.producer("ada", span)
        self.entry(span)

    def test_the_agent_has_a_dynamic_user_that_can_read_the_journal(self):
        self.producer("ada", tool_span(time.time_ns()))
        uid = os.stat(f"/proc/{self.outside_pid()}").st_uid
        self.assertTrue(61184 <= uid <= 65519, uid)
        state = self.host.path("/var/lib/codex-telemetry")
        self.assertTrue(stat.S_ISLNK(os.lstat(state).st_mode))
        log = os.stat(self.host.path("/var/lib/private/codex-telemetry"))
        self.assertEqual((stat.S_IMODE(log.st_mode), log.st_uid), (0o700, uid))
        journald = next(e for e in self.status()["exporters"] if e["name"] == "journald")
        self.assertEqual(journald["state"], "running", journald)
        self.assertNotIn("sent_unverified", json.dumps(journald))

    def test_users_see_their_own_records_and_root_sees_all(self):
        spans = {user: tool_span(time.time_ns()) for user in ("ada", "bob")}
        for user, span in spans.items():
            self.producer(user, span)

        def seen(user):
            told = self.telemetry("tail", "--json", "-n", "10000", user=user).stdout
            ids = {json.loads(line).get("span_id") for line in told.splitlines()}
            return {name for name, span in spans.items() if span["span_id"] in ids}

        self.assertEqual(
            {user: seen(user) for user in ("ada", "bob", None)},
            {"ada": {"ada"}, "bob": {"bob"}, None: {"ada", "bob"}},
        )

    def test_commands_of_users_reach_the_system_agent(self):
        self.telemetry("exec", "--", "sh", "-c", "exit 3", user="ada", check=False)
        self.telemetry("emit", "event", "deploy.failed", "--severity", "error", user="bob")
        command = self.entries(1, "CODEX_OPERATION=codex.command", "CODEX_ERROR_TYPE=nonzero_exit")[-1]
        self.assertEqual((command["CODEX_PEER_UID"], command["PRIORITY"]), ("2001", "3"))
        event = self.entries(1, "CODEX_NAME=deploy.failed")[-1]
        self.assertEqual((event["CODEX_RECORD"], event["CODEX_PEER_UID"]), ("event", "2002"))

    def outside_pid(self):
        """The agent's process as this machine numbers it."""
        inside = self.main_pid()
        for name in os.listdir("/proc"):
            if not name.isdigit():
                continue
            try:
                with open(f"/proc/{name}/status") as file:
                    numbers = next(line for line in file if line.startswith("NSpid:")).split()[1:]
                same = os.stat(f"/proc/{name}/ns/pid").st_ino == os.stat(f"/proc/{self.host.pid}/ns/pid").st_ino
            except (OSError, StopIteration):
                continue
            if same and numbers[-1] == str(inside):
                return int(name)
        self.fail("the agent does not run")

    def test_status_balances(self):
        self.producer("ada", tool_span(time.time_ns()), tool_span(time.time_ns(), name="other"))

        def settled():
            status = self.status()
            journald = next(e for e in status["exporters"] if e["name"] == "journald")
            return journald["waiting"] == 0 and (status, journald)

        status, journald = eventually(settled, 15, "journald has taken everything")
        intake = status["intake"]
        refused = sum(count["records"] for count in intake["refused"].values())
        self.assertEqual(
            intake["received"]["records"],
            intake["stored"]["records"] + intake["duplicate"]["records"] + refused,
        )
        self.assertEqual(
            journald["stored"],
            journald["delivered"]
            + journald["waiting"]
            + sum(journald["excluded"].values())
            + sum(journald["lost"].values()),
        )
        self.assertEqual(status["log"]["stored"]["records"], self.witness()["records"])
        self.assertEqual(status["agent"]["state"], "running", status["agent"]["reasons"])


class Watchdog(SystemCase):
    """With a watchdog of 2 s instead of 30, so that five periods are short."""

    def restarts(self):
        return int(self.host.properties(SERVICE, "NRestarts")["NRestarts"])

    def test_a_stopped_journald_degrades_and_restarts_nothing(self):
        self.drop_in("[Service]\nWatchdogSec=2s\n")
        self.producer("ada", tool_span(time.time_ns()))
        pid, restarts = self.main_pid(), self.restarts()
        journald = self.host.properties("systemd-journald.service", "MainPID")["MainPID"]
        spans = []
        self.host.run("kill", "-STOP", journald)
        try:
            end = time.monotonic() + 5 * 2 + 1
            while time.monotonic() < end:
                spans.append(tool_span(time.time_ns()))
                asked = time.monotonic()
                self.producer("ada" if len(spans) % 2 else "bob", spans[-1])
                self.assertLess(time.monotonic() - asked, 2, "intake is slow")
                time.sleep(0.2)
            self.assertEqual((self.main_pid(), self.restarts()), (pid, restarts))
            told = self.telemetry("status", "--json", check=False)
            self.assertEqual(told.returncode, 1, told.stdout)
            status = json.loads(told.stdout)
            self.assertEqual((status["agent"]["state"], status["intake"]["state"]), ("degraded", "open"))
            self.assertRegex(" ".join(status["agent"]["reasons"]), "journald")
        finally:
            self.host.run("kill", "-CONT", journald)
        for span in spans:
            self.entry(span)
        for span in spans:
            self.assertEqual(len(self.host.journal(f"CODEX_SPAN_ID={span['span_id']}")), 1)
        eventually(lambda: self.status()["agent"]["state"] == "running", 20, "it recovers")
        self.assertEqual((self.main_pid(), self.restarts()), (pid, restarts))

    def test_a_deadlock_trips_the_watchdog(self):
        self.drop_in(
            "[Service]\nWatchdogSec=2s\nEnvironment=CODEX_TELEMETRY_FAILPOINT=segment.write.before=stall\n"
        )
        self.host.systemctl("start", SERVICE)
        before = self.restarts()
        given = json.dumps({"service": "codex-cli", "records": [tool_span(time.time_ns())]})
        stuck = self.host.popen(
            PYTHON, f"{SOURCE}/Tests/EndToEnd/producer.py", INGEST, user="ada",
            stdin=-1, stdout=-3, stderr=-3, text=True,
        )
        self.addCleanup(lambda: (stuck.kill(), stuck.wait()))
        stuck.stdin.write(given)
        stuck.stdin.close()
        eventually(lambda: self.restarts() > before, 20, "the watchdog restarts the agent")
        said = "\n".join(
            each["MESSAGE"] for each in self.host.journal("--unit", SERVICE) if each.get("_PID") == "1"
        )
        self.assertIn("Watchdog timeout", said)


if __name__ == "__main__":
    unittest.main()

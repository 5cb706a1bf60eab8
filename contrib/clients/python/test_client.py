"""The client against a fake agent: reconnect, resend, spool, fork, exit, limits, environment."""

from __future__ import annotations

import asyncio
import contextlib
import fcntl
import io
import os
import random
import socket
import struct
import subprocess
import sys
import tempfile
import threading
import time
import unittest
from typing import Any
from unittest import mock

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, HERE)

import codex_telemetry as telemetry
from fake_agent import FakeAgent
from batch_reader import read_batch
from frames import read_spool


class ClientTest(unittest.TestCase):
    def setUp(self) -> None:
        holder = tempfile.TemporaryDirectory()
        self.addCleanup(holder.cleanup)
        self.home = holder.name
        self.socket = os.path.join(self.home, "run/codex-telemetry/ingest.sock")
        self.spool = os.path.join(self.home, "state/spool")
        self.env = {"HOME": self.home, "CODEX_OTEL_ENABLED": "1",
                    "XDG_RUNTIME_DIR": os.path.join(self.home, "run"),
                    "CODEX_TELEMETRY_STATE_DIR": os.path.join(self.home, "state")}
        # Whatever agents this host has, only ours are tried.
        self.paths = paths = telemetry.socket_paths
        patch = mock.patch.object(telemetry, "socket_paths", lambda env: [
            path for path in paths(env) if path.startswith(self.home)])
        patch.start()
        self.addCleanup(patch.stop)
        self.stderr = io.StringIO()
        self.enterContext(contextlib.redirect_stderr(self.stderr))
        telemetry._warned.clear()

    def start(self, **more: str) -> None:
        telemetry._recorder = None
        telemetry.init("test", env={**self.env, **more})
        self.addCleanup(self.stop)

    def stop(self) -> None:
        recorder, telemetry._recorder = telemetry._recorder, None
        if recorder:
            recorder.close()
            if recorder.thread:
                recorder.thread.join(5)
            for sock in filter(None, [recorder.link.sock]):
                sock.close()
            if recorder.link.spool_fd is not None:
                os.close(recorder.link.spool_fd)

    def agent(self, **options: Any) -> FakeAgent:
        agent = FakeAgent(self.socket, **options)
        self.addCleanup(agent.close)
        return agent

    def spooled(self) -> list[Any]:
        files = sorted(os.listdir(self.spool)) if os.path.isdir(self.spool) else []
        spools = [read_spool(os.path.join(self.spool, name)) for name in files]
        for name, spool in zip(files, spools):
            self.assertTrue(spool.is_whole)
            self.assertEqual(name, spool.producer.hex() + ".spool")
        return [read_batch(body) for spool in spools for body in spool.batches]


class RecordingTests(ClientTest):
    def test_spans_events_and_metrics_arrive(self) -> None:
        agent = self.agent()
        self.start()
        with telemetry.span("codex.turn", {"model": "m", "n": 3}) as outer:
            with telemetry.span("codex.tool") as inner:
                inner.event("read", {"bytes": 5})
                inner.error("timeout", "late")
            telemetry.event("codex.approval", {"decision": "ok"}, body={"k": [1, None]})
        telemetry.counter("calls", "1").add(2, {"tool": "a"})
        telemetry.gauge("depth").set(1.5)
        telemetry.histogram("took", "ms", bounds=(1, 10)).record(5)
        self.assertTrue(telemetry.flush())
        records = agent.wait(6)
        tool, event, turn, *points = records
        self.assertEqual((tool["name"], turn["name"], turn["attributes"]),
                         ("codex.tool", "codex.turn", [("model", "m"), ("n", 3)]))
        self.assertEqual((tool["trace_id"], tool["parent_span_id"]),
                         (turn["trace_id"], turn["span_id"]))
        self.assertEqual(turn["span_id"], outer.context.span_id)
        self.assertEqual((tool["status"], tool["status_message"]), (2, "late"))
        self.assertEqual(tool["events"][0]["attributes"], [("bytes", 5)])
        self.assertGreaterEqual(turn["end"] - turn["start"], tool["end"] - tool["start"])
        self.assertEqual((event["span_id"], event["body"]), (turn["span_id"], [("k", [1, None])]))
        self.assertEqual([p["type"] for p in points], [3, 3, 4])
        self.assertEqual((points[0]["int"], points[1]["double"], points[2]["buckets"]),
                         (2, 1.5, [0, 1, 0]))
        resource = dict(agent.stored[0].resource["attributes"])
        self.assertEqual(resource["service.name"], "test")

    def test_exceptions_pass_through_and_are_named(self) -> None:
        agent = self.agent()
        self.start()
        for error, kind in ((TimeoutError(), "timeout"), (ConnectionResetError(), "transport"),
                            (ValueError("secret"), "internal"), (KeyboardInterrupt(), "cancelled")):
            with self.assertRaises(type(error)), telemetry.span("x"):
                raise error
        with self.assertRaises(SystemExit), telemetry.span("x"):
            raise SystemExit(0)
        telemetry.flush()
        spans = agent.wait(5)
        self.assertEqual([dict(span.get("attributes", ())).get("error.type") for span in spans],
                         ["timeout", "transport", "internal", "cancelled", None])
        self.assertNotIn("secret", repr(spans))

    def test_decorators_and_coroutines(self) -> None:
        agent = self.agent()
        self.start()

        @telemetry.traced("plain", a=1)
        def plain(x: int) -> int:
            return x + 1

        @telemetry.traced("waiting")
        async def waiting() -> int:
            await asyncio.sleep(0)
            return plain(1)

        async def both() -> list[int]:
            return await asyncio.gather(waiting(), waiting())

        self.assertEqual(asyncio.run(both()), [2, 2])
        telemetry.flush()
        spans = agent.wait(4)
        parents = {s["span_id"] for s in spans if s["name"] == "waiting"}
        self.assertEqual({s["parent_span_id"] for s in spans if s["name"] == "plain"}, parents)

    def test_nothing_that_a_host_does_raises(self) -> None:
        agent = self.agent()
        self.start()

        class Hostile:
            def __str__(self) -> str:
                raise RuntimeError("no")
        loop: list[Any] = []
        loop.append(loop)
        with telemetry.span("a", {"x": Hostile()}) as span:
            span.set("y", 1)
            span.set(Hostile(), 1)
            span.event(Hostile())
        with telemetry.span("b", {"loop": loop, "huge": 1 << 80, "half": "\ud800", 5: object}):
            pass
        telemetry.span(Hostile())
        telemetry.span("c", 7)
        telemetry.event("d", severity="high")
        telemetry.counter("n").add("three")
        telemetry.counter("n").add("more")
        with telemetry.span("last"):
            pass
        telemetry.flush()
        self.assertIn("last", [record.get("name") for record in agent.wait(2)])
        telemetry.event("later")
        telemetry.flush()
        last = agent.stored[-1]
        self.assertEqual(sum(b.header["dropped_spans"] for b in agent.stored), 1, last.header)

    def test_disabled_records_nothing_and_starts_nothing(self) -> None:
        threads = threading.active_count()
        for more in ({"CODEX_OTEL_ENABLED": "off"}, {"OTEL_SDK_DISABLED": "true"}):
            self.start(**more)
            with telemetry.span("x") as span:
                span.set("a", 1)
            telemetry.event("x")
            telemetry.counter("x").add(1)
            self.assertTrue(telemetry.flush())
        self.assertEqual(threading.active_count(), threads)
        self.assertEqual(self.spooled(), [])

    def test_a_flood_is_bounded_and_its_drops_are_counted(self) -> None:
        self.start()
        link = telemetry._recorder.link
        with mock.patch.object(telemetry._recorder, "_awaken"):
            for n in range(2_000):
                telemetry.event("e", {"text": "x" * 60_000})
        self.assertLess(telemetry._recorder.queued, telemetry.QUEUE_BYTES_MAX)
        agent = self.agent()
        telemetry.flush(10)
        records = agent.wait(1)
        telemetry.event("last")
        telemetry.flush(10)
        dropped = sum(b.header["dropped_logs"] for b in agent.stored)
        self.assertGreater(dropped, 1_500)
        self.assertEqual(dropped + len(agent.records()), 2_001)
        self.assertEqual((link.unacked_bytes, bool(records)), (0, True))


class ConversationTests(ClientTest):
    def test_hello_names_the_client_and_the_environment_not_its_values(self) -> None:
        agent = self.agent()
        self.start(CODEX_OTLP_ENDPOINT="https://secret", OTEL_EXPORTER_OTLP_HEADERS="k=secret")
        telemetry.event("x")
        telemetry.flush()
        agent.wait(1)
        keys = dict(agent.hellos[0]["keys"])
        self.assertEqual(keys["environment"], "CODEX_OTLP_ENDPOINT,OTEL_EXPORTER_OTLP_HEADERS")
        self.assertEqual((keys["client.name"], agent.hellos[0]["flags"]), ("python", 1))
        self.assertNotIn("secret", repr(agent.hellos))

    def test_what_was_not_acked_is_sent_again_in_order_and_stored_once(self) -> None:
        agent = self.agent()
        agent.kill_after = 3
        self.start()
        for n in range(6):
            telemetry.event("e", {"n": n})
            telemetry._recorder.step(0.05)
        self.assertEqual(len(agent.wait(3)), 3)
        again = self.agent()
        again.highest, again.stored = agent.highest, agent.stored
        telemetry.flush(10)
        records = again.wait(6)
        self.assertEqual([dict(r["attributes"])["n"] for r in records], list(range(6)))
        self.assertEqual([b.header["sequence"] for b in again.stored], [1, 2, 3, 4, 5, 6])

    def test_the_window_is_kept(self) -> None:
        agent = self.agent(ack=False, window=3_000)
        self.start()
        for n in range(10):
            telemetry.event("e", {"n": n, "text": "x" * 1_000})
            telemetry._recorder.step(0.02)
        agent.wait(3)
        self.assertLessEqual(len(agent.records()), 4)
        self.assertEqual(len(telemetry._recorder.link.unacked), 10)

    def test_a_refused_batch_is_dropped_and_counted(self) -> None:
        agent = self.agent()
        agent.refuse = {2}
        self.start()
        for n in range(4):
            telemetry.event("e", {"n": n})
            telemetry.flush()
        records = agent.wait(3)
        self.assertEqual([dict(r["attributes"])["n"] for r in records], [0, 2, 3])
        self.assertEqual([b.header["dropped_logs"] for b in agent.stored], [0, 1, 0])

    def test_a_throttle_is_waited_for(self) -> None:
        agent = self.agent()
        agent.throttle_ms = 300
        self.start()
        began = time.monotonic()
        telemetry.event("e")
        telemetry._recorder.step(0.05)
        agent.throttle_ms = None
        telemetry.flush(5)
        self.assertEqual(len(agent.wait(1)), 1)
        self.assertGreater(time.monotonic() - began, 0.25)
        self.assertEqual(self.spooled(), [])

    def test_a_throttle_is_read_though_the_write_failed(self) -> None:
        self.start()
        telemetry.event("e")
        link = telemetry._recorder.link
        ours, theirs = socket.socketpair()
        ours.setblocking(False)

        class ClosesBeforeTheWrite:
            def __getattr__(self, name: str) -> object:
                return getattr(ours, name)

            def send(self, *rest: object) -> int:
                theirs.sendall(telemetry.frame(0x83, struct.pack("<HHI", 0x20, 0, 60_000)))
                theirs.close()
                return ours.send(*rest)

        link.sock, link.out, link.received = ClosesBeforeTheWrite(), bytearray(b"x"), bytearray()
        link.sent = link.in_flight = 0
        link.welcomed, link.window = True, 1 << 20
        link.exchange(time.monotonic() + 1)
        self.assertIsNone(link.sock)
        self.assertGreater(link.retry_at, time.monotonic() + 50)

    def test_a_socket_of_another_owner_is_not_trusted(self) -> None:
        agent = self.agent()
        with mock.patch.object(telemetry, "_owners", lambda: {4_000_000}):
            self.start()
            telemetry.event("e")
            telemetry.flush()
        self.assertEqual((agent.hellos, len(self.spooled())), ([], 1))

    def test_the_order_of_places(self) -> None:
        paths = self.paths({"HOME": self.home, "CODEX_TELEMETRY_SOCKET": "/a",
                            "XDG_RUNTIME_DIR": "/b"})
        self.assertEqual(paths[:2], ["/a", "/b/codex-telemetry/ingest.sock"])
        self.assertEqual(paths[-2:], [self.home + "/.codex/telemetry/ingest.sock",
                                      "/run/codex-telemetry/ingest.sock"])

    def test_a_path_that_is_too_long_is_one_clear_warning(self) -> None:
        path = os.path.join(self.home, "x" * 120)
        with open(path, "w"):
            pass
        with mock.patch("stat.S_ISSOCK", lambda mode: True):
            self.start(CODEX_TELEMETRY_SOCKET=path)
            telemetry.event("e")
            telemetry.flush()
        self.assertIn(path, self.stderr.getvalue())

    def test_garbage_from_the_other_side_is_survived(self) -> None:
        chance = random.Random(7)
        self.start()
        link = telemetry._recorder.link
        for _ in range(300):
            ours, theirs = socket.socketpair()
            ours.setblocking(False)
            with theirs:
                link.sock, link.out, link.received = ours, bytearray(), bytearray()
                link.sent = link.in_flight = 0
                link.welcomed, link.since, link.window = False, time.monotonic(), 100
                body = chance.randbytes(chance.randrange(80))
                kind = chance.choice((0x81, 0x82, 0x83, 0x84, 0x99))
                theirs.sendall(telemetry.frame(kind, body)
                               if chance.random() < 0.7 else chance.randbytes(40))
                link.exchange(time.monotonic() + 0.001)
                link.close()


class PlaceTests(ClientTest):
    def test_relative_paths_of_xdg_are_ignored(self) -> None:
        env = {"HOME": self.home, "XDG_RUNTIME_DIR": "run", "XDG_STATE_HOME": "state"}
        self.assertEqual(self.paths(env), self.paths({"HOME": self.home}))
        directory = telemetry.spool_directory(env)
        self.assertEqual(os.readlink(f"/proc/self/fd/{directory}"),
                         f"{os.path.realpath(self.home)}/.local/state/codex-telemetry/spool")
        os.close(directory)
        self.assertFalse(os.path.exists("state"))


class SharedIdTests(ClientTest):
    def test_what_is_not_acked_to_one_who_shares_the_id_goes_under_a_new_one(self) -> None:
        agent = self.agent()
        agent.supersede_at = 2
        self.start()
        for n in range(4):
            telemetry.event("e", {"n": n})
            telemetry.flush()
        records = agent.wait(4)
        self.assertEqual([dict(each["attributes"])["n"] for each in records], list(range(4)))
        named = [(b.header["producer"], b.header["sequence"]) for b in agent.stored]
        self.assertEqual([sequence for _, sequence in named], [1, 1, 2, 3])
        self.assertEqual(len({producer for producer, _ in named}), 2)
        self.assertEqual(self.spooled(), [])


class SpoolTests(ClientTest):
    def test_without_an_agent_batches_are_spooled_and_the_file_is_locked(self) -> None:
        self.start()
        for n in range(3):
            telemetry.event("e", {"n": n})
            self.assertTrue(telemetry.flush())
        batches = self.spooled()
        self.assertEqual([b.header["sequence"] for b in batches], [1, 2, 3])
        [name] = os.listdir(self.spool)
        path = os.path.join(self.spool, name)
        self.assertEqual(os.stat(path).st_mode & 0o7777, 0o600)
        self.assertEqual(os.stat(self.spool).st_mode & 0o7777, 0o700)
        with open(path, "rb") as file:
            with self.assertRaises(BlockingIOError):
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            self.stop()
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)

    def test_after_the_spool_a_new_producer_goes_to_the_socket(self) -> None:
        self.start()
        telemetry.event("spooled")
        telemetry.flush()
        old = telemetry._recorder.link.producer
        agent = self.agent()
        telemetry._recorder.link.retry_at = 0
        telemetry.event("sent")
        telemetry.flush()
        self.assertEqual([r["event_name"] for r in agent.wait(1)], ["sent"])
        self.assertNotEqual(agent.stored[0].header["producer"], old)
        self.assertEqual(agent.stored[0].header["sequence"], 1)
        [batch] = self.spooled()
        self.assertEqual((batch.header["producer"], batch.records[0]["event_name"]),
                         (old, "spooled"))

    def test_what_is_in_doubt_is_spooled_first(self) -> None:
        agent = self.agent(ack=False)
        self.start()
        telemetry.event("in doubt")
        telemetry._recorder.step(0.1)
        agent.wait(1)
        agent.stop()
        os.unlink(self.socket)
        telemetry.event("later")
        telemetry._recorder.step(0.05)
        telemetry._recorder.link.lost_at -= telemetry.GRACE_S
        telemetry.flush()
        batches = self.spooled()
        self.assertEqual([b.records[0]["event_name"] for b in batches], ["in doubt", "later"])
        self.assertEqual({b.header["producer"] for b in batches},
                         {agent.stored[0].header["producer"]})

    def test_a_place_that_is_not_ours_alone_is_no_spool(self) -> None:
        for make in (lambda: os.makedirs(self.spool, 0o755),
                     lambda: os.symlink("/tmp", self.spool)):
            os.makedirs(os.path.dirname(self.spool), exist_ok=True)
            make()
            self.start()
            telemetry.event("e")
            self.stop()
            self.assertIn("no spool directory", self.stderr.getvalue())
            os.unlink(self.spool) if os.path.islink(self.spool) else os.rmdir(self.spool)

    def test_a_full_spool_drops_the_newest_and_counts(self) -> None:
        with mock.patch.object(telemetry, "SPOOL_FILE_BYTES_MAX", 2_000):
            self.start()
            for n in range(10):
                telemetry.event("e", {"n": n, "text": "x" * 400})
                telemetry.flush()
            self.assertIn("the spool is full", self.stderr.getvalue())
        kept = len(self.spooled())
        self.assertTrue(0 < kept < 10)
        self.stop()
        batches = self.spooled()
        self.assertEqual(batches[-1].records, [])  # The last batch only says what is missing.
        self.assertEqual(sum(b.header["dropped_logs"] for b in batches), 10 - kept)

    def test_a_drainer_that_takes_the_empty_file_first_takes_nothing(self) -> None:
        self.start()
        flock, taken = fcntl.flock, []

        def drained_before(fd: int, how: int) -> None:
            if not taken:
                taken.extend(os.listdir(self.spool))
                os.unlink(os.path.join(self.spool, taken[0]))
            flock(fd, how)
        with mock.patch("fcntl.flock", drained_before):
            telemetry.event("e")
            telemetry.flush()
        self.assertEqual((len(taken), len(self.spooled())), (1, 1))


    def test_a_refused_batch_and_a_fatal_error_keep_no_spool_file_for_ever(self) -> None:
        for code in (0, 0x02, 0x07):
            self.start()
            telemetry.event("earlier")
            telemetry.flush()
            self.stop()
            agent = self.agent()
            if code:
                agent.fatal = code
            else:
                agent.refuse.add(1)
            link = telemetry._Link(self.env, lambda counts: None)
            link.drain(time.monotonic() + 5)
            left = os.listdir(self.spool)
            self.assertEqual([name[32:] for name in left],
                             {0: [], 0x02: [".damaged"], 0x07: [".spool"]}[code])
            for name in left:
                os.unlink(os.path.join(self.spool, name))
            agent.close()

    def test_a_spool_file_of_nobody_is_left_alone(self) -> None:
        os.makedirs(self.spool, mode=0o700)
        os.chmod(os.path.join(self.home, "state"), 0o700)
        with open(os.path.join(self.spool, "other.spool"), "wb") as file:
            os.chmod(file.name, 0o600)
            file.write(bytes(200))
        self.agent()
        telemetry._Link(self.env, lambda counts: None).drain(time.monotonic() + 5)
        self.assertEqual(os.listdir(self.spool), ["other.spool"])

    def test_what_earlier_clients_spooled_is_sent_to_the_systems_agent(self) -> None:
        for n in range(2):
            self.start()
            telemetry.event("earlier", {"n": n})
            telemetry.flush()
            self.stop()
        files = sorted(os.listdir(self.spool))
        os.link(os.path.join(self.spool, files[0]), os.path.join(self.home, "second link"))
        with open(os.path.join(self.spool, "f" * 32 + ".spool"), "wb") as living:
            os.chmod(living.name, 0o600)
            fcntl.flock(living, fcntl.LOCK_EX)
            agent = self.agent()
            with mock.patch.object(telemetry, "SYSTEM_SOCKET", self.socket):
                self.start()
                telemetry.event("now")
                telemetry.flush()
                self.assertEqual(len(agent.wait(2)), 2)
                until = time.monotonic() + 5
                while len(os.listdir(self.spool)) > 2 and time.monotonic() < until:
                    time.sleep(0.005)
        # A file with a second link, and one whose writer lives, are left alone.
        self.assertEqual(sorted(os.listdir(self.spool)), [files[0], "f" * 32 + ".spool"])
        self.assertEqual({b.header["producer"].hex() + ".spool" for b in agent.stored}
                         & set(files), {files[1]})


    def test_of_a_damaged_file_all_but_the_damage_is_sent_and_the_file_is_kept(self) -> None:
        self.start()
        for n in range(3):
            telemetry.event("earlier", {"n": n})
            telemetry.flush()
        self.stop()
        [name] = os.listdir(self.spool)
        path = os.path.join(self.spool, name)
        [_, second, _] = [body for kind, body in read_spool(path).frames if kind == 2]
        with open(path, "r+b") as file:
            at = file.read().index(second)
            file.seek(at - 12)  # The length, which then leads past the third.
            file.write(bytes((second_byte := (len(second) ^ 0x40) & 255,)))
            self.assertNotEqual(second_byte, len(second) & 255)
        agent = self.agent()
        with mock.patch.object(telemetry, "SYSTEM_SOCKET", self.socket):
            self.start()
            telemetry.event("now")
            telemetry.flush()
            self.assertEqual(len(agent.wait(3)), 3)
            until = time.monotonic() + 5
            while os.listdir(self.spool) == [name] and time.monotonic() < until:
                time.sleep(0.005)
        self.assertEqual(os.listdir(self.spool), [name[:-6] + ".damaged"])
        self.assertEqual(sorted(b.header["sequence"] for b in agent.stored
                                if b.header["producer"].hex() == name[:32]), [1, 3])


class ProcessTests(ClientTest):
    def run_python(self, script: str, **more: str) -> subprocess.CompletedProcess:
        return subprocess.run([sys.executable, "-c", "import codex_telemetry as t\n" + script],
                              env={**self.env, "PYTHONPATH": HERE, **more}, timeout=20, text=True,
                              capture_output=True)

    def test_exit_right_after_the_last_record_loses_nothing(self) -> None:
        agent = self.agent()
        done = self.run_python("with t.span('last'): pass")
        self.assertEqual((done.returncode, done.stderr), (0, ""))
        self.assertEqual([r["name"] for r in agent.wait(1)], ["last"])
        self.assertEqual(agent.goodbyes, 1)

    def test_a_dead_agent_does_not_kill_a_host_with_deadly_sigpipe(self) -> None:
        agent = self.agent()
        agent.kill_after = 1
        done = self.run_python("""
import signal, time
signal.signal(signal.SIGPIPE, signal.SIG_DFL)
for n in range(8):
    t.event('e', {'n': n})
    time.sleep(0.11)
""")
        self.assertEqual((done.returncode, done.stderr), (0, ""))
        kept = agent.records() + [r for batch in self.spooled() for r in batch.records]
        self.assertEqual(sorted({dict(r["attributes"])["n"] for r in kept}), list(range(8)))

    def test_an_agent_that_never_answers_does_not_hold_the_exit(self) -> None:
        agent = self.agent(ack=False, welcome=False)
        began = time.monotonic()
        done = self.run_python("with t.span('last'): pass")
        self.assertLess(time.monotonic() - began, 3)
        self.assertEqual(done.returncode, 0)
        self.assertEqual([r["name"] for r in agent.wait(1)], ["last"])
        self.assertEqual([b.records[0]["name"] for b in self.spooled()], ["last"])

    def test_a_fork_is_a_producer_of_its_own(self) -> None:
        agent = self.agent()
        done = self.run_python("""
import os, sys
with t.span('parent'):
    t.event('before')
    pid = os.fork()
    if pid == 0:
        with t.span('child'): pass
        sys.exit(0)
    os.waitpid(pid, 0)
""")
        self.assertEqual((done.returncode, done.stderr), (0, ""))
        records = agent.wait(3)
        names = sorted(r.get("name") or r["event_name"] for r in records)
        self.assertEqual(names, ["before", "child", "parent"])
        self.assertEqual(len(agent.highest), 2)
        spans = {r["name"]: r for r in records if r["type"] == 1}
        self.assertEqual(spans["child"]["parent_span_id"], spans["parent"]["span_id"])

    def test_multiprocessing_children_deliver(self) -> None:
        agent = self.agent()
        done = self.run_python("""
import multiprocessing
def work():
    with t.span('work'): pass
if t.init():
    context = multiprocessing.get_context('fork')
    children = [context.Process(target=work) for _ in range(3)]
    [c.start() for c in children]; [c.join() for c in children]
""")
        self.assertEqual((done.returncode, done.stderr), (0, ""))
        self.assertEqual(len(agent.wait(3)), 3)

    def test_the_minimal_client_is_valid(self) -> None:
        agent = self.agent()
        subprocess.run([sys.executable, os.path.join(HERE, "minimal.py"), self.socket, "a", "ü", "a"],
                       check=True, timeout=20)
        self.assertEqual([record["name"] for record in agent.wait(3)], ["a", "ü", "a"])
        self.assertEqual(agent.stored[0].resource["attributes"], [("service.name", "minimal")])
        with open(os.path.join(HERE, "minimal.py"), encoding="utf-8") as file:
            self.assertLessEqual(len(file.readlines()), 100)

    def test_console(self) -> None:
        done = self.run_python("with t.span('x', {'a': 'ü\\n'}): pass",
                               CODEX_OTEL_EXPORTER="console")
        self.assertRegex(done.stderr, r"^codex-telemetry span x \d+\.\d{3} ms \{.*u00fc\\n.*\}\n$")
        self.assertEqual(self.spooled(), [])

    def test_a_killed_process_loses_at_most_its_flush_interval(self) -> None:
        self.run_python("import os, time; t.event('kept'); time.sleep(0.5); os.kill(os.getpid(), 9)")
        self.assertEqual([b.records[0]["event_name"] for b in self.spooled()], ["kept"])


class EnvironmentTests(ClientTest):
    def test_the_enabling_rule(self) -> None:
        def on(**env: str) -> bool:
            return telemetry.is_enabled({"HOME": self.home, **env})
        self.assertFalse(on())
        for value in ("true", "1", "yes", "on", "TRUE"):
            self.assertTrue(on(CODEX_OTEL_ENABLED=value))
            self.assertFalse(on(CODEX_OTEL_ENABLED=value, OTEL_SDK_DISABLED="true"))
        os.makedirs(os.path.join(self.home, ".codex"))
        with open(os.path.join(self.home, ".codex/otel-config.yaml"), "w"):
            pass
        self.assertTrue(on())
        for value in ("false", "0", "no", "off", ""):
            self.assertFalse(on(CODEX_OTEL_ENABLED=value))
        self.assertEqual(self.stderr.getvalue(), "")
        self.assertFalse(on(CODEX_OTEL_ENABLED="maybe"))
        self.assertIn("CODEX_OTEL_ENABLED='maybe'", self.stderr.getvalue())

    def test_bad_values_are_one_warning_each(self) -> None:
        for _ in range(2):
            self.start(CODEX_OTEL_SAMPLE_RATE="1.5", CODEX_OTEL_EXPORTER="consle")
        lines = self.stderr.getvalue().splitlines()
        self.assertEqual(len(lines), 2)
        self.assertIn("CODEX_OTEL_SAMPLE_RATE='1.5'", lines[0])
        self.assertIn("CODEX_OTEL_EXPORTER='consle'", lines[1])

    def test_sampling_goes_by_trace_id_and_the_header_says_the_threshold(self) -> None:
        agent = self.agent()
        self.start(CODEX_OTEL_SAMPLE_RATE="0.25")
        for n in range(2_000):
            with telemetry.span("a"), telemetry.span("b"):
                pass
        telemetry.counter("c").add(1)
        telemetry.flush()
        spans = [r for r in agent.wait(1) if r["type"] == 1]
        threshold = 3 << 54
        self.assertTrue(700 < len(spans) < 1_300, len(spans))
        self.assertTrue(all(int.from_bytes(s["trace_id"][9:], "big") >= threshold for s in spans))
        self.assertEqual({b.header["threshold"] for b in agent.stored}, {threshold})
        self.assertEqual(spans[0]["trace_state"], "ot=th:c")

    def test_a_parents_decision_wins(self) -> None:
        agent = self.agent()
        trace = "0" * 31 + "1"
        self.start(CODEX_OTEL_SAMPLE_RATE="0.0", TRACEPARENT=f"00-{trace}-{'2' * 16}-01",
                   TRACESTATE="v=1,ot=p:8;th:8", BAGGAGE="session.id=s%201;x=y, originator=cli")
        with telemetry.span("kept"):
            child: dict[str, str] = {}
            telemetry.inject(child)
        telemetry.flush()
        [span] = agent.wait(1)
        self.assertEqual((span["trace_id"].hex(), span["parent_span_id"].hex()), (trace, "2" * 16))
        self.assertEqual(agent.stored[0].header["threshold"], 8 << 52)
        resource = dict(agent.stored[0].resource["attributes"])
        self.assertEqual((resource["session.id"], resource["originator"]), ("s 1", "cli"))
        self.assertEqual(child["TRACEPARENT"], f"00-{trace}-{span['span_id'].hex()}-01")
        self.assertEqual(child["TRACESTATE"], "v=1,ot=p:8;th:8")
        self.assertEqual(child["BAGGAGE"], "session.id=s%201,originator=cli")

        self.stop()
        self.start(TRACEPARENT=f"00-{trace}-{'2' * 16}-00")
        with telemetry.span("left out"):
            telemetry.event("too")
            telemetry.inject(child)
        self.assertTrue(child["TRACEPARENT"].endswith("-00"))
        self.assertEqual(telemetry._recorder.queue, [])

    def test_bad_traceparents_are_ignored(self) -> None:
        good = f"{'a' * 32}-{'b' * 16}-01"
        for value in ("", "x", f"ff-{good}", f"00-{good}-x", f"00-{'0' * 32}-{'b' * 16}-01",
                      f"00-{'a' * 32}-{'0' * 16}-01", f"00-{good.upper()}"):
            self.assertIsNone(telemetry.context_from({"TRACEPARENT": value}), value)
        for value in (f"00-{good}", f"01-{good}-later"):
            self.assertIsNotNone(telemetry.context_from({"TRACEPARENT": value}))


if __name__ == "__main__":
    unittest.main()

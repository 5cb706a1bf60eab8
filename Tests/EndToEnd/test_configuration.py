"""The configuration as its users meet it: broken files, reloads while records flow, the environment, and what the
Collector's users already have."""

import json
import os
import signal
import unittest

from host import eventually
from otlp_backends import BackendCase
from test_otlp_intake import PYTHON, free_port

ALIASES = "a: &a [x, x, x, x, x, x, x, x, x, x]\n" + "".join(
    f"{new}: &{new} [{', '.join(['*' + old] * 10)}]\n" for old, new in zip("abcde", "bcdef"))
PLAIN = "service: {pipelines: {traces: {exporters: ["

# What is wrong, the file, and what the error says: the place, the key, what would be right.
BROKEN = [
    ("a tab", "exporters:\n\tjournald: {}\n", r":2:1: not YAML: .*spaces alone"),
    ("a bracket that does not close", "log: {cap: 1GiB\n", r":\d:\d+: not YAML: .*brackets"),
    ("an unknown key", "log:\n  capp: 1GiB\n", r":2:3: unknown key log\.capp; known here: cap, fsync"),
    ("an unknown component", "exporters:\n  zipkin: {}\n", r":2:3: unknown key exporters\.zipkin; known here: .*otlp_http"),
    ("an unknown section", "exporter: {}\n", r":1:1: unknown key exporter; known here: .*exporters"),
    ("a wrong type", "log: [1GiB]\n", r":1:6: log must be a mapping"),
    ("no truth value", "receivers: {otlp: {enabled: 'yes, please'}}\n", r":1:29: receivers\.otlp\.enabled is .* true or false"),
    ("a bad duration", "log: {retention: 1 week}\n", r":1:18: log\.retention is '1 week'; it must be a duration, .* as 100ms"),
    ("a bad size", "log: {cap: much}\n", r":1:12: log\.cap is 'much'; it must be a size"),
    ("a bad endpoint", "exporters: {otlp_http: {endpoint: 'collector'}}\n",
     r":1:35: exporters\.otlp_http\.endpoint is 'collector'; it must be a URL, as https://"),
    ("half an address", "exporters: {otlp_http: {endpoint: 'http://[::1'}}\n",
     r":1:35: exporters\.otlp_http\.endpoint is 'http://\[::1'; it must be a URL"),
    ("a NUL", 'exporters: {file: {path: "/a\\0b"}}\n', r":1:26: exporters\.file\.path has a NUL character in it .*take it out"),
    ("a place of the system", "exporters: {file: {path: /dev/stdout}}\n",
     r":1:26: exporters\.file\.path is '/dev/stdout', where no file can be kept; name one .*debug"),
    ("one file twice", "exporters:\n  file: {path: /a/b}\n  file/c: {path: /a/.//b}\n",
     r":2:16: exporters\.file\.path is another exporter's, too; each needs its own"),
    ("a proxy of gRPC", "exporters: {otlp_grpc: {endpoint: 'b:1', proxy_url: 'http://p'}}\n",
     r":1:53: exporters\.otlp_grpc\.proxy_url: gRPC goes without a proxy; through one goes otlp_http"),
    ("no endpoint", "exporters:\n  otlp_http/a:\n", r":2:3: exporters\.otlp_http/a needs an endpoint, as http://"),
    ("an undefined exporter", PLAIN + "otlp_http]}}}\n",
     r":1:44: service\.pipelines\.traces\.exporters names otlp_http, .*define it under exporters, .*: journald"),
    ("a key twice", "log: {cap: 1GiB}\nlog: {cap: 2GiB}\n", r":2:1: log stands twice; keep one"),
    ("a variable that is not set", "log: {cap: '${env:CODEX_TEST_NOT_SET}'}\n",
     r":1:12: the environment variable CODEX_TEST_NOT_SET is not set .*\$\{env:CODEX_TEST_NOT_SET:-default\}"),
    ("a processor that cannot be carried out", "processors: {redaction: {}}\n",
     r":1:25: processors\.redaction: .*take it out of the file"),
    ("aliases of aliases", ALIASES, r":\d+:\d+: not YAML: more than \d+ levels or \d+ values"),
    ("brackets in brackets", "log:\n  " + "[" * 100_000, r":2:35: not YAML: more than 32 levels or 10000 values"),
    ("lists in lists", "- " * 100_000, r":1:67: not YAML: more than 32 levels or 10000 values"),
    ("two documents", "log: {}\n---\nlog: {}\n", r":3:1: not YAML: a second document begins"),
    ("UTF-16", "log: {}\n".encode("utf-16"), r"yaml: it is UTF-16, .*; save it as UTF-8"),
    ("UTF-16 without a mark", "log: {}\n".encode("utf-16-le"), r"yaml: it is UTF-16, .*; save it as UTF-8"),
    ("a mark inside", b"log: {}\n\xef\xbb\xbfexporters: {}\n", r":2:1: a byte order mark \(U\+FEFF\), .*take it out"),
    ("a FIFO", "fifo", r"yaml: it is a FIFO, which is not read; name a file"),
    ("no text", b"log: {cap: \xff}\n", r":1:12: it is not UTF-8; save it as UTF-8"),
    ("10 MB", "# " + "x" * 10_000_000, r"cannot be read: .*1 MiB at most"),
    ("no file", None, r"cannot be read: .*make it, or name another one"),
    ("a directory", "directory", r"cannot be read: .*name the file in it"),
]


class Broken(BackendCase):
    """Each error says file, place, key and remedy; intake goes on throughout."""

    def write(self, content):
        if self.config.is_dir():
            self.config.rmdir()
        self.config.unlink(missing_ok=True)
        if content == "directory":
            self.config.mkdir()
        elif content == "fifo":
            os.mkfifo(self.config)
        elif content is not None:
            self.config.write_bytes(content if isinstance(content, bytes) else content.encode())

    def check(self, expected):
        told = self.telemetry("config", "check", self.config, check=False)
        self.assertEqual(told.returncode, 78, told.stdout + told.stderr)
        self.assertRegex(told.stderr, expected)
        self.assertIn(str(self.config), told.stderr)

    def test_at_reload_the_old_one_stays_in_force(self):
        backend = self.backend()
        right = {
            "receivers": {"otlp": {"enabled": False}},
            "exporters": {"otlp_http": {"endpoint": backend.url, "start_at": "beginning"}},
        }
        self.write(json.dumps(right))
        self.start("--config", self.config)
        producer = self.produce(pause=0.002)
        for what, content, expected in BROKEN:
            with self.subTest(what):
                self.write(content)
                self.check(expected)
                told = self.telemetry("config", "reload", check=False)
                self.assertNotEqual(told.returncode, 0)
                self.assertRegex(told.stderr, expected)
                status = self.status(1)
                self.assertRegex(" ".join(status["agent"]["reasons"]), expected)
                self.assertEqual([each["name"] for each in status["exporters"]], ["journald", "otlp_http"])
                before = producer.acked
                eventually(lambda: producer.acked > before, 20, "the intake goes on")
        self.write(json.dumps(right))
        self.telemetry("config", "reload")
        stored = self.stored(producer)
        self.delivered("otlp_http", stored)
        self.assertEqual(backend.count(), stored)
        self.assertFalse([each for each in self.status()["agent"]["reasons"] if "configuration" in each])
        self.stop()
        self.assert_all_there(producer)

    def test_at_the_start_the_built_in_default_is_in_force(self):
        for number, (what, content, expected) in enumerate(BROKEN):
            with self.subTest(what):
                self.write(content)
                # The built-in default has OTLP's usual ports, which may be another agent's here.
                self.start("--config", self.config)
                self.telemetry("emit", "event", f"broken.{number}")
                status = self.status(1)
                self.assertRegex(" ".join(status["agent"]["reasons"]), expected)
                self.assertEqual([each["name"] for each in status["exporters"]], ["journald"])
                self.records(1, "--name", f"broken.{number}")
                self.stop()
                self.assertRegex(self.messages.read_text(), expected)

    def test_what_is_no_file_to_write_is_told_by_check_reload_and_start(self):
        (self.home / "folder").mkdir()
        os.mkfifo(self.home / "pipe")
        (self.home / "plain").write_text("")
        (self.home / "link").symlink_to("folder")
        self.config.write_text("{}")
        self.start("--config", self.config)
        for path, expected in (
                ("folder", "is a directory; name a file in it"), ("pipe", "is a FIFO; name a file"),
                ("plain/below/it", f"is below {self.home}/plain, which is no directory"),
                ("folder/a", "is another exporter's, too"), ("link", "is a symbolic link, which is not followed")):
            with self.subTest(path):
                self.config.write_text(
                    f"exporters:\n  file: {{path: {self.home}/link/a}}\n  file/b: {{path: {self.home}/{path}}}\n")
                self.check(rf":3:18: exporters\.file/b\.path .*{expected}")
                told = self.telemetry("config", "reload", "--config", self.config, check=False)
                self.assertNotEqual(told.returncode, 0)
                self.assertIn(expected, told.stdout + told.stderr)
        self.stop()
        # With the last of them.
        self.start("--config", self.config)
        self.assertIn("file", [each["name"] for each in self.status(None)["exporters"]])
        self.assertRegex(self.messages.read_text(), expected)
        self.stop()

    def test_a_proxy_that_cannot_be_used_is_told(self):
        self.config.write_text("exporters: {otlp_http: {endpoint: 'https://a.example'}, otlp_grpc: {endpoint: 'b.example:1'}}\n")
        for proxy, expected in (("socks5://u:hunter2@p:1", "HTTPS_PROXY is not used, and a.example is reached without a proxy"),
                                ("http://u:hunter2@p:1", "HTTPS_PROXY is not used by exporters.otlp_grpc: gRPC goes without")):
            told = self.telemetry("config", "check", self.config, env={"HTTPS_PROXY": proxy, "NO_PROXY": ""})
            self.assertIn(expected, told.stderr)
            self.assertNotIn("hunter2", told.stderr)
            exempt = self.telemetry("config", "check", self.config, env={"HTTPS_PROXY": proxy, "NO_PROXY": ".example"})
            self.assertEqual(exempt.stderr, "")
            self.start("--config", self.config, env={"HTTPS_PROXY": proxy, "NO_PROXY": ""})
            self.assertIn(expected, " ".join(self.status(None)["agent"]["warnings"]))
            self.stop()

    def test_a_secret_is_in_no_error(self):
        self.config.write_text(
            "exporters:\n  otlp_http:\n    endpoint: ${env:SECRET}\n    headers: {Authorization: 'a\\u0001${env:SECRET}'}\n"
            "  otlp_http/b: {endpoint: 'https://user:hunter2@host'}\n")
        told = self.telemetry("config", "check", self.config, check=False, env={"SECRET": "hunter2"})
        self.assertEqual(told.returncode, 78)
        self.assertEqual(told.stderr.count("\n"), 2, told.stderr)
        self.assertNotIn("hunter2", told.stdout + told.stderr)


class Odd(BackendCase):
    """What is unusual and right."""

    def test_files_as_other_systems_write_them(self):
        plain = "log:\n  cap: 512MiB\n"
        for what, content in [
            ("CRLF", plain.replace("\n", "\r\n").encode()), ("BOM", b"\xef\xbb\xbf" + plain.encode()),
            ("UTF-8", b"# \xc3\xa4\xe2\x82\xac\n" + plain.encode()), ("no newline", plain.strip().encode()),
            ("a begin and an end of the document", b"---\n" + plain.encode() + b"...\n"),
            ("an anchor", b"log: &a {cap: 512MiB}\n"), ("a tag", b"log: !!map {cap: !!str 512MiB}\n"),
            ("a merge", b"receivers: &a\n  codex: &c {connections_max: 9}\nlog: {cap: 512MiB}\n"),
        ]:
            with self.subTest(what):
                path = self.home / "a path with spaces" / "ä 'quoted'.yaml"
                path.parent.mkdir(exist_ok=True)
                path.write_bytes(content)
                self.telemetry("config", "check", path)
                shown = self.telemetry("config", "--config", path).stdout
                self.assertRegex(shown, r"(?m)^log\.cap: 512MiB +# .* with spaces/ä 'quoted'\.yaml:\d$")

    def test_without_a_home_there_is_the_default(self):
        environment = {name: value for name, value in self.env.items() if name != "HOME"}
        self.env = environment
        shown = self.telemetry("config").stdout
        self.assertRegex(shown, r"(?m)^log\.retention: 7d +# default$")


    @unittest.skipUnless(PYTHON.exists(), "contrib/prerequisites --tests has not been run: no OpenTelemetry SDK")
    def test_our_own_receiver_can_be_switched_off(self):
        self.port = free_port()
        self.config.write_text(json.dumps({"receivers": {
            "codex": {"enabled": False},
            "otlp": {"protocols": {"http": {"endpoint": f"localhost:{self.port}"}}},
        }}))
        self.start("--config", self.config, wait=False)
        control = self.home / "run/codex-telemetry/control.sock"
        eventually(control.exists, 20, "the agent answers questions")
        self.status_where("the receiver is open", lambda s: s["receivers"] and not self.closed_places(s))
        sent = self.sdk(f"http://localhost:{self.port}", "http", 10)
        self.assertEqual(
            self.status()["intake"]["stored"]["records"], sum(sent[each] for each in ("spans", "logs", "points")))
        self.assertFalse((control.parent / "ingest.sock").exists())
        self.assertIn("receivers.codex is switched off", self.messages.read_text())
        self.stop()


@unittest.skipUnless(PYTHON.exists(), "contrib/prerequisites --tests has not been run: no OpenTelemetry classes")
class Reload(BackendCase):
    def put(self, exporters, pipelines=None):
        whole = {"receivers": {"otlp": {"enabled": False}}, "exporters": exporters}
        if pipelines:
            whole["service"] = {"pipelines": pipelines}
        self.config.write_text(json.dumps(whole))

    def names(self):
        return sorted(each["name"] for each in self.status()["exporters"])

    def test_exporters_come_change_and_go_while_records_flow(self):
        one, two = self.backend(), self.backend()
        first = {"endpoint": one.url, "start_at": "beginning"}
        second = {"endpoint": two.url, "start_at": "beginning"}
        self.put({"otlp_http": first})
        self.start("--config", self.config)
        producer = self.produce(pause=0.001)

        def goes_on(count=200):
            before = producer.acked
            eventually(lambda: producer.acked > before + count, 30, "records flow")

        goes_on()
        self.put({"otlp_http": first, "otlp_http/two": second})
        self.agent.send_signal(signal.SIGHUP)
        eventually(lambda: self.names() == ["journald", "otlp_http", "otlp_http/two"], 20, "the second is there")
        goes_on()
        for scope in ("a", "b", "c"):
            self.put({"otlp_http": first | {"headers": {"X-Scope": scope}}, "otlp_http/two": second})
            self.telemetry("config", "reload")
            goes_on()
        self.put({"otlp_http": first, "journald": {"enabled": False}})
        self.telemetry("config", "reload")
        self.assertEqual(self.names(), ["otlp_http"])
        goes_on()
        self.put({"otlp_http": first, "otlp_http/two": second},
                 {"traces": {"exporters": ["otlp_http/two"]}, "logs": {"exporters": ["otlp_http"]}})
        self.telemetry("config", "reload")
        goes_on()
        self.put({"otlp_http": first, "otlp_http/two": second})
        self.telemetry("config", "reload")
        goes_on()
        stored = self.stored(producer)
        # The first was to get no spans for a while.
        figures = eventually(lambda: (e := self.exporter("otlp_http"))["waiting"] == 0 and e, 30, "the first has all")
        left_out = figures["excluded"]["not_selected"]
        self.assertGreater(left_out, 200)
        self.assertEqual(figures["delivered"] + left_out, stored)
        self.assertEqual(one.count(), figures["delivered"])
        self.delivered("otlp_http/two", stored)
        self.assertEqual(two.count(), stored)
        self.assertEqual({"a", "b", "c", None}, {line["headers"].get("X-Scope") for line in one.lines()})
        self.stop()
        self.assert_all_there(producer)
        print(f"  {stored} spans through 7 reloads, each once at both backends but {left_out} that were not "
              "selected", flush=True)


@unittest.skipUnless(PYTHON.exists(), "contrib/prerequisites --tests has not been run: no OpenTelemetry SDK")
class Environment(BackendCase):
    def begin(self, environment):
        self.port = free_port()
        self.config.write_text(json.dumps(
            {"receivers": {"otlp": {"protocols": {"http": {"endpoint": f"localhost:{self.port}"}}}}}))
        self.env = {name: value for name, value in self.env.items() if not name.startswith(("OTEL_", "CODEX_OTEL_"))}
        self.start("--config", self.config, env=environment)
        self.status_where("the receiver is open", lambda s: not self.closed_places(s))

    def test_the_endpoint_of_every_profile_makes_no_loop(self):
        self.port = free_port()
        self.config.write_text("{}")
        for host in ("localhost", "127.0.0.1"):
            with self.subTest(host):
                told = self.telemetry(
                    "config", "--config", self.config, env={"OTEL_EXPORTER_OTLP_ENDPOINT": f"http://{host}:4318"})
                self.assertNotIn("otlp_http", told.stdout)
                self.assertIn("OTEL_EXPORTER_OTLP_ENDPOINT is not used", told.stderr)
                self.assertIn("this agent's own receiver", told.stderr)

    def test_an_agent_with_its_own_address_in_its_environment_stores_each_record_once(self):
        self.port = free_port()
        self.config.write_text(json.dumps(
            {"receivers": {"otlp": {"protocols": {"http": {"endpoint": f"localhost:{self.port}"}}}}}))
        self.start("--config", self.config, env={"OTEL_EXPORTER_OTLP_ENDPOINT": f"http://localhost:{self.port}"})
        self.status_where("the receiver is open", lambda s: not self.closed_places(s))
        sent = self.sdk(f"http://localhost:{self.port}", "http", 50)
        total = sum(sent[each] for each in ("spans", "logs", "points"))
        status = self.status_where("journald has gone through", lambda s: s["exporters"][0]["waiting"] == 0)
        self.assertEqual([each["name"] for each in status["exporters"]], ["journald"])
        self.assertEqual(status["intake"]["stored"]["records"], total)
        self.assertIn("OTEL_EXPORTER_OTLP_ENDPOINT is not used", " ".join(status["agent"]["warnings"]))
        self.stop()

    def test_ours_goes_before_the_standards_and_gets_what_it_says(self):
        ours, theirs = self.backend(), self.backend()
        self.begin({
            "CODEX_OTLP_ENDPOINT": ours.url + "/v1/traces", "CODEX_OTLP_HEADERS": "x-key=ours;x-more=a%20b",
            "OTEL_EXPORTER_OTLP_ENDPOINT": theirs.url, "OTEL_EXPORTER_OTLP_HEADERS": "x-key=theirs",
            "OTEL_EXPORTER_OTLP_COMPRESSION": "none",
            "OTEL_RESOURCE_ATTRIBUTES": "team=blue%2C%20green,service.name=not-yours",
        })
        sent = self.sdk(f"http://localhost:{self.port}", "http", 50)
        total = sum(sent[each] for each in ("spans", "logs", "points"))
        self.delivered("otlp_http", total)
        self.assertEqual((ours.count(), theirs.count()), (total, 0))
        for line in ours.lines():
            self.assertEqual((line["headers"]["x-key"], line["headers"]["x-more"]), ("ours", "a b"))
            self.assertNotIn("Content-Encoding", line["headers"])
            for resource in line["resources"]:
                self.assertEqual((resource["team"], resource["service.name"]), ("blue, green", "sdk-http"))
        self.stop()


if __name__ == "__main__":
    unittest.main()

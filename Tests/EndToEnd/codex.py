"""The real Codex CLI, alone: a network of its own that has nothing but the loopback, a fake of the model's interface,
and a home of its own.

    with loopback(), Model() as model:
        run = Codex(home, model).run("say hello")
"""

import contextlib
import ctypes
import dataclasses
import http.server
import json
import os
import pathlib
import subprocess
import threading
import time

from host import _raise_loopback
from installed import ROOT

PROGRAM = ROOT / ".build/codex/codex_cli_bin/bin/codex"
CLONE_NEWNET = 0x40000000
SIGNALS = ("logs", "traces", "metrics")
KEYS = {"logs": "exporter", "traces": "trace_exporter", "metrics": "metrics_exporter"}


def why_not():
    """What keeps Codex from being run here, None if nothing does."""
    if not PROGRAM.exists():
        return "contrib/prerequisites --tests has not been run: no Codex"
    if os.geteuid() != 0:
        return "a network namespace needs root"
    return None


@contextlib.contextmanager
def loopback():
    """This thread, and whatever it starts meanwhile, in a network namespace that has the loopback and no more: nothing
    can leave the machine, and every port is free."""
    libc = ctypes.CDLL(None, use_errno=True)
    with open("/proc/thread-self/ns/net") as before:
        if libc.unshare(CLONE_NEWNET) != 0:
            raise OSError(ctypes.get_errno(), "unshare of the network")
        try:
            _raise_loopback()
            yield
        finally:
            if libc.setns(before.fileno(), CLONE_NEWNET) != 0:
                raise OSError(ctypes.get_errno(), "setns of the network")


class Model:
    """A fake of the Responses API on the loopback. Each conversation gets `tools` calls of a tool, one after the other, then a
    message. `fails`: it answers 500 instead. `silent`: it takes requests and never answers them."""

    def __init__(self, tools=1, command="echo hello", fails=False, silent=False):
        self.tools, self.command, self.fails, self.silent = tools, command, fails, silent
        self.requests, self.asked, self._ending = [], threading.Event(), threading.Event()
        model = self

        class Answer(http.server.BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_POST(self):
                body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
                if not self.path.endswith("/responses"):
                    # What it tells of its costs; nobody needs it.
                    return self._plain(200)
                request = json.loads(body)
                model.requests.append(request)
                model.asked.set()
                if model.silent:
                    model._ending.wait(120)
                    return None
                if model.fails:
                    return self._plain(500)
                self.send_response(200)
                self.send_header("Content-Type", "text/event-stream")
                self.send_header("Connection", "close")
                self.end_headers()
                for event in model.events(request):
                    self.wfile.write(f"event: {event['type']}\ndata: {json.dumps(event)}\n\n".encode())
                return None

            def _plain(self, status):
                self.send_response(status)
                self.send_header("Content-Length", "2")
                self.end_headers()
                self.wfile.write(b"{}")

            def log_message(self, *_):
                pass

        self._server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Answer)
        self._server.daemon_threads = True
        self.port = self._server.server_address[1]

    def __enter__(self):
        threading.Thread(target=self._server.serve_forever, daemon=True).start()
        return self

    def __exit__(self, *_):
        self._ending.set()
        self._server.shutdown()
        self._server.server_close()

    def events(self, request):
        """The answer to a request, as server-sent events."""
        done = sum(item.get("type") == "function_call_output" for item in request["input"])
        identity = f"resp_{len(self.requests)}"
        if done < self.tools:
            # The tool's name and its argument, as this version of Codex offers them.
            item = {"type": "function_call", "call_id": f"call_{done + 1}", "name": "exec_command",
                    "arguments": json.dumps({"cmd": self.command})}
        else:
            item = {"type": "message", "role": "assistant", "id": "message_1",
                    "content": [{"type": "output_text", "text": "all done"}]}
        usage = {"input_tokens": 11, "input_tokens_details": {"cached_tokens": 3}, "output_tokens": 7,
                 "output_tokens_details": {"reasoning_tokens": 2}, "total_tokens": 18}
        return [{"type": "response.created", "response": {"id": identity}},
                {"type": "response.output_item.done", "item": item},
                {"type": "response.completed", "response": {"id": identity, "usage": usage}}]


@dataclasses.dataclass
class Run:
    """How a run of Codex ended. `code`: as Popen has it. `output`: (seconds since the start, line). `last`: from its last
    output to its exit."""

    code: int
    output: list
    last: float
    seconds: float

    @property
    def text(self):
        return "\n".join(line for _, line in self.output)


class Codex:
    """Codex with a home of its own, which is the caller's to remove."""

    def __init__(self, home, model):
        self.home, self.model = pathlib.Path(home), model
        self.folder, self.work = self.home / ".codex", self.home / "work"
        self.file = self.folder / "config.toml"
        for folder in (self.folder, self.work):
            folder.mkdir(exist_ok=True)
        self.env = {"HOME": str(self.home), "PATH": "/usr/local/bin:/usr/bin:/bin", "LANG": "C.UTF-8"}

    def settings(self, telemetry=None):
        """Its config.toml. `telemetry`: None for no [otel] table, else the lines of one."""
        text = (
            'model = "gpt-test"\nmodel_provider = "fake"\n\n'
            "[model_providers.fake]\n"
            f'name = "fake"\nbase_url = "http://127.0.0.1:{self.model.port}/v1"\nwire_api = "responses"\n'
            "request_max_retries = 0\nstream_max_retries = 0\n\n"
            # They would be fetched from elsewhere, and Codex waits 5 s before it gives that up.
            "[features]\nplugins = false\n"
        )
        if telemetry is not None:
            text += "\n[otel]\n" + "\n".join(telemetry) + "\n"
        self.file.write_text(text)

    @staticmethod
    def exporters(port, protocol="binary"):
        """Lines of [otel] for an endpoint on the loopback; `protocol`: binary, json or grpc."""
        if protocol == "grpc":
            return [f'{KEYS[each]} = {{ otlp-grpc = {{ endpoint = "http://127.0.0.1:{port}" }} }}' for each in SIGNALS]
        return [
            f'{KEYS[each]} = {{ otlp-http = {{ endpoint = "http://127.0.0.1:{port}/v1/{each}", protocol = "{protocol}" }} }}'
            for each in SIGNALS
        ]

    def words(self, prompt="say hello", *more):
        return [str(PROGRAM), "exec", "--skip-git-repo-check", "--dangerously-bypass-approvals-and-sandbox", *more, prompt]

    def run(self, prompt="say hello", *, under=(), env=None, kill=None, after=0, meanwhile=None, timeout=180, more=()):
        """Runs it to its end. `under`: the words of a command that runs it. `kill`: a signal that the process gets
        `after` seconds from when the model was asked, and once `meanwhile` has returned."""
        self.model.asked.clear()
        start = time.monotonic()
        process = subprocess.Popen(
            [*map(str, under), *self.words(prompt, *more)], cwd=self.work, env=self.env | (env or {}),
            stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
        )
        output, watchdog = [], threading.Timer(timeout, process.kill)
        watchdog.start()

        def send():
            if self.model.asked.wait(timeout):
                time.sleep(after)
                try:
                    if meanwhile:
                        meanwhile()
                finally:
                    process.send_signal(kill)

        if kill is not None:
            threading.Thread(target=send, daemon=True).start()
        with process.stdout:
            for line in process.stdout:
                output.append((time.monotonic() - start, line.decode(errors="replace").rstrip("\n")))
        code = process.wait()
        end = time.monotonic() - start
        if not watchdog.is_alive():
            raise AssertionError(f"Codex did not end within {timeout} s\n{output}")
        watchdog.cancel()
        return Run(code, output, end - (output[-1][0] if output else 0), end)

#!/usr/bin/python3
"""How long the real Codex CLI takes from its last output to its exit, by the state of the backend: direct export, with the
agent in between, and beside it, run by run in turn, an endpoint that answers at once.

    contrib/bench/codex_exit.py [--runs 10] [--direct-runs 3]

Needs root (a network namespace) and contrib/prerequisites --tests. The agent is $CODEX_TELEMETRYD, else the debug build. Direct export
takes 20 s and more a run in two of the states: it has runs of its own. The bar: with the agent in between every state's median and
maximum are within 30 ms of those of the endpoint that answers at once. The exit code is 1 if it was missed.
"""

import argparse
import contextlib
import http.server
import json
import os
import pathlib
import shutil
import signal
import socket
import statistics
import subprocess
import sys
import tempfile
import threading

ROOT = pathlib.Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "Tests/EndToEnd"))
sys.dont_write_bytecode = True

import codex  # noqa: E402
from host import eventually  # noqa: E402
from installed import binary  # noqa: E402

AGENT, BACKEND, INSTANT = 4318, 9999, 9998
STATES = ("up", "refusing", "accepting and never answering", "dropping packets")
BAR_SECONDS = 0.030


class Answer(http.server.BaseHTTPRequestHandler):
    """Takes everything at once."""

    protocol_version = "HTTP/1.1"

    def do_POST(self):
        self.rfile.read(int(self.headers["Content-Length"]))
        self.send_response(200)
        self.send_header("Content-Length", "0")
        self.end_headers()

    def log_message(self, *_):
        pass


@contextlib.contextmanager
def instant(port):
    """An endpoint that answers at once."""
    server = http.server.ThreadingHTTPServer(("127.0.0.1", port), Answer)
    server.daemon_threads = True
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield
    finally:
        server.shutdown()
        server.server_close()


@contextlib.contextmanager
def backend(state):
    """What listens on the backend's port in a state."""
    if state == "up":
        with instant(BACKEND):
            yield
        return
    with contextlib.ExitStack() as stack:
        if state != "refusing":
            away = stack.enter_context(socket.socket())
            away.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            away.bind(("127.0.0.1", BACKEND))
            # With its queue of connections full the kernel drops who comes.
            away.listen(64 if state.startswith("accepting") else 0)
            if state.startswith("dropping"):
                stack.enter_context(socket.create_connection(away.getsockname()))
        yield


@contextlib.contextmanager
def agent(home):
    """An agent that passes on to the backend."""
    config = home / "agent.yaml"
    config.write_text(json.dumps({"exporters": {
        "otlp_http": {"endpoint": f"http://127.0.0.1:{BACKEND}"}, "journald": {"enabled": False}}}))
    env = {"HOME": str(home), "XDG_RUNTIME_DIR": str(home), "PATH": os.environ["PATH"]}
    process = subprocess.Popen([binary(), "run", "--user", "--config", config], env=env, stdin=subprocess.DEVNULL,
                               stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)

    def listens():
        with socket.socket() as probe:
            return probe.connect_ex(("127.0.0.1", AGENT)) == 0

    try:
        eventually(listens, 20, "the agent listens")
        yield
    finally:
        process.send_signal(signal.SIGTERM)
        process.wait()


def measure(home, ports, runs):
    """Seconds from last output to exit, of each run, by port; the ports have their runs in turn."""
    found = {port: [] for port in ports}
    with codex.Model() as model:
        user = codex.Codex(home, model)
        for port in ports * runs:
            user.settings(user.exporters(port))
            run = user.run(timeout=300)
            if run.code != 0:
                raise SystemExit(run.text)
            found[port].append(run.last)
    return found


def shown(figures):
    return f"median {statistics.median(figures):7.3f} s, max {max(figures):7.3f} s of {len(figures)}"


@contextlib.contextmanager
def a_home():
    home = pathlib.Path(tempfile.mkdtemp(prefix="codex-exit-"))
    try:
        yield home
    finally:
        shutil.rmtree(home)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--runs", type=int, default=10)
    parser.add_argument("--direct-runs", type=int, default=3)
    options = parser.parse_args()
    why_not = codex.why_not()
    if why_not:
        raise SystemExit(why_not)
    missed = 0
    with codex.loopback(), instant(INSTANT):
        with a_home() as home:
            measure(home, [INSTANT], 1)  # the program's pages are read once
        for state in STATES:
            with a_home() as home, backend(state), agent(home):
                found = measure(home, [INSTANT, AGENT], options.runs)
            over = [of(found[AGENT]) - of(found[INSTANT]) for of in (statistics.median, max)]
            is_met = max(over) <= BAR_SECONDS
            missed += not is_met
            print(f"{state}: the agent in between  {shown(found[AGENT])}; at once  {shown(found[INSTANT])}; "
                  f"{over[0] * 1000:+.0f} and {over[1] * 1000:+.0f} ms: {'met' if is_met else 'MISSED'}", flush=True)
            if options.direct_runs:
                with a_home() as home, backend(state):
                    figures = measure(home, [BACKEND], options.direct_runs)[BACKEND]
                print(f"{state}: direct  {shown(figures)}", flush=True)
    return 1 if missed else 0


if __name__ == "__main__":
    sys.exit(main())

"""What the measures run: the programs, and an agent of one's own in a temporary home."""

import json
import os
import pathlib
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time

from figures import Processor, memory

HERE = pathlib.Path(__file__).resolve().parent
ROOT = HERE.parents[1]
BUILD = ["-c", "release", "--static-swift-stdlib"]


def program(product, variable):
    """The path of one of the package's programs: named by the environment, else built for release."""
    named = os.environ.get(variable)
    if named:
        return pathlib.Path(named)
    subprocess.run(["swift", "build", *BUILD, "--product", product], cwd=ROOT, check=True,
                   stdin=subprocess.DEVNULL, stdout=sys.stderr)
    shown = subprocess.run(["swift", "build", *BUILD, "--show-bin-path"], cwd=ROOT, check=True,
                           capture_output=True, text=True)
    return pathlib.Path(shown.stdout.strip(), product)


class Tools:
    """The programs under test and those beside them, built where they are missing."""

    def __init__(self, scratch, report):
        self.scratch, self.report = pathlib.Path(scratch), report
        named = os.environ.get("CODEX_TELEMETRYD")
        # What is measured is what contrib/install installs: stripped.
        self.agent = self._strip(pathlib.Path(named) if named else self._swift("codex-telemetryd"))
        self.load = self._swift("batch-load")
        self.floor = self.c("floor")
        self.journal_sender = self.c("journal_sender")

    def _swift(self, product):
        try:
            return program(product, "")
        except (OSError, subprocess.CalledProcessError) as error:
            self.report.lacks(product, f"could not be built: {error}")
            return None

    def client_bench(self):
        """The client's own micro benchmarks, nil where the package has none."""
        if "\"client-bench\"" not in (ROOT / "Package.swift").read_text():
            return None
        return self._swift("client-bench")

    def _strip(self, program):
        if program is None or not program.exists():
            return None
        stripped = self.scratch / "codex-telemetryd"
        if shutil.which("strip"):
            subprocess.run(["strip", "-o", stripped, program], check=True)
        else:
            shutil.copy(program, stripped)
        return stripped

    def c(self, name, *libraries):
        """A C program of this folder, None where it cannot be built."""
        program = self.scratch / name
        try:
            subprocess.run(["cc", "-O2", "-o", program, HERE / f"{name}.c", *libraries], check=True)
            return program
        except (OSError, subprocess.CalledProcessError) as error:
            self.report.lacks(name, f"cc -O2 {name}.c failed: {error}")
            return None

    def frames(self, batch, spans):
        """A file of the very frames that batch-load sends."""
        path = self.scratch / f"frames-{batch}"
        if not path.exists():
            subprocess.run([self.load, "--dump", path, "--spans", str(spans), "--batch", str(batch)],
                           check=True)
        return path

    def run_floor(self, frames, size, producers=4, pause=0, sync=False):
        """The C program's figures for `size` bytes of the file's frames."""
        output = self.scratch / "floor.out"
        words = [self.floor, frames, output, str(size), str(producers), str(pause)]
        done = subprocess.run(words + (["sync"] if sync else []), check=True, capture_output=True, text=True)
        output.unlink()
        return json.loads(done.stdout)

    def run_load(self, path, *words, timeout=600):
        """The load generator's figures."""
        line = [self.load, path, *map(str, words)]
        done = subprocess.run(line, capture_output=True, text=True, timeout=timeout)
        if done.returncode != 0:
            raise RuntimeError(f"batch-load failed: {done.stdout}{done.stderr}")
        return json.loads(done.stdout)


class Agent:
    """A user agent with a home, a log and sockets of its own; gone afterwards."""

    def __init__(self, tools, configuration="exporters: {journald: {enabled: false}}\n"):
        self.program, self.configuration = str(tools.agent), configuration

    def __enter__(self):
        # A socket's path has at most 107 bytes: not below a deep scratch folder.
        self.home = pathlib.Path(tempfile.mkdtemp(prefix="cxt-bench-"))
        (self.home / "run").mkdir(mode=0o700)
        self.env = {"HOME": str(self.home), "XDG_RUNTIME_DIR": str(self.home / "run"),
                    "PATH": os.environ["PATH"], "LANG": "C.UTF-8", "TZ": "UTC"}
        words = [self.program, "run", "--user"]
        if self.configuration:
            (self.home / "otel-config.yaml").write_text(self.configuration)
            words += ["--config", str(self.home / "otel-config.yaml")]
        self.socket = str(self.home / "run/codex-telemetry/ingest.sock")
        self.state = self.home / ".local/state/codex-telemetry"
        self.output = open(self.home / "output", "w+")
        self.process = subprocess.Popen(words, env=self.env, stdin=subprocess.DEVNULL,
                                        stdout=self.output, stderr=self.output)
        self.proc = f"/proc/{self.process.pid}"
        try:
            self._wait_until_open()
        except RuntimeError:
            self.__exit__()
            raise
        return self

    def _wait_until_open(self):
        end = time.monotonic() + 20
        while time.monotonic() < end and self.process.poll() is None:
            with socket.socket(socket.AF_UNIX) as probe:
                try:
                    return probe.connect(self.socket)
                except OSError:
                    time.sleep(0.01)
        self.output.seek(0)
        raise RuntimeError(f"the agent did not open its intake:\n{self.output.read()}")

    def __exit__(self, *_):
        self.stop()
        self.output.close()
        shutil.rmtree(self.home, ignore_errors=True)

    def stop(self):
        """SIGTERM, and waits: the log is closed cleanly."""
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
            try:
                self.process.wait(30)
            except subprocess.TimeoutExpired:
                self.process.kill()
                self.process.wait()

    def processor(self):
        return Processor(self.proc)

    def memory(self):
        return memory(self.proc)

    def log_bytes(self):
        """What the segments hold, headers and footers included; exact after `stop`."""
        return sum(path.stat().st_size for path in (self.state / "log").glob("*.segment"))

    def status(self):
        done = subprocess.run([self.program, "status", "--json"], env=self.env, capture_output=True, text=True)
        return json.loads(done.stdout)

"""Every command in README.md and the runbook, run on a host; every snippet, through its compiler.

A command that RECIPES does not know fails: a page that tells people to type something has it tried.
"""

import dataclasses
import functools
import os
import pathlib
import re
import shlex
import shutil
import subprocess
import tempfile
import unittest

import documents
from host import eventually
from installed import ROOT, AgentCase, binary

PAGES = ["README.md"] + sorted(f"runbook/{page.name}" for page in (ROOT / "runbook").glob("*.md"))
# A tree with the scripts and no tests: contrib/test must not come back to this file.
TREE = "/usr/local/src/tree"
TRACE = object()  # stands for the id of the trace that the README's example left


@dataclasses.dataclass
class Recipe:
    """How a command is tried. `says`: found in what it prints. `put`: words of the page and what a
    reader puts there. `before`, `after`: what has to be so, and how it is put back once its block ends.
    `first`: the pages show what this one leaves. `follows`: does not end by itself. `ordered`: see
    documents.difference."""

    user: str | None = None
    codes: tuple = (0,)
    says: str = ""
    put: dict = dataclasses.field(default_factory=dict)
    more: str = ""
    before: tuple = ()
    after: tuple = ()
    first: bool = False
    follows: bool = False
    ordered: bool = True
    folder: str = "/home/ada/project"


def ada(**rest):
    return Recipe(user="ada", **rest)


BUILT = "^wrote /home/ada/.local/bin/codex-telemetryd$"
EXAMPLE = (
    "codex-telemetryd exec -- sh -c 'codex-telemetryd exec -- cc -o ok ok.c; "
    "codex-telemetryd exec -- ./ok; codex-telemetryd exec -- cc nosuch.c'"
)
RECIPES = {
    EXAMPLE: ada(codes=(1,), first=True),
    "codex-telemetryd emit event deploy.done --attribute env=prod": ada(first=True),
    "codex-telemetryd tail": ada(ordered=False),
    "tail -f": ada(follows=True, says="deploy.done"),
    "journalctl -t codex-telemetry -f": ada(follows=True, ordered=False),
    "codex-telemetryd trace e9f430df": ada(put={"e9f430df": TRACE}),
    "codex-telemetry trace ID": ada(put={"ID": TRACE}, says=r"^trace [0-9a-f]{32}$"),
    "codex-telemetryd status": ada(),
    "codex-telemetry status": Recipe(says=r"log +writing · .* in \d.*B, 1 segments"),
    "codex-telemetryd config": ada(says=r"(?m)^log\.retention: 7d +# default$"),
    "codex-telemetry config": ada(says=r"(?m)^log\.retention: 7d +# default$"),
    "codex-telemetry config check FILE": ada(
        put={"FILE": "mine.yaml"}, before=("echo 'log: {cap: 1GiB}' > mine.yaml",), says=r"^mine\.yaml: as it should be$"
    ),
    "codex-telemetry config reload": Recipe(says="^the configuration is in force$"),
    "exec -- true": ada(),
    # Codex itself is run by test_codex_launch; here it is what it is given.
    'codex-telemetryd exec --codex -- codex exec "say hello"': ada(
        put={"codex exec": "echo"}, says=r"-c otel\.exporter=.*127\.0\.0\.1:4318/v1/logs.* say hello$"
    ),
    "codex-telemetryd setup codex": ada(says="^Nothing was written: --yes does.$"),
    "codex-telemetry exec -- COMMAND": ada(put={"COMMAND": "true"}),
    "contrib/install": ada(folder=TREE, says=BUILT, after=("contrib/install --uninstall",)),
    "contrib/install --uninstall": ada(
        folder=TREE, before=("contrib/install",), says="^removed /home/ada/.local/bin/codex-telemetryd$"
    ),
    # A host's root needs no sudo; here it may not be installed.
    "sudo contrib/install --system": Recipe(
        folder=TREE, put={"sudo": "env"}, says="listening; the first client starts the agent"
    ),
    "rm -r ~/.local/state/codex-telemetry": ada(before=("mkdir -p ~/.local/state/codex-telemetry/log",)),
    "contrib/demo": ada(folder=TREE, says=r"command sh error \(nonzero_exit\)"),
    "contrib/test": ada(folder=TREE, says=r"^3 passed, 0 failed, 0 skipped$"),
    # All of it takes minutes: one measure, the short way. A debug build may miss its bar (1).
    "contrib/bench/run": Recipe(
        folder=TREE, more=" --quick --only f", codes=(0, 1), says="exec's own cost"
    ),
    "journalctl -t codex-telemetryd": Recipe(says=r"codex-telemetryd\[\d+\]: intake open"),
    "systemctl status codex-telemetryd.socket": Recipe(says=r"Active: active"),
    "systemctl restart codex-telemetryd.service": Recipe(),
    "systemctl reload codex-telemetryd.service": Recipe(),
    "systemctl disable --now codex-telemetryd.socket codex-telemetryd-control.socket codex-telemetryd-otlp.socket": Recipe(
        after=(
            # The page promises that nothing starts it any more.
            "codex-telemetry status; test $? -eq 3",
            "systemctl enable --now codex-telemetryd.socket codex-telemetryd-control.socket codex-telemetryd-otlp.socket",
        )
    ),
    "systemctl stop codex-telemetryd.service": Recipe(),
    "systemctl status systemd-journald": Recipe(says=r"Active: active"),
    "df -h": Recipe(says="^Filesystem +Size"),
    "df -i": Recipe(says="^Filesystem +Inodes"),
    "ulimit -f": Recipe(says=r"^(\d+|unlimited)$"),
    "ulimit -n": Recipe(says=r"^\d+$"),
    "ulimit -u": Recipe(says=r"^(\d+|unlimited)$"),
    "journalctl -k": Recipe(),
    "journalctl -k -p err": Recipe(),
    "journalctl -x -t codex-telemetry": Recipe(says=r"What to do: runbook/operations\.md#command"),
    "journalctl -t codex-telemetry -p err --since today": Recipe(says="nonzero_exit"),
}

# Words in code type that a shell would know, and that are not meant for one.
VALUES = {"true", "false", "timeout", "team=blue,site=a%2Cb"}
# Options that a page names apart from their command, and the command whose help has to know them.
OPTIONS = {"--uninstall": "contrib/install", "--system": "contrib/install"}
SETTINGS = {"detail: all"}

# Stands in for the compiler, which would take minutes: it hands out the program under test, and what a
# test run leaves.
SWIFT = """#!/bin/sh
case "$*" in
*--show-bin-path*) echo {tree}/.build/debug ;;
build*) echo "Build complete!" ;;
test*)
  for word; do case $word in *.xml) file=$word ;; esac; done
  echo '<testsuite><testcase name="one"/><testcase name="two"/></testsuite>' > "$file" ;;
esac
"""


@functools.cache
def verbs():
    """The program's verbs, by its help."""
    told = subprocess.run([binary(), "--help"], capture_output=True, text=True, check=True).stdout
    return re.findall(r"^  (\w+)(?: {2,}|$)", told.split("SUBCOMMANDS:")[1], re.M)


def pages():
    return [documents.read(name, (ROOT / name).read_text()) for name in PAGES]


class Shapes(unittest.TestCase):
    """The comparison itself."""

    def test_figures_may_differ_and_words_may_not(self):
        shown = ["13:38:41.379 f9f9d907 ✓ cc ok in 150 ms", "…", "synced 1:2672"]
        self.assertIsNone(
            documents.difference(shown, "01:02:03.004 00000000 ✓ cc ok in 1.2 s\nx\n\nsynced 2:1\n")
        )
        for printed in (
            "",
            "01:02:03.004 00000000 ✓ cc ok in ms\nsynced 2:1\n",
            "01:02:03.004  ✓ cc ok in 1.2 s\nsynced 2:1\n",
            "01:02:03.004 00000000 ✓ cc failed in 1.2 s\nsynced 2:1\n",
            "01:02:03.004 00000000 ✓ cc ok in 1.2 s\nsynced 2:1\nand more\n",
            "01:02:03.004 00000000 ✓ cc ok in 1.2 s\n",
        ):
            self.assertIsNotNone(documents.difference(shown, printed), printed)
        self.assertIsNotNone(documents.difference(["a", "b"], "b\na\n"))
        self.assertIsNone(documents.difference(["a", "b"], "b\na\n", ordered=False))
        for printed in ("a\n", "a\nb\nb\n"):
            self.assertIsNotNone(documents.difference(["a", "b"], printed, ordered=False))

    def test_a_placeholder_matches_something(self):
        for _, pattern in documents.PLACEHOLDERS:
            self.assertIsNone(re.fullmatch(pattern, ""), pattern)

    def test_every_way_to_write_a_command_is_seen(self):
        page = documents.read(
            "p", "a `b c\nd` e\n\n    f g   # h\n    i\n\n```console\n$ j\nk\n$ l\n```\n[m](n.md#o)\n"
        )
        self.assertEqual([[c.text for c in block] for block in page.blocks], [["f g", "i"], ["j", "l"]])
        self.assertEqual(page.blocks[1][0].shown, ["k"])
        self.assertEqual([c.text for c in page.inline], ["b c d"])
        self.assertEqual(page.links, ["n.md"])
        for text in ("~~~\nx\n~~~\n", "- a\n  ```console\n", "```sh\nx\n```\n", "```\n$ x\n```\n", "```console\nx\n```\n", "```console\n$ x\n"):
            with self.assertRaises(ValueError):
                documents.read("p", text)


class Snippets(unittest.TestCase):
    def code(self, language):
        found = [(f"{page.name}:{line}", text) for page in pages()
                 for kind, line, text in page.code if kind == language]
        self.assertTrue(found, f"no page has {language}")
        return found

    def test_swift_compiles(self):
        build = ROOT / ".build/debug"
        if not shutil.which("swiftc") or not (build / "Modules/CodexTelemetry.swiftmodule").exists():
            self.skipTest("no Swift compiler, or the package is not built")
        maps = [f"-fmodule-map-file={path}" for path in build.glob("C*.build/module.modulemap")]
        words = [word for each in maps for word in ("-Xcc", each)]
        for place, text in self.code("swift"):
            with tempfile.TemporaryDirectory() as scratch:
                # `run` is the reader's own work.
                pathlib.Path(scratch, "main.swift").write_text(text)
                pathlib.Path(scratch, "run.swift").write_text("func run() throws {}\n")
                told = subprocess.run(
                    ["swiftc", "-typecheck", "-swift-version", "6", "-warnings-as-errors",
                     "-I", build / "Modules", *words, "main.swift", "run.swift"],
                    cwd=scratch, capture_output=True, text=True, timeout=60,
                )
                self.assertEqual(told.returncode, 0, f"{place}\n{told.stderr}")

    def with_certificates(self, text, folder):
        """The text with paths that lead to a certificate and its key: `config check` reads them."""
        place = "/etc/codex-telemetry/"
        names = set(re.findall(re.escape(place) + r"(\w+)\.(?:pem|key)", text))
        if names and not shutil.which("openssl"):
            self.skipTest("openssl is not installed: no certificates")
        for name in names:
            subprocess.run(
                ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes",
                 "-subj", "/CN=somebody", "-keyout", f"{name}.key", "-out", f"{name}.pem"],
                cwd=folder, check=True, capture_output=True)
        return text.replace(place, f"{folder}/")

    def test_yaml_is_configuration_that_takes_effect(self):
        for place, text in self.code("yaml"):
            with tempfile.TemporaryDirectory() as scratch:
                file = pathlib.Path(scratch, "otel-config.yaml")
                file.write_text(self.with_certificates(text, scratch))
                for words in (["check", file], ["show", "--config", file]):
                    told = subprocess.run(
                        [binary(), "config", *words], capture_output=True, text=True, timeout=20
                    )
                    self.assertEqual(told.returncode, 0, f"{place}\n{told.stderr}")
                taken = [line for line in told.stdout.splitlines() if str(file) in line]
                keys = len(re.findall(r"(\w+): (?=[^\s{])", text))
                self.assertEqual(len(taken), keys, f"{place}\n{told.stdout}")

    def test_figures_name_what_there_is(self):
        for place, text in self.code(""):
            for named in re.findall(r"codex-telemetryd ([a-z]+(?:, [a-z]+)*)$", text, re.M):
                self.assertLessEqual(set(named.split(", ")), set(verbs()), place)
            for named in re.findall(r"\b(?:journalctl|systemctl|contrib/\w+) .*$", text, re.M):
                self.assertIn(named, RECIPES, place)

    def test_links_lead_somewhere(self):
        for page in pages():
            for link in page.links:
                if "://" not in link:
                    self.assertTrue((ROOT / page.name).parent.joinpath(link).exists(), f"{page.name}: {link}")


class Pages(AgentCase):
    """The commands, on a booted host."""

    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        host = cls.host
        host.run("usermod", "-aG", "systemd-journal", "ada")
        for part in ("contrib", "runbook", "LICENSE", "Package.swift", "Tests/EndToEnd/host.py"):
            host.copy(ROOT / part, f"{TREE}/{part}")
        host.run("find", TREE, "-name", "test_*.py", "-delete")
        host.copy(binary(), f"{TREE}/.build/debug/codex-telemetryd", 0o755)
        host.write("/usr/local/bin/swift", SWIFT.format(tree=TREE), 0o755)
        host.write("/home/ada/project/ok.c", "int main(void) { return 0; }\n")
        host.run("chown", "-R", "ada:ada", "/home/ada/project")
        cls.trace = None

    # Which of the words in code type are commands

    def is_command(self, text):
        """Whether a code span of a page's text is for typing; fails on what cannot be told."""
        first, _, rest = text.partition(" ")
        if text in RECIPES:
            return True
        if text in VALUES or text in SETTINGS or text in OPTIONS:
            return False
        if rest:
            return True  # Words: a command, until somebody says otherwise above.
        if text.startswith("-"):
            return True
        if re.fullmatch(r"[A-Z][A-Z0-9_]*(=\S*)?|[~/][\w./-]*[a-z]", text):
            return os.path.isfile(text) and os.access(text, os.X_OK)
        if (ROOT / text).is_dir() or text in verbs():
            return False
        known = self.host.run("sh", "-c", f"command -v {shlex.quote(text)}", check=False).returncode == 0
        return known or (ROOT / text).is_file() or re.fullmatch(r"[A-Za-z_.]+", text) is None

    def blocks(self):
        """Every command of every page, those that stand together together."""
        found = []
        for page in pages():
            found += page.blocks
            found += [[span] for span in page.inline if self.is_command(span.text)]
        return found

    # How one is tried

    def line(self, command, recipe):
        words = command.text
        for name, value in recipe.put.items():
            words = re.sub(rf"\b{re.escape(name)}\b", self.trace if value is TRACE else value, words, count=1)
        verb = words.split(" ")[0]
        return ("codex-telemetryd " if verb in verbs() else "") + words + recipe.more

    def shell(self, line, recipe, check=False):
        return self.host.run(
            "bash", "-c", line, user=recipe.user, cwd=recipe.folder,
            env={"LANG": "C.UTF-8"}, check=check, timeout=50,
        )

    def follow(self, line, recipe, command):
        """Runs what does not end by itself until it has said what the page shows."""
        with tempfile.TemporaryFile() as output:
            running = self.host.popen(
                *["bash", "-c", f"exec {line}"], user=recipe.user, cwd=recipe.folder,
                stdin=subprocess.DEVNULL, stdout=output, stderr=subprocess.STDOUT,
            )

            def printed():
                output.seek(0)
                return output.read().decode()

            try:
                eventually(
                    lambda: self.problem(command, recipe, printed()) is None, 10,
                    lambda: f"{command}\n{self.problem(command, recipe, printed())}",
                )
                self.assertIsNone(running.poll(), f"{command} ended by itself")
            finally:
                running.kill()
                running.wait()

    @staticmethod
    def problem(command, recipe, printed):
        if command.shown:
            return documents.difference(command.shown, printed, recipe.ordered)
        if not re.search(recipe.says, printed, re.M):
            return f"{recipe.says} is not in\n{printed}"
        return None

    def attempt(self, command, recipe):
        for line in recipe.before:
            self.shell(line, recipe, check=True)
        line = self.line(command, recipe)
        if recipe.follows:
            return self.follow(line, recipe, command)
        done = self.shell(line, recipe)
        printed = done.stdout + done.stderr
        self.assertIn(done.returncode, recipe.codes, f"{command}\n{printed}")
        problem = self.problem(command, recipe, printed)
        self.assertIsNone(problem, f"{command}\n{problem}\n\n{printed}")

    def test_every_command_of_the_pages(self):
        blocks = self.blocks()
        unknown = [str(command) for block in blocks for command in block if command.text not in RECIPES]
        self.assertEqual(unknown, [], "nothing here says how these are tried")
        unused = set(RECIPES) - {command.text for block in blocks for command in block}
        self.assertEqual(unused, set(), "no page has these any more")
        for command in (c for block in blocks for c in block if RECIPES[c.text].first):
            with self.subTest(str(command)):
                self.attempt(command, RECIPES[command.text])
        # `journald` is read back, and only then counted as delivered.
        eventually(lambda: self.status()["log"]["stored"]["records"] == 5, 10, "the example is stored")
        self.entries(4)
        eventually(lambda: "waiting 0" in self.telemetry("status").stdout, 10, "the example is delivered")
        told = self.telemetry("tail", "--json", "--operation", "command", "-n", "1").stdout
        type(self).trace = re.search(r'"trace_id" ?: ?"([0-9a-f]{32})"', told).group(1)
        tried = set()
        for block in blocks:
            todo = [c for c in block if not RECIPES[c.text].first and (c.shown or c.text not in tried)]
            for command in todo:
                tried.add(command.text)
                with self.subTest(str(command)):
                    self.attempt(command, RECIPES[command.text])
            for command in todo:
                for line in RECIPES[command.text].after:
                    with self.subTest(f"{command}, put back: {line}"):
                        self.shell(line, RECIPES[command.text], check=True)

    def test_options_that_are_named_alone_exist(self):
        for option, script in OPTIONS.items():
            told = self.host.run(f"{TREE}/{script}", "--no-such-option", check=False)
            self.assertIn(option, told.stderr)


if __name__ == "__main__":
    unittest.main()

"""contrib/demo and contrib/install as a person runs them."""

import os
import pathlib
import subprocess
import tempfile
import unittest

from installed import ROOT, binary, needs

FULL = bool(os.environ.get("CODEX_TELEMETRY_TEST_FULL"))


class Demo(unittest.TestCase):
    def test_it_shows_real_commands_and_leaves_nothing(self):
        needs("run", "status", "tail", "trace", "exec", "emit")
        with tempfile.TemporaryDirectory(prefix="codex-telemetry-demo-") as scratch:
            done = subprocess.run(
                [ROOT / "contrib/demo", "--binary", binary()],
                env=os.environ | {"TMPDIR": scratch},
                stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=120,
            )
            self.assertEqual(done.returncode, 0, done.stdout + done.stderr)
            self.assertEqual(os.listdir(scratch), [], "the demo's HOME is still there")
        for text in ("command git ok", "command sh error (nonzero_exit)", "(exit code 3)"):
            self.assertIn(text, done.stdout)
        trace = done.stdout.split("$ codex-telemetry trace ")[1]
        for name in ("sleep", "ls"):
            self.assertIn(name, trace)
        for folder in pathlib.Path("/proc").iterdir():
            if folder.name.isdigit():
                try:
                    variables = (folder / "environ").read_bytes()
                except OSError:
                    continue
                self.assertNotIn(f"HOME={scratch}".encode(), variables, folder)


@unittest.skipUnless(FULL, "only with --full (a release build)")
class InstallFromSource(unittest.TestCase):
    def test_it_builds_installs_and_uninstalls(self):
        with tempfile.TemporaryDirectory(prefix="codex-telemetry-install-") as home:
            env = {"HOME": home, "PATH": os.environ["PATH"]}

            def install(*words):
                return subprocess.run(
                    [ROOT / "contrib/install", *words], env=env, stdin=subprocess.DEVNULL,
                    capture_output=True, text=True, timeout=1800,
                )

            done = install()
            self.assertEqual(done.returncode, 0, done.stdout + done.stderr)
            program = pathlib.Path(home, ".local/bin/codex-telemetry")
            # As installed, without the toolchain's libraries.
            told = subprocess.run([program, "version"], env={"HOME": home}, capture_output=True, text=True)
            self.assertEqual(told.returncode, 0, told.stderr)
            size = program.stat().st_size / 1e6
            print(f"installed: {size:.1f} MB")
            self.assertEqual(install("--uninstall").returncode, 0)
            left = [path for path in pathlib.Path(home).rglob("*") if not path.is_dir()]
            self.assertEqual([p for p in left if ".swiftpm" not in p.parts and ".cache" not in p.parts], [])


if __name__ == "__main__":
    unittest.main()

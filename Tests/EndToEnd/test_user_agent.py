"""A user's own agent under the user's service manager, installed by contrib/install."""

import json
import os
import re
import stat

from host import eventually
from installed import SOCKETS, SOURCE, HostCase, binary, needs


class UserCase(HostCase):
    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.env = cls.host.start_user_manager("ada")

    def ada(self, *words, check=True, timeout=60):
        return self.host.run(*words, user="ada", env=self.env, check=check, timeout=timeout)


class UserUnits(UserCase):
    """With a stand-in for the program."""

    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.bring("/usr/bin/true")

    def test_install_and_uninstall(self):
        installer = f"{SOURCE}/contrib/install"
        printed = self.ada(installer, "--binary", f"{SOURCE}/codex-telemetryd").stdout
        wrote = re.findall(r"^wrote (\S+)", printed, re.M)
        self.assertIn("/home/ada/.local/bin/codex-telemetryd", wrote)
        for path in wrote:
            self.assertTrue(path.startswith("/home/ada/"), path)
            self.assertTrue(os.path.lexists(self.host.path(path)), path)
        units = [path for path in wrote if "/systemd/user/" in path]
        self.assertEqual(len(units), len(SOCKETS) + 1)
        told = self.ada("systemd-analyze", "--user", "verify", "--man=no", *units)
        self.assertEqual(told.stdout + told.stderr, "")
        for name in ("ingest.sock", "control.sock", "otlp.sock"):
            socket = os.stat(self.host.path(f"/run/user/2001/codex-telemetry/{name}"))
            self.assertEqual((stat.S_IMODE(socket.st_mode), socket.st_uid), (0o600, 2001))
        directory = os.stat(self.host.path("/run/user/2001/codex-telemetry"))
        self.assertEqual(stat.S_IMODE(directory.st_mode), 0o700)

        self.ada(installer, "--uninstall")
        for path in wrote:
            self.assertFalse(os.path.lexists(self.host.path(path)), path)
        self.assertFalse(self.host.path("/run/user/2001/codex-telemetry/ingest.sock").exists())
        left = self.ada("systemctl", "--user", "list-unit-files", "codex*", check=False).stdout
        self.assertNotIn("codex-telemetryd", left)

    def test_without_a_user_manager_it_says_so(self):
        program = f"{SOURCE}/codex-telemetryd"
        printed = self.host.run(f"{SOURCE}/contrib/install", "--binary", program, user="bob").stdout
        self.assertIn("no user manager", printed)
        self.assertNotIn("/systemd/user/", printed)


class UserAgent(UserCase):
    @classmethod
    def setUpClass(cls):
        needs("run", "status", "emit", "exec", "tail")
        super().setUpClass()
        cls.bring(binary())
        cls.host.run(
            f"{SOURCE}/contrib/install", "--binary", f"{SOURCE}/codex-telemetryd", user="ada", env=cls.env
        )

    def telemetry(self, *words, check=True):
        return self.ada("/home/ada/.local/bin/codex-telemetry", *words, check=check)

    def service(self, *names):
        told = self.ada("systemctl", "--user", "show", "codex-telemetryd.service", "-p", ",".join(names))
        return dict(line.split("=", 1) for line in told.stdout.splitlines())

    def test_the_first_command_activates_it_and_its_span_reaches_the_journal(self):
        self.ada("systemctl", "--user", "stop", "codex-telemetryd.service")
        self.assertEqual(self.service("ActiveState"), {"ActiveState": "inactive"})
        self.telemetry("exec", "--", "true")
        eventually(lambda: self.service("ActiveState") == {"ActiveState": "active"}, 15, "it is up")
        entry = eventually(
            lambda: self.host.journal("-t", "codex-telemetry", "CODEX_OPERATION=codex.command"),
            15,
            "the entry",
        )[0]
        self.assertEqual((entry["CODEX_PEER_UID"], entry["_UID"]), ("2001", "2001"))

    def test_reload_and_restart(self):
        self.telemetry("exec", "--", "true")
        status = json.loads(self.telemetry("status", "--json", check=False).stdout)
        self.assertEqual((status["agent"]["scope"], status["agent"]["uid"]), ("user", 2001))
        self.ada("systemctl", "--user", "reload", "codex-telemetryd.service")
        self.assertEqual(self.service("MainPID"), {"MainPID": str(status["agent"]["pid"])})
        self.ada("systemctl", "--user", "restart", "codex-telemetryd.service")
        self.telemetry("exec", "--", "true")
        records = self.telemetry("tail", "--json", "-n", "1000").stdout.splitlines()
        self.assertGreaterEqual(len(records), 2)

    def test_nobody_else_can_connect(self):
        for unit in SOCKETS:
            self.ada("systemctl", "--user", "is-active", unit)
        told = self.host.run("ls", "/run/user/2001/codex-telemetry", user="bob", check=False)
        self.assertNotEqual(told.returncode, 0)

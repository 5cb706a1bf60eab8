"""The units, as systemd sees them: no agent is needed for most of it."""

import os
import pathlib
import re
import stat
import unittest

from host import Host
from installed import CONTROL, INGEST, PYTHON, ROOT, SERVICE, SOCKETS, SOURCE, HostCase

PATHS = [f"/etc/systemd/system/{unit}" for unit in (*SOCKETS, SERVICE)]
CONNECT = """
import socket, sys
with socket.socket(socket.AF_UNIX) as s:
    s.connect(sys.argv[1])
    print(s.getpeername())
"""


class Units(HostCase):
    """Installed with a stand-in for the program: sockets are systemd's, not ours."""

    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.printed = cls.install("/usr/bin/true")

    def test_the_host_is_up_with_nothing_failed(self):
        self.assertEqual(self.host.systemctl("is-system-running").stdout.strip(), "running")

    def test_systemd_finds_nothing_wrong_with_the_units(self):
        told = self.host.run("systemd-analyze", "verify", "--man=no", *PATHS)
        self.assertEqual(told.stdout + told.stderr, "")

    def test_exposure_is_at_most_18(self):
        told = self.host.run(
            "systemd-analyze", "security", "--no-pager", "--threshold=18", SERVICE, check=False
        )
        self.assertEqual(told.returncode, 0, told.stdout)
        exposure = float(re.search(r"exposure level for \S+: ([0-9.]+)", told.stdout)[1])
        self.assertLessEqual(exposure, 1.8)

    def test_identity_of_peers_is_not_hidden_from_the_agent(self):
        found = self.host.properties(SERVICE, "PrivateUsers", "ProtectProc", "RuntimeDirectory")
        self.assertEqual(found, {"PrivateUsers": "no", "ProtectProc": "default", "RuntimeDirectory": ""})

    def test_the_sockets_are_everybodys_and_their_directory_is_roots(self):
        directory = os.stat(self.host.path("/run/codex-telemetry"))
        self.assertEqual((stat.S_IMODE(directory.st_mode), directory.st_uid), (0o755, 0))
        for path in (INGEST, CONTROL):
            socket = os.stat(self.host.path(path))
            self.assertTrue(stat.S_ISSOCK(socket.st_mode))
            self.assertEqual((stat.S_IMODE(socket.st_mode), socket.st_uid), (0o666, 0), path)

    def test_the_sockets_have_the_names_that_the_agent_looks_for(self):
        names = [self.host.properties(s, "FileDescriptorName")["FileDescriptorName"] for s in SOCKETS]
        self.assertEqual(names, ["ingest", "control", "otlp"])

    def test_other_users_can_connect_and_cannot_replace_the_socket(self):
        self.host.systemctl("mask", "--runtime", SERVICE)
        try:
            for user in ("ada", "bob"):
                self.assertIn(
                    INGEST, self.host.run(PYTHON, "-c", CONNECT, INGEST, user=user).stdout
                )
                removed = self.host.run("rm", "-f", INGEST, user=user, check=False)
                self.assertNotEqual(removed.returncode, 0)
        finally:
            self.host.systemctl("unmask", "--runtime", SERVICE)
            # Not at once: what connected starts the service again, and beside a running one no socket is opened.
            self.host.systemctl("stop", SERVICE, *SOCKETS)
            self.host.systemctl("start", *SOCKETS)

    def test_the_socket_outlives_a_stop_of_the_service(self):
        before = os.stat(self.host.path(INGEST)).st_ino
        self.host.systemctl("stop", SERVICE)
        self.assertEqual(os.stat(self.host.path(INGEST)).st_ino, before)

    def test_stopping_the_ingest_socket_takes_the_control_socket_along(self):
        self.host.systemctl("stop", SOCKETS[0])
        self.assertFalse(self.host.path(INGEST).exists())
        self.assertFalse(self.host.path(CONTROL).exists())
        self.host.systemctl("start", SOCKETS[0])
        self.assertTrue(self.host.path(CONTROL).exists())

    def test_the_catalog_has_a_text_for_every_id(self):
        source = (ROOT / "contrib/systemd/codex-telemetry.catalog").read_text()
        ids = re.findall(r"^-- ([0-9a-f]{32})$", source, re.M)
        listed = self.host.run("journalctl", "--list-catalog", *ids).stdout
        self.assertEqual(len(ids), 16)
        self.assertEqual(len(set(ids)), 16)
        for each in ids:
            self.assertRegex(listed, f"{each} codex-telemetryd: ")

    def test_the_installer_says_what_it_writes(self):
        for path in re.findall(r"^wrote (\S+)", self.printed, re.M):
            self.assertTrue(self.host.path(path).exists(), path)
        self.assertIn("wrote /usr/local/bin/codex-telemetryd", self.printed)


class Uninstall(HostCase):
    def test_what_was_written_is_removed_and_telemetry_stays(self):
        printed = self.install("/usr/bin/true")
        self.host.path("/var/lib/codex-telemetry").mkdir()
        told = self.host.run(f"{SOURCE}/contrib/install", "--system", "--uninstall").stdout
        for path in re.findall(r"^wrote (\S+)", printed, re.M):
            self.assertFalse(os.path.lexists(self.host.path(path)), path)
        self.assertFalse(self.host.path("/run/codex-telemetry").exists())
        self.assertIn("left /var/lib/codex-telemetry", told)
        self.assertEqual(self.host.systemctl("list-unit-files", "codex*", check=False).stdout.count("codex"), 0)


class WithoutAHost(unittest.TestCase):
    def test_user_units_hide_no_peer(self):
        """Anything that needs a mount namespace implies PrivateUsers=yes in a user unit."""
        unit = (ROOT / "contrib/systemd/user/codex-telemetryd.service").read_text()
        implies = r"^(Private|Protect(?!Proc)|ReadOnly|Inaccessible|StateDirectory|RuntimeDirectory|DynamicUser)\w*="
        self.assertEqual(re.findall(implies, unit, re.M), [])

    def test_hosts_leave_nothing_behind(self):
        why_not = Host.why_not()
        if why_not:
            self.skipTest(why_not)
        mounts = pathlib.Path("/proc/self/mounts").read_text()
        with Host("gone") as host:
            scratch, cgroup = host._scratch, host._cgroup
            host.run("touch", "/usr/made-in-the-host")
        self.assertEqual(pathlib.Path("/proc/self/mounts").read_text(), mounts)
        self.assertFalse(os.path.exists("/usr/made-in-the-host"))
        self.assertFalse(os.path.exists(scratch))
        self.assertFalse(os.path.exists(cgroup))


if __name__ == "__main__":
    unittest.main()

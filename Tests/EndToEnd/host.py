"""A throw-away host on this machine: the real systemd as PID 1, with its own journald, /run, /tmp,
loopback network and a writable overlay of / that vanishes with it.

    with Host() as host:
        host.add_user("ada")
        host.run("systemctl", "is-system-running")
        host.run("id", user="ada")

Needs root, util-linux (unshare, nsenter, setpriv), overlayfs and systemd; `Host.why_not()` says what
is missing. Nothing outside the host is changed, and it dies with the process that started it.
"""

import ctypes
import fcntl
import json
import os
import pathlib
import shutil
import signal
import socket
import struct
import subprocess
import sys
import tempfile
import time

SYSTEMD = next(
    (p for p in ("/usr/lib/systemd/systemd", "/lib/systemd/systemd") if os.path.exists(p)), None
)
PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
MS_BIND, MS_REC, MS_PRIVATE = 0x1000, 0x4000, 0x40000
MNT_DETACH = 2
PR_SET_PDEATHSIG = 1


class HostFailed(Exception):
    """The host did not come up; the text says what it printed."""


def eventually(condition, seconds=10.0, what="the condition"):
    """Asks until the answer is true and returns it. What runs in another process has no event that
    could be waited for; the deadline is a failure, never a way to pass."""
    end = time.monotonic() + seconds
    while True:
        answer = condition()
        if answer:
            return answer
        if time.monotonic() > end:
            raise AssertionError(f"not within {seconds} s: {what() if callable(what) else what}")
        time.sleep(0.05)


class Host:
    """One booted host."""

    def __init__(self, name="end-to-end", binds=None):
        """`binds`: folders of this machine that the host sees at paths of its own, as {inside: outside}:
        for what is too much for its memory."""
        self.name, self.binds = name, binds or {}
        self.pid = None
        self._holder = None
        self._scratch = None
        self._cgroup = None

    @staticmethod
    def why_not():
        """What keeps a host from being started here, None if nothing does."""
        if sys.platform != "linux":
            return "hosts need Linux"
        if os.geteuid() != 0:
            return "hosts need root (namespaces, overlayfs)"
        if SYSTEMD is None:
            return "systemd is not installed"
        for tool in ("unshare", "nsenter", "setpriv", "useradd", "journalctl"):
            if shutil.which(tool, path=PATH) is None:
                return f"{tool} is not installed"
        try:
            parent = Host._own_cgroup()
        except StopIteration:
            return "no control groups of version 2 are mounted"
        if not os.access(parent, os.W_OK):
            return f"no control group can be made in {parent}"
        probe = subprocess.run(
            ["unshare", "--fork", "--pid", "--mount", "--net", "--cgroup", "true"],
            capture_output=True,
            text=True,
        )
        return None if probe.returncode == 0 else f"no namespaces here: {probe.stderr.strip()}"

    # Life

    def __enter__(self):
        self.start()
        return self

    def __exit__(self, *_):
        self.stop()

    def start(self):
        """Boots the host; returns when systemd says that it is up."""
        self._scratch = tempfile.mkdtemp(prefix="codex-telemetry-host-")
        self._make_cgroup()
        pathlib.Path(self._scratch, "binds").write_text(json.dumps(self.binds))
        self._log = open(os.path.join(self._scratch, "console"), "w+b")
        self._holder = subprocess.Popen(
            ["unshare", "--fork", "--pid", "--mount", "--uts", "--ipc", "--net", "--cgroup"]
            + ["--kill-child=SIGKILL", sys.executable, os.path.abspath(__file__), "boot"]
            + [self._scratch, self.name],
            stdin=subprocess.DEVNULL,
            stdout=self._log,
            stderr=self._log,
            start_new_session=True,
            preexec_fn=self._enter_cgroup_and_die_with_parent,
        )
        try:
            self.pid = eventually(self._first_child, 10, "PID 1 of the host")
            eventually(self._is_up, 30, "systemd of the host is up")
        except AssertionError as late:
            console = self.console()
            self.stop()
            raise HostFailed(f"{late}\n{console}") from None

    def stop(self):
        """Ends the host and everything in it."""
        if self._holder is not None:
            if self.pid is not None:
                try:
                    os.kill(self.pid, signal.SIGKILL)
                except ProcessLookupError:
                    pass
            self._holder.kill()
            self._holder.wait()
            self._log.close()
        self._holder = self.pid = None
        if self._cgroup:
            self._remove_cgroup(self._cgroup)
        self._cgroup = None
        if self._scratch:
            shutil.rmtree(self._scratch, ignore_errors=True)

    def console(self):
        """What systemd and the boot printed."""
        self._log.flush()
        return pathlib.Path(self._scratch, "console").read_text(errors="replace")

    def _first_child(self):
        if self._holder.poll() is not None:
            raise AssertionError("the host ended during its start")
        holder = self._holder.pid
        children = pathlib.Path(f"/proc/{holder}/task/{holder}/children").read_text().split()
        return int(children[0]) if children else None

    def _is_up(self):
        if self._holder.poll() is not None:
            raise AssertionError("the host ended during its start")
        # Before the pivot it would be this machine's systemd that answers.
        if os.path.exists(f"/proc/{self.pid}/root/run/codex-telemetry-host-booting"):
            if self._comm() == "systemd":
                state = self.run("systemctl", "is-system-running", check=False).stdout.strip()
                return state in ("running", "degraded")
        return False

    def _comm(self):
        return pathlib.Path(f"/proc/{self.pid}/comm").read_text().strip()

    # A control group of its own: two hosts in one would take each other's services for their own.

    @staticmethod
    def _own_cgroup():
        """The folder of this process's group in the version 2 hierarchy, wherever that is mounted."""
        own = next(
            line.split(":", 2)[2]
            for line in pathlib.Path("/proc/self/cgroup").read_text().splitlines()
            if line.startswith("0::")
        )
        mount = next(
            line.split()[1]
            for line in pathlib.Path("/proc/self/mounts").read_text().splitlines()
            if line.split()[2] == "cgroup2"
        )
        return mount + own.rstrip("/")

    def _make_cgroup(self):
        self._cgroup = f"{self._own_cgroup()}/{os.path.basename(self._scratch)}"
        os.mkdir(self._cgroup)

    def _enter_cgroup_and_die_with_parent(self):
        pathlib.Path(self._cgroup, "cgroup.procs").write_text(str(os.getpid()))
        ctypes.CDLL(None, use_errno=True).prctl(PR_SET_PDEATHSIG, signal.SIGKILL)

    @staticmethod
    def _remove_cgroup(top):
        for _ in range(100):
            for folder, _, _ in os.walk(top, topdown=False):
                try:
                    os.rmdir(folder)
                except OSError:
                    pass  # its processes are still dying
            if not os.path.exists(top):
                return
            time.sleep(0.02)

    # What happens in it

    def command(self, *words, user=None, env=None, cwd=None):
        """The command line that runs `words` in the host, as root or as a user made by `add_user`."""
        line = ["nsenter", "-a", "-t", str(self.pid), "--"]
        variables = {"PATH": PATH, "HOME": "/root", "LANG": "C.UTF-8", "TZ": "UTC"}
        if user is not None:
            uid = self.uid(user)
            line += ["setpriv", f"--reuid={uid}", f"--regid={uid}", "--init-groups"]
            variables |= {"HOME": f"/home/{user}", "USER": user, "LOGNAME": user}
        variables |= env or {}
        line += ["env", "-C", cwd or "/", "-i"] + [f"{key}={value}" for key, value in variables.items()]
        return line + [str(word) for word in words]

    def run(self, *words, user=None, env=None, cwd=None, input=None, check=True, timeout=60):
        """Runs a command in the host and returns the completed process, output as text."""
        done = subprocess.run(
            self.command(*words, user=user, env=env, cwd=cwd),
            input=input,
            stdin=subprocess.DEVNULL if input is None else None,
            capture_output=True,
            text=True,
            timeout=timeout,
        )
        if check and done.returncode != 0:
            raise AssertionError(
                f"{' '.join(map(str, words))} ended with {done.returncode}:\n{done.stdout}{done.stderr}"
            )
        return done

    def popen(self, *words, user=None, env=None, cwd=None, **rest):
        """Starts a command in the host; its standard streams are `rest`'s."""
        return subprocess.Popen(self.command(*words, user=user, env=env, cwd=cwd), **rest)

    def path(self, inside):
        """A path of the host as this process can open it."""
        return pathlib.Path(f"/proc/{self.pid}/root/{str(inside).lstrip('/')}")

    def copy(self, source, inside, mode=None):
        """Copies a file or a folder into the host, owned by root."""
        target = self.path(inside)
        target.parent.mkdir(parents=True, exist_ok=True)
        if os.path.isdir(source):
            shutil.copytree(source, target, ignore=shutil.ignore_patterns("__pycache__"))
        else:
            shutil.copy(source, target)
        if mode is not None:
            target.chmod(mode)

    def write(self, inside, text, mode=0o644):
        """Writes a file in the host, owned by root."""
        target = self.path(inside)
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_text(text)
        target.chmod(mode)

    def add_user(self, name, uid=None, groups=()):
        """Makes an ordinary user with a home."""
        numbers = ["-u", str(uid), "-U"] if uid else ["-U"]
        more = ["-G", ",".join(groups)] if groups else []
        self.run("useradd", "-m", "-s", "/bin/bash", *numbers, *more, name)

    def start_user_manager(self, name):
        """Starts a user's service manager as a login would, and returns what a shell of that login has
        in its environment. There is no logind here: the runtime directory is made by hand."""
        uid = self.uid(name)
        self.write(
            "/run/systemd/system/user-runtime-dir@.service",
            "[Service]\nType=oneshot\nRemainAfterExit=yes\n"
            "ExecStart=install -d -m 0700 -o %i -g %i /run/user/%i\n",
        )
        self.systemctl("daemon-reload")
        self.systemctl("start", f"user@{uid}.service")
        return {"XDG_RUNTIME_DIR": f"/run/user/{uid}"}

    def uid(self, user):
        """A user's number."""
        for line in self.path("/etc/passwd").read_text().splitlines():
            name, _, uid = line.split(":")[:3]
            if name == user:
                return int(uid)
        raise KeyError(user)

    def systemctl(self, *words, check=True, timeout=90):
        """`systemctl` of the system manager."""
        return self.run("systemctl", *words, check=check, timeout=timeout)

    def properties(self, unit, *names):
        """Properties of a unit, as systemd prints them."""
        out = self.systemctl("show", unit, "-p", ",".join(names)).stdout
        return dict(line.split("=", 1) for line in out.splitlines() if "=" in line)

    def journal(self, *selection):
        """Entries of the journal, oldest first, as journalctl's JSON has them."""
        out = self.run("journalctl", "-q", "-o", "json", "--no-pager", "--all", *selection, check=False)
        return [json.loads(line) for line in out.stdout.splitlines()]


# Below: what runs inside the new namespaces, before systemd does.


def _mount(source, target, kind, flags=0, data=""):
    libc = ctypes.CDLL(None, use_errno=True)
    words = [w.encode() if w is not None else None for w in (source, target, kind)]
    if libc.mount(*words, ctypes.c_ulong(flags), data.encode() or None) != 0:
        raise OSError(ctypes.get_errno(), f"mount {kind or source} on {target}")


def _raise_loopback():
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as any_socket:
        SIOCGIFFLAGS, SIOCSIFFLAGS, IFF_UP = 0x8913, 0x8914, 1
        request = struct.pack("16sh22x", b"lo", 0)
        flags = struct.unpack("16sh22x", fcntl.ioctl(any_socket, SIOCGIFFLAGS, request))[1]
        fcntl.ioctl(any_socket, SIOCSIFFLAGS, struct.pack("16sh22x", b"lo", flags | IFF_UP))


def _boot(scratch, name):
    """Becomes the host's PID 1."""
    os.makedirs(f"{scratch}/host")
    _mount(None, "/", None, MS_REC | MS_PRIVATE)
    _mount("tmpfs", f"{scratch}/host", "tmpfs")
    upper, work, root = (f"{scratch}/host/{part}" for part in ("upper", "work", "root"))
    for folder in (upper, work, root):
        os.mkdir(folder)
    _mount("overlay", root, "overlay", data=f"lowerdir=/,upperdir={upper},workdir={work}")
    _mount("proc", f"{root}/proc", "proc")
    _mount("sysfs", f"{root}/sys", "sysfs")
    # Mounted anew, in a namespace whose root is our own group: that is all that the host sees of it.
    _mount("cgroup2", f"{root}/sys/fs/cgroup", "cgroup2")
    _mount("/dev", f"{root}/dev", None, MS_BIND | MS_REC)
    for folder, mode in (("run", "755"), ("tmp", "1777"), ("var/log/journal", "2755")):
        os.makedirs(f"{root}/{folder}", exist_ok=True)
        _mount("tmpfs", f"{root}/{folder}", "tmpfs", data=f"mode={mode}")
    for inside, outside in json.loads(pathlib.Path(scratch, "binds").read_text()).items():
        os.makedirs(f"{root}/{inside}", exist_ok=True)
        _mount(outside, f"{root}/{inside}", None, MS_BIND)
    # A machine of its own: its journal is not this machine's.
    pathlib.Path(root, "etc/machine-id").write_text(os.urandom(16).hex() + "\n")
    pathlib.Path(root, "etc/hostname").write_text(name + "\n")
    pathlib.Path(root, "run/codex-telemetry-host-booting").write_text("")
    _raise_loopback()
    os.mkdir(f"{root}/run/old")
    os.chdir(root)
    if ctypes.CDLL(None, use_errno=True).pivot_root(b".", b"run/old") != 0:
        raise OSError(ctypes.get_errno(), "pivot_root")
    if ctypes.CDLL(None, use_errno=True).umount2(b"/run/old", MNT_DETACH) != 0:
        raise OSError(ctypes.get_errno(), "umount of the old root")
    os.rmdir("/run/old")
    os.execve(
        SYSTEMD,
        [SYSTEMD, "--system", "--unit=basic.target", "--show-status=no"],
        {"container": "codex-telemetry-test", "PATH": PATH},
    )


if __name__ == "__main__" and sys.argv[1:2] == ["boot"]:
    _boot(*sys.argv[2:4])

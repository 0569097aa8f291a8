# SPDX-License-Identifier: MIT
"""Who is measured: a pair of relays each, and the direct connection without any.

Debian's packages: haproxy, socat, stunnel4. One that is not installed is left out.
"""

import ctypes
import os
import shutil
import signal
import subprocess
import time
from dataclasses import dataclass

import procfs

PR_SET_PDEATHSIG = 1
LIBC = ctypes.CDLL(None, use_errno=True)


class Failure(Exception):
    """A measurement that could not be made; its text says why."""


def _child_setup():
    # Should the benchmark be killed, what it started must not stay.
    LIBC.prctl(PR_SET_PDEATHSIG, signal.SIGKILL)


class Process:
    """A process that was started here, in a process group of its own."""

    def __init__(self, args, log, **options):
        self.args = args
        self.log = log
        with open(log, "ab") as out:
            options = {"stdin": subprocess.DEVNULL, "stdout": out, **options}
            self.popen = subprocess.Popen(
                args, stderr=out, start_new_session=True, preexec_fn=_child_setup, **options
            )
        self.pid = self.popen.pid

    def last_words(self):
        with open(self.log, encoding="utf-8", errors="replace") as file:
            lines = file.read().strip().splitlines()
        return lines[-1] if lines else "it said nothing"

    def check(self):
        status = self.popen.poll()
        if status is not None:
            name = os.path.basename(self.args[0])
            raise Failure(f"{name} ended with status {status}: {self.last_words()}")

    def stop(self):
        """Ends the process and whatever it forked: nothing here has anything to lose."""
        try:
            os.killpg(self.pid, signal.SIGKILL)
        except ProcessLookupError:
            pass
        self.popen.wait()
        if self.popen.stdout is not None:
            self.popen.stdout.close()
        if self.popen.stdin is not None:
            try:
                self.popen.stdin.close()
            except BrokenPipeError:
                pass


def wait_until(condition, seconds, step=0.02):
    """Polls until the condition holds; its last value."""
    end = time.monotonic() + seconds
    while True:
        value = condition()
        if value or time.monotonic() > end:
            return value
        time.sleep(step)


@dataclass(frozen=True)
class Place:
    """Where endpoints run: what their commands begin with, and the remote one's address."""

    local: tuple = ()
    remote: tuple = ()
    address: str = "127.0.0.1"


class Pair:
    """Two endpoints between a client's port and a target's."""

    name = ""
    program = ""
    subflows = 1  # connections between the endpoints for one session
    forks = False  # a process for each session

    def __init__(self, directory, entry, target, place=Place()):
        self.directory = directory
        self.entry = entry
        self.middle = entry + 1
        self.target = target
        self.place = place
        self.endpoints = []

    @classmethod
    def available(cls):
        return shutil.which(cls.program) is not None

    @classmethod
    def version(cls):
        out = subprocess.run(
            [cls.program, "-V" if cls.program == "socat" else "-v"],
            capture_output=True,
            text=True,
            check=False,
        ).stdout
        words = next((line.split() for line in out.splitlines() if "ersion" in line), [])
        return words[2] if len(words) > 2 else "unknown"

    def command(self, role, listen, connect):
        """The command line of the local or the remote endpoint; both are HOST:PORT."""
        raise NotImplementedError

    def file(self, name, text):
        path = os.path.join(self.directory, f"{self.name}-{self.entry}-{name}")
        secret = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
        with open(secret, "w", encoding="utf-8") as file:
            file.write(text)
        return path

    def start(self):
        here, there = "127.0.0.1", self.place.address
        ways = (
            ("remote", self.place.remote, self.middle, there, f"{here}:{self.target}"),
            ("local", self.place.local, self.entry, here, f"{there}:{self.middle}"),
        )
        for role, prefix, port, host, connect in ways:
            args = [*prefix, *self.command(role, f"{host}:{port}", connect)]
            log = os.path.join(self.directory, f"{self.name}-{self.entry}-{role}.log")
            process = Process(args, log)
            self.endpoints.append(process)

            def ready(process=process, port=port):
                process.check()
                return procfs.sockets(port, procfs.LISTEN, process.pid) > 0

            if not wait_until(ready, 10):
                raise Failure(f"{self.name}, {role} endpoint: nobody listens on port {port}")
        return self

    def stop(self):
        for endpoint in self.endpoints:
            endpoint.stop()
        self.endpoints = []

    def restart(self):
        self.stop()
        self.start()

    def check(self):
        for endpoint in self.endpoints:
            endpoint.check()

    def quiet(self):
        """Whether no session is left, and no process of one."""
        if any(procfs.sockets(port, procfs.ESTABLISHED) for port in (self.entry, self.middle)):
            return False
        return not self.forks or not any(procfs.children(e.pid) for e in self.endpoints)

    def settle(self):
        wait_until(self.quiet, 2)

    def cpu_seconds(self):
        """Of both endpoints so far; complete only when settled, if sessions are processes."""
        return sum(procfs.cpu_seconds(endpoint.pid) for endpoint in self.endpoints)

    def memory(self, field):
        """Of each endpoint, with the processes it forked."""
        sizes = []
        for endpoint in self.endpoints:
            pids = [endpoint.pid] + (procfs.children(endpoint.pid) if self.forks else [])
            sizes.append(sum(procfs.memory(pid, field) for pid in pids))
        return sizes


class Direct(Pair):
    """No relay: what the machine and the load generator can do."""

    name = "direct"

    @classmethod
    def available(cls):
        return True

    @classmethod
    def version(cls):
        return "no relay"

    def __init__(self, directory, entry, target, place=Place()):
        super().__init__(directory, entry, target, place)
        self.entry = target

    def start(self):
        return self

    def quiet(self):
        return procfs.sockets(self.target, procfs.ESTABLISHED) == 0


class Haproxy(Pair):
    """haproxy as a plain TCP relay; threads as it chooses: one for each processor."""

    name = "haproxy"
    program = "haproxy"
    config = """\
global
    maxconn 5000
defaults
    mode tcp
    timeout connect 10s
    timeout client 1h
    timeout server 1h
listen relay
    bind {listen}
    server target {connect}
"""

    def command(self, role, listen, connect):
        text = self.config.format(listen=listen, connect=connect)
        return ["haproxy", "-db", "-f", self.file(role + ".cfg", text)]


class Socat(Pair):
    """socat, which forks for each connection, with a larger buffer than its default."""

    name = "socat"
    program = "socat"
    forks = True

    def command(self, role, listen, connect):
        host, port = listen.split(":")
        return [
            "socat",
            "-b65536",
            f"TCP4-LISTEN:{port},bind={host},reuseaddr,fork,nodelay,backlog=4096",
            f"TCP4:{connect},nodelay",
        ]


class Stunnel(Pair):
    """stunnel with a pre-shared key; a thread for each connection, as it is built on Debian."""

    name = "stunnel"
    program = "stunnel"
    secret = "42" * 32
    config = """\
foreground = yes
syslog = no
debug = err
pid =
socket = l:TCP_NODELAY=1
socket = r:TCP_NODELAY=1
[bench]
client = {client}
accept = {listen}
connect = {connect}
sslVersion = TLSv1.3
PSKsecrets = {secrets}
PSKidentity = bench
"""

    @classmethod
    def version(cls):
        done = subprocess.run([cls.program, "-version"], capture_output=True, text=True, check=False)
        words = done.stderr.split()
        return words[words.index("stunnel") + 1] if "stunnel" in words else "unknown"

    def command(self, role, listen, connect):
        text = self.config.format(
            client="yes" if role == "local" else "no",
            listen=listen,
            connect=connect,
            secrets=self.file("secrets", f"bench:{self.secret}\n"),
        )
        if role == "remote":
            text = text.replace("PSKidentity = bench\n", "")
        return [self.program, self.file(role + ".conf", text)]


class Braid(Pair):
    """braidd at both ends, as built below BRAID_BUILD, in clear."""

    name = "braid"
    subflows = 4
    build = os.environ.get("BRAID_BUILD", "")
    config = {
        "local": """\
[braidd]
workers = auto
[local bench]
listen = {listen}
remote = {connect}
{security}
subflows = {subflows}
""",
        "remote": """\
[braidd]
workers = auto
[remote bench]
listen = {listen}
target = {connect}
{security}
""",
    }

    def security(self):
        """The lines that say how subflows are protected."""
        return "security = none\ninsecure = yes"

    @classmethod
    def binary(cls):
        return os.path.join(cls.build, "daemon", "braidd")

    @classmethod
    def available(cls):
        return bool(cls.build) and os.access(cls.binary(), os.X_OK)

    @classmethod
    def version(cls):
        out = subprocess.run([cls.binary(), "-V"], capture_output=True, text=True, check=False)
        words = out.stdout.split()
        return words[1] if len(words) > 1 else "unknown"

    def command(self, role, listen, connect):
        text = self.config[role].format(
            listen=listen, connect=connect, subflows=self.subflows, security=self.security()
        )
        return [self.binary(), "-c", self.file(role + ".ini", text)]


class Clear(Braid):
    """braidd in clear, beside the one that has a key."""

    name = "none"


class Keyed(Braid):
    """braidd with a key."""

    key = None

    def security(self):
        if self.key is None:
            args = [os.path.join(self.build, "cli", "braid"), "keygen"]
            made = subprocess.run(args, capture_output=True, text=True, check=True)
            self.key = self.file("web.key", made.stdout)
        return f"key = {self.key}"


def everybody(security):
    """By their names: whom braid is measured beside, and braid with that security."""
    others = (Stunnel, Clear) if security == "key" else (Haproxy, Socat)
    braid = Keyed if security == "key" else Braid
    return {kind.name: kind for kind in (Direct, *others, braid)}

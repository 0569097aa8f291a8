# SPDX-License-Identifier: MIT
"""A laboratory with what is measured in it: plain TCP, kernel MPTCP through haproxy, and braid."""

import itertools
import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
import threading
import time

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, os.path.join(HERE, "..", "tests", "lab"))
# pylint: disable=wrong-import-position
import contestants
import laboratory
from contestants import Failure, Process, wait_until

TARGET = 2000  # ports; those of one rig are in namespaces of its own
ENTRY = 3000
MIDDLE = 7000
HEADERS = 14 + 20 + 32  # Ethernet, IPv4, TCP with timestamps
TRAFFIC = [sys.executable, os.path.join(HERE, "path_traffic.py")]


def listens(pid, port):
    """Whether in a process's network namespace somebody listens on a port."""
    with open(f"/proc/{pid}/net/tcp", encoding="ascii") as file:
        return any(
            fields[3] == "0A" and int(fields[1].partition(":")[2], 16) == port
            for fields in (line.split() for line in list(file)[1:])
        )


class Relay:
    """Two endpoints, one in each namespace: from ENTRY at the client to TARGET at the server."""

    name = ""

    def __init__(self, rig, subflows=1, grace="60s"):
        self.rig = rig
        self.subflows = subflows  # on each path
        self.grace = grace
        self.processes = []

    def address(self):
        return f"127.0.0.1:{ENTRY}"

    def commands(self):
        """(side, port it listens on, command line) of the server's and the client's endpoint."""
        raise NotImplementedError

    def prepare(self):
        """What has to be done in the namespaces before."""

    def start(self):
        self.prepare()
        for side, port, command in self.commands():
            log = self.rig.file(f"{self.name}-{side.name}.log")
            process = Process([*side.prefix, *command], log)
            self.processes.append(process)

            def ready(process=process, port=port):
                process.check()
                return listens(process.pid, port)

            if not wait_until(ready, 10):
                raise Failure(f"{self.name} at the {side.name}: nobody listens on port {port}")
        return self

    def check(self):
        for process in self.processes:
            process.check()

    def stop(self):
        for process in reversed(self.processes):
            process.stop()
        self.processes = []


class Mptcp(Relay):
    """haproxy at both ends, made to use kernel MPTCP between them by mptcpize."""

    name = "mptcp"
    config = """\
global
    maxconn 1000
defaults
    mode tcp
    timeout connect 150s
    timeout client 1h
    timeout server 1h
listen relay
    bind {listen}
    server target {connect}
"""

    @staticmethod
    def missing():
        """What is not there, or ''."""
        for program in ("haproxy", "mptcpize"):
            if shutil.which(program) is None:
                return f"{program} is not installed (Debian's package of that name)"
        enabled = "/proc/sys/net/mptcp/enabled"
        return "" if os.path.exists(enabled) else "this kernel has no MPTCP"

    def prepare(self):
        lab = self.rig.lab
        lines = ["limits set subflows 8 add_addr_accepted 8", "endpoint flush"]
        for path in lab.paths:
            addresses = [] if path.index == 1 else [path.client]
            if self.subflows > 1:
                addresses += self.rig.more_addresses(path.index, self.subflows - 1)
            lines += [f"endpoint add {one} dev {path.interface} subflow" for one in addresses]
        for side in (lab.client, lab.server):
            side.sysctls({"net.mptcp.enabled": "1"})
            for line in lines if side is lab.client else lines[:2]:
                side.run("ip", "mptcp", *line.split())

    def commands(self):
        lab = self.rig.lab
        ends = (
            # A listener on an address of its own would silently stay on one path.
            (lab.server, MIDDLE, f"0.0.0.0:{MIDDLE}", f"127.0.0.1:{TARGET}"),
            (lab.client, ENTRY, f"127.0.0.1:{ENTRY}", f"{lab.paths[0].server}:{MIDDLE}"),
        )
        for side, port, listen, connect in ends:
            config = self.rig.write(
                f"mptcp-{side.name}.cfg", self.config.format(listen=listen, connect=connect)
            )
            yield side, port, ["mptcpize", "run", "haproxy", "-db", "-f", config]


class Braid(Relay):
    """braidd at both ends, as built below BRAID_BUILD."""

    name = "braid"
    style = "remotes"  # how a configuration names its paths; or "paths"

    @staticmethod
    def missing():
        """What is not there, or ''."""
        if contestants.Braid.available():
            return ""
        return f"no daemon/braidd below BRAID_BUILD={contestants.Braid.build!r}"

    def local_config(self):
        """The client's: every path a remote address, or every path a section of its own."""
        paths = self.rig.lab.paths
        lines = [
            "[braidd]",
            "workers = 1",
            f"control = {self.rig.file('braid.sock')}",
            "[local bench]",
            f"listen = 127.0.0.1:{ENTRY}",
            "security = none",
            "insecure = yes",
            f"subflows = {self.subflows}",
            f"grace = {self.grace}",
        ]
        if self.style == "remotes":
            lines += [f"remote = {path.server}:{MIDDLE}" for path in paths]
        else:
            lines.append(f"remote = {laboratory.SHARED}:{MIDDLE}")
            for path in paths:
                lines += [f"[path {path.interface}]", f"interface = {path.interface}"]
        return "\n".join(lines) + "\n"

    def commands(self):
        lab = self.rig.lab
        remote = (
            f"[braidd]\nworkers = 1\n[remote bench]\nlisten = 0.0.0.0:{MIDDLE}\n"
            f"target = 127.0.0.1:{TARGET}\nsecurity = none\ninsecure = yes\n"
        )
        binary = contestants.Braid.binary()
        for side, port, config in (
            (lab.server, MIDDLE, self.rig.write("braid-server.ini", remote)),
            (lab.client, ENTRY, self.rig.write("braid-client.ini", self.local_config())),
        ):
            yield side, port, [binary, "-c", config]


class Plain(Relay):
    """Plain TCP on one path."""

    name = "tcp"

    def __init__(self, rig, path=1):
        super().__init__(rig)
        self.path = path

    @staticmethod
    def missing():
        """Nothing ever is."""
        return ""

    def address(self):
        return f"{self.rig.lab.paths[self.path - 1].server}:{TARGET}"

    def commands(self):
        return ()


class Job:
    """A running client; its result once it has ended."""

    def __init__(self, rig, relay, request):
        self.rig = rig
        self.relay = relay
        self.id = request["id"]
        self.bulk = request["mode"] == "bulk"
        self.request = request
        args = [*TRAFFIC, request["mode"], rig.directory, relay.address(), json.dumps(request)]
        self.process = Process(
            [*rig.lab.client.prefix, *args], rig.file("client.log"), stdout=subprocess.PIPE
        )
        rig.jobs.append(self)
        line = self.process.popen.stdout.readline().split()
        if len(line) != 2:
            raise Failure(f"the client did not start: {self.process.last_words()}")
        self.begin = float(line[1])

    def at(self, seconds):
        """Waits until so many seconds after the start; false when it has ended before."""
        left = self.begin + seconds - time.monotonic()
        try:
            self.process.popen.wait(max(0, left))
            return False
        except subprocess.TimeoutExpired:
            return True

    def _read(self, side, patience):
        path = self.rig.file(f"{self.id}.{side}")
        if not wait_until(lambda: os.path.exists(path), patience):
            raise Failure(f"the {side} left no result")
        with open(path, encoding="utf-8") as file:
            return json.load(file)

    def result(self, timeout=100):
        """What both ends saw; an error of either is a failure."""
        try:
            self.process.popen.wait(timeout)
        except subprocess.TimeoutExpired:
            raise Failure(f"not done in {timeout} s{self._progress()}") from None
        client = self._read("client", 0.5)
        if client["error"]:
            raise Failure(f"at the client: {client['error']}")
        self.relay.check()
        if not self.bulk:
            return client
        server = self._read("server", 10)
        if server["error"]:
            raise Failure(f"at the server: {server['error']}")
        ends = [one for one in (client["last"], server["last"]) if one is not None]
        down = self.request["down"] >= self.request["up"]
        return {
            "seconds": max(ends) - self.begin if ends else None,
            "begin": self.begin,
            "receiver": client if down else server,
            "client": client,
            "server": server,
        }

    def _progress(self):
        stats = self.rig.lab.emulator.stats()
        return ", the links carried " + ", ".join(
            f"{(one['ab']['out_bytes'] + one['ba']['out_bytes']) / 1e6:.1f} MB"
            for one in stats.values()
        )

    def stop(self):
        self.process.stop()


class Rig:
    """A laboratory, a server in it, and one contestant after the other."""

    kinds = {kind.name: kind for kind in (Plain, Mptcp, Braid)}
    _numbers = itertools.count(1)
    _open = set()

    def __init__(self, paths, congestion_control, seed=1):
        self.directory = tempfile.mkdtemp(prefix="braid-paths-")
        self.jobs = []
        self.relays = []
        self.lab = None
        self._more = {}
        self._open.add(self)
        try:
            self.lab = laboratory.Laboratory(paths, congestion_control, seed)
            self.server = Process(
                [*self.lab.server.prefix, *TRAFFIC, "serve", self.directory, str(TARGET)],
                self.file("server.log"),
            )
            self.relays.append(self.server)
            if not wait_until(lambda: listens(self.server.pid, TARGET), 10):
                raise Failure("the server does not listen: " + self.server.last_words())
        except BaseException:
            self.close()
            raise

    def file(self, name):
        return os.path.join(self.directory, name)

    def write(self, name, text):
        with open(self.file(name), "w", encoding="utf-8") as file:
            file.write(text)
        return self.file(name)

    def more_addresses(self, index, number):
        """Further addresses of the client on a path, made once."""
        have = self._more.setdefault(index, [])
        while len(have) < number:
            have.append(self.lab.add_client_address(index, 11 + len(have)))
        return have[:number]

    def relay(self, name, **options):
        """Starts a contestant; the one before it has to be stopped."""
        relay = self.kinds[name](self, **options)
        self.relays.append(relay)
        return relay.start()

    def end(self, relay):
        relay.stop()
        self.relays.remove(relay)

    def bulk(self, relay, down=0, up=0, stop=None):
        """Starts a transfer."""
        request = {"id": str(next(self._numbers)), "mode": "bulk"}
        request.update(down=down, up=up, stop=stop)
        return Job(self, relay, request)

    def echo(self, relay, seconds, count=1 << 30):
        """Starts round trips."""
        request = {"id": str(next(self._numbers)), "mode": "echo"}
        request.update(seconds=seconds, count=count)
        return Job(self, relay, request)

    def wire(self):
        """Frames and bytes delivered so far: {"ab": (frames, bytes), "ba": ...} of all links."""
        stats = self.lab.emulator.stats().values()
        return {
            way: tuple(sum(one[way][key] for one in stats) for key in ("out_frames", "out_bytes"))
            for way in ("ab", "ba")
        }

    def wire_payload(self, before):
        """Bytes delivered since then less the headers of a plain TCP segment each."""
        total = 0
        for way, (frames, size) in self.wire().items():
            total += size - before[way][1] - HEADERS * (frames - before[way][0])
        return total

    def settle(self):
        """Waits until the links are empty and no subflow is left."""

        def quiet():
            done = self.lab.client.run("ss", "-Htn", "state", "established", f"dport = :{MIDDLE}")
            stats = self.lab.emulator.stats().values()
            return not done.strip() and all(
                one[way]["queued_bytes"] == 0 for one in stats for way in ("ab", "ba")
            )

        wait_until(quiet, 3, 0.05)

    def kill_subflows(self, path):
        """Resets the connections between the endpoints on a path, as ss -K does; how many."""
        out = self.lab.client.run(
            "ss", "-KHtn", "src", self.lab.paths[path - 1].client, "and", "dport", "=", f":{MIDDLE}"
        )
        return len(re.findall(r"\n", out))

    def close(self):
        self._open.discard(self)
        for thing in [*reversed(self.jobs), *reversed(self.relays)]:
            thing.stop()
        self.jobs = []
        self.relays = []
        if self.lab is not None:
            self.lab.close()
        shutil.rmtree(self.directory, ignore_errors=True)

    @classmethod
    def close_all(cls):
        """Those of all threads: what waits there for something fails."""
        for rig in list(cls._open):
            rig.close()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()


def every(seconds, function):
    """Calls a function every so many seconds until the event that is returned is set."""
    done = threading.Event()

    def run():
        due = time.monotonic() + seconds / 2
        while not done.wait(max(0, due - time.monotonic())):
            function()
            due += seconds

    threading.Thread(target=run, daemon=True).start()
    return done

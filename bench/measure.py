# SPDX-License-Identifier: MIT
"""How each figure is taken. A measurement that fails is a note, not a number."""

import json
import os
import resource
import subprocess
import time

import laboratory
import procfs
from contestants import Failure, Place, Process, wait_until
from figures import ROUND_TRIP

MIB = 1024 * 1024
GIB = 1024 * MIB
SLOW_RATE = MIB
IDLE_SESSIONS = 1000
SHORT_WORKERS = 8

# Listening ports in the namespace; below the ephemeral range that is set there.
TARGET_PORT = 2000
ROUNDS_PORT = 2010
IDLE_PORT = 3010
SLOW_PORT = 4000
SET_UP_PORT = 5000


class Bench:
    """The load generator, the contestants of the rounds, and where the values go."""

    def __init__(self, load, directory, figures, seconds):
        self.load = load
        self.directory = directory
        self.figures = figures
        self.seconds = seconds  # of each kind of measurement
        self.log = os.path.join(directory, "load.log")
        self.server = None
        self.pairs = {}
        self.notes = []
        self.extra = []  # fresh pairs and clients of the measurement at hand

    def start(self, kinds):
        self.server = Process([self.load, "serve", "--port", str(TARGET_PORT)], self.log)
        if not wait_until(lambda: procfs.sockets(TARGET_PORT, procfs.LISTEN), 5):
            raise Failure("the load generator does not listen: " + self.server.last_words())
        for i, kind in enumerate(kinds):
            pair = kind(self.directory, ROUNDS_PORT + 2 * i, TARGET_PORT)
            self.pairs[kind.name] = pair
            pair.start()

    def stop(self):
        for thing in [*self.extra, *self.pairs.values(), self.server]:
            if thing is not None:
                thing.stop()
        self.extra = []

    def note(self, text):
        if text not in self.notes:
            self.notes.append(text)

    def client(self, command, timeout, prefix=(), **options):
        """Runs one client of the load generator to its end; what it measured."""
        args = [*prefix, self.load, command]
        for name, value in options.items():
            args += [f"--{name}", str(value)]
        with open(self.log, "ab") as log:
            position = log.tell()
            try:
                done = subprocess.run(
                    args, stdout=subprocess.PIPE, stderr=log, timeout=timeout, check=False
                )
            except subprocess.TimeoutExpired:
                raise Failure(f"load {command} did not end in {timeout:.0f} s") from None
        if done.returncode != 0:
            with open(self.log, encoding="utf-8", errors="replace") as log:
                log.seek(position)
                words = log.read().strip().rpartition("\n")[2]
            raise Failure(words or f"load {command} ended with status {done.returncode}")
        return json.loads(done.stdout)

    def timed(self, job, pair):
        """One measurement of a round."""
        run = getattr(self, job.partition("-")[0])
        try:
            pair.check()
            pair.settle()
            run(job, pair)
            pair.check()
        except Failure as why:
            self.note(f"{job}, {pair.name}: {why}")
            try:
                pair.restart()
            except Failure as still:
                self.note(f"{pair.name} is out from here on: {still}")
                pair.stop()
                del self.pairs[pair.name]

    def bulk(self, job, pair):
        _, connections, direction = job.split("-")
        cpu = pair.cpu_seconds()
        own = self.generator_cpu()
        result = self.client(
            "bulk",
            self.seconds["bulk"] + 30,
            port=pair.entry,
            connections=connections,
            direction=direction,
            seconds=self.seconds["bulk"],
        )
        own = self.generator_cpu() - own
        pair.settle()
        cpu = pair.cpu_seconds() - cpu
        gib = result["bytes"] / GIB
        if gib == 0:
            raise Failure("not a byte went through")
        self.figures[job].add(pair.name, result["gbit_per_second"])
        # The direct connection has no endpoints; what is shown is the generator's own share.
        spent = cpu if pair.endpoints else own
        self.figures[job.replace("bulk", "cpu")].add(pair.name, spent / gib)

    def generator_cpu(self):
        children = resource.getrusage(resource.RUSAGE_CHILDREN)
        return children.ru_utime + children.ru_stime + procfs.cpu_seconds(self.server.pid)

    def echo(self, _, pair):
        seconds = self.seconds["echo"]
        result = self.client("echo", seconds + 30, port=pair.entry, seconds=seconds)
        self.figures["echo-p50"].add(pair.name, result["p50_ms"])
        self.figures["echo-p99"].add(pair.name, result["p99_ms"])

    def first(self, job, pair):
        seconds = self.seconds[job]
        result = self.client(job, seconds + 30, port=pair.entry, seconds=seconds)
        self.figures[job].add(pair.name, result["p50_ms"])

    def short(self, job, pair):
        seconds = self.seconds[job]
        result = self.client(
            job, seconds + 30, port=pair.entry, connections=SHORT_WORKERS, seconds=seconds
        )
        if result["failed"] > 0:
            self.note(f"short, {pair.name}: {result['failed']} connections failed")
        self.figures[job].add(pair.name, result["per_second"])

    def holder(self, command, **options):
        """Starts a client that prints its result and then holds on until it is released."""
        args = [self.load, command]
        for name, value in options.items():
            args += [f"--{name}", str(value)]
        process = Process(args, self.log, stdin=subprocess.PIPE, stdout=subprocess.PIPE)
        self.extra.append(process)
        return process

    def result(self, holder):
        line = holder.popen.stdout.readline()
        if not line:
            raise Failure(holder.last_words())
        return json.loads(line)

    def release(self, holder):
        holder.popen.stdin.close()
        try:
            status = holder.popen.wait(timeout=30)
        except subprocess.TimeoutExpired:
            raise Failure("the sessions did not end") from None
        if status != 0:
            raise Failure(holder.last_words())

    def fresh(self, kind, entry, target):
        pair = kind(self.directory, entry, target)
        self.extra.append(pair)
        return pair.start()

    def end_extra(self):
        for thing in reversed(self.extra):
            thing.stop()
        self.extra = []

    def set_up(self, kinds):
        """Connect to first byte again, with a path between the endpoints that takes its time."""
        seconds = self.seconds["set-up"]
        half = f"{ROUND_TRIP / 2}ms"
        with laboratory.Laboratory([laboratory.Path("1000mbit", half, "50ms")]) as lab:
            prefix = lab.client.prefix
            place = Place(tuple(prefix), tuple(lab.server.prefix), lab.paths[0].server)
            args = [*lab.server.prefix, self.load, "serve", "--port", str(TARGET_PORT)]
            self.extra.append(Process(args, self.log))
            for kind in kinds:
                try:
                    pair = kind(self.directory, SET_UP_PORT, TARGET_PORT, place)
                    self.extra.append(pair)
                    pair.start()
                    result = self.client(
                        "first-byte", seconds + 60, prefix, port=pair.entry, seconds=seconds
                    )
                    self.figures["set-up"].add(kind.name, result["p50_ms"])
                    pair.check()
                except Failure as why:
                    self.note(f"set-up, {kind.name}: {why}")
                finally:
                    self.extra.pop().stop()
            self.end_extra()

    def idle(self, kind):
        """What 1,000 sessions add to an endpoint, once they have all their subflows."""
        try:
            pair = self.fresh(kind, IDLE_PORT, TARGET_PORT)
            self.client("echo", 30, port=pair.entry, seconds=0.1)
            pair.settle()
            before = pair.memory("VmRSS")
            holder = self.holder("idle", port=pair.entry, connections=IDLE_SESSIONS)
            self.result(holder)
            want = IDLE_SESSIONS * kind.subflows
            wait_until(lambda: procfs.sockets(pair.middle, procfs.ESTABLISHED) == want, 15, 0.2)
            have = procfs.sockets(pair.middle, procfs.ESTABLISHED)
            if have != want:
                raise Failure(f"{have} subflows for {IDLE_SESSIONS} sessions, not {want}")
            time.sleep(2)  # idle is idle: whatever is given back after a burst may be
            pair.check()
            added = [now - then for now, then in zip(pair.memory("VmRSS"), before)]
            self.release(holder)
            self.figures["idle"].add(kind.name, max(added) / MIB * 1000 / IDLE_SESSIONS)
        except Failure as why:
            self.note(f"idle, {kind.name}: {why}")
        finally:
            self.end_extra()

    def slow(self, kinds):
        """Peak memory behind a slow reader: all contestants, both directions, at the same time."""
        seconds = self.seconds["slow"]
        runs = []
        try:
            for i, kind in enumerate(kinds):
                for j, direction in enumerate(("up", "down")):
                    entry = SLOW_PORT + 10 * i + 4 * j
                    pair = self.fresh(kind, entry, entry + 2)
                    holder = self.holder(
                        "slow",
                        port=entry,
                        listen=entry + 2,
                        direction=direction,
                        seconds=seconds,
                        rate=SLOW_RATE,
                    )
                    runs.append((kind.name, direction, pair, holder))
            peaks = {}
            for name, direction, pair, holder in runs:
                try:
                    result = self.result(holder)
                    pair.check()
                    if result["received"] < 0.9 * SLOW_RATE * seconds:
                        got = result["received"] / MIB / seconds
                        raise Failure(f"the reader got {got:.2f} MiB/s, not 1")
                    peaks.setdefault(name, []).append(max(pair.memory("VmHWM")) / MIB)
                except Failure as why:
                    self.note(f"slow {direction}, {name}: {why}")
            for name, values in peaks.items():
                self.figures["slow"].add(name, max(values))
        except Failure as why:
            self.note(f"slow: {why}")
        finally:
            self.end_extra()

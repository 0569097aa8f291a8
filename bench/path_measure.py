# SPDX-License-Identifier: MIT
"""How each case of bench/paths is measured. A measurement that fails is a note, not a number."""

import concurrent.futures
import contextlib
import itertools
import statistics
import sys
import threading
import time

from contestants import Failure
from figures import Bar, Figure
from laboratory import LaboratoryError
from path_cases import rate_of
from path_rig import MIDDLE, TARGET, Rig, every
from path_trace import Trace

DATA = {"down": "ba", "up": "ab"}  # the lane that a direction's bytes take
AGAINST = {"down": "ab", "up": "ba"}
SEEN = 0.02  # seconds: shorter gaps the receiver does not tell


def first_of(result, way):
    """What the receiving end of a direction saw."""
    return result["client" if way == "down" else "server"]


def longest_gap(receiver, since, until=float("inf")):
    """The longest time between two reads, in ms, that ended within these monotonic times."""
    gaps = [seconds for seconds, end, _ in receiver["gaps"] if since <= end <= until]
    return max(gaps, default=SEEN) * 1000


class Measure:
    """All that a run of the benchmark has found so far."""

    def __init__(self, given, missing):
        self.given = given
        self.missing = missing  # contestants left out
        self.figures = {}
        self.notes = []
        self.details = []  # of every transfer, for the JSON
        self.run = 0
        self.begin = time.monotonic()
        self._lock = threading.Lock()

    # ---- keeping what was found ----

    def note(self, text):
        with self._lock:
            if text not in self.notes:
                self.notes.append(text)
        self.say("note: " + text)

    def say(self, text):
        if self.given.verbose:
            passed = time.monotonic() - self.begin
            print(f"{passed:6.1f} s  {text}", file=sys.stderr, flush=True)

    def figure(self, key, title, unit="of sum", digits=3, higher=True, bars=()):
        """A row, made when it is first asked for; braid's bars are for cubic."""
        if self.given.cc != "cubic":
            bars = ()
        with self._lock:
            fresh = Figure(key, title, unit, digits, higher, tuple(bars))
            return self.figures.setdefault(key, fresh)

    def add(self, figure, name, value):
        with self._lock:
            figure.add(name, value)
        text = f"{value:.{figure.digits}f} {figure.unit}"
        self.say(f"run {self.run + 1}: {figure.key}, {name}: {text}")

    def names(self, *wanted):
        return [name for name in wanted if name not in self.missing and name in self.given.who]

    def both(self):
        return self.names("mptcp", "braid")

    def few(self):
        """Where no bar is held against mptcp, it is measured once, and braid every time."""
        return self.both() if self.run == 0 else self.names("braid")

    def directions(self):
        return self.given.directions

    def repeats(self, case):
        return 1 if self.given.quick else case.repeat

    def way(self):
        """Cases of events are not run in both directions each time; they alternate."""
        ways = self.directions()
        return ways[self.run % len(ways)]

    def rig(self, case):
        return Rig(case.paths, self.given.cc, self.run + 1)

    # ---- one transfer ----

    def traced(self, rig, relay, case, way):
        """A trace of what goes on within the "with", if one is wanted."""
        if self.given.trace is None:
            return contextlib.nullcontext()
        title = f"{case.key} {way}, {relay.name}, run {self.run + 1}"
        ports = (MIDDLE, TARGET)
        return Trace(self.given.trace, self._lock, rig, title, DATA[way], ports)

    def transfer(self, rig, relay, case, way, size=None, events=(), stop=None):
        """Runs one transfer with (seconds, function) events; result, with its goodput."""
        size = size or case.size
        sizes = {way: size, "up" if way == "down" else "down": case.back}
        before = rig.wire()
        with self.traced(rig, relay, case, way):
            job = rig.bulk(relay, stop=stop, **sizes)
            for seconds, function in events:
                if not job.at(seconds):
                    raise Failure(f"over before {seconds:g} s")
                function()
            ideal = size * 8 / max(rate_of(path) for path in case.paths)
            result = job.result(max(30, 8 * ideal))
        receiver = first_of(result, way)
        result["goodput"] = receiver["bytes"] * 8 / result["seconds"]
        rig.settle()
        payload = receiver["bytes"] + case.back
        result["extra"] = 100 * (rig.wire_payload(before) / payload - 1)
        with self._lock:
            self.details.append(
                {
                    "case": case.key,
                    "contestant": relay.name,
                    "direction": way,
                    "run": self.run + 1,
                    "seconds": result["seconds"],
                    "goodput": result["goodput"],
                    "extra_percent": result["extra"],
                    "begin": result["begin"],
                    "receiver": receiver,
                }
            )
        return result

    def guarded(self, case, name, function, *args):
        """Runs one measurement; what goes wrong is a note."""
        try:
            return function(*args)
        except (Failure, LaboratoryError) as why:
            self.note(f"{case.key}, {name}: {why}")
            return None

    def with_relay(self, case, name, function, rig=None, **options):
        """function(rig, relay) with a fresh contestant, in a fresh laboratory unless given one."""

        def inside(here):
            relay = here.relay(name, **options)
            try:
                return function(here, relay)
            finally:
                here.end(relay)

        def alone():
            with self.rig(case) as fresh:
                return inside(fresh)

        return self.guarded(case, name, *((inside, rig) if rig else (alone,)))

    # ---- goodput ----

    def row(self, case, way, bars=None):
        bars = case.bars if bars is None else bars
        return self.figure(f"{case.key}-{way}", f"{case.title}, {way}", bars=bars)

    def extra_row(self, case):
        return self.figure(
            f"extra-{case.key}", f"extra bytes, {case.title}", "%", 2, False, (Bar(1),)
        )

    def goodput(self, rig, relay, case, way):
        result = self.transfer(rig, relay, case, way)
        self.add(self.row(case, way), relay.name, result["goodput"] / case.sum())
        if case.extra:
            self.add(self.extra_row(case), relay.name, result["extra"])

    def contest(self, case, names):
        """Both directions of one case, each contestant, in one laboratory."""
        def ways(rig, relay):
            for way in self.directions() * self.repeats(case):
                self.guarded(case, f"{relay.name} {way}", self.goodput, rig, relay, case, way)

        with self.rig(case) as rig:
            for name in names:
                self.with_relay(case, name, ways, rig, subflows=case.subflows)

    def bulk(self, case):
        self.contest(case, self.both())
        if self.run == 0:
            self.alone(case)

    def alone(self, case):
        """Plain TCP on each path; the best one is in the table, all are in the JSON."""
        if not self.names("tcp"):
            return
        with self.rig(case) as rig:
            for way in self.directions():
                rates = []
                for i, path in enumerate(case.paths, 1):
                    relay = rig.relay("tcp", path=i)
                    # Two seconds at the full rate; less would be slow start where there is loss.
                    size = int(min(case.size, 2 * rate_of(path) / 8))
                    result = self.guarded(
                        case, f"tcp, path {i}", self.transfer, rig, relay, case, way, size
                    )
                    rates += [result["goodput"]] if result else []
                    rig.end(relay)
                if rates:
                    self.add(self.row(case, way), "tcp", max(rates) / case.sum())

    def beside_plain(self, case):
        """The bar is relative to plain TCP on the first path, the fastest."""
        self.contest(case, self.few())
        if not self.names("tcp"):
            return
        # The same fast path for all cases of the matrix: measured once a run, and shared.
        sharing = [one for one in self.given.cases if case.group and one.group == case.group]
        sharing = sharing or [case]
        if sharing[0] is not case:
            return
        policed = "police" in case.paths[0].more

        def measure(rig, relay):
            size = case.size // case.subflows if policed else case.size
            for way in self.directions():
                for _ in range(self.repeats(case)):
                    goodput = self.transfer(rig, relay, case, way, size)["goodput"]
                    for one in sharing:
                        self.add(self.row(one, way), "tcp", goodput / one.sum())

        self.with_relay(case, "tcp", measure)

    # ---- at the same time, since they need little of the machine ----

    def parallel(self, cases):
        """selftest and outage cases: each contestant and direction in a laboratory of its own."""
        cells = []
        for case, way, name in itertools.product(cases, self.directions(), self.both()):
            function = self.outage if case.kind == "outage" else self.selftest
            if case.kind == "outage" and self.run > 0:
                continue
            cells.append((case, name, function, case, way, name))
        # What takes a minute by nature, and no processor, runs beside all others.
        cells.sort(key=lambda cell: cell[0].kind != "outage")
        waiting = sum(1 for cell in cells if cell[0].kind == "outage")
        with concurrent.futures.ThreadPoolExecutor(self.given.jobs + waiting) as pool:
            jobs = [pool.submit(self.guarded, *cell) for cell in cells]
            try:
                for job in jobs:
                    job.result()
            except BaseException:
                pool.shutdown(wait=False, cancel_futures=True)
                Rig.close_all()
                raise

    def selftest(self, case, way, name):
        with self.rig(case) as rig:
            relay = rig.relay(name)
            self.goodput(rig, relay, case, way)

    def outage(self, case, way, name):
        """Both links away; the first returns, two seconds later the second."""
        length = self.given.outage
        figure = self.figure(
            "outage",
            case.title.format(outage=length) + ": going again after",
            "s",
            2,
            False,
            (Bar(1.5),),
        )
        with self.rig(case) as rig:
            links = rig.lab.links
            options = {"grace": "120s"} if name == "braid" else {}
            relay = rig.relay(name, **options)
            events = (
                (1, lambda: [one.down() for one in links]),
                (1 + length, links[0].up),
                (3 + length, links[1].up),
            )
            result = self.transfer(rig, relay, case, way, events=events)
            receiver = first_of(result, way)
            back = result["begin"] + 1 + length
            after = [end for _, end, _ in receiver["gaps"] if end >= back]
            if not after:
                raise Failure("no gap was seen around the outage")
            self.add(figure, name, min(after) - back)

    # ---- events under bulk ----

    def gap_figure(self, case, bar):
        return self.figure(case.key, case.title + ": longest gap", "ms", 0, False, (Bar(bar),))

    def silent(self, case):
        gap = self.gap_figure(case, 160)
        done = self.figure("silent-back", case.title + ": done in", "s", 2, False, (Bar(10.0),))

        def measure(rig, relay):
            way = self.way()
            events = ((3, rig.lab.links[1].down), (8, rig.lab.links[1].up))
            result = self.transfer(rig, relay, case, way, events=events)
            begin = result["begin"]
            self.add(gap, relay.name, longest_gap(first_of(result, way), begin + 3, begin + 8))
            self.add(done, relay.name, result["seconds"])

        for name in self.few():
            self.with_relay(case, name, measure)

    def one_event(self, case, bar, act, stop=None):
        """Something happens at 3 s: the longest gap from there on."""
        gap = self.gap_figure(case, bar)

        def measure(rig, relay):
            way = self.way()
            events = ((3, lambda: act(rig, way)),)
            result = self.transfer(rig, relay, case, way, events=events, stop=stop)
            receiver = first_of(result, way)
            begin = result["begin"]
            value = longest_gap(receiver, begin + 3)
            if stop is not None:  # silence until the end is a gap as well
                value = max(value, (begin + stop - receiver["last"]) * 1000)
            self.add(gap, relay.name, value)

        for name in self.few():
            self.with_relay(case, name, measure)

    def reset(self, case):
        def act(rig, _):
            if rig.kill_subflows(2) == 0:
                raise Failure("ss -K found no subflow on path 2")

        self.one_event(case, 90, act)

    def first_silent(self, case):
        self.one_event(case, 450, lambda rig, _: rig.lab.links[0].down(), stop=8)

    def hole(self, case):
        lanes = DATA if case.key == "hole-data" else AGAINST
        self.one_event(case, 160, lambda rig, way: rig.lab.links[1].down(lanes[way]))

    def pause(self, case):
        share = self.figure(case.key, case.title, "of undisturbed", 3, True, (Bar(0.95),))
        extra = self.figure("extra-pause", "extra bytes, " + case.title, "%", 2, False, (Bar(3),))

        def measure(rig, relay):
            way = self.way()
            calm = self.transfer(rig, relay, case, way)
            done = every(5, lambda: rig.lab.links[1].pause("200ms"))
            try:
                result = self.transfer(rig, relay, case, way)
            finally:
                done.set()
            self.add(share, relay.name, result["goodput"] / calm["goodput"])
            self.add(extra, relay.name, result["extra"])

        for name in self.few():
            self.with_relay(case, name, measure)

    # ---- latency ----

    def echo_idle(self, case):
        # The emulated round trip is 10 ms and some tenths, as plain TCP shows.
        figure = self.figure(case.key, case.title + ", p50", "ms", 2, False, (Bar(11.3),))

        def measure(rig, relay):
            self.add(figure, relay.name, rig.echo(relay, 2).result()["p50_ms"])

        with self.rig(case) as rig:
            for name in self.names("tcp", "mptcp", "braid"):
                self.with_relay(case, name, measure, rig)

    def echo_bulk(self, case):
        latency = self.figure(case.key, case.title + ", p50", "ms", 2, False, (Bar(0.6, "tcp"),))
        share = self.figure(
            "echo-bulk-rate",
            "the bulk session's goodput beside it",
            "of alone",
            bars=(Bar(0.97),),
        )

        def measure(rig, relay):
            way = self.way()
            size = case.size // 2 if relay.name == "tcp" else case.size
            calm = self.transfer(rig, relay, case, way, size)
            echoes = []
            # Once the queues are full.
            events = ((1, lambda: echoes.append(rig.echo(relay, 2.5))),)
            result = self.transfer(rig, relay, case, way, size, events)
            self.add(latency, relay.name, echoes[0].result()["p50_ms"])
            self.add(share, relay.name, result["goodput"] / calm["goodput"])

        with self.rig(case) as rig:
            for name in self.names("tcp", "mptcp", "braid"):
                self.with_relay(case, name, measure, rig)

    def first_dead(self, case):
        """Against the live path alone; a fresh daemon each time, as it may know no better."""
        figure = self.figure(case.key, case.title, "ms", 1, False, (Bar(1.2, "tcp"),))

        def first(rig, relay):
            return rig.echo(relay, 0.01, 1).result(20)["first_ms"]

        with self.rig(case) as rig:
            rig.lab.links[0].down()
            for name in self.names("tcp", "braid"):
                options = {"path": 2} if name == "tcp" else {}
                samples = [self.with_relay(case, name, first, rig, **options) for _ in range(5)]
                samples = [one for one in samples if one is not None]
                if samples:
                    self.add(figure, name, statistics.median(samples))

    # ---- all of it ----

    def once(self, progress):
        """One run of all the cases that were asked for."""
        cases = self.given.cases
        for case in cases:
            if case.kind in ("selftest", "outage"):
                continue
            progress(case.key)
            self.guarded(case, "laboratory", getattr(self, case.kind), case)
        together = [case for case in cases if case.kind in ("selftest", "outage")]
        if together:
            progress(", ".join(sorted({case.group or case.key for case in together})))
            self.parallel(together)


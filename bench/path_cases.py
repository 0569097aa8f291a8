# SPDX-License-Identifier: MIT
"""The cases of bench/paths: their links, their bars. How each is run is path_measure's.

Links are written (rate in Mbit/s, one-way delay in ms, drop-tail queue in ms of the rate).
"""

from dataclasses import dataclass

from figures import Bar
from laboratory import Path

MB = 1_000_000
MIB = 1024 * 1024
SELFTEST_SIZE = 16 * MIB
SELFTEST_BACK = 81920


def link(rate, delay, queue=50, more=""):
    """One path."""
    return Path(f"{rate}mbit", f"{delay}ms", f"{queue}ms", more)


def limited(rate, delay, frames):
    """As netem does it for the kernel's selftest: one limit for queue and wire together."""
    return Path(f"{rate}mbit", f"{delay}ms", "none", f"limit {frames}")


def rate_of(path):
    """bit/s"""
    return float(path.rate.removesuffix("mbit")) * 1e6


@dataclass(frozen=True)
class Case:
    """What path_measure needs to know; kind is the method that runs it."""

    key: str
    title: str
    kind: str
    paths: tuple
    size: int = 0
    bars: tuple = ()
    subflows: int = 1  # on each path
    repeat: int = 1  # transfers a run, where chance has much to say
    back: int = 0  # bytes the other way at the same time
    extra: bool = True  # undisturbed: its extra bytes are held against the bar for them
    group: str = ""

    def sum(self):
        """bit/s of all links."""
        return sum(rate_of(path) for path in self.paths)


def _selftest(age, number, rates, delays, limits):
    r1, r2 = rates
    d1, d2 = delays
    # ms, the selftest's own
    most = 1000 * SELFTEST_SIZE * 8 * 10 / ((r1 + r2) * MB * 9) + 400 + 50
    ratio = SELFTEST_SIZE * 8 / (most / 1000) / ((r1 + r2) * MB)
    words = f", {limits[0]}/{limits[1]} frames" if age == "new" else ""
    return Case(
        f"selftest-{age}-{number}",
        f"selftest ({r1}, {d1}) + ({r2}, {d2}){words}",
        "selftest",
        (limited(r1, d1, limits[0]), limited(r2, d2, limits[1])),
        SELFTEST_SIZE,
        (Bar(round(ratio, 3)), Bar(1, "mptcp")),
        back=SELFTEST_BACK,
        group="selftest",
    )


OLD = (
    ((10, 10), (0, 0)),
    ((10, 10), (1, 50)),
    ((30, 10), (0, 0)),
    ((30, 10), (1, 50)),
    ((30, 10), (50, 1)),
)
NEW = (
    ((10, 10), (0, 0), (20, 20)),
    ((10, 10), (1, 25), (20, 50)),
    ((10, 3), (0, 0), (30, 20)),
    ((10, 3), (1, 25), (40, 30)),
    ((10, 3), (25, 1), (50, 30)),
)
SLOW_DELAYS = (1, 5, 12.5, 25, 50, 150)
FAST = link(100, 5, 50)
TWO = (FAST, FAST)


def _matrix(size, name):
    return [
        Case(
            f"matrix-{name}-{delay:g}",
            f"(100, 5, 50) + (2, {delay:g}, 200), {size // MB} MB",
            "beside_plain",
            (FAST, link(2, delay, 200)),
            size,
            (Bar(0.97, "tcp"),),
            repeat=3 if size == MB else 1,
            extra=size > MB,
            group=f"matrix-{name}",
        )
        for delay in SLOW_DELAYS
    ]


CASES = [
    Case("sum-2", "2 × (100, 5, 50), 60 MB", "bulk", TWO, 60 * MB, (Bar(0.935),)),
    Case(
        "sum-100-20",
        "(100, 5, 50) + (20, 25, 100), 36 MB",
        "bulk",
        (FAST, link(20, 25, 100)),
        36 * MB,
        (Bar(0.92),),
    ),
    Case(
        "sum-3",
        "(50, 2.5, 50) + (30, 12.5, 80) + (10, 30, 120), 30 MB",
        "bulk",
        (link(50, 2.5, 50), link(30, 12.5, 80), link(10, 30, 120)),
        30 * MB,
        (Bar(0.91),),
    ),
    Case(
        "sum-4",
        "4 × (50, 10, 60), 60 MB",
        "bulk",
        (link(50, 10, 60),) * 4,
        60 * MB,
        (Bar(0.91),),
    ),
    *(_selftest("old", i, rates, delays, (1000, 1000)) for i, (rates, delays) in enumerate(OLD, 1)),
    *(_selftest("new", i, *rest) for i, rest in enumerate(NEW, 1)),
    Case(
        "loss",
        "(100, 25, 50), 0.5 % loss, 4 subflows, 10 MB",
        "bulk",
        (link(100, 25, 50, "loss 0.5%"),),
        10 * MB,
        (Bar(1, "mptcp"),),
        subflows=4,
        repeat=3,
        extra=False,
    ),
    Case(
        "police",
        "(200, 10, 50), each flow policed to 10, 8 subflows, 20 MB",
        "beside_plain",
        (link(200, 10, 50, "police 10mbit burst 62500"),),
        20 * MB,
        (Bar(7.8, "tcp"),),
        subflows=8,
        extra=False,
    ),
    *_matrix(MB, "1"),
    *_matrix(20 * MB, "20"),
    Case(
        "skew",
        "(100, 5, 50) + (5, 100, 100), 100 MB",
        "beside_plain",
        (FAST, link(5, 100, 100)),
        100 * MB,
        (Bar(0.98, "tcp"), Bar(0.92)),
    ),
    Case(
        "silent",
        "path 2 of 2 × (100, 5, 50) silent from 3 s to 8 s, 160 MB",
        "silent",
        TWO,
        160 * MB,
    ),
    Case("reset", "path 2 of 2 × (100, 5, 50) reset at 3 s", "reset", TWO, 100 * MB),
    Case(
        "first-silent",
        "path 1 of (100, 5, 50) + (5, 100, 100) silent at 3 s",
        "first_silent",
        (FAST, link(5, 100, 100)),
        160 * MB,
    ),
    Case(
        "hole-data",
        "path 2 of 2 × (100, 5, 50) loses what goes with the data",
        "hole",
        TWO,
        100 * MB,
    ),
    Case(
        "hole-acks",
        "path 2 of 2 × (100, 5, 50) loses what goes against the data",
        "hole",
        TWO,
        100 * MB,
    ),
    Case(
        "pause",
        "2 × (100, 5, 50), path 2 pauses 200 ms every 5 s, 120 MB",
        "pause",
        TWO,
        120 * MB,
    ),
    Case(
        "outage",
        "2 × (20, 10, 50) both down for {outage:g} s",
        "outage",
        (link(20, 10), link(20, 10)),
        10 * MB,
    ),
    Case(
        "echo-idle",
        "echo of 64 B, (100, 5, 50) + (20, 25, 100), idle",
        "echo_idle",
        (FAST, link(20, 25, 100)),
    ),
    Case(
        "echo-bulk",
        "echo of 64 B beside a bulk session, 2 × (100, 5, 50)",
        "echo_bulk",
        TWO,
        100 * MB,
    ),
    Case("first-dead", "first path dead at start: connect to first byte", "first_dead", TWO),
]

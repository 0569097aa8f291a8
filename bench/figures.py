# SPDX-License-Identifier: MIT
"""The figures: what they are called, which way is better, and the bars braid is held against."""

import statistics
from dataclasses import dataclass, field


@dataclass(frozen=True)
class Bar:
    """At least (or at most) factor times another's figure, or that much more, or an absolute value."""

    limit: float
    against: str = ""  # a contestant's name; empty: the limit is absolute
    more: bool = False  # the limit is a difference, not a factor

    def text(self, figure):
        sign = "≥" if figure.higher else "≤"
        if self.more:
            return f"{sign} {self.against} + {self.limit:g} {figure.unit}"
        return f"{sign} {self.limit:g} " + (self.against or figure.unit)

    def met(self, figure, ratios, value):
        """Whether it is met; None when what it takes was not measured."""
        if self.more:
            other = figure.median(self.against)
            value = None if value is None or other is None else value - other
        elif self.against:
            value = ratios.get(self.against)
        if value is None:
            return None
        return value >= self.limit if figure.higher else value <= self.limit


@dataclass
class Figure:
    """One row of the table, with the values of every round."""

    key: str
    title: str
    unit: str
    digits: int
    higher: bool = False  # is better
    bars: tuple = ()
    values: dict = field(default_factory=dict)  # contestant: one value a round

    def add(self, contestant, value):
        self.values.setdefault(contestant, []).append(value)

    def median(self, contestant):
        values = self.values.get(contestant)
        return statistics.median(values) if values else None

    def ratios(self):
        """braid's median by the others'."""
        mine = self.median("braid")
        found = {}
        for other in self.values:
            base = self.median(other)
            if other != "braid" and mine is not None and base:
                found[other] = mine / base
        return found

    def verdict(self):
        """pass or short; empty without a bar that could be looked at."""
        met = [bar.met(self, self.ratios(), self.median("braid")) for bar in self.bars]
        met = [one for one in met if one is not None]
        if not met:
            return ""
        return "pass" if all(met) else "short"


ROUND_TRIP = 50  # ms, of the path that sessions are set up over

# By security and figure; bulk and cpu stand for those of any number and direction.
BARS = {
    "none": {
        "bulk": (Bar(1.2, "haproxy"), Bar(0.9, "socat")),
        "cpu": (Bar(0.9, "haproxy"),),
        "echo-p50": (Bar(1.1, "haproxy"),),
        "echo-p99": (Bar(1.3, "haproxy"),),
        "first-byte": (Bar(1.3, "haproxy"),),
        "short": (Bar(0.6, "haproxy"),),
        "idle": (Bar(8),),
        "slow": (Bar(24),),
    },
    "key": {
        "bulk-1-up": (Bar(1.0, "stunnel"),),
        "bulk-1-down": (Bar(1.0, "stunnel"),),
        "cpu-1-up": (Bar(1.1, "stunnel"),),
        "cpu-1-down": (Bar(1.1, "stunnel"),),
        # One round trip, with a tenth of it for computing: a second one would show.
        "set-up": (Bar(1.1 * ROUND_TRIP, "none", True), Bar(1.0, "stunnel")),
        "slow": (Bar(24),),
    },
}


def _bulk(connections, direction):
    plural = "s" if connections > 1 else ""
    what = f"{connections} connection{plural}, {direction}"
    key = f"{connections}-{direction}"
    return [
        Figure("bulk-" + key, f"bulk, {what}", "Gbit/s", 2, True),
        Figure("cpu-" + key, f"CPU, {what}", "s/GiB", 3),
    ]


def all_figures(security="none"):
    """A fresh set, by key, in the order of the table."""
    rows = [row for n in (1, 8) for direction in ("up", "down") for row in _bulk(n, direction)]
    rows.sort(key=lambda row: row.key.startswith("cpu"))
    rows += [
        Figure("echo-p50", "echo 64 B, p50", "ms", 3),
        Figure("echo-p99", "echo 64 B, p99", "ms", 3),
        Figure("first-byte", "connect to first byte, p50", "ms", 3),
        Figure("short", "short connections", "1/s", 0, True),
        Figure("set-up", f"the same, {ROUND_TRIP} ms round trip", "ms", 1),
        Figure("idle", "RSS, 1,000 idle sessions", "MiB", 2),
        Figure("slow", "peak RSS, reader at 1 MiB/s", "MiB", 2),
    ]
    bars = BARS[security]
    for row in rows:
        row.bars = bars.get(row.key, bars.get(row.key.partition("-")[0], ()))
    return {row.key: row for row in rows}

# SPDX-License-Identifier: MIT
"""The figures: what they are called, which way is better, and the bars braid is held against."""

import statistics
from dataclasses import dataclass, field


@dataclass(frozen=True)
class Bar:
    """At least (or at most) factor times another's figure, or an absolute value."""

    limit: float
    against: str = ""  # a contestant's name; empty: the limit is absolute

    def text(self, figure):
        sign = "≥" if figure.higher else "≤"
        return f"{sign} {self.limit:g} " + (self.against or figure.unit)

    def met(self, figure, ratios, value):
        """Whether it is met; None when what it takes was not measured."""
        value = ratios.get(self.against) if self.against else value
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


def _bulk(connections, direction):
    plural = "s" if connections > 1 else ""
    what = f"{connections} connection{plural}, {direction}"
    bars = (Bar(1.2, "haproxy"), Bar(0.9, "socat"))
    return {
        f"bulk-{connections}-{direction}": Figure(
            f"bulk-{connections}-{direction}", f"bulk, {what}", "Gbit/s", 2, True, bars
        ),
        f"cpu-{connections}-{direction}": Figure(
            f"cpu-{connections}-{direction}",
            f"CPU, {what}",
            "s/GiB",
            3,
            bars=(Bar(0.9, "haproxy"),),
        ),
    }


def all_figures():
    """A fresh set, by key, in the order of the table."""
    bulk = {}
    for connections in (1, 8):
        for direction in ("up", "down"):
            bulk.update(_bulk(connections, direction))
    rows = [bulk[key] for key in sorted(bulk, key=lambda key: key.startswith("cpu"))]
    rows += [
        Figure("echo-p50", "echo 64 B, p50", "ms", 3, bars=(Bar(1.1, "haproxy"),)),
        Figure("echo-p99", "echo 64 B, p99", "ms", 3, bars=(Bar(1.3, "haproxy"),)),
        Figure(
            "first-byte", "connect to first byte, p50", "ms", 3, bars=(Bar(1.3, "haproxy"),)
        ),
        Figure("short", "short connections", "1/s", 0, True, (Bar(0.6, "haproxy"),)),
        Figure("idle", "RSS, 1,000 idle sessions", "MiB", 2, bars=(Bar(8),)),
        Figure("slow", "peak RSS, reader at 1 MiB/s", "MiB", 2, bars=(Bar(24),)),
    ]
    return {row.key: row for row in rows}

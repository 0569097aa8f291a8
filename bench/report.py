# SPDX-License-Identifier: MIT
"""The table and its JSON."""

import json

NAMES = ("direct", "haproxy", "socat", "stunnel", "none", "braid")
BESIDE = NAMES[1:-1]


def _cell(value, digits):
    return "-" if value is None else f"{value:,.{digits}f}"


def _verdict(figure):
    """As the figure says; a bar without a figure to hold against it is not met either."""
    missing = figure.bars and figure.median("braid") is None
    return "not measured" if missing else figure.verdict()


def _row(figure, names):
    ratios = figure.ratios()
    cells = [figure.title, figure.unit]
    cells += [_cell(figure.median(name), figure.digits) for name in names]
    if "braid" in names:
        for other in BESIDE:
            if other in names:
                cells.append(_cell(ratios.get(other), 2))
        cells.append(", ".join(bar.text(figure) for bar in figure.bars))
        cells.append(_verdict(figure))
    return cells


def table(figures, measured):
    """The rows as text; the last line counts the bars."""
    names = [name for name in NAMES if name in measured]
    head = ["median of all rounds", "unit", *names]
    if "braid" in names:
        head += [f"÷ {other}" for other in BESIDE if other in names]
        head += ["bar", ""]
    rows = [head] + [_row(figure, names) for figure in figures if figure.values]
    widths = [max(len(row[i]) for row in rows) for i in range(len(head))]
    left = {0, 1, len(head) - 1, len(head) - 2} if "braid" in names else {0, 1}
    lines = []
    for row in rows:
        cells = (
            cell.ljust(width) if i in left else cell.rjust(width)
            for i, (cell, width) in enumerate(zip(row, widths))
        )
        lines.append("  ".join(cells).rstrip())
    lines.insert(1, "-" * max(len(line) for line in lines))
    verdicts = [_verdict(figure) for figure in figures if figure.values]
    if "braid" in names and any(verdicts):
        held = sum(1 for verdict in verdicts if verdict)
        lines.append(f"{verdicts.count('pass')} of {held} figures within their bars")
    return "\n".join(lines)


def write_json(path, figures, about, notes):
    """All values of all rounds, the medians, ratios and bars."""
    out = {"about": about, "notes": notes, "figures": []}
    for figure in figures:
        if not figure.values:
            continue
        out["figures"].append(
            {
                "key": figure.key,
                "title": figure.title,
                "unit": figure.unit,
                "better": "higher" if figure.higher else "lower",
                "median": {name: figure.median(name) for name in figure.values},
                "rounds": figure.values,
                "ratio": figure.ratios(),
                "bars": [bar.text(figure) for bar in figure.bars],
                "verdict": _verdict(figure),
            }
        )
    with open(path, "w", encoding="utf-8") as file:
        json.dump(out, file, indent=2, ensure_ascii=False)
        file.write("\n")

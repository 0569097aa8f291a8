# SPDX-License-Identifier: MIT
"""The table of bench/paths."""

from report import _cell, _verdict

NAMES = ("tcp", "mptcp", "braid")


def _spread(figure):
    values = figure.values.get("braid", ())
    if len(values) < 2:
        return ""
    return f"{min(values):,.{figure.digits}f}–{max(values):,.{figure.digits}f}"


def _row(figure):
    ratios = figure.ratios()
    cells = [figure.title, figure.unit]
    cells += [_cell(figure.median(name), figure.digits) for name in NAMES]
    cells.append(_spread(figure))
    cells += [_cell(ratios.get(other), 2) for other in ("tcp", "mptcp")]
    cells.append(", ".join(bar.text(figure) for bar in figure.bars))
    cells.append(_verdict(figure))
    return cells


def table(figures):
    """The rows as text; the last line counts the bars."""
    head = ["median of all runs", "unit", *NAMES, "braid's spread", "÷ tcp", "÷ mptcp", "bar", ""]
    rows = [head] + [_row(figure) for figure in figures]
    widths = [max(len(row[i]) for row in rows) for i in range(len(head))]
    left = {0, 1, len(head) - 1, len(head) - 2}
    lines = []
    for row in rows:
        cells = (
            cell.ljust(width) if i in left else cell.rjust(width)
            for i, (cell, width) in enumerate(zip(row, widths))
        )
        lines.append("  ".join(cells).rstrip())
    lines.insert(1, "-" * max(len(line) for line in lines))
    verdicts = [_verdict(figure) for figure in figures]
    held = sum(1 for verdict in verdicts if verdict)
    if held:
        lines.append(f"{verdicts.count('pass')} of {held} figures within their bars")
    return "\n".join(lines)

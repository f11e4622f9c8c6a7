"""What the statistical suite looked at: a row per topic, a point per check at its p-value."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

import altair as alt

from lbbench.report.charts.cells import texts_axis
from lbbench.report.charts.lines import Axis
from lbbench.report.charts.look import BLUE, RED
from lbbench.report.charts.picture import Picture, drawn, table
from lbbench.report.charts.scales import Span

ROW = 30.0
"""Pixels of a row."""

LANES = (0.0, 0.2, -0.2, 0.1, -0.1)
"""How far points of a row stand off its middle, in rows, one after the other."""

EXACT = 3.0
"""Where checks stand that need no p-value: right of 1."""

Row = Mapping[str, Any]


def verify_coverage(
    checks: Sequence[Row],
    *,
    level: float,
    name: str = "verify-coverage",
    title: str = "What was verified, and how close it came",
    note: str = "",
) -> Picture:
    """Return the chart.

    Parameters
    ----------
    checks
        ``id``, ``topic``, ``claim``, ``p_value``, ``verdict`` (``pass`` or another word); of what
        leaves nothing to chance ``p_value`` is None or ``test`` is ``certain``.
    level
        The p-value below which a check fails.
    """
    topics = list(dict.fromkeys(str(check["topic"]) for check in checks))
    known = [check["p_value"] for check in checks if not _is_exact(check) and check["p_value"] > 0]
    least = max(min([level / 3.0, *known]), 1e-12)
    low = 10.0 ** (_power(least) - 1 if least < 10.0 ** _power(least) else _power(least))
    rows = [_row(check, topics, low, k) for k, check in enumerate(_in_order(checks, topics))]
    sizes = {topic: sum(check["topic"] == topic for check in checks) for topic in topics}
    texts = [f"{topic} ({sizes[topic]})" for topic in topics]
    ticks = [10.0**k for k in range(_power(low), 1)]
    x = Axis(
        "p-value (probability)",
        Span(low, EXACT * 1.6, (*ticks, EXACT), "log"),
        labels="datum.value > 1 ? 'exact' : format(datum.value, datum.value < 1e-3 ? '.0e' : '~g')",
    )
    across: dict[str, Any] = {"axis": x.axis(), "scale": x.scale()}
    place: dict[str, Any] = {
        "x": alt.X("x:Q", **across),
        "y": alt.Y("y:Q", **texts_axis(None, texts, reverse=True, grid=True)),
    }
    points = table(rows).mark_point(filled=True, size=60, opacity=0.85).encode(
        **place,
        color=alt.Color("verdict:N", legend=None, scale=alt.Scale(
            domain=["pass", "fail"], range=[BLUE, RED])),
        shape=alt.Shape("verdict:N", legend=None, scale=alt.Scale(
            domain=["pass", "fail"], range=["circle", "cross"])),
        tooltip=[alt.Tooltip("id:N", title="check"), alt.Tooltip("claim:N", title="claim"),
                 alt.Tooltip("p:N", title="p-value"), alt.Tooltip("verdict:N", title="verdict")],
    )  # fmt: skip
    line = table([{"x": level, "label": f"fails below {level:.2g}"}])
    rule = line.mark_rule(style="objective").encode(x=alt.X("x:Q", **across))
    label = line.mark_text(align="left", baseline="bottom", dx=4, y=-4).encode(
        x=alt.X("x:Q", **across), text="label:N"
    )
    layers: list[alt.Chart] = [rule, label, points]
    failed = [row for row in rows if row["verdict"] == "fail"]
    if failed:
        names = table(failed).encode(**place, text="id:N")
        style: dict[str, Any] = {"align": "left", "baseline": "middle", "dx": 8, "fontSize": 11}
        layers += [names.mark_text(style="halo", **style), names.mark_text(**style)]
    n = len(rows)
    caption = (
        f"{n - len(failed)} of {n} checks pass. Each point is a check against theory; where theory "
        "holds, p-values lie evenly between 0 and 1, and one below the dashed line is no chance."
    )
    return drawn(
        layers, name=name, title=title, caption=f"{caption} {note}",
        height=ROW * max(len(topics), 1),
    )  # fmt: skip


def _in_order(checks: Sequence[Row], topics: Sequence[str]) -> list[Row]:
    """Return the checks by topic, each topic's by p-value, so that neighbours get other lanes."""
    return sorted(
        checks,
        key=lambda one: (
            topics.index(str(one["topic"])),
            EXACT if _is_exact(one) else one["p_value"],
        ),
    )


def _row(check: Row, topics: Sequence[str], low: float, number: int) -> dict[str, Any]:
    p = check["p_value"]
    return {
        "id": check["id"],
        "claim": check["claim"],
        "p": "exact" if _is_exact(check) else f"{p:.3g}",
        "verdict": "pass" if check["verdict"] == "pass" else "fail",
        "x": EXACT if _is_exact(check) else max(p, low),
        "y": topics.index(str(check["topic"])) + 0.5 + LANES[number % len(LANES)],
    }


def _is_exact(check: Row) -> bool:
    """Tell whether a check leaves nothing to chance, so that it has no p-value."""
    return check["p_value"] is None or check.get("test") == "certain"


def _power(value: float) -> int:
    """Return the power of ten at or above a positive number below 1."""
    return math.ceil(math.log10(value) - 1e-9)

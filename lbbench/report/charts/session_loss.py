"""What a change of the cluster cost sessions: requests that lost their pod, keys that moved."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import altair as alt

from lbbench.model.label import label_of
from lbbench.report.charts.cells import texts_axis
from lbbench.report.charts.lines import Axis
from lbbench.report.charts.look import RED, SLATE
from lbbench.report.charts.picture import LETTER, Picture, drawn, table
from lbbench.report.charts.scales import linear

ROW = 34.0
"""Pixels of a row."""

Row = Mapping[str, Any]


def session_loss(
    rows: Sequence[Row],
    *,
    name: str = "session-loss",
    title: str = "Requests that lost their session",
    note: str = "",
) -> Picture | None:
    """Return how many requests went to another pod than the one before; None without sessions.

    ``rows`` are ``series`` and an ``affinity`` block as a result has it.
    """
    known = [row for row in rows if row["affinity"]["requests"]]
    parts = [
        (
            str(row["series"]),
            100.0 * row["affinity"]["forced_loss"] / row["affinity"]["requests"],
            100.0 * row["affinity"]["session_loss"] / row["affinity"]["requests"],
        )
        for row in known
    ]
    return _stacked(
        parts,
        ("their pod was gone", "their pod was still there"),
        "requests of sessions (%)",
        name,
        title,
        "Of the requests whose session had an answer before: those that went to another pod. "
        f"{note}",
    )


def keys_moved(
    rows: Sequence[Row],
    *,
    name: str = "keys-moved",
    title: str | None = None,
    note: str = "",
) -> Picture | None:
    """Return how many sessions or keys a change moved, and how many more than it had to."""
    known = [row for row in rows if row["affinity"]["remap_fraction"] is not None]
    parts = []
    for row in known:
        moved, excess = row["affinity"]["remap_fraction"], row["affinity"]["excess_remap"] or 0.0
        parts.append((str(row["series"]), 100.0 * (moved - excess), 100.0 * excess))
    unit = f"{known[0]['affinity'].get('unit', 'session')}s" if known else "sessions"
    return _stacked(
        parts,
        ("moved because they had to", "moved without need"),
        f"{unit} (%)",
        name,
        title or f"{unit.capitalize()} that a change moved to another pod",
        f"Only those have to move whose pod has left, not those that a new pod takes. {note}",
    )


def _stacked(
    parts: Sequence[tuple[str, float, float]],
    kinds: tuple[str, str],
    axis: str,
    name: str,
    title: str,
    caption: str,
) -> Picture | None:
    """Return a bar per series of two parts, the needed one and the needless one."""
    if not parts:
        return None
    most = max(first + second for _, first, second in parts)
    data = []
    for k, (series, first, second) in enumerate(parts):
        who = {"y": k + 0.5, "who": label_of(series)}
        data.append({**who, "x0": 0.0, "x1": first, "kind": kinds[0], "part": first})
        data.append({**who, "x0": first, "x1": first + second, "kind": kinds[1], "part": second})
    labels: list[dict[str, Any]] = [
        {"y": k + 0.5, "x": first + second, "label": _label(first, second)}
        for k, (_, first, second) in enumerate(parts)
    ]
    room = max(len(row["label"]) for row in labels) * LETTER + 12.0
    across = Axis(axis, linear(0.0, most or 1.0))
    x: dict[str, Any] = {"axis": across.axis(grid=True),
         "scale": across.scale(range=[0, alt.ExprRef(f"width - {room:.0f}")])}  # fmt: skip
    y = texts_axis(None, [label_of(series) for series, _, _ in parts], reverse=True)
    bars = table(data).mark_bar(orient="horizontal", height=16).encode(
        x=alt.X("x0:Q", **x), x2="x1:Q", y=alt.Y("y:Q", **y),
        color=alt.Color("kind:N", sort=list(kinds),
                        scale=alt.Scale(domain=list(kinds), range=[SLATE, RED]),
                        legend=alt.Legend(title=None, orient="top", symbolType="square",
                                          columns=alt.ExprRef("width < 420 ? 1 : 2"))),
        tooltip=[alt.Tooltip("who:N", title="policy"), alt.Tooltip("kind:N", title="which"),
                 alt.Tooltip("part:Q", title="%", format=".3f")],
    )  # fmt: skip
    texts = table(labels).mark_text(align="left", baseline="middle", dx=6, fontSize=11).encode(
        x=alt.X("x:Q", **x), y=alt.Y("y:Q", **y), text="label:N"
    )  # fmt: skip
    return drawn(
        [bars, texts], name=name, title=title, caption=caption,
        height=ROW * len(parts),
    )  # fmt: skip


def _label(first: float, second: float) -> str:
    return f"{_percent(first)} + {_percent(second)}"


def _percent(value: float) -> str:
    return f"{value:.2f} %" if value < 10.0 else f"{value:.1f} %"

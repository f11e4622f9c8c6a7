"""Who is how far from the best at which job: a row per entrant, a column per job, p99 as colour.

The colour is of the logarithm: twice the best is as far from the best as four times from twice.
"""

from __future__ import annotations

import math
import textwrap
from collections.abc import Mapping, Sequence
from typing import Any

import altair as alt

from lbbench.model.label import label_of
from lbbench.report.charts.cells import texts_axis
from lbbench.report.charts.picture import Picture, drawn, table

ROW = 19.0
"""Pixels of a row."""

MOST = 16.0
"""Multiples of the best from which on all are as dark."""

DARK = 4.5
"""Multiples from which on a cell is so dark that its text is light."""

HEAD, LINE = 12, 13.0
"""Letters of a line in a column's head, and the pixels that it takes."""

Row = Mapping[str, Any]


def tail_by_job(
    rows: Sequence[Row],
    *,
    jobs: Sequence[str],
    name: str = "p99-by-job",
    title: str = "p99 as a multiple of the best at each job",
    note: str = "",
) -> Picture:
    """Return the chart.

    Parameters
    ----------
    rows
        ``entrant``, in the order of the rows; ``job``; ``ratio`` (None: none); ``failed``: the
        share of failed requests where that is so large that there is no p99, else None.
    jobs
        The columns.
    """
    entrants = list(dict.fromkeys(str(row["entrant"]) for row in rows))
    data = [_cell(row, entrants, jobs) for row in rows]
    y = texts_axis(None, [label_of(entrant) for entrant in entrants], reverse=True, labelLimit=230)
    words = [textwrap.wrap(job.replace("-", " "), HEAD) for job in jobs]
    lines = max(map(len, words))
    heads = [[""] * (lines - len(some)) + some for some in words]
    x = texts_axis(None, heads, orient="top", labelAngle=0, labelFontSize=11, labelLineHeight=LINE,
                   labelOverlap=False, labelFlush=False,
                   labelPadding=5.0 + LINE * (lines - 1))  # fmt: skip
    place: dict[str, Any] = {"x": alt.X("x0:Q", **x), "y": alt.Y("y0:Q", **y)}
    ends: dict[str, Any] = {**place, "x2": "x1:Q", "y2": "y1:Q"}
    tips = [alt.Tooltip("who:N", title="entrant"), alt.Tooltip("job:N", title="job"),
            alt.Tooltip("label:N", title="p99 / best")]  # fmt: skip
    ranked = [row for row in data if row["kind"] == "ratio"]
    failed = [row for row in data if row["kind"] == "failed"]
    colour = alt.Color("log:Q", legend=None, scale=alt.Scale(
        type="linear", domain=[0.0, math.log2(MOST)], range="ramp", clamp=True))  # fmt: skip
    layers = [
        table(ranked).mark_rect(style="gap", strokeWidth=1.5).encode(
            **ends, color=colour, tooltip=tips),
        table(failed).mark_rect(style="block", opacity=0.25).encode(**ends, tooltip=tips),
    ]  # fmt: skip
    middle = {"x": alt.X("x:Q", **x), "y": alt.Y("y:Q", **y), "text": "label:N"}
    for is_dark in (False, True):
        some = [row for row in data if row["is_dark"] is is_dark]
        style: dict[str, Any] = {"style": "inverse"} if is_dark else {}
        layers.append(table(some).mark_text(fontSize=11, **style).encode(**middle))
    caption = (
        "1 is the job's best, darker is slower. In grey: more than 1 % of the requests failed, so "
        "there is no p99, and the share of them."
    )
    return drawn(
        layers, name=name, title=title, caption=f"{caption} {note}",
        height=ROW * max(len(entrants), 1),
    )  # fmt: skip


def _cell(row: Row, entrants: Sequence[str], jobs: Sequence[str]) -> dict[str, Any]:
    """Return the place of a cell, its text, and how dark it is."""
    k, j = entrants.index(str(row["entrant"])), list(jobs).index(str(row["job"]))
    ratio, failed = row["ratio"], row["failed"]
    cell = {"x0": j, "x1": j + 1, "y0": k, "y1": k + 1, "x": j + 0.5, "y": k + 0.5,
            "who": label_of(str(row["entrant"])), "job": row["job"]}  # fmt: skip
    if failed is not None:
        percent = 100.0 * failed
        label = f"{percent:.1f} % fail" if percent < 9.95 else f"{percent:.0f} % fail"
        return {**cell, "kind": "failed", "label": label, "is_dark": False}
    if ratio is None:
        return {**cell, "kind": "none", "label": "–", "is_dark": False}
    label = f"{ratio:.2f}" if ratio < 9.995 else f"{ratio:.1f}" if ratio < 99.95 else f"{ratio:.0f}"
    return {**cell, "kind": "ratio", "label": label, "log": math.log2(max(ratio, 1.0)),
            "is_dark": ratio >= DARK}  # fmt: skip

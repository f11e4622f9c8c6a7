"""Who got which share of the requests when: a strip per pod, the changes of the cluster upright."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import altair as alt

from lbbench.model.natural import natural
from lbbench.report.charts.cells import texts_axis
from lbbench.report.charts.lines import NARROW, Axis
from lbbench.report.charts.picture import LETTER, Picture, drawn, table
from lbbench.report.charts.scales import linear

MOST_ROWS, MOST_COLUMNS = 40, 90
"""Strips and moments that a chart has; more pods are summed by node, more windows by several."""

BEFORE, AFTER = 60.0, 120.0
"""Seconds that are shown before the first change and behind the last, at least."""

ROW, LOW_ROW = 18.0, 11.0
"""Pixels of a strip: up to 20 of them, and of more."""

HEAD = 15.0
"""Pixels of a line of labels above the strips."""

Row = Mapping[str, Any]


def shares_over_time(
    windows: Sequence[Row],
    *,
    pods: Sequence[Row],
    changes: Sequence[Row] = (),
    name: str = "shares-over-time",
    title: str = "Share of the requests per pod over time",
    note: str = "",
) -> Picture | None:
    """Return the chart; None when no window counted a request.

    Parameters
    ----------
    windows
        ``start_s``, ``end_s``, ``per_pod`` (requests in the order of ``pods``).
    pods
        ``name``, ``node``; ``from_s`` and ``to_s`` of those that are not there all the time.
    changes
        ``at_s``, ``what``, and ``reroute_s``: seconds until everybody had followed, or None.
    """
    kept = _around(windows, changes)
    rows, of = _strips(pods)
    cells = [cell for some in _merged(kept) for cell in _cells(some, pods, of)]
    if not any(cell["share"] for cell in cells):
        return None
    texts = list(rows)
    begin, end = kept[0]["start_s"], kept[-1]["end_s"]
    marks, levels = _marks(changes, begin, end)
    height = (ROW if len(texts) <= 20 else LOW_ROW) * len(texts)
    above = HEAD * levels * len(texts) / height  # in rows
    span = linear(begin, end, 6)._replace(low=begin, high=end)
    time = Axis("time of the run (s)", span._replace(
        ticks=tuple(tick for tick in span.ticks if begin <= tick <= end)))  # fmt: skip
    x: dict[str, Any] = {"axis": time.axis(), "scale": time.scale()}
    y = texts_axis(None, texts, labelFontSize=11 if len(texts) <= 20 else 9)
    y["scale"] = alt.Scale(domain=[-above, len(texts)], nice=False, zero=False, reverse=True)
    shades = alt.Scale(domain=[0.0, max(cell["share"] for cell in cells)], range="heatmap")
    # a little wider than it is: renderers leave seams between neighbours that touch
    strips = table(cells).mark_rect(x2Offset=0.8).encode(
        x=alt.X("x0:Q", **x), x2="x1:Q", y=alt.Y("y0:Q", **y), y2="y1:Q",
        color=alt.Color(
            "share:Q",
            scale=shades,
            legend=alt.Legend(title="share of all requests (%)", orient="bottom",
                              direction="horizontal", gradientLength=180, gradientThickness=10),
        ),
        tooltip=[alt.Tooltip("who:N", title="who"), alt.Tooltip("x0:Q", title="from s"),
                 alt.Tooltip("share:Q", title="share %", format=".1f")],
    )  # fmt: skip
    layers: list[alt.Chart] = [strips]
    if marks:
        lines = table([{**mark, "y0": -above, "y1": len(texts)} for mark in marks])
        layers.append(
            lines.mark_rule(style="change").encode(
                x=alt.X("x:Q", **x), y=alt.Y("y0:Q", **y), y2="y1:Q"
            )
        )
        unit = len(texts) / height
        for align, shift in (("left", 4), ("right", -4)):
            some = [{**mark, "y": -unit * HEAD * (mark["level"] + 0.5)} for mark in marks
                    if mark["align"] == align]  # fmt: skip
            if some:
                labels = table(some).encode(x=alt.X("x:Q", **x), y=alt.Y("y:Q", **y), text="what:N")
                style: dict[str, Any] = {
                    "align": align, "baseline": "middle", "dx": shift, "fontSize": 11,
                }  # fmt: skip
                layers += [labels.mark_text(style="halo", **style), labels.mark_text(**style)]
    return drawn(
        layers, name=name, title=title, caption=_caption(marks, rows, pods, note),
        height=height + HEAD * levels,
    )  # fmt: skip


def _caption(marks: Sequence[Row], rows: Mapping[str, Any], pods: Sequence[Row], note: str) -> str:
    what = "pod" if len(rows) == len(pods) else "node (the sum of its pods)"
    text = (
        f"A strip per {what}: the stronger its colour, the more of all requests it got; where "
        "there is no strip, there is no pod."
    )
    text += " Upright lines are changes of the cluster." if marks else ""
    return f"{text} {note}"


def _around(windows: Sequence[Row], changes: Sequence[Row]) -> Sequence[Row]:
    """Return the windows from some time before the first change to some time behind the last."""
    if not changes:
        return windows
    step = windows[0]["end_s"] - windows[0]["start_s"]
    first = min(change["at_s"] for change in changes)
    last = max(change["at_s"] + (change.get("reroute_s") or 0.0) for change in changes)
    before = first - max(BEFORE, 10.0 * step, 0.3 * (last - first))
    after = last + max(AFTER, 20.0 * step, 0.3 * (last - first))
    return [one for one in windows if one["end_s"] > before and one["start_s"] < after]


def _merged(windows: Sequence[Row]) -> Iterable[Sequence[Row]]:
    """Yield groups of neighbouring windows, at most `MOST_COLUMNS` of them."""
    size = -(-len(windows) // MOST_COLUMNS)
    return (windows[k : k + size] for k in range(0, len(windows), size))


def _strips(pods: Sequence[Row]) -> tuple[dict[str, int], list[int]]:
    """Return the strips from top to bottom, and the strip of each pod."""
    by_node = len(pods) > MOST_ROWS
    names = [str(pod["node"]) if by_node else f"{pod['name']} · {pod['node']}" for pod in pods]
    key = [(natural(str(pod["node"])), natural(str(pod["name"]))) for pod in pods]
    order = [names[k] for k in sorted(range(len(pods)), key=lambda k: key[k])]
    rows = {name: k for k, name in enumerate(dict.fromkeys(order))}
    return rows, [rows[name] for name in names]


def _cells(
    windows: Sequence[Row], pods: Sequence[Row], strips: Sequence[int]
) -> Iterable[dict[str, Any]]:
    """Yield the cells of some neighbouring windows; a pod that is not there has none."""
    begin, end = windows[0]["start_s"], windows[-1]["end_s"]
    counts: dict[int, float] = {}
    for k, pod in enumerate(pods):
        # a pod that came later has no number in earlier windows
        n = sum(one["per_pod"][k] for one in windows if k < len(one["per_pod"]))
        to = pod.get("to_s")
        is_there = pod.get("from_s", 0.0) < end and (to is None or to > begin)
        if n or is_there:
            counts[strips[k]] = counts.get(strips[k], 0.0) + n
    whole = sum(counts.values()) or 1.0
    names = {strip: _who(pod) for pod, strip in zip(pods, strips, strict=True)}
    for strip, n in counts.items():
        yield {
            "x0": round(begin, 3),
            "x1": round(end, 3),
            "y0": strip + 0.06,
            "y1": strip + 0.94,
            "who": names[strip],
            "share": round(100.0 * n / whole, 3),
        }


def _who(pod: Row) -> str:
    return f"{pod['name']} on {pod['node']}"


def _marks(changes: Sequence[Row], begin: float, end: float) -> tuple[list[dict[str, Any]], int]:
    """Return where changes are marked, and the lines of labels that they need.

    Labels that would run into each other stand above each other; those at the right end in front of
    their line.
    """
    marks: list[dict[str, Any]] = []
    ends: list[float] = []
    for change in sorted(changes, key=lambda change: float(change["at_s"])):
        place = (change["at_s"] - begin) / (end - begin)
        length = (len(str(change["what"])) * LETTER + 10.0) / (NARROW * 0.7)
        is_left = place + length <= 1.0 or place < length
        left = place if is_left else place - length
        level = next((k for k, used in enumerate(ends) if used <= left), len(ends))
        ends[level : level + 1] = [left + length]
        marks.append({"x": change["at_s"], "what": str(change["what"]), "level": level,
                      "align": "left" if is_left else "right"})  # fmt: skip
    return marks, len(ends)

"""Which way the requests went: from the clients through node and worker to the pod."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import altair as alt

from lbbench.model.natural import natural
from lbbench.report.charts.flow_layout import Block, Layout, Link, layout, ribbons
from lbbench.report.charts.look import GREY, LAVENDER, OLIVE, SLATE
from lbbench.report.charts.picture import LETTER, Picture, drawn, table
from lbbench.report.charts.scales import spread

NODES = (SLATE, LAVENDER, OLIVE, "#8c6d62")
"""Colours of nodes: those of balancers that are seldom beside them, as quiet as possible."""

MOST, MOST_WORKERS = 30, 16
"""Blocks of a column; more pods or workers are taken together by node."""

NAMES = {"azure_lb": "nodes", "kube_proxy": "endpoints", "reuse_port": "workers",
         "ingress": "pods", "clients": "clients"}  # fmt: skip

CHOOSERS = {"azure_lb": "Azure LB", "reuse_port": "SO_REUSEPORT"}
BRIEF = {"azure_lb": "by Azure LB", "reuse_port": "by hash"}
"""Who chooses, and the same in narrow columns."""

LINE = 13.0
"""Pixels from one name to the next."""

HEAD = 46.0
"""Pixels above the blocks, for the heads of the columns."""


def shares_per_stage(
    flows: Sequence[Mapping[str, Any]],
    *,
    homes: Mapping[str, str] | None = None,
    choosers: Mapping[str, str] | None = None,
    changing: bool = False,
    name: str = "shares-per-stage",
    title: str = "Which way the requests went",
    note: str = "",
) -> Picture | None:
    """Return the chart; None when there are no flows.

    Parameters
    ----------
    flows
        ``from_stage``, ``from``, ``to_stage``, ``to`` and the ``requests`` that went there.
    homes
        The node of every pod, pods without a request too.
    choosers
        The balancer by the name of its stage.
    changing
        Whether pods came or went, so that no share of them is the even one.
    """
    if not flows:
        return None
    homes = homes or {}
    stages = _chain(flows)
    names = _folded(flows, stages, homes)
    links = _links(flows, stages, names)
    columns = _columns(flows, stages, names, homes)
    groups = {
        block: _group(block, stage, homes)
        for stage, column in zip(["clients", *stages], columns, strict=True)
        for block in column
    }
    plan = layout(columns, links, groups)
    folded = sorted({block for block in names.values() if block.endswith(")")}, key=natural)
    caption = (
        "Each block is as high as its share of the requests, each ribbon as wide as the requests "
        "that went this way; colours tell the nodes apart."
    )
    caption += " Of many pods or workers those of one node are one block." if folded else ""
    heads = _heads(plan, ["clients", *stages], choosers or {})
    if changing:
        heads[-1]["even"] = "come and go"
    return drawn(
        _chart(plan, heads),
        name=name, title=title, caption=f"{caption} {note}", height=plan.height + HEAD,
    )  # fmt: skip


def _chain(flows: Sequence[Mapping[str, Any]]) -> list[str]:
    """Return the stages in the order of the way."""
    steps = {str(flow["from_stage"]): str(flow["to_stage"]) for flow in flows}
    first = next(stage for stage in steps if stage not in steps.values())
    chain = [first]
    while chain[-1] in steps:
        chain.append(steps[chain[-1]])
    return chain


def _folded(
    flows: Sequence[Mapping[str, Any]], stages: Sequence[str], homes: Mapping[str, str]
) -> dict[tuple[str, str], str]:
    """Return the block of every target; of too many those of a node share one."""
    made: dict[tuple[str, str], str] = {}
    for stage in stages:
        targets = {str(flow[end]) for flow in flows for end in ("from", "to")
                   if flow[f"{end}_stage"] == stage}  # fmt: skip
        is_last = stage == stages[-1]
        most = MOST if is_last or stage == stages[0] else MOST_WORKERS
        if is_last:
            targets |= set(homes)
        members: dict[str, list[str]] = {}
        for target in sorted(targets, key=natural):
            home = _group(target, stage, homes) if len(targets) > most else target
            members.setdefault(home, []).append(target)
        kept = sorted(members, key=lambda home: -len(members[home]))[:most]
        for home, inner in members.items():
            block = home if len(inner) == 1 else f"{home} ({len(inner)})"
            for target in inner:
                made[stage, target] = block if home in kept else "others"
    return made


def _group(block: str, stage: str, homes: Mapping[str, str]) -> str:
    """Return the node that a block belongs to."""
    if stage == "clients":
        return stage
    name = block.partition(" (")[0]
    return homes.get(name, name.partition("/")[0])


def _links(
    flows: Sequence[Mapping[str, Any]],
    stages: Sequence[str],
    names: Mapping[tuple[str, str], str],
) -> list[Link]:
    summed: dict[tuple[int, str, str], float] = {}
    for flow in flows:
        column = stages.index(str(flow["from_stage"])) + 1
        begin = names[stages[column - 1], str(flow["from"])]
        end = names[stages[column], str(flow["to"])]
        summed[column, begin, end] = summed.get((column, begin, end), 0.0) + flow["requests"]
        if column == 1:
            summed[0, "clients", begin] = summed.get((0, "clients", begin), 0.0) + flow["requests"]
    return [Link(*way, requests) for way, requests in summed.items() if requests > 0]


def _columns(
    flows: Sequence[Mapping[str, Any]],
    stages: Sequence[str],
    names: Mapping[tuple[str, str], str],
    homes: Mapping[str, str],
) -> list[dict[str, float]]:
    """Return the requests of every block, column by column, pods in the order of their nodes."""
    columns: list[dict[str, float]] = [{"clients": 0.0}]
    for number, stage in enumerate(stages):
        end = "from" if number == 0 else "to"
        found = {block: 0.0 for (where, _), block in names.items() if where == stage}
        for flow in flows:
            if flow[f"{end}_stage"] == stage:
                found[names[stage, str(flow[end])]] += flow["requests"]
        order = sorted(found, key=lambda block: (natural(homes.get(block, "")), natural(block)))
        columns.append({block: found[block] for block in order})
    columns[0]["clients"] = sum(columns[1].values())
    return columns


def _chart(plan: Layout, heads: Sequence[Mapping[str, Any]]) -> list[alt.Chart]:
    last = len(heads) - 1
    data = [row for column in plan.blocks for row in _block_rows(column, plan)]
    texts = [row["label"] for row in data if row["x"] == last] + [heads[-1]["who"]]
    room = max(len(text) for text in texts) * LETTER + 12.0
    x: dict[str, Any] = {"axis": None, "scale": alt.Scale(
        domain=[0, last], nice=False, zero=False,
        range=[7, alt.ExprRef(f"width - {room:.0f}")])}  # fmt: skip
    y: dict[str, Any] = {"axis": None, "scale": alt.Scale(
        domain=[-HEAD, plan.height], nice=False, zero=False, reverse=True)}  # fmt: skip
    tint = _tints(plan)
    colour = alt.Color(
        "group:N", legend=None, scale=alt.Scale(domain=list(tint), range=list(tint.values()))
    )
    flow = (
        table(list(ribbons(plan)))
        .mark_area(opacity=0.4, interpolate="monotone")
        .encode(
            x=alt.X("x:Q", **x),
            y=alt.Y("low:Q", **y),
            y2="high:Q",
            detail="ribbon:N",
            color=colour,
            tooltip=alt.Tooltip("way:N", title="way"),
        )
    )
    bars = (
        table(data)
        .mark_rule(strokeWidth=11, strokeCap="butt", opacity=1.0)
        .encode(
            x=alt.X("x:Q", **x),
            y=alt.Y("top:Q", **y),
            y2="bottom:Q",
            color=colour,
            tooltip=[
                alt.Tooltip("name:N", title="block"),
                alt.Tooltip("share:Q", title="share of requests", format=".2%"),
                alt.Tooltip("requests:Q", title="requests", format=",.0f"),
            ],
        )
    )
    named = table([row for row in data if row["x"] > 0]).encode(
        x=alt.X("x:Q", **x),
        y=alt.Y("at:Q", **y),
        text=alt.TextValue(alt.ExprRef("width < 520 ? datum.short : datum.label")),
    )
    style: dict[str, Any] = {"align": "left", "baseline": "middle", "dx": 9, "fontSize": 11}
    return [
        flow,
        bars,
        named.mark_text(style="halo", **style),
        named.mark_text(**style),
        *_headlines(heads, x, y),
    ]


def _tints(plan: Layout) -> dict[str, str]:
    """Return the colour of every node; a replica that has another name has that of its node."""
    made = {"clients": GREY}
    for column in plan.blocks[1:]:
        for k, group in enumerate(dict.fromkeys(block.group for block in column)):
            made.setdefault(group, NODES[k % len(NODES)])
    return made


def _block_rows(column: Sequence[Block], plan: Layout) -> list[dict[str, Any]]:
    """Return the blocks of a column with their names, moved apart where blocks are low."""
    middles = [(block.top + block.bottom) / 2.0 for block in column]
    places = spread(middles, LINE, 0.0, plan.height)
    rows = []
    for block, place in zip(column, places, strict=True):
        share = block.requests / (plan.total or 1.0)
        percent = f"{100.0 * share:.1f} %"
        is_worker = "/" in block.name
        name = block.name.rpartition("-")[2] if is_worker else block.name
        rows.append(
            {
                "x": block.column,
                "name": block.name,
                "group": block.group,
                "top": round(block.top, 2),
                # what had no request is a hair, not nothing
                "bottom": round(max(block.bottom, block.top + 0.8), 2),
                "at": round(place, 2),
                "share": share,
                "requests": block.requests,
                "label": f"{name}  {percent}",
                "short": percent if block.column < len(plan.blocks) - 1 else f"{name}  {percent}",
            }
        )
    return rows


def _heads(
    plan: Layout, stages: Sequence[str], choosers: Mapping[str, str]
) -> list[dict[str, Any]]:
    """Return the heads of the columns: what they are, who chose them, what an even share is."""
    rows: list[dict[str, Any]] = []
    for number, stage in enumerate(stages):
        n = len(plan.blocks[number])
        is_last = number == len(stages) - 1
        row = {"x": number, "y": -HEAD, "what": "pods" if is_last else NAMES.get(stage, stage)}
        if number == 0:
            row |= {"who": f"{plan.total:,.0f}", "even": "requests"}
            row["brief"] = row["who"]
        else:
            who = choosers.get(stage, stage)
            row |= {"who": f"by {CHOOSERS.get(stage, who)}", "even": f"even: {100.0 / n:.3g} %"}
            row["brief"] = row["who"] if is_last else BRIEF.get(stage, row["who"])
        rows.append(row)
    return rows


def _headlines(
    rows: Sequence[Mapping[str, Any]], x: Mapping[str, Any], y: Mapping[str, Any]
) -> list[alt.Chart]:
    base = table(rows).encode(x=alt.X("x:Q", **x), y=alt.Y("y:Q", **y))
    style: dict[str, Any] = {"align": "left", "baseline": "top", "dx": -6, "fontSize": 11}
    who = alt.TextValue(alt.ExprRef("width < 520 ? datum.brief : datum.who"))
    return [
        base.mark_text(style="strong", **style).encode(text="what:N"),
        base.mark_text(style="quiet", dy=14, **style).encode(text=who),
        base.mark_text(style="quiet", dy=27, **style).encode(text="even:N"),
    ]

"""Where the blocks and ribbons of a flow through stages lie, in pixels from the top.

Columns of blocks, one per stage; a block is as high as its share of the requests, a ribbon from one
block to the next as wide as the requests that took this way. All columns have the same scale.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple

GAP = 5.0
"""Pixels between the blocks of the column that has most of them."""

WIDE_GAP = 26.0
"""Pixels between blocks where there is room."""

PER_BLOCK = 19.0
"""Pixels that a block needs with its gap and its name."""

LOWEST, POINTS = 250.0, 8
"""Height of the smallest plot; points along the edge of a ribbon."""


@dataclass
class Block:
    """A target of a stage."""

    name: str
    column: int
    group: str  # what it is coloured by
    requests: float
    top: float = 0.0  # pixels
    bottom: float = 0.0
    label_at: float = field(default=0.0)  # middle of its name


class Link(NamedTuple):
    """Requests that went from one block to one of the next column."""

    column: int  # of its beginning
    begin: str
    end: str
    requests: float


@dataclass(frozen=True)
class Layout:
    """All columns, from the clients to the pods."""

    blocks: Sequence[Sequence[Block]]
    links: Sequence[Link]
    height: float  # of the plot
    scale: float  # pixels of all requests

    @property
    def total(self) -> float:
        """All requests."""
        return sum(block.requests for block in self.blocks[0])


def layout(
    columns: Sequence[Mapping[str, float]],
    links: Sequence[Link],
    groups: Mapping[str, str],
) -> Layout:
    """Return where everything lies.

    Parameters
    ----------
    columns
        Requests by the name of a block, column by column, in the order from top to bottom.
    links
        Between neighbouring columns.
    groups
        What a block is coloured by, by its name.
    """
    total = sum(columns[0].values()) or 1.0
    most = max(len(column) for column in columns)
    height = max(LOWEST, PER_BLOCK * most)
    scale = height - GAP * (most - 1)
    blocks = []
    for number, column in enumerate(columns):
        gap = min(WIDE_GAP, (height - scale) / max(len(column) - 1, 1))
        top = (height - scale - gap * (len(column) - 1)) / 2.0
        row = []
        for name, requests in column.items():
            bottom = top + scale * requests / total
            row.append(Block(name, number, groups.get(name, name), requests, top, bottom))
            top = bottom + gap
        blocks.append(row)
    return Layout(blocks, links, height, scale)


def ribbons(plan: Layout) -> Iterable[dict[str, Any]]:
    """Yield the edges of every ribbon, point by point: ``x`` in columns, ``low`` and ``high``.

    The edges are smooth steps, 3 t^2 - 2 t^3, so that a ribbon leaves and arrives level.
    """
    unit = plan.scale / (plan.total or 1.0)
    leaves = {(b.column, b.name): b.top for row in plan.blocks for b in row}
    arrives = dict(leaves)
    places = {(b.column, b.name): k for row in plan.blocks for k, b in enumerate(row)}
    groups = {(b.column, b.name): b.group for row in plan.blocks for b in row}
    begins: dict[Link, float] = {}
    ends: dict[Link, float] = {}

    def order(link: Link) -> tuple[int, int, int]:
        return link.column, places[link.column, link.begin], places[link.column + 1, link.end]

    for link in sorted(plan.links, key=order):
        begins[link] = leaves[link.column, link.begin]
        leaves[link.column, link.begin] += unit * link.requests
        ends[link] = arrives[link.column + 1, link.end]
        arrives[link.column + 1, link.end] += unit * link.requests
    for number, (link, begin) in enumerate(begins.items()):
        width, end = unit * link.requests, ends[link]
        for k in range(POINTS):
            t = k / (POINTS - 1)
            middle = begin + (end - begin) * (3.0 - 2.0 * t) * t * t
            yield {
                "ribbon": number,
                # clients have no colour: their ribbons have that of the node they lead to
                "group": groups[link.column or 1, link.begin if link.column else link.end],
                "x": round(link.column + t, 3),
                "low": round(middle, 1),
                "high": round(middle + width, 1),
                "way": f"{link.begin} to {link.end}: {link.requests:,.0f} requests",
            }

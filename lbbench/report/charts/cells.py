"""Axes of rows and columns that carry texts: number k reaches from k to k + 1."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

import altair as alt


def texts_axis(
    title: str | None,
    texts: Sequence[str] | Sequence[Sequence[str]],
    *,
    reverse: bool = False,
    **more: Any,
) -> dict[str, Any]:
    """Return axis and scale; each text stands in the middle of its row or column.

    A text of several lines is a sequence of them.
    """
    more = {"grid": False, "domain": False, "ticks": False, **more}
    return {
        "axis": alt.Axis(
            title=title, values=[k + 0.5 for k in range(len(texts))],
            labelExpr=f"{json.dumps(list(texts))}[floor(datum.value)]", **more,
        ),
        "scale": alt.Scale(domain=[0, len(texts)], nice=False, zero=False, reverse=reverse),
    }  # fmt: skip

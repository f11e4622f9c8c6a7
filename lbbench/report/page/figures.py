"""Pictures with what a page adds to them: the data as a table, and how they are best drawn."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

from lbbench.report.page.cells import of_rows
from lbbench.report.page.content import Figure, Table

if TYPE_CHECKING:
    from lbbench.report.charts.picture import Picture

MOST_ROWS = 80
"""Rows of data that make a useful table beside a picture."""

MANY_ROWS = 4000
"""Rows from which a canvas is drawn: an SVG has an element for each mark."""


class Told(NamedTuple):
    """What the marks of one layer tell about themselves when they are pointed at."""

    rows: Sequence[Mapping[str, Any]]
    titles: Mapping[str, str]  # words by field, in the order of the tooltip
    shares: frozenset[str]  # fields that are shown in percent


def figures_of(pictures: Sequence[Picture]) -> list[Figure]:
    """Return the pictures with their text alternatives."""
    return [
        Figure(picture, data_table(picture), "canvas" if size(picture.spec) > MANY_ROWS else "svg")
        for picture in pictures
    ]


def data_table(picture: Picture) -> Table | None:
    """Return what the tooltips of a picture say, as a table; None where that is too long.

    Of several layers the one that says most about each mark.
    """
    known = [
        one for one in told(picture.spec) if 0 < len(one.rows) <= MOST_ROWS and len(one.titles) > 1
    ]
    if not known:
        return None
    best = max(known, key=lambda one: (len(one.titles), len(one.rows)))
    rows = [
        {
            title: _value(row.get(field), as_share=field in best.shares)
            for field, title in best.titles.items()
        }
        for row in best.rows
    ]
    return of_rows(f"data-{picture.name}", f"{picture.title}: the data", rows)


def told(spec: Mapping[str, Any]) -> Iterator[Told]:
    """Yield the tooltips of every layer with the data that belong to it."""
    for layer in spec.get("layer") or [spec]:
        tooltip = (layer.get("encoding") or {}).get("tooltip")
        channels = tooltip if isinstance(tooltip, list) else [tooltip]
        known = [one for one in channels if isinstance(one, Mapping) and one.get("field")]
        if known:
            titles = {one["field"]: str(one.get("title") or "").strip() for one in known}
            yield Told(
                rows_of(layer, spec),
                {field: title or field for field, title in titles.items()},
                frozenset(one["field"] for one in known if str(one.get("format")).endswith("%")),
            )


def rows_of(layer: Mapping[str, Any], spec: Mapping[str, Any]) -> Sequence[Mapping[str, Any]]:
    """Return the rows that a layer draws: its own, or those of the whole that it names."""
    data = layer.get("data") or {}
    found = data.get("values") or (spec.get("datasets") or {}).get(data.get("name"))
    return found or ()


def size(spec: Mapping[str, Any]) -> int:
    """Return how many rows of data the layers of a picture draw."""
    return sum(len(rows_of(layer, spec)) for layer in spec.get("layer") or [spec])


def _value(value: Any, *, as_share: bool) -> Any:
    return f"{100.0 * value:.2f} %" if as_share and isinstance(value, (int, float)) else value

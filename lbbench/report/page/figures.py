"""Pictures with what a page adds to them: the data as a table, and how they are best drawn."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from lbbench.report.page.cells import of_rows
from lbbench.report.page.content import Figure

if TYPE_CHECKING:
    from lbbench.report.charts.picture import Picture

MOST_ROWS = 60
"""Rows of data that make a useful table beside a picture."""

MANY_ROWS = 4000
"""Rows from which a canvas is drawn: an SVG has an element for each mark."""


def figures_of(pictures: Sequence[Picture]) -> list[Figure]:
    """Return the pictures with their text alternatives."""
    return [_figure(picture) for picture in pictures]


def _figure(picture: Picture) -> Figure:
    blocks = list(data_of(picture.spec))
    rows = sum(len(block) for block in blocks)
    table = None
    small = max((block for block in blocks if len(block) <= MOST_ROWS), key=len, default=None)
    if small:
        names = titles_of(picture.spec)
        kept = [{names[key]: value for key, value in row.items() if key in names} for row in small]
        if any(kept):
            table = of_rows(f"data-{picture.name}", f"{picture.title}: the data", kept)
    return Figure(picture, table, "canvas" if rows > MANY_ROWS else "svg")


def data_of(spec: Any) -> Iterator[list[dict[str, Any]]]:
    """Yield every block of rows that a specification holds."""
    if isinstance(spec, Mapping):
        for block in (spec.get("datasets") or {}).values():
            if isinstance(block, list):
                yield block
        values = (spec.get("data") or {}).get("values") if "data" in spec else None
        if isinstance(values, list):
            yield values
        for key in ("layer", "hconcat", "vconcat", "concat"):
            for part in spec.get(key) or ():
                yield from data_of(part)
        if isinstance(spec.get("spec"), Mapping):
            yield from data_of(spec["spec"])


def titles_of(spec: Any) -> dict[str, str]:
    """Return the fields that a specification shows, by the words it shows them under."""
    found: dict[str, str] = {}
    for channel in _channels(spec):
        field = channel.get("field")
        if not isinstance(field, str):
            continue
        axis, legend = channel.get("axis") or {}, channel.get("legend") or {}
        title = channel.get("title") or axis.get("title") or legend.get("title")
        if isinstance(title, list):
            title = " ".join(title)
        if title or field not in found:
            found[field] = str(title or found.get(field) or field.replace("_", " "))
    return found


def _channels(spec: Any) -> Iterator[Mapping[str, Any]]:
    """Yield the definitions of all channels, tooltips included, wherever they stand."""
    if isinstance(spec, Mapping):
        for value in (spec.get("encoding") or {}).values():
            for one in value if isinstance(value, list) else [value]:
                if isinstance(one, Mapping):
                    yield one
        for key, value in spec.items():
            if key not in ("encoding", "datasets", "data", "config"):
                yield from _channels(value)
    elif isinstance(spec, list):
        for part in spec:
            yield from _channels(part)

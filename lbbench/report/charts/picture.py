"""A chart as data: what it shows, how to read it, and the Vega-Lite that draws it.

The specification names no colour of text, axes or background. `config` has these, for light and
for dark, and is added when the picture is drawn: here for PNG and SVG, by the page for itself.
"""

from __future__ import annotations

import textwrap
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import altair as alt

FONT = "system-ui, -apple-system, 'Segoe UI', Roboto, 'Helvetica Neue', Arial, sans-serif"

LETTER = 6.9
"""Pixels that a letter of 12 px takes, on average; what is laid out beforehand counts with it."""

TITLE_LETTER, CAPTION_LETTER = 7.6, 5.4
"""The same for the bold title of 14 px and the caption of 11 px that PNG and SVG carry."""


@dataclass(frozen=True)
class Picture:
    """One chart.

    Attributes
    ----------
    name
        Stem of its files and its id in a page: ``latency-against-load``.
    title
        What is shown, on one line.
    caption
        How to read it, in one or two sentences.
    spec
        Vega-Lite with its data; as wide as its container, so ready for a page.
    """

    name: str
    title: str
    caption: str
    spec: dict[str, Any]


def table(rows: Sequence[Mapping[str, Any]]) -> alt.Chart:
    """Return a chart of these rows that has no marks yet."""
    return alt.Chart(alt.Data(values=list(rows)))  # type: ignore[no-untyped-call]


def at(pixels: Any) -> alt.XValue:
    """Return a place across that depends on no data: pixels from the left, or an expression."""
    return alt.XValue(pixels)  # type: ignore[no-untyped-call]


def drawn(
    layers: Sequence[alt.Chart], *, name: str, title: str, caption: str, height: float
) -> Picture:
    """Return the picture of some layers, the first one undermost.

    Altair checks each of them as it is made; the whole is put together and checked here, which is
    several times as fast as `altair.layer`, and rows that several layers share are there once.

    Parameters
    ----------
    layers
        Charts with a mark each, made from `table`.
    height
        Of the plot, in pixels.

    Raises
    ------
    altair.utils.schemapi.SchemaValidationError
        When it is no valid Vega-Lite.
    """
    caption = " ".join(caption.split())  # notes may be empty
    datasets: dict[str, Any] = {}
    plain = [made for layer in layers if (made := _plain(layer, datasets)) is not None]
    spec = {
        "$schema": alt.SCHEMA_URL,
        "description": f"{title}. {caption}",
        "width": "container",
        "height": height,
        "autosize": {"type": "fit-x", "contains": "padding"},
        "layer": plain,
    }
    alt.TopLevelLayerSpec.validate(spec)
    return Picture(name=name, title=title, caption=caption, spec={**spec, "datasets": datasets})


def _plain(layer: alt.Chart, datasets: dict[str, Any]) -> dict[str, Any] | None:
    """Return a layer as plain data, its rows put into ``datasets``; None without rows."""
    spec = layer.to_dict(validate=False, context={"top_level": False, "datasets": {}})
    rows = spec.pop("data")["values"]
    if not rows:
        return None
    name = next((key for key, known in datasets.items() if known == rows), "")
    name = name or f"rows-{len(datasets)}"
    datasets[name] = rows
    return {"data": {"name": name}, **spec}


def png(picture: Picture, *, dark: bool = False, width: int = 760, scale: float = 2) -> bytes:
    """Return the picture as PNG, ``width`` x ``scale`` pixels wide, with its title and caption."""
    import vl_convert

    return bytes(
        vl_convert.vegalite_to_png(
            _whole(picture, width), vl_version=_version(), config=config(dark), scale=scale
        )
    )


def svg(picture: Picture, *, dark: bool = False, width: int = 760) -> str:
    """Return the picture as SVG, with its title and caption."""
    import vl_convert

    return str(
        vl_convert.vegalite_to_svg(
            _whole(picture, width), vl_version=_version(), config=config(dark)
        )
    )


def config(dark: bool) -> dict[str, Any]:  # noqa: FBT001  (the one thing it depends on)
    """Return the Vega-Lite configuration: fonts, and the colours of all that is not data."""
    back, ink, quiet, line, grid = (
        ("#16191d", "#e8eaed", "#a6adb5", "#59616a", "#2b3036")
        if dark
        else ("#ffffff", "#1c2024", "#5c646d", "#9aa2aa", "#e6e9ec")
    )
    # of one hue, from the background's own lightness away; readable to every kind of vision
    ramp = (
        ["#1d2b38", "#1f4f78", "#2f7fb8", "#7db8e0", "#d6ebfa"]
        if dark
        else ["#eef4f9", "#b6d3ea", "#70aad4", "#2f7cb5", "#0b3f6d"]
    )
    return {
        "background": back,
        "font": FONT,
        "padding": {"left": 8, "top": 8, "right": 12, "bottom": 8},
        "view": {"stroke": None},
        "axis": {
            "domainColor": line,
            "tickColor": line,
            "gridColor": grid,
            "labelColor": quiet,
            "titleColor": ink,
            "labelFontSize": 12,
            "titleFontSize": 12,
            "titleFontWeight": 500,
            "titlePadding": 8,
            "labelPadding": 5,
            "tickSize": 4,
        },
        "axisX": {
            "grid": False,
            "labelFlush": True,
            "labelOverlap": "greedy",
            "labelSeparation": 7,
        },
        "axisY": {
            "domain": False,
            "ticks": False,
            # across the top instead of turned: read without tilting the head
            "titleAngle": 0,
            "titleAlign": "left",
            "titleAnchor": "end",
            "titleBaseline": "bottom",
            "titleX": 0,
            "titleY": -10,
        },
        "title": {
            "anchor": "start",
            "frame": "bounds",
            "color": ink,
            "fontSize": 14,
            "fontWeight": 600,
            "subtitleColor": quiet,
            "subtitleFontSize": 11,
            "subtitlePadding": 5,
            "offset": 14,
        },
        "legend": {
            "labelColor": ink,
            "titleColor": ink,
            "labelFontSize": 12,
            "titleFontSize": 12,
            "titleFontWeight": 500,
            "labelLimit": 260,
        },
        "text": {"color": ink, "fontSize": 12},
        "rule": {"stroke": line},
        "range": {"ramp": ramp, "heatmap": ramp},
        "style": {
            "quiet": {"color": quiet, "fontSize": 11},
            "inverse": {"color": back},
            "strong": {"color": ink, "fontWeight": 600},
            "objective": {"color": ink, "stroke": ink, "strokeWidth": 1.2, "strokeDash": [5, 4]},
            "change": {"color": ink, "stroke": ink, "strokeWidth": 1},
            "block": {"color": quiet},
            "gap": {"color": back, "stroke": back},
            # behind a text, so that it can be read on lines and bands
            "halo": {"color": back, "stroke": back, "strokeWidth": 4, "strokeJoin": "round"},
        },
    }


def _whole(picture: Picture, width: int) -> dict[str, Any]:
    """Return the specification with a width in pixels, title and caption above the plot."""
    title = textwrap.wrap(picture.title, int((width - 24) / TITLE_LETTER))
    caption = textwrap.wrap(picture.caption, int((width - 24) / CAPTION_LETTER))
    return {**picture.spec, "width": width, "title": {"text": title, "subtitle": caption}}


def _version() -> str:
    """Return the version of Vega-Lite that Altair writes, as the converter names it."""
    return ".".join(alt.SCHEMA_VERSION.lstrip("v").split(".")[:2])

"""Every family of charts: a valid specification, units, the theme left open, one picture drawn."""

from __future__ import annotations

import json
import re
import struct

import altair as alt
import pytest
from charting import axes, every, layers

from lbbench.report.charts.look import COLOURS
from lbbench.report.charts.picture import Picture, config, png, svg
from lbbench.report.charts.shares_per_stage import NODES

FAMILIES = (
    "latency-against-load",
    "pods-against-rate",
    "shares-per-stage",
    "latency-percentiles",
    "load-and-pods",
    "shares-over-time",
    "pod-utilisation",
    "session-loss",
    "keys-moved",
    "pick-cost-against-quality",
    "verify-coverage",
    "pods-by-hour",
    "pods-needed",
)


@pytest.fixture(scope="module")
def drawn() -> dict[str, Picture]:
    """Return one picture of every family."""
    return every()


def test_every_family_draws_from_small_data(drawn):
    """Each chart function returns a picture of its own name."""
    assert tuple(drawn) == FAMILIES


@pytest.mark.parametrize("name", FAMILIES)
def test_a_specification_is_valid_vega_lite(drawn, name):
    """Altair has checked it against the schema when it made it; it is plain JSON with its data."""
    spec = json.loads(json.dumps(drawn[name].spec, allow_nan=False))
    assert spec["width"] == "container"
    assert all(layer["data"] for layer in layers(drawn[name]))
    assert spec["$schema"].startswith("https://vega.github.io/schema/vega-lite/v6")


@pytest.mark.parametrize("dark", [False, True])
def test_the_theme_is_a_valid_configuration(dark):
    """Every name in it is one that Vega-Lite knows."""
    alt.Config.from_dict(config(dark))


def test_altair_refuses_what_is_no_vega_lite():
    """The check that pictures rely on is on: an unknown mark is an error, not a blank chart."""
    with pytest.raises(alt.utils.schemapi.SchemaValidationError):
        alt.Chart(alt.Data(values=[{}]), mark="ribbon").to_dict()


@pytest.mark.parametrize("name", FAMILIES)
def test_a_picture_says_what_it_shows_and_how_to_read_it(drawn, name):
    """A title on one line, a caption of whole sentences, both told to screen readers as well."""
    picture = drawn[name]
    assert re.fullmatch(r"[a-z0-9._-]+", picture.name)
    assert picture.title
    assert "\n" not in picture.title
    assert picture.caption.endswith(".")
    assert "  " not in picture.caption
    assert picture.spec["description"] == f"{picture.title}. {picture.caption}"


@pytest.mark.parametrize("name", FAMILIES)
def test_every_axis_has_its_unit(drawn, name):
    """The title of an axis of numbers ends with its unit in brackets; rows of names have none."""
    titles = {axis.get("title") for _, axis, _ in axes(drawn[name])} - {None}
    for title in titles:
        assert re.search(r"\([^()]+\)$", title) or title == "hour of the profile"
    assert titles or name == "shares-per-stage"  # whose blocks carry their own %


@pytest.mark.parametrize("name", FAMILIES)
def test_colours_of_text_and_background_are_left_to_the_theme(drawn, name):
    """What is fixed are colours of data; all else follows light and dark."""
    spec = drawn[name].spec
    assert "config" not in spec
    assert "background" not in spec
    named = set(re.findall(r"#[0-9a-fA-F]{3,8}\b", json.dumps(spec)))
    assert named <= {*COLOURS, *NODES}


@pytest.mark.parametrize("name", FAMILIES)
def test_styles_are_those_of_the_theme(drawn, name):
    """A style that the theme does not know would draw in black, on black."""
    known = set(config(dark=False)["style"]) | {"ink"}
    used = {layer["mark"].get("style") for layer in layers(drawn[name])} - {None}
    assert used <= known
    assert set(config(dark=False)["style"]) == set(config(dark=True)["style"])


@pytest.mark.parametrize("name", FAMILIES)
def test_data_lie_within_fixed_domains(drawn, name):
    """No number in a chart stands outside its axis, where it would be drawn over the margin."""
    for layer in layers(drawn[name]):
        for channel in ("x", "y"):
            encoded = layer.get("encoding", {}).get(channel, {})
            domain = (encoded.get("scale") or {}).get("domain")
            if domain is None or "field" not in encoded:
                continue
            for row in layer["data"]:
                value = row[encoded["field"]]
                if layer["mark"].get("clip") or value is None:
                    continue
                assert domain[0] - 1e-9 <= value <= domain[1] + 1e-9


def test_a_png_and_an_svg_are_drawn(drawn):
    """The PNG has the width asked for; the SVG carries title, names and units in its theme."""
    picture = drawn["latency-against-load"]
    image = png(picture, width=400, scale=1)
    assert image[:8] == b"\x89PNG\r\n\x1a\n"
    wide, _ = struct.unpack(">II", image[16:24])
    assert wide == 400
    text = svg(picture, dark=True, width=400)
    for part in (
        "round_robin",
        "ewma",
        "(ms)",
        "objective 700 ms",
        config(dark=True)["background"],
    ):
        assert part in text
    assert "p99 latency against" in text

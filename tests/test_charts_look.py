"""A balancer looks the same everywhere, and like no other, whoever looks."""

from __future__ import annotations

import itertools
import re

import numpy as np
import pytest
from vision import VISIONS, ciede2000, contrast, distance

from lbbench.balancers.base import registry
from lbbench.model.label import label_of
from lbbench.report.charts.look import COLOURS, LOOKS, colour, look_of, looks
from lbbench.report.charts.picture import config

APART = 10.0
"""CIEDE2000: 1 is just noticed side by side; 10 is told at a glance."""

PUBLISHED = [
    ((50.0, 2.6772, -79.7751), (50.0, 0.0, -82.7485), 2.0425),
    ((50.0, -1.3802, -84.2814), (50.0, 0.0, -82.7485), 1.0),
    ((50.0, 2.49, -0.001), (50.0, -2.49, 0.0009), 7.1792),
    ((50.0, 2.5, 0.0), (73.0, 25.0, -18.0), 27.1492),
    ((60.2574, -34.0099, 36.2677), (60.4626, -34.1751, 39.4387), 1.2644),
    ((22.7233, 20.0904, -46.694), (23.0331, 14.973, -42.5619), 2.0373),
    ((2.0776, 0.0795, -1.135), (0.9033, -0.0636, -0.5514), 0.9082),
]
"""Pairs and distances of the test data that belong to the paper."""


@pytest.mark.parametrize(("one", "other", "expected"), PUBLISHED)
def test_the_yardstick_gives_the_published_distances(one, other, expected):
    """CIEDE2000 as used here is that of the paper, to the four decimals that it gives."""
    assert ciede2000(np.array(one), np.array(other)) == pytest.approx(expected, abs=5e-5)


def test_every_balancer_that_comes_with_the_package_has_a_look_of_its_own():
    """A new balancer needs an entry; no two share colour, dash and point."""
    assert set(registry()) <= set(LOOKS)
    assert len(set(LOOKS.values())) == len(LOOKS)


@pytest.mark.parametrize("vision", VISIONS)
def test_colours_differ_to_every_kind_of_vision(vision):
    """Any two colours lie at least 10 apart, as people with all or without one cone see them."""
    near = {pair: distance(*pair, vision) for pair in itertools.combinations(COLOURS, 2)}
    assert min(near.values()) >= APART, min(near, key=near.get)


def test_balancers_of_one_colour_differ_in_dash_and_point():
    """Relatives share a hue; without it, two other cues are left, on lines and on points."""
    for one, other in itertools.combinations(LOOKS.values(), 2):
        if one.colour == other.colour:
            assert one.dash != other.dash
            assert one.shape != other.shape


@pytest.mark.parametrize("dark", [False, True])
def test_colours_can_be_seen_on_both_backgrounds(dark):
    """WCAG asks for a contrast of 3 of what is not text."""
    back = config(dark)["background"]
    assert min(contrast(one, back) for one in COLOURS) >= 3.0


@pytest.mark.parametrize("dark", [False, True])
def test_text_can_be_read_on_its_background(dark):
    """WCAG asks for a contrast of 4.5 of text: labels, titles, captions, legends."""
    made = config(dark)
    texts = [
        made["axis"]["labelColor"],
        made["axis"]["titleColor"],
        made["title"]["color"],
        made["title"]["subtitleColor"],
        made["legend"]["labelColor"],
        made["text"]["color"],
        made["style"]["quiet"]["color"],
    ]
    assert min(contrast(text, made["background"]) for text in texts) >= 4.5


@pytest.mark.parametrize("dark", [False, True])
def test_the_shades_of_cells_go_one_way(dark):
    """A heat map's colours leave the background steadily, to every kind of vision."""
    made = config(dark)
    ramp = made["range"]["heatmap"]
    contrasts = [contrast(shade, made["background"]) for shade in ramp]
    assert contrasts == sorted(contrasts)
    for vision in VISIONS:
        assert min(distance(*pair, vision) for pair in itertools.pairwise(ramp)) >= APART


def test_a_balancer_has_one_colour_in_every_company():
    """Whatever else a chart shows, and in whatever order, a balancer keeps its look."""
    for company in (["ewma"], ["mine", "ewma"], ["ewma", "round_robin"], [*LOOKS][::-1]):
        assert looks(company)["ewma"] == LOOKS["ewma"]
        assert list(looks(company)) == company
    assert colour("round_robin") == LOOKS["round_robin"].colour


def test_somebodys_own_balancer_has_the_colour_of_its_name():
    """It depends on the name alone, not on the folder of the file, and no other series has it."""
    assert look_of("a/b/my_lb.py:mine") == look_of("my_lb.py:mine")
    assert re.fullmatch("#[0-9a-f]{6}", colour("my_lb.py:mine"))
    assert label_of("a/b/my_lb.py:mine") == "my_lb.py:mine"
    names = ["round_robin", "ewma", "p2c", "my_lb.py:mine", "my_lb.py:yours", "10", "12"]
    made = looks(names)
    assert len({look.colour for look in made.values()}) == len(names)


def test_variants_of_a_balancer_have_its_colour_and_other_dashes_and_points():
    """``ewma keepalive.upstream=64`` is ewma to the eye, told apart by two other cues."""
    names = ["ewma", "ewma keepalive.upstream=0", "ewma keepalive.upstream=64"]
    made = looks(names)
    assert {look.colour for look in made.values()} == {colour("ewma")}
    for one, other in itertools.combinations(made.values(), 2):
        assert one.dash != other.dash
        assert one.shape != other.shape


def test_many_series_are_still_told_apart():
    """No two of forty have the same colour, dash and point."""
    made = looks([f"policy {k}" for k in range(40)])
    assert len(set(made.values())) == 40

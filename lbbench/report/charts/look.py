"""How a balancer looks, the same in every chart: its colour, the dash of its line, its point.

The colours are those of Okabe and Ito (https://jfly.uni-koeln.de/color/) where these can be read on
white and on black alike; the others were searched for, so that any two differ to people who see all
colours and to those who lack one kind of cone (by at least 10 in CIEDE2000), with a contrast of at
least 3 on both backgrounds. Relatives (ewma and that of release 0.21, the fewest connections as
theory, nginx and HAProxy count them) have one colour and differ in dash and point.
`tests/test_charts_look.py` works all of that out.
"""

from __future__ import annotations

import zlib
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from types import MappingProxyType
from typing import NamedTuple

SOLID, DASHED, DOTTED, DASH_DOT = (1, 0), (6, 3), (2, 2), (8, 3, 2, 3)


class Look(NamedTuple):
    """The marks of one series."""

    colour: str  # #rrggbb
    dash: tuple[int, ...]  # pixels drawn, pixels left out, in turns
    shape: str  # of its points, a name of Vega's


BLUE, VERMILLION, GREEN, MAGENTA, GREY = "#0072b2", "#d55e00", "#009e73", "#c0168e", "#666666"
VIOLET, OLIVE, LAVENDER, SLATE, RED = "#9669ff", "#78694b", "#a587c3", "#789696", "#c8181e"

LOOKS: Mapping[str, Look] = MappingProxyType(
    {
        "round_robin": Look(BLUE, SOLID, "circle"),
        "ewma": Look(VERMILLION, SOLID, "square"),
        "ewma_0.21": Look(VERMILLION, DASHED, "triangle-down"),
        "p2c": Look(GREEN, SOLID, "triangle-up"),
        "nginx_random_two": Look(GREEN, DASHED, "square"),
        "haproxy_random": Look(GREEN, DOTTED, "diamond"),
        "least_conn": Look(MAGENTA, SOLID, "diamond"),
        "nginx_least_conn": Look(MAGENTA, DASHED, "triangle-up"),
        "haproxy_leastconn": Look(MAGENTA, DOTTED, "circle"),
        "random": Look(GREY, SOLID, "cross"),
        "jsq": Look(VIOLET, SOLID, "triangle-right"),
        "chash": Look(OLIVE, SOLID, "triangle-left"),
        "chashsubset": Look(OLIVE, DASHED, "circle"),
        "sticky_balanced": Look(LAVENDER, SOLID, "triangle-down"),
        "sticky_persistent": Look(LAVENDER, DASHED, "square"),
        "sticky_0.21": Look(LAVENDER, DOTTED, "diamond"),
        "iptables": Look(SLATE, SOLID, "square"),
        "iptables_nth": Look(SLATE, DASHED, "triangle-up"),
        "azure_lb": Look(RED, SOLID, "cross"),
        "nft_numgen": Look(SLATE, DOTTED, "diamond"),
        "maglev": Look(SLATE, DASH_DOT, "circle"),
        "ipvs_rr": Look(BLUE, DASHED, "square"),
        "ipvs_wrr": Look(BLUE, DOTTED, "diamond"),
        "ipvs_wlc": Look(RED, DASHED, "circle"),
        "ipvs_lc": Look(RED, DOTTED, "diamond"),
        "ipvs_sed": Look(RED, DASH_DOT, "triangle-up"),
        "ipvs_nq": Look(MAGENTA, DASH_DOT, "square"),
        "ipvs_sh": Look(OLIVE, DOTTED, "square"),
        "ipvs_mh": Look(OLIVE, DASH_DOT, "diamond"),
        "ipvs_dh": Look(VERMILLION, DOTTED, "circle"),
        "jsq_d": Look(VIOLET, DASHED, "square"),
        "jiq": Look(VIOLET, DOTTED, "diamond"),
        "lwl": Look(GREY, DASHED, "triangle-up"),
        "central_queue": Look(GREY, DOTTED, "square"),
    }
)
"""Every balancer that comes with the package."""

COLOURS = tuple(dict.fromkeys(look.colour for look in LOOKS.values()))
SHAPES = tuple(dict.fromkeys(look.shape for look in LOOKS.values()))


def colour(balancer: str) -> str:
    """Return the colour of a balancer as ``#rrggbb``; one of somebody's own has its name's."""
    return look_of(balancer).colour


def look_of(balancer: str) -> Look:
    """Return the look of a balancer; that of an unknown one depends on its name alone."""
    known = LOOKS.get(balancer)
    if known is not None:
        return known
    place = zlib.crc32(shown(balancer).encode())
    return Look(COLOURS[place % len(COLOURS)], SOLID, SHAPES[place // 16 % len(SHAPES)])


def looks(names: Iterable[str]) -> dict[str, Look]:
    """Return a look for every series of one chart, no two alike.

    A series is a balancer, or a variant that begins with one (``ewma keepalive.upstream=64``):
    these have its colour, and another dash and point each. What is no balancer takes a colour that
    nobody has, as long as there are any.
    """
    found: dict[str, Look] = {}
    names = list(names)
    for name in sorted(names, key=lambda name: name not in LOOKS):  # balancers come first
        kin = name.partition(" ")[0]
        taken = list(found.values())
        found[name] = _kin(LOOKS[kin], taken) if kin in LOOKS else _other(look_of(name), taken)
    return {name: found[name] for name in names}


def shown(name: str) -> str:
    """Return the name of a series without the folder of a balancer's file."""
    return Path(name).name if ".py:" in name else name


def _other(wanted: Look, taken: Sequence[Look]) -> Look:
    """Return a look in a colour that nobody has, the wanted one first; of many series one is free.

    When all colours are in use it is the one with the fewest series.
    """
    uses = Counter(look.colour for look in taken)
    start = COLOURS.index(wanted.colour)
    turned = (*COLOURS[start:], *COLOURS[:start])
    return _kin(wanted._replace(colour=min(turned, key=lambda one: uses[one])), taken)


def _kin(wanted: Look, taken: Sequence[Look]) -> Look:
    """Return a free look of the wanted colour: dash and point both change as long as they can."""
    start = SHAPES.index(wanted.shape)
    shapes = (*SHAPES[start:], *SHAPES[:start])
    dashes = (wanted.dash, *(dash for dash in (SOLID, DASHED, DOTTED) if dash != wanted.dash))
    ways = [Look(wanted.colour, dashes[k % 3], shapes[k % len(shapes)]) for k in range(24)]
    return next((way for way in ways if way not in taken), wanted)

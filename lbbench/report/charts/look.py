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
from itertools import cycle, islice
from types import MappingProxyType
from typing import NamedTuple

from lbbench.model.label import label_of

SOLID, DASHED, DOTTED = (1, 0), (6, 3), (2, 2)
LONG, DASH_DOT, SPARSE = (12, 3), (8, 2, 2, 2), (2, 6)
DASHES = (SOLID, DASHED, DOTTED, LONG, DASH_DOT, SPARSE)


class Look(NamedTuple):
    """The marks of one series."""

    colour: str  # #rrggbb
    dash: tuple[int, ...]  # pixels drawn, pixels left out, in turn
    shape: str  # of its points, a name of Vega's


BLUE, VERMILLION, GREEN, MAGENTA, GREY = "#0072b2", "#d55e00", "#009e73", "#c0168e", "#666666"
VIOLET, OLIVE, LAVENDER, SLATE, RED = "#9669ff", "#78694b", "#a587c3", "#789696", "#c8181e"

LOOKS: Mapping[str, Look] = MappingProxyType(
    {
        "round_robin": Look(BLUE, SOLID, "circle"),
        "nginx_round_robin": Look(BLUE, DASHED, "square"),
        "haproxy_roundrobin": Look(BLUE, DOTTED, "diamond"),
        "nginx_round_robin_zone": Look(BLUE, LONG, "triangle-up"),
        "envoy_round_robin": Look(BLUE, DASH_DOT, "triangle-down"),
        "ewma": Look(VERMILLION, SOLID, "square"),
        "ewma_0.21": Look(VERMILLION, DASHED, "diamond"),
        "peak_ewma": Look(VERMILLION, DOTTED, "triangle-up"),
        "peak_ewma_tower": Look(VERMILLION, LONG, "triangle-down"),
        "prequal": Look(VERMILLION, DASH_DOT, "triangle-right"),
        "p2c": Look(GREEN, SOLID, "triangle-up"),
        "nginx_random_two": Look(GREEN, DASHED, "triangle-down"),
        "haproxy_random": Look(GREEN, DOTTED, "triangle-right"),
        "nginx_random_two_zone": Look(GREEN, LONG, "triangle-left"),
        "envoy_least_request": Look(GREEN, DASH_DOT, "cross"),
        "jsq_d": Look(GREEN, SPARSE, "circle"),
        "least_conn": Look(MAGENTA, SOLID, "diamond"),
        "nginx_least_conn": Look(MAGENTA, DASHED, "triangle-up"),
        "haproxy_leastconn": Look(MAGENTA, DOTTED, "triangle-down"),
        "nginx_least_conn_zone": Look(MAGENTA, LONG, "triangle-right"),
        "aws_least_outstanding": Look(MAGENTA, DASH_DOT, "triangle-left"),
        "random": Look(GREY, SOLID, "cross"),
        "nginx_random": Look(GREY, DASHED, "circle"),
        "envoy_random": Look(GREY, DOTTED, "square"),
        "ipvs_sh": Look(GREY, LONG, "diamond"),
        "ipvs_dh": Look(GREY, DASH_DOT, "triangle-up"),
        "nft_numgen": Look(GREY, SPARSE, "triangle-down"),
        "jsq": Look(VIOLET, SOLID, "triangle-right"),
        "jiq": Look(VIOLET, DASHED, "triangle-left"),
        "lwl": Look(VIOLET, DOTTED, "cross"),
        "central_queue": Look(VIOLET, LONG, "circle"),
        "chash": Look(OLIVE, SOLID, "triangle-left"),
        "chashsubset": Look(OLIVE, DASHED, "cross"),
        "nginx_hash": Look(OLIVE, DOTTED, "circle"),
        "nginx_ip_hash": Look(OLIVE, LONG, "square"),
        "nginx_hash_consistent": Look(OLIVE, DASH_DOT, "diamond"),
        "maglev": Look(OLIVE, SPARSE, "triangle-up"),
        "sticky_balanced": Look(LAVENDER, SOLID, "triangle-down"),
        "sticky_persistent": Look(LAVENDER, DASHED, "triangle-right"),
        "sticky_0.21": Look(LAVENDER, DOTTED, "triangle-left"),
        "envoy_ring_hash": Look(LAVENDER, LONG, "cross"),
        "envoy_maglev": Look(LAVENDER, DASH_DOT, "circle"),
        "ipvs_mh": Look(LAVENDER, SPARSE, "square"),
        "iptables": Look(SLATE, SOLID, "square"),
        "iptables_nth": Look(SLATE, DASHED, "diamond"),
        "haproxy_hash": Look(SLATE, DOTTED, "triangle-up"),
        "haproxy_hash_consistent": Look(SLATE, LONG, "triangle-down"),
        "haproxy_hash_bounded": Look(SLATE, DASH_DOT, "triangle-right"),
        "ipvs_nq": Look(SLATE, SPARSE, "triangle-left"),
        "azure_lb": Look(RED, SOLID, "cross"),
        "ipvs_rr": Look(RED, DASHED, "circle"),
        "ipvs_wrr": Look(RED, DOTTED, "square"),
        "ipvs_lc": Look(RED, LONG, "diamond"),
        "ipvs_wlc": Look(RED, DASH_DOT, "triangle-up"),
        "ipvs_sed": Look(RED, SPARSE, "triangle-down"),
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
    place = zlib.crc32(label_of(balancer).encode())
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
    dashes = (wanted.dash, *(dash for dash in DASHES if dash != wanted.dash))
    pairs = zip(cycle(dashes), cycle(shapes))
    ways = [Look(wanted.colour, *pair) for pair in islice(pairs, len(dashes) * len(shapes))]
    return next((way for way in ways if way not in taken), wanted)

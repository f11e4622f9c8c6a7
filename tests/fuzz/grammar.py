"""Text that is nearly what a program prints: its lines, with odd things in their slots."""

from __future__ import annotations

import re
from functools import cache
from pathlib import Path

from hypothesis import strategies as st

FOLDER = Path(__file__).parent / "grammars"
"""A file for each kind: its lines, with slots such as <ip>."""

USUAL = {
    "ip": ("10.244.0.4", "10.244.1.9", "10.0.0.1", "203.0.113.7", "fd00::4"),
    "port": ("80", "8080", "30080"),
    "number": ("0", "1", "2", "3", "100"),
    "count": ("1", "12", "1,234", "12K"),
    "share": ("0.5", "0.33333333349", "1.000", "0.012"),
    "name": ("default/web", "web", "a", "pod-1"),
    "tag": ("A2CMXP7HKUVJN7L6", "X", "Y"),
    "kind": (
        "Service",
        "Pod",
        "Node",
        "EndpointSlice",
        "Ingress",
        "ConfigMap",
        "List",
        "Endpoints",
    ),
    "two": ("00", "01", "23", "59"),
}
"""What mostly stands in a slot; few different things, so that lines refer to each other."""

ODD = {
    "ip": (
        "256.1.1.1",
        "::",
        "::1",
        "fe80::1%eth0",
        "[fd00::4]",
        "0.0.0.0",
        "10.0.0",
        "x",
        "",
        "-",
    ),
    "port": ("0", "65535", "65536", "http", "", "-1", "99999999999", "080"),
    "number": ("-1", "", "x", "1.5", "9" * 9, "9" * 10, "9" * 30, "٣", "²", "1e9", "nan"),
    "count": ("0", "-1", "", "9" * 15, "9" * 16, "9" * 25, "1e3", "12Q", "1,2,3", "٣٤"),
    "share": ("0", "1", "2", "-0.5", "nan", "inf", "1e-400", "0.00000000000", "9" * 400, "x", ""),
    "name": (
        "",
        "-",
        "é",
        "a b",
        '"',
        "'",
        "\x1b[2J",
        "a" * 400,
        "null",
        "[/]",
        "\u2028",
        "{",
        "$x",
    ),
    "tag": ("", "a" * 300, "é"),
    "kind": ("", "null", "service", "[]", "List"),
    "two": ("60", "61", "99", "-1", ""),
}

_SLOT = re.compile(r"<(\w+)>")


@cache
def _templates(kind: str) -> list[str]:
    return (FOLDER / f"{kind}.txt").read_text(encoding="utf-8").splitlines()


@st.composite
def written(draw: st.DrawFn, kind: str) -> bytes:
    """Draw up to 40 lines of a kind's grammar; about one slot in twelve holds something odd."""
    templates = _templates(kind)
    lines = draw(st.lists(st.sampled_from(templates), max_size=40))
    if draw(st.booleans()):  # in the order of the program, which nests and names things first
        lines.sort(key=templates.index)

    def filled(match: re.Match[str]) -> str:
        odd = draw(st.integers(0, 11)) == 0
        slot = match[1] if match[1] in USUAL else "name"
        return draw(st.sampled_from(ODD[slot] if odd else USUAL[slot]))

    text = "\n".join(_SLOT.sub(filled, line) for line in lines)
    return (text + draw(st.sampled_from(("\n", "", "\r\n")))).encode()

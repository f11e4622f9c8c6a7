"""Markdown from plain texts and from docstrings."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence

ROLE = re.compile(r":[a-z]+:`~?([^`]+)`")
CODE = re.compile(r"(`[^`]*`)")
SECTION = re.compile(r"^(?P<name>[A-Z][A-Za-z ]+)\n-{3,}\n", re.MULTILINE)


def page(title: str, source: str, parts: Iterable[str]) -> str:
    """Return a whole page with the line that says what it was made from."""
    said = f"*Generated from {source} by `python -m docs.generate`; changes belong there.*"
    return "\n\n".join([f"# {title}", said, *(part.strip("\n") for part in parts)]) + "\n"


def table(columns: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """Return a table; cells are Markdown already, but for what would end a cell."""
    lines = [list(columns), ["---"] * len(columns), *(list(row) for row in rows)]
    return "\n".join("| " + " | ".join(map(_cell, line)) + " |" for line in lines)


def code(value: object) -> str:
    """Return a value as code, nothing for an empty one."""
    text = str(value)
    return f"`{text}`" if text else ""


def escaped(text: str) -> str:
    """Return text in which nothing is taken for HTML; what is between backticks stays."""
    parts = CODE.split(text)
    plain = [part.replace("<", "&lt;") if i % 2 == 0 else part for i, part in enumerate(parts)]
    return "".join(plain)


def prose(text: str) -> str:
    """Return the text of a docstring as Markdown: its roles, code and signs."""
    return escaped(ROLE.sub(r"`\1`", text.replace("``", "`")))


def sections(docstring: str) -> dict[str, str]:
    """Return a numpy docstring by section; what comes before the first one is under ""."""
    pieces = SECTION.split(docstring)
    found = {"": pieces[0].strip("\n")}
    for name, body in zip(pieces[1::2], pieces[2::2], strict=True):
        found[name] = body.strip("\n")
    return found


def entries(body: str) -> list[tuple[str, str]]:
    """Return the (names, text) of a numpy section such as Parameters or Attributes."""
    found: list[tuple[str, list[str]]] = []
    for line in body.splitlines():
        if line and not line.startswith(" "):
            found.append((line.strip(), []))
        elif line.strip() and found:
            found[-1][1].append(line.strip())
    return [(name, " ".join(lines)) for name, lines in found]


def anchor(heading: str) -> str:
    """Return the anchor that GitHub gives a heading."""
    plain = re.sub(r"[`*]|\[|\]\([^)]*\)", "", heading).strip().lower()
    return re.sub(r"[^\w\- ]", "", plain).replace(" ", "-")


def _cell(text: str) -> str:
    return text.replace("|", "\\|").replace("\n", " ")

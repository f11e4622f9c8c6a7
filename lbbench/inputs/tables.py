"""Tables as programs print them and people paste them: columns by place, or by wide blanks.

kubectl prints upper-case headings with three blanks between columns, az headings with a row of
dashes below. A pasted table may have lost its places (tabs), so a row whose cells do not begin
under their headings is cut at wide blanks instead.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from typing import NamedTuple

DASHES = re.compile(r"\s*-{2,}(?:\s+-{2,})*\s*")
MOST_COLUMNS = 100  # kubectl prints fourteen, az twenty; more is no heading

_KUBECTL = re.compile(r"(?:NAMESPACE\s{1,}\s+NAME|NAME)(?:\s{2,}|\t)[A-Z][A-Z()./ -]*.*")
_WIDE = re.compile(r"\s{2,}|\t\s*")


class Row(NamedTuple):
    """A row: its cells by heading, its line in the file (from 1), and the number of its table."""

    cells: dict[str, str]
    line: int
    table: int


class Stray(NamedTuple):
    """A line outside of any table, or with cells that fit no heading."""

    line: int
    text: str


def is_heading(line: str) -> bool:
    """Tell whether a line is the heading of one of kubectl's tables."""
    return (
        _KUBECTL.fullmatch(line.rstrip()) is not None
        and line.upper() == line
        and len(line.split(None, MOST_COLUMNS)) <= MOST_COLUMNS
    )


def is_table(lines: Sequence[str]) -> bool:
    """Tell whether a table begins in ``lines``: a heading of kubectl, or dashes as az has them."""
    return any(
        is_heading(line) or (i > 0 and _is_dashes(line) and bool(lines[i - 1].strip()))
        for i, line in enumerate(lines[:200])
    )


def rows(lines: Sequence[str], first_line: int = 1) -> Iterator[Row | Stray]:
    """Yield the rows of all tables in ``lines``."""
    heads: list[tuple[str, int]] = []
    table = 0
    for i, line in enumerate(lines):
        number = first_line + i
        below = lines[i + 1] if i + 1 < len(lines) else ""
        if is_heading(line):
            heads, table = _heads(line), table + 1
        elif line.strip() and _is_dashes(below):
            heads, table = _heads_over(line, below), table + 1
        elif not line.strip() or _is_dashes(line):
            continue
        elif not heads:
            yield Stray(number, line)
        else:
            cells = _cells(line, heads)
            yield Stray(number, line) if cells is None else Row(cells, number, table)


def _is_dashes(line: str) -> bool:
    return (
        DASHES.fullmatch(line) is not None
        and line.strip() != "---"
        and len(line.split(None, MOST_COLUMNS)) <= MOST_COLUMNS
    )


def _heads(line: str) -> list[tuple[str, int]]:
    found = re.finditer(r"\S+(?: \S+)*", line.rstrip())
    return [(match[0], match.start()) for match in found]


def _heads_over(line: str, dashes: str) -> list[tuple[str, int]]:
    """Return the headings over runs of dashes; where tabs have moved them, the words in order."""
    starts = [match.start() for match in re.finditer(r"-+", dashes)]
    ends = [*starts[1:], len(line)]
    words = line.split()
    if len(words) == len(starts):
        return list(zip(words, starts, strict=True))
    cut = [line[start:end].strip() for start, end in zip(starts, ends, strict=True)]
    return [
        (word or f"column {i + 1}", start)
        for i, (word, start) in enumerate(zip(cut, starts, strict=True))
    ]


def _cells(line: str, heads: list[tuple[str, int]]) -> dict[str, str] | None:
    names = [name for name, _ in heads]
    parts = _WIDE.split(line.strip())
    if "\t" not in line and _fits(line, heads):
        ends = [*(start for _, start in heads[1:]), len(line)]
        cut = [line[start:end].strip() for (_, start), end in zip(heads, ends, strict=True)]
        return dict(zip(names, cut, strict=True))
    if len(parts) == len(names):
        return dict(zip(names, parts, strict=True))
    words = line.split()
    if len(words) == len(names):
        return dict(zip(names, words, strict=True))
    return None


def _fits(line: str, heads: list[tuple[str, int]]) -> bool:
    """Tell whether every column of the row begins after a blank."""
    if line[: heads[0][1]].strip():
        return False
    return all(
        start >= len(line) or line[start - 1 : start].isspace() for _, start in heads if start
    )

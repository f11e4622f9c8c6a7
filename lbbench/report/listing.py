"""A list of named things: short facts in columns, a description that may take several lines."""

from __future__ import annotations

import textwrap
from collections.abc import Sequence
from dataclasses import dataclass

from rich.console import Console, ConsoleOptions, RenderResult
from rich.text import Text

GAP = 2
LEAST = 44  # columns that a description needs to be readable


@dataclass(frozen=True)
class Listing:
    """Rows that begin with a name; the last column is the description.

    Where the description would get less than `LEAST` columns, it stands below the name and facts.
    """

    columns: Sequence[str]
    rows: Sequence[Sequence[str]]

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        """Yield one line per row, more where the description is long."""
        width = options.max_width
        widths = [
            max(len(row[i]) for row in (self.columns, *self.rows)) + GAP
            for i in range(len(self.columns) - 1)
        ]
        if sum(widths) + LEAST > width:
            yield from self._blocks(width)
            return
        for number, row in enumerate((self.columns, *self.rows)):
            facts = "".join(text.ljust(size) for text, size in zip(row, widths, strict=False))
            style = "" if number else "dim"
            for line in _wrapped(row[-1], facts, width):
                yield Text(line, style=style, no_wrap=True, overflow="ignore")

    def _blocks(self, width: int) -> RenderResult:
        space = " " * GAP
        for name, *facts, description in self.rows:
            lines = _wrapped(space.join(facts), name + space, width) if facts else [name]
            for line in (*lines, *_wrapped(description, space, width)):
                yield Text(line, no_wrap=True, overflow="ignore")


def _wrapped(text: str, first: str, width: int) -> list[str]:
    """Return ``first`` and ``text`` in lines of ``width``, the further ones below ``text``."""
    return textwrap.wrap(
        text,
        width,
        initial_indent=first,
        subsequent_indent=" " * len(first),
        break_on_hyphens=False,
        drop_whitespace=True,
    ) or [first.rstrip()]

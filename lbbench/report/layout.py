"""How a table fits the width it has: columns in line, fewer columns, or one block per row."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from rich.console import Console, ConsoleOptions, RenderableType, RenderResult
from rich.table import Table
from rich.text import Text

GAP = 2


@dataclass(frozen=True)
class Grid:
    """A table whose first column names the row and whose other columns hold numbers.

    Too wide for the console, it gives up ``spare`` columns one by one; when that is not enough,
    every row becomes a block of lines ``column value``. No number is ever cut or broken.

    Attributes
    ----------
    title, columns, rows
        Texts; the unit stands in the column's head.
    spare
        Columns that a narrow console may do without, the least important first.
    left
        Columns of text, aligned to the left, beside the first.
    """

    title: str
    columns: Sequence[str]
    rows: Sequence[Sequence[str]]
    spare: Sequence[str] = ()
    left: frozenset[str] = field(default_factory=frozenset)

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        """Yield what fits into ``options.max_width``."""
        kept = list(range(len(self.columns)))
        for name in self.spare:
            if self._width(kept) > options.max_width:
                kept = [i for i in kept if self.columns[i] != name]
        if self._width(kept) > options.max_width:
            yield from self._blocks(options.max_width)
            return
        if self.title:
            yield Text(self.title, style="bold")
        yield self._table(kept)

    def _width(self, kept: Sequence[int]) -> int:
        widest = [max(len(row[i]) for row in (self.columns, *self.rows)) for i in kept]
        return sum(widest) + GAP * (len(kept) - 1)

    def _table(self, kept: Sequence[int]) -> RenderableType:
        made = Table(box=None, pad_edge=False, padding=(0, GAP, 0, 0), header_style="dim")
        for i in kept:
            text = i == 0 or self.columns[i] in self.left
            made.add_column(self.columns[i], justify="left" if text else "right", no_wrap=True)
        for row in self.rows:
            made.add_row(*(Text(row[i]) for i in kept))
        return made

    def _blocks(self, width: int) -> RenderResult:
        if self.title:
            yield Text(self.title, style="bold")
        for row in self.rows:
            yield Text(row[0], overflow="fold")
            pairs = [f"{name} {value}" for name, value in zip(self.columns, row, strict=True)][1:]
            for line in _filled(pairs, width - GAP):
                yield Text(" " * GAP + line, overflow="fold")


def _filled(pairs: Sequence[str], width: int) -> list[str]:
    """Return the pairs in as few lines as they need, none broken."""
    lines: list[str] = []
    for pair in pairs:
        joined = f"{lines[-1]}, {pair}" if lines else pair
        if lines and len(joined) <= width:
            lines[-1] = joined
        else:
            lines.append(pair)
    return lines

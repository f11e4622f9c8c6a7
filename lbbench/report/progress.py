"""Progress on stderr: a bar for anything that lasts, nothing when nobody looks."""

from __future__ import annotations

import time
from types import TracebackType
from typing import Self

from rich.console import Console
from rich.progress import BarColumn, Progress, TaskID, TextColumn, TimeRemainingColumn
from rich.text import Text

PATIENCE = 1.0  # seconds without a bar


class Bar:
    """A callable ``bar(what, done, total)`` that draws on stderr when that is a terminal."""

    def __init__(self, *, quiet: bool = False, console: Console | None = None) -> None:
        self.console = Console(stderr=True) if console is None else console
        self.is_on = self.console.is_terminal and not quiet
        self.started = time.monotonic()
        self.progress: Progress | None = None
        self.tasks: dict[str, TaskID] = {}

    def __enter__(self) -> Self:
        """Begin to count the time."""
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Take the bar away."""
        if self.progress is not None:
            self.progress.stop()

    def __call__(self, what: str, done: int, total: int | None) -> None:
        """Show how far ``what`` is; a line of its own for what cannot tell how far it is."""
        if not self.is_on:
            return
        if what.startswith("compiling"):
            self.console.print(Text(f"{what} ...", style="dim"))
            return
        if self.progress is None:
            if time.monotonic() - self.started < PATIENCE:
                return
            self.progress = Progress(
                TextColumn("{task.description}", markup=False),
                BarColumn(),
                TextColumn("{task.completed:,.0f}"),
                TimeRemainingColumn(),
                console=self.console,
                transient=True,
            )
            self.progress.start()
        if what not in self.tasks:
            self.tasks[what] = self.progress.add_task(what, total=total)
        self.progress.update(self.tasks[what], completed=done, total=total)

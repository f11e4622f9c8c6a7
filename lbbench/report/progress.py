"""Progress on stderr: a bar for anything that lasts, nothing when nobody looks."""

from __future__ import annotations

import sys
import time
from types import TracebackType

from rich.console import Console
from rich.progress import BarColumn, Progress, TaskID, TextColumn, TimeRemainingColumn

PATIENCE = 1.0  # seconds without a bar


class Bar:
    """A callable ``bar(what, done, total)`` that draws on stderr when that is a terminal."""

    def __init__(self, *, quiet: bool = False) -> None:
        self.console = Console(stderr=True)
        self.is_on = self.console.is_terminal and not quiet
        self.started = time.monotonic()
        self.progress: Progress | None = None
        self.tasks: dict[str, TaskID] = {}

    def __enter__(self) -> Bar:
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
        """Show how far ``what`` is."""
        if not self.is_on:
            return
        if what.startswith("compiling"):
            self.console.print(f"{what} ...", style="dim", highlight=False)
            self.started = time.monotonic()
            return
        if self.progress is None:
            if time.monotonic() - self.started < PATIENCE:
                return
            self.progress = Progress(
                TextColumn("{task.description}"), BarColumn(),
                TextColumn("{task.completed:,.0f}"), TimeRemainingColumn(),
                console=self.console, transient=True,
            )  # fmt: skip
            self.progress.start()
        if what not in self.tasks:
            self.tasks[what] = self.progress.add_task(what, total=total)
        self.progress.update(self.tasks[what], completed=done, total=total)


def is_terminal() -> bool:
    """Tell whether somebody looks at stdout."""
    return sys.stdout.isatty()

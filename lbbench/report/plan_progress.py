"""How a plan goes, on stderr: one line per search in a terminal, nothing but answers elsewhere."""

from __future__ import annotations

import time
from types import TracebackType
from typing import Self

from rich.console import Console
from rich.progress import Progress, SpinnerColumn, TaskID, TextColumn
from rich.text import Text

from lbbench.studies.planning.watching import Watcher

EVERY = 60.0
"""Seconds between two lines without a terminal."""


class PlanBar(Watcher):
    """A watcher that shows what each search tries, and how many replications are done."""

    def __init__(self, *, quiet: bool = False, console: Console | None = None) -> None:
        self.console = Console(stderr=True) if console is None else console
        self.quiet = quiet
        self.progress: Progress | None = None
        self.tasks: dict[str, TaskID] = {}
        self.line_at = time.monotonic()

    def __enter__(self) -> Self:
        """Begin to watch."""
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Take the lines away."""
        if self.progress is not None:
            self.progress.stop()

    def tries(self, balancer: str, text: str) -> None:
        """Show what the search of a balancer looks at."""
        self._draw(balancer, text)

    def answered(self, balancer: str, text: str) -> None:
        """Show the answer of a balancer."""
        self._draw(balancer, text)

    def stand(self, done: int, asked: int) -> None:
        """Show how many replications are done."""
        if self.console.is_terminal:
            if asked:
                self._draw("", f"{done:,} of {asked:,} replications")
        elif not self.quiet and time.monotonic() - self.line_at >= EVERY:
            self.line_at = time.monotonic()
            self.console.print(Text(f"{done:,} replications"), soft_wrap=True)

    def _draw(self, name: str, text: str) -> None:
        if self.quiet or not self.console.is_terminal:
            return
        if self.progress is None:
            self.progress = Progress(
                SpinnerColumn(),
                TextColumn("{task.description}", markup=False),
                console=self.console,
                transient=True,
                redirect_stdout=False,
                redirect_stderr=False,
            )
            self.progress.start()
        shown = f"{name}: {text}" if name else text
        room = max(self.console.width - 4, 20)
        shown = shown if len(shown) <= room else shown[: room - 3] + "..."
        if name not in self.tasks:
            self.tasks[name] = self.progress.add_task(shown, total=None)
        self.progress.update(self.tasks[name], description=shown)

"""How a sweep goes, on stderr: a bar in a terminal, a line per minute where nobody looks."""

from __future__ import annotations

import time
from types import TracebackType
from typing import Self

from rich.console import Console
from rich.progress import BarColumn, Progress, TaskID, TextColumn
from rich.text import Text

from lbbench.report.units import count, seconds
from lbbench.studies.watching import Best, Standing, Watcher, describe

EVERY = 60.0
"""Seconds between two lines without a terminal."""

PATIENCE = 1.0  # seconds without a bar
MARGIN = 60  # signs of a line that the bar and the numbers need beside the best point


class SweepBar(Watcher):
    """A watcher that shows points done, rate, time left and the best point so far."""

    def __init__(self, *, quiet: bool = False, console: Console | None = None) -> None:
        self.console = Console(stderr=True) if console is None else console
        self.quiet = quiet
        self.progress: Progress | None = None
        self.task: TaskID | None = None
        self.began = time.monotonic()
        self.started: float | None = None
        self.line_at = self.began
        self.last: Standing | None = None

    def __enter__(self) -> Self:
        """Begin to watch."""
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Take the bar away; without a terminal a last line stays."""
        self.stop()

    def stop(self) -> None:
        """Take the bar away, so that something else can be printed."""
        if self.progress is not None:
            self.progress.stop()
            self.progress = self.task = None
        elif self.last is not None and not self.quiet and not self.console.is_terminal:
            self._line(self.last)
        self.last = None

    def say(self, text: str) -> None:
        """Print a sentence."""
        if not self.quiet:
            self.console.print(Text(text), soft_wrap=True)

    def step(self, what: str, done: int, total: int | None) -> None:
        """Show how far ``what`` is, when it lasts."""
        now = time.monotonic()
        if self._is_drawn():
            self._draw(what, done, total, "")
        elif not self.quiet and not self.console.is_terminal and now - self.line_at >= EVERY:
            self.line_at = now
            of = "" if total is None else f" of {count(total)}"
            self.console.print(Text(f"{what}: {count(done)}{of}"), soft_wrap=True)

    def stand(self, standing: Standing) -> None:
        """Show how far the points are."""
        now = time.monotonic()
        if self.started is None:
            self.started = self.line_at = now
        self.last = standing
        if self._is_drawn():
            self._draw("", standing.done, standing.total, self._beside(standing, short=True))
        elif not self.quiet and not self.console.is_terminal and now - self.line_at >= EVERY:
            self.line_at = now
            self._line(standing)

    def _is_drawn(self) -> bool:
        lasts = time.monotonic() - self.began >= PATIENCE
        return self.console.is_terminal and not self.quiet and lasts

    def _line(self, standing: Standing) -> None:
        text = f"{count(standing.done)} of {count(standing.total)} replications"
        self.console.print(Text(f"{text}, {self._beside(standing)}"), soft_wrap=True)

    def _draw(self, what: str, done: int, total: int | None, beside: str) -> None:
        if self.progress is None:
            self.progress = Progress(
                TextColumn("{task.description}", markup=False),
                BarColumn(bar_width=24),
                TextColumn("{task.completed:,.0f}/{task.total:,.0f}"),
                TextColumn("{task.fields[beside]}", markup=False),
                console=self.console,
                transient=True,
                redirect_stdout=False,  # what is printed there is for somebody else
                redirect_stderr=False,
            )
            self.progress.start()
        if self.task is None:
            self.task = self.progress.add_task(what, total=total, beside=beside)
        self.progress.update(
            self.task, description=what, completed=done, total=total or done, beside=beside
        )

    def _beside(self, standing: Standing, *, short: bool = False) -> str:
        """Return rate, time left, failures and the best point."""
        parts = []
        elapsed = time.monotonic() - (self.started or time.monotonic())
        ran = standing.done - standing.found
        if ran > 0 and elapsed > 0.0:
            rate = ran / elapsed
            parts.append(f"{rate:.3g}/s")
            if standing.total > standing.done:
                parts.append(f"{clock((standing.total - standing.done) / rate)} left")
        if standing.failed:
            parts.append(f"{count(standing.failed)} without result")
        if standing.best is not None:
            text = _best(standing.best)
            room = self.console.width - MARGIN
            if not short or len(text) <= room:
                parts.append(text)
            elif room > 20:
                parts.append(text[: room - 3] + "...")
        return ", ".join(parts) or "none has ended yet"


def clock(left: float) -> str:
    """Return a time to wait: 45 s, 12 min, 3 h 20 min."""
    if left < 90:
        return f"{left:.0f} s"
    minutes = round(left / 60)
    return f"{minutes} min" if minutes < 90 else f"{minutes // 60} h {minutes % 60} min"


def _best(best: Best) -> str:
    is_time = best.metric.startswith("latency.")
    value = seconds(best.value) if is_time else f"{100 * best.value:.3g} %"
    return f"best {best.metric.removeprefix('latency.')} {value} ({describe(best)})"

"""What is seen of a sweep at work: a bar in a terminal, a line per minute without one."""

from __future__ import annotations

import io

import pytest
from rich.console import Console

from lbbench.model.study import Member
from lbbench.report import sweep_progress
from lbbench.report.sweep_progress import SweepBar, clock
from lbbench.studies.watching import Best, Standing

MEMBER = Member(3, {"traffic.utilisation": 0.5, "stages.ingress.balancer": "ewma"}, "content", "{}")
BEST = Best("latency.p99", 0.0312, MEMBER)


class Clock:
    """A clock that goes when it is told to."""

    def __init__(self) -> None:
        self.now = 1_000.0

    def monotonic(self) -> float:
        """Return the time."""
        return self.now


@pytest.fixture
def time(monkeypatch) -> Clock:
    """Return the clock that the bar goes by."""
    clock = Clock()
    monkeypatch.setattr(sweep_progress, "time", clock)
    return clock


def seen(*, terminal: bool, width: int = 100) -> tuple[SweepBar, io.StringIO]:
    """Return a bar and what it writes to."""
    out = io.StringIO()
    console = Console(file=out, force_terminal=terminal, width=width, color_system=None)
    return SweepBar(console=console), out


def standing(done: int, failed: int = 0) -> Standing:
    """Return a sweep of 1 000 that found 100 at its start."""
    return Standing(done, 1_000, 100, failed, BEST)


def test_without_a_terminal_there_is_a_line_per_minute(time):
    """Done, rate, time left, best: at each full minute, and once at the end."""
    bar, out = seen(terminal=False)
    with bar:
        bar.stand(standing(100))
        for second in range(1, 150):
            time.now = 1_000.0 + second
            bar.stand(standing(100 + 2 * second, failed=3))
    rest = "3 without result, best p99 31.2 ms (ewma, utilisation=0.5)"
    assert out.getvalue().splitlines() == [
        f"220 of 1,000 replications, 2/s, 6 min left, {rest}",
        f"340 of 1,000 replications, 2/s, 6 min left, {rest}",
        f"398 of 1,000 replications, 2/s, 5 min left, {rest}",
    ]


@pytest.mark.parametrize("width", [60, 80, 160])
def test_in_a_terminal_there_is_a_bar_on_one_line(time, width):
    """Points done, rate, time left and best, cut to the width; nothing of it stays."""
    bar, out = seen(terminal=True, width=width)
    with bar:
        bar.stand(standing(100))
        time.now += 10.0
        bar.stand(standing(300))
        time.now += 10.0
        bar.stand(standing(500))
        bar.progress.refresh()
        drawn = out.getvalue()
    assert "500/1,000" in drawn
    assert "20/s" in drawn
    lines = drawn.replace("\r", "\n").splitlines()
    assert all(len(line.split("\x1b[2K")[-1]) <= width for line in lines)
    assert ("(ewma, utilisation=0.5)" in drawn) == (width == 160)


def test_quiet_says_nothing(time):
    """No sentence, no bar, no line."""
    bar, out = seen(terminal=False)
    bar.quiet = True
    with bar:
        bar.say("hello")
        bar.stand(standing(100))
        time.now += 100.0
        bar.stand(standing(200))
    assert out.getvalue() == ""


@pytest.mark.parametrize(
    ("left", "said"), [(45, "45 s"), (700, "12 min"), (12_000, "3 h 20 min"), (5_399, "1 h 30 min")]
)
def test_a_time_to_wait(left, said):
    """Seconds, minutes, hours: as exact as a guess may be."""
    assert clock(left) == said

"""A call of somebody's function that never returns is ended, where the system can do that."""

from __future__ import annotations

import signal
import threading
from collections.abc import Callable
from types import FrameType
from typing import Any

LONGEST = 60.0
"""Seconds that one call may take in plain Python: large tables are filled in a few."""


def patiently(function: Callable[..., Any], *given: Any) -> Any:
    """Return ``function(*given)``; without a main thread or Unix's timers it may take for ever.

    Raises
    ------
    TimeoutError
        In the function, at the line where it is after a minute.
    """
    if not hasattr(signal, "setitimer") or threading.current_thread() != threading.main_thread():
        return function(*given)
    before = signal.signal(signal.SIGALRM, _end)
    signal.setitimer(signal.ITIMER_REAL, LONGEST)
    try:
        return function(*given)
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0.0)
        signal.signal(signal.SIGALRM, before)


def _end(_number: int, _frame: FrameType | None) -> None:
    raise TimeoutError(f"it has not returned for {LONGEST:g} s")

"""Ctrl-C and the end of a session, turned into one sentence on how to go on."""

from __future__ import annotations

import signal
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType

from lbbench.errors import Interrupted

ENDINGS = ("SIGTERM", "SIGHUP")
"""Signals that end a session, beside the SIGINT of Ctrl-C."""


@contextmanager
def interruptible(sentence: Callable[[], str]) -> Iterator[None]:
    """Raise `Interrupted` with ``sentence()`` when what is inside is interrupted.

    What is inside has let go of its workers by then.
    """
    try:
        yield
    except KeyboardInterrupt:
        raise Interrupted(sentence()) from None


@contextmanager
def ended_like_ctrl_c() -> Iterator[None]:
    """Let a signal that ends the session do what Ctrl-C does; for the main thread of a program."""

    def stop(_number: int, _frame: FrameType | None) -> None:
        raise KeyboardInterrupt

    numbers = [getattr(signal, name) for name in ENDINGS if hasattr(signal, name)]
    before = {number: signal.signal(number, stop) for number in numbers}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)

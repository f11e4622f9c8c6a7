"""Tuples of arrays passed by reference, and functions that are called, in compiled code.

Numba passes a NamedTuple of n arrays by value, as 7 to 9 n words, to every function: compiling a
small function costs as much as compiling its arguments. `hold` and `lend` put the tuple in one
place and pass that place on; its fields are read as before.

Compiled functions are inlined into their callers. Where that gains nothing, because a function is
called seldom and from several places, `apart` makes it one that is called.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

T = TypeVar("T")
F = TypeVar("F", bound=Callable[..., Any])


def hold(value: T) -> T:
    """Return ``value``, a NamedTuple; compiled code passes it on by reference from here.

    The reference lives as long as the function that holds it: it may be handed down, not returned.
    """
    return value


def lend(value: T) -> T:
    """Return ``value``, a NamedTuple, as an argument of a function that is `apart`.

    As with `hold`; compiled code may read a field once and for all, because the tuple cannot change
    while the function runs. Inlined where the tuple is made this would be wrong.
    """
    return value


def apart(function: F) -> F:
    """Mark ``function`` as one that compiled code calls, instead of inlining it."""
    function.is_apart = True  # type: ignore[attr-defined]
    return function


def bounded(function: F) -> F:
    """Mark ``function`` as one whose array accesses compiled code checks: IndexError."""
    function.is_bounded = True  # type: ignore[attr-defined]
    return function


def is_bounded(function: Callable[..., Any]) -> bool:
    """Tell whether compiled code checks the array accesses of ``function``."""
    return getattr(function, "is_bounded", False)


def is_apart(function: Callable[..., Any]) -> bool:
    """Tell whether compiled code calls ``function`` instead of inlining it."""
    return getattr(function, "is_apart", False)

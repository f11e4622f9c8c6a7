"""The search for a boundary among whole numbers: a generator that asks, value by value.

It knows nothing of scenarios. Whoever drives it answers whether a value is on the far side; the
search gallops from where it starts until it has both sides, and bisects.
"""

from __future__ import annotations

from collections.abc import Generator, Iterator
from itertools import chain, count

Search = Generator[int, bool, int | None]
"""Yields a value, is sent whether it is far, returns the least far value (None: there is none)."""

FIRST_STEP = 3
"""The first step of a gallop is the start over this; each further one is twice as long."""


def strides(first: int) -> Iterator[int]:
    """Yield the steps of a gallop: ``first``, and each further one is twice as long."""
    return (first * 2**i for i in count())


def steps_nearby() -> Iterator[int]:
    """Yield the steps from a value that lies close to the boundary: 1, 1, 2, 4, 8 and so on."""
    return chain([1], strides(1))


def least_far(
    start: int,
    *,
    near: int = 0,
    far: int | None = None,
    most: int,
    steps: Iterator[int] | None = None,
) -> Search:
    """Search the least value in ``near`` + 1 .. ``most`` that is far; far values follow near ones.

    Parameters
    ----------
    start
        The first value that is asked for.
    near
        A value that is known to be near; asked for are larger ones only.
    far
        A value that is known to be far; asked for are smaller ones only.
    most
        The largest value that may be asked for.
    steps
        Of the gallop; `strides` from ``start`` / FIRST_STEP on when not given.

    Returns
    -------
    The least value found far: the one below it was found near, or is ``near``. None when ``most``
    is near.
    """
    if far is None and near >= most:
        return None
    lowest, value = near, start
    steps = strides(max(1, start // FIRST_STEP)) if steps is None else steps
    step = next(steps)
    while far is None or far - near > 1:
        value = min(max(value, near + 1), most if far is None else far - 1)
        if (yield value):
            far = value
        else:
            near = value
        if far is None:
            if near >= most:
                return None
            value, step = near + step, next(steps)
        elif near == lowest and far - step > near:
            value, step = far - step, next(steps)
        else:
            value = (near + far) // 2
    return far

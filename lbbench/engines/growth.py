"""Room for more in the arrays of a run; what they hold stays where it is."""

from __future__ import annotations

import numpy as np


def refilled(stack: np.ndarray, count: np.ndarray, which: int, new: int) -> np.ndarray:
    """Return a stack of free numbers with room for ``new``; the new ones lie on top.

    ``count[which]`` is how many it holds, and is brought up to date.
    """
    old, held = len(stack), int(count[which])
    made = longer(stack, new)
    made[held : held + new - old] = np.arange(new - 1, old - 1, -1)
    count[which] = held + new - old
    return made


def longer(array: np.ndarray, length: int) -> np.ndarray:
    """Return the array with ``length`` rows, the new ones zero."""
    made = np.zeros((length, *array.shape[1:]), array.dtype)
    made[: len(array)] = array
    return made.view(type(array))

"""Which states compiled code takes: a NamedTuple of arrays."""

from __future__ import annotations

from typing import Any

import numpy as np

NUMBERS = "biuf"
"""Kinds of numpy types that compiled code takes."""


def why_not_arrays(state: Any) -> str | None:
    """Return why ``state`` is no NamedTuple of arrays, as a clause about it; None: it is one."""
    if not isinstance(state, tuple) or not hasattr(state, "_fields"):
        return f"is a {type(state).__name__}, not a NamedTuple of arrays"
    for name, value in zip(state._fields, state, strict=True):
        if not isinstance(value, np.ndarray):
            return f"has a field {name} that is a {type(value).__name__}, not an array"
        if value.ndim == 0:
            return f"has a field {name} that is an array of no dimension; make it an array of one"
        if value.dtype.kind not in NUMBERS:
            return f"has a field {name} of type {value.dtype}, not numbers"
        if not value.flags.c_contiguous:
            return f"has a field {name} that is not C-contiguous; use numpy.ascontiguousarray"
    return None

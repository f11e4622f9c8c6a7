"""What the digest of a kernel was made of, so that the next one like it need not be made.

Making a digest walks through hundreds of functions, thousands of constants and all code. It follows
from the arguments of `bind` and from the places that the walk has read: globals, cells, the code of
functions, numbers in arrays. `Seen` keeps each place with what stood there; while all hold the
same, the digest is the same. Whatever cannot change (numbers, texts, tuples, classes, modules)
counts by what it is.
"""

from __future__ import annotations

import types
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from lbbench.core.held import is_apart, is_bounded

MISSING = object()
"""Stands for what a module does not define."""

CONSTANTS = (bool, int, float, complex, str, bytes, type(None), np.generic)


class Seen:
    """The places that a walk through a kernel's functions has read, and what stood there."""

    def __init__(self) -> None:
        self._functions: list[tuple[types.FunctionType, tuple[Any, ...]]] = []
        self._names: list[tuple[dict[str, Any], str, Any]] = []
        self._cells: list[tuple[types.CellType, Any]] = []
        self._arrays: list[tuple[np.ndarray, tuple[Any, ...]]] = []

    def function(self, function: types.FunctionType) -> None:
        """Keep what a function is."""
        self._functions.append((function, _figure(function)))

    def name(self, names: dict[str, Any], name: str) -> Any:
        """Return a module's global, or MISSING."""
        value = names.get(name, MISSING)
        self._names.append((names, name, value))
        return value

    def cell(self, cell: types.CellType) -> Any:
        """Return what a closure holds."""
        value = cell.cell_contents
        self._cells.append((cell, value))
        return value

    def array(self, array: np.ndarray) -> None:
        """Keep the numbers of an array."""
        self._arrays.append((array, _numbers(array)))

    def is_as_it_was(self) -> bool:
        """Tell whether everything that was read would be read again."""
        for names, name, value in self._names:
            if names.get(name, MISSING) is not value:
                return False
        for cell, value in self._cells:
            if cell.cell_contents is not value:
                return False
        for function, figure in self._functions:
            if _figure(function) != figure:
                return False
        return all(_numbers(array) == numbers for array, numbers in self._arrays)


def _figure(function: types.FunctionType) -> tuple[Any, ...]:
    given, named = function.__defaults__, function.__kwdefaults__
    defaults = repr((given, named)) if given or named else ""
    return (
        function.__code__, function.__name__, function.__module__, is_apart(function),
        is_bounded(function), defaults,
    )  # fmt: skip


def _numbers(array: np.ndarray) -> tuple[Any, ...]:
    return array.dtype.str, array.shape, array.tobytes()


def key_of(
    kernel: Callable[..., Any], options: Mapping[str, Any], parts: Mapping[str, Any]
) -> tuple[Any, ...] | None:
    """Return what tells one call of `bind` from another; None: it cannot be told.

    Functions and classes count by identity, constants by their type and how they are written (so
    that True is not 1, and 0.0 not -0.0).
    """
    made: list[Any] = [kernel, repr(sorted(options.items()))]
    for name, value in sorted(parts.items()):
        known = _same(value)
        if known is None:
            return None
        made.append((name, known))
    return tuple(made)


def _same(value: Any) -> Any:
    if isinstance(value, (types.FunctionType, type)):
        return value
    if isinstance(value, CONSTANTS):
        return type(value), repr(value)
    if isinstance(value, tuple):
        items = [_same(item) for item in value]
        return None if None in items else (type(value), *items)
    return None

"""Columns of numbers that grow line by line: a part in memory, the rest in a temporary file."""

from __future__ import annotations

import mmap
import tempfile
from array import array
from collections.abc import Callable, Iterator
from typing import IO, Any

import numpy as np

from lbbench.errors import InputError

ROWS = 1 << 18
"""Rows of a column in memory; what is more goes to the file, 2 MiB of a column of 8 bytes."""


class Column:
    """One column; ``append`` adds a value, `result` gives all of them as an array.

    The file has no name and is gone when the array is. The array is mapped from it: the system
    keeps in memory what is used and what there is room for; `blocks` uses a piece at a time.

    Parameters
    ----------
    code
        Type of the values as in `array.array`.
    """

    def __init__(self, code: str) -> None:
        self._part: array[Any] = array(code)
        self._file: IO[bytes] | None = None
        self._written = 0
        self.append: Callable[[Any], None] = self._part.append

    def __len__(self) -> int:
        """Return the number of values."""
        return self._written + len(self._part)

    def spill(self) -> None:
        """Move the values in memory to the file.

        Raises
        ------
        InputError
            When the disk is full or there is no folder for temporary files.
        """
        if self._file is None:
            self._file = temporary()
        write(self._file, self._part)
        self._written += len(self._part)
        del self._part[:]

    def result(self) -> np.ndarray:
        """Return the values, in memory or, if some were spilled, mapped from the file; once."""
        if self._file is None:
            return np.array(self._part, self._part.typecode)
        self.spill()
        return mapped(self._file, self._part.typecode)

    def __del__(self) -> None:
        """Close the file; an array that was mapped from it has its own hold."""
        if self._file is not None:
            self._file.close()


def temporary() -> IO[bytes]:
    """Return an open file without a name.

    Raises
    ------
    InputError
        When there is no folder for temporary files.
    """
    try:
        return tempfile.TemporaryFile(prefix="lbbench-")
    except OSError as error:
        raise InputError(_no_room(error)) from error


def write(file: IO[bytes], values: Any) -> None:
    """Append ``values`` (bytes, or what has a buffer of them) to a temporary file.

    Raises
    ------
    InputError
        When the disk is full.
    """
    try:
        file.write(memoryview(values).cast("B") if len(values) else b"")
        file.flush()
    except OSError as error:
        raise InputError(_no_room(error)) from error


def mapped(file: IO[bytes], dtype: Any) -> np.ndarray:
    """Return the whole file as an array that is read when it is used."""
    if file.seek(0, 2) == 0:
        return np.empty(0, dtype)
    return np.frombuffer(mmap.mmap(file.fileno(), 0), dtype)


def release(values: np.ndarray) -> None:
    """Take the pages of a mapped array out of this process's memory; others are left alone."""
    held = getattr(values.base, "obj", None)  # a memory view of the mapping
    if isinstance(held, mmap.mmap):
        held.madvise(mmap.MADV_DONTNEED)


def blocks(*columns: np.ndarray, rows: int = ROWS) -> Iterator[tuple[int, list[np.ndarray]]]:
    """Yield (first row, the next ``rows`` values of every column), in memory one block at a time.

    All columns have the same length.
    """
    for first in range(0, len(columns[0]) if columns else 0, rows):
        yield first, [np.array(values[first : first + rows]) for values in columns]
        for values in columns:
            release(values)


def _no_room(error: OSError) -> str:
    return (
        f"{tempfile.gettempdir()}: no room for what is kept of the log ({error}); free some, or "
        "set TMPDIR to a folder on another disk"
    )

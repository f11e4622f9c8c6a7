"""Columns of numbers that grow line by line: a part in memory, the rest in a temporary file."""

from __future__ import annotations

import tempfile
from array import array
from collections.abc import Callable
from typing import IO, Any

import numpy as np

from lbbench.errors import InputError

ROWS = 1 << 18
"""Rows of a column in memory; what is more goes to the file, 2 MiB of a column of 8 bytes."""


class Column:
    """One column; ``append`` adds a value, `result` gives all of them as an array.

    The file has no name and is gone when the array is. The array is mapped from it: the system
    keeps in memory what is used and what there is room for.

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
        try:
            if self._file is None:
                self._file = tempfile.TemporaryFile(prefix="lbbench-")  # noqa: SIM115
            self._part.tofile(self._file)
            self._file.flush()
        except OSError as error:
            raise InputError(
                f"{tempfile.gettempdir()}: no room for the columns of the log ({error}); free "
                "some, or set TMPDIR to a folder on another disk"
            ) from error
        self._written += len(self._part)
        del self._part[:]

    def result(self) -> np.ndarray:
        """Return the values, in memory or, if some were spilled, mapped from the file; once."""
        if self._file is None:
            return np.array(self._part, self._part.typecode)
        self.spill()
        values = np.memmap(self._file, self._part.typecode, "r+", shape=(self._written,))
        self._file.close()  # the mapping has its own hold of the file
        return values

    def __del__(self) -> None:
        """Close the file of a column that nobody asked for."""
        if self._file is not None:
            self._file.close()

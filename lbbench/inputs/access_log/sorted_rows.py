"""Rows sorted by a field in bounded memory, however many there are: an external sort.

Rows go to a temporary file in runs, each sorted when it is written. Every 64th key of a run is
remembered, and tells where to cut the range of keys so that slices of all runs between two cuts
have about as many rows as one run. A slice is read from its place in every run and sorted.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import IO, Any

import numpy as np

from lbbench.inputs.access_log.columns import mapped, release, temporary, write

RUN = 1 << 17
"""Rows in memory at a time."""

EVERY = 64
"""A key in so many is remembered for the cuts: an eighth of a byte per row."""


class SortedRows:
    """Rows that are added in any order and come back in ascending order of ``key``.

    Equal keys come in the order in which they were added, and never in two slices.

    Parameters
    ----------
    dtype
        Of the rows: a structured one.
    key
        The field to sort by; no NaN.
    """

    def __init__(self, dtype: Any, key: str) -> None:
        self.dtype, self.key = np.dtype(dtype), key
        self._parts: list[np.ndarray] = []  # not yet in a run
        self._pending = 0
        self._file: IO[bytes] | None = None
        self._runs = [0]  # first row of every run in the file, and the last one's end
        self._sample: list[np.ndarray] = []

    def __len__(self) -> int:
        """Return the number of rows."""
        return self._runs[-1] + self._pending

    def add(self, rows: np.ndarray) -> None:
        """Add rows.

        Raises
        ------
        InputError
            When the disk is full or there is no folder for temporary files.
        """
        for first in range(0, len(rows), RUN):
            part = rows[first : first + RUN]
            if self._pending + len(part) > RUN:
                self._write_run()
            self._parts.append(part)
            self._pending += len(part)

    def slices(self) -> Iterator[np.ndarray]:
        """Yield the rows in order, about `RUN` and at least one at a time; again at every call."""
        if self._file is None:
            if self._pending:
                yield self._in_memory()
            return
        if self._pending:
            self._write_run()
        keys = np.sort(np.concatenate(self._sample))
        number = -(-len(self) // RUN)
        cuts = np.unique(keys[(np.arange(1, number) * len(keys)) // number])
        values = mapped(self._file, self.dtype)
        bounds = [self._bounds(values, run, cuts) for run in range(len(self._runs) - 1)]
        for i in range(len(cuts) + 1):
            part = np.concatenate([values[where[i] : where[i + 1]] for where in bounds])
            release(values)
            if len(part):
                yield part[np.argsort(part[self.key], kind="stable")]

    def _bounds(self, values: np.ndarray, run: int, cuts: np.ndarray) -> list[int]:
        """Return where the slices begin in a run, and where the last one ends."""
        first, last = self._runs[run], self._runs[run + 1]
        # read in one go: the pages around each step of a search in the file would all be mapped
        inner = np.searchsorted(np.array(values[self.key][first:last]), cuts)
        release(values)
        return [first, *(first + inner).tolist(), last]

    def _in_memory(self) -> np.ndarray:
        rows = np.concatenate(self._parts)
        return rows[np.argsort(rows[self.key], kind="stable")]

    def _write_run(self) -> None:
        rows = self._in_memory()
        if self._file is None:
            self._file = temporary()
        write(self._file, rows.view(np.uint8))
        self._sample.append(rows[self.key][::EVERY].copy())
        self._runs.append(self._runs[-1] + len(rows))
        self._parts.clear()
        self._pending = 0

    def __del__(self) -> None:
        """Close the file."""
        if self._file is not None:
            self._file.close()


def values_at(rows: SortedRows, ranks: Sequence[int]) -> np.ndarray:
    """Return the keys of the rows at ``ranks`` (from 0) in ascending order, one for each rank."""
    wanted = np.asarray(ranks)
    found = np.empty(len(wanted), rows.dtype[rows.key])
    before = 0
    for part in rows.slices():
        here = (wanted >= before) & (wanted < before + len(part))
        found[here] = part[rows.key][wanted[here] - before]
        before += len(part)
    return found


def runs(rows: SortedRows) -> Iterator[np.ndarray]:
    """Yield how often each distinct key occurs, int64[keys of a slice], slice by slice."""
    for part in rows.slices():
        keys = part[rows.key]
        begins = np.nonzero(keys[1:] != keys[:-1])[0] + 1
        yield np.diff(np.concatenate([[0], begins, [len(keys)]]))


def only(rows: np.ndarray, name: str) -> np.ndarray:
    """Return a copy of ``rows`` that has the field ``name`` alone."""
    found = np.empty(len(rows), [(name, rows.dtype[name])])
    found[name] = rows[name]
    return found

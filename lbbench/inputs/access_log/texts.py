"""Texts of a log by number, as many as there are: the latest in memory, earlier ones in a file.

A text that comes again while it is in memory has the number that it had. Where there are so many
that they went to the file, one that comes again later gets another number: `Texts.identity` tells
that two numbers are one text.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import IO, overload

import numpy as np

from lbbench.inputs.access_log.columns import Column, mapped, release, temporary, write

MOST_TEXTS = 1 << 17
MOST_BYTES = 1 << 24
"""Texts, and bytes of them, that are kept in memory."""


class Texts(Sequence[str]):
    r"""Numbers for texts, in order of appearance; ``texts[number]`` gives the text.

    Texts are the bytes of a log, read as UTF-8; what is none is shown as ``\xNN``.
    """

    def __init__(self) -> None:
        self._number: dict[bytes, int] = {}
        self._list: list[bytes] = []
        self._bytes = 0
        self._before = 0  # texts in the file
        self._size = 0  # bytes in the file
        self._file: IO[bytes] | None = None
        self._ends, self._hashes = Column("q"), Column("q")
        self._held: tuple[np.ndarray, np.ndarray, np.ndarray] | None = None

    def number(self, text: bytes) -> int:
        """Return the number of ``text``, a new one if it is not in memory."""
        found = self._number.get(text)
        if found is not None:
            return found
        if len(self._list) >= MOST_TEXTS or self._bytes >= MOST_BYTES:
            self._spill()
        found = self._number[text] = self._before + len(self._list)
        self._list.append(text)
        self._bytes += len(text)
        return found

    @property
    def is_distinct(self) -> bool:
        """Whether different numbers are different texts: always, while all are in memory."""
        return self._before == 0

    def identity(self, numbers: np.ndarray) -> np.ndarray:
        """Return int64[n] that are equal where the texts of ``numbers`` are.

        The numbers themselves, or the 64 bits of SipHash by which dictionaries tell keys apart:
        among ten million texts two different ones are equal with a chance of 3 in a million.
        """
        if self.is_distinct:
            return numbers.astype(np.int64)
        hashes = self._mapped()[1]
        known = numbers < self._before
        found = np.empty(len(numbers), np.int64)
        found[known] = hashes[numbers[known]]
        late, which = np.unique(numbers[~known], return_inverse=True)
        found[~known] = np.array([hash(self._text(n)) for n in late.tolist()], np.int64)[which]
        release(hashes)
        return found

    def __len__(self) -> int:
        """Return how many numbers there are: as many as texts while `is_distinct`."""
        return self._before + len(self._list)

    @overload
    def __getitem__(self, number: int) -> str: ...
    @overload
    def __getitem__(self, number: slice) -> tuple[str, ...]: ...
    def __getitem__(self, number: int | slice) -> str | tuple[str, ...]:
        """Return the text of a number, or those of a range."""
        if isinstance(number, slice):
            return tuple(self[i] for i in range(*number.indices(len(self))))
        if not -len(self) <= number < len(self):
            raise IndexError(number)
        return self._text(number % len(self)).decode("utf-8", "backslashreplace")

    def __iter__(self) -> Iterator[str]:
        """Yield the texts by number."""
        for number in range(len(self)):
            yield self[number]
            if number % MOST_TEXTS == 0:
                self.release()

    def release(self) -> None:
        """Take what was read from the file out of memory."""
        for values in self._held or ():
            release(values)

    def _text(self, number: int) -> bytes:
        if number >= self._before:
            return self._list[number - self._before]
        ends, _, characters = self._mapped()
        begin = int(ends[number - 1]) if number else 0
        return characters[begin : int(ends[number])].tobytes()

    def _mapped(self) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Return (end of each text in the file, its hash, all bytes); only after the last text."""
        if self._held is None:
            assert self._file is not None
            self._held = (
                self._ends.result(),
                self._hashes.result(),
                mapped(self._file, np.uint8),
            )
        return self._held

    def _spill(self) -> None:
        """Move the texts in memory to the file; they are forgotten as known ones."""
        if self._file is None:
            self._file = temporary()
        write(self._file, b"".join(self._list))
        for text in self._list:
            self._size += len(text)
            self._ends.append(self._size)
            self._hashes.append(hash(text))
        self._ends.spill()
        self._hashes.spill()
        self._before += len(self._list)
        self._bytes = 0
        self._number.clear()
        self._list.clear()

    def __del__(self) -> None:
        """Close the file."""
        if self._file is not None:
            self._file.close()

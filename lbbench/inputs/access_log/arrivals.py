"""When did the requests of an access log arrive? A log tells only the second in which each ended.

``$time_local`` has whole seconds and is the end of the request; ``$request_time`` has milliseconds.
The arrival is the end minus the request time, so all that is missing is the place of the end inside
its second. Lines are written in the order of their ends, at least by one worker, so the j-th of k
lines of one worker's second is put at (j + 1/2) / k of it. A worker that writes through a buffer
(``access_log ... buffer=``) puts blocks of several seconds into the file: where the stamps step
back, another worker's block begins.

Measured on two real logs of 90 s whose true arrivals are known (10 882 and 9 817 requests,
two workers with buffers; `tests/test_access_log.py` repeats it), mean absolute error in seconds:

=========================================================  ===========  =============
place of the end in its second                             first log    second log
=========================================================  ===========  =============
the middle                                                 0.250        0.250
uniformly random                                           0.335        0.333
rank in the order of the file                              0.230        0.215
rank in each block                                         0.053        0.062
rank in each worker's lines, blocks joined where they fit  0.042        0.046
the same, first and last second filled as far as it was    0.041        0.044
=========================================================  ===========  =============

The last is used. Stamps with fractions of a second (``$msec`` in a log of JSON lines) say the place
themselves, to a millisecond.

Theory for k lines of a worker in a second: E|error| = sqrt(pi/2)/(4 sqrt(k)) =
0.313/sqrt(k) (the mean of a Brownian bridge's absolute value), 0.040 s at the 60 lines of these
logs, at most 0.25 s. Rates came out within 0.04 %; the coefficient of variation of the gaps reads
too low, 0.96 and 0.91 where 1.00 and 1.00 is true, because ranks spread the ends evenly.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterable, Sequence
from typing import NamedTuple

import numpy as np

DISORDER = 0.05  # share of steps back above which the file is not made of blocks
EDGE_SECONDS = 5  # seconds that a log must cover for its first and last to be judged
UNSURE = 0.25  # seconds, mean absolute error of the middle of the second, the most that is expected
CLOCK = 0.25e-3  # seconds, the same of a stamp with milliseconds


class Placed(NamedTuple):
    """Places of ends in their seconds, and what they rest on."""

    place: np.ndarray  # float64[n], of the second
    error: np.ndarray  # float64[n], expected absolute error, seconds
    rank: np.ndarray  # int64[n], lines of the same stream and second before this one
    lines: np.ndarray  # int64[n], lines of that stream and second
    exact: np.ndarray  # bool[n], whether the log says the place


class Arrivals(NamedTuple):
    """Recovered arrivals of the rows of a log."""

    time: np.ndarray  # float64[n], seconds since 1970
    error: float  # expected mean absolute error, seconds
    writers: int  # streams of lines (workers with buffers) that were told apart, at least
    stream: np.ndarray  # int64[n], the stream of lines that a row belongs to
    placed: Placed


class Survey(NamedTuple):
    """What has to be known of all lines before the first one can be placed."""

    first: int  # seconds since 1970, of the first and the last line by time
    last: int
    n_first: int  # lines in these seconds
    n_last: int
    n: int
    ordered: tuple[bool, ...]  # by file: whether it is made of blocks in order


def survey(blocks: Iterable[np.ndarray], starts: Sequence[int]) -> Survey:
    """Return a survey of the seconds in which lines were written.

    Parameters
    ----------
    blocks
        Int64[...], pieces of the column, seconds since 1970.
    starts
        The first row of every file.
    """
    seconds: dict[int, int] = {}  # lines in the first and last second seen so far
    back, sizes = np.zeros(len(starts), np.int64), np.zeros(len(starts), np.int64)
    n, before = 0, None
    for end in blocks:
        if not len(end):
            continue
        for second in (int(end.min()), int(end.max())):
            seconds.setdefault(second, 0)
        for second in seconds:
            seconds[second] += int((end == second).sum())
        edge = (min(seconds), max(seconds))
        seconds = {second: seconds[second] for second in edge}
        file = np.searchsorted(starts, np.arange(n, n + len(end)), side="right") - 1
        sizes += np.bincount(file, minlength=len(starts))
        step = np.diff(end, prepend=end[0] if before is None else before) < 0
        step &= ~np.isin(np.arange(n, n + len(end)), starts)
        back += np.bincount(file[step], minlength=len(starts))
        n, before = n + len(end), end[-1]
    first, last = (min(seconds), max(seconds)) if seconds else (0, 0)
    ordered = tuple(bool(x) for x in back <= DISORDER * sizes)
    return Survey(first, last, seconds.get(first, 0), seconds.get(last, 0), n, ordered)


class Streams:
    """Tells the stream of every line, block of lines by block of lines in the order of the log.

    Lines up to a step back in time are written at once. They continue the stream that ended last
    before their first stamp; without one they open a stream. A file in disorder (collected from
    many places) is one stream; every file has its own.

    Parameters
    ----------
    starts
        The first row of every file.
    ordered
        Which files are made of blocks, from `survey`.
    """

    def __init__(self, starts: Sequence[int], ordered: Sequence[bool]) -> None:
        self.starts, self.ordered = np.asarray(starts), ordered
        self.writers = 0  # streams of the file that has most
        self._ends: list[int] = []  # last stamp of every stream of this file
        self._known = 0  # streams of earlier files
        self._current = 0
        self._row = 0

    def assign(self, end: np.ndarray) -> np.ndarray:
        """Return int64[n], the streams of the next lines, which were written in seconds ``end``."""
        found = np.empty(len(end), np.int64)
        files = self.starts[(self.starts >= self._row) & (self.starts < self._row + len(end))]
        begins = {int(start) - self._row for start in files}
        steps = np.nonzero(np.diff(end) < 0)[0] + 1
        bounds = sorted({0, *begins, *steps.tolist(), len(end)})
        for first, last in itertools.pairwise(bounds):
            if first in begins:
                self._known += len(self._ends)
                self._ends = []
            self._continue(int(end[first]), self._row + first)
            found[first:last] = self._known + self._current
            self._ends[self._current] = int(end[last - 1])
        self._row += len(end)
        return found

    def _continue(self, stamp: int, row: int) -> None:
        """Choose the stream of the lines from ``row`` on, the first of which has ``stamp``."""
        ends = self._ends
        file = int(np.searchsorted(self.starts, row, side="right")) - 1
        # at the begin of a piece there may be no step back; inside one there is
        if ends and (not self.ordered[file] or ends[self._current] <= stamp):
            return
        fits = [k for k, seen in enumerate(ends) if seen <= stamp]
        if fits:
            self._current = max(fits, key=ends.__getitem__)
            return
        ends.append(stamp)
        self._current = len(ends) - 1
        self.writers = max(self.writers, len(ends))


def recover(
    end: np.ndarray,
    request_time: np.ndarray,
    starts: np.ndarray,
    fraction: np.ndarray | None = None,
) -> Arrivals:
    """Return when the requests arrived.

    Parameters
    ----------
    end
        Int64[n], seconds since 1970 in which the lines were written.
    request_time
        Float64[n], seconds; NaN counts as 0.
    starts
        Int64[files], the first row of every file: files are told apart.
    fraction
        Float[n], what is known of the place in the second, NaN: nothing; None: of all lines.
    """
    begins = starts.tolist()
    facts = survey([end], begins)
    streams = Streams(begins, facts.ordered)
    group = streams.assign(end)
    known = np.full(len(end), np.nan) if fraction is None else fraction
    placed = place_ends(end, known, group, facts)
    error = float(placed.error.mean()) if len(end) else 0.0
    time = end + placed.place - np.nan_to_num(request_time)
    return Arrivals(time, error, streams.writers, group, placed)


def place_ends(end: np.ndarray, fraction: np.ndarray, stream: np.ndarray, facts: Survey) -> Placed:
    """Return the places of lines, in the order of the log.

    The lines may be some of the log's, but have to hold all of the seconds that they are of.
    """
    rank, lines = _ranks(end, stream)
    place = _edges(end, (rank + 0.5) / lines, facts)
    errors = np.minimum(UNSURE, math.sqrt(math.pi / 2) / 4 / np.sqrt(lines))
    exact = ~np.isnan(fraction)
    return Placed(
        np.where(exact, fraction, place), np.where(exact, CLOCK, errors), rank, lines, exact
    )


def redraw(end: np.ndarray, stream: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Return ends that are as likely: uniform places in each second, in the order of the lines.

    Parameters
    ----------
    end, stream
        Int64[n], the second in which the line was written and the stream that it belongs to.

    Returns
    -------
    np.ndarray
        Float64[n], seconds since 1970.
    """
    drawn = rng.random(len(end))
    place = np.empty(len(end))
    place[np.lexsort((np.arange(len(end)), end, stream))] = drawn[np.lexsort((drawn, end, stream))]
    return end + place


def _ranks(end: np.ndarray, group: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return j and k for line j (from 0) of the k lines of one stream and second."""
    order = np.lexsort((np.arange(len(end)), end, group))
    new = np.ones(len(end), bool)
    new[1:] = (np.diff(end[order]) != 0) | (np.diff(group[order]) != 0)
    begin = np.nonzero(new)[0]
    sizes = np.diff(np.append(begin, len(end)))
    rank, lines = np.empty(len(end), np.int64), np.empty(len(end), np.int64)
    lines[order] = np.repeat(sizes, sizes)
    rank[order] = np.arange(len(end)) - np.repeat(begin, sizes)
    return rank, lines


def _edges(end: np.ndarray, place: np.ndarray, facts: Survey) -> np.ndarray:
    """Squeeze the first second to its end and the last to its start, as far as they were used."""
    if facts.n == 0 or facts.last - facts.first < EDGE_SECONDS:
        return place
    inner = (facts.n - facts.n_first - facts.n_last) / (facts.last - facts.first - 1)
    if inner <= 0:
        return place
    used = min(1.0, facts.n_first / inner)
    place = np.where(end == facts.first, 1.0 - used + used * place, place)
    used = min(1.0, facts.n_last / inner)
    return np.where(end == facts.last, used * place, place)

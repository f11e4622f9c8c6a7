"""FIFO pods whose response times are known: when each request began, and its work.

With the ends E of a pod's requests and their response times R, a FIFO pod with one place gives for
requests in the order of E

    work = E - max(E - R, end of the one before)

and with c places, for requests in the order of their arrivals E - R, the place that is free first
in the place of the one before. It is D. V. Lindley's recursion (1952) solved for the work, with c
places that of J. Kiefer and J. Wolfowitz (1955). A request that found a free place has R itself.
"""

from __future__ import annotations

import heapq
import math

import numpy as np

ROUNDING = 1e-3  # seconds, the resolution of logged durations


def by_pod(rows: np.ndarray, pod: np.ndarray) -> list[np.ndarray]:
    """Return ``rows`` (ascending numbers of requests) of each pod apart, int64[rows] each."""
    order = rows[np.argsort(pod[rows], kind="stable")]
    return [part for part in np.split(order, np.nonzero(np.diff(pod[order]))[0] + 1) if len(part)]


class Pods:
    """FIFO pods that are told of their requests piece by piece, and say when each began.

    Parameters
    ----------
    places
        Requests that a pod works on at a time.
    by_start
        Whether requests are told in the order of their arrivals even where one place allows that
        of their ends.
    """

    def __init__(self, places: int, *, by_start: bool = False) -> None:
        self.places = places
        self.is_by_end = places == 1 and not by_start
        self._free: dict[int, list[float]] = {}  # when each place gets free, a heap, by pod

    def order(self, end: np.ndarray, response: np.ndarray) -> np.ndarray:
        """Return the times by which requests have to be in order for `begun`, float64[n].

        With one place they end in the order in which they began, and ends are known better.
        """
        return end if self.is_by_end else end - response

    def begun(self, end: np.ndarray, response: np.ndarray, pod: np.ndarray) -> np.ndarray:
        """Return when each of the next requests began, float64[n], seconds.

        Parameters
        ----------
        end, response
            Float64[n], seconds, no NaN, in `order`.
        pod
            Int[n].
        """
        solve = self._one_place if self.is_by_end else self._several_places
        start = end - response
        for rows in by_pod(np.arange(len(end)), pod):
            free = self._free.setdefault(int(pod[rows[0]]), [-math.inf] * self.places)
            start[rows] = solve(start[rows], end[rows], free)
        return start

    def _one_place(self, start: np.ndarray, end: np.ndarray, free: list[float]) -> np.ndarray:
        before = np.concatenate([free, end[:-1]])
        free[0] = float(end[-1])
        return np.maximum(start, before)

    def _several_places(self, start: np.ndarray, end: np.ndarray, free: list[float]) -> np.ndarray:
        begun, ended = start.tolist(), end.tolist()
        for row, (first, last) in enumerate(zip(begun, ended, strict=True)):
            begun[row] = min(max(first, free[0]), last)
            heapq.heapreplace(free, last)
        return np.array(begun)


def work_of(
    end: np.ndarray, response: np.ndarray, begun: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Return the work of requests that began at ``begun``, float64[n], and whether they waited."""
    waited = begun > end - response + ROUNDING
    # of those that did not wait the logged text, not a difference of large numbers
    return np.where(waited, np.clip(end - begun, 0.0, response), response), waited

"""How the segments of one run become batches that hardly lean on each other, and what they tell.

Only means are looked at, so a run's histograms are not touched here.

References
----------
.. [1] A. Tafazzoli and J. R. Wilson, "Skart: a skewness- and autoregression-adjusted batch-means
   procedure", IIE Transactions 43(2), 2011 (the widening by the lag-1 correlation).
"""

from __future__ import annotations

import math

import numpy as np

from lbbench.model.tally import SEGMENTS
from lbbench.stats.latency import SECOND, Counted, batch_edges

FEWEST_BATCHES = 20
CORRELATED = 0.2  # lag-1 correlation above which batches are made larger
WIDEST = 0.9  # largest lag-1 correlation that the widening believes


def batch_size(tally: Counted, first: int) -> int:
    """Return the segments per batch: the least that leaves batch means uncorrelated."""
    largest = max((SEGMENTS - first) // FEWEST_BATCHES, 1)
    for size in range(1, largest + 1):
        pull = _mean_pull(tally, first, size)
        if pull is None or lag1(pull) <= CORRELATED:
            return size
    return largest


def mean_error(tally: Counted, first: int, size: int) -> float | None:
    """Return the standard error of the mean latency by batches of ``size``; None: too few."""
    pull = _mean_pull(tally, first, size)
    edges = batch_edges(len(tally.offered), first, size)
    filled = int((np.add.reduceat(tally.offered, edges) > 0).sum())
    if pull is None or filled < FEWEST_BATCHES:
        return None
    return error_of(pull) * widening(pull)


def _mean_pull(tally: Counted, first: int, size: int) -> np.ndarray | None:
    edges = batch_edges(len(tally.offered), first, size)
    sums = np.add.reduceat(tally.latency_sum.astype(np.float64), edges)
    return pull_on(sums / SECOND, np.add.reduceat(tally.completed + tally.unfinished, edges))


def pull_on(number: np.ndarray, of: np.ndarray) -> np.ndarray | None:
    """Return the influence of each unit on sum(number) / sum(of); empty units pull nothing."""
    whole = float(of.sum())
    if whole <= 0.0:
        return None
    pull: np.ndarray = (number - float(number.sum()) / whole * of) / (whole / len(of))
    return pull


def lag1(values: np.ndarray) -> float:
    """Return the correlation of neighbouring values."""
    z = values - values.mean()
    square = float((z * z).sum())
    return float((z[1:] * z[:-1]).sum()) / square if square > 0.0 else 0.0


def widening(values: np.ndarray) -> float:
    """Return the factor by which a positive lag-1 correlation widens an interval [1]_."""
    r = min(max(lag1(values), 0.0), WIDEST)
    return math.sqrt((1.0 + r) / (1.0 - r))


def error_of(pull: np.ndarray) -> float:
    """Return the standard error of the mean pull of units that do not lean on each other."""
    return float(pull.std(ddof=1)) / math.sqrt(len(pull))

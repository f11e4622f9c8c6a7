"""Where a latency goes in an HDR histogram, and what its counts say: index, quantiles, exchange.

Two layouts of int64 counts over integer nanoseconds, 1 µs to 1 h: *fine* (3 significant digits) and
*coarse* (2 digits). Both equal the layout of the ``hdrhistogram`` library for ``HdrHistogram(1_000,
3_600_000_000_000, digits)``, so counts go over to it, and to its encoding, by a copy.

`fine_index` and `coarse_index` are plain Python that numba can compile.

References
----------
G. Tene, HdrHistogram (HdrHistogram/HdrHistogram, ``AbstractHistogram.java``): layout and ``.hgrm``.
"""

from __future__ import annotations

import ctypes
import math
from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np

LOWEST_NS = 1_000
HIGHEST_NS = 3_600_000_000_000

UNIT_BITS = 9  # values are told apart in steps of 2^9 = 512 ns, the power of two below LOWEST_NS
FINE_BITS = 10  # half a bucket holds 2^10 sub-buckets: 2 x 10^3 values at unit resolution
COARSE_BITS = 7  # the same for 2 digits

FINE = 24_576
"""Number of counts of the fine layout: 23 buckets, (23 + 1) x 2^10."""

COARSE = 3_456
"""Number of counts of the coarse layout: 26 buckets, (26 + 1) x 2^7."""

# From FINE_HALF units on a place is (number of the bucket, first FINE_BITS bits of the value after
# its leading one): the upper bits of the value as a float64 (IEEE 754: exponent + 1023, 52 bits of
# fraction), which a value below 2^53 is exactly. So no bits need be counted and nothing branches.
FRACTION_BITS = 52
BIAS = 1023
FINE_HALF = 1 << FINE_BITS
FINE_DROP = FRACTION_BITS - FINE_BITS
FINE_LEAD = (BIAS + FINE_BITS - 1) << FINE_BITS
FINE_MASK = 2**15 - 1  # changes no place: it tells the compiler that none is negative
COARSE_HALF = 1 << COARSE_BITS
COARSE_DROP = FRACTION_BITS - COARSE_BITS
COARSE_LEAD = (BIAS + COARSE_BITS - 1) << COARSE_BITS
COARSE_MASK = 2**12 - 1

NS_PER_MS = 1_000_000

TRILLION = 10**12
BLOCK = 64  # places summed up at once in search of a rank; both layouts have whole blocks


class Layout(NamedTuple):
    """One of the two layouts, in the words of the original."""

    digits: int  # significant decimal digits
    bits: int  # log2 of half the number of sub-buckets
    size: int  # number of counts


FINE_LAYOUT = Layout(3, FINE_BITS, FINE)
COARSE_LAYOUT = Layout(2, COARSE_BITS, COARSE)


# --- from a value to its place: compiled into the engines -----------------------------------------


def fine_index(ns: int) -> int:
    """Return the place of ``ns`` (int64 nanoseconds) in fine counts; clamped to 0 .. 1 h."""
    units = min(max(ns, 0), HIGHEST_NS) >> UNIT_BITS
    place = (np.float64(units).view(np.int64) >> FINE_DROP) - FINE_LEAD
    return (units if units < FINE_HALF else int(place)) & FINE_MASK


def coarse_index(ns: int) -> int:
    """Return the place of ``ns`` (int64 nanoseconds) in coarse counts; clamped to 0 .. 1 h."""
    units = min(max(ns, 0), HIGHEST_NS) >> UNIT_BITS
    place = (np.float64(units).view(np.int64) >> COARSE_DROP) - COARSE_LEAD
    return (units if units < COARSE_HALF else int(place)) & COARSE_MASK


# --- from a place to its values: numpy, for tables and tests --------------------------------------


def fine_lowest_equivalent(index: Any) -> Any:
    """Return the lowest value, in nanoseconds, that shares the place ``index`` (or places)."""
    return _span(index, FINE_LAYOUT)[0]


def fine_highest_equivalent(index: Any) -> Any:
    """Return the highest value, in nanoseconds, that shares the place ``index``."""
    low, width = _span(index, FINE_LAYOUT)
    return low + width - 1


def fine_median_equivalent(index: Any) -> Any:
    """Return the middle value, in nanoseconds, of the place ``index``."""
    low, width = _span(index, FINE_LAYOUT)
    return low + width // 2


def coarse_lowest_equivalent(index: Any) -> Any:
    """Return the lowest value, in nanoseconds, that shares the coarse place ``index``."""
    return _span(index, COARSE_LAYOUT)[0]


def coarse_highest_equivalent(index: Any) -> Any:
    """Return the highest value, in nanoseconds, that shares the coarse place ``index``."""
    low, width = _span(index, COARSE_LAYOUT)
    return low + width - 1


def coarse_median_equivalent(index: Any) -> Any:
    """Return the middle value, in nanoseconds, of the coarse place ``index``."""
    low, width = _span(index, COARSE_LAYOUT)
    return low + width // 2


def _span(index: Any, layout: Layout) -> tuple[Any, Any]:
    """Return (lowest value, number of values) of places, int64 nanoseconds."""
    place = np.asarray(index, np.int64)
    shift = np.maximum((place >> layout.bits) - 1, 0)
    low = (place - (shift << layout.bits)) << (shift + UNIT_BITS)
    width = np.int64(1) << (shift + UNIT_BITS)
    return (low, width) if place.ndim else (int(low), int(width))


# --- what counts say ------------------------------------------------------------------------------


def rank_of(p: float, n: int) -> int:
    """Return the rank ceil(p n), at least 1, of quantile ``p`` among ``n`` values.

    ``p`` counts as a decimal number of 12 places: 0.07 of 100 is rank 7, although the product of
    the floats is a little more than 7, and 99.9 / 100 is 0.999.
    """
    if not 0.0 <= p <= 1.0:
        raise ValueError(f"p = {p}: a quantile lies in 0 .. 1")
    trillionths = int(f"{p:.12f}".replace(".", ""))
    return max(1, -(-trillionths * n // TRILLION))


def quantile_ns(counts: np.ndarray, p: float, *, fine: bool = True) -> int:
    """Return the highest equivalent value, in nanoseconds, of the place that holds rank ceil(p n).

    Parameters
    ----------
    counts
        int64[FINE], or int64[COARSE] with ``fine=False``.
    p
        0 .. 1.

    Raises
    ------
    ValueError
        When the counts are empty or of another layout.
    """
    return int(quantiles_ns(counts, [p], fine=fine)[0])


def quantiles_ns(counts: np.ndarray, ps: Any, *, fine: bool = True) -> np.ndarray:
    """Return `quantile_ns` for several ``ps`` at once, int64[len(ps)]."""
    _checked(counts, fine=fine)
    found: np.ndarray = row_quantiles_ns(counts[None], list(ps), fine=fine)[0]
    if len(found) and found[0] < 0:
        raise ValueError("an empty histogram has no quantiles")
    return found


def row_quantiles_ns(counts: np.ndarray, ps: Sequence[float], *, fine: bool = True) -> np.ndarray:
    """Return `quantile_ns` of every row of ``counts``, int64[rows, len(ps)]; empty rows: -1.

    A rank is looked for among sums of blocks first, then in its block.
    """
    layout = FINE_LAYOUT if fine else COARSE_LAYOUT
    blocks = counts.reshape(len(counts), layout.size // BLOCK, BLOCK)
    ends = blocks.sum(axis=2, dtype=np.int64).cumsum(axis=1)
    totals = ends[:, -1]
    ranks = np.array([[rank_of(p, n) for p in ps] for n in totals.tolist()], np.int64)
    ranks = ranks.reshape(len(counts), len(ps))
    at = (ends[:, None, :-1] < ranks[:, :, None]).sum(axis=2)
    row = np.arange(len(counts))[:, None]
    rest = ranks - np.where(at > 0, ends[row, at - 1], 0)
    inside = blocks[row, at].cumsum(axis=2, dtype=np.int64)
    low, width = _span(at * BLOCK + (inside < rest[:, :, None]).sum(axis=2), layout)
    highest: np.ndarray = np.where(totals[:, None] > 0, low + width - 1, -1)
    return highest


def mean_ns(counts: np.ndarray, *, fine: bool = True) -> float:
    """Return the mean in nanoseconds by the middle of each place; NaN when empty."""
    layout = _checked(counts, fine=fine)
    n = int(counts.sum())
    low, width = _span(np.arange(layout.size), layout)
    return float(np.dot(counts, (low + width // 2).astype(np.float64)) / n) if n else math.nan


def _checked(counts: np.ndarray, *, fine: bool) -> Layout:
    layout = FINE_LAYOUT if fine else COARSE_LAYOUT
    if counts.shape != (layout.size,):
        raise ValueError(f"counts have shape {counts.shape}; this layout has ({layout.size},)")
    return layout


# --- exchange with the hdrhistogram tools ---------------------------------------------------------


def to_hdr(counts: np.ndarray) -> Any:
    """Return an ``hdrh.histogram.HdrHistogram`` that holds ``counts`` (either layout)."""
    from hdrh.histogram import HdrHistogram

    layout = _checked(counts, fine=len(counts) != COARSE)
    made = HdrHistogram(LOWEST_NS, HIGHEST_NS, layout.digits)
    values = np.ascontiguousarray(counts, np.uint64)
    ctypes.memmove(made.counts, values.ctypes.data, values.nbytes)
    used = np.flatnonzero(values)
    if len(used):
        made.set_internal_tacking_values(int(used[0]), int(used[-1]), int(values.sum()))
    return made


def from_hdr(histogram: Any) -> np.ndarray:
    """Return the counts, int64[FINE] or int64[COARSE], of an hdrh histogram of the same layout.

    Raises
    ------
    ValueError
        When it was made for another range or number of digits.
    """
    digits = int(histogram.significant_figures)
    made_for = (int(histogram.lowest_trackable_value), int(histogram.highest_trackable_value))
    layout = {3: FINE_LAYOUT, 2: COARSE_LAYOUT}.get(digits)
    if layout is None or made_for != (LOWEST_NS, HIGHEST_NS):
        raise ValueError(
            f"this histogram covers {made_for[0]} .. {made_for[1]} with {digits} digits; "
            f"expected {LOWEST_NS} .. {HIGHEST_NS} with 3 or 2"
        )
    return np.frombuffer(histogram.counts, np.uint64).astype(np.int64)


def encoded(counts: np.ndarray) -> str:
    """Return ``counts`` in the base64 interchange encoding (V2) of the HDR histogram tools."""
    text: bytes = to_hdr(counts).encode()
    return text.decode("ascii")


def decoded(text: str) -> np.ndarray:
    """Return the counts of an `encoded` histogram."""
    from hdrh.histogram import HdrHistogram

    return from_hdr(HdrHistogram.decode(text.encode("ascii")))


def hgrm(counts: np.ndarray, *, unit_ns: int = NS_PER_MS, ticks: int = 5) -> str:
    """Return the percentile distribution as the HDR histogram tools print it (``.hgrm``).

    Values are in units of ``unit_ns`` (milliseconds), ``ticks`` lines per halving of the distance
    to 100 %. The library's own writer leaves the standard deviation in nanoseconds; here it has the
    unit of the values, as in the original.
    """
    made = to_hdr(counts)
    digits = made.significant_figures
    lines = [f"{'Value':>12} {'Percentile':>14} {'TotalCount':>10} {'1/(1-Percentile)':>14}", ""]
    for step in made.get_percentile_iterator(ticks):
        p = step.percentile_level_iterated_to / 100
        value = step.value_iterated_to / unit_ns
        line = f"{value:12.{digits}f} {p:2.12f} {step.total_count_to_this_value:10d}"
        lines.append(line if p == 1 else f"{line} {1 / (1 - p):14.2f}")
    mean, deviation = made.get_mean_value() / unit_ns, made.get_stddev() / unit_ns
    top, total = made.get_max_value() / unit_ns, made.get_total_count()
    lines += [
        f"#[Mean    = {mean:12.{digits}f}, StdDeviation   = {deviation:12.{digits}f}]",
        f"#[Max     = {top:12.{digits}f}, TotalCount     = {total:12d}]",
        f"#[Buckets = {made.bucket_count:12d}, SubBuckets     = {made.sub_bucket_count:12d}]",
    ]
    return "\n".join(lines) + "\n"

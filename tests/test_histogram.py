"""The layout of counts is the hdrhistogram library's; quantiles follow their definition."""

from __future__ import annotations

import io
import math
from fractions import Fraction

import numpy as np
import pytest
from hdrh.histogram import HdrHistogram
from hypothesis import given
from hypothesis import strategies as st

from lbbench.core import histogram as hg
from lbbench.core.jit import bind

DIGITS = {True: 3, False: 2}
INDEX = {True: hg.fine_index, False: hg.coarse_index}
SIZE = {True: hg.FINE, False: hg.COARSE}

values_ns = st.one_of(
    st.integers(0, hg.HIGHEST_NS),
    st.builds(
        lambda power, step: min(max(2**power + step, 0), hg.HIGHEST_NS),
        st.integers(0, 41),
        st.integers(-600, 600),
    ),
)
both = pytest.mark.parametrize("fine", [True, False], ids=["fine", "coarse"])


def library(*, fine: bool) -> HdrHistogram:
    return HdrHistogram(hg.LOWEST_NS, hg.HIGHEST_NS, DIGITS[fine])


def counted(values, *, fine: bool) -> np.ndarray:
    counts = np.zeros(SIZE[fine], np.int64)
    for value in values:
        counts[INDEX[fine](int(value))] += 1
    return counts


def recorded(values, *, fine: bool) -> HdrHistogram:
    made = library(fine=fine)
    for value in values:
        assert made.record_value(int(value))
    return made


def latencies(seed: int, n: int) -> np.ndarray:
    return (np.random.default_rng(seed).lognormal(17, 2, n)).astype(np.int64).clip(0, hg.HIGHEST_NS)


@both
def test_number_of_counts_is_the_librarys(fine):
    """Both layouts have as many counts as the library's histogram of the same range."""
    assert library(fine=fine).counts_len == SIZE[fine]


@both
@given(ns=values_ns)
def test_index_is_the_librarys(fine, ns):
    """A value lands at the same place as in the library."""
    assert INDEX[fine](ns) == library(fine=fine)._counts_index_for(ns)


@both
def test_equivalent_values_are_the_librarys(fine):
    """Lowest, middle and highest value of every place that the range reaches are the library's."""
    made = library(fine=fine)
    places = np.arange(INDEX[fine](hg.HIGHEST_NS) + 1)
    low = [made.get_value_from_index(int(i)) for i in places]
    names = ("lowest", "median", "highest")
    kind = "fine" if fine else "coarse"
    ours = {name: getattr(hg, f"{kind}_{name}_equivalent")(places) for name in names}
    assert ours["lowest"].tolist() == low
    assert ours["median"].tolist() == [made._hdr_median_equiv_value(v) for v in low]
    assert ours["highest"].tolist() == [made.get_highest_equivalent_value(v) for v in low]
    assert getattr(hg, f"{kind}_highest_equivalent")(7) == ours["highest"][7]


@both
@given(ns=st.one_of(st.integers(-(2**62), -1), st.integers(hg.HIGHEST_NS + 1, 2**62)))
def test_values_outside_the_range_go_to_its_ends(fine, ns):
    """Negative values count as 0, values above one hour as one hour."""
    assert INDEX[fine](ns) == INDEX[fine](0 if ns < 0 else hg.HIGHEST_NS)


@both
@given(ns=values_ns)
def test_highest_equivalent_keeps_the_promised_digits(fine, ns):
    """Reporting the highest equivalent value is off by 10^-digits of the value or one unit."""
    kind = "fine" if fine else "coarse"
    reported = getattr(hg, f"{kind}_highest_equivalent")(INDEX[fine](ns))
    assert 0 <= reported - ns <= max(ns / 10 ** DIGITS[fine], 2**hg.UNIT_BITS - 1)


def _fill(values, fine, coarse):
    for i in range(values.size):
        fine[fine_index(values[i])] += 1  # noqa: F821
        coarse[coarse_index(values[i])] += 1  # noqa: F821


def test_compiled_index_is_the_plain_one():
    """Compiled and plain Python put every value at the same place."""
    edges = [-1, 0, 511, 512, hg.HIGHEST_NS, hg.HIGHEST_NS + 1, 2**62]
    edges += [2**power + step for power in range(9, 42) for step in (-1, 0, 1)]
    values = np.concatenate([np.array(edges, np.int64), latencies(1, 5_000)])
    fill = bind(_fill, fine_index=hg.fine_index, coarse_index=hg.coarse_index)
    fine, coarse = np.zeros(hg.FINE, np.int64), np.zeros(hg.COARSE, np.int64)
    fill(values, fine, coarse)
    assert (fine == counted(values, fine=True)).all()
    assert (coarse == counted(values, fine=False)).all()


@both
@given(
    values=st.lists(values_ns, min_size=1, max_size=60),
    millionths=st.one_of(
        st.integers(0, 10**6), st.sampled_from([70_000, 500_000, 990_000, 999_000])
    ),
)
def test_quantile_is_the_place_of_the_order_statistic(fine, values, millionths):
    """The quantile is the highest equivalent of the sorted value at rank ceil(p n)."""
    p = millionths / 10**6
    rank = max(1, math.ceil(Fraction(millionths, 10**6) * len(values)))
    expected = library(fine=fine).get_highest_equivalent_value(sorted(values)[rank - 1])
    assert hg.quantile_ns(counted(values, fine=fine), p, fine=fine) == expected


@both
def test_quantiles_are_the_librarys_where_the_rank_is_whole(fine):
    """With p n whole, where no rounding rule matters, the library gives the same percentiles."""
    values = latencies(2, 1_000)
    counts, made = counted(values, fine=fine), recorded(values, fine=fine)
    for percent in (0.1, 1, 5, 50, 75, 90, 95, 99, 99.9, 100):
        expected = made.get_value_at_percentile(percent)
        assert hg.quantile_ns(counts, percent / 100, fine=fine) == expected
    ps = [0.5, 0.9, 0.999]
    assert hg.quantiles_ns(counts, ps, fine=fine).tolist() == [
        hg.quantile_ns(counts, p, fine=fine) for p in ps
    ]


def test_rank_takes_p_as_a_decimal_number():
    """0.07 x 100 is more than 7 in floats, 99.9 / 100 more than 0.999; the ranks are exact."""
    assert (hg.rank_of(0.07, 100), hg.rank_of(0.57, 100)) == (7, 57)
    assert hg.rank_of(99.9 / 100, 1000) == 999
    assert (hg.rank_of(0.0, 100), hg.rank_of(1.0, 100)) == (1, 100)


@given(st.floats(0.0, 1.0), st.integers(1, 10**18))
def test_rank_is_exact_for_any_number(p, n):
    """The rank is the ceiling of the exact product, however many values there are."""
    assert hg.rank_of(p, n) == max(1, math.ceil(Fraction(f"{p:.12f}") * n))


@both
def test_quantiles_of_rows_are_those_of_each(fine):
    """All rows at once give what each gives by itself; empty rows give -1."""
    rows = np.array([counted(latencies(k, 10**k), fine=fine) for k in range(4)])
    rows[2] = 0
    ps = [0.999, 0.0, 0.5, 1.0]
    found = hg.row_quantiles_ns(rows, ps, fine=fine)
    assert found[2].tolist() == [-1] * 4
    for k in (0, 1, 3):
        assert found[k].tolist() == [hg.quantile_ns(rows[k], p, fine=fine) for p in ps]
    assert hg.row_quantiles_ns(rows[:0], ps, fine=fine).shape == (0, 4)


def test_quantiles_of_nothing_and_of_wrong_counts_are_refused():
    """Empty counts, counts of the other layout and p outside 0 .. 1 raise ValueError."""
    with pytest.raises(ValueError, match="empty"):
        hg.quantile_ns(np.zeros(hg.FINE, np.int64), 0.5)
    with pytest.raises(ValueError, match="shape"):
        hg.quantile_ns(np.ones(hg.COARSE, np.int64), 0.5)
    with pytest.raises(ValueError, match=r"0 \.\. 1"):
        hg.quantile_ns(np.ones(hg.FINE, np.int64), 99.0)


@both
def test_mean_is_the_librarys(fine):
    """The mean from the counts is the library's; it is NaN for an empty histogram."""
    values = latencies(3, 500)
    expected = recorded(values, fine=fine).get_mean_value()
    assert hg.mean_ns(counted(values, fine=fine), fine=fine) == pytest.approx(expected, rel=1e-12)
    assert math.isnan(hg.mean_ns(np.zeros(SIZE[fine], np.int64), fine=fine))


@both
def test_conversion_keeps_counts_percentiles_and_encoding(fine):
    """A converted histogram has the percentiles and the bytes of one that recorded the values."""
    values = latencies(4, 2_000)
    counts, made = counted(values, fine=fine), recorded(values, fine=fine)
    ours = hg.to_hdr(counts)
    assert ours.get_total_count() == len(values)
    for percent in (0, 10, 50, 99, 99.9, 99.99, 100):
        assert ours.get_value_at_percentile(percent) == made.get_value_at_percentile(percent)
    assert ours.get_max_value() == made.get_max_value()
    assert ours.get_min_value() == made.get_min_value()
    assert hg.encoded(counts).encode() == made.encode()
    assert (hg.decoded(hg.encoded(counts)) == counts).all()
    assert (hg.from_hdr(made) == counts).all()


def test_an_empty_histogram_survives_encoding():
    """Counts of zero come back as counts of zero."""
    nothing = np.zeros(hg.FINE, np.int64)
    assert (hg.decoded(hg.encoded(nothing)) == nothing).all()


def test_a_foreign_histogram_is_refused():
    """A histogram of another range is refused with both ranges in the sentence."""
    with pytest.raises(ValueError, match=r"1 \.\. 1000000 with 3 digits; expected 1000 \.\. 36"):
        hg.from_hdr(HdrHistogram(1, 1_000_000, 3))


@both
def test_adding_counts_is_merging(fine):
    """The sum of two arrays is the histogram that the library's add makes."""
    a, b = latencies(5, 700), latencies(6, 900)
    merged = recorded(a, fine=fine)
    merged.add(recorded(b, fine=fine))
    total = counted(a, fine=fine) + counted(b, fine=fine)
    assert (hg.from_hdr(merged) == total).all()
    assert hg.encoded(total).encode() == merged.encode()


@both
def test_hgrm_is_what_the_library_prints(fine):
    """The text equals the library's line by line; only the deviation has the unit of the values."""
    values = latencies(7, 3_000)
    made = recorded(values, fine=fine)
    out = io.BytesIO()
    made.output_percentile_distribution(out, 1e6)
    theirs = out.getvalue().decode().splitlines()
    ours = hg.hgrm(counted(values, fine=fine)).splitlines()
    assert [line for line in ours if "Mean" not in line and "Max" not in line] == [
        line for line in theirs if "Mean" not in line and "Max" not in line
    ]
    digits = DIGITS[fine]
    mean = f"#[Mean    = {made.get_mean_value() / 1e6:12.{digits}f}, "
    assert ours[-3] == f"{mean}StdDeviation   = {made.get_stddev() / 1e6:12.{digits}f}]"
    assert ours[-2].startswith(f"#[Max     = {made.get_max_value() / 1e6:12.{digits}f}, TotalCount")
    assert ours[-2].endswith(" 3000]")


def test_hgrm_of_nothing_has_no_rows():
    """An empty histogram prints its head and its foot."""
    lines = hg.hgrm(np.zeros(hg.FINE, np.int64)).splitlines()
    assert lines[0].split() == ["Value", "Percentile", "TotalCount", "1/(1-Percentile)"]
    assert [line for line in lines[1:] if line and not line.startswith("#")] == []

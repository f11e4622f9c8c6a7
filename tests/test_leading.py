"""Who leads among variants, and what is claimed about it."""

from __future__ import annotations

import pytest

from lbbench.stats.pairs import Difference
from lbbench.studies.leading import headline_of, lead


def pairs(p_values):
    """Return what gives the difference of a pair, its p-value by the name of the worse one."""

    def pair(_a, b, figure):
        return Difference(figure, 1.0, 2.0, 1.0, (0.5, 1.5), 2.0, (1.5, 2.5), p_values[b], 9,
                          "replications")  # fmt: skip

    return pair


def test_the_lowest_leads_and_rivals_come_by_their_value():
    """Of three variants the one with the lowest value leads; the next one is the first rival."""
    found = lead({"a": 3.0, "b": 1.0, "c": 2.0}, "p99", pairs({"a": 1e-9, "c": 1e-9}))
    assert (found.name, found.value, list(found.rivals)) == ("b", 1.0, ["c", "a"])


@pytest.mark.parametrize(("p", "apart"), [(0.0166, True), (0.0168, False), (None, False)])
def test_each_pair_that_could_have_led_is_paid_for(p, apart):
    """Three variants make three pairs: a p-value has to be below 5 % / 3; none is no evidence."""
    found = lead({"a": 1.0, "b": 2.0, "c": 3.0}, "p99", pairs({"b": p, "c": 1e-9}))
    assert found.told_apart == {"b": apart, "c": True}
    assert found.tied == ([] if apart else ["b"])


def test_equal_variants_are_told_apart_once_in_twenty_at_most():
    """Of five equal variants the luckiest is called better than another in at most 5 % of studies.

    1000 studies of 10 normal replications each; 5 % + 3 standard errors is 7.1 %. Without the
    factor for the pairs it is above 25 %: the largest of ten pairwise t statistics.
    """
    import numpy as np
    from scipy.special import stdtr

    rng = np.random.default_rng(5)
    wrong = 0
    for _ in range(1000):
        values = dict(zip("abcde", rng.standard_normal((5, 10)), strict=True))

        def pair(a, b, figure, values=values):
            gap = values[b] - values[a]
            p = 2 * stdtr(9, -abs(gap.mean()) / (gap.std(ddof=1) / 10**0.5))
            return Difference(figure, 0.0, 0.0, gap.mean(), None, None, None, p, 10, "replications")

        found = lead({name: row.mean() for name, row in values.items()}, "mean", pair)
        wrong += any(found.told_apart.values())
    assert wrong / 1000 < 0.071


def test_fewer_than_two_values_have_no_leader():
    """A variant without a value takes no part."""
    assert lead({"a": 1.0, "b": None}, "p99", pairs({})) is None


@pytest.mark.parametrize(
    ("scenario", "figure"),
    [
        ({}, "p99"),
        ({"slo": {"error_rate": "1%", "latency.p95": "1s"}}, "p95"),
        ({"slo": {"latency.max": "1s"}}, "p99"),
        ({"run": {"precision": {"metric": "latency.mean"}}, "slo": {"latency.p95": "1s"}}, "mean"),
    ],
)
def test_the_headline_is_what_was_asked_for(scenario, figure):
    """Precision first, then the first objective on latency that can be estimated, then p99."""
    assert headline_of(scenario) == figure

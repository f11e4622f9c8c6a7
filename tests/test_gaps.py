"""Connections with gaps: whole in their blocks, at the rate of requests that was asked for.

Tolerances: z = 4.5 standard errors (two-sided false alarm 7e-6), p = 1e-5 for laws.
"""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from lbbench.errors import ScenarioError
from lbbench.model.check import build
from lbbench.model.scenario import Scenario
from lbbench.model.trace import Trace
from lbbench.traffic.generate import Traffic
from lbbench.traffic.streams import ANSWER_GAP, LIFETIME, generator

Z = 4.5
P = 1e-5

BUDGETS = {"one": 1, "fixed": {"fixed": 7}, "geometric": {"geometric": 4}, "long": {"fixed": 300}}
every_budget = pytest.mark.parametrize("budget", BUDGETS.values(), ids=BUDGETS.keys())
MEAN = {"one": 1, "fixed": 7, "geometric": 4, "long": 300}


def demand(budget, *, gap=None, **others):
    return {
        "arrivals": {"rate": "100/s"},
        "clients": {"count": 50, "popularity": {"zipf": 0.8}},
        "sessions": {"count": 120, "lifetime": {"mean": "60s"}},
        "service_time": {"distribution": "hyperexponential", "mean": "20ms", "cv": 3},
        "connections": {"requests": budget, "gap": gap or {"mean": "2s"}},
        **others,
    }


def traffic(demand, *, run=None, block=16_384, replication=0, **others):
    data = {"traffic": demand, "run": run or {"requests": 1_000}, **others}
    return Traffic(Scenario.model_validate(data), block=block, replication=replication)


def columns(*args, **kwargs):
    """Concatenate the columns of all blocks."""
    blocks = list(traffic(*args, **kwargs).blocks())
    return Trace(*(np.concatenate(column) for column in zip(*blocks, strict=True)))


def same(a, b):
    """Names of the columns that are equal bit for bit."""
    return {
        name for name in Trace._fields if getattr(a, name).tobytes() == getattr(b, name).tobytes()
    }


def lengths(found):
    """Return the rows of each connection."""
    return np.diff(np.flatnonzero(found.last), prepend=-1)


@every_budget
@settings(max_examples=20)
@given(block=st.integers(1, 1_100), requests=st.integers(1, 1_000))
def test_a_block_holds_whole_connections(budget, block, requests):
    """Blocks end with a last row; what a connection's rows share is equal in all of them."""
    before = 0.0
    for found in traffic(demand(budget), run={"requests": requests}, block=block).blocks():
        assert found.last[-1] == 1
        first = np.append(True, found.last[:-1] == 1)
        assert ((found.gap == -1.0) == first).all()
        assert (found.gap[~first] >= 0.0).all()
        for column in (found.arrival, found.client, found.session):
            assert (column[1:][~first[1:]] == column[:-1][~first[1:]]).all()
        assert (found.lane == found.client).all()
        assert found.arrival[0] >= before
        assert (np.diff(found.arrival) >= 0.0).all()
        before = found.arrival[-1]
        assert len(found.last) <= block or found.last.sum() == 1
        assert {len(column) for column in found} == {len(found.last)}
        assert all(column.flags.c_contiguous and column.ndim == 1 for column in found)


@every_budget
def test_columns_have_the_types_of_other_traffic(budget):
    """A kernel that is compiled for open traffic takes these blocks too."""
    plain = columns({"arrivals": {"rate": "100/s"}})
    found = columns(demand(budget))
    assert [column.dtype for column in found] == [column.dtype for column in plain]


@every_budget
@settings(max_examples=20)
@given(block=st.integers(1, 1_100), requests=st.integers(1, 1_000))
def test_rows_do_not_depend_on_blocks_and_a_short_run_begins_a_long_one(budget, block, requests):
    """In any blocks the same bits; the cut connection alone ends earlier."""
    whole = columns(demand(budget))
    part = columns(demand(budget), run={"requests": requests}, block=block)
    assert len(part.arrival) == requests
    beginning = Trace(*(column[:requests] for column in whole))
    assert same(part, beginning) >= set(Trace._fields) - {"last"}
    assert part.last[:-1].tolist() == beginning.last[:-1].tolist()
    assert part.last[-1] == 1


@every_budget
@pytest.mark.parametrize("block", [1, 777])
def test_a_duration_gives_the_same_rows_in_any_blocks(budget, block):
    """Blocks of 1 and of 777 give the bits that blocks of 16 384 give, up to the same row."""
    run = {"duration": "30s"}
    found = columns(demand(budget), run=run)
    assert same(found, columns(demand(budget), run=run, block=block)) == set(Trace._fields)
    assert found.arrival[-1] < 30.0
    if budget == {"fixed": 300}:
        assert (lengths(found) == 300).all()


def test_starts_come_at_the_rate_of_requests_by_the_budget():
    """10 requests/s in connections of 5, evenly paced: one starts every 0.5 s."""
    arrivals = {"process": "deterministic", "rate": "10/s"}
    made = traffic(demand({"fixed": 5}, arrivals=arrivals), run={"requests": 50})
    (found,) = made.blocks()
    assert found.arrival[::5].tolist() == pytest.approx([0.5 * k for k in range(1, 11)])
    assert made.population.rate == 10.0
    assert made.has_gaps
    assert made.users is None


@pytest.mark.parametrize(
    ("name", "scatter"), [("one", 1.0), ("fixed", 7.0), ("geometric", 7.0), ("long", 300.0)]
)
@pytest.mark.parametrize("load", ["rate", "utilisation"])
def test_the_average_rate_of_requests_is_the_one_asked_for(name, scatter, load):
    """Requests that Poisson connections of 1000 s bring: mean r T, variance r T E[B^2] / E[B].

    E[B^2] / E[B] is k for budgets of k and 2 m - 1 for geometric ones of mean m. A utilisation of
    80 % of 10 pods at 20 ms is 400/s.
    """
    wanted = demand(BUDGETS[name], clients={"count": 50})
    if load == "utilisation":
        del wanted["arrivals"]
        wanted["utilisation"] = "80%"
    made = traffic(wanted, run={"duration": "1000s"})
    rate = 100.0 if load == "rate" else 400.0
    assert made.population.rate == pytest.approx(rate)
    rows = sum(len(block.arrival) for block in made.blocks())
    assert abs(rows - 1_000 * rate) < Z * math.sqrt(1_000 * rate * scatter)


def test_gaps_and_starts_and_budgets_follow_their_laws():
    """Exponential gaps and starts (Kolmogorov-Smirnov), geometric budgets (chi-square)."""
    m = 4.0
    found = columns(demand({"geometric": m}), run={"requests": 80_000})
    pauses = found.gap[found.gap >= 0.0]
    starts = np.diff(found.arrival[found.gap == -1.0], prepend=0.0)
    assert stats.kstest(pauses, stats.expon(scale=2.0).cdf).pvalue > P
    assert stats.kstest(starts, stats.expon(scale=m / 100.0).cdf).pvalue > P
    budgets = lengths(found)[:-1]  # the last one is cut
    law, most = stats.geom(1 / m), 20
    counts = np.bincount(np.minimum(budgets, most), minlength=most + 1)[1:]
    expected = len(budgets) * np.append(law.pmf(np.arange(1, most)), law.sf(most - 1))
    assert stats.chisquare(counts, expected).pvalue > P


def test_gaps_and_lives_are_the_streams_of_their_names():
    """A gap for each later request, a life for each row, in the order of the rows."""
    found = columns(demand({"geometric": 4}))
    for name, column, mean in (
        (ANSWER_GAP, found.gap[found.gap >= 0.0], 2.0),
        (LIFETIME, found.life, 60.0),
    ):
        wanted = mean * generator(1, 0, name).standard_exponential(len(column))
        assert column.tolist() == wanted.tolist()


def test_budgets_gaps_and_starts_are_independent():
    """Connections that are longer, later or slower are not so together: |r| < z / sqrt(n)."""
    found = columns(demand({"geometric": 4}), run={"requests": 80_000})
    ends = np.flatnonzero(found.last)
    budgets = lengths(found)
    long = budgets > 1
    first_gap = found.gap[(ends - budgets + 2)[long]]
    start = np.diff(found.arrival[found.last == 1], prepend=0.0)[long]
    correlations = np.corrcoef([budgets[long], first_gap, start, found.client[ends][long]])
    off = correlations[np.triu_indices(4, 1)]
    assert (np.abs(off) < Z / math.sqrt(long.sum())).all()


@pytest.mark.parametrize(
    ("change", "changed"),
    [
        ({"service_time": {"distribution": "lognormal", "mean": "20ms", "cv": 2}}, {"work"}),
        ({"gap": {"distribution": "hyperexponential", "mean": "1s", "cv": 4}}, {"gap"}),
        ({"arrivals": {"rate": "200/s"}}, {"arrival"}),
        ({"keys": {"count": 20}}, {"key"}),
        ({"clients": {"count": 120}}, {"client", "lane", "session"}),
        ({"sessions": {"count": 300, "lifetime": {"mean": "60s"}}}, {"session"}),
        ({"sessions": {"count": 120}}, {"life"}),
    ],
)
def test_a_change_of_one_column_leaves_the_others(change, changed):
    """Every column has a stream of its own, also the branches of mixtures."""
    base = columns(demand({"geometric": 4}))
    other = columns(demand({"geometric": 4}, **change))
    assert same(base, other) == set(Trace._fields) - changed


def test_replications_differ_and_repeat():
    """All drawn columns differ between replications and repeat in a second pass."""
    made = demand({"geometric": 4})
    assert same(columns(made), columns(made)) == set(Trace._fields)
    assert same(columns(made), columns(made, replication=1)) == {"node"}


def test_a_duration_without_connections_gives_no_block():
    """When no connection starts in time there is no empty block."""
    arrivals = {"process": "deterministic", "rate": "1/s"}
    made = traffic(demand({"fixed": 5}, arrivals=arrivals), run={"duration": "4s"})
    assert list(made.blocks()) == []


def test_steps_of_rate_zero_end_the_connections():
    """A process that runs dry ends the blocks before the duration does."""
    steps = {"process": "steps", "steps": [["0s", "100/s"], ["20s", "0/s"]]}
    found = columns(demand({"fixed": 5}, arrivals=steps), run={"duration": "90s"})
    assert found.arrival[-1] < 20.0
    assert abs(len(found.arrival) - 2_000) < Z * math.sqrt(2_000 * 5)


@pytest.mark.parametrize(
    ("requests", "sentence"),
    [
        ("unlimited", r"connections\.requests = unlimited: stands beside gap, .* remove gap"),
        ({"fixed": 100_001}, r"connections\.requests.*: must be at most 100000 beside gap"),
        ({"geometric": 1e6}, r"connections\.requests.*: must be at most \{geometric: 100000\}"),
    ],
)
def test_connections_with_gaps_must_end(requests, sentence):
    """A connection without end, or too long to be made in one piece, is refused with its key."""
    with pytest.raises(ScenarioError, match=sentence):
        build({"traffic": demand(requests)})
    without = {"arrivals": {"rate": "1/s"}, "connections": {"requests": requests}}
    assert build({"traffic": without}).traffic.connections.gap is None


def test_a_lifetime_must_last():
    """Sessions that last no time at all are refused with their key."""
    never = {"count": 3, "lifetime": {"distribution": "deterministic", "mean": "0s"}}
    with pytest.raises(ScenarioError, match=r"sessions\.lifetime\.mean.*: must be longer than 0"):
        build({"traffic": {"arrivals": {"rate": "1/s"}, "sessions": never}})

"""Generated traffic: the columns depend on `traffic`, seed and replication, and on nothing else.

Tolerances: z = 4.5 standard errors (two-sided false alarm 7e-6). Seeds are fixed.
"""

from __future__ import annotations

import math
import tracemalloc

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lbbench.model.scenario import Scenario
from lbbench.model.trace import Trace
from lbbench.traffic import streams
from lbbench.traffic.generate import Traffic

Z = 4.5

DTYPES = {
    "arrival": np.float64,
    "work": np.float64,
    "client": np.int64,
    "lane": np.int64,
    "key": np.int64,
    "session": np.int64,
    "last": np.uint8,
    "node": np.int64,
    "gap": np.float64,
    "life": np.float64,
}

RATE = {"arrivals": {"rate": "100/s"}}
DEMANDS = {
    "plain": RATE,
    "kept": {
        **RATE,
        "connections": {"requests": {"geometric": 4}},
        "clients": {"count": 50, "popularity": {"zipf": 0.8}, "behind_nat": "30%"},
        "sessions": {
            "count": 120, "lifetime": {"distribution": "hyperexponential", "mean": "60s", "cv": 2},
        },
        "service_time": {"distribution": "hyperexponential", "mean": "20ms", "cv": 3},
    },
    "bursts": {
        "arrivals": {"process": "mmpp", "rates": ["400/s", "0/s"], "means": ["100ms", "300ms"]},
        "connections": {"requests": {"fixed": 7}},
        "keys": {"count": 30, "popularity": "uniform"},
        "service_time": {
            "distribution": "bounded_pareto", "low": "1ms", "high": "2s", "alpha": 1.2,
        },
    },
    "day": {
        "arrivals": {"process": "diurnal", "base": "100/s", "amplitude": "80%", "period": "20s"},
        "connections": {"requests": "unlimited"},
        "sessions": {"count": 10},
        "service_time": {"distribution": "lognormal", "mean": "20ms", "cv": 2},
    },
    "gamma": {
        "arrivals": {"process": "gamma", "rate": "100/s", "cv": 2},
        "service_time": {"distribution": "erlang", "mean": "20ms", "k": 3},
    },
    "steps": {
        "arrivals": {"process": "steps", "steps": [["0s", "50/s"], ["5s", "200/s"]]},
        "service_time": {
            "distribution": "bimodal", "values": ["1ms", "100ms"], "shares": ["99%", "1%"],
        },
    },
}  # fmt: skip
every_demand = pytest.mark.parametrize("demand", DEMANDS.values(), ids=DEMANDS.keys())


def scenario(demand, *, run=None, **others):
    return Scenario.model_validate({"traffic": demand, "run": run or {"requests": 1_000}, **others})


def joined(traffic):
    """Concatenate the columns of all blocks."""
    blocks = list(traffic.blocks())
    return Trace(*(np.concatenate(column) for column in zip(*blocks, strict=True)))


def columns(demand, *, replication=0, block=16_384, **others):
    return joined(Traffic(scenario(demand, **others), replication=replication, block=block))


def same(a, b):
    """Names of the columns that are equal bit for bit."""
    return {
        name for name in Trace._fields if getattr(a, name).tobytes() == getattr(b, name).tobytes()
    }


@every_demand
@pytest.mark.parametrize("block", [1, 777])
def test_columns_do_not_depend_on_the_size_of_blocks(demand, block):
    """Blocks of 1 and of 777 give the bits that one block of 16 384 gives."""
    assert same(columns(demand), columns(demand, block=block)) == set(Trace._fields)


@every_demand
@settings(max_examples=20)
@given(block=st.integers(1, 1_100), requests=st.integers(1, 1_000))
def test_any_block_size_and_any_length_give_the_same_beginning(demand, block, requests):
    """A shorter run is the beginning of a longer one, in blocks of whatever size."""
    part = columns(demand, block=block, run={"requests": requests})
    whole = columns(demand)
    assert len(part.arrival) == requests
    assert same(part, Trace(*(column[:requests] for column in whole))) == set(Trace._fields)


@every_demand
def test_columns_have_their_types_and_arrivals_do_not_decrease(demand):
    """Every block is contiguous, of the documented types, at most as long as asked for."""
    before = 0.0
    for block in Traffic(scenario(demand), block=300).blocks():
        assert {name: column.dtype for name, column in block._asdict().items()} == DTYPES
        assert all(column.flags.c_contiguous and column.ndim == 1 for column in block)
        assert {len(column) for column in block} <= set(range(1, 301))
        assert len({len(column) for column in block}) == 1
        assert block.arrival[0] >= before
        assert (np.diff(block.arrival) >= 0).all()
        before = block.arrival[-1]


CLOSED = {
    "arrivals": {"process": "closed", "users": 7, "think_time": "10ms"},
    "service_time": {"distribution": "exponential", "mean": "1ms"},
}
CHAINED = {
    "arrivals": {"process": "poisson", "rate": "100/s"},
    "connections": {
        "requests": {"geometric": 5},
        "gap": {"distribution": "exponential", "mean": "10ms"},
    },
}


@pytest.mark.parametrize(
    "demand", [*DEMANDS.values(), CHAINED], ids=[*DEMANDS.keys(), "connections with gaps"]
)
def test_without_keys_every_other_column_stays(demand):
    """Keys have a stream of their own: without them their column is -1, and no bit else changes."""
    found = joined(Traffic(scenario(demand), keys=False))
    assert (found.key == -1).all()
    assert found.key.dtype == np.int64
    assert same(found, columns(demand)) == set(Trace._fields) - {"key"}


def test_users_without_keys_stay_what_they_are():
    """The same for the rows of a closed loop."""
    keyed = Traffic(scenario(CLOSED)).users
    bare = Traffic(scenario(CLOSED), keys=False).users
    for user, chunk in ((0, 0), (6, 0), (0, 2)):
        rows, expected = bare.rows(user, chunk), keyed.rows(user, chunk)
        assert (rows.key == -1).all()
        assert (expected.key >= 0).all()
        for name in set(rows._fields) - {"key"}:
            assert np.array_equal(getattr(rows, name), getattr(expected, name)), name


def test_nothing_outside_the_traffic_changes_a_column():
    """Balancers, pods, nodes, network, path and stages leave the requests as they are."""
    demand = DEMANDS["kept"]
    others = [
        {"stages": {"ingress": {"balancer": "ewma"}}},
        {"stages": {"ingress": {"balancer": "sticky_balanced"}}},
        {"stages": {"azure_lb": {"distribution": "SourceIP"}}},
        {"cluster": {"pods": 3, "nodes": 2, "pod": {"concurrency": 8, "discipline": "ps"}}},
        {"cluster": {"network": {"client_rtt": "20ms", "path_jitter": "1ms"}}},
        {"path": "service"},
    ]
    base = columns(demand)
    for other in others:
        assert same(base, columns(demand, **other)) == set(Trace._fields)


def test_a_sticky_balancer_adds_sessions_and_changes_nothing_else():
    """The default jars of a sticky balancer appear in the session column alone."""
    plain = columns(RATE)
    sticky = columns(RATE, stages={"ingress": {"balancer": "sticky_balanced"}})
    assert same(plain, sticky) == set(Trace._fields) - {"session"}
    assert (plain.session == -1).all()
    assert (sticky.session == sticky.client).all()


@pytest.mark.parametrize(
    ("change", "changed"),
    [
        ({"service_time": {"distribution": "lognormal", "mean": "20ms", "cv": 2}}, {"work"}),
        ({"keys": {"count": 20}}, {"key"}),
        ({"clients": {"count": 1_000, "popularity": {"zipf": 1.0}}}, {"client", "lane"}),
        ({"connections": {"requests": {"geometric": 3}}}, {"last"}),
        ({"sessions": {"count": 2_500}}, {"session"}),
        ({"sessions": {"count": 2_500, "lifetime": {"mean": "60s"}}}, {"session", "life"}),
        ({"arrivals": {"rate": "200/s"}}, {"arrival"}),
        ({"clients": {"count": 1_000, "behind_nat": "50%"}}, set()),
    ],
)
def test_a_change_of_one_column_leaves_the_others(change, changed):
    """Every column has a stream of its own."""
    assert same(columns(RATE), columns({**RATE, **change})) == set(Trace._fields) - changed


def test_seeds_and_replications_give_other_requests():
    """All random columns differ between replications and seeds, and repeat under the same ones."""
    demand = {**DEMANDS["kept"]}
    drawn = set(Trace._fields) - {"node", "gap"}
    base = columns(demand)
    assert same(base, columns(demand)) == set(Trace._fields)
    assert not same(base, columns(demand, replication=1)) & drawn
    assert not same(base, columns(demand, run={"requests": 1_000, "seed": 2})) & drawn


def test_columns_are_independent_of_each_other():
    """No two columns are correlated: |r| < z / sqrt(n) for each of the pairs."""
    demand = {**RATE, "keys": {"count": 500, "popularity": "uniform"}, "sessions": {"count": 5_000}}
    n = 20_000
    found = columns(demand, run={"requests": n})
    values = [np.diff(found.arrival, prepend=0.0), found.work, found.client, found.key]
    values.append(found.session // 1_000)  # which of its client's five sessions
    correlations = np.corrcoef(values)[np.triu_indices(len(values), 1)]
    assert (np.abs(correlations) < Z / math.sqrt(n)).all()


def test_streams_are_named_and_never_meet():
    """Streams of different names, seeds, replications or users give different numbers."""
    names = [value for name, value in vars(streams).items() if name.isupper() and name != "WORD"]
    assert len(names) == len(set(names)) == 11
    names += [streams.branch_of(name) for name in names]
    drawn = [
        streams.generator(seed, replication, name, user=user).random()
        for seed in (0, 1, 2**32, 2**32 + 1)
        for replication in (0, 1)
        for name in names
        for user in (None, 0, 1)
    ]
    assert len(set(drawn)) == len(drawn)


def test_blocks_start_anew_each_time():
    """A second pass over the blocks gives the same requests."""
    traffic = Traffic(scenario(DEMANDS["kept"]), block=100)
    assert same(joined(traffic), joined(traffic)) == set(Trace._fields)


def test_duration_ends_before_its_second_and_requests_at_their_number():
    """With `duration` every arrival is before it; with `requests` exactly so many come."""
    timed = Traffic(scenario(RATE, run={"duration": "30s"}))
    arrival = joined(timed).arrival
    assert arrival[-1] < 30.0
    assert abs(len(arrival) - 3_000) < Z * math.sqrt(3_000)
    assert (timed.n_requests, timed.duration) == (None, 30.0)
    counted = Traffic(scenario(RATE, run={"requests": 40_000}))
    assert len(joined(counted).arrival) == 40_000
    assert (counted.n_requests, counted.duration) == (40_000, None)


def test_a_run_without_length_takes_five_minutes():
    """Neither `duration` nor `requests`: requests come for 300 s."""
    assert Traffic(scenario(RATE, run={"seed": 1})).duration == 300.0


def test_a_duration_without_requests_gives_no_block():
    """When nothing arrives in time there is no empty block."""
    demand = {"arrivals": {"process": "deterministic", "rate": "1/s"}}
    assert list(Traffic(scenario(demand, run={"duration": "500ms"})).blocks()) == []


CLUSTER = {
    "pods": [
        {"name": "a", "speed": 0.5},
        {"name": "b", "concurrency": 3},
        {"name": "c", "speed": 2.0, "concurrency": 2},
    ]
}  # capacity 0.5 + 3 + 4 = 7.5 seconds of work per second
WORK = {"distribution": "erlang", "mean": "50ms", "k": 2}
SHAPES = [
    {"process": "poisson"},
    {"process": "deterministic"},
    {"process": "gamma", "cv": 0.5},
    {"process": "mmpp", "rates": ["40/s", "4/s"], "means": ["500ms", "2s"]},
    {"process": "diurnal", "amplitude": 0.9, "period": "50s"},
    {"process": "steps", "steps": [["0s", "10/s"], ["20s", "30/s"], ["150s", "0/s"]]},
]


@pytest.mark.parametrize("shape", SHAPES, ids=[str(shape["process"]) for shape in SHAPES])
def test_utilisation_sets_the_average_rate_of_any_open_process(shape):
    """Rate = utilisation x capacity / E[work]; the work that comes in 200 s is that share of it.

    The variance of the count is the mean times the index of dispersion: at most 1, for mmpp at most
    the limit of the two-state formula.
    """
    demand = {"arrivals": shape, "utilisation": "80%", "service_time": WORK}
    traffic = Traffic(scenario(demand, run={"duration": "200s"}, cluster=CLUSTER))
    rate = 0.8 * 7.5 / 0.05
    assert traffic.population.rate == pytest.approx(rate)
    dispersion = 1.0
    if shape["process"] == "mmpp":
        factor = rate / ((40 * 0.5 + 4 * 2) / 2.5)
        l1, l2, r12, r21 = 40 * factor, 4 * factor, 2.0, 0.5
        both = r12 + r21
        dispersion += 2 * (l1 - l2) ** 2 * r12 * r21 / (both**2 * (l1 * r21 + l2 * r12))
    found = joined(traffic)
    assert abs(len(found.arrival) - 200 * rate) < Z * math.sqrt(dispersion * 200 * rate)
    # the sum of work: a random sum, Var = E[N] Var W + Var N E[W]^2
    spread = math.sqrt(200 * rate * (0.5 + dispersion)) * 0.05
    assert abs(found.work.sum() - 0.8 * 7.5 * 200) < Z * spread


def test_the_rate_of_steps_holds_for_a_number_of_requests():
    """Steps with `requests`: the average is taken until that many are expected."""
    demand = {"arrivals": {"process": "steps", "steps": [["0s", "100/s"], ["10s", "400/s"]]}}
    traffic = Traffic(scenario(demand, run={"requests": 5_000}))
    assert traffic.population.rate == pytest.approx(5_000 / 20)
    scaled = Traffic(scenario({**demand, "utilisation": 0.5}, run={"requests": 5_000}))
    assert scaled.population.rate == pytest.approx(0.5 * 10 / 0.02)
    end = 5_000 / 250
    deviation = math.sqrt(5_000) / (400 * 250 / 250)
    assert abs(joined(scaled).arrival[-1] - end) < Z * deviation


def test_a_rate_beside_own_figures_scales_the_process():
    """An mmpp with a rate has the states' ratios and that average."""
    arrivals = {"process": "mmpp", "rates": ["40/s", "4/s"], "means": ["500ms", "2s"]}
    traffic = Traffic(scenario({"arrivals": {**arrivals, "rate": "1k/s"}}))
    assert traffic.population.rate == pytest.approx(1_000)
    assert traffic.process.rates[0] / traffic.process.rates[1] == pytest.approx(10)


def test_population_says_what_the_columns_refer_to():
    """Addresses, lanes, sessions, keys and the mean work are those of the columns."""
    traffic = Traffic(scenario(DEMANDS["kept"], run={"requests": 20_000}))
    people, found = traffic.population, joined(traffic)
    assert len(people.client_address) == people.n_lanes == 50
    assert found.client.max() < 50
    assert people.client_address.max() == len(people.addresses) - 1
    assert sum(text.startswith("100.64.") for text in people.addresses) == 1
    assert len(people.addresses) == 36
    assert (people.n_sessions, people.keys) == (120, 500)
    assert found.session.max() < 120
    assert found.key.max() < 500
    assert people.mean_work == 0.02
    assert people.rate == 100.0
    assert (found.lane == found.client).all()
    assert (found.node == -1).all()


def test_connections_end_after_their_budget_whatever_the_block():
    """Requests per connection are 7 for every client of the fixed demand, across blocks."""
    found = columns(DEMANDS["bursts"], block=13, run={"requests": 4_000})
    for client in range(0, 1_000, 97):
        last = found.last[found.client == client]
        assert (np.flatnonzero(last) == np.arange(6, len(last), 7)).all()


def test_cookies_that_are_not_kept_mean_no_jar():
    """With `cookies: none` no request has a session."""
    found = Traffic(scenario({**RATE, "sessions": {"count": 10, "cookies": "none"}}))
    assert found.population.n_sessions == 0
    assert (joined(found).session == -1).all()


def test_memory_does_not_grow_with_the_run():
    """The peak over 400 000 requests is that over 40 000, within a tenth."""
    peaks = []
    for requests in (40_000, 400_000):
        traffic = Traffic(scenario(DEMANDS["kept"], run={"requests": requests}), block=8_192)
        tracemalloc.start()
        for _ in traffic.blocks():
            pass
        peaks.append(tracemalloc.get_traced_memory()[1])
        tracemalloc.stop()
    assert peaks[1] < 1.1 * peaks[0]

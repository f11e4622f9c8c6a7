"""Two engines, one model: the same pod, start and end for every request, bit for bit."""

from __future__ import annotations

import numpy as np
import pytest
from drawn import BALANCERS, Grid, scenarios
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from lbbench.engines import fast, reference
from lbbench.engines.plan import make_plan
from lbbench.model.check import build


def outcomes(data: dict, *, grid: bool, block: int):
    plans = []
    for _ in range(2):
        plan = make_plan(build(data))
        if grid:
            object.__setattr__(plan, "traffic", Grid(plan.traffic, block))
        else:
            plan.traffic.block = block
        plans.append(plan)
    return fast.run(plans[0], record=True, kernel="general"), reference.run(plans[1], record=True)


def assert_equal(a, b) -> None:
    """Compare every request, every counter, and the identity of counts."""
    for name, column in a.records.items():
        assert np.array_equal(column, b.records[name]), name
    for name in a.tally._fields:
        assert np.array_equal(getattr(a.tally, name), getattr(b.tally, name)), name
    assert a.shape.simulated == b.shape.simulated
    y = a.tally
    # Little's law: the integral of what is in a stage is the sum of the stays, whatever happens
    assert y.flow_area * 1e9 == pytest.approx(y.flow_spent, rel=1e-9, abs=1e3)
    assert (y.offered == y.completed + y.failed + y.unfinished).all()
    assert_flows(a)


def assert_flows(outcome) -> None:
    """Compare the flows between the stages with the records of the answered requests."""
    y, kept = outcome.tally, outcome.records
    done = kept["error"] == -1
    node, worker, pod = (kept[name][done] for name in ("node", "worker", "pod"))
    by_pod, by_worker = np.zeros_like(y.pod_flow), np.zeros_like(y.node_flow)
    if outcome.shape.path == "ingress":
        np.add.at(by_worker, (node, worker), 1)
        np.add.at(by_pod, (worker, pod), 1)
    else:
        np.add.at(by_pod, (node, pod), 1)
    assert np.array_equal(y.pod_flow, by_pod)
    assert np.array_equal(y.node_flow, by_worker)


QUIET = {"deadline": None, "suppress_health_check": list(HealthCheck)}
BLOCKS = st.sampled_from([1, 7, 777])
FEW = 2
"""Most scenarios need a kernel of their own, half a minute of a core; the long test draws many."""


@settings(max_examples=FEW, **QUIET)
@given(data=scenarios(grid=False), block=BLOCKS)
def test_engines_agree_on_continuous_time(data, block):
    """Random scenarios: node, worker, pod, start and end of every request are the same bits."""
    assert_equal(*outcomes(data, grid=False, block=block))


@settings(max_examples=FEW, **QUIET)
@given(data=scenarios(grid=True), block=BLOCKS)
def test_engines_agree_on_a_grid_with_ties(data, block):
    """The same on a grid of 1/1024 s with exact ties and zero delays."""
    assert_equal(*outcomes(data, grid=True, block=block))


@settings(max_examples=FEW, **QUIET)
@given(data=scenarios(grid=False, timeline=True), block=BLOCKS)
def test_engines_agree_while_the_cluster_changes(data, block):
    """Random timelines: every fault, scaling, rollouts, nodes and routes, both paths."""
    assert_equal(*outcomes(data, grid=False, block=block))


@settings(max_examples=FEW, **QUIET)
@given(data=scenarios(grid=True, timeline=True), block=BLOCKS)
def test_engines_agree_on_a_grid_while_the_cluster_changes(data, block):
    """The same on the grid: changes tie with arrivals, answers and timers."""
    assert_equal(*outcomes(data, grid=True, block=block))


@pytest.mark.long
@settings(max_examples=20_000, **QUIET)
@given(
    drawn=st.booleans().flatmap(
        lambda grid: st.tuples(
            st.just(grid),
            scenarios(grid=grid, timeline=True, requests=300, balancers=BALANCERS),
        )
    ),
    block=BLOCKS,
)
def test_engines_agree_on_many_scenarios(drawn, block):
    """Twenty thousand scenarios of both kinds, with everything that can happen to a cluster."""
    grid, data = drawn
    assert_equal(*outcomes(data, grid=grid, block=block))


def test_little_s_law_holds_at_every_pod():
    """The integral of requests at the pods equals the sum of the times they spent there, exactly.

    From an empty start to an empty end L T = sum of sojourns holds for every single run.
    """
    data = {
        "traffic": {"utilisation": 0.7, "service_time": {"mean": "20ms"}},
        "cluster": {"nodes": 2, "pods": 4, "network": {"cross_node_rtt": "1ms"}},
        "run": {"requests": 20_000},
    }
    plan = make_plan(build(data))
    outcome = fast.run(plan, record=True)
    at_pods = outcome.tally.part_sum[4].sum() + outcome.tally.part_sum[5].sum()
    area = outcome.tally.pod_flight[-1].sum()  # up to the last arrival
    stop = outcome.tally.segment_start[-1]
    ends = outcome.records["end"]
    after = np.maximum(ends - stop, 0.0).sum()
    late = np.maximum(outcome.records["start"] - stop, 0.0)
    assert late.max() < 10.0
    # every request has arrived at its pod by `stop` but those on the network (1 ms at most)
    assert at_pods / 1e9 == pytest.approx(area + after, abs=1e-3 * 10)


def test_memory_does_not_grow_with_the_number_of_requests():
    """The arrays of a run depend on what is in flight, not on how many requests come."""
    sizes = []
    for requests in (20_000, 100_000):
        plan = make_plan(build({"traffic": {"utilisation": 0.5}, "run": {"requests": requests}}))
        worlds = []
        original = fast.grown

        def spy(world, _original=original, _worlds=worlds, **room):
            _worlds.append(room)
            return _original(world, **room)

        fast.grown = spy
        try:
            fast.run(plan)
        finally:
            fast.grown = original
        sizes.append(worlds)
    assert sizes[0] == sizes[1]

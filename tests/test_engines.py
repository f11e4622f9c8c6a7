"""Two engines, one model: the same pod, start and end for every request, bit for bit."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from lbbench.engines import fast, reference
from lbbench.engines.plan import make_plan
from lbbench.model.check import build
from lbbench.model.trace import Trace

BALANCERS = (
    "round_robin",
    "random",
    "least_conn",
    "ewma",
    "chash",
    "chashsubset",
    "sticky_balanced",
    "sticky_persistent",
)
TICK = 1 / 1024


class Grid:
    """Traffic on a grid of 1/1024 s, so that events tie exactly."""

    def __init__(self, traffic, block: int) -> None:
        self.inner = traffic
        self.block = block
        self.population = traffic.population
        self.n_requests = traffic.n_requests
        self.duration = traffic.duration
        self.notes = traffic.notes

    def blocks(self):
        """Yield the same requests with times rounded to the grid."""
        blocks = list(self.inner.blocks())
        whole = Trace(*(np.concatenate(columns) for columns in zip(*blocks, strict=True)))
        whole = whole._replace(
            arrival=np.floor(whole.arrival * 1024) / 1024, work=np.ceil(whole.work * 1024) / 1024
        )
        for at in range(0, len(whole.arrival), self.block):
            yield Trace(*(column[at : at + self.block] for column in whole))


def ticks(n: int) -> str:
    """Return n ticks of 1/1024 s as a time of the scenario, exactly."""
    return f"{n * TICK!r}s" if n else "0s"


@st.composite
def scenarios(draw, *, grid: bool):
    """Draw a scenario: both paths, every balancer, small clusters, ties and zero delays."""

    def delay(most: int = 3) -> str:
        return ticks(draw(st.integers(0, most))) if grid else f"{draw(st.integers(0, 2000))}us"

    nodes = draw(st.integers(1, 3))
    path = draw(st.sampled_from(["ingress", "ingress", "service"]))
    concurrency = draw(st.integers(1, 3))
    requests = draw(st.integers(1, 160))
    per_connection = draw(st.sampled_from([1, {"geometric": 4}, {"fixed": 3}, "unlimited"]))
    protocol = draw(st.sampled_from(["http1", "http2"]))
    pods = draw(st.integers(1, 6))
    policy = draw(st.sampled_from(["Cluster", "Local"]))
    sticky = draw(st.booleans())
    balancer = draw(st.sampled_from(BALANCERS)) if path == "ingress" else "round_robin"
    return {
        "name": "drawn",
        "path": path,
        "cluster": {
            "nodes": nodes,
            "pods": [
                {"name": f"pod-{i}", "speed": draw(st.sampled_from([1.0, 1.0, 0.5]))}
                for i in range(pods)
            ],
            "pod": {
                "concurrency": concurrency,
                "discipline": draw(st.sampled_from(["fifo", "ps"])),
                "queue": draw(st.sampled_from(["unlimited", "unlimited", 0, 2])),
            },
            "ingress": {
                "replicas": draw(st.sampled_from(["per_node", 1, 2])),
                "workers": draw(st.integers(1, 3)),
                "cpu_per_request": delay(2),
            },
            "network": {
                "client_rtt": delay(),
                "same_node_rtt": delay(1),
                "cross_node_rtt": delay(),
                "path_delay": delay(1),
                "path_jitter": "0s" if grid else delay(1),
            },
        },
        "stages": {
            "azure_lb": {
                "distribution": draw(st.sampled_from(["Default", "SourceIP", "SourceIPProtocol"])),
                "mapping": draw(st.sampled_from(["modulo", "rendezvous"])),
            },
            "kube_proxy": {
                "external_traffic_policy": policy,
                "session_affinity": draw(st.sampled_from(["None", "ClientIP"])),
                "affinity_timeout": "1s",
            },
            "ingress": {
                "balancer": balancer,
                "hash_by": draw(
                    st.sampled_from(
                        ["$remote_addr", "$request_uri", "$remote_addr$request_uri", "x"]
                    )
                ),
                "subset_size": draw(st.integers(1, 4)),
                "keepalive": {
                    "upstream": draw(st.sampled_from([0, 1, 3, 320])),
                    "upstream_requests": draw(st.sampled_from([2, 1000])),
                    "upstream_timeout": draw(st.sampled_from(["50ms", "60s"])),
                },
                "next_upstream": {"tries": draw(st.integers(1, 4))},
            },
        },
        "traffic": {
            "arrivals": {"rate": f"{draw(st.sampled_from([20, 60, 200]))}/s"},
            "service_time": {"distribution": "exponential", "mean": "20ms"},
            "clients": {"count": draw(st.integers(1, 12)), "behind_nat": 0.5},
            "connections": {"requests": per_connection, "protocol": protocol, "streams": 2},
            "keys": {"count": 30},
            "sessions": {"count": 5} if sticky else "none",
        },
        "run": {
            "requests": requests,
            "seed": draw(st.integers(0, 10**6)),
            "drain": draw(st.sampled_from(["10ms", "120s"])),
        },
    }


def outcomes(data: dict, *, grid: bool, block: int):
    plans = []
    for _ in range(2):
        plan = make_plan(build(data))
        if grid:
            object.__setattr__(plan, "traffic", Grid(plan.traffic, block))
        else:
            plan.traffic.block = block
        plans.append(plan)
    return fast.run(plans[0], record=True), reference.run(plans[1], record=True)


def assert_equal(a, b) -> None:
    """Compare every request, every counter, and the identity of counts."""
    for name, column in a.records.items():
        assert np.array_equal(column, b.records[name]), name
    for name in a.tally._fields:
        assert np.array_equal(getattr(a.tally, name), getattr(b.tally, name)), name
    assert a.shape.simulated == b.shape.simulated
    y = a.tally
    assert (y.offered == y.completed + y.failed + y.unfinished).all()


@settings(max_examples=120, deadline=None, suppress_health_check=list(HealthCheck))
@given(data=scenarios(grid=False), block=st.sampled_from([1, 7, 777]))
def test_engines_agree_on_continuous_time(data, block):
    """Random scenarios: node, worker, pod, start and end of every request are the same bits."""
    assert_equal(*outcomes(data, grid=False, block=block))


@settings(max_examples=160, deadline=None, suppress_health_check=list(HealthCheck))
@given(data=scenarios(grid=True), block=st.sampled_from([1, 7, 777]))
def test_engines_agree_on_a_grid_with_ties(data, block):
    """The same on a grid of 1/1024 s with exact ties and zero delays."""
    assert_equal(*outcomes(data, grid=True, block=block))


@pytest.mark.long
@settings(max_examples=5000, deadline=None, suppress_health_check=list(HealthCheck))
@given(
    drawn=st.booleans().flatmap(lambda g: st.tuples(st.just(g), scenarios(grid=g))),
    block=st.sampled_from([1, 7, 777]),
)
def test_engines_agree_on_many_scenarios(drawn, block):
    """Five thousand scenarios of both kinds."""
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

"""The steady kernels against the reference: the same bits, by other means."""

from __future__ import annotations

from functools import partial

import numpy as np
import pytest
from drawn import Grid, scenarios
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st

from lbbench.balancers.base import Endpoint, registry
from lbbench.core import jit
from lbbench.core.rng import stream, wrapping
from lbbench.engines import fast, reference
from lbbench.engines.feed import copied_states, empty_block
from lbbench.engines.outcome import counters_for, new_records
from lbbench.engines.plan import make_plan
from lbbench.engines.steady import drive
from lbbench.engines.steady.drive import run_steady_plan, steady_kernel, steady_world
from lbbench.engines.steady.fit import is_single, why_not
from lbbench.model.check import build

FLOW = ("flow_area", "flow_spent")
QUIET = {"deadline": None, "suppress_health_check": list(HealthCheck)}
BLOCKS = st.sampled_from([1, 7, 777])


def plan_of(data: dict, *, grid: bool, block: int):
    plan = make_plan(build(data))
    if grid:
        object.__setattr__(plan, "traffic", Grid(plan.traffic, block))
    else:
        plan.traffic.block = block
    return plan


def calm(data: dict) -> dict:
    """Take out of a drawn scenario what the steady kernels do not do."""
    data["cluster"]["pod"] |= {"discipline": "fifo", "queue": "unlimited"}
    data["traffic"]["connections"]["protocol"] = "http1"
    data["traffic"]["connections"].pop("gap", None)
    if data["traffic"]["arrivals"].get("process") == "closed":
        data["traffic"]["arrivals"] = {"rate": "60/s"}
    return data


def alone(data: dict) -> dict:
    """Give every request of a calm scenario a connection of its own."""
    data = calm(data)
    data["traffic"]["connections"]["requests"] = 1
    data["traffic"]["sessions"] = "none"
    data["cluster"]["network"]["path_jitter"] = "0s"
    data["stages"]["azure_lb"]["tcp_reset"] = False
    data["stages"]["ingress"]["timeouts"]["read"] = "60s"
    data["run"]["drain"] = "120s"
    return data


def assert_equal(a, b) -> None:
    for name in a.tally._fields:
        if name not in FLOW:
            assert np.array_equal(getattr(a.tally, name), getattr(b.tally, name)), name
    assert a.shape.simulated == b.shape.simulated
    if a.records is not None:
        for name, column in a.records.items():
            assert np.array_equal(column, b.records[name]), name


def check(data: dict, *, grid: bool, block: int, record: bool) -> None:
    plan = plan_of(data, grid=grid, block=block)
    assume(why_not(plan) is None)
    found = run_steady_plan(plan, record=record)
    assume(found is not None)
    assert_equal(found, reference.run(plan_of(data, grid=grid, block=block), record=record))


@settings(max_examples=3, **QUIET)
@given(data=scenarios(grid=False), block=BLOCKS, record=st.booleans())
def test_the_steady_kernel_agrees_on_continuous_time(data, block, record):
    """Every counter, and with records every request, is the same bits."""
    check(calm(data), grid=False, block=block, record=record)


@settings(max_examples=3, **QUIET)
@given(data=scenarios(grid=True), block=BLOCKS, record=st.booleans())
def test_the_steady_kernel_agrees_on_a_grid_with_ties(data, block, record):
    """The same on a grid of 1/1024 s with exact ties and zero delays."""
    check(calm(data), grid=True, block=block, record=record)


@settings(max_examples=3, **QUIET)
@given(data=scenarios(grid=False), block=BLOCKS, record=st.booleans())
def test_layer_4_by_whole_arrays_agrees_on_continuous_time(data, block, record):
    """Every request on a connection of its own."""
    check(alone(data), grid=False, block=block, record=record)


@settings(max_examples=3, **QUIET)
@given(data=scenarios(grid=True), block=BLOCKS, record=st.booleans())
def test_layer_4_by_whole_arrays_agrees_on_a_grid_with_ties(data, block, record):
    """The same on a grid of 1/1024 s with exact ties and zero delays."""
    check(alone(data), grid=True, block=block, record=record)


def data_of(**changes: object) -> dict:
    data = {
        "cluster": {
            "nodes": 3,
            "pods": 5,
            "ingress": {"workers": 2, "cpu_per_request": "100us"},
            "network": {"client_rtt": "5ms", "cross_node_rtt": "1ms"},
        },
        "traffic": {"utilisation": 0.8, "clients": {"count": 40}},
        "run": {"requests": 20_000},
    }
    for path, value in changes.items():
        *parts, last = path.split("__")
        place: dict = data
        for part in parts:
            place = place.setdefault(part, {})
        place[last] = value
    return data


SINGLE = data_of()
SHARED = data_of(traffic__connections={"requests": {"geometric": 5}})
SERVICE = data_of(path="service")
COOKIES = data_of(stages__ingress={"balancer": "sticky_balanced"}, traffic__sessions={"count": 9})


@pytest.mark.parametrize(
    "data",
    [SINGLE, *(pytest.param(data, marks=pytest.mark.long) for data in (SHARED, SERVICE, COOKIES))],
)
def test_arrays_that_grow_change_nothing(data, monkeypatch):
    """Room for 300 requests and few of everything else gives the counts of the general kernel."""
    monkeypatch.setattr(drive, "FIRST_SLOTS", 300)
    found = run_steady_plan(make_plan(build(data)), record=True)
    assert found is not None
    assert_equal(found, fast.run(make_plan(build(data)), record=True, kernel="general"))


def test_the_plan_tells_which_loop():
    """One connection per request: whole arrays; else, or where answers are seen: the other one."""
    plans = [make_plan(build(data)) for data in (SINGLE, SHARED, SERVICE, COOKIES)]
    assert [why_not(plan) for plan in plans] == [None] * 4
    assert [is_single(plan) for plan in plans] == [True, False, True, False]


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"cluster__pod": {"discipline": "ps"}}, "share"),
        ({"cluster__pod": {"queue": 3}}, "bounded"),
        ({"cluster__pod": {"cfs": {"quota": "50ms"}}}, "quota"),
        ({"traffic__connections": {"protocol": "http2", "requests": "unlimited"}}, "several"),
        ({"stages__ingress": {"balancer": "jsq"}}, "sees the pods"),
        ({"timeline": [{"at": "1s", "pod": "pod-0", "fail": "refuse"}]}, "changes"),
    ],
)
def test_what_is_not_steady_is_named(change, reason):
    """The reason is a clause that says what."""
    assert reason in str(why_not(make_plan(build(data_of(**change)))))


@pytest.mark.parametrize(
    "change",
    [
        {"stages__ingress": {"timeouts": {"read": "30ms"}}},
        {"run": {"requests": 3000, "drain": "1ms"}},
        {"stages__azure_lb": {"idle_timeout": "20ms", "tcp_reset": True}},
    ],
)
def test_a_run_that_strays_is_taken_by_the_general_kernel(change):
    """A timeout, an unfinished request or a forgotten flow shows only in the run."""
    data = data_of(**change)
    assert why_not(make_plan(build(data))) is None
    assert run_steady_plan(make_plan(build(data))) is None
    found = fast.run(make_plan(build(data)))
    assert_equal(found, fast.run(make_plan(build(data)), kernel="general"))
    assert found.tally.offered.sum() > 0


@pytest.mark.parametrize("name", sorted(registry()))
def test_layer_4_balancers_do_not_look_at_connections(name):
    """The steady loops show those of layer 4 zeros: who says so must not read, or hear of them.

    Who reads them (`reads_busy`) is not for these loops; its picks differ.
    """
    balancer = registry()[name]
    if balancer.level != "l4":
        return
    assert balancer.on_busy is None
    endpoints = tuple(Endpoint(f"10.0.0.{i}:80") for i in range(4))
    picks = []
    for busy in (np.zeros(4, np.int64), np.array([9, 0, 3, 1])):
        state, rng = balancer.state(balancer.options({}), endpoints), stream(1, 0, "test", name)
        with wrapping():
            balancer.on_endpoints(state, rng, np.zeros(0, np.int64), np.arange(4), 0.0)
            picks.append([balancer.pick(state, rng, 0.0, k, busy, busy[:0]) for k in range(50)])
    assert (picks[0] != picks[1]) == balancer.reads_busy


def test_ports_at_their_peak_are_those_of_the_reference():
    """Many connections at once, none of whose closings is an event."""
    data = data_of(traffic__utilisation=0.97, run={"requests": 3000})
    found = run_steady_plan(make_plan(build(data)))
    expected = reference.run(make_plan(build(data)))
    assert found is not None
    assert found.tally.snat_peak[0] == expected.tally.snat_peak[0] > 3


@pytest.fixture
def fresh(monkeypatch, tmp_path):
    """Compile anew: code from the disk cache cannot be inspected."""
    monkeypatch.setenv("LBBENCH_CACHE_DIR", str(tmp_path))
    jit.forget()
    yield
    jit.forget()


@pytest.mark.long
@pytest.mark.skipif(jit.is_disabled(), reason="there is no compiled code")
@pytest.mark.usefixtures("fresh")
@pytest.mark.parametrize("data", [SINGLE, pytest.param(SHARED, marks=pytest.mark.long)])
def test_the_compiled_loops_count_no_references(data):
    """Nothing is allocated, so nothing is counted."""
    plan = make_plan(build(data))
    kernel = steady_kernel(plan)
    states, counters = copied_states(plan.states), counters_for(plan)
    world = steady_world(plan, plan.facts)
    kernel(plan.facts, plan.lists, world, counters, states, new_records(0), empty_block(), 1)
    assert "NRT_incref" not in kernel.llvm()
    assert "NRT_decref" not in kernel.llvm()


@pytest.mark.skipif(jit.is_disabled(), reason="plain Python checks its bounds anyway")
@pytest.mark.usefixtures("fresh")
@pytest.mark.parametrize(
    "data",
    [
        pytest.param(SINGLE, id="single", marks=pytest.mark.long),
        pytest.param(SHARED, id="shared", marks=pytest.mark.long),
        pytest.param(SERVICE, id="service", marks=pytest.mark.long),
    ],
)
def test_no_index_is_out_of_bounds(data, monkeypatch):
    """With bounds checks on, a run that grows gives the same counts."""
    usual = run_steady_plan(make_plan(build(data)))
    checked = partial(steady_kernel, options={"boundscheck": True})
    monkeypatch.setattr(drive, "steady_kernel", checked)
    monkeypatch.setattr(drive, "FIRST_SLOTS", 300)
    found = run_steady_plan(make_plan(build(data)))
    assert usual is not None
    assert found is not None
    assert_equal(usual, found)

"""The steady kernel against the general one and the reference: the same bits, by other means."""

from __future__ import annotations

import numpy as np
from drawn import Grid, scenarios
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st

from lbbench.engines import fast, reference
from lbbench.engines.plan import make_plan
from lbbench.engines.steady.drive import run_steady_plan
from lbbench.engines.steady.fit import why_not
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
    """Take out of a drawn scenario what the steady kernel does not do."""
    data["cluster"]["pod"] |= {"discipline": "fifo", "queue": "unlimited"}
    data["traffic"]["connections"]["protocol"] = "http1"
    data["traffic"]["connections"].pop("gap", None)
    if data["traffic"]["arrivals"].get("process") == "closed":
        data["traffic"]["arrivals"] = {"rate": "60/s"}
    return data


def assert_equal(a, b) -> None:
    for name in a.tally._fields:
        if name not in FLOW:
            assert np.array_equal(getattr(a.tally, name), getattr(b.tally, name)), name
    assert a.shape.simulated == b.shape.simulated


def check(data: dict, *, grid: bool, block: int, record: bool) -> None:
    plan = plan_of(calm(data), grid=grid, block=block)
    assume(why_not(plan) is None)
    found = run_steady_plan(plan, record=record)
    assume(found is not None)
    for other in (
        reference.run(plan_of(data, grid=grid, block=block), record=record),
        fast.run(plan_of(data, grid=grid, block=block), record=record, kernel="general"),
    ):
        assert_equal(found, other)
        if record:
            for name, column in found.records.items():
                assert np.array_equal(column, other.records[name]), name


@settings(max_examples=120, **QUIET)
@given(data=scenarios(grid=False), block=BLOCKS, record=st.booleans())
def test_the_steady_kernel_agrees_on_continuous_time(data, block, record):
    """Every counter, and with records every request, is the same bits."""
    check(data, grid=False, block=block, record=record)


@settings(max_examples=160, **QUIET)
@given(data=scenarios(grid=True), block=BLOCKS, record=st.booleans())
def test_the_steady_kernel_agrees_on_a_grid_with_ties(data, block, record):
    """The same on a grid of 1/1024 s with exact ties and zero delays."""
    check(data, grid=True, block=block, record=record)

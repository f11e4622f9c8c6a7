"""Balancers that keep an order by what is busy are told every number that `pick` shows."""

from __future__ import annotations

from pathlib import Path
from unittest import mock

import numpy as np
import pytest
import told
from drawn import Grid, scenarios
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from lbbench.core import jit
from lbbench.core.rng import wrapping
from lbbench.engines import fast
from lbbench.engines.plan import make_plan
from lbbench.engines.reference import Chain
from lbbench.errors import BalancerError
from lbbench.model.check import build

FILE = Path(told.__file__).resolve()
NAMES = ("OWN", "REPLICA", "SPLIT", "SEES_REPLICA", "PODS", "PODS_REPLICA")
EDGES = ("least_conn", f"{FILE}:OWN")


class Kept:
    """`fast.copied_states`, which remembers the copy."""

    def __init__(self) -> None:
        self.states = None

    def __call__(self, states):
        """Copy as the original does."""
        self.states = copied_states(states)
        return self.states


copied_states = fast.copied_states


def plan_of(data: dict, *, grid: bool):
    plan = make_plan(build(data))
    if grid:
        object.__setattr__(plan, "traffic", Grid(plan.traffic, 7))
    return plan


def checked_by_reference(data: dict, *, grid: bool):
    chain = Chain(plan_of(data, grid=grid), record=False)
    with wrapping():
        chain.run(None)
    return chain.cluster.pod_states, chain.cluster.azure_states


def checked_by_plain_kernel(data: dict, *, grid: bool):
    """Run the fast engine's loop as plain Python."""
    kept = Kept()
    with (
        mock.patch.dict("os.environ", NUMBA_DISABLE_JIT="1"),
        mock.patch.object(fast, "copied_states", kept),
    ):
        assert jit.is_disabled()
        fast.run(plan_of(data, grid=grid))
    return kept.states.pod, kept.states.azure


@settings(max_examples=15, deadline=None, suppress_health_check=list(HealthCheck))
@given(
    drawn=st.booleans().flatmap(
        lambda grid: st.tuples(st.just(grid), scenarios(grid=grid, timeline=True, requests=80))
    ),
    name=st.sampled_from(NAMES),
    edge=st.sampled_from(EDGES),
)
def test_what_is_told_is_what_a_pick_sees(drawn, name, edge):
    """With all that happens to a cluster, in both engines, for every scope: no wrong number."""
    grid, data = drawn
    data["path"] = "ingress"
    stages = data["stages"]
    stages["ingress"] |= {"balancer": f"{FILE}:{name}", "release": "current"}
    stages["ingress"].pop("options", None)
    stages["azure_lb"]["balancer"] = edge
    made = [run(data, grid=grid) for run in (checked_by_reference, checked_by_plain_kernel)]
    for pods, nodes in made:
        assert pods.picks[:, 2].sum() == 0
        assert "picks" not in nodes._fields or nodes.picks[:, 2].sum() == 0
    for one, other in zip(*made, strict=True):
        for field in one._fields:
            np.testing.assert_array_equal(getattr(one, field), getattr(other, field), field)


@pytest.mark.parametrize("run", [checked_by_reference, checked_by_plain_kernel])
@pytest.mark.parametrize("name", NAMES)
def test_after_a_restart_too_all_is_told(name: str, run):
    """A node is down for 0.1 s: its pods lose 0.5 s jobs, its workers have others outstanding.

    The new states are checked at once, while numbers are above 0, at every worker.
    """
    data = {
        "cluster": {
            "nodes": 2,
            "pods": 4,
            "ingress": {"workers": 2},
            "network": {"cross_node_rtt": "1ms", "same_node_rtt": "1ms"},
        },
        "stages": {"ingress": {"balancer": f"{FILE}:{name}"}},
        "traffic": {"utilisation": 0.8, "service_time": {"mean": "500ms"}},
        "timeline": [{"at": "5s", "node": "node-0", "state": "down", "until": "5.1s"}],
        "run": {"duration": "20s"},
    }
    pods, _ = run(data, grid=False)
    used = pods.picks[pods.picks[:, 0] > 0]
    assert len(used) == (2 if name == "REPLICA" else 4)
    assert (used[:, 1] > used[:, 0] / 20).all()
    assert used[:, 2].sum() == 0


def test_what_differs_by_instance_cannot_be_told_to_a_shared_state():
    """The sentence says what to use instead."""
    with pytest.raises(BalancerError, match=r"needs sees = pods.*scope = worker or replica"):
        told.checking("told_wrong", scope="shared")

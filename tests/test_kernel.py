"""The compiled event loop: no reference counts, no index out of bounds, room that grows."""

from __future__ import annotations

from functools import partial

import numpy as np
import pytest

from lbbench.core import jit
from lbbench.engines import fast
from lbbench.engines.plan import make_plan
from lbbench.model.check import build


def plan():
    return make_plan(
        build(
            {
                "cluster": {
                    "nodes": 3,
                    "pods": 5,
                    "pod": {"queue": 3},
                    "ingress": {"workers": 2, "cpu_per_request": "1ms"},
                    "network": {"cross_node_rtt": "1ms", "client_rtt": "5ms"},
                },
                "stages": {"ingress": {"balancer": "round_robin", "keepalive": {"upstream": 2}}},
                "traffic": {
                    "utilisation": 1.1,
                    "clients": {"count": 40},
                    "connections": {"requests": {"geometric": 5}},
                    "sessions": {"count": 9},
                },
                "run": {"requests": 6000},
            }
        )
    )


@pytest.fixture
def fresh(monkeypatch, tmp_path):
    """Compile anew: code from the disk cache cannot be inspected."""
    monkeypatch.setenv("LBBENCH_CACHE_DIR", str(tmp_path))
    jit.forget()
    yield
    jit.forget()


@pytest.mark.skipif(jit.is_disabled(), reason="there is no compiled code")
@pytest.mark.usefixtures("fresh")
def test_the_compiled_loop_counts_no_references():
    """`_nrt` and `forceinline` still do what they are there for: 308 increments cost 12 times."""
    made = plan()
    kernel = fast.kernel_of(made)
    world = fast.new_world_for(made, made.facts)
    counters, records = fast.counters_for(made), fast.new_records(0)
    kernel(
        made.facts, world, counters, fast.copied_states(made.states), records, fast.empty_block(), 1
    )
    code = kernel.llvm()
    assert "NRT_incref" not in code
    assert "NRT_decref" not in code


@pytest.mark.long
@pytest.mark.skipif(jit.is_disabled(), reason="plain Python checks its bounds anyway")
@pytest.mark.usefixtures("fresh")
def test_no_index_is_out_of_bounds(monkeypatch):
    """With bounds checks on, a run with refusals, retries and keep-alive gives the same counts."""
    usual = fast.run(plan(), record=True)
    checked = partial(fast.kernel_of, options={"boundscheck": True})
    monkeypatch.setattr(fast, "kernel_of", checked)
    found = fast.run(plan(), record=True)
    assert usual.tally.errors.sum() > 0  # queues do refuse in this run
    for name in usual.tally._fields:
        assert np.array_equal(getattr(usual.tally, name), getattr(found.tally, name)), name
    for name, column in usual.records.items():
        assert np.array_equal(column, found.records[name]), name


def test_room_grows_with_what_is_in_flight_and_changes_nothing(monkeypatch):
    """Starting with room for two requests gives the same run as starting with plenty."""
    usual = fast.run(plan(), record=True)
    monkeypatch.setattr(fast, "FIRST_SLOTS", 2)
    found = fast.run(plan(), record=True)
    for name in usual.tally._fields:
        assert np.array_equal(getattr(usual.tally, name), getattr(found.tally, name)), name
    assert np.array_equal(usual.records["end"], found.records["end"])

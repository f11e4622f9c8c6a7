"""The fast engine: drives the compiled kernel over blocks of requests in bounded memory."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping
from typing import Any

import numpy as np

from lbbench.balancers.base import Balancer
from lbbench.core.jit import Bound, bind
from lbbench.core.rng import wrapping
from lbbench.engines.counters import tally_of
from lbbench.engines.kernel import DONE, NEEDS_CONNS, NEEDS_HEAP, NEEDS_SLOTS, run_block
from lbbench.engines.outcome import Outcome, counters_for, finish, grown_records, new_records
from lbbench.engines.parts import instance_view, no_cookie, no_feedback, set_cookie
from lbbench.engines.plan import Plan
from lbbench.engines.world import N_REQUEST, T_LAST, Facts, States, World, grown, new_world
from lbbench.model.trace import Trace

Progress = Callable[[str, int, int | None], None]
"""Called as progress(what, done, total): what is "compiling NAME (once)" or "simulating"."""

FIRST_SLOTS = 1024


def kernel_of(
    azure: Balancer,
    node: Balancer,
    pod: Balancer,
    states: States,
    *,
    options: Mapping[str, Any] | None = None,
) -> Bound:
    """Return the event loop bound to three balancers (compiled at its first call).

    ``options`` are further options of `bind`, for instance ``{"boundscheck": True}``.
    """
    return bind(
        run_block,
        options=options,
        azure_pick=azure.pick,
        azure_at=instance_view(type(states.azure)),
        node_pick=node.pick,
        node_at=instance_view(type(states.node)),
        pod_pick=pod.pick,
        pod_done=pod.done or no_feedback,
        pod_at=instance_view(type(states.pod)),
        pod_cookie=set_cookie if pod.cookies else no_cookie,
    )


def run(plan: Plan, *, progress: Progress | None = None, record: bool = False) -> Outcome:
    """Run ``plan`` to its end and return what was counted.

    ``record`` keeps one row per request; memory then grows with their number.
    """
    facts = plan.facts._replace(records=int(record))
    states = copied(plan.states)
    counters = counters_for(plan)
    records = new_records(FIRST_SLOTS if record else 0)
    world = new_world_for(plan, facts)
    started = time.perf_counter()
    kernel = kernel_of(plan.azure, plan.node, plan.pod, plan.states)
    _prepare(kernel, plan, facts, world, counters, states, records, progress)
    compile_s = time.perf_counter() - started
    total = plan.traffic.n_requests
    came = 0
    with wrapping():
        for block, final in _blocks_and_end(plan):
            came += len(block.arrival)
            if record:
                records = grown_records(records, came)
            while True:
                code = kernel(facts, world, counters, states, records, block, final)
                if code == DONE:
                    break
                world = _with_room(world, code)
            if progress is not None:
                progress("simulating", came, total)
    return finish(
        plan,
        tally_of(counters, world.queue["highest"].copy()),
        records if record else None,
        simulated=float(world.clock[T_LAST]),
        rows=int(world.number[N_REQUEST]),
        compile_s=compile_s,
    )


def prepare(plan: Plan) -> tuple[bool, float]:
    """Compile what ``plan`` needs without running it; return (was it there, seconds)."""
    kernel = kernel_of(plan.azure, plan.node, plan.pod, plan.states)
    was_there = kernel.is_cached
    world, counters = new_world_for(plan, plan.facts), counters_for(plan)
    records = new_records(0)
    seconds = _prepare(
        kernel, plan, plan.facts, world, counters, plan.states, records, progress=None
    )
    return was_there, seconds


def copied(states: States) -> States:
    """Return a deep copy of the balancers' states and streams."""
    made = [
        part.copy() if isinstance(part, np.ndarray) else type(part)(*(a.copy() for a in part))
        for part in states
    ]
    return States(*made)


def empty_block() -> Trace:
    """Return a block without requests, of the types that the kernel is compiled for."""
    floats, ints = np.zeros(0), np.zeros(0, np.int64)
    last = np.zeros(0, np.uint8)
    return Trace(floats, floats, ints, ints, ints, ints, last, ints, floats, floats)


def _blocks_and_end(plan: Plan) -> Iterator[tuple[Trace, int]]:
    for block in plan.traffic.blocks():
        yield block, 0
    yield empty_block(), 1


def new_world_for(plan: Plan, facts: Facts) -> World:
    """Return the arrays of a run of ``plan`` at time 0."""
    people = plan.traffic.population
    return new_world(
        facts,
        lanes=people.n_lanes,
        jars=people.n_sessions,
        targets=plan.targets,
        slots=FIRST_SLOTS,
        conns=FIRST_SLOTS,
        heap=4 * FIRST_SLOTS,
    )


def _with_room(world: World, code: int) -> World:
    if code == NEEDS_HEAP:
        return grown(world, heap=2 * len(world.heap_time))
    if code == NEEDS_SLOTS:
        return grown(world, slots=2 * len(world.request))
    assert code == NEEDS_CONNS, code
    return grown(world, conns=2 * len(world.conn))


def _prepare(
    kernel: Bound,
    plan: Plan,
    facts: Facts,
    world: World,
    counters: Any,
    states: States,
    records: Any,
    progress: Progress | None,
) -> float:
    if progress is not None and not kernel.is_cached:
        names = sorted({plan.azure.name, plan.node.name, plan.pod.name} - {"azure_lb", "iptables"})
        progress(f"compiling {', '.join(names) or 'the service path'} (once)", 0, None)
    return kernel.prepare(facts, world, counters, states, records, empty_block(), 0)

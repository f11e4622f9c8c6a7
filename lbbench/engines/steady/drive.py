"""Drives the steady kernel over blocks of requests."""

from __future__ import annotations

import time
from collections.abc import Mapping
from typing import Any

from lbbench.core.jit import Bound, bind
from lbbench.core.rng import wrapping
from lbbench.engines.checked import pick_parts
from lbbench.engines.counters import tally_of
from lbbench.engines.feed import Progress, blocks_and_end, compiling, copied_states, empty_block
from lbbench.engines.outcome import Outcome, counters_for, finish, grown_records, new_records
from lbbench.engines.parts import instance_view, no_cookie, no_count, no_feedback, set_cookie
from lbbench.engines.plan import Plan
from lbbench.engines.steady.codes import (
    DONE,
    NEEDS_CONNS,
    NEEDS_REPLIES,
    NEEDS_SLOTS,
    NEEDS_STAYS,
    STRAYED,
)
from lbbench.engines.steady.fit import is_single
from lbbench.engines.steady.kernel import run_steady
from lbbench.engines.steady.single import run_single
from lbbench.engines.steady.world import N_REQUEST, T_LAST, Steady, grown_steady, new_steady
from lbbench.engines.world import Facts

FIRST_SLOTS = 1024
STAY = 4.0
"""Expected time in the chain, in units of the mean work: sets the length of the calendar's year."""


def steady_kernel(plan: Plan, *, options: Mapping[str, Any] | None = None) -> Bound:
    """Return the steady event loop bound to the plan's balancers."""
    states = plan.states
    return bind(
        run_single if is_single(plan) else run_steady,
        options=options,
        azure_at=instance_view(type(states.azure)),
        node_pick=plan.node.pick,
        node_at=instance_view(type(states.node)),
        **pick_parts(plan.azure, plan.pod),
        pod_done=plan.pod.done or no_feedback,
        pod_at=instance_view(type(states.pod), plan.common),
        pod_cookie=set_cookie if plan.pod.cookies else no_cookie,
        pod_counted=plan.pod.on_busy or no_count,
        CHANGES=False,
        INGRESS=plan.facts.ingress,
        COOKIES=plan.facts.cookies,
        MS_CLOCK=plan.facts.ms_clock,
    )


def steady_world(plan: Plan, facts: Facts) -> Steady:
    """Return the arrays of a steady run of ``plan`` at time 0."""
    people = plan.traffic.population
    stay = STAY * people.mean_work + facts.client_rtt + facts.path_delay + facts.path_jitter
    return new_steady(
        facts,
        lanes=people.n_lanes,
        jars=people.n_sessions,
        units=plan.units,
        rate=people.rate,
        inside=people.rate * stay,
        slots=FIRST_SLOTS,
    )


def with_room(world: Steady, code: int) -> Steady:
    """Return the arrays with more of what the loop ran out of."""
    if code == NEEDS_SLOTS:
        return grown_steady(world, slots=2 * len(world.request))
    if code == NEEDS_CONNS:
        return grown_steady(world, conns=2 * len(world.conn))
    if code == NEEDS_REPLIES:
        return grown_steady(world, replies=2 * len(world.reply_free))
    assert code == NEEDS_STAYS, code
    return grown_steady(world, stays=2 * len(world.stay))


def run_steady_plan(
    plan: Plan, *, progress: Progress | None = None, record: bool = False
) -> Outcome | None:
    """Run a steady ``plan``; None when something happened that this kernel cannot take."""
    facts = plan.facts._replace(records=int(record))
    states, counters, world = (
        copied_states(plan.states),
        counters_for(plan),
        steady_world(plan, facts),
    )
    records = new_records(FIRST_SLOTS if record else 0)
    started = time.perf_counter()
    kernel = steady_kernel(plan)
    if progress is not None and not kernel.is_cached:
        progress(compiling(plan), 0, None)
    kernel.prepare(facts, plan.lists, world, counters, states, records, empty_block(), 0)
    compile_s = time.perf_counter() - started
    came, total = 0, plan.traffic.n_requests
    with wrapping():
        for block, final in blocks_and_end(plan):
            came += len(block.arrival)
            if record:
                records = grown_records(records, came)
            while True:
                code = kernel(facts, plan.lists, world, counters, states, records, block, final)
                if code == DONE:
                    break
                if code == STRAYED:
                    return None
                world = with_room(world, code)
            if progress is not None:
                progress("simulating", came, total)
    return finish(
        plan,
        tally_of(counters, world.pod["highest"].copy()),
        records if record else None,
        simulated=float(world.clock[T_LAST]),
        rows=int(world.number[N_REQUEST]),
        compile_s=compile_s,
    )


def prepare_steady(plan: Plan) -> tuple[bool, float]:
    """Compile what a steady ``plan`` needs without running it; return (was it there, seconds)."""
    kernel = steady_kernel(plan)
    was_there = kernel.is_cached
    world, counters, records = steady_world(plan, plan.facts), counters_for(plan), new_records(0)
    seconds = kernel.prepare(
        plan.facts, plan.lists, world, counters, plan.states, records, empty_block(), 0
    )
    return was_there, seconds

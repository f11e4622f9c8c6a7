"""The fast engine: drives the compiled kernel over blocks of requests in bounded memory."""

from __future__ import annotations

import time
from collections.abc import Mapping
from typing import Any, Literal

import numpy as np

from lbbench.core.jit import Bound, bind
from lbbench.core.rng import wrapping
from lbbench.engines.checked import pick_parts
from lbbench.engines.cluster import no_step, take_step
from lbbench.engines.counters import tally_of
from lbbench.engines.feed import Progress, blocks_and_end, compiling, copied_states, empty_block
from lbbench.engines.kernel import (
    DONE,
    NEEDS_CONNS,
    NEEDS_HEAP,
    NEEDS_LANES,
    NEEDS_ROWS,
    NEEDS_SLOTS,
    run_block,
)
from lbbench.engines.outcome import Outcome, counters_for, finish, grown_records, new_records
from lbbench.engines.parts import (
    instance_reset,
    instance_view,
    no_change,
    no_cookie,
    no_count,
    no_feedback,
    set_cookie,
)
from lbbench.engines.plan import Plan
from lbbench.engines.steady.drive import prepare_steady, run_steady_plan
from lbbench.engines.steady.fit import why_not
from lbbench.engines.world import (
    N_HUNGRY,
    N_REQUEST,
    N_STARVED,
    T_LAST,
    Facts,
    States,
    World,
    grown,
    new_world,
)
from lbbench.traffic.closed import CHUNK, Users

Kernel = Literal["auto", "general"]

FIRST_SLOTS = 1024


def kernel_of(plan: Plan, *, options: Mapping[str, Any] | None = None) -> Bound:
    """Return the event loop bound to the plan's balancers (compiled at its first call).

    ``options`` are further options of `bind`, for instance ``{"boundscheck": True}``.
    """
    azure, node, pod, states = plan.azure, plan.node, plan.pod, plan.states
    facts = plan.facts
    return bind(
        run_block,
        options=options,
        azure_at=instance_view(type(states.azure)),
        azure_changed=azure.on_endpoints or no_change,
        azure_counted=azure.on_busy or no_count,
        node_pick=node.pick,
        node_at=instance_view(type(states.node)),
        node_changed=node.on_endpoints or no_change,
        node_reset=instance_reset(states.node),
        **pick_parts(azure, pod),
        pod_done=pod.done or no_feedback,
        pod_at=instance_view(type(states.pod), plan.common),
        pod_changed=pod.on_endpoints or no_change,
        pod_counted=pod.on_busy or no_count,
        pod_reset=instance_reset(states.pod, plan.common),
        pod_cookie=set_cookie if pod.cookies else no_cookie,
        take_step=take_step if len(facts.step) else no_step,
        CHANGES=len(facts.step) > 0,
        INGRESS=facts.ingress,
        COOKIES=facts.cookies,
        SEES_PODS=facts.sees_pods,
        SEES_WORK=facts.sees_work,
        MS_CLOCK=facts.ms_clock,
        FIRST_COUNTS=facts.first_counts,
        SHARED=facts.shared,
        QUOTA=int(facts.quota > 0.0),
    )


def run(
    plan: Plan,
    *,
    progress: Progress | None = None,
    record: bool = False,
    kernel: Kernel = "auto",
) -> Outcome:
    """Run ``plan`` to its end and return what was counted.

    ``record`` keeps one row per request; memory then grows with their number. The ``kernel`` is
    chosen by the plan; the results are the same, but that only the general one keeps the integrals
    of `flow.py`.
    """
    if kernel == "auto" and why_not(plan) is None:
        outcome = run_steady_plan(plan, progress=progress, record=record)
        if outcome is not None:
            return outcome
        if progress is not None:
            progress("simulating anew, with the general kernel", 0, plan.traffic.n_requests)
    return run_general(plan, progress=progress, record=record)


def run_general(plan: Plan, *, progress: Progress | None = None, record: bool = False) -> Outcome:
    """Run ``plan`` with the kernel that takes everything."""
    facts = plan.facts._replace(records=int(record))
    states = copied_states(plan.states)
    counters = counters_for(plan)
    records = new_records(FIRST_SLOTS if record else 0)
    world = new_world_for(plan, facts)
    started = time.perf_counter()
    kernel = kernel_of(plan)
    _prepare(kernel, plan, facts, world, counters, states, records, progress)
    compile_s = time.perf_counter() - started
    total = plan.traffic.n_requests
    came = 0
    users = plan.traffic.users
    _fill_users(world, users)
    with wrapping():
        for block, final in blocks_and_end(plan):
            came += len(block.arrival)
            while True:
                if record:
                    ahead = 2 * len(world.user_at) * CHUNK if users is not None else came
                    records = grown_records(records, int(world.number[N_REQUEST]) + ahead)
                code = kernel(facts, world, counters, states, records, block, final)
                if code == DONE:
                    break
                if code == NEEDS_ROWS and users is not None:
                    came = int(world.number[N_REQUEST])
                    _feed_users(world, users)
                    if progress is not None:
                        progress("simulating", came, total)
                else:
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
    if why_not(plan) is None:
        return prepare_steady(plan)
    kernel = kernel_of(plan)
    was_there = kernel.is_cached
    world, counters = new_world_for(plan, plan.facts), counters_for(plan)
    records = new_records(0)
    seconds = _prepare(
        kernel, plan, plan.facts, world, counters, plan.states, records, progress=None
    )
    return was_there, seconds


def _fill_users(world: World, users: Users | None) -> None:
    """Give every user of closed traffic the first two chunks of rows."""
    if users is not None:
        everybody = np.arange(users.count)
        for _ in range(2):
            _give_rows(world, users, everybody)


def _feed_users(world: World, users: Users) -> None:
    """Give the users that have used up a chunk another one, those without any two.

    That is done for all at once when one has none left: a user at a time would cost ten times the
    simulation.
    """
    hungry = world.hungry[: world.number[N_HUNGRY]].copy()
    starved = hungry[world.user_at[hungry] == world.user_fed[hungry] * CHUNK]
    _give_rows(world, users, hungry)
    _give_rows(world, users, starved)
    world.number[N_HUNGRY] = world.number[N_STARVED] = 0


def _give_rows(world: World, users: Users, who: np.ndarray) -> None:
    """Give each of the users ``who`` its next chunk of rows."""
    chunks = world.user_fed[who]
    world.user_fed[who] += 1
    rows = users.table(who.tolist(), chunks.tolist())
    half = (chunks % 2)[:, None] * CHUNK + np.arange(CHUNK)[None, :]
    for name in ("think", "work", "key", "last", "life"):
        world.user_row[name][who[:, None], half] = getattr(rows, name)


def new_world_for(plan: Plan, facts: Facts) -> World:
    """Return the arrays of a run of ``plan`` at time 0."""
    people = plan.traffic.population
    slots = FIRST_SLOTS + facts.users
    return new_world(
        facts,
        plan.lists,
        plan.members,
        lanes=FIRST_SLOTS if facts.chained else people.n_lanes,
        jars=people.n_sessions,
        units=plan.units,
        slots=slots,
        conns=FIRST_SLOTS,
        heap=4 * slots,
    )


def _with_room(world: World, code: int) -> World:
    if code == NEEDS_HEAP:
        return grown(world, heap=2 * len(world.heap_time))
    if code == NEEDS_SLOTS:
        return grown(world, slots=2 * len(world.request))
    if code == NEEDS_LANES:
        return grown(world, lanes=2 * len(world.lane_conn))
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
        progress(compiling(plan), 0, None)
    return kernel.prepare(facts, world, counters, states, records, empty_block(), 0)

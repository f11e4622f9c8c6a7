"""The same walk compiled, with every array access checked."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from lbbench.balancers.base import Balancer, Endpoint
from lbbench.core.jit import Bound, bind
from lbbench.core.rng import wrapping
from lbbench.engines.parts import no_change, no_cookie, no_count, no_feedback, set_cookie
from lbbench.testing.walk import Script, room_for, walk
from lbbench.testing.watched import Walked, stream_of


def compiled_walk(balancer: Balancer) -> Bound:
    """Return the walk bound to the balancer's functions, compiled at its first call.

    Raises
    ------
    TypeError
        When the functions reach what compiled code cannot carry.
    """
    return bind(
        walk,
        options={"boundscheck": True},
        pick=balancer.pick,
        done=balancer.done or no_feedback,
        changed=balancer.on_endpoints or no_change,
        counted=balancer.on_busy or no_count,
        cookie=set_cookie if balancer.cookies else no_cookie,
        ASKED_FIRST=balancer.level == "l4",
    )


def walked_compiled(
    kernel: Bound,
    balancer: Balancer,
    options: Mapping[str, Any],
    endpoints: Sequence[Endpoint],
    script: Script,
    *,
    seed: int,
) -> Walked:
    """Walk through ``script`` compiled; what is raised inside has no line."""
    rng, room = stream_of(balancer, seed), room_for(script)
    with wrapping():
        state = balancer.state(dict(options), endpoints)
        kernel(state, rng, script, room)
    return Walked(room.out, rng, state)

"""Which engine runs a plan: the one asked for, or the readable one where code stays Python."""

from __future__ import annotations

import time
from dataclasses import replace
from typing import Literal, NamedTuple

from lbbench.balancers.base import Balancer
from lbbench.balancers.fault import is_own, said
from lbbench.engines.feed import Progress
from lbbench.engines.outcome import Outcome
from lbbench.engines.plan import Plan
from lbbench.engines.trial import refused
from lbbench.errors import LbbenchError

Engine = Literal["fast", "reference"]

SLOWER = 1_000
"""About how many times longer the readable engine takes for a request: 1 ms, not 1 us."""

ADVICE = "write it with numbers and arrays (docs/how-to/own-balancer.md) to have it compiled"


class Ran(NamedTuple):
    """A plan that was run."""

    outcome: Outcome
    engine: Engine  # that ran it
    note: str | None  # why it is not the one that was asked for


def why_readable(plan: Plan) -> str | None:
    """Return the sentence on a balancer of ``plan`` that is not compiled; None: all can be."""
    stages = ((plan.azure, plan.states.azure, ()), (plan.pod, plan.states.pod, plan.common))
    for balancer, states, common in stages:
        if is_own(balancer):
            why = refused(balancer, states, common)
            if why is not None:
                return _note(balancer, why)
    return None


def run_plan(
    plan: Plan, engine: Engine, *, progress: Progress | None = None, record: bool = False
) -> Ran:
    """Run ``plan`` to its end.

    With ``fast`` a plan whose balancer cannot be compiled is run by the readable engine. So is one
    whose compiled code fails: plain Python has the line.

    Raises
    ------
    BalancerError
        When somebody's own balancer raises an error or picks out of range: file, line, function.
    """
    from lbbench.engines import reference

    started = time.perf_counter()
    note = why_readable(plan) if engine == "fast" else None
    tried_s = time.perf_counter() - started if engine == "fast" else 0.0
    if engine == "fast" and note is None:
        from lbbench.engines import fast

        try:
            outcome = fast.run(plan, progress=progress, record=record)
            return Ran(_with(outcome, tried_s), "fast", None)
        except (LbbenchError, MemoryError):
            raise
        except Exception as error:
            own = [item for item in (plan.azure, plan.pod) if is_own(item)]
            if not own:
                raise
            note = _note(own[-1], f"compiled code failed: {said(error)}, plain Python does not")
    told = progress if note is None else _as_python(progress)
    outcome = reference.run(plan, progress=told, record=record)
    return Ran(_with(outcome, tried_s), "reference", note)


def _with(outcome: Outcome, tried_s: float) -> Outcome:
    """Return the outcome with what it took to find out whether all can be compiled."""
    return replace(outcome, compile_s=outcome.compile_s + tried_s)


def _as_python(progress: Progress | None) -> Progress | None:
    """Let the progress say from the start what will take its time."""
    if progress is None:
        return None

    def told(what: str, done: int, total: int | None) -> None:
        progress(f"{what} in plain Python", done, total)

    return told


def _note(balancer: Balancer, why: str) -> str:
    return (
        f"balancer {balancer.name} runs as plain Python in the readable engine (reference), about "
        f"{SLOWER:,} times slower: {why}; {ADVICE}"
    )

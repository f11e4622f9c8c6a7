"""The checks of a balancer, one after the other; what one finds decides what the next can do."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from functools import partial
from typing import Any

import numpy as np

from lbbench.balancers.base import Balancer, Endpoint
from lbbench.balancers.fault import blaming, compiler_says, said
from lbbench.balancers.kinds import why_not_arrays
from lbbench.core.jit import Bound, is_disabled
from lbbench.errors import BalancerError
from lbbench.testing.compiled import compiled_walk, walked_compiled
from lbbench.testing.script import endpoints_of, script_of
from lbbench.testing.speed import SIZES, nanoseconds_per_pick
from lbbench.testing.verdict import Check
from lbbench.testing.walk import PLACE, Script, room_for
from lbbench.testing.watched import (
    Outside,
    Walked,
    difference,
    state_difference,
    stream_of,
    walked,
)

SMALL = (0, 1, 2)
AHEAD = 5
"""Endpoints that are never listed, in front of those that are."""

NOT_ASKED = "compiled = False was asked for"
NO_WALK = "its picks failed"
TWINS, NO_TWINS = "same draws, same picks", "two equal instances differ already"
ALONE = ("nothing outside the state", "fixed shapes")
"""Checks that compare no two walks: what makes twins differ would fail the others once more."""


@dataclass
class Course:
    """One balancer on its way through the checks."""

    balancer: Balancer
    options: dict[str, Any]
    endpoints: tuple[Endpoint, ...]
    picks: int
    seed: int
    ids_matter: bool = False
    scripts: list[Script] = field(init=False)
    first: list[Walked] = field(init=False, default_factory=list)
    uncompiled: str | None = field(init=False, default=None)  # why there is no compiled code

    def __post_init__(self) -> None:
        n = len(self.endpoints)
        self.scripts = [
            script_of(self.balancer, n, self.picks, self.seed + restarted, restarted=restarted)
            for restarted in (False, True)
        ]

    def checks(self, *, speed: bool, compiled: bool = True) -> Iterator[Check]:
        """Yield every check with its verdict, in a fixed order."""
        if not compiled:
            self.uncompiled = NOT_ASKED
        yield self._checked("state", self._state)
        yield self._checked("picks in range", self._range)
        why = None if self.first else NO_WALK
        for name, check in (
            ("few endpoints", self._few),
            (TWINS, self._again),
            ("nothing outside the state", self._outside),
            ("keeps no argument", self._spoiled),
            ("ids and positions", self._ahead),
            ("fixed shapes", self._shapes),
            ("compiled = plain Python", self._compiled),
            ("array bounds", self._bounds),
        ):
            if why is not None and not (why == NO_TWINS and name in ALONE):
                yield Check(name, "not done", why)
                continue
            found = self._checked(name, check)
            if name == TWINS and found.verdict == "fail":
                why = NO_TWINS
            yield found
        if speed:
            for size in SIZES:
                name = f"speed at {size} endpoints"
                if why is None:
                    yield self._checked(name, partial(self._speed, size))
                else:
                    yield Check(name, "not done", why)

    def _checked(self, name: str, check: Callable[[], str | Check]) -> Check:
        """Return the verdict: a fault that is raised fails, with what it says."""
        try:
            found = check()
        except BalancerError as error:
            return Check(name, "fail", str(error))
        except Exception as error:  # noqa: BLE001  (whatever it is, it is told)
            return Check(name, "fail", said(error))
        if isinstance(found, Check):
            return Check(name, found.verdict, found.detail)
        return Check(name, "pass", found)

    def _walk(self, script: Script, **given: Any) -> Walked:
        return walked(self.balancer, self.options, self.endpoints, script, seed=self.seed, **given)

    # --- plain Python -----------------------------------------------------------------------------

    def _state(self) -> str | Check:
        with blaming(self.balancer):
            states = [self.balancer.state(self.options, self.endpoints) for _ in range(2)]
        why = why_not_arrays(states[0])
        if why is not None:
            self.uncompiled = f"the state {why}"
        if not self.balancer.compiled:
            self.uncompiled = "the balancer says compiled = False"
        if self.balancer.cookies and not hasattr(states[0], "set_cookie"):
            raise BalancerError("cookies = True needs a field set_cookie, int64[1], in the state")
        if why is not None:
            if states[0] is states[1]:
                raise BalancerError("state returns the same object twice; make a new one each time")
            return Check("", "pass", f"{why}, so it runs in the readable engine only")
        if any(np.shares_memory(a, b) for a in states[0] for b in states[1] if a.size):
            raise BalancerError("two states share an array; make new arrays in each call of state")
        differs = state_difference(*states)
        if differs is not None:
            raise BalancerError(f"two calls of state with the same arguments differ: {differs}")
        size = sum(array.nbytes for array in states[0])
        return f"{len(states[0])} arrays, {size:,} bytes for {len(self.endpoints)} endpoints"

    def _range(self) -> str:
        self.outside = Outside(self.balancer)
        first = [self._walk(script) for script in self.scripts]
        counts = self.scripts[0].counts
        out = np.stack([walk.out[PLACE] for walk in first])
        none = int((out[:, counts > 0] < 0).sum())
        served = int((counts > 0).sum()) * len(first) * self.picks
        if none == served > 0:
            raise BalancerError("every pick is -1, though there were endpoints; return a position")
        self.first = first
        told = f"{out.size:,} picks from {len(counts)} lists"
        return f"{told}, {none:,} of them -1 though there were endpoints" if none else told

    def _few(self) -> str:
        for n in SMALL:
            script = script_of(self.balancer, n, 5, self.seed)
            walked(self.balancer, self.options, endpoints_of(n), script, seed=self.seed)
        return f"{', '.join(map(str, SMALL))} endpoints"

    def _again(self) -> str:
        for script, before in zip(self.scripts, self.first, strict=True):
            after = self._walk(script)
            found = difference(before, after)
            if found is None and self._has_arrays(before):
                found = state_difference(before.state, after.state)
            if found is not None:
                raise BalancerError(
                    f"two equal instances differ: {found}; draw with lbbench.core.rng only, keep "
                    "everything in the state, and look at no clock but now"
                )
        return "two equal instances do the same, bit for bit"

    def _outside(self) -> str:
        found = self.outside.changes()
        if found:
            raise BalancerError("; ".join(found))
        return "no global of its module and no other generator was touched"

    def _spoiled(self) -> str:
        for script, before in zip(self.scripts, self.first, strict=True):
            found = difference(before, self._walk(script, spoiled=True))
            if found is not None:
                raise BalancerError(
                    f"it keeps busy, tried, old or new: {found} when they are overwritten after "
                    "the call; copy the numbers"
                )
        return "busy, tried, old and new are neither written nor kept"

    def _ahead(self) -> str | Check:
        if self.ids_matter:
            return Check("", "not done", "its picks depend on the ids, as its original's do")
        low = tuple(Endpoint(f"0.0.0.{i}:1") for i in range(AHEAD))
        script = script_of(self.balancer, len(self.endpoints), self.picks, self.seed, ahead=AHEAD)
        after = walked(self.balancer, self.options, low + self.endpoints, script, seed=self.seed)
        found = difference(self.first[0], after)
        if found is not None:
            raise BalancerError(
                f"endpoints that are never listed change its picks: {found}; pick returns a "
                "position, on_endpoints, done and on_busy are given ids (if that is meant, give "
                "ids_matter=True to check_balancer)"
            )
        return f"{AHEAD} endpoints that are never listed change nothing"

    def _shapes(self) -> str | Check:
        if not self._has_arrays(self.first[0]):
            return Check("", "not done", "the state is no NamedTuple of arrays")
        new = self.balancer.state(self.options, self.endpoints)
        for walk in self.first:
            why = why_not_arrays(walk.state)
            if why is not None:
                raise BalancerError(f"after the walk the state {why}")
            for name, was, now in zip(new._fields, new, walk.state, strict=True):
                if was.shape != now.shape or was.dtype != now.dtype:
                    raise BalancerError(f"field {name} changes its shape or type")
        return "shapes and types stay, all arrays are C-contiguous"

    # --- compiled ---------------------------------------------------------------------------------

    def _compiled(self) -> str | Check:
        self.bounds: str | Check = Check("", "not done", "there is no compiled code")
        if self.uncompiled is None and is_disabled():
            self.uncompiled = "NUMBA_DISABLE_JIT is set"
        if self.uncompiled is not None:
            return Check("", "not done", self.uncompiled)
        try:
            kernel = self._kernel()
        except Exception as error:  # noqa: BLE001  (numba raises many kinds)
            place, reason = compiler_says(error, self.balancer)
            self.uncompiled = f"{place} cannot be compiled: {reason}"
            return Check("", "not done", f"{self.uncompiled}; it runs in the readable engine only")
        try:
            after = [self._walk_compiled(kernel, script) for script in self.scripts]
        except IndexError as error:
            self.bounds = Check("", "fail", f"compiled code leaves an array: {said(error)}")
            return Check("", "fail", "compiled code leaves an array, plain Python does not")
        except Exception as error:  # noqa: BLE001  (compiled code of somebody)
            return Check("", "fail", f"compiled code failed, plain Python does not: {said(error)}")
        self.bounds = "every index is checked"
        for one, other in zip(self.first, after, strict=True):
            found = difference(one, other) or state_difference(one.state, other.state)
            if found is not None:
                raise BalancerError(
                    f"plain Python and compiled code differ: {found}; look for integers that "
                    "overflow, a division by zero, numpy.exp in place of math.exp"
                )
        return "picks, cookies, draws and every array of the state, bit for bit"

    def _kernel(self) -> Bound:
        script = self.scripts[0]
        kernel = compiled_walk(self.balancer)
        state = self.balancer.state(self.options, self.endpoints)
        kernel.prepare(state, stream_of(self.balancer, self.seed), script, room_for(script))
        return kernel

    def _walk_compiled(self, kernel: Bound, script: Script) -> Walked:
        return walked_compiled(
            kernel, self.balancer, self.options, self.endpoints, script, seed=self.seed
        )

    def _bounds(self) -> str | Check:
        return self.bounds

    def _speed(self, size: int) -> str:
        compiled = self.uncompiled is None
        n_picks = 40 * size if compiled else 2_000
        took = nanoseconds_per_pick(
            self.balancer,
            self.options,
            size,
            compiled=compiled,
            n_picks=max(n_picks, 20_000 if compiled else 0),
        )
        how = "compiled" if compiled else "in plain Python"
        return f"{took:,.0f} ns per pick with its answer, {how}"

    @staticmethod
    def _has_arrays(walk: Walked) -> bool:
        return why_not_arrays(walk.state) is None

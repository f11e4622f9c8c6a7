"""A walk in plain Python that watches what a balancer does with what it is handed."""

from __future__ import annotations

import copy
import random
import types
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from lbbench.balancers.base import Balancer, Endpoint
from lbbench.balancers.fault import blaming, parts_of, position
from lbbench.core.rng import stream, wrapping
from lbbench.testing.patience import patiently
from lbbench.testing.walk import Room, Script, room_for, walk

GARBAGE = -(2**40)
"""What arrays that were handed out hold afterwards, when a walk looks for kept references."""


@dataclass(frozen=True)
class Walked:
    """What a walk left behind."""

    out: np.ndarray  # int64[2, S, K] picks and cookies
    rng: np.ndarray  # uint64[4]
    state: Any


def stream_of(balancer: Balancer, seed: int) -> np.ndarray:
    """Return the stream that every walk of a balancer begins with."""
    return stream(seed, 0, "check", balancer.name)


def walked(
    balancer: Balancer,
    options: dict[str, Any],
    endpoints: Sequence[Endpoint],
    script: Script,
    *,
    seed: int,
    spoiled: bool = False,
) -> Walked:
    """Walk through ``script`` in plain Python, with arrays that cannot be written.

    With ``spoiled`` they are overwritten as soon as a call has ended, as an engine may do.

    Raises
    ------
    BalancerError
        When a function raises, or a pick is out of range: file, line and function.
    """
    rng, room = stream_of(balancer, seed), room_for(script)
    with wrapping(), blaming(balancer):
        state = balancer.state(options, endpoints)
        watched = _watched(balancer, spoiled=spoiled)
        watched(state, rng, script, room)
    return Walked(room.out, rng, state)


def _watched(
    balancer: Balancer, *, spoiled: bool
) -> Callable[[Any, np.ndarray, Script, Room], None]:
    """Return the walk with the balancer's functions, each behind what watches it."""

    def handed(*arrays: np.ndarray) -> tuple[list[np.ndarray], list[np.ndarray]]:
        copies = [array.copy() for array in arrays]
        views = [array.view() for array in copies]
        for view in views:
            view.flags.writeable = False
        return copies, views

    def spoil(copies: list[np.ndarray]) -> None:
        if spoiled:
            for array in copies:
                array.fill(GARBAGE)

    def pick(state: Any, rng: Any, now: Any, key: Any, busy: Any, tried: Any) -> int:
        copies, views = handed(busy, tried)
        place = patiently(balancer.pick, state, rng, float(now), key, *views)
        spoil(copies)
        return position(place, len(busy), balancer)

    def changed(state: Any, rng: Any, old: Any, new: Any, now: Any) -> None:
        if balancer.on_endpoints is not None:
            copies, views = handed(old, new)
            patiently(balancer.on_endpoints, state, rng, *views, float(now))
            spoil(copies)

    def done(state: Any, endpoint: Any, now: Any, rtt: Any, ok: Any) -> None:
        if balancer.done is not None:
            patiently(balancer.done, state, int(endpoint), float(now), float(rtt), bool(ok))

    def counted(state: Any, endpoint: Any, busy: Any) -> None:
        if balancer.on_busy is not None:
            patiently(balancer.on_busy, state, int(endpoint), int(busy))

    def cookie(state: Any) -> int:
        return int(state.set_cookie[0]) if balancer.cookies else -1

    parts = {"pick": pick, "changed": changed, "done": done, "counted": counted, "cookie": cookie}
    return with_parts(walk, {**parts, "ASKED_FIRST": balancer.level == "l4"})


def with_parts(loop: Callable[..., None], parts: Mapping[str, Any]) -> Callable[..., None]:
    """Return a loop as plain Python with ``parts`` as its globals, whatever they are."""
    assert isinstance(loop, types.FunctionType)
    return types.FunctionType(loop.__code__, {**loop.__globals__, **parts})


class Outside:
    """What a balancer could use or change beside its state: module globals, other generators."""

    def __init__(self, balancer: Balancer) -> None:
        self.balancer = balancer
        self.before = self._globals()
        self.draws = self._draws()

    def changes(self) -> list[str]:
        """Return what is no longer as it was, in words."""
        found = [
            f"{module} changes its global {name}"
            for (module, name), value in self._globals().items()
            if not _same(self.before.get((module, name)), value)
        ]
        for name, value in self._draws().items():
            if not _same(value, self.draws[name]):
                found.append(f"it draws from {name}; use lbbench.core.rng.uniform(rng)")
        return found

    def _globals(self) -> dict[tuple[str, str], Any]:
        found = {}
        for part in parts_of(self.balancer):
            for name, value in part.__globals__.items():
                plain = isinstance(value, (int, float, str, list, dict, set, np.ndarray))
                if plain and not name.startswith("__"):
                    found[part.__module__, name] = copy.deepcopy(value)
        return found

    @staticmethod
    def _draws() -> dict[str, Any]:
        return {"random": random.getstate(), "numpy.random": np.random.get_state()}  # noqa: NPY002


def _same(one: Any, other: Any) -> bool:
    if isinstance(one, np.ndarray) or isinstance(other, np.ndarray):
        return np.array_equal(one, other, equal_nan=False)
    if isinstance(one, tuple) and isinstance(other, tuple) and len(one) == len(other):
        return all(_same(left, right) for left, right in zip(one, other, strict=True))
    return bool(one == other)


def difference(one: Walked, other: Walked) -> str | None:
    """Return in which way two walks differ, None: in none, bit for bit."""
    where = np.argwhere(one.out[0] != other.out[0])
    if len(where):
        step, k = where[0]
        left, right = one.out[0, step, k], other.out[0, step, k]
        return f"pick {k} of list {step} is {left} in one and {right} in the other"
    if not np.array_equal(one.out[1], other.out[1]):
        return "cookies differ"
    if not np.array_equal(one.rng, other.rng):
        return "the picks are the same, but they took other draws"
    return None


def state_difference(one: Any, other: Any) -> str | None:
    """Return in which field two states (NamedTuples of arrays) differ in any bit."""
    for name, left, right in zip(one._fields, one, other, strict=True):
        if left.dtype != right.dtype or left.shape != right.shape:
            return f"field {name} has another type or shape"
        if left.tobytes() != right.tobytes():
            where = np.argwhere(left != right)
            place = f" at {tuple(int(i) for i in where[0])}" if len(where) else ""
            return f"field {name} differs{place}"
    return None

"""Drive balancers in tests: with the draws of a real program, or with a history of calls.

`fed` copies a function with all functions of its module, so that the copies call a feeder where the
originals call the random stream: the production code itself is replayed. The feeder checks every
call, its limits, and that the balancer draws exactly as often as the real program did.
"""

from __future__ import annotations

import json
from collections import deque
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from types import FunctionType
from typing import Any, NamedTuple

import numpy as np
import pytest

from lbbench.balancers.base import Balancer, Endpoint
from lbbench.core import jit
from lbbench.core.rng import stream, wrapping

NO_TRIES = np.zeros(0, np.int64)
Recorded = Mapping[str, Any] | Sequence[Any]
"""``{"args": [m, n], "u": U, "value": V}`` or ``[[m, n], U, V]``; ``args`` may be ``[n]``."""


def golden(name: str) -> Any:
    """Return the parsed vector file ``name`` (tests/golden/README.md says what is in it)."""
    return json.loads((Path(__file__).parent / "golden" / name).read_text(encoding="utf-8"))


class Draws:
    """Recorded draws in call order; more, other or fewer draws than recorded are errors."""

    def __init__(self, recorded: Iterable[Recorded] = ()) -> None:
        self.waiting: deque[tuple[int, int, int]] = deque()
        self.add(recorded)

    def add(self, recorded: Iterable[Recorded]) -> Draws:
        """Append draws; return self."""
        for draw in recorded:
            args, value = (
                (draw["args"], draw["value"]) if isinstance(draw, Mapping) else (draw[0], draw[-1])
            )
            low, high = (1, args[0]) if len(args) == 1 else args
            self.waiting.append((low, high, value))
        return self

    def lua_random(self, _rng: object, low: int, high: int) -> int:
        """Stand in for `lbbench.core.rng.lua_random`."""
        assert self.waiting, f"random({low}, {high}) is a draw too many"
        recorded = self.waiting.popleft()
        assert recorded[:2] == (low, high), f"random({low}, {high}); recorded: {recorded}"
        return recorded[2]

    def assert_used(self) -> None:
        """Fail when the balancer drew less often than the real program."""
        assert not self.waiting, f"{len(self.waiting)} recorded draws were not asked for"

    def fed(self, function: Callable[..., Any]) -> Callable[..., Any]:
        """Return a copy of ``function`` that draws from here."""
        return fed(function, lua_random=self.lua_random)


class Counted:
    """A function of the random stream that counts its calls."""

    def __init__(self, function: Callable[..., Any]) -> None:
        self.function = function
        self.calls = 0

    def __call__(self, *args: Any) -> Any:
        """Call it and count."""
        self.calls += 1
        return self.function(*args)


class Script:
    """Values that a function of the random stream is to return, in order."""

    def __init__(self, values: Iterable[Any]) -> None:
        self.waiting = deque(values)

    def __call__(self, *_: Any) -> Any:
        """Return the next value."""
        assert self.waiting, "a draw too many"
        return self.waiting.popleft()


def fed(function: Callable[..., Any], **parts: Callable[..., Any]) -> Callable[..., Any]:
    """Return a copy of ``function`` in which ``parts`` replace the globals of these names.

    Functions of the same module that it reaches are copied with it.
    """
    assert isinstance(function, FunctionType)
    unknown = sorted(set(parts) - set(function.__globals__))
    assert not unknown, f"{function.__module__} has no global {unknown[0]}"
    names = dict(function.__globals__)
    for name, value in function.__globals__.items():
        if isinstance(value, FunctionType) and value.__module__ == function.__module__:
            names[name] = _copy(value, names)
    names.update(parts)
    return _copy(function, names)


def _copy(function: FunctionType, names: dict[str, Any]) -> FunctionType:
    made = FunctionType(
        function.__code__, names, function.__name__, function.__defaults__, function.__closure__
    )
    made.__kwdefaults__ = function.__kwdefaults__
    return made


def worker_of(state: Any, common: Iterable[str]) -> Any:
    """Return a worker's state: the ``common`` arrays are those of ``state``, the others its own."""
    own = {name: getattr(state, name).copy() for name in state._fields if name not in common}
    return state._replace(**own)


# --- a history of calls, compiled and plain -------------------------------------------------------

PICK, DONE, CHANGE = range(3)


class History(NamedTuple):
    """Calls of a balancer in order; H calls, E endpoints."""

    kind: np.ndarray  # int64[H] PICK, DONE, CHANGE
    now: np.ndarray  # float64[H]
    key: np.ndarray  # int64[H]
    endpoint: np.ndarray  # int64[H] of DONE
    rtt: np.ndarray  # float64[H] of DONE
    chosen: np.ndarray  # int64[H, E] CHANGE: 1 for listed ids, PICK: 1 for positions tried
    busy: np.ndarray  # int64[H, E]


def history(seed: int, *, calls: int, endpoints: int, keys: int = 2**32) -> History:
    """Return a random history: mostly picks, answers, now and then another list (also empty)."""
    rng = np.random.default_rng(seed)
    kind = rng.choice([PICK, DONE, CHANGE], size=calls, p=[0.6, 0.3, 0.1])
    kind[0] = CHANGE
    share = rng.choice([0.0, 0.3, 0.8, 1.0], size=calls, p=[0.1, 0.3, 0.4, 0.2])
    listed = rng.random((calls, endpoints)) < share[:, None]
    retried = (rng.random((calls, endpoints)) < 0.4) & (rng.random(calls) < 0.3)[:, None]
    chosen = np.where((kind == CHANGE)[:, None], listed, retried)
    return History(
        kind=kind.astype(np.int64),
        now=np.floor(np.cumsum(rng.exponential(0.5, calls)) * 1e3) / 1e3,
        key=rng.integers(0, keys, calls),
        endpoint=rng.integers(0, endpoints, calls),
        rtt=rng.exponential(0.1, calls),
        chosen=chosen.astype(np.int64),
        busy=rng.integers(0, 4, (calls, endpoints)),
    )


def _unbound(*_: Any) -> Any:
    raise NotImplementedError


pick = done = on_endpoints = on_busy = _unbound


def run_history(state, rng, calls, ids, picked):
    """Make the calls; ``ids`` int64[3, E] is scratch, ``picked`` int64[H] takes the answers.

    Before a pick the balancer is told what is busy, where it wants to hear of it.
    """
    n = 0
    for i in range(len(calls.kind)):
        m = 0
        if calls.kind[i] == CHANGE:
            for e in range(calls.chosen.shape[1]):
                if calls.chosen[i, e] == 1:
                    ids[1, m] = e
                    m += 1
            on_endpoints(state, rng, ids[0, :n], ids[1, :m], calls.now[i])
            for k in range(m):
                ids[0, k] = ids[1, k]
            n = m
        elif calls.kind[i] == DONE:
            done(state, calls.endpoint[i], calls.now[i], calls.rtt[i], True)
        else:
            for k in range(n):
                if calls.chosen[i, k] == 1:
                    ids[2, m] = k
                    m += 1
            for k in range(n):
                on_busy(state, ids[0, k], calls.busy[i, k])
            picked[i] = pick(state, rng, calls.now[i], calls.key[i], calls.busy[i, :n], ids[2, :m])


def no_done(_state, _endpoint, _now, _rtt, _ok):
    """Stand in for a balancer without feedback."""


def no_change(_state, _rng, _old, _new, _now):
    """Stand in for a balancer that does not care about its list."""


def no_count(_state, _endpoint, _busy):
    """Stand in for a balancer that keeps no order by what is busy."""


INSPECTED: set[str] = set()
"""Balancers whose compiled code this process has looked at: what follows takes it as it is."""


def assert_compiled_agrees(
    balancer: Balancer,
    options: Mapping[str, Any],
    endpoints: Sequence[Endpoint],
    calls: History,
    monkeypatch: pytest.MonkeyPatch,
    folder: Path,
) -> np.ndarray:
    """Assert that plain Python and compiled code answer alike, bit for bit; return the picks.

    The state and the random stream are compared too, so every draw is. The compiled code must count
    no references, which would cost most of its speed.
    """
    monkeypatch.setenv("LBBENCH_CACHE_DIR", str(folder.parent / "compiled" / balancer.name))
    is_first = balancer.name not in INSPECTED
    if is_first:
        jit.forget()  # code from the disk cache cannot be inspected
    parts = {
        "pick": balancer.pick,
        "done": balancer.done or no_done,
        "on_endpoints": balancer.on_endpoints or no_change,
        "on_busy": balancer.on_busy or no_count,
    }
    answers = []
    for make in (jit.plain, jit.bind):
        state = balancer.state(balancer.options(options), endpoints)
        rng = stream(7, 0, "agreement", balancer.name)
        picked = np.full(len(calls.kind), -9)
        kernel, scratch = make(run_history, **parts), np.zeros((3, len(endpoints)), np.int64)
        with wrapping():
            kernel(state, rng, calls, scratch, picked)
        answers.append((state, rng, picked))
    if is_first and not jit.is_disabled():
        assert "NRT_incref" not in kernel.llvm()
        INSPECTED.add(balancer.name)
    (plain, plain_rng, plain_picked), (compiled, compiled_rng, compiled_picked) = answers
    np.testing.assert_array_equal(plain_picked, compiled_picked)
    for name, one, other in zip(plain._fields, plain, compiled, strict=True):
        assert one.dtype == other.dtype, name
        assert one.tobytes() == other.tobytes(), f"{name} differs"
    assert plain_rng.tobytes() == compiled_rng.tobytes()
    return plain_picked

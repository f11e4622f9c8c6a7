"""What tests of balancers share: recorded vectors, fed draws, and one walk, plain or compiled."""

from __future__ import annotations

import json
import types
from functools import cache
from pathlib import Path

import numpy as np

from lbbench.balancers.base import Endpoint
from lbbench.core import jit
from lbbench.core.rng import lua_random, stream, wrapping

GOLDEN = Path(__file__).parent / "golden"
NOBODY = np.zeros(0, np.int64)


@cache
def vectors(name: str):
    """Return the recorded vectors of ``golden/NAME.json``."""
    return json.loads((GOLDEN / f"{name}.json").read_text())


def with_globals(function, **names):
    """Return a copy of a production function that sees ``names`` instead of its own globals."""
    made = types.FunctionType(function.__code__, {**function.__globals__, **names})
    made.__defaults__ = function.__defaults__
    return made


class Fed:
    """A pick whose draws come from a recorded list; all must be used, none may be missing."""

    def __init__(self, pick) -> None:
        self.draws = []
        self.pick = with_globals(pick, lua_random=self._next)

    def _next(self, _rng, low, high):
        assert self.draws, "a draw more than the original took"
        draw = self.draws.pop(0)
        assert draw["args"] in ([low, high], [high] if low == 1 else None)
        if "u" in draw:
            formula = with_globals(lua_random, uniform=lambda _rng: draw["u"])
            assert formula(None, low, high) == draw["value"]
        return draw["value"]

    def __call__(self, state, now, key, tried, draws, *, n):
        """Return the production pick for exactly these draws."""
        self.draws = list(draws)
        place = self.pick(state, None, now, key, np.zeros(n, np.int64), np.array(tried, np.int64))
        assert not self.draws, "a draw fewer than the original took"
        return place


def listing(balancer, state, new, old=NOBODY):
    """Give ``state`` the endpoint list ``new`` (ids)."""
    with wrapping():
        balancer.on_endpoints(state, None, old, np.array(new, np.int64), 0.0)


def fresh(balancer, addresses, *, listed=None, weights=None, **options):
    """Return a state whose list is ``listed`` (ids; all when not given)."""
    weights = weights or [1] * len(addresses)
    endpoints = tuple(Endpoint(*pair) for pair in zip(addresses, weights, strict=True))
    state = balancer.state(balancer.options(options), endpoints)
    listing(balancer, state, range(len(addresses)) if listed is None else listed)
    return state


def choose(balancer, state, key, *, rng=None, now=0.0, tried=(), n=0):
    """Return one pick in plain Python."""
    busy = np.zeros(n, np.int64)
    with wrapping():
        return balancer.pick(state, rng, now, key, busy, np.array(tried, np.int64))


# --- one walk, plain or compiled ------------------------------------------------------------------


def cookie(state):
    """Return the cookie that the last pick set."""
    return state.set_cookie[0]


def no_cookie(state):  # noqa: ARG001
    """Stand in for balancers without cookies."""
    return -1


def pick(state, rng, now, key, busy, tried):
    """Stand in for the part that `bind` puts here."""


def on_endpoints(state, rng, old, new, now):
    """Stand in for the part that `bind` puts here."""


def walk(state, rng, lists, counts, keys, tried, n_tried, busy, out):
    """Pick for every key after every change of the list; out int64[2, steps, keys]."""
    old = lists[0, :0]
    for step in range(counts.size):
        new = lists[step, : counts[step]]
        on_endpoints(state, rng, old, new, 1.0 * step)
        for k in range(keys.size):
            now = step + k / 1000.0
            failed = tried[k, : n_tried[k]]
            out[0, step, k] = pick(state, rng, now, keys[k], busy[: counts[step]], failed)
            out[1, step, k] = cookie(state)
        old = new


def walked(kernel, balancer, n=7, picks=200, **options):
    """Run ``kernel`` over growing, shrinking and empty lists; return all that it changed."""
    addresses = [f"10.244.{i % 3}.{i}:8080" for i in range(n)]
    endpoints = tuple(Endpoint(address) for address in sorted(addresses))
    state = balancer.state(balancer.options(options), endpoints)
    source = np.random.default_rng(7)
    steps = [list(range(n)), [0, 2, 5], [], [4], list(range(1, n)), list(range(n))]
    lists = np.array([[*step, *[0] * (n - len(step))] for step in steps], np.int64)
    counts = np.array([len(step) for step in steps], np.int64)
    keys = source.integers(0, 2**32, picks)
    keys[::5] = -1 if balancer.cookies else 0
    if "code" in state._fields:
        keys[1::5] = source.choice(state.code, len(keys[1::5]))
    tried = source.integers(0, n, (picks, 3))
    n_tried = source.integers(0, 4, picks)
    rng = stream(1, 0, "test", balancer.name)
    busy = np.zeros(n, np.int64)
    out = np.zeros((2, len(steps), picks), np.int64)
    with wrapping():
        kernel(state, rng, lists, counts, keys, tried, n_tried, busy, out)
    return [out, rng, *state]


def kernels(balancer):
    """Return the walk with the balancer's parts: (plain Python, compiled, compiled and checked)."""
    parts = {
        "pick": balancer.pick,
        "on_endpoints": balancer.on_endpoints,
        "cookie": cookie if balancer.cookies else no_cookie,
    }
    checked = jit.bind(walk, options={"boundscheck": True}, **parts)
    return jit.plain(walk, **parts), jit.bind(walk, **parts), checked

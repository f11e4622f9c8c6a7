"""The conformance test: every built-in balancer passes, and each kind of fault is found."""

from __future__ import annotations

import textwrap
from pathlib import Path

import pytest

from lbbench.balancers.base import Endpoint, find, registry
from lbbench.errors import BalancerError
from lbbench.testing import Conformance, check_balancer

HEAD = """
import math
import random
from typing import NamedTuple

import numpy as np

from lbbench.balancers.base import Balancer
from lbbench.core.rng import uniform


class State(NamedTuple):
    ids: np.ndarray
    number: np.ndarray
    value: np.ndarray


def state(params, endpoints):
    n = len(endpoints)
    return State(np.zeros(n, np.int64), np.zeros(1, np.int64), np.zeros(n))


def on_endpoints(state, rng, old, new, now):
    for place in range(len(new)):
        state.ids[place] = new[place]


def pick(state, rng, now, key, busy, tried):
    return int(uniform(rng) * len(busy)) if len(busy) > 0 else -1


def done(state, endpoint, now, rtt, ok):
    state.value[endpoint] = rtt

"""
TAIL = """

mine = Balancer(name="mine", level="l7", summary="", source="", state=state, pick=pick,
                done=done, on_endpoints=on_endpoints, **MORE)
"""


@pytest.fixture(autouse=True, scope="module")
def own_cache(tmp_path_factory):
    """Keep compiled code out of the user's cache."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("LBBENCH_CACHE_DIR", str(tmp_path_factory.mktemp("cache")))
        yield


def checked(tmp_path: Path, body: str = "", more: str = "MORE = {}", **given) -> Conformance:
    """Check the balancer above with ``body`` in place of some of its functions."""
    path = tmp_path / "my_lb.py"
    text = HEAD + textwrap.dedent(body) + "\n" + more + TAIL
    path.write_text(text, encoding="utf-8")
    return check_balancer(f"{path}:mine", speed=False, **given)


TABLES = ("envoy_maglev", "maglev")
"""Large tables that plain Python fills anew at every change of the list: half a minute each."""

NAMES = [
    pytest.param(name, marks=[pytest.mark.long] * (name in TABLES)) for name in sorted(registry())
]


def test_a_pick_that_never_returns_is_ended(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """It is a failure with its line, and what needs a walk is not done."""
    monkeypatch.setattr("lbbench.testing.patience.LONGEST", 0.2)
    body = """
        def pick(state, rng, now, key, busy, tried):
            while True:
                state.number[0] += 0
        """
    found = checked(tmp_path, body)
    (failure, *others) = found.failures
    assert failure.name == "picks in range"
    assert "pick of balancer mine failed" in failure.detail
    assert "it has not returned for 0.2 s" in failure.detail
    assert [check.name for check in others] == []
    assert found.verdict("fixed shapes") == "not done"


def test_what_makes_twins_differ_is_told_once(tmp_path: Path):
    """A draw from elsewhere fails that check and the one that looks for it, no other."""
    body = """
        def pick(state, rng, now, key, busy, tried):
            return int(random.random() * len(busy)) if len(busy) > 0 else -1
        """
    found = checked(tmp_path, body)
    names = [check.name for check in found.failures]
    assert names == ["same draws, same picks", "nothing outside the state"]
    assert "two equal instances differ already" in str(found)


@pytest.mark.parametrize("compiled", [False, pytest.param(True, marks=pytest.mark.long)])
@pytest.mark.parametrize(
    "name",
    [
        pytest.param(name, marks=[pytest.mark.long] * (name in TABLES))
        for name in sorted(registry())
    ],
)
def test_every_built_in_balancer_is_sound(name: str, compiled: bool):
    """All that is in the registry passes each check, and each check is done.

    Compiling all of them takes some minutes: that is a long test.
    """
    found = check_balancer(name, speed=False, compiled=compiled)
    assert found.passed, str(found)
    left = [check.name for check in found.checks if check.verdict == "not done"]
    numbered = ["ids and positions"] if name.startswith("haproxy_") else []
    assert left == [*numbered, *([] if compiled else ["compiled = plain Python", "array bounds"])]


@pytest.mark.parametrize("name", ["iptables", "nginx_least_conn", "sticky_balanced"])
def test_other_seeds_and_sizes_are_sound_too(name: str):
    """The script's seed, the number of endpoints and their weights are the caller's."""
    for given in ({"seed": 7, "endpoints": 3}, {"endpoints": 33}, {"endpoints": 1}):
        assert check_balancer(name, speed=False, **given).passed
    weighed = [Endpoint(f"10.0.0.{i}:80", 5 - i) for i in range(5)]
    assert check_balancer(find(name), endpoints=weighed, picks=10, speed=False).passed


def test_the_model_of_the_faults_is_sound(tmp_path: Path):
    """Without a fault, each check of the balancer of this file passes."""
    found = checked(tmp_path)
    assert {check.verdict for check in found.checks} == {"pass"}, str(found)
    assert found.raise_if_failed() is found


FAULTS = {
    "an id in place of a position": (
        "picks in range",
        """
        def pick(state, rng, now, key, busy, tried):
            return state.ids[0] if len(busy) > 0 else -1
        """,
        "returned 11: it must be a position in its list of 1, 0 to 0, or -1 for none",
    ),
    "not -1 for none": (
        "picks in range",
        """
        def pick(state, rng, now, key, busy, tried):
            return 0
        """,
        "returned 0: it must be -1, for its list is empty",
    ),
    "an error": (
        "picks in range",
        """
        def pick(state, rng, now, key, busy, tried):
            return 0 if busy[7] > 0 else 1
        """,
        "pick of balancer mine failed: IndexError",
    ),
    "no whole number": (
        "picks in range",
        """
        def pick(state, rng, now, key, busy, tried):
            return 0.0 if len(busy) > 0 else -1
        """,
        "returned 0.0",
    ),
    "tried not looked at for none": (
        "picks in range",
        """
        def pick(state, rng, now, key, busy, tried):
            return tried[0] if len(busy) > 0 else -1
        """,
        "IndexError",
    ),
    "one endpoint forgotten": (
        "few endpoints",
        """
        def state(params, endpoints):
            assert len(endpoints) != 1, "two at least"
            n = len(endpoints)
            return State(np.zeros(n, np.int64), np.zeros(1, np.int64), np.zeros(n))
        """,
        "two at least",
    ),
    "writes busy": (
        "picks in range",
        """
        def pick(state, rng, now, key, busy, tried):
            for i in range(len(busy)):
                busy[i] = 0
            return len(busy) - 1
        """,
        "read-only",
    ),
    "keeps new": (
        "keeps no argument",
        """
        KEPT = {}

        def on_endpoints(state, rng, old, new, now):
            KEPT[id(state)] = new

        def pick(state, rng, now, key, busy, tried):
            return int(KEPT[id(state)].sum()) % len(busy) if len(busy) > 0 else -1
        """,
        "it keeps busy, tried, old or new",
    ),
    "another generator": (
        "nothing outside the state",
        """
        def pick(state, rng, now, key, busy, tried):
            return int(random.random() * len(busy)) if len(busy) > 0 else -1
        """,
        "it draws from random",
    ),
    "a generator of its own": (
        "same draws, same picks",
        """
        OWN = np.random.default_rng()

        def pick(state, rng, now, key, busy, tried):
            return int(OWN.random() * len(busy)) if len(busy) > 0 else -1
        """,
        "two equal instances differ",
    ),
    "a global": (
        "nothing outside the state",
        """
        TURN = [0]

        def pick(state, rng, now, key, busy, tried):
            TURN[0] += 1
            return TURN[0] % len(busy) if len(busy) > 0 else -1
        """,
        "changes its global TURN",
    ),
    "one array for all": (
        "state",
        """
        ALL = np.zeros(100)

        def state(params, endpoints):
            return State(np.zeros(len(endpoints), np.int64), np.zeros(1, np.int64), ALL)
        """,
        "share an array",
    ),
    "ids and positions mixed": (
        "ids and positions",
        """
        def pick(state, rng, now, key, busy, tried):
            best = -1
            for place in range(len(busy)):
                if best < 0 or state.value[place] < state.value[best]:
                    best = place
            return best
        """,
        "never listed change its picks",
    ),
    "another shape": (
        "fixed shapes",
        """
        def on_endpoints(state, rng, old, new, now):
            state.number.resize(len(new) + 1, refcheck=False)
        """,
        "field number changes its shape",
    ),
    "an index that only compiled code has": (
        "array bounds",
        """
        def pick(state, rng, now, key, busy, tried):
            if len(busy) == 0:
                return -1
            high = int(key) * 6364136223846793005 >> 62
            state.value[0 if high > 1 or key < 8 else 99] = 1.0
            return len(busy) - 1
        """,
        "compiled code leaves an array",
    ),
    "no pick at all": (
        "picks in range",
        """
        def pick(state, rng, now, key, busy, tried):
            return -1
        """,
        "every pick is -1, though there were endpoints",
    ),
    "an integer that overflows": (
        "compiled = plain Python",
        """
        def pick(state, rng, now, key, busy, tried):
            n = len(busy)
            big = int(key) * 6364136223846793005 + 1442695040888963407
            return (big >> 40) % n if n > 0 else -1
        """,
        "plain Python and compiled code differ",
    ),
}


@pytest.mark.parametrize("fault", FAULTS)
def test_a_fault_is_found(tmp_path: Path, fault: str, monkeypatch: pytest.MonkeyPatch):
    """Each fault fails the check that is made for it, in a sentence, and is raised when asked."""
    check, body, sentence = FAULTS[fault]
    if check not in ("compiled = plain Python", "array bounds"):
        monkeypatch.setenv("NUMBA_DISABLE_JIT", "1")
    found = checked(tmp_path, body)
    failed = {item.name: item.detail for item in found.failures}
    assert check in failed, str(found)
    assert sentence in failed[check]
    with pytest.raises(BalancerError, match="balancer mine is not sound"):
        found.raise_if_failed()


def test_a_fault_names_file_line_and_function(tmp_path: Path):
    """The place is that of the line which fails, not that of the call."""
    body = """
        def helper(busy):
            return busy[99]  # here

        def pick(state, rng, now, key, busy, tried):
            return helper(busy)
        """
    found = checked(tmp_path, body)
    text = (tmp_path / "my_lb.py").read_text(encoding="utf-8")
    line = next(i for i, row in enumerate(text.splitlines(), 1) if row.endswith("# here"))
    assert f"my_lb.py:{line}: helper of balancer mine failed" in found.failures[0].detail


def test_what_cannot_be_compiled_is_not_done(tmp_path: Path):
    """A dict inside is no fault: the check of compiled code says where and why it is left out."""
    body = """
        class Turn:
            def __init__(self):
                self.turn = 0

        def state(params, endpoints):
            return {"turn": 0}

        def on_endpoints(state, rng, old, new, now):
            state["n"] = len(new)

        def done(state, endpoint, now, rtt, ok):
            state[endpoint] = rtt

        def pick(state, rng, now, key, busy, tried):
            state["turn"] += 1
            return state["turn"] % len(busy) if len(busy) > 0 else -1
        """
    found = checked(tmp_path, body)
    assert found.passed, str(found)
    assert found.verdict("compiled = plain Python") == "not done"
    assert "is a dict" in str(found)
    assert "compiled = False" in str(checked(tmp_path, body, "MORE = {'compiled': False}"))


def test_what_numba_refuses_is_told_with_its_line(tmp_path: Path):
    """A state of arrays with a function that numba lacks: the line in the user's file."""
    body = """
        def pick(state, rng, now, key, busy, tried):
            names = {place: str(place) for place in range(len(busy))}
            return int(max(names.values(), key=len)) if len(busy) > 0 else -1
        """
    found = checked(tmp_path, body)
    detail = next(item.detail for item in found.checks if item.name == "compiled = plain Python")
    assert found.passed, str(found)
    assert "my_lb.py:" in detail
    assert "pick cannot be compiled" in detail


def test_speed_is_told_and_not_judged():
    """Two sizes, in nanoseconds, always a pass."""
    told = [check for check in check_balancer("random").checks if check.name.startswith("speed")]
    assert [check.verdict for check in told] == ["pass", "pass"]
    assert all("ns per pick" in check.detail and "compiled" in check.detail for check in told)


def test_options_are_checked():
    """An option that the balancer lacks is an error of the caller's, not a failed check."""
    with pytest.raises(BalancerError, match="no option"):
        check_balancer("random", options={"depth": 3})
    assert check_balancer("p2c", options={"choices": 3}, speed=False).passed

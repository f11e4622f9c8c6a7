"""What instances of a balancer have in common is common, and the rest is each worker's own."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Any, NamedTuple

import numpy as np
import pytest
from feeding import worker_of
from hypothesis import given, settings
from hypothesis import strategies as st

from lbbench.balancers.base import Balancer, Endpoint, registry
from lbbench.core.rng import stream, wrapping

E = 5
ENDPOINTS = tuple(Endpoint(f"10.244.{i % 2}.{i}:8080") for i in range(E))
SHARED = sorted(
    name for name, item in registry().items() if item.scope == "shared" and item.sees == "own"
)
VARIANTS = [
    *[(name, {}) for name in SHARED],
    ("azure_lb", {"mapping": "rendezvous"}),
    ("azure_lb", {"mapping": "maglev", "table": 31}),
    ("sticky_balanced", {"change_on_failure": True}),
    ("sticky_persistent", {"change_on_failure": True}),
]

DICTIONARIES = ("value", "touched", "known")  # what ewma keeps in shared memory

numbers = st.integers(0, E - 1)
calls = st.lists(
    st.tuples(
        st.integers(0, 1),  # which worker
        st.one_of(
            st.tuples(st.just("list"), st.sets(numbers)),
            st.tuples(st.just("pick"), st.integers(-1, 2**32 - 1), st.sets(numbers)),
            st.tuples(st.just("cookie"), numbers, st.sets(numbers)),
            st.tuples(st.just("done"), numbers, st.floats(0.0, 9.0)),
        ),
    ),
    min_size=1,
    max_size=25,
)


class Worker:
    """One instance: its state, list and stream."""

    def __init__(self, balancer: Balancer, state: Any, name: str) -> None:
        self.balancer = balancer
        self.state = state
        self.rng = stream(1, 0, "test", name)
        self.listed = np.zeros(0, np.int64)

    def call(self, what: Sequence[Any], now: float) -> int | None:
        """Make one call; return what a pick returned."""
        if what[0] == "list":
            new = np.array(sorted(what[1]), np.int64)
            if self.balancer.on_endpoints is not None:
                self.balancer.on_endpoints(self.state, self.rng, self.listed, new, now)
            self.listed = new
            return None
        if what[0] == "done":
            if self.balancer.done is not None:
                self.balancer.done(self.state, what[1], now, what[2], True)
            return None
        key = what[1]
        if what[0] == "cookie":  # one that the balancer knows, where it knows some
            key = int(self.state.code[key]) if "code" in self.state._fields else key
        tried = np.array(sorted(i for i in what[2] if i < len(self.listed)), np.int64)
        busy = np.zeros(len(self.listed), np.int64)
        if not self.balancer.cookies:
            key = max(key, 0)
        return int(self.balancer.pick(self.state, self.rng, now, key, busy, tried))


class Snapshot(NamedTuple):
    """The bytes of some fields of a state."""

    fields: dict[str, bytes]

    @classmethod
    def of(cls, state: Any, names: Iterator[str] | Sequence[str]) -> Snapshot:
        """Copy these fields."""
        return cls({name: getattr(state, name).tobytes() for name in names})


def made(name: str, options: dict[str, Any]) -> tuple[Balancer, Callable[[], Any]]:
    """Return a balancer and a maker of its states."""
    balancer = registry()[name]
    chosen = balancer.options(options)
    return balancer, lambda: balancer.state(chosen, ENDPOINTS)


@pytest.mark.parametrize("name", sorted(registry()))
def test_what_is_named_common_exists_and_fits_the_scope(name: str):
    """Fields of the state; none where an instance is alone, some where all are one function."""
    balancer, make = made(name, {})
    assert set(balancer.common) <= set(make()._fields)
    if name in SHARED:
        assert balancer.common
    if balancer.scope in {"worker", "node"}:
        assert not balancer.common
    assert "set_cookie" not in balancer.common


@pytest.mark.parametrize(("name", "options"), VARIANTS)
@given(history=calls)
@settings(deadline=None, max_examples=50)
def test_common_fields_of_a_function_are_never_written(
    name: str, options: dict[str, Any], history: list[Any]
):
    """Not by another list, a pick or an answer: the arrays are read-only here, and stay equal."""
    balancer, make = made(name, options)
    worker = Worker(balancer, make(), "alone")
    before = Snapshot.of(worker.state, balancer.common)
    for field in balancer.common:
        getattr(worker.state, field).setflags(write=False)
    with wrapping():
        for k, (_, what) in enumerate(history):
            worker.call(what, k / 8)
    assert Snapshot.of(worker.state, balancer.common) == before


@pytest.mark.parametrize(("name", "options"), VARIANTS)
@given(history=calls)
@settings(deadline=None, max_examples=50)
def test_workers_with_common_fields_answer_as_if_alone(
    name: str, options: dict[str, Any], history: list[Any]
):
    """Two workers with lists of their own over common arrays: each picks as with all for itself."""
    balancer, make = made(name, options)
    first = make()
    together = [Worker(balancer, worker_of(first, balancer.common), f"w{i}") for i in (0, 1)]
    alone = [Worker(balancer, make(), f"w{i}") for i in (0, 1)]
    with wrapping():
        for k, (who, what) in enumerate(history):
            assert together[who].call(what, k / 8) == alone[who].call(what, k / 8)


@given(history=calls)
@settings(deadline=None, max_examples=100)
def test_a_worker_of_ewma_leaves_the_others_own_fields_alone(history: list[Any]):
    """Only value, touched and known of another worker change; its list, scores and scratch stay."""
    balancer, make = made("ewma", {})
    shared = make()
    workers = [Worker(balancer, worker_of(shared, balancer.common), f"w{i}") for i in (0, 1)]
    own = [name for name in shared._fields if name not in DICTIONARIES]
    with wrapping():
        for k, (who, what) in enumerate(history):
            other = workers[1 - who]
            before = Snapshot.of(other.state, own)
            workers[who].call(what, k / 8)
            assert Snapshot.of(other.state, own) == before
            assert Snapshot.of(other.state, DICTIONARIES) == Snapshot.of(
                workers[who].state, DICTIONARIES
            )

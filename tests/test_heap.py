"""The event heap gives events back in the order of (time, order)."""

from __future__ import annotations

import heapq

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from lbbench.core.heap import heap_pop, heap_push
from lbbench.core.jit import bind, forget

ROOM = 200

times_with_ties = st.one_of(
    st.integers(0, 4).map(lambda i: i / 1024), st.floats(0, 1e9, allow_nan=False)
)


def new_heap(room: int = ROOM):
    return np.zeros(room), np.zeros(room, np.int64), np.zeros(room, np.int64)


def drained(times, orders, payload, size):
    out = []
    while size:
        out.append((float(times[0]), int(orders[0]), int(payload[0])))
        size = heap_pop(times, orders, payload, size)
    return out


@given(st.lists(times_with_ties, max_size=ROOM), st.randoms(use_true_random=False))
def test_events_come_out_sorted(keys, random):
    """Whatever the order of insertion, removal gives (time, order) ascending with its payload."""
    orders = list(range(len(keys)))
    random.shuffle(orders)
    heap = new_heap()
    size = 0
    for t, o in zip(keys, orders, strict=True):
        size = heap_push(*heap, size, t, o, 7 * o)
    assert size == len(keys)
    assert drained(*heap, size) == sorted((t, o, 7 * o) for t, o in zip(keys, orders, strict=True))


@given(st.lists(st.one_of(st.none(), times_with_ties), max_size=ROOM))
def test_pushes_and_pops_in_any_mixture_agree_with_heapq(steps):
    """At every moment the root is heapq's, with pushes and removals mixed (None removes)."""
    heap = new_heap()
    size = 0
    model: list[tuple[float, int, int]] = []
    for number, step in enumerate(steps):
        if step is not None:
            size = heap_push(*heap, size, step, -number, number)
            heapq.heappush(model, (step, -number, number))
        elif model:
            heapq.heappop(model)
            size = heap_pop(*heap, size)
        assert size == len(model)
        if model:
            assert (heap[0][0], heap[1][0], heap[2][0]) == model[0]


def test_equal_times_are_told_apart_by_order_alone():
    """Simultaneous events come out by their order, also at the extremes of int64."""
    heap = new_heap()
    size = 0
    keys = [5, -(2**63), 2**63 - 1, 0, -1, 1]
    for o in keys:
        size = heap_push(*heap, size, 0.5, o, 0)
    assert [o for _, o, _ in drained(*heap, size)] == sorted(keys)


def _run(times, orders, payload, keys, out):
    size = 0
    for i in range(keys.size):
        size = push(times, orders, payload, size, keys[i], keys.size - i, i)  # noqa: F821
        if i % 3 == 2:
            out[i] = payload[0]
            size = pop(times, orders, payload, size)  # noqa: F821
    return size


def test_compiled_heap_does_what_plain_python_does():
    """Compiled, the heap holds the same entries at the same places after the same steps."""
    keys = np.floor(np.random.default_rng(1).exponential(size=2_000) * 64) / 1024
    results = []
    for run in (bind(_run, push=heap_push, pop=heap_pop), _plain):
        heap, out = new_heap(len(keys)), np.zeros(len(keys), np.int64)
        size = run(*heap, keys, out)
        results.append((size, *(column[:size].tolist() for column in heap), out.tolist()))
    assert results[0] == results[1]


def _plain(times, orders, payload, keys, out):
    size = 0
    for i, key in enumerate(keys):
        size = heap_push(times, orders, payload, size, key, len(keys) - i, i)
        if i % 3 == 2:
            out[i] = payload[0]
            size = heap_pop(times, orders, payload, size)
    return size


def test_compiled_heap_counts_no_references(tmp_path, monkeypatch):
    """The compiled loop holds no reference counting, which costs more than the heap itself."""
    monkeypatch.setenv("LBBENCH_CACHE_DIR", str(tmp_path))  # loaded code cannot be inspected
    forget()  # code from the disk cache cannot be inspected
    run = bind(_run, push=heap_push, pop=heap_pop)
    heap = new_heap(8)
    run(*heap, np.array([2.0, 1.0, 3.0]), np.zeros(3, np.int64))
    if hasattr(run.function, "inspect_llvm"):
        assert "NRT_incref" not in run.llvm()

"""What a completed request counts, part by part."""

from __future__ import annotations

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from lbbench.core.histogram import HIGHEST_NS, coarse_index, fine_index
from lbbench.core.jit import bind
from lbbench.engines.counters import new_counters, tally_of
from lbbench.engines.recording import count_completed
from lbbench.engines.timing import nanoseconds
from lbbench.model.tally import STAGES

SETTLED = 3

seconds = st.one_of(st.just(0.0), st.floats(0.0, 1e-6), st.floats(0.0, 2.0), st.just(4000.0))
requests = st.lists(
    st.tuples(
        st.integers(0, 5),  # segment
        st.integers(0, 1),  # window
        st.integers(0, 1),  # node
        st.integers(0, 2),  # worker
        st.integers(0, 2),  # pod
        st.lists(seconds, min_size=7, max_size=7),  # in the order of STAGES
    ),
    max_size=8,
)


def empty():
    return new_counters(nodes=2, replicas=1, workers=3, pods=3, windows=2, by_pod=True)


def _count(c, segment, window, node, worker, pod, latency, parts):
    for i in range(latency.size):
        p = parts[i]
        count_completed(
            c, segment[i], settled, window[i], node[i], worker[i], pod[i],  # noqa: F821
            latency[i],
            p[0], p[1], p[3], p[4], p[5], p[6],
        )  # fmt: skip


@given(drawn=requests)
def test_every_part_is_counted_at_its_place(drawn):
    """Sums by segment, places from the settled segment on; the network has what is left."""
    c = empty()
    y = tally_of(c, np.zeros(3, np.int64))
    sums, places = np.zeros_like(y.part_sum), np.zeros_like(y.part_counts)
    by_pod, latencies = np.zeros_like(y.pod_latency_counts), np.zeros_like(y.latency_counts)
    windows, clamped = np.zeros_like(y.window_counts), np.zeros_like(y.clamped)
    node_flow, pod_flow = np.zeros_like(y.node_flow), np.zeros_like(y.pod_flow)
    for segment, window, node, worker, pod, parts in drawn:
        node_flow[node, worker] += 1
        pod_flow[worker, pod] += 1
        latency = sum(parts)
        others = parts[:2] + parts[3:]
        count_completed(c, segment, SETTLED, window, node, worker, pod, latency, *others)
        ns = round(latency * 1e9)
        clamped[segment] += ns > HIGHEST_NS
        whole = [round(part * 1e9) for part in parts]
        whole[2] = ns - sum(whole[:2] + whole[3:])
        sums[:, segment] += whole
        latencies[segment, fine_index(ns)] += 1
        windows[window, coarse_index(ns)] += 1
        if segment >= SETTLED:
            by_pod[pod, coarse_index(ns)] += 1
            for k in range(len(STAGES)):
                places[k, coarse_index(whole[k])] += 1
    assert (y.part_sum == sums).all()
    assert (y.node_flow == node_flow).all()
    assert (y.pod_flow == pod_flow).all()
    assert (y.part_counts == places).all()
    assert (y.pod_latency_counts == by_pod).all()
    assert (y.latency_counts == latencies).all()
    assert (y.window_counts == windows).all()
    assert (y.clamped == clamped).all()
    assert (y.part_sum.sum(axis=0) == y.latency_sum).all()
    assert y.pod_completed.sum() == y.completed.sum() == len(drawn)


def test_compiled_counting_is_the_plain_one():
    """Both engines count 400 requests into the same bytes."""
    stream = np.random.default_rng(1)
    n = 400
    parts = stream.exponential(0.01, (n, 7)) * (stream.random((n, 7)) < 0.6)
    segment, window = np.sort(stream.integers(0, 6, n)), stream.integers(0, 2, n)
    way = stream.integers(0, 2, n), stream.integers(0, 3, n), stream.integers(0, 3, n)
    args = segment, window, *way, parts.sum(axis=1), parts
    compiled, plain = empty(), empty()
    bind(_count, count_completed=count_completed, settled=SETTLED)(compiled, *args)
    for i in range(n):
        p = parts[i]
        place = segment[i], SETTLED, window[i], *(numbers[i] for numbers in way)
        count_completed(plain, *place, args[5][i], *p[:2], *p[3:])
    assert all(a.tobytes() == b.tobytes() for a, b in zip(compiled, plain, strict=True))


def _whole(seconds, found):
    for i in range(seconds.size):
        found[i] = nanoseconds(seconds[i])


@settings(deadline=None)  # the first example compiles
@given(st.lists(st.one_of(seconds, st.integers(0, 2**40).map(lambda k: k / 2e9)), min_size=1))
def test_nanoseconds_go_to_the_even_one(times):
    """Compiled and plain: the nearest whole number of the product, ties to even."""
    values = np.array(times)
    found = np.zeros(len(times), np.int64)
    bind(_whole)(values, found)
    expected = [round(time * 1e9) for time in times]
    assert found.tolist() == expected == [int(nanoseconds(time)) for time in times]

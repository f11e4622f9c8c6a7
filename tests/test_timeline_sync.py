"""The ingress controller: when a change of the list in the API reaches each worker."""

import math
from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from living import is_uniform, life, track, uniforms, views

from lbbench.engines.script import WORKER_VIEW
from lbbench.engines.timeline.sync import POST, SETTLED, posts, replica_views, taken

FOREVER = (-math.inf, math.inf)


def posted(lists, rate, span=FOREVER):
    """Return (time, list) of what a controller posts."""
    return [(post.at, post.listed) for post in posts(lists, *span, rate)]


def took(lists, phase, *, rate="unlimited", interval=1.0, old=False):
    """Return (time, list) of what a worker with a phase takes up."""
    found = taken(
        posts(lists, *FOREVER, rate),
        first=lists.values[0],
        seen=SETTLED,
        phase=phase,
        interval=interval,
        end=math.inf,
        compares=not old,
        keeps_old=old,
    )
    return [(post.at, post.listed) for post in found]


def counting(*times):
    """Return lists that get one more pod at each time."""
    return track((), *((time, tuple(range(i + 1))) for i, time in enumerate(times)))


def test_the_bucket_holds_one_token_and_is_full_at_the_start():
    """0.3 per second: the first sync at once, the second 1 / 0.3 s later, then again at once."""
    found = posted(counting(0.0, 1.0, 10.0), 0.3)
    assert [time for time, _ in found] == [POST, 1 / 0.3 + POST, 10.0 + POST]


def test_a_sync_posts_the_list_as_it_is_then():
    """Changes that wait for the same token are posted as one."""
    found = posted(counting(0.0, 1.0, 2.0, 3.0, 4.0), 0.3)
    assert [listed for _, listed in found] == [(0,), (0, 1, 2, 3), (0, 1, 2, 3, 4)]
    assert found[2][0] == 1 / 0.3 + 1 / 0.3 + POST


def test_without_a_limit_a_change_is_posted_at_once():
    """Only the post before it may be in the way."""
    found = posted(counting(1.0, 1.002, 2.0), "unlimited")
    assert [time for time, _ in found] == [1.0 + POST, 1.0 + POST + POST, 2.0 + POST]


def test_there_and_back_while_waiting_is_not_posted():
    """A sync that finds what was posted before posts nothing, but its token is spent."""
    lists = track((0,), (1.0, (0, 1)), (2.0, (0,)), (3.0, (0, 1)), (5.5, (0,)))
    found = posted(lists, 0.25)
    assert found == [(1.0 + POST, (0, 1)), (9.0 + POST, (0,))]


def test_a_wait_under_continuous_change_is_uniform():
    """A change at a uniform time after a sync waits for the rest of 1 / rate."""
    waits = []
    for u in uniforms(1000):
        at = 100.0 + u / 0.3
        waits.append(posted(counting(100.0, at), 0.3)[1][0] - POST - at)
    assert is_uniform(waits, -1e-9, 1 / 0.3)


@settings(max_examples=200, deadline=None)
@given(
    gaps=st.lists(st.sampled_from([0.001, 0.2, 1.0, 3.0, 10.0]), min_size=1, max_size=30),
    lists=st.lists(st.sets(st.integers(0, 2)), min_size=30, max_size=30),
    rate=st.sampled_from([0.3, 1.0, 50.0, 1000.0, "unlimited"]),
)
def test_posts_are_apart_and_the_last_is_the_list(gaps, lists, rate):
    """At most one token per 1 / rate; a post is the list of its time, never the same again."""
    time = 5.0
    changes = []
    for gap, numbers in zip(gaps, lists, strict=False):
        time += gap
        changes.append((time, tuple(sorted(numbers))))
    api = track((0,), *changes)
    found = posted(api, rate)
    gap = POST if rate == "unlimited" else max(POST, 1 / rate)
    times = [time for time, _ in found]
    assert all(b - a >= gap - 1e-9 for a, b in pairwise(times))
    for time, listed in found:  # a change at that very time may be in it or not
        assert listed in (api.at(time - POST - 1e-9), api.at(time - POST + 1e-9))
    seen = [(0,), *(listed for _, listed in found)]
    assert all(a != b for a, b in pairwise(seen))
    assert seen[-1] == api.last
    assert not times or times[-1] <= api.times[-1] + gap + POST + 1e-9


def test_workers_take_it_up_at_their_ticks():
    """Phase 0.25 and interval 1 s: a post at 10.005 is seen at 10.25."""
    assert took(counting(10.0), 0.25) == [(10.25, (0,))]
    assert took(counting(10.3), 0.25) == [(11.25, (0,))]
    assert took(counting(10.0), 0.25, interval=4.0) == [(12.25, (0,))]


def test_the_whole_second_trap():
    """Two posts in one second with a worker's tick between them: it misses the second.

    It sees the list of 10.705 only with the next post, at 20.005. A worker whose tick is after both
    saw it before, and so does one that compares nothing.
    """
    lists = counting(10.2, 10.7, 20.0)
    assert took(lists, 0.5) == [(10.5, (0,)), (20.5, (0, 1, 2))]
    assert took(lists, 0.9) == [(10.9, (0, 1)), (20.9, (0, 1, 2))]
    assert took(lists, 0.5, old=True) == [(10.5, (0,)), (11.5, (0, 1)), (20.5, (0, 1, 2))]


def test_posts_in_different_seconds_are_all_seen():
    """The same gap across a second's edge is no trap."""
    assert took(counting(10.7, 11.2), 0.9) == [(10.9, (0,)), (11.9, (0, 1))]


def test_a_post_in_the_first_second_differs_from_the_settled_list():
    """What the workers had before the run was posted before it."""
    assert took(counting(0.2), 0.5) == [(0.5, (0,))]


def test_workers_before_0_23_keep_their_endpoints_when_the_list_is_empty():
    """They go on with pods that are gone; today's workers have none and answer 503."""
    lists = track((0, 1), (10.0, ()), (20.0, (2,)))
    assert took(lists, 0.5) == [(10.5, ()), (20.5, (2,))]
    assert took(lists, 0.5, old=True) == [(20.5, (2,))]


def test_the_lag_of_a_worker_is_uniform_in_its_interval():
    """After quiet: the post, then U(0, interval) until the worker's tick."""
    up = track(True)
    found = replica_views(
        counting(10.0),
        up,
        range(1000),
        [2.0 * u for u in uniforms(1000)],
        rate=0.3,
        interval=2.0,
        release="current",
        horizon=100.0,
    )
    assert is_uniform([view.step.time - 10.0 - POST for view in found], 0.0, 2.0)


def test_a_replica_on_a_dead_node_does_nothing_and_boots_with_the_present_list():
    """Its workers begin with what the API lists at the boot, and go on from there."""
    found = replica_views(
        track((0, 1), (50.0, (1,)), (60.0, (1, 2)), (70.0, (1, 2, 3))),
        track(True, (50.001, False), (65.25, True)),
        [4, 5],
        [0.5, 0.75],
        rate="unlimited",
        interval=1.0,
        release="current",
        horizon=100.0,
    )
    seen = sorted((view.step.time, view.step.a, view.step.listed) for view in found)
    both = [(65.25, 4, (1, 2)), (65.25, 5, (1, 2))]
    assert seen == [*both, (70.5, 4, (1, 2, 3)), (70.75, 5, (1, 2, 3))]


def test_the_first_sync_after_a_boot_takes_the_token():
    """The next change waits for 1 / rate from the boot."""
    found = posted(counting(10.0, 66.0), 0.25, (65.0, math.inf))
    assert found == [(69.0 + POST, (0, 1))]


def test_a_worker_that_dies_before_its_tick_has_seen_nothing():
    """The post was made, the tick never came."""
    found = replica_views(
        counting(40.0),
        track(True, (40.2, False)),
        [0],
        [0.5],
        rate="unlimited",
        interval=1.0,
        release="current",
        horizon=100.0,
    )
    assert found == []


@pytest.mark.parametrize("release", ["current", "0.21"])
def test_scale_to_0_empties_the_workers_lists_unless_they_are_old(release):
    """In a whole life: the list of every worker of every replica."""
    found = life({"at": "50s", "scale": {"pods": 0}}, stages={"ingress": {"release": release}})
    ends = {worker: listed for _, worker, listed in views(found, WORKER_VIEW)}
    assert ends == ({} if release == "0.21" else dict.fromkeys(range(12), ()))

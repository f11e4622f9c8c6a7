"""kube-proxy: what each node's rules list, and when they follow the API."""

from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from living import is_uniform, track

from lbbench.core.rng import stream, wrapping
from lbbench.engines.timeline.cluster import Endpoints
from lbbench.engines.timeline.policy import NodeRules, Policy
from lbbench.engines.timeline.rules import RULE_COST, SYNC_PERIOD, WATCH_DELAY, node_rules

ZONES = ("1", "1", "2", "3")
WHERE = (0, 0, 1, 2)  # the node of each of four targets
HORIZON = 10_000.0


def policy(zones=ZONES, *, local=False, topology="none"):
    """Return how nodes choose among four targets on three of four nodes."""
    return Policy(WHERE, zones, local=local, topology=topology)


@pytest.mark.parametrize(
    ("ready", "draining", "node", "rules"),
    [
        ((0, 1, 2), (), 0, NodeRules((0, 1), ready_here=True)),
        ((0, 1, 2), (), 1, NodeRules((2,), ready_here=True)),
        ((0, 1, 2), (), 2, NodeRules((), drops=True)),
        ((0, 2), (1,), 0, NodeRules((0,), ready_here=True)),
        ((2,), (1,), 0, NodeRules((1,))),
        ((), (1,), 0, NodeRules((1,))),
        ((), (1,), 3, NodeRules((), drops=True)),
        ((), (), 0, NodeRules(())),
    ],
)
def test_local_lists_what_is_here(ready, draining, node, rules):
    """Ready pods of the node; else those that drain. Probes count ready ones only.

    Without one here packets are dropped if the Service has an endpoint somewhere, else rejected.
    """
    assert policy(local=True).rules(Endpoints(ready, draining), node) == rules


@pytest.mark.parametrize(
    ("ready", "draining", "listed"),
    [((0, 2), (1,), (0, 2)), ((), (1, 3), (1, 3)), ((), (), ())],
)
def test_cluster_lists_everybody(ready, draining, listed):
    """Terminating endpoints stand in only when there is no ready one; nothing at all rejects."""
    for node in range(4):
        assert policy().rules(Endpoints(ready, draining), node) == NodeRules(listed)


@pytest.mark.parametrize(
    ("topology", "ready", "node", "listed"),
    [
        ("zone", (0, 2, 3), 0, (0, 2, 3)),  # target 3 has no zone below
        ("zone", (0, 2), 0, (0,)),
        ("zone", (0, 2), 2, (0, 2)),  # no target in zone 3
        ("zone", (0, 2), 1, (2,)),
        ("node", (0, 1, 2, 3), 0, (0, 1)),
        ("node", (2, 3), 2, (3,)),
        ("node", (0, 2), 3, (2,)),  # none on node 3: its zone
        ("node", (0, 3), 3, (0, 3)),  # a target without a zone: everybody
    ],
)
def test_topology_keeps_traffic_near(topology, ready, node, listed):
    """The node, else the zone, else everybody; one endpoint without a zone ends zones for all."""
    zones = ("1", "2", "", "2")
    found = policy(zones, topology=topology).rules(Endpoints(ready, ()), node)
    assert found == NodeRules(listed)


def test_terminating_endpoints_know_no_topology():
    """The fallback is everything that still serves."""
    found = policy(topology="zone").rules(Endpoints((), (0, 2)), 0)
    assert found == NodeRules((0, 2))


def installs(lists, *, up=None, min_sync_period=1.0, name="a", horizon=HORIZON):
    """Return (time, list) of every change of one node's rules."""
    with wrapping():
        found = node_rules(
            lists,
            up or track(True),
            policy(),
            0,
            rng=stream(1, 0, "tests", name),
            min_sync_period=min_sync_period,
            horizon=horizon,
        )
    return [(time, rules.listed) for time, rules, _ in found.changes()]


def cost(listed):
    """Return how long a restore takes, two rules for each endpoint."""
    return 2 * RULE_COST * len(listed)


def test_a_change_after_quiet_is_there_after_the_watch_delay():
    """Without a sync shortly before it takes U(0, 0.1 s) and the restore."""
    lists = track(Endpoints((0,), ()), (100.0, Endpoints((0, 1, 2), ())))
    found = [installs(lists, name=f"node-{i}", min_sync_period=0.0) for i in range(1000)]
    assert all([listed for _, listed in item] == [(0, 1, 2)] for item in found)
    assert is_uniform([item[0][0] - 100.0 - cost((0, 1, 2)) for item in found], 0.0, WATCH_DELAY)


def test_a_periodic_sync_just_before_delays_it():
    """With T between syncs a change waits for T after the periodic sync if that was less ago.

    The periodic sync is at a uniform phase of 30 s: the node waits with chance T / 30, then U(0, T)
    (the watch delay of at most 0.1 s blurs that at both ends).
    """
    lists = track(Endpoints((0,), ()), (100.0, Endpoints((0, 1), ())))
    found = [installs(lists, name=f"node-{i}", min_sync_period=15.0)[0][0] for i in range(1000)]
    waits = [time - 100.0 for time in found if time > 100.0 + WATCH_DELAY + cost((0, 1))]
    assert len(found) * 0.4 < len(waits) < len(found) * 0.6  # 15 / 30; 0.1 is 6 deviations
    assert is_uniform(waits, 0.0, 15.0 + WATCH_DELAY + cost((0, 1)))


def test_changes_in_the_meantime_are_batched():
    """Syncs are `min_sync_period` apart and install what has arrived until they start."""
    changes = [(100.0 + 0.2 * i, Endpoints(tuple(range(i % 4)), ())) for i in range(1, 11)]
    found = installs(track(Endpoints((0,), ()), *changes), min_sync_period=10.0)
    assert [listed for _, listed in found][-1] == changes[-1][1].ready
    assert len(found) <= 2


@settings(max_examples=200, deadline=None)
@given(
    gaps=st.lists(st.sampled_from([0.01, 0.3, 1.0, 7.0, 31.0]), min_size=1, max_size=30),
    lists=st.lists(st.sets(st.integers(0, 3)), min_size=30, max_size=30),
    period=st.sampled_from([0.0, 0.5, 1.0, 10.0]),
    name=st.sampled_from("abcdefgh"),
)
def test_rules_follow_in_order_and_end_up_right(gaps, lists, period, name):
    """Whatever changes: restores are apart, each is a list that the API had, the last is the last.

    A list is there at most watch delay + minimum period + restore after it came (a periodic sync
    may have taken the start before it).
    """
    time = 50.0
    changes = []
    for gap, numbers in zip(gaps, lists, strict=False):
        time += gap
        changes.append((time, Endpoints(tuple(sorted(numbers)), ())))
    api = track(Endpoints((0,), ()), *changes)
    found = installs(api, min_sync_period=period, name=name)
    starts = [at - cost(listed) for at, listed in found]
    assert all(b - a >= period - 1e-9 for a, b in pairwise(starts))
    for (_, listed), start in zip(found, starts, strict=True):
        known = [start - WATCH_DELAY, *(at for at, _ in changes if 0 <= start - at < WATCH_DELAY)]
        assert listed in [api.at(at + 1e-9).ready for at in known]
    assert (found[-1][1] if found else (0,)) == api.last.ready
    if found:
        assert found[-1][0] <= api.times[-1] + WATCH_DELAY + period + cost((0, 1, 2, 3)) + 1e-9


def test_a_node_that_is_down_keeps_its_rules_and_reads_the_list_at_boot():
    """Nothing is installed in the dark; at the boot what the API lists then, after the restore."""
    api = track(Endpoints((0,), ()), (60.0, Endpoints((1,), ())), (70.0, Endpoints((0, 1, 2), ())))
    found = installs(api, up=track(True, (50.0, False), (90.0, True)))
    assert found == [(90.0 + cost((0, 1, 2)), (0, 1, 2))]


def test_a_restore_that_the_node_does_not_live_to_see_has_no_effect():
    """The rules change at the end of a restore."""
    api = track(Endpoints((0,), ()), (60.0, Endpoints((1,), ())))
    whole = installs(api)
    assert installs(api, up=track(True, (whole[0][0], False))) == []
    assert installs(api, up=track(True, (whole[0][0] + 1e-9, False))) == whole


def test_a_watch_delivers_in_order():
    """Changes closer together than their delays: no node ever goes back to an older list."""
    growing = [(100.0 + 0.01 * i, Endpoints(tuple(range(i % 4)), ())) for i in range(1, 4)]
    for i in range(200):
        found = installs(track(Endpoints((), ()), *growing), min_sync_period=0.0, name=f"node-{i}")
        sizes = [len(listed) for _, listed in found]
        assert sizes == sorted(set(sizes))
        assert sizes[-1] == 3


def test_long_lists_take_long():
    """A restore of 20 000 rules takes 0.4 s, and the next sync waits for it."""
    everywhere = Policy((0,) * 10_000, ("",), local=False, topology="none")
    many = Endpoints(tuple(range(10_000)), ())
    api = track(Endpoints((), ()), (100.0, many), (100.15, Endpoints((0,), ())))
    with wrapping():
        found = node_rules(
            api,
            track(True),
            everywhere,
            0,
            rng=stream(1, 0, "tests", "long"),
            min_sync_period=0.0,
            horizon=HORIZON,
        )
    first, second = found.times[1:]
    assert 100.4 <= first <= 100.4 + WATCH_DELAY
    assert second == first + cost((0,))


def test_every_30_seconds_is_a_sync():
    """The period is kube-proxy's own."""
    assert SYNC_PERIOD == 30.0

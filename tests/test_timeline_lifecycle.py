"""Which pods there are: scale, rollout, drain, and where new pods go."""

from collections import Counter

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from living import life, scenario_of, told, views

from lbbench.engines.script import NODE_VIEW, WORKER_VIEW
from lbbench.engines.timeline import life_of
from lbbench.errors import ScenarioError
from lbbench.model.topology import FreeAddresses, topology


def membership(found):
    """Return (time, pod, is a member) in order."""
    return [(time, pod, bool(b)) for time, _, pod, b in told(found.steps, "MEMBER")]


def names(found, pods):
    """Return the names of pods by number."""
    return [found.topology.pods[pod].name for pod in pods]


def counts(found, n):
    """Return (time, live, available) after every instant; available also within instants.

    A pod is available from its MEMBER step to the next; live from its birth until it has left.
    """
    left = {pod: time for time, pod, is_member in membership(found) if not is_member}
    available = set(range(n))
    seen = []
    for time, pod, is_member in membership(found):
        (available.add if is_member else available.discard)(pod)
        live = sum(
            born <= time < left.get(pod, float("inf")) for pod, born in enumerate(found.born)
        )
        seen.append((time, live, len(available)))
    return seen


TIMES = st.sampled_from(["0s", "1s", "5s", "10s", "30s"])


@settings(max_examples=150, deadline=None)
@given(
    n=st.integers(1, 12),
    surge=st.integers(0, 13),
    unavailable=st.integers(0, 13),
    ready_after=TIMES,
    drain=TIMES,
    grace=TIMES,
)
def test_a_rollout_keeps_within_surge_and_unavailable(
    n, surge, unavailable, ready_after, drain, grace
):
    """Never more than n + surge live, never fewer than n - unavailable available, n new at the end.

    Names and numbers count up, old pods go in ascending order, and every one is killed `grace`
    after it began to go.
    """
    unavailable = unavailable if surge else max(unavailable, 1)
    rollout = {"max_surge": surge, "max_unavailable": unavailable, "ready_after": ready_after}
    rollout |= {"drain": drain, "grace": grace}
    found = life({"at": "7s", "rollout": rollout}, cluster={"pods": n}, horizon=2000.0)
    seen = counts(found, n)
    assert all(live <= n + surge for _, live, _ in seen)
    assert all(available >= n - unavailable for _, _, available in seen)
    assert seen[-1][1:] == (n, n)
    assert names(found, range(2 * n)) == [f"pod-{i}" for i in range(2 * n)]
    assert len(found.topology.pods) == 2 * n
    gone = [pod for _, pod, is_member in membership(found) if not is_member]
    assert gone == list(range(n))
    for time, pod, is_member in membership(found):
        if not is_member:
            assert found.gone[pod] == time + float(grace[:-1])
    assert all(end == float("inf") for end in found.gone[n:])


def test_a_rollout_by_hand():
    """Four pods, surge 1, unavailable 1: one old goes at once, two new come, then two by two."""
    found = life({"at": "10s", "rollout": {}}, cluster={"pods": 4})
    assert membership(found) == [
        (10.0, 0, False),
        (20.0, 4, True),
        (20.0, 1, False),
        (20.0, 5, True),
        (20.0, 2, False),
        (30.0, 6, True),
        (30.0, 3, False),
        (30.0, 7, True),
    ]
    assert found.born == (0.0, 0.0, 0.0, 0.0, 10.0, 10.0, 20.0, 20.0)


def test_a_terminating_pod_drains_closes_and_is_killed():
    """It leaves at once; after `drain` it takes nothing new; after `grace` it is gone."""
    scale = {"pods": 2, "drain": "5s", "grace": "30s"}
    found = life({"at": "10s", "scale": scale}, cluster={"pods": 3})
    assert told(found.steps, "MEMBER", "DOOR", "DROP_IDLE", "EMPTY") == [
        (10.0, "MEMBER", 2, 0),
        (15.0, "DOOR", 2, "REFUSE"),
        (15.0, "DROP_IDLE", 2, 0),
        (40.0, "EMPTY", 2, "RESET"),
        (40.0, "DOOR", 2, "SILENT"),
    ]
    assert found.gone == (float("inf"), float("inf"), 40.0)


@pytest.mark.parametrize("drain", ["30s", "60s"])
def test_grace_wins_over_drain(drain):
    """A preStop hook that lasts longer than the grace period is cut short by the kill."""
    scale = {"pods": 2, "drain": drain, "grace": "30s"}
    found = life({"at": "10s", "scale": scale}, cluster={"pods": 3})
    assert told(found.steps, "DOOR", "DROP_IDLE", "EMPTY") == [
        (40.0, "DROP_IDLE", 2, 0),
        (40.0, "EMPTY", 2, "RESET"),
        (40.0, "DOOR", 2, "SILENT"),
    ]


def test_scale_up_goes_where_the_fewest_pods_are():
    """Ties to the first node; names and addresses go on where they ended."""
    cluster = {"nodes": 3, "placement": [3, 1, 2], "pods": 6}
    found = life({"at": "10s", "scale": {"pods": 10, "ready_after": "3s"}}, cluster=cluster)
    new = found.topology.pods[6:]
    assert [pod.node for pod in new] == [1, 1, 2, 0]
    assert [pod.name for pod in new] == ["pod-6", "pod-7", "pod-8", "pod-9"]
    # the ingress replica of a node has the address after its first pods
    assert [pod.address for pod in new] == [
        "10.244.1.4:8080",
        "10.244.1.5:8080",
        "10.244.2.5:8080",
        "10.244.0.6:8080",
    ]
    assert membership(found) == [(13.0, pod, True) for pod in range(6, 10)]
    assert found.born[6:] == (10.0,) * 4


def test_scale_down_takes_the_highest_numbers_and_names_are_never_reused():
    """3 - 1 = 2 pods; back to 3: pod-3, at a new address."""
    found = life(
        {"at": "10s", "scale": {"pods": 2}},
        {"at": "100s", "scale": {"pods": 3}},
        cluster={"pods": 3},
    )
    assert membership(found) == [(10.0, 2, False), (100.0, 3, True)]
    assert names(found, [3]) == ["pod-3"]
    assert len({pod.address for pod in found.topology.pods}) == 4


def test_numbers_start_above_those_that_are_given():
    """Names in a list that look like pod-N count."""
    pods = [{"name": "pod-7"}, {"name": "web"}]
    found = life(
        {"at": "10s", "scale": {"pods": 3}},
        {"at": "20s", "pod": "pod-8", "speed": 0.5},
        cluster={"pods": pods},
    )
    assert names(found, [2]) == ["pod-8"]
    with pytest.raises(ScenarioError, match="no such pod"):
        life({"at": "20s", "pod": "pod-2", "speed": 0.5}, cluster={"pods": pods})


def test_new_pods_take_what_the_spec_says():
    """Speed and concurrency of `cluster.pod`, not of a pod that has its own."""
    cluster = {
        "pods": [{"name": "a", "speed": 0.1, "concurrency": 9}],
        "pod": {"speed": 2.0, "concurrency": 4},
    }
    found = life({"at": "1s", "scale": {"pods": 2}}, cluster=cluster)
    assert (found.topology.pods[1].speed, found.topology.pods[1].concurrency) == (2.0, 4)


def test_a_drained_node_loses_its_pods_and_gets_none():
    """Replacements are created at once on other nodes and are ready 10 s later."""
    found = life(
        {"at": "10s", "node": "node-1", "state": "drained", "until": "100s"},
        {"at": "50s", "scale": {"pods": 7}},
        {"at": "120s", "scale": {"pods": 8}},
        cluster={"nodes": 3, "pods": 6},
    )
    assert membership(found)[:4] == [
        (10.0, 1, False),
        (10.0, 4, False),
        (20.0, 6, True),
        (20.0, 7, True),
    ]
    assert [pod.node for pod in found.topology.pods[6:]] == [0, 2, 0, 1]


def test_with_every_node_drained_pods_wait_for_a_node():
    """They are created when one comes back, and start then."""
    drained = [
        {"at": "10s", "node": f"node-{i}", "state": "drained", "until": until}
        for i, until in enumerate(["500s", "100s", "500s"])
    ]
    found = life(*drained, cluster={"nodes": 3, "pods": 3})
    assert found.born[3:] == (10.0, 10.0, 10.0, 100.0, 100.0, 100.0)[: len(found.born) - 3]
    last = [pod for _, pod, is_member in membership(found) if is_member]
    assert [found.topology.pods[pod].node for pod in last] == [1, 1, 1]


def test_scale_to_0_and_back():
    """Nothing is left, nothing breaks, and new pods come."""
    found = life(
        {"at": "10s", "scale": {"pods": 0}},
        {"at": "20s", "rollout": {}},
        {"at": "30s", "scale": {"pods": 2}},
        cluster={"pods": 3},
    )
    assert membership(found) == [
        (10.0, 2, False),
        (10.0, 1, False),
        (10.0, 0, False),
        (30.0, 3, True),
        (30.0, 4, True),
    ]


def test_a_rollout_does_not_wait_for_a_pod_that_never_gets_ready():
    """With unavailable 0 a pod that is out of the list since long would stop it for ever."""
    cluster = {"pods": 3, "pod": {"readiness": {"period": "1s", "failures": 1}}}
    found = life(
        {"at": "5s", "pod": "pod-2", "fail": "refuse"},
        {"at": "20s", "rollout": {"max_surge": 1, "max_unavailable": 0}},
        cluster=cluster,
    )
    gone = [pod for _, pod, is_member in membership(found) if not is_member]
    assert gone == [2, 0, 1]
    assert len(found.topology.pods) == 6


def test_scale_during_a_rollout():
    """The rollout goes on with the new number."""
    found = life(
        {"at": "10s", "rollout": {}},
        {"at": "15s", "scale": {"pods": 2}},
        {"at": "100s", "scale": {"pods": 5}},
        cluster={"pods": 6},
    )
    live = [pod for pod, end in enumerate(found.gone) if end == float("inf")]
    assert len(live) == 5
    assert min(live) >= 6


def test_a_rollout_replaces_pods_that_wait_for_a_node():
    """Those that were never created come from the new template, with its times."""
    found = life(
        {"at": "10s", "node": "node-0", "state": "drained", "until": "100s"},
        {"at": "20s", "scale": {"pods": 3, "ready_after": "1s"}},
        {"at": "30s", "rollout": {"ready_after": "20s"}},
        cluster={"nodes": 1, "pods": 2},
    )
    assert found.born[2:] == (100.0,) * 3
    assert [time for time, _, is_member in membership(found) if is_member] == [120.0] * 3


def test_after_a_rollout_replacements_have_their_own_times():
    """A node drained later: ready after 10 s, not after the rollout's time."""
    found = life(
        {"at": "10s", "rollout": {"ready_after": "3s"}},
        {"at": "100s", "node": "node-0", "state": "drained"},
        cluster={"nodes": 2, "pods": 2},
    )
    assert membership(found)[-1][0] == 110.0


def test_a_second_rollout_replaces_the_pods_of_the_first():
    """All that are there when it begins, whichever rollout made them."""
    found = life({"at": "10s", "rollout": {}}, {"at": "25s", "rollout": {}}, cluster={"pods": 4})
    live = [pod for pod, end in enumerate(found.gone) if end == float("inf")]
    assert len(live) == 4
    assert {pod for _, pod, is_member in membership(found) if is_member} >= set(live)
    assert all(found.born[pod] >= 25.0 for pod in live)


def test_pods_come_cold_if_there_is_a_cold_start():
    """Only later ones, and from when they are ready."""
    cluster = {"pods": 2, "pod": {"cold_start": {"factor": 4, "duration": "20s"}}}
    found = life({"at": "10s", "scale": {"pods": 3, "ready_after": "5s"}}, cluster=cluster)
    assert told(found.steps, "SPEED") == [(15.0, "SPEED", 2, 0.25), (35.0, "SPEED", 2, 1.0)]


def test_the_canary_is_placed_after_the_pods_and_stays():
    """Its pods are no part of what is scaled, rolled out or drained."""
    found = life(
        {"at": "10s", "rollout": {}},
        {"at": "50s", "node": "node-2", "state": "drained"},
        {"at": "60s", "pod": "canary-1", "fail": "refuse"},
        cluster={"nodes": 3, "pods": 4},
        stages={"ingress": {"canary": {"pods": 3, "weight": 20}}},
    )
    assert names(found, found.canary_pods) == ["canary-0", "canary-1", "canary-2"]
    assert found.canary_pods == (4, 5, 6)
    assert [found.topology.pods[pod].node for pod in found.canary_pods] == [1, 2, 0]
    assert found.first_pods == (0, 1, 2, 3)
    assert not {pod for _, pod, _ in membership(found)} & set(found.canary_pods)
    assert (60.0, "DOOR", 5, "REFUSE") in told(found.steps, "DOOR")
    listed = {pod for _, _, pods in views(found, WORKER_VIEW) for pod in pods}
    assert listed.isdisjoint(found.canary_pods)


def test_a_node_without_addresses_is_a_sentence(monkeypatch):
    """Pods that come must have an address."""
    scenario = scenario_of({"at": "1s", "scale": {"pods": 11}})
    top = topology(scenario)

    def nothing_left(*_):
        raise ValueError("pod 3 of node 1 gets no synthetic address")

    monkeypatch.setattr(FreeAddresses, "take", nothing_left)
    with pytest.raises(ScenarioError, match="timeline: pod 3 of node 1 gets no synthetic address"):
        life_of(scenario, top, replication=0, horizon=10.0)


def test_pods_that_go_make_room():
    """The scheduler counts pods that are there, not those that terminate."""
    found = life(
        {"at": "1s", "scale": {"pods": 2}},
        {"at": "2s", "scale": {"pods": 4}},
        cluster={"nodes": 2, "pods": 4, "placement": [1, 3]},
    )
    assert [pod.node for pod in found.topology.pods[4:]] == [0, 1]


def test_scaled_to_0_the_rules_list_what_drains():
    """With none ready, terminating pods that serve stand in; then packets are rejected."""
    found = life({"at": "100s", "scale": {"pods": 0}}, cluster={"pods": 2}, path="service")
    seen = views(found, NODE_VIEW)
    assert {listed for _, _, listed in seen} == {()}
    assert all(105.0 < time < 106.2 for time, _, _ in seen)
    assert {step.b for step in found.steps if step.op == NODE_VIEW} == {0}


def test_pods_spread_evenly_over_nodes():
    """After many changes no node that takes pods has two more than another."""
    found = life({"at": "1s", "scale": {"pods": 20}}, cluster={"nodes": 4, "pods": 5})
    assert set(Counter(pod.node for pod in found.topology.pods).values()) == {5}

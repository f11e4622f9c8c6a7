"""Whole lives: nothing happens without a cause, and whatever happens everything ends up right."""

from collections import Counter
from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from living import NAMES, life, lived, scenario_of, told, views

from lbbench.engines.script import LB_VIEW, N_CHANGES, NODE_VIEW, WORKER_VIEW, script_of
from lbbench.engines.timeline import life_of
from lbbench.model.topology import topology

HORIZON = 1000.0
BUSY = 400  # seconds in which random timelines do something


@settings(max_examples=80, deadline=None)
@given(
    nodes=st.integers(1, 5),
    pods=st.integers(1, 12),
    replicas=st.integers(1, 6),
    path=st.sampled_from(["ingress", "service"]),
    policy=st.sampled_from(["Cluster", "Local"]),
)
def test_without_a_timeline_nothing_happens(nodes, pods, replicas, path, policy):
    """No steps, and the lists are those of a cluster that does not change."""
    scenario = scenario_of(
        path=path,
        cluster={"nodes": nodes, "pods": pods, "ingress": {"replicas": replicas}},
        stages={"kube_proxy": {"external_traffic_policy": policy}},
    )
    top = topology(scenario)
    found = life_of(scenario, top, replication=0, horizon=1e6)
    assert found.steps == ()
    assert found.changes == ()
    assert found.topology == top
    assert found.first_pods == tuple(range(pods))
    assert (set(found.born), set(found.gone)) == ({0.0}, {float("inf")})
    targets = top.replicas if path == "ingress" else top.pods
    everybody = range(len(targets))
    own = [tuple(t for t in everybody if targets[t].node == i) for i in range(nodes)]
    listed = own if policy == "Local" else [tuple(everybody)] * nodes
    assert found.node_first == tuple(listed)
    assert found.lb_first == tuple(i for i in range(nodes) if listed[i])
    assert found.node_drops == tuple(not targets for targets in listed)


SECONDS = st.integers(1, BUSY).map(lambda n: f"{n}s")


@st.composite
def timelines(draw, nodes, pods):
    """Return a random timeline: a few changes of every kind at random times."""
    made = []
    for _ in range(draw(st.integers(1, 8))):
        at = draw(st.integers(0, BUSY - 1))
        change = {"at": f"{at}s"}
        kind = draw(st.sampled_from(["scale", "rollout", "pod", "node", "routes"]))
        if kind == "scale":
            times = {"ready_after": draw(st.sampled_from(["0s", "7s"]))}
            change["scale"] = {"pods": draw(st.integers(0, 9)), **times}
        if kind == "rollout":
            change["rollout"] = {"max_surge": draw(st.integers(1, 3)), "max_unavailable": 0}
        if kind == "pod":
            change["pod"] = f"pod-{draw(st.integers(0, pods - 1))}"
            change |= draw(
                st.sampled_from(
                    [
                        {"speed": 0.5},
                        {"cold": True},
                        {"pause": "3s"},
                        *({"fail": fault} for fault in ("refuse", "blackhole", "hang", "error")),
                    ]
                )
            )
        if kind == "node":
            change["node"] = f"node-{draw(st.integers(0, nodes - 1))}"
            words = [{"state": word} for word in ("down", "up", "drained")]
            change |= draw(st.sampled_from([*words, {"azure": "down"}, {"azure": "up"}]))
        if kind == "routes":
            change["routes"] = "missing"
        if {"speed", "fail", "state", "azure", "routes"} & set(change) and change.get(
            "state"
        ) != "up":
            change["until"] = f"{draw(st.integers(at + 1, BUSY))}s"
        made.append(change)
    return made


@st.composite
def busy_scenarios(draw):
    """Return a random small cluster with a random timeline."""
    nodes, pods = draw(st.integers(1, 4)), draw(st.integers(1, 6))
    readiness = draw(st.sampled_from(["none", {"period": "3s", "failures": 2}]))
    return scenario_of(
        *draw(timelines(nodes, pods)),
        path=draw(st.sampled_from(["ingress", "service"])),
        cluster={
            "nodes": nodes,
            "pods": pods,
            "pod": {"readiness": readiness, "cold_start": draw(st.sampled_from(["none", {}]))},
            "ingress": {"workers": 2},
        },
        stages={
            "azure_lb": {"sku": draw(st.sampled_from(["Standard", "Basic"]))},
            "kube_proxy": {"external_traffic_policy": draw(st.sampled_from(["Cluster", "Local"]))},
        },
        run={"seed": draw(st.integers(1, 10))},
    )


@settings(max_examples=300, deadline=None)
@given(scenario=busy_scenarios())
def test_whatever_happens_the_record_makes_sense(scenario):
    """Invariants of any life.

    Steps are in order and inside the horizon; a view step changes what the viewer had (a worker
    that boots may begin with the same); nobody is told the same twice; names and addresses are
    unique; a pod that is gone does nothing any more.
    """
    found = lived(scenario, horizon=HORIZON)
    keys = [(step.time, step.op >= N_CHANGES) for step in found.steps]
    assert keys == sorted(keys)
    seen = [(step.time, step.op, step.a) for step in found.steps if step.op >= N_CHANGES]
    assert seen == sorted(seen)
    assert all(0.0 <= step.time <= HORIZON for step in found.steps)
    present = {(LB_VIEW, -1): (found.lb_first, 0)}
    present |= {
        (NODE_VIEW, i): (listed, int(drops))
        for i, (listed, drops) in enumerate(zip(found.node_first, found.node_drops, strict=True))
    }
    boots = {(step.time, step.a) for step in found.steps if NAMES[step.op] == "NODE" and step.b}
    workers = found.topology.workers_per_replica
    for step in found.steps:
        if step.op < N_CHANGES:
            continue
        key = (step.op, step.a)
        before = present.get(key, (found.first_pods, 0))
        is_boot = (
            step.op == WORKER_VIEW
            and (step.time, found.topology.replicas[step.a // workers].node) in boots
        )
        assert is_boot or (step.listed, step.b) != before
        assert list(step.listed) == sorted(set(step.listed))
        present[key] = (step.listed, step.b)
    for op in ("DOOR", "SPEED", "MEMBER", "NODE"):
        for subject in {item[2] for item in told(found.steps, op)}:
            seen = [what for _, _, who, what in told(found.steps, op) if who == subject]
            assert all(a != b for a, b in pairwise(seen))
    pods = found.topology.pods
    assert max(Counter(pod.name for pod in pods).values()) == 1
    assert max(Counter(pod.address for pod in pods).values()) == 1
    for step in found.steps:
        if NAMES[step.op] in ("SPEED", "DOOR", "EMPTY", "DROP_IDLE", "MEMBER"):
            assert found.born[step.a] <= step.time <= found.gone[step.a]
    assert all(a <= b for a, b in zip(found.born, found.gone, strict=True))
    script_of(found.steps)


@settings(max_examples=200, deadline=None)
@given(scenario=busy_scenarios())
def test_long_after_the_last_change_every_view_is_right(scenario):
    """Every fault has ended: all have seen the last list, and nodes that work are eligible."""
    found = lived(scenario, horizon=HORIZON)
    is_up = dict.fromkeys(range(len(found.topology.nodes)), True)
    doors, members_, lists = {}, set(found.first_pods), {}
    for step in found.steps:
        name = NAMES[step.op]
        if name == "NODE":
            is_up[step.a] = bool(step.b)
        elif name == "DOOR":
            doors[step.a] = step.b
        elif name == "MEMBER":
            (members_.add if step.b else members_.discard)(step.a)
        elif step.op >= N_CHANGES:
            lists[step.op, step.a] = step.listed
    assert all(is_up.values())
    assert not any(doors.get(pod) for pod in members_)
    top = found.topology
    live = tuple(sorted(members_))
    for r, _ in enumerate(top.replicas):
        for worker in range(2 * r, 2 * r + 2):
            assert lists.get((WORKER_VIEW, worker), found.first_pods) == live
    local = scenario.stages.kube_proxy.external_traffic_policy == "Local"
    targets = {i: item.node for i, item in enumerate(top.replicas)}
    if scenario.path == "service":
        targets = {pod: top.pods[pod].node for pod in live}
    good = []
    for i, _ in enumerate(top.nodes):
        expected = tuple(t for t, where in targets.items() if where == i or not local)
        assert lists.get((NODE_VIEW, i), found.node_first[i]) == expected
        good += [i] if expected else []
    assert lists.get((LB_VIEW, -1), found.lb_first) == tuple(good)


def busy():
    """Return a scenario in which a lot happens."""
    return scenario_of(
        {"at": "10s", "rollout": {}},
        {"at": "50s", "node": "node-1", "state": "down", "until": "120s"},
        {"at": "150s", "pod": "pod-12", "fail": "refuse", "until": "200s"},
        path="service",
    )


def test_the_same_seed_gives_the_same_life():
    """And another replication or seed another one: only views differ, the cluster does not."""
    scenario = busy()
    first = lived(scenario, replication=3)
    assert lived(scenario, replication=3) == first
    for other in (
        lived(scenario, replication=4),
        lived(scenario.with_({"run.seed": 2}), replication=3),
    ):
        assert other.steps != first.steps
        plain = [[step for step in item.steps if step.op < N_CHANGES] for item in (first, other)]
        assert plain[0] == plain[1]


def test_a_shorter_horizon_gives_the_same_beginning():
    """What is known of the past does not depend on how far one looks."""
    scenario = busy()
    long, short = lived(scenario, horizon=400.0), lived(scenario, horizon=100.0)
    assert short.steps == tuple(step for step in long.steps if step.time <= 100.0)


def test_all_nodes_down_and_up_again():
    """Nothing is left, nothing breaks, and everything comes back."""
    changes = [
        {"at": f"{10 + i}s", "node": f"node-{i}", "state": "down", "until": "200s"}
        for i in range(3)
    ]
    for path in ("ingress", "service"):
        found = life(*changes, {"at": "100s", "scale": {"pods": 12}}, path=path)
        last = [listed for _, _, listed in views(found, LB_VIEW)]
        assert () in last
        assert last[-1] == (0, 1, 2)
        assert {born for born in found.born if born} == {200.0}
    seen = [listed for _, _, listed in views(found, NODE_VIEW, 0)]
    assert seen[-1] == tuple(range(12))


@pytest.mark.parametrize(
    ("change", "texts"),
    [
        ({"scale": {"pods": 3}}, ["scale to 3 pods"]),
        ({"rollout": {}}, ["rollout"]),
        ({"pod": "pod-1", "speed": 0.2, "until": "20s"}, [
            "pod-1 works at 0.2 times its speed", "pod-1 works at its own speed again"]),
        ({"pod": "pod-1", "cold": True}, ["pod-1 is cold"]),
        ({"pod": "pod-1", "pause": "2s"}, ["pod-1 pauses for 2s"]),
        ({"pod": "pod-1", "fail": "hang", "until": "20s"}, [
            "pod-1 fails: hang", "pod-1 recovers: hang"]),
        ({"node": "node-1", "state": "down", "until": "20s"}, [
            "node-1 goes down", "node-1 is up"]),
        ({"node": "node-1", "state": "up"}, ["node-1 is up"]),
        ({"node": "node-1", "state": "drained", "until": "20s"}, [
            "node-1 is drained", "node-1 is uncordoned"]),
        ({"node": "node-1", "azure": "down", "until": "20s"}, [
            "node-1: admin state down", "node-1: admin state none"]),
        ({"routes": "missing", "until": "20s"}, ["routes are missing", "routes are back"]),
    ],
)  # fmt: skip
def test_changes_are_told_in_words(change, texts):
    """One note for the beginning and one for the end."""
    found = life({"at": "10s", **change})
    assert [item.text for item in found.changes] == texts
    assert [item.at for item in found.changes] == [10.0, 20.0][: len(texts)]


def test_what_cannot_happen_is_told_too():
    """Pods that are gone or not there yet; ends of what has been replaced."""
    found = life(
        {"at": "10s", "scale": {"pods": 2, "grace": "5s"}},
        {"at": "20s", "pod": "pod-2", "pause": "1s"},
        {"at": "30s", "rollout": {"max_unavailable": 0}},
        {"at": "31s", "pod": "pod-4", "pause": "1s"},
        {"at": "60s", "pod": "pod-3", "speed": 2, "until": "80s"},
        {"at": "70s", "pod": "pod-3", "speed": 3},
        cluster={"pods": 3},
    )
    texts = [item.text for item in found.changes]
    assert texts[1] == "pod-2 pauses for 1s: nothing happens, pod-2 is gone"
    assert texts[3] == "pod-4 pauses for 1s: nothing happens, pod-4 is not there yet"
    assert texts[6].endswith("own speed again: nothing happens, a later change has taken its place")


def test_an_end_comes_before_a_beginning_at_the_same_time():
    """The first fault ends as it should, then the second begins."""
    found = life(
        {"at": "10s", "pod": "pod-0", "fail": "refuse", "until": "20s"},
        {"at": "20s", "pod": "pod-0", "fail": "blackhole"},
    )
    assert [item.text for item in found.changes[1:]] == [
        "pod-0 recovers: refuse",
        "pod-0 fails: blackhole",
    ]


def test_a_node_that_is_told_to_be_up_is_uncordoned():
    """The end of the drain has nothing left to do."""
    found = life(
        {"at": "10s", "node": "node-0", "state": "drained", "until": "100s"},
        {"at": "50s", "node": "node-0", "state": "up"},
        {"at": "60s", "scale": {"pods": 4}},
        cluster={"nodes": 2, "pods": 2},
    )
    assert [pod.node for pod in found.topology.pods[2:]] == [1, 0, 0]
    assert found.changes[-1].text.endswith("nothing happens, a later change has taken its place")


def test_notes_say_when_a_change_was_seen():
    """A failing pod leaves the list, then the first worker learns of it, then the last."""
    found = life(
        {"at": "100s", "pod": "pod-1", "fail": "refuse"},
        {"at": "250s", "pod": "pod-2", "speed": 0.5},
        cluster={"pods": 4, "pod": {"readiness": {"period": "10s", "failures": 3}}},
    )
    first, second = found.changes
    assert first.pods == (1,)
    times = [time for time, _, _ in views(found, WORKER_VIEW)]
    assert 120.0 <= first.list_changed_at < 130.0
    assert first.list_changed_at < first.first_view_at == min(times)
    assert first.last_view_at == max(times) < first.list_changed_at + 1.1
    assert (second.list_changed_at, second.first_view_at, second.last_view_at) == (None,) * 3


def test_verdicts_that_flap_go_back_to_the_pod_that_fails():
    """All of them: the balancer has no other reason."""
    found = life(
        {"at": "50s", "pod": "pod-0", "fail": "refuse"},
        path="service",
        cluster={"pods": 2},
        horizon=2000.0,
    )
    seen = [time for time, _, _ in views(found, LB_VIEW)]
    assert len(seen) > 20
    (note,) = found.changes
    assert (note.first_view_at, note.last_view_at) == (min(seen), max(seen))


def test_the_end_of_a_horizon_is_finite():
    """A pod that fails for good is probed for ever."""
    scenario = scenario_of()
    with pytest.raises(ValueError, match="horizon = inf"):
        life_of(scenario, topology(scenario), replication=0, horizon=float("inf"))

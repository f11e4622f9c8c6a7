"""What a plan varies, and clusters that have lost something."""

from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st
from planning import clockwork, patient

from lbbench.errors import RunError
from lbbench.model.check import build
from lbbench.model.topology import capacity, topology
from lbbench.studies.planning.growth import apportioned
from lbbench.studies.planning.judging import Objective
from lbbench.studies.planning.loss import check_loss, losses
from lbbench.studies.planning.plan import plan
from lbbench.studies.planning.reasons import floor_of
from lbbench.studies.planning.subject import nice_below, resolved, subject_of

LISTED = [
    {"name": "web-a", "node": "east", "address": "10.1.0.1:80", "speed": 2.0},
    {"name": "pod-7", "node": "west", "address": "10.2.0.1:80", "concurrency": 3},
]


def listed(**cluster: object):
    """Return a scenario that lists its nodes and pods."""
    nodes = [{"name": "east", "zone": "1"}, {"name": "west", "zone": "2"}]
    return build(
        {
            "cluster": {"nodes": nodes, "pods": LISTED, **cluster},
            "traffic": {"arrivals": {"rate": "100/s"}},
        }
    )


def addresses(scenario) -> list[str]:
    """Return the addresses of all pods."""
    return [pod.address for pod in topology(scenario).pods]


def test_a_utilisation_becomes_a_rate_once():
    """The rate is that of the file's own pods, and stays when the pods change."""
    scenario = build(
        {
            "cluster": {"pods": 10},
            "traffic": {"utilisation": 0.8, "service_time": {"mean": "20ms"}},
        }
    )
    base, load = resolved(scenario)
    assert load.rate == pytest.approx(0.8 * 10 / 0.02)
    assert base.traffic.arrivals.rate == load.rate
    grown = subject_of(scenario, "pods").at(25)
    assert len(grown.cluster.pod_names()) == 25
    assert grown.traffic.arrivals.rate == load.rate
    assert grown.traffic.utilisation is None


@pytest.mark.parametrize("kind", ["pods", "nodes"])
def test_the_own_number_is_the_file_itself(kind):
    """A plan that ends at what the file has, has run the file: nothing else differs."""
    for scenario in (listed(), clockwork(), clockwork(**{"cluster.placement": [2]})):
        subject = subject_of(scenario, kind)
        assert subject.at(subject.own) == subject.base


@patient
@given(st.integers(1, 40))
def test_listed_pods_keep_what_they_have(n):
    """The first n stay; further ones are like the last, with fresh names and free addresses."""
    scenario = subject_of(listed(), "pods").at(n)
    pods = topology(scenario).pods
    assert len(pods) == n
    assert [pod.name for pod in pods[:2]] == ["web-a", "pod-7"][:n]
    assert addresses(scenario)[:2] == ["10.1.0.1:80", "10.2.0.1:80"][:n]
    assert len({pod.name for pod in pods}) == n == len(set(addresses(scenario)))
    assert all(pod.concurrency == 3 for pod in pods[1:])
    on = [pod.node for pod in pods]
    assert abs(on.count(0) - on.count(1)) <= 1  # nodes in turn


@patient
@given(st.integers(1, 30))
def test_pods_per_node_stay_when_nodes_change(n):
    """ceil(pods x n / nodes) pods, and per_node ingress replicas follow."""
    scenario = build(
        {"cluster": {"nodes": 3, "pods": 10}, "traffic": {"arrivals": {"rate": "100/s"}}}
    )
    grown = topology(subject_of(scenario, "nodes").at(n))
    assert (len(grown.nodes), len(grown.pods)) == (n, math.ceil(10 * n / 3))
    assert [replica.node for replica in grown.replicas] == list(range(n))


@patient
@given(st.integers(1, 12))
def test_listed_pods_go_and_come_with_their_nodes(n):
    """Node n of a longer list is like the listed ones in turn: zone, pods, replicas."""
    scenario = listed(ingress={"replicas": [{"name": "in", "node": "east"}]})
    grown = topology(subject_of(scenario, "nodes").at(n))
    assert [node.zone for node in grown.nodes] == [("1", "2")[i % 2] for i in range(n)]
    assert [pod.node for pod in grown.pods] == list(range(n))
    assert [pod.speed for pod in grown.pods] == [(2.0, 1.0)[i % 2] for i in range(n)]
    assert [replica.node for replica in grown.replicas] == list(range(0, n, 2))


@patient
@given(st.lists(st.integers(0, 20), min_size=1, max_size=6).filter(any), st.integers(0, 200))
def test_pods_are_dealt_out_in_the_proportions_of_the_file(rooms, n):
    """As many as there are give the file's own placement; a node without pods stays without."""
    got = apportioned(rooms, n)
    assert sum(got) == n
    assert all(new == 0 for new, old in zip(got, rooms, strict=True) if old == 0)
    assert apportioned(rooms, sum(rooms)) == rooms


def test_places_are_those_of_every_pod():
    """`concurrency` n gives each pod n places, listed ones too."""
    subject = subject_of(listed(), "concurrency")
    assert {pod.concurrency for pod in topology(subject.at(5)).pods} == {5}
    assert topology(subject.at(5)).pods[0].speed == 2.0


def test_rates_come_in_nice_steps_of_a_percent_of_the_capacity():
    """Steps are 1, 2 or 5 times a power of ten, between 0.4 and 1 % of what the pods can serve."""
    subject = subject_of(clockwork(), "rate")
    most = capacity(topology(subject.base), subject.load.mean_work)
    assert (most, subject.step) == (pytest.approx(800.0), 5.0)
    assert subject.at(30).traffic.arrivals.rate == 150.0
    assert subject.value(subject.most) >= most


@patient
@given(st.floats(1e-6, 1e9))
def test_a_nice_number_is_the_next_below(value):
    """The largest of 1, 2, 5 x 10^k that does not exceed the value."""
    step = nice_below(value)
    assert step <= value * (1 + 1e-8) < 2.5 * step * (1 + 1e-7)


@pytest.mark.parametrize(
    ("traffic", "said"),
    [
        (
            {"arrivals": {"process": "closed", "users": 5, "think_time": "1s"}},
            "users ask follows from the answers",
        ),
    ],
)
def test_a_rate_that_follows_from_the_answers_is_refused(traffic, said):
    """A closed loop has no rate that could be planned; its pods can be."""
    scenario = build({"traffic": traffic})
    with pytest.raises(RunError, match=said):
        subject_of(scenario, "rate")
    load = subject_of(scenario, "pods").load
    assert (load.kind, load.users, load.rate) == ("closed", 5, pytest.approx(5 / 1.02))


def test_a_diurnal_rate_is_scaled_as_a_whole():
    """The rate of a process with figures of its own is its time average."""
    day = {"process": "diurnal", "base": "100/s", "amplitude": 0.5, "period": "10s"}
    subject = subject_of(build({"traffic": {"arrivals": day}}), "rate")
    assert subject.load.rate == 100.0
    assert subject.at(3).traffic.arrivals.base == 100.0
    assert subject.at(3).traffic.arrivals.rate == subject.value(3)


def test_the_largest_is_lost_and_of_equal_ones_the_last():
    """A pod, node or zone goes by capacity; what stays keeps names and addresses."""
    scenario = listed(ingress={"replicas": "per_node"})
    for unit, name, left in (
        ("pod", "pod-7", ["web-a"]),
        ("node", "west", ["web-a"]),
        ("zone", "zone 2", ["web-a"]),
    ):
        lost = losses(scenario, unit)[0]
        assert lost.name == name
        assert lost.scenario is not None
        assert [pod.name for pod in topology(lost.scenario).pods] == left
        assert addresses(lost.scenario) == ["10.1.0.1:80"]
    equal = build({"cluster": {"pods": 4}, "traffic": {"arrivals": {"rate": "1/s"}}})
    assert losses(equal, "pod")[0].name == "pod-3"
    one_more = losses(equal, "node")[0]  # two pods on node-0, one on each other
    assert one_more.name == "node-0"
    assert one_more.scenario is not None
    left = topology(one_more.scenario)
    assert [pod.address for pod in left.pods] == addresses(equal)[1:3]
    assert [replica.name for replica in left.replicas] == ["ingress-1", "ingress-2"]


def test_changes_of_what_is_lost_are_lost_as_well():
    """A timeline that names the missing pod keeps its other changes."""
    scenario = build(
        {
            "cluster": {"pods": 3},
            "traffic": {"arrivals": {"rate": "1/s"}},
            "timeline": [
                {"at": "1s", "pod": "pod-2", "speed": 0.5},
                {"at": "2s", "pod": "pod-0", "speed": 0.5},
            ],
        }
    )
    lost = losses(scenario, "pod")[0]
    assert lost.name == "pod-2"
    assert lost.scenario is not None
    assert [change.pod for change in lost.scenario.timeline] == ["pod-0"]


def test_without_the_last_pod_nothing_is_left():
    """The loss of everything leaves no scenario."""
    assert losses(clockwork(**{"cluster.pods": 1}), "pod")[0].scenario is None


@pytest.mark.parametrize(
    ("cluster", "unit", "said"),
    [
        ({"nodes": 1}, "node", "single node"),
        ({"nodes": 3}, "zone", "no zones"),
        ({"nodes": [{"name": "a", "zone": "1"}, {"name": "b", "zone": "1"}]}, "zone", "in zone 1"),
        ({"nodes": 3}, "rack", "give one of node, pod, zone"),
    ],
)
def test_a_loss_that_cannot_be_is_refused(cluster, unit, said):
    """One sentence with what to do, before anything is run."""
    scenario = build({"cluster": cluster, "traffic": {"arrivals": {"rate": "1/s"}}})
    with pytest.raises(RunError, match=said):
        check_loss(scenario, unit)


@pytest.mark.parametrize("asked", [{"for_": "pods"}, {"for_": "nodes"}, {"survive": "pod"}])
def test_a_number_of_pods_in_the_timeline_is_refused(asked):
    """A run that scales to 6 pods would not have the pods that are tried, or bring one back."""
    changes = {"timeline": [{"at": "1s", "scale": {"pods": 6}}], "run.warmup": "0s"}
    scenario = clockwork(**changes)
    options = {"for_": "rate", **asked}
    with pytest.raises(RunError, match=r"timeline\[0\]\.scale\.pods = 6: sets .*; remove"):
        plan(scenario, objective={"latency.mean": "1s"}, workers=1, **options)


@pytest.mark.parametrize(
    ("changes", "floor"),
    [
        ({}, 0.0025),
        ({"timeline": [{"at": "1ms", "pod": "pod-0", "speed": 4.0}]}, None),
        ({"stages.ingress.timeouts.read": "1ms"}, None),
    ],
)
def test_a_floor_is_told_only_where_there_is_one(changes, floor):
    """A pod that becomes faster, or requests that are given up before, leave no floor."""
    found = floor_of(clockwork(**changes), Objective("latency.mean", 1.0))
    assert found == (None if floor is None else pytest.approx(floor, abs=2e-3))

"""Where nodes, pods and ingress replicas are, and their addresses."""

from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lbbench.errors import ScenarioError
from lbbench.model.addresses import HOSTS, MAX_NODES, node_address, pod_address, split_address
from lbbench.model.check import build
from lbbench.model.topology import capacity, free_addresses, pack, spread, topology


def top(path="ingress", **cluster):
    """Return the topology of a cluster."""
    return topology(build({"traffic": {"utilisation": 0.5}, "path": path, "cluster": cluster}))


def per_node(found):
    """Return the number of pods of each node."""
    counts = Counter(pod.node for pod in found.pods)
    return [counts[i] for i in range(len(found.nodes))]


def test_spread_deals_pods_out_in_turn():
    """10 pods on 3 nodes are 4, 3, 3, and pod-i is on node i mod 3."""
    found = top(nodes=3, pods=10)
    assert per_node(found) == [4, 3, 3]
    assert [pod.node for pod in found.pods] == [i % 3 for i in range(10)]


def test_pack_fills_the_first_nodes():
    """Packing gives blocks of ceil(pods / nodes): 10 on 3 are 4, 4, 2 and 4 on 3 are 2, 2, 0."""
    assert per_node(top(nodes=3, pods=10, placement="pack")) == [4, 4, 2]
    assert per_node(top(nodes=3, pods=4, placement="pack")) == [2, 2, 0]


def test_a_list_places_so_many_pods_per_node():
    """placement: [1, 0, 3] is obeyed in order."""
    assert [p.node for p in top(nodes=3, pods=4, placement=[1, 0, 3]).pods] == [0, 2, 2, 2]


def test_pods_that_name_their_node_are_on_it_and_the_rest_fills_up():
    """A list of pods per node counts the pods that chose their node themselves."""
    pods = [{"name": "a", "node": "node-1"}, {"name": "b"}, {"name": "c"}]
    assert [p.node for p in top(nodes=2, pods=pods, placement=[2, 1]).pods] == [1, 0, 0]
    assert [p.node for p in top(nodes=2, pods=pods).pods] == [1, 0, 1]
    pods[0]["node"] = "node-0"
    assert [p.node for p in top(nodes=2, pods=pods, placement=[1, 2]).pods] == [0, 1, 1]


@given(st.integers(1, 200), st.integers(1, 50))
def test_spread_and_pack_lose_no_pod(pods, nodes):
    """Every pod gets one node that exists; spread differs by at most one, pack has whole blocks."""
    dealt, packed = Counter(spread(pods, nodes)), Counter(pack(pods, nodes))
    assert sum(dealt.values()) == sum(packed.values()) == pods
    assert max(dealt) < nodes
    assert max(packed) < nodes
    assert max(dealt.values()) - min(dealt[i] for i in range(nodes)) <= 1
    assert len([n for n in packed.values() if n < -(-pods // nodes)]) <= 1


def test_replicas_go_where_the_scenario_says():
    """per_node is one each, 2 on three nodes are node-0 and node-1, more wrap, a list is obeyed."""
    assert [r.node for r in top(nodes=3).replicas] == [0, 1, 2]
    assert [r.node for r in top(nodes=3, ingress={"replicas": 2}).replicas] == [0, 1]
    assert [r.node for r in top(nodes=2, ingress={"replicas": 5}).replicas] == [0, 1, 0, 1, 0]
    listed = [{"name": "x", "node": "node-2"}, {"name": "y", "node": "node-0"}]
    found = top(nodes=3, ingress={"replicas": listed, "workers": 7})
    assert [(r.name, r.node) for r in found.replicas] == [("x", 2), ("y", 0)]
    assert found.workers_per_replica == 7


def test_the_service_path_has_no_replicas():
    """Without an ingress nothing takes its addresses."""
    assert top("service", nodes=3).replicas == ()


def test_synthetic_addresses_are_those_of_the_architecture():
    """Node i is 10.224.0.(4+i); pods count from 10.244.i.2:8080, replicas follow with port 80."""
    found = top(nodes=3, pods=4)
    assert found.vip == "20.0.0.1:80"
    assert [node.address for node in found.nodes] == ["10.224.0.4", "10.224.0.5", "10.224.0.6"]
    assert [pod.address for pod in found.pods] == [
        "10.244.0.2:8080",
        "10.244.1.2:8080",
        "10.244.2.2:8080",
        "10.244.0.3:8080",
    ]
    assert [r.address for r in found.replicas] == [
        "10.244.0.4:80",
        "10.244.1.3:80",
        "10.244.2.3:80",
    ]


def test_given_addresses_replace_the_synthetic_ones_and_are_not_given_twice():
    """The seed's addresses are kept, and no synthetic address takes an IP that is given."""
    found = top(
        nodes=[{"name": "a", "address": "10.13.77.4", "zone": 1}, {"name": "b"}],
        pods=[{"name": "p", "address": "10.244.0.2:80", "node": "b"}, {"name": "q", "node": "a"}],
        ingress={"replicas": [{"name": "r", "node": "a", "address": "10.244.0.3:80"}]},
        vip="51.136.49.205:80",
    )
    assert found.vip == "51.136.49.205:80"
    assert [(n.name, n.zone, n.address) for n in found.nodes] == [
        ("a", "1", "10.13.77.4"),
        ("b", "", "10.224.0.4"),
    ]
    assert [pod.address for pod in found.pods] == ["10.244.0.2:80", "10.244.0.4:8080"]
    assert found.replicas[0].address == "10.244.0.3:80"


def test_a_pod_keeps_what_differs_and_takes_the_rest_from_the_spec():
    """Speed and concurrency of one pod do not touch the others."""
    pods = [{"name": "slow", "speed": 0.2}, {"name": "wide", "concurrency": 4}]
    found = top(pods=pods, pod={"speed": 2.0, "concurrency": 3})
    assert [(p.speed, p.concurrency) for p in found.pods] == [(0.2, 3), (2.0, 4)]


def test_capacity_is_speed_times_places_over_work():
    """0.2 x 3 + 2 x 4 places at 20 ms of work serve 430 requests per second."""
    pods = [{"name": "slow", "speed": 0.2, "concurrency": 3}, {"name": "wide", "concurrency": 4}]
    assert capacity(top(pods=pods, pod={"speed": 2.0}), 0.02) == pytest.approx(430.0, rel=1e-15)


@pytest.mark.parametrize("nodes", [1, 3, 256, 300, MAX_NODES])
def test_no_two_pods_share_an_address(nodes):
    """Beyond 253 pods per node and 256 nodes the addresses go on without a collision."""
    places = {0, nodes // 2, nodes - 1, min(255, nodes - 1), min(256, nodes - 1)}
    most = 5 * HOSTS if nodes == MAX_NODES else 20 * HOSTS
    found = [pod_address(node, k, 80, nodes) for node in places for k in range(most)]
    assert len(set(found)) == len(found)
    assert not {split_address(text)[0] for text in found} & {node_address(i) for i in range(nodes)}
    assert all(split_address(text)[1] == 80 for text in found)


def test_node_addresses_stay_apart_up_to_the_limit():
    """Every node up to the limit has an address of its own that is an address."""
    found = {split_address(f"{node_address(i)}:1") for i in range(MAX_NODES)}
    assert len(found) == MAX_NODES


def test_free_addresses_are_those_that_nobody_has():
    """After the first pods and replicas of a node, without those that are given elsewhere."""
    found = top(nodes=2, pods=[{"name": "a"}, {"name": "b", "address": "10.244.0.5:8080"}])
    free = free_addresses(found)
    taken = [free.take(0, 8080) for _ in range(3)]
    assert taken == ["10.244.0.4:8080", "10.244.0.6:8080", "10.244.0.7:8080"]
    assert free.take(1, 8080) == "10.244.1.3:8080"


def test_a_node_with_too_many_pods_is_refused():
    """Where the networks do not reach, the sentence names the node and the way out."""
    with pytest.raises(ValueError, match="pod 5313 of node 3071 gets no synthetic address"):
        pod_address(MAX_NODES - 1, 21 * HOSTS, 80, MAX_NODES)
    with pytest.raises(ScenarioError, match="too many pods on one node; spread them"):
        top("service", nodes=3000, pods=6000, placement=[6000] + [0] * 2999)


@pytest.mark.parametrize(
    ("text", "pair"),
    [("10.244.0.4:8080", ("10.244.0.4", 8080)), ("[fd00::1]:80", ("fd00::1", 80))],
)
def test_addresses_are_split(text, pair):
    """IPv6 stands in brackets."""
    assert split_address(text) == pair


@pytest.mark.parametrize(
    "text", ["10.244.0.4", "hello:80", "fd00::1:80", "[10.0.0.1]:80", "10.0.0.1:", "10.0.0.1:x",
             "10.0.0.1:0", "10.0.0.1:65536", "10.0.0.1:-1", ":80", "", "10.0.0.1:²"]
)  # fmt: skip
def test_what_is_no_address_is_refused(text):
    """Half an address, a name or an impossible port is not an address."""
    with pytest.raises(ValueError, match=r"is not an address with a port|the port must be"):
        split_address(text)

"""The shipped scenarios: they load, say what they are for, and are small enough to try."""

import pytest

from lbbench.inputs.yaml import load, shipped
from lbbench.model.topology import topology
from lbbench.studies.run import run
from lbbench.traffic.generate import Traffic

EXPECTED = {
    "aks-ingress",
    "aks-service",
    "dead-pod",
    "ewma-herding",
    "local-or-cluster",
    "nat-source-ip",
    "node-down",
    "rolling-update",
    "seed",
    "sticky-sessions",
}


def test_the_promised_scenarios_are_shipped():
    """README, tests and benchmarks rely on these names."""
    assert shipped().keys() >= EXPECTED


@pytest.mark.parametrize("name", sorted(shipped()))
def test_a_shipped_scenario_loads_and_is_small(name):
    """It has its file's name, a topology, files that exist, and at most 300 000 requests."""
    scenario = load(name)
    assert scenario.name == name
    assert topology(scenario).pods
    file = scenario.traffic.service_time.file
    assert file is None or (scenario.folder / file).is_file()
    assert scenario.traffic.trace is None or (scenario.folder / scenario.traffic.trace).is_file()
    if name != "ewma-herding":
        people = Traffic(scenario).population
        expected = scenario.run.requests or people.rate * (scenario.run.duration or 0.0)
        assert 0 < expected <= 300_000


@pytest.mark.parametrize("name", sorted(shipped()))
def test_a_shipped_scenario_says_what_it_answers(name):
    """The first line is a comment with the question."""
    first = shipped()[name].read_text(encoding="utf-8").splitlines()[0]
    assert first.startswith("# ")
    assert len(first) > 20


def test_ewma_herding_is_the_published_case():
    """16 FIFO pods with one place at load 0.8, 50 ms exponential, one worker, no network."""
    found = load("ewma-herding")
    top = topology(found)
    assert (len(top.nodes), len(top.pods), len(top.replicas), top.workers_per_replica) == (
        1,
        16,
        1,
        1,
    )
    assert {(pod.speed, pod.concurrency) for pod in top.pods} == {(1.0, 1)}
    assert found.cluster.pod.discipline == "fifo"
    assert found.cluster.ingress.cpu_per_request == 0.0
    assert {
        getattr(found.cluster.network, key) for key in type(found.cluster.network).key_names()
    } == {0.0}
    assert found.stages.ingress.balancer == "ewma"
    assert found.traffic.utilisation == 0.8
    assert found.traffic.service_time.distribution == "exponential"
    assert found.traffic.service_time.mean == 0.05
    assert found.traffic.connections.requests == 1
    assert (found.run.requests, found.run.duration) == (2_000_000, None)


def test_the_seed_is_the_blog_posts_cluster():
    """Addresses, policy and the one replica on the second node are those of the post."""
    found = load("seed")
    top = topology(found)
    assert [node.address for node in top.nodes] == ["10.13.77.4", "10.13.77.5"]
    assert [(pod.node, pod.address) for pod in top.pods] == [
        (0, "10.244.0.13:80"),
        (1, "10.244.1.9:80"),
    ]
    assert [(item.node, item.address) for item in top.replicas] == [(1, "10.244.1.6:80")]
    assert (top.vip, top.workers_per_replica) == ("51.136.49.205:80", 2)
    assert found.stages.kube_proxy.external_traffic_policy == "Local"
    assert found.stages.kube_proxy.probability_format == "%0.5f"
    assert found.stages.ingress.keepalive.upstream == 32


@pytest.mark.parametrize("name", ["dead-pod", "node-down", "rolling-update"])
def test_a_changing_cluster_shows_what_it_is_about(name):
    """Something is sent to dead pods, retries save most of it, and every view follows in the end.

    Nothing happens to the cluster in the first two minutes, so nothing fails in them.
    """
    result = run(load(name))
    first = result.changes[0]
    assert first["dead"]["attempts"] > 20
    assert first["dead"]["from_s"] >= first["at_s"] == 120.0
    assert 0.0 < first["detect_s"] <= first["reroute_s"] < 70.0
    assert result.requests["saved"] > 0.8 * result.requests["retried"] > 0
    calm = [w["failed"] for w in result.windows if w["end_s"] <= 120.0]
    assert calm
    assert not any(calm)

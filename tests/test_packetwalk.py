"""The walk: the seed's golden values, real rule texts, the engines' choices and times."""

from __future__ import annotations

import math
import re
from collections import Counter
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lbbench.balancers.base import Endpoint, find
from lbbench.core.rng import stream, wrapping
from lbbench.engines import reference
from lbbench.engines.plan import make_plan
from lbbench.errors import InputError, RunError
from lbbench.model.check import build
from lbbench.packetwalk import walk
from lbbench.packetwalk.choices import pick_endpoint, pick_node, statistic_random
from lbbench.packetwalk.hop import Flow
from lbbench.packetwalk.rules import thresholds
from lbbench.packetwalk.scenario_site import site_of
from lbbench.packetwalk.seed import seed_lb

DATA = Path(__file__).parent / "data" / "files"
SEED_RULES = Path(__file__).parent.parent / "lbbench" / "scenarios" / "seed" / "iptables-save.rules"
NODE_0, NODE_1 = "aks-nodepool1-31351229-0", "aks-nodepool1-31351229-1"

LINE_LB = (
    "tcp 6 86397 ESTABLISHED src=109.125.120.58 dst=23.101.73.47 sport=62585 dport=80 "
    "src=10.244.0.10 dst=10.244.0.1 sport=80 dport=62585 [ASSURED] mark=0 use=1"
)
LINE_INGRESS = (
    "tcp 6 86386 ESTABLISHED src=109.125.120.58 dst=51.136.49.205 sport=63774 dport=80 "
    "src=10.244.1.6 dst=109.125.120.58 sport=80 dport=63774 [ASSURED] mark=0 use=1"
)
LINE_SECOND_LEG = (
    "tcp 6 97 TIME_WAIT src=10.244.1.6 dst=10.244.0.13 sport=55710 dport=80 "
    "src=10.244.0.13 dst=10.244.1.6 sport=80 dport=55710 [ASSURED] mark=0 use=1"
)
LOG_LINE = (
    '109.125.120.58 - [109.125.120.58] - - [22/Jan/2019:10:26:23 +0000] "GET / HTTP/1.1" 200 4666 '
    '"-" "curl/7.58.0" 122 0.319 [default-whereami-ingress-80] 10.244.0.13:80 4666 0.316 200 '
    "e86645fb39b6cf9ba6127386ead7f7f1"
)


def hop(found, kind):
    """Return the first hop of a kind."""
    return next(item for item in found.hops if item.kind == kind)


def texts(found):
    """Return the rules that a walk shows, in order."""
    return [rule.text for item in found.hops for rule in item.rules]


# --- scenarios ------------------------------------------------------------------------------------


def scenario(**cluster):
    """Return a scenario as plain data: three nodes, round trips that differ."""
    network = {"client_rtt": "20ms", "same_node_rtt": "0.1ms", "cross_node_rtt": "0.99ms"}
    return {
        "name": "nginx",
        "path": "service",
        "cluster": {"nodes": 3, "pods": 5, "network": network, **cluster},
        "traffic": {
            "utilisation": 0.1,
            "service_time": {"distribution": "deterministic", "mean": "8ms"},
        },
        "run": {"requests": 1},
    }


def test_new_rule_texts_are_those_of_real_saves():
    """Rules for default/nginx in the new generation equal those saved on AKS nodes.

    The saves' addresses, VIPs and policies go into the scenario. KUBE-SERVICES is left out: the
    Service of the second save has no port there.
    """
    local = scenario(
        vip="203.0.113.10:80",
        pods=[{"name": "a", "node": "node-2", "address": "10.244.2.5:80"}],
    )
    local["stages"] = {"kube_proxy": {"external_traffic_policy": "Local"}}
    saved = set((DATA / "F02_aks_local_node_with_pod.rules").read_text().splitlines())
    shown = texts(walk(site_of(build(local))))
    shown = [text for text in shown if re.match(r"-A KUBE-(EXT|SVL|SEP)-", text)]
    extra = set(shown) - saved  # the save is a grep for nginx, which this rule does not mention
    assert len(shown) == 7
    assert [text[:12] for text in extra] == ["-A KUBE-EXT-"]
    assert "-j KUBE-SVL-" in extra.pop()
    cluster = scenario(
        vip="203.0.113.12:80",
        pods=[
            {"name": "a", "node": "node-0", "address": "10.244.0.113:80"},
            {"name": "b", "node": "node-1", "address": "10.244.1.136:80"},
        ],
    )
    saved = set((DATA / "F05_aks_cluster_2ep.rules").read_text().splitlines())
    for pod in ("a", "b"):
        shown = texts(walk(site_of(build(cluster)), pod=pod))
        shown = [text for text in shown if re.match(r"-A KUBE-(EXT|SVC|SEP)-", text)]
        assert len(shown) == 6
        assert set(shown) <= saved


@st.composite
def sites(draw):
    """Draw a scenario of either path and policy, with uneven placement."""
    nodes = draw(st.integers(1, 4))
    placement = draw(st.lists(st.integers(0, 4), min_size=nodes, max_size=nodes).filter(sum))
    data = scenario(nodes=nodes, pods=sum(placement), placement=placement)
    data["path"] = draw(st.sampled_from(["service", "ingress"]))
    if data["path"] == "ingress":
        data["cluster"]["ingress"] = {
            "replicas": draw(st.integers(1, nodes)),
            "workers": draw(st.integers(1, 4)),
            "cpu_per_request": "300us",
        }
    balancer = draw(st.sampled_from(["round_robin", "chash", "ewma"]))
    data["stages"] = {
        "kube_proxy": {"external_traffic_policy": draw(st.sampled_from(["Cluster", "Local"]))},
        "ingress": {"balancer": balancer, "hash_by": "$host"},  # the same key in walk and run
    }
    data["run"]["seed"] = draw(st.integers(0, 2**31))
    data["traffic"]["clients"] = {"count": 20}
    return data


@given(sites(), st.integers(0, 3), st.integers(1024, 65535))
@settings(max_examples=60, deadline=None)
def test_entries_invert_what_was_translated(data, node, port):
    """In every scenario: the reply half inverts the packet that left, and brings the answer back.

    A crossing flow has an entry on either node; a node without endpoints under Local drops.
    """
    site = site_of(build(data))
    door = node % len(site.nodes)
    found = walk(site, client=f"198.51.100.9:{port}", node=str(door))
    if not site.endpoints(door):
        assert found.outcome == "dropped"
        assert not found.conntrack
        return
    first = found.conntrack[0]
    sent = hop(found, "postrouting").after
    assert first.original == found.hops[0].after
    assert first.reply == sent.reversed()
    assert hop(found, "reply").after == first.reply or data["path"] == "ingress"
    assert hop(found, "client_reply").after == first.original.reversed()
    if site.local:
        assert (sent.source, sent.source_port) == ("198.51.100.9", port)
    else:
        target = next(item for item in site.targets if item.ip == sent.destination)
        here = site.nodes[door]
        assert sent.source == (here.bridge if target.node == door else here.address)
        assert 1024 <= sent.source_port < 65536
    crossings = sum(item.kind == "fabric" and item.direction == "request" for item in found.hops)
    legs = 1 + (data["path"] == "ingress")
    assert len(found.conntrack) == legs + crossings
    for entry in found.conntrack[1:]:
        assert entry.reply == entry.original.reversed()


@given(sites())
@settings(max_examples=40, deadline=None)
def test_a_walk_meets_what_the_first_request_of_a_run_meets(data):
    """Same client and port, same seed: the reference engine's node, replica, worker, pod, latency.

    Under Cluster with an ingress a walk draws the port after SNAT (--random-fully), which the
    engines keep, so worker and pod may differ there; the pod is then given.
    """
    made = build(data)
    plan = make_plan(made)
    outcome = reference.run(plan, record=True)
    row = {name: int(column[0]) for name, column in outcome.records.items() if name != "arrival"}
    people = plan.traffic.population
    address = people.addresses[people.client_address[row["client"]]]
    pod = plan.topology.pods[row["pod"]]
    site = site_of(made)
    loose = data["path"] == "ingress" and not site.local
    found = walk(site, client=f"{address}:{row['port']}", pod=pod.name if loose else None)
    assert found.node == plan.topology.nodes[row["node"]].name
    assert found.pod == pod.address
    if data["path"] == "ingress":
        replica = plan.topology.replicas[row["replica"]]
        assert hop(found, "nginx").after.destination == replica.address.rsplit(":", 1)[0]
        if not loose:
            own = row["worker"] % plan.topology.workers_per_replica  # numbered through all replicas
            assert f"to worker {own} of" in hop(found, "worker").what
    arrival = float(outcome.records["arrival"][0])
    start = float(outcome.records["start"][0])
    served = hop(found, "served")
    assert served.time_s - served.latency_s == pytest.approx(start - arrival, abs=1e-9)
    assert found.time_s == pytest.approx(outcome.tally.latency_sum.sum() * 1e-9, abs=2e-9)


@given(st.integers(1, 40), st.integers(0, 2**32), st.sampled_from(["%0.5f", "%0.10f"]))
@settings(max_examples=80, deadline=None)
def test_rules_and_the_iptables_balancer_choose_alike(n, seed, number_format):
    """Going through the rules one by one picks what the balancer picks from the same stream."""
    balancer = find("iptables")
    options = balancer.options({"probability_format": number_format})
    state = balancer.state(options, [Endpoint(f"10.0.0.{i}:80") for i in range(n)])
    ids = np.arange(n, dtype=np.int64)
    site = seed_lb()
    service = replace(site.service, probability_format=number_format)
    with wrapping():
        rng = stream(seed, 0, "kube_proxy", "node-0")
        balancer.on_endpoints(state, rng, ids[:0], ids, 0.0)
        expected = balancer.pick(state, rng.copy(), 0.0, 1, np.zeros(n, np.int64), ids[:0])
    found, draws = statistic_random(thresholds(service, n), rng)
    assert found == expected
    assert len(draws) == min(found + 1, n - 1)


def test_local_policy_gives_uneven_shares_on_uneven_nodes():
    """Local with 3 + 1 pods on two nodes: 1/6, 1/6, 1/6, 1/2 of the connections.

    E[share] = 1 / (M k). Four binomial tests at z = 4: a false alarm in 4 x 6.3e-5 = 2.5e-4 of
    choices of seeds.
    """
    data = scenario(nodes=2, pods=4, placement=[3, 1])
    data["stages"] = {"kube_proxy": {"external_traffic_policy": "Local"}}
    site = site_of(build(data))
    n, counts = 4000, Counter()
    for i in range(n):
        flow = Flow(f"198.51.{i >> 8}.{i & 255}", 40000 + 7 * i % 20000, "20.0.0.1", 80)
        node, _ = pick_node(site, flow, i, None)
        position, decision = pick_endpoint(site, node, flow, i, None)
        item = site.endpoints(node)[position]
        counts[item.name] += 1
        assert decision.probability == pytest.approx(1 / len(site.endpoints(node)), abs=1e-9)
    for name, p in (("pod-0", 1 / 6), ("pod-1", 1 / 6), ("pod-2", 1 / 6), ("pod-3", 1 / 2)):
        assert abs(counts[name] - n * p) < 4 * math.sqrt(n * p * (1 - p))


def test_given_probabilities_are_walked_as_written():
    """Imported rules keep their probabilities, in the texts and in the draws."""
    data = scenario(nodes=1, pods=3)
    data["stages"] = {"kube_proxy": {"probabilities": [0.2, 0.75, 1.0]}}
    found = walk(site_of(build(data)), pod="pod-1")
    shown = [text for text in texts(found) if "--probability" in text]
    assert [text.split("--probability ")[1].split()[0] for text in shown] == [
        "0.20000000019",
        "0.75000000000",
    ]
    assert hop(found, "endpoints").decision.probability == pytest.approx(0.6, abs=1e-9)


def test_nth_rules_count_connections():
    """Mode nth: --every n - i --packet 0; the first connection meets the first rule."""
    data = scenario()
    data["stages"] = {"kube_proxy": {"mode": "iptables_nth"}}
    found = walk(site_of(build(data)))
    assert found.pod == "10.244.0.2:8080"
    assert any("--mode nth --every 5 --packet 0" in text for text in texts(found))


def test_other_data_planes_have_no_chains():
    """Without iptables: one look-up instead of chains, the same translations and entries."""
    site = site_of(build(scenario()))
    chained = walk(site, pod="pod-3")
    balancer = find("random")
    other = replace(site.service, mode="nftables", balancer=balancer, options=balancer.options({}))
    found = walk(replace(site, service=other), pod="pod-3")
    assert texts(found) == []
    assert not any(item.chain for item in found.hops)
    assert found.conntrack == chained.conntrack
    assert found.time_s == chained.time_s
    drawn = hop(walk(replace(site, service=other)), "endpoints").decision
    assert drawn.uniform is not None


@pytest.mark.parametrize(
    ("stage", "said"),
    [
        ({"mode": "nftables"}, "numgen random mod 5"),
        ({"mode": "maglev"}, "Maglev table, hash of the flow"),
        *(
            ({"mode": "ipvs", "scheduler": name}, f"IPVS scheduler {name}")
            for name in ("rr", "wrr", "lc", "wlc", "sed", "nq", "sh", "dh", "mh")
        ),
    ],
)
def test_every_mode_is_walked_with_its_own_balancer(stage, said):
    """The hop names the rule, and the pod is the one that the rule gives a fresh node's first."""
    data = scenario()
    data["stages"] = {"kube_proxy": stage}
    site = site_of(build(data))
    decision = hop(walk(site), "endpoints").decision
    assert said in decision.by
    assert decision.chosen in {item.address for item in site.targets}
    if stage.get("scheduler") in ("rr", "wrr", "lc", "wlc", "sed", "nq"):
        assert decision.chosen == max(item.address for item in site.targets)  # the list's head


def test_rules_that_leave_a_rest_lose_packets():
    """Probabilities 0.5, 0.5 as written for all rules: a quarter falls through and gets no answer.

    Binomial at z = 4: a false alarm in 6.3e-5 of choices of seeds.
    """
    site = site_of(build(scenario(nodes=1, pods=2)))
    site = replace(site, service=replace(site.service, probabilities=(0.5, 0.5)))
    found = [walk(site, seed=seed) for seed in range(400)]
    lost = [item for item in found if item.outcome == "dropped"]
    assert abs(len(lost) - 100) < 4 * math.sqrt(400 * 0.25 * 0.75)
    assert "No rule matched" in hop(lost[0], "dropped").what
    assert hop(lost[0], "dropped").decision.probability == pytest.approx(0.25, abs=1e-9)


def test_a_balancer_that_picks_nothing_is_an_error_unless_the_pod_is_named():
    """Somebody's own balancer that answers -1: a sentence; with --pod it is not asked."""
    data = scenario()
    data["path"] = "ingress"
    site = site_of(build(data))
    none = replace(site.controller.balancer, pick=lambda *_: -1)
    site = replace(site, controller=replace(site.controller, balancer=none))
    with pytest.raises(RunError, match="its first pick is -1, which is none of the 5 listed"):
        walk(site)
    assert walk(site, pod="pod-2").outcome == "delivered"


def test_affinity_adds_recent_rules():
    """ClientIP affinity: one rcheck rule per endpoint before the random ones, set at the DNAT."""
    data = scenario(nodes=1, pods=3)
    data["stages"] = {"kube_proxy": {"session_affinity": "ClientIP", "affinity_timeout": "3h"}}
    found = walk(site_of(build(data)))
    shown = texts(found)
    assert sum("--rcheck --seconds 10800 --reap" in text for text in shown) == 3
    assert sum("-m recent --set" in text for text in shown) == 1


def test_ipv6_addresses_are_bracketed_in_tuples_only():
    """An IPv6 VIP: [address]:port in tuples, bare ones in conntrack, /128 in rules."""
    data = scenario(
        nodes=1,
        vip="[2001:db8::80]:80",
        pods=[{"name": "a", "node": "node-0", "address": "[fd00::5]:80"}],
    )
    found = walk(site_of(build(data)))
    assert found.vip == "[2001:db8::80]:80"
    assert "dst=2001:db8::80 sport=" in found.conntrack[0].line()
    assert any("-d 2001:db8::80/128" in text for text in texts(found))
    assert any("--to-destination [fd00::5]:80" in text for text in texts(found))


@pytest.mark.parametrize(
    ("asked", "said"),
    [
        ({"client": "1.2.3.4"}, "--client 1.2.3.4: must be IP:PORT"),
        ({"client": "1.2.3.4:0"}, "port from 1 to 65535"),
        ({"client": "[2001:db8::1]:80"}, "is IPv4"),
        ({"client": "10.244.1.4:5000"}, f"of the pods of {NODE_1} (10.244.1.0/24)"),
        ({"node": "aks-nodepool1-31351229-7"}, "did you mean aks-nodepool1-31351229-"),
        ({"node": "x"}, f"there are {NODE_0}, {NODE_1}"),
        ({"pod": "10.244.0.99"}, "seed-lb has no such pod"),
    ],
)
def test_unknown_names_are_refused_with_what_is_allowed(asked, said):
    """One sentence: the option, the value, what is allowed."""
    with pytest.raises(InputError) as caught:
        walk(seed_lb(), **asked)
    assert said in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_pod_that_its_node_cannot_reach_is_refused():
    """Under Local a pod fixes its node; naming another node is a contradiction."""
    data = scenario(nodes=2, pods=2)
    data["stages"] = {"kube_proxy": {"external_traffic_policy": "Local"}}
    site = site_of(build(data))
    assert walk(site, pod="pod-1").node == "node-1"
    with pytest.raises(InputError, match="reaches only its own pods, here pod-0"):
        walk(site, node="node-0", pod="pod-1")

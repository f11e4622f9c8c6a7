"""The two walks of the blog post: chains, tuples, marks, conntrack and log as it prints them."""

from __future__ import annotations

import pytest
from test_packetwalk import (
    LINE_INGRESS,
    LINE_LB,
    LINE_SECOND_LEG,
    LOG_LINE,
    NODE_0,
    NODE_1,
    SEED_RULES,
    hop,
    texts,
)

from lbbench.inputs.access_log.line import parse
from lbbench.packetwalk import walk
from lbbench.packetwalk.hop import Flow
from lbbench.packetwalk.seed import PRESETS, seed_ingress, seed_lb

# --- the seed's walks -----------------------------------------------------------------------------


@pytest.mark.parametrize("named", [True, False])
def test_seed_lb_prints_the_conntrack_line_of_the_post(named):
    """The entry of the post, whether its choices are named or the record is repeated."""
    asked = {"client": "109.125.120.58:62585", "node": NODE_0, "pod": "10.244.0.10"}
    found = walk(seed_lb(), **(asked if named else {}))
    assert [(entry.node, entry.line()) for entry in found.conntrack] == [(NODE_0, LINE_LB)]


def test_seed_ingress_prints_the_conntrack_lines_of_the_post():
    """The client's leg on node 1 without SNAT, and nginx's own leg on both nodes."""
    found = walk(seed_ingress())
    assert [(entry.node, entry.line()) for entry in found.conntrack] == [
        (NODE_1, LINE_INGRESS),
        (NODE_1, LINE_SECOND_LEG),
        (NODE_0, LINE_SECOND_LEG),
    ]


def test_seed_lb_remote_case_has_two_entries():
    """A pod on the other node: NAT on the entry node, an entry without any on the pod's node."""
    found = walk(seed_lb(), pod="10.244.1.2")
    nat, plain = found.conntrack
    assert (nat.node, plain.node) == (NODE_0, NODE_1)
    assert nat.line() == (
        "tcp 6 86397 ESTABLISHED src=109.125.120.58 dst=23.101.73.47 sport=62585 dport=80 "
        "src=10.244.1.2 dst=10.13.77.4 sport=80 dport=62585 [ASSURED] mark=0 use=1"
    )
    assert plain.original == Flow("10.13.77.4", 62585, "10.244.1.2", 80)
    assert plain.reply == plain.original.reversed()


def test_seed_lb_translates_step_by_step():
    """Tuples and marks of path A: VIP until DNAT, 0x4000 from KUBE-FW on, source at the end."""
    found = walk(seed_lb())
    steps = {item.kind: (str(item.after), item.mark) for item in reversed(found.hops)}
    client, inside = "109.125.120.58:62585", "10.244.0.1:62585 -> 10.244.0.10:80"
    assert steps["azure_lb"] == steps["services"] == (f"{client} -> 23.101.73.47:80", 0)
    assert steps["external"] == steps["endpoints"] == (f"{client} -> 23.101.73.47:80", 0x4000)
    assert steps["dnat"] == (f"{client} -> 10.244.0.10:80", 0x4000)
    assert steps["postrouting"] == (inside, 0x4000)
    assert steps["pod"] == (inside, 0)
    assert steps["reply"] == ("10.244.0.10:80 -> 10.244.0.1:62585", 0)
    assert steps["untranslate"] == steps["client_reply"] == (f"23.101.73.47:80 -> {client}", 0)


@pytest.mark.parametrize("name", PRESETS)
def test_seed_walks_print_rules_that_the_post_printed(name):
    """Every rule stands in the post's iptables-save, but the one that its grep hid."""
    printed = set(SEED_RULES.read_text().splitlines())
    shown = set(texts(walk(PRESETS[name]())))
    hidden = {text for text in shown if "Redirect pods trying to reach" in text}
    assert len(hidden) == (name == "seed-ingress")
    assert shown - hidden <= printed
    assert len(shown - hidden) == {"seed-lb": 10, "seed-ingress": 7}[name]


def test_seed_ingress_keeps_the_client_and_logs_it():
    """No mark, no SNAT; the pod's peer is nginx; the log line is the one of the post's curl."""
    found = walk(seed_ingress())
    assert not any(item.mark for item in found.hops)
    assert str(hop(found, "nginx").after) == "109.125.120.58:63774 -> 10.244.1.6:80"
    assert str(hop(found, "connect").after) == "10.244.1.6:55710 -> 10.244.0.13:80"
    assert "X-Forwarded-For: 109.125.120.58" in hop(found, "http").what
    assert found.access_log == LOG_LINE
    assert parse(found.access_log.encode()).older


def test_seed_routes_are_those_of_the_route_table():
    """Between nodes: the default route, then 10.244.0.0/24 -> 10.13.77.4, no encapsulation."""
    found = walk(seed_ingress())
    assert (
        "default route via 10.13.77.1"
        in [item for item in found.hops if item.kind == "route"][1].what
    )
    assert "10.244.0.0/24 -> VirtualAppliance 10.13.77.4" in hop(found, "fabric").what


def test_seed_ingress_through_node_0_is_dropped():
    """A node without a local endpoint drops: mark 0x8000, no entry, SYN retries, no pod."""
    found = walk(seed_ingress(), node=NODE_0)
    assert (found.outcome, found.pod, found.conntrack) == ("dropped", None, ())
    assert hop(found, "dropped").mark == 0x8000
    assert any("has no local endpoints" in text for text in texts(found))
    assert "1, 3, 7 s" in hop(found, "timeout").what
    assert found.time_s == 10.0


def test_seed_probes_differ_by_policy():
    """Cluster: TCP to the node port; Local: HTTP to the health-check port, 503 from node 0."""
    assert "TCP port 31808 every 5 s, 2 in a row" in hop(walk(seed_lb()), "azure_lb").notes[0]
    note = hop(walk(seed_ingress()), "azure_lb").notes[0]
    assert "HTTP port 31924 /healthz" in note
    assert f"200 from {NODE_1}, 503 from {NODE_0}" in note


def test_a_seed_draws_instead_of_repeating_the_record():
    """With a seed the hash chooses the node, and seeds differ in the pod they draw."""
    found = [walk(seed_lb(), seed=seed) for seed in range(12)]
    assert {item.node for item in found} == {NODE_1}  # 0xad7c7b83 mod 2 = 1
    assert {item.pod for item in found} == {"10.244.0.10:80", "10.244.1.2:80"}
    decision = hop(found[0], "endpoints").decision
    (draw,) = decision.draws
    assert draw.below == 0.5
    assert draw.matched == (draw.value < 0.5) == (found[0].pod == "10.244.0.10:80")


def test_a_record_holds_only_while_everything_before_agrees():
    """Another client or another node makes the choices after it fresh ones."""
    other_client = walk(seed_lb(), client="198.51.100.7:40000")
    assert hop(other_client, "azure_lb").decision.given is None
    other_node = walk(seed_lb(), node=NODE_1)
    assert hop(other_node, "azure_lb").decision.given == "--node"
    assert hop(other_node, "endpoints").decision.given is None
    assert hop(walk(seed_lb(), pod="10.244.1.2"), "azure_lb").decision.given.startswith("observed")


@pytest.mark.parametrize("name", PRESETS)
def test_seed_latency_adds_up(name):
    """Times are cumulated latencies; crossing nodes costs half of 0.99 ms each way."""
    found = walk(PRESETS[name]())
    total = 0.0
    for item in found.hops:
        total += item.latency_s
        assert item.time_s == pytest.approx(total, abs=1e-12)
    remote = walk(seed_lb(), pod="10.244.1.2")
    assert hop(remote, "pod").time_s == pytest.approx(0.000495, abs=1e-12)
    assert hop(walk(seed_lb()), "pod").time_s == pytest.approx(0.00005, abs=1e-12)

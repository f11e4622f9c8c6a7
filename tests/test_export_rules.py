"""Rules written for a scenario are what `iptables-restore` takes and the importer reads back."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from pathlib import Path

import pytest
from command import Command, says_one_sentence
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from lbbench.balancers.iptables import threshold
from lbbench.errors import InputError
from lbbench.inputs.iptables.reader import read_iptables
from lbbench.inputs.iptables.scenario import to_scenario
from lbbench.model.check import build
from lbbench.model.topology import topology
from lbbench.packetwalk.rules import thresholds
from lbbench.packetwalk.ruleset import restore_text, service_name
from lbbench.packetwalk.scenario_site import site_of

U31 = 2**31
SCENARIOS = 200
RESTORE = {"IPv4": "iptables-restore", "IPv6": "ip6tables-restore"}
VIP = {"IPv4": "20.0.0.1:80", "IPv6": "[2001:db8:9::1]:80"}
REASON = (
    "needs root, unshare and iptables-restore"
    if os.geteuid() or not all(map(shutil.which, ("unshare", *RESTORE.values())))
    else ""
)

TRAFFIC = {"utilisation": 0.5}
SHOP = {
    "name": "shop",
    "path": "service",
    "cluster": {"nodes": 3, "pods": 4, "placement": [3, 1, 0]},
    "traffic": TRAFFIC,
}


@st.composite
def scenarios(draw: st.DrawFn):
    """Draw what the rules depend on: endpoints, policy, mode, print format, affinity, topology."""
    nodes = draw(st.integers(1, 4))
    pods = draw(st.integers(1, 40))
    stage = {
        "mode": draw(st.sampled_from(["iptables", "iptables_nth"])),
        "external_traffic_policy": draw(st.sampled_from(["Cluster", "Local"])),
        "probability_format": draw(st.sampled_from(["%0.10f", "%0.5f"])),
        "session_affinity": draw(st.sampled_from(["None", "ClientIP"])),
        "affinity_timeout": f"{draw(st.integers(1, 86400))}s",
        "topology": draw(st.sampled_from(["none", "node", "zone"])),
    }
    if stage["mode"] == "iptables" and stage["external_traffic_policy"] == "Cluster":
        given_ = draw(st.booleans())
        if given_ and stage["topology"] == "none":
            share = st.floats(0.001, 0.999)
            drawn = draw(st.lists(share, min_size=pods - 1, max_size=pods - 1))
            stage["probabilities"] = [*drawn, 1.0]
    return {
        "name": draw(st.text("Ab-_ 9\"'é", min_size=1, max_size=70).filter(str.strip)),
        "path": "service",
        "cluster": {
            "nodes": [{"name": f"n{i}", "zone": str(i % 2)} for i in range(nodes)],
            "pods": pods,
            "placement": draw(st.sampled_from(["spread", "pack"])),
        },
        "stages": {"kube_proxy": stage},
        "traffic": TRAFFIC,
    }


def over(family, data):
    """Return a drawn scenario with addresses of a family: its own are of IPv4."""
    if family == "IPv4":
        return data
    top = topology(build(data))
    nodes = [
        {"name": node.name, "zone": node.zone, "address": f"fd00::{i + 1:x}"}
        for i, node in enumerate(top.nodes)
    ]
    pods = [
        {"name": pod.name, "node": top.nodes[pod.node].name}
        | {"address": f"[fd00:10:244:{pod.node:x}::{k + 2:x}]:8080"}
        for k, pod in enumerate(top.pods)
    ]
    return {**data, "cluster": {"nodes": nodes, "pods": pods, "vip": VIP[family]}}


def endpoints_of(rules, *, local: bool):
    """Return (address, threshold) of each balancing rule, as the kernel will have them."""
    found = rules.local_endpoints if local else rules.endpoints
    return [(item.address, item.probability, item.share) for item in found or ()]


def shares(limits):
    """Return the share of each rule of a chain from its thresholds."""
    left, found = 1.0, []
    for limit in limits:
        found.append(left * limit / U31)
        left *= 1.0 - limit / U31
    return found


@settings(max_examples=SCENARIOS, deadline=None, suppress_health_check=list(HealthCheck))
@given(
    data=scenarios(),
    family=st.sampled_from(list(VIP)),
    pick=st.integers(0, 3),
    node_port=st.none() | st.just(30080),
)
def test_rules_are_read_back_to_the_same_endpoints_and_probabilities(
    tmp_path, data, family, pick, node_port
):
    """Export, then import: the same policy, affinity, endpoints, thresholds and shares."""
    scenario = build(over(family, data))
    site = site_of(scenario)
    node = pick % len(site.nodes)
    path = tmp_path / "node.rules"
    path.write_text(restore_text(scenario, node=str(node), node_port=node_port))
    ruleset = read_iptables(path)
    assert ruleset.dangling_chains == ()
    assert ruleset.unresolved_sep == 0
    assert ruleset.skipped == ()
    (read,) = ruleset.services
    stage = scenario.stages.kube_proxy
    assert read.name == f"default/{service_name(scenario.name)}"
    assert read.external_policy == stage.external_traffic_policy
    assert read.vip == VIP[family]
    assert read.node_port == node_port
    assert read.affinity_seconds == (site.service.affinity_timeout_s or None)
    for local in (False, True) if site.local else (False,):
        found = endpoints_of(read, local=local)
        if local:
            assert [a for a, _, _ in found] == [item.address for item in site.endpoints(node)]
        elif stage.topology == "none":
            assert [a for a, _, _ in found] == sorted(item.address for item in site.targets)
        n = len(found)
        if stage.mode == "iptables_nth":
            assert [p for _, p, _ in found] == [1.0 / (n - i) for i in range(n)]
            continue
        limits = thresholds(site.service, n)
        assert [threshold(f"{p:.11f}") for _, p, _ in found] == limits
        assert [share for _, _, share in found] == pytest.approx(shares(limits), rel=1e-12)


@pytest.mark.parametrize("number_format", ["%0.10f", "%0.5f"])
def test_probabilities_are_printed_in_the_format_of_the_scenario(number_format):
    """The rule that leaves 3 of 4 carries 1/3 with 10 or 5 decimals, the last rule nothing."""
    stage = {"probability_format": number_format}
    text = restore_text(build({**SHOP, "stages": {"kube_proxy": stage}}))
    assert f"--probability {number_format % (1 / 3)} -j" in text
    assert text.count("--probability") == 3


def test_a_scenario_comes_back_whole(tmp_path):
    """Import of the exported rules gives a scenario that writes the same rules."""
    stage = {"session_affinity": "ClientIP", "affinity_timeout": "30s"}
    stage |= {"probability_format": "%0.5f"}
    first = restore_text(build({**SHOP, "stages": {"kube_proxy": stage}}))
    path = tmp_path / "node.rules"
    path.write_text(first)
    again = to_scenario(read_iptables(path))
    again["name"] = "shop"
    second = restore_text(build(again))
    printed = re.compile(r"--probability (\S+)")
    assert [threshold(p) for p in printed.findall(second)] == [
        threshold(p) for p in printed.findall(first)
    ]
    assert printed.sub("", second) == printed.sub("", first)


def test_local_writes_the_chain_of_the_node_and_drops_where_nothing_is():
    """Node 1 balances over its one pod; node 2, without any, drops in table filter."""
    scenario = build({**SHOP, "stages": {"kube_proxy": {"external_traffic_policy": "Local"}}})
    one, two = (restore_text(scenario, node=name) for name in ("node-1", "node-2"))
    assert sum(line.startswith("-A KUBE-SVL-") for line in one.splitlines()) == 1
    assert "*filter" not in one
    assert "KUBE-SVL-" not in two
    assert 'has no local endpoints" -m tcp --dport 80 -j DROP' in two
    assert two.count("COMMIT\n") == 2


@pytest.mark.parametrize(
    ("change", "options", "said"),
    [
        ({"kube_proxy": {"mode": "ipvs"}}, {}, "kube_proxy.mode = ipvs: has no iptables rules"),
        ({}, {"node": "node-7"}, "--node node-7: shop has no such node"),
        ({}, {"node_port": 0}, "--node-port 0: must be a port from 1 to 65535"),
        (
            {"kube_proxy": {"session_affinity": "ClientIP", "affinity_timeout": "1500ms"}},
            {},
            "affinity_timeout = 1.5s: rules count whole seconds",
        ),
    ],
)
def test_what_has_no_rules_is_one_sentence(change, options, said):
    """Each refusal names the key or option, its value and the way out."""
    with pytest.raises(InputError, match=said):
        restore_text(build({**SHOP, "stages": change}), **options)


def test_the_command_prints_and_writes(tmp_path: Path, monkeypatch, capsys):
    """Stdout without -o, a file with it, nothing when the command fails."""
    command = Command(monkeypatch, capsys)
    printed = command("export-rules", "aks-ingress", "--node", "node-1")
    assert printed.code == 0
    assert printed.out.startswith("# Rules of node-1 in aks-ingress, written by lbbench")
    path = tmp_path / "node.rules"
    assert command("export-rules", "aks-ingress", "--node", "node-1", "-o", path).code == 0
    assert path.read_text() == printed.out
    other = tmp_path / "none.rules"
    assert says_one_sentence(command("export-rules", "aks-ingress", "--node", "x", "-o", other))
    assert not other.exists()


@pytest.mark.skipif(bool(REASON), reason=REASON)
@pytest.mark.parametrize("family", list(VIP))
def test_the_real_iptables_restore_accepts_them(tmp_path, family):
    """`iptables-restore --test` in a network namespace of its own takes 200 drawn rule sets."""
    restore = ["unshare", "-n", RESTORE[family], "--test"]
    if subprocess.run(restore, check=False, input=b"").returncode:
        pytest.skip(f"{RESTORE[family]} cannot be run in a network namespace here")
    texts: list[str] = []

    @settings(
        max_examples=SCENARIOS,
        deadline=None,
        database=None,
        suppress_health_check=list(HealthCheck),
    )
    @given(data=scenarios(), pick=st.integers(0, 3), node_port=st.none() | st.just(30080))
    def collect(data, pick, node_port):
        scenario = build(over(family, data))
        node = str(pick % len(data["cluster"]["nodes"]))
        texts.append(restore_text(scenario, node=node, node_port=node_port))

    collect()
    assert len(texts) >= SCENARIOS
    for i, text in enumerate(texts):
        (tmp_path / f"{i}.rules").write_text(text)
    script = f'for f in *.rules; do {RESTORE[family]} --test "$f" || {{ echo "$f"; exit 1; }}; done'
    ended = subprocess.run(
        ["unshare", "-n", "sh", "-c", script],
        check=False,
        cwd=tmp_path,
        capture_output=True,
        text=True,
    )
    assert ended.returncode == 0, ended.stdout + ended.stderr


def test_addresses_of_both_families_are_refused():
    """A VIP of IPv6 before pods of IPv4 has no table of rules."""
    cluster = {**SHOP["cluster"], "vip": VIP["IPv6"]}
    with pytest.raises(InputError, match=r"shop: cluster\.vip = 2001:db8:9::1: .* mixes IPv4"):
        restore_text(build({**SHOP, "cluster": cluster}))

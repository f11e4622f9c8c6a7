"""Several imports become one scenario; what contradicts is said with both places."""

import io
from pathlib import Path

import pytest

from lbbench.errors import InputError, LbbenchError
from lbbench.inputs.access_log.reader import read_access_log
from lbbench.inputs.combine import combine, read_earlier, scenario_from
from lbbench.inputs.iptables.reader import assemble, read_iptables
from lbbench.inputs.iptables.rules import parse_rules
from lbbench.inputs.iptables.scenario import from_rules, to_scenario
from lbbench.inputs.placement import place
from lbbench.inputs.yaml import dump
from lbbench.model.check import build
from lbbench.model.topology import topology

DATA = Path(__file__).parent / "data"
SEED = Path(__file__).parent.parent / "lbbench" / "scenarios" / "seed"
EWMA = DATA / "logs" / "ewma" / "access.log.gz"
LINE = (
    '{client} - - [25/Nov/2026:04:22:{second:02d} +0000] "GET /u{k} HTTP/1.1" 200 6 "-" "-" 61 '
    "0.013 [shop-web-80] [] {address} 6 0.010 200 12edeb809134f544f958dba9b975fc15"
)


def seed_rules():
    """Read the shipped rules."""
    return read_iptables(SEED / "iptables-save.rules")


def seed_log():
    """Read the shipped log."""
    return read_access_log(SEED / "access.log")


def made_log(tmp_path, addresses, *, client="203.0.113.7", n=300):
    """Write and read a log of ``n`` requests that cycle over ``addresses``."""
    path = tmp_path / "made.log"
    rows = [
        LINE.format(client=client, second=k // 20, k=k % 7, address=addresses[k % len(addresses)])
        for k in range(n)
    ]
    path.write_text("\n".join(rows), encoding="utf-8")
    return read_access_log(path)


def made_rules(name, ips, *, kind="FW", suffix="X", port=80, policy=""):
    """Build a rule set of one service with a load balancer address."""
    target = f"KUBE-{'XLB' if policy == 'Local' else 'SVC'}-{suffix}"
    lines = [
        (
            f'-A KUBE-SERVICES -d 20.1.1.1/32 -p tcp -m comment --comment "{name} loadbalancer IP" '
            f"-m tcp --dport {port} -j KUBE-{kind}-{suffix}"
        ),
        f"-A KUBE-{kind}-{suffix} -j {target}",
    ]
    for k, ip in enumerate(ips):
        chance = f"-m statistic --mode random --probability {1 / (len(ips) - k):.11f} "
        last = k == len(ips) - 1
        jump = f"{'' if last else chance}-j KUBE-SEP-{suffix}{k}"
        lines += [f"-A KUBE-SVC-{suffix} {jump}"]
        lines += [f"-A {target} {jump}"] if policy == "Local" else []
        lines += [f"-A KUBE-SEP-{suffix}{k} -p tcp -j DNAT --to-destination {ip}"]
    return lines


def saved(tmp_path, imported, name="earlier.yaml"):
    """Write an import as the command line does."""
    path = tmp_path / name
    path.write_text(dump(imported.scenario), encoding="utf-8")
    return path


def test_the_seed_becomes_the_scenario_of_the_demo():
    """Rules and log of the seed: replica, policy, VIP from one, pods and times from the other."""
    imported = combine(seed_rules(), seed_log())
    tree = imported.scenario
    assert tree["path"] == "ingress"
    assert [node["name"] for node in tree["cluster"]["nodes"]] == ["node-0", "node-1"]
    assert [(p["address"], p["node"]) for p in tree["cluster"]["pods"]] == [
        ("10.244.0.13:80", "node-0"),
        ("10.244.1.9:80", "node-1"),
    ]
    assert [(r["address"], r["node"]) for r in tree["cluster"]["ingress"]["replicas"]] == [
        ("10.244.1.6:80", "node-1")
    ]
    assert tree["cluster"]["ingress"]["workers"] == 2
    assert tree["cluster"]["vip"] == "51.136.49.205:80"
    assert tree["stages"]["kube_proxy"]["external_traffic_policy"] == "Local"
    assert tree["traffic"]["utilisation"] == 0.8
    assert "arrivals" not in tree["traffic"]
    assert tree["observed"]["pods"] == {"10.244.0.13:80": 5, "10.244.1.9:80": 3}
    said = " ".join(imported.notes)
    assert "8 requests are a handful, too few for a rate" in said
    assert "upper bound" in said
    assert "lost the blank" in said
    assert "contradiction" not in said


def test_the_scenario_of_the_demo_can_be_run():
    """It passes the checks of a scenario, presets included, and its topology stands."""
    scenario = build(combine(seed_rules(), seed_log()).scenario)
    assert scenario.preset == "seed"
    assert scenario.stages.ingress.keepalive.upstream == 32
    top = topology(scenario)
    assert top.workers_per_replica == 2
    assert [replica.node for replica in top.replicas] == [1]


def test_importing_one_after_the_other_is_the_same(tmp_path):
    """`import iptables -o X` and `import access-log --into X` give what both together give."""
    together = combine(seed_rules(), seed_log())
    first = saved(tmp_path, scenario_from(seed_rules()))
    after = scenario_from(log=seed_log(), into=first)
    assert after.scenario == together.scenario
    second = saved(tmp_path, scenario_from(log=seed_log()), "log.yaml")
    other = scenario_from(seed_rules(), into=second)
    for key in ("cluster", "stages", "traffic", "preset", "path"):
        assert other.scenario[key] == together.scenario[key]
    assert other.scenario["observed"]["pods"] == together.scenario["observed"]["pods"]


def test_a_measured_rate_replaces_the_assumed_utilisation(tmp_path):
    """The log of 10 882 requests brings a rate; exactly one source of load is left."""
    first = saved(tmp_path, scenario_from(seed_rules()))
    merged = scenario_from(log=read_access_log(EWMA), into=first)
    assert "utilisation" not in merged.scenario["traffic"]
    assert merged.scenario["traffic"]["arrivals"]["rate"].startswith("120.")
    assert not any("rules tell no rate" in note for note in merged.notes)
    build(merged.scenario)
    back = scenario_from(seed_rules(), into=saved(tmp_path, merged, "both.yaml"))
    assert back.scenario["traffic"] == merged.scenario["traffic"]


def test_two_logs_that_differ_are_a_contradiction_with_both_places(tmp_path):
    """Pods of the earlier import against those of the new one: file and line of each."""
    first = saved(tmp_path, scenario_from(log=read_access_log(EWMA)))
    merged = scenario_from(log=made_log(tmp_path, ["10.244.3.3:80"]), into=first)
    line = next(
        number
        for number, text in enumerate(first.read_text(encoding="utf-8").splitlines(), 1)
        if text.strip().startswith("pods:")
    )
    note = next(note for note in merged.notes if "contradiction in cluster.pods" in note)
    assert f"{first}:{line}" in note
    assert str(tmp_path / "made.log") in note
    names = {node["name"] for node in merged.scenario["cluster"]["nodes"]}
    assert names == {"node-0", "node-3"}
    build(merged.scenario)


def test_pods_of_the_rules_and_of_the_log_are_compared(tmp_path):
    """A pod that only the log has and one that only the rules have are named with both places."""
    lines = [
        *made_rules("ingress-nginx/controller:http", ["10.244.0.2:80"], suffix="C"),
        *made_rules("shop/web:http", ["10.244.0.5:80", "10.244.1.5:80"], suffix="W"),
    ]
    rules = assemble([parse_rules(lines, "node.rules")])
    log = made_log(tmp_path, ["10.244.0.5:80", "10.244.2.9:80"])
    notes = [note for note in combine(rules, log).notes if "contradiction" in note]
    assert any("10.244.2.9:80" in note and "node.rules:5" in note for note in notes)
    assert any("10.244.1.5:80" in note and "made.log" in note for note in notes)


def test_local_policy_and_hidden_clients_contradict(tmp_path):
    """Policy Local keeps client addresses; a log full of the bridge's address says otherwise."""
    lines = made_rules("ingress-nginx/controller:http", ["10.244.0.2:80"], policy="Local")
    rules = assemble([parse_rules(lines, "node.rules")])
    log = made_log(tmp_path, ["10.244.0.5:80"], client="10.244.0.1")
    imported = combine(rules, log)
    assert any(
        "contradiction in the client addresses: node.rules:1" in note for note in imported.notes
    )
    assert "clients" not in imported.scenario["traffic"]


def test_rules_of_an_application_give_no_controller(tmp_path):
    """Nginx dials pods itself: policy and probabilities of the pods' own service are left out."""
    lines = made_rules("shop/web:http", ["10.244.0.5:80", "10.244.1.5:80"])
    rules = assemble([parse_rules(lines, "node.rules")])
    imported = combine(rules, made_log(tmp_path, ["10.244.0.5:80", "10.244.1.5:80"]))
    assert imported.scenario["path"] == "ingress"
    assert "kube_proxy" not in imported.scenario.get("stages", {})
    assert any("nginx dials its pods itself" in note for note in imported.notes)
    build(imported.scenario)


@pytest.mark.parametrize(
    ("addresses", "expected"),
    [
        (["10.244.0.3:80", "10.244.2.7:80"], ["node-0", "node-2"]),
        (["[fd00:10:244:0:1::5]:80", "[fd00:10:244:2::5]:80"], ["node-0", "node-2"]),
        (["10.149.112.45:80", "10.149.112.46:80"], ["node-0", "node-1"]),
    ],
)
def test_nodes_are_guessed_from_slices_or_assumed(addresses, expected):
    """A /24 (or /64) per node where the pod network has room for it; else pods are spread."""
    placement = place(addresses)
    assert list(placement.nodes) == expected
    assert [placement.node_of[item] for item in addresses] == expected


def test_local_endpoints_outweigh_the_guess():
    """Two pods of one slice, one local and one not, are on two nodes."""
    placement = place(["10.244.0.3:80", "10.244.0.9:80"], local=["10.244.0.9:80"])
    assert placement.node_of == {"10.244.0.9:80": "node-0", "10.244.0.3:80": "node-1"}


def test_probabilities_follow_their_endpoints_into_another_order():
    """Rules that are not in the order of their addresses keep every endpoint's share."""
    rules = [
        (
            '-A KUBE-SVC-X -m comment --comment "a/b" -m statistic --mode random --probability 0.2 '
            "-j KUBE-SEP-1"
        ),
        "-A KUBE-SVC-X -m statistic --mode random --probability 0.5 -j KUBE-SEP-2",
        "-A KUBE-SVC-X -j KUBE-SEP-3",
        *(
            f"-A KUBE-SEP-{k} -p tcp -j DNAT --to-destination 10.244.0.{9 - k}:80"
            for k in (1, 2, 3)
        ),
    ]
    ruleset = assemble([parse_rules(rules, "x")])
    imported = from_rules(ruleset)
    found = imported.scenario["stages"]["kube_proxy"]["probabilities"]
    assert found == pytest.approx([0.4, 2 / 3, 1.0], abs=1e-9)
    assert "[0.2, 0.5, 1.0]" in " ".join(imported.notes)


def test_affinity_and_counters_reach_the_scenario():
    """ClientIP with its seconds, SourceIP at the load balancer, counted connections as observed."""
    rules = [
        *made_rules("shop/web:http", ["10.244.0.5:80", "10.244.1.5:80"])[:2],
        "-A KUBE-SVC-X -m recent --name KUBE-SEP-X0 --rcheck --seconds 600 --reap -j KUBE-SEP-X0",
        *made_rules("shop/web:http", ["10.244.0.5:80", "10.244.1.5:80"])[2:],
    ]
    rules = [f"[{7 + n}:99] {line}" if "DNAT" in line else line for n, line in enumerate(rules)]
    tree = to_scenario(assemble([parse_rules(rules, "x")]))
    assert tree["stages"]["kube_proxy"]["session_affinity"] == "ClientIP"
    assert tree["stages"]["kube_proxy"]["affinity_timeout"] == "600s"
    assert tree["stages"]["azure_lb"]["distribution"] == "SourceIP"
    assert tree["observed"]["requests"] == sum(tree["observed"]["pods"].values()) > 0
    build(tree)


def test_every_whole_file_becomes_a_scenario_that_can_be_run():
    """F01 .. F24 and the shipped data, except the truncated one, pass the scenario's checks."""
    for path in sorted((DATA / "files").glob("F*")):
        if path.name.startswith("F07") or path.suffix not in (".rules", ".sh", ".log"):
            continue  # cut off, or of another kind, with tests of its own
        if path.suffix == ".log":
            imported = scenario_from(log=read_access_log(path))
        else:
            imported = scenario_from(read_iptables(path))
        build(imported.scenario, place=path.name)


def test_a_service_without_endpoints_is_refused():
    """F22's second service has no endpoint: the sentence names the line and the other services."""
    ruleset = read_iptables(DATA / "files" / "F22_xlb_variants.rules")
    with pytest.raises(InputError, match=r"rules:14: default/echo: has no endpoint.*acs-system"):
        from_rules(ruleset, "default/echo:")


def test_rules_with_a_hole_are_refused():
    """A chain whose shares do not add up to 1 never becomes a scenario."""
    lines = made_rules("shop/web:http", ["10.244.0.5:80", "10.244.1.5:80", "10.244.2.5:80"])
    ruleset = assemble([parse_rules([x for x in lines if not x.endswith("-j KUBE-SEP-X2")], "x")])
    with pytest.raises(InputError, match=r"add up to 0\.6667"):
        from_rules(ruleset)


@pytest.mark.parametrize(
    "text", ["", "a: [", "- 1", "traffic: 3", "cluster: 4\ntraffic: {utilisation: 0.8}", "\0"]
)
def test_a_bad_earlier_import_is_refused(tmp_path, text):
    """An empty file, a YAML mistake, a list, wrong types: a sentence that starts with the place."""
    path = tmp_path / "earlier.yaml"
    path.write_text(text, encoding="utf-8")
    with pytest.raises(LbbenchError) as caught:
        read_earlier(path)
    assert str(caught.value).startswith(str(path))


def test_missing_earlier_imports_and_nothing_at_all_are_refused(tmp_path):
    """A file that is not there; no input."""
    with pytest.raises(InputError, match="cannot be read"):
        read_earlier(tmp_path / "absent.yaml")
    with pytest.raises(InputError, match="nothing to import"):
        scenario_from()


def test_the_yaml_text_reads_back(tmp_path):
    """What is written is what was imported: numbers, texts and lists."""
    imported = combine(seed_rules(), seed_log())
    assert read_earlier(saved(tmp_path, imported)).scenario == imported.scenario
    assert io.StringIO(dump(imported.scenario)).readline().startswith("schema: lbbench.scenario/1")

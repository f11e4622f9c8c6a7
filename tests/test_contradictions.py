"""Imports that do not go together: one sentence per leaf, with both places, in YAML notation."""

import kubectl
import pytest
from test_combine import DATA, SEED, made_rules, saved

from lbbench.inputs.combine import merge, read_earlier
from lbbench.inputs.contradictions import notation
from lbbench.inputs.imported import Imported
from lbbench.inputs.iptables.reader import assemble
from lbbench.inputs.iptables.rules import parse_rules
from lbbench.inputs.iptables.scenario import from_rules
from lbbench.inputs.kubernetes.objects import read_kubernetes
from lbbench.inputs.kubernetes.scenario import from_cluster
from lbbench.studies.imported import read_input

LUA = DATA / "nginx" / "ingress-nginx.conf"
POOLS = {"cluster": {"nodes": [{"name": "aks-a-vmss000000"}]}}


def of_rules(name, ips, **more):
    """Import made rules of one service."""
    return from_rules(assemble([parse_rules(made_rules(name, ips, **more), "node.rules")]))


def of_objects(tmp_path, ips, name="web"):
    """Import a cluster of one service, shop/NAME, whose pods have these addresses."""
    pods = [(ip, f"aks-a-vmss00000{i}", f"{name}-{i}", {}) for i, ip in enumerate(ips)]
    made = [kubectl.service(name), kubectl.endpoint_slice(pods, port=80)]
    path = tmp_path / "all.json"
    path.write_text(kubectl.as_list(made), encoding="utf-8")
    return from_cluster(read_kubernetes(path))


def side(place, tree):
    """Make an import of plain data that comes from one place."""
    return Imported(tree, sources=dict.fromkeys(("cluster", "stages", "traffic"), place))


def against(note, notes):
    """Return the notes that start with ``note``."""
    return [text for text in notes if text.startswith(note)]


def test_a_table_that_differs_is_told_by_its_leaves(tmp_path):
    """Rules of two moments: a line per leaf, lists and words as YAML has them, the table whole."""
    first = saved(tmp_path, of_rules("shop/web:http", ["10.244.0.5:80", "10.244.1.5:80"]))
    lines = first.read_text(encoding="utf-8").splitlines()
    at = next(i for i, line in enumerate(lines, 1) if "external_traffic_policy" in line)
    local = of_rules("shop/web:http", ["10.244.0.5:80", "10.244.1.5:80"], policy="Local")
    merged = merge(read_earlier(first), local)
    told = against("contradiction in stages.kube_proxy", merged.notes)
    assert told[0] == (
        f"contradiction in stages.kube_proxy.external_traffic_policy: {first}:{at} has Cluster, "
        "node.rules:1 has Local; the table of the latter is used"
    )
    assert "stages.kube_proxy.probabilities" in told[1]
    assert "has [0.5, 1.0], node.rules:1 has none" in told[1]
    assert not any("{" in text for text in told)
    assert merged.scenario["stages"]["kube_proxy"] == local.scenario["stages"]["kube_proxy"]


def test_leaves_that_agree_are_not_told():
    """Two service times of one mean differ in their kind and what belongs to it only."""
    one = {"service_time": {"distribution": "exponential", "mean": "20ms"}}
    other = {"service_time": {"distribution": "erlang", "mean": "20ms", "k": 2}}
    merged = merge(side("a.log", {"traffic": one}), side("b.log", {"traffic": other}))
    assert against("contradiction", merged.notes) == [
        (
            "contradiction in traffic.service_time.distribution: a.log has exponential, b.log has "
            "erlang; the table of the latter is used"
        ),
        (
            "contradiction in traffic.service_time.k: a.log has none, b.log has 2; the table of "
            "the latter is used"
        ),
    ]
    assert merged.scenario["traffic"] == other


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (True, "true"),
        (None, "null"),
        ("20ms", "20ms"),
        ("true", "'true'"),
        ([{"name": "pod-0", "address": "10.0.0.1:80"}], "[{name: pod-0, address: 10.0.0.1:80}]"),
        ([0.25] * 90, f"[{', '.join(['0.25'] * 20)}] and 70 more"),
        (["x" * 200, "y"], f"[{'x' * 200}] and 1 more"),
        (["x" * 200], f"[{'x' * 200}]"),
    ],
)
def test_values_are_written_as_yaml_in_one_line(value, expected):
    """No Python repr; a long list is cut between entries and says how many there are more."""
    assert notation(value) == expected


def test_two_services_in_one_file_are_told_first(tmp_path):
    """Objects of shop/web, then rules of default/nginx: no pod and no name is of both."""
    objects = of_objects(tmp_path, ["10.244.0.13", "10.244.1.9"])
    merged = merge(objects, of_rules("default/nginx", ["10.244.0.5:80", "10.244.1.5:80"]))
    note = merged.notes[0]
    assert note.startswith(f"these are two services: {tmp_path / 'all.json'}")
    assert "has the pods of shop-web, node.rules:1 those of default-nginx" in note
    assert "--service" in note
    assert "write to another file" in note


@pytest.mark.parametrize(
    ("name", "ips"),
    [
        ("default/nginx", ["10.244.0.13:8080", "10.244.1.5:80"]),
        ("shop/web:http", ["10.244.0.5:80", "10.244.1.5:80"]),
        ("default/nginx", ["192.0.2.1:80"]),
    ],
)
def test_one_service_is_not_taken_for_two(tmp_path, name, ips):
    """A pod of both at another port, the same name with its port, pods without known address."""
    merged = merge(of_objects(tmp_path, ["10.244.0.13", "10.244.1.9"]), of_rules(name, ips))
    assert against("these are two services", merged.notes) == []


@pytest.mark.parametrize("first", ["rules", "pools"])
def test_fewer_nodes_than_slices_contradict(first):
    """Pods in two slices and a pool of one machine: both places, whichever came first."""
    rules = of_rules("shop/web:http", ["10.244.0.5:80", "10.244.1.5:80"])
    pools = side("pools.json", POOLS)
    merged = merge(rules, pools) if first == "rules" else merge(pools, rules)
    assert against("contradiction in cluster.nodes", merged.notes) == [
        (
            "contradiction in cluster.nodes: node.rules:1 has pods of 2 nodes (node-0, node-1), "
            "pools.json lists only 1 (aks-a-vmss000000); the latter is used, so that pods of "
            "several nodes share one: import the nodes of all pools"
        )
    ]
    assert {pod["node"] for pod in merged.scenario["cluster"]["pods"]} == {"aks-a-vmss000000"}


@pytest.mark.parametrize("first", ["rules", "profile"])
def test_a_lower_count_of_nodes_contradicts(first):
    """A profile that counts one machine beside pods in two slices: the guessed nodes stay."""
    rules = of_rules("shop/web:http", ["10.244.0.5:80", "10.244.1.5:80"])
    profile = side("aks.json", {"cluster": {"nodes": 1}})
    merged = merge(rules, profile) if first == "rules" else merge(profile, rules)
    (note,) = against("contradiction in cluster.nodes", merged.notes)
    assert "node.rules:1 has pods of 2 nodes (node-0, node-1), aks.json counts 1; all 2" in note
    assert len(merged.scenario["cluster"]["nodes"]) == 2


def test_enough_nodes_do_not_contradict():
    """Two slices and two machines, or a count of three."""
    rules = of_rules("shop/web:http", ["10.244.0.5:80", "10.244.1.5:80"])
    for nodes in ([{"name": "a"}, {"name": "b"}], 3):
        merged = merge(rules, side("pools.json", {"cluster": {"nodes": nodes}}))
        assert against("contradiction", merged.notes) == []


def test_what_lua_hides_is_said_until_another_import_tells_it(tmp_path):
    """nginx.conf alone lacks pods and balancer; into a log's scenario only the balancer."""
    alone = " ".join(read_input("nginx.conf", [str(LUA)]).notes)
    assert "the pods are in Lua" in alone
    assert "the balancer is in Lua" in alone
    path = saved(tmp_path, read_input("access-log", [str(SEED / "access.log")]))
    both = " ".join(read_input("nginx.conf", [str(LUA)], into=path).notes)
    assert "the pods are in Lua" not in both
    assert "are imported with --into" not in both
    assert "the balancer is in Lua" in both
    path.write_text(
        path.read_text(encoding="utf-8") + "stages: {ingress: {balancer: ewma}}\n",
        encoding="utf-8",
    )
    told = " ".join(read_input("nginx.conf", [str(LUA)], into=path).notes)
    assert "in Lua" not in told

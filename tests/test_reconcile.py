"""Imports of several kinds make one scenario; the order matters only where both sides know."""

import kubectl
import pytest
from test_combine import DATA, seed_rules

from lbbench.inputs.azure.reader import read_azure
from lbbench.inputs.azure.scenario import from_azure
from lbbench.inputs.combine import merge
from lbbench.inputs.iptables.scenario import from_rules
from lbbench.inputs.kubernetes.objects import read_kubernetes
from lbbench.inputs.kubernetes.scenario import from_cluster
from lbbench.model.check import build

F16 = DATA / "files" / "F16_az_lb_tables.txt"


def objects(tmp_path):
    """Import the cluster whose rules the seed saved, with the names that only objects tell."""
    names = ["aks-a-vmss000000", "aks-a-vmss000001"]
    made = [kubectl.node(name, zone=str(i + 1)) for i, name in enumerate(names)]
    made[1]["status"]["addresses"][1]["address"] = "10.224.0.5"
    pods = [("10.244.0.13", names[0], "web-0", {}), ("10.244.1.9", names[1], "web-1", {})]
    made += [kubectl.service(), kubectl.endpoint_slice(pods, port=80), kubectl.ingress()]
    controller = kubectl.controller(names[1:])
    controller[0]["status"]["podIP"] = "10.244.1.6"
    path = tmp_path / "all.json"
    path.write_text(kubectl.as_list([*made, *controller]), encoding="utf-8")
    return from_cluster(read_kubernetes(path))


@pytest.mark.parametrize("order", [(0, 1, 2), (2, 1, 0), (1, 0, 2), (1, 2, 0)])
def test_known_nodes_go_before_guessed_ones_in_any_order(tmp_path, order):
    """Rules, objects and az's tables: names and zones of the objects, timers of the tables."""
    parts = [
        objects(tmp_path),
        from_rules(seed_rules(), path="ingress"),
        from_azure(read_azure(F16)),
    ]
    first, second, third = (parts[i] for i in order)
    tree = merge(merge(first, second), third).scenario
    assert [(n["name"], n["zone"]) for n in tree["cluster"]["nodes"]] == [
        ("aks-a-vmss000000", "1"),
        ("aks-a-vmss000001", "2"),
    ]
    assert [(p["name"], p["node"]) for p in tree["cluster"]["pods"]] == [
        ("web-0", "aks-a-vmss000000"),
        ("web-1", "aks-a-vmss000001"),
    ]
    assert tree["stages"]["azure_lb"]["tcp_reset"] is True
    assert tree["stages"]["kube_proxy"]["mode"] == "iptables"
    assert tree["stages"]["kube_proxy"]["external_traffic_policy"] == "Local"
    build(tree)

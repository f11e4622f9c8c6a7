"""What az says around a load balancer: route tables, the AKS cluster itself, the Basic SKU."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from lbbench.inputs.azure.reader import read_azure
from lbbench.inputs.azure.scenario import from_azure
from lbbench.inputs.imported import Imported
from lbbench.model.check import build

TABLE = {
    "name": "aks-agentpool-32897461-routetable",
    "disableBgpRoutePropagation": False,
    "routes": [
        {
            "name": f"aks-nodepool1-32897461-vmss00000{i}____102440024",
            "addressPrefix": f"10.244.{i}.0/24",
            "nextHopType": "VirtualAppliance",
            "nextHopIpAddress": f"10.224.0.{4 + i}",
        }
        for i in range(2)
    ],
}
CLUSTER = {
    "name": "shop",
    "nodeResourceGroup": "MC_shop_shop_westeurope",
    "agentPoolProfiles": [
        {"name": "system", "count": 2, "mode": "System"},
        {"name": "work", "count": 5, "mode": "User", "availabilityZones": ["1", "2", "3"]},
    ],
    "networkProfile": {
        "networkPlugin": "kubenet",
        "loadBalancerSku": "standard",
        "outboundType": "loadBalancer",
        "loadBalancerProfile": {
            "allocatedOutboundPorts": 8000,
            "idleTimeoutInMinutes": 4,
            "managedOutboundIPs": {"count": 3},
            "clusterServiceLoadBalancerHealthProbeMode": "Shared",
        },
    },
}
BALANCER = {
    "name": "kubernetes",
    "sku": {"name": "Basic"},
    "loadBalancingRules": [
        {
            "name": "a1-TCP-80",
            "loadDistribution": "SourceIPProtocol",
            "idleTimeoutInMinutes": 4,
            "enableTcpReset": False,
        }
    ],
    "probes": [{"name": "a1-TCP-80", "protocol": "Tcp", "intervalInSeconds": 5,
                "numberOfProbes": 2, "port": 31380}],
    "backendAddressPools": [],
    "outboundRules": [],
}  # fmt: skip


def imported(tmp_path: Path, *documents: Any) -> Imported:
    """Return what is made of one file per document, and see that it is a scenario."""
    paths = []
    for number, document in enumerate(documents):
        path = tmp_path / f"{number}.json"
        path.write_text(json.dumps(document), encoding="utf-8")
        paths.append(str(path))
    found = from_azure(read_azure(paths))
    build({**found.scenario, "traffic": {"utilisation": 0.5}})
    return found


@pytest.mark.parametrize("document", [TABLE, [TABLE], {"value": [TABLE]}])
def test_a_route_table_tells_who_has_a_route_to_its_pods(tmp_path, document):
    """`show`, `list` and the REST answer alike: both routes with what they lead to."""
    found = imported(tmp_path, document, CLUSTER)
    assert any(
        "2 routes to nodes: 10.244.0.0/24 to 10.224.0.4, 10.244.1.0/24 to 10.224.0.5" in note
        for note in found.notes
    )


def test_a_node_without_a_route_is_named(tmp_path):
    """The pool has three nodes, the table two: pods of the third cannot be reached from others."""
    pool = {
        "name": "kubernetes",
        "backendIPConfigurations": [
            {
                "id": "/subscriptions/0/virtualMachineScaleSets/aks-nodepool1-32897461-vmss/"
                f"virtualMachines/{i}/networkInterfaces/x/ipConfigurations/ipconfig1"
            }
            for i in range(3)
        ],
    }
    found = imported(tmp_path, TABLE, pool)
    lost = [note for note in found.notes if "no route to the pods of" in note]
    assert len(lost) == 1
    assert "aks-nodepool1-32897461-vmss000002" in lost[0]


def test_a_table_without_routes_says_what_that_means(tmp_path):
    """Under kubenet that is the outage in which all hops between nodes are lost."""
    found = imported(tmp_path, {**TABLE, "routes": []}, CLUSTER)
    assert any("has no route to a node" in note and "timeline" in note for note in found.notes)


def test_the_whole_answer_of_aks_show(tmp_path):
    """Nodes of all pools, plugin, SKU, outbound ports, and the probe mode that changes the kind."""
    found = imported(tmp_path, CLUSTER)
    stage = found.scenario["stages"]["azure_lb"]
    assert found.scenario["cluster"]["nodes"] == 7
    assert found.scenario["preset"] == "aks-kubenet"
    assert (stage["sku"], stage["probe"]["kind"]) == ("Standard", "http")
    said = " ".join(found.notes)
    assert "3 outbound addresses, 8000 SNAT ports per node, outbound idle timeout 4 min" in said


def test_the_basic_sku_drops_all_when_every_probe_fails(tmp_path):
    """Basic's documented difference from Standard, which lets established flows go on."""
    found = imported(tmp_path, BALANCER)
    stage = found.scenario["stages"]["azure_lb"]
    assert (stage["sku"], stage["on_all_down"]) == ("Basic", "drop_all")
    assert stage["distribution"] == "SourceIPProtocol"
    assert stage["tcp_reset"] is False
    assert any("SKU Basic drops all when every probe fails" in note for note in found.notes)

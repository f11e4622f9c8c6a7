"""az's output becomes the load balancer's stage: rules, probes, pools, routes, profile."""

import pytest
from test_combine import DATA

from lbbench.errors import InputError
from lbbench.inputs.azure.reader import node_of, pool_nodes, read_azure
from lbbench.inputs.azure.scenario import default_ports, from_azure
from lbbench.model.check import build

FILES = DATA / "files"
LB = "/subscriptions/0/resourceGroups/mc/providers/Microsoft.Network/loadBalancers/kubernetes"


def test_the_profile_tells_outbound_defaults():
    """F13: one managed address; nulls are the defaults, and they are said."""
    found = from_azure(read_azure(FILES / "F13_aks_lb_profile.json"))
    said = " ".join(found.notes)
    assert "1 outbound addresses" in said
    assert "1024 per node up to 50 nodes" in said
    assert "30 min by default" in said
    build(found.scenario)


def test_a_load_balancer_without_services():
    """F14: no rule and no probe, one outbound rule, two pools, SKU Standard."""
    dump = read_azure(FILES / "F14_aks_lb_no_services.json")
    assert (len(dump.of("rule")), len(dump.of("probe"))) == (0, 0)
    (outbound,) = dump.of("outbound rule")
    assert outbound.data["allocatedOutboundPorts"] == 0
    assert outbound.data["idleTimeoutInMinutes"] == 30
    assert [pool.name for pool in dump.of("pool")] == ["aksOutboundBackendPool", "kubernetes"]
    scenario = from_azure(dump).scenario
    assert scenario["stages"]["azure_lb"]["sku"] == "Standard"
    assert scenario["cluster"]["nodes"] == [{"name": "aks-nodepool1-32897461-vmss000000"}]
    build(scenario)


def test_pasted_tables_with_tabs_and_other_columns():
    """F16: four rules, three probes; what the probes disagree on is said and left out."""
    dump = read_azure(FILES / "F16_az_lb_tables.txt")
    assert len(dump.of("rule")) == 4
    assert [item.data["protocol"] for item in dump.of("probe")] == ["Tcp", "Tcp", "Http"]
    assert dump.of("probe")[2].data["requestPath"] == "/healthz"
    assert {item.data["intervalInSeconds"] for item in dump.of("probe")} == {5}
    assert {item.data["numberOfProbes"] for item in dump.of("probe")} == {2}
    assert {item.data["loadDistribution"] for item in dump.of("rule")} == {"Default"}
    assert {item.data["idleTimeoutInMinutes"] for item in dump.of("rule")} == {4}
    found = from_azure(dump)
    assert "kind" not in found.scenario["stages"]["azure_lb"]["probe"]
    assert any("probe.kind keeps its default, the rules differ" in note for note in found.notes)
    name = "afd50e6da36c9436981b613759878f31-TCP-80"
    assert from_azure(dump, name).scenario["stages"]["azure_lb"]["probe"]["kind"] == "http"
    with pytest.raises(InputError, match=f"there is no such rule; there are .*{name}"):
        from_azure(dump, "other")


def test_rows_without_headings(tmp_path):
    """Tsv: cells are found beside the resource's id."""
    path = tmp_path / "rules.tsv"
    rule = [
        "2",
        "80",
        "True",
        "True",
        "False",
        'W/"0"',
        "mc",
        "80",
        f"{LB}/loadBalancingRules/r-TCP-80",
    ]
    probe = [
        'W/"0"',
        f"{LB}/probes/r-TCP-80",
        "15",
        "1",
        "r-TCP-80",
        "2",
        "31148",
        "3",
        "Tcp",
        "Ok",
    ]
    rows = [[*rule, "10", "SourceIP", "r-TCP-80", "mc", "Tcp"], probe, ["what", "is", "this"]]
    path.write_text("\n".join("\t".join(row) for row in rows), encoding="utf-8")
    dump = read_azure(path)
    stage = from_azure(dump).scenario["stages"]["azure_lb"]
    assert stage == {
        "distribution": "SourceIP",
        "idle_timeout": "10min",
        "tcp_reset": False,
        "probe": {"kind": "tcp", "interval": "15s", "threshold": 3},
    }
    assert [line for _, line, _ in dump.skipped] == [3]


def test_nodes_of_pools():
    """Instance 36 of a scale set is node ...000010; a machine's interface tells its number."""
    made = "/virtualMachineScaleSets/aks-p-1-vmss/virtualMachines/36/networkInterfaces/x/"
    assert node_of(made) == "aks-p-1-vmss000010"
    assert node_of("/networkInterfaces/aks-p-1-nic-0/ipConfigurations/a") == "aks-p-1-0"
    assert pool_nodes({"backendIPConfigurations": "odd"}) == []
    assert [default_ports(n) for n in (1, 50, 51, 1000)] == [1024, 1024, 512, 32]

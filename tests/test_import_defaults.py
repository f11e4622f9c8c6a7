"""What no import told is listed once, with the values of the model that hold."""

from pathlib import Path

import kubectl
import pytest
from test_conntrack import flow

from lbbench.inputs.defaults import defaults_note
from lbbench.inputs.yaml import dump
from lbbench.model.check import build
from lbbench.studies.imported import KINDS, read_input

DATA = Path(__file__).parent / "data"
SEED = Path(__file__).parent.parent / "lbbench" / "scenarios" / "seed"
OF_PODS = "concurrency 1 per pod"
LOAD = "arrivals poisson, service time exponential 20 ms, round trips 0 s"
ARRIVALS = "arrivals poisson, round trip of clients 0 s"
POLICY = "kube-proxy mode iptables, externalTrafficPolicy Cluster"
CONTROLLER = "ingress replicas per node, 4 workers per replica, balancer round_robin"
ALL = f"path ingress, 3 nodes, 10 pods, {OF_PODS}, {POLICY}, {CONTROLLER}, {LOAD}"
INPUTS = {
    "iptables": (DATA / "files" / "F08_iptables_L_nv.txt", {}, f"{OF_PODS}, {LOAD}"),
    "nftables": (DATA / "nft" / "kube-proxy.nft", {}, f"{OF_PODS}, {LOAD}"),
    "ipvs": (DATA / "ipvs" / "node.ipvs", {}, f"{OF_PODS}, {LOAD}"),
    "azure": (DATA / "files" / "F16_az_lb_tables.txt", {}, ALL),
    "nginx.conf": (
        DATA / "nginx" / "plain.conf",
        {},
        f"{OF_PODS}, {POLICY}, ingress replicas per node, {LOAD}",
    ),
    "counts": (
        DATA / "files" / "F26_observed_counts.txt",
        {"service": "kubeai113"},
        f"3 nodes, {OF_PODS}, {POLICY}, {LOAD}",
    ),
    "access-log": (
        SEED / "access.log",
        {},
        f"{OF_PODS}, {POLICY}, ingress replicas per node, balancer round_robin, {ARRIVALS}",
    ),
}


def listed(imported):
    """Return the one sentence about defaults without its ends."""
    (note,) = [note for note in imported.notes if note.startswith("not told")]
    start, end = "not told, defaults hold: ", "; set in the file what you know, or import it with"
    assert note.startswith(start)
    assert note.endswith(f"{end} --into")
    return note.removeprefix(start).partition(";")[0]


def test_every_kind_is_tried():
    """A new kind of input needs its line here."""
    assert {*INPUTS, "conntrack", "kubernetes"} == {*KINDS}


@pytest.mark.parametrize("kind", INPUTS)
def test_what_a_kind_does_not_tell_is_listed(kind):
    """Service time, path, nodes, pods, mode, balancer, round trips: unless the input has them."""
    path, chosen, expected = INPUTS[kind]
    assert listed(read_input(kind, [str(path)], **chosen)) == expected


def test_a_table_of_connections_tells_pods_only(tmp_path):
    """Pods by their connections: neither mode nor policy nor any time."""
    path = tmp_path / "node.conntrack"
    flows = [flow(f"203.0.113.{i}", f"10.244.{i % 2}.5") for i in range(4)]
    path.write_text("\n".join(flows), encoding="utf-8")
    told = listed(read_input("conntrack", [str(path)]))
    assert told == f"{OF_PODS}, {POLICY}, {LOAD}"


def test_objects_do_not_tell_the_mode_of_kube_proxy(tmp_path):
    """A cluster with its controller: the mode, the balancer and the service time are missing."""
    pods = [("10.244.0.13", "a", "web-0", {})]
    made = [kubectl.node("a"), kubectl.service(), kubectl.endpoint_slice(pods), kubectl.ingress()]
    path = tmp_path / "all.json"
    path.write_text(kubectl.as_list([*made, *kubectl.controller(["a"])]), encoding="utf-8")
    told = listed(read_input("kubernetes", [str(path)]))
    assert told == f"{OF_PODS}, kube-proxy mode iptables, balancer round_robin, {LOAD}"


def test_what_an_earlier_import_told_counts(tmp_path):
    """Rules, then the log into them: the mode, the replicas and the policy are known by then."""
    path = tmp_path / "earlier.yaml"
    path.write_text(
        dump(read_input("iptables", [str(SEED / "iptables-save.rules")]).scenario),
        encoding="utf-8",
    )
    told = listed(read_input("access-log", [str(SEED / "access.log")], into=path))
    assert told == f"{OF_PODS}, balancer round_robin, {ARRIVALS}"


@pytest.mark.parametrize("name", ["F13_aks_lb_profile.json", "F16_az_lb_tables.txt"])
def test_a_load_balancer_alone_says_which_path_nodes_and_pods_hold(name):
    """Az knows the load balancer only: everything behind it is a default."""
    told = listed(read_input("azure", [str(DATA / "files" / name)]))
    assert "path ingress, 3 nodes, 10 pods" in told


def test_places_found_in_a_log_are_no_default():
    """The log of ewma tells that its pods work on one request at a time, and when they come."""
    told = read_input("access-log", [str(DATA / "logs" / "ewma" / "access.log.gz")])
    assert told.scenario["cluster"]["pod"]["concurrency"] == 1
    assert OF_PODS not in listed(told)


@pytest.mark.parametrize(
    ("tree", "expected"),
    [
        ({"path": "service"}, f"3 nodes, 10 pods, {OF_PODS}, {POLICY}, {LOAD}"),
        (
            {"preset": "aks-kubenet"},
            ALL.replace("round trips 0 s", "round trip of clients 0 s"),
        ),
        ({"traffic": {"trace": "x.csv"}}, ALL.replace(LOAD, "round trips 0 s")),
        (
            {"traffic": {"service_time": {"distribution": "deterministic"}, "utilisation": 0.5}},
            ALL.replace("exponential", "deterministic"),
        ),
        (
            {"traffic": {"service_time": {"distribution": "empirical", "file": "x.csv"}}},
            ALL.replace(", service time exponential 20 ms", ""),
        ),
        ({"cluster": {"network": {"client_rtt": "0s"}}}, None),
    ],
)
def test_path_preset_and_trace_tell_what_counts(tree, expected):
    """No balancer of a path without ingress, no service time beside a trace, presets count."""
    if "trace" not in tree.get("traffic", {}):
        tree = {**tree, "traffic": {"utilisation": 0.8, **tree.get("traffic", {})}}
    note = str(defaults_note(build(tree)))
    if expected is None:
        assert "round trip within a node 0 s, round trip between nodes 0 s;" in note
    else:
        assert f": {expected};" in note


def test_nothing_is_said_where_all_was_told():
    """A scenario with every decisive key gets no sentence."""
    scenario = build({"traffic": {"utilisation": 0.8}})
    assert defaults_note(build(scenario.resolved())) is None

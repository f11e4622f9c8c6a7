"""kubectl's objects become a scenario: topology, policies, settings, and what was left out."""

import json

import kubectl
import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st
from test_combine import DATA

from lbbench.errors import InputError
from lbbench.inputs.kubernetes.choice import services
from lbbench.inputs.kubernetes.endpoints import endpoints_of
from lbbench.inputs.kubernetes.objects import read_kubernetes
from lbbench.inputs.kubernetes.scenario import from_cluster
from lbbench.model.check import build
from lbbench.model.topology import topology

FILES = DATA / "files"


def imported(tmp_path, objects, *, name="all.json", **chosen):
    """Write objects as JSON and import them."""
    path = tmp_path / name
    path.write_text(kubectl.as_list(objects), encoding="utf-8")
    return from_cluster(read_kubernetes(path), **chosen)


def test_a_cluster_becomes_a_scenario(tmp_path):
    """Nodes with zones, pods on their nodes, the controller's replicas, service and address."""
    found = imported(tmp_path, kubectl.cluster())
    scenario = build(found.scenario)
    top = topology(scenario)
    assert [(n.name[-1], n.zone, n.address) for n in top.nodes] == [
        ("0", "westeurope-1", "10.224.0.4"),
        ("1", "westeurope-2", "10.224.0.5"),
        ("2", "westeurope-3", "10.224.0.6"),
    ]
    assert {(p.name, p.node, p.address) for p in top.pods} == {
        (f"web-{i}", i % 3, f"10.244.{i % 3}.{10 + i}:8080") for i in range(5)
    }
    assert [(r.node, r.address) for r in top.replicas] == [
        (0, "10.244.0.250:80"),
        (1, "10.244.1.250:80"),
    ]
    assert scenario.path == "ingress"
    assert scenario.stages.kube_proxy.external_traffic_policy == "Local"
    assert top.vip == "203.0.113.9:80"
    assert top.workers_per_replica == 4
    assert found.sources["stages.kube_proxy.external_traffic_policy"].endswith(
        "all.json (Service ingress-nginx/ingress-nginx-controller)"
    )


def test_json_yaml_and_documents_say_the_same(tmp_path):
    """A JSON list, a YAML list, YAML documents, single files and NDJSON give one scenario."""
    objects = kubectl.cluster()
    want = imported(tmp_path, objects).scenario
    forms = {
        "list.yaml": yaml.safe_dump({"apiVersion": "v1", "items": objects, "kind": "List"}),
        "docs.yaml": yaml.safe_dump_all(objects),
        "lines.json": "\n".join(json.dumps(item) for item in objects),
        "array.json": json.dumps(objects),
        "lists.yaml": "\n---\n".join(
            yaml.safe_dump({"items": part, "kind": "List"}) for part in (objects[:4], objects[4:])
        ),
        "session.txt": "".join(
            f"$ kubectl get x -o json\n{json.dumps(item)}\n" for item in objects
        ),
    }
    for name, text in forms.items():
        path = tmp_path / name
        path.write_text(text.replace("\n", "\r\n"), encoding="utf-8")
        assert from_cluster(read_kubernetes(path)).scenario == want, name
    singles = []
    for i, item in enumerate(objects):
        singles.append(str(tmp_path / f"{i}.json"))
        (tmp_path / f"{i}.json").write_text(json.dumps(item), encoding="utf-8")
    assert from_cluster(read_kubernetes(singles)).scenario == want


def test_endpoints_that_get_no_traffic_are_counted(tmp_path):
    """Not ready and terminating endpoints are left out and said."""
    running = [
        ("10.244.0.5", "n0", "web-0", {}),
        ("10.244.0.6", "n0", "web-1", {"ready": False}),
        ("10.244.0.7", "n0", "web-2", {"ready": False, "terminating": True, "serving": True}),
    ]
    found = imported(tmp_path, [kubectl.service(), kubectl.endpoint_slice(running)])
    assert [item["name"] for item in found.scenario["cluster"]["pods"]] == ["web-0"]
    said = " ".join(found.notes)
    assert "1 endpoints left out: not ready" in said
    assert "1 endpoints left out: terminating" in said


def test_without_endpoints_the_selector_finds_the_pods(tmp_path):
    """Pods of the selector that are ready, with the named port of their container."""
    objects = [
        kubectl.service(),
        kubectl.pod("web-a", "10.244.0.5", "n0"),
        kubectl.pod("web-b", "10.244.1.5", "n1", ready=False),
        kubectl.pod("other", "10.244.1.6", "n1", labels={"app": "db"}),
    ]
    found = imported(tmp_path, objects)
    assert found.scenario["cluster"]["pods"] == [
        {"name": "web-a", "node": "n0", "address": "10.244.0.5:8080"}
    ]
    assert "1 endpoints left out: not ready" in " ".join(found.notes)


def test_affinity_limits_probes_and_azure_annotations(tmp_path):
    """Service and pods tell affinity, CPU quota, readiness probe and the load balancer's timer."""
    azure = "service.beta.kubernetes.io/azure-load-balancer-"
    front = kubectl.service(
        ip="203.0.113.5",
        externalTrafficPolicy="Cluster",
        sessionAffinity="ClientIP",
        sessionAffinityConfig={"clientIP": {"timeoutSeconds": 600}},
        annotations={
            f"{azure}tcp-idle-timeout": "10",
            f"{azure}health-probe-interval": "15",
            f"{azure}health-probe-num-of-probe": "3",
            f"{azure}disable-tcp-reset": "false",
        },
    )
    web = kubectl.pod(
        "web-a", "10.244.0.5", "n0", cpu="500m", probe={"periodSeconds": 5, "failureThreshold": 2}
    )
    scenario = build(imported(tmp_path, [front, web]).scenario)
    assert scenario.path == "service"
    assert scenario.stages.kube_proxy.session_affinity == "ClientIP"
    assert scenario.stages.kube_proxy.affinity_timeout == 600.0
    assert scenario.stages.azure_lb.distribution == "SourceIP"
    assert scenario.stages.azure_lb.idle_timeout == 600.0
    assert scenario.stages.azure_lb.probe.interval == 15.0
    assert scenario.stages.azure_lb.probe.threshold == 3
    assert scenario.stages.azure_lb.tcp_reset is True
    assert (scenario.cluster.pod.cfs.quota, scenario.cluster.pod.cfs.period) == (0.05, 0.1)
    assert scenario.cluster.pod.readiness.period == 5.0


@pytest.mark.parametrize(
    ("notes", "want"),
    [
        ({}, {}),
        ({"load_balance": "ewma"}, {"balancer": "ewma"}),
        (
            {"upstream_hash_by": "$request_uri", "load_balance": "ewma"},
            {"balancer": "chash", "hash_by": "$request_uri"},
        ),
        (
            {
                "upstream_hash_by": "$host",
                "upstream_hash_by_subset": "true",
                "upstream_hash_by_subset_size": "2",
            },
            {"balancer": "chashsubset", "hash_by": "$host", "subset_size": 2},
        ),
        ({"affinity": "cookie", "upstream_hash_by": "$host"}, {"balancer": "sticky_balanced"}),
        (
            {
                "affinity": "cookie",
                "affinity_mode": "persistent",
                "session_cookie_change_on_failure": "true",
                "session_cookie_name": "route",
            },
            {"balancer": "sticky_persistent", "change_on_failure": True},
        ),
        (
            {"proxy_next_upstream": "error http_502 invalid_header", "proxy_connect_timeout": "2"},
            {"next_upstream": {"on": ["error", "http_502"]}, "timeouts": {"connect": "2s"}},
        ),
        ({"proxy_next_upstream_tries": "0"}, {"next_upstream": {"tries": 100}}),
        ({"proxy_next_upstream": "off"}, {"next_upstream": {"on": []}}),
    ],
)
def test_annotations_are_keys_of_the_ingress_stage(tmp_path, notes, want):
    """Each annotation as the contract's key; affinity goes before hash, hash before algorithm."""
    found = imported(tmp_path, kubectl.cluster(**notes))
    stage = found.scenario["stages"].get("ingress", {})
    assert {key: stage.get(key) for key in want} == want
    build(found.scenario)


def test_the_configmap_sets_what_annotations_leave(tmp_path):
    """Keep-alive, timeouts, workers and algorithm; an annotation goes before, and it is said."""
    config = {
        "load-balance": "ewma",
        "upstream-keepalive-connections": "64",
        "upstream-keepalive-timeout": "30",
        "keep-alive": "20",
        "keep-alive-requests": "50",
        "worker-processes": "3",
        "proxy-connect-timeout": "4",
        "custom-http-errors": "404",
    }
    objects = [item for item in kubectl.cluster(proxy_connect_timeout="1") if _is_app(item)]
    names = ["aks-pool1-1234-vmss000000"]
    found = imported(tmp_path, [*objects, *kubectl.controller(names, config=config)])
    stage = build(found.scenario).stages.ingress
    assert stage.balancer == "ewma"
    assert stage.keepalive.upstream == 64
    assert stage.keepalive.upstream_timeout == 30.0
    assert (stage.keepalive.client_timeout, stage.keepalive.client_requests) == (20.0, 50)
    assert stage.timeouts.connect == 1.0
    assert found.scenario["cluster"]["ingress"]["workers"] == 3
    said = " ".join(found.notes)
    assert "1 settings are not simulated: custom-http-errors" in said
    assert "stages.ingress.timeouts.connect: " in said


def _is_app(item):
    return item["metadata"].get("namespace") != "ingress-nginx"


def test_a_canary_is_a_second_set_of_pods(tmp_path):
    """The canary Ingress of the same host gives weight and number of pods."""
    more = [
        kubectl.ingress("new", to="new", canary="true", canary_weight="20"),
        kubectl.service("new"),
        kubectl.endpoint_slice([("10.244.2.90", "aks-pool1-1234-vmss000002", "new-0", {})], "new"),
    ]
    found = imported(tmp_path, [*kubectl.cluster(), *more])
    assert found.scenario["stages"]["ingress"]["canary"] == {
        "pods": 1,
        "weight": 20,
        "weight_total": 100,
    }
    build(found.scenario)


def test_several_services_are_listed(tmp_path):
    """The error names the choices; --service, --namespace and --ingress take one of them."""
    more = [
        kubectl.ingress("api", to="api", host="b.test"),
        kubectl.service("api"),
        kubectl.endpoint_slice([("10.244.0.99", "aks-pool1-1234-vmss000000", "api-0", {})], "api"),
    ]
    objects = [*kubectl.cluster(), *more]
    with pytest.raises(InputError, match=r"--ingress shop/api --service shop/api:http"):
        imported(tmp_path, objects)
    for chosen in ({"service": "shop/api:http"}, {"ingress": "shop/api"}, {"service": "api:80"}):
        found = imported(tmp_path, objects, **chosen)
        assert [item["name"] for item in found.scenario["cluster"]["pods"]] == ["api-0"]
    with pytest.raises(InputError, match="there are shop/web, shop/api"):
        imported(tmp_path, objects, ingress="shop/none")
    with pytest.raises(InputError, match="there is no such service port"):
        imported(tmp_path, objects, service="shop/none")


def test_an_ingress_of_another_class_is_said_and_left_out(tmp_path):
    """F18: Azure's application gateway serves it, not nginx; alone it makes no scenario."""
    path = FILES / "F18_ingress_list.yaml"
    dump = read_kubernetes(path)
    assert [item.name for item in dump.of("Ingress")] == ["nginx-hello-ingress"]
    with pytest.raises(
        InputError, match="class azure-alb-external is not one of ingress-nginx"
    ) as e:
        from_cluster(dump)
    assert "nginx-hello-service:80" in str(e.value)
    both = tmp_path / "rest.json"
    both.write_text(kubectl.as_list(kubectl.cluster()), encoding="utf-8")
    found = from_cluster(read_kubernetes([str(path), str(both)]))
    assert len(found.scenario["cluster"]["pods"]) == 5
    assert any("azure-alb-external" in note for note in found.notes)


def test_slices_without_kind_and_with_old_topology():
    """F27: two slices, their services, nodes of the v1beta1 map, three ports, no zone."""
    dump = read_kubernetes(FILES / "F27_endpointslices.json")
    assert len(dump.of("EndpointSlice")) == 2
    found = services(dump)
    assert [f"{item.namespace}/{item.name}" for item in found] == [
        "default/kubernetes",
        "kube-system/kube-dns",
    ]
    ports = [port for item in dump.of("EndpointSlice") for port in item.data["ports"]]
    assert len(ports) == 3
    ready = [
        item
        for one in found
        for item in endpoints_of(dump, one, one.data["spec"]["ports"][0]).ready
    ]
    assert {item.address: item.node for item in ready} == {
        "172.18.0.2:6443": "",
        "10.244.0.3:9153": "kind-control-plane",
    }
    with pytest.raises(InputError, match="kube-system/kube-dns:metrics"):
        from_cluster(dump)
    scenario = from_cluster(dump, service="kube-system/kube-dns").scenario
    assert scenario["cluster"]["nodes"] == [{"name": "kind-control-plane"}]


NAMES = st.text("abcdefghijklmnopqrstuvwxyz0123456789", min_size=1, max_size=8)


@settings(max_examples=40, deadline=None)
@given(
    zones=st.lists(st.sampled_from(["", "1", "2", "westeurope-3"]), min_size=1, max_size=6),
    placed=st.lists(st.integers(0, 5), min_size=1, max_size=12),
    prefix=NAMES,
    policy=st.sampled_from(["Cluster", "Local"]),
    form=st.sampled_from(["json", "yaml"]),
)
def test_a_topology_written_as_objects_reads_back(
    tmp_path_factory, zones, placed, prefix, policy, form
):
    """Any nodes, zones, pods and addresses come back as they were written."""
    names = [f"{prefix}-{i}" for i in range(len(zones))]
    objects = [
        kubectl.node(name, zone=zone or None, ip=f"10.224.1.{i}")
        for i, (name, zone) in enumerate(zip(names, zones, strict=True))
    ]
    running = [
        (f"10.244.7.{i}", names[on % len(names)], f"web-{i}", {}) for i, on in enumerate(placed)
    ]
    objects += [
        kubectl.service(ip="203.0.113.1", externalTrafficPolicy=policy),
        kubectl.endpoint_slice(running),
    ]
    path = tmp_path_factory.mktemp("k") / f"all.{form}"
    whole = {"kind": "List", "items": objects}
    path.write_text(json.dumps(whole) if form == "json" else yaml.safe_dump(whole))
    scenario = build(from_cluster(read_kubernetes(path)).scenario)
    top = topology(scenario)
    assert [(n.name, n.zone, n.address) for n in top.nodes] == [
        (name, zone, f"10.224.1.{i}")
        for i, (name, zone) in enumerate(zip(names, zones, strict=True))
    ]
    assert {(p.address, top.nodes[p.node].name, p.name) for p in top.pods} == {
        (f"{ip}:8080", on, name) for ip, on, name, _ in running
    }
    assert scenario.stages.kube_proxy.external_traffic_policy == policy


ODD = st.recursive(
    st.none() | st.booleans() | st.integers(-5, 99999) | st.text(max_size=5),
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=4), inner, max_size=3)
    ),
    max_leaves=5,
)


@settings(max_examples=120, deadline=None)
@given(data=st.data())
def test_objects_with_odd_values_make_no_other_exception(tmp_path_factory, data):
    """Any value anywhere in a cluster is read, left out, or one InputError."""
    objects = json.loads(json.dumps(kubectl.cluster(2, 2)))
    for _ in range(data.draw(st.integers(1, 4))):
        here = data.draw(st.sampled_from(objects))
        while True:
            keys = list(here) if isinstance(here, dict) else list(range(len(here)))
            if not keys:
                break
            key = data.draw(st.sampled_from(keys))
            if isinstance(here[key], (dict, list)) and data.draw(st.booleans()):
                here = here[key]
                continue
            here[key] = data.draw(ODD)
            break
    path = tmp_path_factory.mktemp("odd") / "all.json"
    path.write_text(json.dumps({"kind": "List", "items": objects}))
    try:
        build(from_cluster(read_kubernetes(path)).scenario)
    except InputError as error:
        said = str(error)
        assert "\n" not in said


@pytest.mark.parametrize("option", ["-n shop", "-nshop", "--namespace shop", "--namespace=shop"])
def test_a_table_is_of_the_namespace_that_its_command_asks_for(tmp_path, option):
    """Two services of one name, told apart by the prompt above their tables; one has none."""
    head = "NAME   TYPE        CLUSTER-IP   EXTERNAL-IP   PORT(S)   AGE"
    rows = f"{head}\nweb    ClusterIP   {{}}     <none>        80/TCP    3d\n"
    text = f"$ kubectl get svc {option}\n{rows}$ kubectl get svc\n{rows}"
    path = tmp_path / "pasted.txt"
    path.write_text(text.format("10.0.1.1", "10.0.1.2"), encoding="utf-8")
    found = {(item.namespace, item.name) for item in read_kubernetes(path).of("Service")}
    assert found == {("shop", "web"), ("default", "web")}


def test_pasted_tables_with_prompts_become_a_scenario():
    """Wide tables of a terminal: addresses and nodes; the pod that is not ready has no endpoint."""
    found = from_cluster(read_kubernetes(DATA / "pasted.txt"))
    assert [(p["address"], p["node"][-1]) for p in found.scenario["cluster"]["pods"]] == [
        ("10.244.0.13:8080", "0"),
        ("10.244.1.9:8080", "1"),
    ]
    assert found.scenario["cluster"]["vip"] == "203.0.113.44:80"
    assert not found.skipped
    assert "a table tells no externalTrafficPolicy" in " ".join(found.notes)
    build(found.scenario)

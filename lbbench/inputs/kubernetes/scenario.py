"""From the objects of a cluster to a scenario: nodes, pods, controller, policies, settings.

What the objects do not tell is left out of the scenario, so that its default holds or another
import fills it in, and is said in the notes.
"""

from __future__ import annotations

import re
from typing import Any

from lbbench.errors import InputError
from lbbench.inputs.imported import SCHEMA, UTILISATION, Imported, leaf, ordered, plain, put
from lbbench.inputs.kubernetes.choice import Choice, choose
from lbbench.inputs.kubernetes.controller import Controller, cpus, find_controller, workers_for
from lbbench.inputs.kubernetes.endpoints import Endpoints, endpoints_of, is_ready, joined
from lbbench.inputs.kubernetes.ingress_settings import (
    Settings,
    annotation_settings,
    canary_weights,
    controller_settings,
    seconds,
)
from lbbench.inputs.kubernetes.objects import (
    Dump,
    KubeObject,
    dig,
    is_ip,
    number,
    rows,
    table,
    text,
)

ZONES = ("topology.kubernetes.io/zone", "failure-domain.beta.kubernetes.io/zone")
AZURE = "service.beta.kubernetes.io/azure-load-balancer-"
CFS_PERIOD_MS = 100  # the kubelet's default, cpuCFSQuotaPeriod


def from_cluster(
    dump: Dump,
    namespace: str | None = None,
    service: str | None = None,
    ingress: str | None = None,
) -> Imported:
    """Return the scenario of one service of ``dump``, with notes.

    Parameters
    ----------
    namespace, service, ingress
        What it is of, where the objects leave a choice: ``shop``, ``shop/web:http``, ``shop/web``.

    Raises
    ------
    InputError
        When several services could be meant (they are listed), or nothing was saved to use.
    """
    imported = Imported({}, list(dump.notes), list(dump.skipped))
    choice = choose(dump, namespace, service, ingress)
    imported.notes += choice.notes
    controller = find_controller(dump)
    has_controller = controller.replicas is not None or controller.service is not None
    on_ingress = choice.ingress is not None or (
        has_controller and choice.service in (None, controller.service)
    )
    imported.scenario["schema"] = SCHEMA
    _nodes(imported, dump)
    if choice.service is not None:
        imported.scenario["name"] = plain(f"{choice.service.namespace}-{choice.service.name}")
        imported.scenario["path"] = "ingress" if on_ingress else "service"
    if choice.service is not None and choice.service is not controller.service:
        _pods(imported, dump, choice)
    if on_ingress:
        _controller(imported, dump, controller)
        _settings(imported, dump, choice, controller)
    entry = controller.service if on_ingress else choice.service
    if entry is not None:
        _entry(imported, entry, controller.port if on_ingress else choice.port)
    _complete(imported, dump, choice)
    imported.scenario = ordered(imported.scenario)
    return imported


def _set(imported: Imported, key: str, value: Any, place: str) -> None:
    put(imported.scenario, key, value)
    imported.sources[key] = place


def _nodes(imported: Imported, dump: Dump) -> None:
    made: list[dict[str, str]] = []
    for node in dump.of("Node"):
        entry = {"name": node.name}
        zone = next((str(node.labels[key]) for key in ZONES if node.labels.get(key)), "")
        if zone:
            entry["zone"] = zone
        for address in rows(node.data, "status", "addresses"):
            if text(address, "type") != "InternalIP" or "address" in entry:
                continue
            told = text(address, "address")
            if is_ip(told):
                entry["address"] = told
            else:
                imported.notes.append(f"{node.where}: {told!r} is no IP address; it is left out")
        made.append(entry)
        if not is_ready(node):
            imported.notes.append(f"{node.where}: is not ready; it stays among the nodes")
        if dig(node.data, "spec", "unschedulable") is True:
            imported.notes.append(f"{node.where}: takes no new pods (cordoned)")
    if made:
        _set(imported, "cluster.nodes", made, dump.of("Node")[0].where)
        without = sum("zone" not in item for item in made)
        if without < len(made):
            imported.notes.append(f"zones of {len(made) - without} of {len(made)} nodes are known")


def _pods(imported: Imported, dump: Dump, choice: Choice) -> None:
    service = choice.service
    assert service is not None
    found = endpoints_of(dump, service, choice.port)
    imported.notes += found.notes
    for reason, count in found.left_out.items():
        if count:
            imported.notes.append(f"{found.place}: {count} endpoints left out: {reason}")
    if not found.ready:
        imported.notes.append(
            f"{service.where}: no ready endpoint was saved: the pods are unknown and their "
            "default holds; save endpointslices too, or import rules or a log with --into"
        )
        return
    made: list[dict[str, str]] = []
    for i, item in enumerate(found.ready):
        name = item.name if item.name not in {pod["name"] for pod in made} else ""
        entry = {"name": name or f"pod-{i}"}
        if item.node:
            entry["node"] = item.node
        made.append({**entry, "address": item.address})
    _set(imported, "cluster.pods", made, found.place)
    unplaced = sum("node" not in item for item in made)
    if unplaced:
        imported.notes.append(
            f"{found.place}: the nodes of {unplaced} of {len(made)} pods are unknown: they are "
            "spread; save pods with -o wide or -o json"
        )
    if found.hints:
        _set(imported, "stages.kube_proxy.topology", "zone", found.place)
    _limits(imported, found)


def _limits(imported: Imported, found: Endpoints) -> None:
    """Set the CPU quota and the readiness probe where all pods have the same."""
    pods = [item.pod for item in found.ready if item.pod is not None]
    limits = {_cpu_limit(pod) for pod in pods}
    if len(limits) == 1 and (limit := limits.pop()) is not None:
        if limit < 1.0:
            quota = {
                "quota": f"{limit * CFS_PERIOD_MS:g}ms",
                "period": f"{CFS_PERIOD_MS}ms",
            }
            _set(imported, "cluster.pod.cfs", quota, pods[0].where)
        else:
            imported.notes.append(
                f"{pods[0].where}: a CPU limit of {limit:g} never stops one place per pod; it is "
                "not set (set cluster.pod.concurrency and cfs for a pod with several threads)"
            )
    elif len(limits) > 1:
        imported.notes.append(f"{found.place}: CPU limits of its pods differ; none is set")
    probes = {
        (number(probe, "periodSeconds") or 10, number(probe, "failureThreshold") or 3)
        for pod in pods
        for container in rows(pod.data, "spec", "containers")
        if (probe := table(container, "readinessProbe"))
    }
    if len(probes) == 1:
        period, failures = probes.pop()
        readiness = {"period": f"{period}s", "failures": failures}
        _set(imported, "cluster.pod.readiness", readiness, pods[0].where)


def _cpu_limit(pod: KubeObject) -> float | None:
    parts = [
        cpus(text(item, "resources", "limits", "cpu"))
        for item in rows(pod.data, "spec", "containers")
    ]
    known = [item for item in parts if item is not None]
    return round(sum(known), 6) if parts and len(known) == len(parts) else None


def _controller(imported: Imported, dump: Dump, controller: Controller) -> None:
    if controller.not_ready:
        imported.notes.append(
            f"{controller.not_ready} pods of the ingress controller are not ready: left out"
        )
    if controller.replicas is not None:
        _set(imported, "cluster.ingress.replicas", controller.replicas, controller.place)
    else:
        imported.notes.append(
            "the pods of the ingress controller were not saved: one replica per node is assumed"
        )
    told = workers_for(controller, dump)
    if told is not None:
        _set(imported, "cluster.ingress.workers", told[0], controller.place)
        imported.notes.append(f"workers of the ingress controller: {told[0]}, by {told[1]}")
    if controller.rate_limit:
        _set(imported, "stages.ingress.sync.rate_limit", controller.rate_limit, controller.place)
    if re.match(r"0\.(1[0-9]|2[01])\.", controller.release):
        _set(imported, "stages.ingress.release", "0.21", controller.place)
    elif controller.release:
        imported.notes.append(f"ingress-nginx {controller.release}: simulated as release current")


def _settings(imported: Imported, dump: Dump, choice: Choice, controller: Controller) -> None:
    """Write ConfigMap, then annotations over it; then the canary."""
    if controller.config is not None:
        data = table(controller.config.data, "data")
        _apply(imported, controller_settings(data, controller.config.where), controller.config)
    elif dump.of("ConfigMap"):
        imported.notes.append("no ConfigMap of an ingress controller is among those saved")
    if choice.ingress is None:
        return
    told = annotation_settings(choice.ingress.annotations, choice.ingress.where)
    _apply(imported, told, choice.ingress)
    if choice.canary is None or choice.service is None:
        return
    entry, service = choice.canary
    weights = canary_weights(entry.annotations)
    port = next(iter(rows(service.data, "spec", "ports")), {})
    pods = len(endpoints_of(dump, service, port).ready)
    if weights and pods:
        canary = {"pods": pods, "weight": weights[0], "weight_total": weights[1]}
        _set(imported, "stages.ingress.canary", canary, entry.where)
    else:
        imported.notes.append(f"{entry.where}: a canary without a ready pod: left out")
    if "nginx.ingress.kubernetes.io/canary-by-header" in entry.annotations:
        imported.notes.append(f"{entry.where}: canary-by-header is not simulated, the weight is")


def _apply(imported: Imported, told: Settings, source: KubeObject) -> None:
    imported.notes += told.notes
    for key, value in told.leaves.items():
        where = "cluster.ingress.workers" if key == "workers" else f"stages.ingress.{key}"
        old = leaf(imported.scenario, where)
        if old is not None and old != value:
            imported.notes.append(
                f"{where}: {imported.sources[where]} has {old}, {source.where} has {value}, which "
                "holds"
            )
        _set(imported, where, value, source.where)


def _entry(imported: Imported, service: KubeObject, port: dict[str, Any]) -> None:
    """Set what the service that clients dial says: VIP, policy, affinity, Azure's settings."""
    where = service.where
    outside = rows(service.data, "status", "loadBalancer", "ingress")
    ip = next((text(item, "ip") for item in outside if text(item, "ip")), "")
    if ip and re.fullmatch(r"[0-9a-fA-F.:]+", ip):
        _set(imported, "cluster.vip", joined(ip, number(port, "port") or 80), where)
    policy = text(service.data, "spec", "externalTrafficPolicy")
    if policy in ("Cluster", "Local"):
        _set(imported, "stages.kube_proxy.external_traffic_policy", policy, where)
    elif service.data.get("fromTable"):
        imported.notes.append(
            f"{where}: a table tells no externalTrafficPolicy and no sessionAffinity: Cluster and "
            "None hold; save the service with -o json"
        )
    if text(service.data, "spec", "sessionAffinity") == "ClientIP":
        timeout = number(
            service.data, "spec", "sessionAffinityConfig", "clientIP", "timeoutSeconds"
        )
        _set(imported, "stages.kube_proxy.session_affinity", "ClientIP", where)
        _set(imported, "stages.kube_proxy.affinity_timeout", f"{timeout or 10800}s", where)
        _set(imported, "stages.azure_lb.distribution", "SourceIP", where)
        imported.notes.append(
            f"{where}: sessionAffinity ClientIP: Azure's controller then sets the load balancer to "
            "SourceIP, and so does the scenario"
        )
    _azure(imported, service)


def _azure(imported: Imported, service: KubeObject) -> None:
    """Set what annotations ask of Azure's load balancer."""
    told = {
        key.removeprefix(AZURE): str(value)
        for key, value in service.annotations.items()
        if key.startswith(AZURE)
    }
    stage = "stages.azure_lb"
    for key, leaf_, unit in (
        ("tcp-idle-timeout", "idle_timeout", "min"),
        ("health-probe-interval", "probe.interval", "s"),
        ("health-probe-num-of-probe", "probe.threshold", ""),
    ):
        value = seconds(told.get(key, ""))
        if value:
            _set(
                imported,
                f"{stage}.{leaf_}",
                f"{value:g}{unit}" if unit else int(value),
                service.where,
            )
    if told.get("disable-tcp-reset", "").lower() in ("true", "false"):
        reset = told["disable-tcp-reset"].lower() == "false"
        _set(imported, f"{stage}.tcp_reset", reset, service.where)
    kind = told.get("health-probe-protocol", "").lower()
    if kind in ("tcp", "http", "https"):
        _set(imported, f"{stage}.probe.kind", "tcp" if kind == "tcp" else "http", service.where)


def _complete(imported: Imported, dump: Dump, choice: Choice) -> None:
    """Add nodes that only pods name, the load, and refuse a dump that told nothing."""
    cluster = imported.scenario.get("cluster", {})
    told = {name for name in ("nodes", "pods", "ingress") if name in cluster}
    if not told and "stages" not in imported.scenario:
        seen = "; ".join(choice.notes[:3]) or "no service with endpoints"
        raise InputError(
            f"{dump.files[0]}: holds nothing that a scenario could take: {seen}; save "
            "nodes,pods,svc,endpointslices,ingress,configmap,deploy"
        )
    replicas = dig(cluster, "ingress", "replicas")
    placed = [*cluster.get("pods", []), *(replicas if isinstance(replicas, list) else [])]
    wanted = dict.fromkeys(item["node"] for item in placed if item.get("node"))
    nodes = cluster.get("nodes", [])
    missing = [name for name in wanted if name not in {item["name"] for item in nodes}]
    if missing:
        put(imported.scenario, "cluster.nodes", [*nodes, *({"name": name} for name in missing)])
        imported.sources.setdefault("cluster.nodes", dump.files[0])
        imported.notes.append(
            f"nodes that only their pods name: {', '.join(missing[:5])}"
            + (f" and {len(missing) - 5} more" if len(missing) > 5 else "")
        )
    put(imported.scenario, "traffic.utilisation", UTILISATION)
    imported.sources["traffic.utilisation"] = dump.files[0]
    imported.notes.append(f"objects tell no rate: utilisation {UTILISATION} is assumed")

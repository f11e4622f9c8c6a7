"""The endpoints of a service: addresses with their pods and nodes, and who is left out.

EndpointSlices tell most, then Endpoints, then the pods that the selector finds.
"""

from __future__ import annotations

import re
from collections import Counter
from dataclasses import dataclass, field
from typing import Any

from lbbench.inputs.kubernetes.objects import Dump, KubeObject, dig, number, rows, table, text

SERVICE_LABEL = "kubernetes.io/service-name"


@dataclass(frozen=True)
class Endpoint:
    """A ready endpoint; ``node`` is empty when nothing tells it, ``pod`` is the pod's object."""

    address: str  # ip:port
    name: str
    node: str
    pod: KubeObject | None


@dataclass
class Endpoints:
    """The ready endpoints of a service port in the order of their addresses as text."""

    ready: list[Endpoint] = field(default_factory=list)
    left_out: Counter[str] = field(default_factory=Counter)
    place: str = ""
    notes: list[str] = field(default_factory=list)
    hints: bool = False


def is_ready(pod: KubeObject) -> bool:
    """Tell whether a pod takes traffic: its condition Ready, and it is not being deleted."""
    states = {
        text(item, "type"): text(item, "status") for item in rows(pod.data, "status", "conditions")
    }
    return states.get("Ready") == "True" and not dig(pod.data, "metadata", "deletionTimestamp")


def joined(ip: str, port: int) -> str:
    """Return ``ip:port``, brackets around IPv6."""
    return f"[{ip}]:{port}" if ":" in ip else f"{ip}:{port}"


def endpoints_of(dump: Dump, service: KubeObject, port: dict[str, Any]) -> Endpoints:
    """Return the endpoints of one port of ``service``."""
    pods = {text(pod.data, "status", "podIP"): pod for pod in dump.of("Pod") if not _on_host(pod)}
    for read in (_from_slices, _from_endpoints, _from_pods):
        found = read(dump, service, port, pods)
        if found is not None:
            found.ready = sorted(
                {item.address: item for item in found.ready}.values(), key=lambda item: item.address
            )
            return found
    return Endpoints(place=service.where)


def _on_host(pod: KubeObject) -> bool:
    return dig(pod.data, "spec", "hostNetwork") is True


def _port_number(listed: list[dict[str, Any]], port: dict[str, Any], *, alone: bool) -> int | None:
    """Return the endpoints' number of a service port, by name, target or being the only one."""
    name = text(port, "name")
    for item in listed:
        if text(item, "name") == name and number(item, "port") and (name or len(listed) == 1):
            return number(item, "port")
    target = number(port, "targetPort")
    for item in listed:
        if number(item, "port") in (target, number(port, "port")) and number(item, "port"):
            return number(item, "port")
    return number(listed[0], "port") if alone and len(listed) == 1 else None


def slices_of(dump: Dump, service: KubeObject) -> list[KubeObject]:
    """Return the slices of a service: by their label, in tables by their name."""
    return [
        item
        for item in dump.of("EndpointSlice")
        if item.namespace == service.namespace
        and (
            item.labels.get(SERVICE_LABEL) == service.name
            or (
                item.data.get("fromTable")
                and re.fullmatch(re.escape(service.name) + r"(-[a-z0-9]{5})?", item.name)
            )
        )
    ]


def _from_slices(
    dump: Dump, service: KubeObject, port: dict[str, Any], pods: dict[str, KubeObject]
) -> Endpoints | None:
    slices = slices_of(dump, service)
    if not slices:
        return None
    found = Endpoints(place=slices[0].where)
    only = len(rows(service.data, "spec", "ports")) <= 1
    for item in slices:
        hidden = number(item.data, "status", "hidden")
        if hidden:
            found.left_out["hidden by the table (+ N more)"] += hidden
        at = _port_number(rows(item.data, "ports"), port, alone=only)
        for entry in rows(item.data, "endpoints"):
            state = table(entry, "conditions")
            addresses = [ip for ip in entry.get("addresses") or [] if isinstance(ip, str)]
            if at is None:
                found.left_out["without this port"] += len(addresses)
            elif state.get("terminating") is True:
                found.left_out["terminating"] += len(addresses)
            elif state.get("ready") is False:
                found.left_out["not ready"] += len(addresses)
            else:
                found.hints |= bool(dig(entry, "hints", "forZones"))
                node = text(entry, "nodeName") or text(entry, "topology", "kubernetes.io/hostname")
                name = text(entry, "targetRef", "name")
                found.ready += [_endpoint(ip, at, name, node, pods) for ip in addresses[:1]]
    return found


def _from_endpoints(
    dump: Dump, service: KubeObject, port: dict[str, Any], pods: dict[str, KubeObject]
) -> Endpoints | None:
    item = dump.get("Endpoints", service.namespace, service.name)
    if item is None:
        return None
    found = Endpoints(place=item.where)
    hidden = number(item.data, "status", "hidden")
    if hidden:
        found.left_out["hidden by the table (+ N more)"] += hidden
    subsets = rows(item.data, "subsets")
    ports = {number(part, "port") for subset in subsets for part in rows(subset, "ports")}
    only = len(rows(service.data, "spec", "ports")) <= 1 or len(ports) <= 1
    for subset in subsets:
        at = _port_number(rows(subset, "ports"), port, alone=only)
        for entry in rows(subset, "addresses"):
            if at is None:
                found.left_out["without this port"] += 1
                continue
            name = text(entry, "targetRef", "name")
            found.ready.append(
                _endpoint(text(entry, "ip"), at, name, text(entry, "nodeName"), pods)
            )
        found.left_out["not ready"] += len(rows(subset, "notReadyAddresses"))
    return found


def _from_pods(
    dump: Dump, service: KubeObject, port: dict[str, Any], pods: dict[str, KubeObject]
) -> Endpoints | None:
    selector = table(service.data, "spec", "selector")
    mine = [pod for pod in dump.of("Pod") if pod.namespace == service.namespace]
    chosen = [pod for pod in mine if selector and selector.items() <= pod.labels.items()]
    found = Endpoints(place=service.where)
    if not chosen:
        begins = re.compile(re.escape(service.name) + r"(-[a-z0-9]+){0,2}$")
        chosen = [pod for pod in mine if pod.data.get("fromTable") and begins.match(pod.name)]
        if not chosen:
            return None
        found.notes.append(
            f"{service.where}: tables tell no labels: its pods are those whose names begin with "
            f"{service.name} (assumed); save endpointslices too"
        )
    for pod in chosen:
        if text(pod.data, "status", "phase") in ("Succeeded", "Failed"):
            continue
        ip = text(pod.data, "status", "podIP")
        if dig(pod.data, "metadata", "deletionTimestamp"):
            found.left_out["terminating"] += 1
        elif not is_ready(pod):
            found.left_out["not ready"] += 1
        elif not ip:
            found.left_out["without an address (save pods with -o wide)"] += 1
        else:
            at = target_port(port, pod)
            found.ready.append(_endpoint(ip, at, pod.name, "", {**pods, ip: pod}))
    return found


def target_port(port: dict[str, Any], pod: KubeObject) -> int:
    """Return the pod's number of a service port: its target, by name where it has one."""
    wanted = text(port, "targetPort")
    for container in rows(pod.data, "spec", "containers"):
        for item in rows(container, "ports"):
            if wanted and text(item, "name") == wanted:
                return number(item, "containerPort") or 80
    return number(port, "targetPort") or number(port, "port") or 80


def _endpoint(ip: str, port: int, name: str, node: str, pods: dict[str, KubeObject]) -> Endpoint:
    pod = pods.get(ip)
    node = node or (text(pod.data, "spec", "nodeName") if pod else "")
    address = joined(ip, port)
    return Endpoint(address, name or (pod.name if pod else ""), node, pod)

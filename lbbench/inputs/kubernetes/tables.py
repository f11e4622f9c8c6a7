"""kubectl's tables as objects: what a row tells, in the API's shape.

A table knows less than the object (no labels, no policy), but it is what people paste.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from typing import Any

from lbbench.inputs.documents import Text
from lbbench.inputs.source import Skipped
from lbbench.inputs.tables import Stray, rows

Cells = dict[str, str]
Found = tuple[str, str, str, dict[str, Any], int]

_NAMESPACE = re.compile(r"\s(?:-n|--namespace)[ =]?([a-z0-9][a-z0-9-]*)(?=\s|$)")
_NONE = ("<none>", "<unset>", "<pending>", "<unknown>", "")
_SHORT = {
    "pod": "Pod",
    "service": "Service",
    "node": "Node",
    "endpoints": "Endpoints",
    "endpointslice.discovery.k8s.io": "EndpointSlice",
    "ingress.networking.k8s.io": "Ingress",
    "ingress.extensions": "Ingress",
    "configmap": "ConfigMap",
    "deployment.apps": "Deployment",
    "daemonset.apps": "DaemonSet",
}
"""How ``kubectl get all`` begins a name."""

_MARKS = (
    ("Node", {"STATUS", "ROLES", "VERSION"}),
    ("Pod", {"READY", "STATUS", "RESTARTS"}),
    ("Service", {"TYPE", "CLUSTER-IP", "PORT(S)"}),
    ("EndpointSlice", {"ADDRESSTYPE", "ENDPOINTS"}),
    ("Endpoints", {"ENDPOINTS"}),
    ("Ingress", {"HOSTS", "PORTS"}),
    ("DaemonSet", {"DESIRED", "READY", "AVAILABLE", "NODE SELECTOR"}),
    ("Deployment", {"READY", "UP-TO-DATE", "AVAILABLE"}),
    ("ReplicaSet", {"DESIRED", "CURRENT", "READY"}),
    ("ConfigMap", {"DATA", "AGE"}),
)

_NEEDED = {
    "Node": {"STATUS"},
    "Pod": {"READY", "STATUS"},
    "Service": {"TYPE", "PORT(S)"},
    "Endpoints": {"ENDPOINTS"},
    "EndpointSlice": {"ADDRESSTYPE", "ENDPOINTS"},
}
"""Columns that a reader takes for granted; ``-o custom-columns`` may have left them out."""


def from_table(found: Text, skipped: list[Skipped]) -> Iterator[Found]:
    """Yield (kind, namespace, name, data, line) of every row; lines of no table go to ``skipped``.

    Rows of kinds that are not known are given out with empty data, so that they are counted. A
    table without a column NAMESPACE is of the one that its command asks for.
    """
    asked = _NAMESPACE.search(found.command)
    usual = asked[1] if asked else "default"
    for row in rows(found.lines, found.first_line):
        if isinstance(row, Stray):
            if not re.match(r"\s*(No resources found|Warning:|#|\.\.\.)", row.text):
                shown = row.text.strip()[:60]
                skipped.append((found.name, row.line, f"no row of a table of kubectl: {shown}"))
            continue
        cells = row.cells
        name = cells.get("NAME", "")
        kind = next((kind for kind, marks in _MARKS if marks <= set(cells)), "row of another table")
        prefix, slash, rest = name.partition("/")
        if slash:
            kind, name = _SHORT.get(prefix, prefix), rest
        if not name:
            skipped.append((found.name, row.line, "a row without a name"))
            continue
        missing = sorted(_NEEDED.get(kind, set()) - set(cells))
        if missing:
            reason = f"a row without the column {' and '.join(missing)}: no {kind}"
            skipped.append((found.name, row.line, reason))
            continue
        namespace = "" if kind == "Node" else cells.get("NAMESPACE") or usual
        read = _READERS.get(kind)
        data = read(cells) if read else {}
        data["metadata"] = {**data.get("metadata", {}), "labels": _labels(cells.get("LABELS", ""))}
        yield kind, namespace, name, {**data, "fromTable": True}, row.line


def _labels(cell: str) -> dict[str, str]:
    pairs = (item.partition("=") for item in cell.split(",") if "=" in item)
    return {key.strip(): value.strip() for key, _, value in pairs}


def _told(cell: str | None) -> str:
    return "" if cell is None or cell in _NONE else cell


def _is_port(text: str) -> bool:
    return text.isdecimal() and len(text) < 6


def _node(cells: Cells) -> dict[str, Any]:
    states = cells["STATUS"].split(",")
    zone = _told(cells.get("ZONE"))
    address = _told(cells.get("INTERNAL-IP"))
    labels = _labels(cells.get("LABELS", ""))
    if zone:
        labels["topology.kubernetes.io/zone"] = zone
    cells["LABELS"] = ",".join(f"{key}={value}" for key, value in labels.items())
    return {
        "spec": {"unschedulable": "SchedulingDisabled" in states},
        "status": {
            "addresses": [{"type": "InternalIP", "address": address}] if address else [],
            "conditions": [{"type": "Ready", "status": "True" if "Ready" in states else "False"}],
        },
    }


def _pod(cells: Cells) -> dict[str, Any]:
    ready, _, wanted = cells["READY"].partition("/")
    is_ready = ready == wanted != "0" and cells["STATUS"] == "Running"
    metadata = {"deletionTimestamp": "told"} if cells["STATUS"] == "Terminating" else {}
    phase = cells["STATUS"] if cells["STATUS"] in ("Pending", "Succeeded", "Failed") else "Running"
    return {
        "metadata": metadata,
        "spec": {"nodeName": _told(cells.get("NODE"))},
        "status": {
            "phase": "Succeeded" if cells["STATUS"] == "Completed" else phase,
            "podIP": _told(cells.get("IP")),
            "conditions": [{"type": "Ready", "status": "True" if is_ready else "False"}],
        },
    }


def _service(cells: Cells) -> dict[str, Any]:
    outside = _told(cells.get("EXTERNAL-IP"))
    ports = []
    for item in _told(cells["PORT(S)"]).split(","):
        match = re.fullmatch(r"([0-9]{1,5})(?::([0-9]{1,5}))?/([A-Z]+)", item.strip())
        if match:
            node_port = {"nodePort": int(match[2])} if match[2] else {}
            ports.append({"port": int(match[1]), "protocol": match[3], **node_port})
    selector = _labels(cells["SELECTOR"]) if _told(cells.get("SELECTOR")) else {}
    return {
        "spec": {
            "type": cells["TYPE"],
            "clusterIP": _told(cells.get("CLUSTER-IP")) or "None",
            "ports": ports,
            "selector": selector,
        },
        "status": {
            "loadBalancer": {"ingress": [{"ip": ip} for ip in outside.split(",") if ip]},
        },
    }


def _endpoints(cells: Cells) -> dict[str, Any]:
    cell = _told(cells["ENDPOINTS"])
    cell, more, count = cell.partition(" + ")
    subsets = []
    for item in cell.split(","):
        ip, _, port = item.strip().rpartition(":")
        if ip and _is_port(port):
            address = [{"ip": ip.strip("[]")}]
            subsets.append({"addresses": address, "ports": [{"port": int(port)}]})
    cut = {"hidden": int(re.sub(r"\D", "", count)[:9] or 0)} if more else {}
    return {"subsets": subsets, "status": cut}


def _slice(cells: Cells) -> dict[str, Any]:
    cell, more, count = _told(cells["ENDPOINTS"]).partition(" + ")
    ports = [{"port": int(port)} for port in _told(cells.get("PORTS")).split(",") if _is_port(port)]
    return {
        "addressType": cells["ADDRESSTYPE"],
        "endpoints": [{"addresses": [ip.strip()]} for ip in cell.split(",") if ip.strip()],
        "ports": ports,
        "status": {"hidden": int(re.sub(r"\D", "", count)[:9] or 0)} if more else {},
    }


def _ingress(cells: Cells) -> dict[str, Any]:
    return {
        "spec": {"ingressClassName": _told(cells.get("CLASS"))},
        "status": {"loadBalancer": {"ingress": [{"ip": _told(cells.get("ADDRESS"))}]}},
    }


def _deployment(cells: Cells) -> dict[str, Any]:
    wanted = cells.get("READY", "").rpartition("/")[2]
    return {"spec": {"replicas": int(wanted[:6]) if wanted.isdecimal() else None}}


_READERS: dict[str, Callable[[Cells], dict[str, Any]]] = {
    "Node": _node,
    "Pod": _pod,
    "Service": _service,
    "Endpoints": _endpoints,
    "EndpointSlice": _slice,
    "Ingress": _ingress,
    "Deployment": _deployment,
}

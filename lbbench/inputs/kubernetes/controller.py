"""The ingress controller in a dump: its replicas, service, ConfigMap, workers and release."""

from __future__ import annotations

import math
import re
from dataclasses import dataclass, field
from typing import Any

from lbbench.inputs.kubernetes.choice import (
    APP_ROUTING,
    CONTROLLER,
    is_controller_service,
    selector_of,
)
from lbbench.inputs.kubernetes.endpoints import is_ready, joined, target_port
from lbbench.inputs.kubernetes.objects import Dump, KubeObject, dig, number, rows, table, text

_OTHERS = re.compile(r"admission|defaultbackend|default-backend|prometheus-nginx-exporter")


@dataclass
class Controller:
    """What was found; every part may be missing."""

    service: KubeObject | None = None
    port: dict[str, Any] = field(default_factory=dict)
    config: KubeObject | None = None
    replicas: list[dict[str, str]] | int | None = None  # name, node, address; or how many
    place: str = ""
    cpu: float | None = None  # CPUs that a replica may use
    release: str = ""
    rate_limit: str = ""
    not_ready: int = 0


def find_controller(dump: Dump) -> Controller:
    """Return the ingress controller of ``dump``, with empty parts where nothing tells them."""
    found = Controller()
    found.service = next((item for item in dump.of("Service") if is_controller_service(item)), None)
    ports = rows(found.service.data, "spec", "ports") if found.service else []
    found.port = next((item for item in ports if number(item, "port") == 80), (ports or [{}])[0])
    found.config = next((item for item in dump.of("ConfigMap") if _is_config(item)), None)
    pods = [item for item in dump.of("Pod") if _is_controller(item)]
    owner = next(
        (item for item in dump.of("Deployment", "DaemonSet") if _is_controller(item)), None
    )
    for pod in pods:
        if not is_ready(pod) or not text(pod.data, "spec", "nodeName"):
            found.not_ready += 1
            continue
        at = target_port(found.port or {"port": 80}, pod)
        ip = text(pod.data, "status", "podIP")
        replica = {"name": pod.name, "node": text(pod.data, "spec", "nodeName")}
        if ip:
            replica["address"] = joined(ip, at)
        found.replicas = [*(found.replicas if isinstance(found.replicas, list) else []), replica]
        found.place = found.place or pod.where
    if owner is not None and found.replicas is None:
        found.replicas = number(owner.data, "spec", "replicas")
        found.place = owner.where
    spec = (
        table(pods[0].data, "spec")
        if pods
        else table(owner.data if owner else {}, "spec", "template", "spec")
    )
    _container(found, spec)
    return found


def cpus(quantity: str) -> float | None:
    """Return the CPUs of a quantity (``500m``, ``2``), None when it is none."""
    match = re.fullmatch(r"([0-9]{1,9}(?:\.[0-9]{1,9})?)(m?)", quantity)
    if match is None or float(match[1]) <= 0.0:
        return None
    return float(match[1]) * (1e-3 if match[2] else 1.0)


def workers_for(controller: Controller, dump: Dump) -> tuple[int, str] | None:
    """Return the worker processes of ``auto`` and why: the CPU limit, else the node's CPUs."""
    if controller.cpu:
        count = math.ceil(controller.cpu)
        return count, f"its CPU limit of {controller.cpu:g}, rounded up"
    found = {number(node.data, "status", "capacity", "cpu") for node in dump.of("Node")} - {None}
    if len(found) == 1:
        count = found.pop() or 1
        return count, f"the {count} CPUs of every node"
    return None


def _is_config(item: KubeObject) -> bool:
    """Tell whether a ConfigMap is the controller's."""
    if item.namespace == APP_ROUTING:
        return item.name.startswith("nginx") and isinstance(dig(item.data, "data"), dict)
    name = f"{item.namespace}/{item.name}"
    return bool(CONTROLLER.search(name)) and item.name.endswith(
        ("controller", "configuration", "config")
    )


def _is_controller(item: KubeObject) -> bool:
    if _OTHERS.search(item.name):
        return False
    labels = {**selector_of(item), **item.labels}
    if labels.get("app.kubernetes.io/name") == "ingress-nginx":
        return labels.get("app.kubernetes.io/component", "controller") == "controller"
    specs = rows(item.data, "spec", "containers") or rows(
        item.data, "spec", "template", "spec", "containers"
    )
    images = [text(part, "image") for part in specs]
    if any(
        "ingress-nginx/controller" in name or "nginx-ingress-controller" in name for name in images
    ):
        return True
    if item.namespace == APP_ROUTING:
        return item.name.startswith("nginx")
    return bool(CONTROLLER.search(item.name)) and "controller" in item.name


def _container(found: Controller, spec: dict[str, Any]) -> None:
    """Read limits, release and flags of the controller's container."""
    for part in rows(spec, "containers")[:1]:
        found.cpu = cpus(text(part, "resources", "limits", "cpu"))
        match = re.search(r":v?([0-9]+\.[0-9]+\.[0-9]+)", text(part, "image"))
        found.release = match[1] if match else ""
        flags = [item for item in part.get("args") or [] if isinstance(item, str)]
        for item in flags:
            match = re.fullmatch(r"--sync-rate-limit=([0-9.]{1,12})", item)
            if match and match[1].replace(".", "", 1).isdecimal() and float(match[1]) > 0:
                found.rate_limit = f"{match[1]}/s"

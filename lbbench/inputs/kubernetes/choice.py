"""Choose the service that the scenario is of, and the Ingress before it."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import Any

from lbbench.errors import InputError
from lbbench.inputs.kubernetes.ingress_settings import canary_weights
from lbbench.inputs.kubernetes.objects import Dump, KubeObject, dig, rows, table, text

CONTROLLER = re.compile(r"(ingress-nginx|nginx-ingress)")
APP_ROUTING = "app-routing-system"  # where AKS runs its managed controller, named nginx
SYSTEM = ("kube-system", "kube-public", "gatekeeper-system", "calico-system", "tigera-operator")
CLASS = "kubernetes.io/ingress.class"
NGINX = ("k8s.io/ingress-nginx", "webapprouting.kubernetes.azure.com/nginx")
"""Values of spec.controller of an IngressClass that ingress-nginx and its AKS add-on serve."""


@dataclass
class Choice:
    """The service (None when none was saved), its port, and the Ingress before it."""

    service: KubeObject | None
    port: dict[str, Any]
    ingress: KubeObject | None = None
    canary: tuple[KubeObject, KubeObject] | None = None  # its Ingress and its service
    notes: list[str] = field(default_factory=list)


def choose(dump: Dump, namespace: str | None, service: str | None, ingress: str | None) -> Choice:
    """Return what the scenario is of; the options narrow it where there are several.

    Raises
    ------
    InputError
        When an option names nothing, or several things are left; the choices are listed.
    """
    notes: list[str] = []
    entries = [item for item in dump.of("Ingress") if _is_nginx(dump, item, notes)]
    entries = [item for item in entries if namespace in (None, item.namespace)]
    if ingress is not None:
        named = [item for item in entries if ingress in (item.name, _name(item))]
        if len(named) != 1:
            raise InputError(
                f"--ingress {ingress}: names {len(named)} Ingress objects of nginx; "
                f"{_listed('there are', [_name(item) for item in entries])}"
            )
        entries = named
    plain = [item for item in entries if canary_weights(item.annotations) is None]
    behind = [
        (found, port, item)
        for item in plain
        for found, port in _backends(dump, item, notes)
        if service is None or _fits(found, port, service)
    ]
    unique = {(found.key, str(port)): (found, port, item) for found, port, item in behind}
    if len(unique) > 1:
        told = [f"--ingress {_name(e)} --service {_port_name(s, p)}" for s, p, e in unique.values()]
        raise InputError(
            f"{dump.files[0]}: {len(unique)} services stand behind Ingresses of nginx; choose "
            + _listed("one of", told)
        )
    if unique:
        found, port, item = next(iter(unique.values()))
        chosen = Choice(found, port, item, _canary(dump, entries, item, notes), notes)
        chosen.notes.append(
            f"the scenario is of {_port_name(found, port)}, which Ingress {_name(item)} exposes"
        )
        return chosen
    return _plain_service(dump, namespace, service, notes)


def _plain_service(
    dump: Dump, namespace: str | None, service: str | None, notes: list[str]
) -> Choice:
    """Choose a service that no Ingress of nginx stands before."""
    every = [
        (item, port)
        for item in services(dump)
        for port in rows(item.data, "spec", "ports") or [{}]
        if namespace in (None, item.namespace)
    ]
    fitting = [pair for pair in every if service is None or _fits(*pair, service)]
    if service is not None and not fitting:
        raise InputError(
            f"--service {service}: there is no such service port; "
            + _listed("there are", [_port_name(*pair) for pair in every])
        )
    if service is None:
        usual = [pair for pair in fitting if not _is_system(pair[0])]
        outside = [pair for pair in usual if text(pair[0].data, "spec", "type") == "LoadBalancer"]
        controllers = [pair for pair in fitting if is_controller_service(pair[0])]
        apps = [pair for pair in (outside or usual) if not is_controller_service(pair[0])]
        fitting = apps or _first(controllers) or fitting
    if not fitting:
        return Choice(None, {}, notes=notes)
    if len(fitting) > 1:
        raise InputError(
            f"{dump.files[0]}: {len(fitting)} service ports could be meant; choose with "
            + _listed("--service", [_port_name(*pair) for pair in fitting])
        )
    found, port = fitting[0]
    notes.append(f"the scenario is of {_port_name(found, port)}")
    return Choice(found, port, notes=notes)


def services(dump: Dump) -> list[KubeObject]:
    """Return the services, also those that only their endpoints show."""
    known = dump.of("Service")
    names = {(item.namespace, item.name) for item in known}
    made = list(known)
    for item in dump.of("Endpoints", "EndpointSlice"):
        label = text(item.labels, "kubernetes.io/service-name")
        name = label or (
            re.sub(r"-[a-z0-9]{5}$", "", item.name) if item.kind == "EndpointSlice" else item.name
        )
        if (item.namespace, name) in names:
            continue
        names.add((item.namespace, name))
        ports = rows(item.data, "ports") or [
            port for subset in rows(item.data, "subsets") for port in rows(subset, "ports")
        ]
        ports = [port for port in ports if text(port, "protocol") in ("", "TCP")]
        made.append(
            KubeObject("Service", item.namespace, name, {"spec": {"ports": ports}}, item.place)
        )
    return made


def is_controller_service(service: KubeObject) -> bool:
    """Tell whether a service is the ingress controller's own (not its admission webhook)."""
    if service.name.endswith(("-admission", "-metrics", "-defaultbackend")):
        return False
    if service.namespace == APP_ROUTING:
        return service.name.startswith("nginx")
    label = text(service.labels, "app.kubernetes.io/name")
    named = CONTROLLER.search(f"{service.namespace}/{service.name}") and (
        "controller" in service.name or CONTROLLER.search(service.name)
    )
    return label == "ingress-nginx" or bool(named)


def _first(
    pairs: list[tuple[KubeObject, dict[str, Any]]],
) -> list[tuple[KubeObject, dict[str, Any]]]:
    """Of the ports of one controller (http and https) take the first."""
    owners = {pair[0].key for pair in pairs}
    return pairs[:1] if len(owners) == 1 else pairs


def _is_system(service: KubeObject) -> bool:
    return (
        service.namespace in SYSTEM
        or (service.namespace, service.name) == ("default", "kubernetes")
        or service.name.endswith("-admission")
    )


def _is_nginx(dump: Dump, item: KubeObject, notes: list[str]) -> bool:
    """Tell whether ingress-nginx serves an Ingress; others are said and left out."""
    name = text(item.data, "spec", "ingressClassName") or text(item.annotations, CLASS)
    of_class = dump.get("IngressClass", "", name)
    controller = text(of_class.data, "spec", "controller") if of_class else ""
    if controller in NGINX or (
        not controller and (not name or "nginx" in name or "webapprouting" in name)
    ):
        return True
    behind = [
        table(path, "backend", "service")
        for rule in rows(item.data, "spec", "rules")
        for path in rows(rule, "http", "paths")
    ]
    led = [f"{text(one, 'name')}:{text(one, 'port', 'number')}" for one in behind]
    notes.append(
        f"{item.where}: its class {name or controller} is not one of ingress-nginx: left out"
        + (f" (it leads to {', '.join(led[:5])})" if led else "")
    )
    return False


def _backends(
    dump: Dump, item: KubeObject, notes: list[str]
) -> list[tuple[KubeObject, dict[str, Any]]]:
    """Return the services and ports that an Ingress leads to."""
    told = [table(item.data, "spec", "defaultBackend"), table(item.data, "spec", "backend")]
    told += [
        table(path, "backend")
        for rule in rows(item.data, "spec", "rules")
        for path in rows(rule, "http", "paths")
    ]
    known = {(found.namespace, found.name): found for found in services(dump)}
    made = []
    for backend in told:
        name = text(backend, "service", "name") or text(backend, "serviceName")
        if not name:
            continue
        wanted = (
            text(backend, "service", "port", "number")
            or text(backend, "service", "port", "name")
            or text(backend, "servicePort")
        )
        found = known.get((item.namespace, name))
        if found is None:
            notes.append(
                f"{item.where}: its backend {item.namespace}/{name}:{wanted} was not saved"
            )
            continue
        ports = rows(found.data, "spec", "ports")
        fitting = [p for p in ports if wanted in (text(p, "port"), text(p, "name"))]
        if not fitting and len(ports) == 1:
            fitting = ports
        made += [(found, port) for port in fitting[:1] or [{"port": wanted}]]
    return made


def _canary(
    dump: Dump, entries: list[KubeObject], main: KubeObject, notes: list[str]
) -> tuple[KubeObject, KubeObject] | None:
    """Return the canary of ``main``: the first for one of its hosts, as ingress-nginx takes it."""
    hosts = {text(rule, "host") for rule in rows(main.data, "spec", "rules")}
    for item in entries:
        if canary_weights(item.annotations) is None or item.namespace != main.namespace:
            continue
        if hosts & {text(rule, "host") for rule in rows(item.data, "spec", "rules")}:
            found = _backends(dump, item, notes)
            if found:
                return item, found[0][0]
    return None


def _fits(service: KubeObject, port: dict[str, Any], wanted: str) -> bool:
    name, colon, of_port = wanted.partition(":")
    if name not in (service.name, f"{service.namespace}/{service.name}"):
        return False
    return not colon or of_port in (text(port, "name"), text(port, "port"))


def _name(item: KubeObject) -> str:
    return f"{item.namespace}/{item.name}"


def _port_name(service: KubeObject, port: dict[str, Any]) -> str:
    return f"{_name(service)}:{text(port, 'name') or text(port, 'port')}"


def _listed(before: str, names: list[str]) -> str:
    shown = ", ".join(dict.fromkeys(names[:10])) or "none"
    return f"{before} {shown}" + (f" and {len(names) - 10} more" if len(names) > 10 else "")


def selector_of(item: KubeObject) -> dict[str, Any]:
    """Return the labels that a Deployment or DaemonSet gives its pods."""
    return dig(item.data, "spec", "selector", "matchLabels") or {}

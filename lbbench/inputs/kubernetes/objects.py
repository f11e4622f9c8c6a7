"""The objects of a cluster as an import needs them, however they were saved.

Everything becomes the API's own shape, tables included, so that one code reads both.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from ipaddress import ip_address
from pathlib import Path
from typing import Any

from lbbench.errors import InputError
from lbbench.inputs.documents import Document, Text, read_documents
from lbbench.inputs.kubernetes.tables import from_table
from lbbench.inputs.source import Skipped, listed, named

USED = (
    "Node",
    "Pod",
    "Service",
    "Endpoints",
    "EndpointSlice",
    "Ingress",
    "IngressClass",
    "ConfigMap",
    "Deployment",
    "DaemonSet",
)

MAX_OBJECTS = 300_000

_SHAPES = {
    "addressType": "EndpointSlice",
    "endpoints": "EndpointSlice",
    "subsets": "Endpoints",
    "data": "ConfigMap",
}
_SPECS = {
    "containers": "Pod",
    "clusterIP": "Service",
    "podCIDR": "Node",
    "providerID": "Node",
    "rules": "Ingress",
    "defaultBackend": "Ingress",
    "replicas": "Deployment",
}


@dataclass(frozen=True)
class KubeObject:
    """One object: ``data`` in the API's shape, ``place`` FILE:LINE or FILE."""

    kind: str
    namespace: str
    name: str
    data: dict[str, Any]
    place: str

    @property
    def key(self) -> tuple[str, str, str]:
        """What tells it from every other object of the cluster."""
        return self.kind, self.namespace, self.name

    @property
    def where(self) -> str:
        """Its place for messages."""
        inside = f"{self.namespace}/" if self.namespace else ""
        return f"{self.place} ({self.kind} {inside}{self.name})"

    @property
    def labels(self) -> dict[str, Any]:
        """Its labels."""
        return table(self.data, "metadata", "labels")

    @property
    def annotations(self) -> dict[str, Any]:
        """Its annotations."""
        return table(self.data, "metadata", "annotations")


@dataclass
class Dump:
    """All objects of some files, with what could not be used."""

    objects: dict[tuple[str, str, str], KubeObject] = field(default_factory=dict)
    notes: list[str] = field(default_factory=list)
    skipped: list[Skipped] = field(default_factory=list)
    files: list[str] = field(default_factory=list)

    def of(self, *kinds: str) -> list[KubeObject]:
        """Return the objects of some kinds in the order of the files."""
        return [item for item in self.objects.values() if item.kind in kinds]

    def get(self, kind: str, namespace: str, name: str) -> KubeObject | None:
        """Return one object, None when it was not saved."""
        return self.objects.get((kind, namespace, name))


def read_kubernetes(paths: str | Path | list[str]) -> Dump:
    """Return the objects in files that ``kubectl get`` wrote: JSON, YAML, tables, any mix.

    Raises
    ------
    InputError
        When a file cannot be read, or none of them holds an object of a cluster.
    """
    dump = Dump()
    unused: Counter[str] = Counter()
    for path in listed(paths):
        dump.files.append(named(path))
        before = len(dump.objects) + sum(unused.values())
        for item in _objects(read_documents(path), dump):
            if item.kind not in USED:
                unused[item.kind] += 1
            else:
                _keep(dump, item)
            if len(dump.objects) + len(dump.skipped) + len(unused) > MAX_OBJECTS:
                raise InputError(
                    f"{named(path)}: more than {MAX_OBJECTS} objects; save fewer namespaces (-n)"
                )
        if len(dump.objects) + sum(unused.values()) == before:
            dump.notes.append(f"{named(path)}: holds no object of a cluster that was not known")
    if not dump.objects:
        found = ", ".join(f"{n} {kind}" for kind, n in unused.items())
        raise InputError(
            f"{dump.files[0]}: no node, pod, service, endpoint or ingress in it"
            + (f" (found {found})" if found else "")
            + "; save them with: kubectl get -A -o json "
            "nodes,pods,svc,endpointslices,ingress,configmap,deploy"
        )
    counted = Counter(item.kind for item in dump.objects.values())
    dump.notes.insert(0, "read " + ", ".join(f"{n} {kind}" for kind, n in counted.items()))
    if unused:
        dump.notes.append(
            "not needed and left out: " + ", ".join(f"{n} {kind}" for kind, n in unused.items())
        )
    return dump


def dig(data: Any, *way: str) -> Any:
    """Return what stands at the end of keys, None where the way ends early."""
    for key in way:
        if not isinstance(data, dict):
            return None
        data = data.get(key)
    return data


def table(data: Any, *way: str) -> dict[str, Any]:
    """Return the mapping at the end of keys, an empty one where there is none."""
    found = dig(data, *way)
    return found if isinstance(found, dict) else {}


def rows(data: Any, *way: str) -> list[dict[str, Any]]:
    """Return the mappings in the list at the end of keys, none where there is no list."""
    found = dig(data, *way)
    return [item for item in found if isinstance(item, dict)] if isinstance(found, list) else []


def text(data: Any, *way: str) -> str:
    """Return the word at the end of keys, an empty one where there is none."""
    found = dig(data, *way)
    return str(found) if isinstance(found, str | int | float) else ""


def number(data: Any, *way: str) -> int | None:
    """Return the whole number at the end of keys, None where there is none."""
    found = text(data, *way)
    return int(found) if re.fullmatch(r"-?[0-9]{1,15}", found) else None


def _keep(dump: Dump, item: KubeObject) -> None:
    """Take an object; of two the one that tells more: a table's row never hides the object."""
    old = dump.objects.get(item.key)
    if old is None or not item.data.get("fromTable"):
        dump.objects[item.key] = item
    elif old.data.get("fromTable"):
        dump.objects[item.key] = KubeObject(
            *item.key, _joined(old.data, item.data), f"{old.place} and {item.place}"
        )


def _joined(old: dict[str, Any], new: dict[str, Any]) -> dict[str, Any]:
    made = dict(old)
    for key, value in new.items():
        below = made.get(key)
        if isinstance(below, dict) and isinstance(value, dict):
            made[key] = _joined(below, value)
        elif value not in (None, "", []):
            made[key] = value
    return made


def _objects(found: Iterable[Document | Text], dump: Dump) -> Iterator[KubeObject]:
    for item in found:
        if isinstance(item, Text):
            for kind, namespace, name, data, line in from_table(item, dump.skipped):
                yield KubeObject(kind, namespace, name, data, f"{item.name}:{line}")
            continue
        kind = _kind(item)
        name = text(item.data, "metadata", "name")
        if not kind or not name:
            shown = ", ".join(map(str, list(item.data)[:4]))
            dump.skipped.append((*_split(item.place), f"no object of a cluster (keys {shown})"))
            continue
        inside = text(item.data, "metadata", "namespace")
        if not inside and kind not in ("Node", "IngressClass"):
            inside = "default"
        yield KubeObject(kind, inside, name, _needed(kind, item.data), item.place)


def _split(place: str) -> tuple[str, int]:
    name, _, line = place.rpartition(":")
    return (name, int(line)) if name and line.isdecimal() else (place, 1)


def _kind(item: Document) -> str:
    """Return its kind: its own, its list's, or what its shape tells."""
    kind = text(item.data, "kind") or item.list_kind.removesuffix("List")
    if kind:
        return kind
    shapes = [name for key, name in _SHAPES.items() if key in item.data]
    shapes += [name for key, name in _SPECS.items() if key in table(item.data, "spec")]
    return shapes[0] if shapes else ""


def _needed(kind: str, data: dict[str, Any]) -> dict[str, Any]:
    """Return an object without what no import reads, so that large clusters fit memory."""
    if kind not in USED:
        return {}
    made = {key: value for key, value in data.items() if key in (*_KEPT, *_SHAPES, "ports")}
    made["metadata"] = {
        key: value
        for key, value in table(data, "metadata").items()
        if key in ("name", "namespace", "labels", "annotations", "deletionTimestamp")
    }
    made["metadata"]["annotations"] = {
        key: value
        for key, value in table(data, "metadata", "annotations").items()
        if key != "kubectl.kubernetes.io/last-applied-configuration"
    }
    return made


_KEPT = ("spec", "status", "kind")


def is_ip(told: str) -> bool:
    """Tell whether a text is an IP address."""
    try:
        ip_address(told)
    except ValueError:
        return False
    return True

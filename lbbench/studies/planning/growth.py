"""Clusters with another number of pods, nodes or places, as changes of a scenario's leaves.

What the file has stays as it is: the first pods or nodes of a list keep their names, addresses and
speeds. What goes beyond the list is like what is in it, with fresh names and no given address.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from typing import Any

from lbbench.model.cluster import Cluster
from lbbench.model.scenario import Scenario
from lbbench.model.topology import topology


def with_pods(scenario: Scenario, n: int) -> dict[str, Any]:
    """Return the changes that give ``scenario`` ``n`` pods.

    Of listed pods the first ``n``; further ones are like the last, their nodes in turn. Pods per
    node keep their proportions.
    """
    cluster = scenario.cluster
    own = len(cluster.pod_names())
    if n == own:
        return {}
    made: dict[str, Any] = {
        "cluster.pods": n if isinstance(cluster.pods, int) else _pods(cluster, n)
    }
    if isinstance(cluster.placement, tuple):
        made["cluster.placement"] = apportioned([int(room) for room in cluster.placement], n)
    return made


def with_nodes(scenario: Scenario, n: int) -> dict[str, Any]:
    """Return the changes that give ``scenario`` ``n`` nodes with as many pods each as in the file.

    pods x n / nodes, rounded up. Listed nodes beyond the list are like those of the list in turn,
    zone included; listed pods and replicas go and come with their nodes.
    """
    cluster = scenario.cluster
    own = len(cluster.node_names())
    if n == own:
        return {}
    made: dict[str, Any] = {}
    if isinstance(cluster.nodes, int):
        made["cluster.nodes"] = n
        names = [f"node-{i}" for i in range(n)]
    else:
        nodes = _listed_nodes(cluster, n)
        made["cluster.nodes"] = nodes
        names = [node["name"] for node in nodes]
    if isinstance(cluster.pods, int):
        made["cluster.pods"] = -(-cluster.pods * n // own)
    else:
        made["cluster.pods"] = _pods_by_node(scenario, names, own)
    if isinstance(cluster.placement, tuple):
        rooms = [int(cluster.placement[i % own]) for i in range(n)]
        made["cluster.placement"] = rooms
        if isinstance(cluster.pods, int):
            made["cluster.pods"] = sum(rooms)
    if isinstance(cluster.ingress.replicas, tuple):
        made["cluster.ingress.replicas"] = _replicas(cluster, names, own)
    return made


def with_places(scenario: Scenario, n: int) -> dict[str, Any]:
    """Return the changes that give every pod of ``scenario`` ``n`` places."""
    cluster = scenario.cluster
    made: dict[str, Any] = {"cluster.pod.concurrency": n}
    if isinstance(cluster.pods, tuple):
        made["cluster.pods"] = [
            {**_plain(pod), "concurrency": n} if pod.concurrency is not None else _plain(pod)
            for pod in cluster.pods
        ]
    return made


def apportioned(rooms: Sequence[int], n: int) -> list[int]:
    """Return ``n`` pods dealt out in the proportions of ``rooms``; as many as there are: ``rooms``.

    Each next pod goes where it makes the least of the node's share (d'Hondt's rule).
    """
    got = [0] * len(rooms)
    for _ in range(n):
        best = max(range(len(rooms)), key=lambda i: (rooms[i] / (got[i] + 1), -i))
        got[best] += 1
    return got


def fresh(taken: Iterable[str], prefix: str) -> Iterable[str]:
    """Yield names prefix-N that are not among ``taken``, above every N that is."""
    names = set(taken)
    found = (re.fullmatch(rf"{re.escape(prefix)}-([0-9]{{1,9}})", name) for name in names)
    number = max([len(names), *(int(match[1]) + 1 for match in found if match)])
    while True:
        yield f"{prefix}-{number}"
        number += 1


def _plain(part: Any) -> dict[str, Any]:
    made: dict[str, Any] = part.model_dump(by_alias=True, exclude_none=True, mode="json")
    return made


def _pods(cluster: Cluster, n: int) -> list[dict[str, Any]]:
    """Return the first ``n`` of the listed pods, and further ones like the last."""
    listed = [_plain(pod) for pod in cluster.pods] if isinstance(cluster.pods, tuple) else []
    names = iter(fresh((pod["name"] for pod in listed), "pod"))
    last, nodes = listed[-1], cluster.node_names()
    made = listed[:n]
    for i in range(len(listed), n):
        more = {key: value for key, value in last.items() if key not in ("name", "address", "node")}
        if "node" in last:
            more["node"] = nodes[i % len(nodes)]
        made.append({"name": next(names), **more})
    return made


def _listed_nodes(cluster: Cluster, n: int) -> list[dict[str, Any]]:
    listed = [_plain(node) for node in cluster.nodes] if isinstance(cluster.nodes, tuple) else []
    names = iter(fresh((node["name"] for node in listed), "node"))
    made = listed[:n]
    for i in range(len(listed), n):
        like = listed[i % len(listed)]
        made.append({"name": next(names), **({"zone": like["zone"]} if like.get("zone") else {})})
    return made


def _pods_by_node(scenario: Scenario, nodes: Sequence[str], own: int) -> list[dict[str, Any]]:
    """Return the pods of the nodes that stay, and copies of them for further nodes in turn."""
    cluster = scenario.cluster
    listed = [_plain(pod) for pod in cluster.pods] if isinstance(cluster.pods, tuple) else []
    places = [pod.node for pod in topology(scenario).pods]
    names = iter(fresh((pod["name"] for pod in listed), "pod"))
    made = []
    for i, node in enumerate(nodes):
        for pod, place in zip(listed, places, strict=True):
            if place == i:
                made.append({**pod, "node": node})
            elif i >= own and place == i % own:
                more = {key: value for key, value in pod.items() if key not in ("name", "address")}
                made.append({"name": next(names), **more, "node": node})
    return made


def _replicas(cluster: Cluster, nodes: Sequence[str], own: int) -> list[dict[str, Any]]:
    given = cluster.ingress.replicas
    listed = [_plain(item) for item in given] if isinstance(given, tuple) else []
    names = iter(fresh((item["name"] for item in listed), "ingress"))
    at = {name: i for i, name in enumerate(cluster.node_names())}
    made = []
    for i, node in enumerate(nodes):
        for item in listed:
            if at[item["node"]] == i:
                made.append(item)
            elif i >= own and at[item["node"]] == i % own:
                made.append({"name": next(names), "node": node})
    return made

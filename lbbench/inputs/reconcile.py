"""Two imports of one cluster: the same nodes under real and guessed names, rules beside objects.

Rules and logs tell addresses only, so their nodes are guessed and called node-0, node-1, ...;
objects and Azure's pools know the names. What is known goes before what was guessed, whichever
came first, and the addresses tell which pod is which.
"""

from __future__ import annotations

import re
from typing import Any

from lbbench.inputs.imported import drop, leaf, put
from lbbench.model.mistakes import some
from lbbench.model.natural import natural

LISTS = ("cluster.pods", "cluster.ingress.replicas")
STAGE = "stages.kube_proxy"

_GUESSED = re.compile(r"node-[0-9]+")
_ON_INGRESS = ("cluster.ingress", "stages.ingress")


def path_of(tree: dict[str, Any]) -> str | None:
    """Return the path that a scenario is of, None where it tells none (a load balancer alone)."""
    if "path" in tree:
        return str(tree["path"])
    told = any(leaf(tree, key) is not None for key in _ON_INGRESS)
    return "ingress" if told or isinstance(leaf(tree, "cluster.pods"), int) else None


def settle_nodes(
    merged: dict[str, Any], added: dict[str, Any], place: str, new_place: str
) -> list[str]:
    """Give both scenarios the known names of nodes and pods; return what has to be said.

    Parameters
    ----------
    merged, added
        The earlier scenario and the new one, both changed in place.
    place, new_place
        Where their nodes come from, for messages.
    """
    if is_real(merged) and is_real(added):
        return _lacking(merged, added, place, new_place)
    if not (is_real(merged) or is_real(added)):
        return _counted(merged, added, place, new_place)
    known, guessed = (merged, added) if is_real(merged) else (added, merged)
    of_known, of_guess = (place, new_place) if known is merged else (new_place, place)
    told: list[str] = []
    for key in LISTS:
        listed, sure = leaf(guessed, key), leaf(known, key)
        if isinstance(listed, list) and isinstance(sure, list):
            told += _differing(key, listed, sure, of_guess, of_known)
            drop(guessed, key)
    told += _renamed(known, guessed, of_known, of_guess)
    drop(guessed, "cluster.nodes")
    return told


def one_table(merged: dict[str, Any], added: dict[str, Any]) -> bool:
    """Tell whether both sides read kube-proxy's rules, which belong together as they are."""
    return all("mode" in (leaf(tree, STAGE) or {}) for tree in (merged, added))


def fit_probabilities(tree: dict[str, Any]) -> list[str]:
    """Drop probabilities of rules that the endpoints or the policy no longer have."""
    stage = leaf(tree, STAGE) or {}
    chances = stage.get("probabilities")
    if chances is None:
        return []
    key = "cluster.ingress.replicas" if path_of(tree) == "ingress" else "cluster.pods"
    listed = leaf(tree, key)
    count = len(listed) if isinstance(listed, list) else listed
    if stage.get("external_traffic_policy", "Cluster") != "Cluster":
        why = "they are one list per node under externalTrafficPolicy Local"
    elif isinstance(count, int) and count != len(chances):
        why = f"the rules have {len(chances)} endpoints, {key} has {count}"
    else:
        return []
    drop(tree, f"{STAGE}.probabilities")
    return [f"{STAGE}.probabilities are left out, kube-proxy's own are used: {why}"]


def joined_nodes(old: Any, new: Any) -> list[dict[str, Any]]:
    """Return the union of two lists (or counts) of nodes by name; of each both sides' keys."""
    both = [
        part if isinstance(part, list) else [{"name": f"node-{i}"} for i in range(int(part))]
        for part in (old, new)
    ]
    by_name: dict[str, dict[str, Any]] = {}
    for part in both:
        for item in part:
            by_name[item["name"]] = {**by_name.get(item["name"], {}), **item}
    return sorted(by_name.values(), key=lambda item: natural(item["name"]))


def is_real(tree: dict[str, Any]) -> bool:
    """Tell whether nodes are known by name, zone or address, not guessed or counted."""
    nodes = leaf(tree, "cluster.nodes")
    return isinstance(nodes, list) and any(
        len(item) > 1 or not _GUESSED.fullmatch(str(item["name"])) for item in nodes
    )


def _lacking(merged: dict[str, Any], added: dict[str, Any], place: str, new: str) -> list[str]:
    names = [{item["name"] for item in leaf(tree, "cluster.nodes")} for tree in (merged, added)]
    if names[0] == names[1]:
        return []
    parts = []
    for here, there, side in ((names[0], names[1], new), (names[1], names[0], place)):
        if here - there:
            parts.append(f"{side} lacks {some(sorted(here - there))}")
    return [f"contradiction in cluster.nodes: {', '.join(parts)}; all of both are used"]


def _differing(
    key: str, listed: list[dict[str, Any]], sure: list[dict[str, Any]], guess: str, known: str
) -> list[str]:
    """Return what two lists of addresses have differently; the list with known nodes is used."""
    seen, right = ({str(i["address"]) for i in part if "address" in i} for part in (listed, sure))
    told = []
    if seen - right:
        told.append(
            f"contradiction in {key}: {guess} has {some(sorted(seen - right))}, which {known} "
            "does not list; the latter is used"
        )
    if right - seen:
        told.append(
            f"contradiction in {key}: {known} lists {some(sorted(right - seen))}, of which {guess} "
            "has nothing; the former is used"
        )
    return told


def _counted(merged: dict[str, Any], added: dict[str, Any], place: str, new: str) -> list[str]:
    """Return what is said when one side counts fewer nodes than the other guessed."""
    sides = [(leaf(merged, "cluster.nodes"), place), (leaf(added, "cluster.nodes"), new)]
    for (count, counting), (listed, guessing) in (sides, sides[::-1]):
        if isinstance(count, int) and isinstance(listed, list) and count < len(listed):
            names = {str(item["name"]) for item in listed}
            return [
                (
                    f"contradiction in cluster.nodes: {guessing} has pods of {len(names)} nodes "
                    f"({some(sorted(names))}), {counting} counts {count}; all {len(names)} are "
                    "used: import the nodes of all pools"
                )
            ]
    return []


def _renamed(
    known: dict[str, Any], guessed: dict[str, Any], place: str, of_guess: str
) -> list[str]:
    """Put pods whose nodes were guessed on known nodes, in the order of both."""
    lists = [part for key in LISTS if isinstance(part := leaf(guessed, key), list)]
    used = {str(item["node"]) for part in lists for item in part if item.get("node")}
    names = sorted(used, key=natural)
    real = [str(item["name"]) for item in leaf(known, "cluster.nodes")]
    if not names:
        return []
    to = {name: real[i % len(real)] for i, name in enumerate(names)}
    for key in LISTS:
        part = leaf(guessed, key)
        if isinstance(part, list):
            moved = [{**i, "node": to[str(i["node"])]} if i.get("node") else i for i in part]
            put(guessed, key, moved)
    pairs = ", ".join(f"{old} is {new}" for old, new in list(to.items())[:5])
    told = []
    if len(names) > len(real):
        told.append(
            f"contradiction in cluster.nodes: {of_guess} has pods of {len(names)} nodes "
            f"({some(sorted(used))}), {place} lists only {len(real)} "
            f"({some(sorted(set(real)))}); the latter is used, so that pods of several nodes share "
            "one: import the nodes of all pools"
        )
    return [
        *told,
        f"{place} knows the nodes but not which pods they carry: {pairs} (assumed, in their order)",
    ]

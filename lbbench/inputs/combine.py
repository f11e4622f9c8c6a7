"""One scenario from several imports: rules tell the topology, a log the pods and the traffic.

Every import leaves out what it does not know, so most keys come from one side. Where both sides
know a key and differ, the newer import wins, what contradicts is said with both places.
"""

from __future__ import annotations

import copy
from pathlib import Path
from typing import Any

from lbbench.errors import InputError
from lbbench.inputs.access_log.log import AccessLog
from lbbench.inputs.access_log.scenario import from_log
from lbbench.inputs.contradictions import (
    addresses,
    contradictions,
    place_of,
    pods_differ,
    two_services,
)
from lbbench.inputs.imported import UTILISATION, Imported, drop, leaf, ordered, put
from lbbench.inputs.iptables.scenario import from_rules
from lbbench.inputs.placement import in_pod_network
from lbbench.inputs.reconcile import (
    fit_probabilities,
    is_real,
    joined_nodes,
    one_table,
    path_of,
    settle_nodes,
)
from lbbench.inputs.ruleset import RuleSet, Service, ranked
from lbbench.inputs.yaml import parse
from lbbench.model.check import build

CONTROLLERS = ("cluster.vip", "cluster.ingress.replicas", "stages.kube_proxy")
"""What the rules of an ingress controller tell; of another service they do not fit the ingress."""

RATES = {"rate", "rates", "base", "steps", "users"}
"""Keys of arrivals that set how many requests come."""

SETTLED = ("schema", "name", "observed", "cluster.nodes")
"""Keys that both sides may have without contradicting each other."""

WHOLE = ("traffic.service_time", "traffic.arrivals", "stages.kube_proxy", "observed")
"""Tables that belong together: they are taken from one side, never mixed."""

ANSWERED = {
    "not in the rules": "cluster.pods",
    "rules tell no rate": "traffic.service_time",
    "the pods are in Lua": "cluster.pods",
    "the pods are unknown": "cluster.pods",
    "the balancer is in Lua": "stages.ingress.balancer",
    "the number of workers is not logged: the default holds": "cluster.ingress.workers",
    "one replica per node is assumed": "cluster.ingress.replicas",
}
"""Words of a note about something missing, and the key that answers it."""


def scenario_from(
    rules: RuleSet | None = None,
    log: AccessLog | None = None,
    *,
    into: str | Path | None = None,
    service: str | None = None,
    backend: str | None = None,
    path: str | None = None,
) -> Imported:
    """Return the scenario of what was read, merged with an earlier import.

    Parameters
    ----------
    rules, log
        At least one.
    into
        The YAML file of an earlier import.
    service, path
        See `lbbench.inputs.iptables.scenario.from_rules`.
    backend
        See `lbbench.inputs.access_log.scenario.from_log`.

    Raises
    ------
    InputError
        When nothing is given, or the parts cannot be used.
    """
    if rules is not None and log is not None:
        new = combine(rules, log, service=service, backend=backend, path=path)
    elif rules is not None:
        new = from_rules(rules, service, path=path)
    elif log is not None:
        new = from_log(log, backend)
    else:
        raise InputError("nothing to import: give the rules of a node or an access log")
    return new if into is None else merge(read_earlier(into), new)


def combine(
    rules: RuleSet,
    log: AccessLog,
    *,
    service: str | None = None,
    backend: str | None = None,
    path: str | None = None,
) -> Imported:
    """Return the scenario of a node's rules and an ingress controller's access log.

    Raises
    ------
    InputError
        When either cannot be used; see `from_rules` and `from_log`.
    """
    if service is None:
        service = _controller(rules, log).name
    chain = from_rules(rules, service, path=path)
    demand = from_log(log, backend)
    both = merge(chain, demand)
    both.notes += _cross_check(rules, rules.service(service), log, demand)
    return both


def merge(earlier: Imported, new: Imported) -> Imported:
    """Return ``earlier`` with what ``new`` knows; contradictions are noted with both places."""
    merged = copy.deepcopy(earlier.scenario)
    added = copy.deepcopy(new.scenario)
    said: list[str] = []
    if {path_of(merged), path_of(added)} == {"ingress", "service"}:
        said += _to_ingress(merged, added, earlier, new)
    said += settle_nodes(
        merged, added, place_of(earlier, "cluster.nodes"), place_of(new, "cluster.nodes")
    )
    whole = WHOLE if one_table(merged, added) else tuple(set(WHOLE) - {"stages.kube_proxy"})
    _settle_load(merged, added)
    _join_observed(merged, added)
    for key, told in _leaves(added, whole):
        old = leaf(merged, key)
        value = joined_nodes(old, told) if key == "cluster.nodes" and old is not None else told
        if key not in SETTLED and old not in (None, value):
            said += contradictions(key, old, value, earlier, new)
        if key != "name" or "name" not in merged:
            put(merged, key, value)
    _keep_nodes(merged)
    said += fit_probabilities(merged)
    notes = [*two_services(earlier, new), *earlier.notes, *new.notes, *said]
    return Imported(
        scenario=ordered(merged),
        notes=[note for note in dict.fromkeys(notes) if not _overtaken(note, merged)],
        skipped=[*earlier.skipped, *new.skipped],
        sources={**earlier.sources, **new.sources},
        write_trace=new.write_trace or earlier.write_trace,
    )


def read_earlier(path: str | Path) -> Imported:
    """Return the scenario file of an earlier import as it stands, with the line of every key.

    Raises
    ------
    InputError, ScenarioError
        When it cannot be read or is no scenario.
    """
    name = str(path)
    try:
        text = Path(path).read_text(encoding="utf-8-sig")
    except (OSError, ValueError) as error:  # ValueError: not UTF-8, or a NUL in the path
        raise InputError(f"{name}: cannot be read ({error}); name an earlier import") from error
    tree, lines = parse(text, name)
    build(tree, place=name, lines=lines)  # the merge relies on a scenario without mistakes
    places = {".".join(map(str, key)): f"{name}:{line}" for key, line in lines.items()}
    return Imported(tree, sources=places)


def _controller(rules: RuleSet, log: AccessLog) -> Service:
    """Return the service that the log's requests came through: the controller's."""
    best = ranked(rules.services)
    pods = set(log.upstreams)
    controllers = [item for item in best if item.is_controller and item.endpoints]
    shares_pods = [item for item in best if pods & set(item.addresses)]
    return [*controllers, *shares_pods, *best][0]


def _to_ingress(
    merged: dict[str, Any], added: dict[str, Any], earlier: Imported, new: Imported
) -> list[str]:
    """Make one path of two: with an access log it is the ingress path, where nginx dials pods."""
    of_service, side = (merged, earlier) if path_of(merged) == "service" else (added, new)
    told = [
        (
            f"{place_of(side, 'stages')}: rules of a service that is no ingress controller: nginx "
            "dials its pods itself, so policy and probabilities are not used and the replicas of "
            "the controller keep their default; import the controller's service with --service"
        )
    ]
    pods, seen = leaf(merged, "cluster.pods"), leaf(added, "cluster.pods")
    if isinstance(pods, list) and isinstance(seen, list) and pods != seen:
        told += pods_differ(
            place_of(earlier, "cluster.pods"),
            addresses(pods),
            place_of(new, "cluster.pods"),
            addresses(seen),
        )
        if of_service is added:
            drop(added, "cluster.pods")
        else:
            drop(merged, "cluster.pods")
    if leaf(of_service, "stages.kube_proxy.session_affinity") == "ClientIP":
        drop(of_service, "stages.azure_lb.distribution")  # it follows from the service's affinity
    for key in CONTROLLERS:
        drop(of_service, key)
    if "stages" in of_service and not of_service["stages"]:
        del of_service["stages"]
    merged["path"] = added["path"] = "ingress"
    return told


def _settle_load(merged: dict[str, Any], added: dict[str, Any]) -> None:
    """Keep one source of load: a rate that was measured before a utilisation that was assumed."""
    if any(_has_rate(tree) for tree in (merged, added)):
        drop(merged, "traffic.utilisation")
        drop(added, "traffic.utilisation")
    elif leaf(merged, "traffic.utilisation") is not None:
        drop(added, "traffic.utilisation")
    if leaf(merged, "traffic.trace") is not None:
        drop(added, "traffic.arrivals")


def _has_rate(tree: dict[str, Any]) -> bool:
    """Tell whether arrivals (not only their shape) or a trace are given."""
    arrivals = leaf(tree, "traffic.arrivals") or {}
    return bool(set(arrivals) & RATES) or leaf(tree, "traffic.trace") is not None


def _join_observed(merged: dict[str, Any], added: dict[str, Any]) -> None:
    """Keep the counts of the side that has some, the newer first, and the notes of both."""
    both = [tree["observed"] for tree in (merged, added) if tree.get("observed")]
    if len(both) < 2:
        return
    counted = next((item for item in reversed(both) if item.get("pods")), both[1])
    notes = dict.fromkeys(item.get("note") for item in both if item.get("note"))
    added["observed"] = {**counted, "note": "; ".join(map(str, notes))}


def _leaves(tree: dict[str, Any], whole: tuple[str, ...], way: str = "") -> list[tuple[str, Any]]:
    found: list[tuple[str, Any]] = []
    for name, value in tree.items():
        key = f"{way}{name}"
        if isinstance(value, dict) and key not in whole:
            found += _leaves(value, whole, f"{key}.")
        else:
            found.append((key, value))
    return found


def _keep_nodes(tree: dict[str, Any]) -> None:
    """Add nodes that pods or replicas stand on and the list lacks."""
    nodes = leaf(tree, "cluster.nodes")
    if not isinstance(nodes, list):
        return
    lists = [leaf(tree, "cluster.pods"), leaf(tree, "cluster.ingress.replicas")]
    wanted = [item.get("node") for part in lists if isinstance(part, list) for item in part]
    missing = {name for name in wanted if name} - {item["name"] for item in nodes}
    if missing:
        put(tree, "cluster.nodes", joined_nodes(nodes, [{"name": name} for name in missing]))


def _cross_check(rules: RuleSet, chosen: Service, log: AccessLog, demand: Imported) -> list[str]:
    """Return what the rules and the log say differently."""
    notes: list[str] = []
    pods = addresses(demand.scenario["cluster"]["pods"])
    for service in rules.services:
        known = set(service.addresses)
        if service.name != chosen.name and known & pods and known != pods:
            place = f"{service.place[0]}:{service.place[1]} ({service.name})"
            notes += pods_differ(place, known, log.files[0], pods)
    inside, first = 0, ""
    for name in log.clients if chosen.external_policy == "Local" else ():
        if in_pod_network(name):
            inside, first = inside + 1, first or name
    if inside > len(log.clients) / 2:
        notes.append(
            f"contradiction in the client addresses: {chosen.place[0]}:{chosen.place[1]} says "
            f"externalTrafficPolicy Local, which keeps them, {log.files[0]} has addresses of the "
            f"pod network ({first}), as SNAT leaves them; Local is used"
        )
    return notes


def _overtaken(note: str, merged: dict[str, Any]) -> bool:
    """Tell whether a note about something missing is answered by the other import."""
    if any(words in note and leaf(merged, key) is not None for words, key in ANSWERED.items()):
        return True
    if "tell no rate" in note or "tells no rate" in note:
        return _has_rate(merged)
    if "nodes are guessed" in note or "nothing tells where the pods run" in note:
        return is_real(merged)
    if f"utilisation {UTILISATION} is set" in note:
        return leaf(merged, "traffic.utilisation") != UTILISATION
    return False

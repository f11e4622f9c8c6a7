"""Leaves of a scenario by dotted path: check the path, set the value, drop what it replaces."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from functools import lru_cache
from typing import Annotated, Any, get_args, get_origin

from lbbench.errors import ScenarioError
from lbbench.model import arrivals, distributions
from lbbench.model.fields import Part
from lbbench.model.mistakes import dotted, listed, near
from lbbench.model.scenario import Scenario

Keys = tuple[str | int, ...]

_KEY = re.compile(r"([^\[\].]+)((?:\[[0-9]{1,9}\])*)(?:\.|$)")


def set_leaf(data: dict[str, Any], path: str, value: Any) -> Keys:
    """Set the leaf at the dotted ``path`` in plain data, in place; return its keys.

    Entries of a list are ``[3]``. A number of nodes, pods or replicas becomes a list when an entry
    is set; a word ("none", "uniform") becomes the mapping of the key that is set.

    Raises
    ------
    ScenarioError
        When no scenario has such a path (with the near misses), or this one no such entry.
    """
    keys = split_path(path)
    target: Any = data
    for i, key in enumerate(keys[:-1]):
        target = _step_into(data, target, key, keys[: i + 2], path)
    last = keys[-1]
    if isinstance(last, int):
        if last >= len(target):
            raise _no_entry(target, path)
        target[last] = value
    else:
        _leave_other_forms(target, keys)
        target[last] = value
    return keys


def _no_entry(target: Sequence[Any], path: str) -> ScenarioError:
    return ScenarioError(f"--set {path}: the list has {len(target)} entries, [0] is the first")


@lru_cache(maxsize=1024)
def split_path(path: str) -> Keys:
    """Return the keys of a dotted path; below a free mapping the rest is one key.

    Raises
    ------
    ScenarioError
        When no scenario has such a path, with the near misses.
    """
    keys: list[str | int] = []
    kinds = [Scenario]
    rest = path
    while rest:
        match = _KEY.match(rest)
        if match is None or (match.end() == len(rest) and rest.endswith(".")):
            raise ScenarioError(
                f"--set {path}: is not a path; write for instance cluster.pods[3].speed"
            )
        kinds = _below(kinds, match[1], path, keys)
        keys.append(match[1])
        for index in re.findall(r"[0-9]+", match[2]):
            kinds = _entries(kinds, path, keys)
            keys.append(int(index))
        rest = rest[match.end() :]
        if rest and any(get_origin(kind) is dict for kind in kinds):
            return (*keys, rest)
    if not keys:
        raise ScenarioError("--set: there is no path; write for instance run.seed=2")
    return tuple(keys)


def _below(kinds: Sequence[Any], key: str, path: str, at: Sequence[str | int]) -> list[Any]:
    """Return what can stand at ``key`` of one of ``kinds``."""
    parts = [kind for kind in kinds if isinstance(kind, type) and issubclass(kind, Part)]
    if not parts:
        what = "is a list; write [0] for its first entry" if _is_list(kinds) else "has no keys"
        raise ScenarioError(f"--set {path}: {dotted(at)} {what}")
    found = [
        member
        for part in parts
        for name, field in part.model_fields.items()
        if key == (field.alias or name)
        for member in _members(field.annotation)
    ]
    if not found:
        names = sorted({name for part in parts for name in part.key_names()})
        hint = near(key, names) or listed(names)
        raise ScenarioError(f"--set {path}: there is no key {key}; {hint}")
    return found


def _entries(kinds: Sequence[Any], path: str, at: Sequence[str | int]) -> list[Any]:
    """Return what the entries of a list among ``kinds`` can be."""
    lists = [kind for kind in kinds if get_origin(kind) in (tuple, list)]
    if not lists:
        raise ScenarioError(f"--set {path}: {dotted(at)} is no list")
    return [member for kind in lists for arg in get_args(kind)[:1] for member in _members(arg)]


def _is_list(kinds: Sequence[Any]) -> bool:
    return any(get_origin(kind) in (tuple, list) for kind in kinds)


def _members(annotation: Any) -> list[Any]:
    """Return the members of a union, however nested; a plain type is its own member."""
    if get_origin(annotation) is Annotated:
        return _members(get_args(annotation)[0])
    if get_origin(annotation) in (tuple, list, dict) or not get_args(annotation):
        return [annotation]
    return [member for arg in get_args(annotation) for member in _members(arg)]


def _step_into(data: Mapping[str, Any], target: Any, key: Any, keys: Keys, path: str) -> Any:
    """Return the mapping or list at ``key`` of ``target``; ``keys`` ends with the key behind it."""
    if isinstance(key, int):
        if key >= len(target):
            raise _no_entry(target, path)
        if not isinstance(target[key], dict):
            raise ScenarioError(f"--set {path}: {dotted(keys[:-1])} is no mapping in this scenario")
        return target[key]
    below = target.get(key)
    if isinstance(keys[-1], int):
        if not isinstance(below, list):
            below = target[key] = _as_list(data, below, keys[:-1], path)
    elif not isinstance(below, dict):
        below = target[key] = {}
    return below


def _as_list(data: Mapping[str, Any], given: Any, keys: Keys, path: str) -> list[Any]:
    """Return a number of nodes, pods or replicas as the list that means the same."""
    name = dotted(keys)
    cluster = Scenario.model_validate(
        {"traffic": {"utilisation": 1}, "cluster": _countable(data.get("cluster"))}
    ).cluster
    nodes = cluster.node_names()
    if name == "cluster.nodes":
        return [{"name": node} for node in nodes]
    if name == "cluster.pods":
        return [{"name": pod} for pod in cluster.pod_names()]
    if name == "cluster.ingress.replicas":
        count = len(nodes) if given in (None, "per_node") else int(given)
        return [{"name": f"ingress-{i}", "node": nodes[i % len(nodes)]} for i in range(count)]
    raise ScenarioError(f"--set {path}: {name} is no list in this scenario")


def _countable(cluster: Any) -> dict[str, Any]:
    """Return only the numbers or lists of nodes and pods."""
    given = cluster if isinstance(cluster, Mapping) else {}
    return {key: given[key] for key in ("nodes", "pods") if given.get(key) is not None}


def _leave_other_forms(target: dict[str, Any], keys: Keys) -> None:
    """Drop the keys of another form: setting ``geometric`` replaces ``{fixed: 20}``."""
    mine = _form_of(keys)
    if mine is not None:
        for key in [key for key in target if key not in mine]:
            del target[key]


@lru_cache(maxsize=1024)
def _form_of(keys: Keys) -> frozenset[str] | None:
    """Return the keys that may stand beside the last of ``keys``; None when there is one form."""
    kinds: list[Any] = [Scenario]
    for key in keys[:-1]:
        if isinstance(key, int):
            kinds = _entries(kinds, "", ())
        elif any(get_origin(kind) is dict for kind in kinds):
            return None
        else:
            kinds = _below(kinds, key, "", ())
    parts = [kind for kind in kinds if isinstance(kind, type) and issubclass(kind, Part)]
    if len(parts) < 2:
        return None
    own = (part.key_names() for part in parts if keys[-1] in part.key_names())
    return frozenset(name for names in own for name in names)


# --- what a set value replaces ------------------------------------------------------------------


def drop_rivals(data: dict[str, Any], changed: Sequence[Keys]) -> None:
    """Drop from plain data, in place, what the changed leaves replace.

    A run's length replaces the other one; a rate, utilisation, trace or closed process the other
    sources of load; a process or distribution the figures that do not belong to it.
    """
    run = data.get("run")
    lengths = [name for name in ("duration", "requests") if ("run", name) in changed]
    if isinstance(run, dict) and len(lengths) == 1:
        run.pop("requests" if lengths == ["duration"] else "duration", None)
    for keys in changed:
        if keys[-1] == "distribution":
            _drop_figures(data, keys, distributions.FIGURES, (), changed)
        elif keys == ("traffic", "arrivals", "process"):
            _drop_figures(data, keys, arrivals.FIGURES, ("rate",), changed)
    _drop_loads(data, changed)


def _drop_figures(
    data: Any,
    keys: Keys,
    figures: Mapping[str, Sequence[str]],
    more: Sequence[str],
    changed: Sequence[Keys],
) -> None:
    holder = data
    for key in keys[:-1]:
        holder = holder[key]
    own = figures.get(str(holder.get(keys[-1])))
    if own is None:
        return  # an unknown word; the check says so
    for name in list(holder):
        if name not in (keys[-1], *own, *more) and (*keys[:-1], name) not in changed:
            del holder[name]


def _drop_loads(data: dict[str, Any], changed: Sequence[Keys]) -> None:
    traffic = data.get("traffic")
    if not isinstance(traffic, dict) or ("traffic",) in changed:
        return
    process = traffic.get("arrivals")
    process = process if isinstance(process, dict) else {}
    closed = process.get("process") == "closed"
    within = ("traffic", "arrivals")
    new = {
        "utilisation": ("traffic", "utilisation") in changed,
        "trace": ("traffic", "trace") in changed,
        "rate": process.get("rate") is not None and ({within, (*within, "rate")} & {*changed}),
        "closed": closed and ({within, (*within, "process")} & {*changed}),
    }
    if not any(new.values()):
        return
    if not new["utilisation"]:
        traffic.pop("utilisation", None)
    if not new["trace"]:
        traffic.pop("trace", None)
    if not new["rate"]:
        process.pop("rate", None)
    own = {key[2] for key in changed if key[:2] == within and len(key) > 2}
    if (closed and not new["closed"]) or (new["trace"] and within not in changed):
        for name in [name for name in process if name not in own]:
            del process[name]

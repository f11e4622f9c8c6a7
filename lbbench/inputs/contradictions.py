"""Sentences about two imports that contradict each other: both places, both values as YAML."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from io import StringIO
from typing import Any

from lbbench.inputs.imported import Imported, leaf
from lbbench.inputs.iptables.scenario import PLACEHOLDER
from lbbench.model.mistakes import some

LONGEST = 120
"""Characters of a list that a sentence shows; it is cut between entries."""


def contradictions(key: str, old: Any, value: Any, earlier: Imported, new: Imported) -> list[str]:
    """Return a sentence per leaf that differs at ``key``; a table is taken whole all the same."""
    if not (isinstance(old, dict) and isinstance(value, dict)):
        return [
            (
                f"contradiction in {key}: {place_of(earlier, key)} has {notation(old)}, "
                f"{place_of(new, key)} has {notation(value)}; the latter is used"
            )
        ]
    both = [_leaves(table) for table in (old, value)]
    told = []
    for name in dict.fromkeys([*both[0], *both[1]]):
        first, second = (notation(part[name]) if name in part else "none" for part in both)
        if first != second:
            where = f"{key}.{name}"
            told.append(
                f"contradiction in {where}: {place_of(earlier, where)} has {first}, "
                f"{place_of(new, where)} has {second}; the table of the latter is used"
            )
    return told


def two_services(earlier: Imported, new: Imported) -> list[str]:
    """Return a sentence when two imports are of services with other names and other pods."""
    names = [str(side.scenario.get("name") or "") for side in (earlier, new)]
    pods = [_hosts(leaf(side.scenario, "cluster.pods")) for side in (earlier, new)]
    if not all(names) or not all(pods) or pods[0] & pods[1] or _same(*names):
        return []
    first, second = (place_of(side, "cluster.pods") for side in (earlier, new))
    return [
        (
            f"these are two services: {first} has the pods of {names[0]}, {second} those of "
            f"{names[1]}, and no pod is of both; choose the same with --service "
            "(of a log or nginx.conf with --backend), or write to another file with -o"
        )
    ]


def pods_differ(place: str, known: set[str], other: str, seen: set[str]) -> list[str]:
    """Return what the pods of rules and of a log have differently; those of the log are used."""
    notes = []
    if seen - known:
        notes.append(
            f"contradiction in the pods: {other} has {some(sorted(seen - known))}, which {place} "
            "does not list; the pods of the log are used"
        )
    if known - seen:
        notes.append(
            f"contradiction in the pods: {place} lists {some(sorted(known - seen))}, to which "
            f"{other} has no answered request; the pods of the log are used"
        )
    return notes


def place_of(side: Imported, key: str) -> str:
    """Return where the value at ``key`` comes from, or the table around it."""
    while key:
        if key in side.sources:
            return side.sources[key]
        key = key.rpartition(".")[0]
    return "the earlier import"


def addresses(pods: Sequence[Mapping[str, Any]]) -> set[str]:
    """Return the addresses of the pods that have one."""
    return {str(item["address"]) for item in pods if "address" in item}


def notation(value: Any) -> str:
    """Return a value as YAML writes it in one line; a long list with its first entries only."""
    if not isinstance(value, list):
        return _flow(value)
    shown, length = 0, 0
    for item in value:
        length += len(_flow(item)) + 2
        if length > LONGEST and shown:
            break
        shown += 1
    rest = len(value) - shown
    return _flow(value[:shown]) + (f" and {rest} more" if rest else "")


def _flow(value: Any) -> str:
    from ruamel.yaml import YAML

    yaml = YAML(typ="safe", pure=True)
    settings = {"sort_base_mapping_type_on_output": False, "allow_unicode": True}
    for name, setting in {"default_flow_style": True, **settings}.items():
        setattr(yaml, name, setting)  # declared as None by ruamel.yaml
    yaml.width = 10**9  # one line, however long
    out = StringIO()
    yaml.dump(value, out)
    return out.getvalue().removesuffix("\n").removesuffix("\n...")


def _leaves(table: Mapping[str, Any], way: str = "") -> dict[str, Any]:
    found: dict[str, Any] = {}
    for name, value in table.items():
        inner = isinstance(value, dict) and value
        found |= _leaves(value, f"{way}{name}.") if inner else {f"{way}{name}": value}
    return found


def _hosts(pods: Any) -> set[str]:
    """Return the IPs of listed pods: a pod is the same at another port; placeholders are none."""
    known = addresses(pods) if isinstance(pods, list) else set()
    hosts = {item.rpartition(":")[0] for item in known}
    return {host for host in hosts if not host.startswith(PLACEHOLDER)}


def _same(one: str, other: str) -> bool:
    """Tell whether two names are of one service: some inputs know the port, some do not."""
    return f"{one}-".startswith(f"{other}-") or f"{other}-".startswith(f"{one}-")

"""What an upstream block of a plain nginx.conf says: the balancing method and the servers."""

from __future__ import annotations

from collections import Counter
from typing import Any

from lbbench.balancers.base import registry
from lbbench.inputs.imported import Imported, put
from lbbench.inputs.iptables.scenario import PLACEHOLDER
from lbbench.inputs.nginx_conf.settings import seconds, whole
from lbbench.inputs.nginx_conf.text import Directive, NginxText
from lbbench.inputs.placement import place, with_port
from lbbench.model.units import write_time

METHODS = ("least_conn", "random", "ip_hash", "hash")
UNKNOWN = ("sticky", "fair", "least_time")
DEFAULTS = {"max_fails": "1", "fail_timeout": "10s", "max_conns": "0"}
"""Flags of `server` that the balancers take for all servers alike, with nginx's defaults."""


def method(imported: Imported, text: NginxText, index: int) -> None:
    """Set the balancer: nginx's own one, in its form with `zone` where there is one."""
    given = text.within(index, *METHODS, *UNKNOWN)
    zone = text.within(index, "zone")
    if given and given[0].name in UNKNOWN:
        item = given[0]
        imported.notes.append(
            f"{text.path}:{item.line}: {item.name} is not simulated: the default balancer holds"
        )
        return
    name = "nginx_round_robin"
    told = "no balancing method: smooth weighted round robin"
    if given:
        item = given[0]
        name = _named(item)
        told = f"{text.path}:{item.line}: {' '.join((item.name, *item.args))}"
        if item.name == "hash" and item.args:
            put(imported.scenario, "stages.ingress.hash_by", item.args[0])
        for other in given[1:]:
            imported.skipped.append(
                (text.path, other.line, f"{other.name}: the upstream has a method already")
            )
    if zone and f"{name}_zone" in registry():
        name = f"{name}_zone"
    put(imported.scenario, "stages.ingress.balancer", name)
    imported.notes.append(f"{told} becomes {name}")


def _named(item: Directive) -> str:
    if item.name == "random" and "two" in item.args:
        return "nginx_random_two"
    if item.name == "hash" and "consistent" in item.args:
        return "nginx_hash_consistent"
    return f"nginx_{item.name}"


def servers(imported: Imported, text: NginxText, index: int) -> None:
    """Set the pods, their weights, and when nginx leaves one out."""
    weights: dict[str, int] = {}
    used: list[Directive] = []
    for item in text.within(index, "server"):
        if not item.args:
            continue
        address, flags = item.args[0], set(item.args[1:])
        if address.startswith("unix:") or "down" in flags or "backup" in flags:
            why = (
                "a socket" if address.startswith("unix:") else "/".join(flags & {"down", "backup"})
            )
            imported.skipped.append((text.path, item.line, f"server {address} is left out: {why}"))
            continue
        known = with_port(address)
        if known is None:
            known = f"{PLACEHOLDER}{len(weights) % 250 + 1}:80"
            imported.notes.append(
                f"{text.path}:{item.line}: {address} is a name: its pods are one pod with the "
                f"placeholder address {known}"
            )
        weight = _flag(item, "weight", "1")
        step = int(weight) if weight.isdecimal() and len(weight) < 7 else 1
        weights[known] = weights.get(known, 0) + step
        used.append(item)
    if not weights:
        imported.notes.append(f"{text.path}: the upstream has no server that takes requests")
        return
    placement = place(list(weights))
    imported.notes.append(placement.note)
    put(imported.scenario, "cluster.nodes", [{"name": name} for name in placement.nodes])
    pods: list[dict[str, Any]] = [
        {"name": f"pod-{i}", "node": placement.node_of[address], "address": address}
        for i, address in enumerate(weights)
    ]
    if len(set(weights.values())) > 1:
        for pod, given in zip(pods, weights.values(), strict=True):
            pod["weight"] = max(given, 1)
        imported.notes.append(
            "the servers' weights are the pods': nginx_round_robin and the other nginx_ balancers "
            "go by them"
        )
    put(imported.scenario, "cluster.pods", pods)
    balancer = imported.scenario.get("stages", {}).get("ingress", {}).get("balancer")
    if balancer is not None:
        _limits(imported, text, used)


def _limits(imported: Imported, text: NginxText, used: list[Directive]) -> None:
    """Set max_fails, fail_timeout and max_conns: one value each, that of most servers."""
    for name, default in DEFAULTS.items():
        found = Counter(_flag(item, name, default) for item in used)
        (value, _), *others = found.most_common()
        if others:
            odd = next(item for item in used if _flag(item, name, default) != value)
            imported.notes.append(
                f"{text.path}:{odd.line}: {name} is not alike for all servers: that of most, "
                f"{value}, holds for all"
            )
        if value == default:
            continue
        read = seconds(value) if name == "fail_timeout" else whole((value,))
        if read is None or (name == "fail_timeout" and (read < 1.0 or read != int(read))):
            imported.notes.append(
                f"{text.path}:{used[0].line}: {name}={value} is not simulated: {default} holds"
            )
            continue
        option = write_time(read) if name == "fail_timeout" else read
        put(imported.scenario, f"stages.ingress.options.{name}", option)


def _flag(item: Directive, name: str, default: str) -> str:
    """Return the value of ``name=value`` behind a server's address."""
    start = f"{name}="
    return next((flag[len(start) :] for flag in item.args if flag.startswith(start)), default)

"""ingress-nginx's annotations and ConfigMap as keys of ``stages.ingress``.

Names and precedence: ingress-nginx documentation, "Annotations" and "ConfigMap"; cookie affinity
goes before ``upstream-hash-by``, which goes before ``load-balance``.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any, NamedTuple

PREFIX = "nginx.ingress.kubernetes.io/"

FAILURES = ("error", "timeout", "http_500", "http_502", "http_503", "http_504", "non_idempotent")
"""Conditions of ``proxy-next-upstream`` that a scenario knows."""

MANY_TRIES = 100  # the scenario's most; nginx takes 0 for no limit

_BOTH = {
    "proxy-connect-timeout": "timeouts.connect",
    "proxy-read-timeout": "timeouts.read",
    "proxy-next-upstream-tries": "next_upstream.tries",
}
_CONTROLLER = {
    "upstream-keepalive-connections": "keepalive.upstream",
    "upstream-keepalive-requests": "keepalive.upstream_requests",
    "upstream-keepalive-timeout": "keepalive.upstream_timeout",
    "keep-alive": "keepalive.client_timeout",
    "keep-alive-requests": "keepalive.client_requests",
}
_WITHOUT_EFFECT = re.compile(
    r"session-cookie-(?!change-on-failure).*|affinity-canary-behavior|canary.*|ssl-.*|"
    r"force-ssl-redirect|rewrite-target|app-root|proxy-body-size|proxy-send-timeout|"
    r"enable-.*|cors-.*|use-.*|log-.*|access-log.*|error-log.*|reuse-port"
)
"""Settings that are known and change nothing that is simulated, or are read elsewhere."""

_SECONDS = re.compile(r"([0-9]{1,9})\s*(ms|s|m|h)?")


class Settings(NamedTuple):
    """Leaves below ``stages.ingress`` (``workers`` below ``cluster.ingress``) and what to say."""

    leaves: dict[str, Any]
    notes: list[str]


def controller_settings(data: Mapping[str, Any], place: str) -> Settings:
    """Return what the controller's ConfigMap says; ``place`` names it in messages."""
    found = Settings({}, [])
    unread = _common(found, data, place)
    for key, leaf in _CONTROLLER.items():
        if key in data:
            _number(found, leaf, key, data[key], place)
    workers = str(data.get("worker-processes", "auto"))
    if re.fullmatch(r"[1-9][0-9]{0,3}", workers):
        found.leaves["workers"] = int(workers)
    _balancer(found, data, place)
    known = {*_CONTROLLER, "worker-processes"}
    _say_unread(found, [key for key in unread if key not in known], place)
    return found


def annotation_settings(annotations: Mapping[str, Any], place: str) -> Settings:
    """Return what an Ingress's annotations say; other prefixes than nginx's are not read."""
    data = {
        key.removeprefix(PREFIX): value
        for key, value in annotations.items()
        if key.startswith(PREFIX)
    }
    found = Settings({}, [])
    unread = _common(found, data, place)
    _balancer(found, data, place)
    change = data.get("session-cookie-change-on-failure")
    if change is not None:
        found.leaves["change_on_failure"] = _is_on(change)
    if _is_on(data.get("service-upstream")):
        found.notes.append(
            f"{place}: service-upstream makes nginx dial the service's cluster address: kube-proxy "
            "picks the pod per connection, which no balancer of the ingress stage does"
        )
    known = {"session-cookie-change-on-failure", "service-upstream"}
    _say_unread(found, [key for key in unread if key not in known], place)
    return found


def canary_weights(annotations: Mapping[str, Any]) -> tuple[int, int] | None:
    """Return (weight, total) of a canary Ingress, None when it is none."""
    if not _is_on(annotations.get(f"{PREFIX}canary")):
        return None
    weight, total = (
        int(text) if re.fullmatch(r"[0-9]{1,9}", text) else standard
        for text, standard in (
            (str(annotations.get(f"{PREFIX}canary-weight", "")), 0),
            (str(annotations.get(f"{PREFIX}canary-weight-total", "")), 100),
        )
    )
    total = max(total, 100)  # ingress-nginx ignores totals below 100
    return min(weight, total), total


def seconds(text: str) -> float | None:
    """Return the seconds of nginx's time (``60``, ``60s``, ``1m``), None when it is none."""
    match = _SECONDS.fullmatch(text.strip())
    if match is None:
        return None
    return int(match[1]) * {"ms": 1e-3, "s": 1.0, "m": 60.0, "h": 3600.0}[match[2] or "s"]


def _common(found: Settings, data: Mapping[str, Any], place: str) -> list[str]:
    """Read what both sources know; return the keys that nothing here has read."""
    for key, leaf in _BOTH.items():
        if key in data:
            _number(found, leaf, key, data[key], place)
    if "proxy-next-upstream" in data:
        _failures(found, str(data["proxy-next-upstream"]), place)
    if _is_on(data.get("retry-non-idempotent")):
        on = found.leaves.get("next_upstream.on", ["error", "timeout"])
        found.leaves["next_upstream.on"] = [*on, "non_idempotent"]
    known = {
        *_BOTH,
        "proxy-next-upstream",
        "retry-non-idempotent",
        "load-balance",
        "upstream-hash-by",
        "upstream-hash-by-subset",
        "upstream-hash-by-subset-size",
        "affinity",
        "affinity-mode",
    }
    return [key for key in data if key not in known and not _WITHOUT_EFFECT.fullmatch(key)]


def _number(found: Settings, leaf: str, key: str, value: Any, place: str) -> None:
    told = seconds(str(value))
    if told is None:
        found.notes.append(f"{place}: {key} = {str(value)[:40]!r} is no number; its default holds")
        return
    if "timeout" in leaf:
        if told <= 0.0:
            found.notes.append(f"{place}: {key} = 0 switches it off, which is not simulated")
            return
        found.leaves[leaf] = f"{told:g}s"
    elif leaf == "next_upstream.tries" and told == 0.0:
        found.leaves[leaf] = MANY_TRIES
        found.notes.append(f"{place}: {key} = 0 is no limit; {MANY_TRIES} tries are set")
    elif leaf == "next_upstream.tries":
        found.leaves[leaf] = min(int(told), MANY_TRIES)
    elif told >= 1 or leaf == "keepalive.upstream":
        found.leaves[leaf] = min(int(told), 10**6)
    else:
        found.notes.append(f"{place}: {key} = {str(value)[:40]!r} is not simulated")


def _failures(found: Settings, text: str, place: str) -> None:
    words = text.replace(",", " ").split()
    found.leaves["next_upstream.on"] = [word for word in dict.fromkeys(words) if word in FAILURES]
    others = [word for word in words if word not in FAILURES and word != "off"]
    if others:
        found.notes.append(
            f"{place}: proxy-next-upstream {' '.join(others)[:60]}: not simulated, left out"
        )


def _balancer(found: Settings, data: Mapping[str, Any], place: str) -> None:
    """Set the balancer as ingress-nginx chooses it: affinity, then hash, then load-balance."""
    algorithm = str(data.get("load-balance", ""))
    if algorithm in ("round_robin", "ewma"):
        found.leaves["balancer"] = algorithm
    elif algorithm:
        found.notes.append(
            f"{place}: load-balance {algorithm[:40]} is none of this controller's: it takes "
            "round_robin"
        )
        found.leaves["balancer"] = "round_robin"
    key = str(data.get("upstream-hash-by", ""))
    if key:
        found.leaves["balancer"] = "chash"
        found.leaves["hash_by"] = key
        if _is_on(data.get("upstream-hash-by-subset")):
            found.leaves["balancer"] = "chashsubset"
            size = str(data.get("upstream-hash-by-subset-size", "3"))
            if re.fullmatch(r"[1-9][0-9]{0,5}", size):
                found.leaves["subset_size"] = int(size)
    affinity = str(data.get("affinity", ""))
    if affinity == "cookie":
        mode = str(data.get("affinity-mode", "balanced"))
        found.leaves["balancer"] = (
            "sticky_persistent" if mode == "persistent" else "sticky_balanced"
        )
    elif affinity:
        found.notes.append(f"{place}: affinity {affinity[:40]} is unknown; only cookie has effect")


def _is_on(value: Any) -> bool:
    return str(value).strip().lower() == "true"


def _say_unread(found: Settings, keys: list[str], place: str) -> None:
    if keys:
        shown = ", ".join(sorted(keys)[:6])
        more = f" and {len(keys) - 6} more" if len(keys) > 6 else ""
        found.notes.append(f"{place}: {len(keys)} settings are not simulated: {shown}{more}")

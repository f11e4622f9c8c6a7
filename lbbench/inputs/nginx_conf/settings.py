"""What an nginx.conf says of connections, timeouts, retries and workers."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Sequence
from typing import Any

from lbbench.inputs.imported import Imported, put
from lbbench.inputs.nginx_conf.text import Directive, NginxText
from lbbench.model.units import write_time

RETRIED = ("error", "timeout", "http_500", "http_502", "http_503", "http_504", "non_idempotent")
MOST_TRIES = 100
_TIME = re.compile(r"(\d{1,9})(ms|s|m|h|d|w|M|y)?")
_UNIT = {"ms": 0.001, "s": 1.0, "m": 60.0, "h": 3600.0, "d": 86400.0, "w": 604800.0,
         "M": 2592000.0, "y": 31536000.0}  # fmt: skip


def upstream_keepalive(
    imported: Imported, text: NginxText, index: int, block: Directive, *, lua: bool
) -> None:
    """Set how many connections to pods are kept, for how long and for how many requests."""
    kept = text.within(index, "keepalive")
    number = whole(kept[0].args) if kept else 0
    put(imported.scenario, "stages.ingress.keepalive.upstream", min(number or 0, 10**6))
    if not kept:
        imported.notes.append(
            f"{text.path}:{block.line}: no keepalive in the upstream: a connection per request"
        )
        return
    _timed(imported, text.within(index, "keepalive_timeout"), "keepalive.upstream_timeout")
    requests = text.within(index, "keepalive_requests")
    if requests and (most := whole(requests[0].args)):
        put(imported.scenario, "stages.ingress.keepalive.upstream_requests", most)
    elif not lua:
        put(imported.scenario, "stages.ingress.keepalive.upstream_requests", 1000)
    version = [item for item in text.directives if item.name == "proxy_http_version"]
    if not any("1.1" in item.args for item in version):
        imported.notes.append(
            f"{text.path}:{kept[0].line}: keepalive without proxy_http_version 1.1: before nginx "
            "1.29.7 such connections are closed after each request; set "
            "stages.ingress.keepalive.upstream to 0 if yours is older"
        )


def client_keepalive(imported: Imported, texts: Sequence[NginxText]) -> None:
    """Set how long clients' connections are kept: of the http block, else of the first server."""
    for text in texts:
        outside = {i for i, _ in text.blocks("upstream")}
        given = [item for item in text.directives if item.parent not in outside]
        waits = [item for item in given if item.name == "keepalive_timeout" and item.args]
        most = [item for item in given if item.name == "keepalive_requests"]
        if waits and seconds(waits[0].args[0]) == 0.0:
            put(imported.scenario, "stages.ingress.keepalive.client_requests", 1)
            return
        _timed(imported, waits, "keepalive.client_timeout")
        if most and (number := whole(most[0].args)):
            put(imported.scenario, "stages.ingress.keepalive.client_requests", number)


def proxy(imported: Imported, texts: Sequence[NginxText], upstream: str | None) -> None:
    """Set timeouts and retries: those that hold in most of the locations that pass to it."""
    names = ("proxy_connect_timeout", "proxy_read_timeout", "proxy_next_upstream",
             "proxy_next_upstream_tries", "proxy_next_upstream_timeout")  # fmt: skip
    found: dict[str, Counter[tuple[str, ...]]] = {name: Counter() for name in names}
    lines: dict[tuple[str, tuple[str, ...]], str] = {}
    for text in texts:
        passes = [
            item
            for item in text.directives
            if item.name in {"proxy_pass", "grpc_pass"} and item.args and _to(item, upstream)
        ]
        places = {item.parent for item in passes} or {i for i, _ in text.blocks("http")} or {None}
        for parent in places:
            for name in names:
                for item in text.effective(parent, name)[:1]:
                    found[name][item.args] += 1
                    lines.setdefault((name, item.args), f"{text.path}:{item.line}")
    chosen: dict[str, tuple[str, ...]] = {}
    for name, counts in found.items():
        if not counts:
            continue
        chosen[name] = counts.most_common(1)[0][0]
        if len(counts) > 1:
            imported.notes.append(
                f"{lines[name, chosen[name]]}: {name} differs between locations; "
                f"{' '.join(chosen[name])} holds in most and is used"
            )
    _timeouts(imported, chosen, lines)
    _retries(imported, chosen, lines)


def _to(item: Directive, upstream: str | None) -> bool:
    host = item.args[0].partition("://")[2].partition("/")[0]
    return upstream is None or host == upstream


Chosen = dict[str, tuple[str, ...]]
Lines = dict[tuple[str, tuple[str, ...]], str]


def _timeouts(imported: Imported, chosen: Chosen, lines: Lines) -> None:
    for name, key in (("proxy_connect_timeout", "connect"), ("proxy_read_timeout", "read")):
        if name not in chosen:
            continue
        value = seconds(" ".join(chosen[name]))
        if value:
            put(imported.scenario, f"stages.ingress.timeouts.{key}", write_time(value))
        else:
            imported.notes.append(f"{lines[name, chosen[name]]}: {name}: no time, left out")


def _retries(imported: Imported, chosen: Chosen, lines: Lines) -> None:
    on = chosen.get("proxy_next_upstream")
    if on is not None:
        kept = [word for word in on if word in RETRIED]
        other = [word for word in on if word not in RETRIED and word != "off"]
        put(imported.scenario, "stages.ingress.next_upstream.on", kept or "none")
        if other:
            imported.notes.append(
                f"{lines['proxy_next_upstream', on]}: not simulated in proxy_next_upstream: "
                + ", ".join(other)
            )
    tries = chosen.get("proxy_next_upstream_tries", ("0",))
    number = whole(tries)
    pods: Any = (imported.scenario.get("cluster") or {}).get("pods")
    if "proxy_next_upstream_tries" in chosen or on is not None or isinstance(pods, list):
        # nginx tries every server unless it is told otherwise
        unlimited = len(pods) if isinstance(pods, list) else MOST_TRIES
        put(imported.scenario, "stages.ingress.next_upstream.tries",
            min(number or unlimited, MOST_TRIES))  # fmt: skip
    limit = chosen.get("proxy_next_upstream_timeout")
    if limit and seconds(" ".join(limit)):
        imported.notes.append(
            f"{lines['proxy_next_upstream_timeout', limit]}: proxy_next_upstream_timeout "
            f"{' '.join(limit)} is not simulated: only the number of tries ends retrying"
        )


def workers(imported: Imported, texts: Sequence[NginxText]) -> None:
    """Set the number of worker processes."""
    for text in texts:
        for item in text.within(None, "worker_processes"):
            number = whole(item.args)
            if number:
                put(imported.scenario, "cluster.ingress.workers", number)
            else:
                imported.notes.append(
                    f"{text.path}:{item.line}: worker_processes {' '.join(item.args)}: one per CPU "
                    "of the node; set cluster.ingress.workers to their number"
                )
            return


def _timed(imported: Imported, items: Sequence[Directive], key: str) -> None:
    value = seconds(items[0].args[0]) if items and items[0].args else None
    if value:
        put(imported.scenario, f"stages.ingress.{key}", write_time(value))


def seconds(text: str) -> float | None:
    """Return the seconds of a time as nginx writes it (``60s``, ``1h 30m``, ``75``), None: none."""
    total, rest = 0.0, text.replace(" ", "")
    if not rest or not _TIME.match(rest):
        return None
    for number, unit in _TIME.findall(rest):
        total += int(number) * _UNIT[unit or "s"]
    return total


def whole(args: Sequence[str]) -> int | None:
    """Return the whole number that a directive's first argument is, None: it is none."""
    return int(args[0]) if args and args[0].isdecimal() and len(args[0]) < 10 else None

"""Import of nginx.conf: method and servers of an upstream, keepalive, timeouts, retries, workers.

Plain files name their servers; the file that ingress-nginx generates does not: its pods and its
balancer live in Lua (one ``upstream_balancer`` block for all), and only keepalive, timeouts,
retries and workers are in it. Defaults are those of nginx and stay out of the scenario unless
they differ from the scenario's: an upstream without ``keepalive`` opens a connection per request.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from pathlib import Path

from lbbench.errors import InputError
from lbbench.inputs.imported import SCHEMA, UTILISATION, Imported, plain, put
from lbbench.inputs.nginx_conf.settings import client_keepalive, proxy, upstream_keepalive, workers
from lbbench.inputs.nginx_conf.text import Directive, NginxText, read_nginx
from lbbench.inputs.nginx_conf.upstream import method, servers
from lbbench.inputs.source import listed

LUA = ("balancer_by_lua_block", "balancer_by_lua_file")
SHOWN = 10


def read_nginx_conf(
    paths: str | Path | Sequence[str | Path], upstream: str | None = None
) -> Imported:
    """Return the scenario of one upstream of an nginx.conf.

    Parameters
    ----------
    paths
        One file, or the main one first and then those that it includes.
    upstream
        Its name; None takes the one that most locations pass to.

    Raises
    ------
    InputError
        When a file cannot be read, is no nginx.conf or is cut off, or there is no such upstream.
    """
    texts = [read_nginx(path) for path in listed(paths)]
    found = [(text, i, item) for text in texts for i, item in text.blocks("upstream") if item.args]
    imported = Imported({})
    chosen = _choose(imported, texts, found, upstream)
    scenario = imported.scenario
    scenario |= {"schema": SCHEMA, "name": "nginx", "path": "ingress"}
    workers(imported, texts)
    if chosen is not None:
        text, index, block = chosen
        scenario["name"] = plain(block.args[0])
        imported.notes.append(
            f"{text.path}:{block.line}: the scenario is of upstream {block.args[0]}"
        )
        lua = text.within(index, *LUA)
        if lua:
            where = f"{text.path}:{lua[0].line}"
            imported.notes += [
                (
                    f"{where}: the balancer is in Lua, not in here: the default holds until "
                    "stages.ingress.balancer is set (the ConfigMap's load-balance)"
                ),
                (
                    f"{where}: the pods are in Lua, not in here: their default holds until they "
                    "are imported with --into"
                ),
            ]
        else:
            method(imported, text, index)
            servers(imported, text, index)
        upstream_keepalive(imported, text, index, block, lua=bool(lua))
    client_keepalive(imported, texts)
    proxy(imported, texts, None if chosen is None else chosen[2].args[0])
    _includes(imported, texts)
    put(scenario, "traffic.utilisation", UTILISATION)
    imported.notes.append(f"nginx.conf tells no rate: utilisation {UTILISATION} is assumed")
    for key in ("cluster", "stages", "traffic"):
        imported.sources[key] = texts[0].path
    return imported


Found = tuple[NginxText, int, Directive]


def _choose(
    imported: Imported, texts: Sequence[NginxText], found: Sequence[Found], name: str | None
) -> Found | None:
    """Return the upstream that is asked for, or that most locations pass to."""
    first = texts[0]
    passed = Counter(
        item.args[0].partition("://")[2].partition("/")[0]
        for text in texts
        for item in text.directives
        if item.name in {"proxy_pass", "grpc_pass"} and item.args
    )
    names = [item.args[0] for _, _, item in found]
    if name is not None and name not in names:
        known = ", ".join(names[:SHOWN]) or "none"
        raise InputError(f"{first.path}:1: no upstream {name!r}; the file has {known}")
    if not found:
        settings = [item for text in texts for item in text.directives if item.name != "include"]
        if not settings:
            raise InputError(
                f"{first.path}:1: no upstream and no setting of a proxy in {first.count} "
                "directives; give the output of nginx -T"
            )
        imported.notes.append(f"{first.path}: no upstream block: only settings are read")
        return None
    best = max(found, key=lambda item: (item[2].args[0] == name, passed[item[2].args[0]]))
    others = [item for item in names if item != best[2].args[0]]
    if others:
        imported.notes.append(
            f"other upstreams, to be chosen with --backend: {', '.join(others[:SHOWN])}"
            + (" ..." if len(others) > SHOWN else "")
        )
    return best


def _includes(imported: Imported, texts: Sequence[NginxText]) -> None:
    for text in texts:
        left = [item for item in text.directives if item.name == "include"]
        files = [item for item in left if item.args and "mime.types" not in item.args[0]]
        if files:
            shown = ", ".join(item.args[0] for item in files[:SHOWN])
            imported.notes.append(
                f"{text.path}:{files[0].line}: {len(files)} includes are not followed ({shown}); "
                "nginx -T prints everything in one"
            )

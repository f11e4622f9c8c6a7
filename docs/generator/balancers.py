"""docs/balancers.md: every balancer with its original, from the registry and its docstrings."""

from __future__ import annotations

import inspect
import json
import re
import sys
from collections.abc import Mapping

from docs.generator.markdown import anchor, code, page, prose, table
from lbbench.balancers.base import Balancer, registry
from lbbench.report.balancers import feedback, shared_by, shared_texts
from lbbench.report.relatives import NOTHING, relatives

INTRO = """
Which algorithms are there, where do they come from, and where do they differ from the original?
`lbbench balancers` prints the list, `lbbench balancers NAME` one of these sections. A name goes
into `stages.ingress.balancer` (level l7, asked for each attempt of a request); those of level l4
are asked once per connection: `azure_lb` by the load balancer, the others by
`stages.kube_proxy.mode`.

A *yardstick* belongs to no product; it is there to compare with, because theory or everybody's
intuition knows it. Others come from products beside ingress-nginx, or from papers, each by the rule
of its source, ties and retries included. Where nginx and HAProxy go by turns or hashes, every pick
is compared with that of the running programs; `nginx_least_conn`, `nginx_random_two`,
`haproxy_leastconn` and `haproxy_random` are held against recordings of them
([reality](reality.md)), Envoy's Maglev against the tables of its own tests. [Write your
own](how-to/own-balancer.md) is one Python file.
"""

SHA = re.compile(r"(?P<repository>[\w.-]+/[\w.-]+) (?P<files>[^@]+?)@(?P<commit>[0-9a-f]{7,40})")
YARDSTICK = "yardstick"


def build() -> str:
    """Return the page."""
    known = registry()
    rows = [
        [
            f"[`{one.name}`](#{anchor(one.name)})",
            one.level,
            prose(one.summary),
            prose(one.cost),
        ]
        for one in known.values()
    ]
    overview = table(["balancer", "level", "what it does", "cost of a pick"], rows)
    parts = [INTRO, overview, *(_section(one) for one in known.values()), *_shared()]
    return page("The balancers and their originals", "the balancers' own texts", parts)


def _shared() -> list[str]:
    """Return sections on what several balancers have in common."""
    texts: dict[str, str] = {}
    for one in registry().values():
        texts |= shared_texts(one)
    return [f"## `{name}`\n\n{prose(text)}" for name, text in sorted(texts.items())]


def _section(balancer: Balancer) -> str:
    module = sys.modules[balancer.pick.__module__]
    text = inspect.cleandoc(module.__doc__ or "")
    facts = table(
        ["", ""],
        [
            ["original", _linked(balancer.source)],
            ["level", _level(balancer)],
            ["state", shared_by(balancer)],
            ["feedback", feedback(balancer)],
            ["options", _options(balancer.params)],
            ["cost of a pick", prose(balancer.cost)],
        ],
    )
    parts = [f"## `{balancer.name}`", prose(text), facts, _differences(balancer)]
    return "\n\n".join(part for part in parts if part)


def _differences(balancer: Balancer) -> str:
    """Return how it differs from its relatives, with what the league measured."""
    known = relatives(balancer)
    lines = [
        f"- from [`{one.name}`](#{anchor(one.name)}): {prose(one.how)} "
        f"(*{'; '.join(one.measured) or NOTHING}*)"
        for one in known
    ]
    return "\n".join(["How it differs:", "", *lines]) if lines else ""


def _linked(source: str) -> str:
    """Return a source in which repository and files lead to the commit that was read."""

    def link(match: re.Match[str]) -> str:
        repository, commit = match["repository"], match["commit"]
        files = match["files"].strip()
        text = f"{repository} {files}@{commit}"
        single = "," not in files and " " not in files and "/" in files
        place = f"blob/{commit}/{files}" if single else f"tree/{commit}"
        return f"[{text}](https://github.com/{repository}/{place})"

    return SHA.sub(link, source)


def _level(balancer: Balancer) -> str:
    return {"l4": "l4: once per connection", "l7": "l7: once per attempt of a request"}[
        balancer.level
    ]


def _options(params: Mapping[str, object]) -> str:
    return ", ".join(f"`{name}: {_written(value)}`" for name, value in params.items()) or "none"


def _written(value: object) -> str:
    return value if isinstance(value, str) else code(json.dumps(value)).strip("`")

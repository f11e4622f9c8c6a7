"""What is said about a balancer: one row of the list, or the whole explanation."""

from __future__ import annotations

import inspect
import re
import sys
from collections.abc import Sequence
from types import ModuleType
from typing import Any

from rich.console import Group
from rich.table import Table
from rich.text import Text

from lbbench.balancers.base import Balancer
from lbbench.report.listing import Listing
from lbbench.report.relatives import NOTHING, origin, relatives

SHARED_BY = {
    "worker": "one state per worker of a replica (nginx worker, client)",
    "replica": "one state per ingress replica, shared by its workers",
    "shared": "no state of its own: a function of the key and the list of endpoints",
    "node": "one state per node",
}
PACKAGE = "lbbench.balancers"
REFERENCE = re.compile(r"`(?:lbbench\.balancers\.)?([a-z_0-9]+)`")
SEEN = {
    "replica": "requests outstanding at all workers of the replica",
    "pods": "the pods' true numbers of requests",
    "work": "the work left at the pods",
    "free": "when the pods have a free place",
}
LEVELS = {"l4": "l4: asked once per connection", "l7": "l7: asked once per attempt of a request"}


def overview(balancers: Sequence[Balancer]) -> Listing:
    """Return the list: name, level, original, cost per pick, what it does."""
    rows = [
        [item.name, item.level, short_source(item), item.cost, item.summary]
        for item in sorted(balancers, key=lambda item: (item.level, item.name))
    ]
    return Listing(["name", "level", "original", "cost per pick", "what it does"], rows)


def explain(balancer: Balancer) -> Group:
    """Return everything about one balancer: its facts, options, and the text of its module."""
    facts = {
        "level": LEVELS[balancer.level],
        "original": balancer.source,
        "cost per pick": balancer.cost,
        "state": shared_by(balancer),
        "feedback": feedback(balancer),
        "clock": "nginx's, in milliseconds" if balancer.clock == "ms" else "exact",
        "options": ", ".join(f"{key}: {value}" for key, value in balancer.params.items()) or "none",
    }
    module = sys.modules.get(balancer.pick.__module__)
    table = Table(box=None, show_header=False, pad_edge=False, padding=(0, 2, 0, 0))
    table.add_column(style="dim", no_wrap=True)
    table.add_column(overflow="fold")
    for name, value in facts.items():
        table.add_row(name, Text(value))
    return Group(
        Text(f"{balancer.name}: {balancer.summary}", style="bold"),
        table,
        Text(),
        _flowing((module and module.__doc__) or "no description"),
        *_shared(balancer),
        *_differences(balancer),
    )


def as_dict(balancer: Balancer) -> dict[str, Any]:
    """Return what is said about a balancer as plain data."""
    return {
        "name": balancer.name,
        "level": balancer.level,
        "summary": balancer.summary,
        "source": balancer.source,
        "cost": balancer.cost,
        "scope": balancer.scope,
        "common": list(balancer.common),
        "accounts": balancer.accounts if balancer.done else None,
        "clock": balancer.clock,
        "params": dict(balancer.params),
        "differs": [
            {"name": one.name, "how": one.how, "measured": [dict(pair) for pair in one.pairs]}
            for one in relatives(balancer)
        ],
    }


def shared_by(balancer: Balancer) -> str:
    """Return who shares a state; of a replica's, which fields if not all."""
    if balancer.scope == "replica" and balancer.common:
        return f"one per worker; the workers of a replica share {', '.join(balancer.common)}"
    if balancer.scope == "shared" and balancer.sees == "pods":
        return "one for all workers: it sees the pods' true numbers"
    return SHARED_BY[balancer.scope]


def feedback(balancer: Balancer) -> str:
    """Return what a balancer learns while requests are on their way."""
    said = []
    if balancer.done is not None:
        ignores_time = balancer.done.__code__.co_varnames[3].startswith("_")
        what = "whether there was an answer to" if ignores_time else "the response time of"
        said.append(f"{what} the {balancer.accounts} attempt of a request")
    if balancer.level == "l4":
        said += ["connections open at this node"] if balancer.reads_busy else []
    elif balancer.sees != "own":
        said.append(SEEN[balancer.sees])
    elif balancer.on_busy is not None or "outstanding" in balancer.summary:
        said.append("requests outstanding")
    if balancer.cookies:
        said.append("the session's cookie")
    return ", ".join(said) or "none"


def shared_texts(balancer: Balancer) -> dict[str, str]:
    """Return the texts of the modules without a balancer that its own text names, by their names.

    They hold what the balancers of one product have in common: health, weights, options.
    """
    found: dict[str, str] = {}
    waiting = [sys.modules.get(balancer.pick.__module__)]
    while waiting:
        module = waiting.pop()
        for name in REFERENCE.findall((module and module.__doc__) or ""):
            other = sys.modules.get(f"{PACKAGE}.{name}")
            if other is None or name in found or _holds_balancer(other):
                continue
            found[name] = inspect.cleandoc(other.__doc__ or "")
            waiting.append(other)
    return found


def _holds_balancer(module: ModuleType) -> bool:
    return any(isinstance(item, Balancer) for item in vars(module).values())


def short_source(balancer: Balancer) -> str:
    """Return the original in few words: the repository and the file, or what else it is."""
    first = re.split(r", | \(|: ", balancer.source)[0]
    match = re.fullmatch(r"(\S+) \S*?([^/\s]+?)(@\w+)?", first)
    return f"{match[1]} {match[2]}" if match and "/" in match[1] else first


def _differences(balancer: Balancer) -> list[Text]:
    """Return how it differs from its relatives: what it does otherwise, and what was measured."""
    known = relatives(balancer)
    if not known:
        return []
    lines = [Text(), Text("how it differs", style="bold")]
    for one in known:
        lines.append(Text(f"from {one.name}: {one.how}"))
        lines += [Text(f"    {text}", style="dim") for text in one.measured or (NOTHING,)]
    if any(one.measured for one in known):
        lines.append(Text(origin(), style="dim"))
    return lines


def _shared(balancer: Balancer) -> list[Text]:
    """Return what the balancer has in common with others of its product."""
    lines = []
    for name, text in shared_texts(balancer).items():
        lines += [Text(), Text(f"in common with others: {name}", style="bold"), _flowing(text)]
    return lines


def _flowing(text: str) -> Text:
    """Return the text of a module, its paragraphs free to be wrapped anew."""
    paragraphs = [
        part if re.search(r"\n  |^- ", part) else part.replace("\n", " ")
        for part in inspect.cleandoc(text).split("\n\n")
    ]
    return Text("\n\n".join(paragraphs))

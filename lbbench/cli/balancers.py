"""``lbbench balancers``: what there is, and how each one works."""

from __future__ import annotations

from typing import Annotated

import typer

from lbbench.cli.options import Debug, Json
from lbbench.cli.output import check_writable, console, write_json


def balancers(
    name: Annotated[str | None, typer.Argument(help="explain this one (also FILE.py:NAME)")] = None,
    json: Json = None,
    debug: Debug = False,  # noqa: ARG001
) -> None:
    """List the balancers, or explain one.

    Example: lbbench balancers ewma
    """
    check_writable(json)
    import inspect
    import sys

    from lbbench.balancers.base import find, registry

    chosen = [find(name)] if name else list(registry().values())
    if json is not None:
        rows = [
            {
                "name": item.name,
                "level": item.level,
                "summary": item.summary,
                "source": item.source,
                "cost": item.cost,
                "scope": item.scope,
                "params": {key: value for key, value in item.params.items()},
            }
            for item in chosen
        ]
        write_json(json, {"schema": "lbbench.balancers/1", "balancers": rows})
    if json == "-":
        return
    out = console()
    if name is None:
        from lbbench.report.tables import table

        made = table("", ["name", "level", "what it does", "cost per pick"], [])
        for column in made.columns:
            column.justify = "left"
        for item in chosen:
            made.add_row(item.name, item.level, item.summary, item.cost)
        out.print(made)
        return
    item = chosen[0]
    module = sys.modules[item.pick.__module__]
    out.print(f"{item.name} ({item.level}): {item.summary}", highlight=False, markup=False)
    out.print(f"original: {item.source}", highlight=False, markup=False)
    out.print(f"cost per pick: {item.cost}; state per {item.scope}; clock: {item.clock}",
              highlight=False)  # fmt: skip
    if item.params:
        options = ", ".join(f"{key} = {value!r}" for key, value in item.params.items())
        out.print(f"options: {options}", highlight=False, markup=False)
    out.print()
    out.print(inspect.cleandoc(module.__doc__ or ""), highlight=False, markup=False)

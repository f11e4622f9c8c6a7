"""``lbbench scenarios``: the shipped examples."""

from __future__ import annotations

import difflib
from typing import Annotated

import typer

from lbbench.cli.options import Debug
from lbbench.cli.output import console, write_text
from lbbench.errors import ScenarioError


def scenarios(
    name: Annotated[str | None, typer.Argument(help="print this one's YAML")] = None,
    debug: Debug = False,  # noqa: ARG001
) -> None:
    """List the shipped scenarios with the question each one answers, or print one.

    Example: lbbench scenarios ewma-herding > mine.yaml
    """
    from lbbench.inputs.yaml import shipped

    known = shipped()
    if name is not None:
        if name not in known:
            near = difflib.get_close_matches(name, known, n=2)
            hint = f"did you mean {' or '.join(near)}?" if near else f"known: {', '.join(known)}"
            raise ScenarioError(f"there is no shipped scenario {name!r}; {hint}")
        write_text("-", known[name].read_text(encoding="utf-8"))
        return
    from lbbench.report.tables import table

    made = table("", ["name", "question"], [])
    made.columns[1].justify = "left"
    for key, path in known.items():
        first = path.read_text(encoding="utf-8").splitlines()[0]
        made.add_row(key, first.lstrip("# "))
    console().print(made)

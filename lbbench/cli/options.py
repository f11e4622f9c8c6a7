"""Options that several commands share."""

from __future__ import annotations

from typing import Annotated

import typer

File = Annotated[str, typer.Argument(metavar="FILE", help="scenario file or name of a shipped one")]
Set = Annotated[
    list[str] | None,
    typer.Option("--set", metavar="PATH=VALUE", help="change any leaf of the scenario; repeatable"),
]
Seed = Annotated[int | None, typer.Option(help="run.seed", min=0)]
Replications = Annotated[int | None, typer.Option(help="run.replications", min=1)]
Json = Annotated[
    str | None,
    typer.Option("--json", metavar="PATH|-", help="write JSON; - prints only JSON on stdout"),
]
Quiet = Annotated[bool, typer.Option("--quiet", "-q", help="no tables, no progress")]
Debug = Annotated[bool, typer.Option("--debug", help="show the traceback of an error")]


def changes(
    set_: list[str] | None, seed: int | None = None, replications: int | None = None
) -> list[str]:
    """Return all changes to the scenario as ``PATH=VALUE`` texts."""
    made = list(set_ or [])
    if seed is not None:
        made.append(f"run.seed={seed}")
    if replications is not None:
        made.append(f"run.replications={replications}")
    return made

"""``lbbench balancers``: what there is, how each one works, and one of your own: begin, check."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated

import typer

from lbbench.cli.options import Debug, Json
from lbbench.cli.output import as_json, check_writable, console, deliver, print_text
from lbbench.errors import BalancerError

FAILED = 1


def balancers(
    name: Annotated[
        str | None, typer.Argument(metavar="[NAME]", help="explain this one (or FILE.py:NAME)")
    ] = None,
    *,
    new: Annotated[
        Path | None,
        typer.Option(metavar="FILE.py", help="write a working balancer to begin with"),
    ] = None,
    check: Annotated[
        bool, typer.Option("--check", help="test whether NAME is sound; ends with 1 if it is not")
    ] = False,
    json: Json = None,
    debug: Debug = False,  # noqa: ARG001
) -> None:
    """List the balancers, explain or check one, or begin one of your own.

    \b
    Example:
      lbbench balancers
      lbbench balancers ewma
      lbbench balancers --new my_lb.py
      lbbench balancers my_lb.py:mine --check
    """  # noqa: D301
    check_writable(json=json)
    if new is not None:
        _begin(new, name, json, check=check)
    elif check:
        _check(name, json)
    else:
        _tell(name, json)


def _begin(new: Path, name: str | None, json: str | None, *, check: bool) -> None:
    from lbbench.testing.template import new_balancer

    if name is not None or json is not None or check:
        raise BalancerError(f"--new {new} writes a file and does nothing else; leave out the rest")
    print_text(new_balancer(new))


def _check(name: str | None, json: str | None) -> None:
    from lbbench.testing import check_balancer

    if name is None:
        raise BalancerError("--check needs the balancer's name, for instance my_lb.py:mine")
    found = check_balancer(name)
    deliver(json, as_json(found.to_dict()))
    if json != "-":
        print_text(f"{found}\n")
    if not found.passed:
        raise typer.Exit(FAILED)


def _tell(name: str | None, json: str | None) -> None:
    from lbbench.balancers.base import find, registry
    from lbbench.balancers.installed import all_installed
    from lbbench.report.balancers import as_dict, explain, overview

    if name:
        chosen = [find(name, Path.cwd())]
    else:
        own, broken = all_installed()
        chosen = [*registry().values(), *own]
        for sentence in broken:
            print(sentence, file=sys.stderr)
    rows = [as_dict(item) for item in chosen]
    deliver(json, as_json({"schema": "lbbench.balancers/1", "balancers": rows}))
    if json == "-":
        return
    out = console()
    out.print(explain(chosen[0]) if name else overview(chosen))

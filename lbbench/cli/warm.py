"""``lbbench warm``: compile before the first run."""

from __future__ import annotations

from typing import Annotated

import typer

from lbbench.cli.options import Debug, Quiet
from lbbench.cli.output import console


def warm(
    *,
    all_: Annotated[
        bool, typer.Option("--all", help="every balancer, not only ingress-nginx's own")
    ] = False,
    quiet: Quiet = False,
    debug: Debug = False,  # noqa: ARG001
) -> None:
    """Compile the balancers once; later runs start at once.

    \b
    Example:
      lbbench warm
    """  # noqa: D301
    from lbbench.report.units import seconds
    from lbbench.studies.warm import warm_up

    out = console()
    for name, took, was_there in warm_up(everything=all_):
        if not quiet:
            out.print(f"{name}: {'was there' if was_there else f'compiled in {seconds(took)}'}")

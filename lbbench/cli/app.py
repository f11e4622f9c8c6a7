"""The commands of lbbench, by name."""

from __future__ import annotations

from collections.abc import Callable
from typing import Annotated

import typer

from lbbench import __version__
from lbbench.cli.balancers import balancers
from lbbench.cli.check import check
from lbbench.cli.compare import compare
from lbbench.cli.export import export
from lbbench.cli.export_rules import export_rules
from lbbench.cli.fit import fit
from lbbench.cli.import_ import import_
from lbbench.cli.plan import plan
from lbbench.cli.report import report
from lbbench.cli.run import run
from lbbench.cli.scenarios import scenarios
from lbbench.cli.schema import schema
from lbbench.cli.sweep import sweep
from lbbench.cli.verify import verify
from lbbench.cli.walk import walk
from lbbench.cli.warm import warm

EPILOG = """\b
First steps:
  lbbench scenarios
  lbbench run aks-ingress
  lbbench compare aks-ingress --balancers round_robin,ewma,chash
"""

app = typer.Typer(
    name="lbbench",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
    help="Simulates the chain Azure Load Balancer, kube-proxy, ingress-nginx with the real "
    "balancing algorithms, and compares distribution and latency.",
    epilog=EPILOG,
)


def _print_version(wanted: bool) -> None:
    if wanted:
        print(f"lbbench {__version__}")
        raise typer.Exit


@app.callback()
def _main(
    *,
    version: Annotated[
        bool,
        typer.Option(
            "--version", callback=_print_version, is_eager=True, help="print the version and end"
        ),
    ] = False,
    debug: Annotated[bool, typer.Option("--debug", help="show tracebacks of errors")] = False,
) -> None:
    pass


COMMANDS: dict[str, Callable[..., None]] = {
    "run": run,
    "check": check,
    "compare": compare,
    "sweep": sweep,
    "plan": plan,
    "export": export,
    "export-rules": export_rules,
    "report": report,
    "walk": walk,
    "verify": verify,
    "import": import_,
    "fit": fit,
    "balancers": balancers,
    "scenarios": scenarios,
    "schema": schema,
    "warm": warm,
}

for _name, _command in COMMANDS.items():
    app.command(_name)(_command)

"""Options that several commands share."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from lbbench.errors import InputError, RunError

if TYPE_CHECKING:
    from lbbench.model.scenario import Scenario

File = Annotated[
    str, typer.Argument(metavar="FILE", help="scenario file, or the name of a shipped one")
]
Set = Annotated[
    list[str] | None,
    typer.Option("--set", metavar="PATH=VALUE", help="change any leaf of the scenario; repeatable"),
]
Seed = Annotated[
    int | None, typer.Option(metavar="N", help="seed of all random streams (run.seed)", min=0)
]
Replications = Annotated[
    int | None,
    typer.Option(metavar="N", help="independent runs, pooled (run.replications)", min=1),
]
Chosen = Annotated[
    str | None,
    typer.Option(
        "--balancer",
        metavar="NAME",
        help="the ingress's balancer, or FILE.py:NAME (stages.ingress.balancer)",
    ),
]
Recorded = Annotated[
    Path | None,
    typer.Option(
        "--trace",
        metavar="TRACE.csv.gz",
        help="send these recorded requests in place of the scenario's traffic (traffic.trace)",
    ),
]
Engine = Annotated[
    Literal["fast", "reference"],
    typer.Option(help="compiled, or the readable one in SimPy; the numbers are the same"),
]
Json = Annotated[
    str | None,
    typer.Option("--json", metavar="PATH|-", help="write JSON; - prints only JSON on stdout"),
]
Quiet = Annotated[bool, typer.Option("--quiet", "-q", help="no tables, no progress")]
Debug = Annotated[bool, typer.Option("--debug", help="show the traceback of an error")]

INGRESS_BALANCER = "stages.ingress.balancer"
BALANCER_FILE = re.compile(r"(?P<file>[^=:]+\.py):(?P<name>\w+)")


def changes(
    set_: list[str] | None,
    seed: int | None = None,
    replications: int | None = None,
    trace: Path | None = None,
    balancer: str | None = None,
) -> list[str]:
    """Return all changes to the scenario as ``PATH=VALUE`` texts.

    A ``trace`` is seen from the current folder; it replaces what else the traffic is made of.

    Raises
    ------
    InputError, RunError
        When there is no such trace, a change gives the arrivals that it replaces, or the balancer
        is given twice.
    """
    if trace is not None:
        for text in set_ or []:
            refuse_beside_trace(trace, text, "--set")
        if _is_missing(trace):
            raise InputError(f"--trace {trace}: there is no such file; check the path")
    made = []
    for text in set_ or []:
        path, equals, value = text.partition("=")
        made.append(f"{path}={from_here(value)}" if equals and path.endswith("balancer") else text)
    if balancer is not None:
        if any(text.partition("=")[0].strip() == INGRESS_BALANCER for text in set_ or []):
            raise RunError(f"--balancer and --set {INGRESS_BALANCER} both name one; leave out one")
        made.append(f"{INGRESS_BALANCER}={from_here(balancer)}")
    if seed is not None:
        made.append(f"run.seed={seed}")
    if replications is not None:
        made.append(f"run.replications={replications}")
    if trace is not None:
        made.append(f"traffic.trace={json.dumps(str(trace.absolute()), ensure_ascii=False)}")
    return made


def refuse_on_service(scenario: Scenario, balancer: str | None) -> None:
    """Refuse ``--balancer`` where no ingress asks one.

    Raises
    ------
    RunError
        On path service.
    """
    if balancer is not None and scenario.path == "service":
        raise RunError(
            f"--balancer {balancer}: {scenario.name} has path: service, where kube-proxy alone "
            "picks; use --set stages.kube_proxy.mode=ipvs, nftables, ..., or path=ingress"
        )


def refuse_beside_trace(trace: Path | None, change: str | None, option: str) -> None:
    """Refuse ``PATH=VALUE`` of ``option`` that says when requests arrive, which a trace does."""
    path = (change or "").partition("=")[0].strip()
    if trace is None:
        return
    if path == "traffic.trace":
        raise RunError(f"--trace and {option} traffic.trace both name a trace; leave out one")
    if path == "traffic.utilisation" or f"{path}.".startswith("traffic.arrivals."):
        raise RunError(f"--trace replaces the arrivals; leave out {option} {path}")


def _is_missing(path: Path) -> bool:
    try:
        return not path.exists()
    except OSError:  # whoever reads it says why
        return False


def from_here(value: str) -> str:
    """Return ``FILE.py:NAME`` with the file seen from the current folder; other values as they are.

    In a scenario such a file is relative to the scenario, on the command line to where one stands.
    """
    match = BALANCER_FILE.fullmatch(value.strip())
    return f"{Path(match['file']).absolute()}:{match['name']}" if match else value

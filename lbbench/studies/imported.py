"""From an operator's files to a scenario, and a short run to stand beside what was observed."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Literal, NamedTuple

from lbbench.errors import LbbenchError
from lbbench.inputs.combine import scenario_from
from lbbench.inputs.imported import Imported
from lbbench.model.check import build
from lbbench.model.result import Result
from lbbench.studies.run import Engine, Progress, run

TRIAL_REQUESTS = 100_000
"""Requests of the short run: well under a second once the balancer is compiled."""


class Trial(NamedTuple):
    """A short run of an imported scenario, or why there is none."""

    result: Result | None
    reason: str


def read_input(
    kind: Literal["iptables", "access-log"],
    paths: Sequence[str],
    *,
    into: Path | None = None,
    service: str | None = None,
    backend: str | None = None,
    progress: Progress | None = None,
) -> Imported:
    """Return the scenario of ``paths``, merged with an earlier import, and checked.

    Raises
    ------
    LbbenchError
        When a file cannot be read or used, or an option belongs to the other kind.
    """
    for name, value, owner in (
        ("service", service, "iptables"),
        ("backend", backend, "access-log"),
    ):
        if value is not None and kind != owner:
            raise LbbenchError(f"--{name} {value}: belongs to {owner}, not to {kind}; leave it out")
    if kind == "iptables":
        from lbbench.inputs.iptables import read_iptables

        imported = scenario_from(read_iptables(list(paths)), into=into, service=service)
    else:
        from lbbench.inputs.access_log import read_access_log

        log = read_access_log(list(paths), progress)
        imported = scenario_from(log=log, into=into, backend=backend)
    build(imported.scenario, place="the imported scenario")
    return imported


def trial(
    imported: Imported, *, engine: Engine = "fast", progress: Progress | None = None
) -> Trial:
    """Run the imported scenario briefly; without observed counts there is nothing to compare."""
    if not (imported.scenario.get("observed") or {}).get("pods"):
        return Trial(None, "")
    run_keys = {**(imported.scenario.get("run") or {}), "requests": TRIAL_REQUESTS}
    run_keys.pop("duration", None)
    try:
        scenario = build({**imported.scenario, "run": run_keys}, place="the imported scenario")
        return Trial(run(scenario, engine=engine, progress=progress), "")
    except LbbenchError as error:
        return Trial(None, str(error))

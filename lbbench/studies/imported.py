"""From an operator's files to a scenario, and a short run to stand beside what was observed."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from lbbench.errors import InputError, LbbenchError
from lbbench.inputs.combine import merge, read_earlier, scenario_from
from lbbench.inputs.defaults import defaults_note
from lbbench.inputs.imported import Imported
from lbbench.inputs.likely import hint
from lbbench.inputs.source import named
from lbbench.model.check import build
from lbbench.model.mistakes import near
from lbbench.model.result import Result
from lbbench.studies.run import Engine, Progress, run

TRIAL_REQUESTS = 100_000
"""Requests of the short run: well under a second once the balancer is compiled."""

SHOWN = 4  # files that a message names

MOST_MEMBERS = 500_000
"""Clients and URIs that the short run has at most: a run holds the address of every client."""


class Trial(NamedTuple):
    """A short run of an imported scenario, or why there is none.

    ``remark``: what the run has otherwise than the scenario.
    """

    result: Result | None
    reason: str
    remark: str = ""


def read_input(
    kind: str,
    paths: Sequence[str],
    *,
    into: Path | None = None,
    progress: Progress | None = None,
    **chosen: str | int | None,
) -> Imported:
    """Return the scenario of ``paths``, merged with an earlier import, and checked.

    Parameters
    ----------
    chosen
        The options of `OPTIONS`, None where they are not given.

    Raises
    ------
    LbbenchError
        When a file cannot be read or used, the kind is unknown, or an option belongs to another.
    """
    if kind not in KINDS:
        meant = near(kind, KINDS)
        raise LbbenchError(
            f"import {kind}: is no kind of input; {meant or 'there are ' + ', '.join(KINDS)}"
        )
    given = {name: value for name, value in chosen.items() if value is not None}
    for name, value in given.items():
        if kind not in OPTIONS[name]:
            owners = " and ".join(OPTIONS[name])
            raise LbbenchError(
                f"--{name} {value}: belongs to {owners}, not to {kind}; leave it out"
            )
    try:
        new = KINDS[kind](list(paths), progress, **given)
    except InputError as error:
        raise InputError(f"{error}{hint(paths[0], kind) if len(paths) == 1 else ''}") from error
    imported = new if into is None else merge(read_earlier(into), new)
    shown = ", ".join(named(path) for path in paths[:SHOWN]) + (
        "" if len(paths) <= SHOWN else ", ..."
    )
    note = defaults_note(build(imported.scenario, place=f"the scenario of {shown}"))
    imported.notes += [] if note is None else [note]
    return imported


def _iptables(paths: list[str], _progress: Progress | None, service: str | None = None) -> Imported:
    from lbbench.inputs.iptables.reader import read_iptables

    return scenario_from(read_iptables(paths), service=service)


def _nftables(paths: list[str], _progress: Progress | None, service: str | None = None) -> Imported:
    from lbbench.inputs.nftables.reader import read_nftables

    return scenario_from(read_nftables(paths), service=service)


def _ipvs(paths: list[str], _progress: Progress | None, service: str | None = None) -> Imported:
    from lbbench.inputs.ipvs.reader import read_ruleset

    return scenario_from(read_ruleset(paths), service=service)


def _conntrack(
    paths: list[str], _progress: Progress | None, service: str | None = None
) -> Imported:
    from lbbench.inputs.conntrack.reader import read_conntrack
    from lbbench.inputs.conntrack.scenario import from_conntrack

    return from_conntrack(read_conntrack(paths), service)


def _nginx_conf(
    paths: list[str], _progress: Progress | None, backend: str | None = None
) -> Imported:
    from lbbench.inputs.nginx_conf.reader import read_nginx_conf

    return read_nginx_conf(paths, backend)


def _counts(paths: list[str], _progress: Progress | None, service: str | None = None) -> Imported:
    from lbbench.inputs.counts import from_counts, read_counts

    return from_counts(read_counts(paths), service)


def _access_log(
    paths: list[str],
    progress: Progress | None,
    backend: str | None = None,
    concurrency: int | None = None,
) -> Imported:
    from lbbench.inputs.access_log.reader import read_access_log
    from lbbench.inputs.access_log.scenario import from_log

    return from_log(read_access_log(paths, progress), backend, concurrency, progress)


def _kubernetes(paths: list[str], _progress: Progress | None, **chosen: str) -> Imported:
    from lbbench.inputs.kubernetes.objects import read_kubernetes
    from lbbench.inputs.kubernetes.scenario import from_cluster

    return from_cluster(read_kubernetes(paths), **chosen)


def _azure(paths: list[str], _progress: Progress | None, rule: str | None = None) -> Imported:
    from lbbench.inputs.azure.reader import read_azure
    from lbbench.inputs.azure.scenario import from_azure

    return from_azure(read_azure(paths), rule)


KINDS: dict[str, Callable[..., Imported]] = {
    "iptables": _iptables,
    "nftables": _nftables,
    "ipvs": _ipvs,
    "conntrack": _conntrack,
    "kubernetes": _kubernetes,
    "azure": _azure,
    "nginx.conf": _nginx_conf,
    "counts": _counts,
    "access-log": _access_log,
}
"""Readers by the name of what they read: called as reader(paths, progress, option=value)."""

OPTIONS = {
    "service": ("iptables", "nftables", "ipvs", "conntrack", "counts", "kubernetes"),
    "backend": ("access-log", "nginx.conf"),
    "namespace": ("kubernetes",),
    "ingress": ("kubernetes",),
    "rule": ("azure",),
    "concurrency": ("access-log",),
}
"""The kinds that an option of ``lbbench import`` belongs to."""


def trial(
    imported: Imported, *, engine: Engine = "fast", progress: Progress | None = None
) -> Trial:
    """Run the imported scenario briefly; without observed counts there is nothing to compare."""
    if not (imported.scenario.get("observed") or {}).get("pods"):
        return Trial(None, "")
    run_keys = {**(imported.scenario.get("run") or {}), "requests": TRIAL_REQUESTS}
    run_keys.pop("duration", None)
    traffic, remark = _bounded(imported.scenario.get("traffic") or {})
    short = {**imported.scenario, "run": run_keys, "traffic": traffic}
    try:
        scenario = build(short, place="the imported scenario")
        return Trial(run(scenario, engine=engine, progress=progress), "", remark)
    except LbbenchError as error:
        return Trial(None, str(error))


def _bounded(traffic: dict[str, Any]) -> tuple[dict[str, Any], str]:
    """Return the traffic of the short run, and what of it is less than the scenario's."""
    made, said = dict(traffic), []
    for part, what in (("clients", "clients"), ("keys", "URIs")):
        given: dict[str, Any] = traffic.get(part) or {}
        n = given.get("count", 0)
        if isinstance(n, int) and n > MOST_MEMBERS:
            made[part] = {**given, "count": MOST_MEMBERS}
            said.append(f"{MOST_MEMBERS} of the {n} {what}")
    remark = f"the short run has the most popular {' and '.join(said)}" if said else ""
    return made, remark

"""``lbbench check``: validate a scenario and say what it asks of the cluster."""

from __future__ import annotations

from lbbench.cli.options import Debug, File, Json, Seed, Set, changes
from lbbench.cli.output import check_writable, console, write_json


def check(
    file: File,
    set_: Set = None,
    seed: Seed = None,
    json: Json = None,
    debug: Debug = False,  # noqa: ARG001
) -> None:
    """Validate a scenario; print it resolved, the load per pod and what a run will need.

    Example: lbbench check my.yaml --set traffic.arrivals.rate=2k/s
    """
    check_writable(json)
    from lbbench.inputs.yaml import dump, load
    from lbbench.studies.check import forecast

    found = forecast(load(file, changes(set_, seed)))
    if json is not None:
        write_json(json, found.to_dict())
    if json == "-":
        return
    from rich.text import Text

    from lbbench.report.tables import ends, table
    from lbbench.report.units import count, percent

    out = console()
    for warning in found.warnings:
        out.print(Text(f"warning: {warning}", style="yellow"))
    out.print(dump(found.resolved), highlight=False, markup=False, soft_wrap=True)
    out.print(
        f"offered: {found.rate:,.2f} requests/s, {percent(found.utilisation)} % of the capacity; "
        f"{count(found.requests)} requests per replication",
        highlight=False,
    )
    pods = [{"name": name, "share": load} for name, load in found.load_by_pod.items()]
    rows = [[str(pod["name"]), percent(pod.get("share"))] for pod in ends(pods)]
    out.print(table("predicted load per pod (100 % is its capacity)", ["", "load %"], rows))
    out.print(
        f"about {found.memory_mib:,.0f} MiB and {found.seconds:,.1f} s of simulation "
        f"(compilation aside)",
        highlight=False,
    )

"""``lbbench check``: validate a scenario and say what it asks of the cluster."""

from __future__ import annotations

from lbbench.cli.options import (
    Chosen,
    Debug,
    File,
    Json,
    Quiet,
    Seed,
    Set,
    changes,
    refuse_on_service,
)
from lbbench.cli.output import as_json, check_writable, console, deliver, print_text


def check(
    file: File,
    *,
    balancer: Chosen = None,
    set_: Set = None,
    seed: Seed = None,
    json: Json = None,
    quiet: Quiet = False,
    debug: Debug = False,  # noqa: ARG001
) -> None:
    """Validate a scenario; print it resolved, the load per pod and what a run needs.

    \b
    Example:
      lbbench check my.yaml --set traffic.arrivals.rate=2k/s
    """  # noqa: D301
    check_writable(json=json)
    from lbbench.inputs.yaml import dump, load
    from lbbench.studies.check import forecast

    scenario = load(file, changes(set_, seed, balancer=balancer))
    refuse_on_service(scenario, balancer)
    found = forecast(scenario)
    deliver(json, as_json(found.to_dict()))
    if json == "-" or quiet:
        return
    from lbbench.report.forecast import show

    print_text(dump(found.resolved))
    show(found, console())

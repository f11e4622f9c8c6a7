"""Compile kernels before they are needed."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

from lbbench.errors import LbbenchError
from lbbench.model.check import build

SEEDS_OWN = (
    "round_robin",
    "ewma",
    "chash",
    "chashsubset",
    "sticky_balanced",
    "sticky_persistent",
    "random",
    "least_conn",
)


def warm_up(*, everything: bool = False) -> Iterator[tuple[str, float, bool]]:
    """Compile one balancer after the other; yield (name, seconds, was it compiled before)."""
    from lbbench.balancers.base import registry
    from lbbench.engines import fast
    from lbbench.engines.plan import make_plan
    from lbbench.inputs.yaml import load

    names = [item.name for item in registry().values() if item.level == "l7"]
    base = load("ewma-herding", ["run.requests=1"])
    for name in names if everything else [name for name in SEEDS_OWN if name in names]:
        plan = make_plan(base.with_({"stages.ingress.balancer": name}))
        was_there, seconds = fast.prepare(plan)
        yield name, seconds, was_there
    plan = make_plan(base.with_({"path": "service"}))
    was_there, seconds = fast.prepare(plan)
    yield "service path", seconds, was_there


def prepare(scenario: str, folder: str) -> None:
    """Compile what a resolved scenario (JSON) needs, if it is not compiled yet.

    What is wrong with the scenario is left to its run, which reports it.
    """
    from lbbench.engines import fast
    from lbbench.engines.choice import why_readable
    from lbbench.engines.plan import make_plan

    with suppress(LbbenchError):
        plan = make_plan(build(json.loads(scenario), folder=Path(folder)))
        if why_readable(plan) is None:
            fast.prepare(plan)


def kernels_of(scenario: Mapping[str, Any]) -> str:
    """Return a text that is the same for resolved scenarios which (mostly) need the same kernels.

    That is everything in them but the numbers. Where a number decides, the kernel is compiled a
    little later, by the first worker that needs it.
    """
    return json.dumps(_without_numbers(scenario), sort_keys=True)


def _without_numbers(data: Any) -> Any:
    if isinstance(data, Mapping):
        return {key: _without_numbers(value) for key, value in data.items() if key != "name"}
    if isinstance(data, (list, tuple)):
        return list({json.dumps(_without_numbers(item), sort_keys=True): None for item in data})
    return "#" if isinstance(data, (int, float)) and not isinstance(data, bool) else data

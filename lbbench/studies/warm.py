"""Compile kernels before they are needed."""

from __future__ import annotations

from collections.abc import Iterator

from lbbench.balancers.base import registry
from lbbench.engines import fast
from lbbench.engines.plan import make_plan
from lbbench.inputs.yaml import load

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
    names = [item.name for item in registry().values() if item.level == "l7"]
    base = load("ewma-herding", ["run.requests=1"])
    for name in names if everything else [name for name in SEEDS_OWN if name in names]:
        plan = make_plan(base.with_({"stages.ingress.balancer": name}))
        was_there, seconds = fast.prepare(plan)
        yield name, seconds, was_there
    plan = make_plan(base.with_({"path": "service"}))
    was_there, seconds = fast.prepare(plan)
    yield "service path", seconds, was_there

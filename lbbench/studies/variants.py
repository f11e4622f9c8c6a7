"""Balancers as a command names them: ``NAME``, or ``NAME{OPTION: VALUE, ...}`` with options."""

from __future__ import annotations

from collections.abc import Collection, Iterable
from contextlib import suppress
from typing import Any, NamedTuple

from lbbench.balancers.base import find
from lbbench.errors import LbbenchError, RunError
from lbbench.inputs.yaml import parse_set
from lbbench.model.scenario import Scenario

BALANCER = "stages.ingress.balancer"
OPTIONS = "stages.ingress.options"


class Variant(NamedTuple):
    """A scenario with one balancer."""

    scenario: Scenario
    left_out: tuple[str, ...]  # options of the scenario that this balancer does not have


def split_names(text: str) -> list[str]:
    """Return the names of ``A,B{x: 1, y: 2},C``; commas inside brackets belong to a name."""
    names, depth = [""], 0
    for sign in text:
        depth += (sign in "{[") - (sign in "}]")
        if sign == "," and depth == 0:
            names.append("")
        else:
            names[-1] += sign
    return [name.strip() for name in names if name.strip()]


def shown_name(name: str) -> str:
    """Return a name as tables show it: a space before its options."""
    head, brace, options = name.partition("{")
    return f"{head.strip()} {{{options.strip()}" if brace else head.strip()


def partly_known(scenario: Scenario, names: Iterable[str]) -> tuple[str, ...]:
    """Return the options of the scenario that some of these balancers have and others do not.

    What none of them has is not among them: it is a mistake wherever it goes.
    """
    params = []
    for name in names:
        with suppress(LbbenchError):  # that there is no such balancer is said elsewhere
            params.append(find(name, scenario.folder).params)
    given = scenario.stages.ingress.options
    return tuple(
        sorted(key for key in given if 0 < sum(key in each for each in params) < len(params))
    )


def without_options(point: Scenario, options: Collection[str]) -> Scenario:
    """Return the scenario without those of the ``options`` that its balancer does not have."""
    given = point.stages.ingress.options
    try:
        known = find(point.stages.ingress.balancer, point.folder).params
    except LbbenchError:
        return point
    kept = {key: value for key, value in given.items() if key in known or key not in options}
    return point if len(kept) == len(given) else point.with_({OPTIONS: kept})


def with_balancer(scenario: Scenario, name: str) -> Variant:
    """Return the scenario with a balancer; options that come with its name take the place of all.

    Without any, those of the scenario are kept that this balancer has: they may have been meant for
    another one.

    Raises
    ------
    LbbenchError
        When there is no such balancer, or what stands in braces are no options.
    """
    head, brace, _ = name.partition("{")
    head = head.strip()
    given: dict[str, Any] = dict(scenario.stages.ingress.options)
    if brace:
        options = parse_set(f"{OPTIONS}={name[len(name.partition('{')[0]) :]}")[1]
        if not isinstance(options, dict):
            raise RunError(f"--balancers {name}: write options as NAME{{OPTION: VALUE}}")
        return Variant(scenario.with_({BALANCER: head, OPTIONS: options}), ())
    if head == scenario.stages.ingress.balancer:
        return Variant(scenario.with_({BALANCER: head}), ())
    known = find(head, scenario.folder).params
    left_out = tuple(sorted(set(given) - set(known)))
    kept = {key: value for key, value in given.items() if key in known}
    return Variant(scenario.with_({BALANCER: head, OPTIONS: kept}), left_out)

"""Options of balancers as numbers: what is none is refused in one sentence."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

from lbbench.errors import BalancerError
from lbbench.model.units import parse_time


def whole(name: str, params: Mapping[str, Any], option: str, least: int) -> int:
    """Return an option that is a whole number from ``least``.

    Raises
    ------
    BalancerError
        When it is none; the sentence has the balancer ``name``, the option and its value.
    """
    value = params[option]
    if isinstance(value, bool) or not isinstance(value, int) or value < least:
        raise BalancerError(f"{name}: {option} = {value}: must be a whole number, {least} or more")
    return value


def number(
    name: str,
    params: Mapping[str, Any],
    option: str,
    least: float = 0.0,
    most: float = math.inf,
    *,
    above: bool = False,
) -> float:
    """Return an option that is a number from ``least`` (or ``above`` it) to ``most``.

    Raises
    ------
    BalancerError
        When it is none.
    """
    value = params[option]
    is_number = isinstance(value, (int, float)) and not isinstance(value, bool)
    if not is_number or not least <= value <= most or (above and value == least):
        low = f"above {least:g}" if above else f"{least:g} or more"
        high = "" if math.isinf(most) else f", {most:g} at most"
        raise BalancerError(f"{name}: {option} = {value}: must be a number, {low}{high}")
    if math.isinf(value):
        raise BalancerError(f"{name}: {option} = {value}: must be a finite number")
    return float(value)


def seconds(name: str, params: Mapping[str, Any], option: str, *, above: bool = False) -> float:
    """Return an option that is a time, a text with a unit or seconds; ``above``: not 0.

    Raises
    ------
    BalancerError
        When it is none.
    """
    value = params[option]
    if isinstance(value, (int, float)) and not isinstance(value, bool):
        return number(name, params, option, above=above)
    try:
        time = parse_time(value)
    except ValueError as error:
        raise BalancerError(f"{name}: {option} = {value}: {error}") from error
    if above and time == 0.0:
        raise BalancerError(f"{name}: {option} = {value}: must be longer than 0")
    return time


def yes_no(name: str, params: Mapping[str, Any], option: str) -> int:
    """Return an option that is true (1) or false (0).

    Raises
    ------
    BalancerError
        When it is neither.
    """
    value = params[option]
    if not isinstance(value, bool):
        raise BalancerError(f"{name}: {option} = {value}: must be true or false")
    return int(value)

"""Whether a found value meets an expectation, and how both read in a table."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

ROUNDING = 1e-9  # shares and sums of them are exact but for this


def meets(op: str, found: Any, value: Any, tol: float = 0.0) -> bool:
    """Tell whether ``found`` meets the expectation; nothing meets one that found nothing.

    A list is met entry by entry; a single expectation counts for every entry of a found list, as an
    interval does.
    """
    if isinstance(found, (list, tuple)):
        values = _for_each(op, value, len(found))
        return len(found) > 0 and all(
            meets(op, item, wanted, tol) for item, wanted in zip(found, values, strict=True)
        )
    if found is None or not math.isfinite(found):
        return False
    if op == "in":
        low, high = value
        return bool(low - tol - ROUNDING <= found <= high + tol + ROUNDING)
    if op == "==":
        return abs(found - value) <= tol + ROUNDING
    if op == "<=":
        return bool(found <= value + ROUNDING)
    if op == ">=":
        return bool(found >= value - ROUNDING)
    return bool(found < value if op == "<" else found > value)


def _for_each(op: str, value: Any, n: int) -> Sequence[Any]:
    if op == "in" and not isinstance(value[0], (list, tuple)):
        return [value] * n
    if not isinstance(value, (list, tuple)):
        return [value] * n
    if len(value) != n:  # as many expectations as entries, or none is met
        return [math.nan] * n
    return value


def expected_text(op: str, value: Any, tol: float = 0.0) -> str:
    """Return an expectation as a table shows it: ``0.2 ± 0.01``, ``<= 8``, ``448 .. 552``."""
    if op == "in":
        return f"{number_text(value[0])} .. {number_text(value[1])}"
    text = number_text(value)
    if op != "==":
        return f"{op} {text}"
    return text if tol == 0.0 else f"{text} ± {tol:g}"


def number_text(value: Any) -> str:
    """Return a value with four digits that count, a whole one in full; a list in brackets."""
    if isinstance(value, (list, tuple)):
        shown = [number_text(item) for item in value]
        if len(set(shown)) == 1 and len(shown) > 3:
            return f"{len(shown)} x {shown[0]}"
        return f"[{', '.join(shown)}]"
    if value is None:
        return "-"
    if not isinstance(value, (int, float)) or isinstance(value, bool):
        return str(value)
    if float(value).is_integer() and abs(value) < 1e15:
        return str(int(value))
    return f"{value:.4g}"

"""Values of a plan in words: times, shares, rates, counts, intervals."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

from lbbench.studies.planning.subject import Kind, Load

ONE = {"pods": "pod", "nodes": "node", "concurrency": "place per pod", "rate": "request/s"}
MANY = {"pods": "pods", "nodes": "nodes", "concurrency": "places per pod", "rate": "requests/s"}

LOSS = {"pod": "its largest pod", "node": "any one node", "zone": "any one zone"}
"""What a plan survives."""


def amount(kind: Kind, value: float) -> str:
    """Return a value with its unit: 10 pods, 1 node, 1 250/s."""
    if kind == "rate":
        return f"{number(value)}/s"
    return f"{number(value)} {ONE[kind] if value == 1 else MANY[kind]}"


def load(given: Load) -> str:
    """Return what asks, in words: at 400/s, or for 50 users."""
    if given.kind == "closed":
        return f"for {number(given.users)} users"
    return f"at {number(round(given.rate, 2))}/s"


def number(value: float) -> str:
    """Return a number with thousands apart: whole, or with at least four digits; no exponent."""
    whole = float(value).is_integer() or abs(value) >= 999.5
    text = f"{value:,.0f}" if whole else f"{float(f'{value:.4g}'):.10f}".rstrip("0").rstrip(".")
    return text.replace(",", " ")


def figure(metric: str, value: float | None) -> str:
    """Return the value of a metric: a time with its unit, a share in percent."""
    if value is None:
        return "unknown"
    return time(value) if metric.startswith("latency.") else f"{100.0 * value:.3g} %"


def time(seconds: float) -> str:
    """Return a time with the unit that suits it and three digits."""
    if seconds == 0.0:
        return "0 s"
    for scale, unit in ((1.0, "s"), (1e-3, "ms"), (1e-6, "us")):
        if abs(seconds) >= 0.9995 * scale:
            return f"{digits(seconds / scale)} {unit}"
    return f"{seconds * 1e6:.2g} us"


def digits(value: float) -> str:
    """Return a number with three digits, whole from 100 on."""
    return f"{value:,.0f}".replace(",", " ") if abs(value) >= 99.95 else f"{value:.3g}"


def span(metric: str, low: float, high: float, limit: float | None = None) -> str:
    """Return an interval with its unit once: 225-238 ms.

    With as many digits as it takes that an end which differs from the limit does not read like it.
    """
    ends: tuple[float, float]
    if metric.startswith("latency."):
        scale, unit = next(
            (pair for pair in ((1.0, "s"), (1e-3, "ms"), (1e-6, "us")) if high >= 0.9995 * pair[0]),
            (1e-6, "us"),
        )
        ends, write = (max(low, 0.0) / scale, high / scale), digits
        by = None if limit is None else limit / scale
    else:
        unit, ends, write = "%", (100.0 * low, 100.0 * high), "{:.3g}".format
        by = None if limit is None else 100.0 * limit
    is_near = _touches(ends, by, write)
    texts = _apart(ends, by) if is_near else [write(end) for end in ends]
    return f"{'-'.join(texts)} {unit}"


def _touches(ends: Sequence[float], limit: float | None, write: Callable[[float], str]) -> bool:
    """Tell whether an end that is not the limit is written like it."""
    return limit is not None and any(end != limit and write(end) == write(limit) for end in ends)


def _apart(ends: Sequence[float], limit: float | None) -> list[str]:
    """Return ends with the fewest digits that tell them from the limit, up to nine."""
    whole = len(f"{max(ends):.0f}")  # no exponent
    for many in range(max(4, whole), max(10, whole + 1)):
        write = f"{{:,.{many}g}}".format
        if not _touches(ends, limit, write):
            break
    return [write(end).replace(",", " ") for end in ends]


def short_metric(metric: str) -> str:
    """Return the name of a metric as people say it: p99, p99.9, error rate."""
    name = metric.removeprefix("latency.")
    if name.startswith("p") and name[1:].isdigit() and len(name) > 3:
        return f"{name[:3]}.{name[3:]}"
    return {"utilisation.max": "highest utilisation", "error_rate": "error rate"}.get(name, name)


def short_balancer(name: str) -> str:
    """Return the name of a balancer without the folder of its file."""
    return Path(name).name if ".py:" in name else name

"""Small rows for the tests of charts, and what is looked up in a specification."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from lbbench.report.charts.latency_against_load import latency_against_load
from lbbench.report.charts.latency_percentiles import latency_percentiles
from lbbench.report.charts.leaves import axis_of
from lbbench.report.charts.load_and_pods import load_and_pods
from lbbench.report.charts.pick_cost_against_quality import pick_cost_against_quality
from lbbench.report.charts.picture import Picture
from lbbench.report.charts.pod_utilisation import pod_utilisation
from lbbench.report.charts.pods_against_rate import pods_against_rate, pods_by_hour, pods_needed
from lbbench.report.charts.session_loss import keys_moved, session_loss
from lbbench.report.charts.shares_over_time import shares_over_time
from lbbench.report.charts.shares_per_stage import shares_per_stage
from lbbench.report.charts.verify_coverage import verify_coverage

LOADS = [50.0, 70.0, 90.0]
SPECTRUM = [[0.0, 0.01], [0.5, 0.02], [0.9, 0.08], [0.99, 0.2], [0.999, 0.3], [1.0, 0.5]]
AFFINITY = {
    "unit": "session", "requests": 1000, "kept": 900, "session_loss": 40, "forced_loss": 60,
    "remap_fraction": 0.3, "excess_remap": 0.1,
}  # fmt: skip


def flows(nodes: int = 2, workers: int = 2, pods: int = 4) -> list[dict[str, Any]]:
    """Return ways through nodes and workers to pods, each pod with another number of requests."""
    made = []
    for node in range(nodes):
        for worker in range(workers):
            name = f"node-{node}/{worker}"
            each = {f"pod-{pod}": 10 * (pod + 1) + node for pod in range(pods)}
            made.append(way("azure_lb", f"node-{node}", "reuse_port", name, sum(each.values())))
            made += [way("reuse_port", name, "ingress", pod, n) for pod, n in each.items()]
    return made


def way(from_stage: str, begin: str, to_stage: str, end: str, requests: int) -> dict[str, Any]:
    """Return one way."""
    return {"from_stage": from_stage, "from": begin, "to_stage": to_stage, "to": end,
            "requests": requests}  # fmt: skip


def homes(pods: int = 4, nodes: int = 2) -> dict[str, str]:
    """Return the node of every pod."""
    return {f"pod-{pod}": f"node-{pod % nodes}" for pod in range(pods)}


def load_rows(series: tuple[str, ...] = ("round_robin", "ewma"), **more: Any) -> list[dict]:
    """Return latencies at three loads."""
    return [
        {"series": name, "x": load, "value_s": 0.01 * (k + 1) * load,
         "ci95_s": (0.009 * (k + 1) * load, 0.011 * (k + 1) * load), **more}
        for k, name in enumerate(series)
        for load in LOADS
    ]  # fmt: skip


def windows(pods: int = 3, n: int = 30) -> list[dict[str, Any]]:
    """Return windows of ten seconds in which each pod has its own share."""
    return [
        {"start_s": 10.0 * k, "end_s": 10.0 * (k + 1), "per_pod": [10 + pod for pod in range(pods)]}
        for k in range(n)
    ]


def pods(n: int = 3) -> list[dict[str, Any]]:
    """Return pods on two nodes."""
    return [{"name": f"pod-{k}", "node": f"node-{k % 2}"} for k in range(n)]


def busy(series: tuple[str, ...] = ("ewma",), n: int = 4) -> list[dict[str, Any]]:
    """Return pods with their busy time."""
    return [
        {"series": name, "pod": f"pod-{k}", "node": f"node-{k % 2}", "utilisation": 0.5 + 0.1 * k}
        for name in series
        for k in range(n)
    ]


def cells() -> list[dict[str, Any]]:
    """Return latencies of two loads by two pods; half of them meet 0.25 s."""
    return [
        {"x": load, "y": pods, "x_text": f"{load:g}", "y_text": f"{pods}",
         "value_s": 0.1 * load / pods, "ci95_s": None}
        for load in (10.0, 20.0)
        for pods in (4, 8)
    ]  # fmt: skip


def needed(series: tuple[str, ...] = ("round_robin", "p2c")) -> list[dict[str, Any]]:
    """Return what three hours need."""
    return [
        {"series": name, "hour": f"{8 + k:02}:00", "rate_per_s": 100.0 * (k + 1),
         "needed": 3 * (k + 1), "undecided": [3 * k + 2, 3 * k + 3] if k else None}
        for name in series
        for k in range(3)
    ]  # fmt: skip


def checks() -> list[dict[str, Any]]:
    """Return checks of two topics: one falls, one is exact."""
    return [
        {"id": "mm1-1", "topic": "M/M/1", "claim": "the mean", "p_value": 0.4, "verdict": "pass"},
        {"id": "mm1-2", "topic": "M/M/1", "claim": "the tail", "p_value": 1e-9, "verdict": "fail"},
        {"id": "ring-1", "topic": "rings", "claim": "the order", "p_value": 1.0, "verdict": "pass",
         "test": "certain"},
    ]  # fmt: skip


def every() -> dict[str, Picture]:
    """Return one picture of every family, by its name."""
    axis, _ = axis_of("traffic.utilisation", LOADS)
    distribution = {
        "series": "ewma",
        "n": 5000,
        "spectrum": SPECTRUM,
        "ci95_s": {"p99": [0.1, 0.3]},
    }
    sessions = [{"series": "chash", "affinity": AFFINITY}]
    change = {"at_s": 100.0, "what": "node-1 goes down", "reroute_s": 10.0}
    made = [
        latency_against_load(load_rows(), x=axis, objective=0.7),
        pods_against_rate(needed(), objectives="p99 at most 250 ms"),
        shares_per_stage(flows(), homes=homes(), choosers={"ingress": "ewma"}),
        latency_percentiles([distribution], objective=("p99", 0.25)),
        load_and_pods(cells(), titles=("rate (requests/s)", "pods (number)"), objective=0.25),
        shares_over_time(windows(), pods=pods(), changes=[change]),
        pod_utilisation(busy()),
        session_loss(sessions),
        keys_moved(sessions),
        pick_cost_against_quality(
            [{"balancer": "ewma", "ns": 28.0, "quality": 1.7},
             {"balancer": "round_robin", "ns": 2.2, "quality": 1.0}]
        ),
        verify_coverage(checks(), level=0.001),
        pods_by_hour(needed(), objectives="p99 at most 250 ms"),
        pods_needed(needed()[2::3], central=5.0, objectives="p99 at most 250 ms"),
    ]  # fmt: skip
    return {picture.name: picture for picture in made if picture is not None}


def rows_of(picture: Picture) -> list[dict[str, Any]]:
    """Return all rows that a picture holds, layer by layer."""
    return [row for layer in layers(picture) for row in layer["data"]]


def layers(picture: Picture) -> Iterator[dict[str, Any]]:
    """Yield every layer with its rows as ``data``."""
    for layer in picture.spec["layer"]:
        yield {**layer, "data": picture.spec["datasets"][layer["data"]["name"]]}


def marks(picture: Picture) -> list[str]:
    """Return the kinds of marks of a picture, in the order in which they are drawn."""
    return [layer["mark"]["type"] for layer in layers(picture)]


def axes(picture: Picture) -> Iterator[tuple[str, dict[str, Any], list[float]]]:
    """Yield (channel, axis, domain) of every layer."""
    for layer in layers(picture):
        for channel in ("x", "y"):
            encoded = layer.get("encoding", {}).get(channel, {})
            if encoded.get("axis") and "scale" in encoded:
                yield channel, encoded["axis"], encoded["scale"].get("domain", [])


def texts(picture: Picture) -> list[str]:
    """Return every text that stands in a picture's rows."""
    return [value for row in rows_of(picture) for value in row.values() if isinstance(value, str)]

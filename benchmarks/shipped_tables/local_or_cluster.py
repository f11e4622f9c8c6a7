"""Tables of results/local-or-cluster: shares, latency, hops."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from benchmarks.shipped_tables.cells import OVER, figure_ms, ratio, seconds_of, table
from lbbench.stats.pairs import Difference
from lbbench.studies.study import Condition, Study, Summary

PLACEMENT, REQUESTS = "cluster.placement", "traffic.connections.requests"
LOAD, RTT, MEAN = (
    "traffic.utilisation",
    "cluster.network.cross_node_rtt",
    "traffic.service_time.mean",
)
POLICY = "stages.kube_proxy.external_traffic_policy"
SAME_NODE_RTT = 0.1e-3
AT = 0.5
"""Load of the table of shares: they do not depend on it."""


def shares(study: Study) -> str:
    """Return the share of a pod on each node, measured and by the rules."""
    rows = []
    for point in study.points:
        values = point.values
        if values[LOAD] != AT or values[REQUESTS] != 1:
            continue
        results = study.results(point)
        per_node: list[int] = values[PLACEMENT]
        nodes = [str(pod["node"]) for pod in results[0].pods]
        cells = []
        for number, k in enumerate(per_node):
            mine = [i for i, node in enumerate(nodes) if node == f"node-{number}"]
            measured = [result.pods[i]["share"] for result in results for i in mine]
            law = 1 / (len(per_node) * k) if values[POLICY] == "Local" else 1 / sum(per_node)
            cells.append(f"{100 * sum(measured) / len(measured):.2f} % ({100 * law:.2f} %)")
        rows.append([_placed(per_node), str(values[POLICY]), *cells])
    columns = ["pods per node", "policy", "a pod of node-0", "of node-1", "of node-2"]
    return table(columns, rows, left=2)


def latency(study: Study) -> str:
    """Return p99 of both policies: a row per placement, keep-alive and policy, loads across."""
    rows: dict[tuple[str, str, str], dict[float, str]] = {}
    for condition in study.conditions():
        place = _place(condition)
        for one in condition.summaries:
            key = (*place, str(one.member.values[POLICY]))
            rows.setdefault(key, {})[_load(condition)] = _p99(one)
    return _by_load(["pods per node", "requests per connection", "policy"], rows)


def ratios(study: Study) -> str:
    """Return p99 of Local as a multiple of Cluster's, loads across."""
    rows: dict[tuple[str, ...], dict[float, str]] = {}
    for condition in study.conditions():
        rows.setdefault(_place(condition), {})[_load(condition)] = _compared(condition)
    return _by_load(["pods per node", "requests per connection"], rows)


def hops(study: Study) -> str:
    """Return what Local saves of the mean latency where pods are even, beside the law."""
    rows: dict[tuple[str, ...], dict[str, str]] = {}
    for condition in study.conditions():
        values = condition.values
        item, _ = _difference(condition, "mean")
        assert item.a is not None
        assert item.difference is not None
        assert item.difference_ci95 is not None
        high, low = (-1e3 * end for end in item.difference_ci95)
        connects = 1.0 if values[REQUESTS] == 1 else 1 / 20
        law = 2 / 3 * (seconds_of(values[RTT]) - SAME_NODE_RTT) * (1 + connects)
        kept, rtt = _kept(values[REQUESTS]), str(values[RTT])
        rows.setdefault((kept, "the law"), {})[rtt] = f"{1e3 * law:.2f}"
        rows.setdefault((kept, str(values[MEAN])), {})[rtt] = (
            f"{-1e3 * item.difference:.2f} ({low:.2f} to {high:.2f}), "
            f"{-100 * item.difference / item.a:.1f} %"
        )
    across = list(next(iter(rows.values())))
    heads = ["requests per connection", "service time", *(f"RTT {rtt}" for rtt in across)]
    order = sorted(rows, key=lambda key: key[0] != "1")
    return table(heads, ([*key, *map(rows[key].get, across)] for key in order), left=2)


def crossing(study: Study) -> str:
    """Return the share of the requests that cross to another node, by policy."""
    found: dict[tuple[str, str], list[float]] = {}
    for point in study.points:
        key = (_kept(point.values[REQUESTS]), str(point.values[POLICY]))
        shares = [result.network["cross_node_fraction"] for result in study.results(point)]
        found.setdefault(key, []).extend(shares)
    rows = [[*key, f"{100 * sum(shares) / len(shares):.1f} %"] for key, shares in found.items()]
    return table(["requests per connection", "policy", "crossing requests"], rows, left=2)


def _by_load(heads: list[str], rows: Mapping[tuple[str, ...], Mapping[float, str]]) -> str:
    loads = sorted(next(iter(rows.values())))
    return table(
        [*heads, *(f"load {load:g}" for load in loads)],
        ([*key, *map(cells.get, loads)] for key, cells in rows.items()),
        left=len(heads),
    )


def _place(condition: Condition) -> tuple[str, str]:
    values: Mapping[str, Any] = condition.values
    return _placed(values[PLACEMENT]), _kept(values[REQUESTS])


def _load(condition: Condition) -> float:
    return float(condition.values[LOAD])


def _p99(one: Summary) -> str:
    if (one.figures["utilisation.max"].value or 0.0) > OVER:
        return "over capacity"
    return figure_ms(one.figures["latency.p99"])


def _compared(condition: Condition) -> str:
    if any((one.figures["utilisation.max"].value or 0.0) > OVER for one in condition.summaries):
        return "over capacity"
    item, told = _difference(condition, "p99")
    return ratio(item, told=told)


def _difference(condition: Condition, figure: str) -> tuple[Difference, bool]:
    """Return how Local differs from Cluster, and whether the two can be told apart."""
    found = condition.differences
    assert found is not None
    ((name, items),) = found.items.items()
    return next(item for item in items if item.metric == figure), found.told_apart[name][figure]


def _placed(per_node: Sequence[int]) -> str:
    return " + ".join(map(str, per_node))


def _kept(requests: object) -> str:
    return "1" if requests == 1 else "20 on average"

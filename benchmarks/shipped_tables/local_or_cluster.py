"""Tables of results/local-or-cluster: shares, latency, hops."""

from __future__ import annotations

from collections.abc import Sequence

from benchmarks.shipped_tables.cells import OVER, figure_ms, ratio, seconds_of, table
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
    """Return p99 of both policies by load, placement and keep-alive, and their ratio."""
    rows = []
    for condition in study.conditions():
        values = condition.values
        by_policy = {str(one.member.values[POLICY]): one for one in condition.summaries}
        cells = [_p99(by_policy[policy]) for policy in ("Cluster", "Local")]
        rows.append(
            [
                _placed(values[PLACEMENT]),  # type: ignore[arg-type]
                _kept(values[REQUESTS]),
                f"{values[LOAD]:g}",
                *cells,
                _compared(condition, by_policy),
            ]
        )
    columns = ["pods per node", "requests per connection", "load", "p99 Cluster, ms",
               "p99 Local, ms", "Local to Cluster"]  # fmt: skip
    return table(columns, rows, left=2)


def hops(study: Study) -> str:
    """Return what Local saves of the mean latency where pods are even, beside the law."""
    rows = []
    for condition in study.conditions():
        values = condition.values
        found = condition.differences
        assert found is not None
        item = next(item for item in found.items["Local"] if item.metric == "mean")
        assert item.difference is not None
        assert item.difference_ci95 is not None
        high, low = (-1e3 * end for end in item.difference_ci95)
        crossing = {
            str(one.member.values[POLICY]): _crossing(study, one) for one in condition.summaries
        }
        connects = 1.0 if values[REQUESTS] == 1 else 1 / 20
        extra = seconds_of(values[RTT]) - SAME_NODE_RTT
        law = 2 / 3 * extra * (1 + connects)
        rows.append(
            [
                str(values[MEAN]),
                _kept(values[REQUESTS]),
                str(values[RTT]),
                f"{100 * crossing['Cluster']:.1f} %, {100 * crossing['Local']:.1f} %",
                f"{-1e3 * item.difference:.2f} ms ({low:.2f} to {high:.2f})",
                f"{1e3 * law:.2f} ms",
                f"{100 * (item.difference / (item.a or 1.0)):.1f} %",
            ]
        )
    columns = [
        "service time",
        "requests per connection",
        "RTT between nodes",
        "crossing, Cluster and Local",
        "mean saved by Local",
        "by the law",
        "of the mean",
    ]
    return table(columns, rows, left=2)


def _crossing(study: Study, one: Summary) -> float:
    found = [result.network["cross_node_fraction"] for result in study.results(one.member)]
    return sum(found) / len(found)


def _p99(one: Summary) -> str:
    if (one.figures["utilisation.max"].value or 0.0) > OVER:
        return "over capacity"
    return figure_ms(one.figures["latency.p99"])


def _compared(condition: Condition, by_policy: dict[str, Summary]) -> str:
    found = condition.differences
    assert found is not None
    if any((one.figures["utilisation.max"].value or 0.0) > OVER for one in by_policy.values()):
        return "–"
    item = next(item for item in found.items["Local"] if item.metric == "p99")
    return ratio(item, told=found.told_apart["Local"]["p99"])


def _placed(per_node: Sequence[int]) -> str:
    return " + ".join(map(str, per_node))


def _kept(requests: object) -> str:
    return "1" if requests == 1 else "20 on average"

"""Whole runs against exact queueing results; tolerances follow from the length of the run.

z = 4.5 standard errors: a true model fails one check of this file in about 140 000.
"""

from __future__ import annotations

import math

import numpy as np
import pytest

from lbbench.engines import fast
from lbbench.engines.plan import make_plan
from lbbench.model.check import build
from lbbench.stats import theory

Z = 4.5
REQUESTS = 400_000
FIRST = 8  # segments of warm-up
SERVICE = 0.05


def outcome(balancer: str, *, pods: int = 16, load: float = 0.8, requests: int = REQUESTS, **pod):
    plan = make_plan(
        build(
            {
                "name": "theory",
                "cluster": {
                    "nodes": 1,
                    "pods": pods,
                    "pod": pod,
                    "ingress": {"replicas": 1, "workers": 1},
                },
                "stages": {"ingress": {"balancer": balancer}},
                "traffic": {
                    "utilisation": load,
                    "service_time": {"distribution": "exponential", "mean": "50ms"},
                },
                "run": {"requests": requests, "seed": 11},
            }
        )
    )
    return fast.run(plan)


def mean_and_error(found) -> tuple[float, float]:
    """Return the mean response in service times and its standard error from 14 batches."""
    y = found.tally
    sums = y.latency_sum[FIRST:].reshape(14, -1).sum(axis=1) / 1e9 / SERVICE
    counts = y.completed[FIRST:].reshape(14, -1).sum(axis=1)
    means = sums / counts
    return float(sums.sum() / counts.sum()), float(means.std(ddof=1) / math.sqrt(len(means)))


def test_random_split_is_mm1_at_every_pod():
    """Random split of Poisson arrivals: every pod is M/M/1, mean 5 service times at 0.8."""
    found = outcome("random")
    mean, _ = mean_and_error(found)
    kept = found.tally.completed[FIRST:].sum()
    # variance of the mean of n sojourn times, correlation included: (spread + service) / n
    error = math.sqrt((theory.mm1_wait_spread(0.8) + 1.0) / kept)
    assert abs(mean - theory.mm1(0.8).mean) < Z * error


def test_random_split_shares_are_multinomial():
    """The counts of the pods pass chi-square against equal shares."""
    found = outcome("random")
    counts = found.tally.pod_first.sum(axis=0)
    chi2 = ((counts - counts.mean()) ** 2 / counts.mean()).sum()
    assert chi2 < 15 + Z * math.sqrt(2 * 15) + Z * Z


def test_round_robin_of_one_worker_is_erlang_arrivals_at_every_pod():
    """One worker's round robin over n pods: every pod is E_n/M/1, mean 2.84 at 16 and 0.8."""
    mean, error = mean_and_error(outcome("round_robin"))
    assert abs(mean - theory.round_robin(0.8, 16)[1].mean) < Z * error


def test_round_robin_counts_differ_by_at_most_one():
    """One cycle gives every pod the same number of requests, give or take one."""
    counts = outcome("round_robin", requests=20_000).tally.pod_first.sum(axis=0)
    assert counts.max() - counts.min() <= 1


def test_one_pod_with_many_places_is_mmc():
    """A pod with c places is M/M/c (Erlang C)."""
    mean, error = mean_and_error(outcome("random", pods=1, concurrency=8, load=0.85))
    assert abs(mean - theory.mmc(8, 0.85).mean) < Z * error


@pytest.mark.long
def test_processor_sharing_of_exponential_work_has_the_mean_of_fifo():
    """M/M/1-PS has the mean response 1 / (1 - rho), whatever the order of service."""
    mean, error = mean_and_error(outcome("random", pods=4, discipline="ps", load=0.7))
    assert abs(mean - theory.mm1(0.7).mean) < Z * error


def test_utilisation_is_the_offered_load():
    """The busy share of the pods is the offered load: rho = lambda E[S] / c."""
    found = outcome("random", load=0.6)
    y = found.tally
    busy = (y.pod_busy[-1] - y.pod_busy[FIRST]).sum()
    rho = busy / 16 / (y.segment_start[-1] - y.segment_start[FIRST])
    # work offered in the window: n exponential services, n Poisson; sd of the sum is E[S] sqrt(2 n)
    n = y.offered[FIRST:].sum()
    error = 0.6 * math.sqrt(2 / n) + 2 * theory.mm1(0.6).mean * SERVICE / y.segment_start[-1]
    assert abs(rho - 0.6) < Z * error


@pytest.mark.long
def test_ewma_herds():
    """Ingress ewma on 16 equal pods at load 0.8: 15.2 service times, p99 51, within 3 %.

    The real Lua does the same: 950 ms at ten pods of 40 ms and load 0.85.
    """
    found = outcome("ewma", requests=2_000_000)
    mean, _ = mean_and_error(found)
    assert mean == pytest.approx(15.2, rel=0.03)
    from lbbench.core.histogram import quantile_ns

    p99 = quantile_ns(found.tally.latency_counts[FIRST:].sum(axis=0), 0.99) / 1e9 / SERVICE
    assert p99 == pytest.approx(51, rel=0.05)


@pytest.mark.long
def test_two_choices_by_response_time_are_worse_than_none_at_all():
    """On equal pods ewma is at least twice as slow as random splitting: it herds."""
    herd, _ = mean_and_error(outcome("ewma", requests=200_000))
    split, _ = mean_and_error(outcome("random", requests=200_000))
    assert herd > 2 * split


@pytest.mark.parametrize(
    ("pods", "longest"), [pytest.param(2, 120, marks=pytest.mark.long), (4, 24)]
)
def test_jsq_is_the_shortest_queue_of_the_exact_chain(pods: int, longest: int):
    """One worker, no delays: 2.956 service times at two pods and 0.8, 1.953 at four."""
    mean, error = mean_and_error(outcome("jsq", pods=pods))
    assert abs(mean - theory.shortest_queue(pods, 0.8, pods, longest)[1].mean) < Z * error


@pytest.mark.parametrize(
    "name",
    [
        "least_conn",
        pytest.param("nginx_least_conn", marks=pytest.mark.long),
        pytest.param("haproxy_leastconn", marks=pytest.mark.long),
    ],
)
def test_least_conn_of_one_worker_without_delays_is_jsq(name: str):
    """What the only worker has outstanding is what is at the pods: the exact chain of four.

    How ties are broken is the same to equal pods.
    """
    mean, error = mean_and_error(outcome(name, pods=4))
    assert abs(mean - theory.shortest_queue(4, 0.8, 4, 24)[1].mean) < Z * error


@pytest.mark.long
@pytest.mark.parametrize("name", ["p2c", "nginx_random_two"])
def test_p2c_of_four_pods_is_two_distinct_choices_of_the_exact_chain(name: str):
    """One worker, no delays: SQ(2), 2.330 service times at four pods and 0.8."""
    mean, error = mean_and_error(outcome(name, pods=4))
    assert abs(mean - theory.shortest_queue(4, 0.8, 2, 26)[1].mean) < Z * error


@pytest.mark.long
def test_p2c_of_very_many_pods_is_the_fixed_point():
    """4096 pods at 0.8: 1.947 service times.

    The exact means exceed the limit by 2.0 / n, 1.7 / n, 1.5 / n at n = 2, 3 and 4 pods, ever less.
    """
    pods = 4096
    limit = theory.power_of_d(0.8, 2)[1].mean
    excess = 4 * (theory.shortest_queue(4, 0.8, 2, 26)[1].mean - limit) / pods
    mean, error = mean_and_error(outcome("p2c", pods=pods))
    assert abs(mean - limit) < Z * error + excess


def test_node_shares_of_the_load_balancer_are_multinomial():
    """Connections spread over the nodes by the flow hash pass chi-square (z = 4.5)."""
    plan = make_plan(
        build(
            {
                "cluster": {"nodes": 5, "pods": 5},
                "traffic": {"utilisation": 0.5, "clients": {"count": 20_000}},
                "run": {"requests": 50_000},
            }
        )
    )
    found = fast.run(plan)
    counts = found.tally.node_connections.sum(axis=0)
    expected = counts.sum() * np.array(found.shape.expected["azure_lb"])
    chi2 = ((counts - expected) ** 2 / expected).sum()
    assert chi2 < 4 + Z * math.sqrt(2 * 4) + Z * Z

"""Balance: every measure against its definition, its law, and another implementation."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats
from test_latency import tally_of

from lbbench.core.histogram import COARSE, coarse_index
from lbbench.model.tally import SEGMENTS, STAGES, TOTALS, RunShape
from lbbench.stats.balance import balance, largest_over_mean, rows_largest_over_mean, stage_blocks

COUNTS = st.lists(st.integers(0, 10_000), min_size=2, max_size=40).filter(any)
CHECKED = (
    "max_over_mean", "min_over_mean", "cov", "jain", "chi2", "p_value", "p_value_low",
    "total_variation", "g", "kl", "gini",
)  # fmt: skip


def _even(counts, *, random=True):
    x = np.array(counts, np.int64)
    return balance(x, np.full(len(x), 1.0 / len(x)), random=random)


def test_hand_made_counts_give_the_values_of_the_definitions():
    """10, 20, 30 against equal shares: every number worked out by hand."""
    b = _even([10, 20, 30])
    assert b.max_over_mean == pytest.approx(1.5)
    assert b.min_over_mean == pytest.approx(0.5)
    assert b.cov == pytest.approx(math.sqrt(200 / 3) / 20)
    assert b.jain == pytest.approx(60**2 / (3 * 1400))
    assert b.chi2 == pytest.approx(10.0)
    assert b.df == 2
    assert b.p_value == pytest.approx(math.exp(-5.0))  # two degrees of freedom: exp(-chi2 / 2)
    assert b.p_value_low == pytest.approx(1.0 - math.exp(-5.0))
    assert b.total_variation == pytest.approx(1 / 6)
    assert b.g == pytest.approx(2 * (10 * math.log(0.5) + 30 * math.log(1.5)))
    assert b.kl == pytest.approx(b.g / 120)
    assert b.gini == pytest.approx((10 + 20 + 10) * 2 / (2 * 9 * 20))
    assert b.note is None


@given(COUNTS, st.integers(0, 2**32 - 1))
def test_balance_does_not_depend_on_the_order_of_targets(counts, seed):
    """Shuffling targets with their expected shares changes no measure."""
    rng = np.random.default_rng(seed)
    x = np.array(counts, np.int64)
    share = rng.dirichlet(np.full(len(x), 5.0)) + 0.01
    order = rng.permutation(len(x))
    a = balance(x, share, random=True)
    b = balance(x[order], share[order], random=True)
    for name in CHECKED:
        assert getattr(a, name) == pytest.approx(getattr(b, name), rel=1e-9, abs=1e-12), name


@given(COUNTS)
def test_measures_keep_their_identities_and_bounds(counts):
    """Jain = 1 / (1 + cov^2), kl = g / 2m, and every measure stays inside its range."""
    b = _even(counts)
    n, m = len(counts), sum(counts)
    assert b.jain == pytest.approx(1.0 / (1.0 + b.cov**2))
    assert 1.0 / n - 1e-12 <= b.jain <= 1.0 + 1e-12
    assert b.chi2 == pytest.approx(m * b.cov**2, abs=1e-9)  # equal shares
    assert b.kl == pytest.approx(b.g / (2 * m))
    assert 0.0 <= b.total_variation <= 1.0 - 1.0 / n + 1e-12
    assert 0.0 <= b.gini <= 1.0 - 1.0 / n + 1e-12
    assert b.min_over_mean <= 1.0 + 1e-12
    assert b.max_over_mean >= 1.0 - 1e-12
    assert b.p_value + b.p_value_low == pytest.approx(1.0)
    assert b.kl <= math.log(1.0 + b.chi2 / m) + 1e-12  # a known inequality of the two
    assert largest_over_mean(np.array(counts), np.full(n, 1.0)) == pytest.approx(b.max_over_mean)


@given(st.lists(COUNTS, min_size=1, max_size=4), st.integers(0, 2))
def test_largest_over_mean_of_rows_is_that_of_each(rows, missing):
    """Several rows at once give the figure of each: nothing counted, and no share, among them."""
    n = min(map(len, rows))
    counts = np.array([*(row[:n] for row in rows), [0] * n], np.int64)
    expected = np.arange(1.0, n + 1.0)
    expected[:missing] = 0.0
    found = rows_largest_over_mean(counts, expected)
    assert found == [largest_over_mean(row, expected) for row in counts]
    assert rows_largest_over_mean(counts[:0], expected) == []


@given(COUNTS)
def test_gini_equals_the_double_sum(counts):
    """The O(n log n) form is the mean absolute difference of all pairs."""
    x = np.array(counts, np.float64)
    wanted = np.abs(x[:, None] - x[None, :]).sum() / (2 * len(x) ** 2 * x.mean())
    assert _even(counts).gini == pytest.approx(wanted, abs=1e-12)


@given(COUNTS, st.integers(0, 2**32 - 1))
def test_chi_square_and_g_agree_with_scipy(counts, seed):
    """The two statistics and the upper tail equal scipy's, for any expected shares."""
    x = np.array(counts, np.int64)
    share = np.random.default_rng(seed).dirichlet(np.full(len(x), 5.0)) + 0.01
    b = balance(x, share, random=True)
    wanted = share / share.sum() * x.sum()
    chi2 = stats.chisquare(x, wanted)
    assert b.chi2 == pytest.approx(chi2.statistic, rel=1e-9)
    assert b.p_value == pytest.approx(chi2.pvalue, rel=1e-6, abs=1e-12)
    g = stats.power_divergence(x, wanted, lambda_="log-likelihood")
    assert b.g == pytest.approx(g.statistic, rel=1e-9, abs=1e-9)


def test_random_placement_has_uniform_p_values():
    """Over 2 000 multinomial draws p is uniform: mean and lower 5 % within z = 4."""
    rng = np.random.default_rng(3)
    share = np.array([0.1, 0.2, 0.3, 0.4])
    draws = rng.multinomial(5_000, share, 2_000)
    p = np.array([balance(x, share, random=True).p_value for x in draws])
    assert abs(p.mean() - 0.5) < 4.0 / math.sqrt(12 * len(p))
    assert abs((p < 0.05).mean() - 0.05) < 4.0 * math.sqrt(0.05 * 0.95 / len(p))


def test_turns_are_more_even_than_chance_allows():
    """Round robin's counts lie in the far lower tail: 100 targets that differ by one at most."""
    b = _even([1_000] * 60 + [1_001] * 40)
    assert b.p_value_low < 1e-9
    assert b.p_value > 1.0 - 1e-9


def test_rules_that_draw_nothing_get_no_chi_square():
    """Without independent draws chi2 and its kin are None and the note says why."""
    b = _even([1_000, 1_001], random=False)
    assert (b.chi2, b.df, b.p_value, b.p_value_low, b.g) == (None,) * 5
    assert b.note == "not random"
    assert b.max_over_mean == pytest.approx(1_001 / 1_000.5)


def test_targets_outside_the_rules_are_told_apart():
    """A target that may get nothing is no degree of freedom; if it got some, the note says so."""
    share = np.array([0.5, 0.5, 0.0])
    good = balance(np.array([50, 60, 0]), share, random=True)
    assert good.df == 1
    assert good.min_over_mean == pytest.approx(50 / 55)
    bad = balance(np.array([50, 60, 7]), share, random=True)
    assert bad.chi2 is None
    assert bad.note == "7 went to targets that the rules leave out"


def test_nothing_counted_is_said_and_not_divided_by():
    """No counts, no shares, one target, few counts: None or a note instead of NaN."""
    none = balance(np.zeros(3, np.int64), np.full(3, 1 / 3), random=True)
    assert none.note == "nothing counted"
    assert none.cov is None
    assert balance(np.array([1]), np.zeros(1), random=True).max_over_mean is None
    one = balance(np.array([7]), np.ones(1), random=True)
    assert (one.df, one.p_value, one.note) == (0, None, "one target")
    assert "below 5" in (_even([3, 4]).note or "")
    assert largest_over_mean(np.zeros(2, np.int64), np.ones(2)) is None


# --- the stages of a run --------------------------------------------------------------------------

NODES, WORKERS, PODS = 3, 2, 4
SPAN = 64.0  # seconds until arrivals stop: a segment is a second
FIRST = 8  # segments of warm-up


def shape_of(path="ingress", *, pods=PODS, warmup=FIRST, random=("azure_lb", "kube_proxy")):
    """Return the names of a small cluster; the warm-up is given unless -1."""
    ingress = path == "ingress"
    per_target = NODES if ingress else pods
    expected = {
        "azure_lb": np.full(NODES, 1 / NODES),
        "kube_proxy": np.full(per_target, 1 / per_target),
        "reuse_port": np.full(NODES * WORKERS, 1 / (NODES * WORKERS)),
        "ingress": np.full(pods, 1 / pods),
    }
    return RunShape(
        path=path,
        nodes=tuple(f"node-{i}" for i in range(NODES)),
        replicas=tuple(f"ingress-{i}" for i in range(NODES)) if ingress else (),
        workers=tuple(f"ingress-{i}/{k}" for i in range(NODES) for k in range(WORKERS))
        if ingress
        else (),
        pods=tuple(f"pod-{i}" for i in range(pods)),
        pod_node=tuple(i % NODES for i in range(pods)),
        concurrency=np.full(pods, 2, np.int64),
        settled=max(warmup, 16) if warmup < 0 else warmup,
        warmup_s=float(warmup),
        born=np.zeros(pods),
        gone=np.full(pods, np.inf),
        window_s=2.0,
        simulated=SPAN + 1.0,
        expected=expected if ingress else {k: expected[k] for k in ("azure_lb", "kube_proxy")},
        random=frozenset(random) | {"reuse_port"},
        balancers={"azure_lb": "azure_lb", "kube_proxy": "iptables", "ingress": "round_robin"},
    )


def run_of(seed, n=6_400, path="ingress", *, failed=0.01, utilisation=0.6, pods=PODS):
    """Return (tally, placements) of a made-up run: every array filled from per-request columns."""
    rng = np.random.default_rng(seed)
    latency = rng.lognormal(-3.0, 0.7, n)
    bad = rng.random(n) < failed
    ns = np.rint(latency * 1e9).astype(np.int64)
    segment = np.arange(n) * SEGMENTS // n
    place = {
        "node": rng.integers(0, NODES, n),
        "worker": rng.integers(0, NODES * WORKERS, n),
        "pod": np.arange(n) % pods,
    }
    place["replica"] = place["worker"] // WORKERS
    opens = rng.random(n) < 0.5  # every other request opens a connection
    y = tally_of(latency, failed=bad, pods=pods)

    def spread(target, size, rows=slice(None), weights=None):
        flat = np.bincount(segment[rows] * size + target[rows], weights, SEGMENTS * size)
        return flat.reshape(SEGMENTS, size).astype(np.int64)

    coarse = np.array([coarse_index(int(v)) for v in ns])
    windows = np.minimum((np.arange(n) / n * SPAN / 2.0).astype(int), 31)
    parts = np.stack([ns // 8] * 6 + [ns - 6 * (ns // 8)])
    late = ~bad & (segment >= FIRST)
    busy = np.arange(SEGMENTS + 1)[:, None] * np.full((1, pods), 2 * utilisation * SPAN / SEGMENTS)
    sizes = {"node": NODES, "replica": NODES, "worker": NODES * WORKERS}
    if path == "service":
        sizes = {"node": NODES}
    columns = {f"{k}_connections": spread(place[k], m, opens) for k, m in sizes.items()}
    columns |= {f"{k}_requests": spread(place[k], m) for k, m in sizes.items()}
    first = spread(place["pod"], pods)
    pod_counts = np.zeros((pods, COARSE), np.int64)
    np.add.at(pod_counts, (place["pod"][late], coarse[late]), 1)
    window_counts = np.zeros((32, COARSE), np.int64)
    np.add.at(window_counts, (windows[~bad], coarse[~bad]), 1)
    window_pods = np.zeros((32, pods), np.int64)
    np.add.at(window_pods, (windows, place["pod"]), 1)
    part_counts = np.zeros((len(STAGES), COARSE), np.int64)
    for i in range(len(STAGES)):
        np.add.at(part_counts[i], [coarse_index(int(v)) for v in parts[i][late]], 1)
    totals = {"attempts": n + 5, "retried": 5, "connects": n // 4, "cross_node": n // 3}
    totals["connections"] = int(opens.sum())
    return y._replace(
        totals=np.array([totals.get(name, 0) for name in TOTALS]),
        segment_start=np.linspace(0.0, SPAN, SEGMENTS + 1),
        failed_counts=np.array([np.bincount(coarse[bad & (segment == s)], minlength=COARSE)
                                for s in range(SEGMENTS)]),
        failed_sum=np.bincount(segment[bad], ns[bad], SEGMENTS).astype(np.int64),
        part_sum=np.stack([np.bincount(segment[~bad], p[~bad], SEGMENTS) for p in parts]).astype(
            np.int64
        ),
        part_counts=part_counts,
        pod_connections=spread(place["pod"], pods, opens),
        pod_attempts=first + spread(place["pod"], pods, slice(0, 5)),
        pod_first=first,
        pod_errors=spread(place["pod"], pods, bad),
        pod_completed=spread(place["pod"], pods, ~bad),
        pod_latency_sum=spread(place["pod"], pods, ~bad, ns[~bad]),
        pod_latency_counts=pod_counts,
        pod_busy=busy,
        pod_flight=3.0 * busy,
        pod_flight_max=np.full(pods, 9),
        window_offered=np.bincount(windows, minlength=32),
        window_failed=np.bincount(windows[bad], minlength=32),
        window_counts=window_counts,
        window_pods=window_pods,
        affinity=np.array([100, 90, 7, 3, 50, 10, 4]),
        **columns,
    )  # fmt: skip


@pytest.fixture(scope="module")
def tally():
    """Return one run of the ingress path."""
    return run_of(1)


def test_ingress_path_has_its_four_stages_in_order(tally):
    """azure_lb, kube_proxy, reuse_port per connection; ingress per request, with their targets."""
    stages = stage_blocks(tally, shape_of(), FIRST)
    assert [(s["name"], s["balancer"], s["unit"], len(s["targets"])) for s in stages] == [
        ("azure_lb", "azure_lb", "connections", 3),
        ("kube_proxy", "iptables", "connections", 3),
        ("reuse_port", "reuse_port", "connections", 6),
        ("ingress", "round_robin", "requests", 4),
    ]
    assert {t["connections"] for t in stages[3]["targets"]} == {None}


def test_service_path_ends_at_the_pods():
    """On the service path kube_proxy places connections on pods, and there is no further stage."""
    y = run_of(2, path="service")
    stages = stage_blocks(y, shape_of("service"), FIRST)
    assert [s["name"] for s in stages] == ["azure_lb", "kube_proxy"]
    assert [t["name"] for t in stages[1]["targets"]] == ["pod-0", "pod-1", "pod-2", "pod-3"]
    assert sum(t["connections"] for t in stages[1]["targets"]) == y.pod_connections.sum() > 0


def test_shares_and_balance_are_counted_after_the_warm_up(tally):
    """Shares are those of the kept segments; random stages are tested, the others say why not."""
    stages = stage_blocks(tally, shape_of(), FIRST)
    kept = tally.node_connections[FIRST:].sum(axis=0)
    assert [t["share"] for t in stages[0]["targets"]] == (kept / kept.sum()).tolist()
    assert stages[0]["balance"]["df"] == NODES - 1
    assert 0.0 < stages[0]["balance"]["p_value"] < 1.0
    turns = stages[3]["balance"]
    assert (turns["chi2"], turns["note"]) == (None, "not random")
    assert turns["max_over_mean"] == 1.0


def test_connections_opened_during_the_warm_up_still_have_a_balance(tally):
    """Long-lived connections: the balance is that of the whole run, and says so."""
    opened = tally.node_connections.copy()
    opened[FIRST:] = 0
    azure = stage_blocks(tally._replace(node_connections=opened), shape_of(), FIRST)[0]
    assert azure["balance"]["note"].startswith("whole run")
    assert azure["balance"]["chi2"] is not None

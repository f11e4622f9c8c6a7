"""Summary: counts become the document's figures, exactly, for one replication and for several."""

from __future__ import annotations

import json
import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from test_balance import FIRST, NODES, PODS, SPAN, run_of, shape_of
from test_latency import fine_places, tally_of

from lbbench.core.histogram import quantile_ns
from lbbench.errors import RunError
from lbbench.model.result import Result
from lbbench.model.tally import ERRORS, SEGMENTS, STAGES
from lbbench.stats.intervals import intervals
from lbbench.stats.latency import QUANTILES
from lbbench.stats.summary import merged, summarise


def result_of(*tallies, shape=None, **more):
    """Return the result of some runs of the same shape."""
    shape = shape or shape_of()
    head = {"scenario": {"name": "made-up"}, "seed": 1, "version": "0.1.0", "engine": "fast"}
    return summarise([(y, shape) for y in tallies], **{**head, **more})


@pytest.fixture(scope="module")
def tally():
    """Return one run of the ingress path."""
    return run_of(1)


@pytest.fixture(scope="module")
def result(tally):
    """Return its result."""
    return result_of(tally)


def test_counts_cover_the_whole_run_and_add_up(result):
    """Offered = completed + failed + unfinished, errors by class, targets and pods to the total."""
    r = result.requests
    assert r["offered"] == 6_400 == r["completed"] + r["failed"] + r["unfinished"]
    assert sum(r["by_error"].values()) == r["failed"] > 0
    assert list(r["by_error"]) == list(ERRORS)
    assert (r["attempts"], r["retried"]) == (6_405, 5)
    for stage in result.stages:
        assert sum(t["requests"] for t in stage["targets"]) == 6_400
    assert sum(p["requests"] for p in result.pods) == r["attempts"]
    assert sum(p["first_attempts"] for p in result.pods) == r["offered"]
    assert sum(p["errors"] for p in result.pods) == r["failed"]
    assert sum(w["requests"] for w in result.windows) == r["offered"]
    assert sum(w["failed"] for w in result.windows) == r["failed"]


@pytest.mark.parametrize("field", ["offered", "completed", "errors", "latency_counts"])
def test_a_lost_request_is_an_error(tally, field):
    """One request more or less anywhere stops the summary, naming the replication."""
    wrong = getattr(tally, field).copy()
    wrong.flat[3] += 1
    with pytest.raises(RunError, match=r"replication 1: .* are accounted for instead of"):
        result_of(tally, tally._replace(**{field: wrong}))
    with pytest.raises(RunError, match="no run"):
        result_of()


def test_latency_is_that_of_the_requests_after_the_warm_up(tally, result):
    """n, mean, percentiles and maximum from the kept segments; failed ones have their own block."""
    block = result.latency_s
    assert block["n"] == tally.completed[FIRST:].sum()
    assert block["mean"] == pytest.approx(tally.latency_sum[FIRST:].sum() / block["n"] / 1e9)
    counts = tally.latency_counts[FIRST:].sum(axis=0)
    assert [block[k] for k in QUANTILES] == [
        quantile_ns(counts, p) / 1e9 for p in QUANTILES.values()
    ]
    assert block["max"] == pytest.approx(tally.latency_max[FIRST:].max() / 1e9, rel=1e-3)
    low, high = block["ci95"]["mean"]
    assert low < block["mean"] < high
    assert block["ci95"]["from"] == "batches"
    assert result.failed_latency_s["n"] == tally.failed[FIRST:].sum()
    assert result.time_s == {"simulated": SPAN + 1.0, "warmup": float(FIRST)}


def test_parts_of_the_latency_add_up_to_it(tally, result):
    """The means of the seven parts sum to the mean latency, when all were answered.

    A part that took no time has a p99 of zero.
    """
    parts = result.latency_by_stage_s
    assert list(parts) == list(STAGES)
    assert sum(p["mean"] for p in parts.values()) == pytest.approx(result.latency_s["mean"])
    nothing = tally.part_sum * 0
    assert result_of(tally._replace(part_sum=nothing)).latency_by_stage_s["retries"]["p99"] == 0.0
    assert parts["service"]["p99"] == pytest.approx(result.latency_s["p99"] / 8, rel=0.02)


def test_pods_carry_utilisation_and_their_own_latency(tally, result):
    """Utilisation is busy time over places and time; n and mean are the pod's own."""
    for i, pod in enumerate(result.pods):
        assert pod["utilisation"] == pytest.approx(0.6)
        assert pod["in_flight"] == {"mean": pytest.approx(3 * 2 * 0.6), "max": 9}
        assert pod["node"] == f"node-{i % NODES}"
        assert pod["latency_s"]["n"] == tally.pod_completed[FIRST:, i].sum()
        assert pod["latency_s"]["p50"] == pytest.approx(math.exp(-3.0), rel=0.15)
    assert sum(p["share"] for p in result.pods) == pytest.approx(1.0)
    pooled = sum(p["latency_s"]["n"] * p["latency_s"]["mean"] for p in result.pods)
    assert pooled / result.latency_s["n"] == pytest.approx(result.latency_s["mean"])


def test_windows_end_where_arrivals_do(result):
    """32 windows of 2 s, each with its counts per pod and its own p99."""
    assert len(result.windows) == 32
    window = result.windows[3]
    assert (window["start_s"], window["end_s"]) == (6.0, 8.0)
    assert sum(window["per_pod"]) == window["requests"]
    assert window["max_over_mean"] == pytest.approx(1.0)
    assert 0.1 < window["latency_p99_s"] < 1.0


def test_network_and_affinity_are_shares_of_their_own_whole(result):
    """Crossings per attempt, connects per request, moves per answer compared after a change."""
    assert result.network["cross_node_fraction"] == (6_400 // 3) / 6_405
    assert result.network["connects_per_request"] == 0.25
    assert result.affinity == {
        "unit": "session", "requests": 100, "kept": 90, "session_loss": 7, "forced_loss": 3,
        "remap_fraction": 0.2, "excess_remap": 0.12,
    }  # fmt: skip


@settings(max_examples=10, deadline=None)
@given(st.lists(st.integers(0, 2**32), min_size=2, max_size=4, unique=True))
def test_merging_replications_equals_summing_them(seeds):
    """Every count is the sum, every percentile that of the summed histogram, in any order."""
    tallies = [run_of(seed, 640) for seed in seeds]
    whole = result_of(*tallies)
    parts = [result_of(y) for y in tallies]
    for name in ("offered", "completed", "failed", "attempts"):
        assert whole.requests[name] == sum(p.requests[name] for p in parts)
    for i in range(PODS):
        assert whole.pods[i]["requests"] == sum(p.pods[i]["requests"] for p in parts)
    assert whole.latency_s["n"] == sum(p.latency_s["n"] for p in parts)
    assert whole.latency_s["max"] == max(p.latency_s["max"] for p in parts)
    assert [p["in_flight"]["max"] for p in whole.pods] == [9] * PODS
    assert [p["utilisation"] for p in whole.pods] == pytest.approx([0.6] * PODS)
    assert whole.time_s == parts[0].time_s
    summed = result_of(merged(tallies), warmup_segments=FIRST).latency_s
    for name in ("n", "mean", *QUANTILES, "max"):
        assert whole.latency_s[name] == summed[name]
    assert whole.latency_s["ci95"]["from"] == "replications"
    turned = result_of(*reversed(tallies)).to_dict()
    assert turned["requests"] == whole.to_dict()["requests"]
    assert turned["windows"] == whole.to_dict()["windows"]


def test_windows_of_unequal_number_are_merged_too():
    """Replications that ended in different windows keep all of them."""
    a, b = run_of(3, 640), run_of(4, 640)
    short = a._replace(
        window_offered=a.window_offered[:20],
        window_failed=a.window_failed[:20],
        window_counts=a.window_counts[:20],
        window_pods=a.window_pods[:20],
    )
    y = merged([short, b])
    assert len(y.window_offered) == 32
    assert y.window_pods.sum() == short.window_pods.sum() + b.window_pods.sum()


def test_same_counts_give_the_same_bytes_and_read_back(tally, result):
    """The document is a function of the counts; JSON holds no NaN and comes back the same."""
    again = result_of(tally, engine="reference", timings={"wall_s": 2.0, "created": "now"})
    assert again.to_json(clock=False) == result.to_json(clock=False)
    assert again.requests_per_s == 3_200.0
    text = result.to_json()
    assert Result.from_json(text).to_json() == text
    json.loads(text, parse_constant=pytest.fail)


def test_an_empty_run_is_a_document_too():
    """Nothing offered: zeros and None, no NaN, no division by zero."""
    y = run_of(5, 64)
    blank = type(y)(*[np.zeros_like(a) for a in y])
    text = result_of(blank).to_json()
    found = json.loads(text, parse_constant=pytest.fail)
    assert found["requests"]["offered"] == 0
    assert found["latency_s"]["p99"] is None
    assert found["pods"][0]["utilisation"] is None


def test_flows_lead_every_answered_request_from_its_node_to_its_pod(tally):
    """Rows and columns are named by the stages, and what comes into a worker goes out of it."""
    rng = np.random.default_rng(3)
    shape = shape_of()
    workers, done = len(shape.workers), int(tally.completed.sum())
    node, worker = rng.integers(0, NODES, done), rng.integers(0, workers, done)
    pod = rng.integers(0, PODS, done)
    by_worker, by_pod = np.zeros((NODES, workers), int), np.zeros((workers, PODS), int)
    np.add.at(by_worker, (node, worker), 1)
    np.add.at(by_pod, (worker, pod), 1)
    into, out = result_of(tally._replace(node_flow=by_worker, pod_flow=by_pod)).flows
    assert (into["from_stage"], into["to_stage"]) == ("azure_lb", "reuse_port")
    assert (out["from_stage"], out["to_stage"]) == ("reuse_port", "ingress")
    assert into["to"] == out["from"] == list(shape.workers)
    assert np.sum(into["requests"], axis=0).tolist() == np.sum(out["requests"], axis=1).tolist()
    assert np.sum(out["requests"], axis=0).tolist() == np.bincount(pod, minlength=PODS).tolist()
    assert result_of(tally).flows == ()  # a run of too many pods keeps none


# --- warm-up, objectives, warnings ----------------------------------------------------------------


def _with_latency(latency, y):
    """Return a tally of the given latencies with the placements of ``y``."""
    placed = ("node", "replica", "worker", "pod", "segment", "part")
    held = {name: getattr(y, name) for name in y._fields if name.startswith(placed)}
    return tally_of(latency, pods=PODS)._replace(**held)


def test_warm_up_is_the_scenarios_the_callers_or_found(tally):
    """Given segments are cut as given, a comparison's choice wins, `auto` finds the transient."""
    assert result_of(tally).time_s["warmup"] == FIRST
    assert result_of(tally, warmup_segments=12).time_s["warmup"] == 12.0
    assert result_of(tally, warmup_segments=0).time_s["warmup"] == 0.0
    rng = np.random.default_rng(6)
    slow = np.where(np.arange(6_400) < 1_000, 2.0, 0.1) * rng.uniform(1.0, 1.1, 6_400)
    found = result_of(_with_latency(slow, tally), shape=shape_of(warmup=-1))
    assert 10.0 <= found.time_s["warmup"] <= 16.0
    assert found.latency_s["max"] < 2.0


def test_objectives_are_judged_by_the_reported_figures(tally):
    """Each objective has its value and verdict; attainment counts answers within the threshold."""
    slo = {"latency.p99": 0.5, "error_rate": 0.001, "attainment": 0.5, "utilisation.max": 0.7}
    result = result_of(tally, slo=slo)
    judged = {item["metric"]: item for item in result.slo["objectives"]}
    assert list(judged) == list(slo)
    assert judged["latency.p99"]["met"] is (result.latency_s["p99"] <= 0.5)
    assert judged["latency.p99"]["ci95"] == result.latency_s["ci95"]["p99"]
    assert judged["error_rate"]["met"] is False
    assert judged["utilisation.max"]["met"] is True
    assert result.slo["met"] is False
    fast = tally.latency_counts[FIRST:, : fine_places(np.array([500_000_000]))[0]].sum()
    assert result.slo["attainment"] == fast / tally.offered[FIRST:].sum()
    assert result_of(tally, slo={"error_rate": 0.5}).slo["met"] is True


def test_unfinished_requests_attain_nothing():
    """A request cut off early is in the histogram, but no answer within any threshold."""
    y = run_of(7, 640, failed=0.0)
    cut = y._replace(completed=y.completed - 1, unfinished=y.unfinished + 1)
    result = result_of(cut, slo={"latency.max": 1_000.0})
    assert result.slo["attainment"] == (560 - 56) / 560
    assert any(
        "560" not in w and "64 of 640 requests were still in flight" in w for w in result.warnings
    )


def _warned(result, words):
    return [w for w in result.warnings if words in w]


def test_a_calm_run_warns_of_thin_percentiles_only():
    """Settled, complete, within capacity: the only remark is what 6 400 requests cannot tell."""
    result = result_of(run_of(8, failed=0.0))
    assert len(result.warnings) == 1
    assert result.warnings[0].startswith("too few requests for p999: 5 600 were answered")


def test_saturated_and_growing_pods_are_named():
    """A pod that is always busy, or whose queue grows beyond chance, is over capacity."""
    y = run_of(9)
    busy = y.pod_busy.copy()
    busy[:, 1] = 2.0 * np.linspace(0.0, SPAN, SEGMENTS + 1)
    found = _warned(result_of(y._replace(pod_busy=busy)), "over capacity")
    assert len(found) == 1
    assert "pod-1 (100%)" in found[0]
    assert "pod-0" not in found[0]
    # 0.98 busy, but of 1 400 attempts 500 were still waiting at the end.
    busy[:, 1] *= 0.98
    flight = y.pod_flight.copy()
    queue = np.linspace(0.0, 500.0, SEGMENTS)
    flight[:, 1] = np.r_[0.0, np.cumsum(queue * SPAN / SEGMENTS)]
    found = _warned(result_of(y._replace(pod_busy=busy, pod_flight=flight)), "over capacity")
    assert "pod-1 (98%)" in found[0]
    assert not _warned(result_of(y), "over capacity")


def test_drift_errors_clamping_and_shortness_are_said():
    """Each has its sentence with the numbers that a reader needs."""
    rng = np.random.default_rng(10)
    climbing = np.linspace(0.1, 0.3, 6_400) * rng.uniform(0.9, 1.1, 6_400)
    y = run_of(11)
    drifting = result_of(_with_latency(climbing, y))
    assert _warned(drifting, "has not settled: mean latency rises by ")
    failed = _warned(result_of(y), "of 6 400 requests failed: connect_refused")
    assert len(failed) == 1
    clamped = y.clamped.copy()
    clamped[0] = 3
    assert _warned(result_of(y._replace(clamped=clamped)), "3 latencies are above 1 h")
    assert _warned(result_of(run_of(12, 15)), "no intervals")


def test_intervals_of_the_document_are_those_of_the_statistics(tally, result):
    """ci95 holds what `intervals` gives for the kept segments."""
    _, found = intervals([tally], FIRST)
    assert result.latency_s["ci95"] == {
        **{k: v if v is None else list(v) for k, v in found.items()},
        "from": "batches",
    }

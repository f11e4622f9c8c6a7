"""Pods that come and go: utilisation, shares and their balance are those of the time between."""

from __future__ import annotations

from types import SimpleNamespace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from test_balance import PODS, SPAN, run_of, shape_of
from test_summary import result_of

from lbbench.engines.timeline.life import ChangeNote
from lbbench.model.check import build
from lbbench.model.tally import SEGMENTS
from lbbench.stats.balance import balance
from lbbench.stats.existence import existence, lifetimes
from lbbench.studies.run import run

TIMES = st.floats(0.0, 100.0)


def note(at, *, pods=(), nodes=(), views=(None, None), text="something"):
    """Return a change at ``at`` seconds whose first and last view follow at ``views``."""
    return ChangeNote(
        at=at,
        text=text,
        pods=pods,
        nodes=nodes,
        list_changed_at=views[0],
        first_view_at=views[0],
        last_view_at=views[1],
    )


def changing(shape, *, born=None, gone=None, changes=None):
    """Return ``shape`` with a life: times of birth and end by number of the pod."""
    changes = (note(20.0, views=(21.0, 22.0)),) if changes is None else changes
    began, ended = np.zeros(len(shape.pods)), np.full(len(shape.pods), np.inf)
    for i, time in (born or {}).items():
        began[i] = time
    for i, time in (gone or {}).items():
        ended[i] = time
    return shape._replace(
        born=began, gone=ended, lists_change=True, changes=changes, random=frozenset()
    )


@given(st.lists(st.tuples(TIMES, TIMES), min_size=1, max_size=5), TIMES, TIMES, TIMES)
def test_existence_adds_up_over_neighbouring_spans(lives, a, b, c):
    """What a pod exists in two spans that meet is what it exists in both, and never more."""
    a, b, c = sorted((a, b, c))
    shape = SimpleNamespace(
        pods=range(len(lives)),
        born=np.array([min(life) for life in lives]),
        gone=np.array([max(life) for life in lives]),
    )
    left, right, both = (existence([shape], [span]) for span in ((a, b), (b, c), (a, c)))
    assert left + right == pytest.approx(both)
    assert (both <= c - a + 1e-12).all()
    assert (both <= shape.gone - shape.born + 1e-12).all()


def test_lifetimes_are_given_only_to_pods_that_come_or_go():
    """The earliest birth, the latest end; one that ends after the arrivals is there to the end."""
    shapes = [
        changing(shape_of(), born={1: 5.0, 2: 9.0}, gone={2: 30.0, 3: 90.0}),
        changing(shape_of(), born={1: 6.0, 2: 8.0}, gone={2: 31.0, 3: 90.0}),
    ]
    assert lifetimes(shapes, [64.0, 64.0]) == [
        {},
        {"from_s": 5.0, "to_s": None},
        {"from_s": 8.0, "to_s": 31.0},
        {},
    ]


def test_utilisation_is_busy_time_over_places_and_existence():
    """A pod there for half of the measured time has twice the load for the same busy time (E6).

    The measured time is 8 .. 64 s, in which each pod is busy 2 x 0.6 x 56 place-seconds.
    """
    shape = changing(shape_of(), born={1: 36.0}, gone={2: 22.0, 3: 4.0})
    pods = result_of(run_of(1), shape=shape).pods
    assert [pod["utilisation"] for pod in pods[:3]] == pytest.approx([0.6, 1.2, 2.4])
    assert pods[1]["in_flight"]["mean"] == pytest.approx(2 * pods[0]["in_flight"]["mean"])
    assert pods[3]["utilisation"] is None  # gone before the measured time
    assert (pods[1]["from_s"], pods[1]["to_s"]) == (36.0, None)
    assert (pods[2]["from_s"], pods[2]["to_s"]) == (0.0, 22.0)
    assert "from_s" not in pods[0]


def test_utilisation_of_a_run_is_the_offered_load():
    """A scaled-up cluster: each pod's load in its time against the law, within its spread.

    60 /s of exponential work of mean 20 ms: two pods for 50 s (load 0.6), then four (0.3). Pods 2
    and 3 exist in the second half alone. The busy time of a pod with n exponential works has the
    standard error sqrt(2 n) x 20 ms; four of these are allowed.
    """
    scenario = build(
        {
            "cluster": {"nodes": 1, "pods": 2, "ingress": {"workers": 1}},
            "traffic": {"arrivals": {"rate": "60/s"}, "service_time": {"mean": "20ms"}},
            "run": {"duration": "100s", "warmup": "0s"},
            "timeline": [{"at": "50s", "scale": {"pods": 4}}],
        }
    )
    pods = run(scenario, engine="reference").pods
    assert pods[2]["from_s"] == 50.0
    for pod, load, lasted in zip(pods, (0.45, 0.45, 0.3, 0.3), (100, 100, 50, 50), strict=True):
        n = load * lasted / 0.02
        assert pod["utilisation"] == pytest.approx(load, abs=4 * (2 * n) ** 0.5 * 0.02 / lasted)


def test_a_balance_per_time_is_that_of_the_rates():
    """Counts that go with the time each target was there are perfectly even, others are not."""
    even = balance(np.array([100, 50, 25]), np.array([4.0, 2.0, 1.0]), random=False, per_time=True)
    assert (even.max_over_mean, even.cov, even.jain) == pytest.approx((1.0, 0.0, 1.0))
    assert even.gini == pytest.approx(0.0)
    odd = balance(
        np.array([100, 100, 0]), np.array([4.0, 2.0, 0.0]), random=False, per_time=True, why="why"
    )
    # rates 25 and 50 per unit of time: their mean 37.5, deviation 12.5
    assert odd.cov == pytest.approx(1 / 3)
    assert odd.max_over_mean == pytest.approx(100 / (200 * 2 / 6))
    assert odd.note == "why"


def test_no_share_is_expected_where_endpoints_changed():
    """Every stage: expected_share null, no chi-square, and the note says why."""
    shape = changing(shape_of(random=("azure_lb", "kube_proxy")), born={3: 36.0})
    result = result_of(run_of(2), shape=shape)
    for stage in result.stages:
        assert {t["expected_share"] for t in stage["targets"]} == {None}
        assert stage["balance"]["chi2"] is stage["balance"]["p_value"] is None
        assert stage["balance"]["note"] == "endpoints changed"
    # pod 3 got a quarter of the requests in half of the time: shares 2/7, 2/7, 2/7, 1/7 expected
    assert result.stages[-1]["balance"]["max_over_mean"] == pytest.approx(0.25 * 7, rel=0.01)
    # in the first windows it was not there, in the last it was there all the time
    assert result.windows[-1]["max_over_mean"] == pytest.approx(1.0, rel=0.1)


def test_a_canary_changes_the_expected_shares_of_the_pods_alone():
    """Nodes, replicas and workers keep their law and its test; the pods' note names the canary."""
    shape = shape_of(random=("azure_lb", "kube_proxy"))
    shape.expected["ingress"] = np.array([0.5, 0.5, 0.0, 0.0])
    result = result_of(run_of(3), shape=shape._replace(lists_change=True))
    *others, pods = result.stages
    for stage in others:
        assert stage["targets"][0]["expected_share"] > 0.0
        assert stage["balance"]["p_value"] is not None
    assert {t["expected_share"] for t in pods["targets"]} == {None}
    assert pods["balance"]["note"] == "a canary takes part"
    assert pods["balance"]["max_over_mean"] == pytest.approx(1.0, rel=0.01)


def test_a_change_that_no_view_follows_keeps_the_expected_shares():
    """A slow pod stays listed, so the rules still promise it its share; nothing is tested."""
    shape = changing(shape_of(), changes=(note(20.0),))
    for stage in result_of(run_of(4), shape=shape).stages:
        assert None not in {t["expected_share"] for t in stage["targets"]}
        assert stage["balance"]["note"] == "not tested: pods changed"
        assert stage["balance"]["p_value"] is None


def test_saturation_is_judged_by_the_time_in_existence():
    """Busy in all of a short life is over capacity; standing still on purpose is not."""
    y = run_of(5)
    busy = y.pod_busy.copy()
    at = np.linspace(0.0, SPAN, SEGMENTS + 1)
    busy[:, 1] = 2.0 * np.clip(at - 36.0, 0.0, None)  # both places, from 36 s on
    y = y._replace(pod_busy=busy)
    shape = changing(shape_of(), born={1: 36.0})
    assert any("pod-1 (100%)" in w for w in result_of(y, shape=shape).warnings)
    assert not any("over capacity" in w for w in result_of(y).warnings)
    for what in ({"fail": "hang"}, {"pause": "28s"}):
        scenario = {"name": "made-up", "timeline": [{"at": "36s", "pod": "pod-1", **what}]}
        found = result_of(y, shape=shape, scenario=scenario)
        assert not any("over capacity" in w for w in found.warnings)


def test_replications_with_fewer_pods_are_merged():
    """A rollout that came less far in one replication leaves the others' pods their counts."""
    short, long = run_of(6, pods=PODS - 1), run_of(7)
    shapes = [changing(shape_of(pods=PODS - 1)), changing(shape_of(), born={PODS - 1: 60.0})]
    from lbbench.stats.summary import merged, summarise

    y = merged([short, long])
    assert y.pod_attempts[:, :-1].sum() == short.pod_attempts.sum() + (
        long.pod_attempts[:, :-1].sum()
    )
    assert y.pod_attempts[:, -1].sum() == long.pod_attempts[:, -1].sum()
    assert np.isinf(y.pod_dead_first).all()
    head = {"scenario": {"name": "x"}, "seed": 1, "version": "0", "engine": "fast"}
    result = summarise(list(zip([short, long], shapes, strict=True)), **head)
    assert len(result.pods) == PODS
    assert result.pods[-1]["from_s"] == 60.0

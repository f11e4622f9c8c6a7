"""Active health checks: when a replica leaves a pod out and takes it in again."""

from __future__ import annotations

import pytest

import lbbench
from lbbench.engines.script import WORKER_VIEW
from lbbench.engines.timeline import life_of
from lbbench.model.check import build
from lbbench.model.topology import topology

INTERVAL, TIMEOUT, RISE, FALL = 2.0, 0.5, 2, 3


def views(timeline, *, kind="http", seed=1, **more):
    """Return [(time, worker, how many it lists)] of 3 replicas of 2 workers over 4 pods."""
    scenario = build(
        {
            "cluster": {"nodes": 3, "pods": 4, "ingress": {"workers": 2}},
            "stages": {
                "ingress": {
                    "health_check": {
                        "kind": kind, "interval": f"{INTERVAL}s", "timeout": f"{TIMEOUT}s",
                        "rise": RISE, "fall": FALL,
                    },
                    **more,
                }
            },
            "traffic": {"arrivals": {"rate": "10/s"}},
            "timeline": timeline,
            "run": {"duration": "100s", "seed": seed},
        }
    )  # fmt: skip
    life = life_of(scenario, topology(scenario), replication=0, horizon=100.0)
    steps = [step for step in life.steps if step.op == WORKER_VIEW]
    return [(step.time, step.a, len(step.listed)) for step in steps]


@pytest.mark.parametrize("seed", range(5))
@pytest.mark.parametrize(
    ("fault", "silence"),
    [({"fail": "refuse"}, 0.0), ({"fail": "error"}, 0.0), ({"fail": "blackhole"}, TIMEOUT),
     ({"fail": "hang"}, TIMEOUT)],
)  # fmt: skip
def test_a_failing_pod_is_out_after_fall_checks_and_in_after_rise(fault, silence, seed):
    """Out after U(0, I) + (fall - 1) I and the timeout of silence, in after U(0, I) + (rise - 1) I.

    All workers of a replica at once, the replicas each by its own clock. A pod that stops hanging
    within the timeout still answers the check in time.
    """
    early = TIMEOUT if fault["fail"] == "hang" else 0.0
    found = views([{"at": "20.0s", "pod": "pod-1", **fault, "until": "60.0s"}], seed=seed)
    assert len(found) == 12
    out, back = found[:6], found[6:]
    assert {n for _, _, n in out} == {3}
    assert {n for _, _, n in back} == {4}
    for rows, begin, least in ((out, 20.0 + silence, FALL - 1), (back, 60.0 - early, RISE - 1)):
        times = {worker: time - begin for time, worker, _ in rows}
        assert all(least * INTERVAL <= t <= (least + 1) * INTERVAL + early for t in times.values())
        assert all(times[2 * r] == times[2 * r + 1] for r in range(3))
        assert len(set(times.values())) == 3


@pytest.mark.parametrize("fault", [{"fail": "error"}, {"fail": "hang"}])
def test_a_tcp_check_sees_no_more_than_that_a_pod_accepts(fault):
    """What answers 5xx, or nothing after the handshake, passes."""
    assert views([{"at": "20.0s", "pod": "pod-1", **fault, "until": "60.0s"}], kind="tcp") == []


def test_short_trouble_is_not_noticed():
    """Two failures of three are not enough."""
    assert views([{"at": "20.0s", "pod": "pod-1", "fail": "refuse", "until": "23.9s"}]) == []


def test_a_pod_behind_lost_routes_is_out_at_the_other_nodes_only():
    """pod-0 on node-0 stays in at node-0's replica; the others lose all but their own."""
    found = views([{"at": "20.0s", "routes": "missing", "until": "60.0s"}])
    low = {worker: min(n for _, w, n in found if w == worker) for worker in range(6)}
    assert low == {0: 2, 1: 2, 2: 1, 3: 1, 4: 1, 5: 1}


def test_in_panic_all_are_listed_again():
    """Below half of 4 pods healthy all 4 are used, with Envoy's 50 %; without panic 1 is left."""
    timeline = [{"at": "20s", "pod": f"pod-{i}", "fail": "refuse"} for i in range(3)]

    def at_last(panic: str) -> set[int]:
        check = {"interval": "2s", "panic": panic}
        last = {worker: n for _, worker, n in views(timeline, health_check=check)}
        return set(last.values())

    assert at_last("0") == {1}
    assert at_last("50%") == {4}


def test_without_checks_a_failing_pod_stays_listed():
    """As with ingress-nginx, unless readiness takes it out."""
    assert views([{"at": "20.0s", "pod": "pod-1", "fail": "refuse"}], health_check="none") == []


@pytest.mark.long
def test_errors_end_when_the_checks_have_found_the_pod():
    """A pod that answers 5xx at once: without checks it draws 5xx to the end."""

    def failed(check):
        result = lbbench.run(
            build(
                {
                    "cluster": {"nodes": 1, "pods": 4, "ingress": {"workers": 1}},
                    "stages": {"ingress": {"balancer": "haproxy_leastconn", "health_check": check}},
                    "traffic": {"utilisation": 0.5},
                    "timeline": [{"at": "20s", "pod": "pod-1", "fail": "error"}],
                    "run": {"duration": "60s"},
                }
            ),
            engine="reference",
        )
        windows = result.windows
        return [
            sum(w["failed"] for w in windows if low <= w["start_s"] < low + 20)
            for low in (0, 20, 40)
        ]

    before, while_, after = failed({"interval": "2s"})
    assert before == after == 0
    assert while_ > 0
    assert failed("none")[2] > while_

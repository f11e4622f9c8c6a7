"""What a changing cluster does to traffic: laws with computed tolerances, and nothing is lost."""

from __future__ import annotations

import math

import numpy as np
import pytest

from lbbench.core.rings import arcs, ketama_points
from lbbench.engines import fast, reference
from lbbench.engines.events import event_kind
from lbbench.engines.plan import make_plan
from lbbench.model.check import build
from lbbench.model.tally import AFFINITY, ERRORS
from lbbench.studies.run import run

Z = 4.5  # false alarm once in 150 000


def plan_of(**data):
    """Return the plan of a scenario."""
    return make_plan(build({"name": "changes", **data}))


def outcome_of(**data):
    """Return (plan, outcome with records) of a scenario."""
    plan = plan_of(**data)
    return plan, fast.run(plan, record=True)


def affinity_of(outcome) -> dict[str, int]:
    return dict(zip(AFFINITY, outcome.tally.affinity.tolist(), strict=True))


def errors_of(outcome) -> dict[str, int]:
    return dict(zip(ERRORS, outcome.tally.errors.tolist(), strict=True))


# --- everything down ------------------------------------------------------------------------------

PODS = [f"pod-{i}" for i in range(4)]
NODES = [f"node-{i}" for i in range(3)]
DISASTERS = {
    "all pods refuse": [{"pod": pod, "fail": "refuse"} for pod in PODS],
    "all pods are black holes": [{"pod": pod, "fail": "blackhole"} for pod in PODS],
    "all pods hang": [{"pod": pod, "fail": "hang"} for pod in PODS],
    "all pods answer errors": [{"pod": pod, "fail": "error"} for pod in PODS],
    "all pods are slow": [{"pod": pod, "speed": 0.01} for pod in PODS],
    "all pods pause": [{"pod": pod, "pause": "3s"} for pod in PODS],
    "all nodes are down": [{"node": node, "state": "down"} for node in NODES],
    "all nodes are drained": [{"node": node, "state": "drained"} for node in NODES],
    "all nodes are down for the load balancer": [{"node": node, "azure": "down"} for node in NODES],
    "no pods": [{"scale": {"pods": 0}}],
    "one pod": [{"scale": {"pods": 1}}],
    "no routes": [{"routes": "missing"}],
}
UNHURT = {
    ("one pod", "ingress"),
    ("one pod", "service"),
    ("all pods pause", "service"),  # nobody has a timeout there
}


@pytest.mark.parametrize("path", ["ingress", "service"])
@pytest.mark.parametrize("disaster", DISASTERS)
def test_a_disaster_ends_in_counted_errors(disaster, path):
    """Whatever is down, the run ends, and every request is answered, failed or unfinished."""
    _, found = outcome_of(
        path=path,
        cluster={"nodes": 3, "pods": 4, "network": {"cross_node_rtt": "1ms"}},
        stages={"ingress": {"timeouts": {"read": "1s", "connect": "1s"}}},
        traffic={
            "arrivals": {"rate": "20/s"},
            "connections": {"requests": {"geometric": 3}},
            "connect_timeout": "3s",
        },
        run={"duration": "40s"},
        timeline=[{"at": "5s", **change} for change in DISASTERS[disaster]],
    )
    y = found.tally
    assert (y.offered == y.completed + y.failed + y.unfinished).all()
    assert y.errors.sum() == y.failed.sum()
    lost = y.failed.sum() + y.unfinished.sum()
    assert (lost > 0) == ((disaster, path) not in UNHURT)


def test_a_single_pod_serves_everybody():
    """One endpoint, every balancer: all requests are answered by it.

    The readable engine is enough: that the compiled one agrees is tested elsewhere, and five
    kernels take a minute and a half to compile.
    """
    for balancer in ("round_robin", "ewma", "chash", "chashsubset", "sticky_balanced"):
        plan = plan_of(
            cluster={"pods": 1},
            stages={"ingress": {"balancer": balancer}},
            traffic={"utilisation": 0.5},
            run={"requests": 300},
            timeline=[{"at": "1s", "pod": "pod-0", "speed": 2.0}],
        )
        assert reference.run(plan).tally.completed.sum() == 300


# --- who moves when a pod comes -------------------------------------------------------------------

ONE_WORKER = {"nodes": 1, "ingress": {"replicas": 1, "workers": 1}}


def switch_of(plan) -> float:
    """Return when the worker takes the only change of its list."""
    times = [float(step.time) for step in plan.facts.step if event_kind(step.order) == 4]
    return max(times)


def owners(plan, ids) -> np.ndarray:
    """Return the ring's owner (engine number) of every key, by ring arithmetic alone."""
    addresses = [plan.topology.pods[plan.pod_order[i]].address for i in ids]
    hashes, owner = ketama_points(addresses)
    places = np.searchsorted(hashes, plan.facts.key_hash) % len(hashes)
    return np.array(ids)[owner[places]]


def test_a_ring_moves_exactly_the_keys_that_ring_arithmetic_moves():
    """9 to 10 pods: the measured remap is that of the keys whose arc the new pod takes."""
    plan, found = outcome_of(
        cluster={**ONE_WORKER, "pods": 9, "pod": {"concurrency": 50}},
        stages={"ingress": {"balancer": "chash", "hash_by": "$request_uri"}},
        traffic={"arrivals": {"rate": "500/s"}, "keys": {"count": 2000}},
        run={"duration": "60s"},
        timeline=[{"at": "30s", "scale": {"pods": 10}}],
    )
    old = plan.lists.pod[0, :9].tolist()
    before, after = owners(plan, old), owners(plan, range(10))
    rows, switch = found.records, switch_of(plan)
    known = np.zeros(len(before), bool)
    known[rows["key"][(rows["arrival"] < switch) & (rows["end"] < switch)]] = True
    late = (rows["arrival"] >= switch) & known[rows["key"]]
    moves = before != after
    assert (after[moves] == 9).all() or len(set(after[moves])) == 1  # all go to the new pod
    counted = affinity_of(found)
    first_seen_late = counted["compared"] - late.sum()  # answered after, asked before the switch
    assert 0 <= first_seen_late <= 50 * 9
    expected = moves[rows["key"][late]].mean()
    assert counted["moved"] / counted["compared"] == pytest.approx(expected, abs=2e-3)
    assert counted["moved_by_force"] == 0


def sessions_after_a_scale_up(balancer, pods):
    return outcome_of(
        cluster={**ONE_WORKER, "pods": pods, "pod": {"concurrency": 50}},
        stages={"ingress": {"balancer": balancer}},
        traffic={
            "arrivals": {"rate": "2k/s"},
            "service_time": {"distribution": "deterministic", "mean": "1ms"},
            "clients": {"count": 3000},
            "sessions": {"count": 3000},
        },
        run={"duration": "40s"},
        timeline=[{"at": "20s", "scale": {"pods": pods + 1}}],
    )


@pytest.mark.long
def test_persistent_sessions_never_move_when_pods_come():
    """sticky_persistent: session loss is 0 on a scale-up."""
    _, found = sessions_after_a_scale_up("sticky_persistent", 4)
    counted = affinity_of(found)
    assert counted["requests"] > 10_000
    assert counted["session_loss"] == counted["forced_loss"] == counted["moved"] == 0


@pytest.mark.parametrize(
    "pods", [pytest.param(1, marks=pytest.mark.long), 4, pytest.param(9, marks=pytest.mark.long)]
)
def test_balanced_sessions_move_as_the_new_pods_arc_says(pods):
    """sticky_balanced: a session moves iff the new pod takes its arc, 1/(n+1) of them on average.

    Cookies are uniform on the ring, so the moved sessions are binomial in the exact arc; an arc
    of 160 random points has a coefficient of variation of sqrt(n / (160 (n + 1))).
    """
    plan, found = sessions_after_a_scale_up("sticky_balanced", pods)
    addresses = [plan.topology.pods[i].address for i in plan.pod_order]
    hashes, owner = ketama_points(addresses)
    newest = int(np.flatnonzero(plan.pod_order == pods)[0])
    arc = float(arcs(hashes, owner, pods + 1)[newest]) / 2.0**32
    spread = math.sqrt(pods / (160 * (pods + 1)))
    assert arc == pytest.approx(1 / (pods + 1), rel=Z * spread)
    rows = found.records
    moved = set(rows["session"][rows["pod"] == plan.pod_order[newest]])
    old = set(rows["session"][rows["arrival"] < 20.0])
    share = len(moved & old) / len(old)
    assert share == pytest.approx(arc, abs=Z * math.sqrt(arc * (1 - arc) / len(old)))
    assert affinity_of(found)["session_loss"] == len(moved & old)  # each moves once


@pytest.mark.long
def test_a_pod_that_leaves_takes_its_sessions_along_by_force():
    """Scale down: only the sessions of the pod that left move, and that is no session loss.

    No two requests are under way at a time, so none of a session finds its cookie replaced.
    """
    _, found = outcome_of(
        cluster={**ONE_WORKER, "pods": 5, "pod": {"concurrency": 50}},
        stages={"ingress": {"balancer": "sticky_persistent"}},
        traffic={
            "arrivals": {"process": "deterministic", "rate": "200/s"},
            "service_time": {"distribution": "deterministic", "mean": "1ms"},
            "clients": {"count": 500},
            "sessions": {"count": 500},
        },
        run={"duration": "40s"},
        timeline=[{"at": "20s", "scale": {"pods": 4}}],
    )
    counted = affinity_of(found)
    assert counted["session_loss"] == 0
    assert 0 < counted["forced_loss"] <= 500
    assert found.tally.failed.sum() == 0  # drained for longer than news take to spread


# --- ewma -----------------------------------------------------------------------------------------

EWMA = {"ingress": {"balancer": "ewma"}}
STEADY = {"arrivals": {"rate": "200/s"}, "service_time": {"distribution": "deterministic"}}


@pytest.mark.long
@pytest.mark.parametrize("pods", [4, 10])
def test_ewma_sends_first_attempts_to_a_fast_failing_pod(pods):
    """A pod that fails at once wins whenever it is drawn: 2/n of the first attempts."""
    plan, found = outcome_of(
        cluster={**ONE_WORKER, "pods": pods, "pod": {"concurrency": 64}},
        stages=EWMA,
        traffic={**STEADY, "service_time": {"distribution": "deterministic", "mean": "50ms"}},
        run={"requests": 40_000},
        timeline=[{"at": "0s", "pod": "pod-0", "fail": "error", "after": "0ms"}],
    )
    p = 2 / pods
    share = found.tally.pod_first[:, 0].sum() / 40_000
    assert share == pytest.approx(p, abs=Z * math.sqrt(p * (1 - p) / 40_000))
    assert errors_of(found)["error_5xx"] == found.tally.pod_first[:, 0].sum()
    del plan


def test_ewma_visits_a_slow_pod_in_bursts():
    """A pod 10 times slower is picked until its first answer comes, then not for 10 s x ln 10.

    Bursts: 2/10 of 200/s for the 0.5 s that an answer takes, about 20 requests, each time when
    the stored 0.5 s has decayed to the others' 0.05 s: a share of 0.43 % with chance of its own.
    """
    _, found = outcome_of(
        cluster={**ONE_WORKER, "pods": 10, "pod": {"concurrency": 64}},
        stages=EWMA,
        traffic={**STEADY, "service_time": {"distribution": "deterministic", "mean": "50ms"}},
        run={"requests": 200_000, "window": "1s"},
        timeline=[{"at": "0s", "pod": "pod-0", "speed": 0.1}],
    )
    slow = found.records["arrival"][found.records["pod"] == 0]
    bursts = np.split(slow, np.flatnonzero(np.diff(slow) > 5.0) + 1)
    pause = np.diff([burst[0] for burst in bursts])
    assert pause.min() > 10.0 * math.log(10.0) * 0.9
    assert pause.max() < 10.0 * math.log(10.0) * 1.2
    each = 200 * 0.2 * 0.5
    n = len(bursts)
    assert np.mean([len(b) for b in bursts]) == pytest.approx(
        each + 1, abs=Z * math.sqrt(each / n) + 1
    )
    assert len(slow) / 200_000 == pytest.approx(0.005, abs=0.0015)


# --- CPU quotas -----------------------------------------------------------------------------------


@pytest.mark.long
def test_a_pod_under_a_cpu_quota_stands_still_for_the_rest_of_each_period():
    """Two busy cores use 100 ms of CPU in 50 ms; the pod then waits 50 ms, in every period."""
    result = run(
        build(
            {
                "name": "quota",
                "cluster": {
                    **ONE_WORKER,
                    "pods": 1,
                    "pod": {"concurrency": 2, "cfs": {"quota": "100ms", "period": "100ms"}},
                },
                "traffic": {
                    "arrivals": {"rate": "1k/s"},
                    "service_time": {"distribution": "deterministic", "mean": "1s"},
                },
                "run": {"duration": "10s", "drain": "0s", "warmup": "0s"},
            }
        )
    )
    stalls = result.pods[0]["stalls"]
    assert stalls["count"] in (99, 100, 101)
    assert stalls["longest_s"] == pytest.approx(0.05, abs=2e-3)  # the first arrivals come late
    assert stalls["total_s"] / stalls["count"] == pytest.approx(0.05, abs=1e-3)
    # each job gets 50 ms per period, so a pair takes 2 s: the fifth ends with the run
    assert result.requests["completed"] in (9, 10)

"""How pods are: slow, cold, paused, failing; on nodes that go down; held ready or not."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from living import FALSE_ALARM, is_uniform, life, lived, scenario_of, told, views
from scipy import stats

from lbbench.engines.script import NODE_VIEW, WORKER_VIEW

ONE = {"pods": 1, "nodes": 1}


def pod(at, until=None, **what):
    """Return a change of pod-0."""
    return {"at": at, "pod": "pod-0", **what} | ({} if until is None else {"until": until})


def node(at, state, until=None):
    """Return a change of node-0."""
    made = {"at": at, "node": "node-0", "state": state}
    return made | ({} if until is None else {"until": until})


def steps(*timeline, cluster=ONE, ops=("SPEED", "DOOR", "EMPTY", "DROP_IDLE", "MEMBER", "NODE")):
    """Return the steps of pod-0 and its node in words, without the pod's number."""
    found = life(*timeline, cluster=cluster, path="service")
    return [(time, name, what) for time, name, _, what in told(found.steps, *ops)]


def test_speeds_multiply():
    """Own speed 2, a change to 0.5 of it, cold by 4: 2, then 1, then 0.25, and back."""
    cluster = {"pods": [{"name": "pod-0", "speed": 2.0}], "nodes": 1}
    cluster["pod"] = {"cold_start": {"factor": 4, "duration": "20s"}}
    found = steps(pod("10s", "50s", speed=0.5), pod("20s", cold=True), cluster=cluster)
    assert found == [
        (10.0, "SPEED", 1.0),
        (20.0, "SPEED", 0.25),
        (40.0, "SPEED", 1.0),
        (50.0, "SPEED", 2.0),
    ]


def test_a_cold_pod_without_a_cold_start_takes_the_usual_one():
    """Three times slower for 30 s."""
    found = steps(pod("10s", cold=True))
    assert found == [(10.0, "SPEED", round(1 / 3, 9)), (40.0, "SPEED", 1.0)]


def test_a_later_change_takes_the_place_of_an_earlier_one():
    """Of the same kind; the end of the earlier one has no effect then."""
    found = steps(pod("10s", "50s", speed=0.5), pod("20s", speed=0.25))
    assert found == [(10.0, "SPEED", 0.5), (20.0, "SPEED", 0.25)]
    found = steps(pod("10s", pause="5s"), pod("12s", pause="1s"))
    assert found == [(10.0, "SPEED", 0.0), (13.0, "SPEED", 1.0)]
    found = steps(pod("10s", cold=True), pod("20s", cold=True))
    assert [time for time, _, _ in found] == [10.0, 50.0]


def test_a_pause_loses_nothing():
    """The pod stands still and goes on; what it does meanwhile to its speed shows afterwards."""
    found = steps(pod("10s", pause="5s"), pod("12s", speed=0.5))
    assert found == [(10.0, "SPEED", 0.0), (15.0, "SPEED", 0.5)]


@pytest.mark.parametrize(
    ("fault", "expected"),
    [
        (
            "refuse",
            [
                (10.0, "DOOR", "REFUSE"),
                (10.0, "EMPTY", "RESET"),
                (10.0, "DROP_IDLE", 0),
                (20.0, "DOOR", "OPEN"),
            ],
        ),
        ("blackhole", [(10.0, "DOOR", "SILENT"), (20.0, "DOOR", "OPEN")]),
        (
            "hang",
            [
                (10.0, "SPEED", 0.0),
                (20.0, "EMPTY", "RESET"),
                (20.0, "DROP_IDLE", 0),
                (20.0, "SPEED", 1.0),
            ],
        ),
        ("error", [(10.0, "DOOR", "ERROR"), (20.0, "DOOR", "OPEN")]),
    ],
)
def test_each_fault_begins_and_ends_as_designed(fault, expected):
    """A crash resets, a black hole is silent, what hung is killed at its end, errors are quick."""
    assert steps(pod("10s", "20s", fail=fault)) == expected


def test_errors_carry_their_time_and_whether_they_are_retried():
    """`after` is the step's value; with http_500 in next_upstream the door is ERROR_RETRIED."""
    change = pod("10s", fail="error", after="20ms")
    (step,) = life(change, cluster=ONE).steps
    assert step.value == 0.02
    retrying = {"ingress": {"next_upstream": {"on": ["error", "http_502"]}}}
    found = life(change, cluster=ONE, stages=retrying)
    assert told(found.steps, "DOOR") == [(10.0, "DOOR", 0, "ERROR_RETRIED")]


def test_a_fault_takes_the_place_of_another():
    """What hung is killed when it crashes; the end of the first fault is not that of the second."""
    found = steps(pod("10s", "30s", fail="hang"), pod("20s", "40s", fail="blackhole"))
    assert found == [
        (10.0, "SPEED", 0.0),
        (20.0, "EMPTY", "RESET"),
        (20.0, "DROP_IDLE", 0),
        (20.0, "DOOR", "SILENT"),
        (20.0, "SPEED", 1.0),
        (40.0, "DOOR", "OPEN"),
    ]


def test_a_node_takes_its_pods_along_and_brings_them_back():
    """Nobody hears of what was inside; at the boot the pods start anew, cold if they do that."""
    cluster = {**ONE, "pod": {"cold_start": {"factor": 2, "duration": "5s"}}}
    assert steps(node("10s", "down", "20s"), cluster=cluster) == [
        (10.0, "NODE", 0),
        (10.0, "MEMBER", 0),
        (10.0, "DOOR", "SILENT"),
        (10.0, "EMPTY", "LOST"),
        (20.0, "NODE", 1),
        (20.0, "DROP_IDLE", 0),
        (20.0, "DOOR", "OPEN"),
        (20.0, "SPEED", 0.5),
        (20.0, "MEMBER", 1),
        (25.0, "SPEED", 1.0),
    ]


def test_a_fault_that_lasts_meets_the_pod_after_the_boot():
    """A pause does not: it was of the old process."""
    found = steps(
        pod("5s", "60s", fail="refuse"), node("10s", "down", "20s"), ops=("DOOR", "SPEED")
    )
    assert found == [
        (5.0, "DOOR", "REFUSE"),
        (10.0, "DOOR", "SILENT"),
        (20.0, "DOOR", "REFUSE"),
        (60.0, "DOOR", "OPEN"),
    ]
    found = steps(pod("5s", pause="100s"), node("10s", "down", "20s"), ops=("SPEED",))
    assert found == [(5.0, "SPEED", 0.0), (20.0, "SPEED", 1.0)]


def test_faults_on_a_dead_node_touch_nothing():
    """There is nothing inside to reset, and the address stays silent."""
    found = steps(node("10s", "down"), pod("20s", "30s", fail="refuse"))
    assert all(time == 10.0 for time, _, _ in found)
    found = steps(pod("5s", "30s", fail="hang"), node("10s", "down"), ops=("SPEED", "EMPTY"))
    assert found == [(5.0, "SPEED", 0.0), (10.0, "EMPTY", "LOST"), (30.0, "SPEED", 1.0)]


def test_a_pod_that_terminates_on_a_dead_node_is_gone():
    """It does not come back with the node."""
    found = life(
        {"at": "10s", "scale": {"pods": 0}},
        node("12s", "down", "20s"),
        cluster=ONE,
    )
    assert found.gone == (12.0,)
    assert told(found.steps, "DOOR", "DROP_IDLE") == [(12.0, "DOOR", 0, "SILENT")]


@pytest.mark.parametrize("up", [12, 30])
def test_a_pod_whose_start_the_node_interrupts_starts_again(up):
    """Its time to get ready begins anew at the boot, also when the first one is not over then."""
    found = life(
        {"at": "10s", "scale": {"pods": 2, "ready_after": "8s"}},
        node("11s", "down", f"{up}s"),
        cluster=ONE,
    )
    of_new = [item for item in told(found.steps, "MEMBER") if item[2] == 1]
    assert of_new == [(up + 8.0, "MEMBER", 1, 1)]


def test_endpoints_of_a_dead_node_leave_after_40_seconds():
    """And are back at once when it boots; a shorter outage changes no list."""
    found = life(node("100s", "down", "200s"), path="service", cluster={"nodes": 2, "pods": 4})
    assert [change.list_changed_at for change in found.changes] == [140.0, 200.0]
    seen = views(found, NODE_VIEW, 1)
    assert [listed for _, _, listed in seen] == [(1, 3), (0, 1, 2, 3)]
    assert 140.0 < seen[0][0] < 142.0
    assert 200.0 < seen[1][0] < 202.0
    twice = [node("100s", "down", "130s"), node("135s", "down")]
    found = life(*twice, path="service", cluster={"nodes": 2, "pods": 4})
    assert [change.list_changed_at for change in found.changes] == [None, None, 175.0]
    short = life(node("100s", "down", "139s"), path="service", cluster={"nodes": 2, "pods": 4})
    assert views(short, NODE_VIEW) == []


def test_on_the_ingress_path_replicas_leave_the_rules_and_pods_the_workers():
    """One list for kube-proxy, another for nginx."""
    found = life(node("100s", "down"), cluster={"nodes": 2, "pods": 4, "ingress": {"workers": 1}})
    assert [listed for _, _, listed in views(found, NODE_VIEW, 1)] == [(1,)]
    assert [(a, listed) for _, a, listed in views(found, WORKER_VIEW)] == [(1, (1, 3))]


def test_workers_on_a_node_that_boots_begin_anew():
    """Even when their list is the old one, at the time of the boot."""
    found = life(
        node("100s", "down", "110s"),
        cluster={"nodes": 2, "pods": 4, "ingress": {"workers": 2}},
    )
    every = (0, 1, 2, 3)
    assert views(found, WORKER_VIEW) == [(110.0, 0, every), (110.0, 1, every)]


# --- readiness ----------------------------------------------------------------------------------


def changes(*timeline, period="10s", failures=3, replications=400):
    """Return, per replication, when each change showed in the API's list."""
    pods = {"pods": 2, "pod": {"readiness": {"period": period, "failures": failures}}}
    scenario = scenario_of(*timeline, path="service", cluster=pods)
    found = [lived(scenario, replication=i) for i in range(replications)]
    return [[change.list_changed_at for change in item.changes] for item in found]


@pytest.mark.parametrize("fault", ["refuse", "blackhole", "hang", "error"])
def test_a_failing_pod_is_out_after_so_many_probes(fault):
    """U(0, period) + (failures - 1) x period, and back U(0, period) after the end."""
    seen = changes(pod("100s", "200s", fail=fault))
    assert is_uniform([out - 100.0 for out, _ in seen], 20.0, 30.0)
    assert is_uniform([back - 200.0 for _, back in seen], 0.0, 10.0)


def test_a_pause_fails_a_probe_only_while_more_than_its_timeout_is_left():
    """5 s with probes every 10 s and one failure allowed: probes in the first 4 s see it.

    So 4/10 of the pods leave the list; the count is binomial.
    """
    seen = changes(pod("100s", pause="5s"), failures=1, replications=1000)
    out = [when - 100.0 for (when,) in seen if when is not None]
    assert is_uniform(out, 0.0, 4.0)
    assert stats.binomtest(len(out), 1000, 0.4).pvalue > FALSE_ALARM


def test_without_readiness_a_failing_pod_stays_listed():
    """Default: the list knows nothing of it."""
    found = life(pod("100s", fail="refuse"), path="service")
    assert found.changes[0].list_changed_at is None
    assert views(found, NODE_VIEW) == []


def test_a_new_pod_that_fails_is_not_listed_before_it_works():
    """With readiness its first probe must succeed."""
    cluster = {**ONE, "pod": {"readiness": {"period": "1s", "failures": 3}}}
    found = life(
        {"at": "10s", "scale": {"pods": 2, "ready_after": "10s"}},
        {"at": "15s", "pod": "pod-1", "fail": "refuse", "until": "50s"},
        cluster=cluster,
        path="service",
    )
    assert [change.list_changed_at for change in found.changes][:2] == [None, None]
    assert 50.0 <= found.changes[2].list_changed_at <= 51.0


@settings(max_examples=60, deadline=None)
@given(
    failures=st.integers(1, 4),
    length=st.integers(1, 60),
    gap=st.integers(1, 60),
    replication=st.integers(0, 50),
)
def test_short_failures_do_not_add_up(failures, length, gap, replication):
    """Two failures apart: a success between them starts the count anew."""
    pods = {"pods": 2, "pod": {"readiness": {"period": "10s", "failures": failures}}}
    begin, then = 100 + length, 100 + length + gap
    scenario = scenario_of(
        pod("100s", f"{begin}s", fail="refuse"),
        pod(f"{then}s", f"{then + length}s", fail="refuse"),
        path="service",
        cluster=pods,
    )
    first, _, second, _ = lived(scenario, replication=replication, horizon=900.0).changes
    if length <= 10 * (failures - 1):  # no room for so many probes in one failure
        assert first.list_changed_at is None
        assert gap < 10 or second.list_changed_at is None
    if length >= 10 * failures:
        assert 0 <= first.list_changed_at - 100.0 - 10.0 * (failures - 1) <= 10.0

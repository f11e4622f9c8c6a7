"""What changes of a cluster did: times of the views, what dead pods were sent, recovery."""

from __future__ import annotations

import json

import numpy as np
from hypothesis import given
from hypothesis import strategies as st
from test_balance import PODS, run_of, shape_of
from test_existence import changing, note
from test_summary import result_of

from lbbench.core.histogram import COARSE, coarse_index
from lbbench.model.check import build
from lbbench.model.result import Result
from lbbench.stats.changes import change_blocks
from lbbench.studies.run import run

WIDTH = 2.0  # seconds of a window in `shape_of`
WINDOWS = 32
EACH = 200  # requests of a window


def windows(latency=0.05, *, late=None, failed=None, pods=None):
    """Return a tally whose windows have ``EACH`` requests of one latency (seconds).

    ``late``, ``failed`` and ``pods`` give latency, failures and counts per pod by window.
    """
    y = run_of(1, 64)
    counts = np.zeros((WINDOWS, COARSE), np.int64)
    lost = np.zeros(WINDOWS, np.int64)
    placed = np.full((WINDOWS, PODS), EACH // PODS)
    for i in range(WINDOWS):
        counts[i, coarse_index(round((late or {}).get(i, latency) * 1e9))] = EACH
        lost[i] = (failed or {}).get(i, 0)
        placed[i] = (pods or {}).get(i, placed[i])
    return y._replace(
        window_offered=np.full(WINDOWS, EACH),
        window_failed=lost,
        window_counts=counts,
        window_pods=placed,
    )


def recovered(y, *changes, warmup=0.0):
    """Return recover_s of every change."""
    shape = changing(shape_of(), changes=changes)
    return [block["recover_s"] for block in change_blocks(y, [shape], warmup)]


def sent_to_dead(**by_pod):
    """Return a tally with (attempts, first, last) sent to dead pods."""
    y = windows()
    for name, (n, first, last) in by_pod.items():
        pod = int(name[-1])
        y.pod_dead[pod], y.pod_dead_first[pod], y.pod_dead_last[pod] = n, first, last
    return y


def test_without_a_timeline_there_is_nothing():
    """The key is there and empty; an older document without it is read all the same."""
    result = result_of(run_of(1))
    assert result.changes == ()
    document = result.to_dict()
    assert document["changes"] == []
    del document["changes"]
    assert Result.from_json(json.dumps(document)).changes == ()


def test_times_of_the_views_are_seconds_after_the_change():
    """First and last view of the plan; nobody follows a change that changes no list."""
    shape = changing(shape_of(), changes=(note(20.0, views=(20.5, 24.0)), note(30.0)))
    seen, unseen = change_blocks(windows(), [shape], 0.0)
    assert (seen["at_s"], seen["what"]) == (20.0, "something")
    assert (seen["list_changed_s"], seen["detect_s"], seen["reroute_s"]) == (0.5, 0.5, 4.0)
    assert unseen["list_changed_s"] is unseen["detect_s"] is unseen["reroute_s"] is None
    assert seen["dead"] == {"attempts": 0, "from_s": None, "to_s": None}


def test_times_of_the_views_are_means_over_the_replications():
    """2 s and 4 s give 3 s; a replication in which nobody followed does not count."""
    given = (note(20.0, views=(22.0, 30.0)), note(20.0, views=(24.0, 32.0)), note(20.0))
    shapes = [changing(shape_of(), changes=(one,)) for one in given]
    (block,) = change_blocks(windows(), shapes, 0.0)
    assert (block["detect_s"], block["reroute_s"]) == (3.0, 11.0)


def test_the_last_attempt_sent_to_a_dead_pod_is_later_than_the_last_view():
    """An attempt sent after every list had changed counts as not yet rerouted."""
    shape = changing(shape_of(), changes=(note(20.0, pods=(1,), views=(21.0, 22.0)),))
    (block,) = change_blocks(sent_to_dead(pod1=(7, 20.5, 26.0)), [shape], 0.0)
    assert block["reroute_s"] == 6.0
    assert block["dead"] == {"attempts": 7, "from_s": 20.5, "to_s": 26.0}
    (block,) = change_blocks(sent_to_dead(pod1=(7, 20.5, 21.5)), [shape], 0.0)
    assert block["reroute_s"] == 2.0


def test_what_a_node_learns_when_it_is_back_is_no_rerouting():
    """Workers on the node that was down take the old list's change at 40 s: nobody waited so."""
    down = note(20.0, pods=(1,), nodes=(0,), views=(25.0, 40.0))
    up = note(40.0, pods=(1,), nodes=(0,), views=(40.0, 41.0))
    shape = changing(shape_of(), changes=(down, up))
    first, second = change_blocks(sent_to_dead(pod1=(9, 20.0, 27.0)), [shape], 0.0)
    assert (first["reroute_s"], second["reroute_s"]) == (7.0, 1.0)
    other = changing(shape_of(), changes=(down, note(40.0, nodes=(1,))))
    assert change_blocks(sent_to_dead(), [other], 0.0)[0]["reroute_s"] == 20.0


def test_each_pods_count_goes_to_the_change_behind_it():
    """The latest change of that pod before its first; without one, the latest of all before it."""
    shape = changing(
        shape_of(),
        changes=(
            note(10.0, pods=(0, 1)),
            note(20.0, pods=(1,)),
            note(30.0),  # routes are missing, say: no pod is named
            note(40.0, pods=(1, 2)),
        ),
    )
    y = sent_to_dead(pod0=(1, 22.0, 23.0), pod1=(2, 25.0, 45.0), pod2=(4, 31.0, 32.0),
                     pod3=(8, 33.0, 34.0))  # fmt: skip
    blocks = change_blocks(y, [shape], 0.0)
    assert [block["dead"]["attempts"] for block in blocks] == [1, 2, 12, 0]
    assert blocks[2]["dead"] == {"attempts": 12, "from_s": 31.0, "to_s": 34.0}


@given(st.lists(st.tuples(st.integers(0, 50), st.floats(10.0, 60.0)), min_size=4, max_size=4))
def test_nothing_that_was_sent_to_dead_pods_is_lost_or_counted_twice(sent):
    """The changes' counts add up to the pods', whatever pod was hit when."""
    y = sent_to_dead(**{f"pod{i}": (n, at, at + 1.0) for i, (n, at) in enumerate(sent)})
    changes = (note(10.0), note(20.0, pods=(1, 2)), note(30.0, pods=(2,)))
    blocks = change_blocks(y, [changing(shape_of(), changes=changes)], 0.0)
    assert sum(block["dead"]["attempts"] for block in blocks) == sum(n for n, _ in sent)


def test_calm_windows_are_recovered_at_once():
    """Where no window is worse than before, nothing had to recover."""
    assert recovered(windows(), note(20.0), note(33.0)) == [0.0, 0.0]


def test_recovery_is_the_end_of_the_last_window_with_failures():
    """Failures in the windows from 20 s and 26 s: over at 28 s."""
    assert recovered(windows(failed={10: 3, 13: 1}), note(20.0)) == [8.0]
    assert recovered(windows(failed={10: 3, 13: 1}), note(21.0)) == [7.0]
    # as many failed before, so they are nothing that the change did
    assert recovered(windows(failed={4: 3, 10: 3, 13: 1}), note(20.0)) == [0.0]
    assert recovered(windows(failed={31: 1}), note(20.0)) == [None]


def test_recovery_waits_for_the_latency():
    """A p99 that is 9 % higher counts as before, 12 % does not (a bucket is 1 % wide)."""
    slow = dict.fromkeys(range(10, 15), 0.056)
    assert recovered(windows(late=slow), note(20.0)) == [10.0]
    assert recovered(windows(late=dict.fromkeys(range(10, 32), 0.056)), note(20.0)) == [None]
    assert recovered(windows(late=dict.fromkeys(range(10, 32), 0.0542)), note(20.0)) == [0.0]
    # a good window between bad ones is no end: 20 .. 26 s and 28 .. 32 s are slow
    twice = dict.fromkeys((10, 11, 12, 14, 15), 0.1)
    assert recovered(windows(late=twice), note(20.0)) == [12.0]
    # one window before was as slow by chance
    assert recovered(windows(late={**slow, 3: 0.056}), note(20.0)) == [0.0]


def test_recovery_waits_for_even_shares():
    """A pod with 20 % more than the mean is not as before; one that gets nothing does not count."""
    odd = {i: np.array([60, 60, 40, 40]) for i in range(10, 14)}
    assert recovered(windows(pods=odd), note(20.0)) == [8.0]
    out = {i: np.array([67, 67, 66, 0]) for i in range(10, 32)}
    assert recovered(windows(pods=out), note(20.0)) == [0.0]


def test_recovery_is_looked_for_until_the_next_change():
    """What is still bad at the next change has not recovered from the first."""
    bad = windows(failed=dict.fromkeys(range(10, 20), 5))
    assert recovered(bad, note(20.0), note(36.0)) == [None, 4.0]
    assert recovered(bad, note(20.0), note(44.0)) == [20.0, 0.0]
    # both in one window: there is no window for the first of them
    assert recovered(bad, note(40.0), note(41.0)) == [None, 0.0]


def test_nothing_can_be_told_without_windows_before():
    """A change at the beginning has nothing to be compared with; a warm-up does not count."""
    assert recovered(windows(), note(0.0)) == [None]
    assert recovered(windows(), note(1.0)) == [None]
    slow = dict.fromkeys(range(3), 5.0)  # the first 6 s are warm-up
    later = dict.fromkeys(range(10, 12), 0.1)
    assert recovered(windows(late={**slow, **later}), note(20.0), warmup=6.0) == [4.0]
    assert recovered(windows(late={**slow, **later}), note(20.0)) == [0.0]


def test_a_dead_pod_is_found_out_as_its_probes_say():
    """Readiness with period 2 s and 3 failures: out after 4 to 6 s (and 1 s for the workers).

    Turns alternate, a retry takes one too, and every request ends at the live pod: so until then
    the dead one gets as many attempts as there are requests, 100 /s, one more or less for each of
    the 4 workers. The tolerance is four standard deviations of a Poisson number.
    """
    scenario = build(
        {
            "cluster": {
                "nodes": 1,
                "pods": 2,
                "pod": {"readiness": {"period": "2s", "failures": 3}, "concurrency": 8},
            },
            "stages": {
                "ingress": {"timeouts": {"connect": "1ms"}, "sync": {"rate_limit": "unlimited"}}
            },
            "traffic": {"arrivals": {"rate": "100/s"}, "service_time": {"mean": "5ms"}},
            "run": {"duration": "40s"},
            "timeline": [{"at": "20s", "pod": "pod-1", "fail": "blackhole"}],
        }
    )
    result = run(scenario, engine="reference")
    (change,) = result.changes
    assert change["what"] == "pod-1 fails: blackhole"
    assert 4.0 <= change["detect_s"] <= change["reroute_s"] <= 7.0
    low, high = 100.0 * change["detect_s"], 100.0 * change["reroute_s"]
    attempts = change["dead"]["attempts"]
    assert low - 4 * low**0.5 - 4 <= attempts <= high + 4 * high**0.5 + 4
    assert change["dead"]["to_s"] <= 20.0 + change["reroute_s"]
    assert result.requests["saved"] + result.requests["failed"] == result.requests["retried"]
    assert 0 < result.requests["retried"] <= change["dead"]["attempts"]
    assert result.requests["attempts_per_request"] == (
        result.requests["attempts"] / result.requests["offered"]
    )
    assert not any("has not settled" in w and "run longer" in w for w in result.warnings)


def test_both_engines_report_the_same_changes():
    """The block is a function of the counts, which are equal."""
    scenario = build(
        {
            "cluster": {"nodes": 2, "pods": 4},
            "traffic": {"utilisation": 0.5, "service_time": {"mean": "50ms"}},
            "run": {"duration": "60s"},
            "timeline": [
                {"at": "20s", "rollout": {"ready_after": "2s", "drain": "0s", "grace": "1s"}},
                {"at": "45s", "node": "node-1", "state": "down", "until": "50s"},
            ],
        }
    )
    fast, reference = run(scenario), run(scenario, engine="reference")
    assert fast.changes == reference.changes
    assert [change["what"] for change in fast.changes] == [
        "rollout", "node-1 goes down", "node-1 is up",
    ]  # fmt: skip
    assert fast.to_json(clock=False) == reference.to_json(clock=False)


def test_what_is_remembered_is_named():
    """Affinity follows sessions, or keys where the balancer hashes the path and nobody has one."""
    data = {"traffic": {"utilisation": 0.3}, "run": {"requests": 300}}
    by_key = {"ingress": {"balancer": "chash", "hash_by": "$request_uri"}}
    assert run(build(data), engine="reference").affinity["unit"] == "session"
    found = run(build({**data, "stages": by_key}), engine="reference")
    assert found.affinity["unit"] == "key"

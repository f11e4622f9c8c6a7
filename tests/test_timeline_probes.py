"""The load balancer's probes: how long it takes until a node's verdict turns.

With interval I, threshold k and a change at a uniform phase, the times are sums of a uniform number
and constants (see the docstring of `probes.py`). Each law is tested on many nodes of their own.
"""

import math

import numpy as np
import pytest
from living import FALSE_ALARM, is_uniform, track
from scipy import stats

from lbbench.core.rng import wrapping
from lbbench.engines.script import ERROR, OPEN, REFUSE, SILENT
from lbbench.engines.timeline.policy import NodeRules
from lbbench.engines.timeline.probes import Scene, verdict_track

N = 1000  # nodes of each law
AT = 100.0
ALL = NodeRules((0, 1))
UP = track(True)


def scene(*, up=UP, rules=None, routes=UP, doors=(), kind="tcp", local=False, target_node=(0, 0)):
    """Return what the probes of node 0 of two run into; both targets are on it."""
    return Scene(
        node_up=[up, UP],
        rules=[rules or track(ALL), track(ALL)],
        routes=routes,
        target_node=target_node,
        doors=dict(enumerate(doors)),
        kind=kind,
        local=local,
    )


def turns(made, *, nodes=N, interval=5.0, threshold=2, horizon=1000.0):
    """Return what the verdict on each of many nodes becomes: a list of (time, is up) each."""
    with wrapping():
        found = [
            verdict_track(
                made,
                0,
                name=f"node-{i}",
                seed=1,
                replication=0,
                interval=interval,
                threshold=threshold,
                horizon=horizon,
            )
            for i in range(nodes)
        ]
    return [list(zip(item.times[1:], item.values[1:], strict=True)) for item in found]


def delays(made, what=False, since=AT, **options):
    """Return how long after ``since`` each verdict turned, which it must have done once."""
    found = turns(made, **options)
    assert all(len(item) == 1 and item[0][1] is what for item in found)
    return [item[0][0] - since for item in found]


def doors(kind, until=math.inf):
    """Return the doors of both pods, ``kind`` from AT on."""
    changes = [(AT, kind), *([(until, OPEN)] if until < math.inf else [])]
    return (track(OPEN, *changes), track(OPEN, *changes))


@pytest.mark.parametrize(("threshold", "interval"), [(2, 5.0), (1, 5.0), (3, 15.0)])
def test_a_reset_counts_when_its_probe_is_sent(threshold, interval):
    """TCP with a reset: U(0, I) + (k - 1) I, for 5 s x 2 from 5 to 10 s."""
    found = delays(scene(doors=doors(REFUSE)), threshold=threshold, interval=interval)
    assert is_uniform(found, (threshold - 1) * interval, threshold * interval)


@pytest.mark.parametrize(("threshold", "interval"), [(2, 5.0), (1, 5.0), (3, 15.0)])
def test_silence_counts_when_the_next_probe_is_due(threshold, interval):
    """TCP into a black hole: U(0, I) + k I, for 5 s x 2 from 10 to 15 s."""
    found = delays(scene(doors=doors(SILENT)), threshold=threshold, interval=interval)
    assert is_uniform(found, threshold * interval, (threshold + 1) * interval)


def test_an_http_answer_turns_the_verdict_at_once():
    """HTTP 503: U(0, I) whatever the threshold, and U(0, I) back."""
    rules = track(
        NodeRules((0,), ready_here=True),
        (AT, NodeRules((0,), ready_here=False)),
        (200.0, NodeRules((0,), ready_here=True)),
    )
    found = turns(scene(rules=rules, kind="http", local=True), threshold=3)
    assert all([is_up for _, is_up in item] == [False, True] for item in found)
    assert is_uniform([item[0][0] - AT for item in found], 0.0, 5.0)
    assert is_uniform([item[1][0] - 200.0 for item in found], 0.0, 5.0)


@pytest.mark.parametrize(("interval", "wait"), [(5.0, 5.0), (60.0, 30.0)])
def test_http_gives_up_after_30_s_at_most(interval, wait):
    """HTTP into a black hole: U(0, I) + (k - 1) I + min(I, 30 s)."""
    made = scene(up=track(True, (AT, False)), kind="http", local=False)
    found = delays(made, interval=interval)
    assert is_uniform(found, interval + wait, 2 * interval + wait)


def test_a_node_is_taken_back_after_k_successes():
    """TCP recovery: U(0, I) + (k - 1) I."""
    found = turns(scene(doors=doors(REFUSE, until=200.0)), threshold=3)
    assert all([is_up for _, is_up in item] == [False, True] for item in found)
    assert is_uniform([item[1][0] - 200.0 for item in found], 10.0, 15.0)


def test_after_a_boot_one_success_suffices():
    """A node that was down and boots is taken back with its first good probe: U(0, I)."""
    found = turns(scene(up=track(True, (AT, False), (200.0, True))), threshold=3)
    assert is_uniform([item[0][0] - AT for item in found], 15.0, 20.0)
    assert is_uniform([item[1][0] - 200.0 for item in found], 0.0, 5.0)


def test_one_success_suffices_only_once_after_a_boot():
    """A failure of the pods long after the boot is over only after k successes."""
    both = [track(OPEN, (300.0, REFUSE), (400.0, OPEN))] * 2
    found = turns(scene(up=track(True, (AT, False), (200.0, True)), doors=both))
    assert all([is_up for _, is_up in item] == [False, True] * 2 for item in found)
    assert is_uniform([item[3][0] - 400.0 for item in found], 5.0, 10.0)


@pytest.mark.parametrize(
    ("what", "silent"),
    [
        ({"rules": track(ALL, (AT, NodeRules(())))}, False),
        ({"rules": track(ALL, (AT, NodeRules((), drops=True)))}, True),
        ({"routes": track(True, (AT, False)), "target_node": (1, 1)}, True),
        ({"up": track(True, (AT, False))}, True),
    ],
    ids=["rejects", "drops", "no routes", "node down"],
)
def test_what_else_a_tcp_probe_runs_into(what, silent):
    """An empty list that rejects is a reset; one that drops, lost hops and a dead node: silence."""
    least = 10.0 if silent else 5.0
    assert is_uniform(delays(scene(**what), nodes=300), least, least + 5.0)


def test_a_node_without_a_route_to_others_reaches_its_own_pods():
    """Routes are for hops between nodes: a probe to a pod of its own node does not need them."""
    assert turns(scene(routes=track(True, (AT, False))), nodes=20) == [[]] * 20


def test_a_pod_that_answers_errors_accepts_the_probe():
    """A TCP probe sees the handshake, not the 5xx."""
    assert turns(scene(doors=doors(ERROR)), nodes=20) == [[]] * 20


def test_http_under_cluster_only_sees_the_node():
    """kube-proxy's own healthz says nothing of pods."""
    assert turns(scene(doors=doors(REFUSE), kind="http"), nodes=20) == [[]] * 20


def test_one_bad_pod_of_three_makes_the_verdict_flap_as_often_as_chance_says():
    """Probes draw their target: with one of three pods refusing, f = 1/3 and k = 2.

    Until two failures in a row it takes (1 + f) / f^2 = 12 probes, until two successes with
    g = 2/3 (1 + g) / g^2 = 3.75; so the node is out 3.75 / 15.75 of the time. The deviation of that
    share over n cycles follows from those of the two times, v(p) = (1 - 5 q p^2 - p^5) /
    (q p^2)^2 of waiting for two in a row at chance p, q = 1 - p.
    """
    bad = track(OPEN, (0.0, REFUSE))
    made = Scene([UP], [track(NodeRules((0, 1, 2)))], UP, (0, 0, 0), {0: bad}, "tcp", local=False)
    end = 500_000.0
    out = sorted(turns(made, nodes=1, horizon=end)[0])
    times = np.array([time for time, _ in out])
    assert [is_up for _, is_up in out] == [i % 2 == 1 for i in range(len(out))]
    cycles = len(out) // 2
    outages = times[1 : 2 * cycles : 2] - times[0 : 2 * cycles : 2]
    share = np.sum(outages) / times[2 * cycles - 1]

    def variance(p):
        q = 1.0 - p
        return (1.0 - 5.0 * q * p**2 - p**5) / (q * p**2) ** 2

    expected, mean = 3.75 / 15.75, 15.75
    spread = (1 - expected) ** 2 * variance(2 / 3) + expected**2 * variance(1 / 3)
    deviation = math.sqrt(spread / cycles) / mean
    assert abs(share - expected) < stats.norm.isf(FALSE_ALARM / 2) * deviation


def test_passing_over_probes_changes_nothing():
    """What happens far from any probe's notice gives the same verdicts as probing all the time.

    A pod that opens and shuts at times that nobody probes forces every probe to be made.
    """
    changes = [(AT, REFUSE), (200.0, OPEN), (777.7, SILENT), (900.0, OPEN)]
    busy = [(50.0 + 0.5 * i, (REFUSE, OPEN)[i % 2]) for i in range(1800)]
    plain = scene(doors=(track(OPEN, *changes),) * 2)
    noisy = scene(doors=(track(OPEN, *changes),) * 2)
    noisy.doors[7] = track(OPEN, *busy)  # no target of this node
    assert turns(plain, nodes=50) == turns(noisy, nodes=50)


def test_the_phase_is_each_nodes_own():
    """Verdicts on different nodes turn at different times."""
    found = delays(scene(doors=doors(REFUSE)), nodes=50)
    assert len(set(found)) == 50

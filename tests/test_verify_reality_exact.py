"""What leaves no room in recorded runs: cycles, keys, cookies, forced scores and queues."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pytest
from recorded import REALITY, recording, shifted, slower, tampered

from lbbench.verify.reality_forced import forced, queued_latency, replayed_scores
from lbbench.verify.reality_picks import common_cycle, off_cycle, picks, with_dead
from lbbench.verify.reality_reading import Recording, recordings

ALL = recordings(REALITY)
FAR = np.arange(1000.0)
"""Moments at which nothing is written close to anything else."""


@pytest.mark.parametrize("run", ALL, ids=lambda run: run.name)
def test_every_recorded_run_keeps_to_the_rules(run):
    """All exact checks that the run has."""
    rows = [*picks(run), *forced(run)]
    assert [(row.statistic, row.measured) for row in rows if not row.passed] == []
    assert len(rows) >= 4


def test_each_balancer_has_its_checks():
    """A check that is silently left out would pass for ever."""
    claims = {run.name: [row.statistic for row in [*picks(run), *forced(run)]] for run in ALL}
    assert "connections with several pods" in claims["E2_iptables_n3_keep20"]
    assert "picks off the cycle" in claims["E3_rr_n10_4w"]
    assert "ewma score: median relative error" in claims["E4_ewma_n10_rho0.7"]
    assert "picks off the ring" in claims["E11_chash_deadpod"]
    assert "keys with more than 3 pods" in claims["E6_chashsubset_uri"]
    assert all(sum("queues forced" in claim for claim in found) == 4 for found in claims.values())


@pytest.mark.parametrize(
    ("name", "change", "claim"),
    [
        ("E2_iptables_n3_keep20", None, "connections with several pods"),
        ("E3_rr_n10_4w", shifted, "picks off the cycle"),
        ("E6_chash_uri", shifted, "picks off the ring"),
        ("E6_chash_uri", shifted, "keys with several pods"),
        ("E4_ewma_n10_rho0.7", shifted, "ewma score: median relative error"),
        ("E9_nginx_least_conn_rho0.7", slower, "queues forced: p50 of measured - computed, ms"),
    ],
)
def test_what_is_tampered_with_is_found(name, change, claim, tmp_path):
    """Shifted pods break the picks, longer answers the queues."""

    def rotated(number, row):
        row["pod"] = str((int(row["pod"]) + (number % 7 == 0)) % 3)

    folder = tampered(name, tmp_path, change or rotated)
    (run,) = recordings(folder)
    assert claim in {row.statistic for row in [*picks(run), *forced(run)] if not row.passed}


def test_an_unfair_rule_fails_chi_square(tmp_path):
    """All connections of pod 2 sent to pod 1."""

    def moved(_number, row):
        row["pod"] = row["pod"].replace("2", "1")

    (run,) = recordings(tampered("E1_iptables_n3", tmp_path, moved))
    failed = {row.statistic for row in picks(run) if not row.passed}
    assert failed == {"connections per pod: p of chi-square"}


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        ([0, 1, 2, 0, 1, 2, 0], (0, 0)),
        ([2, 0, 1, 2], (0, 0)),
        ([0, 1, 2, 2, 0, 1, 2], (1, 0)),  # one slip counts once
        ([0, 1, 0, 1, 2, 0, 1, 2], (1, 0)),
    ],
)
def test_picks_off_a_cycle_are_counted(line, expected):
    """By hand on 0 1 2."""
    assert off_cycle(line, FAR, [0, 1, 2]) == expected


def test_a_pair_written_at_once_may_be_swapped():
    """0 1 3 2 0: the pair within 0.05 ms is one swap, the same pair 1 ms apart two slips."""
    line, cycle = [0, 1, 3, 2, 0], [0, 1, 2, 3]
    close = np.array([0.0, 1.0, 2.0, 2.00005, 3.0])
    assert off_cycle(line, close, cycle) == (0, 1)
    assert off_cycle(line, FAR, cycle)[0] == 3


def test_requests_written_at_once_may_come_in_any_order():
    """0 3 1 2 0: the three within 0.1 ms of each other are one group; 1 ms apart they are slips."""
    line, cycle = [0, 3, 1, 2, 0, 1], [0, 1, 2, 3]
    close = np.array([0.0, 1.0, 1.00005, 1.00009, 3.0, 4.0])
    assert off_cycle(line, close, cycle) == (0, 1)
    assert off_cycle(line, np.array([0.0, 1.0, 1.00005, 2.0, 3.0, 4.0]), cycle)[0] > 0
    assert off_cycle([0, 3, 1, 1, 0, 1], close, cycle)[0] > 0


def test_a_request_that_meets_a_dead_pod_takes_a_later_turn():
    """Cycle 0 1 D: the third request meets D; its retry comes after the fourth one's pick."""
    assert off_cycle([0, 1, 1, 0, 0, 1], FAR, [0, 1, 9], [9]) == (0, 0)
    assert off_cycle([0, 1, 0, 1, 0, 1], FAR, [0, 1, 9], [9]) == (0, 0)  # at once
    assert off_cycle([0, 1, 0, 0, 0, 1], FAR, [0, 1, 9], [9])[0] > 0


def test_the_cycle_is_what_mostly_follows():
    """In any order, from the lowest pod; two loops are no cycle."""
    assert common_cycle([3, 1, 2, 0] * 5 + [3, 2, 1, 0]) == [0, 3, 1, 2]
    assert common_cycle([0, 1, 0, 1, 2, 3, 2, 3]) == []
    assert list(with_dead([0, 1], [2])) == [[0, 2, 1], [0, 1, 2]]


def jar_run(pods, cookies):
    """Return a sticky run: request k of jar 0 at second k, answered after 0.1 s by pods[k]."""
    n = len(pods)
    sent = {"id": np.arange(n), "t_us": 1e6 * np.arange(n), "jar": np.zeros(n)}
    seen = {
        "pod": np.array(pods, float),
        "status": np.full(n, 200.0),
        "sent_us": np.zeros(n),
        "lat_us": np.full(n, 1e5),
        "cookie": np.array([0.0] + [1.0] * (n - 1)),
    }
    ingress = SimpleNamespace(balancer="sticky_balanced")
    scenario = SimpleNamespace(path="ingress", stages=SimpleNamespace(ingress=ingress))
    run = Recording("sticky", 1, REALITY, scenario, {}, sent, seen)
    run.__dict__["jars"] = [(0, request, text) for request, text in cookies]
    return run


def test_a_cookie_has_one_pod():
    """The cookie that a request carries is the last one answered before it was written."""
    cookies = [(0, "a"), (3, "b")]
    (row,) = picks(jar_run([4, 4, 4, 4, 7, 7], cookies))
    assert (row.statistic, row.measured, row.passed) == ("cookies with several pods", 0, True)
    (row,) = picks(jar_run([4, 4, 5, 4, 7, 7], cookies))
    assert (row.measured, row.passed) == (1, False)


def test_queues_by_hand():
    """Two requests at one pod, 10 ms of work each, 4 ms apart: the second waits 6 ms."""
    sent = {"t_us": np.array([0.0, 4000.0]), "svc_us": np.array([1e4, 1e4])}
    seen = {"pod": np.zeros(2), "sent_us": np.zeros(2), "lat_us": np.zeros(2)}
    scenario = SimpleNamespace(path="service")
    run = Recording("two", 1, REALITY, scenario, {"concurrency": 1}, sent, seen)
    np.testing.assert_allclose(queued_latency(run), [0.010, 0.016])
    alone = replace(run, summary={"concurrency": 2})
    np.testing.assert_allclose(queued_latency(alone), [0.010, 0.010])
    slow = replace(run, summary={"concurrency": 1, "pod_args": ["-s", "0=2"]})
    np.testing.assert_allclose(queued_latency(slow), [0.020, 0.036])


def test_forced_scores_follow_the_written_rule():
    """The first score of a pod after one answer is that answer's time, decayed over 10 s."""
    run = recording("E4_ewma_n10_rho0.7")
    mine = replayed_scores(run)
    order = np.argsort(run.written, kind="stable")
    seen: Counter[int] = Counter()
    checked = 0
    for i in order:
        pod = int(run.pod[i])
        earlier = [k for k in np.flatnonzero(run.pod == pod) if run.written[k] < run.written[i]]
        over = [k for k in earlier if run.arrival[k] + run.latency[k] <= run.written[i]]
        seen[pod] += 1
        if len(over) == 1 and seen[pod] <= 3:
            (k,) = over
            rtt = (run.seen["up_ct_ms"][k] + run.seen["up_rt_ms"][k]) / 1000
            past = run.written[i] - run.arrival[k] - run.latency[k]
            assert mine[i] == pytest.approx(rtt * np.exp(-past / 10.0), rel=1e-12)
            checked += 1
        if seen.total() > 100:
            break
    assert checked >= 3

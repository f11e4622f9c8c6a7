"""Figures of clusters that change, from records made by hand."""

import math

import pytest

from lbbench.verify import over_time


def test_shares_within_a_time(made_run):
    """Requests from ``since`` on and before ``until`` count; a star stands for several pods."""
    run = made_run(arrival=[0, 1, 2, 3], pod=[0, 1, 1, 2])
    assert over_time.share_of(run, pod="pod-1") == 0.5
    assert over_time.share_of(run, pod="pod-1", since=1, until=3) == 1
    assert over_time.share_of(run, pod="pod-*", since=3) == 1
    run = made_run(arrival=[0, 1, 2, 3], error=[0, -1, 1, -1])
    assert over_time.lost_since(run, since=1) == 1


def test_the_share_until_the_first_answer(made_run):
    """What comes after the pod's first answer does not count, nor what failed as an answer."""
    run = made_run(
        arrival=[0, 1, 2, 3, 4],
        pod=[2, 2, 1, 0, 2],
        end=[1, 3.5, 2, 3, 4],
        error=[2, -1, -1, -1, -1],
    )
    assert over_time.share_until_first_answer(run, pod="pod-2", since=0) == pytest.approx(2 / 4)


def test_sessions_that_moved(made_run):
    """The last pod before the change against the first one after it has settled."""
    run = made_run(
        session=[0, 1, 2, 0, 0, 1, 2, 0, 3],
        arrival=[0, 1, 2, 3, 11, 12, 13, 14, 15],
        pod=[0, 0, 1, 1, 0, 0, 2, 1, 2],
    )
    # session 0 was at 1 and is at 1 (the request at 11 comes too early), 1 stays, 2 moves, 3 is new
    assert over_time.moved(run, at=10, settled=1.5) == pytest.approx(1 / 3)


def test_connections_at_the_end(made_run):
    """A client is where its last answered request went."""
    run = made_run(client=[0, 1, 0, 1], pod=[0, 0, 1, 2], error=[-1, -1, -1, 0])
    assert over_time.connections_at_end(run) == [1, 1, 0]


def test_new_connections_beyond_their_turn(made_run):
    """Of four new connections two are the turn of one of three pods; an old one is not new."""
    kept = {"traffic.connections.requests": "unlimited"}
    ports, pods = [1, 1, 2, 3, 4, 5], [1, 1, 1, 1, 0, 2]
    run = made_run(changes=kept, port=ports, pod=pods)
    assert over_time.excess_of_new(run, pod="pod-1", since=1.5) == 0
    run = made_run(changes=kept, port=ports, pod=[1, 1, 1, 1, 1, 2])
    assert over_time.excess_of_new(run, pod="pod-1", since=1.5) == 1


def test_late_requests(made_run):
    """Late is what took as long or longer, or failed by a timeout; a refusal is no delay."""
    run = made_run(arrival=[0, 1, 2, 3], end=[5, 2, 2.5, 9], error=[-1, -1, 1, 0])
    assert over_time.delayed_share(run, by=5.0) == pytest.approx(2 / 4)


def test_a_request_lasts_as_long_as_its_attempts(made_run):
    """Seven timeouts of 60 s and an answer after 6.74 s leave nothing; a wait of 1 s is left."""
    times = {"arrival": [0.0], "start": [420.0], "end": [426.74], "attempts": [8]}
    assert over_time.beside_its_attempts(made_run(**times)) == pytest.approx(0.0)
    times |= {"start": [421.0], "end": [427.74]}
    assert over_time.beside_its_attempts(made_run(**times)) == pytest.approx(1.0)


FAILURES = {
    "timeline": [
        {"at": "10s", "pod": "pod-0", "fail": "refuse", "until": "30s"},
        {"at": "50s", "pod": "pod-0", "fail": "refuse", "until": "70s"},
    ]
}


def test_how_long_a_failure_is_felt(made_run):
    """From the failure to its last failed request; what failed at other times is not its fault."""
    run = made_run(
        changes=FAILURES,
        arrival=[5, 11, 16, 17, 52, 59, 65],
        error=[0, 0, 0, -1, 0, 0, -1],
    )
    assert over_time.detection_range(run) == [6, 9]
    assert over_time.mean_detection(run) == 7.5
    assert over_time.lost_per_failure(run) == 2


@pytest.mark.parametrize("p", [0.2, 1 / 3, 0.7])
def test_two_failures_in_a_row(made_run, p):
    """Nodes that stay up for (1 + p) / p^2 probes give p^2 back."""
    up, down = (1 + p) / p**2 * 5.0, 10.0
    begins = [k * (up + down) for k in range(20)]
    arrival = [begin + i * up / 100 for begin in begins for i in range(101)] + [20 * (up + down)]
    run = made_run(arrival=arrival, node=[0] * len(arrival))
    assert over_time.p_two_in_a_row(run) == pytest.approx(p * p)


def test_what_a_quota_leaves(made_run):
    """Work done per place and period, and the longest a request stood while it was served."""
    n = 101
    end = [i * 0.2 for i in range(n)]
    run = made_run(end=end, start=[e - 0.02 for e in end[:-1]] + [end[-1] - 0.11])
    assert over_time.max_stall(run) == pytest.approx(90.0)
    assert math.isnan(over_time.run_per_period(run))  # there is no quota
    run = made_run(changes={"cluster.pod.cfs": {"quota": "10ms"}}, end=end)
    assert over_time.run_per_period(run) == pytest.approx(n * 20.0 / 20.0 * 0.1)

"""What a run says on top: what is not simulated, what is too short, what is not overloaded."""

from __future__ import annotations

import pytest

from lbbench.model.check import build
from lbbench.stats.remarks import is_of_one_run
from lbbench.studies.run import run


def warnings(**changes) -> str:
    data = {"traffic": {"utilisation": 0.5}, "run": {"requests": 2000}, **changes}
    return "\n".join(run(build(data)).warnings)


def steps(first: str, then: str) -> dict:
    arrivals = {"process": "steps", "steps": [["0s", first], ["10s", then]]}
    return {"traffic": {"arrivals": arrivals}}


@pytest.mark.parametrize(("first", "then"), [("300/s", "10/s"), ("10/s", "300/s")])
def test_a_given_warm_up_is_rounded_up_to_a_segment_of_the_run_as_it_was(first, then):
    """Whatever the arrivals do, at least the given time is cut, and less than a segment more."""
    given = {**steps(first, then), "run": {"requests": 4000, "warmup": "5s"}}
    result = run(build(given))
    longest = 4000 / 64 / 10  # seconds that a segment can take at 10/s
    assert 5.0 <= result.time_s["warmup"] <= 5.0 + longest * 1.5


def test_a_warm_up_that_leaves_nothing_is_told():
    """A warm-up longer than the run keeps the last segment and says so."""
    assert "leaves only the last of 64 segments" in warnings(run={"requests": 2000, "warmup": "1h"})


def test_no_request_is_one_warning():
    """A run without arrivals says that, and nothing about percentiles."""
    said = warnings(traffic={"arrivals": {"rate": "1/h"}}, run={"duration": "1s"})
    assert said == "no request arrived: the run is too short for its rate; run longer"


def test_idle_clients_and_long_connections_open_new_ones():
    """Nginx closes a connection after 75 s without a request, and after 1000 requests."""
    idle = {
        "arrivals": {"process": "deterministic", "rate": "1/min"},
        "clients": {"count": 1},
        "connections": {"requests": "unlimited"},
    }
    kept = run(build({"traffic": idle, "run": {"requests": 100}}))
    assert kept.network["connects_per_client_request"] == 0.01
    seldom = {**idle, "arrivals": {"process": "deterministic", "rate": "0.7/min"}}
    closed = run(build({"traffic": seldom, "run": {"requests": 100}}))
    assert closed.network["connects_per_client_request"] == 1.0
    busy = {**idle, "arrivals": {"process": "deterministic", "rate": "10/s"}}
    many = run(build({"traffic": busy, "run": {"requests": 2500}}))
    assert many.network["connects_per_client_request"] == 3 / 2500


def test_answers_that_take_longer_than_nginx_waits_fail():
    """An overloaded cluster meets the read timeout: 504, after one attempt per try."""
    slow = {"utilisation": 3.0, "service_time": {"distribution": "exponential", "mean": "2s"}}
    result = run(build({"traffic": slow, "run": {"requests": 3000}}))
    assert result.requests["by_error"]["read_timeout"] > 0
    assert result.latency_s["max"] < 3 * 60.0


def test_a_pod_that_few_requests_keep_busy_is_not_over_capacity():
    """With many pods and a short run a pod may serve two long requests and nothing else."""
    said = warnings(cluster={"pods": 1025}, run={"requests": 3000})
    assert "over capacity" not in said


def test_the_last_window_is_as_wide_as_the_others():
    """A run that lasts longer than its average rate says gets more windows, not a wide last one."""
    result = run(build({**steps("300/s", "10/s"), "run": {"requests": 4000}}))
    widths = {round(w["end_s"] - w["start_s"], 6) for w in result.windows}
    assert len(widths) == 1
    assert sum(w["requests"] for w in result.windows) == 4000


def test_changes_that_come_too_late_are_told():
    """A timeline entry after the last request changes nothing that is measured."""
    late = [{"at": "1s", "pod": "pod-0", "speed": 0.5}, {"at": "3000s", "pod": "pod-1", "speed": 2}]
    said = warnings(timeline=late, run={"duration": "5s"})
    assert "1 of 2 changes come after the last request at 5 s, the first at 3000 s" in said
    assert "changes come after" not in warnings(timeline=late[:1], run={"duration": "5s"})


def test_what_replications_mend_is_told_from_what_they_do_not():
    """A short run warns of its intervals only; one over capacity of that, too."""
    short = run(build({"traffic": {"utilisation": 0.1}, "run": {"requests": 300}})).warnings
    assert short
    assert all(map(is_of_one_run, short))
    over = run(build({"traffic": {"utilisation": 1.5}, "run": {"requests": 20_000}})).warnings
    assert not all(map(is_of_one_run, over))

"""Both sides of an answer, by verdicts made up: how many values are asked, what is undecided."""

from __future__ import annotations

import json

import pytest
from planning import clockwork, sample

import lbbench
from lbbench.studies.planning import driver
from lbbench.studies.planning.judging import Judged, Reading
from lbbench.studies.planning.planner import Planner

LIMIT = 0.1


def planned(monkeypatch, figure, half, *, for_="pods", metric="latency.mean"):
    """Return a plan whose figure at a value is known: ``figure(n)`` +- ``half(n, replications)``.

    ``n`` is the number of pods, or of a rate the requests per second.
    """

    def judged(_planner, cluster, look, _level) -> Judged:
        data = json.loads(cluster.scenario)
        pods = data["cluster"]["pods"]
        n = pods if for_ == "pods" else float(data["traffic"]["arrivals"]["rate"].split("/")[0])
        value, wide = figure(n), half(n, look)
        verdict = "undecided"
        if value + wide <= LIMIT:
            verdict = "met"
        elif value - wide > LIMIT:
            verdict = "not met"
        reading = Reading(metric, LIMIT, value, value - wide, value + wide, verdict)
        return Judged(verdict, (reading,), False, look, 1000 * look)

    made = sample([0.1] * 64)  # of every run: what it holds is not looked at

    def run(task):
        return made._replace(content=task.content, replication=task.replication)

    monkeypatch.setattr(driver, "sample", run)
    monkeypatch.setattr(Planner, "_judged", judged)
    limit = f"{LIMIT}s" if metric.startswith("latency.") else f"{LIMIT}"
    random = {"traffic.arrivals.process": "poisson", "cluster.pods": 10, "run.requests": 500}
    return lbbench.plan(
        clockwork(**random), objective={metric: limit}, for_=for_, workers=1, engine="reference"
    ).to_dict()


def asked(document, verdict=None) -> list[float]:
    """Return the values that were decided, all of them or those with one verdict."""
    kept = {verdict} if verdict else {"met", "not met", "undecided"}
    return sorted({row["value"] for row in document["evidence"] if row["verdict"] in kept})


def test_a_figure_that_stays_just_below_the_limit_is_given_up(monkeypatch):
    """No value is ever decided met: a handful is asked, not all up to the most."""
    document = planned(monkeypatch, lambda n: 0.0985 + 0.005 / n, lambda _n, _look: 0.003)
    assert (document["answer"], document["met"]) == (None, False)
    assert "mean no longer gets better" in document["reason"]
    assert "64 replications do not decide it, longer runs may" in document["reason"]
    assert "no value is shown to meet the objectives" in document["sentence"]
    assert len(asked(document, "undecided")) < 16
    assert document["undecided"] == [asked(document, "undecided")[0], asked(document)[-1]]


def test_a_share_that_does_not_depend_on_the_number_is_given_up(monkeypatch):
    """An error rate near its limit whatever the number of pods ends with the reason."""
    document = planned(monkeypatch, lambda _n: 0.0999, lambda _n, _look: 0.001, metric="error_rate")
    assert (document["answer"], document["met"]) == (None, False)
    assert "error rate no longer gets better: 9.99 %" in document["reason"]
    assert asked(document)[-1] < 200


@pytest.mark.parametrize("open_", [0, 1, 2, 3, 17, 40])
@pytest.mark.parametrize("first", [8, 12])
def test_the_undecided_lie_between_not_met_and_the_answer(monkeypatch, first, open_):
    """However long the stretch: its ends are exact, and few values are asked."""

    def figure(n):
        return LIMIT + 0.02 * ((n < first) - (n >= first + open_)) + 1e-5 * (100 - n)

    document = planned(monkeypatch, figure, lambda _n, look: 0.1 / look)
    answer = first + open_
    assert document["answer"] == answer
    assert document["undecided"] == (None if open_ == 0 else [first, answer])
    assert {first - 1, answer} <= set(asked(document))
    assert first - 1 in asked(document, "not met")
    assert asked(document, "met")[0] == answer
    for row in document["evidence"]:
        if row["verdict"] == "undecided":
            assert first <= row["value"] < answer
            assert row["replications"] in ((64,) if row["value"] == answer - 1 else (32, 64))
    assert len(asked(document)) <= 18


@pytest.mark.parametrize("open_", [0, 1, 2, 30])
def test_of_a_rate_the_answer_is_the_lower_end(monkeypatch, open_):
    """The answer is the greatest rate that is met; undecided ones lie above it."""
    step = planned(monkeypatch, lambda n: n / 1e4, lambda _n, _look: 0.0, for_="rate")["step"]

    def figure(n):
        k = round(n / step)
        return LIMIT + 0.02 * ((k > 50 + open_) - (k <= 50)) + 1e-6 * k

    document = planned(monkeypatch, figure, lambda _n, look: 0.1 / look, for_="rate")
    assert document["answer"] == 50 * step
    last = (50 + open_) * step
    assert document["undecided"] == (None if open_ == 0 else [50 * step, last])
    assert asked(document, "not met")[0] == pytest.approx(last + step)
    assert len(asked(document)) <= 18


def test_a_rate_that_is_never_decided_ends_at_the_least_one(monkeypatch):
    """An undecided figure at every rate: a few are asked, and there is no answer."""
    document = planned(monkeypatch, lambda _n: 0.0999, lambda _n, _look: 0.001, for_="rate")
    assert (document["answer"], document["met"]) == (None, False)
    assert "64 replications do not decide even" in document["reason"]
    assert len(asked(document)) < 24


def test_a_small_rate_is_found_in_small_steps(monkeypatch):
    """An answer of 3 % of the capacity is found to about 1 % of itself; the file's rate stays."""
    document = planned(monkeypatch, lambda n: n * 1e-3, lambda _n, _look: 0.0, for_="rate")
    assert document["step"] == 1.0
    assert document["answer"] == 100.0
    assert document["own"] == 2000.0

"""`sweep`: the numbers of single runs and of `compare`, on however many workers."""

from __future__ import annotations

import json

import pytest
from sweeping import Heard, small, swept, values

from lbbench.errors import ScenarioError
from lbbench.model.check import build
from lbbench.studies.compare import compare
from lbbench.studies.run import run
from lbbench.studies.sweep import sweep

BALANCERS = ["round_robin", "random", "least_conn"]


def test_a_study_says_what_compare_and_run_say(tmp_path):
    """Figures, intervals and differences of a condition are those of `compare`, exactly.

    And the result of each replication is kept whole: of the first it is that of `run`.
    """
    scenario = small(tmp_path, "run.warmup=auto", requests=3_000, replications=3)
    with swept(scenario, tmp_path / "a.sqlite", "fast") as study:
        found = list(study.conditions())
        assert [c.values for c in found] == [
            {"traffic.utilisation": 0.5}, {"traffic.utilisation": 0.8}
        ]  # fmt: skip
        base = scenario.with_({"sweep": None})
        for condition in found:
            same = compare(base.with_(condition.values), BALANCERS)
            assert condition.differences == same.differences
            for one, result in zip(condition.summaries, same.results.values(), strict=True):
                assert one.replications == 3
                assert one.errors == ()
                for name in ("mean", "p50", "p99"):
                    figure = one.figures[f"latency.{name}"]
                    assert figure.value == result.latency_s[name]
                    wanted = result.latency_s["ci95"][name]
                    assert figure.ci95 == (None if wanted is None else tuple(wanted))
        point = study.points[4]
        first = study.results(point)[0]
        alone = run(base.with_({**point.values, "run.replications": 1}))
        ours, theirs = first.to_dict(clock=False), alone.to_dict(clock=False)
        assert ours.pop("scenario")["run"]["replications"] == 3
        theirs.pop("scenario")
        assert ours == theirs
        assert first.engine == "fast"
        assert first.wall_s > 0.0
        assert first.machine["cores"] > 0


def test_a_single_replication_has_the_intervals_of_batches(tmp_path):
    """With one replication the intervals are those of the run's own batches."""
    scenario = small(tmp_path, "run.warmup=auto", requests=5_000, replications=1)
    axes = {"sweep": {"axes": {"stages.ingress.balancer": ["round_robin", "random"]}}}
    with swept(scenario.with_(axes), tmp_path / "a.sqlite", "fast") as study:
        (condition,) = study.conditions()
    same = compare(scenario.with_({"sweep": None}), BALANCERS[:2])
    assert condition.differences == same.differences
    low, high = condition.summaries[0].figures["latency.mean"].ci95
    assert [low, high] == same.results["round_robin"].latency_s["ci95"]["mean"]


def test_how_many_workers_there_are_changes_nothing(tmp_path):
    """One worker and three give the same table."""
    scenario = small(tmp_path)
    one = sweep(scenario, out=tmp_path / "1.sqlite", engine="reference", workers=1)
    three = sweep(scenario, out=tmp_path / "3.sqlite", engine="reference", workers=3)
    with one, three:
        assert values(one).equals(values(three), null_equal=True)
        assert len(values(one)["metric"].unique()) > 30


def test_precision_adds_replications_to_whole_conditions(tmp_path):
    """Each condition goes on until its neediest point is precise, and no further."""
    asked = {"metric": "latency.mean", "relative": "8%", "max_replications": 60}
    scenario = small(tmp_path, requests=2_000).with_({"run.precision": asked})
    with swept(scenario, tmp_path / "a.sqlite", "fast") as study:
        sizes = []
        for condition in study.conditions():
            (size,) = {one.replications for one in condition.summaries}
            sizes.append(size)
            for one in condition.summaries:
                figure = one.figures["latency.mean"]
                assert (figure.ci95[1] - figure.ci95[0]) / 2 <= 0.08 * figure.value
    assert sizes[1] > sizes[0] >= 5  # the higher load needs more
    swept(scenario, tmp_path / "a.sqlite", "fast").close()
    assert values(tmp_path / "a.sqlite")["replication"].max() == max(sizes) - 1
    loose = scenario.with_({"run.precision": {**asked, "relative": "80%"}})
    with swept(loose, tmp_path / "a.sqlite", "fast") as study:  # less is asked, less is shown
        assert {one.replications for c in study.conditions() for one in c.summaries} == {5}


def test_precision_that_is_not_reached_is_told(tmp_path):
    """With the most replications and intervals still too wide, the study says so."""
    asked = {"metric": "latency.mean", "relative": "0.01%", "max_replications": 2}
    heard = Heard()
    scenario = small(tmp_path).with_({"run.precision": asked})
    swept(scenario, tmp_path / "a.sqlite", watcher=heard).close()
    assert (
        "in 2 conditions latency.mean is not within 0.0001 of its value after 2" in heard.said[-1]
    )


def test_the_best_point_is_told(tmp_path):
    """The standing names the lowest p99, or the first objective."""
    heard = Heard()
    scenario = small(tmp_path, "slo.latency.mean=1s", replications=1)
    with swept(scenario, tmp_path / "a.sqlite", watcher=heard) as study:
        best = heard.stood[-1].best
        results = {p.number: study.results(p)[0].metric("latency.mean") for p in study.points}
        assert best.metric == "latency.mean"
        assert best.value == min(results.values())
        assert results[best.member.number] == best.value


def test_a_scenario_without_axes_is_refused(tmp_path):
    """Before anything is written."""
    scenario = build({"traffic": {"utilisation": 0.5}})
    with pytest.raises(ScenarioError, match="sweep"):
        swept(scenario, tmp_path / "a.sqlite")
    assert list(tmp_path.iterdir()) == []


def test_the_document_of_a_study(tmp_path):
    """`to_dict` is JSON with points, figures, intervals and differences."""
    with swept(small(tmp_path), tmp_path / "a.sqlite") as study:
        document = json.loads(json.dumps(study.to_dict(), allow_nan=False))
    assert document["schema"] == "lbbench.study/1"
    assert document["axes"] == ["traffic.utilisation", "stages.ingress.balancer"]
    assert len(document["points"]) == 6
    assert document["points"][0]["metrics"]["latency.p99"]["value"] > 0.0
    assert {d["value"] for d in document["differences"]} == {"random", "least_conn"}
    assert document["differences"][0]["condition"] == {"traffic.utilisation": 0.5}

"""Which charts a result, a study, a comparison, a plan and a verification get, and which not."""

from __future__ import annotations

import pytest
from charting import checks, rows_of, texts
from sweeping import small

from lbbench.model.check import build
from lbbench.model.result import Result
from lbbench.model.study import Member
from lbbench.report.charts import of_comparison, of_plan, of_result, of_study, of_verification
from lbbench.report.charts.grid import Grid, slug
from lbbench.studies.compare import compare
from lbbench.studies.run import run
from lbbench.studies.study import Figure, Summary
from lbbench.studies.sweep import sweep

BASE = {
    "name": "small",
    "cluster": {"nodes": 2, "pods": 4},
    "traffic": {"utilisation": 0.5, "service_time": {"mean": "20ms"}},
    "run": {"requests": 250},
    "slo": {"latency.p99": "200ms"},
}

CHANGE = {
    "run": {"duration": "12s"},
    "traffic": {**BASE["traffic"], "utilisation": 0.3, "sessions": {"count": 20}},
    "stages": {"ingress": {"balancer": "sticky_balanced"}},
    "timeline": [{"at": "5s", "rollout": {"ready_after": "1s", "drain": "0s", "grace": "1s"}}],
}


def names(pictures):
    """Return the names of pictures, which are files: none twice."""
    found = [picture.name for picture in pictures]
    assert len(found) == len(set(found))
    return found


@pytest.fixture(scope="module")
def calm() -> Result:
    """Return a run without changes."""
    return run(build(BASE), engine="reference")


@pytest.fixture(scope="module")
def changing() -> Result:
    """Return a run with a rollout and sessions."""
    return run(build({**BASE, **CHANGE}), engine="reference")


@pytest.fixture(scope="module")
def study(tmp_path_factory):
    """Return a finished study of two loads by three balancers."""
    folder = tmp_path_factory.mktemp("study")
    made = sweep(
        small(folder, requests=120), out=folder / "a.sqlite", engine="reference", workers=1
    )
    with made:
        yield made


def test_a_calm_result_has_the_charts_of_its_data(calm):
    """Flow, distribution and pods; nothing about changes and sessions that there were none of."""
    pictures = of_result.pictures(calm)
    assert names(pictures) == ["shares-per-stage", "latency-percentiles", "pod-utilisation"]
    assert "objective p99 200 ms" in texts(pictures[1])


def test_a_changing_result_shows_what_the_change_did(changing):
    """Shares over time, sessions lost, sessions moved."""
    assert names(of_result.pictures(changing)) == [
        "shares-per-stage", "latency-percentiles", "shares-over-time", "pod-utilisation",
        "session-loss", "keys-moved",
    ]  # fmt: skip


def test_a_flow_tells_the_requests_that_were_answered(calm):
    """The first column holds all completed requests of the run."""
    flow = of_result.pictures(calm)[0]
    clients = [row for row in rows_of(flow) if row.get("name") == "clients"]
    assert clients[0]["requests"] == calm.requests["completed"]


def test_a_result_of_an_old_version_has_fewer(calm):
    """Without flows and without the whole distribution: two charts, from the seven figures."""
    document = calm.to_dict()
    del document["flows"], document["latency_s"]["spectrum"]
    pictures = of_result.pictures(Result.from_dict(document))
    assert names(pictures) == ["latency-percentiles", "pod-utilisation"]


def test_a_result_without_a_completed_request_has_no_distribution(calm):
    """Nothing is drawn of nothing."""
    document = calm.to_dict()
    empty = dict.fromkeys(document["latency_s"]) | {"n": 0, "ci95": {}, "spectrum": []}
    document |= {"latency_s": empty, "flows": []}
    assert "latency-percentiles" not in names(of_result.pictures(Result.from_dict(document)))


def test_a_study_of_load_has_latency_against_it_first(study):
    """One line per balancer; the distribution and the pods under the most load beside it."""
    pictures = of_study.pictures(study)
    assert names(pictures) == [
        "latency-against-load", "latency-percentiles-utilisation-0.8", "pod-utilisation",
    ]  # fmt: skip
    points = {(row["series"], row["x"]) for row in rows_of(pictures[0]) if "low" in row}
    assert points == {(name, load) for name in ("round_robin", "random", "least_conn")
                      for load in (50.0, 80.0)}  # fmt: skip


def test_figures_in_a_chart_are_those_of_the_table(study):
    """The line's points are the study's p99 in milliseconds, not another estimate."""
    picture = of_study.pictures(study)[0]
    found = {(row["series"], row["x"]): row["y"] for row in rows_of(picture) if "low" in row}
    for one in Grid.of(study).summaries:
        key = (
            one.member.values["stages.ingress.balancer"],
            100.0 * one.member.values["traffic.utilisation"],
        )
        assert found[key] == pytest.approx(1e3 * one.figures["latency.p99"].value)


def grid(p99: dict[tuple[float, int], tuple[float, float]], **more) -> Grid:
    """Return a grid of rates by pods from (estimate, end of its interval), for two balancers."""
    summaries = [
        Summary(
            member=Member(
                number, {"traffic.arrivals.rate": f"{rate:g}/s", "cluster.pods": pods,
                         "stages.ingress.balancer": name}, str(number), "{}", None,
            ),
            replications=5, errors=(), warnings=(), warmup_segments=0,
            figures={"latency.p99": Figure(value, None if end is None else (value / 2, end))},
        )
        for number, (name, (rate, pods), (value, end)) in enumerate(
            (name, key, found) for name in ("round_robin", "p2c") for key, found in p99.items()
        )
    ]  # fmt: skip
    given = {"across": "traffic.arrivals.rate", "facets": ["cluster.pods"],
             "metric": "latency.p99", "limit_s": 0.25, "what": "balancer"}  # fmt: skip
    return Grid(summaries=summaries, **{**given, **more})


FOUND = {
    (100.0, 4): (0.1, 0.12), (100.0, 8): (0.05, 0.06),
    (200.0, 4): (0.24, 0.27), (200.0, 8): (0.15, 0.16),
    (300.0, 4): (0.9, 1.2), (300.0, 8): (0.3, 0.4),
}  # fmt: skip
"""Of 4 and 8 pods: at 100/s 4 are enough, at 200/s 8 surely and 4 perhaps, at 300/s neither."""


def test_a_study_of_rate_and_pods_says_how_many_are_needed():
    """The least that is enough with its whole interval; fewer that may be are a band."""
    (need,) = of_study.needed(grid(FOUND))
    points = {(row["series"], row["x"]): (row["y"], row["low"], row["high"])
              for row in rows_of(need) if "low" in row and "y" in row}  # fmt: skip
    assert points["p2c", 100.0] == (4.0, None, None)
    assert points["p2c", 200.0] == (8.0, 4.0, 8.0)
    assert ("p2c", 300.0) not in points
    assert "Only the pods of the study were tried." in need.caption


def test_pods_are_not_said_to_be_needed_without_an_objective():
    """Without a limit, or without pods or a rate that vary, there is nothing to need."""
    assert list(of_study.needed(grid(FOUND, limit_s=None))) == []
    assert list(of_study.needed(grid(FOUND, facets=[]))) == []
    assert list(of_study.needed(grid(FOUND, across="traffic.utilisation"))) == []


def test_a_study_of_rate_and_pods_has_a_heat_map_per_policy():
    """On the same colours, so that they can be compared; every combination has its cell."""
    maps = list(of_study.heat_maps(grid(FOUND)))
    assert names(maps) == ["load-and-pods-round_robin", "load-and-pods-p2c"]
    for one in maps:
        assert len({(row["x0"], row["y0"]) for row in rows_of(one) if "value" in row}) == 6
        assert "The thick line parts" in one.caption
    assert list(of_study.heat_maps(grid(FOUND, facets=["cluster.pods", "x"]))) == []


def test_more_conditions_than_charts_are_told():
    """Six facets are drawn; that others are in the tables is said in the captions."""
    many = {(100.0, pods): (0.1, 0.12) for pods in range(2, 10)}
    charts = list(of_study.latency(grid(many)))
    assert len(charts) == 6
    assert all("2 more are in the tables." in chart.caption for chart in charts)


def test_a_comparison_has_its_variants_side_by_side():
    """One distribution with a line each, pods, and a flow of every variant."""
    made = compare(build(BASE), ["round_robin", "ewma"], engine="reference")
    pictures = of_comparison.pictures(made.to_dict())
    assert names(pictures) == [
        "latency-percentiles", "pod-utilisation", "shares-per-stage-round_robin",
        "shares-per-stage-ewma",
    ]  # fmt: skip
    assert {"round_robin", "ewma"} <= {row.get("series") for row in rows_of(pictures[0])}


def test_variants_of_another_leaf_are_named_with_it():
    """``pods=10`` says what 10 is; a balancer needs no such word."""
    assert of_comparison.series_of("cluster.pods", "10") == "pods=10"
    assert of_comparison.series_of("stages.ingress.balancer", "ewma") == "ewma"


def plan(**more):
    """Return a plan of two balancers as a document."""
    block = {
        "balancer": "p2c", "answer": 12, "met": True, "undecided": [11, 12], "erlang_c": 9,
        "evidence": [
            {"value": 9, "metric": "latency.p99", "estimate": 5.0, "ci95": None},
            {"value": 11, "metric": "latency.p99", "estimate": 0.399, "ci95": [0.39, 0.41]},
            {"value": 12, "metric": "latency.p99", "estimate": 0.37, "ci95": [0.36, 0.38]},
            {"value": 12, "metric": "latency.p99", "estimate": 0.38, "ci95": [0.37, 0.39]},
            {"value": 12, "metric": "error_rate", "estimate": 0.0, "ci95": None},
        ],
    }  # fmt: skip
    hopeless = {**block, "balancer": "ewma", "answer": None, "met": False, "undecided": None}
    return {
        "schema": "lbbench.plan/1", "for": "pods", "unit": "pods", "survive": None,
        "rate_per_s": 400.0, "profile": None, **block, "balancers": [block, hopeless],
        "objectives": [{"metric": "latency.p99", "limit": 0.4},
                       {"metric": "error_rate", "limit": 0.001}],
        **more,
    }  # fmt: skip


def test_a_plan_shows_what_each_balancer_needs_and_why():
    """A bar per balancer beside Erlang C, who cannot is named; then what was found."""
    pictures = of_plan.pictures(plan())
    assert names(pictures) == ["pods-needed", "evidence-p99"]
    assert "12 (perhaps 11)" in texts(pictures[0])
    assert "Cannot meet the objectives: ewma." in pictures[0].caption
    assert "error rate at most 0.1 %" in pictures[0].caption
    # of both clusters of 12 pods the worse one; 9 pods, far beyond, are left out
    found = {(row["x"], row["y"]) for row in rows_of(pictures[1])
             if row.get("series") == "p2c" and "low" in row}  # fmt: skip
    assert found == {(11.0, 399.0), (12.0, 380.0)}


def test_a_plan_of_a_day_shows_rates_and_hours():
    """With a profile: pods against rate and by hour; hours that cannot be met are counted."""
    profile = [
        {"hour": "08:00", "rate_per_s": 100.0, "answers": {"p2c": 3, "ewma": 5}},
        {"hour": "09:00", "rate_per_s": 200.0, "answers": {"p2c": 6, "ewma": None}},
    ]
    pictures = of_plan.pictures(plan(profile=profile))
    assert names(pictures)[:2] == ["pods-against-rate", "pods-by-hour"]
    assert "For 1 of the hours and balancers no number is enough." in pictures[0].caption


def test_a_plan_of_a_single_balancer_has_no_bars():
    """One bar compares nothing."""
    single = plan()
    single["balancers"] = single["balancers"][:1]
    assert names(of_plan.pictures(single)) == ["evidence-p99"]


def test_a_verification_has_one_chart_or_none():
    """All checks in one picture; no checks, no picture."""
    document = {"checks": checks(), "level_per_check": 0.001}
    assert names(of_verification.pictures(document)) == ["verify-coverage"]
    assert of_verification.pictures({**document, "checks": []}) == []


def test_names_of_charts_are_fit_for_files():
    """Whatever the values of a study are."""
    assert slug("rate 100/s, rtt 1 ms") == "rate-100-s-rtt-1-ms"

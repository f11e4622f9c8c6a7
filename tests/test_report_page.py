"""What a page says: who leads, why, how sure; and what stands in its tables."""

from __future__ import annotations

import re

import pages
import pytest
from sweeping import small, swept

from lbbench.inputs.yaml import load
from lbbench.model.result import Result
from lbbench.model.study import Member
from lbbench.report.page import of_study, of_verification
from lbbench.report.page.content import Page, Table
from lbbench.report.page.over_conditions import Ranking, keeps
from lbbench.report.page.page import page_of_comparison, page_of_result, page_of_study
from lbbench.report.page.ranking import Leader, ranked, sureness
from lbbench.report.page.words import Trait, listed, why
from lbbench.stats.pairs import Difference
from lbbench.studies.differences import Differences
from lbbench.studies.leading import lead
from lbbench.studies.study import Condition, Figure, Summary


@pytest.fixture(scope="module")
def page(small_study):
    """Return what stands on the page of that study."""
    return of_study.content(small_study)


def answer(page: Page, question: str) -> str:
    """Return what the summary answers to a question."""
    return " ".join(next(item.sentences for item in page.answers if item.question == question))


def table(page: Page, name: str) -> Table:
    """Return the table of that name."""
    return next(one for section in page.sections for one in section.tables if one.name == name)


def rival(name: str, ratio: float, p: float | None, *, apart: bool) -> dict:
    return {
        "value": name, "estimate": 0.1 * ratio, "ratio": ratio,
        "ratio_ci95": None if p is None else [ratio - 0.05, ratio + 0.05],
        "p_value": p, "told_apart": apart,
    }  # fmt: skip


def test_the_ranking_says_who_leads_and_of_whom_that_is_sure():
    """Told apart, not told apart and too few requests are three different things to say."""
    leader = Leader(
        "p99",
        "a",
        0.1,
        [
            rival("b", 1.1, 0.4, apart=False),
            rival("c", 2.0, 1e-6, apart=True),
            rival("d", 9.0, None, apart=False),
        ],
    )
    text = " ".join(ranked(leader))
    assert text == (
        "a has the lowest p99, 100 ms, but is not told apart from b. c has 2.00 times (95 % 1.95 "
        "to 2.05) that. d has 9 times that, but on too few independent requests to be sure."
    )
    assert "not told apart from b and d" in sureness({"p99": leader})


def test_the_reason_names_the_part_of_the_latency_that_differs():
    """All of the gap is queueing; even shares are called even, a busier pod is named."""
    best = Trait("a", 0.05, {"pod_queue": 0.03, "service": 0.02}, 0.80, 1.001)
    worse = Trait("b", 0.12, {"pod_queue": 0.10, "service": 0.02}, 0.81, 1.002)
    text = " ".join(why(best, worse))
    assert "70.0 ms longer with b than with a" in text
    assert "all of it waiting in the queues of the pods" in text
    assert "what differs is when" in text
    busier = worse._replace(busiest=0.99)
    assert "at work 99.0 % of the time, that of a 80.0 %" in " ".join(why(best, busier))
    assert why(worse, best) == []


def point(condition: int, name: str, p99: float, ci95=None) -> Summary:
    """Return a point of a made-up study."""
    member = Member(0, {"load": condition, "stages.ingress.balancer": name}, "", "")
    return Summary(member, 3, (), (), 0, {"latency.p99": Figure(p99, ci95)})


def under(condition: int, *, sure: bool, **values: float) -> Condition:
    """Return a condition with the p99 of each variant; ``sure``: the best is told apart."""
    p = 1e-6 if sure else 0.5

    def pair(a, b, figure):
        ratio = values[b] / values[a]
        return Difference(figure, values[a], values[b], values[b] - values[a], None, ratio, None, p,
                          3, "replications")  # fmt: skip

    found = Differences("a", {}, {}, {"p99": lead(values, "p99", pair)})
    points = tuple(point(condition, name, value) for name, value in values.items())
    return Condition({"load": condition}, points, found)


def test_over_conditions_wins_are_counted_and_the_one_choice_is_the_safest():
    """Of three variants a wins twice, once surely; b never loses by more than 1.2 times, a by 3."""
    conditions = [
        under(1, sure=True, a=0.10, b=0.12, c=0.5),
        under(2, sure=False, a=0.10, b=0.11, c=0.5),
        under(3, sure=True, a=0.30, b=0.10, c=0.5),
    ]
    text = " ".join(Ranking("p99", conditions, ["a", "b", "c"]).sentences())
    assert (
        "a has the lowest p99 under 2 of 3 conditions (told apart from the next under 1)." in text
    )
    assert "As the one choice for all, b: it is at most 1.20 times the lowest." in text
    assert "b has the lowest under 1 (load 3)." in text
    assert "p99 is 3.00 times the lowest with a and 5.00 times with c" in text
    sure = Ranking("p99", conditions, ["a", "b", "c"]).sureness()[0]
    assert "told apart from the next by p99 under 2 of 3 conditions" in sure


def test_an_objective_is_kept_when_its_whole_interval_is_within_the_limit():
    """Upper end within: kept; lower end beyond: missed; else, and without an interval: open."""
    points = [
        point(1, "a", 0.20, (0.18, 0.24)),
        point(1, "b", 0.24, (0.22, 0.26)),
        point(1, "c", 0.30, (0.28, 0.33)),
        point(1, "d", 0.10),
    ]
    ((metric, limit, stands),) = keeps({"latency.p99": "250ms", "error_rate": "1%"}, points)
    assert (metric, limit) == ("latency.p99", 0.25)
    assert stands == ["kept", "open", "missed", "open"]


def test_a_study_is_summed_up(page):
    """Which balancer under how many conditions, why, and how sure; one row per point."""
    which, sure = answer(page, "Which"), answer(page, "How sure")
    assert re.search(r"^\w+ has the lowest p99 under (all 2|1 of 2) conditions", which)
    assert "Of the 2 conditions, p99 surely stays within 150 ms" in which
    assert "longer with" in answer(page, "Why")
    assert sure.startswith("2 replications of each point, the same requests for every variant")
    assert "told apart from the next by p99 under" in sure
    points = table(page, "points")
    assert len(points.rows) == 6
    assert [column.title for column in points.columns[:5]] == [
        "utilisation", "balancer", "mean", "p50", "p99",
    ]  # fmt: skip
    assert len(table(page, "best").rows) == 2
    assert len(table(page, "differences").rows) == 2 * 2 * 3
    assert any("give wide intervals" in text for text in page.warnings)


def test_the_scenario_of_a_study_loads_back_and_keeps_its_order(page, small_study, tmp_path):
    """The YAML begins as scenarios do, its axes are in the order of the points, and it loads."""
    file = tmp_path / "again.yaml"
    file.write_text(page.scenario, encoding="utf-8")
    again = load(file)
    assert page.scenario.startswith("schema: ")
    assert again.resolved() == small_study.scenario
    assert list(again.sweep.axes) == small_study.axes


def test_the_best_of_the_table_is_the_one_with_the_lowest_figure(page):
    """The table of winners agrees with the table of points."""
    rows = table(page, "points").rows
    for best in table(page, "best").rows:
        same = [row for row in rows if row[0].text == best[0].text]
        lowest = min(same, key=lambda row: row[4].order)
        assert (best[1].text, best[2].text) == (lowest[1].text, lowest[4].text)


def test_a_study_without_variants_names_its_lowest_and_highest_point(tmp_path):
    """Axes that are no policy: from where to where the figure goes, how many keep the objective."""
    scenario = small(tmp_path, 'sweep={"axes": {"traffic.utilisation": [0.3, 0.9]}}',
                     "slo.latency.p99=10s")  # fmt: skip
    with swept(scenario, tmp_path / "study.sqlite") as found:
        page = of_study.content(found)
    which = answer(page, "Which")
    assert "at utilisation 0.3; the highest" in which
    assert "points keep p99 below 10.00 s" in which or "points keep p99 below 10.0 s" in which


def test_an_unfinished_study_says_so(tmp_path, small_study):
    """What is missing stands in the warnings, in the summary and among the figures."""
    import shutil
    import sqlite3
    from contextlib import closing

    from lbbench.studies.study import Study

    file = tmp_path / "part.sqlite"
    shutil.copy(small_study.path, file)
    with closing(sqlite3.connect(file)) as ledger:
        ledger.execute("DELETE FROM replications WHERE rowid % 2 = 0")
        ledger.commit()
    with Study.open(file) as found:
        page = of_study.content(found)
        assert ("missing", str(found.missing)) in page.facts
        assert found.missing == 6
    assert "The sweep has not ended" in answer(page, "How sure")
    assert "6 replications are missing" in page.warnings[0]
    with closing(sqlite3.connect(file)) as ledger:
        ledger.execute("DELETE FROM replications")
        ledger.commit()
    with Study.open(file) as found:
        html = page_of_study(found)
    assert "No point has a result yet." in html
    assert "12 replications are still to run." in html


def test_a_result_tells_its_objectives_its_reasons_and_its_changes():
    """The missed objective comes first, then where the time goes, then what happened."""
    page = pages.content("result")
    assert answer(page, "Result").startswith("p99 is ")
    assert "beyond its limit of 100 ms" in answer(page, "Result")
    assert page.answers[0].tone == "bad"
    assert "waiting in the queues of the pods" in answer(page, "Why")
    assert re.search(r"Pod-1 .* at 1 s: ", answer(page, "Why"))
    assert len(table(page, "pods").rows) == 4
    assert {one.name for one in page.sections[1].tables} >= {"changes", "objectives", "windows"}


def test_a_comparison_says_which_why_and_how_sure():
    """The leader's name, what part of the latency differs, on how many requests it rests."""
    document, page = pages.comparison(), pages.content("comparison")
    leader = document["leads"][0]["value"]
    assert answer(page, "Which").startswith(f"{leader} has the lowest p99")
    assert "400 requests through every variant" in answer(page, "How sure")
    assert len(table(page, "variants").rows) == 2
    assert len(table(page, "parts").columns) == 3


def test_old_documents_without_new_fields_have_a_page():
    """No leads, no flows, no spectrum, no changes: what can be shown is shown."""
    document = pages.comparison()
    del document["leads"]
    for one in document["results"].values():
        for name in ("flows", "changes"):
            one.pop(name, None)
        one["latency_s"].pop("spectrum", None)
    assert document["sentences"][0] in page_of_comparison(document)
    old = next(iter(document["results"].values()))
    assert "Half of the requests" in page_of_result(Result.from_dict({**old, "slo": None}))


def test_a_plan_gives_the_best_answer_first_with_its_evidence():
    """The sentence of the best balancer leads; what is undecided and what Erlang C says follow."""
    page = pages.content("plan")
    assert answer(page, "How many").startswith("12 pods with round_robin.")
    assert "Erlang C" in answer(page, "Why")
    assert "leave 20 to 21 undecided" in answer(page, "How sure")
    assert "the service times have an infinite variance" in page.warnings
    assert [row[-1].tone for row in table(page, "answers").rows] == ["", ""]
    assert len(table(page, "evidence").rows) == 5
    assert len(table(page, "profile").rows) == 6
    assert "--slo latency.p99=250ms --balancers round_robin,ewma" in page.steps.commands.replace(
        " \\\n  ", " "
    )


@pytest.mark.parametrize("passed", [True, False])
def test_a_verification_gives_its_verdict(passed):
    """All claims stand, or which of them fall."""
    page = of_verification.content(pages.verification(passed=passed))
    verdict = answer(page, "Verdict")
    assert verdict == "All 3 claims stand." if passed else "1 of 3 claims fall." in verdict
    assert ("queues.mm1-p99" in verdict) is not passed
    assert page.answers[0].tone == ("good" if passed else "bad")


def test_names_are_listed_as_in_a_sentence():
    """One, two, three, and many names."""
    assert listed(["a"]) == "a"
    assert listed(["a", "b"]) == "a and b"
    assert listed(["a", "b", "c"]) == "a, b and c"
    assert listed(list("abcdefgh")) == "a, b, c, d, e, f and 2 more"

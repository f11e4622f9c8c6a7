"""What stands on a page: words, tables, commands; and that it asks for nothing from outside."""

from __future__ import annotations

import base64
import hashlib
import json
import re
import shlex
from dataclasses import replace

import pages
import pytest
from sweeping import small, swept

from lbbench.core.jit_folder import cache_root
from lbbench.inputs.yaml import load
from lbbench.model.result import Result
from lbbench.report.page import bundle as bundling
from lbbench.report.page import of_result, of_study, of_verification
from lbbench.report.page.cells import cut, from_grid, order_of
from lbbench.report.page.content import Answer, Cell, Column, Page, Section, Table
from lbbench.report.page.page import page_of_comparison, page_of_result, page_of_study
from lbbench.report.page.ranking import Leader, ranked, sureness
from lbbench.report.page.rendering import dot, in_script, kept_together, render, yaml_html
from lbbench.report.page.reproduce import as_shipped, steps
from lbbench.report.page.words import Trait, listed, why
from lbbench.report.tables import breakdown_table


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


# --- words --------------------------------------------------------------------------------------


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
    assert "do not decide between 20 and 21" in answer(page, "How sure")
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


# --- how to reproduce -----------------------------------------------------------------------------


def run_again(command, page: Page, tmp_path) -> Result:
    """Run the command of a page, its scenario saved where it says so; return the result."""
    words = shlex.split(page.steps.commands.replace("\\\n", " "))
    assert words[:2] == ["lbbench", "run"]
    if page.steps.file:
        (tmp_path / page.steps.file).write_text(page.scenario, encoding="utf-8")
    assert command(*words[1:], "--quiet").code == 0
    return Result.from_json((tmp_path / words[-1] / "result.json").read_text(encoding="utf-8"))


def test_the_commands_of_a_page_give_the_same_numbers(command, tmp_path, monkeypatch):
    """A shipped scenario with changes comes back by its name and --set; the result is the same."""
    monkeypatch.chdir(tmp_path)
    assert command("run", "ewma-herding", "--engine", "reference", "--set", "run.requests=200",
                   "--set", "stages.ingress.balancer=random", "--seed", 3, "--quiet", "--out",
                   tmp_path / "first").code == 0  # fmt: skip
    first = Result.from_json((tmp_path / "first/result.json").read_text(encoding="utf-8"))
    page = of_result.content(first)
    assert "lbbench run ewma-herding" in page.steps.commands
    assert "--seed 3" in page.steps.commands
    assert not page.steps.file
    again = run_again(command, page, tmp_path)
    assert again.to_json(clock=False) == first.to_json(clock=False)


def test_a_scenario_of_ones_own_comes_back_from_the_page(command, tmp_path, monkeypatch):
    """The YAML on the page, saved under the name that the commands use, gives the same result."""
    monkeypatch.chdir(tmp_path)
    page = pages.content("result")
    assert page.steps.file == "changing.yaml"
    again = run_again(command, page, tmp_path)
    assert again.to_json(clock=False) == pages.result().to_json(clock=False)


def test_changes_to_a_shipped_scenario_are_found_and_tried():
    """Whatever leaf was changed; a name that only looks like a shipped scenario is none."""
    changed = load("aks-ingress", ["cluster.pods=12", "run.duration=1min", "run.seed=5"])
    found = as_shipped(changed.resolved())
    assert ("cluster.pods", 12) in found
    assert as_shipped({"name": "aks-ingress", "traffic": {"utilisation": 0.8}}) is None
    assert as_shipped(load("aks-ingress").resolved()) == []
    assert as_shipped({"name": "nobody"}) is None


def test_files_that_a_scenario_reads_are_named():
    """A trace or a balancer of somebody's own is not in the YAML."""
    scenario = {"name": "mine", "stages": {"ingress": {"balancer": "lb.py:mine"}}}
    assert "It reads lb.py" in steps(scenario, "run", version="1").lead


# --- tables ---------------------------------------------------------------------------------------


def test_numbers_with_units_have_an_order():
    """Times by their seconds, bounds beside their number, texts have none."""
    texts = ["0 s", "2.10 us", "740 us", "85.3 ms", "1.20 s", "1,081 s"]
    orders = [order_of(text) for text in texts]
    assert orders == sorted(orders)
    assert order_of("<0.0001") < order_of("0.0001")
    assert order_of("12.5 %") == 12.5
    assert order_of("-") is None
    assert order_of("round_robin") is None


def test_tables_of_the_terminal_keep_their_figures():
    """Each number of the terminal's table is in that of the page, with an order."""
    grid = breakdown_table(pages.result())
    made = from_grid(grid, "parts", "part")
    assert [[cell.text for cell in row] for row in made.rows] == [list(row) for row in grid.rows]
    assert [column.unit for column in made.columns] == ["", "ms", "", "ms"]
    assert all(cell.order is not None for row in made.rows for cell in row[1:])


def test_a_cut_keeps_both_ends_and_counts_the_rest():
    """Five of ten rows, two of them from the end."""
    assert cut(list(range(10)), 5, last=2) == ([0, 1, 2, 8, 9], 5)
    assert cut([1, 2], 5) == ([1, 2], 0)


def test_a_large_study_stays_a_page(small_study, monkeypatch):
    """2000 points: the tables are cut and say so, and the file stays below 8 MB."""
    study, real = small_study, list(small_study.conditions())
    members = [
        replace_member(point, 6 * turn + point.number, turn)
        for turn in range(334)
        for point in study.points
    ]

    def condition(group):
        summaries = tuple(
            replace(real[0].summaries[i % 3], member=member) for i, member in enumerate(group)
        )
        leaf = "traffic.utilisation"
        return replace(real[0], values={leaf: group[0].values[leaf]}, summaries=summaries)

    monkeypatch.setitem(study.__dict__, "points", members)
    monkeypatch.setattr(study, "_conditions", {})
    monkeypatch.setattr(study, "_condition", condition)
    page = of_study.content(study)
    points = table(page, "points")
    assert len(points.rows) == 500
    assert "500 of 2,004 points" in points.note
    assert "lbbench export study.sqlite" in points.note
    assert len(render(page).encode()) < 8e6


def replace_member(member, number, turn):
    """Return a point with another number and load."""
    values = {**member.values, "traffic.utilisation": member.values["traffic.utilisation"] + turn}
    return member._replace(number=number, values=values)


# --- the file -------------------------------------------------------------------------------------


def test_the_policy_names_each_script_and_allows_nothing_else():
    """No inline script, style, evaluation or request is allowed but what is in the file."""
    html = pages.html("result")
    policy = re.search(r'http-equiv="Content-Security-Policy" content="([^"]*)"', html)[1]
    policy = policy.replace("&#39;", "'")
    assert policy.startswith("default-src 'none'; ")
    assert "unsafe" not in policy
    assert "http" not in policy
    parts = re.findall(r"<(script|style)>(.*?)</\1>", html, re.DOTALL)
    assert [kind for kind, _ in parts] == ["style", "script", "script", "script"]
    for _, text in parts:
        digest = base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()
        assert f"'sha256-{digest}'" in policy
    assert not re.search(r"<(link|script|img|iframe)[^>]*(src|href)=.https?:", html)


def test_texts_of_others_stay_texts():
    """Markup in names of scenarios and pods is shown, in the page as in its data."""
    evil = '</script><img src="x" onerror="alert(1)">'
    html = render(replace(pages.content("result"), title=evil))
    shown = re.sub(r"<script>.*?</script>", "", html, flags=re.DOTALL)
    assert "<img" not in shown
    assert "&lt;img" in shown
    assert evil not in in_script({"a": evil})
    assert json.loads(in_script({"a": evil})) == {"a": evil}


def test_yaml_is_marked_up_and_stays_the_same_text():
    """Keys stand out, markup in values is escaped, and what is copied is the YAML."""
    text = "# note\na: 1\nb:\n  - at: 5s\n    x<y: '<b>'\n\"c d\": [1, 2]\n"
    html = str(yaml_html(text))
    assert html.count('class="key"') == 5
    assert "<b>" not in html
    plain = re.sub(r"<[^>]*>", "", html)
    for escaped, sign in (("&lt;", "<"), ("&gt;", ">"), ("&#39;", "'"), ("&#34;", '"')):
        plain = plain.replace(escaped, sign)
    assert plain + "\n" == text


def test_numbers_stay_with_their_units():
    """No line ends between a number and its unit."""
    assert kept_together("95 % of 12 ms and 3 stages") == "95\u00a0% of 12\u00a0ms and 3 stages"


def test_balancers_have_the_colour_of_the_pictures():
    """A balancer, and a variant of it; not a sentence that begins with one."""
    from lbbench.report.charts.look import colour

    assert dot("ewma") == dot("ewma keepalive.upstream=64") == colour("ewma")
    assert dot("round_robin and ewma") == dot("nobody") == ""


def test_a_page_without_pictures_needs_no_vega():
    """A few tables make a page of some kilobytes."""
    rows = [[Cell("a"), Cell("1", 1.0)]]
    one = Table("one", "one table", [Column("name", is_text=True), Column("value")], rows)
    html = render(Page("Result", "small", answers=[Answer("Which", ["a."])],
                       sections=[Section("tables", "Tables", tables=[one])]))  # fmt: skip
    assert len(html) < 40_000
    assert "vegaEmbed" not in html.replace("vegaEmbed(", "")


def test_the_libraries_are_kept_and_a_damaged_copy_is_not_used(monkeypatch, tmp_path):
    """The second page reads them from the cache; half a file there is made anew."""
    import vl_convert

    made = []
    monkeypatch.setenv("LBBENCH_CACHE_DIR", str(tmp_path))
    monkeypatch.setattr(
        vl_convert, "javascript_bundle", lambda *_: made.append(1) or 'x = "</script><!--";'
    )
    bundling.bundle.cache_clear()
    first = bundling.bundle("6.4")
    bundling.bundle.cache_clear()
    assert bundling.bundle("6.4") == first == r'x = "<\/script><\!--";'
    assert len(made) == 1
    (file,) = (cache_root() / "page").glob("*.js")
    file.write_text("x =", encoding="utf-8")
    bundling.bundle.cache_clear()
    assert bundling.bundle("6.4") == first
    assert len(made) == 2
    bundling.bundle.cache_clear()

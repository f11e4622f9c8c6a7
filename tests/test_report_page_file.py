"""The file of a page: tables that are cut, texts that stay texts, a policy without holes."""

from __future__ import annotations

import base64
import hashlib
import json
import re
from dataclasses import replace

import pages

from lbbench.core.jit_folder import cache_root
from lbbench.report.page import bundle as bundling
from lbbench.report.page import figures, of_study
from lbbench.report.page.cells import cut, from_grid, order_of
from lbbench.report.page.content import Answer, Cell, Column, Page, Section, Table
from lbbench.report.page.rendering import dot, in_script, kept_together, render, yaml_html
from lbbench.report.tables import breakdown_table


def table(page: Page, name: str) -> Table:
    """Return the table of that name."""
    return next(one for section in page.sections for one in section.tables if one.name == name)


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


def test_the_data_of_a_picture_stand_beside_it(monkeypatch):
    """What tooltips say about the marks, as a table; shares in percent; none where it is long."""
    (flow, *_) = pages.content("result").sections[0].figures
    assert flow.picture.name == "shares-per-stage"
    assert [column.title for column in flow.table.columns][1:] == ["share of requests", "requests"]
    assert all(cell.text.endswith(" %") for _, cell, _ in flow.table.rows)
    pods = {f"pod-{i}" for i in range(4)}
    assert pods <= {row[0].text.split()[0] for row in flow.table.rows}
    monkeypatch.setattr(figures, "MOST_ROWS", 3)
    assert figures.data_table(flow.picture) is None


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

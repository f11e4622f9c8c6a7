"""Pages in a real browser: they draw, sort, turn dark, fit a telephone, and ask for nothing."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import pairwise
from typing import Any

import pages
import pytest
from browsing import FLAGS, MARKS, PATIENCE, Opened, browser_path, opened

from lbbench.report.page.cells import order_of
from lbbench.report.page.content import Cell, Column, Page, Section, Table
from lbbench.report.page.page import page_of_study
from lbbench.report.page.rendering import render

KINDS = ("study", "result", "comparison", "plan", "verification")

pytestmark = pytest.mark.skipif(
    browser_path() is None, reason="no browser: install chromium (apt-get install chromium)"
)


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    """Start the one browser of these tests."""
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        started = playwright.chromium.launch(executable_path=browser_path(), args=list(FLAGS))
        yield started
        started.close()


@pytest.fixture(scope="module")
def files(tmp_path_factory, small_study):
    """Write the page of every kind of document."""
    folder = tmp_path_factory.mktemp("pages")
    made = {kind: folder / f"{kind}.html" for kind in KINDS}
    for kind, file in made.items():
        html = page_of_study(small_study) if kind == "study" else pages.html(kind)
        file.write_text(html, encoding="utf-8")
    return made


@pytest.fixture(scope="module")
def shown(browser, files):
    """Return a function that opens the page of a document once, in light colours."""
    known: dict[str, Opened] = {}

    def show(kind: str) -> Opened:
        if kind not in known:
            known[kind] = opened(browser, files[kind], color_scheme="light").drawn()
        return known[kind]

    return show


@pytest.mark.parametrize("kind", KINDS)
def test_a_page_draws_its_pictures_and_asks_for_nothing(kind, shown, files):
    """Marks in every picture; one request, for the file itself; no error of any kind."""
    found = shown(kind)
    charts = found.page.locator("[data-picture]")
    assert charts.count() >= 1
    for chart in charts.all():
        assert chart.evaluate(MARKS) > 0, chart.get_attribute("data-picture")
    assert found.requests == [files[kind].absolute().as_uri()]
    assert found.troubles == []


@pytest.mark.parametrize("kind", KINDS)
def test_a_page_fits_a_telephone(kind, shown):
    """At 400 pixels the page does not scroll sideways; wide tables do, inside their box."""
    page = shown(kind).page
    page.set_viewport_size({"width": 400, "height": 800})
    page.evaluate("() => document.querySelectorAll('details').forEach(d => { d.open = true; })")
    wide = page.evaluate(
        "() => [document.documentElement.scrollWidth, ...[...document.querySelectorAll('.scroll')]"
        ".map(box => Math.round(box.getBoundingClientRect().right))]"
    )
    page.set_viewport_size({"width": 1400, "height": 900})
    assert max(wide) <= 400
    assert len(wide) > 1


def test_the_page_is_a_document(shown):
    """Landmarks, one first heading, no level left out, a caption per table, a name per picture."""
    page = shown("study").page
    for role in ("banner", "navigation", "main", "contentinfo"):
        assert page.get_by_role(role).count() == 1
    levels = page.locator("h1, h2, h3").evaluate_all("all => all.map(h => +h.tagName[1])")
    assert levels.count(1) == 1
    assert all(b <= a + 1 for a, b in pairwise(levels))
    assert page.locator("table").count() == page.locator("table > caption").count() > 3
    assert page.locator("[data-picture][role=img]:not([aria-label])").count() == 0
    broken = page.locator("nav a").evaluate_all(
        "all => all.filter(a => !document.getElementById(decodeURIComponent(a.hash.slice(1))))"
        ".map(a => a.hash)"
    )
    assert broken == []


def test_the_keyboard_reaches_the_summary_first(shown):
    """The first stop of the tab key is the way past the head of the page."""
    page = shown("plan").page
    page.keyboard.press("Tab")
    assert page.evaluate("document.activeElement.className") == "skip"
    page.keyboard.press("Enter")
    assert page.evaluate("location.hash") == "#summary"


def test_tables_sort_by_click_and_by_key(shown):
    """Numbers by their value, in both directions; the head says how; one head at a time."""
    found = shown("study")
    page = found.page
    head = page.locator("#table-points thead th").nth(4)
    head.get_by_role("button").click()
    assert head.get_attribute("aria-sort") == "ascending"
    values = [float(text.replace(",", "")) for text in found.column("points", 4)]
    assert values == sorted(values)
    head.get_by_role("button").focus()
    page.keyboard.press("Enter")
    assert head.get_attribute("aria-sort") == "descending"
    values = [float(text.replace(",", "")) for text in found.column("points", 4)]
    assert values == sorted(values, reverse=True)
    page.locator("#table-points thead th").nth(1).get_by_role("button").press("Space")
    names = found.column("points", 1)
    assert names == sorted(names)
    assert page.locator("#table-points th[aria-sort]").count() == 1
    assert found.troubles == []


def test_units_and_empty_cells_sort_as_people_mean_it(browser, tmp_path):
    """2.10 us < 740 us < 85.3 ms < 1.20 s < 1,081 s, and what has no value is last, both ways."""
    times = ["85.3 ms", "-", "1,081 s", "740 us", "1.20 s", "2.10 us"]
    rows = [[Cell(f"row {i}"), Cell(text, order_of(text))] for i, text in enumerate(times)]
    more = [[Cell(f"row {i}"), Cell("5 s", 5.0)] for i in range(6, 40)]
    columns = [Column("name", is_text=True), Column("time")]
    table = Table("times", "times", columns, [*rows, *more])
    file = tmp_path / "times.html"
    page = Page("Result", "times", sections=[Section("tables", "Tables", tables=[table])])
    file.write_text(render(page), encoding="utf-8")
    found = opened(browser, file)
    button = found.page.locator("#table-times thead th").nth(1).get_by_role("button")
    wanted = ["2.10 us", "740 us", "85.3 ms", "1.20 s", *["5 s"] * 34, "1,081 s"]
    button.click()
    assert found.column("times", 1) == [*wanted, "-"]
    button.click()
    assert found.column("times", 1) == [*wanted[::-1], "-"]
    box = found.page.get_by_role("searchbox")
    box.fill("1,081")
    assert found.column("times", 0) == ["row 2"]
    box.fill("5 ROW 3")
    shown = [f"row {i}" for i in (0, 13, 23, *range(30, 40))]  # of row 0: 85.3 ms
    assert found.page.locator(".filter output").text_content() == "13 of 40 rows"
    found.page.locator("#table-times thead th").nth(0).get_by_role("button").click()
    assert found.column("times", 0) == shown
    assert found.troubles == []
    found.page.context.close()


def test_a_page_is_dark_where_its_reader_is_and_can_be_turned(browser, files):
    """Colours follow the system; the switch turns page and pictures, and is remembered."""
    found = opened(browser, files["result"], color_scheme="dark").drawn()
    page = found.page
    back = "() => getComputedStyle(document.body).backgroundColor"
    label = "() => document.querySelector('.chart svg .role-axis text').getAttribute('fill')"
    assert page.locator("[data-drawn=dark]").count() == page.locator("[data-picture]").count()
    dark = page.evaluate(back), page.evaluate(label)
    assert page.evaluate("() => getComputedStyle(document.querySelector('.chart svg'))"
                         ".backgroundColor") == dark[0]  # fmt: skip
    page.locator("#theme").click()
    page.locator("[data-drawn=light]").nth(page.locator("[data-picture]").count() - 1).wait_for(
        timeout=PATIENCE
    )
    light = page.evaluate(back), page.evaluate(label)
    assert light[0] == "rgb(255, 255, 255)"
    assert all(a != b for a, b in zip(dark, light, strict=True))
    page.reload()
    assert page.evaluate(back) == light[0]
    assert found.troubles == []
    page.context.close()


def test_paper_is_light(browser, files):
    """Before it is printed a dark page draws its pictures for paper, and back afterwards."""
    found = opened(browser, files["plan"], color_scheme="dark").drawn()
    page = found.page
    n = page.locator("[data-picture]").count()
    page.evaluate("() => { window.dispatchEvent(new Event('beforeprint')); }")
    page.locator("[data-drawn=light]").nth(n - 1).wait_for(timeout=PATIENCE)
    page.emulate_media(media="print", color_scheme="dark")
    assert (
        page.evaluate("() => getComputedStyle(document.body).backgroundColor")
        == "rgb(255, 255, 255)"
    )
    page.evaluate("() => { window.dispatchEvent(new Event('afterprint')); }")
    page.locator("[data-drawn=dark]").nth(n - 1).wait_for(timeout=PATIENCE)
    page.context.close()


def test_commands_and_scenario_can_be_copied(browser, files):
    """What the button puts on the clipboard is what is shown, to the letter."""
    found = opened(
        browser, files["result"], permissions=["clipboard-read", "clipboard-write"]
    ).drawn()
    page = found.page
    for name, text in (
        ("commands", pages.content("result").steps.commands),
        ("yaml", pages.content("result").scenario.rstrip("\n")),
    ):
        page.locator(f"[data-copy={name}]").click()
        page.wait_for_selector(f"[data-copy={name}]:text('Copied')", timeout=PATIENCE)
        assert page.evaluate("() => navigator.clipboard.readText()") == text
    page.context.close()


def test_the_policy_holds(browser, files):
    """A script that tries to reach the network from within the page is stopped by the browser."""
    found = opened(browser, files["verification"]).drawn()
    outcome = found.page.evaluate(
        "() => fetch('http://127.0.0.1:9/').then(() => 'sent', error => String(error))"
    )
    assert "TypeError" in outcome
    assert any("Content Security Policy" in text for text in found.troubles)
    assert len(found.requests) == 1
    found.page.context.close()


def test_a_link_opens_the_table_it_leads_to(shown):
    """Folded tables are open once somebody goes there."""
    page = shown("study").page
    page.evaluate("() => { document.getElementById('table-parts').open = false; }")
    page.locator("nav a[href='#table-parts']").click()
    page.wait_for_selector("#table-parts[open]", timeout=PATIENCE)


def test_a_picture_can_be_saved(shown, tmp_path):
    """The buttons of a picture give an SVG and a PNG under its name."""
    page = shown("comparison").page
    name = page.locator("figure").first.get_attribute("id")
    for kind, start in (("svg", b"<svg"), ("png", b"\x89PNG")):
        with page.expect_download(timeout=PATIENCE) as waiting:
            page.locator(f"figure#{name} [data-save={kind}]").click()
        file = tmp_path / f"a.{kind}"
        waiting.value.save_as(file)
        assert waiting.value.suggested_filename == f"{name}.{kind}"
        assert file.read_bytes().startswith(start)

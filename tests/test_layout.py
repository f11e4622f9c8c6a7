"""Tables at every width: nothing is cut, numbers stay whole, names stand first."""

from __future__ import annotations

import io
import re

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st
from rich.console import Console

from lbbench.model.check import build
from lbbench.report.layout import Grid
from lbbench.report.listing import Listing
from lbbench.report.tables import ends, tables_of
from lbbench.report.terminal import show
from lbbench.studies.run import run

cells = st.text("0123456789.,", min_size=1, max_size=9)
grids = st.integers(1, 7).flatmap(
    lambda n: st.builds(
        Grid,
        st.just("title"),
        st.lists(st.text("abc ", min_size=1, max_size=8).map(str.strip), min_size=n, max_size=n),
        st.lists(st.lists(cells, min_size=n, max_size=n), min_size=1, max_size=6),
    )
)


def drawn(renderable, width: int) -> list[str]:
    """Return the lines of ``renderable`` on a console of ``width`` columns."""
    out = io.StringIO()
    Console(file=out, width=width, color_system=None).print(renderable)
    return out.getvalue().splitlines()


@pytest.fixture(scope="module")
def result():
    """Return a result with 30 pods, failures, objectives and observed shares."""
    pods = [{"name": f"pod-{i}", "address": f"10.244.0.{i + 2}:80"} for i in range(30)]
    data = {
        "name": "wide",
        "cluster": {"nodes": 1, "pods": pods, "pod": {"queue": 2}},
        "stages": {"ingress": {"balancer": "random"}},
        "traffic": {"utilisation": 0.9},
        "run": {"requests": 3000},
        "slo": {"latency.p99": "250ms", "error_rate": "0.1%"},
        "observed": {
            "pods": {pod["address"]: 100 + i for i, pod in enumerate(pods)},
            "latency": {"mean": "30ms", "p99": "150ms"},
            "requests": 3435,
        },
    }
    return run(build(data), engine="reference", startup_s=0.2)


@given(grids, st.integers(12, 100))
def test_no_cell_is_cut_or_broken(grid: Grid, width: int):
    """At any width every cell is found whole, and no line is longer than the console."""
    longest = max(len(f"{name} {cell}") for row in grid.rows
                  for name, cell in zip(grid.columns, row, strict=True))  # fmt: skip
    assume(width >= longest + 2)
    lines = drawn(grid, width)
    assert max(map(len, lines)) <= width
    text = "\n".join(lines)
    for row in grid.rows:
        for cell in row:
            assert re.search(rf"(^|\s){re.escape(cell)}(,?$|,?\s)", text, re.MULTILINE)


def test_numbers_are_aligned_to_the_right():
    """The cells of a column end in the same column of the console, names begin in the first."""
    lines = drawn(Grid("", ["", "ms"], [["a", "1.5"], ["bbb", "1,234.5"]]), 40)
    assert lines == ["          ms", "a        1.5", "bbb  1,234.5"]


def test_spare_columns_go_first():
    """A console that is a little too narrow loses the spare columns in their order, no others."""
    grid = Grid("", ["name", "one", "two", "three"], [["x", "1", "2", "3"]], spare=["three", "one"])
    assert drawn(grid, 21)[0].split() == ["name", "one", "two", "three"]
    assert drawn(grid, 20)[0].split() == ["name", "one", "two"]
    assert drawn(grid, 13)[0].split() == ["name", "two"]


def test_a_row_becomes_a_block_when_nothing_else_helps():
    """Too narrow for its columns, a row is its name and its values with their heads below it."""
    grid = Grid("", ["", "one", "two", "three"], [["a long name", "1", "2", "3"]])
    assert drawn(grid, 15) == ["a long name", "  one 1, two 2", "  three 3"]


@pytest.mark.parametrize("width", [40, 60, 80, 100, 120, 200])
def test_a_result_fits_every_width(result, width: int):
    """Warnings, headline and tables of a result keep to the width, down to 40 columns."""
    out = io.StringIO()
    show(result, Console(file=out, width=width, color_system=None))
    lines = out.getvalue().splitlines()
    assert max(map(len, lines)) <= width
    assert lines[0].startswith("warning: ")
    text = " ".join(out.getvalue().split())
    for part in ("p99.9", "queue reject", "pods (observed: 3,435 requests)", "where the latency"):
        assert part in text


def test_many_pods_are_shown_by_their_ends(result):
    """Of 30 pods the five busiest and the five idlest are shown, with the gap in words."""
    shown = ends(result.pods)
    shares = [pod["share"] for pod in result.pods]
    assert [pod["share"] for pod in shown[:5]] == sorted(shares, reverse=True)[:5]
    assert [pod["share"] for pod in shown[-5:]] == sorted(shares, reverse=True)[-5:]
    assert shown[5]["name"] == "... 20 more ..."
    assert len(shown) == 11


def test_figures_of_the_result_stand_in_the_tables(result):
    """The tables show the numbers of the document: latency, its interval, failures, objectives."""
    titles = {str(table.title): table for table in tables_of(result) if isinstance(table, Grid)}
    latency = next(table for title, table in titles.items() if title.startswith("latency of "))
    mean = next(row for row in latency.rows if row[0] == "mean")
    assert float(mean[1]) == pytest.approx(1e3 * result.latency_s["mean"], abs=0.05)
    low, high = (float(text) for text in mean[2].split("-"))
    assert low == pytest.approx(1e3 * result.latency_s["ci95"]["mean"][0], abs=0.05)
    assert high == pytest.approx(1e3 * result.latency_s["ci95"]["mean"][1], abs=0.05)
    assert mean[3] == "30.0"
    failed = titles["failed requests"].rows
    assert failed == [["queue reject", f"{result.requests['failed']:,}", "100.0"]]
    objectives = next(table for title, table in titles.items() if title.startswith("objectives"))
    assert [row[0] for row in objectives.rows] == ["latency.p99", "error_rate"]
    assert objectives.rows[1][3] == "missed"


@pytest.mark.parametrize("width", [40, 80, 160])
def test_a_listing_keeps_names_first_and_words_whole(width: int):
    """Every row of a list begins with its name, and its words are all there in order."""
    text = "one two three four five six seven eight nine ten"
    lines = drawn(Listing(["name", "level", "what"], [["alpha", "l7", text]]), width)
    assert max(map(len, lines)) <= width
    assert all(line == line.rstrip() for line in lines)
    joined = " ".join(" ".join(lines).split())
    assert text in joined
    assert any(line.startswith("alpha  l7") for line in lines)

"""The shipped studies: what is in their folders is what their scenarios ask for."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest

from benchmarks.shipped import TABLES, main, put
from lbbench.errors import LbbenchError
from lbbench.inputs.yaml import load
from lbbench.studies.axes import check_axes, points

RESULTS = Path(__file__).parent.parent / "results"
MOST = 4 * 2**20  # bytes of a folder in the repository
STUDIES = [(folder, ledger) for folder, ledgers in TABLES.items() for ledger in ledgers]


def kept(folder: str) -> list[Path]:
    """Return the files of a study that are in the repository."""
    return [
        path
        for path in (RESULTS / folder).rglob("*")
        if path.is_file() and ".sqlite" not in path.name
    ]


def report_of(folder: str, ledger: str) -> Path:
    """Return the page of a ledger."""
    return RESULTS / folder / ("report.html" if ledger == "study" else f"{ledger}.html")


@pytest.mark.parametrize("folder", TABLES)
def test_a_folder_is_whole_and_small(folder: str):
    """Question, answer, report, figures and charts are there, in less than 4 MB."""
    text = (RESULTS / folder / "README.md").read_text(encoding="utf-8")
    assert "**Question.**" in text
    assert "**Answer.**" in text
    assert f"    make {folder}" in text
    assert "## What the figures do not say" in text
    assert re.search(r"!\[[^\]]+\]\([\w-]+/[\w.-]+\.svg\)", text)
    assert sum(path.stat().st_size for path in kept(folder)) < MOST


@pytest.mark.parametrize(("folder", "ledger"), STUDIES)
def test_the_figures_are_those_of_the_scenario(folder: str, ledger: str):
    """The table has the axes of the YAML, every point of it, and every replication."""
    import polars as pl

    scenario = load(RESULTS / folder / f"{ledger}.yaml")
    sweep = check_axes(scenario)
    table = pl.read_parquet(RESULTS / folder / f"{ledger}.parquet")
    wanted = list(points(sweep, scenario.run.seed))
    leaves = list(wanted[0].values)
    assert set(leaves) <= set(table.columns)
    assert table["point"].n_unique() == len(wanted)
    found = table.unique(["point", *leaves]).sort("point").select(leaves).rows()
    assert [tuple(map(cell, row)) for row in found] == [
        tuple(map(cell, point.values.values())) for point in wanted
    ]
    per_point = table.group_by("point").agg(pl.col("replication").n_unique())
    assert per_point["replication"].unique().to_list() == [scenario.run.replications]
    assert table.filter(pl.col("metric") == "failed")["value"].sum() == 0


def cell(value: object) -> str:
    """Return a value of an axis as text, a number or a mapping in one form."""
    if isinstance(value, (int, float)):
        return f"{value:g}"
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)


@pytest.mark.parametrize(("folder", "ledger"), STUDIES)
def test_the_report_needs_no_network(folder: str, ledger: str):
    """The page forbids every request and names no other host as a source."""
    text = report_of(folder, ledger).read_text(encoding="utf-8")
    assert "Content-Security-Policy" in text
    assert not re.search(r"<(?:script|link|img)[^>]+(?:src|href)=[\"']?https?:", text)


@pytest.mark.parametrize("folder", TABLES)
def test_every_table_has_been_written(folder: str):
    """Between its markers stands a table."""
    text = (RESULTS / folder / "README.md").read_text(encoding="utf-8")
    for names in TABLES[folder].values():
        for name in names:
            made = text.partition(f"<!-- {name}: begin -->")[2].partition(f"<!-- {name}: end -->")
            assert made[0].strip().startswith("| ")
            assert put(text, name, made[0].strip("\n"), "README.md") == text


def test_markers_that_are_not_there_are_an_error():
    """A page without the two lines, or with them the wrong way round, is refused by name."""
    for text in ("nothing", "<!-- a: end -->\n<!-- a: begin -->"):
        with pytest.raises(LbbenchError, match=r"page\.md.*<!-- a: begin -->"):
            put(text, "a", "| table |", "page.md")


def test_a_missing_ledger_is_told(tmp_path: Path):
    """Without the sweep there is a sentence and no table."""
    folder = tmp_path / "scale-out"
    folder.mkdir()
    (folder / "README.md").write_text("text", encoding="utf-8")
    with pytest.raises(LbbenchError, match=r"study\.sqlite"):
        main([str(folder)])
    assert (folder / "README.md").read_text(encoding="utf-8") == "text"

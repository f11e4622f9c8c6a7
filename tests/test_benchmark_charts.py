"""The charts of the kept figures: of every balancer of the package, at every size."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from charting import texts

from benchmarks.charts import main, pictures
from benchmarks.tables import Figures, read
from lbbench.balancers.base import registry
from lbbench.errors import LbbenchError
from lbbench.report.charts.look import colour

KEPT = Path(__file__).parent.parent / "results" / "benchmarks"


def test_every_balancer_has_a_point():
    """The kept figures hold all of them, for 16 and for 256 endpoints."""
    made = pictures([read(path) for path in sorted(KEPT.glob("baseline*.json"))])
    assert [one.name for one in made] == [
        "pick-cost-against-quality-16", "pick-cost-against-quality-256",
    ]  # fmt: skip
    for one in made:
        assert set(registry()) <= set(texts(one))


def test_the_kept_charts_are_there_in_the_colours_of_today():
    """Both formats are in the repository, made after the last change of a balancer's colour."""
    for size in (16, 256):
        path = KEPT / f"pick-cost-against-quality-{size}.svg"
        kept = path.read_text(encoding="utf-8")
        assert {colour(name) for name in registry() if name in kept} <= set(colours_in(kept))
        assert all(name in kept for name in registry())
        assert path.with_suffix(".png").stat().st_size > 1000


def colours_in(svg: str) -> list[str]:
    """Return every colour that an SVG names."""
    return re.findall(r"#[0-9a-f]{6}\b", svg)


def test_files_without_such_figures_are_told(capsys):
    """The sentence names the files and what to do; the command ends with 2."""
    with pytest.raises(LbbenchError, match=r"none.json: no figures .*make bench"):
        pictures([Figures("none.json", {})])
    assert main([str(KEPT / "baseline-ratios.json")]) == 2
    assert "make bench" in capsys.readouterr().err

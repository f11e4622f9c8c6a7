"""The charts of the kept figures: of every balancer of the package, at every size."""

from __future__ import annotations

from pathlib import Path

import pytest
from charting import texts

from benchmarks.charts import main, pictures
from benchmarks.tables import Figures, read
from lbbench.balancers.base import registry
from lbbench.errors import LbbenchError

KEPT = Path(__file__).parent.parent / "results" / "benchmarks"


def test_every_balancer_has_a_point():
    """The kept figures hold all of them, for 16 and for 256 endpoints."""
    made = pictures([read(KEPT / "baseline.json")])
    assert [one.name for one in made] == [
        "pick-cost-against-quality-16", "pick-cost-against-quality-256",
    ]  # fmt: skip
    for one in made:
        assert set(registry()) <= set(texts(one))


def test_the_kept_charts_are_there_as_both_formats():
    """What the documentation shows is in the repository."""
    for size in (16, 256):
        for suffix in (".svg", ".png"):
            assert (KEPT / f"pick-cost-against-quality-{size}{suffix}").stat().st_size > 1000


def test_files_without_such_figures_are_told(capsys):
    """The sentence names the files and what to do; the command ends with 2."""
    with pytest.raises(LbbenchError, match=r"none.json: no figures .*make bench"):
        pictures([Figures("none.json", {})])
    assert main([str(KEPT / "baseline-ratios.json")]) == 2
    assert "make bench" in capsys.readouterr().err

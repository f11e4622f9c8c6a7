"""What is told of a league: tables in any width, charts, page, relatives, the kept figures."""

from __future__ import annotations

import io
import json
from pathlib import Path

import pytest
from charting import texts
from leagues import document
from rich.console import Console

from benchmarks import league as kept
from benchmarks.league_tables import left_out, ranking, tails
from benchmarks.tables import BEGIN, END, put_between, read, tables
from lbbench.balancers.base import find, registry
from lbbench.errors import LbbenchError
from lbbench.report.charts.of_league import pictures
from lbbench.report.charts.picture import svg
from lbbench.report.league import show
from lbbench.report.page.page import page_of_league
from lbbench.report.relatives import NOTHING, measured, of_league, origin, relatives

ROOT = Path(__file__).parent.parent
FOLDER = ROOT / "results" / "league"


def told(width: int) -> list[str]:
    """Return the lines of a league in a terminal of that width."""
    out = io.StringIO()
    show(document(), Console(file=out, width=width, color_system=None, highlight=False))
    return [line.rstrip() for line in out.getvalue().splitlines()]


# --- terminal -------------------------------------------------------------------------------------


@pytest.mark.parametrize("width", [60, 80, 120, 160])
def test_a_table_fits_its_terminal(width: int):
    """No line is longer than the terminal; p99 and who it belongs to are always there."""
    lines = told(width)
    assert max(map(len, lines)) <= width
    heads = [line for line in lines if line.startswith("balancer")]
    assert len(heads) == 2
    assert all("p99 ms" in line for line in heads)


def test_a_wide_terminal_has_every_figure():
    """All measures with intervals, the ranking behind the jobs, and who is missing with why."""
    lines = told(160)
    head = next(line for line in lines if line.startswith("balancer"))
    for name in ("p50 ms", "max/mean", "errors %", "session loss %", "M picks/s", "busiest pod %"):
        assert name in head
    assert head.count("±") == 4
    assert "not in this job: iptables: is of layer 4" in lines
    assert any(line.startswith("over 2 jobs: calm, failing-pod") for line in lines)
    assert any("Without failing-pod" in line for line in lines)


# --- charts and page ------------------------------------------------------------------------------


def test_the_charts_name_everybody():
    """One shows every entrant at every job, the other what its picks cost."""
    made = pictures(document())
    assert [one.name for one in made] == ["p99-by-job", "p99-against-pick-cost"]
    for one in made:
        assert {"jsq", "random", "ewma"} <= set(texts(one))
        assert "<svg" in svg(one)
    assert {"1.00", "2.00", "3.00", "5.0 % fail", "10 % fail"} <= set(texts(made[0]))


def test_names_of_many_do_not_cover_each_other():
    """Forty-five names at points that lie close together: hardly any has a place in common."""
    from lbbench.report.charts.pick_cost_against_quality import (
        SIDES,
        WIDTH,
        _box,
        _common,
        _from_one,
        _sides,
    )
    from lbbench.report.charts.scales import logarithmic

    rows = [
        {"series": f"some_balancer_{k}", "x": 5.0 * 1.06**k, "y": 1.0 + 0.13 * (k * 17 % 45)}
        for k in range(45)
    ]
    across, up, height = logarithmic(5.0, 70.0), _from_one(7.0), 800.0
    boxes = [
        _box(across.place(row["x"]) * WIDTH, (1.0 - up.place(row["y"])) * height, side, 16)
        for side, some in _sides(rows, across, up, height).items()
        for row in some
    ]
    assert len(boxes) == 45
    assert len(SIDES) == 64
    covered = sum(_common(a, b) for i, a in enumerate(boxes) for b in boxes[:i])
    assert covered < 0.02 * sum((b[2] - b[0]) * (b[3] - b[1]) for b in boxes)


def test_the_page_says_who_is_best_and_how_sure():
    """Answers, a section per job, the ranking, and how to make it again."""
    page = page_of_league(document())
    for text in (
        "jsq (1.00), random (2.00) and ewma (3.00)",
        "What does calm ask?",
        "fewest errors",
        "lbbench compare --all --out league",
        "not corrected",
    ):
        assert text in page


def test_report_makes_the_page_of_a_league(command, tmp_path: Path):
    """`lbbench report` takes the folder of a league, and its pictures."""
    (tmp_path / "league.json").write_text(json.dumps(document()), encoding="utf-8")
    ended = command("report", tmp_path, "--svg", tmp_path / "figures")
    assert ended.code == 0, ended.err
    assert (tmp_path / "report.html").is_file()
    assert len(list((tmp_path / "figures").iterdir())) == 2


# --- relatives ------------------------------------------------------------------------------------


def test_relatives_are_balancers_that_there_are():
    """Every name is in the registry, no balancer is its own relative, each sentence is one."""
    for item in registry().values():
        names = [name for name, _ in item.differs]
        assert set(names) <= set(registry()) - {item.name}
        assert len(set(names)) == len(names)
        for _, how in item.differs:
            assert 20 <= len(how) <= 160
            assert how == " ".join(how.split()).rstrip(".")


def test_a_difference_is_told_as_it_was_measured():
    """Ratio and interval with the job; what has no measurement says so."""
    some = of_league(document(("least_conn", "jsq", "ewma")))
    (pair,) = [one for one in relatives(find("jsq"), some) if one.name == "least_conn"]
    assert pair.measured == ("p99 2.00x least_conn on calm, 95 % 1.90-2.10",)
    assert "3 x 1,000 requests per job, seed 1" in origin(some)
    (other,) = [one for one in relatives(find("ewma"), some) if one.name == "p2c"]
    assert other.measured == ()


def test_a_difference_that_may_be_chance_is_not_told_as_a_number():
    """What Holm's correction does not tell apart is said so."""
    some = of_league(document(("least_conn", "jsq", "ewma")))
    some["pairs"] = [{**one, "told_apart": False} for one in some["pairs"]]
    (pair,) = [one for one in relatives(find("jsq"), some) if one.name == "least_conn"]
    assert pair.measured == ("p99 and least_conn's cannot be told apart on calm",)


def test_a_balancer_tells_its_differences(command):
    """`lbbench balancers NAME` has the sentence and the measurement, or that there is none."""
    item = registry()["haproxy_random"]
    out = " ".join(command("balancers", item.name).out.split())
    for one in relatives(item):
        assert f"from {one.name}: {one.how}" in out
        assert all(text in out for text in one.measured or (NOTHING,))
    (row,) = json.loads(command("balancers", item.name, "--json", "-").out)["balancers"]
    assert [one["name"] for one in row["differs"]] == [name for name, _ in item.differs]


# --- the kept league ------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def league():
    """Return the league of results/."""
    return kept.read(FOLDER)


def test_the_kept_tables_are_those_of_the_data(league):
    """results/league/README.md, the README and the package say what league.json says."""
    page = (FOLDER / "README.md").read_text(encoding="utf-8")
    assert kept.filled(page, league, "README.md") == page
    made, left = tables([read(FOLDER / "league.json")])
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    assert put_between(readme, made, "README.md") == readme
    assert left == []
    assert dict(measured()) == of_league(league)


def test_every_figure_of_the_kept_league_has_its_origin(league):
    """Each job has its scenario, seed and replications; the whole has version and machine."""
    from lbbench.inputs.yaml import load

    assert league["version"]
    assert league["machine"]["cores"]
    for job in league["jobs"]:
        assert job["replications"] == job["scenario"]["run"]["replications"]
        assert job["scenario"] == json.loads(json.dumps(load(job["name"]).resolved()))
        assert len(job["entrants"]) > 1


def test_the_kept_charts_are_there():
    """Both kinds for both paths, as SVG and as PNG."""
    names = {path.name for path in (FOLDER / "charts").iterdir()}
    stems = {f"{path}{kind}" for path in ("", "kube-proxy-")
             for kind in ("p99-by-job", "p99-against-pick-cost")}  # fmt: skip
    assert names == {f"{stem}.{kind}" for stem in stems for kind in ("svg", "png")}


def test_tables_come_from_a_document_alone(tmp_path: Path):
    """The tables in Markdown have everybody; a folder without a league of all jobs is refused."""
    one = document()
    assert "| 2 | random | 2.00 (1.98–2.02) |" in ranking(one, "ingress")
    assert "| ewma | 300 (290–310) | 10.0 % fail |" in tails(one)
    assert left_out(one).count("iptables: is of layer 4") == 2
    with pytest.raises(LbbenchError, match="make league"):
        kept.read(tmp_path)
    (tmp_path / "league.json").write_text(json.dumps(one), encoding="utf-8")
    assert kept.main([str(tmp_path)]) == 2
    assert BEGIN != END

"""The league: one run of a small one, its order, its figures, what happens when it is stopped."""

from __future__ import annotations

import json
import math
from pathlib import Path
from types import MappingProxyType

import numpy as np
import pytest
from command import says_one_sentence

from lbbench.balancers.base import registry
from lbbench.errors import Interrupted, RunError
from lbbench.inputs.yaml import load
from lbbench.stats.intervals import student
from lbbench.studies.league import jobs as jobs_module
from lbbench.studies.league import league as league_module
from lbbench.studies.league.alone import alone
from lbbench.studies.league.figures import FIGURES, Figure, mean_of, mean_over_jobs, ratio_over_jobs
from lbbench.studies.league.jobs import BALANCER, Entrant
from lbbench.studies.league.league import league
from lbbench.studies.league.table import Standing

FEW = ("jsq", "random", "round_robin")
SMALL = ("--engine", "reference", "--set", "run.requests=300", "--replications", "2")


@pytest.fixture
def few(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let three balancers take part, and nobody wait for the picks of more."""
    some = MappingProxyType({name: registry()[name] for name in FEW})
    monkeypatch.setattr(jobs_module, "registry", lambda: some)


@pytest.fixture
def no_picks(monkeypatch: pytest.MonkeyPatch) -> None:
    """Leave the picks untimed, which takes a compiler."""
    monkeypatch.setattr(league_module, "_picks", lambda *_: ({}, {}))


# --- a whole one ----------------------------------------------------------------------------------


@pytest.mark.usefixtures("few")
def test_a_small_league_has_every_figure(command, tmp_path: Path):
    """`compare FILE --all --out` leaves data, page and charts, and no ledger; figures are whole."""
    out = tmp_path / "league"
    ended = command("compare", "equal-pods", "--all", *SMALL, "--out", out)
    assert ended.code == 0, ended.err
    assert {path.name for path in out.iterdir()} == {"league.json", "report.html", "charts"}
    assert {path.suffix for path in (out / "charts").iterdir()} == {".svg", ".png"}
    document = json.loads((out / "league.json").read_text(encoding="utf-8"))
    (job,) = document["jobs"]
    assert (job["seed"], job["replications"], document["version"]) == (1, 2, "0.1.0")
    assert job["scenario"]["run"]["requests"] == 300
    assert "sweep" not in job["scenario"]
    assert {one["name"] for one in job["entrants"]} == set(FEW)
    for one in job["entrants"]:
        assert one["p50"]["value"] < one["p99"]["value"]
        assert one["error_rate"]["value"] == 0.0
        assert 0.0 <= one["session_loss"]["value"] <= 1.0
        low, high = one["picks_per_s"]["ci95"]
        assert low <= one["picks_per_s"]["value"] <= high
    p99 = [one["p99"]["value"] for one in job["entrants"]]
    assert p99 == sorted(p99)
    assert job["entrants"][0]["p99_to_best"]["value"] == 1.0
    lines = ended.out.splitlines()
    start = next(i for i, line in enumerate(lines) if line.startswith("balancer "))
    told = [line.split()[0] for line in lines[start + 1 : start + 4]]
    assert told == [one["name"] for one in job["entrants"]]


@pytest.mark.usefixtures("few", "no_picks")
def test_everybody_meets_the_same_requests_twice_the_same(command):
    """The same command gives the same figures, however the workers shared the runs."""
    asked = ("compare", "equal-pods", "--all", *SMALL, "--json", "-", "--workers")
    both = [json.loads(command(*asked, n).out) for n in (1, 2)]
    assert both[0]["jobs"] == both[1]["jobs"]


@pytest.mark.usefixtures("few", "no_picks")
def test_two_jobs_make_a_ranking(tmp_path: Path):
    """Over several jobs there is a ranking: geometric means of the ratios to each job's best."""
    from lbbench.studies.league.document import to_dict

    changes = ["run.requests=300", "run.replications=2"]
    scenarios = [load(name, changes) for name in ("equal-pods", "bursts")]
    document = to_dict(league(scenarios, tmp_path, engine="reference"))
    (ranking,) = document["rankings"]
    assert ranking["p99_jobs"] == ["equal-pods", "bursts"]
    for row in ranking["entrants"]:
        ratios = [
            one["p99_to_best"]["value"]
            for job in document["jobs"]
            for one in job["entrants"]
            if one["name"] == row["name"]
        ]
        wanted = math.exp(sum(map(math.log, ratios)) / 2)
        assert row["p99_to_best"]["value"] == pytest.approx(wanted)
    values = [row["p99_to_best"]["value"] for row in ranking["entrants"]]
    assert values == sorted(values)


@pytest.mark.usefixtures("few", "no_picks")
def test_a_balancer_of_ones_own_takes_part(command, tmp_path: Path):
    """--balancers adds FILE.py:NAME to all of the registry; what breaks is named with its error."""
    path = tmp_path / "mine.py"
    path.write_text(
        "from lbbench.balancers.base import find\nfrom dataclasses import replace\n"
        "def broken(state, rng, now, key, busy, tried):\n    return 1 // (now > 1e9)\n"
        "mine = replace(find('random'), name='mine', pick=broken)\n",
        encoding="utf-8",
    )
    ended = command("compare", "equal-pods", "--all", *SMALL, "--balancers", f"{path}:mine",
                    "--json", "-")  # fmt: skip
    (job,) = json.loads(ended.out)["jobs"]
    (absent,) = job["missing"]
    assert absent["name"] == "mine.py:mine"
    assert "ZeroDivisionError" in absent["reason"]


def test_one_entrant_alone_has_the_figures_of_the_league():
    """What the benchmarks put beside the cost of a pick: the same names, of one process."""
    scenario = load("equal-pods", ["run.requests=2000", "run.replications=3"])
    found = alone(scenario, Entrant("random", "random", {BALANCER: "random"}), engine="reference")
    assert list(found) == list(FIGURES)
    assert found["p50"].value < found["p99"].value
    low, high = found["session_loss"].ci95
    assert low < 15 / 16 < high


# --- stopped, or asked for what cannot be ---------------------------------------------------------


@pytest.mark.usefixtures("few", "no_picks")
def test_ctrl_c_says_where_and_goes_on(monkeypatch, tmp_path: Path):
    """The sentence names the job and what is kept; the second call runs what is missing."""
    real = league_module.table_of

    def stopped(*_args, **_named):
        raise KeyboardInterrupt

    scenario = load("equal-pods", ["run.requests=300", "run.replications=2"])
    monkeypatch.setattr(league_module, "table_of", stopped)
    with pytest.raises(Interrupted, match=r"job 1 of 1, equal-pods; .*same command goes on"):
        league([scenario], tmp_path, engine="reference")
    with pytest.raises(Interrupted, match="nothing was written"):
        league([scenario], tmp_path, engine="reference", kept=False)
    monkeypatch.setattr(league_module, "table_of", real)
    (table,) = league([scenario], tmp_path, engine="reference").tables
    assert len(table.standings) == len(FEW)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ((), "FILE is missing"),
        (("equal-pods", "--all", "--vary", "cluster.pods=1,2"), "--all and --vary"),
        (("equal-pods", "--workers", "2"), "--workers belongs to --all"),
        (("no-such-file", "--all"), "no such file"),
        (("equal-pods", "--all", "--balancers", "ewna"), "did you mean ewma"),
    ],
)
def test_what_cannot_be_compared_is_one_sentence(command, arguments, message):
    """Options that exclude each other end before anything runs."""
    ended = command("compare", *arguments)
    assert says_one_sentence(ended)
    assert message in ended.err


def test_what_fails_makes_no_folder(command, tmp_path: Path):
    """--out is made when there is something to put into it."""
    out = tmp_path / "new" / "folder"
    ended = command("compare", "equal-pods", "--all", "--out", out, "--set", "run.requests=1",
                    "--set", "stages.kube_proxy.options={nothing: 1}")  # fmt: skip
    assert says_one_sentence(ended)
    assert "nobody can do this job" in ended.err
    assert list(tmp_path.iterdir()) == []


def test_two_jobs_of_one_name_are_refused(tmp_path: Path):
    """Their ledgers would be one."""
    with pytest.raises(RunError, match="two jobs have this name"):
        league([load("bursts"), load("bursts")], tmp_path)


# --- order and figures ----------------------------------------------------------------------------


def standing(name: str, p99: float | None, errors: float) -> Standing:
    """Return an entrant with these figures."""
    figures = {"p99": Figure(p99), "error_rate": Figure(errors)}
    return Standing(Entrant(name, name, {}), figures, Figure(None), 0.5, ())


def test_who_fails_one_in_a_hundred_has_no_p99():
    """Failed requests never end: above 1 % the p99 is one, and the order goes by the errors."""
    some = [
        standing("black hole", 0.001, 0.5), standing("slow", 0.3, 0.0),
        standing("quick", 0.1, 0.01),
        standing("even", 0.1, 0.0625), standing("silent", None, 0.0),
    ]  # fmt: skip
    ordered = [one.entrant.name for one in sorted(some, key=lambda one: one.order)]
    assert ordered == ["quick", "slow", "silent", "even", "black hole"]


def test_a_mean_has_students_interval():
    """Mean and t(n-1) s / sqrt(n) of independent replications; a single one has no interval."""
    values = [1.0, 2.0, 4.0]
    found = mean_of(values)
    half = student(2) * np.std(values, ddof=1) / math.sqrt(3)
    assert found.value == pytest.approx(7 / 3)
    assert found.ci95 == pytest.approx((7 / 3 - half, 7 / 3 + half))
    assert mean_of([2.0]) == Figure(2.0)
    assert mean_of([2.0, None]) == Figure(None)


def test_what_jobs_owe_to_the_same_traffic_is_not_counted_as_independent():
    """Two jobs that move together have the interval of one; opposite ones cancel."""
    one, other = mean_of([1.0, 2.0, 4.0]), mean_of([4.0, 2.0, 1.0])
    assert mean_over_jobs([one, one]).ci95 == pytest.approx(one.ci95)
    both = mean_over_jobs([one, other])
    assert both.ci95[1] - both.ci95[0] < 0.6 * (one.ci95[1] - one.ci95[0])
    assert mean_over_jobs([one, Figure(None)]) == Figure(None)


def test_a_ratio_is_paired():
    """Twice as slow in every replication is 2 without any doubt, however the traffic moves."""
    best = mean_of([1.0, 2.0, 4.0])
    twice = mean_of([2.0, 4.0, 8.0])
    found = ratio_over_jobs([twice, twice], [best, best])
    assert found.value == pytest.approx(2.0)
    assert found.ci95 == pytest.approx((2.0, 2.0))
    assert ratio_over_jobs([Figure(1.0)], [Figure(2.0)]) == Figure(0.5)

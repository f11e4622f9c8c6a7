"""Points that fail, never end or make no sense: recorded, told, and no harm to the others."""

from __future__ import annotations

import pytest
from sweeping import Heard, small, swept, values

from lbbench.errors import RunError
from lbbench.store.ledger import Ledger
from lbbench.studies import sweep as sweeping_module
from lbbench.studies.point import sentence
from lbbench.studies.study import Study

BROKEN = """
from lbbench.balancers.random import RANDOM as whole
from dataclasses import replace

def pick(state, rng, now, key, busy, tried):
    return [][3]

mine = replace(whole, name="mine", pick=pick)
"""


def test_a_point_that_fails_is_recorded_and_the_sweep_goes_on(tmp_path):
    """The row of the broken balancer holds error, file and line; the others have results."""
    (tmp_path / "mine.py").write_text(BROKEN, encoding="utf-8")
    out = tmp_path / "a.sqlite"
    axes = {"sweep": {"axes": {"stages.ingress.balancer": ["random", "mine.py:mine"]}}}
    scenario = small(tmp_path, replications=1).with_(axes)
    heard = Heard()
    with swept(scenario, out, watcher=heard) as study:
        (condition,) = study.conditions()
        good, bad = condition.summaries
        assert (good.replications, bad.replications) == (1, 0)
        assert "mine.py:6: " in bad.errors[0]
        assert "IndexError: list index out of range" in bad.errors[0]
        failed = values(study).filter(values(study)["metric"] == "failed")
        assert sorted(failed["value"]) == [0.0, 1.0]
    assert heard.stood[-1].failed == 1
    assert "1 replications have no result" in heard.said[-1]
    again = Heard()
    swept(scenario, out, watcher=again).close()
    assert "2 replications are there (1 of them without a result)" in again.said[0]
    assert again.stood == []  # it has ended, though without a result
    (tmp_path / "mine.py").write_text(BROKEN.replace("[][3]", "0"), encoding="utf-8")
    with swept(scenario, out) as study:  # another content: the edited file runs by itself
        assert [one.replications for one in next(study.conditions()).summaries] == [1, 1]


def test_a_state_that_fails_fails_its_point_alone(tmp_path):
    """An error where a balancer's state is made is the point's own, too."""
    text = BROKEN.replace("pick=pick", "pick=pick, state=lambda *_: {}['none']")
    (tmp_path / "mine.py").write_text(text, encoding="utf-8")
    axes = {"sweep": {"axes": {"stages.ingress.balancer": ["random", "mine.py:mine"]}}}
    scenario = small(tmp_path, replications=1).with_(axes)
    with swept(scenario, tmp_path / "a.sqlite") as study:
        good, bad = next(study.conditions()).summaries
        assert (good.replications, bad.replications) == (1, 0)
        assert "mine.py:8: " in bad.errors[0]
        assert "KeyError: 'none'" in bad.errors[0]


def test_what_a_compiler_says_is_one_line():
    """The reason and the line of the file that is named last, whatever stands around them."""
    said = (
        "Failed in lbbench mode pipeline (step: nopython_type_inference)\n"
        "Failed in lbbench mode pipeline (step: nopython_rewrites)\n"
        "raise with these arguments is not supported\n\n"
        'File "../home/me/my_lb.py", line 11:\n    raise ValueError("other")\n    ^\n'
        "During: Pass nopython_type_inference\n"
    )
    wanted = "ValueError: raise with these arguments is not supported (in my_lb.py:11)"
    assert sentence(ValueError(said)) == wanted
    assert len(sentence(ValueError("x" * 10_000))) < 300


def test_retry_runs_again_what_has_no_result(tmp_path):
    """A replication that ran out of time is run again when that is asked for."""
    out = tmp_path / "a.sqlite"
    scenario = small(tmp_path, requests=20_000, replications=1)
    with swept(scenario, out, "fast", time_limit=1e-6) as study:
        errors = values(study)["error"].unique().to_list()
        assert len(errors) == 1
        assert "stopped at its time limit of 1e-06 s after 16,384 of 20,000 requests" in errors[0]
    with swept(scenario, out, "fast", retry=True) as study:
        assert values(study)["error"].null_count() == len(values(study))


ENDLESS = """
from lbbench.balancers.random import RANDOM as whole
from dataclasses import replace

def pick(state, rng, now, key, busy, tried):
    while True:
        now += 1.0

mine = replace(whole, name="mine", pick=pick)
"""


def test_a_point_without_end_is_ended(tmp_path, monkeypatch):
    """What never comes back to be asked for the time is killed, recorded, and no other suffers."""
    monkeypatch.setattr(sweeping_module, "GRACE", 0.5)
    (tmp_path / "mine.py").write_text(ENDLESS, encoding="utf-8")
    axes = {"sweep": {"axes": {"stages.ingress.balancer": ["random", "mine.py:mine"]}}}
    scenario = small(tmp_path, replications=1).with_(axes)
    with swept(scenario, tmp_path / "a.sqlite", time_limit=5.0) as study:
        good, bad = next(study.conditions()).summaries
        assert (good.replications, bad.replications) == (1, 0)
        assert "time limit" in bad.errors[0]


def test_a_point_that_fails_in_part_is_compared_on_what_it_has(tmp_path):
    """The other pairs keep all their replications; the poor one is compared on its own."""
    out = tmp_path / "a.sqlite"
    scenario = small(tmp_path, "sweep.axes.traffic.utilisation=[0.8]", replications=3)
    with swept(scenario, out) as study:
        before = next(study.conditions()).differences
        poor = study.points[1]
        rows = study.rows(poor)
    lost = [row._replace(status="timeout", error="too long", result=None) for row in rows[1:]]
    with Ledger.open(out, write=True) as ledger:
        ledger.write(lost)
    with Study.open(out) as study:
        condition = next(study.conditions())
        assert [one.replications for one in condition.summaries] == [3, 1, 3]
        assert condition.differences.items["least_conn"] == before.items["least_conn"]
        assert condition.differences.items["random"][0].difference_ci95 is None
        assert (
            "random mean and round_robin: too few common replications to tell them apart"
            in condition.differences.sentences()
        )
        assert study.missing == 0


def test_a_file_that_is_edited_during_the_sweep_stops_it(tmp_path, monkeypatch):
    """No result is kept under the digest of another file; the next call names the edit."""
    (tmp_path / "mine.py").write_text(BROKEN.replace("[][3]", "0"), encoding="utf-8")
    out = tmp_path / "a.sqlite"
    axes = {"sweep": {"axes": {"stages.ingress.balancer": ["random", "mine.py:mine"]}}}
    scenario = small(tmp_path, replications=1).with_(axes)
    planned = sweeping_module.begin

    def edit(*arguments):
        found = planned(*arguments)
        (tmp_path / "mine.py").write_text(BROKEN.replace("[][3]", "1"), encoding="utf-8")
        return found

    with monkeypatch.context() as patch:
        patch.setattr(sweeping_module, "begin", edit)
        with pytest.raises(
            RunError, match=r"mine\.py: the worker .* were edited, give the command"
        ):
            swept(scenario, out)
    heard = Heard()
    swept(scenario, out, watcher=heard).close()
    (tmp_path / "mine.py").write_text(BROKEN.replace("[][3]", "2"), encoding="utf-8")
    swept(scenario, out, watcher=heard).close()
    assert "changed since the last sweep (mine.py: edited)" in heard.said[-1]
    assert "1 others stay in the file" in heard.said[-1]


def test_a_combination_that_is_no_scenario_is_a_point_without_result(tmp_path):
    """Values that are fine alone and not together are counted, and the others run."""
    scenario = small(tmp_path, replications=1)
    axes = {"cluster.pods": [4, 6], "cluster.placement": ["spread", [2, 2]]}
    heard = Heard()
    scenario = scenario.with_({"sweep": {"axes": axes}})
    with swept(scenario, tmp_path / "a.sqlite", watcher=heard) as study:
        invalid = [point for point in study.points if point.invalid is not None]
        assert [dict(p.values) for p in invalid] == [
            {"cluster.pods": 6, "cluster.placement": [2, 2]}
        ]
        failed = values(study).filter(values(study)["metric"] == "failed")
        assert failed["value"].to_list() == [0.0, 0.0, 0.0, 1.0]
        assert "placement" in failed["error"][-1]
    assert any("1 combinations are no scenario" in text for text in heard.said)

"""A sweep into a ledger that has something already: only what is missing runs."""

from __future__ import annotations

import pytest
from sweeping import Heard, small, swept, values, written

from lbbench import __version__
from lbbench.errors import RunError
from lbbench.inputs.yaml import load
from lbbench.report.study import reservations
from lbbench.store.ledger import Ledger
from lbbench.studies import sweep as sweeping_module
from lbbench.studies.study import Study
from lbbench.studies.sweep import sweep


def swept_on(dask, scenario, out) -> None:
    sweep(scenario, out=out, engine="reference", dask=dask)


@pytest.fixture
def no_workers(monkeypatch):
    """Let a sweep that starts a worker fail."""

    def refuse(*_args, **_options):
        raise AssertionError("a worker was started")

    monkeypatch.setattr(sweeping_module, "Processes", refuse)


def test_the_same_call_again_runs_nothing(tmp_path, request):
    """A finished study starts no worker and says that all is there."""
    swept(small(tmp_path), tmp_path / "a.sqlite").close()
    before = values(tmp_path / "a.sqlite")
    request.getfixturevalue("no_workers")
    heard = Heard()
    swept(small(tmp_path), tmp_path / "a.sqlite", watcher=heard).close()
    assert heard.said == ["a.sqlite: going on, 12 replications are there"]
    assert values(tmp_path / "a.sqlite").equals(before, null_equal=True)


def test_more_replications_run_only_the_new_ones(tmp_path):
    """Raising `run.replications` keeps those that are there; lowering it leaves them out."""
    out = tmp_path / "a.sqlite"
    swept(small(tmp_path, replications=1), out).close()
    heard = Heard()
    swept(small(tmp_path, replications=3), out, watcher=heard).close()
    assert heard.stood[0].found == 6
    assert heard.stood[-1].done == heard.stood[-1].total == 18
    assert "run.replications: 1 -> 3" in heard.said[0]
    direct = swept(small(tmp_path, replications=3), tmp_path / "b.sqlite")
    with direct:
        assert values(out).equals(values(direct), null_equal=True)
    swept(small(tmp_path, replications=2), out).close()
    assert values(out)["replication"].max() == 1


def test_a_changed_scenario_is_told_from_an_interrupted_one(tmp_path):
    """What differs is named; equal points are kept, those that are gone leave the study."""
    out = tmp_path / "a.sqlite"
    swept(small(tmp_path), out).close()
    file = written(tmp_path)
    text = file.read_text(encoding="utf-8").replace("[0.5, 0.8]", "[0.5, 0.6]")
    file.write_text(text, encoding="utf-8")
    heard = Heard()
    with swept(load(file), out, watcher=heard) as study:
        assert {point.values["traffic.utilisation"] for point in study.points} == {0.5, 0.6}
        assert set(values(study)["traffic.utilisation"]) == {0.5, 0.6}
    assert "the scenario has changed since the last sweep" in heard.said[0]
    assert "sweep.axes.traffic.utilisation: [0.5, 0.8] -> [0.5, 0.6]" in heard.said[0]
    assert "6 replications are the same and are kept; 6 others stay" in heard.said[0]
    assert heard.stood[0].found == 6


def test_a_file_under_another_name_is_the_same_study(tmp_path, request):
    """The name of a scenario is no part of it."""
    out = tmp_path / "a.sqlite"
    file = written(tmp_path)
    swept(load(file), out).close()
    request.getfixturevalue("no_workers")
    other = tmp_path / "other.yaml"
    text = file.read_text(encoding="utf-8").replace("name: small", "name: other")
    other.write_text(text, encoding="utf-8")
    heard = Heard()
    swept(load(other), out, watcher=heard).close()
    assert heard.said == ["a.sqlite: going on, 12 replications are there"]


def with_other_version(out, tmp_path) -> None:
    """Run a study and let its rows be those of another version."""
    swept(small(tmp_path, replications=1), out).close()
    with Ledger.open(out, write=True) as ledger:
        rows = [row for m in ledger.members() for row in ledger.rows(m.content, 1)]
    out.unlink()
    with Ledger.open(out, write=True) as ledger:
        ledger.write([row._replace(version="0.0.9") for row in rows])


def test_results_of_another_version_are_named(tmp_path):
    """They are neither mixed in nor thrown away unasked."""
    out = tmp_path / "a.sqlite"
    with_other_version(out, tmp_path)
    with pytest.raises(
        RunError, match=rf"6 of 0\.0\.9; this is {__version__}\); --reuse .*--fresh"
    ):
        swept(small(tmp_path, replications=1), out)


def test_reuse_takes_results_of_another_version(tmp_path, request):
    """With reuse nothing runs, and the table names the version."""
    out = tmp_path / "a.sqlite"
    with_other_version(out, tmp_path)
    request.getfixturevalue("no_workers")
    with swept(small(tmp_path, replications=1), out, other_version="reuse") as study:
        assert set(values(study)["version"]) == {"0.0.9"}


def test_results_of_two_versions_are_told(tmp_path):
    """With reuse a missing point runs by this version; the study knows that it mixes."""
    out = tmp_path / "a.sqlite"
    with_other_version(out, tmp_path)
    scenario = small(tmp_path, "sweep.axes.traffic.utilisation=[0.8, 0.9]", replications=1)
    with swept(scenario, out, other_version="reuse") as study:
        assert study.versions == [__version__, "0.0.9"]
        found = values(study).filter(values(study)["metric"] == "failed")
        assert found["version"].to_list() == ["0.0.9"] * 3 + [__version__] * 3
        assert "are taken together (--reuse)" in reservations(study)[0]


def test_fresh_runs_again_what_another_version_ran(tmp_path):
    """With fresh the study is of this version alone; the old rows stay in the file."""
    out = tmp_path / "a.sqlite"
    with_other_version(out, tmp_path)
    with swept(small(tmp_path, replications=1), out, other_version="fresh") as study:
        assert set(values(study)["version"]) == {__version__}
    with Ledger.open(out, write=False) as ledger:
        assert len(ledger.statuses()) == 12


def test_an_unfinished_study_says_so(tmp_path):
    """What is missing is counted, in the document and above the table."""
    out = tmp_path / "a.sqlite"
    swept(small(tmp_path, replications=1), out).close()
    with Ledger.open(out, write=True) as ledger:
        ledger.note("at_first", "3")
    with Study.open(out) as study:
        assert study.missing == study.to_dict()["missing"] == 12
        assert "12 replications are missing: the sweep has not ended" in reservations(study)[0]


def test_nothing_is_left_when_there_is_nobody_to_run_it(tmp_path):
    """A cluster that does not answer leaves no new file, and an old study as it was."""
    scenario, out = small(tmp_path, replications=1), tmp_path / "a.sqlite"
    nowhere = "not an address"
    with pytest.raises(RunError, match="not an address"):
        swept_on(nowhere, scenario, out)
    assert [path.name for path in tmp_path.iterdir()] == ["small.yaml"]
    swept(scenario, out).close()
    before = values(out)
    with pytest.raises(RunError, match="not an address"):
        swept_on(nowhere, scenario.with_({"run.replications": 3}), out)
    assert values(out).equals(before, null_equal=True)

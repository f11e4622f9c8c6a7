"""The README is true: its scenario loads, its Python runs, its commands are the commands."""

from __future__ import annotations

import io
import re
from pathlib import Path

from rich.console import Console

import lbbench
from lbbench.cli.app import COMMANDS
from lbbench.inputs.yaml import load

TEXT = (Path(__file__).parent.parent / "README.md").read_text(encoding="utf-8")


def snippet(language: str) -> str:
    """Return the first block of code in ``language``."""
    return re.search(rf"```{language}\n(.*?)```", TEXT, re.DOTALL)[1]


def test_the_scenario_loads_and_can_be_planned(tmp_path: Path):
    """The YAML of the README is a scenario that the engines accept."""
    from lbbench.engines.plan import make_plan

    path = tmp_path / "shop.yaml"
    path.write_text(snippet("yaml"), encoding="utf-8")
    plan = make_plan(load(path))
    assert len(plan.shape.pods) == 10


def test_the_axes_of_a_study_are_a_sweep(tmp_path: Path):
    """The second YAML block is a sweep that can be added to the scenario of the first."""
    from lbbench.studies.axes import check_axes, n_points

    blocks = re.findall(r"```yaml\n(.*?)```", TEXT, re.DOTALL)
    path = tmp_path / "shop.yaml"
    scenario = blocks[0].replace("duration: 10min", "requests: 1000")
    path.write_text(f"{scenario}\n{blocks[1]}", encoding="utf-8")
    sweep = check_axes(load(path))
    assert n_points(sweep) == 20
    assert n_points(sweep.model_copy(update={"random": None})) == 3 * 4 * 3 * 2


def test_the_python_of_a_study_runs(monkeypatch, capsys, tmp_path):
    """The second Python block sweeps (here 100 requests by the readable engine) and prints."""
    real, sweep = lbbench.load, lbbench.sweep
    small = ["run.requests=100", "run.replications=1", "sweep.axes.traffic.utilisation=[0.5]"]
    monkeypatch.setattr(lbbench, "load", lambda name: real(name, small))
    monkeypatch.setattr(
        lbbench, "sweep", lambda scenario, **how: sweep(scenario, engine="reference", **how)
    )
    monkeypatch.chdir(tmp_path)
    code = re.findall(r"```python\n(.*?)```", TEXT, re.DOTALL)[1]
    exec(compile(f"import lbbench\n{code}", "README.md", "exec"), {})
    assert capsys.readouterr().out.count("Figure(value=") == 8


def test_the_python_runs(monkeypatch, capsys):
    """The Python of the README prints the two figures (here of 2000 requests)."""
    real = lbbench.load
    monkeypatch.setattr(lbbench, "load", lambda name: real(name, ["run.requests=2000"]))
    exec(compile(snippet("python"), "README.md", "exec"), {})
    p99, load_max = map(float, capsys.readouterr().out.split())
    assert 0.05 < p99 < 5.0
    assert 0.5 < load_max <= 1.0


def test_the_table_of_commands_is_complete():
    """Every command has its row, and no row is of a command that does not exist."""
    assert set(re.findall(r"^\| `lbbench ([a-z-]+)", TEXT, re.MULTILINE)) == set(COMMANDS)


def test_it_begins_with_the_two_commands():
    """A newcomer sees `make demo` and `make test` first."""
    lines = [line.strip() for line in TEXT.splitlines() if line.strip()][1:3]
    assert [line.partition("#")[0].strip() for line in lines] == ["make demo", "make test"]


def test_the_timeline_is_one(tmp_path: Path):
    """Every change of the README is one that a scenario takes."""
    path = tmp_path / "life.yaml"
    text = f"cluster: {{pods: 6}}\ntraffic: {{utilisation: 0.5}}\n{snippet('yaml timeline')}"
    path.write_text(text, encoding="utf-8")
    assert len(load(path).timeline) == 6


def test_the_changes_of_the_dead_pod_are_what_a_run_says():
    """The table in the README is the table of a run, and so is the number of failures."""
    from lbbench.report.changes import changes_table

    result = lbbench.run(lbbench.load("dead-pod"))
    out = io.StringIO()
    Console(file=out, width=100, color_system=None).print(changes_table(result.changes))
    for line in out.getvalue().splitlines():
        assert line.rstrip() in TEXT
    assert result.requests["failed"] == 2
    assert "all but 2 of the requests" in " ".join(TEXT.split())

"""The commands on a page give the same numbers again."""

from __future__ import annotations

import shlex

import pages

from lbbench.inputs.yaml import load
from lbbench.model.result import Result
from lbbench.report.page import of_result
from lbbench.report.page.content import Page
from lbbench.report.page.reproduce import as_shipped, steps


def run_again(command, page: Page, tmp_path) -> Result:
    """Run the command of a page, its scenario saved where it says so; return the result."""
    words = shlex.split(page.steps.commands.replace("\\\n", " "))
    assert words[:2] == ["lbbench", "run"]
    if page.steps.file:
        (tmp_path / page.steps.file).write_text(page.scenario, encoding="utf-8")
    assert command(*words[1:], "--quiet").code == 0
    return Result.from_json((tmp_path / words[-1] / "result.json").read_text(encoding="utf-8"))


def test_the_commands_of_a_page_give_the_same_numbers(command, tmp_path, monkeypatch):
    """A shipped scenario with changes comes back by its name and --set; the result is the same."""
    monkeypatch.chdir(tmp_path)
    assert command("run", "ewma-herding", "--engine", "reference", "--set", "run.requests=200",
                   "--set", "stages.ingress.balancer=random", "--seed", 3, "--quiet", "--out",
                   tmp_path / "first").code == 0  # fmt: skip
    first = Result.from_json((tmp_path / "first/result.json").read_text(encoding="utf-8"))
    page = of_result.content(first)
    assert "lbbench run ewma-herding" in page.steps.commands
    assert "--seed 3" in page.steps.commands
    assert not page.steps.file
    again = run_again(command, page, tmp_path)
    assert again.to_json(clock=False) == first.to_json(clock=False)


def test_a_scenario_of_ones_own_comes_back_from_the_page(command, tmp_path, monkeypatch):
    """The YAML on the page, saved under the name that the commands use, gives the same result."""
    monkeypatch.chdir(tmp_path)
    page = pages.content("result")
    assert page.steps.file == "changing.yaml"
    again = run_again(command, page, tmp_path)
    assert again.to_json(clock=False) == pages.result().to_json(clock=False)


def test_changes_to_a_shipped_scenario_are_found_and_tried():
    """Whatever leaf was changed; a name that only looks like a shipped scenario is none."""
    changed = load("aks-ingress", ["cluster.pods=12", "run.duration=1min", "run.seed=5"])
    found = as_shipped(changed.resolved())
    assert ("cluster.pods", 12) in found
    assert as_shipped({"name": "aks-ingress", "traffic": {"utilisation": 0.8}}) is None
    assert as_shipped(load("aks-ingress").resolved()) == []
    assert as_shipped({"name": "nobody"}) is None


def test_files_that_a_scenario_reads_are_named():
    """A trace or a balancer of somebody's own is not in the YAML."""
    scenario = {"name": "mine", "stages": {"ingress": {"balancer": "lb.py:mine"}}}
    assert "It reads lb.py" in steps(scenario, "run", version="1").lead

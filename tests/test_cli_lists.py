"""The commands that list and explain: balancers, scenarios, schema, check, warm, and help."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from command import says_one_sentence

from lbbench import __version__
from lbbench.balancers.base import registry
from lbbench.cli.app import COMMANDS
from lbbench.inputs.yaml import load, shipped


def test_every_balancer_has_a_row_that_begins_with_its_name(command):
    """Name, level, original and cost stand in the first line of each row."""
    lines = command("balancers").out.splitlines()
    for name, item in registry().items():
        row = next(line for line in lines if line.startswith(f"{name} "))
        assert row.split()[1] == item.level
        assert item.cost in row


def test_balancers_as_json(command, tmp_path: Path):
    """``--json`` has every balancer with its source, cost and options."""
    path = tmp_path / "b.json"
    assert command("balancers", "--json", path).code == 0
    document = json.loads(path.read_text(encoding="utf-8"))
    assert {row["name"] for row in document["balancers"]} == set(registry())
    assert all(row["source"] and row["cost"] for row in document["balancers"])


@pytest.mark.parametrize("name", sorted(registry()))
def test_a_balancer_explains_itself(command, name: str):
    """The explanation has source, cost, options and the text of the module."""
    ended = command("balancers", name)
    item = registry()[name]
    assert ended.code == 0
    assert ended.out.startswith(f"{name}: {item.summary}")
    squeezed = " ".join(ended.out.split())
    assert " ".join(item.source.split()) in squeezed
    assert all(option in ended.out for option in item.params)
    assert len(squeezed) > 300


def test_an_unknown_balancer_is_refused_with_near_misses(command):
    """A misspelt name is one sentence that says what was meant."""
    ended = command("balancers", "emwa")
    assert says_one_sentence(ended)
    assert "did you mean ewma" in ended.err


def test_scenarios_are_listed_with_their_question(command):
    """Each shipped scenario has a row that begins with its name."""
    lines = command("scenarios").out.splitlines()
    assert {line.split()[0] for line in lines[1:] if not line.startswith(" ")} == set(shipped())


@pytest.mark.parametrize("name", sorted(shipped()))
def test_a_printed_scenario_loads(command, tmp_path: Path, name: str):
    """``scenarios NAME`` prints the YAML unchanged; saved, it is an equal scenario."""
    path = tmp_path / f"{name}.yaml"
    path.write_text(command("scenarios", name).out, encoding="utf-8")
    assert load(path).resolved() == load(name).resolved()


def test_an_unknown_scenario_is_refused(command):
    """A name that is not shipped is one sentence with what there is."""
    ended = command("scenarios", "aks-ingres")
    assert says_one_sentence(ended)
    assert "did you mean aks-ingress" in ended.err


def test_the_schema_is_json_schema(command):
    """``schema`` prints JSON with the scenario's keys and the meta schema."""
    document = json.loads(command("schema").out)
    assert document["$schema"].startswith("https://json-schema.org/")
    assert {"cluster", "stages", "traffic", "run"} <= set(document["properties"])


def test_check_prints_a_scenario_that_loads(command, tmp_path: Path):
    """The resolved YAML comes first, loads back equal, and the load per pod follows."""
    out = command("check", "ewma-herding", "--set", "run.seed=9").out
    text, _, rest = out.partition("\noffered: ")
    path = tmp_path / "resolved.yaml"
    path.write_text(text, encoding="utf-8")
    assert load(path).resolved() == load("ewma-herding", ["run.seed=9"]).resolved()
    assert rest.startswith("256 requests/s, 80.0 % of what all pods can serve; 2,000,000 requests")
    assert "pod-15" in rest
    assert "MiB" in rest


def test_check_as_json(command):
    """``check --json -`` is one document with the load of every pod and the warnings."""
    ended = command("check", "ewma-herding", "--set", "traffic.utilisation=1.2", "--json", "-")
    document = json.loads(ended.out)
    assert document["schema"] == "lbbench.check/1"
    assert [pod["load"] for pod in document["pods"]] == pytest.approx([1.2] * 16)
    assert "over capacity" in document["warnings"][0]


def test_check_refuses_what_cannot_be_run(command):
    """What the engines cannot do is told by check already."""
    ended = command("check", "ewma-herding", "--set", "traffic.service_time.mean=-1ms")
    assert says_one_sentence(ended)
    assert "--set traffic.service_time.mean" in ended.err


def test_warm_reports_each_balancer(command, monkeypatch):
    """``warm`` tells for each balancer whether it was compiled now or before."""
    asked = []

    def warm_up(*, everything):
        asked.append(everything)
        yield "round_robin", 7.31, False
        yield "ewma", 0.1, True

    monkeypatch.setattr("lbbench.studies.warm.warm_up", warm_up)
    assert command("warm").out.splitlines() == [
        "round_robin: compiled in 7.31 s",
        "ewma: was there",
    ]
    assert command("warm", "--all", "--quiet").out == ""
    assert asked == [False, True]


@pytest.mark.parametrize("name", COMMANDS)
def test_every_command_has_help_with_an_example(command, name: str):
    """``--help`` says what a command does and shows a call of it."""
    ended = command(name, "--help")
    assert ended.code == 0
    assert "Example:" in ended.out
    assert f"lbbench {name}" in ended.out.partition("Example:")[2]


def test_help_lists_every_command(command):
    """Both ``--help`` and no argument at all list the commands."""
    for ended in (command("--help"), command()):
        assert ended.code == 0
        listed = {line.split()[0] for line in ended.out.splitlines() if line.startswith("  ")}
        assert set(COMMANDS) <= listed


def test_the_version_is_printed(command):
    """``--version`` prints the package's version alone."""
    assert command("--version") == (0, f"lbbench {__version__}\n", "")


def test_an_unknown_command_is_refused(command):
    """A command that does not exist is one sentence."""
    ended = command("rum")
    assert says_one_sentence(ended)
    assert "No such command 'rum'" in ended.err

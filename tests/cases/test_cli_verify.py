"""`lbbench verify`: the table, the JSON, the exit status."""

import json
from dataclasses import replace

import pytest
from command import says_one_sentence

from lbbench.verify import cases, gallery


def test_the_table_has_expectations_findings_and_verdicts(command):
    """One row per case, one per expectation, a count in the end; 0 when nothing fails."""
    ended = command("verify", "--cases", "C05", "C71")
    lines = ended.out.splitlines()
    assert ended.code == 0
    assert lines[0].split() == ["id", "what", "expected", "found", "verdict"]
    assert lines[1].startswith("C05 ")
    assert lines[1].rstrip().endswith("pass")
    assert lines[2].split()[0] == "shares"
    assert lines[2].count("[1, 0, 0]") == 2
    assert lines[3].rstrip().endswith("later")
    assert "needs outbound SNAT" in lines[4]
    assert lines[-1] == "1 pass, 0 fail, 1 later"


def test_the_json_is_alone(command):
    """With ``--json -`` stdout is one document: expectations and findings in the same order."""
    ended = command("verify", "--cases", "C05", "C71", "--json", "-")
    assert ended.code == 0
    first, second = json.loads(ended.out)["cases"]
    assert first == {
        "id": "C05",
        "expected": [{"metric": "shares", "op": "==", "value": [1.0, 0.0, 0.0], "tol": 0.0}],
        "found": [[1.0, 0.0, 0.0]],
        "verdict": "pass",
        "missing": None,
    }
    assert (second["verdict"], second["missing"]) == ("later", "outbound SNAT")


def test_what_another_run_gave_is_the_expectation():
    """C15 compares with ewma's p99: the JSON has the number that was found for it."""
    case = gallery.chosen(["C15"])[0]
    item = cases.Finding(check=case.checks[0], value=3.9, found=0.7, passed=True)
    shown = cases.Report(case=case, findings=(item,)).to_dict()
    assert shown["expected"][0]["value"] == 3.9
    assert shown["found"] == [0.7]
    assert shown["verdict"] == "pass"


@pytest.fixture
def broken(monkeypatch):
    """Let C05 expect what is not so."""
    case = gallery.chosen(["C05"])[0]
    wrong = replace(case, checks=(replace(case.checks[0], value=[0.0, 0.0, 1.0]),))
    monkeypatch.setattr(gallery, "chosen", lambda _ids: (wrong,))


@pytest.mark.usefixtures("broken")
def test_an_expectation_that_is_not_met_ends_with_1(command):
    """The row says so, the count too, and the status is 1; so with JSON."""
    ended = command("verify", "--cases")
    assert ended.code == 1
    assert "not met" in ended.out
    assert ended.out.endswith("0 pass, 1 fail, 0 later\n")
    ended = command("verify", "--cases", "--json", "-")
    assert ended.code == 1
    assert json.loads(ended.out)["cases"][0]["verdict"] == "fail"


def test_a_scenario_that_cannot_run_is_a_failure_with_its_sentence(command, monkeypatch):
    """One case that breaks down does not take the others with it."""

    def refuses(*_args, **_kwargs):
        raise gallery.InputError("no such luck")

    monkeypatch.setattr(cases, "ran", refuses)
    ended = command("verify", "--cases", "C05", "C71")
    assert ended.code == 1
    assert "C05: no such luck" in ended.out
    assert ended.out.endswith("0 pass, 1 fail, 1 later\n")


def test_another_seed_is_taken(command, monkeypatch):
    """``--seed`` replaces the seed of every scenario."""
    seeds = []
    real = cases.ran

    def noted(scenario, **how):
        seeds.append(scenario.run.seed)
        return real(scenario, **how)

    monkeypatch.setattr(cases, "ran", noted)
    assert command("verify", "--cases", "C05", "--seed", "7").code == 0
    assert seeds == [7]


def test_an_unknown_case_is_refused(command):
    """One sentence with near misses; nothing is run."""
    ended = command("verify", "--cases", "C99")
    assert says_one_sentence(ended)
    assert "there is no case C99; did you mean" in ended.err

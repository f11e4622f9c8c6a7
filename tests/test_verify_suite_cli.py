"""`lbbench verify`: tables, sentences, JSON and the exit status."""

from __future__ import annotations

import json
from io import StringIO

import pytest
from command import says_one_sentence
from rich.console import Console

from lbbench.report import verify as report
from lbbench.verify import checks, suite
from lbbench.verify.chance import Found, certain
from lbbench.verify.experiment import Experiment
from lbbench.verify.suite import Check, Verification, judged

CHEAP = ("ewma-score", "ewma-update", "iptables-thresholds", "rings-arcs", "rings-spread")
"""Checks that need no event loop."""

GOOD = Found(4.98765, 5.0, 0.012, 0.31, 32, "t")
BAD = Found(5.432, 5.0, 0.012, 3e-9, 32, "t")


def verification(*found: Found | str) -> Verification:
    """Return the verdict on findings, two to a topic."""
    of = Experiment("none", lambda *_: {}, 1)
    made = [
        Check(f"q-{i}", f"Topic {i // 2}", f"claim number {i}", "a book", of, lambda _: GOOD)
        for i in range(len(found))
    ]
    return Verification(judged(made, found), 1, 12.3)


def printed(found: Verification, width: int) -> str:
    text = StringIO()
    report.show(found, Console(file=text, width=width, force_terminal=False, color_system=None))
    return text.getvalue()


def test_checks_that_need_no_event_loop_pass(command):
    """Real ones, in real workers: tables by topic, the count, status 0."""
    ended = command("verify", *CHEAP, "--quiet")
    assert (ended.code, ended.out) == (0, "")
    ended = command("verify", *CHEAP)
    assert ended.code == 0
    assert all(name in ended.out for name in CHEAP)
    last = ended.out.strip().splitlines()[-1]
    assert last.startswith("5 checks, all pass. 1 have a p-value")


@pytest.fixture
def stubbed(monkeypatch):
    """Let the suite find what a test says."""

    def stub(found: Verification) -> list[dict]:
        asked: list[dict] = []
        monkeypatch.setattr(checks, "all_checks", lambda: tuple(i.check for i in found.judged))

        def run_suite(wanted, **how):
            asked.append({"ids": [check.id for check in wanted], **how})
            return found

        monkeypatch.setattr(suite, "run_suite", run_suite)
        return asked

    return stub


def test_a_claim_that_falls_ends_with_1_and_a_sentence(command, stubbed):
    """The sentence has what was expected, what was found, how sure, and where it is from."""
    stubbed(verification(GOOD, BAD, certain(3.0, 0.0, 9), "RunError: no such luck"))
    ended = command("verify")
    assert ended.code == 1
    told = [line for line in ended.out.splitlines() if " fails: " in line]
    assert told == [
        "q-1 fails: claim number 1: expected 5, found 5.432 ± 0.012 from n = 32, p = 3e-09; a book",
        "q-2 fails: claim number 2: expected 0, found 3, where nothing is left to chance; a book",
        "q-3 fails: claim number 3: nothing was measured (RunError: no such luck)",
    ]
    assert ended.out.strip().splitlines()[-1].startswith("4 checks, 3 fail. 2 have a p-value")


def test_the_json_is_alone_and_the_status_the_same(command, stubbed):
    """With ``--json -`` stdout is the document; the status tells the verdict."""
    stubbed(verification(GOOD, BAD))
    ended = command("verify", "--json", "-")
    assert ended.code == 1
    assert json.loads(ended.out) == verification(GOOD, BAD).to_dict()
    stubbed(verification(GOOD))
    assert command("verify", "--json", "-").code == 0


def test_a_file_gets_the_document_and_stdout_the_tables(command, stubbed, tmp_path):
    """``--json FILE`` beside the tables."""
    stubbed(verification(GOOD))
    ended = command("verify", "--json", tmp_path / "verdict.json")
    assert ended.code == 0
    assert "claim number 0" in ended.out
    assert json.loads((tmp_path / "verdict.json").read_text())["passed"] is True


def test_ids_and_the_seed_are_passed_on(command, stubbed):
    """Only what is asked for is run, under the seed that is given."""
    asked = stubbed(verification(GOOD, GOOD, GOOD))
    assert command("verify", "q-2", "q-0", "--seed", "7", "--quiet").code == 0
    assert asked[0]["ids"] == ["q-0", "q-2"]
    assert asked[0]["seed"] == 7


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (("q-9",), "there is no such check"),
        (("--engine", "reference"), "--engine is for --cases"),
        (("--json", "nowhere/at/all.json"), "does not exist"),
    ],
)
def test_what_makes_no_sense_is_refused_before_anything_runs(command, stubbed, arguments, sentence):
    """One sentence, status 2, nothing measured."""
    asked = stubbed(verification(GOOD))
    ended = command("verify", *arguments)
    assert says_one_sentence(ended)
    assert sentence in ended.err
    assert asked == []


@pytest.mark.parametrize("width", [40, 60, 80, 100, 160])
def test_tables_fit_any_width(width: int):
    """No line of a table is wider than the console, and no number is lost."""
    text = printed(verification(GOOD, BAD, certain(3.0, 0.0, 9), GOOD), width)
    tables = text.partition("q-1 fails")[0]
    assert all(len(line.rstrip()) <= width for line in tables.splitlines())
    for number in ("4.988", "5.432", "3e-09", "0.31"):
        assert number in tables
    assert tables.count("Topic ") == 2


@pytest.mark.parametrize(
    ("p", "text"), [(1.0, "1"), (0.0, "0"), (0.0432, "0.043"), (2.34e-7, "2e-07"), (0.999, "1")]
)
def test_p_values_have_two_digits_that_count(p: float, text: str):
    """Plain where that is short, else a power of ten."""
    assert report.p_text(p) == text

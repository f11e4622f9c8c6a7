"""`lbbench compare`: table, sentences, files, and observed shares beside the simulated."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from command import says_one_sentence

SMALL = ("compare", "ewma-herding", "--engine", "reference", "--set", "run.requests=400")


def test_one_row_per_balancer_and_sentences(command):
    """The table has a row per balancer with its figures; the words follow."""
    ended = command(*SMALL, "--balancers", "round_robin,random")
    assert ended.code == 0
    lines = ended.out.splitlines()
    start = next(i for i, line in enumerate(lines) if line.startswith("balancer "))
    assert [line.split()[0] for line in lines[start + 1 : start + 3]] == ["round_robin", "random"]
    assert len(lines[start + 1].split()) == 10  # the name, three figures with intervals, three more
    assert any(line.startswith("random mean ") for line in lines)
    assert "400 requests, the same ones for every balancer" in ended.out


def test_without_a_choice_five_balancers_are_compared(command):
    """`compare FILE` alone takes the five usual balancers, round robin first."""
    document = json.loads(command(*SMALL, "--json", "-").out)
    assert list(document["results"]) == ["round_robin", "random", "least_conn", "ewma", "chash"]
    assert {item["against"] for item in document["differences"]} == {"round_robin"}


def test_any_leaf_can_vary(command):
    """`--vary LEAF=X,Y` compares values of another leaf."""
    ended = command(*SMALL, "--vary", "cluster.pods=12,16", "--json", "-")
    document = json.loads(ended.out)
    assert document["leaf"] == "cluster.pods"
    pods = {name: len(result["pods"]) for name, result in document["results"].items()}
    assert pods == {"12": 12, "16": 16}


def test_out_writes_the_comparison_and_each_result(command, tmp_path: Path):
    """`--out` makes the folder with comparison.json, its page and one result per variant."""
    folder = tmp_path / "new"
    ended = command(*SMALL, "--balancers", "round_robin,random", "--out", folder, "--quiet")
    assert ended == (0, "", "")
    assert {path.name for path in folder.iterdir()} == {
        "comparison.json",
        "report.html",
        "result-round_robin.json",
        "result-random.json",
    }


def test_observed_shares_stand_beside_the_simulated(command, tmp_path: Path):
    """A scenario with an `observed` block gets a table of observed and simulated shares."""
    path = tmp_path / "seen.yaml"
    path.write_text(
        "cluster:\n"
        "  nodes: 1\n"
        "  pods:\n"
        "  - {name: pod-0, address: '10.244.0.2:80'}\n"
        "  - {name: pod-1, address: '10.244.0.3:80'}\n"
        "traffic: {utilisation: 0.5}\n"
        "run: {requests: 400}\n"
        "observed: {pods: {'10.244.0.2:80': 30, '10.244.0.3:80': 10}, latency: {p99: 1234ms}}\n",
        encoding="utf-8",
    )
    ended = command("compare", path, "--engine", "reference", "--balancers", "round_robin,random")
    assert ended.code == 0, ended.err
    lines = ended.out.splitlines()
    start = next(i for i, line in enumerate(lines) if "observed (40 requests)" in line)
    assert lines[start + 2].split()[:3] == ["pod-0", "75.00", "50.00"]
    assert lines[start + 3].split()[:3] == ["pod-1", "25.00", "50.00"]
    beside = next(line for line in lines if line.startswith("(observed)"))
    assert float(beside.split()[5].replace(",", "")) == pytest.approx(1234, abs=0.5)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("--balancers", "ewma"), "at least two different"),
        (("--balancers", "ewma,random", "--vary", "run.seed=1,2"), "give one of them"),
        (("--balancers", "ewma,nothing"), "nothing"),
        (("--vary", "run.seed"), "LEAF=X,Y"),
        (("--vary", "run.sed=1,2"), "run.sed"),
        (("--set", "path=service"), "--vary"),
    ],
)
def test_a_wrong_comparison_creates_nothing(command, tmp_path: Path, arguments, message: str):
    """What cannot be compared is one sentence; neither folder nor file is made."""
    ended = command(*SMALL, *arguments, "--out", tmp_path / "new", "--json", tmp_path / "c.json")
    assert says_one_sentence(ended)
    assert message in ended.err
    assert list(tmp_path.iterdir()) == []


def test_a_balancer_file_can_be_compared(command, tmp_path: Path, monkeypatch):
    """`--balancers a,FILE.py:NAME` finds the file where one stands and shows its short name."""
    (tmp_path / "my_lb.py").write_text(
        "from dataclasses import replace\n"
        "from lbbench.balancers.random import RANDOM\n"
        "mine = replace(RANDOM, name='mine')\n",
        encoding="utf-8",
    )
    monkeypatch.chdir(tmp_path)
    ended = command(*SMALL, "--balancers", "random,my_lb.py:mine")
    assert ended.code == 0, ended.err
    assert any(line.startswith("my_lb.py:mine ") for line in ended.out.splitlines())

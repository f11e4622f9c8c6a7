"""`lbbench verify --reality`: recorded runs pass, tampered ones fail, and both are told."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from command import says_one_sentence
from recorded import REALITY, shifted, slower, tampered

from lbbench.verify.reality import run_reality

FEW = ("E1_iptables_n3", "E4_ewma_n10_rho0.7", "E9_haproxy_random2_rho0.7")
QUICK = 40
"""Replications of a quick ensemble."""


def test_recorded_runs_pass(command):
    """Each kind of chain: layer 4, Lua and HAProxy; a table per run, the count, status 0."""
    ended = command("verify", "--reality", REALITY, *FEW, "--replications", QUICK)
    assert ended.code == 0, ended.out
    assert all(f"{name} r1" in ended.out for name in FEW)
    assert ended.out.splitlines()[-1].startswith("31 measures of 3 recorded runs, all pass.")


@pytest.mark.long
def test_every_recorded_run_passes(command):
    """The whole reduced set, with the 200 replications of a proper ensemble."""
    ended = command("verify", "--reality", REALITY)
    assert ended.code == 0, ended.out
    assert "all pass." in ended.out.splitlines()[-1]


def test_the_document_has_a_row_per_measure(command):
    """Fields of the contract for each; five statistics with an ensemble, the exact ones without."""
    folder = REALITY / FEW[2]
    ended = command("verify", "--reality", folder, "--replications", QUICK, "--json", "-")
    document = json.loads(ended.out)
    assert (ended.code, document["passed"], document["replications"]) == (0, True, QUICK)
    rows = document["runs"]
    wanted = {"name", "statistic", "measured", "mean", "sd", "z", "verdict"}
    assert all(wanted <= set(row) for row in rows)
    free = [row["statistic"] for row in rows if row["mean"] is not None]
    assert free == ["mean", "p50", "p90", "p99", "share"]
    assert {row["verdict"] for row in rows} == {"pass"}


@pytest.mark.parametrize(
    ("change", "named"), [(slower, {"mean", "p50", "p90"}), (shifted, {"share"})]
)
def test_a_tampered_observation_fails(change, named, command, tmp_path):
    """Latency times 1.5; pod labels shifted: the measures that this moves are named, status 1."""
    folder = tampered(FEW[2], tmp_path, change)
    document = tmp_path / "found.json"
    ended = command("verify", "--reality", folder, "--replications", QUICK, "--json", document)
    assert ended.code == 1
    rows = json.loads(document.read_text())["runs"]
    failed = {row["statistic"] for row in rows if row["verdict"] == "fail"}
    assert named <= failed
    assert f"{FEW[2]} r1 fails: " in ended.out


@pytest.mark.long
def test_another_balancer_does_not_explain_the_recording(tmp_path):
    """Two distinct uniform draws, as nginx's, are off HAProxy's random(2): the mean tells."""
    folder = tampered(FEW[2], tmp_path, lambda *_: None)
    scenario = folder / "scenario.yaml"
    text = scenario.read_text().replace("balancer: haproxy_random", "balancer: nginx_random_two")
    scenario.write_text(text)
    found = run_reality(folder, replications=QUICK)
    failed = {row.statistic for row in found.failed}
    assert "mean" in failed


@pytest.mark.parametrize(
    ("arguments", "word"),
    [
        (["--reality", REALITY, "E4_ewma_n10"], "did you mean E4_ewma_n10_rho0.7"),
        (["--reality", "nowhere"], "holds no experiment"),
        (["--reality", REALITY, "--replications", 5], "20 or more"),
        (["--reality", REALITY, "--cases"], "two questions"),
        (["--reality", REALITY, "--engine", "fast"], "--engine is for --cases"),
        (["--replications", 50], "--replications is for --reality"),
    ],
)
def test_a_mistake_is_told_in_a_sentence(arguments, word, command):
    """Status 2, nothing on stdout."""
    ended = command("verify", *arguments)
    assert says_one_sentence(ended)
    assert word in ended.err


@pytest.mark.parametrize(
    ("gone", "word"),
    [
        ("summary_r1.json", "is missing"),
        ("observed_r1.csv.gz", "nothing was observed"),
        ("trace.csv.gz", "there is no such file"),
    ],
)
def test_a_missing_file_is_told(gone, word, command, tmp_path):
    """The sentence names the file."""
    folder = tampered(FEW[0], tmp_path, lambda *_: None)
    (folder / gone).unlink()
    ended = command("verify", "--reality", folder)
    assert says_one_sentence(ended)
    assert word in ended.err
    assert gone in ended.err


def test_rows_that_are_not_the_trace_are_told(command, tmp_path):
    """Requests are matched by id, not by luck."""

    def swap(number, row):
        row["id"] = str(number + 1)

    ended = command("verify", "--reality", tampered(FEW[0], tmp_path, swap))
    assert says_one_sentence(ended)
    assert "are not those of trace.csv.gz" in ended.err


def test_all_cut_recordings_are_small():
    """They are test data, not a data set."""
    assert sum(path.stat().st_size for path in Path(REALITY).rglob("*")) < 1_500_000

"""`lbbench run`: what it prints and writes, and that it writes nothing when it fails."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from command import says_one_sentence

from lbbench.errors import LbbenchError
from lbbench.model.result import Result

SMALL = ("run", "ewma-herding", "--engine", "reference", "--set", "run.requests=400")


def test_json_on_stdout_is_alone(command):
    """With ``--json -`` stdout is one JSON document, the result, and nothing else."""
    ended = command(*SMALL, "--json", "-")
    assert ended.code == 0
    result = Result.from_json(ended.out)
    assert result.requests["offered"] == 400
    assert result.engine == "reference"
    assert ended.err == ""


def test_the_tables_name_everything_that_was_found(command):
    """Warnings come first; then what ran, latency, stages, pods, parts and the speed."""
    ended = command(*SMALL)
    assert ended.code == 0
    assert ended.out.startswith("warning: ")
    order = ["ewma-herding\n", "400 requests = 400 completed", "latency of ", "pods, chosen by",
             "\npods\n", "where the latency comes from", "requests/s"]  # fmt: skip
    places = [ended.out.index(text) for text in order]
    assert places == sorted(places)
    assert all(f"pod-{i} " in ended.out for i in range(16))


def test_quiet_prints_nothing(command):
    """``--quiet`` leaves stdout and stderr empty."""
    assert command(*SMALL, "--quiet")[:3] == (0, "", "")


def test_set_seed_and_replications_reach_the_scenario(command):
    """The options change the scenario that is run, and the last ``--set`` of a leaf counts."""
    ended = command(
        *SMALL, "--set", "stages.ingress.balancer=chash", "--set",
        "stages.ingress.balancer=random", "--seed", 7, "--replications", 2, "--json", "-",
    )  # fmt: skip
    document = json.loads(ended.out)
    assert document["seed"] == 7
    assert document["requests"]["offered"] == 800
    assert document["scenario"]["stages"]["ingress"]["balancer"] == "random"


def test_out_writes_the_result_and_the_histogram(command, tmp_path: Path):
    """``--out`` makes the folder with result.json, latency.hgrm and the page, and no other file."""
    folder = tmp_path / "a" / "b"
    assert command(*SMALL, "--out", folder, "--quiet").code == 0
    assert {path.name for path in folder.iterdir()} == {
        "result.json", "latency.hgrm", "report.html",
    }  # fmt: skip
    result = Result.from_json((folder / "result.json").read_text(encoding="utf-8"))
    lines = (folder / "latency.hgrm").read_text(encoding="utf-8").splitlines()
    assert lines[0].split() == ["Value", "Percentile", "TotalCount", "1/(1-Percentile)"]
    total = next(line for line in lines if line.startswith("#[Max"))
    assert int(total.split("=")[2].rstrip("]")) == result.latency_s["n"]
    highest = float(total.split("=")[1].split(",")[0])
    assert highest == pytest.approx(1e3 * result.latency_s["max"], rel=1e-3)


def test_record_has_one_row_per_request(command, tmp_path: Path):
    """The Parquet file has the columns of the contract, and its times give the mean latency."""
    import polars as pl

    path = tmp_path / "requests.parquet"
    ended = command(*SMALL, "--set", "run.warmup=0s", "--record", path, "--json", "-")
    table = pl.read_parquet(path)
    assert table.columns == [
        "request", "arrival_s", "connection", "key", "session", "node", "replica", "worker", "pod",
        "attempts", "start_s", "end_s", "error",
    ]  # fmt: skip
    assert table["request"].to_list() == list(range(400))
    assert table["session"].null_count() == table["error"].null_count() == 400
    assert set(table["pod"].cast(pl.String).unique()) <= {f"pod-{i}" for i in range(16)}
    assert table["connection"].str.contains(r"^11\.\d+\.\d+\.\d+:\d{5}$").all()
    latency = (table["end_s"] - table["arrival_s"]).to_numpy()
    mean = json.loads(ended.out)["latency_s"]["mean"]
    assert np.mean(np.rint(latency * 1e9)) / 1e9 == pytest.approx(mean, rel=1e-12)


def test_record_numbers_replications_and_names_errors(command, tmp_path: Path):
    """Several replications get a column; a failed request has the class of its error."""
    import polars as pl

    path = tmp_path / "requests.parquet"
    ended = command(
        *SMALL, "--set", "cluster.pod.queue=0", "--replications", 2, "--record", path, "--json", "-"
    )
    table = pl.read_parquet(path)
    assert table["replication"].to_list() == [0] * 400 + [1] * 400
    errors = table["error"].cast(pl.String).drop_nulls().value_counts().to_dicts()
    by_error = json.loads(ended.out)["requests"]["by_error"]
    assert {row["error"]: row["count"] for row in errors} == {
        k: n for k, n in by_error.items() if n
    }
    assert by_error["queue_reject"] > 0


def test_a_special_file_is_written_in_place(command):
    """A device stays a device: it is written, not replaced."""
    assert command(*SMALL, "--hgrm", "/dev/null", "--quiet").code == 0
    assert Path("/dev/null").is_char_device()


@pytest.mark.parametrize("option", ["--json", "--hgrm", "--record", "--out"])
@pytest.mark.parametrize(
    "wrong",
    [
        ("--set", "cluster.pods=0"),
        ("--set", "stages.ingress.balancer=nothing"),
        ("--set", "traffic.trace=missing.csv", "--set", "traffic.utilisation="),
    ],
    ids=["scenario", "balancer", "trace"],
)
def test_a_failed_run_creates_nothing(command, tmp_path: Path, option: str, wrong: tuple[str, ...]):
    """Whatever fails, no file and no folder is left behind, and the error is a sentence."""
    ended = command(*SMALL, option, tmp_path / "new", *wrong)
    assert says_one_sentence(ended)
    assert list(tmp_path.iterdir()) == []


def test_a_failure_while_writing_leaves_no_file(command, tmp_path: Path, monkeypatch):
    """When the disk is full in the middle of a file, neither it nor the others are there."""

    def full(_table, path: Path):
        path.write_bytes(b"the first half")
        raise OSError(28, "No space left on device", str(path))

    monkeypatch.setattr("polars.DataFrame.write_parquet", full)
    folder = tmp_path / "made"
    ended = command(
        *SMALL, "--json", tmp_path / "r.json", "--out", folder, "--record", tmp_path / "r.parquet"
    )
    assert says_one_sentence(ended)
    assert "No space left" in ended.err
    assert list(tmp_path.iterdir()) == []


def test_an_old_file_survives_a_failed_run(command, tmp_path: Path):
    """A result that was there before is kept when the new run fails."""
    path = tmp_path / "r.json"
    path.write_text("old", encoding="utf-8")
    assert command(*SMALL, "--json", path, "--set", "cluster.pods=0").code == 2
    assert path.read_text(encoding="utf-8") == "old"


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("--json", "{0}/no/r.json"), "does not exist; make it first"),
        (("--json", "{0}"), "this is a folder"),
        (("--out", "{0}/file/x"), "is a file"),
        (("--json", "{0}/a", "--hgrm", "{0}/a"), "writes there too"),
        (("--engine", "quick"), "for '--engine': 'quick' is not one of 'fast', 'reference'"),
        (
            ("--set", "traffic.arrivals.process=closed"),
            "--set traffic.arrivals.process: traffic.arrivals.process = closed: needs users",
        ),
        (("--seed", "-1"), "greater than or equal to 0; see lbbench run --help"),
        (("--replications", "0"), "greater than or equal to 1"),
        (("--set", "run.seed"), "PATH=VALUE, for instance"),
        (("--no-such-option",), "No such option: --no-such-option"),
    ],
)
def test_wrong_options_are_refused_before_any_work(
    command, tmp_path: Path, monkeypatch, arguments: tuple[str, ...], message: str
):
    """Options that cannot work are errors before anything is simulated."""
    monkeypatch.setattr("lbbench.studies.run.replicate", lambda *_, **__: pytest.fail("ran"))
    (tmp_path / "file").touch()
    ended = command(*SMALL, *(text.format(tmp_path) for text in arguments))
    assert says_one_sentence(ended)
    assert message in ended.err


def test_ctrl_c_ends_with_130_and_a_sentence(command, tmp_path: Path, monkeypatch):
    """An interrupted run says so, ends with 130 and writes nothing."""

    def interrupted(*_, **__):
        raise KeyboardInterrupt

    monkeypatch.setattr("lbbench.studies.run.replicate", interrupted)
    ended = command(*SMALL, "--out", tmp_path / "new")
    assert (ended.code, ended.out, ended.err) == (130, "", "interrupted; nothing was written\n")
    assert list(tmp_path.iterdir()) == []


def test_a_fault_of_our_own_is_a_sentence_too(command, monkeypatch):
    """An unexpected exception is no traceback either, unless ``--debug`` asks for it."""

    def broken(*_, **__):
        raise ZeroDivisionError("division by zero")

    monkeypatch.setattr("lbbench.studies.run.replicate", broken)
    ended = command(*SMALL)
    assert says_one_sentence(ended)
    assert "a fault of lbbench" in ended.err
    with pytest.raises(ZeroDivisionError):
        command(*SMALL, "--debug")


def test_long_errors_are_cut_at_twelve_lines(command, monkeypatch):
    """However long an error is, stderr has at most 12 lines."""

    def wrong(*_, **__):
        raise LbbenchError("\n".join(f"mistake {i}" for i in range(40)))

    monkeypatch.setattr("lbbench.studies.run.replicate", wrong)
    ended = command(*SMALL)
    assert says_one_sentence(ended)
    assert ended.err.splitlines() == [f"mistake {i}" for i in range(12)]


@pytest.mark.parametrize(
    "given",
    [["--balancer", "my_lb.py:mine"], ["--set", "stages.ingress.balancer=my_lb.py:mine"]],
)
def test_a_balancer_file_is_looked_for_where_one_stands(
    command, tmp_path: Path, monkeypatch, given: list[str]
):
    """``FILE.py:NAME`` on the command line is relative to the current folder."""
    (tmp_path / "my_lb.py").write_text(
        "from dataclasses import replace\n"
        "from lbbench.balancers.random import RANDOM\n"
        "mine = replace(RANDOM, name='mine')\n",
        encoding="utf-8",
    )
    monkeypatch.chdir(tmp_path)
    ended = command(*SMALL, *given, "--json", "-")
    assert ended.code == 0, ended.err
    assert json.loads(ended.out)["stages"][-1]["balancer"] == "mine"


@pytest.mark.parametrize("what", ["run", "check"])
def test_a_balancer_on_the_service_path_is_refused(command, what: str):
    """Nobody would ask it; the sentence names what to set instead."""
    ended = command(what, "aks-service", "--balancer", "ewma")
    assert says_one_sentence(ended)
    assert "stages.kube_proxy.mode" in ended.err


def test_the_balancer_is_given_once(command):
    """``--balancer`` is short for one ``--set``; both are a mistake."""
    ended = command(*SMALL, "--balancer", "ewma", "--set", "stages.ingress.balancer=random")
    assert says_one_sentence(ended)
    assert "leave out one" in ended.err


def test_the_startup_time_is_that_of_the_process(command):
    """startup_s is the age of the process when the scenario is parsed, so it cannot be negative."""
    document = json.loads(command(*SMALL, "--json", "-").out)
    assert 0.0 < document["startup_s"] < 86_400.0
    assert document["wall_s"] > 0.0

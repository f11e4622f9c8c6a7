"""`lbbench sweep` and `lbbench export` as a user meets them."""

from __future__ import annotations

import json
import os
import pty
import re
import subprocess
import threading

import polars as pl
import pytest
from command import says_one_sentence
from sweeping import CLOCK, written
from sweeping import command as sweep_line

AXES = ["traffic.utilisation", "stages.ingress.balancer"]


@pytest.fixture(scope="module")
def study(tmp_path_factory):
    """Return the file of a finished study."""
    from sweeping import small

    from lbbench.studies.sweep import sweep

    folder = tmp_path_factory.mktemp("study")
    sweep(small(folder), out=folder / "study.sqlite", engine="reference").close()
    return folder / "study.sqlite"


def test_a_sweep_prints_points_and_differences(command, tmp_path):
    """One row per point, a sentence per difference; without a terminal three lines on stderr."""
    out = tmp_path / "study.sqlite"
    ended = command("sweep", written(tmp_path), "--out", out, "--engine", "reference")
    assert ended.code == 0
    assert "6 points, 2 replications each; seed 1" in ended.out
    for name in ("round_robin", "random", "least_conn"):
        assert len(re.findall(rf"^0\.[58] +{name} ", ended.out, re.MULTILINE)) == 2
    assert "utilisation 0.8: random mean" in ended.out
    lines = ended.err.strip().splitlines()
    assert lines[0] == "study.sqlite: a new study"
    assert lines[-2].startswith("12 of 12 replications, ")
    assert lines[-1] == f"the page is {tmp_path / 'study.html'}"
    again = command("sweep", written(tmp_path), "--out", out, "--engine", "reference", "--quiet")
    assert (again.code, again.out, again.err) == (0, "", "")


def test_json_is_alone_on_stdout(command, tmp_path):
    """`--json -` prints the study's document and nothing else there."""
    out = tmp_path / "study.sqlite"
    file = written(tmp_path)
    ended = command("sweep", file, "--out", out, "--engine", "reference", "--json", "-")
    assert json.loads(ended.out)["schema"] == "lbbench.study/1"


def test_in_a_terminal_the_document_still_goes_to_stdout(tmp_path):
    """With a bar on a terminal, what is piped gets the document or the table, nothing less."""
    file, out = written(tmp_path, requests=300), tmp_path / "study.sqlite"
    for options, wanted in ((["--json", "-"], '"schema": "lbbench.study/1"'), ([], "max/mean")):
        out.unlink(missing_ok=True)
        ours, theirs = pty.openpty()
        process = subprocess.Popen(
            sweep_line(file, out, *options), stdout=subprocess.PIPE, stderr=theirs, text=True
        )
        os.close(theirs)
        drawn: list[bytes] = []
        reader = threading.Thread(target=shown_by, args=(ours, drawn), daemon=True)
        reader.start()
        text, _ = process.communicate(timeout=60)
        reader.join(5)
        os.close(ours)
        shown = b"".join(drawn)
        assert process.returncode == 0
        assert wanted in text
        assert b"/12" in shown
        assert wanted.encode() not in shown


def shown_by(terminal: int, into: list[bytes]) -> None:
    """Read what is drawn on a terminal until its other end is closed."""
    try:
        while part := os.read(terminal, 65_536):
            into.append(part)
    except OSError:
        return


def test_a_dry_run_tells_and_writes_nothing(command, tmp_path):
    """Axes, points, what is missing and an estimate of the time; no file appears."""
    file = written(tmp_path)
    ended = command("sweep", file, "--out", tmp_path / "study.sqlite", "--dry-run")
    assert ended.code == 0
    assert "6 points in 2 conditions, 12 replications" in ended.out
    assert "12 replications would be run" in ended.out
    assert list(tmp_path.iterdir()) == [file]
    ended = command("sweep", file, "--dry-run", "--json", "-")
    assert json.loads(ended.out)["missing"] == 12


def test_values_with_keys_are_told_in_words(command, tmp_path):
    """A distribution or a geometric number on an axis is no dictionary of Python."""
    path = tmp_path / "keys.yaml"
    path.write_text(
        "traffic: {utilisation: 0.5}\nrun: {requests: 100}\nsweep: {axes: {traffic.service_time: "
        "[{distribution: exponential, mean: 50ms}, {distribution: lognormal, mean: 50ms, cv: 1.5}],"
        " traffic.connections.requests: [1, {geometric: 20}]}}",
        encoding="utf-8",
    )
    done = command("sweep", path, "--dry-run")
    assert "exponential mean 50ms, lognormal mean 50ms cv 1.5" in done.out
    assert "1, geometric 20" in done.out


def test_a_dry_run_knows_what_is_there(command, study):
    """Of a finished study nothing is missing."""
    file = study.parent / "small.yaml"
    ended = command("sweep", file, "--out", study, "--dry-run", "--json", "-")
    assert json.loads(ended.out)["missing"] == 0


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ("traffic.utilisation: [0.5", "traffic.utilisatoin: [0.5",
         "{file}:9: sweep.axes.traffic.utilisatoin"),
        ("[0.5, 0.8]", "[]", "{file}:9: sweep.axes.traffic.utilisation"),
        ("[0.5, 0.8]", "[0.5, fast]", "{file}:9: sweep.axes.traffic.utilisation[1] = fast"),
        ("[0.5, 0.8]", "[0.5, 0.5]", "{file}:9: sweep.axes.traffic.utilisation[1] = 0.5"),
        ("traffic.utilisation: [0.5, 0.8]", "run.seed: [1, 2]", "{file}:9: sweep.axes.run.seed"),
        ("[0.5, 0.8]", "{{from: 0.1, to: 0.9, step: 0.000001}}", "--yes"),
    ],
)  # fmt: skip
def test_bad_axes_are_refused_with_their_place(command, tmp_path, old, new, said):
    """Unknown leaf, empty list, a type that does not fit, too many points: before anything runs."""
    from sweeping import TEXT

    file = written(tmp_path, text=TEXT.replace(old, new))
    ended = command("sweep", file, "--out", tmp_path / "study.sqlite")
    assert says_one_sentence(ended)
    assert said.format(file=file) in ended.err
    assert list(tmp_path.iterdir()) == [file]


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ([], "--out is missing"),
        (["--out", "a.sqlite", "--reuse", "--fresh"], "--reuse and --fresh"),
        (["--out", "a.sqlite", "--time-limit", "soon"], "--time-limit soon"),
        (["--out", "a.sqlite", "--workers", "2", "--dask", "tcp://nowhere:1"], "one of them"),
        (["--out", "missing/a.sqlite"], "missing"),
        (["--out", "a.sqlite", "--json", "a.sqlite"], "writes there too"),
        (["--out", "a.parquet"], "give --out a.sqlite"),
    ],
)
def test_bad_options_are_sentences(command, tmp_path, monkeypatch, options, said):
    """Each names the option, the value and the way out."""
    monkeypatch.chdir(tmp_path)
    ended = command("sweep", written(tmp_path), *options)
    assert says_one_sentence(ended)
    assert said in ended.err


def test_a_study_that_is_no_study_is_not_overwritten(command, tmp_path):
    """A file of somebody else stays as it is."""
    out = tmp_path / "notes.txt"
    out.write_text("mine\n", encoding="utf-8")
    ended = command("sweep", written(tmp_path), "--out", out)
    assert says_one_sentence(ended)
    assert out.read_text(encoding="utf-8") == "mine\n"


def test_exports_hold_the_same_table(command, study, tmp_path):
    """CSV, Parquet and JSON: one row per point, replication and metric, sorted, no clock in it."""
    frames = {}
    for form in ("csv", "parquet", "json"):
        file = tmp_path / f"a.{form}"
        assert command("export", study, "-o", file).code == 0
        read = {"csv": pl.read_csv, "parquet": pl.read_parquet, "json": pl.read_json}[form]
        frames[form] = read(file)
    parquet = frames["parquet"]
    names = [*AXES, "point", "replication", "seed", "version", "error", "metric", "value"]
    assert [n for n in parquet.columns if not n.startswith(CLOCK)] == names
    keys = ["point", "replication", "metric"]
    assert parquet.equals(parquet.sort(keys), null_equal=True)
    assert parquet.select(keys).is_unique().all()
    for form in ("csv", "json"):
        other = frames[form].select(*keys, pl.col("value").cast(pl.Float64))
        assert other.equals(parquet.select(*keys, "value"), null_equal=True)


def test_percentiles_are_a_file_per_point(command, study, tmp_path):
    """`.hgrm` of each point, merged over its replications, with the axes in a comment."""
    ended = command("export", study, "-o", tmp_path / "latency.hgrm")
    assert ended.code == 0
    assert sorted(p.name for p in tmp_path.iterdir()) == [f"latency-{i}.hgrm" for i in range(6)]
    text = (tmp_path / "latency-3.hgrm").read_text(encoding="utf-8")
    assert "TotalCount     =          300]" in text
    assert '"stages.ingress.balancer": "round_robin"' in text.splitlines()[-1]


@pytest.mark.parametrize(
    ("name", "said"), [("a.txt", ".parquet"), ("nowhere/a.csv", "does not exist")]
)
def test_exports_that_cannot_be_are_sentences(command, study, tmp_path, name, said):
    """An unknown form, a folder that is not there."""
    ended = command("export", study, "-o", tmp_path / name)
    assert says_one_sentence(ended)
    assert said in ended.err


def test_a_study_is_not_replaced_by_its_export(command, study):
    """The same file as input and output is refused."""
    ended = command("export", study, "-o", study.parent / "link.csv")
    assert ended.code == 0
    (study.parent / "same.csv").symlink_to(study)
    ended = command("export", study, "-o", study.parent / "same.csv")
    assert says_one_sentence(ended)
    assert "this is the study itself" in ended.err


def test_exporting_what_is_no_study_is_a_sentence(command, tmp_path):
    """No such file, or another one."""
    ended = command("export", tmp_path / "none.sqlite", "-o", tmp_path / "a.csv")
    assert says_one_sentence(ended)
    assert "none.sqlite" in ended.err

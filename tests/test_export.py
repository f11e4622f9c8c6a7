"""Tables as files: every form gives back the values it was given."""

from __future__ import annotations

import csv
import json
import math
import os
import subprocess
import sys
from pathlib import Path

import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st
from polars.testing import assert_frame_equal

from lbbench.cli.output import write_all
from lbbench.errors import InputError, RunError
from lbbench.store.export import write_table, writer_for

TEXTS = st.text(st.characters(exclude_categories=["Cs"]))
ROWS = st.lists(
    st.fixed_dictionaries(
        {
            "traffic.utilisation": st.none() | st.floats(allow_nan=False, allow_infinity=False),
            "stages.ingress.balancer": st.none() | TEXTS,
            "seed": st.none() | st.integers(-(2**63), 2**63 - 1),
            "met": st.none() | st.booleans(),
        }
    )
)
SCHEMA = {
    "traffic.utilisation": pl.Float64,
    "stages.ingress.balancer": pl.String,
    "seed": pl.Int64,
    "met": pl.Boolean,
}
FRAMES = st.builds(lambda rows: pl.DataFrame(rows, schema=SCHEMA, orient="row"), ROWS)


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("export")


@given(FRAMES)
def test_parquet_gives_back_the_table(place: Path, frame: pl.DataFrame):
    """Names, types and values are the same."""
    write_table(frame, place / "t.parquet")
    assert_frame_equal(pl.read_parquet(place / "t.parquet"), frame, check_exact=True)


@given(FRAMES)
def test_csv_gives_back_the_table(place: Path, frame: pl.DataFrame):
    """Read with the types of its columns: floats to the last digit, null apart from empty text."""
    write_table(frame, place / "t.csv")
    found = pl.read_csv(place / "t.csv", schema=SCHEMA)
    assert_frame_equal(found, frame, check_exact=True)


@given(FRAMES)
def test_json_gives_back_the_rows(place: Path, frame: pl.DataFrame):
    """The file is a list of one object per row; Python's own reader finds the same values."""
    write_table(frame, place / "t.json")
    found = json.loads((place / "t.json").read_text(encoding="utf-8"))
    assert repr(found) == repr(frame.to_dicts())  # == takes 1 for 1.0 and 0.0 for -0.0


def test_null_and_numbers_in_csv_are_as_other_programs_expect(tmp_path: Path):
    """Null is an empty field, floats have all digits, names and texts are quoted where needed."""
    frame = pl.DataFrame(
        {"a,b": ["x", "", None], "value": [0.1 + 0.2, None, 1e-320], "n": [1, None, 3]}
    )
    write_table(frame, tmp_path / "t.csv")
    text = (tmp_path / "t.csv").read_text(encoding="utf-8")
    assert text.splitlines()[1] == "x,0.30000000000000004,1"
    with (tmp_path / "t.csv").open(encoding="utf-8", newline="") as file:
        rows = list(csv.reader(file))
    assert rows[0] == ["a,b", "value", "n"]
    assert rows[2] == ["", "", ""]
    assert float(rows[3][1]) == 1e-320


def test_a_table_without_rows_is_a_file_all_the_same(tmp_path: Path):
    """Readers find the columns, and no rows."""
    empty = pl.DataFrame(schema=SCHEMA)
    for form in ("csv", "json", "parquet"):
        write_table(empty, tmp_path / f"t.{form}")
    assert (tmp_path / "t.csv").read_text(encoding="utf-8").strip() == ",".join(SCHEMA)
    assert json.loads((tmp_path / "t.json").read_text(encoding="utf-8")) == []
    assert pl.read_parquet(tmp_path / "t.parquet").schema == empty.schema


def test_parquet_is_packed_with_zstd(tmp_path: Path):
    """The metadata of the file, which programs read, name the codec: ZSTD has number 6."""
    frame = pl.DataFrame({"a": ["round_robin"] * 100_000})
    write_table(frame, tmp_path / "t.parquet")
    frame.write_parquet(tmp_path / "zstd.parquet", compression="zstd")
    frame.write_parquet(tmp_path / "other.parquet", compression="snappy")
    found = (tmp_path / "t.parquet").read_bytes()
    assert found == (tmp_path / "zstd.parquet").read_bytes()
    assert found != (tmp_path / "other.parquet").read_bytes()


@pytest.mark.parametrize("name", ["t.xlsx", "t", "t.csv.gz", ".csv"])
def test_an_unknown_ending_is_refused_with_those_there_are(tmp_path: Path, name: str):
    """The refusal comes before anything is written."""
    with pytest.raises(InputError, match=r"names no form; give one of \.csv, \.parquet, \.json"):
        writer_for(pl.DataFrame(), tmp_path / name)
    assert list(tmp_path.iterdir()) == []


def test_the_form_is_that_of_the_name_that_was_asked_for(tmp_path: Path):
    """Whatever the temporary file is called, the form is that of the final name, in any case."""
    write = writer_for(pl.DataFrame({"a": [1]}), tmp_path / "T.JSON")
    write(tmp_path / "t.csv")
    assert json.loads((tmp_path / "t.csv").read_text(encoding="utf-8")) == [{"a": 1}]


@pytest.mark.parametrize("form", ["csv", "json", "parquet"])
def test_a_full_disk_is_told_and_leaves_the_former_file(tmp_path: Path, form: str):
    """In every form: one sentence with the name of the file, and the file as it was before."""
    if sys.platform != "linux" or os.geteuid() != 0:
        pytest.skip("a small file system can be mounted by root on Linux only")
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=64k", "tmpfs", tmp_path],
        capture_output=True,
        text=True,
        check=False,
    )
    if mounted.returncode:
        pytest.skip(f"no file system can be mounted here: {mounted.stderr.strip()}")
    try:
        path = tmp_path / f"t.{form}"
        path.write_text("former", encoding="utf-8")
        frame = pl.DataFrame({"a": [math.sin(n) for n in range(20_000)]})
        with pytest.raises(RunError, match=rf"t\.{form}: cannot be written: .*No space left"):
            write_all({path: writer_for(frame, path)})
        assert path.read_text(encoding="utf-8") == "former"
        assert [file.name for file in tmp_path.iterdir()] == [path.name]
    finally:
        subprocess.run(["umount", tmp_path], check=True)

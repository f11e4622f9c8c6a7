"""Columns that went to the temporary file are the columns that stayed in memory."""

import tempfile

import numpy as np
import pytest
from test_access_log import PRESENT

from lbbench.errors import InputError
from lbbench.inputs import access_log, columns
from lbbench.inputs.access_log import read_access_log
from lbbench.inputs.access_log_scenario import from_log
from lbbench.inputs.columns import Column


def test_a_long_log_is_the_same_through_the_file(tmp_path, monkeypatch):
    """Spilled every 64 rows: the same columns, scenario and trace as without."""
    path = tmp_path / "a.log"
    stamps = [f":{i // 60:02}:{i % 60:02} +0000".encode() for i in range(500)]
    path.write_bytes(b"\n".join(PRESENT.replace(b":22:24 +0000", stamp) for stamp in stamps))
    plain = read_access_log(path)
    monkeypatch.setattr(access_log, "ROWS", 64)
    spilled = read_access_log(path)
    assert isinstance(spilled.end, np.memmap)
    assert len(spilled) == len(plain) == 500
    for name in access_log.COLUMNS:
        assert getattr(spilled, name).dtype == getattr(plain, name).dtype
        assert np.array_equal(getattr(spilled, name), getattr(plain, name), equal_nan=True)
    assert from_log(spilled).scenario == from_log(plain).scenario
    for name, log in (("a", plain), ("b", spilled)):
        from_log(log).write_trace(tmp_path / name)
    assert (tmp_path / "a").read_bytes() == (tmp_path / "b").read_bytes()


@pytest.mark.parametrize("n", [0, 1, 9])
def test_a_column_keeps_every_value_in_order(n, monkeypatch, tmp_path):
    """Spills at any time; no file is left under a name."""
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    column = Column("q")
    for i in range(n):
        column.append(i)
        if i % 4 == 3:
            column.spill()
    assert len(column) == n
    values = column.result()
    assert values.tolist() == list(range(n))
    assert not list(tmp_path.iterdir())


def test_no_room_is_one_sentence(monkeypatch, tmp_path):
    """A folder for temporary files that is not there is named, with the way out."""
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "gone"))
    column = columns.Column("d")
    column.append(1.0)
    with pytest.raises(InputError, match=r"gone: no room for the columns .* TMPDIR"):
        column.spill()

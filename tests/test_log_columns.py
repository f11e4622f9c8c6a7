"""What went to temporary files is what stayed in memory: columns, texts, and all that follows."""

import gzip
import itertools
import re
import tempfile

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from test_access_log import DATA, PRESENT, REAL

from lbbench.errors import InputError
from lbbench.inputs.access_log import columns, reader, sorted_rows, texts
from lbbench.inputs.access_log.columns import Column
from lbbench.inputs.access_log.log import COLUMNS
from lbbench.inputs.access_log.reader import read_access_log
from lbbench.inputs.access_log.scenario import from_log
from lbbench.inputs.access_log.sorted_rows import SortedRows, runs, values_at
from lbbench.inputs.access_log.texts import Texts


def test_a_long_log_is_the_same_through_the_file(tmp_path, monkeypatch):
    """Spilled every 64 rows: the same columns, scenario and trace as without."""
    path = tmp_path / "a.log"
    stamps = [f":{i // 60:02}:{i % 60:02} +0000".encode() for i in range(500)]
    path.write_bytes(b"\n".join(PRESENT.replace(b":22:24 +0000", stamp) for stamp in stamps))
    plain = read_access_log(path)
    monkeypatch.setattr(reader, "ROWS", 64)
    spilled = read_access_log(path)
    assert isinstance(spilled.end.base, memoryview)  # of the mapped file
    assert len(spilled) == len(plain) == 500
    for name in COLUMNS:
        assert getattr(spilled, name).dtype == getattr(plain, name).dtype
        assert np.array_equal(getattr(spilled, name), getattr(plain, name), equal_nan=True)
    assert from_log(spilled).scenario == from_log(plain).scenario
    for name, log in (("a", plain), ("b", spilled)):
        from_log(log).write_trace(tmp_path / name)
    assert (tmp_path / "a").read_bytes() == (tmp_path / "b").read_bytes()


@pytest.mark.parametrize("name", REAL)
def test_a_log_larger_than_memory_gives_the_same_scenario_and_trace(name, tmp_path, monkeypatch):
    """Pieces of 640 rows and 50 texts: 10 000 requests are sorted in 16 runs and cut in as many.

    Two files, so streams and ranks go over their border. Places are given: they, and the errors in
    the notes, are judged by the first piece alone.
    """
    path = DATA / "logs" / name / "access.log.gz"
    plain = from_log(read_access_log([path, path]), None, 1)
    for module, what in ((reader, "ROWS"), (sorted_rows, "RUN")):
        monkeypatch.setattr(module, what, 640)
    monkeypatch.setattr(texts, "MOST_TEXTS", 50)
    monkeypatch.setattr(columns.blocks, "__kwdefaults__", {"rows": 640})
    log = read_access_log([path, path])
    assert not log.keys.is_distinct
    assert len(log.keys) > len(set(log.keys)) > 150
    seen = []
    ours = from_log(log, None, 1, lambda *told: seen.append(told))
    assert seen[-1] == ("solving the queues of the pods", len(log), len(log))
    assert len(seen) > 16
    assert ours.scenario == plain.scenario
    told = [
        [re.sub("expected error [0-9.]+ ms.*pod works", "", note) for note in made.notes]
        for made in (ours, plain)
    ]
    assert told[0] == told[1]
    for made, file in ((plain, "a"), (ours, "b")):
        made.write_trace(tmp_path / file)
    a, b = (gzip.decompress((tmp_path / file).read_bytes()) for file in ("a", "b"))
    assert a == b


@settings(max_examples=60, deadline=None)
@given(
    st.lists(st.lists(st.integers(-3, 3), max_size=30), max_size=12),
    st.integers(1, 40),
    st.integers(1, 5),
)
def test_rows_come_back_sorted_and_in_their_order(parts, run, every):
    """Any pieces, runs and cuts: a stable sort, equal keys in one slice, again at every call."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(sorted_rows, "RUN", run)
        patch.setattr(sorted_rows, "EVERY", every)
        rows = SortedRows([("key", "i8"), ("number", "i8")], "key")
        number = 0
        for part in parts:
            added = np.empty(len(part), rows.dtype)
            added["key"], added["number"] = part, np.arange(number, number + len(part))
            number += len(part)
            rows.add(added)
        assert len(rows) == number
        expected = sorted((key, i) for i, key in enumerate(key for part in parts for key in part))
        for _ in range(2):
            slices = list(rows.slices())
            assert [tuple(row) for part in slices for row in part.tolist()] == expected
            for before, after in itertools.pairwise(part for part in slices if len(part)):
                assert before["key"][-1] < after["key"][0]
        counts = np.concatenate([np.empty(0, np.int64), *runs(rows)])
        keys = sorted({key for key, _ in expected})
        assert counts.tolist() == [sum(key == k for key, _ in expected) for k in keys]
        ranks = [number - 1, 0, number // 2] if number else []
        assert values_at(rows, ranks).tolist() == [expected[rank][0] for rank in ranks]


def test_slices_hold_about_one_run(monkeypatch):
    """20 000 random keys in runs of 1000: no slice has more than twice as many rows."""
    monkeypatch.setattr(sorted_rows, "RUN", 1000)
    rows = SortedRows([("key", "f8")], "key")
    drawn = np.empty(20_000, rows.dtype)
    drawn["key"] = np.random.default_rng(3).random(20_000)
    rows.add(drawn)
    sizes = [len(part) for part in rows.slices()]
    assert sum(sizes) == 20_000
    assert max(sizes) < 2000


@settings(max_examples=60, deadline=None)
@given(st.lists(st.binary(max_size=6), max_size=40), st.integers(1, 9), st.integers(1, 30))
def test_texts_are_found_by_their_number(given_texts, most, most_bytes):
    """Any number in memory: a number gives its text, and identities are equal where texts are."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(texts, "MOST_TEXTS", most)
        patch.setattr(texts, "MOST_BYTES", most_bytes)
        known = Texts()
        numbers = [known.number(text) for text in given_texts]
    shown = [text.decode("utf-8", "backslashreplace") for text in given_texts]
    assert [known[number] for number in numbers] == shown
    assert len(list(known)) == len(known)
    same = known.identity(np.array(numbers, np.int64)).tolist()
    for one, first in zip(same, given_texts, strict=True):
        for other, second in zip(same, given_texts, strict=True):
            assert (one == other) == (first == second)
    if known.is_distinct:
        assert sorted(set(shown)) == sorted(known)


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
    with pytest.raises(InputError, match=r"gone: no room for what is kept .* TMPDIR"):
        column.spill()

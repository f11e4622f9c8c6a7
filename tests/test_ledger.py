"""The ledger: what is committed stays, whole calls or nothing, and comes back as it was."""

from __future__ import annotations

import hashlib
import json
import random
import sqlite3
import time
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from ledgers import WRITES_ON, member, names, row, run_beside

from lbbench.errors import RunError
from lbbench.model.study import Member
from lbbench.store.ledger import Ledger, replication_key


@pytest.fixture
def study(tmp_path: Path) -> Path:
    return tmp_path / "study.sqlite"


# --- what goes in comes out -----------------------------------------------------------------------


def test_rows_come_back_as_they_were_written(study: Path):
    """Every field of a row is the same after the file was closed, results and failures alike."""
    kept = [
        row(replication=0),
        row(replication=1, status="failed", error="it broke", result=None, segments=None),
        row(replication=2, status="timeout", machine="{}", histograms=None),
        row(replication=2, version="0.2.0", seed=1),
    ]
    with Ledger.open(study, write=True) as ledger:
        ledger.write([*reversed(kept), row(1), row(0, seed=2**63 - 1)])
    with Ledger.open(study, write=False) as ledger:
        assert ledger.rows("content-0", 1) == kept
        assert ledger.rows("content-0", 2**63 - 1) == [row(0, seed=2**63 - 1)]
        assert ledger.rows("content-9", 1) == []


def test_a_row_replaces_the_one_of_its_key_only(study: Path):
    """Content, seed, replication and version make the key: the same four replace, others add."""
    failed = row(status="failed", error="x", result=None, machine="other")
    others = [row(1), row(seed=2), row(replication=1), row(version="0.2.0")]
    with Ledger.open(study, write=True) as ledger:
        ledger.write([failed, *others])
        ledger.write([row()])
        assert ledger.rows("content-0", 1) == [row(), row(version="0.2.0"), row(replication=1)]
        assert len(ledger.statuses()) == 5
        assert ledger.statuses()["content-0", 1, 0, "0.1.0"] == "done"


def test_the_key_is_the_sha256_of_the_four_as_json(study: Path):
    """The key can be made again with any program that knows JSON and SHA-256."""
    key = replication_key("ab", 1, 2, "0.1.0")
    assert key == hashlib.sha256(b'["ab",1,2,"0.1.0"]').hexdigest()
    with Ledger.open(study, write=True) as ledger:
        ledger.write([row(content="ab", replication=2)])
    with closing(sqlite3.connect(study)) as db:
        assert db.execute("SELECT key FROM replications").fetchall() == [(key,)]


LEAVES = st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text()
LEAVES = LEAVES.filter(lambda leaf: leaf not in (float("inf"), float("-inf")))
DOCUMENTS = st.dictionaries(
    st.text(st.characters(exclude_categories=["Cs"])),
    st.recursive(
        LEAVES,
        lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
        max_leaves=5,
    ),
    max_size=3,
)


def test_members_come_back_as_they_were_planned(study: Path):
    """Values in the order of the axes, scenario and reason are what was planned, type by type."""
    with Ledger.open(study, write=True) as ledger:

        @given(DOCUMENTS, st.text(), st.none() | st.text())
        def hold(values: dict, scenario: str, invalid: str | None) -> None:
            planned = Member(0, values, "content", scenario, invalid)
            ledger.plan([planned])
            (found,) = ledger.members()
            assert found == planned
            assert repr(found.values) == repr(values)  # == takes 1 for 1.0, and any order

        hold()


def test_a_new_plan_takes_the_place_of_the_old_one_and_keeps_points_and_rows(study: Path):
    """Members are those of the last plan; scenarios of earlier points and all rows are there."""
    with Ledger.open(study, write=True) as ledger:
        ledger.plan(member(n) for n in range(2500))
        ledger.write([row(2499), row(1)])
        changed = [
            member(0),
            member(1, content="content-7", scenario='{"name":"renamed"}', invalid="too few pods"),
        ]
        ledger.plan(changed)
        assert list(ledger.members()) == changed
        assert ledger.scenario("content-7") == '{"name":"renamed"}'
        assert ledger.scenario("content-2499") == member(2499).scenario
        assert len(ledger.statuses()) == 2
        with pytest.raises(KeyError):
            ledger.scenario("content-9999")


def test_many_members_come_in_the_order_of_their_numbers(study: Path):
    """Nothing is left out or doubled where one batch ends and the next begins."""
    with Ledger.open(study, write=True) as ledger:
        ledger.plan(member(n) for n in reversed(range(2001)))
        assert [m.number for m in ledger.members()] == list(range(2001))


def test_counts_are_those_of_the_members(study: Path):
    """Rows are counted by version and status; other seeds and points no longer planned are not."""
    rows = [
        row(0),
        row(0, 1, status="failed"),
        row(1),
        row(1, version="0.2.0"),
        row(2),
        row(seed=2),
    ]
    with Ledger.open(study, write=True) as ledger:
        ledger.plan([member(0), member(1), member(5)])
        ledger.write(rows)
        assert ledger.counts(1) == {
            ("0.1.0", "done"): 2,
            ("0.1.0", "failed"): 1,
            ("0.2.0", "done"): 1,
        }


def test_notes_are_kept_by_name(study: Path):
    """A note takes the place of an earlier one; what was never noted is None."""
    with Ledger.open(study, write=True) as ledger:
        ledger.note("version", "0.1.0")
        ledger.note("version", "0.2.0")
    with Ledger.open(study, write=False) as ledger:
        assert ledger.noted("version") == "0.2.0"
        assert ledger.noted("other") is None


def test_people_can_read_the_results_with_sqlite_alone(study: Path):
    """The view shows a line per replication of a member, figures taken out of the result."""
    with Ledger.open(study, write=True) as ledger:
        ledger.plan([member(0)])
        ledger.write([row(0), row(0, 1, status="failed", error="it broke", result=None), row(1)])
    with closing(sqlite3.connect(study)) as db:
        db.row_factory = sqlite3.Row
        first, second = map(dict, db.execute("SELECT * FROM results"))
        (mode,) = db.execute("PRAGMA journal_mode").fetchone()
    assert mode == "wal"
    assert (first["point"], first["own_latency_mean_s"], first["own_latency_p99_s"]) == (
        0,
        0.02,
        0.25,
    )
    assert (first["offered"], first["failed"], first["failed_by_error"]) == (
        100,
        3,
        '{"refused":3}',
    )
    assert json.loads(first["axes"])["traffic.utilisation"] == 0
    assert (second["status"], second["error"], second["own_latency_p99_s"]) == (
        "failed",
        "it broke",
        None,
    )


def test_the_text_of_a_machine_is_kept_once(study: Path):
    """Ten thousand replications on one machine do not repeat its description."""
    with Ledger.open(study, write=True) as ledger:
        for n in range(3):
            ledger.write([row(n), row(n, 1, machine="other")])
    with closing(sqlite3.connect(study)) as db:
        assert db.execute("SELECT count(*) FROM machines").fetchone() == (2,)


def test_what_is_asked_of_every_replication_reads_no_histogram(study: Path):
    """Statuses come out of an index: a study of gigabytes is told apart in a moment."""
    Ledger.open(study, write=True).close()
    question = "SELECT content, seed, replication, version, status FROM replications"
    with closing(sqlite3.connect(study)) as db:
        (*_, how), *_ = db.execute(f"EXPLAIN QUERY PLAN {question}")
    assert "COVERING INDEX" in how


# --- all or nothing -------------------------------------------------------------------------------


def test_a_plan_that_fails_midway_changes_nothing(study: Path):
    """An error while the members are made leaves the former plan, and the ledger usable."""

    def broken() -> Iterator[Member]:
        yield from (member(n) for n in range(10, 1500))
        raise RunError("no more")

    with Ledger.open(study, write=True) as ledger:
        ledger.plan([member(0)])
        with pytest.raises(RunError, match="no more"):
            ledger.plan(broken())
        assert list(ledger.members()) == [member(0)]
        ledger.write([row(0)])
        assert len(ledger.statuses()) == 1


def test_rows_of_one_call_are_kept_together_or_not_at_all(study: Path):
    """A row that cannot be kept takes those of the same call with it, and no earlier ones."""
    with Ledger.open(study, write=True) as ledger:
        ledger.write([row(0)])
        with pytest.raises(sqlite3.IntegrityError):
            ledger.write([row(1), row(2, status=None)])
        ledger.write([row(3)])
        assert {content for content, *_ in ledger.statuses()} == {"content-0", "content-3"}


def test_a_killed_writer_loses_nothing_it_had_written(study: Path):
    """Each of four writers is killed at a random moment: every row it told of is there, and whole.

    The next writer gets in at once, whatever the killed one left behind.
    """
    told: list[int] = []
    chance = random.Random(6)
    for _ in range(4):
        child = run_beside(WRITES_ON, study, len(told))
        try:
            told.append(int(child.stdout.readline()))
            time.sleep(chance.uniform(0, 0.4))
        finally:
            child.kill()
        told += [int(line) for line in child.stdout.read().split("\n")[:-1]]
        child.wait()
        child.stdout.close()
        with Ledger.open(study, write=False) as ledger:
            kept = {content for content, *_ in ledger.statuses()}
            assert {f"content-{n}" for n in told} <= kept
            last = told[-1]
            assert ledger.rows(f"content-{last}", 1) == [
                row(last, histograms=chr(97 + last % 26) * 60_000)
            ]
        with closing(sqlite3.connect(study)) as db:
            assert db.execute("PRAGMA integrity_check").fetchall() == [("ok",)]
    Ledger.open(study, write=True).close()
    assert names(study.parent) == ["study.sqlite"]

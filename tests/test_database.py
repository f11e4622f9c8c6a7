"""A study's file: read beside a writer and on any disk, refused when it is something else."""

from __future__ import annotations

import os
import sqlite3
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path

import pytest
from ledgers import WRITES_ON, member, names, row, run_beside

from lbbench.errors import InputError, LbbenchError, RunError
from lbbench.store.database import APPLICATION_ID
from lbbench.store.ledger import Ledger


@pytest.fixture
def study(tmp_path: Path) -> Path:
    return tmp_path / "study.sqlite"


# --- reading --------------------------------------------------------------------------------------


def test_a_reader_sees_what_is_committed_while_the_writer_goes_on(study: Path):
    """Each commit is there for a reader that was opened before it; the writer is not held up."""
    with Ledger.open(study, write=True) as ledger, Ledger.open(study, write=False) as reader:
        for n in range(5):
            ledger.write([row(n)])
            assert len(reader.statuses()) == n + 1


def test_a_reader_of_a_closed_study_sees_a_writer_that_comes_later(study: Path):
    """A reader does not take a file for finished because nobody was writing when it came."""
    Ledger.open(study, write=True).close()
    with Ledger.open(study, write=False) as reader:
        assert reader.statuses() == {}
        with Ledger.open(study, write=True) as ledger:
            ledger.write([row(0)])
            assert len(reader.statuses()) == 1
        assert len(reader.statuses()) == 1
    assert names(study.parent) == ["study.sqlite"]


def test_reading_leaves_nothing_behind(study: Path):
    """A closed study is the one file before and after it is read, with the same bytes."""
    with Ledger.open(study, write=True) as ledger:
        ledger.write([row(0)])
    before = study.read_bytes()
    with Ledger.open(study, write=False) as ledger:
        assert ledger.rows("content-0", 1) == [row(0)]
        with pytest.raises(RunError, match="cannot be written"):
            ledger.note("a", "b")
    assert names(study.parent) == ["study.sqlite"]
    assert study.read_bytes() == before


def sqlite_file(path: Path, *statements: str) -> None:
    with closing(sqlite3.connect(path, isolation_level=None)) as db:
        for statement in statements:
            db.execute(statement)


def foreign(path: Path) -> None:
    sqlite_file(path, "CREATE TABLE songs (name)")


def newer(path: Path) -> None:
    sqlite_file(path, f"PRAGMA application_id = {APPLICATION_ID}", "PRAGMA user_version = 2")


WRONG: dict[str, tuple[Callable[[Path], object], str]] = {
    "folder": (Path.mkdir, "is a folder"),
    "pipe": (os.mkfifo, "is no regular file"),
    "text": (lambda p: p.write_text("axes: [1, 2]\n" * 100), "is no SQLite database"),
    "foreign": (foreign, "is a database of another program"),
    "newer": (newer, "newer lbbench .form 2, this one knows up to 1.; update lbbench"),
    "circle": (lambda p: p.symlink_to(p), "cannot be reached"),
}


@pytest.mark.parametrize("write", [False, True], ids=["read", "write"])
@pytest.mark.parametrize("kind", WRONG)
def test_what_is_no_study_is_refused_and_left_alone(study: Path, kind: str, write: bool):
    """One sentence with the file and the way out, for readers and writers; nothing is made."""
    make, what = WRONG[kind]
    make(study)
    before = study.read_bytes() if study.is_file() else None
    with pytest.raises(InputError, match=what) as refused:
        Ledger.open(study, write=write)
    assert str(refused.value).startswith(f"{study}: ")
    assert ";" in str(refused.value)
    assert "\n" not in str(refused.value)
    assert names(study.parent) == ["study.sqlite"]
    assert before is None or study.read_bytes() == before


def test_only_a_writer_makes_a_study_or_fills_an_empty_file(study: Path):
    """A missing or empty file is no study to a reader; neither makes anything of it."""
    with pytest.raises(InputError, match="there is no such file; give the file of a sweep"):
        Ledger.open(study, write=False)
    assert names(study.parent) == []
    study.touch()
    with pytest.raises(InputError, match="is empty, so no study"):
        Ledger.open(study, write=False)
    assert names(study.parent) == ["study.sqlite"]
    with Ledger.open(study, write=True) as ledger:
        ledger.write([row(0)])
        assert len(ledger.statuses()) == 1


def test_a_study_whose_making_was_cut_short_can_be_made_again(study: Path):
    """A writer killed between making the file and its tables leaves one that is taken for new."""
    sqlite_file(study, "PRAGMA page_size = 8192", "PRAGMA journal_mode = WAL")
    assert study.stat().st_size > 0
    with Ledger.open(study, write=True) as ledger:
        ledger.write([row(0)])
        assert len(ledger.statuses()) == 1


def test_the_folder_of_a_new_study_must_be_there(study: Path):
    """No folder is made for a study."""
    missing = study.parent / "no" / "study.sqlite"
    with pytest.raises(InputError, match=r"the folder .*/no does not exist; make it first"):
        Ledger.open(missing, write=True)
    assert names(study.parent) == []


def test_a_name_with_signs_of_an_address_is_the_name_of_the_file(tmp_path: Path):
    """Question marks, hashes and per cents in a path are no parameters of SQLite's address."""
    study = tmp_path / "a?mode=memory#%41 b.sqlite"
    with Ledger.open(study, write=True) as ledger:
        ledger.write([row(0)])
    assert names(tmp_path) == [study.name]
    with Ledger.open(study, write=False) as ledger:
        assert len(ledger.statuses()) == 1


def test_a_damaged_study_is_told(study: Path):
    """Overwritten pages end in a sentence, not in a traceback."""
    with Ledger.open(study, write=True) as ledger:
        ledger.write([row(n) for n in range(500)])
    with study.open("r+b") as file:
        file.seek(8192)
        file.write(b"\xff" * 8192 * 20)
    with Ledger.open(study, write=False) as ledger, pytest.raises(RunError, match="is damaged"):
        ledger.statuses()


def test_a_lock_of_another_program_is_waited_for(study: Path, monkeypatch: pytest.MonkeyPatch):
    """Whoever locks the file with SQLite for a while costs the time, and nothing else."""
    monkeypatch.setattr("lbbench.store.database.WAIT_S", 0.01)
    monkeypatch.setattr("lbbench.store.database.TRIES", 1000)
    other = sqlite3.connect(study, check_same_thread=False)
    with Ledger.open(study, write=True) as ledger, closing(other):
        other.execute("BEGIN IMMEDIATE")
        begin = time.monotonic()
        end = threading.Timer(0.2, other.rollback)
        end.start()
        ledger.write([row(0)])
        assert time.monotonic() - begin > 0.15
        assert len(ledger.statuses()) == 1
        end.join()


def test_a_lock_of_another_program_that_stays_is_told(study: Path, monkeypatch: pytest.MonkeyPatch):
    """Whoever keeps the file locked with SQLite holds the ledger up; what was written stays."""
    monkeypatch.setattr("lbbench.store.database.WAIT_S", 0.01)
    monkeypatch.setattr("lbbench.store.database.TRIES", 3)
    with Ledger.open(study, write=True) as ledger, closing(sqlite3.connect(study)) as other:
        ledger.write([row(0)])
        other.execute("BEGIN IMMEDIATE")
        with pytest.raises(RunError, match="another program keeps it locked"):
            ledger.write([row(1)])
        other.rollback()
        ledger.write([row(2)])
        assert {content for content, *_ in ledger.statuses()} == {"content-0", "content-2"}


# --- full and read-only disks ---------------------------------------------------------------------

Mount = Callable[[str], Path]


@pytest.fixture
def mount(tmp_path: Path) -> Iterator[Mount]:
    """Return a callable that puts a small file system of its own on a folder: ``mount("1m")``."""
    place = tmp_path / "disk"
    place.mkdir()

    def put(size: str) -> Path:
        done = subprocess.run(
            ["mount", "-t", "tmpfs", "-o", f"size={size}", "tmpfs", place],
            capture_output=True,
            text=True,
            check=False,
        )
        if done.returncode:
            pytest.skip(f"no file system can be mounted here: {done.stderr.strip()}")
        return place

    if sys.platform != "linux":
        pytest.skip("tmpfs is Linux's")
    try:
        yield put
    finally:
        if os.path.ismount(place):
            subprocess.run(["umount", place], check=True)


def make_read_only(place: Path) -> None:
    subprocess.run(["mount", "-o", "remount,ro", place], check=True)


def test_a_full_disk_keeps_what_is_finished(mount: Mount):
    """Writing ends in a sentence; all rows before it are there, and with room it goes on."""
    study = mount("2m") / "study.sqlite"
    ballast = study.with_name("ballast")
    written = []
    with Ledger.open(study, write=True) as ledger:
        ledger.write([row(0)])
        written.append("content-0")
        ballast.write_bytes(b"x" * 500_000)

        def write_on() -> None:
            for n in range(1, 1000):
                ledger.write([row(n, histograms="h" * 60_000)])
                written.append(f"content-{n}")

        with pytest.raises(RunError) as full:
            write_on()
        assert str(full.value) == (
            f"{study}: the disk is full; what is finished is kept: make room and give the same"
            " command again"
        )
        assert len(written) > 2
        assert {content for content, *_ in ledger.statuses()} == set(written)
        with pytest.raises(RunError, match="the disk is full"):
            ledger.plan(member(n) for n in range(20_000))
        assert list(ledger.members()) == []
    with Ledger.open(study, write=False) as ledger:
        assert {content for content, *_ in ledger.statuses()} == set(written)
    ballast.unlink()
    with Ledger.open(study, write=True) as ledger:
        ledger.write([row(2000)])
        assert {content for content, *_ in ledger.statuses()} == {*written, "content-2000"}
    with closing(sqlite3.connect(study)) as db:
        assert db.execute("PRAGMA integrity_check").fetchall() == [("ok",)]


@pytest.mark.parametrize("free", [0, 1, 5, 9, 20])
def test_a_disk_without_room_for_a_study_gets_none(mount: Mount, free: int):
    """However far the making gets (pages of 4096 bytes), it ends in the sentence without files."""
    place = mount("1m")
    with (place / "ballast").open("wb", buffering=0) as file:
        try:
            while file.write(b"x" * 4096):
                pass
        except OSError:
            size = file.tell()
        file.truncate(size - free * 4096)
    with pytest.raises(RunError, match=r"disk is full|No space left"):
        Ledger.open(place / "study.sqlite", write=True)
    assert names(place) == ["ballast"]


def test_a_study_on_a_read_only_disk_can_be_read_and_not_written(mount: Mount):
    """Reading works without a file beside it; writing is refused with the reason."""
    place = mount("2m")
    study = place / "study.sqlite"
    with Ledger.open(study, write=True) as ledger:
        ledger.write([row(0)])
    make_read_only(place)
    with Ledger.open(study, write=False) as ledger:
        assert ledger.rows("content-0", 1) == [row(0)]
    with pytest.raises(RunError, match=r"study.sqlite.lock cannot be made .*Read-only file system"):
        Ledger.open(study, write=True)
    with pytest.raises(RunError, match=r"new.sqlite: cannot be written"):
        Ledger.open(place / "new.sqlite", write=True)


@pytest.mark.parametrize("index", ["with", "without"])
def test_an_interrupted_study_on_a_read_only_disk(mount: Mount, index: str):
    """What waits in the -wal of a killed writer is read when its index is there, else it is told.

    Reading the file without it would show an older state as if it were the last.
    """
    place = mount("8m")
    study = place / "study.sqlite"
    child = run_beside(WRITES_ON, study, 0)
    assert child.stdout.readline() == "0\n"
    child.kill()
    child.wait()
    child.stdout.close()
    if index == "without":
        study.with_name("study.sqlite-shm").unlink()
    make_read_only(place)
    if index == "with":
        with Ledger.open(study, write=False) as ledger:
            assert "content-0" in {content for content, *_ in ledger.statuses()}
    else:
        with pytest.raises(LbbenchError, match=r"copy it with study.sqlite-wal to a folder that"):
            Ledger.open(study, write=False)


def test_permissions_are_told():
    """A study that may only be read is read; writing is refused, for the file and the folder.

    Root may do anything, so it asks as another user, who must be able to reach the folder.
    """
    code = """
        import filelock, lbbench.store.lock, lbbench.errors
        if os.geteuid() == 0:
            os.setgid(65534)
            os.setuid(65534)
        study = Path(sys.argv[1])
        def said(write):
            try:
                with Ledger.open(study, write=write) as ledger:
                    return len(ledger.statuses())
            except lbbench.errors.RunError as error:
                return str(error).removeprefix(str(study.parent))
        print(said(True), said(False), sep="\\n")
    """

    def asked() -> list[str]:
        with run_beside(code, study) as child:
            return child.communicate()[0].splitlines()

    no_lock = (
        "/study.sqlite: cannot be written: study.sqlite.lock cannot be made beside it"
        " (Permission denied); check the permissions, or write to another folder"
    )
    with tempfile.TemporaryDirectory(dir="/tmp") as place:
        study = Path(place) / "study.sqlite"
        with Ledger.open(study, write=True) as ledger:
            ledger.write([row(0)])
        study.chmod(0o444)
        study.parent.chmod(0o777)
        assert asked() == [
            "/study.sqlite: cannot be written; check the permissions of the file",
            "1",
        ]
        assert names(study.parent) == ["study.sqlite"]
        study.parent.chmod(0o555)
        assert asked() == [
            no_lock,
            "1",
        ]
        study.chmod(0o000)
        assert asked()[1] == (
            "/study.sqlite: cannot be opened (unable to open database file);"
            " check the permissions, or copy it with study.sqlite-wal to a folder that can be"
            " written"
        )
        study.parent.chmod(0o755)

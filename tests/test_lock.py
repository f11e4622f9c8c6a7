"""One process writes a study; a dead one, or the child of one, keeps nobody out."""

from __future__ import annotations

import os
import re
import signal
import time
from pathlib import Path

import pytest
from ledgers import names, run_beside

from lbbench.errors import RunError
from lbbench.store.ledger import Ledger
from lbbench.store.lock import WriterLock


@pytest.fixture
def study(tmp_path: Path) -> Path:
    return tmp_path / "study.sqlite"


def test_a_second_writer_is_refused_with_who_and_since_when(study: Path):
    """One sentence: the file, the process, its host, when it began, what to do; readers go on."""
    child = run_beside(
        """
        with Ledger.open(Path(sys.argv[1]), write=True) as ledger:
            ledger.write([row(0)])
            print("in", flush=True)
            time.sleep(60)
        """,
        study,
    )
    try:
        assert child.stdout.readline() == "in\n"
        with pytest.raises(RunError) as refused:
            Ledger.open(study, write=True)
        sentence = str(refused.value)
        host = os.uname().nodename
        assert re.fullmatch(
            rf"{re.escape(str(study))}: process {child.pid} on {re.escape(host)} is writing to this"
            r" study since \d{4}-\d\d-\d\d \d\d:\d\d:\d\d UTC; wait until it ends, stop it, or"
            r" write to another file",
            sentence,
        )
        with Ledger.open(study, write=False) as ledger:
            assert len(ledger.statuses()) == 1
    finally:
        child.kill()
        child.wait()
        child.stdout.close()


def test_a_second_writer_in_the_same_process_is_refused_too(study: Path):
    """Python code that opens a study twice is told so; after the first is closed it may."""
    with Ledger.open(study, write=True) as ledger:
        ledger.note("a", "1")
        with pytest.raises(RunError, match=f"process {os.getpid()} on "):
            Ledger.open(study, write=True)
        ledger.note("a", "2")  # the refused one has taken nothing from the first
    with Ledger.open(study, write=True) as ledger:
        assert ledger.noted("a") == "2"


def test_another_name_of_the_file_is_the_same_study(study: Path):
    """A symbolic link leads to the same lock."""
    link = study.with_name("link.sqlite")
    with Ledger.open(study, write=True):
        link.symlink_to(study)
        with pytest.raises(RunError, match=r"link.sqlite: process"):
            Ledger.open(link, write=True)


def test_a_lock_file_that_a_dead_process_left_refuses_nobody(study: Path):
    """The file alone, with or without a name in it, is no lock; a clean end removes it."""
    lock = study.with_name("study.sqlite.lock")
    for text in ("", '{"process": 1, "host": "here", "started": "now"}', "\0"):
        lock.write_text(text, encoding="utf-8")
        with Ledger.open(study, write=True):
            assert lock.exists()
        assert names(study.parent) == ["study.sqlite"]


@pytest.mark.parametrize(
    "child",
    [
        'subprocess.Popen(["sleep", "60"], close_fds=False).pid',
        "os.fork() or time.sleep(60)",
    ],
    ids=["program", "fork"],
)
def test_children_of_a_killed_writer_do_not_hold_its_lock(study: Path, child: str):
    """The writer is killed, its child lives on, and the next writer is in at once."""
    code = f"""
        with Ledger.open(Path(sys.argv[1]), write=True) as ledger:
            ledger.write([row(0)])
            child = {child}
            print(child, flush=True)
            time.sleep(60)
    """
    parent = run_beside(code, study)
    orphan = int(parent.stdout.readline())
    try:
        parent.kill()
        parent.wait()
        begin = time.monotonic()
        with Ledger.open(study, write=True) as ledger:
            assert len(ledger.statuses()) == 1
        assert time.monotonic() - begin < 1
        os.kill(orphan, 0)  # it does live
    finally:
        os.kill(orphan, signal.SIGKILL)
        parent.stdout.close()


def test_the_file_goes_while_the_lock_is_still_held(study: Path):
    """Removed after the release it might be the next writer's, and a third would get in."""
    lock = WriterLock(study, study)
    file = study.with_name("study.sqlite.lock")
    seen = []
    held = lock._lock
    release = held.release
    held.release = lambda: (seen.append((file.exists(), held.is_locked)), release())
    assert file.exists()
    lock.release()
    assert seen == [(False, True)]
    lock.release()  # a second time is nothing
    assert seen == [(False, True)]


def test_writers_that_come_and_go_never_meet(study: Path):
    """Three processes open and close at random: what each reads and writes back is never lost.

    The lock file appears and vanishes all the time; two writers at once would lose a count.
    """
    code = """
        done = 0
        while done < 40:
            try:
                ledger = Ledger.open(Path(sys.argv[1]), write=True)
            except Exception as error:
                assert "is writing to this study" in str(error), error
                continue
            with ledger:
                n = int(ledger.noted("n") or 0)
                time.sleep(0.001)
                ledger.note("n", str(n + 1))
            done += 1
    """
    children = [run_beside(code, study) for _ in range(3)]
    for child in children:
        assert child.wait() == 0
        child.stdout.close()
    with Ledger.open(study, write=False) as ledger:
        assert ledger.noted("n") == "120"

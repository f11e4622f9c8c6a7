"""A sweep that is killed, interrupted, starved or met by another one loses nothing."""

from __future__ import annotations

import os
import random
import shutil
import signal
import subprocess
import time
from contextlib import contextmanager
from pathlib import Path

import pytest
from sweeping import children, command, is_alive, n_rows, small, start, until, values, written

from lbbench.studies.sweep import sweep

SLOW = {"requests": 400, "replications": 3}  # 18 replications, some tenths of a second each


def finished(process: subprocess.Popen[str], seconds: float = 60.0) -> tuple[int, str]:
    """Return exit status and stderr of a sweep."""
    _, err = process.communicate(timeout=seconds)
    return process.returncode, err


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory):
    """Return what the slow study gives when nothing happens."""
    folder = tmp_path_factory.mktemp("undisturbed")
    with sweep(small(folder, **SLOW), out=folder / "a.sqlite", engine="reference") as study:
        return values(study)


@pytest.fixture
def file(tmp_path) -> Path:
    """Return the file of the slow study."""
    return written(tmp_path, **SLOW)


def test_sigkill_costs_the_points_in_work_and_no_more(tmp_path, file, undisturbed):
    """Killed at three random moments, gone on with each time: value for value the same study.

    What was committed before a kill is there after it, and workers end within a second.
    """
    out = tmp_path / "a.sqlite"
    draw = random.Random(os.getpid())
    kept = 0
    for _ in range(3):
        process = start(file, out, "--quiet")
        target = kept + draw.randint(1, 5)
        assert until(lambda least=target: n_rows(out) >= least)
        time.sleep(draw.uniform(0.0, 0.2))
        workers = children(process.pid)
        assert workers
        before = n_rows(out)
        process.kill()
        process.communicate()
        assert until(lambda gone=workers: not any(map(is_alive, gone)), 1.0)
        kept = n_rows(out)
        assert kept >= before
    code, _ = finished(start(file, out, "--quiet"))
    assert code == 0
    assert values(out).equals(undisturbed, null_equal=True)


def test_a_dead_worker_has_its_points_run_again(tmp_path, file, undisturbed):
    """SIGKILL of workers in mid-run: the sweep ends as if nothing had been."""
    out = tmp_path / "a.sqlite"
    process = start(file, out, "--quiet")
    for least in (2, 6):
        assert until(lambda n=least: n_rows(out) >= n)
        os.kill(random.Random(least).choice(children(process.pid)), signal.SIGKILL)
    code, err = finished(process)
    assert (code, err) == (0, "")
    assert values(out).equals(undisturbed, null_equal=True)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_an_interrupted_sweep_says_how_to_go_on(tmp_path, file, number):
    """Ctrl-C and the end of a session: within two seconds, status 130, nothing left running."""
    out = tmp_path / "a.sqlite"
    process = start(file, out)
    assert until(lambda: n_rows(out) >= 2)
    workers = children(process.pid)
    began = time.monotonic()
    process.send_signal(number)
    code, err = finished(process)
    assert time.monotonic() - began < 2.0
    assert code == 130
    assert not out.with_name("a.sqlite-wal").exists()  # all is in the one file
    last = err.strip().splitlines()[-1]
    assert last.startswith(f"interrupted; {n_rows(out)} of 18 replications are in {out}")
    assert last.endswith("the same command goes on from there")
    assert not any(map(is_alive, workers))


def test_ctrl_c_while_nothing_has_ended_yet(tmp_path, file):
    """The first moments count too: planning, starting workers."""
    process = start(file, tmp_path / "a.sqlite")
    assert until(lambda: bool(children(process.pid)))
    began = time.monotonic()
    process.send_signal(signal.SIGINT)
    code, err = finished(process)
    assert time.monotonic() - began < 2.0
    assert code == 130
    assert "interrupted; " in err


@pytest.mark.long
def test_a_second_sweep_into_the_same_ledger_is_refused(tmp_path, file):
    """One sentence, status 2, while the first goes on undisturbed."""
    out = tmp_path / "a.sqlite"
    first = start(file, out, "--quiet")
    assert until(lambda: n_rows(out) >= 1)
    second = subprocess.run(command(file, out), capture_output=True, text=True, check=False)
    assert second.returncode == 2
    assert len(second.stderr.strip().splitlines()) == 1
    assert str(out) in second.stderr
    assert str(first.pid) in second.stderr
    assert first.poll() is None
    assert finished(first)[0] == 0


@pytest.mark.long
def test_the_lock_of_a_killed_sweep_refuses_nobody(tmp_path, file):
    """The lock dies with its process, also while its workers are still ending."""
    out = tmp_path / "a.sqlite"
    first = start(file, out, "--quiet")
    assert until(lambda: n_rows(out) >= 1)
    first.kill()
    second = start(file, out, "--quiet")
    first.communicate()
    assert finished(second)[0] == 0


@contextmanager
def mounted(folder: Path, options: str):
    """Mount a tmpfs for a while, where that is allowed."""
    mount = shutil.which("mount")
    folder.mkdir()
    if mount is None or os.geteuid() != 0:
        pytest.skip("mounting a file system needs root")
    made = subprocess.run(
        [mount, "-t", "tmpfs", "-o", options, "tmpfs", str(folder)],
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    if made.returncode != 0:
        pytest.skip(f"no file system can be mounted here: {made.stderr.strip()}")
    try:
        yield folder
    finally:
        subprocess.run(["umount", "-l", str(folder)], check=True)


def test_a_full_disk_is_a_sentence_and_room_lets_it_go_on(tmp_path, file, undisturbed):
    """What is finished is kept; with room made the same command ends the study."""
    with mounted(tmp_path / "full", "size=400k") as folder:
        out = folder / "a.sqlite"
        code, err = finished(start(file, out, "--quiet"))
        assert code == 2
        assert len(err.strip().splitlines()) == 1
        assert str(out) in err
        assert "same command" in err
        kept = n_rows(out)
        assert 0 < kept < 18
        subprocess.run(["mount", "-o", "remount,size=50m", str(folder)], check=True)
        assert finished(start(file, out, "--quiet"))[0] == 0
        assert values(out).equals(undisturbed, null_equal=True)


def test_a_folder_that_cannot_be_written_is_a_sentence(tmp_path, file):
    """Before anything runs."""
    with mounted(tmp_path / "closed", "ro") as folder:
        began = time.monotonic()
        code, err = finished(start(file, folder / "a.sqlite"))
        assert code == 2
        assert len(err.strip().splitlines()) == 1
        assert "a.sqlite" in err
        assert time.monotonic() - began < 20.0

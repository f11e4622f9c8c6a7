"""Processes: what happens when a worker dies, hangs, cannot start, or loses its parent."""

from __future__ import annotations

import os
import pickle
import signal
import subprocess
import sys
import time
from concurrent.futures import CancelledError, wait
from functools import partial
from pathlib import Path

import pytest
import tasks
from tasks import eventually, is_alive, pid_in

from lbbench.studies import worker_handle
from lbbench.studies.executors import (
    NoWorkers,
    OverTime,
    Processes,
    WorkerDied,
    died,
)

HERE = Path(__file__).parent


@pytest.mark.parametrize(
    ("task", "ending"),
    [
        ((tasks.exit_at_once, 3), "exit code 3"),
        ((tasks.exit_at_once, 0), "exit code 0"),
        ((tasks.say_and_kill_myself,), "SIGKILL, as when memory runs out"),
        ((tasks.read_address_zero,), "SIGSEGV"),
    ],
    ids=["exit 3", "exit 0", "killed", "segfault"],
)
def test_a_dead_worker_fails_only_its_own_task(two: Processes, task, ending: str):
    """The task of the dead worker fails; the one running beside it and those queued do not."""
    beside = two.submit(tasks.nap, 0.3)
    fatal = two.submit(*task)
    queued = [two.submit(tasks.square, i) for i in range(20)]
    error = fatal.exception(10)
    assert isinstance(error, WorkerDied)
    assert died(error)
    assert str(error).endswith(f"ended with {ending}")
    assert [future.result(10) for future in queued] == [i * i for i in range(20)]
    assert beside.result(10) > 0
    pids = {
        future.result(10) for future in [two.submit(tasks.nap, 0.3), two.submit(tasks.nap, 0.3)]
    }
    assert len(pids) == 2  # the dead one has been replaced


def test_what_a_dead_worker_printed_is_a_note(two: Processes):
    """The last output of a worker explains its death: the user's print, the fault handler."""
    printed = two.submit(tasks.say_and_kill_myself).exception(10)
    assert "something the user printed" in "".join(printed.__notes__)
    fault = two.submit(tasks.read_address_zero).exception(10)
    assert "in read_address_zero" in "".join(fault.__notes__)


def test_an_idle_worker_that_is_killed_costs_no_task(two: Processes):
    """Workers killed while they have nothing to do are replaced, and no task notices."""
    for _ in range(5):
        os.kill(two.submit(os.getpid).result(10), signal.SIGKILL)
        time.sleep(0.02)
        assert two.submit(tasks.square, 7).result(10) == 49


def test_a_task_over_its_time_is_stopped():
    """Of a sleeping and a computing task over the limit both stop; short ones go on."""
    with Processes(2, time_limit=0.6) as pool:
        wait([pool.submit(tasks.square, 1)])
        started = time.monotonic()
        over = [pool.submit(tasks.nap, 60.0), pool.submit(tasks.busy_loop, 60.0)]
        after = [pool.submit(tasks.nap, 0.05) for _ in range(4)]
        for future in over:
            with pytest.raises(OverTime, match=r"after 0\.6 s, the time limit"):
                future.result(10)
            assert not died(future.exception())
        assert 0.5 < time.monotonic() - started < 5.0
        assert all(future.result(10) > 0 for future in after)


def test_the_time_limit_counts_neither_start_nor_queue():
    """20 tasks of 0.1 s in one worker whose start takes 0.8 s, limit 0.6 s: none is over time."""
    with Processes(1, time_limit=0.6, initializer=partial(tasks.nap, 0.8)) as pool:
        futures = [pool.submit(tasks.nap, 0.1) for _ in range(20)]
        assert len({future.result(10) for future in futures}) == 1


def test_kill_ends_everything_at_once(tmp_path: Path):
    """Within 0.2 s of kill() workers and what they started are gone and every future is done."""
    pool = Processes(3)
    pool.submit(tasks.start_a_sleeper, str(tmp_path / "sleeper"))
    running = [
        pool.submit(tasks.leave_pid_then_sleep, str(tmp_path / f"pid{i}"), 60.0) for i in (0, 1)
    ]
    queued = [pool.submit(tasks.square, i) for i in range(50)]
    pids = [pid_in(tmp_path / name) for name in ("sleeper", "pid0", "pid1")]
    started = time.monotonic()
    pool.kill()
    assert time.monotonic() - started < 1.0
    assert eventually(lambda: not any(map(is_alive, pids)), 0.2)
    assert not wait([*running, *queued], timeout=1).not_done
    assert all(future.cancelled() for future in queued)
    assert all(isinstance(future.exception(), CancelledError) for future in running)
    with pytest.raises(RuntimeError, match="after shutdown"):
        pool.submit(tasks.square, 1)


def test_kill_while_workers_start():
    """kill() at any moment of the start leaves no process: tried at 12 moments."""
    for step in range(12):
        pool = Processes(2)
        futures = [pool.submit(tasks.square, i) for i in range(4)]
        time.sleep(step * 0.01)
        pool.kill()
        assert not wait(futures, timeout=1).not_done
        assert pool._staff == []
        assert not pool._mover.is_alive()


def test_workers_that_cannot_start_fail_the_tasks(monkeypatch, tmp_path: Path):
    """Three starts, then every future fails with the reason; no endless loop, later tasks too."""
    broken = tmp_path / "broken.py"
    log = tmp_path / "log"
    broken.write_text(
        f"open({str(log)!r}, 'a').write('x')\nraise ImportError('no module named sky')"
    )
    monkeypatch.setattr(worker_handle, "WORKER", broken)
    with Processes(2) as pool:
        for future in [pool.submit(tasks.square, i) for i in range(5)]:
            with pytest.raises(NoWorkers, match="exit code 1: ImportError: no module named sky"):
                future.result(20)
        assert not died(future.exception())
        tries = len(log.read_text())
        assert 3 <= tries <= 4  # two start side by side
        with pytest.raises(NoWorkers):
            pool.submit(tasks.square, 1).result(0)
        assert len(log.read_text()) == tries


def test_an_interpreter_that_is_missing_fails_the_tasks(monkeypatch):
    """When not even a process can be made the futures fail with the system's reason."""
    monkeypatch.setattr(sys, "executable", "/nowhere/python")
    with Processes(1) as pool, pytest.raises(NoWorkers, match=r"No such file.*/nowhere/python"):
        pool.submit(tasks.square, 1).result(10)


def test_a_living_worker_does_what_new_ones_cannot(two: Processes, monkeypatch):
    """Starts that fail beside a worker that lives fail no task: that one does them all."""
    two.submit(tasks.square, 1).result(10)
    monkeypatch.setattr(sys, "executable", "/nowhere/python")
    futures = [two.submit(tasks.nap, 0.02) for _ in range(10)]
    assert len({future.result(10) for future in futures}) == 1


def test_when_the_last_worker_dies_new_ones_are_tried_again(two: Processes, monkeypatch):
    """After failed starts beside a living worker its death is no dead end: none, or new ones."""
    first = two.submit(tasks.nap, 0.01).result(10)
    whole = sys.executable
    monkeypatch.setattr(sys, "executable", "/nowhere/python")
    futures = [two.submit(tasks.nap, 0.3) for _ in range(6)]
    assert eventually(lambda: two._failed_starts >= 3, 10)
    monkeypatch.setattr(sys, "executable", whole)
    os.kill(first, signal.SIGKILL)
    ended = [future.exception(10) for future in futures]
    assert sum(isinstance(error, WorkerDied) for error in ended) == 1
    assert ended.count(None) == 5


def test_when_the_last_worker_dies_and_none_can_be_started_all_is_told(two: Processes, monkeypatch):
    """Nothing waits for ever: what is queued fails with the sentence."""
    first = two.submit(tasks.nap, 0.01).result(10)
    monkeypatch.setattr(sys, "executable", "/nowhere/python")
    futures = [two.submit(tasks.nap, 0.3) for _ in range(4)]
    assert eventually(lambda: two._failed_starts >= 3, 10)
    os.kill(first, signal.SIGKILL)
    ended = [type(future.exception(10)) for future in futures]
    assert set(ended[1:]) == {NoWorkers}


PARENT = """
import sys, time
sys.path.insert(0, {here!r})
import tasks
from lbbench.studies.executors import Processes
pool = Processes(4)
for i, (task, *arguments) in enumerate([
    (tasks.leave_pid_then_sleep, {folder!r} + "/sleep", 60),
    (tasks.after_pid, {folder!r} + "/busy", tasks.busy_loop, 60),
    (tasks.after_pid, {folder!r} + "/held", tasks.hold_the_interpreter, 60),
]):
    pool.submit(task, *arguments)
pool.submit(tasks.leave_pid_then_sleep, {folder!r} + "/idle", 0.0).result()
{end}
"""


@pytest.mark.parametrize(
    "end", ["time.sleep(60)", "sys.exit(0)", "raise RuntimeError"], ids=["kill", "exit", "error"]
)
def test_workers_end_with_their_parent(tmp_path: Path, end: str):
    """Killed, ended without shutdown, or failed: within a second no worker of the parent is left.

    One sleeps, one computes, one is in compiled code that holds the interpreter, one is idle.
    """
    code = PARENT.format(here=str(HERE), folder=str(tmp_path), end=end)
    names = ("sleep", "busy", "held", "idle")
    with subprocess.Popen(
        [sys.executable, "-c", code], stderr=subprocess.DEVNULL, start_new_session=True
    ) as parent:
        try:
            pids = [pid_in(tmp_path / name) for name in names]
            if "sleep" in end:
                assert all(map(is_alive, pids))
                parent.kill()
            parent.wait(10)
            assert eventually(lambda: not any(map(is_alive, pids)), 1.0)
        finally:
            parent.kill()


def test_a_worker_ends_when_its_lifeline_does():
    """Without the kernel's signal (its parent, this test, lives on) the closed pipe ends it."""
    channel, theirs = worker_handle.Pipe()
    reading, writing = os.pipe()
    worker = subprocess.Popen(
        [
            *(sys.executable, "-P", str(worker_handle.WORKER)),
            *map(str, (theirs.fileno(), reading, os.getpid())),
        ],
        pass_fds=(theirs.fileno(), reading),
    )
    with channel, worker:
        channel.send_bytes(pickle.dumps(sys.path))
        channel.send_bytes(b"")
        assert channel.recv_bytes() == b"ready"
        channel.send_bytes(pickle.dumps((tasks.busy_loop, (60,), {})))
        os.close(writing)
        try:
            assert worker.wait(1.0) == 1
        finally:
            worker.kill()
    theirs.close()
    os.close(reading)

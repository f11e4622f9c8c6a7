"""A real Dask scheduler with real workers: same results, deaths survived, refusals in words."""

from __future__ import annotations

import os
import signal
import socket
import sys
import time
from concurrent.futures import CancelledError, Future
from pathlib import Path

import pytest
import tasks
from clusters import Cluster
from tasks import eventually

from lbbench.errors import RunError
from lbbench.studies import executors
from lbbench.studies.executors import Processes, dask_executor, died, slots

pytest.importorskip("distributed")


def test_dask_gives_what_processes_give(cluster: Cluster):
    """The same work gives equal numbers and equal errors in two Dask workers and in a process."""
    jobs = [(tasks.waits, seed) for seed in (1, 2)] + [(tasks.divide, 1, 0)]
    workers = [cluster.worker(), cluster.worker()]
    with dask_executor(cluster.address) as dask, Processes(1) as processes:
        assert eventually(lambda: slots(dask) == 2, 10)
        answers = []
        for executor in (dask, processes):
            futures = [executor.submit(*job) for job in jobs]
            answers.append([told(future) for future in futures])
        pids = {future.result(10) for future in [dask.submit(tasks.nap, 0.3) for _ in range(6)]}
    assert answers[0] == answers[1]
    assert len({str(answer) for answer in answers[0]}) == 3
    assert answers[0][2] == (ZeroDivisionError, "division by zero")
    assert pids == {worker.pid for worker in workers}


def told(future: Future) -> object:
    error = future.exception(15)
    return future.result() if error is None else (type(error), str(error))


def test_the_task_of_a_killed_worker_is_run_again(cluster: Cluster, tmp_path: Path):
    """SIGKILL in mid-task: the other worker runs it again, and the future never notices."""
    workers = [cluster.worker(), cluster.worker()]
    with dask_executor(cluster.address) as dask:
        assert eventually(lambda: slots(dask) == 2, 10)
        future = dask.submit(tasks.note_pid_then_sleep, str(tmp_path / "runs"), 1.0)
        runs = tmp_path / "runs"
        assert eventually(lambda: runs.exists() and runs.read_text().endswith("\n"), 10)
        first = int(runs.read_text())
        os.kill(first, signal.SIGKILL)
        second = future.result(15)
        assert {first, second} == {worker.pid for worker in workers}
        assert runs.read_text().split() == [str(first), str(second)]
        assert eventually(lambda: slots(dask) == 1, 10)


def test_a_task_that_kills_every_worker_is_given_up(cluster: Cluster):
    """After four deaths the scheduler gives up, and ``died`` knows its error for a death."""
    workers = [cluster.worker() for _ in range(4)]
    with dask_executor(cluster.address) as dask:
        assert eventually(lambda: slots(dask) == 4, 15)
        error = dask.submit(tasks.exit_at_once, 1).exception(15)
        assert died(error)
        assert not died(ValueError("something else"))
    assert all(worker.wait(5) == 1 for worker in workers)


def test_a_lost_scheduler_is_noticed(cluster: Cluster, monkeypatch):
    """When the scheduler is killed futures are cancelled, ``slots`` says it, leaving is quick."""
    monkeypatch.setattr(executors, "REACH_S", 3.0)  # so long it tries to connect again
    cluster.worker()
    with dask_executor(cluster.address) as dask:
        future = dask.submit(tasks.nap, 60.0)
        assert slots(dask) == 1
        cluster.scheduler.kill()
        with pytest.raises(CancelledError):
            future.result(5)
        with pytest.raises(RunError, match="connection to the Dask scheduler is lost"):
            slots(dask)
        started = time.monotonic()
    assert time.monotonic() - started < 15


def test_leaving_cancels_what_is_not_finished(cluster: Cluster, tmp_path: Path):
    """On leaving the context queued tasks are cancelled and never run."""
    cluster.worker()
    with dask_executor(cluster.address) as dask:
        paths = [tmp_path / f"run{i}" for i in range(3)]
        futures = [dask.submit(tasks.note_pid_then_sleep, str(path), 1.0) for path in paths]
        assert eventually(lambda: any(path.exists() for path in paths), 10)
    with dask_executor(cluster.address) as dask:
        assert dask.submit(tasks.square, 3).result(10) == 9
    assert sum(path.exists() for path in paths) == 1
    assert all(future.cancelled() for future in futures)


@pytest.mark.parametrize(
    ("found", "words"),
    [
        ("__version__ = '0.0.9'", r"worker tcp://\S+ has lbbench 0\.0\.9 where {ours} is needed"),
        ("raise ImportError", r"worker tcp://\S+ has no lbbench where {ours} is needed"),
        ("1 / 0", r"worker tcp://\S+ cannot tell its version of lbbench \(division by zero\)"),
    ],
    ids=["other", "none", "broken"],
)
def test_a_worker_with_another_version_is_refused(
    cluster: Cluster, tmp_path: Path, found: str, words: str
):
    """A second worker with an older, without, or with a broken lbbench is named, with versions."""
    (tmp_path / "path" / "lbbench").mkdir(parents=True)
    (tmp_path / "path" / "lbbench" / "__init__.py").write_text(found, encoding="utf-8")
    cluster.worker()
    with dask_executor(cluster.address) as dask:
        assert slots(dask) == 1
        cluster.worker(path=str(tmp_path / "path"))
        assert eventually(lambda: slots(dask) == 2, 10)
    words = words.format(ours=executors.__version__.replace(".", r"\."))
    with pytest.raises(RunError, match=words), dask_executor(cluster.address):
        pass


def test_a_scheduler_without_workers_is_refused(cluster: Cluster, monkeypatch):
    """Nobody to run the tasks is an error with the way out, not an endless wait."""
    monkeypatch.setattr(executors, "REACH_S", 1.0)
    started = time.monotonic()
    with (
        pytest.raises(RunError, match=r"no worker after 1 s; start one with: dask worker tcp://"),
        dask_executor(cluster.address),
    ):
        pass
    assert time.monotonic() - started < 15


@pytest.mark.parametrize("listening", [False, True], ids=["closed port", "somebody else's"])
def test_a_scheduler_that_does_not_answer_is_refused(monkeypatch, listening: bool):
    """A port that is closed, or on which somebody else listens, is refused with the address."""
    monkeypatch.setattr(executors, "REACH_S", 1.0)
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        if listening:
            other.listen()
        address = f"tcp://127.0.0.1:{other.getsockname()[1]}"
        words = rf"--dask {address}: no Dask scheduler answers there \(.*\); start one"
        with pytest.raises(RunError, match=words) as caught, dask_executor(address):
            pass
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("address", ["", " ", "nonsense", "tcp://", "http://a:1", "tcp://a:b"])
def test_what_is_no_address_is_refused(address: str):
    """Anything but [scheme://]host:port is refused at once; an empty one starts no cluster."""
    with pytest.raises(RunError, match="this is no address of a scheduler; give tcp://HOST:PORT"):
        next(dask_executor(address).gen)


def test_without_distributed_the_way_out_is_named(monkeypatch):
    """On a machine without the library the sentence says how to install it."""
    monkeypatch.setitem(sys.modules, "distributed", None)
    with (
        pytest.raises(RunError, match=r"pip install lbbench\[dask\]"),
        dask_executor("tcp://a:1"),
    ):
        pass

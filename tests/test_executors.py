"""Processes: each task at the risk of its own worker, nothing left behind, nothing outlives us."""

from __future__ import annotations

import gc
import os
import signal
import sys
import threading
import time
from concurrent.futures import CancelledError, Future, ThreadPoolExecutor, wait
from concurrent.futures.process import BrokenProcessPool
from functools import partial
from pathlib import Path

import pytest
import tasks
from tasks import eventually, pid_in

from lbbench.errors import RunError
from lbbench.studies.executors import (
    NoWorkers,
    Processes,
    died,
    slots,
)

HERE = Path(__file__).parent


def descriptors() -> list[str]:
    """Return the open descriptors of this process."""
    return sorted(entry.name for entry in Path("/proc/self/fd").iterdir())


def test_results_come_back_in_any_number(two: Processes):
    """500 tasks give 500 results, each to its own future, from exactly two processes."""
    futures = [two.submit(tasks.square, i) for i in range(500)]
    assert [future.result(20) for future in futures] == [i * i for i in range(500)]
    assert list(two.map(tasks.square, range(5))) == [0, 1, 4, 9, 16]
    assert len({two.submit(tasks.nap, 0.01).result(5) for _ in range(10)}) <= 2


def test_both_workers_work_at_once(two: Processes):
    """Two tasks of a second end well before two seconds, in two processes."""
    wait([two.submit(tasks.nap, 0.2), two.submit(tasks.nap, 0.2)])  # both are up
    started = time.monotonic()
    pids = {future.result(5) for future in [two.submit(tasks.nap, 1.0), two.submit(tasks.nap, 1.0)]}
    assert time.monotonic() - started < 1.7
    assert len(pids) == 2


def test_workers_start_only_when_there_are_tasks():
    """An executor without tasks has no process, no thread and no descriptor of its own."""
    before, threads = len(descriptors()), threading.active_count()
    with Processes(8) as pool:
        assert len(descriptors()) == before
        assert threading.active_count() == threads
        pool.submit(tasks.square, 1).result(10)
        assert len(pool._staff) == 1


def test_submit_does_not_wait(two: Processes):
    """300 tasks are queued behind two long ones before those end."""
    long = [two.submit(tasks.nap, 3.0) for _ in range(2)]
    for i in range(300):
        two.submit(tasks.square, i)
    assert not any(future.done() for future in long)


def test_an_error_comes_back_with_its_traceback(two: Processes):
    """The exception is of its own class, with the worker's traceback as a note."""
    error = two.submit(tasks.divide, 1, 0).exception(10)
    assert isinstance(error, ZeroDivisionError)
    assert not died(error)
    assert "in divide" in "".join(error.__notes__)
    picky = two.submit(tasks.fail_picky).exception(10)
    assert isinstance(picky, tasks.PickyError)
    assert str(picky) == "not like this"


@pytest.mark.parametrize(
    ("task", "sentence"),
    [
        ((tasks.fail_with_two,), "fail_with_two failed: NeedsTwoError: 1 and 2"),
        ((tasks.a_lambda,), "the result of a_lambda cannot leave the worker: .*lambda"),
        ((tasks.leave, 3), "leave ended with SystemExit: 3 instead of a result"),
        (
            (tasks.square, threading.Lock()),
            "the task square cannot be sent to a worker: .*lock",
        ),
        ((lambda: 1,), "cannot be sent to a worker: .*lambda"),
    ],
    ids=["exception", "result", "exit", "argument", "function"],
)
def test_what_cannot_be_pickled_is_a_sentence(two: Processes, task, sentence: str):
    """A task, result or exception that no pickle carries is one sentence; the worker goes on."""
    with pytest.raises(RunError, match=sentence) as caught:
        two.submit(*task).result(10)
    assert "\n" not in str(caught.value)
    assert two.submit(tasks.square, 3).result(10) == 9


def test_a_function_of_the_started_script_is_refused(two: Processes, monkeypatch):
    """A function of __main__ is refused with the way out, before a worker fails on it."""
    monkeypatch.setattr(tasks.square, "__module__", "__main__")
    with pytest.raises(RunError, match=r"square is defined in the script .* module of its own"):
        two.submit(tasks.square, 1).result(1)


def test_a_module_that_a_worker_cannot_import_is_a_sentence(two: Processes, monkeypatch):
    """A function whose module only we have (not on sys.path) says so, and the worker goes on."""
    module = type(sys)("nowhere_on_the_path")
    exec("def f(): pass", module.__dict__)
    monkeypatch.setitem(sys.modules, module.__name__, module)
    with pytest.raises(RunError, match=r"cannot read the task: ModuleNotFoundError.*importable"):
        two.submit(module.f).result(10)


def test_output_disturbs_nothing(two: Processes, capfd: pytest.CaptureFixture[str]):
    """Megabytes on stdout and stderr neither block the worker nor reach us, nor does closing."""
    assert two.submit(tasks.shout, 3_000_000).result(20) == 3_000_000
    two.submit(tasks.close_the_output).result(10)
    assert two.submit(tasks.square, 2).result(10) == 4
    assert capfd.readouterr() == ("", "")


def test_a_closed_output_does_not_spin_the_mover(two: Processes):
    """A worker that has closed its output costs the parent no processor time."""
    two.submit(tasks.close_the_output).result(10)
    before = time.process_time()
    time.sleep(0.5)
    assert time.process_time() - before < 0.1


def test_the_initializer_comes_first_in_every_worker():
    """What it sets is there for the first task of each worker, replacements as well."""
    with Processes(1, initializer=partial(tasks.put, "LBBENCH_TEST", "set")) as pool:
        pids = set()
        for _ in range(3):
            assert pool.submit(tasks.look_up, "LBBENCH_TEST").result(10) == "set"
            pids.add(pool.submit(os.getpid).result(10))
            pool.submit(tasks.exit_at_once, 1).exception(10)
    assert len(pids) == 3


def test_an_initializer_that_fails_fails_the_tasks():
    """Its error is in the sentence; one that cannot be sent is refused at once."""
    with Processes(2, initializer=tasks.fail_picky) as pool:
        error = pool.submit(tasks.square, 1).exception(20)
    assert isinstance(error, NoWorkers)
    assert str(error).endswith("exit code 1: tasks.PickyError: not like this")
    assert "in fail_picky" in "".join(error.__notes__)
    with pytest.raises(RunError, match="cannot be sent to a worker"):
        Processes(2, initializer=lambda: 1)


def test_a_queued_task_can_be_cancelled_a_running_one_not():
    """cancel() of a queued task keeps it from running; of a running one it returns False."""
    with Processes(1) as pool:
        running = pool.submit(tasks.nap, 0.5)
        assert eventually(running.running, 5)
        queued, last = pool.submit(tasks.square, 1), pool.submit(tasks.square, 2)
        assert queued.cancel()
        assert not running.cancel()
        assert last.result(5) == 4
        assert running.result() > 0
    with pytest.raises(CancelledError):
        queued.result()


def test_shutdown_finishes_what_is_queued():
    """shutdown() takes no more tasks and waits for the queue; without waiting it goes on too."""
    pool = Processes(2)
    futures = [pool.submit(tasks.nap, 0.02) for _ in range(20)]
    pool.shutdown(wait=False)
    with pytest.raises(RuntimeError, match="after shutdown"):
        pool.submit(tasks.square, 1)
    assert len([future.result(10) for future in futures]) == 20
    pool.shutdown()
    assert not pool._mover.is_alive()


def test_shutdown_can_cancel_the_queue():
    """With cancel_futures the running task is finished, the queued ones are cancelled."""
    pool = Processes(1)
    running = pool.submit(tasks.nap, 0.3)
    assert eventually(running.running, 5)
    queued = [pool.submit(tasks.square, i) for i in range(10)]
    pool.shutdown(cancel_futures=True)
    assert running.result(0) > 0
    assert all(future.cancelled() for future in queued)
    assert not wait(queued, timeout=0).not_done


def test_nothing_is_left_behind():
    """After work, deaths, time limits and kills: same descriptors, no child, no thread."""
    gc.collect()
    before, threads = descriptors(), threading.active_count()
    pids = []
    for end in (Processes.shutdown, Processes.kill):
        pool = Processes(2, time_limit=0.3)
        futures: list[Future] = [pool.submit(tasks.nap, 0.01) for _ in range(6)]
        failed = [pool.submit(tasks.exit_at_once, 1), pool.submit(tasks.nap, 30.0)]
        pids += [future.result(10) for future in futures]
        wait(failed, timeout=10)
        pids.append(pool.submit(os.getpid).result(10))
        end(pool)
    assert descriptors() == before
    assert threading.active_count() == threads
    for pid in pids:
        with pytest.raises(ChildProcessError):  # waited for already
            os.waitpid(pid, os.WNOHANG)


def test_a_worker_is_shielded_from_its_surroundings(monkeypatch, tmp_path: Path):
    """Own session, empty stdin, one thread per library, only its own descriptors, our folder."""
    monkeypatch.setenv("OMP_NUM_THREADS", "7")
    monkeypatch.chdir(tmp_path)
    (tmp_path / "random.py").write_text("raise RuntimeError('the wrong module')")
    with (tmp_path / "secret").open("w") as ours, Processes(1) as pool:
        os.set_inheritable(ours.fileno(), True)
        pid, session, stdin, environment = pool.submit(tasks.whoami).result(10)
        theirs = pool.submit(tasks.open_descriptors).result(10)
        assert pool.submit(os.getcwd).result(10) == str(tmp_path)
    assert session == pid != os.getsid(0)
    assert stdin == ""
    for library in ("OMP", "OPENBLAS", "MKL", "NUMEXPR", "NUMBA"):
        assert environment[f"{library}_NUM_THREADS"] == "1"
    assert environment["VECLIB_MAXIMUM_THREADS"] == "1"
    assert str(tmp_path / "secret") not in theirs
    assert len(theirs) == 5, theirs  # stdin, stdout, stderr, channel, lifeline


def test_a_worker_ignores_an_interrupt(two: Processes, tmp_path: Path):
    """SIGINT sent to a worker does not end its task: whether to stop is the parent's decision."""
    future = two.submit(tasks.leave_pid_then_sleep, str(tmp_path / "pid"), 0.5)
    os.kill(pid_in(tmp_path / "pid"), signal.SIGINT)
    assert future.result(10) is None


@pytest.mark.parametrize(("workers", "limit"), [(0, None), (-1, None), (2, 0.0), (2, float("nan"))])
def test_impossible_numbers_are_refused(workers: int, limit: float | None):
    """No workers, or no time, is refused with the value."""
    with pytest.raises(RunError, match="must be >"):
        Processes(workers, time_limit=limit)


def test_a_callback_may_use_the_executor(two: Processes):
    """A done callback runs in the mover: it may submit, and kill, without a deadlock."""
    more: list[Future] = []
    two.submit(tasks.square, 2).add_done_callback(
        lambda _: more.append(two.submit(tasks.square, 3))
    )
    assert eventually(lambda: more, 5)
    assert more[0].result(5) == 9
    two.submit(tasks.square, 2).add_done_callback(lambda _: two.kill())
    assert eventually(lambda: not two._mover.is_alive(), 5)


def test_died_and_slots_know_the_standard_pools():
    """A broken pool of the standard library counts as a death; sizes are those of the pool."""
    assert died(BrokenProcessPool("gone"))
    assert not died(ValueError("gone"))
    with ThreadPoolExecutor(3) as threads, Processes(5) as processes:
        assert slots(threads) == 3
        assert slots(processes) == 5

"""Processes: each task at the risk of its own worker, nothing left behind, nothing outlives us."""

from __future__ import annotations

import gc
import os
import pickle
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from concurrent.futures import CancelledError, Future, ThreadPoolExecutor, wait
from concurrent.futures.process import BrokenProcessPool
from functools import partial
from pathlib import Path

import pytest
import tasks
from tasks import eventually

from lbbench.errors import RunError
from lbbench.studies import worker_handle
from lbbench.studies.executors import (
    NoWorkers,
    OverTime,
    Processes,
    WorkerDied,
    died,
    slots,
)

HERE = Path(__file__).parent


def descriptors() -> list[str]:
    """Return the open descriptors of this process."""
    return sorted(entry.name for entry in Path("/proc/self/fd").iterdir())


def is_alive(pid: int) -> bool:
    """Tell whether process ``pid`` runs (a zombie that nobody has waited for does not)."""
    try:
        status = Path(f"/proc/{pid}/stat").read_text(encoding="ascii")
    except (FileNotFoundError, ProcessLookupError):
        return False
    return status.rpartition(")")[2].split()[0] not in "ZX"


def pid_in(path: Path) -> int:
    """Return the process number that a task writes to ``path``."""
    assert eventually(lambda: path.exists() and path.read_text(encoding="ascii"), 10)
    return int(path.read_text(encoding="ascii"))


@pytest.fixture
def two() -> Iterator[Processes]:
    """Two workers, ended whatever the test does."""
    pool = Processes(2)
    yield pool
    pool.kill()


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
    """Queueing 300 tasks behind two long ones takes no time worth the name."""
    long = [two.submit(tasks.nap, 3.0) for _ in range(2)]
    started = time.monotonic()
    for i in range(300):
        two.submit(tasks.square, i)
    assert time.monotonic() - started < 1.0
    assert not any(future.done() for future in long)


def test_hand_over_is_quick(two: Processes):
    """A task without work costs less than 0.3 ms (the best of five rounds of 400)."""
    wait([two.submit(tasks.nap, 0.2), two.submit(tasks.nap, 0.2)])
    rounds = []
    for _ in range(5):
        started = time.perf_counter()
        wait([two.submit(tasks.square, i) for i in range(400)])
        rounds.append((time.perf_counter() - started) / 400)
    assert min(rounds) < 0.3e-3


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
        assert 0.5 < time.monotonic() - started < 2.5
        assert all(future.result(10) > 0 for future in after)


def test_the_time_limit_counts_neither_start_nor_queue():
    """20 tasks of 0.1 s in one worker whose start takes 0.8 s, limit 0.6 s: none is over time."""
    with Processes(1, time_limit=0.6, initializer=partial(tasks.nap, 0.8)) as pool:
        futures = [pool.submit(tasks.nap, 0.1) for _ in range(20)]
        assert len({future.result(10) for future in futures}) == 1


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
    assert time.monotonic() - started < 0.2
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


def test_died_and_slots_know_the_standard_pools():
    """A broken pool of the standard library counts as a death; sizes are those of the pool."""
    assert died(BrokenProcessPool("gone"))
    assert not died(ValueError("gone"))
    with ThreadPoolExecutor(3) as threads, Processes(5) as processes:
        assert slots(threads) == 3
        assert slots(processes) == 5

"""Tasks in processes of this machine, each at the risk of its own process only.

The pool of the standard library breaks when one worker dies, knows no time limit, and its workers
inherit locks (fork) or import the user's script again (spawn).
"""

from __future__ import annotations

import os
import selectors
import subprocess
import threading
import time
from collections import deque
from collections.abc import Callable
from concurrent.futures import CancelledError, Executor, Future
from contextlib import suppress
from functools import partial
from typing import Any, ParamSpec, TypeVar

from lbbench.errors import RunError
from lbbench.studies.worker_handle import WorkerDied, WorkerHandle, pickled, settle

__all__ = ["NoWorkers", "OverTime", "Processes", "WorkerDied"]

P = ParamSpec("P")
T = TypeVar("T")

FAILED_STARTS = 3
"""So many workers in a row that ended before their first task: no more are tried."""

GRACE_S = 1.0
"""A worker without tasks that does not end by itself is killed after this time."""


class OverTime(Exception):  # noqa: N818 - it tells what happened, as WorkerDied does
    """The task was stopped at the time limit."""


class NoWorkers(RunError):  # noqa: N818 - as above
    """Worker processes end before they can take a task."""


class Processes(Executor):
    """Runs tasks in processes of this machine, each task at the risk of its own process only.

    A worker that dies takes its task along (``WorkerDied``) and is replaced; a task over the time
    limit is stopped (``OverTime``). Workers start when there are tasks, fresh (no fork, no import
    of the script that was started: a function defined in that script is refused), hold BLAS and
    numba to one thread, and end with this process, however that ends. What they print is kept out
    of the terminal; the last of it is a note of ``WorkerDied``.

    Tasks are pickled by ``submit``: later changes of their arguments do not reach them. An error
    comes back as it was raised, with its traceback as a note; what cannot be pickled, and an exit
    out of the task, comes back as a ``RunError``. Callbacks of futures run in the thread that
    moves the tasks: keep them short. A program that ends without ``shutdown`` drops its tasks.

    Parameters
    ----------
    workers
        Tasks that run at once.
    time_limit
        Seconds that a task may take, counted from when a worker has it; None = any time.
    initializer
        Called in each worker before its first task, outside the time limit: for what is slow to
        import. When it fails the worker cannot start.

    Raises
    ------
    RunError
        When ``workers`` or ``time_limit`` is not positive, or ``initializer`` cannot be sent.
    """

    def __init__(
        self,
        workers: int,
        *,
        time_limit: float | None = None,
        initializer: Callable[[], object] | None = None,
    ) -> None:
        if workers < 1:
            raise RunError(f"workers = {workers}: must be >= 1")
        if time_limit is not None and not time_limit > 0:
            raise RunError(f"time_limit = {time_limit}: must be > 0 seconds, or None for no limit")
        first = b"" if initializer is None else pickled(initializer, (), {})
        if isinstance(first, RunError):
            raise first
        self._first_task = first
        self.workers = workers
        self.time_limit = time_limit
        self._lock = threading.RLock()  # a signal handler may call kill() in the middle of submit()
        self._queue: deque[tuple[Future[Any], bytes]] = deque()
        self._closing = self._killed = False
        self._broken: NoWorkers | None = None
        self._mover: threading.Thread | None = None
        self._bell: int | None = None  # writing to it wakes the mover
        self._staff: list[WorkerHandle] = []  # changed by the mover alone, under the lock
        self._failed_starts = 0

    def submit(self, fn: Callable[P, T], /, *args: P.args, **kwargs: P.kwargs) -> Future[T]:
        """Queue ``fn(*args, **kwargs)``; never waits.

        Raises
        ------
        RuntimeError
            After ``shutdown`` or ``kill``.
        """
        future: Future[T] = Future()
        task = pickled(fn, args, kwargs)
        with self._lock:
            if self._closing:
                raise RuntimeError("cannot take a task after shutdown")
            if self._broken is None and isinstance(task, bytes):
                self._queue.append((future, task))
                if self._mover is None:
                    self._start()
                self._ring()
                return future
        future.set_running_or_notify_cancel()
        future.set_exception(task if isinstance(task, RunError) else self._broken)
        return future

    def shutdown(self, wait: bool = True, *, cancel_futures: bool = False) -> None:  # noqa: FBT001, FBT002 - as in the base class
        """Take no more tasks, finish the queued ones (or cancel them), end the workers."""
        with self._lock:
            self._closing = True
            queued = list(self._queue) if cancel_futures else []
            if cancel_futures:
                self._queue.clear()
            self._ring()
        _cancel(queued)
        if wait:
            self._join()

    def kill(self) -> None:
        """End everything at once: queued and running tasks are cancelled, the workers killed."""
        with self._lock:
            self._closing = self._killed = True
            queued = list(self._queue)
            self._queue.clear()
            for worker in self._staff:
                worker.kill()
            self._ring()
        _cancel(queued)
        self._join(GRACE_S)  # it may be held up by the callback of a future

    def _join(self, timeout: float | None = None) -> None:
        if self._mover is not None and self._mover is not threading.current_thread():
            self._mover.join(timeout)

    def _ring(self) -> None:
        if self._bell is not None:
            with suppress(BlockingIOError):  # full: it has rung long since
                os.write(self._bell, b"!")

    # The mover: the one thread that starts workers, gives them tasks and hears from them. Workers
    # are told by the kernel when the thread that started them ends, so it lives as long as they do.

    def _start(self) -> None:
        self._selector = selectors.DefaultSelector()
        self._lifeline = os.pipe()
        self._ear, self._bell = os.pipe()
        for end in (self._ear, self._bell):
            os.set_blocking(end, False)
        self._selector.register(self._ear, selectors.EVENT_READ, partial(os.read, self._ear, 4096))
        self._mover = threading.Thread(target=self._move, name="lbbench tasks", daemon=True)
        self._mover.start()

    def _move(self) -> None:
        try:
            while not self._killed and not self._finished():
                self._hand_out()
                for key, _ in self._selector.select(self._patience()):
                    key.data()
                self._stop_what_takes_too_long()
        finally:
            self._end()

    def _finished(self) -> bool:
        with self._lock:
            idle = not self._queue and not any(worker.future for worker in self._staff)
            return self._closing and idle

    def _hand_out(self) -> None:
        """Give queued tasks to idle workers; start workers for the rest."""
        for worker in list(self._staff):
            if not worker.idle:
                continue
            if not worker.lives():  # killed while it had nothing to do: no task is lost by it
                self._bury(worker)
                continue
            task = self._next()
            if task is None:
                return
            self._give(worker, *task)
        starting = sum(not worker.ready for worker in self._staff)
        free = self.workers - len(self._staff)
        for _ in range(min(len(self._queue) - starting, free)):
            if self._failed_starts < FAILED_STARTS:
                self._hire()

    def _next(self) -> tuple[Future[Any], bytes] | None:
        while True:
            with self._lock:
                if not self._queue:
                    return None
                future, task = self._queue.popleft()
            if future.set_running_or_notify_cancel():
                return future, task

    def _give(self, worker: WorkerHandle, future: Future[Any], task: bytes) -> None:
        worker.future = future
        if self.time_limit is not None:
            worker.deadline = time.monotonic() + self.time_limit
        try:
            worker.channel.send_bytes(task)
        except OSError:
            self._bury(worker)

    def _hire(self) -> None:
        try:
            worker = WorkerHandle(self._lifeline[0], self._first_task)
        except OSError as error:  # no process, descriptor or memory to be had
            self._count_failed_start(str(error))
            self._ring()  # nothing else may ever wake the mover to try again
            return
        with self._lock:
            self._staff.append(worker)
        for source, hear in (
            (worker.channel, self._receive),
            (worker.sentinel, self._bury),
            (worker.printed, self._listen),
        ):
            if source is not None:
                self._selector.register(source, selectors.EVENT_READ, partial(hear, worker))

    def _listen(self, worker: WorkerHandle) -> None:
        if not worker.gone and not worker.listen():
            self._selector.unregister(worker.printed)  # a task has closed it

    def _receive(self, worker: WorkerHandle) -> None:
        if worker.gone:  # buried earlier in the same round
            return
        try:
            answer = worker.channel.recv_bytes()
        except (EOFError, OSError):
            self._bury(worker)
            return
        future, worker.future = worker.future, None
        worker.ready = True
        if future is not None:
            worker.served = True
            self._failed_starts = 0
        try:
            self._hand_out()  # first, so that no worker waits for the callbacks of a future
        finally:
            if future is not None:
                settle(future, answer)

    def _bury(self, worker: WorkerHandle) -> None:
        """Take a dead worker off the staff; its task failed unless the answer came before."""
        if worker.gone:
            return
        answer = worker.last_words()
        self._dismiss(worker)
        if worker.future is None:
            if not worker.served:
                self._count_failed_start(worker.ending(), worker.tail())
        elif answer is not None:
            settle(worker.future, answer)
        elif self._killed:
            worker.future.set_exception(CancelledError("the workers were killed"))
        else:
            worker.future.set_exception(worker.obituary())

    def _count_failed_start(self, ending: str, tail: str = "") -> None:
        self._failed_starts += 1
        if self._failed_starts < FAILED_STARTS or self._staff:
            return  # those that live can do the work
        last = tail.strip().rpartition("\n")[2]
        error = NoWorkers(
            f"no worker process can be started, {self._failed_starts} in a row failed, the last "
            f"with {ending}{': ' if last else ''}{last}"
        )
        if tail:
            error.add_note(tail)
        with self._lock:
            self._broken = error
            queued = list(self._queue)
            self._queue.clear()
        for future, _ in queued:
            if future.set_running_or_notify_cancel():
                future.set_exception(error)

    def _patience(self) -> float | None:
        if self.time_limit is None:
            return None
        deadlines = [worker.deadline for worker in self._staff if worker.future is not None]
        return max(min(deadlines) - time.monotonic(), 0.0) if deadlines else None

    def _stop_what_takes_too_long(self) -> None:
        if self.time_limit is None:
            return
        now = time.monotonic()
        for worker in list(self._staff):
            if worker.future is None or worker.deadline > now or worker.channel.poll():
                continue
            future, worker.future = worker.future, None
            self._dismiss(worker)
            future.set_exception(
                OverTime(f"stopped after {self.time_limit:g} s, the time limit of a task")
            )

    def _dismiss(self, worker: WorkerHandle) -> None:
        for source in (worker.channel, worker.sentinel, worker.printed):
            with suppress(KeyError):  # the task has closed its output
                if source is not None:
                    self._selector.unregister(source)
        with self._lock:
            self._staff.remove(worker)
        worker.kill()
        worker.bury()
        if not self._staff:  # those that did the work while none could be started are gone:
            self._failed_starts = min(self._failed_starts, FAILED_STARTS - 1)  # try once more
            self._ring()

    def _end(self) -> None:
        """End the workers; tasks are left only after ``kill``, or when the mover itself failed."""
        with self._lock:
            self._closing = True
            queued = list(self._queue)
            self._queue.clear()
        _cancel(queued)
        for worker in self._staff:
            if self._killed or not worker.idle:
                worker.kill()
            worker.channel.close()  # an idle worker ends by itself
        deadline = time.monotonic() + GRACE_S
        for worker in self._staff:
            with suppress(subprocess.TimeoutExpired):
                worker.process.wait(max(deadline - time.monotonic(), 0.0))
        with self._lock:
            staff, self._staff = self._staff, []
            bell, self._bell = self._bell, None
        for worker in staff:
            worker.kill()
            worker.bury()
            if worker.future is not None:
                worker.future.set_exception(CancelledError("the workers were killed"))
        self._selector.close()
        for end in (self._ear, bell, *self._lifeline):
            if end is not None:
                os.close(end)


def _cancel(tasks: list[tuple[Future[Any], bytes]]) -> None:
    for future, _ in tasks:
        future.cancel()
        future.set_running_or_notify_cancel()  # without it concurrent.futures.wait would not see

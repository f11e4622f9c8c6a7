"""A worker process as its parent sees it: the process, its pipes, the task that it has."""

from __future__ import annotations

import os
import pickle
import signal
import subprocess
import sys
from collections.abc import Callable
from concurrent.futures import Future
from contextlib import suppress
from multiprocessing import Pipe
from pathlib import Path
from typing import Any

from lbbench.errors import RunError

WORKER = Path(__file__).with_name("worker.py")
ONE_THREAD = dict.fromkeys(
    (
        "OMP_NUM_THREADS",
        "OPENBLAS_NUM_THREADS",
        "MKL_NUM_THREADS",
        "NUMEXPR_NUM_THREADS",
        "VECLIB_MAXIMUM_THREADS",
        "NUMBA_NUM_THREADS",
    ),
    "1",
)
"""A worker per core leaves no core for the threads of a library."""

TAIL = 4096
"""So many bytes of what a worker printed last are kept, to explain its end."""


class WorkerDied(Exception):  # noqa: N818 - it tells what happened; the task itself made no error
    """The process that had the task is gone."""


class WorkerHandle:
    """One worker process; all but ``kill`` is for the thread that started it.

    Parameters
    ----------
    lifeline
        The reading end of a pipe that nobody but this process can write to.
    first_task
        A pickled task to carry out before the worker is ready, or nothing.

    Raises
    ------
    OSError
        When no process, descriptor or memory is to be had.
    """

    def __init__(self, lifeline: int, first_task: bytes = b"") -> None:
        self.channel, theirs = Pipe()
        self.printed, writing = os.pipe()
        try:
            # -P: the folder of the script, which has modules named like others, is not on the path
            self.process = subprocess.Popen(  # noqa: S603 - our own interpreter and file
                [
                    *(sys.executable, "-P", str(WORKER)),
                    *(str(theirs.fileno()), str(lifeline), str(os.getpid())),
                ],
                stdin=subprocess.DEVNULL,
                stdout=writing,
                stderr=writing,
                pass_fds=(theirs.fileno(), lifeline),
                env={**os.environ, **ONE_THREAD},
                start_new_session=True,  # Ctrl-C in the terminal is for the parent alone
            )
        except OSError:
            self.channel.close()
            os.close(self.printed)
            raise
        finally:
            theirs.close()
            os.close(writing)
        os.set_blocking(self.printed, False)
        self.sentinel = _sentinel(self.process.pid)
        self.ready = self.served = self.gone = False
        self.future: Future[Any] | None = None
        self.deadline = 0.0
        self._tail = b""
        with suppress(OSError):  # it has died already; the mover will see
            self.channel.send_bytes(pickle.dumps(sys.path))
            self.channel.send_bytes(first_task)

    @property
    def idle(self) -> bool:
        """Tell whether it waits for a task."""
        return self.ready and not self.gone and self.future is None

    def lives(self) -> bool:
        """Tell whether the process has not ended."""
        return self.process.poll() is None

    def listen(self) -> bool:
        """Keep the end of what the worker prints; tell whether it may print more."""
        try:
            more = os.read(self.printed, 1 << 16)  # as much as a pipe holds
        except BlockingIOError:
            return True
        self._tail = (self._tail + more)[-TAIL:]
        return bool(more)

    def last_words(self) -> bytes | None:
        """Return the answer that a worker sent before it died."""
        self.kill()  # what it may have started, so that nobody else holds its pipes
        with suppress(EOFError, OSError):
            if self.future is not None and self.channel.poll():
                return self.channel.recv_bytes()
        return None

    def kill(self) -> None:
        """Kill the worker and whatever it has started: it leads a session of its own."""
        if not self.gone and self.process.returncode is None:
            with suppress(ProcessLookupError, PermissionError):  # macOS: not allowed for the dead
                os.killpg(self.process.pid, signal.SIGKILL)

    def bury(self) -> None:
        """Wait for the end of a process that was killed, close what belongs to it."""
        self.process.wait()
        self.listen()
        self.gone = True
        self.channel.close()
        os.close(self.printed)
        if self.sentinel is not None:
            os.close(self.sentinel)

    def tail(self) -> str:
        """Return the last of what it printed."""
        return self._tail.decode(errors="replace")

    def ending(self) -> str:
        """Return how the process ended, in words."""
        code = self.process.returncode
        if code >= 0:
            return f"exit code {code}"
        try:
            return signal.Signals(-code).name
        except ValueError:
            return f"signal {-code}"

    def obituary(self) -> WorkerDied:
        """Return the error of the task that it had when it died."""
        ending = self.ending()
        hint = ", as when memory runs out" if ending == "SIGKILL" else ""
        died = WorkerDied(f"the worker process that had the task ended with {ending}{hint}")
        if self._tail:
            died.add_note(self.tail())
        return died


def _sentinel(process: int) -> int | None:
    """Return a descriptor that is readable when ``process`` has ended, where there is such."""
    if sys.platform != "linux":
        return None  # the end of the channel tells, as soon as nobody else holds it
    try:
        return os.pidfd_open(process)
    except OSError:
        return None


def pickled(
    fn: Callable[..., Any], args: tuple[Any, ...], kwargs: dict[str, Any]
) -> bytes | RunError:
    """Return the task as bytes, or the RunError that says why it cannot be one."""
    name = getattr(fn, "__qualname__", type(fn).__qualname__)
    if getattr(fn, "__module__", None) == "__main__":
        return RunError(
            f"{name} is defined in the script that was started, which workers do not import: "
            "move it to a module of its own and import it from there"
        )
    try:
        return pickle.dumps((fn, args, kwargs))
    except Exception as error:  # noqa: BLE001 - __reduce__ of anything
        return RunError(f"the task {name} cannot be sent to a worker: {error}")


def settle(future: Future[Any], answer: bytes) -> None:
    """Give ``future`` the answer of a worker."""
    try:
        kind, value, *where = pickle.loads(answer)  # noqa: S301 - from our own worker
    except Exception as error:  # noqa: BLE001 - a module that imports there and not here
        future.set_exception(RunError(f"the answer of a worker cannot be read: {error}"))
        return
    if kind == "result":
        future.set_result(value)
        return
    failure = value if kind == "error" else RunError(value)
    for text in where:
        failure.add_note(f"in the worker:\n{text.rstrip()}")
    future.set_exception(failure)

"""The process on the other side of ``Processes``: takes one task after the other, until told.

It is started by the path of this file, not with ``-m``: it must begin wherever the parent began
(not installed, or in a folder with a ``random.py`` of the user's), so it imports nothing of the
package, and the parent's ``sys.path`` is the first message. The second thing it does is to tie
its life to the parent's: a parent that is killed says nothing.
"""

from __future__ import annotations

import faulthandler
import os
import pickle
import signal
import sys
import threading
import traceback
from multiprocessing.connection import Connection

READY = b"ready"
PR_SET_PDEATHSIG = 1  # linux/prctl.h


def main(channel: int, lifeline: int, parent: int) -> None:
    """Carry out tasks from ``channel`` until it is closed.

    Parameters
    ----------
    channel
        File descriptor of a socket: ``sys.path`` comes first, then what to do before ``READY``,
        then tasks; answers go back.
    lifeline
        File descriptor of a pipe that only the parent could write to: it ends with the parent.
    parent
        The parent's process number.
    """
    for descriptor in (channel, lifeline):
        os.set_inheritable(descriptor, False)  # what a task starts must not hold them open
    _live_no_longer_than(parent, lifeline)
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # whether Ctrl-C ends the work, the parent says
    faulthandler.enable()
    connection = Connection(channel)
    try:
        sys.path[:] = pickle.loads(connection.recv_bytes())  # noqa: S301 - from the parent
        if first := connection.recv_bytes():
            _begin(first)
        connection.send_bytes(READY)
        while True:
            connection.send_bytes(carry_out(connection.recv_bytes()))
    except (EOFError, BrokenPipeError, ConnectionResetError):
        return  # the parent has no more tasks, or is gone


def _begin(first: bytes) -> None:
    try:
        function, arguments, named = pickle.loads(first)  # noqa: S301 - from the parent
        function(*arguments, **named)
    except BaseException:  # noqa: BLE001 - the parent reads why and gives up
        traceback.print_exc()
        os._exit(1)


def carry_out(task: bytes) -> bytes:
    """Return the pickled answer to a pickled task (function, arguments, named arguments).

    The answer is ``("result", value)``, ``("error", exception, traceback)`` or, for what no
    pickle can carry, ``("sentence", text, traceback)``.
    """
    try:
        function, arguments, named = pickle.loads(task)  # noqa: S301 - from the parent
    except BaseException as error:  # noqa: BLE001 - importing a user's module may raise anything
        return _sentence(
            f"a worker cannot read the task: {_said(error)}; its function must be importable "
            "from a module, not defined in the script that was started"
        )
    name = getattr(function, "__qualname__", type(function).__qualname__)
    try:
        value = function(*arguments, **named)
    except Exception as error:  # noqa: BLE001 - it goes to whoever waits for the task
        return _raised(name, error)
    except BaseException as error:  # noqa: BLE001 - raised in the parent it would end the parent
        return _sentence(f"{name} ended with {_said(error)} instead of a result")
    try:
        return pickle.dumps(("result", value))
    except Exception as error:  # noqa: BLE001 - __reduce__ of anything
        return _sentence(f"the result of {name} cannot leave the worker: {_said(error)}")


def _raised(name: str, error: Exception) -> bytes:
    """Return ``error`` as an answer; many exceptions can be pickled but not read again."""
    try:
        answer = pickle.dumps(("error", error, traceback.format_exc()))
        pickle.loads(answer)  # noqa: S301 - made in the line above
    except Exception:  # noqa: BLE001 - __reduce__ and __init__ of anything
        return _sentence(f"{name} failed: {_said(error)}")
    return answer


def _sentence(text: str) -> bytes:
    return pickle.dumps(("sentence", text, traceback.format_exc()))


def _said(error: BaseException) -> str:
    try:
        return f"{type(error).__name__}: {error}".removesuffix(": ")
    except Exception:  # noqa: BLE001 - __str__ of anything
        return type(error).__name__


def _live_no_longer_than(parent: int, lifeline: int) -> None:
    """End this process at once when its parent is gone, whatever it is doing.

    On Linux the kernel sends SIGKILL, even while compiled code holds the interpreter. Elsewhere,
    and where that call is forbidden, a thread waits for the end of ``lifeline``.
    """
    if sys.platform == "linux":
        import ctypes

        ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, int(signal.SIGKILL))
        if os.getppid() != parent:  # it died before it could be watched
            os._exit(1)

    def watch() -> None:
        os.read(lifeline, 1)
        os._exit(1)

    threading.Thread(target=watch, name="lifeline", daemon=True).start()


if __name__ == "__main__":
    main(*map(int, sys.argv[1:4]))

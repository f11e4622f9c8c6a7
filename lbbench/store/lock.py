"""One writer at a time: the lock beside a study, which no dead process can keep."""

from __future__ import annotations

import json
import os
import socket
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

from lbbench.errors import RunError

if TYPE_CHECKING:
    from filelock import BaseFileLock

PATIENCE_S = 0.3
"""How long a writer that is just ending is waited for."""


class WriterLock:
    """The right to write to a study, from its making until `release`.

    The lock is one of the operating system on the file ``<name>.lock`` beside the study: it ends
    with the process that holds it, however that ends, so a file that is left behind locks nothing.
    Child processes do not hold it on: a program that is started does not get the open file, and
    filelock (3.32 and later) closes it in a forked child.

    Parameters
    ----------
    study
        The file to write to, with every link followed.
    name
        What messages call it.

    Raises
    ------
    RunError
        When another writer holds the lock, or the file cannot be made.
    """

    def __init__(self, study: Path, name: Path) -> None:
        self._file = study.with_name(f"{study.name}.lock")
        self._lock = _taken(self._file, name)
        self._tell_holder()

    def release(self) -> None:
        """Remove the file and let the next writer in; nothing may be written from here on.

        The file goes while the lock is still held, and only its holder removes it, so it is no
        other's. Whoever had opened it before gets a lock on a file without a name, which filelock
        notices and tries again; whoever comes after makes a new one. Neither meets this writer,
        whose database is closed by then.
        """
        if self._lock.is_locked:
            with suppress(OSError):
                self._file.unlink()
            self._lock.release()

    def _tell_holder(self) -> None:
        """Write down who holds the lock, for the sentence that refuses the next one."""
        started = f"{datetime.now(UTC):%Y-%m-%d %H:%M:%S} UTC"
        holder = {"process": os.getpid(), "host": socket.gethostname(), "started": started}
        with suppress(OSError):  # on a full disk the lock holds without a name
            self._file.write_text(json.dumps(holder) + "\n", encoding="utf-8")


def _taken(file: Path, name: Path) -> BaseFileLock:
    from filelock import FileLock, Timeout

    # Whichever thread closes the study gives the lock back; a file system without locks of its own
    # is refused, since a mark that stands for one would outlive its process.
    lock = FileLock(file, thread_local=False, fallback_to_soft=False)
    try:
        lock.acquire(timeout=PATIENCE_S)
    except Timeout:
        raise RunError(
            f"{name}: {_holder(file)}; wait until it ends, stop it, or write to another file"
        ) from None
    except OSError as error:
        raise RunError(
            f"{name}: cannot be written: {file.name} cannot be made beside it"
            f" ({error.strerror or error}); check the permissions, or write to another folder"
        ) from None
    return lock


def _holder(file: Path) -> str:
    try:
        holder = json.loads(file.read_text(encoding="utf-8"))
        who = f"process {holder['process']} on {holder['host']}"
        return f"{who} is writing to this study since {holder['started']}"
    except (OSError, ValueError, KeyError, TypeError):
        return "another process is writing to this study"

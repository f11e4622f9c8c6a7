"""Reading a file as ``lbbench import`` does, under limits: what may come of it is stated here."""

from __future__ import annotations

import io
import resource
import signal
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from rich.console import Console

from lbbench.errors import LbbenchError
from lbbench.inputs.imported import Imported
from lbbench.inputs.yaml import dump, parse
from lbbench.report.imported import show
from lbbench.studies.imported import Trial, read_input

LONGEST_S = 5.0  # of the processor's time: what a busy machine does beside it does not count
MOST_MEMORY = 512 << 20  # bytes of addresses beyond those that the process has
MOST_LINES = 12  # of a message, by the contract
MOST_CHARACTERS = 2000


class TooSlowError(Exception):
    """A file took more than `LONGEST_S`."""


class _Alarm(BaseException):
    """Raised out of whatever is running, past every ``except Exception``."""


@contextmanager
def limits(seconds: float = LONGEST_S, memory: int = MOST_MEMORY) -> Iterator[None]:
    """Bound processor time and memory of what runs inside; in the main thread only.

    Raises
    ------
    TooSlowError
        When the time is over. Too much memory is Python's own MemoryError.
    """

    def ring(_signal, _frame):
        raise _Alarm

    pages = int(Path("/proc/self/statm").read_text(encoding="ascii").split()[0])
    before = resource.getrlimit(resource.RLIMIT_AS)
    wanted = pages * resource.getpagesize() + memory
    resource.setrlimit(resource.RLIMIT_AS, (wanted, before[1]))
    handler = signal.signal(signal.SIGPROF, ring)
    signal.setitimer(signal.ITIMER_PROF, seconds)
    try:
        yield
    except _Alarm:
        raise TooSlowError(f"more than {seconds} s of processor time") from None
    finally:
        signal.setitimer(signal.ITIMER_PROF, 0)
        signal.signal(signal.SIGPROF, handler)
        resource.setrlimit(resource.RLIMIT_AS, before)


def read(kind: str, path: Path) -> Imported | str:
    """Return what becomes of a file: a scenario, or the sentence why there is none.

    The notes are printed as the command does. Of one file in eight the scenario is also written
    and read again, which takes longer than all the rest. Whatever is no promised answer fails the
    test.
    """
    try:
        with limits():
            imported = read_input(kind, [str(path)])
            if zlib.crc32(path.read_bytes()) % 8 == 0:
                parse(dump(imported.scenario), "written.yaml")
            show(imported, Trial(None, ""), Console(file=io.StringIO(), width=100), [])
    except LbbenchError as error:
        check_sentence(str(error), path)
        return str(error)
    return imported


def check_sentence(text: str, path: Path) -> None:
    """Fail unless ``text`` says where (the file) and what to do, shortly and in printable signs."""
    assert str(path) in text, f"names no file: {text!r}"
    assert len(text.splitlines()) <= MOST_LINES, f"too many lines: {text!r}"
    assert len(text.replace(str(path), "")) <= MOST_CHARACTERS, f"too long: {text[:300]!r}"
    assert all(sign.isprintable() or sign in "\n\t" for sign in text), f"control signs: {text!r}"
    assert any(sign in text for sign in (";", "?", "must ")), f"no way out: {text!r}"

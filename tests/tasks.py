"""What tests give to workers, and wait for; light to import, so that workers start quickly."""

from __future__ import annotations

import ctypes
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path


def eventually(holds: Callable[[], object], seconds: float) -> bool:
    """Tell whether ``holds()`` becomes true within ``seconds``."""
    until = time.monotonic() + seconds
    while not holds():
        if time.monotonic() > until:
            return False
        time.sleep(0.005)
    return True


def square(x: int) -> int:
    return x * x


def nap(seconds: float) -> int:
    time.sleep(seconds)
    return os.getpid()


def busy_loop(seconds: float) -> None:
    until = time.monotonic() + seconds
    while time.monotonic() < until:
        pass


def hold_the_interpreter(seconds: int) -> None:
    """Sleep in compiled code that lets no other thread run, as a compiler may."""
    ctypes.PyDLL(None).sleep(seconds)


def leave_pid_then_sleep(path: str, seconds: float) -> None:
    Path(path).write_text(str(os.getpid()), encoding="ascii")
    time.sleep(seconds)


def note_pid_then_sleep(path: str, seconds: float) -> int:
    """Add a line to ``path``: how often, and where, the task was begun."""
    with Path(path).open("a", encoding="ascii") as file:
        file.write(f"{os.getpid()}\n")
    time.sleep(seconds)
    return os.getpid()


def waits(seed: int) -> dict[str, object]:
    """Return the waiting times of a queue by Lindley's recursion, and their figures."""
    import numpy as np

    draws = np.random.default_rng(seed)
    step = draws.exponential(0.8, 2000) - draws.exponential(1.0, 2000)
    walk = np.cumsum(step)
    wait = walk - np.minimum(np.minimum.accumulate(walk), 0.0)
    return {"seed": seed, "mean": float(wait.mean()), "wait": wait.tobytes(), "kept": None}


def divide(a: int, b: int) -> float:
    return a / b


def exit_at_once(code: int) -> None:
    os._exit(code)


def say_and_kill_myself() -> None:
    sys.stdout.write("something the user printed")
    sys.stdout.flush()
    os.kill(os.getpid(), signal.SIGKILL)


def read_address_zero() -> None:
    ctypes.string_at(0)


def leave(code: int) -> None:
    sys.exit(code)


class NeedsTwoError(Exception):
    """Can be pickled, but not read again: a usual mistake in exceptions."""

    def __init__(self, a: int, b: int) -> None:
        super().__init__(f"{a} and {b}")


class PickyError(ValueError):
    """An exception that survives the way."""


def fail_with_two() -> None:
    raise NeedsTwoError(1, 2)


def fail_picky() -> None:
    raise PickyError("not like this")


def a_lambda() -> Callable[[], int]:
    return lambda: 1


def shout(size: int) -> int:
    sys.stdout.write("x" * size)
    sys.stderr.write("y" * size)
    return size


def close_the_output() -> None:
    os.close(1)
    os.close(2)


def whoami() -> tuple[int, int, str, dict[str, str]]:
    return os.getpid(), os.getsid(0), sys.stdin.read(), dict(os.environ)


def open_descriptors() -> list[str]:
    return [str(link.readlink()) for link in Path("/proc/self/fd").iterdir() if link.exists()]


def put(name: str, value: str) -> None:
    os.environ[name] = value


def look_up(name: str) -> str | None:
    return os.environ.get(name)


def start_a_sleeper(path: str) -> None:
    child = subprocess.Popen(["sleep", "60"])
    Path(path).write_text(str(child.pid), encoding="ascii")
    time.sleep(60)


def after_pid(path: str, task: Callable[[int], None], seconds: int) -> None:
    Path(path).write_text(str(os.getpid()), encoding="ascii")
    task(seconds)


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

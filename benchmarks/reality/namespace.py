"""A network namespace that lives as long as this process wants it, and no longer.

It has no name. A process of its own holds it, and that process is the first of a namespace of
processes too: when it goes, the kernel ends everything in there and takes the network away. It goes
when the pipe to it is closed, which happens at the end of ``with``, after an exception, and even
when this process is killed.
"""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Sequence
from functools import cache
from pathlib import Path
from typing import IO, Any, Self

from lbbench.errors import RunError

ROOT = Path(__file__).parent.parent.parent
HOLDER = "read pid rest < /proc/self/stat; echo $pid; exec cat"
"""Tells its number as the outside sees it, then waits for the end of its input."""
WAIT_S = 10.0
LISTEN = "0A"  # TCP_LISTEN of the kernel's net/tcp_states.h


class Namespace:
    """A network namespace with the processes in it; use it in ``with``.

    Raises
    ------
    RunError
        When the kernel or the lack of a privilege does not allow one.
    """

    def __init__(self, name: str) -> None:
        self.name = name
        self._processes: list[subprocess.Popen[str]] = []
        self._holder = subprocess.Popen(
            ["unshare", "--net", "--pid", "--fork", "--kill-child=SIGKILL", "sh", "-c", HOLDER],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            start_new_session=True,  # Ctrl-C is for the process that tears down
        )
        assert self._holder.stdout is not None, "asked for"
        assert self._holder.stderr is not None, "asked for"
        told = self._holder.stdout.readline().strip()
        if not told.isdigit():
            said = self._holder.stderr.read().strip()
            self.close()
            raise RunError(
                f"network namespace of the {name}: cannot be made ({said}); run as root on a "
                "kernel (or in a container) that allows namespaces"
            )
        self.pid = int(told)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def do(self, command: Sequence[str], given: str = "") -> str:
        """Run a command in the network namespace and return what it prints.

        Raises
        ------
        RunError
            When it fails, with what it said.
        """
        ended = subprocess.run(
            ["nsenter", "-t", str(self.pid), "--net", "--", *command],
            input=given,
            capture_output=True,
            text=True,
            check=False,
            start_new_session=True,
        )
        if ended.returncode:
            said = (ended.stderr or ended.stdout).strip() or f"status {ended.returncode}"
            raise RunError(f"{' '.join(command)}, at the {self.name}: {said}")
        return ended.stdout

    def start(
        self, command: Sequence[str], *, punctual: bool = False, **streams: IO[str] | int
    ) -> subprocess.Popen[str]:
        """Start a process that ends with the namespace, from the root of the repository.

        With ``punctual`` it goes before other work of the machine, as far as that is allowed: what
        is measured in milliseconds must not wait for a turn.
        """
        enter = ("nsenter", "-t", str(self.pid), "--net", "--pid", "--")
        defaults: dict[str, Any] = {"stdin": subprocess.DEVNULL, "stdout": subprocess.DEVNULL}
        process = subprocess.Popen(
            [*(("chrt", "--rr", "1") if punctual and _may_be_first() else ()), *enter, *command],
            text=True,
            cwd=ROOT,
            start_new_session=True,
            **{**defaults, **streams},
        )
        self._processes.append(process)
        return process

    def start_python(
        self, module: str, *words: str, punctual: bool = False, **streams: IO[str] | int
    ) -> subprocess.Popen[str]:
        """Start a module of this package with this Python."""
        command = [sys.executable, "-m", f"{__package__}.{module}", *words]
        return self.start(command, punctual=punctual, **streams)

    def set(self, **values: str) -> None:
        """Set network settings of the kernel: ``set(ipv4__ip_forward="1")``."""
        for key, value in values.items():
            path = "/proc/sys/net/" + key.replace("__", "/")
            self.do(["sh", "-c", f"cat > {path}"], value)

    def listens(self, port: int) -> bool:
        """Tell whether anything listens at a TCP port, as /proc/net/tcp of the namespace has it."""
        for name in ("tcp", "tcp6"):
            table = Path(f"/proc/{self.pid}/net/{name}")
            rows = table.read_text(encoding="ascii").splitlines()[1:] if table.exists() else []
            for row in rows:
                _, local, _, state, *_ = row.split()
                if state == LISTEN and int(local.rpartition(":")[2], 16) == port:
                    return True
        return False

    def close(self) -> None:
        """End every process in the namespace and the namespace; again is fine."""
        assert self._holder.stdin is not None, "asked for"
        self._holder.stdin.close()
        for process in (*self._processes, self._holder):
            try:
                process.wait(WAIT_S)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()
        for process in (*self._processes, self._holder):
            for stream in (process.stdin, process.stdout, process.stderr):
                if stream is not None:
                    stream.close()


@cache
def _may_be_first() -> bool:
    """Tell whether a process may have the scheduling of real time here."""
    asked = ["chrt", "--rr", "1", "true"]
    return subprocess.run(asked, capture_output=True, check=False).returncode == 0

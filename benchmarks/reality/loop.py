"""One thread that waits for sockets and for moments, the latter to some ten microseconds.

epoll counts its timeouts in milliseconds, which is as long as what is measured here; ``select``
takes microseconds, and an epoll descriptor is one that it can wait for.
"""

from __future__ import annotations

import gc
import heapq
import select
import time
from collections.abc import Callable
from contextlib import suppress
from itertools import count
from pathlib import Path

NS = 1_000_000_000
SPIN_NS = 100_000  # before a moment: about as late as a wake-up is, so it is awaited awake
FAR_S = 0.002  # more than the rounding of epoll's timeout
MAX_EVENTS = 256
READ, WRITE = select.EPOLLIN, select.EPOLLOUT

now_ns = time.monotonic_ns


class Loop:
    """Calls back when a descriptor is ready or a moment has come; nanoseconds of ``now_ns``."""

    def __init__(self) -> None:
        self._epoll = select.epoll()
        self._ready: dict[int, Callable[[], None]] = {}
        self._moments: list[tuple[int, int, Callable[[], None]]] = []
        self._number = count()
        self._stopped = False

    def watch(self, fd: int, events: int, call: Callable[[], None]) -> None:
        """Call ``call`` whenever ``fd`` is ready; replaces what was watched for before."""
        known = fd in self._ready
        self._ready[fd] = call
        (self._epoll.modify if known else self._epoll.register)(fd, events)

    def forget(self, fd: int) -> None:
        """Watch ``fd`` no longer; must come before it is closed."""
        if self._ready.pop(fd, None) is not None:
            self._epoll.unregister(fd)

    def at(self, moment_ns: int, call: Callable[[], None]) -> None:
        """Call ``call`` at a moment, at once when it has passed; equal moments in order."""
        heapq.heappush(self._moments, (moment_ns, next(self._number), call))

    def stop(self) -> None:
        """Let ``run`` return."""
        self._stopped = True

    def close(self) -> None:
        """Give the descriptor back; the loop cannot be used any more."""
        self._epoll.close()

    def run(self) -> None:
        """Wait and call until ``stop``."""
        self._stopped = False
        while not self._stopped:
            while self._moments and self._moments[0][0] <= now_ns() and not self._stopped:
                heapq.heappop(self._moments)[2]()
            if self._stopped:
                return
            for fd, _ in self._wait():
                call = self._ready.get(fd)
                if call is not None:
                    call()

    def _wait(self) -> list[tuple[int, int]]:
        if not self._moments:
            return self._epoll.poll(-1, MAX_EVENTS)
        left = (self._moments[0][0] - now_ns() - SPIN_NS) / NS
        if left > FAR_S:
            return self._epoll.poll(left - FAR_S, MAX_EVENTS)
        if left > 0.0:
            select.select([self._epoll.fileno()], [], [], left)
        return self._epoll.poll(0.0, MAX_EVENTS)


def be_punctual() -> None:
    """Ask for all that lets this process wake up on time; what is refused is done without."""
    gc.collect()
    gc.freeze()
    gc.disable()  # nothing here makes cycles that grow, and a collection takes milliseconds
    with suppress(OSError):
        Path("/proc/self/timerslack_ns").write_text("1", encoding="ascii")

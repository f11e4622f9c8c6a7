"""Pods: servers that take as long for a request as it says, one after the other.

    python -m benchmarks.reality.pods CONCURRENCY ADDRESS=FACTOR...

Runs in the bed's namespace of pods. Each pod is a queue in order of arrival with ``concurrency``
places: a request begins at max(arrival, earliest free place) and is answered when its service time,
multiplied by the pod's factor, is over. Both moments are known when it arrives, so that a late
wake-up delays one answer and none behind it.

A request carries its service time in microseconds as ``X-Service-Us``; the answer carries the pod's
number as ``X-Pod`` and the time in the queue as ``X-Wait-Us``. A connection that sends nothing but
``?`` gets the pod's number and is closed: that is what counts connections.
"""

from __future__ import annotations

import heapq
import socket
import sys
from contextlib import suppress
from functools import partial

from benchmarks.reality.addresses import family_of
from benchmarks.reality.loop import READ, Loop, be_punctual, now_ns
from lbbench.model.addresses import split_address

ASK = b"?"
BACKLOG = 4096
DEFER_S = 5  # seconds in which the kernel keeps a connection that has sent nothing to itself
US = 1000  # nanoseconds


class Pod:
    """A listening server with its queue."""

    def __init__(self, loop: Loop, number: int, address: str, *, places: int, factor: float):
        self.loop, self.number, self.factor = loop, number, factor
        self.free = [0] * places  # nanoseconds at which each place is free
        self.socket = socket.socket(family_of(address), socket.SOCK_STREAM)
        self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_DEFER_ACCEPT, DEFER_S)
        self.socket.bind(split_address(address))
        self.socket.listen(BACKLOG)
        self.socket.setblocking(False)
        self.open: set[Conversation] = set()
        loop.watch(self.socket.fileno(), READ, self.accept)

    def accept(self) -> None:
        """Take every connection that waits; with its first bytes, as a rule."""
        while True:
            arrived = now_ns()
            try:
                made, _ = self.socket.accept()
            except OSError:  # nobody waits, or who waited has gone
                return
            made.setblocking(False)
            made.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            Conversation(self, made, arrived)

    def close(self) -> None:
        """Listen no longer and end every connection."""
        self.loop.forget(self.socket.fileno())
        self.socket.close()
        for conversation in tuple(self.open):
            conversation.close()

    def serve(self, arrived: int, work_us: float, answer: Conversation) -> None:
        """Queue a request."""
        begin = max(arrived, self.free[0])
        end = begin + int(work_us * self.factor * US)
        heapq.heapreplace(self.free, end)
        self.loop.at(end, partial(answer.write, (begin - arrived) // US))


class Conversation:
    """One connection to a pod: requests without a body, each answered before the next."""

    def __init__(self, pod: Pod, made: socket.socket, arrived: int) -> None:
        self.pod, self.socket, self.text = pod, made, b""
        pod.open.add(self)
        self.read(arrived)
        if made.fileno() >= 0:
            pod.loop.watch(made.fileno(), READ, self.read)

    def read(self, arrived: int | None = None) -> None:
        """Take what has come (by ``arrived``, now) and serve the request when it is whole."""
        arrived = now_ns() if arrived is None else arrived
        try:
            data = self.socket.recv(65536)
        except BlockingIOError:
            return
        except OSError:
            data = b""
        if not data:
            self.close()
            return
        self.text += data
        if self.text == ASK:
            with suppress(OSError):
                self.socket.send(str(self.pod.number).encode())
            self.close()
            return
        head, end, rest = self.text.partition(b"\r\n\r\n")
        if end:
            self.text = rest
            self.pod.serve(arrived, float(header(head, b"x-service-us") or 0.0), self)

    def write(self, waited_us: int) -> None:
        """Send the answer."""
        if self.socket.fileno() < 0:
            return  # whoever asked has gone
        text = f"HTTP/1.1 200 OK\r\nX-Pod: {self.pod.number}\r\nX-Wait-Us: {waited_us}\r\n"
        try:
            self.socket.send(f"{text}Content-Length: 0\r\n\r\n".encode())
        except OSError:
            self.close()

    def close(self) -> None:
        """End the connection."""
        self.pod.open.discard(self)
        if self.socket.fileno() >= 0:
            self.pod.loop.forget(self.socket.fileno())
            self.socket.close()


def header(head: bytes, name: bytes) -> str | None:
    """Return the value of a header field (its name in lower case), None when it is not there."""
    for line in head.split(b"\r\n")[1:]:
        field, _, value = line.partition(b":")
        if field.lower() == name:
            return value.strip().decode("latin-1")
    return None


def main(words: list[str]) -> None:
    """Serve until the process is ended; prints a line when every pod listens."""
    loop = Loop()
    places = int(words[0])
    pods = []
    for number, word in enumerate(words[1:]):
        address, _, factor = word.rpartition("=")
        pods.append(Pod(loop, number, address, places=places, factor=float(factor)))
    be_punctual()
    print("ready", flush=True)
    loop.run()


if __name__ == "__main__":
    main(sys.argv[1:])

"""The client: sends every request of a trace at its time, whatever has become of the others.

    python -m benchmarks.reality.client TRACE.csv.gz ADDRESS OBSERVED.csv

Runs in the bed's namespace of the client. Requests of one connection (column ``conn``) use one TCP
connection, from the address ``src``, each after the answer to the one before; it is opened by the
first of them and closed after the last. Written are the columns of a recorded run: latency counts
from the scheduled time, ``sent_us`` is when the request was written.
"""

from __future__ import annotations

import csv
import errno
import socket
import sys
from collections import Counter, deque
from contextlib import suppress
from pathlib import Path

from benchmarks.reality.addresses import family_of
from benchmarks.reality.loop import NS, READ, WRITE, Loop, be_punctual, now_ns
from benchmarks.reality.pods import header
from benchmarks.reality.trace import read_trace
from lbbench.model.addresses import split_address

OBSERVED = ("id", "pod", "status", "sent_us", "lat_us", "pod_wait_us", "worker")
BEGIN_NS = NS // 2  # from the moment at which all is ready
DRAIN_S = 60  # for the last answers
NO_PORT_YET = 24  # IP_BIND_ADDRESS_NO_PORT of <linux/in.h>: the port is chosen at connect
US = 1000


class Request:
    """A request and what became of it; microseconds."""

    def __init__(self, row: dict[str, str], host: str) -> None:
        self.id, self.t_us, self.conn, self.src = (
            row["id"],
            int(row["t_us"]),
            row["conn"],
            row["src"],
        )
        lines = (f"GET {row['uri']} HTTP/1.1", f"Host: {host}", f"X-Service-Us: {row['svc_us']}")
        self.text = ("\r\n".join(lines) + "\r\n\r\n").encode()
        self.pod, self.status, self.sent_us, self.lat_us = -1, 0, 0, 0
        self.pod_wait_us, self.worker = "0", "0"


class Client:
    """Sends the requests and keeps what was seen in them."""

    def __init__(self, loop: Loop, address: str, requests: list[Request]) -> None:
        self.loop, self.address, self.requests = loop, address, requests
        self.left = Counter(request.conn for request in requests)
        self.open: dict[str, Connection] = {}
        self.waiting = len(requests)
        self.next = 0
        self.start = 0

    def run(self) -> None:
        """Send all of them and return when all are answered, have failed, or were given up."""
        self.start = now_ns() + BEGIN_NS
        self.loop.at(self.start, self.due)
        self.loop.at(self.start + self.requests[-1].t_us * US + DRAIN_S * NS, self.loop.stop)
        self.loop.run()
        for request in self.requests:
            if request.status == 0:
                self.end(request, -errno.ETIMEDOUT, now_ns())

    def since(self, request: Request) -> int:
        """Return the microseconds since the scheduled time of a request."""
        return self.at(request, now_ns())

    def at(self, request: Request, moment_ns: int) -> int:
        """Return the microseconds from the scheduled time of a request to a moment."""
        return (moment_ns - self.start) // US - request.t_us

    def due(self) -> None:
        """Send what is due and come back for the next."""
        while self.next < len(self.requests):
            request = self.requests[self.next]
            if self.since(request) < 0:
                self.loop.at(self.start + request.t_us * US, self.due)
                return
            self.next += 1
            if request.conn not in self.open:
                self.open[request.conn] = Connection(self, request.conn, request.src)
            self.open[request.conn].add(request)

    def end(self, request: Request, status: int, moment_ns: int) -> None:
        """Note the end of a request; negative: the error of the connection."""
        request.status, request.lat_us = status, self.at(request, moment_ns)
        self.left[request.conn] -= 1
        self.waiting -= 1
        if not self.left[request.conn] and request.conn in self.open:
            self.open.pop(request.conn).close()
        if not self.waiting:
            self.loop.stop()


class Connection:
    """One TCP connection and the requests that wait for it; opened anew after an error."""

    def __init__(self, client: Client, name: str, source: str) -> None:
        self.client, self.name, self.source = client, name, source
        self.queue: deque[Request] = deque()
        self.current: Request | None = None
        self.socket: socket.socket | None = None
        self.text = b""

    def add(self, request: Request) -> None:
        """Send a request when those before it are answered."""
        self.queue.append(request)
        self.advance()

    def advance(self) -> None:
        """Send the next request if there is one and nothing is under way."""
        if self.current is not None or not self.queue:
            return
        self.current = self.queue.popleft()
        if self.socket is None:
            self.connect()
        else:
            self.write()

    def connect(self) -> None:
        """Begin to open the connection."""
        made = socket.socket(family_of(self.client.address), socket.SOCK_STREAM)
        made.setblocking(False)
        made.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        with suppress(OSError):
            made.setsockopt(socket.IPPROTO_IP, NO_PORT_YET, 1)
        self.socket = made
        try:
            made.bind((self.source, 0))
            made.connect_ex(split_address(self.client.address))
        except OSError as error:
            self.fail(error.errno or errno.EIO)
            return
        self.client.loop.watch(made.fileno(), WRITE, self.connected)

    def connected(self) -> None:
        """Go on when the connection is open, or note why it is not."""
        assert self.socket is not None, "watched"
        number = self.socket.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR)
        if number:
            self.fail(number)
            return
        self.client.loop.watch(self.socket.fileno(), READ, self.read)
        self.write()

    def write(self) -> None:
        """Write the current request."""
        assert self.socket is not None, "connected"
        assert self.current is not None, "chosen"
        self.current.sent_us = self.client.since(self.current)
        try:
            self.socket.sendall(self.current.text)
        except OSError as error:
            self.fail(error.errno or errno.EIO)

    def read(self) -> None:
        """Take what has come; end the request when its answer is whole."""
        assert self.socket is not None, "watched"
        moment = now_ns()  # what is there now had come before
        try:
            data = self.socket.recv(65536)
        except BlockingIOError:
            return
        except OSError as error:
            self.fail(error.errno or errno.EIO)
            return
        if not data:
            self.fail(errno.ECONNRESET)
            return
        self.text += data
        head, end, body = self.text.partition(b"\r\n\r\n")
        if not end or len(body) < int(header(head, b"content-length") or 0):
            return
        self.text = b""
        request, self.current = self.current, None
        if (header(head, b"connection") or "").lower() == "close":
            self.close()
        if request is not None:
            request.pod = int(header(head, b"x-pod") or -1)
            request.pod_wait_us = header(head, b"x-wait-us") or "0"
            request.worker = header(head, b"x-worker") or "0"
            self.client.end(request, int(head.split(b" ", 2)[1]), moment)
        self.advance()

    def fail(self, number: int) -> None:
        """Close after an error, which is the end of the request under way."""
        self.close()
        request, self.current = self.current, None
        if request is not None:
            self.client.end(request, -number, now_ns())
            self.advance()

    def close(self) -> None:
        """Close the socket; a later request opens another."""
        if self.socket is not None:
            self.client.loop.forget(self.socket.fileno())
            self.socket.close()
            self.socket, self.text = None, b""


def main(words: list[str]) -> None:
    """Send a trace and write what was seen."""
    path, address, out = words
    host = address.rpartition(":")[0]
    requests = [Request(dict(row), host) for row in read_trace(Path(path), vip=address)]
    be_punctual()
    Client(Loop(), address, requests).run()
    with Path(out).open("w", encoding="ascii", newline="") as stream:
        writer = csv.writer(stream, lineterminator="\n")
        writer.writerow(OBSERVED)
        writer.writerows([getattr(request, name) for name in OBSERVED] for request in requests)


if __name__ == "__main__":
    main(sys.argv[1:])

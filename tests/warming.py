"""Ask the running HAProxy whom it picks, and by what weights, while servers come with a slowstart.

Servers go to maintenance and come back over the stats socket while connections are made one after
the other. Times count from a whole second of the program's clock, which may be behind the system's.
Each server comes back in its own part of the second, and nothing else happens near that part, so
that no change of a weight is in doubt. As a program it writes the golden file::

    python tests/warming.py > tests/golden/warming_live.json
"""

from __future__ import annotations

import contextlib
import csv
import itertools
import json
import random
import socket
import socketserver
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from native import WAIT_S, asked, free_ports, running

KINDS = {
    "roundrobin": "mode tcp\n  balance roundrobin",
    "leastconn": "mode tcp\n  balance leastconn",
    "hash": "mode http\n  balance hdr(x-key)\n  hash-type consistent",
}
DOWN, UP, PICKS = "down", "up", "picks"
Step = tuple[float, str, int]
RUNS = 5
LATE_S = 0.08  # a run that falls behind its script by this much is none
MOVED_S = 0.005  # and one during which the program has moved its clock
FEW, MANY, HELD = 3, 6, 5
SETTLED_S = 0.005
SECONDS = 14
SETTINGS = (
    *(([1, 1, 1], "5s"), ([4, 1, 2, 3], "3500ms"), ([10, 7, 9], "9s")),
    *(([1, 1, 1, 1], "0s"), ([5, 1, 2], "0s")),
)
BACK = ([2, 3], "17s")


class LateError(RuntimeError):
    """The machine did not keep up with the script."""


class Numbered(socketserver.ThreadingTCPServer):
    """Greets every connection with its number, and keeps it until the other side closes it."""

    daemon_threads = True
    allow_reuse_address = True
    number = b""


class Greeting(socketserver.BaseRequestHandler):
    """One connection."""

    def handle(self) -> None:
        """Say the number, and wait."""
        self.request.sendall(self.server.number)
        with contextlib.suppress(OSError):
            while self.request.recv(4096):
                pass


@contextlib.contextmanager
def listening(ports: Sequence[int]) -> Iterator[None]:
    """Run a listener for each port."""
    with contextlib.ExitStack() as stack:
        for number, port in enumerate(ports):
            server = stack.enter_context(Numbered(("127.0.0.1", port), Greeting))
            server.number = str(number).encode()
            threading.Thread(target=server.serve_forever, daemon=True).start()
            stack.callback(server.shutdown)
        yield


def script(servers: int, seed: int, seconds: int = SECONDS) -> list[Step]:
    """Return (time, what, which server or how many picks) of a run.

    In the first half of it servers go and come back at once, before their task has run, or later;
    at half time all are back.
    """
    draw = random.Random(seed)
    steps: list[Step] = [(0.0, PICKS, MANY)]
    away: set[int] = set()
    for second, server in itertools.product(range(1, seconds), range(servers)):
        at = second + server / servers
        is_late = second >= seconds // 2
        if server not in away and len(away) < servers - 1 and not is_late and draw.random() < 0.4:
            away.add(server)
            steps += [(at, DOWN, server), (at + 0.01, PICKS, FEW)]
        if server in away and (is_late or draw.random() < 0.5):
            away.remove(server)
            steps.append((at + 0.10, UP, server))
        steps.append((at + 0.14, PICKS, MANY if server == 0 else FEW))
    return [(round(at, 3), what, which) for at, what, which in steps]


def script_of_back() -> list[Step]:
    """Return a run in which a server is back before its task runs, and warms up to the end.

    For `BACK`: its last weight but one is the full one already.
    """
    steps: list[Step] = [(0.0, PICKS, MANY)]
    for up in (1.1, 1.6):
        steps += [(up - 0.1, DOWN, 0), (up - 0.09, PICKS, FEW), (up, UP, 0)]
    steps += [(second + part, PICKS, FEW) for second in range(1, 20) for part in (0.3, 0.8)]
    return sorted((round(at, 3), what, which) for at, what, which in steps)


def configuration(
    fronts: Sequence[int], numbered: Sequence[int], http: Sequence[int], control: Path,
    weights: Sequence[int], slowstart: str,
) -> str:  # fmt: skip
    """Return a configuration with a front and a back for each of `KINDS`."""
    text = f"global\n  nbthread 1\n  stats socket {control} level admin\n"
    text += "defaults\n  timeout connect 1s\n  timeout client 60s\n  timeout server 60s\n"
    for front, (name, how) in zip(fronts, KINDS.items(), strict=True):
        ports = http if name == "hash" else numbered
        text += f"frontend front_{name}\n  {how.splitlines()[0]}\n  bind 127.0.0.1:{front}\n"
        text += f"  default_backend {name}\nbackend {name}\n  {how}\n"
        for k, (port, weight) in enumerate(zip(ports, weights, strict=False)):
            text += f"  server s{k} 127.0.0.1:{port} weight {weight} slowstart {slowstart}\n"
    for k, port in enumerate(http):
        text += f"frontend f{k}\n  mode http\n  bind 127.0.0.1:{port}\n"
        text += f"  http-request return status 200 content-type text/plain string {k}\n"
    return text


def told(control: Path, command: str) -> str:
    """Return what the program answers over its stats socket."""
    with socket.socket(socket.AF_UNIX) as one:
        one.settimeout(WAIT_S)
        one.connect(str(control))
        one.sendall(command.encode() + b"\n")
        return b"".join(iter(lambda: one.recv(65536), b"")).decode()


def weights_told(control: Path) -> dict[str, list[list[str]]]:
    """Return [weight, throttle in percent or ""] of each server of each back, as is displayed."""
    found: dict[str, list[list[str]]] = {name: [] for name in KINDS}
    for row in csv.DictReader(told(control, "show stat -1 4 -1").lstrip("# ").splitlines()):
        found[row["pxname"]].append([row["weight"], row["throttle"]])
    return found


def behind(control: Path) -> float:
    """Return by how many seconds the program's clock is behind ours."""
    before = time.time()
    shown = told(control, "show activity").split("date_now: ")[1].split()[0]
    return (before + time.time()) / 2 - float(shown)


class Client:
    """Makes the connections of one run."""

    def __init__(self, fronts: Sequence[int], http: Any, draw: random.Random) -> None:
        self.fronts = dict(zip(KINDS, fronts, strict=True))
        self.http, self.draw = http, draw
        self.held: list[tuple[int, socket.socket]] = []

    def connected(self, name: str) -> tuple[int, socket.socket]:
        """Return who greets, and the connection."""
        one = socket.create_connection(("127.0.0.1", self.fronts[name]), timeout=WAIT_S)
        return int(one.recv(1)), one

    def picks(self, count: int) -> dict[str, list[Any]]:
        """Return turns; what was opened (server, 1) and closed (server, -1); (key, server)."""
        turns, moves = [], []
        for _ in range(count):
            server, one = self.connected("roundrobin")
            one.close()
            turns.append(server)
        for _ in range(count):
            self.held.append(self.connected("leastconn"))
            moves.append([self.held[-1][0], 1])
        while len(self.held) > self.draw.randrange(HELD):
            server, one = self.held.pop(self.draw.randrange(len(self.held)))
            one.close()
            moves.append([server, -1])
            time.sleep(SETTLED_S / 5)
        keys = [f"k{self.draw.randrange(10**6)}" for _ in range(count)]
        hashed = [[key, asked(self.http, "", key)] for key in keys]
        return {"roundrobin": turns, "leastconn": moves, "hash": hashed}


def record(
    weights: Sequence[int], slowstart: str, steps: Sequence[Step], seed: int
) -> dict[str, Any]:
    """Return what HAProxy picked and said in a run, the first of `RUNS` that kept to its times.

    Raises
    ------
    LateError
        When none did.
    """
    for _ in range(RUNS - 1):
        with contextlib.suppress(LateError):
            return record_once(weights, slowstart, steps, seed)
    return record_once(weights, slowstart, steps, seed)


def record_once(
    weights: Sequence[int], slowstart: str, steps: Sequence[Step], seed: int
) -> dict[str, Any]:
    """Return what HAProxy picked and said in a run; LateError when the machine was too slow."""
    n = len(weights)
    ports = free_ports(3 + n + n)
    fronts, numbered, http = ports[:3], ports[3 : 3 + n], ports[3 + n :]
    done: list[dict[str, Any]] = []
    with tempfile.TemporaryDirectory() as text, listening(numbered):
        control = Path(text) / "socket"
        (Path(text) / "cfg").write_text(
            configuration(fronts, numbered, http, control, weights, slowstart)
        )
        with running(["haproxy", "-db", "-f", str(Path(text) / "cfg")], fronts[2]) as connection:
            client = Client(fronts, connection, random.Random(seed))
            client.picks(0)
            lag = behind(control)
            start = int(time.time() - lag) + 1.0 + lag
            for at, what, which in steps:
                time.sleep(max(start + at - time.time(), 0.0))
                step: dict[str, Any] = {"at": at, "what": what}
                if what == PICKS:
                    step |= {"picks": client.picks(which), "weights": weights_told(control)}
                else:
                    step["server"] = which
                    state = "maint" if what == DOWN else "ready"
                    told(
                        control,
                        ";".join(f"set server {name}/s{which} state {state}" for name in KINDS),
                    )
                late = time.time() - start - at
                if late > LATE_S:
                    raise LateError(f"{what} at {at} ended {late:.3f} s after its time")
                done.append(step)
            moved = behind(control) - lag
            if abs(moved) > MOVED_S:
                raise LateError(f"HAProxy's clock was moved by {moved:.3f} s")
            for _, one in client.held:
                one.close()
    return {
        "weights": list(weights),
        "slowstart": slowstart,
        "addresses": [f"127.0.0.1:{port}" for port in numbered],
        "steps": done,
    }


if __name__ == "__main__":
    said = subprocess.run(["haproxy", "-v"], capture_output=True, text=True, check=True).stdout
    runs = [record(*s, script(len(s[0]), seed=k), seed=k) for k, s in enumerate(SETTINGS)]
    runs.append(record(*BACK, script_of_back(), seed=1))
    made = {"program": said.splitlines()[0], "runs": runs}
    json.dump(made, sys.stdout, separators=(",", ":"))

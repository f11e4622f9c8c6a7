"""Which pod each of many short connections comes to: what the rules choose, nothing else.

    python -m benchmarks.reality.counting ADDRESS CONNECTIONS SOURCE...

Runs in the bed's namespace of the client and prints a line of JSON: for each pod's number how many
connections it took. A connection asks for the pod's number, reads it and is reset, so that neither
end waits for stray packets of it: such waiting would use up the ports.
"""

from __future__ import annotations

import json
import socket
import struct
import sys
from collections import Counter
from itertools import cycle, islice

from benchmarks.reality.addresses import family_of
from benchmarks.reality.namespace import Namespace
from benchmarks.reality.pods import ASK
from lbbench.errors import RunError
from lbbench.model.addresses import split_address

AT_ONCE = 100
TIMEOUT_S = 10.0
RESET = struct.pack("ii", 1, 0)  # SO_LINGER on, for 0 seconds


def counted(client: Namespace, vip: str, connections: int, sources: list[str]) -> dict[int, int]:
    """Return how many of ``connections`` to ``vip`` came to each pod, by its number.

    Raises
    ------
    RunError
        When one of them fails.
    """
    process = client.start_python("counting", vip, str(connections), *sources, stdout=-1, stderr=-1)
    told, said = process.communicate()
    if process.returncode:
        line = said.strip().splitlines()[-1] if said.strip() else "it was ended"
        raise RunError(f"{vip}: {connections} connections could not be counted: {line}")
    return {int(pod): count for pod, count in json.loads(told).items()}


def main(words: list[str]) -> None:
    """Open the connections, a hundred at once, each source in its turn."""
    vip, connections = words[0], int(words[1])
    sources = cycle(words[2:])
    found: Counter[str] = Counter()
    left = connections
    while left:
        now = min(left, AT_ONCE)
        found.update(_batch(vip, list(islice(sources, now))))
        left -= now
    print(json.dumps(found))


def _batch(vip: str, sources: list[str]) -> list[str]:
    """Return the pods' numbers of one connection from each source, all opened at once."""
    target, sockets = split_address(vip), []
    for source in sources:
        made = socket.socket(family_of(vip), socket.SOCK_STREAM)
        made.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, RESET)
        made.bind((source, 0))
        made.setblocking(False)
        made.connect_ex(target)
        sockets.append(made)
    for made in sockets:
        made.settimeout(TIMEOUT_S)
        made.sendall(ASK)  # waits until it is connected, or says why it cannot be
    found = [made.recv(16).decode() for made in sockets]
    for made in sockets:
        made.close()
    if not all(found):
        raise RunError(f"{vip}: a pod closed a connection without a word")
    return found


if __name__ == "__main__":
    main(sys.argv[1:])

"""Ask the running nginx and HAProxy, on the loopback of this machine, whom they pick.

Each server is a listener that answers with its number; a dead one is a port where nobody listens.
Requests go one after the other, so that a pick depends on nothing but the rule. As a program it
writes the golden file::

    python tests/native.py > tests/golden/native_live.json
"""

from __future__ import annotations

import contextlib
import http.client
import json
import random
import re
import shutil
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

NGINX = {
    "nginx_round_robin": "",
    "nginx_round_robin banned": "",
    "nginx_ip_hash": "ip_hash;",
    "nginx_hash": "hash $arg_k;",
    "nginx_hash_consistent": "hash $arg_k consistent;",
}
HAPROXY = {
    "haproxy_roundrobin": "balance roundrobin",
    "haproxy_roundrobin last": "balance roundrobin",
    "haproxy_hash_consistent last": "balance hdr(x-key)\n  hash-type consistent",
    "haproxy_hash source": "balance source",
    "haproxy_hash": "balance hdr(x-key)",
    "haproxy_hash_consistent source": "balance source\n  hash-type consistent",
    "haproxy_hash_consistent": "balance hdr(x-key)\n  hash-type consistent",
    "haproxy_hash_bounded": "balance hdr(x-key)\n  hash-type consistent\n  hash-balance-factor 150",
}
TURNS, KEYS = 60, 150
WAIT_S = 10.0


def missing() -> str:
    """Return which program is not there, "" when both are."""
    return " and ".join(name for name in ("nginx", "haproxy") if shutil.which(name) is None)


def free_ports(n: int) -> list[int]:
    """Return ports of the loopback that nobody uses now, ascending."""
    with contextlib.ExitStack() as stack:
        sockets = [stack.enter_context(socket.socket()) for _ in range(n)]
        for one in sockets:
            one.bind(("127.0.0.1", 0))
        return sorted(one.getsockname()[1] for one in sockets)


def plain(name: str) -> str:
    """Return what the programs call a balancer."""
    return name.replace(" ", "_")


def nginx_text(folder: Path, ports: Sequence[int], weights: Sequence[int], dead: set[int]) -> str:
    """Return a configuration with an upstream for each balancer; ``ports[0]`` is the front."""
    front, *behind = ports

    def servers(fails: int) -> str:
        return " ".join(
            f"server 127.0.0.1:{port} weight={weight} max_fails={fails} fail_timeout=100s;"
            for port, weight in zip(behind, weights, strict=True)
        )

    upstreams = "\n".join(
        f"upstream {plain(name)} {{ {how} {servers(int(name.endswith('banned')))} }}"
        for name, how in NGINX.items()
    )
    places = "\n".join(
        f"location /{plain(name)} {{ proxy_pass http://{plain(name)}; }}" for name in NGINX
    )
    alive = "\n".join(
        f"server {{ listen 127.0.0.1:{port}; return 200 '{k}'; }}"
        for k, port in enumerate(behind) if k not in dead
    )  # fmt: skip
    temporary = " ".join(
        f"{name}_temp_path {folder}/{name};"
        for name in ("client_body", "proxy", "fastcgi", "uwsgi", "scgi")
    )
    return f"""
worker_processes 1; daemon off; pid {folder}/pid; error_log {folder}/error warn;
events {{ worker_connections 512; }}
http {{
access_log off; set_real_ip_from 127.0.0.1; real_ip_header X-Real-IP; {temporary}
{upstreams}
server {{ listen 127.0.0.1:{front}; {places} }}
{alive}
}}
"""


def haproxy_text(ports: Sequence[int], weights: Sequence[int], dead: set[int]) -> str:
    """Return a configuration with a backend for each balancer; ``ports[0]`` is the front."""
    front, *behind = ports
    backends = "\n".join(
        f"backend {plain(name)}\n  {how}\n  retries 3\n"
        f"  option redispatch{'' if name.endswith('last') else ' 1'}\n"
        + "\n".join(
            f"  server s{k} 127.0.0.1:{port} weight {weight}"
            for k, (port, weight) in enumerate(zip(behind, weights, strict=True))
        )
        for name, how in HAPROXY.items()
    )
    alive = "\n".join(
        f"frontend f{k}\n  bind 127.0.0.1:{port}\n"
        f"  http-request return status 200 content-type text/plain string {k}"
        for k, port in enumerate(behind) if k not in dead
    )  # fmt: skip
    return f"""
global
  nbthread 1
defaults
  mode http
  timeout connect 1s
  timeout client 10s
  timeout server 10s
frontend front
  bind 127.0.0.1:{front}
  http-request set-src hdr(x-real-ip) if {{ hdr(x-real-ip) -m found }}
  use_backend %[path,field(2,/)]
{backends}
{alive}
"""


@contextlib.contextmanager
def running(command: Sequence[str], front: int) -> Iterator[http.client.HTTPConnection]:
    """Run a program until its front listens; give a connection to it."""
    with tempfile.TemporaryFile() as said:
        process = subprocess.Popen(command, stdout=said, stderr=said)
        try:
            until = time.monotonic() + WAIT_S
            while True:
                with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", front)):
                    break
                if process.poll() is not None or time.monotonic() > until:
                    said.seek(0)
                    raise RuntimeError(said.read().decode())
                time.sleep(0.02)
            connection = http.client.HTTPConnection("127.0.0.1", front, timeout=WAIT_S)
            yield connection
            connection.close()
        finally:
            process.terminate()
            process.wait()


def asked(connection: http.client.HTTPConnection, name: str, key: str) -> int:
    """Return which server answers a request with a key: an address, or a text."""
    is_address = re.fullmatch(r"[0-9a-f:.]*[:.][0-9a-f:.]*", key) is not None
    headers = {"x-real-ip": key} if is_address else {"x-key": key}
    path = f"/{plain(name)}"
    if not is_address and name.startswith("nginx"):
        path += f"?k={key}"
    connection.request("GET", path, headers=headers)
    answer = connection.getresponse()
    said = answer.read()
    return int(said) if answer.status == http.HTTPStatus.OK else -1


def keys_for(name: str, draw: random.Random) -> list[str]:
    """Return the keys of the requests: turns have none that counts."""
    if "round" in name:
        return ["turn"] * TURNS
    if "source" in name or name == "nginx_ip_hash":
        four = [".".join(str(draw.randrange(256)) for _ in range(4)) for _ in range(KEYS)]
        six = [f"2001:db8::{draw.randrange(65536):x}:{draw.randrange(1, 65536):x}"
               for _ in range(KEYS // 3)]  # fmt: skip
        return four + six
    return [f"/k{draw.randrange(10**6)}" for _ in range(KEYS)]


def record(weights: Sequence[int], dead: Sequence[int], seed: int) -> dict[str, Any]:
    """Return what both programs picked for servers of these weights, some of them dead."""
    draw = random.Random(seed)
    ports = free_ports(2 + len(weights))
    behind, gone = ports[2:], set(dead)
    found: dict[str, Any] = {
        "weights": list(weights),
        "dead": sorted(gone),
        "addresses": [f"127.0.0.1:{port}" for port in behind],
        "picks": {},
    }
    with tempfile.TemporaryDirectory() as text:
        folder = Path(text)
        (folder / "nginx.conf").write_text(nginx_text(folder, [ports[0], *behind], weights, gone))
        (folder / "haproxy.cfg").write_text(haproxy_text(ports[1:], weights, gone))
        nginx = ["nginx", "-c", str(folder / "nginx.conf"), "-p", str(folder)]
        haproxy = ["haproxy", "-db", "-f", str(folder / "haproxy.cfg")]
        for command, front, kinds in ((nginx, ports[0], NGINX), (haproxy, ports[1], HAPROXY)):
            with running(command, front) as connection:
                for name in kinds:
                    keys = keys_for(name, draw)
                    found["picks"][name] = [[key, asked(connection, name, key)] for key in keys]
    return found


SETTINGS = (([1, 1, 1, 1], []), ([5, 1, 1, 3, 2], []), ([7, 10, 2], []), ([2, 1, 1, 3], [1]),
            ([1] * 6, [0, 3]), ([40, 100, 256, 12], []))  # fmt: skip

if __name__ == "__main__":
    programs = [
        subprocess.run(command, capture_output=True, text=True, check=True)
        for command in (["nginx", "-v"], ["haproxy", "-v"])
    ]
    versions = [(made.stdout + made.stderr).splitlines()[0] for made in programs]
    runs = [record(weights, dead, seed) for seed, (weights, dead) in enumerate(SETTINGS)]
    json.dump({"programs": versions, "runs": runs}, sys.stdout, separators=(",", ":"))

"""nginx and HAProxy with their own balancers: what they are told, and how they are started."""

from __future__ import annotations

import subprocess
import time
from collections.abc import Callable, Sequence
from pathlib import Path

from benchmarks.reality.cases import NGINX
from benchmarks.reality.namespace import Namespace
from lbbench.errors import RunError
from lbbench.model.addresses import split_address
from lbbench.model.natural import natural
from lbbench.model.scenario import Scenario
from lbbench.model.topology import topology

WAIT_S = 10.0
NGINX_METHODS = {
    "round_robin": "",
    "nginx_least_conn": "least_conn;",
    "nginx_random_two": "random two least_conn;",
}
HAPROXY_METHODS = {
    "round_robin": "roundrobin",
    "haproxy_leastconn": "leastconn",
    "haproxy_random": "random(2)",
}


def nginx_text(scenario: Scenario, balancer: str) -> str:
    """Return nginx's configuration for a scenario with one ingress replica.

    Every worker counts for itself (no ``zone``), as lbbench has it. An answer carries the worker's
    process as ``X-Worker``. Files are relative to the folder that nginx is started with.
    """
    top, stage = topology(scenario), scenario.stages.ingress
    servers = "\n".join(f"    server {pod.address};" for pod in top.pods)
    method = NGINX_METHODS[balancer]
    keepalive = stage.keepalive
    kept = f"    keepalive {keepalive.upstream};" if keepalive.upstream else ""
    (replica,) = top.replicas
    return f"""daemon off;
user root;
worker_processes {top.workers_per_replica};
pid nginx.pid;
error_log error.log warn;
worker_rlimit_nofile 20000;
events {{
  worker_connections 8192;
  multi_accept on;
}}
http {{
  access_log off;
  client_body_temp_path body;
  proxy_temp_path proxy;
  fastcgi_temp_path fastcgi;
  uwsgi_temp_path uwsgi;
  scgi_temp_path scgi;
  tcp_nodelay on;
  keepalive_requests {keepalive.client_requests};
  upstream pods {{
{_lines(f"    {method}" if method else "", servers, kept)}
  }}
  server {{
    listen {replica.address} reuseport backlog=8192;
    location / {{
      proxy_pass http://pods;
      proxy_http_version 1.1;
      proxy_set_header Connection "";
      proxy_set_header Host $http_host;
      proxy_buffering off;
      proxy_next_upstream error timeout;
      proxy_next_upstream_tries {stage.next_upstream.tries};
      add_header X-Worker $pid always;
    }}
  }}
}}
"""


def haproxy_text(scenario: Scenario, balancer: str) -> str:
    """Return HAProxy's configuration for a scenario with one ingress replica.

    Servers stand in the order of their addresses, numbers read as numbers: their places in the list
    are what HAProxy's hash tree is made of. The process has a thread for each worker.
    """
    top = topology(scenario)
    (replica,) = top.replicas
    method = HAPROXY_METHODS[balancer]
    draws = scenario.stages.ingress.options.get("draws")
    if balancer == "haproxy_random" and draws is not None:
        method = f"random({draws})"
    ordered = sorted((pod.address for pod in top.pods), key=natural)
    servers = "\n".join(f"  server s{i} {address}" for i, address in enumerate(ordered))
    return f"""global
  nbthread {top.workers_per_replica}
  maxconn 8192
defaults
  mode http
  timeout connect 5s
  timeout client 75s
  timeout server 60s
  http-reuse always
frontend service
  bind {replica.address} backlog 8192
  default_backend pods
backend pods
  balance {method}
{servers}
"""


def start(case: str, node: Namespace, scenario: Scenario, balancer: str, folder: Path) -> None:
    """Start the proxy of a case on the bed's node and wait until it listens.

    Parameters
    ----------
    folder
        An empty folder for its configuration and its own files.

    Raises
    ------
    RunError
        When it does not start, with what it said.
    """
    text = nginx_text if case == NGINX else haproxy_text
    config = folder / f"{case}.conf"
    config.write_text(text(scenario, balancer), encoding="utf-8")
    said = folder / "said.txt"
    command = ["haproxy", "-db", "-f", str(config)]
    if case == NGINX:
        command = ["nginx", "-p", str(folder), "-c", str(config), "-e", "stderr"]
    with said.open("w", encoding="utf-8") as stream:
        process = node.start(command, punctual=True, stdout=stream, stderr=stream)
    (replica,) = topology(scenario).replicas
    _, port = split_address(replica.address)
    if not _wait(lambda: node.listens(port), process):
        told = said.read_text(encoding="utf-8", errors="replace").strip()[-500:]
        raise RunError(f"{case}: does not listen at {replica.address}: {told or 'it said nothing'}")


def _wait(ready: Callable[[], bool], process: subprocess.Popen[str]) -> bool:
    end = time.monotonic() + WAIT_S
    while process.poll() is None and time.monotonic() < end:
        if ready():
            return True
        time.sleep(0.02)
    return False


def _lines(*texts: str) -> str:
    return "\n".join(text for text in texts if text)


def version(words: Sequence[str]) -> str:
    """Return the first line that a program says about its version, "" when it is not there."""
    try:
        ended = subprocess.run(list(words), capture_output=True, text=True, check=False)
    except OSError:
        return ""
    lines = (ended.stdout + ended.stderr).strip().splitlines()
    return lines[0] if lines else ""

"""nginx's upstream keep-alive cache: one per worker, least recently used out, same peer only.

A place is in two lists: the worker's, most recent first, whose end is evicted; and the pod's, most
recent first, whose top is taken. Connections idle for longer than the timeout lie at the ends of
both, so they are dropped when one is met.
Source: nginx src/http/modules/ngx_http_upstream_keepalive_module.c.
"""

from __future__ import annotations

from lbbench.engines.steady.world import Steady
from lbbench.engines.world import Facts, World


def take_idle(f: Facts, w: World | Steady, worker: int, pod: int, now: float) -> int:
    """Take the most recently used idle connection to ``pod``; return its requests so far, or -1."""
    if f.keepalive == 0:
        return -1
    place = w.idle_top[worker, pod]
    if place < 0:
        return -1
    served = w.idle[worker, place].served
    if now > w.idle[worker, place].since + f.keepalive_timeout:
        served = -1  # then every older one is expired too; the next looks find them
    remove_idle(w, worker, place)
    return served


def put_idle(f: Facts, w: World | Steady, worker: int, pod: int, served: int, now: float) -> None:
    """Keep a connection that has carried ``served`` requests; the oldest one makes room."""
    if f.keepalive == 0 or served >= f.keepalive_requests:
        return
    desk = w.desk[worker]
    if desk.n_spare == 0:
        remove_idle(w, worker, desk.last)
    desk.n_spare -= 1
    place = w.idle[worker, desk.n_spare].spare
    idle = w.idle[worker, place]
    idle.pod = pod
    idle.served = served
    idle.since = now
    idle.newer = -1
    idle.older = desk.first
    if desk.first >= 0:
        w.idle[worker, desk.first].newer = place
    else:
        desk.last = place
    desk.first = place
    top = w.idle_top[worker, pod]
    idle.up = -1
    idle.down = top
    if top >= 0:
        w.idle[worker, top].up = place
    w.idle_top[worker, pod] = place


def remove_idle(w: World | Steady, worker: int, place: int) -> None:
    """Take one place out of both lists."""
    desk = w.desk[worker]
    idle = w.idle[worker, place]
    if idle.newer >= 0:
        w.idle[worker, idle.newer].older = idle.older
    else:
        desk.first = idle.older
    if idle.older >= 0:
        w.idle[worker, idle.older].newer = idle.newer
    else:
        desk.last = idle.newer
    if idle.up >= 0:
        w.idle[worker, idle.up].down = idle.down
    else:
        w.idle_top[worker, idle.pod] = idle.down
    if idle.down >= 0:
        w.idle[worker, idle.down].up = idle.up
    w.idle[worker, desk.n_spare].spare = place
    desk.n_spare += 1

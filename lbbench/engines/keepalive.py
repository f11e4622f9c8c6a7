"""nginx's upstream keep-alive cache: one per worker, least recently used out, same peer only.

A place is in two lists: the worker's, most recent first, whose end is evicted; and the pod's, most
recent first, whose top is taken. Connections idle for longer than the timeout lie at the ends of
both, so they are dropped when one is met.
Source: nginx src/http/modules/ngx_http_upstream_keepalive_module.c.
"""

from __future__ import annotations

from lbbench.engines.world import Facts, World


def take_idle(f: Facts, w: World, worker: int, pod: int, now: float) -> int:
    """Take the most recently used idle connection to ``pod``; return its requests so far, or -1."""
    if f.keepalive == 0:
        return -1
    place = w.idle_top[worker, pod]
    if place < 0:
        return -1
    served = w.idle_served[worker, place]
    expired = now > w.idle_since[worker, place] + f.keepalive_timeout
    remove_idle(w, worker, place)
    if not expired:
        return served
    while w.idle_top[worker, pod] >= 0:
        remove_idle(w, worker, w.idle_top[worker, pod])
    return -1


def put_idle(f: Facts, w: World, worker: int, pod: int, served: int, now: float) -> None:
    """Keep a connection that has carried ``served`` requests; the oldest one makes room."""
    if f.keepalive == 0 or served >= f.keepalive_requests:
        return
    if w.idle_n_spare[worker] == 0:
        remove_idle(w, worker, w.idle_last[worker])
    w.idle_n_spare[worker] -= 1
    place = w.idle_spare[worker, w.idle_n_spare[worker]]
    w.idle_pod[worker, place] = pod
    w.idle_served[worker, place] = served
    w.idle_since[worker, place] = now
    first = w.idle_first[worker]
    w.idle_newer[worker, place] = -1
    w.idle_older[worker, place] = first
    if first >= 0:
        w.idle_newer[worker, first] = place
    else:
        w.idle_last[worker] = place
    w.idle_first[worker] = place
    top = w.idle_top[worker, pod]
    w.idle_up[worker, place] = -1
    w.idle_down[worker, place] = top
    if top >= 0:
        w.idle_up[worker, top] = place
    w.idle_top[worker, pod] = place


def remove_idle(w: World, worker: int, place: int) -> None:
    """Take one place out of both lists."""
    newer, older = w.idle_newer[worker, place], w.idle_older[worker, place]
    if newer >= 0:
        w.idle_older[worker, newer] = older
    else:
        w.idle_first[worker] = older
    if older >= 0:
        w.idle_newer[worker, older] = newer
    else:
        w.idle_last[worker] = newer
    up, down = w.idle_up[worker, place], w.idle_down[worker, place]
    if up >= 0:
        w.idle_down[worker, up] = down
    else:
        w.idle_top[worker, w.idle_pod[worker, place]] = down
    if down >= 0:
        w.idle_up[worker, down] = up
    w.idle_spare[worker, w.idle_n_spare[worker]] = place
    w.idle_n_spare[worker] += 1

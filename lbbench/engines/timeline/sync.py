"""The ingress controller: how the list in the API reaches the workers of one replica.

A change makes the controller sync as soon as its token bucket has a token; the sync posts the list
as the API has it then, unless it is what was posted before. Each worker looks at its own ticks
for what has been posted. Since June 2020 it compares the time of the last post with the one that it
saw, in whole seconds: of two posts within one second with its tick between them it misses the
second, until the next post. Before release 0.23 a worker kept its old endpoints when the new list
was empty.

References
----------
kubernetes/ingress-nginx, rootfs/etc/nginx/lua/balancer.lua (sync_backends) and configuration.lua;
commits bcc3cfaa (whole seconds) and 018a1e4d (empty lists).
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from typing import Literal, NamedTuple

from lbbench.engines.script import WORKER_VIEW, Step
from lbbench.engines.timeline.track import NOBODY, Notes, Track, periods, tick_from
from lbbench.engines.timeline.view import View

POST = 0.005  # seconds that a post to the workers' shared dictionary takes: a choice of the model
SETTLED = -1  # whole second of the post that made the workers' lists before the run

Pods = tuple[int, ...]


class Post(NamedTuple):
    """A list in the replica's shared dictionary."""

    at: float  # seconds
    listed: Pods
    version: int  # number of that list in the API
    notes: Notes


def posts(
    lists: Track[Pods], begin: float, end: float, rate: float | Literal["unlimited"]
) -> list[Post]:
    """Return what a controller posts that runs from ``begin`` until before ``end``.

    Parameters
    ----------
    lists
        The ready pods in the API.
    rate
        Tokens per second; the bucket holds one and is full when the run begins. A controller that
        starts later spends its first token on its first list.
    """
    gap = POST if rate == "unlimited" else max(1.0 / rate, POST)
    known = lists.index(begin)
    posted = lists.values[known]
    free = begin + gap
    notes: Notes = NOBODY
    found: list[Post] = []
    while known + 1 < len(lists.times):
        start = max(lists.times[known + 1], free)
        if start + POST >= end:
            break
        arrived = lists.index(start)
        notes = notes.union(*lists.notes[known + 1 : arrived + 1])
        known = arrived
        free = start + gap
        if lists.values[known] != posted:
            posted = lists.values[known]
            found.append(Post(start + POST, posted, known, notes))
            notes = NOBODY
    return found


def taken(
    posted: Sequence[Post],
    *,
    first: Pods,
    seen: int,
    phase: float,
    interval: float,
    end: float,
    compares: bool,
    keeps_old: bool,
) -> Iterator[Post]:
    """Yield what a worker takes up, ``at`` its own ticks: phase + k x interval.

    Parameters
    ----------
    first, seen
        The worker's list at the beginning and the whole second in which it was posted.
    compares, keeps_old
        Whether it compares whole seconds; whether it ignores empty lists.
    """
    present = first
    notes: Notes = NOBODY
    i = 0
    while i < len(posted):
        tick = phase + tick_from(phase, interval, posted[i].at) * interval
        if tick >= end:
            return
        while i < len(posted) and posted[i].at <= tick:
            notes |= posted[i].notes
            i += 1
        newest = posted[i - 1]
        stamp = math.floor(newest.at)
        if compares and stamp == seen:
            continue
        seen = stamp
        if newest.listed != present and (newest.listed or not keeps_old):
            present = newest.listed
            yield Post(tick, present, newest.version, notes)
        notes = NOBODY


def replica_views(
    lists: Track[Pods],
    up: Track[bool],
    workers: Sequence[int],
    phases: Sequence[float],
    *,
    rate: float | Literal["unlimited"],
    interval: float,
    release: str,
    horizon: float,
) -> list[View]:
    """Return the steps by which the lists of one replica's ``workers`` change.

    While its node is down a replica does nothing. When the node boots, every worker begins with
    what the API lists at that time; that step is made even if it had the same list before.
    """
    is_old = release == "0.21"
    views: list[View] = []
    for begin, end in periods(up, horizon):
        known = lists.index(begin)
        first = lists.values[known]
        posted = posts(lists, begin, end, rate)
        seen = SETTLED if begin == -math.inf else math.floor(begin)
        notes = up.notes[up.index(begin)]  # what changed while it was down waited for the boot
        for worker, phase in zip(workers, phases, strict=True):
            if begin > -math.inf:
                views.append(_view(worker, Post(begin, first, known, notes)))
            news = taken(
                posted,
                first=first,
                seen=seen,
                phase=phase,
                interval=interval,
                end=end,
                compares=not is_old,
                keeps_old=is_old,
            )
            views += [_view(worker, post) for post in news]
    return views


def _view(worker: int, post: Post) -> View:
    step = Step(time=post.at, op=WORKER_VIEW, a=worker, b=post.version, listed=post.listed)
    return View(step, post.notes)

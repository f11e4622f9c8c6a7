"""One instance goes through a script: its lists, its picks, the answers; plain or compiled."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

from lbbench.core.held import hold

PLACE, COOKIE = range(2)
LEAST_AWAY = 12
"""Picks after which an answer comes back, at least."""

JAR = 8
"""Clients whose cookies are kept in the walk of a balancer that sets them."""


def pick(state: Any, rng: np.ndarray, now: float, key: int, busy: Any, tried: Any) -> int:
    """Stand in for the balancer's own, as do `done`, `changed`, `counted` and `cookie`."""
    raise NotImplementedError


done: Any = None
changed: Any = None
counted: Any = None
cookie: Any = None
ASKED_FIRST: bool = False
"""The balancer is told all numbers before a pick (layer 4), not each change of one (layer 7)."""


class Script(NamedTuple):
    """What happens to an instance that knows E endpoints in S steps of K picks each."""

    lists: np.ndarray  # int64[S, E] the list of ids in each step
    counts: np.ndarray  # int64[S] how many are in use
    times: np.ndarray  # float64[S, K] seconds
    keys: np.ndarray  # int64[K] hash or cookie, -1 none
    tried: np.ndarray  # int64[K, T] where the request failed, as positions in a long list
    n_tried: np.ndarray  # int64[K]
    rtt: np.ndarray  # float64[K] seconds
    ok: np.ndarray  # bool[K]
    busy: np.ndarray  # int64[E] outstanding at first, by id


class Room(NamedTuple):
    """What a walk works on, besides state and stream."""

    by_id: np.ndarray  # int64[E] outstanding
    seen: np.ndarray  # int64[E] the same by position
    failed: np.ndarray  # int64[T] positions
    away: np.ndarray  # int64[A] ids of those that are out, -1 none
    told: np.ndarray  # int64[E + 2] ids whose numbers the balancer is told before the next pick
    jar: np.ndarray  # int64[JAR] the clients' cookies
    out: np.ndarray  # int64[2, S, K] picks and cookies


def room_for(script: Script) -> Room:
    """Return fresh arrays for a walk through ``script``."""
    steps, picks = script.times.shape
    n = script.busy.size
    out = np.repeat(np.arange(n), script.busy)
    return Room(
        by_id=script.busy.copy(),
        seen=np.zeros(max(n, 1), np.int64),
        failed=np.zeros(script.tried.shape[1], np.int64),
        away=np.concatenate([out, np.full(LEAST_AWAY, -1)]).astype(np.int64),
        told=np.arange(n + 2),
        jar=np.full(JAR, -1, np.int64),
        out=np.full((2, steps, picks), -1, np.int64),
    )


def walk(state: Any, rng: np.ndarray, script: Script, room: Room) -> None:  # noqa: C901
    """Go through ``script``: for every pick an old answer, perhaps another list, the pick.

    A pick that is out of range is written down and sends nothing. Each function is called at one
    place, for every call is inlined.
    """
    state = hold(state)
    by_id, told = room.by_id, room.told
    at = 0
    n_told = by_id.size  # an instance that begins is told of all
    for step in range(script.counts.size):
        n = script.counts[step]
        for k in range(script.keys.size):
            now = script.times[step, k]
            back = room.away[at]
            if back >= 0:
                by_id[back] -= 1
                told[n_told] = back
                n_told += 1
            if ASKED_FIRST:
                n_told = by_id.size
                for endpoint in range(n_told):
                    told[endpoint] = endpoint
            for j in range(n_told):
                counted(state, told[j], by_id[told[j]])
            if back >= 0:
                done(state, back, now, script.rtt[k], script.ok[k])
            if k == 0:
                before = script.counts[step - 1] if step > 0 else 0
                old = script.lists[max(step - 1, 0), :before]
                changed(state, rng, old, script.lists[step, :n], now)
            for place in range(n):
                room.seen[place] = by_id[script.lists[step, place]]
            n_failed = script.n_tried[k] if n > 0 else 0
            for j in range(n_failed):
                room.failed[j] = script.tried[k, j] % n
            key = script.keys[k]
            if key == -1:
                key = room.jar[k % JAR]
            place = pick(state, rng, now, key, room.seen[:n], room.failed[:n_failed])
            made = cookie(state)
            if made >= 0:
                room.jar[k % JAR] = made
            room.out[PLACE, step, k] = place
            room.out[COOKIE, step, k] = made
            n_told = 0
            endpoint = -1
            if 0 <= place < n:
                endpoint = script.lists[step, place]
                by_id[endpoint] += 1
                told[0] = endpoint
                n_told = 1
            room.away[at] = endpoint
            at += 1
            if at == room.away.size:
                at = 0

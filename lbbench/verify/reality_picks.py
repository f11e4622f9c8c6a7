"""What the real balancers' picks leave no room for: cycles, functions of the key, one pod each.

Every check gives rows only where the run has what it is about. The measured figure is how many
requests break the rule; the limit says how many may.
"""

from __future__ import annotations

import zlib
from collections import Counter, defaultdict
from collections.abc import Hashable, Iterable, Iterator, Sequence
from itertools import pairwise

import numpy as np

from lbbench.verify.reality_ensemble import Row
from lbbench.verify.reality_reading import Recording

SWAP_S = 0.1e-3
"""Requests written within this may reach the worker in the other order."""
CHANCE = 1e-4
"""Below this a chi-square test of the counts fails."""


def picks(recording: Recording) -> list[Row]:
    """Return the verdicts on the picks of a recording, as far as its balancer's leave no room."""
    balancer = recording.balancer
    if balancer == "iptables":
        return _connections(recording)
    if balancer == "round_robin":
        return [_cycle(recording)]
    if balancer in {"chash", "chashsubset"}:
        return _by_key(recording, subset=balancer == "chashsubset")
    if balancer.startswith("sticky") and recording.jars:
        return [_by_cookie(recording)]
    return []


def exact(
    recording: Recording, claim: str, broken: float, *, limit: str, passed: bool, note: str = ""
) -> Row:
    """Return the row of a check that has no ensemble."""
    return Row(
        recording.name, recording.repeat, claim, broken, None, None, None, passed, limit, note
    )


# --- layer 4 --------------------------------------------------------------------------------------


def _connections(recording: Recording) -> list[Row]:
    """Judge that conntrack keeps a connection's pod, and that the rules split evenly."""
    from scipy.stats import chisquare

    answered = np.flatnonzero(recording.answered)
    names = recording.sent["conn"]
    pods = one_each((names[i], int(recording.pod[i])) for i in answered)
    broken = sum(len(counts) > 1 for counts in pods.values())
    n_pods = len(recording.scenario.resolved()["cluster"]["pods"])
    counts = np.bincount([next(iter(c)) for c in pods.values()], minlength=n_pods)
    p = float(chisquare(counts).pvalue)
    return [
        exact(
            recording,
            "connections with several pods",
            broken,
            limit="0",
            passed=broken == 0,
            note=f"of {len(pods)}",
        ),
        exact(
            recording,
            "connections per pod: p of chi-square",
            p,
            limit=f">= {CHANCE:g}",
            passed=p >= CHANCE,
        ),
    ]


# --- round robin ----------------------------------------------------------------------------------


def _cycle(recording: Recording) -> Row:
    """Judge that each worker's successive picks follow one cyclic order.

    A pod that is listed and answers nothing has a turn too; the request that meets it takes another
    turn when its retry comes.
    """
    order = np.argsort(recording.written, kind="stable")
    order = order[recording.pod[order] >= 0]
    listed = len(recording.scenario.resolved()["cluster"]["pods"])
    dead = sorted(set(range(listed)) - set(recording.pod[order].tolist()))
    broken, swapped, cycles = 0, 0, set()
    for worker in np.unique(recording.worker[order]):
        own = order[recording.worker[order] == worker]
        line, written = recording.pod[own].tolist(), recording.written[own]
        cycle = common_cycle(line)
        found = [off_cycle(line, written, c, dead) for c in with_dead(cycle, dead)]
        off, turned = min(found, default=(len(line), 0))
        broken, swapped = broken + off, swapped + turned
        cycles.add(tuple(cycle))
    note = f"of {len(order)}; {len(cycles)} order{'s' if len(cycles) > 1 else ''} in all workers"
    if swapped:
        note += f"; {swapped} groups written within 0.1 ms in another order"
    return exact(recording, "picks off the cycle", broken, limit="0", passed=broken == 0, note=note)


def common_cycle(line: Sequence[int]) -> list[int]:
    """Return the pods in the order in which they mostly follow each other, from the lowest.

    Empty when that is no cycle through all of them.
    """
    follow = Counter(pairwise(line))
    after: dict[int, int] = {}
    for (pod, following), _ in follow.most_common():
        after.setdefault(pod, following)
    cycle: list[int] = []
    pod = min(line)
    while pod in after and pod not in cycle:
        cycle.append(pod)
        pod = after[pod]
    return cycle if cycle and pod == cycle[0] and set(cycle) == set(line) else []


def with_dead(cycle: Sequence[int], dead: Sequence[int]) -> Iterator[list[int]]:
    """Yield the cycle with one dead pod at each place that it can have; as it is without one."""
    if not cycle:
        return
    if len(dead) != 1:
        yield list(cycle)
        return
    for k in range(1, len(cycle) + 1):
        yield [*cycle[:k], dead[0], *cycle[k:]]


def off_cycle(
    line: Sequence[int], written: np.ndarray, cycle: Sequence[int], dead: Sequence[int] = ()
) -> tuple[int, int]:
    """Return (picks off the cycle, groups in another order) of one worker's picks in order.

    After a pick off the cycle it goes on from there, so that one slip counts once. A request that
    meets the dead pod takes a later turn, before that pod's next one.
    """
    place = {pod: k for k, pod in enumerate(cycle)}
    n = len(cycle)
    broken = swapped = k = 0
    turn = place[line[0]]
    retried: list[int] = []
    while k < len(line):
        due, pod = cycle[turn % n], line[k]
        if due in dead:
            broken += len(retried)
            retried = [pod]
            turn, k = turn + 1, k + 1
        elif pod == due:
            turn, k = turn + 1, k + 1
        elif due in retried:
            retried.remove(due)
            turn += 1
        elif (size := _mixed(line, written, k, cycle, turn)) > 0:
            swapped += 1
            turn, k = turn + size, k + size
        else:
            broken += 1
            turn, k = place[pod] + 1, k + 1
    return broken, swapped


def _mixed(
    line: Sequence[int], written: np.ndarray, k: int, cycle: Sequence[int], turn: int
) -> int:
    """Return how many picks from ``k`` on are the next turns in another order, 0 when none are.

    They must have been written one within 0.1 ms of the other: a proxy that wakes up to several
    requests need not take them in the order in which they were written.
    """
    ahead: Counter[int] = Counter()
    for size, pod in enumerate(line[k:], 1):
        if size > 1 and written[k + size - 1] - written[k + size - 2] > SWAP_S:
            return 0
        ahead[pod] += 1
        ahead[cycle[(turn + size - 1) % len(cycle)]] -= 1
        if not any(ahead.values()):
            return size
    return 0


# --- consistent hashing, cookies ------------------------------------------------------------------


def _by_key(recording: Recording, *, subset: bool) -> list[Row]:
    """Judge that the pod (or its subset) is a function of the key, chash's that of the ring."""
    keys = recording.sent[_key_column(recording)]
    pods = one_each(zip(keys, recording.pod.tolist(), strict=True))
    size = recording.scenario.stages.ingress.subset_size if subset else 1
    broken = sum(len(counts) > size for counts in pods.values())
    what = f"keys with more than {size} pods" if subset else "keys with several pods"
    rows = [
        exact(recording, what, broken, limit="0", passed=broken == 0, note=f"of {len(pods)} keys")
    ]
    if not subset:
        rows.append(_by_ring(recording, keys))
    return rows


def _key_column(recording: Recording) -> str:
    return "src" if "remote_addr" in recording.scenario.stages.ingress.hash_by else "uri"


def _by_ring(recording: Recording, keys: Sequence[str]) -> Row:
    """Judge that the pod is the owner of the key's arc; a dead owner's requests fail."""
    from lbbench.core.rings import ketama_points

    cluster = recording.scenario.resolved()["cluster"]
    hashes, owners = ketama_points([pod["address"] for pod in cluster["pods"]])
    codes = np.array([zlib.crc32(key.encode()) for key in keys], np.uint32)
    expected = owners[np.searchsorted(hashes, codes, side="left") % len(hashes)]
    found = recording.pod
    dead = set(np.unique(expected).tolist()) - set(np.unique(found).tolist())
    expected = np.where(np.isin(expected, list(dead)) & (len(dead) == 1), -1, expected)
    broken = int((expected != found).sum())
    note = f"of {len(found)}" + (f"; pod {dead.pop()} answers nothing" if len(dead) == 1 else "")
    return exact(recording, "picks off the ring", broken, limit="0", passed=broken == 0, note=note)


def _by_cookie(recording: Recording) -> Row:
    """Judge that the pod is a function of the cookie that the request carried."""
    at = {int(number): i for i, number in enumerate(recording.sent["id"].tolist())}
    given: dict[int, list[tuple[float, str]]] = defaultdict(list)
    for jar, request, cookie in recording.jars:
        i = at[request]
        given[jar].append((float(recording.arrival[i] + recording.latency[i]), cookie))
    for stored in given.values():
        stored.sort()
    carried = []
    is_carried = recording.answered & (recording.seen["cookie"] == 1.0)
    for i in np.flatnonzero(is_carried).tolist():
        stored = given[int(recording.sent["jar"][i])]
        before = [cookie for time, cookie in stored if time <= recording.written[i]]
        if before:
            carried.append((before[-1], int(recording.pod[i])))
    pods = one_each(carried)
    broken = sum(len(counts) > 1 for counts in pods.values())
    return exact(
        recording,
        "cookies with several pods",
        broken,
        limit="0",
        passed=broken == 0 and len(pods) > 0,
        note=f"of {len(pods)} cookies",
    )


def one_each(pairs: Iterable[tuple[Hashable, int]]) -> dict[Hashable, Counter[int]]:
    """Return how often each pod was seen, by what it should be a function of."""
    seen: dict[Hashable, Counter[int]] = defaultdict(Counter)
    for what, pod in pairs:
        seen[what][pod] += 1
    return seen

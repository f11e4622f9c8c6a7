"""The load balancer's health probes of one node, one after the other.

Times and thresholds (interval I, threshold k): a reset counts at the time of its probe, silence
when the next probe is due (HTTP: min(I, 30 s) later). Under TCP k equal results in a row turn the
verdict. Under HTTP an explicit answer turns it at once and k counts only timeouts. After a boot the
first success suffices. Detection of a failure at a uniform phase: TCP reset U(0, I) + (k - 1) I,
silence U(0, I) + k I, HTTP answer U(0, I).

A TCP probe is a connection through the node's own rules to a target that they draw, so under
externalTrafficPolicy Cluster it tells whether this node forwards and some pod accepts.

References
----------
Azure documentation, "Azure Load Balancer health probes", 2026-01-08.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Literal, NamedTuple

from lbbench.core.rng import stream, uniform
from lbbench.engines.script import OPEN, REFUSE, SILENT
from lbbench.engines.timeline.policy import NodeRules
from lbbench.engines.timeline.track import NOBODY, Notes, Track, next_from, tick_from

HTTP_TIMEOUT = 30.0  # seconds at most until an HTTP probe counts as unanswered

GOOD = 0
BAD = 1  # an explicit failure: a reset, or a status other than 200
SILENCE = 2


class Result(NamedTuple):
    """What a probe hears, and which changes of the timeline are behind it."""

    kind: int
    notes: Notes
    since: float  # when what decides it came about, seconds


@dataclass(frozen=True)
class Scene:
    """What probes of one node run into, over time.

    Attributes
    ----------
    node_up, rules, routes
        By node; by node; whether packets between nodes arrive.
    target_node
        The node of every target.
    doors
        What pods do, by number of the target; who is not in it is open. Empty on path ingress,
        where targets are ingress replicas: they accept while their node is up.
    """

    node_up: Sequence[Track[bool]]
    rules: Sequence[Track[NodeRules]]
    routes: Track[bool]
    target_node: Sequence[int]
    doors: dict[int, Track[int]]
    kind: Literal["tcp", "http"]
    local: bool

    def result(self, node: int, time: float, draw: float) -> Result:
        """Return what a probe of ``node`` at ``time`` hears; ``draw`` in [0, 1) picks it."""
        up = self.node_up[node]
        if not up.at(time):
            return _because(SILENCE, up, time)
        rules = self.rules[node]
        found = rules.at(time)
        if self.kind == "http":
            is_good = found.ready_here or not self.local
            return _latest(GOOD, time, up, rules) if is_good else _because(BAD, rules, time)
        if not found.listed:
            return _because(SILENCE if found.drops else BAD, rules, time)
        target = found.listed[int(draw * len(found.listed))]
        there = self.node_up[self.target_node[target]]
        if not there.at(time):
            return _because(SILENCE, there, time)
        if self.target_node[target] != node and not self.routes.at(time):
            return _because(SILENCE, self.routes, time)
        door = self.doors.get(target, _ALWAYS_OPEN)
        if door.at(time) in (REFUSE, SILENT):
            return _because(BAD if door.at(time) == REFUSE else SILENCE, door, time)
        return _latest(GOOD, time, up, rules, there, door, self.routes)

    def is_uniform(self, node: int, time: float) -> bool:
        """Tell whether every draw would give the same kind of result at ``time``."""
        listed = self.rules[node].at(time).listed
        if self.kind == "http" or len(listed) < 2 or not self.node_up[node].at(time):
            return True
        if self.routes.at(time) and all(up.at(time) for up in self.node_up):
            # only doors differ: most pods have never had one but open
            doors = [self.doors[target].at(time) for target in listed if target in self.doors]
            if REFUSE not in doors and SILENT not in doors:
                return True
        n = len(listed)
        return len({self.result(node, time, (i + 0.5) / n).kind for i in range(n)}) == 1

    @cached_property
    def changes(self) -> list[float]:
        """When something changes that probes of any node may run into, rules left out; sorted."""
        tracks: list[Track[Any]] = [*self.node_up, self.routes, *self.doors.values()]
        return sorted({time for track in tracks for time in track.times[1:]})


_ALWAYS_OPEN = Track(OPEN)


def _because(kind: int, track: Track[Any], time: float) -> Result:
    i = track.index(time)
    return Result(kind, track.notes[i], track.times[i])


def _latest(kind: int, time: float, *tracks: Track[Any]) -> Result:
    """Return a result that goes back to whatever changed last."""
    return max((_because(kind, track, time) for track in tracks), key=lambda found: found.since)


class Verdict:
    """What the load balancer holds of one node, result by result."""

    def __init__(self, threshold: int, *, is_up: bool, http: bool) -> None:
        self.threshold = threshold
        self.is_up = is_up
        self.http = http
        self.streak = 0  # results in a row that contradict the verdict
        self.notes: Notes = NOBODY  # behind the streak
        self._last_bad = Result(BAD, NOBODY, -math.inf)
        self._last_bad_at = -math.inf
        self._last_good_at = -math.inf

    def hear(self, result: Result, sent: float, booted: float) -> bool:
        """Take a result of a probe sent at ``sent``; True: it turns the verdict.

        ``booted`` is when the node was started last, -inf: it has been up from the beginning.
        """
        good = result.kind == GOOD
        notes = result.notes
        if good and result.since <= self._last_bad_at:
            # nothing has mended since: another draw is luckier, and what failed is behind that too
            notes = self._last_bad.notes
        first_after_boot = good and booted > self._last_good_at
        if good:
            self._last_good_at = sent
        else:
            self._last_bad, self._last_bad_at = result, sent
        if good == self.is_up:
            self.streak = 0
            self.notes = NOBODY
            return False
        self.streak += 1
        self.notes |= notes
        explicit = self.http and result.kind != SILENCE
        if not (explicit or first_after_boot or self.streak >= self.threshold):
            return False
        self.is_up = good
        self.streak = 0
        return True


def verdict_track(
    scene: Scene,
    node: int,
    *,
    name: str,
    seed: int,
    replication: int,
    interval: float,
    threshold: int,
    horizon: float,
) -> Track[bool]:
    """Return what the load balancer's probes hold of ``node`` over time.

    Probe number j is sent at phase + j x interval, the phase uniform in the interval. Probes that
    cannot change anything before the next change of the cluster are passed over.
    """
    stream_name = f"probe {name}"
    phase = uniform(stream(seed, replication, "timeline", stream_name)) * interval
    http = scene.kind == "http"
    first = scene.result(node, -math.inf, 0.0).kind == GOOD
    verdict = Verdict(threshold, is_up=first, http=http)
    track = Track(first)
    own = scene.rules[node].times[1:]
    up = scene.node_up[node]
    mixed_until = -math.inf  # until then every probe counts: it is the draw that decides
    j = 0
    while (sent := phase + j * interval) <= horizon:
        draw = uniform(stream(seed, replication, "timeline", f"{stream_name} {j}"))
        result = scene.result(node, sent, draw)
        due = phase + (j + 1) * interval
        if http:
            due = min(due, sent + HTTP_TIMEOUT)
        if verdict.hear(result, sent, up.times[up.index(sent)] if up.at(sent) else -math.inf):
            at = due if result.kind == SILENCE else sent
            track.put(at, verdict.is_up, verdict.notes)
            verdict.notes = NOBODY
        j += 1
        settled = verdict.streak == 0 and (result.kind == GOOD) == verdict.is_up
        upcoming = min(next_from(scene.changes, sent), next_from(own, sent))
        if not settled or upcoming <= due or upcoming == mixed_until:
            continue
        if not scene.is_uniform(node, sent):
            mixed_until = upcoming
        elif upcoming == math.inf:
            break
        else:
            j = max(j, tick_from(phase, interval, upcoming))
    return track

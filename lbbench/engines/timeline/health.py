"""Active health checks of a proxy: each replica asks every pod, and leaves out who does not answer.

HAProxy's ``check inter rise fall`` and Envoy's active health checking; ingress-nginx has none. The
check of a pod has its own clock at every replica: it is sent at phase + k x interval, the phase
uniform in the interval. After ``fall`` failures in a row the pod is out of this replica's lists,
after ``rise`` successes it is in again; at first all are in. With a lower share of healthy pods
than ``panic`` (Envoy: 50 %, HAProxy: never) all are in. A reset or a status of 5xx counts at
the time of the check, silence ``timeout`` later. A TCP check sees whether the pod accepts, an HTTP
check also whether it answers 2xx in time.

Deviations: a check takes no time on the way and none of the pod's places, so an overloaded pod
passes; a replica that boots knows what it knew before; a pod that is new begins as healthy, as with
HAProxy (Envoy waits for its first check).

References
----------
HAProxy 2.6 configuration manual, 5.2 ``check``, ``inter``, ``rise``, ``fall``; Envoy documentation,
"Health checking", at 040783c8.
"""

from __future__ import annotations

import math
from bisect import bisect_right
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from lbbench.core.rng import stream, uniform
from lbbench.engines.script import ERROR, ERROR_RETRIED, OPEN, REFUSE, SILENT, WORKER_VIEW, Step
from lbbench.engines.timeline.track import NOBODY, Notes, Track, next_from, tick_from
from lbbench.engines.timeline.view import View
from lbbench.model.stages import HealthCheck

GOOD, BAD, SILENCE = range(3)
Pods = tuple[int, ...]


@dataclass(frozen=True)
class Patients:
    """What checks run into, over time.

    Attributes
    ----------
    node
        The node of every pod.
    doors, still
        What pods do that do not always serve: their doors; whether they stand still (a pause, a
        hang). By number of the pod.
    routes
        Whether packets between nodes arrive.
    """

    node: Sequence[int]
    doors: Mapping[int, Track[int]]
    still: Mapping[int, Track[bool]]
    routes: Track[bool]

    def changes(self, pod: int, node: int) -> list[float]:
        """Return when something changes that a check of ``pod`` from ``node`` may run into."""
        tracks: list[Track[int] | Track[bool]] = []
        if pod in self.doors:
            tracks.append(self.doors[pod])
        if pod in self.still:
            tracks.append(self.still[pod])
        if self.node[pod] != node:
            tracks.append(self.routes)
        return sorted({time for track in tracks for time in track.times[1:]})

    def result(self, pod: int, node: int, time: float, spec: HealthCheck) -> tuple[int, Notes]:
        """Return (GOOD, BAD or SILENCE, the changes behind it) of a check sent at ``time``."""
        if self.node[pod] != node and not self.routes.at(time):
            return SILENCE, self.routes.notes[self.routes.index(time)]
        door = self.doors.get(pod, ALWAYS_OPEN)
        notes = door.notes[door.index(time)]
        what = door.at(time)
        if what == REFUSE:
            return BAD, notes
        if what == SILENT:
            return SILENCE, notes
        if spec.kind == "tcp":
            return GOOD, notes
        if what in (ERROR, ERROR_RETRIED):
            return BAD, notes
        still = self.still.get(pod, NEVER_STILL)
        at = still.index(time)
        lasts = still.times[at + 1] if at + 1 < len(still.times) else math.inf
        if still.values[at] and lasts > time + float(spec.timeout):
            return SILENCE, still.notes[at]
        return GOOD, notes | still.notes[at]


ALWAYS_OPEN = Track(OPEN)
NEVER_STILL = Track(first=False)


def health_track(
    seen: Patients,
    pod: int,
    node: int,
    spec: HealthCheck,
    *,
    name: str,
    seed: int,
    replication: int,
    horizon: float,
) -> Track[bool]:
    """Return whether a replica on ``node`` holds ``pod`` healthy, over time.

    Checks that cannot change anything before the next change are passed over.
    """
    interval, timeout = float(spec.interval), float(spec.timeout)
    phase = uniform(stream(seed, replication, "timeline", name)) * interval
    track = Track(first=True)
    changes = seen.changes(pod, node)
    streak, behind = 0, NOBODY
    k = 0
    while changes and (sent := phase + k * interval) <= horizon:
        k += 1
        kind, notes = seen.result(pod, node, sent, spec)
        if (kind == GOOD) == track.last:
            streak, behind = 0, NOBODY
            upcoming = next_from(changes, sent)
            if upcoming == math.inf:
                break
            k = max(k, tick_from(phase, interval, upcoming - timeout))
            continue
        streak += 1
        behind |= notes
        if streak >= (spec.fall if track.last else spec.rise):
            at = sent + timeout if kind == SILENCE else sent
            track.put(max(at, track.times[-1]), not track.last, behind)
            streak, behind = 0, NOBODY
    return track


def checked_views(
    views: Sequence[View],
    first: Pods,
    tracks: Mapping[int, Track[bool]],
    workers: Sequence[int],
    *,
    panic: float,
) -> list[View]:
    """Return the steps of a replica's ``workers``, their lists without the pods held unhealthy.

    Parameters
    ----------
    views
        The steps by which the workers' lists change without checks.
    first
        What they list at first.
    tracks
        By pod, whether the replica holds it healthy; those that always are may be missing.
    panic
        With a lower share of healthy pods all are listed.
    """
    turns = {time for track in tracks.values() for time in track.times[1:]}
    found: list[View] = []
    for worker in workers:
        own = [view for view in views if view.step.a == worker]
        begins = [view.step.time for view in own]
        present = first
        for time in sorted({*begins, *turns}):
            at = bisect_right(begins, time) - 1
            told = own[at].step if at >= 0 else None
            listed = first if told is None else told.listed
            healthy = _healthy(listed, tracks, time)
            if len(healthy) < panic * len(listed):
                healthy = listed
            is_told = at >= 0 and begins[at] == time
            if healthy == present and not is_told:
                continue
            present = healthy
            notes = own[at].notes if is_told else NOBODY
            for track in tracks.values():
                if time in track.times:
                    notes |= track.notes[track.times.index(time)]
            step = Step(time=time, op=WORKER_VIEW, a=worker) if told is None else told
            found.append(View(replace(step, time=time, listed=healthy), notes))
    return found


def _healthy(listed: Pods, tracks: Mapping[int, Track[bool]], time: float) -> Pods:
    return tuple(pod for pod in listed if pod not in tracks or tracks[pod].at(time))

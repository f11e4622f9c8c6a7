"""How a pod is: slow, cold, paused or failing. Its SPEED and DOOR steps follow from that.

Conditions overlap: speed = its own speed x the factor of a `speed` change x what antagonists leave
of it / the factor of a cold start, and 0 while it is paused or hangs. Doors: an address that is
gone or whose node is down is silent whatever else holds; then the fault decides, then whether the
listener is closed.
"""

from __future__ import annotations

import math

from lbbench.engines.script import (
    DOOR,
    DROP_IDLE,
    EMPTY,
    OPEN,
    REFUSE,
    RESET,
    SILENT,
    SPEED,
)
from lbbench.engines.timeline.cluster import Cluster, Door, PodState
from lbbench.engines.timeline.track import Track
from lbbench.model.cluster import ColdStart


class Conditions:
    """Alters the condition of pods.

    Parameters
    ----------
    cold_start
        What a pod that has just started is subject to, None: it is warm at once.
    error
        The door of a pod that answers errors: ERROR or ERROR_RETRIED.
    """

    def __init__(self, cluster: Cluster, cold_start: ColdStart | None, error: int) -> None:
        self.cluster = cluster
        self.cold_start = cold_start
        self.error = error

    def set_factor(self, pod: PodState, factor: float) -> None:
        """Let ``pod`` work at ``factor`` times its own speed."""
        pod.factor = factor
        self.refresh(pod)

    def cool(self, pod: PodState, spec: ColdStart | None) -> None:
        """Let ``pod`` be cold from now on, if there is a cold start."""
        if spec is None:
            return
        pod.cold_factor = spec.factor
        pod.cold_until = self.cluster.now + spec.duration
        self.cluster.at(pod.cold_until, lambda: self.refresh(pod))
        self.refresh(pod)

    def pause(self, pod: PodState, length: float) -> None:
        """Let ``pod`` stand still for ``length`` seconds; nothing is lost."""
        pod.paused_until = self.cluster.now + length
        self.cluster.at(pod.paused_until, lambda: self.refresh(pod))
        self.refresh(pod)

    def fail(self, pod: PodState, fault: str, after: float = 0.0) -> None:
        """Begin ``fault``, or end the present one with ""; a new fault takes the old one's place.

        A crash resets what is inside. What hung is killed: its connections end and it starts anew.
        """
        running = self.cluster.is_running(pod)
        if pod.fault == "hang" and running:
            self._lose(pod)
        pod.fault, pod.fault_after = fault, after
        self.refresh(pod)
        if fault == "refuse" and running:
            self._lose(pod)

    def restart(self, pod: PodState) -> None:
        """Start the processes of ``pod`` anew after its node has come back."""
        pod.paused_until = -math.inf
        self.cluster.emit(DROP_IDLE, pod.number)
        self.cool(pod, self.cold_start)
        self.refresh(pod)

    def refresh(self, pod: PodState) -> None:
        """Make the steps by which ``pod`` comes to treat requests as its condition says."""
        door = self._door(pod)
        if door != pod.door:
            pod.door = door
            self.cluster.emit(DOOR, pod.number, door.kind, door.after)
            track = self.cluster.doors.setdefault(pod.number, Track(OPEN))
            track.put(self.cluster.now, door.kind, pod.notes)
        pace = self._pace(pod)
        if pace != pod.pace and pod.gone > self.cluster.now:
            pod.pace = pace
            self.cluster.emit(SPEED, pod.number, value=pace)
            still = self.cluster.still.setdefault(pod.number, Track(first=False))
            still.put(self.cluster.now, pace == 0.0, pod.notes)

    def _lose(self, pod: PodState) -> None:
        self.cluster.emit(EMPTY, pod.number, RESET)
        self.cluster.emit(DROP_IDLE, pod.number)

    def _pace(self, pod: PodState) -> float:
        now = self.cluster.now
        if pod.fault == "hang" or pod.paused_until > now:
            return 0.0
        pace = pod.base * pod.factor * pod.pressure
        return pace / pod.cold_factor if pod.cold_until > now else pace

    def _door(self, pod: PodState) -> Door:
        if not self.cluster.is_running(pod) or pod.fault == "blackhole":
            return Door(SILENT)
        if pod.closed or pod.fault == "refuse":
            return Door(REFUSE)
        if pod.fault == "error":
            return Door(self.error, pod.fault_after)
        return Door(OPEN)

"""What each change of a cluster did: when it was seen, what was lost to it, when it was over.

All is counted in the run itself but the times of the views, which the plan knows:

* ``at_s`` and ``what`` are the timeline's.
* ``list_changed_s``, ``detect_s``, ``reroute_s`` are seconds after ``at_s`` until the API's list,
  the first view (nodes of the load balancer, rules of a node, list of an nginx worker) and the last
  one follow; the last attempt that was sent to a dead pod counts for ``reroute_s`` if it is later.
  None: nobody follows. With replications they are means over those in which somebody does. A node
  that was down learns what it missed when it is back, with nobody to reroute until then: where the
  last view is as late as that, the last attempt counts alone (without one, the first view).
* ``dead`` counts attempts and connections sent to pods that took none, from the first to the last
  of them, over all replications. A pod's whole count goes to the latest change before the first of
  them that concerns the pod, or to the latest of all where none does (missing routes).
* ``recover_s``: seconds until the windows are again as they were before the first change, up to
  the next change or the end of arrivals. None: not by then, or there is too little to tell.

"As before" compares windows (by arrival) with the settled ones that end before the first change of
the timeline: no window from there on has a larger share of failures than the worst of those; the
window and all that follow taken together have a p99 and a max/mean of the pods' requests within
10 % of theirs taken together, or at most the largest of them, which is what chance does to one.
Max/mean is here over the pods that got something, so that pods out of the lists do not count.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import numpy as np

from lbbench.core.histogram import quantile_ns
from lbbench.model.tally import RunShape, Tally

WITHIN = 1.1  # of the figure before: domain of the measure "time to recover"
FEWEST = 100  # requests that a p99 needs on either side
P99 = 0.99
EDGE = 1e-9  # of a window: a change on the edge between two belongs to the later

Figure = Callable[[slice], float]


class _Level(NamedTuple):
    """How high a figure may be to count as before."""

    figure: Figure
    most: float


def change_blocks(
    y: Tally, shapes: Sequence[RunShape], warmup_s: float
) -> tuple[dict[str, Any], ...]:
    """Return the changes of a run in their order; nothing without a timeline.

    Parameters
    ----------
    y
        The merged counts of the replications with ``shapes``.
    warmup_s
        The windows before count from there.
    """
    happened = list(zip(*(shape.changes for shape in shapes), strict=False))
    if not happened:
        return ()
    dead = _sent_to_dead(y, happened)
    recovered = _Recovery(y, shapes[0].window_s, happened[0][0].at, warmup_s)
    times = [notes[0].at for notes in happened]
    found = []
    for notes, lost in zip(happened, dead, strict=True):
        at = notes[0].at
        later = min((time for time in times if time > at), default=None)
        back = _next_of_node(happened, notes[0])
        ends = [
            note.first_view_at if back <= (note.last_view_at or 0.0) else note.last_view_at
            for note in notes
        ]
        last = _mean_after(at, ends)
        if last is not None and lost["to_s"] is not None:
            last = max(last, lost["to_s"] - at)
        found.append(
            {
                "at_s": at,
                "what": notes[0].text,
                "list_changed_s": _mean_after(at, [note.list_changed_at for note in notes]),
                "detect_s": _mean_after(at, [note.first_view_at for note in notes]),
                "reroute_s": last,
                "recover_s": _not_before(recovered.after(at, later), lost["to_s"], at, later),
                "dead": lost,
            }
        )
    return tuple(found)


def _not_before(
    recovered: float | None, dead_until: float | None, at: float, later: float | None
) -> float | None:
    """Return how long after ``at`` all is as before: not while something is sent to dead pods."""
    if recovered is None or dead_until is None:
        return recovered
    found = max(recovered, dead_until - at)
    return None if later is not None and at + found > later else found


def _next_of_node(happened: Sequence[Sequence[Any]], note: Any) -> float:
    """Return when the next change of the same node happens, inf: there is none."""
    later = [other[0] for other in happened if other[0].at > note.at]
    return min((n.at for n in later if set(n.nodes) & set(note.nodes)), default=np.inf)


def _mean_after(at: float, times: Sequence[float | None]) -> float | None:
    known = [time - at for time in times if time is not None]
    return sum(known) / len(known) if known else None


def _sent_to_dead(y: Tally, happened: Sequence[Sequence[Any]]) -> list[dict[str, Any]]:
    """Return what was sent to dead pods, each pod's at the change that it is put down to."""
    concerned = [{pod for note in notes for pod in note.pods} for notes in happened]
    pods_of: list[list[int]] = [[] for _ in happened]
    for pod in np.flatnonzero(y.pod_dead).tolist():
        before = [k for k, notes in enumerate(happened) if notes[0].at <= y.pod_dead_first[pod]]
        own = [k for k in before if pod in concerned[k]]
        if before:
            pods_of[(own or before)[-1]].append(pod)
    return [
        {
            "attempts": int(y.pod_dead[pods].sum()),
            "from_s": float(y.pod_dead_first[pods].min()) if pods else None,
            "to_s": float(y.pod_dead_last[pods].max()) if pods else None,
        }
        for pods in pods_of
    ]


class _Recovery:
    """Finds when windows are as they were before ``first_at`` seconds."""

    def __init__(self, y: Tally, width: float, first_at: float, warmup_s: float) -> None:
        self.y = y
        self.width = width
        used = np.flatnonzero(y.window_offered)
        self.used = int(used[-1]) + 1 if len(used) else 0
        end = min(self._window(first_at), self.used)
        begin = int(np.ceil(warmup_s / width - EDGE))
        before = slice(begin if begin < end else 0, end)
        self.levels: list[_Level] = []
        self.is_known = int(y.window_counts[before].sum()) >= FEWEST
        if not self.is_known:
            return
        windows = [i for i in range(before.start, end) if y.window_offered[i]]
        self.failing = max(self._failing(i) for i in windows)
        figures = [self._p99] + ([self._max_over_mean] if y.window_pods.shape[1] else [])
        for figure in figures:
            most = max(figure(slice(i, i + 1)) for i in windows)
            self.levels.append(_Level(figure, max(WITHIN * figure(before), most)))

    def after(self, at: float, later: float | None) -> float | None:
        """Return how long after ``at`` all is as before, if it is until ``later`` (None: end)."""
        first = self._window(at)
        end = self.used if later is None else min(self._window(later), self.used)
        if not self.is_known or first >= end:
            return None
        bad = [i for i in range(first, end) if self._failing(i) > self.failing]
        for i in range(bad[-1] + 1 if bad else first, end):
            if int(self.y.window_counts[i:end].sum()) < FEWEST:
                return None
            if all(
                level.figure(slice(i, to)) <= level.most
                for level in self.levels
                for to in (i + 1, end)
            ):
                return max(round(i * self.width, 9) - at, 0.0)
        return None

    def _window(self, time: float) -> int:
        return int(time / self.width + EDGE)

    def _failing(self, i: int) -> float:
        offered = int(self.y.window_offered[i])
        return int(self.y.window_failed[i]) / offered if offered else 0.0

    def _p99(self, windows: slice) -> float:
        counts = self.y.window_counts[windows].sum(axis=0)
        return float(quantile_ns(counts, P99, fine=False)) if counts.any() else 0.0

    def _max_over_mean(self, windows: slice) -> float:
        counts = self.y.window_pods[windows].sum(axis=0)
        some = counts[counts > 0]
        return float(some.max() / some.mean()) if len(some) else 0.0

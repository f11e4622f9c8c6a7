"""kube-proxy: when each node's rules follow the list in the API.

A change reaches a node's kube-proxy after a watch delay of its own; a sync starts then, but not
before `min_sync_period` has passed since the last one, and installs what has arrived until then. It
takes RULE_COST for each rule. A sync also happens every SYNC_PERIOD, at each node's own phase; with
nothing new it only counts as the last one. A node that is down keeps its rules in the dark; when it
boots its kube-proxy reads the whole list at once.
"""

from __future__ import annotations

import math
from bisect import bisect_right

import numpy as np

from lbbench.core.rng import uniform
from lbbench.engines.timeline.cluster import Endpoints
from lbbench.engines.timeline.policy import NodeRules, Policy
from lbbench.engines.timeline.track import NOBODY, Notes, Track, periods

WATCH_DELAY = 0.1  # seconds; a change reaches a node after U(0, this): a choice of the model
SYNC_PERIOD = 30.0  # seconds; kube-proxy's iptables syncPeriod
RULE_COST = 20e-6  # seconds per rule of a restore, the middle of 10 to 50 us: a choice of the model
RULES_PER_ENDPOINT = 2  # the jump in the service's chain and the endpoint's own DNAT


def node_rules(
    lists: Track[Endpoints],
    up: Track[bool],
    policy: Policy,
    node: int,
    *,
    rng: np.ndarray,
    min_sync_period: float,
    horizon: float,
) -> Track[NodeRules]:
    """Return what the rules of ``node`` say over time.

    Parameters
    ----------
    lists, up
        What the API lists; when the node is up.
    rng
        The node's stream: one draw for the phase, then one for each change of the list.
    """
    proxy = _KubeProxy(lists, policy, node, uniform(rng) * SYNC_PERIOD, min_sync_period)
    arrivals: list[float] = []
    for time in lists.times[1:]:
        arrived = time + uniform(rng) * WATCH_DELAY
        arrivals.append(max([arrived, *arrivals[-1:]]))  # a watch delivers in order
    for begin, end in periods(up, horizon):
        known = lists.index(begin)
        if begin > -math.inf:
            proxy.install(known, begin, end, up.notes[up.index(begin)])
        while known < len(arrivals) and arrivals[known] < end:
            start = proxy.start(arrivals[known])
            if start >= end:
                break
            known = bisect_right(arrivals, start)
            proxy.install(known, start, end, NOBODY)
    return proxy.rules


class _KubeProxy:
    """The kube-proxy of one node."""

    def __init__(
        self,
        lists: Track[Endpoints],
        policy: Policy,
        node: int,
        phase: float,
        min_sync_period: float,
    ) -> None:
        self.lists = lists
        self.policy = policy
        self.node = node
        self.phase = phase
        self.min_sync_period = min_sync_period
        self.rules = Track(policy.rules(lists.values[0], node))
        self.installed = 0  # number of the list
        self.last = phase - SYNC_PERIOD  # begin of the last sync
        self.done = self.last

    def start(self, arrival: float) -> float:
        """Return when the sync begins that installs what arrives at ``arrival``."""
        tick = self.phase + math.floor((arrival - self.phase) / SYNC_PERIOD) * SYNC_PERIOD
        if tick > self.last:
            periodic = max(tick, self.last + self.min_sync_period)
            if periodic >= arrival:  # it has been waiting and takes the news along
                return max(periodic, self.done)
            self.last = periodic
        return max(arrival, self.last + self.min_sync_period, self.done)

    def install(self, number: int, start: float, end: float, notes: Notes) -> None:
        """Install list ``number`` from ``start`` on, unless the node is down by its end."""
        found = self.policy.rules(self.lists.values[number], self.node)
        self.last = start
        self.done = start + RULE_COST * RULES_PER_ENDPOINT * len(found.listed)
        if self.done < end:
            news = self.lists.notes[self.installed + 1 : number + 1]
            self.rules.put(self.done, found, notes.union(*news))
            self.installed = number

"""A node's kube-proxy in tests: a balancer of layer 4 with its list and open connections."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from feeding import NO_TRIES

from lbbench.balancers.base import Balancer, Endpoint
from lbbench.core.rng import stream, wrapping

NO_IDS = np.zeros(0, np.int64)


class Node:
    """One node: endpoint i is 10.244.0.(10 + i):80, all are listed at first."""

    def __init__(self, balancer: Balancer, weights: Sequence[int], **options: Any) -> None:
        self.balancer = balancer
        ends = [Endpoint(f"10.244.0.{10 + i}:80", weight) for i, weight in enumerate(weights)]
        with wrapping():
            self.state = balancer.state(balancer.options(options), ends)
        self.rng = stream(3, 0, "kube_proxy", "node-0")
        self.open = np.zeros(len(weights), np.int64)  # by id
        self.listed = NO_IDS
        self.change(*range(len(weights)))

    def change(self, *ids: int) -> None:
        """Let the node list these endpoints."""
        new = np.array(ids, np.int64)
        with wrapping():
            if self.balancer.on_endpoints is not None:
                self.balancer.on_endpoints(self.state, self.rng, self.listed, new, 0.0)
        self.listed = new

    def pick(self, client: int = 1, *, port: int = 0, now: float = 0.0, opens: bool = False) -> int:
        """Return the id that a new connection gets, -1 for none; it stays open with ``opens``."""
        key = 65536 * client + port if self.balancer.by_port else client
        with wrapping():
            place = self.balancer.pick(
                self.state, self.rng, now, key, self.open[self.listed], NO_TRIES
            )
        if place < 0:
            return -1
        endpoint = int(self.listed[place])
        self.open[endpoint] += int(opens)
        return endpoint

    def picks(self, count: int, **given: Any) -> list[int]:
        """Return the ids of several connections of one client."""
        return [self.pick(**given) for _ in range(count)]

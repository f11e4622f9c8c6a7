"""Antagonists: other tenants of the machines, who take cores from the pods now and then.

Each pod has a stream and a process of its own, from its creation to its end: it is disturbed for an
exponential time of mean `lasting`, when it works at `speed` times its own speed, and left alone for
an exponential time of mean lasting (1 - share) / share. So at any time, also at first, it is
disturbed with probability `share`. Nothing of it depends on the requests: every balancer meets the
same antagonists.

The model is that of the isolation failures that B. Wydrowski and others, "Load is not what you
should balance: Introducing Prequal", NSDI 2024, balance against, in its simplest form.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from functools import partial

import numpy as np

from lbbench.core.rng import stream, uniform
from lbbench.engines.timeline.cluster import Cluster, PodState
from lbbench.engines.timeline.condition import Conditions
from lbbench.errors import ScenarioError
from lbbench.model.cluster import Antagonist

Next = Callable[[PodState, np.ndarray], None]

MOST_SPELLS = 2_000_000  # each is two steps that are kept while the run lasts


class Antagonists:
    """Disturbs the pods of a cluster; without ``spec`` none.

    Raises
    ------
    ScenarioError
        When so many spells are to come up to ``horizon`` (seconds) that they would fill the memory.
    """

    def __init__(
        self,
        cluster: Cluster,
        conditions: Conditions,
        spec: Antagonist | None,
        *,
        seed: int,
        replication: int,
        horizon: float,
    ) -> None:
        self.cluster = cluster
        self.conditions = conditions
        self.spec = spec
        self.seed = seed
        self.replication = replication
        if spec is None:
            return
        spells = len(cluster.pods) * horizon * spec.share / spec.lasting
        if spells > MOST_SPELLS:
            raise ScenarioError(
                f"cluster.pod.antagonist: about {spells:.2g} spells would disturb the pods in "
                f"{horizon:.5g} s, more than {MOST_SPELLS:.2g}; let them last longer, or make the "
                "run shorter"
            )
        for pod in cluster.pods:
            self.begin(pod)

    def begin(self, pod: PodState) -> None:
        """Disturb ``pod`` from now on, now and then."""
        if self.spec is None:
            return
        rng = stream(self.seed, self.replication, "timeline", f"antagonist {pod.name}")
        if uniform(rng) < self.spec.share:
            self._disturb(pod, rng)
        else:
            self._leave_alone(pod, rng)

    def _disturb(self, pod: PodState, rng: np.ndarray) -> None:
        assert self.spec is not None
        self._set(pod, self.spec.speed)
        self._after(self.spec.lasting, pod, rng, self._leave_alone)

    def _leave_alone(self, pod: PodState, rng: np.ndarray) -> None:
        assert self.spec is not None
        self._set(pod, 1.0)
        quiet = self.spec.lasting * (1.0 - self.spec.share) / self.spec.share
        self._after(quiet, pod, rng, self._disturb)

    def _set(self, pod: PodState, pressure: float) -> None:
        pod.pressure = pressure
        self.conditions.refresh(pod)

    def _after(self, mean: float, pod: PodState, rng: np.ndarray, then: Next) -> None:
        if pod.gone > self.cluster.now:
            wait = -mean * math.log1p(-uniform(rng))
            self.cluster.at(self.cluster.now + wait, partial(then, pod, rng))

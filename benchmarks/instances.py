"""One instance of a balancer by itself: its state, its loop of picks, how well it spreads."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from lbbench.core.rng import wrapping
from lbbench.studies.league.pick_cost import NOBODY, OUTSTANDING, PickLoop, state_of

__all__ = ["NOBODY", "OUTSTANDING", "Instance", "Quality", "state_of"]


class Quality(NamedTuple):
    """How a balancer spreads keys over endpoints."""

    max_over_mean: float  # of the picks per endpoint
    cov: float  # their coefficient of variation
    moved: float | None  # share of keys that move when one endpoint leaves; None: not by key
    least: float | None  # the share that has to: that of the endpoint that leaves


class Instance(PickLoop):
    """A balancer that lists ``size`` endpoints, its loop compiled."""

    def quality(self) -> Quality:
        """Return the balance of the last picks, and what moves when the first endpoint leaves."""
        counts = np.bincount(self.chosen, minlength=self.size)
        before = self.chosen.copy()
        balance = float(counts.max() / counts.mean()), float(counts.std() / counts.mean())
        if self.balancer.on_endpoints is None or not self._goes_by_key(before):
            return Quality(*balance, None, None)
        self.change(np.arange(self.size), np.arange(1, self.size))
        busy, self.busy = self.busy, np.zeros(self.size - 1, np.int64)
        self.away.fill(-1)
        self.run()
        moved = float(np.mean(before != self.chosen + 1))  # positions begin with endpoint 1 now
        self.change(np.arange(1, self.size), np.arange(self.size))
        self.busy = busy
        self.busy.fill(0)
        self.away.fill(-1)
        return Quality(*balance, moved, float(np.mean(before == 0)))

    def _goes_by_key(self, before: np.ndarray) -> bool:
        """Tell whether a key gets the same endpoint when its turn is another one."""
        self.keys = np.roll(self.keys, 1)
        self.run()
        self.keys = np.roll(self.keys, -1)
        return bool(np.array_equal(np.roll(before, 1), self.chosen))

    def change(self, old: np.ndarray, new: np.ndarray) -> None:
        """Tell the balancer of another list, as the readable engine does."""
        if self.balancer.on_endpoints is not None:
            with wrapping():
                self.balancer.on_endpoints(self.state, self.rng, old, new, 0.0)

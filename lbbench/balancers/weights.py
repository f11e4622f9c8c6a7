"""Expected shares of balancers that give each endpoint its part of the weights."""

from __future__ import annotations

from typing import Any

import numpy as np


def weight_shares(state: Any, n: int) -> np.ndarray:
    """Return the share of the weights of each of the ``n`` listed endpoints, float64[n].

    ``state`` has the fields ``weight`` (int64[E] by id) and ``ids`` (int64[E] by position).
    """
    weights = state.weight[state.ids[:n]]
    return weights / weights.sum()

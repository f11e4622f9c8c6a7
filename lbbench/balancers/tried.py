"""The places where a request's earlier attempts have failed, as balancers that avoid them ask."""

from __future__ import annotations

import numpy as np


def is_tried(tried: np.ndarray, place: int) -> bool:
    """Tell whether ``place`` is among the positions ``tried`` (int64[T], few)."""
    for k in range(len(tried)):  # noqa: SIM110  (compiled code has no generators)
        if tried[k] == place:
            return True
    return False

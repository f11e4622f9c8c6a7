"""The latency of a run in the percentile format (``.hgrm``) of the HDR histogram tools."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from lbbench.core.histogram import hgrm
from lbbench.model.tally import Tally


def percentiles_text(tallies: Sequence[Tally], first: int) -> str:
    """Return the percentiles of all replications together, from segment ``first`` on, in ms."""
    kept = [tally.latency_counts[first:].sum(axis=0) for tally in tallies]
    return hgrm(np.sum(kept, axis=0))

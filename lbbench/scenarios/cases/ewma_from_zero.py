"""ewma that lets a newcomer begin with the score 0 instead of the mean of the others.

The newcomer has the lowest score, so it wins whenever it is among the two drawn. It keeps it for
about the decay time even if it answers at once: an answer moves the score by 1 - exp(-dt / 10 s),
and dt is short. (An *absent* score is another matter: the first answer would be taken whole.)
Everything else is the balancer `ewma`. Origin: kubernetes/ingress-nginx pull request 3709, which
brought the mean.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from lbbench.balancers.ewma import EWMA, EwmaState
from lbbench.balancers.ewma import on_endpoints as with_mean


def on_endpoints(
    state: EwmaState, rng: np.ndarray, old: np.ndarray, new: np.ndarray, now: float
) -> None:
    """Take a new list as ewma does, then set those that came to 0, as of now."""
    with_mean(state, rng, old, new, now)
    for k in range(len(new)):
        came = len(old) > 0
        for j in range(len(old)):
            if old[j] == new[k]:
                came = False
        if came:
            state.known[new[k]] = 1
            state.value[new[k]] = 0.0
            state.touched[new[k]] = now


from_zero = replace(
    EWMA,
    name="ewma_from_zero",
    summary="ewma without slow start: newcomers begin with the score 0",
    on_endpoints=on_endpoints,
)

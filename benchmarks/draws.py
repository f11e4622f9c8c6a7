"""Exponential draws inside a compiled loop: the ziggurat with 256 layers.

Plain Python that numba compiles. One draw in 90 leaves the first line of the loop, so a draw costs
little more than the 64 bits it is made of.

References
----------
G. Marsaglia and W. W. Tsang, "The Ziggurat Method for Generating Random Variables", Journal of
Statistical Software 5 (2000).
"""

from __future__ import annotations

import math

import numpy as np

from lbbench.core.rng import TO_UNIT, U11, next_u64, uniform

LAYERS = 256
TAIL = 7.69711747013104972  # where the lowest layer ends (Marsaglia and Tsang: r)
AREA = 3.949659822581572e-3  # of each layer (v)
LAYER_BITS = np.uint64(LAYERS - 1)
U1 = np.uint64(1)


def _edges() -> np.ndarray:
    """Return the right edge of every layer, float64[257]; the lowest one counts its tail too."""
    edge = np.zeros(LAYERS + 1)
    edge[0] = AREA * math.exp(TAIL)
    edge[1] = TAIL
    for i in range(2, LAYERS):
        edge[i] = -math.log(math.exp(-edge[i - 1]) + AREA / edge[i - 1])
    return edge


EDGE = _edges()
HEIGHT = np.array([math.exp(-x) for x in EDGE])


def exponential(rng: np.ndarray) -> float:
    """Draw from the exponential distribution of mean 1; ``rng`` is uint64[4]."""
    while True:
        drawn = next_u64(rng)
        layer = drawn & LAYER_BITS
        x = float(drawn >> U11) * TO_UNIT * EDGE[layer]
        if x < EDGE[layer + U1]:
            return x
        if layer == 0:
            return TAIL - math.log(1.0 - uniform(rng))
        step = HEIGHT[layer + U1] - HEIGHT[layer]
        if HEIGHT[layer] + uniform(rng) * step < math.exp(-x):
            return x

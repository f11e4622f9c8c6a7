"""SQ(d) at 1000 pods against the mean-field fixed point, within 1 %: a long run.

The share of pods with k requests or more is rho^((d^k - 1) / (d - 1)) for infinitely many pods
(Mitzenmacher 2001), so a request takes sum_k rho^((d^k - 1)/(d - 1)) / rho service times on
average, and by PASTA finds the shortest of d queues. One worker and no delays make `jsq_d`
(the pods' true numbers) and `p2c` (the worker's own, which are all) exactly that.

Found by `pytest -m long tests/test_power_of_d.py`: +0.05 % and +0.07 % at load 0.8 and 0.9, -0.01 %
at 0.5, the same for both; 1 to 3 minutes each.
"""

from __future__ import annotations

import pytest
from test_engine_theory import FIRST, SERVICE, outcome

from lbbench.stats import theory
from lbbench.stats.latency import at_or_below, counts_from

PODS = 1000
REQUESTS = 20_000_000
CLOSE = 0.01


@pytest.mark.long
@pytest.mark.parametrize("load", [0.5, 0.8, 0.9])
@pytest.mark.parametrize("name", ["p2c", "jsq_d"])
def test_two_choices_among_a_thousand_pods_are_the_fixed_point(name, load):
    """Mean response, and by Little's law the mean number at a pod: the sum of the tails."""
    found = outcome(name, pods=PODS, load=load, requests=REQUESTS)
    tails, law = theory.power_of_d(load, 2)
    y = found.tally
    mean = y.latency_sum[FIRST:].sum() / y.completed[FIRST:].sum() / 1e9 / SERVICE
    assert mean == pytest.approx(law.mean, rel=CLOSE)
    assert load * mean == pytest.approx(sum(tails[1:]), rel=CLOSE)
    counts = counts_from(y, FIRST)
    above = 1.0 - at_or_below(counts, law.quantile(0.99) * SERVICE) / counts.sum()
    assert above == pytest.approx(0.01, rel=0.03)

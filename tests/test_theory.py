"""Theory: every closed form against figures that another program computed another way.

``data/oracles.json`` comes from a program that shares no line with `lbbench.stats.theory`: it takes
other routes (60-digit alternating series for M/D/1, convolutions for balls in bins, truncated sums
for power of d), and was itself checked by Monte Carlo. Its values are rounded to ten decimals.
"""

from __future__ import annotations

import json
import math
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from lbbench.stats import theory

ENTRIES = json.loads((Path(__file__).parent / "data" / "oracles.json").read_text())["entries"]
ROUNDING = 6e-11  # half a unit of the tenth decimal, and some
PERCENT = {"p50": 0.5, "p90": 0.9, "p95": 0.95, "p99": 0.99, "p99.9": 0.999}


def _law(law: theory.Response, names: Any) -> dict[str, float]:
    found = {"mean": law.mean, "mean_wait": law.mean_wait}
    return found | {name: law.quantile(p) for name, p in PERCENT.items() if name in names}


def _mm1(v: Any, rho: float) -> dict[str, float]:
    law = theory.mm1(rho)
    inside = {"mean_in_system": rho * law.mean, "var_sojourn": law.mean**2}
    return _law(law, v) | inside


def _mmc(v: Any, c: int, rho: float) -> dict[str, float]:
    return _law(theory.mmc(c, rho), v) | {"erlang_c": theory.erlang_c(c, c * rho)}


def _mm1k(_: Any, rho: float, K: int) -> dict[str, float]:  # noqa: N803
    refused, mean, throughput = theory.mm1k(rho, K)
    return {"blocking": refused, "mean_accepted": mean, "throughput": throughput}


def _pk(_: Any, rho: float, scv: float, **__: Any) -> dict[str, float]:
    wait = theory.mg1_mean_wait(rho, scv)
    return {"mean_wait": wait, "mean": 1.0 + wait}


def _md1(_: Any, rho: float) -> dict[str, float]:
    wait = theory.md1_wait_survival(rho)
    return {
        "p_no_wait": 1.0 - wait(0.0),
        "wait_p90": theory._quantile(wait, 0.9),
        "wait_p99": theory._quantile(wait, 0.99),
    }


def _round_robin(v: Any, rho: float, N: int) -> dict[str, float]:  # noqa: N803
    sigma, law = theory.round_robin(rho, N)
    return _law(law, v) | {"sigma": sigma}


def _dm1(v: Any, rho: float) -> dict[str, float]:
    sigma, law = theory.dm1(rho)
    return _law(law, v) | {"sigma": sigma}


def _power(v: Any, rho: float, d: int) -> dict[str, float]:
    tails, law = theory.power_of_d(rho, d)
    padded = [*tails, *([0.0] * 6)]
    return _law(law, v) | {f"s{i}": padded[i] for i in range(1, 7)}


def _shortest(v: Any, rho: float, N: int, d: int, tie: str) -> dict[str, float]:  # noqa: N803
    assert tie == "random"
    cap = {(2, 2): 120, (3, 3): 40, (3, 2): 40, (4, 4): 24, (4, 2): 26}[N, d]
    idle, law = theory.shortest_queue(N, rho, d, cap)
    return _law(law, v) | {"p_idle_join": idle}


def _balls(_: Any, K: int, N: int) -> dict[str, float]:  # noqa: N803
    low, chance = theory.largest_count(K, N)
    mean = low + float((1.0 - chance).sum())
    return {
        "mean_max": mean,
        "mean_max_over_fair": mean * N / K,
        "p50_max": low + int(np.argmax(chance >= 0.5)),
        "p99_max": low + int(np.argmax(chance >= 0.99)),
        "sd_one_node": theory.random_cov(N, K) * K / N,
        "p_node_empty": theory.all_tries_fail(N, N - 1, K, replacement=True),
    }


def _zipf(_: Any, K: int, s: float) -> dict[str, float]:  # noqa: N803
    w = theory.zipf_weights(K, s)
    square = float((w * w).sum())
    found = {"sum_w2": square, "effective_clients": 1.0 / square, "top_client_share": w[0]}
    return found | {f"cv_share_N{n}": theory.hashed_cov(w, n) for n in (4, 16, 64)}


def _ring(_: Any, v: int, N: int) -> dict[str, float]:  # noqa: N803
    largest, smallest = theory.ring_extremes(v, N)
    return {
        "cv": theory.ring_cov(v, N),
        "share_p1_over_fair": theory.ring_share(v, N, 0.01),
        "share_p99_over_fair": theory.ring_share(v, N, 0.99),
        "mean_max_over_fair": largest,
        "p99_max_over_fair": theory.ring_largest(v, N, 0.99),
        "mean_min_over_fair": smallest,
    }


def _clustered(_: Any, C: int, mean_R: int, scv_R: float, N: int) -> dict[str, float]:  # noqa: N803
    return {
        "cv_share": theory.per_connection_cov(C, scv_R, N),
        "cv_share_per_request": theory.random_cov(N, C * mean_R),
    }


def _retry(_: Any, N: int, down: int, tries: int) -> dict[str, float]:  # noqa: N803
    return {
        "p_fail": theory.all_tries_fail(N, down, tries, replacement=False),
        "p_fail_with_replacement": theory.all_tries_fail(N, down, tries, replacement=True),
    }


COMPUTED: dict[str, Callable[..., dict[str, float]]] = {
    "M/M/1 sojourn": _mm1,
    "M/M/1 asymptotic variance": lambda _, rho: {"sigma2": theory.mm1_wait_spread(rho)},
    "M/M/c (": _mmc,
    "M/G/c/c loss": lambda _, c, offered: {"blocking": theory.erlang_b(c, offered)},
    "M/M/1/K": _mm1k,
    "M/G/1 FIFO mean": _pk,
    "M/G/1-PS": lambda _, rho: {"mean": theory.mg1_ps_mean(rho), "slowdown": 1.0 / (1.0 - rho)},
    "M/D/1 waiting": _md1,
    "round robin of Poisson": _round_robin,
    "D/M/1": _dm1,
    "power of d choices": _power,
    "JSQ, N pods": _shortest,
    "power of 2 distinct": _shortest,
    "K equal clients": _balls,
    "Zipf(s)": _zipf,
    "consistent-hash ring": _ring,
    "share of keys that move": lambda _, N: {  # noqa: N803
        "ring_or_maglev_ideal": theory.moved_by_ring(N),
        "modulo": theory.moved_by_modulo(N),
    },
    "per-connection random": _clustered,
    "fan-out": lambda _, fanout: {
        "p99": theory.fan_out(0.99, fanout),
        "p9999": theory.fan_out(0.9999, fanout),
    },
    "retry on a different": _retry,
}
NOT_HERE = "ingress-nginx EWMA weight"  # the balancer's own arithmetic, held to Lua's vectors


def _model(entry: Any) -> str | None:
    return next((name for name in COMPUTED if entry["model"].startswith(name)), None)


def test_all_but_the_balancers_own_entries_are_computed():
    """316 of the 322 entries are held to; the other six are one balancer's decay, not theory."""
    assert len(ENTRIES) == 322
    left = Counter(e["model"].startswith(NOT_HERE) for e in ENTRIES if _model(e) is None)
    assert left == {True: 6}


def _tolerance(entry: Any, name: str, wanted: float) -> float:
    """Return what the entry's own method can tell: rounding, a cut state space, Monte Carlo."""
    values = entry["values"]
    if "truncation_mass_max" in values and name in {"mean", "mean_wait"}:
        # Little's law over all arrivals, the entry's way, leaves out those that the cut refuses:
        # up to N edge states of at most this mass (rounded), each worth the cut length.
        n = entry["params"]["N"]
        return n * 121 * (values["truncation_mass_max"] + ROUNDING)
    if name in {"mean_max_over_fair", "mean_min_over_fair"} and "se_mean_max" in values:
        # z = 5 over 42 values: a false alarm once in 40 000. The smallest varies less than the
        # largest, whose standard error stands in the entry.
        return 5.0 * values["se_mean_max"]
    if name == "p99_max_over_fair":
        # Standard error of a Monte Carlo quantile, sqrt(p (1 - p) / n) over the density, and the
        # density by the slope of the law itself; (1 - p) / 2 of the level is the formula's own.
        v, n = entry["params"]["v"], entry["params"]["N"]
        draws = 200_000 if n <= 16 else 20_000
        slope = (theory.ring_largest(v, n, 0.992) - theory.ring_largest(v, n, 0.988)) / 0.004
        return slope * (5.0 * math.sqrt(0.99 * 0.01 / draws) + 0.01**2 / 2)
    return 3e-10 * abs(wanted) + ROUNDING


def _large(entry: Any) -> bool:
    """Tell whether the Markov chain has more than 20 000 states: seconds per entry."""
    return "truncation_mass_max" in entry["values"] and entry["params"]["N"] == 4


@pytest.mark.parametrize("model", list(COMPUTED))
def test_closed_forms_equal_independent_figures(model):
    """Every value of every entry of this model is met to the entry's own precision."""
    _hold([e for e in ENTRIES if _model(e) == model and not _large(e)])


@pytest.mark.long
def test_large_chains_equal_independent_figures():
    """The four entries of four pods are met too."""
    large = [e for e in ENTRIES if _large(e)]
    assert len(large) == 4
    _hold(large)


def _hold(entries: list[Any]) -> None:
    for entry in entries:
        found = COMPUTED[_model(entry)](entry["values"], **entry["params"])
        for name, wanted in entry["values"].items():
            if name in {"truncation_mass_max", "se_mean_max"}:
                continue
            got = found[name]
            assert abs(got - wanted) <= _tolerance(entry, name, wanted), (
                f"{entry['model']} {entry['params']} {name}: {got!r}, wanted {wanted!r}"
            )


def test_md1_waits_keep_their_digits_where_the_series_loses_them():
    """At load 0.95 and 100 service times Erlang's series cancels; the exponential tail does not.

    For large t, P(wait > t + 1) / P(wait > t) tends to exp(-eta), eta the root of
    rho (exp(eta) - 1) = eta.
    """
    wait = theory.md1_wait_survival(0.95)
    eta = theory._root(lambda x: 0.95 * math.expm1(x) - x, 1e-6, 1.0)
    assert wait(101.0) / wait(100.0) == pytest.approx(math.exp(-eta), rel=1e-9)


def test_poisson_arrivals_make_gm1_an_mm1():
    """With an exponential transform sigma is the load."""
    sigma, law = theory.gm1(lambda z: 0.7 / (0.7 + z))
    assert sigma == pytest.approx(0.7, rel=1e-11)
    assert law.mean == pytest.approx(theory.mm1(0.7).mean, rel=1e-11)


@pytest.mark.parametrize("rho", [0.3, 0.5, 0.8])
def test_balancers_keep_their_order(rho):
    """At equal load a central queue beats the shortest queue, which beats two choices and turns."""
    central = theory.mmc(3, rho).mean
    shortest = theory.shortest_queue(3, rho, 3, 30)[1].mean
    two = theory.shortest_queue(3, rho, 2, 30)[1].mean
    turns = theory.round_robin(rho, 3)[1].mean
    split = theory.mm1(rho).mean
    assert central < shortest < min(two, turns)
    assert max(two, turns) < split


def test_noise_floor_bounds_the_exact_largest_share():
    """The handy formula for the largest share by chance is met by the exact law within 10 %."""
    low, chance = theory.largest_count(10_000, 16)
    exact = (low + float((1.0 - chance).sum())) * 16 / 10_000
    assert theory.random_max_over_mean(16, 10_000) == pytest.approx(exact, rel=0.1)

"""The bare loop of the benchmarks does the job it is timed for: laws, C's answers, no shortcut."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest

from benchmarks import bare, programs
from benchmarks.bare import SERVICE_S, Bare, lazy, retire
from benchmarks.draws import exponential
from benchmarks.instances import Instance
from benchmarks.interleaved import interleaved, medians, spread
from benchmarks.sizes import for_pods
from lbbench.balancers.base import registry
from lbbench.balancers.ewma import done as ewma_done
from lbbench.balancers.ewma import score as ewma_score
from lbbench.core.jit import bind
from lbbench.core.rng import stream, wrapping
from lbbench.engines.parts import no_feedback
from lbbench.inputs.yaml import load

FALSE_ALARM = 1e-6
HDR = 2.0**-10
"""A quantile is the highest value of its place: at most this share too high."""

draw: Any = None  # bound by `bind`


def many(rng, out):
    """Fill ``out`` with draws."""
    for i in range(out.size):
        out[i] = draw(rng)


def half_width(values: np.ndarray) -> float:
    """Return half the t interval of the mean of independent values, at `FALSE_ALARM`."""
    from scipy.stats import t

    n = len(values)
    return float(t.ppf(1 - FALSE_ALARM / 2, n - 1) * values.std(ddof=1) / math.sqrt(n))


def found_by(balancer: str, pods: int, requests: int, seeds: int, utilisation: float) -> np.ndarray:
    """Return mean and p99 of every seed in mean service times, float64[seeds, 2]."""
    loop = Bare(balancer, pods)
    runs = [loop.run(requests, seed=seed, utilisation=utilisation) for seed in range(seeds)]
    return np.array([[run.mean_s, run.p99_s] for run in runs]) / SERVICE_S


def found_in_c(
    balancer: str, pods: int, requests: int, seeds: int, utilisation: float
) -> np.ndarray:
    """Return the same of the C program; skip where there is no compiler."""
    try:
        runs = [programs.j1(balancer, pods, requests, 100 + k, utilisation) for k in range(seeds)]
    except programs.Unavailable as reason:
        pytest.skip(str(reason))
    return np.array([[run["mean"], run["p99"]] for run in runs])


def test_draws_are_exponential():
    """Four million draws pass Kolmogorov-Smirnov: a mistake in the one slow draw of 90 shows.

    The tail, one draw in 2 202, has its own line and its own count, within 5 standard deviations.
    """
    from scipy.stats import kstest

    out = np.zeros(4_000_000)
    bind(many, draw=exponential)(stream(1, 0, "test", "draws"), out)
    assert kstest(out, "expon").pvalue > FALSE_ALARM
    beyond = np.count_nonzero(out > 7.69711747013104972)
    expected = len(out) * math.exp(-7.69711747013104972)
    assert abs(beyond - expected) < 5 * math.sqrt(expected)


@pytest.mark.parametrize("found", [found_by, found_in_c], ids=["lbbench", "C"])
def test_one_pod_is_mm1(found):
    """Sojourn in M/M/1 is exponential of mean 1 / (1 - load): at load 0.5 mean 2, p99 2 ln 100."""
    values = found("random", 1, 50_000, 20, 0.5)
    for column, exact, rounding in ((0, 2.0, 0.0), (1, 2.0 * math.log(100), HDR)):
        tolerance = half_width(values[:, column]) + rounding * exact
        assert abs(values[:, column].mean() - exact) < tolerance


@pytest.mark.parametrize("found", [found_by, found_in_c], ids=["lbbench", "C"])
def test_round_robin_is_an_erlang_queue(found):
    """Each of 4 pods gets every 4th arrival: E4/M/1, whose sojourn is exponential of rate 1 - s.

    s is the root in 0 .. 1 of s = A(1 - s), A the transform of Erlang(4) gaps at load 0.8:
    (3.2 / (3.2 + x))^4.
    """
    s = 0.5
    for _ in range(200):
        s = (3.2 / (3.2 + 1.0 - s)) ** 4
    values = found("round_robin", 4, 100_000, 20, 0.8)
    for column, exact, rounding in (
        (0, 1 / (1 - s), 0.0),
        (1, math.log(100) / (1 - s), HDR),
    ):
        tolerance = half_width(values[:, column]) + rounding * exact
        assert abs(values[:, column].mean() - exact) < tolerance


@pytest.mark.parametrize("balancer", ["p2c", "ewma"])
def test_c_finds_the_same(balancer):
    """Mean and p99 of both programs differ by no more than their intervals together."""
    ours = found_by(balancer, 16, 100_000, 24, 0.8)
    theirs = found_in_c(balancer, 16, 100_000, 24, 0.8)
    for column, rounding in ((0, 0.0), (1, HDR)):
        a, b = ours[:, column], theirs[:, column]
        tolerance = half_width(a) + half_width(b) + rounding * a.mean()
        assert abs(a.mean() - b.mean()) < tolerance


def looked_at_all(state, endpoint, now):
    """Retire at every pod before a score is read."""
    for pod in range(len(state.first)):
        retire(state, pod, now)
    return ewma_score(state, endpoint, now)


def counted_at_all(state, busy, position, now):
    """Retire at every pod before a number of requests is read."""
    for pod in range(len(state.first)):
        retire(state, pod, now)
    return int(busy[position])


@pytest.mark.parametrize("balancer", ["p2c", "ewma"])
def test_lazy_retirement_sees_what_an_eager_one_sees(balancer):
    """Looking at all pods before every read gives the same histogram, to the last count."""
    parts = (
        {"pick": registry()["ewma"].pick, "done": ewma_done, "score": looked_at_all}
        if balancer == "ewma"
        else {"pick": registry()["p2c"].pick, "done": no_feedback, "outstanding": counted_at_all}
    )
    loop = Bare(balancer, 7)
    found = loop.run(20_000, utilisation=0.9)
    arguments = loop._arguments(20_000, 1, 0.9)
    with wrapping():
        assert bind(lazy, **parts)(*arguments) == 20_000
    assert np.array_equal(found.counts, arguments[-5])
    assert found.counts.sum() == 20_000


def test_a_run_without_room_says_so(monkeypatch):
    """An overloaded run stops with a sentence and does not write beyond its arrays."""
    monkeypatch.setattr(bare, "POOL_PER_POD", 8)
    with pytest.raises(RuntimeError, match=r"p2c on 4 pods: after .* more than 8 per pod"):
        Bare("p2c", 4).run(100_000, utilisation=2.0)


# --- what stands around it ------------------------------------------------------------------------


def test_only_the_lost_share_moves_on_a_ring():
    """The quality of chash: what moves when an endpoint leaves is exactly its share."""
    instance = Instance("chash", 16, 20_000)
    instance.run()
    quality = instance.quality()
    assert quality.moved == quality.least > 0


def test_what_goes_by_turns_has_no_remap():
    """Round robin gives every endpoint the same number of picks and looks at no key."""
    instance = Instance("round_robin", 16, 16_000)
    instance.run()
    assert instance.quality() == (1.0, 0.0, None, None)


def test_measures_take_turns():
    """Each round meets every measure once, every other round in the opposite order."""
    calls: list[str] = []

    def measure(name: str):
        def call() -> float:
            calls.append(name)
            return float(len(calls))

        return call

    found = interleaved({"a": measure("a"), "b": measure("b")}, 3)
    assert calls == ["a", "b", "b", "a", "a", "b"]
    assert medians(found) == {"a": 4.0, "b": 3.0}
    assert spread([1.0, 2.0, 5.0]) == 1.0


def test_without_a_compiler_there_is_a_reason(monkeypatch):
    """What compares with C is left out with a sentence where gcc is missing."""
    monkeypatch.setattr(programs.shutil, "which", lambda _name: None)
    with pytest.raises(programs.Unavailable, match="gcc is not installed"):
        programs.build.__wrapped__("j1")
    assert programs.compiler() == "none"


@pytest.mark.parametrize("pods", [16, 4096])
@pytest.mark.parametrize("job", ["ingress", "service", "closed"])
def test_the_jobs_are_scenarios(job, pods):
    """Every job is valid, with as many pods as asked."""
    changes = [f"{path}={value}" for path, value in for_pods(job, pods).items()]
    scenario = load(f"benchmarks/jobs/{job}.yaml", changes)
    assert scenario.cluster.pods == pods

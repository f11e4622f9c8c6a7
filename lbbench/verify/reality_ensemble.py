"""Free-running predictions of a recorded run: many simulated runs of its trace, five statistics.

The balancer's draws, source ports, path delay and jitter are another in every replication, so what
they give is what the run could have been; one simulated run is never compared with one measured.

Latency: mean, p50, p90, p99 of the answered requests. A statistic m passes when

    |ln m - mean of ln| is at most z s sqrt(1 + 1/k) + ln(1 + (0.5 ms + 0.5 % of m) / m)

over k replications with mean and standard deviation s of the logarithms, z = 4.2: for five
statistics of each of the 46 recorded runs that leaves chance below 1 % to fail any. The last term
is what timers and wake-ups of the machine cost beside the model. The z of a row is what is left of
the distance after that term.

Share: the largest distance of a pod's share from its mean in the ensemble, for a replication from
the mean of the others. It passes when ln is at most z s sqrt(1 + 1/k) above the mean of ln; one
request is added to both, the least that a share can be off.

A skewed ensemble (skewness of ln beyond 4.2 of its standard errors sqrt(6/k): few connections, one
busy pod) is judged by its own tail instead: the chance of a value as far out, from the order of the
replications and beyond the outermost tenth from an exponential tail of ln (Hill's estimate), turned
into the z of a normal law with that chance, and held against the same 4.2.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np

from lbbench.balancers.base import find
from lbbench.model.scenario import Scenario
from lbbench.studies.run import replication
from lbbench.verify.experiment import Experiment, Numbers, Sample
from lbbench.verify.reality_reading import SCENARIO, Recording

Z = 4.2
SLACK_S = 0.5e-3
SLACK_SHARE = 0.005
QUANTILES = {"p50": 50.0, "p90": 90.0, "p99": 99.0}
LATENCIES = ("mean", *QUANTILES)
SHARE = "share"
TAIL = 0.1
"""Share of the replications that the tail is fitted to."""
AT_ONCE = 8
"""Replications that a worker does in one go: about a second of work."""


@dataclass(frozen=True)
class Row:
    """One measure of one recorded run with its verdict.

    Attributes
    ----------
    name, repeat
        The run.
    statistic
        ``mean``, ``p50``, ``p90``, ``p99`` (seconds), ``share``; for exact checks what is claimed.
    measured
        Of the real run.
    mean, sd
        Of the ensemble; None for exact checks.
    z
        Standard deviations of ln between them; None for exact checks.
    passed
        The verdict.
    limit
        What is allowed: the largest |z| for statistics, a text for exact checks.
    note
        What a reader has to know, such as a judgement by the ensemble's own tail.
    """

    name: str
    repeat: int
    statistic: str
    measured: float
    mean: float | None
    sd: float | None
    z: float | None
    passed: bool
    limit: str = ""
    note: str = ""

    @property
    def verdict(self) -> Literal["pass", "fail"]:
        """Return the verdict as a word."""
        return "pass" if self.passed else "fail"

    def to_dict(self) -> dict[str, Any]:
        """Return the row as the document has it."""
        return {
            "name": self.name,
            "repeat": self.repeat,
            "statistic": self.statistic,
            "measured": self.measured,
            "mean": self.mean,
            "sd": self.sd,
            "z": self.z if self.z is None or math.isfinite(self.z) else None,
            "verdict": self.verdict,
            "limit": self.limit,
            "note": self.note,
        }


@dataclass(frozen=True)
class Replayed:
    """The measure of one experiment: simulate its trace once more, keep the statistics."""

    folder: Path
    changes: tuple[str, ...] = ()

    def __call__(self, seed: int, number: int) -> Numbers:
        """Return the statistics of replication ``number``, which has a seed of its own."""
        from lbbench.inputs.yaml import load

        scenario = load(self.folder / SCENARIO, [f"run.seed={seed + number}", *self.changes])
        outcome = replication(scenario, 0, record=True).outcomes[0]
        records = outcome.records
        assert records is not None, "asked for"
        answered = records["error"] == -1
        latency = (records["end"] - records["arrival"])[answered]
        return statistics(latency, records["pod"][answered], len(outcome.shape.pods))


def statistics(latency: np.ndarray, pod: np.ndarray, pods: int) -> Numbers:
    """Return mean and percentiles of ``latency`` (seconds), and the shares float64[pods]."""
    found = {name: float(np.percentile(latency, q)) for name, q in QUANTILES.items()}
    shares = np.bincount(pod, minlength=pods) / len(pod)
    return {"mean": float(latency.mean()), **found, "shares": shares, "n": len(pod)}


def ensemble_of(recording: Recording, replications: int) -> Experiment:
    """Return what has to be simulated for a recording; its repeats share it."""
    return Experiment(
        name=recording.name,
        measure=Replayed(recording.folder, posted_order(recording.scenario)),
        replications=replications,
        at_once=AT_ONCE,
        kernel=_kernel(recording),
    )


def posted_order(scenario: Scenario) -> tuple[str, ...]:
    """Return the change of a scenario that lets its list have the order of its pods.

    Recorded lists were posted in that order, lbbench's are by address as text: it matters where
    a balancer has an option ``order`` and the scenario leaves it open.
    """
    stage = scenario.stages.ingress
    if scenario.path == "service" or "order" not in find(stage.balancer, scenario.folder).params:
        return ()
    if "order" in stage.options or scenario.timeline:
        return ()
    addresses = [pod["address"] for pod in scenario.resolved()["cluster"]["pods"]]
    rank = {address: k for k, address in enumerate(sorted(addresses))}
    return (f"stages.ingress.options.order={[rank[address] for address in addresses]}",)


def _kernel(recording: Recording) -> str:
    from lbbench.studies.warm import kernels_of

    return kernels_of(recording.scenario.resolved())


def judged(recording: Recording, sample: Sample) -> list[Row]:
    """Return the verdicts on the five statistics of a recording."""
    pods = sample["shares"].shape[1]
    answered = recording.answered
    measured = statistics(recording.latency[answered], recording.pod[answered], pods)
    rows = [_latency(recording, name, measured[name], sample[name]) for name in LATENCIES]
    return [*rows, _share(recording, measured["shares"], sample["shares"])]


def _latency(recording: Recording, name: str, measured: float, values: np.ndarray) -> Row:
    logs = np.log(values)
    distance = math.log(measured) - float(logs.mean())
    slack = math.log1p((SLACK_S + SLACK_SHARE * measured) / measured)
    beyond = math.copysign(max(abs(distance) - slack, 0.0), distance)
    z, note = _distance(logs, beyond)
    return Row(
        recording.name,
        recording.repeat,
        name,
        measured,
        float(values.mean()),
        float(values.std(ddof=1)),
        z,
        abs(z) <= Z,
        f"|z| <= {Z}",
        note,
    )


def _share(recording: Recording, measured: np.ndarray, shares: np.ndarray) -> Row:
    k = len(shares)
    others = (shares.sum(axis=0) - shares) / (k - 1)
    values = np.abs(shares - others).max(axis=1)
    found = float(np.abs(measured - shares.mean(axis=0)).max())
    least = 1.0 / len(recording)
    logs = np.log(values + least)
    z, note = _distance(logs, math.log(found + least) - float(logs.mean()))
    return Row(
        recording.name,
        recording.repeat,
        SHARE,
        found,
        float(values.mean()),
        float(values.std(ddof=1)),
        z,
        z <= Z,
        f"z <= {Z}",
        note,
    )


def _distance(logs: np.ndarray, distance: float) -> tuple[float, str]:
    """Return (z of a distance from the mean of ``logs``, how it was found when not the usual way).

    Where all replications agree, z is 0 for no distance and infinite for any.
    """
    k, sd = len(logs), float(logs.std(ddof=1))
    if sd < 1e-12:
        return (0.0 if abs(distance) < 1e-12 else math.copysign(math.inf, distance)), "no scatter"
    centred = logs - logs.mean()
    skewness = float((centred**3).mean() / (centred**2).mean() ** 1.5)
    if abs(skewness) <= Z * math.sqrt(6.0 / k):
        return distance / (sd * math.sqrt(1.0 + 1.0 / k)), ""
    sign = 1.0 if distance >= 0.0 else -1.0
    p = tail_chance(sign * centred, sign * distance)
    from scipy.stats import norm

    return sign * max(float(norm.isf(p)), 0.0), f"by the ensemble's own tail: chance {p:.2g}"


def tail_chance(values: np.ndarray, x: float) -> float:
    """Return the chance that another of ``values`` is at least ``x``, by order and a Hill tail."""
    ordered = np.sort(values)
    k = len(ordered)
    m = max(int(TAIL * k), 2)
    start = ordered[k - m - 1]
    if x <= start:
        return float((1 + (ordered >= x).sum()) / (k + 1))
    scale = float((ordered[k - m :] - start).mean())
    return (m + 1) / (k + 1) * math.exp(-(x - start) / scale)

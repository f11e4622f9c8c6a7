"""What a latency is made of, what the warm-up leaves, what a histogram keeps."""

from __future__ import annotations

from functools import partial
from typing import Any

import numpy as np

from lbbench.core.histogram import FINE_BITS
from lbbench.engines.recording import OPENING
from lbbench.model.check import build
from lbbench.studies.run import run
from lbbench.verify.chance import Found, certain, mean_is
from lbbench.verify.checks.setups import SERVICE, cited, ingress_path, no_faults, service_path
from lbbench.verify.experiment import Experiment, Numbers, Ran, Sample, Simulated, run_once
from lbbench.verify.oracles import oracle
from lbbench.verify.suite import Check

PARTS = "Latency: connects, round trips, work"
KEPT = "Warm-up and percentiles"

CLIENT, SAME, CROSS = 0.01, 0.001, 0.004  # round trips, seconds
CPU, WORK = 0.0005, 0.002
NODES = 3

PODS = 20
CUT, LENGTH = 32.0, 64.0  # seconds: a run has 64 segments of one second
ASKED = 31.5  # rounded up to a segment
BUSY, CALM, UNTIL = 1.5, 0.5, 8.0  # load at first and from 8 s on


def checks() -> list[Check]:
    """Return the checks on times."""
    return [*_latency(), *_warmup(), *_percentiles()]


def _latency() -> list[Check]:
    of = Experiment(
        "latencies",
        Simulated(
            ingress_path(
                "round_robin",
                nodes=NODES,
                pods=5,
                load=0.02,
                work={"distribution": "deterministic", "mean": f"{WORK:g}s"},
                cluster={
                    "ingress": {
                        "replicas": "per_node",
                        "workers": 2,
                        "cpu_per_request": f"{CPU:g}s",
                    },
                    "network": {
                        "client_rtt": f"{CLIENT:g}s",
                        "same_node_rtt": f"{SAME:g}s",
                        "cross_node_rtt": f"{CROSS:g}s",
                    },
                },
                ingress={"keepalive": {"upstream": 0}},
                traffic={"arrivals": {"process": "deterministic"}},
                run={"requests": 5000, "warmup": "0s"},
            ),
            sums_of_parts,
            record=True,
        ),
        replications=2,
        kernel="ingress, round_robin",
    )
    source = "model: a connect costs a round trip, a request and its answer half of one each"
    return [
        Check(
            "latency-served",
            PARTS,
            "requests that are not served by the sum of their connects, ways and work",
            source,
            of,
            no_faults,
        ),
        Check(
            "latency-mean",
            PARTS,
            "mean latency against the sum of all parts of the ways taken (ms)",
            source,
            of,
            partial(_equal, "latency", "expected"),
        ),
        Check(
            "latency-connect",
            PARTS,
            "mean time to connect, client and worker, against that of the ways taken (ms)",
            source,
            of,
            partial(_equal, "connect", "round_trips"),
        ),
    ]


def _equal(name: str, other: str, sample: Sample) -> Found:
    """Judge two means in milliseconds; each latency is rounded to a nanosecond."""
    found, expected = (1e3 * float(sample[key].mean()) for key in (name, other))
    return certain(found, expected, int(sample["compared"].sum()), within=1e-6)


def sums_of_parts(run: Ran) -> Numbers:
    """Return how many requests are served at another time than their way says, and the means."""
    rows, shape, y = run.outcome.records, run.outcome.shape, run.outcome.tally
    assert rows is not None
    at_pod = np.array(shape.pod_node)[rows["pod"]]
    outer = CLIENT + np.where(rows["node"] == rows["replica"], SAME, CROSS)  # a replica per node
    inner = np.where(rows["replica"] == at_pod, SAME, CROSS)
    served = 1.5 * outer + CPU + 1.5 * inner + WORK
    off = np.abs(rows["end"] - rows["arrival"] - served)  # the records end with the service
    return {
        "faults": (off > 1e-9).sum(),
        "compared": len(off),
        "latency": y.latency_sum.sum() / 1e9 / len(off),
        "expected": (served + 0.5 * outer + 0.5 * inner).mean(),
        "connect": y.part_sum[OPENING].sum() / 1e9 / len(off),
        "round_trips": (outer + inner).mean(),
    }


def _warmup() -> list[Check]:
    theory = oracle("M/M/1 sojourn", rho=CALM)
    of = Experiment("warm-up", after_overload, replications=12, at_once=4, kernel="service, steady")
    return [
        Check(
            "warmup-mean",
            KEPT,
            f"mean response at load {CALM} after {UNTIL:g} s of load {BUSY}, warm-up cut",
            cited(theory),
            of,
            lambda sample: mean_is(sample["mean"], theory["mean"]),
        ),
        Check(
            "warmup-requests",
            KEPT,
            f"requests counted beside those that came after {CUT:g} s, {ASKED:g} s rounded up",
            "a given warm-up is rounded up to one of 64 segments",
            of,
            lambda sample: certain(
                float((sample["counted"] - sample["came"]).sum()), 0.0, int(sample["came"].sum())
            ),
        ),
    ]


def after_overload(seed: int, number: int) -> Numbers:
    """Return the mean response of a result and how many requests are in it.

    The overload leaves 4 s of work at every pod, which is done by 16 s; 16 s are 800 service times
    and 68 relaxation times.
    """
    scenario = service_path(pods=PODS, run={"duration": f"{LENGTH:g}s", "warmup": f"{ASKED:g}s"})
    del scenario["traffic"]["utilisation"]
    steps = [[f"{at:g}s", f"{load * PODS / SERVICE:g}/s"] for at, load in _steps()]
    scenario["traffic"]["arrivals"] = {"process": "steps", "steps": steps}
    checked = build(scenario, place="verify", changes=[("run.seed", seed + number)])
    result = run(checked)
    rows = run_once(scenario, seed + number, record=True).outcome.records
    assert rows is not None
    return {
        "mean": result.latency_s["mean"] / SERVICE,
        "counted": result.latency_s["n"],
        "came": (rows["arrival"] >= CUT).sum(),
    }


def _steps() -> list[tuple[float, float]]:
    return [(0.0, BUSY), (UNTIL, CALM)]


def _percentiles() -> list[Check]:
    of = Experiment("percentiles", exact_percentiles, replications=2, kernel="service, steady")
    return [
        Check(
            "percentiles-exact",
            KEPT,
            "percentiles of a result that are not within 1/1024 above those of all requests",
            "HDR histogram of 3 digits: the highest value of the place of rank ceil(p n)",
            of,
            no_faults,
        )
    ]


def exact_percentiles(seed: int, number: int) -> Numbers:
    """Return how many percentiles of a result are too far from the sorted latencies."""
    scenario = service_path(pods=PODS, load=0.8, run={"requests": 50_000, "warmup": "0s"})
    result = run(build(scenario, place="verify", changes=[("run.seed", seed + number)]))
    rows = run_once(scenario, seed + number, record=True).outcome.records
    assert rows is not None
    spent = np.sort(np.rint((rows["end"] - rows["arrival"]) * 1e9)) / 1e9
    levels: dict[str, Any] = {"p50": 500, "p90": 900, "p95": 950, "p99": 990, "p999": 999}
    ratios = [
        result.latency_s[name] / spent[-(-per_mille * len(spent) // 1000) - 1]
        for name, per_mille in levels.items()
    ]
    faults = [not 1.0 - 1e-12 <= ratio <= 1.0 + 2.0**-FINE_BITS for ratio in ratios]
    return {"faults": sum(faults), "compared": len(faults)}

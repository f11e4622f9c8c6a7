"""Retries: a request meets a pod that refuses, and goes on to another one, or does not."""

from __future__ import annotations

from functools import partial
from typing import Any

from lbbench.verify.chance import Found, certain, share_is
from lbbench.verify.checks.setups import SERVICE, cited, ingress_path
from lbbench.verify.experiment import Experiment, Numbers, Ran, Sample, Simulated
from lbbench.verify.oracles import oracle
from lbbench.verify.suite import Check

TOPIC = "Retries with one of four pods down"
PODS = 4
REQUESTS = 40_000


def checks() -> list[Check]:
    """Return the checks on retries."""
    made = []
    for tries in (1, 2, 3):
        theory = oracle("retry on a different random pod", N=PODS, down=1, tries=tries)
        made.append(
            Check(
                f"retry-random-{tries}",
                TOPIC,
                f"share that fails in {tries} {'try' if tries == 1 else 'tries'}, "
                "each pod drawn anew",
                cited(theory),
                _experiment("random", tries, replications=4),
                partial(_failed, theory["p_fail_with_replacement"]),
            )
        )
    theory = oracle("retry on a different random pod", N=PODS, down=1, tries=2)
    of = _experiment("ewma", 2, replications=2)
    return [
        *made,
        Check(
            "retry-excluded",
            TOPIC,
            "requests that fail in 2 tries where ewma leaves out the pod that refused",
            cited(theory),
            of,
            _none_failed,
        ),
        Check(
            "retry-attempts",
            TOPIC,
            "attempts beside one per request and one per refusal",
            "every refusal but a request's last is followed by one attempt",
            of,
            lambda sample: certain(
                float((sample["attempts"] - sample["offered"] - sample["refused"]).sum()),
                0.0,
                int(sample["offered"].sum()),
            ),
        ),
    ]


def _experiment(balancer: str, tries: int, *, replications: int) -> Experiment:
    scenario: dict[str, Any] = ingress_path(
        balancer,
        pods=PODS,
        ingress={"next_upstream": {"on": ["error"], "tries": tries}},
        run={"requests": REQUESTS, "warmup": f"{100 * SERVICE:g}s"},
    )
    scenario["timeline"] = [{"at": "0s", "pod": f"pod-{PODS - 1}", "fail": "refuse"}]
    return Experiment(
        f"retry {balancer} {tries}",
        Simulated(scenario, outcomes_of_tries),
        replications,
        kernel=f"ingress, {balancer}, changes",
    )


def outcomes_of_tries(run: Ran) -> Numbers:
    """Return the requests, those that fail, the attempts and how many of these are refused."""
    y = run.outcome.tally
    return {
        "offered": y.offered.sum(),
        "failed": y.failed.sum(),
        "attempts": y.pod_attempts.sum(),
        "refused": y.pod_errors.sum(),
    }


def _failed(expected: float, sample: Sample) -> Found:
    return share_is(int(sample["failed"].sum()), int(sample["offered"].sum()), expected)


def _none_failed(sample: Sample) -> Found:
    """None may fail; and some must have met the pod that refuses."""
    met = int(sample["refused"].sum())
    failed = int(sample["failed"].sum()) if met else int(sample["offered"].sum())
    return certain(float(failed), 0.0, met)

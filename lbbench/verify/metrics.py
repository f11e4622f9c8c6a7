"""What the cases measure about a cluster that stays as it is: shares, spreads, repetitions.

Each metric takes a finished run (`Ran`) and the parameters of the gallery; what happens over time
is measured in `over_time.py`. Shares are 0 .. 1, times in seconds.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from lbbench.model.topology import topology
from lbbench.studies.planning.plan import plan
from lbbench.verify.placements import counts
from lbbench.verify.ran import Ran

Found = float | list[float]


def shares(run: Ran, *, unit: str = "request", on: str = "pod") -> list[float]:
    """Return the share of the units that each target got."""
    held = counts(run, unit=unit, on=on).sum(axis=0)
    return [float(share) for share in held / held.sum()]


def shares_of_first(run: Ran, *, n: int, unit: str = "request") -> list[float]:
    """Return the shares of the units that the first ``n`` pods got, in the order of addresses.

    That is the order of the lists which balancers walk: addresses compared as texts.
    """
    addresses = [pod.address for pod in topology(run.scenario).pods]
    got = shares(run, unit=unit)
    return [got[i] for i in sorted(range(len(addresses)), key=addresses.__getitem__)[:n]]


def least_share(run: Ran, *, unit: str = "request", on: str = "pod") -> float:
    """Return the share of the idlest target."""
    return min(shares(run, unit=unit, on=on))


def sorted_shares(run: Ran, *, unit: str = "request", on: str = "pod") -> list[float]:
    """Return the shares of the units, the largest first."""
    return sorted(shares(run, unit=unit, on=on), reverse=True)


def sorted_counts(run: Ran, *, unit: str = "request", on: str = "pod") -> list[float]:
    """Return the units per target, the most first."""
    return sorted(counts(run, unit=unit, on=on).sum(axis=0).astype(float).tolist(), reverse=True)


def expected_shares(run: Ran, *, stage: str) -> list[float]:
    """Return the shares that the rules of a stage give, worked out from what they hold."""
    return [float(target["expected_share"]) for target in _stage(run, stage)["targets"]]


def p_value(run: Ran, *, stage: str) -> float:
    """Return the probability that counts as unlike the expected shares come by chance.

    NaN where the picks of the stage are no independent draws.
    """
    value = _stage(run, stage)["balance"]["p_value"]
    return float("nan") if value is None else float(value)


def _stage(run: Ran, name: str) -> dict[str, Any]:
    return next(dict(stage) for stage in run.result.stages if stage["name"] == name)


def used(run: Ran, *, unit: str = "request", on: str = "pod", size: int | None = None) -> float:
    """Return the mean number of targets that got something, over the groups."""
    held = counts(run, unit=unit, on=on, size=size)
    return float((held > 0).sum(axis=1).mean())


def most_used(run: Ran, *, unit: str, on: str = "pod", size: int) -> float:
    """Return the largest number of targets that a group used."""
    return float((counts(run, unit=unit, on=on, size=size) > 0).sum(axis=1).max())


def used_share(run: Ran, *, on: str = "pod") -> float:
    """Return the share of the targets that got requests."""
    held = counts(run, unit="request", on=on).sum(axis=0)
    return float((held > 0).mean())


def max_over_mean(run: Ran, *, on: str = "pod") -> float:
    """Return the requests of the busiest target over the mean of all."""
    held = counts(run, unit="request", on=on).sum(axis=0)
    return float(held.max() / held.mean())


def max_over_min(run: Ran, *, unit: str, on: str = "pod") -> float:
    """Return the units at the busiest target over those at the idlest."""
    held = counts(run, unit=unit, on=on).sum(axis=0)
    return float(held.max() / held.min()) if held.min() else float("inf")


def max_minus_min(run: Ran, *, on: str = "pod") -> float:
    """Return how many more requests the busiest target got than the idlest."""
    held = counts(run, unit="request", on=on).sum(axis=0)
    return float(held.max() - held.min())


def least(run: Ran, *, on: str = "pod") -> float:
    """Return the requests of the idlest target."""
    return float(counts(run, unit="request", on=on).sum(axis=0).min())


def max_share(run: Ran, *, unit: str, on: str = "pod", size: int | None = None) -> float:
    """Return the mean over the groups of the busiest target's share."""
    held = counts(run, unit=unit, on=on, size=size)
    return float((held.max(axis=1) / held.sum(axis=1)).mean())


def cv(run: Ran, *, unit: str = "connection", on: str, size: int) -> float:
    """Return the coefficient of variation of the targets' counts.

    The square root of the mean variance over the groups (over the targets, not the sample variance
    of one draw) over the mean: for a multinomial sqrt((k - 1) / size) exactly.
    """
    held = counts(run, unit=unit, on=on, size=size)
    return float(np.sqrt(held.var(axis=1).mean()) / held.mean())


def p_one_unused(run: Ran, *, unit: str, on: str = "pod", size: int) -> float:
    """Return the share of the groups that left at least one target without a unit."""
    held = counts(run, unit=unit, on=on, size=size)
    return float((held.min(axis=1) == 0).mean())


def p_unused(run: Ran, *, unit: str, on: str = "pod", size: int) -> float:
    """Return the probability that a given target gets none of a group's units."""
    held = counts(run, unit=unit, on=on, size=size)
    return float((held == 0).mean())


def p_all_on_one(run: Ran, *, unit: str, on: str, size: int) -> float:
    """Return the share of the groups that lie wholly on one target."""
    held = counts(run, unit=unit, on=on, size=size)
    return float((held.max(axis=1) == size).mean())


def p_more_than(run: Ran, *, cap: int, unit: str, on: str = "pod", size: int) -> float:
    """Return the share of the groups that put more than ``cap`` units on some target."""
    held = counts(run, unit=unit, on=on, size=size)
    return float((held.max(axis=1) > cap).mean())


def fewest(
    *runs: Ran, cap: int, chance: float, unit: str, size: int, on: str = "pod"
) -> float | None:
    """Return the fewest pods with which more than ``cap`` on one are rarer than ``chance``.

    ``runs`` differ in the number of pods alone; None: none of them has enough.
    """
    enough = [
        len(run.pods)
        for run in runs
        if p_more_than(run, cap=cap, unit=unit, on=on, size=size) < chance
    ]
    return min(enough, default=None)


def used_by_first_clients(run: Ran, *, clients: int, on: str = "pod") -> float:
    """Return the mean number of targets that the first ``clients`` clients of a node use.

    Nodes keep their lists of clients apart, so every node is one repetition.
    """
    found = []
    for requests in run.tables():
        node, client, place = requests["node"], requests["client"], requests[on]
        for number in np.unique(node[node >= 0]):
            here = np.flatnonzero(node == number)
            first = np.sort(np.unique(client[here], return_index=True)[1])
            if len(first) < clients:
                continue
            chosen = np.isin(client[here], client[here][first[:clients]])
            found.append(len(np.unique(place[here][chosen])))
    return float(np.mean(found))


def repeats(run: Ran, *, of: str = "run") -> float:
    """Return how often a request goes to the same pod as the one before it.

    The one before: of the whole ``run``, or of the same ``client``.
    """
    same, pairs = 0, 0
    for requests in run.tables():
        pod = requests["pod"]
        if of == "client":
            order = np.argsort(requests["client"], kind="stable")
            pod, client = pod[order], requests["client"][order]
            together = client[1:] == client[:-1]
        else:
            together = np.ones(len(pod) - 1, bool)
        same += int((pod[1:] == pod[:-1])[together].sum())
        pairs += int(together.sum())
    return same / pairs


def utilisation_ratio(run: Ran, *, pods: list[str]) -> float:
    """Return the utilisation of the first pod over that of the second."""
    busy = {pod["name"]: pod["utilisation"] for pod in run.result.pods}
    return float(busy[pods[0]] / busy[pods[1]])


def latency(run: Ran, *, figure: str) -> float:
    """Return a figure of the latency of answered requests: mean, p50, p99, ..."""
    value = run.result.metric(f"latency.{figure}")
    return float("nan") if value is None else value


def least_pods(run: Ran, *, slo: dict[str, str]) -> float:
    """Return the least number of pods that meets the objectives, as `lbbench plan` finds it.

    NaN where no number does.
    """
    found = plan(run.scenario, objective=slo, workers=1, engine=run.engine)
    return float("nan") if found.answer is None else float(found.answer)

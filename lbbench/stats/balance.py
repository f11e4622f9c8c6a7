"""How evenly, and how close to the rules, a stage spread its connections or requests."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np

from lbbench.model.tally import RunShape, Tally

NOT_RANDOM = "not random"
ENDPOINTS_CHANGED = "endpoints changed"
CANARY = "a canary takes part"
PODS_CHANGED = "not tested: pods changed"
FEW_EXPECTED = 5.0  # below this expected count the chi-square law is an approximation


@dataclass(frozen=True)
class Balance:
    """Every measure of balance of one stage; None where it is not defined.

    With counts x_i of n targets, m = sum x_i, expected shares t_i and expected counts E_i = m t_i.

    Attributes
    ----------
    max_over_mean, min_over_mean
        Largest and smallest x_i / E_i; 1 is perfect.
    cov
        Population standard deviation of x over its mean.
    jain
        (sum x)^2 / (n sum x^2) = 1 / (1 + cov^2).
    chi2, df, p_value
        sum (x_i - E_i)^2 / E_i, its degrees of freedom, the probability of a value as large.
    total_variation
        Half of sum |s_i - t_i|: the share of the traffic that is misplaced.
    note
        Why a measure is missing, or what to keep in mind; None when there is nothing to say.
    p_value_low
        The probability of a chi2 as *small*: near 0 the counts are more even than chance allows.
    g
        2 sum x_i ln(x_i / E_i), with the same law as chi2.
    kl
        sum s_i ln(s_i / t_i) in nats = g / (2 m).
    gini
        Mean absolute difference of two counts over twice the mean.
    """

    max_over_mean: float | None
    min_over_mean: float | None
    cov: float | None
    jain: float | None
    chi2: float | None
    df: int | None
    p_value: float | None
    total_variation: float | None
    note: str | None
    p_value_low: float | None
    g: float | None
    kl: float | None
    gini: float | None

    def as_dict(self) -> dict[str, Any]:
        """Return the measures by name, in the order of the result's schema."""
        return dict(vars(self))


def balance(
    counts: np.ndarray,
    expected: np.ndarray,
    *,
    random: bool,
    note: str = "",
    why: str = NOT_RANDOM,
    per_time: bool = False,
) -> Balance:
    """Return the measures of balance of ``counts`` against the shares that the rules promise.

    Parameters
    ----------
    counts : int64[n]
        Connections (layer 4) or requests (layer 7) per target. A chi-square test means something
        only when each of them was placed by a draw of its own: requests that share a connection
        were not, so layer 4 is tested per connection.
    expected : float64[n]
        Expected shares; scaled to sum to 1.
    random
        The placements are independent draws. Otherwise chi2 and its kin are None and the note says
        "not random": round robin lies far below any chance law, ewma and chash follow another one.
    note
        A remark of the caller, put before the ones made here.
    why
        What the note says when placements are no independent draws of one law.
    per_time
        ``expected`` is how long each target was there: cov, jain and gini are those of x_i / t_i,
        targets that were never there left out.
    """
    notes = [note] if note else []
    total = int(counts.sum())
    weight = float(expected.sum())
    if not random:
        notes.append(why)
    if total == 0 or weight <= 0.0:
        notes.append("nothing counted" if total == 0 else "no target is expected to get anything")
        return _nothing("; ".join(notes))
    x = counts.astype(np.float64)
    share = x / total
    target = expected / weight
    wanted = total * target
    listed = target > 0.0
    stray = int(counts[~listed].sum())
    spread = x[listed] / target[listed] / int(listed.sum()) if per_time else x
    cov = float(spread.std()) / float(spread.mean()) if spread.any() else None
    chi2 = low = high = g = None
    df = None
    if stray:
        gone = "were not there" if per_time else "the rules leave out"
        notes.append(f"{stray} went to targets that {gone}")
    else:
        g = _g(x[listed], wanted[listed])
    if random and not stray:
        chi2 = float((((x - wanted)[listed]) ** 2 / wanted[listed]).sum())
        df = int(listed.sum()) - 1
        low, high = _tails(chi2, df)
        if df == 0:
            notes.append("one target")
        elif float(wanted[listed].min()) < FEW_EXPECTED:
            notes.append("expected counts below 5: p-values are approximate")
    ratio = x[listed] / wanted[listed]
    return Balance(
        max_over_mean=float(ratio.max()),
        min_over_mean=float(ratio.min()),
        cov=cov,
        jain=None if cov is None else _jain(spread),
        chi2=chi2,
        df=df,
        p_value=high,
        total_variation=0.5 * float(np.abs(share - target).sum()),
        note="; ".join(notes) or None,
        p_value_low=low,
        g=g if random else None,
        kl=None if g is None else g / (2 * total),
        gini=None if cov is None else _gini(spread),
    )


def largest_over_mean(counts: np.ndarray, expected: np.ndarray) -> float | None:
    """Return the largest count over its expected count, None when there is none to compare."""
    total = int(counts.sum())
    listed = expected > 0.0
    if total == 0 or not listed.any():
        return None
    wanted = total * expected[listed] / float(expected.sum())
    return float((counts[listed] / wanted).max())


def rows_largest_over_mean(counts: np.ndarray, expected: np.ndarray) -> list[float | None]:
    """Return `largest_over_mean` of every row of ``counts`` against the same shares."""
    listed = expected > 0.0
    totals = counts.sum(axis=1)
    found: list[float | None] = [None] * len(counts)
    some = np.flatnonzero(totals) if listed.any() else totals[:0]
    wanted = totals[some, None] * expected[listed] / float(expected.sum())
    largest = (counts[some][:, listed] / wanted).max(axis=1, initial=0.0)
    for row, value in zip(some.tolist(), largest.tolist(), strict=True):
        found[row] = value
    return found


class _Stage(NamedTuple):
    """One stage of the path and where its counts stand in a tally."""

    name: str  # as in the result
    key: str  # as in RunShape
    unit: str
    targets: str  # field of RunShape
    connections: str | None  # fields of Tally
    requests: str


_AZURE = _Stage("azure_lb", "azure_lb", "connections", "nodes", "node_connections", "node_requests")
_PATHS = {
    "ingress": (
        _AZURE,
        _Stage("kube_proxy", "kube_proxy", "connections", "replicas", "replica_connections",
               "replica_requests"),
        _Stage("reuse_port", "reuse_port", "connections", "workers", "worker_connections",
               "worker_requests"),
        _Stage("ingress", "ingress", "requests", "pods", None, "pod_first"),
    ),
    "service": (
        _AZURE,
        _Stage("kube_proxy", "kube_proxy", "connections", "pods", "pod_connections", "pod_first"),
    ),
}  # fmt: skip


def stage_blocks(
    y: Tally, shape: RunShape, first: int, lasted: np.ndarray | None = None
) -> tuple[dict[str, Any], ...]:
    """Return the stages of the path in their order, the balance counted from segment ``first``.

    ``lasted`` float64[P] is how long each pod existed in that time; None: all of them all the time.
    """
    return tuple(_block(stage, y, shape, first, lasted) for stage in _PATHS[shape.path])


def why_changed(shape: RunShape, stage: str) -> str:
    """Return why the shares expected at the start of a run do not hold for a stage; "" if they do.

    A change of the cluster that no view follows leaves every list as it was, and a canary only adds
    to the pods of an ingress.
    """
    if not shape.lists_change:
        return ""
    if any(change.first_view_at is not None for change in shape.changes):
        return ENDPOINTS_CHANGED
    added = (shape.expected.get("ingress", np.ones(0)) == 0.0).any()
    return CANARY if stage == "ingress" and (added or not shape.changes) else ""


def _block(
    stage: _Stage, y: Tally, shape: RunShape, first: int, lasted: np.ndarray | None
) -> dict[str, Any]:
    """Return one stage: what each target got in the whole run, and the balance after the warm-up.

    Layer 7 counts first attempts, one per request: where a retry goes follows from where the first
    attempt failed. Long-lived connections are opened early; where fewer than five per target are
    left after the warm-up, the balance is that of the whole run, and says so. Where the lists
    change, no share is expected: balance is relative to the time that pods existed, equal else.
    """
    names = getattr(shape, stage.targets)
    requests = getattr(y, stage.requests)
    connections = None if stage.connections is None else getattr(y, stage.connections)
    counted = requests if connections is None else connections
    kept, note = counted[first:].sum(axis=0), ""
    if connections is not None and first and kept.sum() < FEW_EXPECTED * len(names):
        kept, note = counted.sum(axis=0), "whole run: few connections opened after the warm-up"
    changed = why_changed(shape, stage.key)
    expected = shape.expected.get(stage.key)
    per_time = bool(changed) and stage.targets == "pods" and lasted is not None
    if per_time:
        expected = lasted
    elif changed or expected is None:
        expected = np.full(len(names), 1.0 / max(len(names), 1))
    assert expected is not None
    opened = [None] * len(names) if connections is None else connections.sum(axis=0).tolist()
    whole = int(kept.sum())
    got, share = requests.sum(axis=0).tolist(), kept.tolist()
    targets = [
        {
            "name": name,
            "connections": opened[i],
            "requests": got[i],
            "share": share[i] / whole if whole else None,
            "expected_share": None if changed else float(expected[i]),
        }
        for i, name in enumerate(names)
    ]
    found = balance(
        kept,
        expected,
        random=stage.key in shape.random and not changed,
        note=note,
        why=changed or (PODS_CHANGED if shape.changes and shape.lists_change else NOT_RANDOM),
        per_time=per_time,
    )
    return {
        "name": stage.name,
        "balancer": shape.balancers.get(stage.key, stage.name),
        "unit": stage.unit,
        "targets": targets,
        "balance": found.as_dict(),
    }


def _nothing(note: str) -> Balance:
    return Balance(
        max_over_mean=None,
        min_over_mean=None,
        cov=None,
        jain=None,
        chi2=None,
        df=None,
        p_value=None,
        total_variation=None,
        note=note,
        p_value_low=None,
        g=None,
        kl=None,
        gini=None,
    )


def _jain(x: np.ndarray) -> float:
    return float(x.sum()) ** 2 / (len(x) * float((x * x).sum()))


def _g(x: np.ndarray, wanted: np.ndarray) -> float:
    """Return 2 sum x ln(x / E), with 0 ln 0 = 0; rounding may not make it negative."""
    some = x > 0.0
    return max(2.0 * math.fsum(x[some] * np.log(x[some] / wanted[some])), 0.0)


def _tails(chi2: float, df: int) -> tuple[float | None, float | None]:
    """Return the lower and the upper tail of the chi-square law, None without freedom."""
    if df < 1:
        return None, None
    from scipy.special import chdtr, chdtrc

    return float(chdtr(df, chi2)), float(chdtrc(df, chi2))


def _gini(x: np.ndarray) -> float:
    """Return sum |x_i - x_j| / (2 n^2 mean) in O(n log n): over sorted x the sum is linear."""
    n = len(x)
    rank = np.arange(1, n + 1)
    return max(float(((2 * rank - n - 1) * np.sort(x)).sum()) / (n * float(x.sum())), 0.0)

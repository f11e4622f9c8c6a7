"""What made these counts uneven? Shapes that field reports left, compared by likelihood.

Each cause predicts shares; how well it does is its likelihood, what it had to choose (which pod,
how hot) is charged as in the Bayesian information criterion (Kass and Raftery, 1995). What remains
are weights that add up to 1: how sure the answer is, among these causes. Counts alone cannot tell
causes apart that leave the same shape; those share an entry. ``cases`` are entries of the gallery
(docs/gallery.md).
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations, pairwise

import numpy as np

from lbbench.stats.fit import Design, log_likelihood, log_likelihood_clustered

L4 = ("azure_lb", "kube_proxy", "reuse_port")
L7 = ("ingress",)
ANY = (*L4, *L7)
MOST_HOT = 4
MOST_NODES = 4
MOST_PODS_BY_NODE = 200
A_LITTLE = 0.25
"""Coefficient of variation up to which pods of like speed differ under ewma."""

STICKS = 0.95
"""Share of a client's requests at one pod from which the client counts as held to it."""


@dataclass(frozen=True)
class Cause:
    """One explanation, with its weight among all."""

    name: str
    sentence: str
    cases: tuple[str, ...]
    weight: float
    shares: np.ndarray | None  # float64[n] that it predicts; None: not determined


@dataclass(frozen=True)
class _Shape:
    name: str
    sentence: str
    cases: tuple[str, ...]
    stages: tuple[str, ...]
    score: float  # log-likelihood less the charge
    shares: np.ndarray | None = None
    named: bool = False  # only where the stage is known


Counted = tuple[np.ndarray, np.ndarray, Sequence[str]]
"""Counts, expected shares, names; in the order of the names."""


def causes(
    counts: np.ndarray,
    expected: np.ndarray,
    names: Sequence[str],
    *,
    stage: str | None = None,
    design: Design | None = None,
    even: bool = False,
    refused: Mapping[str, int] | None = None,
) -> list[Cause]:
    """Return the causes that fit, the likeliest first; weights add up to 1.

    Parameters
    ----------
    counts : int64[n]
    expected : float64[n]
        Shares that sum to 1.
    names
        Of the targets.
    stage
        Where the counts come from; causes of other stages are left out. None: all are tried.
    design
        What is known of clients; one that holds clients to pods is a cause of its own.
    even
        The counts are too even: only a rotation explains them.
    refused
        Attempts at targets that have answered nothing, where the input tells them.
    """
    if even:
        return [_rotation(counts)]
    if refused:
        return [_refusing(refused)]
    held = _held(design, stage)
    if held is not None:
        return [held]
    order = sorted(range(len(names)), key=lambda i: _natural(names[i]))
    back = np.argsort(order)
    given: Counted = (counts[order], expected[order], [names[i] for i in order])
    shapes = [shape for make in SHAPES for shape in make(given)]
    shapes = [
        item for item in shapes if (not item.named if stage is None else stage in item.stages)
    ]
    best = max(item.score for item in shapes)
    by_name: dict[str, _Shape] = {}
    for item in shapes:
        known = by_name.get(item.name)
        if known is None or item.score > known.score:
            by_name[item.name] = item
    weights = {name: math.exp(max(item.score - best, -700.0)) for name, item in by_name.items()}
    whole = math.fsum(weights.values())
    found = [
        Cause(item.name, item.sentence, item.cases, weights[name] / whole,
              None if item.shares is None else item.shares[back])
        for name, item in by_name.items()
    ]  # fmt: skip
    return sorted(found, key=lambda item: -item.weight)


def _rotation(counts: np.ndarray) -> Cause:
    spread = int(counts.max() - counts.min())
    return Cause(
        "round robin",
        f"the targets take turns: the counts differ by {spread} at most, as a round robin of "
        f"{max(spread, 1)} or more counters (one per worker or node) leaves them",
        ("C06", "C54"),
        1.0,
        None,
    )


def _refusing(refused: Mapping[str, int]) -> Cause:
    names = _some([f"{name} ({n} attempts)" for name, n in refused.items()])
    return Cause(
        "a dead endpoint in the list",
        f"{names} was tried and answered nothing: the balancer still has it in its list, so its "
        "share of the first attempts fails and goes to the others",
        ("C29", "C76"),
        0.99,
        None,
    )


def _held(design: Design | None, stage: str | None) -> Cause | None:
    """Return the cause that clients are held to pods, if the counts by client show it."""
    if design is None or design.sticking is None or design.by_chance is None:
        return None
    if design.sticking < STICKS or design.by_chance > 1.0 - 2.0 * (1.0 - STICKS):
        return None
    what = "a hash of the address or a cookie" if stage in L7 else "affinity or a hash of addresses"
    return Cause(
        "clients are held to targets",
        f"{100 * design.sticking:.0f} % of the requests go to the target that their client has "
        f"most of (by chance {100 * design.by_chance:.0f} %): {what} holds each client, so a busy "
        "client, or many behind one NAT address, weigh on one target",
        ("C19", "C22", "C42", "C66"),
        0.99,
        None,
    )


def _chance(given: Counted) -> Iterator[_Shape]:
    counts, expected, _ = given
    text = "the rules alone: nothing but the shares that are expected"
    yield _Shape("chance", text, (), ANY, log_likelihood(counts, expected), expected)


def _dead(given: Counted) -> Iterator[_Shape]:
    counts, expected, names = given
    gone = counts == 0
    k, n = int(gone.sum()), len(counts)
    if not 0 < k < n:
        return
    shares = np.where(gone, 0.0, expected)
    shares = shares / shares.sum()
    score = log_likelihood(counts, shares)
    shown = _some([names[i] for i in np.flatnonzero(gone).tolist()])
    yield _Shape(
        "targets without traffic",
        f"{k} of {n} get nothing ({shown}) and the others share: not ready, refusing "
        "connections, or not in the list that the balancer has",
        ("C29", "C63", "C08"), ANY, score - _log_choose(n, k) - math.log(n), shares,
    )  # fmt: skip
    first = int(np.flatnonzero(~gone).max()) + 1
    if first == n - k and k > 1:
        yield _Shape(
            "only the first of the list",
            f"the first {first} of {n} in the order of their addresses share everything: a round "
            "robin that begins at the head of the list anew, after each sync or in each process",
            ("C01", "C03", "C05"), ANY, score - math.log(n), shares,
        )  # fmt: skip


def _hot(given: Counted) -> Iterator[_Shape]:
    """Yield one to four targets that take more than theirs, each with its own share."""
    counts, expected, names = given
    n, m = len(counts), float(counts.sum())
    ratio = counts / expected
    order = np.argsort(-ratio, kind="stable")
    for k in range(1, min(MOST_HOT, n - 1) + 1):
        top = order[:k]
        shares = _freed(counts, expected, top)
        if shares is None or ratio[top].min() <= m:
            continue
        score = log_likelihood(counts, shares) - _log_choose(n, k) - 0.5 * k * math.log(m)
        times = ratio[top] / ((m - counts[top].sum()) / (1.0 - expected[top].sum()) or 1.0)
        shown = _some([names[i] for i in top.tolist()])
        if k == 1 and counts[top[0]] > 0.9 * m:
            yield _Shape(
                "everything to one target",
                f"{shown} gets {100 * counts[top[0]] / m:.0f} %: affinity or a hash sees one "
                "address (NAT, a proxy), one connection carries all, or the others were not there",
                ("C34", "C37", "C48", "C53", "C61"), ANY, score, shares,
            )  # fmt: skip
        elif k == 1:
            if _is_double(counts[top[0]], expected[top[0]], m) and n > 2:
                yield _Shape(
                    "a pod that ewma always prefers",
                    f"{shown} gets twice its share, as often as one of two drawn pods can win: a "
                    "pod that fails fast, or a newcomer with the lowest score",
                    ("C10", "C12"), L7, score + 0.5 * math.log(m), shares,
                )  # fmt: skip
            yield _Shape(
                "one hot target",
                f"{shown} gets {times[0]:.1f} times what the others get, which are alike: a "
                "busy client, session or long connection is held by it, or the others came later",
                ("C19", "C35", "C49"), ANY, score, shares,
            )  # fmt: skip
        else:
            yield _Shape(
                "few hot targets",
                f"{shown} get {times.min():.1f} to {times.max():.1f} times what the others get, "
                "which are alike: few heavy sessions or long connections that stay where they are",
                ("C19", "C35", "C49"), ANY, score, shares,
            )  # fmt: skip


def _cold(given: Counted) -> Iterator[_Shape]:
    counts, expected, names = given
    n, m = len(counts), float(counts.sum())
    at = int(np.argmin(counts / expected))
    shares = _freed(counts, expected, np.array([at]))
    if shares is None or counts[at] == 0 or counts[at] >= m * expected[at]:
        return
    score = log_likelihood(counts, shares) - math.log(n) - 0.5 * math.log(m)
    text = (
        f"{names[at]} gets {100 * counts[at] / (m * expected[at]):.0f} % of its share, the others "
        "are alike: "
    )
    yield _Shape("a slow pod under ewma or least connections", text + "a slow pod that a balancer "
                 "which looks at answers or open requests avoids", ("C15", "C57"), L7, score,
                 shares)  # fmt: skip
    yield _Shape("a target that came later", text + "it was not there, or not ready, all the time "
                 "while long connections stayed with the others", ("C63", "C49", "C75"), L4, score,
                 shares)  # fmt: skip


def _local(given: Counted) -> Iterator[_Shape]:
    """Yield the division into nodes under policy Local that fits best: 1 / (nodes x pods)."""
    counts, expected, _ = given
    n = len(counts)
    if n > MOST_PODS_BY_NODE or np.ptp(expected) > 1e-9 or n < 3:
        return
    order = np.argsort(-counts, kind="stable")
    ordered = np.concatenate([[0], np.cumsum(counts[order])]).astype(np.float64)
    total = ordered[-1]
    best: tuple[float, tuple[int, ...]] | None = None
    for nodes in range(2, min(MOST_NODES, n - 1) + 1):
        if math.comb(n - 1, nodes - 1) > 20_000:
            break
        for cuts in combinations(range(1, n), nodes - 1):
            edges = (0, *cuts, n)
            sizes = [b - a for a, b in pairwise(edges)]
            if len(set(sizes)) == 1 or sizes != sorted(sizes):
                continue
            fit = -sum(
                (ordered[b] - ordered[a]) * math.log(nodes * (b - a)) for a, b in pairwise(edges)
            )
            ways = math.lgamma(n + 1) - sum(math.lgamma(size + 1) for size in sizes)
            if best is None or fit - ways > best[0]:
                best = (fit - ways, tuple(sizes))
    if best is None or total == 0:
        return
    score, sizes_found = best
    shares = np.empty(n)
    shares[order] = np.repeat([1 / (len(sizes_found) * s) for s in sizes_found], sizes_found)
    yield _Shape(
        "policy Local with unequal nodes",
        f"as {len(sizes_found)} nodes with {_numbers(sizes_found)} pods leave it under "
        "externalTrafficPolicy Local: every node gets the same, whatever the number of its pods",
        ("C43",), L4, score, shares,
    )  # fmt: skip


def _falling(given: Counted) -> Iterator[_Shape]:
    """Yield rules that all carry the same probability instead of 1/n, 1/(n-1), ..."""
    counts, expected, _ = given
    n = len(counts)
    if n < 3 or np.ptp(expected) > 1e-9:
        return
    p = 1.0 / n
    shares = p * (1.0 - p) ** np.arange(n)
    shares[-1] += 1.0 - shares.sum()
    for turned in (shares, shares[::-1]):
        yield _Shape(
            "equal probabilities in the rules",
            "the shares fall from rule to rule and the last takes the rest, as rules do that all "
            f"carry 1/{n} instead of 1/{n}, 1/{n - 1}, ...",
            ("C32",), ("kube_proxy",), log_likelihood(counts, turned) - math.log(2), turned,
        )  # fmt: skip


def _clustered(given: Counted) -> Iterator[_Shape]:
    counts, expected, _ = given
    score, worth = log_likelihood_clustered(counts, expected)
    score -= 0.5 * math.log(float(counts.sum()))
    what = "one connection (or client)" if worth < 1.5 else f"{worth:.0f} connections (or clients)"
    yield _Shape(
        "few long-lived connections",
        f"the counts scatter as if only {what} had been placed by chance, each with many requests",
        ("C35", "C46", "C09", "C61"), L4, score,
    )  # fmt: skip
    if (counts / counts.sum() / expected).std() > A_LITTLE:
        return
    yield _Shape(
        "a balancer that looks at answers",
        "the shares differ a little and by no pattern, as ewma leaves them: it prefers what "
        "answered quickly of late, so shares follow the pods' speed and the luck of their requests",
        ("C10", "C12", "C15"), L7, score, named=True,
    )  # fmt: skip


def _anything(given: Counted) -> Iterator[_Shape]:
    """Yield free shares for every target: what wins when no known shape fits."""
    counts, expected, _ = given
    shares = counts / counts.sum()
    charge = 0.5 * (len(counts) - 1) * math.log(float(counts.sum()))
    score = log_likelihood(counts, np.where(counts > 0, shares, expected * 1e-9)) - charge
    yield _Shape("none of the known shapes", "every target has a share of its own: weights in the "
                 "rules, unequal lifetimes of the targets, or several causes at once", (), ANY,
                 score, shares)  # fmt: skip


SHAPES: tuple[Callable[[Counted], Iterator[_Shape]], ...] = (
    _chance, _dead, _hot, _cold, _local, _falling, _clustered, _anything,
)  # fmt: skip


def _freed(counts: np.ndarray, expected: np.ndarray, top: np.ndarray) -> np.ndarray | None:
    """Return the shares when those of ``top`` are as counted and the rest divides what is left."""
    m = float(counts.sum())
    left = 1.0 - float(counts[top].sum()) / m
    rest = 1.0 - float(expected[top].sum())
    if rest <= 0.0:
        return None
    shares = expected * left / rest
    shares[top] = counts[top] / m
    return np.asarray(shares)


def _is_double(count: float, share: float, total: float) -> bool:
    """Tell whether a count is twice the expected one within three standard errors."""
    p = min(2.0 * share, 1.0)
    return bool(abs(count - total * p) <= 3.0 * math.sqrt(total * p * (1.0 - p)) + 1.0)


def _log_choose(n: int, k: int) -> float:
    return math.lgamma(n + 1) - math.lgamma(k + 1) - math.lgamma(n - k + 1)


def _natural(name: str) -> list[tuple[int, str]]:
    parts: list[tuple[int, str]] = []
    digits = ""
    for sign in f"{name}\0":
        if sign.isascii() and sign.isdigit():
            digits += sign
            continue
        if digits:
            parts.append((int(digits[:18]), ""))
            digits = ""
        parts.append((-1, sign))
    return parts


def _some(names: Sequence[str]) -> str:
    return ", ".join(names[:3]) + (f" and {len(names) - 3} more" if len(names) > 3 else "")


def _numbers(sizes: Sequence[int]) -> str:
    return ", ".join(map(str, sizes[:-1])) + f" and {sizes[-1]}"

"""The statistical checks as tables by topic, what fell in sentences, and the verdict on all."""

from __future__ import annotations

import itertools

from rich.console import Console
from rich.text import Text

from lbbench.report.layout import Grid
from lbbench.verify.judging import number_text
from lbbench.verify.suite import FAMILY_ERROR, Judged, Verification

COLUMNS = ("check", "claim", "observed", "expected", "± error", "p", "verdict")
SPARE = ("± error", "claim", "expected")
TEXTS = frozenset({"claim", "verdict"})
SIGNIFICANT = 0.001  # a smaller p-value is written as a power of ten


def show(found: Verification, console: Console) -> None:
    """Print a table per topic, a sentence for every claim that falls, and the count."""
    for topic, group in itertools.groupby(found.judged, key=lambda item: item.check.topic):
        console.print(Grid(topic, COLUMNS, [_row(item) for item in group], SPARE, TEXTS))
        console.print()
    for item in found.failed:
        console.print(Text(f"{item.check.id} fails: {sentence(item)}", style="red"))
    if found.failed:
        console.print()
    console.print(Text(summary(found)))


def sentence(item: Judged) -> str:
    """Return what a check that fails claims and what was found instead."""
    found, check = item.found, item.check
    if found is None:
        return f"{check.claim}: nothing was measured ({item.error})"
    told = (
        f"{check.claim}: expected {number_text(found.expected)}, "
        f"found {number_text(found.observed)}"
    )
    if found.test == "certain":
        return f"{told}, where nothing is left to chance; {check.source}"
    error = f" ± {found.standard_error:.2g}" if found.standard_error is not None else ""
    return f"{told}{error} from n = {found.n}, p = {p_text(found.p_value)}; {check.source}"


def summary(found: Verification) -> str:
    """Return how many checks there were, what they were held against, and the verdict."""
    n, chances = len(found.judged), found.left_to_chance
    verdict = "all pass" if found.passed else f"{len(found.failed)} fail"
    level = ""
    if chances:
        level = (
            f" {chances} have a p-value, held against {FAMILY_ERROR:.0%} together "
            f"(Holm; the smallest against {found.level:.2g}); "
            f"{n - chances} leave nothing to chance."
        )
    return f"{n} checks, {verdict}.{level} Seed {found.seed}, {found.wall_s:.0f} s."


def p_text(p: float) -> str:
    """Return a p-value with two digits that count."""
    if p in {0.0, 1.0}:
        return f"{p:.0f}"
    return f"{p:.2g}" if p >= SIGNIFICANT else f"{p:.0e}"


def _row(item: Judged) -> list[str]:
    found = item.found
    if found is None:
        return [item.check.id, item.check.claim, "-", "-", "", "", item.verdict]
    error = "" if found.standard_error is None else f"{found.standard_error:.1g}"
    return [
        item.check.id,
        item.check.claim,
        number_text(found.observed),
        number_text(found.expected),
        error,
        p_text(found.p_value) if found.test != "certain" else f"{found.p_value:.0f} (certain)",
        item.verdict,
    ]

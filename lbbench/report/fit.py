"""The verdict of ``lbbench fit`` in words, with the figures behind it."""

from __future__ import annotations

import numpy as np
from rich.console import Console
from rich.text import Text

from lbbench.report.layout import Grid
from lbbench.report.units import count, p_value, percent, ratio
from lbbench.stats.fit import Chance
from lbbench.studies.fit import FitReport, GroupFit

SHOWN = 12
"""Targets in a table: those that are farthest from what is expected."""

NOTES = 6
DOUBTFUL = 0.05
"""Tail below which chance that is not rejected is not called so without a doubt."""

SURE = ((0.99, "almost certainly"), (0.9, "very likely"), (0.7, "likely"), (0.0, "perhaps"))
STAGES = {
    "azure_lb": "the load balancer",
    "kube_proxy": "kube-proxy",
    "reuse_port": "the workers' sockets",
    "ingress": "the ingress balancer",
}


FEW = 20
"""Independent draws for each target below which a difference of half a share is within chance."""


def show(report: FitReport, console: Console) -> None:
    """Print one block per group."""
    for number, group in enumerate(report.groups):
        if number:
            console.print()
        _show(group, console)
    if len(report.groups) > 1:
        bad = sum(group.rejected for group in report.groups)
        console.print()
        console.print(Text(f"{len(report.groups)} groups, chance is rejected for {bad}"))


def _show(group: GroupFit, console: Console) -> None:
    title = group.group or group.place
    stage = f" by {STAGES[group.stage]}" if group.stage else ""
    what = f"{title}: {count(group.chance.total)} {_unit(group)} on {len(group.names)} targets"
    console.print(Text(f"{what}{stage}", style="bold"))
    console.print(Text(verdict_text(group)))
    for line in cause_lines(group):
        console.print(Text(line))
    console.print(table(group))
    for line in figures(group.chance):
        console.print(Text(line))
    for note in group.notes[:NOTES]:
        console.print(Text(f"- {note}"), soft_wrap=not console.is_terminal)
    if len(group.notes) > NOTES:
        console.print(Text(f"- and {len(group.notes) - NOTES} more notes (--json has them all)"))


def _unit(group: GroupFit) -> str:
    return "counted" if group.unit == "counts" else group.unit


def verdict_text(group: GroupFit) -> str:
    """Return the verdict in a sentence."""
    found = group.chance
    times = (
        ""
        if found.max_over_mean < 1.005
        else f", the largest is {found.max_over_mean:.2f}x its share"
    )
    if group.verdict == "chance":
        if found.p_high < found.p_corrected * 0.5 and found.design:
            return (
                f"This is chance (p {p_value(found.p_corrected)}): the requests stick together "
                f"and are worth {count(found.effective)} independent ones{times}."
            )
        if min(found.p_corrected, found.p_low) < DOUBTFUL:
            return (
                f"This can still be chance (p {p_value(found.p_corrected)} as uneven, "
                f"{p_value(found.p_low)} as even{times}): more counts would tell."
            )
        if found.effective < FEW * found.targets:
            return (
                f"This can be chance (p {p_value(found.p_corrected)}{times}): so few would show "
                "large differences only."
            )
        return f"This is chance (p {p_value(found.p_corrected)}{times})."
    if group.verdict == "too even":
        return (
            f"This is no chance (p {p_value(found.p_low)} for counts so even): independent draws "
            f"would differ by {100 * _by_chance(found):.1f} %, these by {100 * found.cov:.1f} %."
        )
    return (
        f"This is not chance (p {p_value(found.p_corrected)}): draws by the expected shares would "
        f"differ by {100 * _by_chance(found):.1f} %, these by {100 * found.cov:.1f} %{times}."
    )


def _by_chance(found: Chance) -> float:
    """Return the coefficient of variation that chance leaves for equal shares."""
    return float(np.sqrt((found.targets - 1) / found.effective))


def cause_lines(group: GroupFit) -> list[str]:
    """Return the likeliest cause with how sure it is, and the next one where it is close."""
    if not group.causes:
        return []
    first = group.causes[0]
    word = next(word for least, word in SURE if first.weight >= least)
    where = f" (gallery: {', '.join(first.cases)})" if first.cases else ""
    lines = [f"Cause, {word} ({percent(first.weight, 0)} %): {first.name}: {first.sentence}{where}"]
    for item in group.causes[1:3]:
        if item.weight >= 0.05:
            where = f" (gallery: {', '.join(item.cases)})" if item.cases else ""
            lines.append(f"or ({percent(item.weight, 0)} %): {item.name}: {item.sentence}{where}")
    return lines


def table(group: GroupFit) -> Grid:
    """Return counts beside what is expected; of many targets those that are farthest from it."""
    wanted = group.expected * group.chance.total
    off = (group.counts - wanted) / np.sqrt(wanted)
    order = np.arange(len(off))
    title = ""
    if len(off) > SHOWN:
        order = np.argsort(-np.abs(off), kind="stable")[:SHOWN]
        title = f"the {SHOWN} farthest from their share, of {len(off)}"
    rows = [
        [
            group.names[i],
            count(int(group.counts[i])),
            percent(group.counts[i] / group.chance.total, 2),
            percent(group.expected[i], 2),
            f"{off[i]:+.1f}",
        ]
        for i in order
    ]
    return Grid(title, ["", "count", "share %", "expected %", "std errors"], rows)


def figures(found: Chance) -> list[str]:
    """Return the statistics."""
    how = {
        "chi-square": "",
        "exact": ", exact by all outcomes",
        "drawn": ", by sampling",
        "moments": ", by the exact mean and variance",
    }[found.how]
    lines = [
        (
            f"chi2 {found.chi2:.3f}, G {found.g:.3f}, df {found.df}: p {p_value(found.p_high)} as "
            f"uneven, {p_value(found.p_low)} as even{how}; CoV {ratio(found.cov)}, Jain "
            f"{ratio(found.jain)}"
        )
    ]
    design = found.design
    if design is not None:
        clusters = "" if design.clusters is None else f" by {count(design.clusters)} clusters"
        lines.append(
            f"design effect {design.effect:.2f}{clusters}: worth {count(found.effective)} "
            f"independent draws, p {p_value(found.p_corrected)}"
        )
    return lines

"""A walk as text for people and as JSON for programs."""

from __future__ import annotations

import textwrap
from collections.abc import Iterator, Sequence
from typing import Any, Literal, NamedTuple

from lbbench.packetwalk.hop import Decision, Hop, Rule, Walk

SCHEMA = "lbbench.walk/1"

Style = Literal["title", "hop", "plain", "match", "dim", "raw"]

INDENT = "    "
LABEL = 10  # columns that a label takes
NARROW = 30  # a terminal below this is treated as this wide
MOST_RULES = 6  # rules of one chain that are shown in full
MOST_DRAWS = 4

MARKS = {"match": ">", "no match": "x", "not reached": "."}
LEGEND = "Rules: > matched, x did not match, . not reached. Times are one-way."


class Line(NamedTuple):
    """One line of text and how it may be coloured; ``raw`` lines must never be wrapped."""

    text: str
    style: Style


def render(walk: Walk, *, width: int = 100, wrap_rules: bool = False) -> list[Line]:
    """Return the walk as lines of at most ``width`` columns.

    Conntrack entries and the access-log line stay whole whatever the width; rules too unless
    ``wrap_rules``, so that a pipe can search them.
    """
    page = _Page(max(width, NARROW), wrap_rules=wrap_rules)
    page.title(f"{walk.name}: {walk.client} -> {walk.vip}")
    page.labelled("entry", walk.node, indent="")
    page.labelled("pod", walk.pod or "none, the packet is dropped", indent="")
    page.labelled("total", f"{_time(walk.time_s)} (nothing else in the system)", indent="")
    page.labelled("seed", str(walk.seed), indent="")
    page.text(LEGEND, "dim", indent="")
    direction = None
    for hop in walk.hops:
        if hop.direction != direction:
            direction = hop.direction
            page.blank()
            page.title("REQUEST" if direction == "request" else "REPLY")
        page.blank()
        _hop(page, hop)
    if walk.access_log is not None:
        page.blank()
        page.title("Access log of nginx")
        page.raw(walk.access_log)
    return page.lines


def _hop(page: _Page, hop: Hop) -> None:
    where = f"{hop.location} / {hop.chain or hop.component}"
    page.heading(f"{hop.number:>2}  {where}")
    if hop.chain is not None:
        page.text(hop.component, "dim")
    page.text(hop.what, "plain")
    page.rules(hop.rules)
    if hop.decision is not None:
        _decision(page, hop.decision)
    if hop.before is None or hop.before == hop.after:
        page.labelled("tuple", str(hop.after))
    else:
        page.labelled("tuple", str(hop.before))
        page.labelled("     =>", str(hop.after))
    if hop.mark:
        page.labelled("mark", f"{hop.mark:#x}")
    for entry in hop.conntrack:
        page.labelled("conntrack", f"on {entry.node}")
        page.raw(entry.line())
    page.labelled("time", f"+{_time(hop.latency_s)}, {_time(hop.time_s)} in all")
    for note in hop.notes:
        page.labelled("note", note, style="dim")


def _decision(page: _Page, decision: Decision) -> None:
    chosen = decision.chosen
    if decision.given is not None:
        chosen += f" ({decision.given})"
    page.labelled("choice", chosen)
    page.labelled("rule", decision.by)
    if decision.probability is not None:
        page.labelled("share", f"{decision.probability:.6g} by the rules")
    if decision.draws:
        page.labelled("draws", "; ".join(_draws(decision)))
    if decision.uniform is not None:
        page.labelled("draws", f"{decision.uniform:.6f} first")


def _draws(decision: Decision) -> Iterator[str]:
    draws = decision.draws
    for i, draw in enumerate(draws):
        if len(draws) > MOST_DRAWS and 1 <= i < len(draws) - 2:
            if i == 1:
                yield f"{len(draws) - 3} more above their p"
            continue
        sign, word = ("<", "match") if draw.matched else (">=", "no match")
        yield f"{draw.value:.6f} {sign} {draw.below:.6f} {word}"


def _time(seconds: float) -> str:
    if seconds >= 1.0:
        return f"{seconds:.3f} s"
    return f"{1000.0 * seconds:.3f} ms"


class _Page:
    """Lines wrapped to a width, with labels in a column of their own."""

    def __init__(self, width: int, *, wrap_rules: bool) -> None:
        self.width = width
        self.wrap_rules = wrap_rules
        self.lines: list[Line] = []

    def blank(self) -> None:
        self.lines.append(Line("", "plain"))

    def raw(self, text: str) -> None:
        self.lines.append(Line(text, "raw"))

    def title(self, text: str) -> None:
        self._wrapped(text, "title", "", INDENT)

    def heading(self, text: str) -> None:
        self._wrapped(text, "hop", "", INDENT)

    def text(self, text: str, style: Style, *, indent: str = INDENT) -> None:
        self._wrapped(text, style, indent, indent)

    def labelled(
        self, label: str, text: str, *, style: Style = "plain", indent: str = INDENT
    ) -> None:
        hanging = indent + " " * LABEL
        self._wrapped(text, style, f"{indent}{label:<{LABEL}}", hanging)

    def rules(self, rules: Sequence[Rule]) -> None:
        for rule in _shortened(rules):
            if isinstance(rule, str):
                self.text(rule, "dim")
                continue
            style: Style = "match" if rule.verdict == "match" else "dim"
            first = f"{INDENT}{MARKS[rule.verdict]} "
            if self.wrap_rules:
                self._wrapped(rule.text, style, first, INDENT + INDENT)
            else:
                self.lines.append(Line(first + rule.text, style))

    def _wrapped(self, text: str, style: Style, first: str, rest: str) -> None:
        made = textwrap.wrap(
            text,
            self.width,
            initial_indent=first,
            subsequent_indent=rest,
            break_on_hyphens=False,
        )
        self.lines.extend(Line(part, style) for part in made)


def _shortened(rules: Sequence[Rule]) -> list[Rule | str]:
    """Return the rules with long runs of the same verdict replaced by their number."""
    if len(rules) <= MOST_RULES:
        return list(rules)
    made: list[Rule | str] = []
    at = 0
    while at < len(rules):
        end = at
        while end < len(rules) and rules[end].verdict == rules[at].verdict:
            end += 1
        run = rules[at:end]
        if len(run) > 3:
            made += [run[0], f"  ({len(run) - 2} more rules like these)", run[-1]]
        else:
            made += run
        at = end
    return made


def plain(walk: Walk) -> dict[str, Any]:
    """Return the walk as plain data of schema ``lbbench.walk/1``; times in seconds."""
    return {
        "schema": SCHEMA,
        "name": walk.name,
        "path": walk.path,
        "client": walk.client,
        "vip": walk.vip,
        "node": walk.node,
        "pod": walk.pod,
        "seed": walk.seed,
        "outcome": walk.outcome,
        "time_s": _seconds(walk.time_s),
        "hops": [_hop_json(hop) for hop in walk.hops],
        "conntrack": [{"node": entry.node, "line": entry.line()} for entry in walk.conntrack],
        "access_log": walk.access_log,
    }


def _hop_json(hop: Hop) -> dict[str, Any]:
    return {
        "number": hop.number,
        "kind": hop.kind,
        "direction": hop.direction,
        "location": hop.location,
        "component": hop.component,
        "chain": hop.chain,
        "what": hop.what,
        "rules": [{"text": rule.text, "verdict": rule.verdict} for rule in hop.rules],
        "decision": None if hop.decision is None else _decision_json(hop.decision),
        "before": None if hop.before is None else str(hop.before),
        "after": str(hop.after),
        "mark": f"{hop.mark:#x}",
        "conntrack": [{"node": entry.node, "line": entry.line()} for entry in hop.conntrack],
        "latency_s": _seconds(hop.latency_s),
        "time_s": _seconds(hop.time_s),
        "notes": list(hop.notes),
    }


def _decision_json(decision: Decision) -> dict[str, Any]:
    return {
        "by": decision.by,
        "chosen": decision.chosen,
        "candidates": decision.candidates,
        "given": decision.given,
        "probability": decision.probability,
        "hash": None if decision.hash is None else f"{decision.hash:#010x}",
        "uniform": decision.uniform,
        "draws": [
            {"value": draw.value, "below": draw.below, "matched": draw.matched}
            for draw in decision.draws
        ],
    }


def _seconds(value: float) -> float:
    """Return seconds to the picosecond, which hides the noise of adding."""
    return round(value, 12)

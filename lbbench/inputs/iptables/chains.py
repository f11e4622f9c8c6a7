"""The chains of one node, from one file or put together from several."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from lbbench.inputs.iptables.rules import Rule, RuleText
from lbbench.inputs.source import Place

SHARED = ("KUBE-SERVICES", "KUBE-NODEPORTS")
"""Chains that hold one rule per service: pieces of them add up."""

LOCAL = ("KUBE-SVL-", "KUBE-XLB-")
"""Chains that differ from node to node."""

OWN = ("SVC", "SVL", "EXT", "FW", "XLB")
"""Kinds of chains that belong to one service port, all with the same suffix."""


@dataclass(slots=True)
class Chains:
    """Rules by chain, and the files that differ."""

    rules: dict[str, list[Rule]] = field(default_factory=dict)
    local: dict[str, dict[str, list[Rule]]] = field(default_factory=dict)  # chain -> file -> rules
    notes: list[str] = field(default_factory=list)

    def get(self, name: str) -> list[Rule]:
        """Return the rules of a chain, none when it is not here."""
        return self.rules.get(name, [])

    def of_kind(self, kind: str) -> list[str]:
        """Return the names of the chains KUBE-<kind>-..., in the order of the input."""
        return [name for name in self.rules if name.startswith(f"KUBE-{kind}-")]

    def suffixes(self) -> list[str]:
        """Return the suffixes of the services that have a rule in a chain of their own."""
        found = {
            name.split("-", 2)[2]: None
            for name in self.rules
            if name.count("-") >= 2 and name.split("-", 2)[1] in OWN
        }
        return list(found)

    def first_jump(self, target: str) -> Place | None:
        """Return where the chain ``target`` is first jumped to."""
        return next(
            (r.place for rules in self.rules.values() for r in rules if r.target == target), None
        )

    def dangling(self) -> list[str]:
        """Return the service chains that are jumped to but have no rule."""
        wanted = tuple(f"KUBE-{kind}-" for kind in OWN)
        jumps = {rule.target: None for rules in self.rules.values() for rule in rules}
        return [name for name in jumps if name.startswith(wanted) and name not in self.rules]

    def unresolved_sep(self) -> list[str]:
        """Return the endpoint chains that are jumped to but have no DNAT rule."""
        jumps = {rule.target: None for rules in self.rules.values() for rule in rules}
        return [
            name
            for name in jumps
            if name.startswith("KUBE-SEP-")
            and not any(rule.target == "DNAT" for rule in self.get(name))
        ]


def merge(texts: Sequence[RuleText]) -> Chains:
    """Return the chains of ``texts``: saves of several nodes, or pieces of one save.

    A chain that appears in several files is the same on every node, except the local ones: of
    those the first is kept, and all by file. A piece of a chain gives way to the whole of it.
    """
    merged = Chains()
    for text in texts:
        for name, rules in text.chains.items():
            if name.startswith(LOCAL):
                merged.local.setdefault(name, {})[text.path] = rules
            known = merged.rules.get(name)
            if known is None:
                merged.rules[name] = list(rules)
            elif name in SHARED:
                have = {rule.identity() for rule in known}
                known.extend(rule for rule in rules if rule.identity() not in have)
            elif not name.startswith(LOCAL):
                _reconcile(merged, name, known, rules)
    return merged


def _reconcile(merged: Chains, name: str, known: list[Rule], rules: list[Rule]) -> None:
    ours, theirs = ({rule.identity() for rule in part} for part in (known, rules))
    if ours < theirs:
        merged.rules[name] = list(rules)
    elif not theirs <= ours:
        (a, line_a), (b, line_b) = known[0].place, rules[0].place
        merged.notes.append(
            f"{name} differs between {a}:{line_a} and {b}:{line_b}: the first is used"
        )

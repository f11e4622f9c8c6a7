"""Import of ``iptables-save``: which services do these rules serve, from where, to which pods.

The chains and their meaning are those of kube-proxy's iptables mode, before 1.24 (FW, XLB) and
since (EXT, SVL): kubernetes/kubernetes, pkg/proxy/iptables/proxier.go. A rule set may be a piece:
what it does not show is inferred where one reading is left, and said in the notes.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from lbbench.errors import InputError
from lbbench.inputs.iptables.chains import Chains, merge
from lbbench.inputs.iptables.probabilities import format_of
from lbbench.inputs.iptables.rules import RuleText, read_rules
from lbbench.inputs.iptables.services import Reader
from lbbench.inputs.ruleset import RuleSet, Service
from lbbench.inputs.source import listed

SHOWN = 10  # line numbers per note


def read_iptables(paths: str | Path | Sequence[str | Path]) -> RuleSet:
    """Return what the rules in ``paths`` say; several files are several nodes, or pieces.

    Raises
    ------
    InputError
        When a file cannot be read, holds no rule of a service, or is a save cut off in the middle.
    """
    texts = [read_rules(path) for path in listed(paths)]
    ruleset = assemble(texts)
    for text in texts:
        _refuse_cut_off(text, ruleset)
    if not ruleset.services:
        raise InputError(_nothing(texts, ruleset))
    return ruleset


def assemble(texts: Sequence[RuleText]) -> RuleSet:
    """Return the services in the rules of one or several files, complete or not."""
    chains = merge(texts)
    reader = Reader(chains)
    services = reader.services()
    names = {service.name.rstrip(":") for service in services}
    unresolved = tuple(name for name in reader.named() if name.rstrip(":") not in names)
    written = format_of(
        item.probabilities for item in services if item.mode == "random" and item.complete
    )
    declared = {name for text in texts for name in text.declared}
    notes = [*chains.notes, *reader.notes]
    if reader.rejected():
        notes.append(f"without endpoints, refused (REJECT): {', '.join(reader.rejected())}")
    notes += _about_chains(chains, services, unresolved)
    notes += [note for text in texts for note in _about_text(text)]
    return RuleSet(
        services=tuple(services),
        unresolved=unresolved,
        cluster_cidr=reader.cluster_cidr(),
        probability_format=written or ("%0.10f" if chains.of_kind("EXT") else None),
        duplicate_rules=sum(text.duplicates for text in texts),
        dangling_chains=tuple(chains.dangling()),
        unresolved_sep=len(chains.unresolved_sep()),
        declared_svc_chains=sum(name.startswith("KUBE-SVC-") for name in declared),
        declared_sep_chains=sum(name.startswith("KUBE-SEP-") for name in declared),
        files=tuple(text.path for text in texts),
        notes=tuple(notes),
        skipped=tuple(item for text in texts for item in text.skipped),
    )


def _about_chains(
    chains: Chains, services: Sequence[Service], unresolved: Sequence[str]
) -> list[str]:
    notes = []
    if unresolved:
        notes.append(
            f"named, but without chains of their own in the input: {', '.join(unresolved)}"
        )
    dangling = chains.dangling()
    if dangling:
        places = ", ".join(f"{name} ({_at(chains.first_jump(name))})" for name in dangling[:SHOWN])
        notes.append(f"{len(dangling)} chains are jumped to but have no rule here: {places}")
    lost = chains.unresolved_sep()
    if lost:
        notes.append(
            f"{len(lost)} endpoint chains have no DNAT rule here, their addresses are unknown: "
            + ", ".join(lost[:SHOWN])
        )
    notes += [
        f"{service.name}: the shares of its {len(service.endpoints)} rules add up to "
        f"{sum(service.shares):.6f}: rules are missing"
        for service in services
        if service.endpoints and not service.complete
    ]
    return notes


def _about_text(text: RuleText) -> list[str]:
    notes = []
    if text.duplicates:
        notes.append(f"{text.path}: {text.duplicates} rules appear twice and are counted once")
    if text.other_rules:
        notes.append(f"{text.path}: {text.other_rules} rules of other chains than kube-proxy's")
    if text.deleted:
        notes.append(
            f"{text.path}: chains that the input deletes (-X): {', '.join(sorted(text.deleted))}"
        )
    if text.cut_off:
        notes.append(f"{text.path}: truncated input: it ends without COMMIT")
    by_reason: dict[str, list[int]] = {}
    for _, number, reason in text.skipped:
        by_reason.setdefault(reason, []).append(number)
    for reason, numbers in by_reason.items():
        shown = ", ".join(map(str, numbers[:SHOWN])) + (" ..." if len(numbers) > SHOWN else "")
        notes.append(f"{text.path}: {len(numbers)} lines skipped ({reason}): {shown}")
    return notes


def _refuse_cut_off(text: RuleText, ruleset: RuleSet) -> None:
    """Refuse a save that ends too early when a chain shows that rules are lost."""
    if not text.cut_off:
        return
    empty = [
        name
        for name in text.declared
        if name not in text.chains and name.startswith(("KUBE-SVC-", "KUBE-SEP-", "KUBE-XLB-"))
    ]
    broken = [item.name for item in ruleset.services if item.endpoints and not item.complete]
    if not (empty or broken or ruleset.unresolved_sep or not ruleset.services):
        return
    svc = sum(name.startswith("KUBE-SVC-") for name in text.declared)
    sep = sum(name.startswith("KUBE-SEP-") for name in text.declared)
    lost = f"{len(empty)} of them without rules" if empty else f"rules missing of {broken or 'SEP'}"
    raise InputError(
        f"{text.path}: truncated input: an iptables-save that ends without COMMIT, with {svc} "
        f"service chains and {sep} endpoint chains declared, {lost}; save it again with: "
        "sudo iptables-save -t nat > node.rules"
    )


def _nothing(texts: Sequence[RuleText], ruleset: RuleSet) -> str:
    path = texts[0].path
    kinds = sum((text.looks_like for text in texts), texts[0].looks_like.__class__())
    if kinds:
        kind = kinds.most_common(1)[0][0]
        if "nft" in kind:
            return f"{path}: this looks like the output of {kind}; lbbench import nftables reads it"
        return (
            f"{path}: this looks like the output of {kind}, without the rules of a service; "
            "write it with: sudo iptables-save"
        )
    if ruleset.unresolved:
        return (
            f"{path}: names {', '.join(ruleset.unresolved[:SHOWN])} but holds none of their chains "
            "(KUBE-SVC-..., KUBE-XLB-...); save all rules with: sudo iptables-save"
        )
    rules = sum(len(chain) for text in texts for chain in text.chains.values())
    other = sum(text.other_rules for text in texts)
    return (
        f"{path}: no rule of a Kubernetes service in it ({rules} rules of kube-proxy, {other} "
        f"other rules, {len(ruleset.skipped)} lines that are no rules); write it on a node with: "
        "sudo iptables-save > node.rules"
    )


def _at(place: tuple[str, int] | None) -> str:
    return "unknown line" if place is None else f"{place[0]}:{place[1]}"

"""Import of ``nft list ruleset``: kube-proxy's nftables mode, or its iptables mode in nft words."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from lbbench.errors import InputError
from lbbench.inputs.iptables.reader import assemble
from lbbench.inputs.nftables.services import Native
from lbbench.inputs.nftables.text import NftText, read_nft
from lbbench.inputs.nftables.translated import as_iptables, has_translated
from lbbench.inputs.ruleset import RuleSet, Service
from lbbench.inputs.source import listed

SHOWN = 10


def read_nftables(paths: str | Path | Sequence[str | Path]) -> RuleSet:
    """Return what the nft rule sets in ``paths`` say; several files are several nodes.

    Raises
    ------
    InputError
        When a file cannot be read, is cut off in a chain or map, or holds no rule of a service.
    """
    texts = [read_nft(path) for path in listed(paths)]
    ruleset = gather(texts)
    for text in texts:
        lost = ruleset.dangling_chains or any(not item.complete for item in ruleset.services)
        cut = text.cut_off if text.cut_off is not None or not lost else text.open_table
        if cut is not None:
            raise InputError(
                f"{text.path}:{cut}: truncated input: what begins here has no closing "
                "brace; save it again with: sudo nft list ruleset > node.nft"
            )
    if not ruleset.services:
        raise InputError(_nothing(texts, ruleset))
    return ruleset


def gather(texts: Sequence[NftText]) -> RuleSet:
    """Return the services in the blocks of one or several files, complete or not."""
    natives = [
        Native(text.path if len(text.nodes) == 1 else f"{text.path} (node {i})", blocks)
        for text in texts
        for i, blocks in enumerate(text.nodes)
        if any(name.startswith(("service-", "local-")) for _, _, name in blocks)
    ]
    translated, notes = [], list[str]()
    for text in texts:
        if has_translated(text):
            rules, told = as_iptables(text)
            translated += rules
            notes += told
    if not natives:
        found = assemble(translated) if translated else _empty(texts)
        return replace(found, notes=(*notes, *found.notes))
    if translated:
        notes.append(
            "the input also holds chains of the iptables mode (KUBE-...): kube-proxy leaves them "
            "behind when its mode changes; they are not used"
        )
    services, told = _merged(natives)
    notes += [note for native in natives for note in native.notes] + told
    refused = [name for native in natives for name in native.refused]
    if refused:
        notes.append(f"without endpoints, refused or dropped: {', '.join(refused[:SHOWN])}")
    dangling = tuple(dict.fromkeys(name for native in natives for name in native.dangling))
    if dangling:
        notes.append(
            f"{len(dangling)} chains are named but not here: {', '.join(dangling[:SHOWN])}"
        )
    skipped = tuple(item for text in texts for item in text.skipped)
    if skipped:
        notes.append(f"{len(skipped)} lines are not used; see below")
    return replace(
        _empty(texts),
        services=tuple(services),
        cluster_cidr=next((cidr for item in natives if (cidr := item.cluster_cidr())), None),
        dangling_chains=dangling,
        unresolved_sep=sum(item.address is None for s in services for item in s.endpoints),
        notes=tuple(notes),
    )


def _merged(natives: Sequence[Native]) -> tuple[list[Service], list[str]]:
    """Return the services of all nodes: the first node's, with the local endpoints of each."""
    found: dict[str, Service] = {}
    notes: list[str] = []
    for native in natives:
        for service in native.services():
            known = found.get(service.name)
            if known is None:
                found[service.name] = service
                continue
            if service.cluster_wide and set(service.addresses) != set(known.addresses):
                notes.append(
                    f"{service.name} has other endpoints in {service.place[0]}:{service.place[1]} "
                    f"than in {known.place[0]}:{known.place[1]}: the first are used"
                )
            by_file = {**known.local_by_file, **service.local_by_file}
            found[service.name] = replace(known, local_by_file=by_file)
    return list(found.values()), notes


def _empty(texts: Sequence[NftText]) -> RuleSet:
    return RuleSet(
        services=(),
        unresolved=(),
        cluster_cidr=None,
        probability_format=None,
        duplicate_rules=0,
        dangling_chains=(),
        unresolved_sep=0,
        declared_svc_chains=0,
        declared_sep_chains=0,
        files=tuple(text.path for text in texts),
        notes=(),
        skipped=tuple(item for text in texts for item in text.skipped),
    )


def _nothing(texts: Sequence[NftText], ruleset: RuleSet) -> str:
    path, nodes = texts[0].path, sum(len(text.nodes) for text in texts)
    line = next((block.place[1] for text in texts for _, block in text.chains()), 1)
    way = "save all rules with: sudo nft list ruleset > node.nft"
    jumped = len(ruleset.dangling_chains)
    if jumped:
        return (
            f"{path}:{line}: rules of {nodes} node{'s' * (nodes > 1)} name {jumped} services and "
            f"hold none of their chains (KUBE-SVC-..., service-...), so no endpoint; {way}"
        )
    blocks = sum(len(part) for text in texts for part in text.nodes)
    return (
        f"{path}:{line}: no rule of a Kubernetes service in it ({blocks} chains, maps and sets, "
        f"{len(ruleset.skipped)} lines that are no nft); {way}"
    )

"""Which share each target should have: equal, given, or what a node's rules say."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from pathlib import Path

from lbbench.errors import InputError, LbbenchError
from lbbench.inputs.placement import host_of
from lbbench.inputs.ruleset import RuleSet, Service

SHOWN = 10


def expected_shares(
    given: str | None, counts: Mapping[str, int], targets: int | None = None
) -> tuple[dict[str, int], dict[str, float], list[str]]:
    """Return (counts, shares, notes) by target, both of the same targets in the same order.

    Parameters
    ----------
    given
        None: equal shares; ``0.5,0.3,0.2``: in the order of the counts; ``a=3,b=1``: by name; else
        the path of a file: rules (iptables, nftables, ipvs) or counts to be taken as shares.
    targets
        How many targets there are, if some got nothing and are missing from the counts.

    Raises
    ------
    LbbenchError
        When shares and counts do not belong together.
    """
    table = dict(counts)
    if targets is not None:
        if targets < len(table):
            raise LbbenchError(f"--targets {targets}: the counts already have {len(table)}")
        if given is not None:
            raise LbbenchError("--targets: --expected already names the targets; give one of them")
        table |= {f"unseen-{i}": 0 for i in range(1, targets - len(table) + 1)}
    if given is None:
        return table, dict.fromkeys(table, 1.0 / max(len(table), 1)), []
    if "=" in given or _is_list(given):
        shares = _written(given, table)
        return _matched(table, shares, f"--expected {given[:60]}")
    if not Path(given).exists():
        raise LbbenchError(
            f"--expected {given}: no such file, and no shares such as 0.5,0.3,0.2 or a=3,b=1"
        )
    shares, told = _from_file(given, table)
    found, by_target, notes = _matched(table, shares, given)
    return found, by_target, [told, *notes]


def _is_list(text: str) -> bool:
    try:
        return bool([float(part) for part in text.split(",")])
    except ValueError:
        return False


def _written(given: str, table: Mapping[str, int]) -> dict[str, float]:
    """Return the shares in a text."""
    parts = given.split(",")
    names = list(table)
    if "=" not in given and len(parts) != len(names):
        raise LbbenchError(
            f"--expected {given[:60]}: {len(parts)} shares for {len(names)} targets "
            f"({', '.join(names[:SHOWN])})"
        )
    found: dict[str, float] = {}
    for i, part in enumerate(parts):
        name, _, text = part.rpartition("=") if "=" in given else (names[i], "", part)
        try:
            value = float(text)
        except ValueError:
            value = math.nan
        if not 0.0 < value < math.inf:
            raise LbbenchError(f"--expected {part.strip()[:60]}: must be a number above 0")
        found[name.strip()] = value
    return found


def _from_file(path: str, table: Mapping[str, int]) -> tuple[dict[str, float], str]:
    """Return the shares in a file of rules or counts, and what it was taken for."""
    from lbbench.inputs.counts import read_counts
    from lbbench.inputs.iptables.reader import read_iptables
    from lbbench.inputs.ipvs.reader import read_ruleset
    from lbbench.inputs.nftables.reader import read_nftables

    rules: dict[str, Callable[[str], RuleSet]] = {
        "iptables": read_iptables,
        "nftables": read_nftables,
        "ipvs": read_ruleset,
    }
    said: list[str] = []
    for kind, read in rules.items():
        try:
            service = _likest(read(path), table)
        except InputError as error:
            said.append(f"as {kind}: {error}")
            continue
        shares = {item.address or item.chain: item.share for item in service.endpoints}
        return shares, f"expected: the shares of {service.name} by the {kind} rules in {path}"
    try:
        counts = read_counts(path)
        group = counts.chosen()
    except InputError as error:
        raise InputError(
            f"{path}:1: neither rules nor shares ({said[0]}; as counts: {error})"
        ) from error
    weights = {name: float(n) for name, n in counts.groups[group].items() if n > 0}
    return weights, f"expected: shares in proportion to the counts in {path}"


def _likest(rules: RuleSet, table: Mapping[str, int]) -> Service:
    """Return the service with most of the targets among its endpoints."""
    wanted = {_plain(name) for name in table}
    return max(
        (item for item in rules.services if item.endpoints),
        key=lambda item: len({_plain(address) for address in item.addresses} & wanted),
        default=rules.services[0],
    )


def _matched(
    table: Mapping[str, int], shares: Mapping[str, float], place: str
) -> tuple[dict[str, int], dict[str, float], list[str]]:
    """Return counts and shares of the same targets; by address, or by host where ports lack."""
    by_name = {name: name for name in shares}
    by_host: dict[str, list[str]] = {}
    for name in shares:
        by_host.setdefault(_plain(name), []).append(name)
    found: dict[str, int] = {}
    for name, count in table.items():
        hosts = by_host.get(_plain(name), [])
        target = by_name.get(name) or (hosts[0] if len(hosts) == 1 else None)
        if target is None:
            known = ", ".join(list(shares)[:SHOWN])
            raise LbbenchError(f"{place}: no share for {name}; there are shares for {known}")
        found[target] = found.get(target, 0) + count
    missing = [name for name in shares if name not in found]
    found |= dict.fromkeys(missing, 0)
    notes = []
    if missing:
        notes.append(
            f"{len(missing)} targets have a share and no count, they count 0: "
            + ", ".join(missing[:SHOWN])
        )
    whole = math.fsum(shares.values())
    return found, {name: shares[name] / whole for name in found}, notes


def _plain(name: str) -> str:
    """Return the address without its port."""
    return host_of(name) if name.count(":") == 1 or name.startswith("[") else name

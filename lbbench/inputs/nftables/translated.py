"""iptables rules as nft shows them: ``nft list ruleset`` on a node whose iptables is iptables-nft.

Each rule becomes the rule that iptables-save would print, so that the services are read by the same
code. nft cannot show every module of iptables: a ``statistic`` match may appear without its
number; then it is inferred from the place in its chain, as kube-proxy writes it, and said.
"""

from __future__ import annotations

import re

from lbbench.inputs.iptables.listing import split_comment
from lbbench.inputs.iptables.probabilities import U31
from lbbench.inputs.iptables.rules import LONGEST_COUNTER, Rule, RuleText
from lbbench.inputs.nftables.text import NftText, Statement
from lbbench.inputs.source import Place

_PARTS = {
    "source": re.compile(r"\bip6? saddr (!= )?(\S+)"),
    "destination": re.compile(r"\bip6? daddr (!= )?(\S+)"),
    "protocol": re.compile(r"\b(?:meta l4proto|ip protocol|ip6 nexthdr) (!= )?(\w+)"),
    "dport": re.compile(r"\b(?:tcp|udp|sctp|th) dport (!= )?(\S+)"),
    "in-interface": re.compile(r'\biifname (!= )?"?([^"\s]+)'),
    "src-type": re.compile(r"\bfib saddr type (!= )?(\w+)"),
    "every": re.compile(r"\bnumgen inc mod ()(\d+)"),
}
_ACTION = re.compile(r'\b(jump|goto) ([\w.-]+)|\bdnat(?: ip6?)? to (\S+)|\bxt target "(\w+)"')
_PORT = re.compile(r"\b(tcp|udp|sctp) dport\b")
_COMMENT = re.compile(r'\bcomment "([^"]*)"')
_COUNTER = re.compile(r"\bcounter packets (\d+)")
_RANDOM = re.compile(
    r"\b(?:meta random & (?:2147483647|0x7fffffff) |numgen random mod (?:2147483648|0x80000000) )"
    r"< (0x[0-9a-fA-F]{1,8}|\d{1,10})\b"
)
_RECENT = re.compile(r'\bxt match "?recent"?')
_UNSHOWN = re.compile(r'\bxt match "?statistic"?')


def has_translated(text: NftText) -> bool:
    """Tell whether a file holds chains of kube-proxy's iptables mode."""
    return any(True for _ in text.chains("KUBE-"))


def as_iptables(text: NftText) -> tuple[list[RuleText], list[str]]:
    """Return the rules of each node of ``text`` as iptables-save would give them, and notes."""
    notes: list[str] = []
    found = []
    for number, blocks in enumerate(text.nodes):
        path = text.path if len(text.nodes) == 1 else f"{text.path} (node {number})"
        rules = RuleText(path)
        for (kind, _, name), block in blocks.items():
            if kind != "chain":
                continue
            if not name.startswith("KUBE-"):
                rules.other_rules += sum(not item[0].startswith("type ") for item in block.rules)
                continue
            rules.declared.setdefault(name, block.place)
            made = [_rule(name, item, text.path) for item in block.rules]
            if any(_UNSHOWN.search(item[0]) for item in block.rules):
                notes.append(_infer(made, block.rules, name, block.place))
            kept = [rule for rule in made if "jump" in rule.options]
            if kept:
                rules.chains.setdefault(name, []).extend(kept)
        found.append(rules)
    found[0].skipped.extend(text.skipped)
    return found, notes


def _rule(chain: str, statement: Statement, path: str) -> Rule:
    text, number = statement
    marked, text = split_comment(text)
    quoted = _COMMENT.search(text)
    comment = quoted[1] if quoted else marked
    bare = _COMMENT.sub(" ", text)
    options: dict[str, tuple[bool, str]] = {}
    for name, pattern in _PARTS.items():
        match = pattern.search(bare)
        if match:
            options[name] = (bool(match[1]), match[2])
    if "src-type" in options:
        options["src-type"] = (options["src-type"][0], options["src-type"][1].upper())
    port = _PORT.search(bare)
    if port and "protocol" not in options:
        options["protocol"] = (False, port[1])
    if "every" in options:
        options["mode"] = (False, "nth")
    random = _RANDOM.search(bare)
    if random:
        options["probability"] = (False, repr(min(int(random[1], 0), U31) / U31))
    if _RECENT.search(bare):
        options["set" if chain.startswith("KUBE-SEP-") else "rcheck"] = (False, "")
    if comment:
        options["comment"] = (False, comment)
    action = _ACTION.search(bare)
    if action:
        options["jump"] = (False, action[2] or action[4] or "DNAT")
        if action[3]:
            options["to-destination"] = (False, action[3])
    counter = _COUNTER.search(bare)
    packets = int(counter[1]) if counter and len(counter[1]) < LONGEST_COUNTER else None
    return Rule((path, number), chain, options, packets)


def _infer(rules: list[Rule], statements: list[Statement], chain: str, place: Place) -> str:
    """Give rules whose probability nft does not show 1 / (endpoints left); return the note."""
    balancing = [
        (rule, text)
        for rule, (text, _) in zip(rules, statements, strict=True)
        if rule.target.startswith("KUBE-SEP-") and rule.get("rcheck") is None
    ]
    for before, (rule, text) in enumerate(balancing):
        if _UNSHOWN.search(text):
            rule.options["probability"] = (False, f"{1.0 / (len(balancing) - before):.10f}")
    return (
        f"{place[0]}:{place[1]}: nft does not show the probabilities of {chain}; equal shares are "
        "inferred, as kube-proxy writes them; sudo iptables-save shows the real ones"
    )

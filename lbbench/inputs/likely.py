"""What kind of input a file looks like, for a hint when it was read as another."""

from __future__ import annotations

import re
from itertools import islice
from pathlib import Path

from lbbench.errors import LbbenchError
from lbbench.inputs.source import STDIN, lines, named

SEEN = 40  # lines that are looked at
WIDTH = 2000  # bytes of each

_SIGNS = {
    "iptables": rb"\*(?:nat|filter|mangle|raw)\s*$|(?:.*\s)?-A (?:KUBE|PREROUTING|OUTPUT)|:KUBE-|"
    rb"Chain [\w-]+ \(",
    "nftables": rb"table (?:ip6?|inet) \S+ \{",
    "ipvs": rb"IP Virtual Server version|-A -[tu] \S+:\d+ -s \w+",
    "conntrack": rb"(?:ipv[46]\s+\d+ )?(?:tcp|udp|icmp|sctp)\s+\d+ .*\bsrc=\S+ dst=\S+",
    "nginx.conf": rb"\s*(?:http|events|upstream \S+|server)\s*\{",
    "kubernetes": rb'\s*"?(?:apiVersion|kind)"?:\s|NAME(?:SPACE)?\s{2,}\S',
    "azure": rb'\s*"(?:loadBalancingRules|backendAddressPools|loadDistribution|agentPoolProfiles)"',
}
"""How one of the first lines of a kind begins."""


def likely_kind(path: str) -> str:
    """Return the kind of input that a file looks like.

    "" when nothing tells, or for what can be read once only: standard input, a pipe.
    """
    from lbbench.inputs.access_log.line import parse

    try:
        if named(path) == STDIN or not Path(path).is_file():
            return ""
        first = [line[:WIDTH] for line in islice(lines(path), SEEN) if line.strip()]
    except (LbbenchError, OSError, ValueError):  # a name too long, or with a NUL
        return ""
    if any(not isinstance(parse(line), str) for line in first):
        return "access-log"
    for kind, sign in _SIGNS.items():
        if any(re.match(sign, line) for line in first):
            return kind
    return ""


def hint(path: str, kind: str) -> str:
    """Return "; it looks like ..." when a file that was read as ``kind`` looks like another."""
    found = likely_kind(path)
    if found in ("", kind):
        return ""
    return f"; it looks like another kind: lbbench import {found} {path}"

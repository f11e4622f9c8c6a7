"""What kind of input a file looks like, for a hint when it was read as another."""

from __future__ import annotations

import re
from collections.abc import Iterable
from itertools import islice
from pathlib import Path

from lbbench.errors import LbbenchError
from lbbench.inputs.source import STDIN, lines, named

SEEN = 40  # lines that are looked at
WIDTH = 2000  # bytes of each that a sign is looked for in

_SIGNS = {
    "iptables": rb"\*(?:nat|filter|mangle|raw)\s*$|(?:.*\s)?-A (?:KUBE|PREROUTING|OUTPUT)|:KUBE-|"
    rb"Chain [\w-]+ \(",
    "nftables": rb"table (?:ip6?|inet) \S+ \{",
    "ipvs": rb"IP Virtual Server version|-A -[tu] \S+:\d+ -s \w+",
    "nginx.conf": rb"\s*(?:http|events|upstream \S+|server)\s*\{",
    "kubernetes": rb'\s*"?(?:apiVersion|kind)"?:\s|NAME(?:SPACE)?\s{2,}\S',
    "azure": rb'\s*"(?:loadBalancingRules|backendAddressPools|loadDistribution|agentPoolProfiles)"',
}
"""How one of the first lines of a kind begins."""


def likely_kind(path: str) -> str:
    """Return the kind of input that a file looks like.

    "" when nothing tells, or for what can be read once only: standard input, a pipe.
    """
    try:
        if named(path) == STDIN or not Path(path).is_file():
            return ""
        first = [line for line in islice(lines(path), SEEN) if line.strip()]
    except (LbbenchError, OSError, ValueError):  # a name too long, or with a NUL
        return ""
    found = log_or_flows(first)
    if found:
        return found
    for kind, sign in _SIGNS.items():
        if any(re.match(sign, line[:WIDTH]) for line in first):
            return kind
    return ""


def log_or_flows(first: Iterable[bytes]) -> str:
    """Return whether more of some lines are of an access log or of a connection table, "" for none.

    As many of both: of a log.
    """
    from lbbench.inputs.access_log import line as access_log_line
    from lbbench.inputs.conntrack import line as conntrack_line

    logs = flows = 0
    for raw in first:
        logs += not isinstance(access_log_line.parse(raw), str)
        flow = conntrack_line.parse(raw.decode("utf-8", "backslashreplace"))
        flows += not isinstance(flow, str)
    if not logs and not flows:
        return ""
    return "access-log" if logs >= flows else "conntrack"


def hint(path: str, kind: str) -> str:
    """Return "; it looks like ..." when a file that was read as ``kind`` looks like another."""
    found = likely_kind(path)
    if found in ("", kind):
        return ""
    return f"; it looks like another kind: lbbench import {found} {path}"

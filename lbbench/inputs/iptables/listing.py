"""The rules in a listing: ``iptables -t nat -L``, with ``-n``, ``-v`` or ``--line-numbers``.

A listing shows a chain's name once and its rules as columns. It has the same facts as a save except
for what iptables prints only as text of a module (``recent: CHECK seconds: ...``), which is read
here as well: extensions/libxt_*.c of netfilter.org's iptables say how they print.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

CHAIN = re.compile(r"^Chain ([A-Za-z0-9_.-]+) \((?:(\d+) references?|policy .*)\)?\s*$")
HEAD = re.compile(r"^(?:num\s+)?(pkts\s+bytes\s+)?target\s+prot\s+(opt\s+)?(in\s+out\s+)?source\b")
ANYWHERE = ("0.0.0.0/0", "::/0", "anywhere", "*", "any", "all", "0")
"""How a listing writes that a column says nothing."""

NUMBERS = {"6": "tcp", "17": "udp", "132": "sctp"}
SUFFIX = {"K": 1_000, "M": 1_000_000, "G": 1_000_000_000, "T": 1_000_000_000_000}

_OPT = re.compile(r"^(?:--|-f|!f)$")
_COUNT = re.compile(r"^\d+[KMGT]?$")
_WORDS = {
    "dport": re.compile(r"\bdpt:(!?)([\w-]+)"),
    "to-destination": re.compile(r"(?:^|\s)to:()(\S+)"),
    "probability": re.compile(r"\bstatistic mode random probability ()([\d.]+)"),
    "every": re.compile(r"\bstatistic mode nth (?:packet \d+ )?every ()(\d+)"),
    "src-type": re.compile(r"\bADDRTYPE match (?:dst-type \S+ )?src-type ()(\S+)"),
    "seconds": re.compile(r"\bseconds: ()(\d+)"),
}
"""What the modules print after the columns, by the option of a save: ("!" or "", value)."""

Options = dict[str, tuple[bool, str]]


@dataclass(slots=True)
class Listing:
    """Where in a listing the reader is: the chain, and which columns its head announces."""

    chain: str = ""
    counters: bool = False
    interfaces: bool = False
    numbers: bool = False

    def structure(self, line: str) -> bool:
        """Note a line that names a chain or the columns; return whether it was one."""
        chain = CHAIN.match(line)
        if chain:
            self.chain = chain[1]
            return True
        head = HEAD.match(line)
        if head:
            self.counters, self.interfaces = head[1] is not None, head[3] is not None
            self.numbers = line.startswith("num")
        return head is not None

    def row(self, line: str) -> tuple[Options, int | None] | str:
        """Return (options, packets) of a rule, or what is wrong with it."""
        comment, rest = split_comment(line)
        if comment is None and "/*" in line:
            return "a comment without its end: cut off?"
        words = line.split()[1:] if self.numbers else line.split()
        packets = None
        if self.counters:
            if len(words) < 2 or not (_COUNT.match(words[0]) and _COUNT.match(words[1])):
                return "not a rule"
            packets = count_of(words[0])
            words = words[2:]
        options: Options = {}
        at = next((i for i, word in enumerate(words[:3]) if _OPT.match(word)), 2)
        if at == 2 and words:  # a rule that only counts has no target
            options["jump"] = (False, words[0])
        columns = words[at - 1 :] if at < len(words) and at else []
        names = ["protocol", *(["in-interface", "out-interface"] if self.interfaces else ())]
        names += ["source", "destination"]
        if columns[1:] and _OPT.match(columns[1]):
            del columns[1]
        if len(columns) < len(names):
            return "not a rule"
        for name, word in zip(names, columns, strict=False):
            negated = word.startswith("!") and len(word) > 1
            value = word[1:] if negated else word
            if value not in ANYWHERE:
                options[name] = (
                    negated,
                    NUMBERS.get(value, value) if name == "protocol" else value,
                )
        if comment:
            options["comment"] = (False, comment)
        options |= _modules(rest)
        return options, packets


def split_comment(line: str) -> tuple[str | None, str]:
    """Return (text of the first ``/* comment */``, the line without it); None without one."""
    start = line.find("/*")
    end = line.find("*/", start + 2) if start >= 0 else -1
    if end < 0:
        return None, line
    return line[start + 2 : end].strip(), f"{line[:start]} {line[end + 2 :]}"


def count_of(text: str) -> int | None:
    """Return a counter as ``-v``, ``--stats`` and their kin print it: 12, 4521, 12K (thousands)."""
    scale = SUFFIX.get(text[-1:], 1)
    digits = text[:-1] if scale > 1 else text
    return int(digits) * scale if digits.isdecimal() and len(digits) < 19 else None


def _modules(rest: str) -> Options:
    """Return what the modules of a rule say, by the options that a save would have."""
    found: Options = {}
    for name, pattern in _WORDS.items():
        match = pattern.search(rest)
        if match:
            found[name] = (match[1] == "!", match[2])
    if " recent: CHECK" in rest:
        found["rcheck"] = (False, "")
    if " recent: SET" in rest:
        found["set"] = (False, "")
    if "every" in found:
        found["mode"] = (False, "nth")
    return found

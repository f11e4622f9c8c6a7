"""The blocks in the output of ``nft list ruleset``: chains with rules, maps and sets with elements.

Also read: a single chain or table, and ``add rule`` and ``add element`` lines as ``nft -f`` takes
them. nft(8) of netfilter.org has the language. One file may hold the rule sets of several nodes:
a block that appears a second time begins the next node.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from lbbench.inputs.source import Place, Skipped, named, read_filled

BLOCKS = "chain|map|set|flowtable|counter|quota|limit|ct helper|ct timeout|secmark|synproxy"

_TABLE = re.compile(r"^(?:add )?table\s+(?:(ip6?|inet|arp|bridge|netdev)\s+)?(\S+)\s*(\{)?$")
_BLOCK = re.compile(rf"^({BLOCKS})\s+(\S+)\s*\{{$")
_ADDED = re.compile(r"^add (rule|element) (ip6?|inet) (\S+) (\S+) (.+)$")
_QUOTED = re.compile(r'"[^"]*"')
_ELEMENTS = re.compile(r"^elements\s*=\s*\{")

Key = tuple[str, str, str]
"""A block: kind, table, name."""

Statement = tuple[str, int]
"""A rule, an element or a property: text on one line, number of its first line."""


@dataclass(slots=True)
class Block:
    """A chain, map or set."""

    place: Place
    rules: list[Statement] = field(default_factory=list)  # of a chain; else its properties
    elements: list[Statement] = field(default_factory=list)


@dataclass(slots=True)
class NftText:
    """What one file holds: the blocks of each node, and what was not used."""

    path: str
    nodes: list[dict[Key, Block]] = field(default_factory=lambda: [{}])
    skipped: list[Skipped] = field(default_factory=list)
    cut_off: int | None = None  # line of the block that does not end
    open_table: int | None = None  # line of the table that does not end, though its blocks do

    def chains(self, prefix: str = "") -> Iterator[tuple[str, Block]]:
        """Yield the chains of all nodes whose name begins so."""
        for blocks in self.nodes:
            for (kind, _, name), block in blocks.items():
                if kind == "chain" and name.startswith(prefix):
                    yield name, block


def read_nft(path: str | Path) -> NftText:
    """Return the blocks in the file ``path``.

    Raises
    ------
    InputError
        When the file cannot be read, is empty or binary.
    """
    text = read_filled(path, ":1: is empty; write it with: sudo nft list ruleset > node.nft")
    return parse_nft(text, named(path))


def parse_nft(text: Sequence[str], path: str) -> NftText:
    """Return the blocks in the lines of ``text``; ``path`` is what messages call the file."""
    parser = _Parser(NftText(path))
    for number, line in enumerate(text, 1):
        parser.line(number, line.strip())
    return parser.end()


@dataclass(slots=True)
class _Parser:
    found: NftText
    table: str = ""
    depth_table: bool = False
    began: int = 0  # line of the table
    block: Block | None = None
    kind: str = ""
    opened: int = 0
    held: list[str] = field(default_factory=list)  # a statement over several lines
    first: int = 0
    depth: int = 0

    def line(self, number: int, line: str) -> None:
        if not self.held and (not line or line.startswith("#")):
            return
        before, mark, handle = line.rpartition("# handle ")
        if mark and handle.isdecimal():
            line = before.rstrip()
        if self.held:
            self._hold(number, line)
        elif self.block is None:
            self._outside(number, line)
        elif line == "}":
            self.block = None
        else:
            self._hold(number, line)

    def end(self) -> NftText:
        """Return what was found; a block without its end is cut off."""
        if self.held:
            self.found.skipped.append((self.found.path, self.first, "a statement without its }"))
        if self.block is not None or self.held:
            self.found.cut_off = self.opened
        elif self.depth_table:
            self.found.open_table = self.began
        return self.found

    def _outside(self, number: int, line: str) -> None:
        table = _TABLE.match(line)
        block = _BLOCK.match(line)
        added = _ADDED.match(line)
        if table:
            self.table, self.depth_table = f"{table[1] or 'ip'} {table[2]}", table[3] is not None
            self.began = number
        elif block:
            self.kind, self.opened = block[1], number
            self.block = self._new((block[1], self.table, block[2]), number)
        elif added:
            kind = "chain" if added[1] == "rule" else "map"
            self.kind = kind
            key = (kind, f"{added[2]} {added[3]}", added[4])
            held = self.found.nodes[-1].setdefault(key, Block((self.found.path, number)))
            self._statement(held, added[5], number, elements=kind == "map")
        elif line == "}":
            self.table, self.depth_table = "", False
        elif not (self.depth_table or line.startswith(("add ", "flush ", "delete ", "destroy "))):
            self.found.skipped.append((self.found.path, number, "not a block of nft"))

    def _new(self, key: Key, number: int) -> Block:
        if key in self.found.nodes[-1]:
            self.found.nodes.append({})
        return self.found.nodes[-1].setdefault(key, Block((self.found.path, number)))

    def _hold(self, number: int, line: str) -> None:
        if not self.held:
            self.first, self.depth = number, 0
        bare = _QUOTED.sub("", line) if '"' in line else line
        self.depth += bare.count("{") - bare.count("}")
        self.held.append(line)
        if self.depth > 0:
            return
        text, self.held = " ".join(self.held), []
        assert self.block is not None
        if self.depth < 0:  # one } too many: "} }" at the end of a block
            text, _, _ = text.rpartition("}")
        elements = _ELEMENTS.match(text)
        self._statement(
            self.block, text[elements.end() - 1 :] if elements else text, self.first,
            elements=elements is not None,
        )  # fmt: skip
        if self.depth < 0:
            self.block = None

    def _statement(self, block: Block, text: str, number: int, *, elements: bool) -> None:
        if not elements:
            block.rules.append((text, number))
            return
        inside = text.strip().removeprefix("{").rpartition("}")[0]
        block.elements += [(item, number) for item in split_elements(inside)]


def split_elements(text: str) -> list[str]:
    """Return the elements between the braces of a set, split at commas outside quotes."""
    parts: list[list[str]] = [[]]
    quoted = False
    for piece in re.split(r'([",])', text):
        if piece == '"':
            quoted = not quoted
        if piece == "," and not quoted:
            parts.append([])
        else:
            parts[-1].append(piece)
    joined = (" ".join("".join(part).split()) for part in parts)
    return [part for part in joined if part]

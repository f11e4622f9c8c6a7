"""The directives of an nginx.conf that say how it balances: in order, with lines and contexts.

nginx's grammar (src/core/ngx_conf_file.c): words and quoted strings, ``;`` ends a directive, ``{``
opens a block, Lua blocks hold anything. Only directives in `WANTED` are kept, so that the generated
file of a controller with thousands of locations stays small in memory.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from lbbench.errors import InputError
from lbbench.inputs.source import named, read_text

WANTED = frozenset(
    (
        *("worker_processes", "upstream", "server", "location", "http", "if", "stream", "include"),
        *("least_conn", "ip_hash", "hash", "random", "sticky", "fair", "least_time"),
        *("keepalive", "keepalive_timeout", "keepalive_requests", "zone", "balancer_by_lua_block"),
        *("proxy_pass", "grpc_pass", "proxy_connect_timeout", "proxy_read_timeout"),
        *("proxy_next_upstream", "proxy_next_upstream_tries", "proxy_next_upstream_timeout"),
        *("proxy_http_version", "proxy_set_header", "balancer_by_lua_file", "split_clients"),
    )
)
DEEPEST = 64
"""Blocks within blocks; nginx itself needs six or so."""

_TOKEN = re.compile(
    r"""(?P<space>\s+)|(?P<comment>\#[^\n]*)|(?P<mark>[{};])"""
    r"""|"(?P<double>(?:[^"\\]|\\.)*)"|'(?P<single>(?:[^'\\]|\\.)*)'"""
    r"""|(?P<word>(?:\\.|\$\{|[^\s{};"'\\])(?:\\.|\$\{\w*\}|[^\s{};\\])*)""",
    re.DOTALL,
)
_LUA = re.compile(r"""--[^\n]*|"(?:[^"\\\n]|\\.)*"|'(?:[^'\\\n]|\\.)*'|[{}]""", re.DOTALL)


@dataclass(frozen=True, slots=True)
class Directive:
    """One directive: its words, its line, and the number of the block that it stands in."""

    name: str
    args: tuple[str, ...]
    line: int
    parent: int | None  # index in NginxText.directives


@dataclass(slots=True)
class NginxText:
    """The directives that are kept, in the order of the file."""

    path: str
    directives: list[Directive] = field(default_factory=list)
    children: dict[int | None, list[int]] = field(default_factory=dict)
    count: int = 0  # of all directives

    def within(self, parent: int | None, *names: str) -> list[Directive]:
        """Return the directives of a block with one of ``names``."""
        found = (self.directives[i] for i in self.children.get(parent, []))
        return [item for item in found if item.name in names]

    def blocks(self, name: str) -> Iterator[tuple[int, Directive]]:
        """Yield (index, directive) of every block called ``name``."""
        for i, item in enumerate(self.directives):
            if item.name == name and i in self.children:
                yield i, item

    def effective(self, parent: int | None, *names: str) -> list[Directive]:
        """Return the directives that hold in a block: its own, else those of the block around."""
        here = parent
        while True:
            found = self.within(here, *names)
            if found or here is None:
                return found
            here = self.directives[here].parent


def read_nginx(path: str | Path) -> NginxText:
    """Return the directives of the file ``path``.

    Raises
    ------
    InputError
        When the file cannot be read, is empty or binary, or is no nginx.conf: a block or a string
        without its end, too many blocks within each other.
    """
    return parse_nginx("\n".join(read_text(path)), named(path))


def parse_nginx(text: str, path: str) -> NginxText:
    """Return the directives in ``text``; ``path`` is what messages call the file."""
    parser = _Parser(NginxText(path))
    line, at = 1, 0
    while at < len(text):
        token = _TOKEN.match(text, at)
        if token is None:
            what = "a quote" if text[at] in "\"'" else f"the sign {text[at]!r}"
            raise _wrong(path, line, f"{what} without its partner")
        kind, at = token.lastgroup or "", token.end()
        if token["mark"] == "{" and parser.in_lua():
            parser.keep(opens=True)
            at, line = _skip_lua(text, at, path, line)
            parser.words = []
            continue
        if kind == "mark":
            parser.mark(token["mark"], line)
        elif kind not in {"space", "comment"}:
            parser.word(token[kind], line)
        line += text.count("\n", token.start(), at)
    return parser.end()


@dataclass(slots=True)
class _Parser:
    found: NginxText
    stack: list[int | None] = field(default_factory=list)  # open blocks: where their children go
    lines: list[int] = field(default_factory=list)  # where they began
    words: list[str] = field(default_factory=list)
    began: int = 1

    def in_lua(self) -> bool:
        return bool(self.words) and self.words[0].endswith("_by_lua_block")

    def word(self, text: str, line: int) -> None:
        if not self.words:
            self.began = line
        self.words.append(text)

    def mark(self, mark: str, line: int) -> None:
        """Take a ``;``, ``{`` or ``}``."""
        path = self.found.path
        if mark == "}":
            if not self.stack:
                raise _wrong(path, line, "a } without its {")
            if self.words:
                raise _wrong(path, self.began, f"{self.words[0][:40]} has no ; at its end")
            self.stack.pop()
            self.lines.pop()
            return
        if mark == "{" and not self.words:
            raise _wrong(path, line, "a { without a name before it")
        if self.words:
            index = self.keep(opens=mark == "{")
            if mark == "{":
                self.stack.append(index)
                self.lines.append(self.began)
        if len(self.stack) > DEEPEST:
            raise _wrong(path, line, f"more than {DEEPEST} blocks within each other")
        self.words = []

    def keep(self, *, opens: bool) -> int | None:
        """Keep a directive if it is wanted; return the index that its children get."""
        found = self.found
        found.count += 1
        inside = self.stack[-1] if self.stack else None
        if self.words[0] not in WANTED:
            return inside
        index = len(found.directives)
        name, *args = self.words
        found.directives.append(Directive(name, tuple(args), self.began, inside))
        found.children.setdefault(inside, []).append(index)
        if opens:
            found.children.setdefault(index, [])
        return index

    def end(self) -> NginxText:
        """Return what was found, if it is whole."""
        path = self.found.path
        if self.stack:
            what = "truncated input: the block that begins here is not closed"
            raise _wrong(path, self.lines[-1], what)
        if self.words:
            raise _wrong(path, self.began, f"truncated input: {self.words[0][:40]} has no end")
        if not self.found.count:
            raise _wrong(path, 1, "no directive in it: it is empty, or holds comments only")
        return self.found


def _skip_lua(text: str, at: int, path: str, line: int) -> tuple[int, int]:
    """Return (place, line) behind the } of a Lua block that began before ``at``."""
    depth, start = 1, at
    for token in _LUA.finditer(text, at):
        depth += {"{": 1, "}": -1}.get(token[0], 0)
        if depth == 0:
            return token.end(), line + text.count("\n", start, token.end())
    raise _wrong(path, line, "truncated input: the Lua block that begins here is not closed")


def _wrong(path: str, line: int, what: str) -> InputError:
    return InputError(
        f"{path}:{line}: {what}; give the whole of it: nginx -T, or in a controller's pod "
        "cat /etc/nginx/nginx.conf"
    )

"""What people save of a cluster: JSON, YAML or pasted text, told apart by its beginning.

One file holds one JSON (of any length), or text: YAML documents, tables, and JSON between the
prompts of a terminal, in any order.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from itertools import chain
from pathlib import Path
from typing import Any, NamedTuple

from lbbench.errors import InputError
from lbbench.inputs.json_documents import json_parts
from lbbench.inputs.source import named, pieces
from lbbench.inputs.tables import is_table
from lbbench.inputs.yaml_documents import yaml_documents

MAX_TEXT = 8 << 20  # bytes of YAML or tables: five seconds; JSON has no such limit

PROMPT = re.compile(r"(?=\S)(?:.{0,150}?[$#>%~]\s*)?(?:sudo\s+)?(?:kubectl|k|oc|az)\s+\S")
"""A line of a terminal that asks for the output below it."""

_BRACKETED = re.compile(rb"\s*\[[^\]\n\"{,]*\]\s*[$#]")  # the prompt "[user@host ~]$"


class Document(NamedTuple):
    """One object as plain data.

    ``place`` is FILE:LINE, or FILE where JSON tells no lines.
    """

    data: dict[str, Any]
    place: str
    list_kind: str = ""


class Text(NamedTuple):
    """Lines that are no JSON or YAML, the first of them ``first_line`` (from 1) of the file.

    ``command`` is the line with the prompt that they follow, if there is one.
    """

    name: str
    lines: list[str]
    first_line: int
    command: str = ""


def read_documents(path: str | Path) -> Iterator[Document | Text]:
    """Yield what a file holds, in its order.

    Raises
    ------
    InputError
        When it cannot be read, is empty, too long for its form, or no valid JSON or YAML.
    """
    name = named(path)
    found = pieces(path)
    head = b""
    for piece in found:
        head += piece
        if head.strip():
            break
    if not head.strip():
        raise InputError(f"{name}: is empty; save the output of kubectl or az")
    whole = chain([head], found)
    if head.lstrip()[:1] in (b"{", b"[") and not _BRACKETED.match(head[:4096]):
        for part in json_parts(whole, name):
            yield from _objects(Document(part.data, name, part.list_kind))
        return
    text = _text(whole, name)
    for first_line, lines, command in _sections(re.split(r"\r\n|\n|\r", text)):
        for item in _read_section(name, first_line, lines):
            yield item._replace(command=command) if isinstance(item, Text) else item


def _text(whole: Iterator[bytes], name: str) -> str:
    held = b""
    for piece in whole:
        held += piece
        if len(held) > MAX_TEXT:
            raise InputError(
                f"{name}: is longer than {MAX_TEXT >> 20} MiB, too long for YAML or tables; "
                "save it with -o json, which is read piece by piece"
            )
    return held.decode("utf-8", "backslashreplace")


def _sections(lines: list[str]) -> Iterator[tuple[int, list[str], str]]:
    """Cut a terminal's text at its prompts; each part goes with the prompt above it."""
    start, command = 0, ""
    for number, line in enumerate(lines):
        if PROMPT.match(line):
            if any(item.strip() for item in lines[start:number]):
                yield start + 1, lines[start:number], command
            start, command = number + 1, line
    if any(item.strip() for item in lines[start:]):
        yield start + 1, lines[start:], command


def _read_section(name: str, first_line: int, lines: list[str]) -> Iterator[Document | Text]:
    first = next(line.strip() for line in lines if line.strip())
    if is_table(lines):
        yield Text(name, lines, first_line)
    elif first[0] in "{[":
        text = "\n".join(lines).encode()
        for part in json_parts([text], f"{name}:{first_line}"):
            yield from _objects(Document(part.data, f"{name}:{first_line}", part.list_kind))
    elif re.match(r"(?:---|- |[\w\"'./-]+:(?:\s|$)|#|%)", first):
        for data, where in yaml_documents("\n".join(lines), name, first_line):
            for item in data if isinstance(data, list) else [data]:
                place = f"{name}:{where.get(id(item), first_line)}"
                if isinstance(item, dict):
                    for found in _objects(Document(item, place)):
                        if isinstance(found, Document) and id(found.data) in where:
                            yield found._replace(place=f"{name}:{where[id(found.data)]}")
                        else:
                            yield found
                elif item is not None:
                    yield Text(name, [str(item)[:200]], first_line)
    else:
        yield Text(name, lines, first_line)


def _objects(document: Document, depth: int = 0) -> Iterator[Document | Text]:
    """Yield the objects of a list, lists in lists too; of JSON they came one by one already.

    What stands among them and is no object is text: it is shown as not used.
    """
    items = document.data.get("items")
    kind = document.data.get("kind")
    if not isinstance(items, list) or depth > 3:
        yield document
        return
    for item in items:
        if isinstance(item, dict):
            yield from _objects(Document(item, document.place, str(kind or "")), depth + 1)
        elif item is not None:
            name, _, line = document.place.rpartition(":")
            known = bool(name) and line.isdecimal()
            yield Text(
                name if known else document.place, [str(item)[:200]], int(line) if known else 1
            )

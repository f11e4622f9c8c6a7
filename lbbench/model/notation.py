"""YAML as scenarios use it: text to plain data, with the line of every key.

The nodes that ruamel.yaml composes are read here, not its Python objects: they carry lines, aliases
are still visible (their expansion is bounded), duplicate keys too, and no tag can make an object.
"""

from __future__ import annotations

import math
import re
import warnings
from collections.abc import Iterator
from dataclasses import dataclass, field
from io import StringIO
from typing import Any

from lbbench.errors import ScenarioError
from lbbench.model.mistakes import dotted

MAX_DEPTH = 40
MAX_REPEATED = 100_000
"""Most nodes that aliases may repeat: an alias bomb is stopped here."""

Keys = tuple[str | int, ...]

_WORDS: dict[str, Any] = {
    **dict.fromkeys(("", "~", "null", "Null", "NULL")),
    **dict.fromkeys(("true", "True", "TRUE"), True),
    **dict.fromkeys(("false", "False", "FALSE"), False),
    **dict.fromkeys((".inf", ".Inf", ".INF", "+.inf", "+.Inf", "+.INF"), math.inf),
    **dict.fromkeys(("-.inf", "-.Inf", "-.INF"), -math.inf),
    **dict.fromkeys((".nan", ".NaN", ".NAN"), math.nan),
}
_WHOLE = re.compile(r"[-+]?[0-9]{1,30}")
_FLOAT = re.compile(r"[-+]?(?:[0-9]+(?:\.[0-9]*)?|\.[0-9]+)(?:[eE][-+]?[0-9]+)?")
_WORD = re.compile(r"[A-Za-z0-9][A-Za-z0-9_./%-]*")
"""Texts that are one plain scalar for certain."""
_OPENERS = re.compile(rf"(?:[\[{{]\s*){{{MAX_DEPTH + 1}}}")
_PLAIN_TAGS = re.compile(r"tag:yaml\.org,2002:(?:null|bool|int|float|str|seq|map|timestamp|merge)")


def parse(text: str, place: str) -> tuple[dict[str, Any], dict[Keys, int]]:
    """Return the plain data of a YAML text and the line (from 1) of every key path.

    Raises
    ------
    ScenarioError
        One sentence with the line: not YAML, a key given twice, an alias bomb, nested too deeply.
    """
    root = _compose(text, place)
    if root is None:
        raise ScenarioError(
            f"{place}: there is nothing in it; a scenario needs at least traffic, for instance "
            f"traffic: {{utilisation: 0.8}}"
        )
    reader = _Reader(place)
    data = reader.read(root, (), 0)
    if not isinstance(data, dict):
        kind = "a list" if isinstance(data, list) else "a single value"
        raise ScenarioError(
            f"{place}:1: this is {kind}; a scenario has keys, for instance "
            f"traffic: {{utilisation: 0.8}}"
        )
    return data, reader.lines


def read_value(text: str, path: str) -> Any:
    """Return the plain value of a YAML text that the command line gives for ``path``.

    Raises
    ------
    ScenarioError
        When it is not YAML.
    """
    if _WORD.fullmatch(text):  # the parser takes 0.5 ms
        return _plain_word(text)
    place = f"--set {path}"
    root = _compose(text, place)
    return None if root is None else _Reader(place, numbered=False).read(root, (), 0)


def _compose(text: str, place: str) -> Any:
    from ruamel.yaml import YAML
    from ruamel.yaml.error import MarkedYAMLError, ReusedAnchorWarning, YAMLError

    if _OPENERS.search(text):  # the scanner needs seconds for thousands of them
        raise ScenarioError(f"{place}: nested deeper than {MAX_DEPTH} levels")
    try:
        with warnings.catch_warnings():  # YAML allows it: the later anchor holds from there on
            warnings.simplefilter("ignore", ReusedAnchorWarning)
            return YAML(typ="rt", pure=True).compose(StringIO(text))
    except MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        line = f":{mark.line + 1}" if mark and not place.startswith("--set") else ""
        problem = " ".join((error.problem or "it cannot be read").split())
        hint = "; indent with spaces" if "\\t" in problem else ""
        raise ScenarioError(f"{place}{line}: not valid YAML: {problem}{hint}") from None
    except RecursionError:
        raise ScenarioError(f"{place}: nested deeper than {MAX_DEPTH} levels") from None
    except (YAMLError, ValueError, AttributeError, TypeError, IndexError) as error:
        problem = " ".join(str(error).split())[:200]
        raise ScenarioError(f"{place}: not valid YAML: {problem}") from None


@dataclass
class _Reader:
    """Turns nodes into plain data and notes the lines."""

    place: str
    numbered: bool = True
    lines: dict[Keys, int] = field(default_factory=dict)
    seen: set[int] = field(default_factory=set)
    repeated: int = 0

    def read(self, node: Any, at: Keys, depth: int) -> Any:
        self._count(node, depth)
        self.lines.setdefault(at, node.start_mark.line + 1)
        tag = str(node.tag or "")
        if tag and not _PLAIN_TAGS.fullmatch(tag) and tag != "!":
            shown = tag.replace("tag:yaml.org,2002:", "!!")
            raise self.error(node, f"the tag {shown} is not understood; write plain values")
        kind = type(node).__name__
        if kind == "MappingNode":
            return self._mapping(node, at, depth)
        if kind == "SequenceNode":
            return [self.read(item, (*at, i), depth + 1) for i, item in enumerate(node.value)]
        return _scalar(node)

    def error(self, node: Any, text: str) -> ScenarioError:
        line = f":{node.start_mark.line + 1}" if self.numbered else ""
        return ScenarioError(f"{self.place}{line}: {text}")

    def _count(self, node: Any, depth: int) -> None:
        if depth > MAX_DEPTH:
            raise self.error(node, f"nested deeper than {MAX_DEPTH} levels")
        if id(node) in self.seen:
            self.repeated += 1
            if self.repeated > MAX_REPEATED:
                raise self.error(
                    node, f"aliases repeat more than {MAX_REPEATED} values; write them out"
                )
        self.seen.add(id(node))

    def _mapping(self, node: Any, at: Keys, depth: int) -> dict[str, Any]:
        made: dict[str, Any] = {}
        merged: dict[str, Any] = {}
        for key_node, value_node in node.value:
            if str(key_node.tag).endswith(":merge"):
                for below in self._merged(value_node, at, depth):
                    merged = {**below, **merged}
                continue
            if type(key_node).__name__ != "ScalarNode":
                raise self.error(key_node, "a key must be a word, not a list or a mapping")
            key = str(key_node.value)
            if key in made:
                raise self.error(
                    key_node, f"{dotted((*at, key))}: is given twice; keep one of them"
                )
            self.lines[(*at, key)] = key_node.start_mark.line + 1
            made[key] = self.read(value_node, (*at, key), depth + 1)
        return {**merged, **made}

    def _merged(self, node: Any, at: Keys, depth: int) -> Iterator[dict[str, Any]]:
        """Yield the mappings of a merge key, ``<<: *name`` or ``<<: [*one, *two]``."""
        several = type(node).__name__ == "SequenceNode"
        for item in node.value if several else [node]:
            below = self.read(item, at, depth + 1)
            if not isinstance(below, dict):
                raise self.error(node, "<< must name a mapping")
            yield below


def _scalar(node: Any) -> Any:
    """Return the value of a plain word by the YAML 1.2 core rules; quoted ones are texts."""
    # ruamel.yaml marks the line ends of a folded text by \a, to write it back as it was
    text = node.value.replace("\a", "") if node.style == ">" else node.value
    return text if node.style in ("'", '"', "|", ">") else _plain_word(text)


def _plain_word(text: str) -> Any:
    if text in _WORDS:
        return _WORDS[text]
    if _WHOLE.fullmatch(text):
        return int(text)
    if _FLOAT.fullmatch(text):
        return float(text)
    return text

"""YAML that programs wrote, several documents in one text: plain data with lines.

A dump of a cluster has megabytes, so the events of libyaml are read here (fifty times as fast as
the reader of scenarios, which has to keep the place of every key). An alias refers to what was
built once; how much aliases repeat is bounded all the same, since whoever walks the data pays it.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from lbbench.errors import InputError

MAX_DEPTH = 60
MAX_REPEATED = 100_000
"""Most values that aliases may repeat: an alias bomb is stopped here."""

LINED = 3  # levels of mappings whose lines are kept: a list, its items, one more

_WORDS: dict[str, Any] = {
    **dict.fromkeys(("", "~", "null", "Null", "NULL")),
    **dict.fromkeys(("true", "True", "TRUE"), True),
    **dict.fromkeys(("false", "False", "FALSE"), False),
}
_WHOLE = re.compile(r"[-+]?[0-9]{1,18}")
_FLOAT = re.compile(r"[-+]?(?:[0-9]{1,300}\.[0-9]*|\.[0-9]+)(?:[eE][-+]?[0-9]{1,2})?")


class Whole(NamedTuple):
    """One document and the lines (from 1) of its outer mappings, by their id()."""

    data: Any
    lines: dict[int, int]


def yaml_documents(text: str, name: str, first_line: int = 1) -> Iterator[Whole]:
    """Yield the documents of a YAML text that begins at ``first_line`` of the file ``name``.

    Raises
    ------
    InputError
        With the line: not YAML, an alias bomb, an unknown alias, nested too deeply.
    """
    import yaml

    loader = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
    builder = _Builder(name, first_line)
    try:
        for event in yaml.parse(text, Loader=loader):
            done = builder.take(event)
            if done is not None:
                yield done
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        line = f":{mark.line + first_line}" if mark else ""
        problem = " ".join((error.problem or "it cannot be read").split())
        raise InputError(
            f"{name}{line}: not valid YAML: {problem}; save the output of kubectl again"
        ) from None
    except (yaml.YAMLError, ValueError, RecursionError) as error:
        problem = " ".join(str(error).split())[:160]
        raise InputError(
            f"{name}: not valid YAML: {problem}; save the output of kubectl again"
        ) from None


@dataclass
class _Open:
    """A mapping or sequence that is not complete yet."""

    value: Any
    anchor: str | None
    before: int  # values that had been built when it began
    key: Any = None
    has_key: bool = False


@dataclass
class _Builder:
    """Turns events into plain data."""

    name: str
    first_line: int
    stack: list[_Open] = field(default_factory=list)
    anchors: dict[str, tuple[Any, int]] = field(default_factory=dict)
    lines: dict[int, int] = field(default_factory=dict)
    built: int = 0
    repeated: int = 0

    def take(self, event: Any) -> Whole | None:
        kind = type(event).__name__
        if kind == "ScalarEvent":
            value = event.value if event.style else plain(event.value)
            return self._add(value, event, event.anchor, 1)
        if kind in ("MappingStartEvent", "SequenceStartEvent"):
            if len(self.stack) >= MAX_DEPTH:
                raise self.error(event, f"nested deeper than {MAX_DEPTH} levels; save it again")
            value = {} if kind == "MappingStartEvent" else []
            if kind == "MappingStartEvent" and len(self.stack) < LINED:
                self.lines[id(value)] = event.start_mark.line + self.first_line
            self.stack.append(_Open(value, event.anchor, self.built))
        elif kind in ("MappingEndEvent", "SequenceEndEvent"):
            done = self.stack.pop()
            size = self.built - done.before + 1
            return self._add(done.value, event, done.anchor, size)
        elif kind == "AliasEvent":
            if event.anchor not in self.anchors:
                raise self.error(event, f"the alias *{event.anchor} is not defined; write it out")
            value, size = self.anchors[event.anchor]
            self.repeated += size
            if self.repeated > MAX_REPEATED:
                raise self.error(
                    event, f"aliases repeat more than {MAX_REPEATED} values; write them out"
                )
            return self._add(value, event, None, size)
        return None

    def _add(self, value: Any, event: Any, anchor: str | None, size: int) -> Whole | None:
        self.built += size if type(event).__name__ == "AliasEvent" else 1
        if anchor:
            self.anchors[anchor] = (value, size)
        if not self.stack:
            lines, self.lines, self.anchors = self.lines, {}, {}
            return Whole(value, lines)
        outer = self.stack[-1]
        if isinstance(outer.value, list):
            outer.value.append(value)
        elif outer.has_key:
            outer.value[outer.key] = value
            outer.has_key = False
        elif isinstance(value, dict | list):
            raise self.error(event, "a key must be a word, not a list or a mapping; save it again")
        else:
            # a key stays a word: `on` and `80` are names of keys
            outer.key = event.value if hasattr(event, "value") else str(value)
            outer.has_key = True
        return None

    def error(self, event: Any, text: str) -> InputError:
        return InputError(f"{self.name}:{event.start_mark.line + self.first_line}: {text}")


def plain(text: str) -> Any:
    """Return the value of a plain word by the YAML 1.2 core rules."""
    if text in _WORDS:
        return _WORDS[text]
    if _WHOLE.fullmatch(text):
        return int(text)
    if _FLOAT.fullmatch(text):
        return float(text)
    return text

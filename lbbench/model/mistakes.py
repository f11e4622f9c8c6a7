"""What is wrong with a scenario, key by key, in sentences of our own instead of pydantic's."""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterable, Sequence
from typing import Any, NamedTuple

from pydantic import ValidationError

MISSING = "is missing"


class Mistake(NamedTuple):
    """One mistake: the keys that lead to it and a sentence on what is wrong and what is allowed."""

    keys: tuple[str | int, ...]
    text: str


class Fault(ValueError):  # noqa: N818  (never seen: a ScenarioError tells what it holds)
    """Mistakes below the part that is being checked; pydantic carries it to the top."""

    def __init__(self, mistakes: Iterable[Mistake]) -> None:
        self.mistakes = tuple(mistakes)
        super().__init__("; ".join(f"{dotted(keys)}: {text}" for keys, text in self.mistakes))


def fault(key: str | int, text: str) -> Fault:
    """Return the fault of one mistake at ``key`` of the part that is being checked."""
    return Fault([Mistake((key,), text)])


def mistakes_of(error: ValidationError) -> list[Mistake]:
    """Return every mistake that a pydantic error holds, those of nested parts included."""
    found: list[Mistake] = []
    for item in error.errors(include_url=False):
        keys = tuple(key for key in item["loc"] if key != "[key]")  # a wrong key of a free mapping
        cause = item.get("ctx", {}).get("error")
        if isinstance(cause, Fault):
            found += [Mistake((*keys, *inner.keys), inner.text) for inner in cause.mistakes]
        elif isinstance(cause, ValidationError):
            found += [Mistake((*keys, *inner.keys), inner.text) for inner in mistakes_of(cause)]
        else:
            found.append(Mistake(keys, _sentence(item)))
    return found


def dotted(keys: Sequence[str | int]) -> str:
    """Return keys as text: ``cluster.pods[3].speed``."""
    text = ""
    for key in keys:
        text += f"[{key}]" if isinstance(key, int) else f".{key}" if text else str(key)
    return text


def unknown_key(key: object, allowed: Iterable[str]) -> str:
    """Return the sentence on a key that does not exist, with the near misses."""
    names = sorted(allowed)
    return f"unknown key; {near(key, names) or listed(names)}"


def near(value: object, allowed: Iterable[str]) -> str:
    """Return "did you mean ...?" with up to three near misses; empty when there is none."""
    hits = difflib.get_close_matches(str(value)[:80], list(allowed), n=3)
    return f"did you mean {' or '.join(hits)}?" if hits else ""


def listed(names: Sequence[str]) -> str:
    """Return "allowed are a, b, c"."""
    return f"allowed are {', '.join(names)}" if names else "no key is allowed here"


def some(names: Sequence[str], most: int = 5) -> str:
    """Return the first names and how many more there are."""
    rest = len(names) - most
    return ", ".join(names[:most]) + (f" and {rest} more" if rest > 0 else "")


_LIMITS = {
    "greater_than_equal": ("must be at least", "ge"),
    "greater_than": ("must be greater than", "gt"),
    "less_than_equal": ("must be at most", "le"),
    "less_than": ("must be less than", "lt"),
}

_KINDS = {
    "bool": "true or false",
    "int": "a whole number",
    "float": "a number",
    "string": "a text",
    "tuple": "a list",
    "dict": "a mapping of keys",
    "model": "a mapping of keys",
}


def _sentence(item: Any) -> str:
    kind, context = item["type"], item.get("ctx", {})
    if kind == "value_error":
        return str(context["error"])
    if kind == "literal_error":
        words = re.findall(r"'([^']*)'", str(context["expected"]))
        hint = near(item["input"], words)
        return f"is not allowed; {hint + ' ' if hint else ''}{listed(words)}"
    if kind in _LIMITS:
        limit, key = _LIMITS[kind]
        return f"{limit} {context[key]}"
    if kind == "missing":
        return MISSING
    if kind == "finite_number":
        return "must be a finite number"
    for beginning, what in _KINDS.items():
        if kind.startswith(beginning):
            return f"must be {what}"
    return "is not understood"

"""Where the keys of a scenario were written, and mistakes told with that place."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from lbbench.model.mistakes import MISSING, Mistake, dotted

MAX_LINES = 12

Keys = tuple[str | int, ...]

NO_LOAD = "is missing; give exactly one of arrivals.rate, utilisation and trace below it"


@dataclass(frozen=True)
class Origin:
    """Where the keys of a scenario were written.

    Attributes
    ----------
    place
        The file, or what stands for one.
    lines
        Line (from 1) of every key path in it.
    changed
        Place of every leaf that was set later, "--set PATH".
    """

    place: str = "scenario"
    lines: Mapping[Keys, int] = field(default_factory=dict)
    changed: Mapping[Keys, str] = field(default_factory=dict)

    def of(self, keys: Keys) -> str:
        """Return the place of a key, or of the nearest key above it: FILE:LINE or --set PATH."""
        return self.ordered(keys)[1]

    def ordered(self, keys: Keys) -> tuple[float, str]:
        """Return (line for sorting, place); what was set later comes last."""
        for at, where in self.changed.items():
            if keys[: len(at)] == at:
                return math.inf, where
        for size in range(len(keys), -1, -1):
            line = self.lines.get(keys[:size])
            if line is not None:
                return float(line if size else 0), f"{self.place}:{line}"
        return 0.0, self.place


def told(found: Sequence[Mistake], data: Mapping[str, Any], origin: Origin) -> str:
    """Return the mistakes in plain ``data`` as lines, in the order of the file.

    At most `MAX_LINES` of ``FILE:LINE: path.to.key = value: what is wrong; what is allowed``.
    """
    placed = []
    for keys, text in found:
        nested = as_nested(keys, data)
        order, where = origin.ordered(nested)
        placed.append((order, where, _sentence(Mistake(nested, text), data)))
    placed.sort(key=lambda entry: entry[0])
    texts = list(dict.fromkeys(f"{where}: {sentence}" for _, where, sentence in placed))
    if len(texts) > MAX_LINES:
        rest = len(texts) - MAX_LINES + 1
        texts = [*texts[: MAX_LINES - 1], f"{origin.place}: and {rest} more mistakes"]
    return "\n".join(texts)


def as_nested(keys: Keys, data: Mapping[str, Any]) -> Keys:
    """Return the keys of a sweep's ``zip`` or ``random`` as written, maybe inside ``axes``."""
    if keys[:1] == ("sweep",) and keys[1:2] in {("zip",), ("random",)}:
        sweep = data.get("sweep")
        axes = sweep.get("axes") if isinstance(sweep, Mapping) else None
        if isinstance(axes, Mapping) and axes.get(keys[1]) is not None:
            return ("sweep", "axes", *keys[1:])
    return keys


def _sentence(mistake: Mistake, data: Any) -> str:
    keys, text = mistake
    if keys == ("traffic",) and text.startswith(MISSING):
        text = NO_LOAD
    value = data
    for key in keys:
        within = (isinstance(value, Mapping) and key in value) or (
            isinstance(value, (list, tuple)) and isinstance(key, int) and key < len(value)
        )
        if not within:
            return f"{dotted(keys)}: {text}" if keys else text
        value = value[key]
    shown = as_shown(value)
    return f"{dotted(keys)}{' = ' + shown if shown else ''}: {text}"


def as_shown(value: Any) -> str:
    """Return a value on one line of at most 60 signs; nothing for mappings and long lists."""
    if isinstance(value, Mapping):
        return ""
    if isinstance(value, (list, tuple)):
        text = json.dumps(list(value), default=str, ensure_ascii=False)
        return text if len(text) <= 60 else ""
    if isinstance(value, (bool, type(None))):
        return json.dumps(value)
    text = " ".join(str(value).split())
    if not text or not text.isprintable():
        text = json.dumps(str(value))
    return text if len(text) <= 60 else text[:57] + "..."

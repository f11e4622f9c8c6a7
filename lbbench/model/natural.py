"""The order in which people expect names: numbers in them count as numbers."""

from __future__ import annotations

import re

_DIGITS = re.compile(r"(\d+)")


def natural(name: str) -> list[str | int]:
    """Return a key that sorts ``pod-2`` before ``pod-10``, and 10.244.0.9 before 10.244.0.10.

    Texts and numbers take turns, beginning with a text, so any two keys can be compared.
    """
    parts = enumerate(_DIGITS.split(name))
    return [int(part) if at % 2 else part for at, part in parts]

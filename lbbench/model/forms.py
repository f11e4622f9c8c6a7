"""Keys that can be written in several forms: a word, a number, a list, or keys of their own."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from pydantic import BeforeValidator, ValidationError

from lbbench.model.fields import Part
from lbbench.model.mistakes import Fault, Mistake, mistakes_of


def optional(shape: type[Part]) -> BeforeValidator:
    """Return what reads "none" or the keys of ``shape``."""

    def read(value: object) -> object:
        if value == "none" or isinstance(value, shape):
            return value
        if not isinstance(value, Mapping):
            raise ValueError(f'must be "none" or keys, for instance {shape.SHORT}')
        return shape.model_validate(value)

    return BeforeValidator(read)


def by_key(value: object, shapes: Mapping[str, type[Part]], words: tuple[str, ...]) -> Any:
    """Return ``value`` as the part whose key it has, or as the word that it is.

    ``shapes`` maps the distinguishing key to the part: ``{geometric: 20}`` is the part under
    "geometric".

    Raises
    ------
    ValueError
        When it is neither; the sentence lists what is allowed.
    """
    if isinstance(value, Part) or (isinstance(value, str) and value in words):
        return value
    if isinstance(value, Mapping):
        for key, shape in shapes.items():
            if key in value:
                return shape.model_validate(value)
    allowed = [*words, *(shape.SHORT or f"{{{key}: ...}}" for key, shape in shapes.items())]
    raise ValueError(f"is not understood; allowed are {', '.join(allowed)}")


def listed_or(
    shape: type[Part], read: Callable[[object], Any], most: int, *, least: int = 1
) -> BeforeValidator:
    """Return what reads ``least`` to ``most`` entries of ``shape``, or what ``read`` does."""

    def read_list(value: object) -> object:
        if not isinstance(value, (list, tuple)):
            return read(value)
        if not least <= len(value) <= most:
            raise ValueError(f"must have {least} to {most} entries")
        return entries(shape, value)

    return BeforeValidator(read_list)


def entries(shape: type[Part], value: list[Any] | tuple[Any, ...]) -> tuple[Any, ...]:
    """Return the entries of a list as parts.

    Raises
    ------
    Fault
        With the mistakes of all entries.
    """
    made: list[Any] = []
    found: list[Mistake] = []
    for i, entry in enumerate(value):
        try:
            made.append(shape.model_validate(entry))
        except ValidationError as error:
            found += [Mistake((i, *inner.keys), inner.text) for inner in mistakes_of(error)]
    if found:
        raise Fault(found)
    return tuple(made)

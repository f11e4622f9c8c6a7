"""What scenario keys are made of: parts, and single values with their units and bounds."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Callable, Mapping
from functools import cache
from typing import Annotated, Any, ClassVar, Literal

from pydantic import (
    BaseModel,
    BeforeValidator,
    ConfigDict,
    ModelWrapValidatorHandler,
    PlainSerializer,
    ValidationError,
    WithJsonSchema,
    model_validator,
)

from lbbench.model.mistakes import MISSING, Fault, Mistake, mistakes_of, unknown_key
from lbbench.model.units import (
    parse_rate,
    parse_ratio,
    parse_share,
    parse_time,
    write_rate,
    write_time,
)


class Part(BaseModel):
    """Base of all parts of a scenario: frozen, without unknown keys; a null is a key left out."""

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)

    SHORT: ClassVar[str] = ""
    """How the part is written, for the sentence on a value that is no mapping."""

    @classmethod
    def key_names(cls) -> tuple[str, ...]:
        """Return the keys as the file writes them."""
        return _key_names(cls)

    @model_validator(mode="wrap")
    @classmethod
    def _collect(cls, value: Any, handler: ModelWrapValidatorHandler[Any]) -> Any:
        """Check all keys and report every mistake, not only the unknown keys or the first rule."""
        if isinstance(value, cls):
            return handler(value)
        if not isinstance(value, Mapping):
            example = cls.SHORT or f"{{{cls.key_names()[0]}: ...}}"
            raise ValueError(f"must be a mapping of keys; write for instance {example}")
        known: dict[str, Any] = {}
        found: list[Mistake] = []
        names = cls.key_names()
        for key, entry in value.items():
            if key not in names:
                found.append(Mistake((str(key),), unknown_key(key, names)))
            elif entry is not None:
                known[key] = entry
        try:
            made = handler(known)
        except ValidationError as error:
            found += [cls._with_example(mistake) for mistake in mistakes_of(error)]
            raise Fault(found) from None
        if found:
            raise Fault(found)
        return made

    @classmethod
    def _with_example(cls, mistake: Mistake) -> Mistake:
        if mistake.text == MISSING and len(mistake.keys) == 1 and cls.SHORT:
            return mistake._replace(text=f"{MISSING}; write for instance {cls.SHORT}")
        return mistake


@cache
def _key_names(shape: type[Part]) -> tuple[str, ...]:
    return tuple(field.alias or name for name, field in shape.model_fields.items())


# --- single values ------------------------------------------------------------------------------


def whole(least: int, most: int) -> Callable[[object], int]:
    """Return what reads a whole number between two bounds."""

    def read(value: object) -> int:
        found = _whole(value)
        if found < least:
            raise ValueError(f"must be at least {least}")
        if found > most:
            raise ValueError(f"must be at most {most}")
        return found

    return read


def number(
    least: float = -math.inf, most: float = math.inf, *, above: float = -math.inf
) -> Callable[[object], float]:
    """Return what reads a finite number between two bounds; it must exceed ``above``."""

    def read(value: object) -> float:
        found = _number(value)
        if not found > above:
            raise ValueError(f"must be greater than {above:g}")
        if found < least:
            raise ValueError(f"must be at least {least:g}")
        if found > most:
            raise ValueError(f"must be at most {most:g}")
        return found

    return read


def positive(read: Callable[[object], float]) -> Callable[[object], float]:
    """Return what reads with ``read`` and refuses 0."""

    def read_positive(value: object) -> float:
        found = read(value)
        if found <= 0.0:
            raise ValueError("must be greater than 0")
        return found

    return read_positive


def or_word(word: str, read: Callable[[object], Any]) -> Callable[[object], Any]:
    """Return what takes one word as it is and reads the rest with ``read``."""

    def read_or_word(value: object) -> Any:
        if value == word:
            return value
        try:
            return read(value)
        except ValueError as error:
            if isinstance(value, str) and str(error).startswith(("is not", "must be a")):
                raise ValueError(f'{error}, or "{word}"') from None
            raise

    return read_or_word


def or_written(write: Callable[[float], str]) -> Callable[[Any], str]:
    """Return what writes a number with ``write`` and leaves a word as it is."""
    return lambda value: value if isinstance(value, str) else write(value)


def _whole(value: object) -> int:
    if isinstance(value, str) and re.fullmatch(r"[+-]?[0-9]{1,30}", value.strip()):
        return int(value)
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        raise ValueError("must be a whole number")
    if isinstance(value, float) and not (math.isfinite(value) and value == int(value)):
        raise ValueError("must be a whole number")
    return int(value)


def _number(value: object) -> float:
    if isinstance(value, bool) or not isinstance(value, (int, float, str)):
        raise ValueError("must be a number")
    try:
        found = float(value)
    except (ValueError, OverflowError):
        raise ValueError("must be a number") from None
    if not math.isfinite(found):
        raise ValueError("must be a finite number")
    return found


def _text(value: object) -> str:
    if isinstance(value, bool) or not isinstance(value, (str, int, float)):
        raise ValueError("must be a text")
    if isinstance(value, float) and not math.isfinite(value):
        raise ValueError("must be a text")
    text = str(value)
    if len(text) > 10_000:
        raise ValueError("is too long; at most 10000 signs")
    return text


def _name(value: object) -> str:
    text = _text(value).strip()
    if not text or len(text) > 253 or not text.isprintable():
        raise ValueError("must be a text of one line with 1 to 253 signs")
    return text


def plain(entry: object) -> object:
    """Return a value of a free mapping as it is.

    Raises
    ------
    ValueError
        When JSON cannot hold it: not a number, infinite, or an object of a program.
    """
    try:
        json.dumps(entry, allow_nan=False)
    except (TypeError, ValueError):
        raise ValueError("must be a plain finite value") from None
    return entry


def copied(data: Any) -> Any:
    """Return a copy of plain data; numbers and arrays of numpy become plain ones."""
    if isinstance(data, (str, int, float)) and not hasattr(data, "tolist"):
        return data
    if isinstance(data, Mapping):
        return {str(key): copied(value) for key, value in data.items()}
    if isinstance(data, (list, tuple)):
        return [copied(item) for item in data]
    return data.tolist() if hasattr(data, "tolist") else data


def _flag(value: object) -> bool:
    if isinstance(value, bool):
        return value
    raise ValueError("must be true or false")


TIME_SCHEMA: dict[str, Any] = {
    "anyOf": [{"type": "string", "pattern": r"^[0-9.eE+-]+ *[a-zµμ]+$"}, {"const": 0}]
}
RATE_SCHEMA: dict[str, Any] = {"type": "string", "pattern": r"^[0-9.eE+-]+ *[kM]? */ *(s|min|h)$"}
SHARE_SCHEMA: dict[str, Any] = {
    "anyOf": [{"type": "number", "minimum": 0}, {"type": "string", "pattern": r"^[0-9.eE+-]+ *%?$"}]
}


def _or_word_schema(word: str, schema: dict[str, Any]) -> WithJsonSchema:
    return WithJsonSchema({"anyOf": [{"const": word}, schema]})


Time = Annotated[
    float, BeforeValidator(parse_time), PlainSerializer(write_time), WithJsonSchema(TIME_SCHEMA)
]
PositiveTime = Annotated[
    float,
    BeforeValidator(positive(parse_time)),
    PlainSerializer(write_time),
    WithJsonSchema(TIME_SCHEMA),
]
AutoOrTime = Annotated[
    Literal["auto"] | float,
    BeforeValidator(or_word("auto", parse_time)),
    PlainSerializer(or_written(write_time)),
    _or_word_schema("auto", TIME_SCHEMA),
]
Rate = Annotated[
    float,
    BeforeValidator(positive(parse_rate)),
    PlainSerializer(write_rate),
    WithJsonSchema(RATE_SCHEMA),
]
AnyRate = Annotated[
    float, BeforeValidator(parse_rate), PlainSerializer(write_rate), WithJsonSchema(RATE_SCHEMA)
]
UnlimitedOrRate = Annotated[
    Literal["unlimited"] | float,
    BeforeValidator(or_word("unlimited", positive(parse_rate))),
    PlainSerializer(or_written(write_rate)),
    _or_word_schema("unlimited", RATE_SCHEMA),
]
Share = Annotated[float, BeforeValidator(parse_share), WithJsonSchema(SHARE_SCHEMA)]
PositiveRatio = Annotated[
    float, BeforeValidator(positive(parse_ratio)), WithJsonSchema(SHARE_SCHEMA)
]
Count = Annotated[
    int,
    BeforeValidator(whole(1, 10**12)),
    WithJsonSchema({"type": "integer", "minimum": 1, "maximum": 10**12}),
]
SmallCount = Annotated[
    int,
    BeforeValidator(whole(1, 10**6)),
    WithJsonSchema({"type": "integer", "minimum": 1, "maximum": 10**6}),
]
"""Of things that each cost memory: workers, places, replications, windows."""
CountOrZero = Annotated[
    int,
    BeforeValidator(whole(0, 10**12)),
    WithJsonSchema({"type": "integer", "minimum": 0, "maximum": 10**12}),
]
Positive = Annotated[
    float,
    BeforeValidator(number(above=0.0, most=1e9)),
    WithJsonSchema({"type": "number", "exclusiveMinimum": 0, "maximum": 1e9}),
]
Text = Annotated[str, BeforeValidator(_text), WithJsonSchema({"type": ["string", "number"]})]
Name = Annotated[str, BeforeValidator(_name), WithJsonSchema({"type": ["string", "number"]})]
Flag = Annotated[bool, BeforeValidator(_flag)]
Off = Literal["none"]
"""How a scenario says that a feature is off."""

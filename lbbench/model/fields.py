"""What scenario keys are made of: field types with units, sentences for errors, JSON schema."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, Literal

from pydantic import (
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    PlainSerializer,
    WithJsonSchema,
)

from lbbench.model.units import (
    parse_rate,
    parse_ratio,
    parse_share,
    parse_time,
    write_rate,
    write_time,
)


class Part(BaseModel):
    """Base of all parts of a scenario: frozen, without unknown keys."""

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)


def _positive_time(value: object) -> float:
    seconds = parse_time(value)
    if seconds <= 0.0:
        raise ValueError("must be longer than 0")
    return seconds


def _positive_rate(value: object) -> float:
    rate = parse_rate(value)
    if rate <= 0.0:
        raise ValueError("must be greater than 0")
    return rate


def _whole(value: object) -> int:
    if isinstance(value, bool) or not isinstance(value, (int, float, str)):
        raise ValueError("must be a whole number")
    if isinstance(value, float):
        if value != int(value):
            raise ValueError("must be a whole number")
        return int(value)
    try:
        return int(value)
    except ValueError:
        raise ValueError("must be a whole number") from None


def _number(value: object) -> float:
    if isinstance(value, bool) or not isinstance(value, (int, float, str)):
        raise ValueError("must be a number")
    try:
        return float(value)
    except ValueError:
        raise ValueError("must be a number") from None


def _text(value: object) -> str:
    if isinstance(value, bool) or not isinstance(value, (str, int, float)):
        raise ValueError("must be a text")
    return str(value)


_TIME_SCHEMA = {"anyOf": [{"type": "string", "pattern": r"^[0-9.eE+-]+ *[a-zµ]+$"}, {"const": 0}]}
_RATE_SCHEMA = {"type": "string", "pattern": r"^[0-9.eE+-]+ *[kM]? */ *[a-z]+$"}
_SHARE_SCHEMA = {"anyOf": [{"type": "number"}, {"type": "string", "pattern": "^[0-9.]+%$"}]}

Time = Annotated[
    float, BeforeValidator(parse_time), PlainSerializer(write_time), WithJsonSchema(_TIME_SCHEMA)
]
PositiveTime = Annotated[
    float,
    BeforeValidator(_positive_time),
    PlainSerializer(write_time),
    WithJsonSchema(_TIME_SCHEMA),
]
Rate = Annotated[
    float,
    BeforeValidator(_positive_rate),
    PlainSerializer(write_rate),
    WithJsonSchema(_RATE_SCHEMA),
]
AnyRate = Annotated[
    float, BeforeValidator(parse_rate), PlainSerializer(write_rate), WithJsonSchema(_RATE_SCHEMA)
]
Share = Annotated[float, BeforeValidator(parse_share), WithJsonSchema(_SHARE_SCHEMA)]
Ratio = Annotated[float, BeforeValidator(parse_ratio), WithJsonSchema(_SHARE_SCHEMA)]
Whole = Annotated[int, BeforeValidator(_whole), WithJsonSchema({"type": "integer"})]
Count = Annotated[int, BeforeValidator(_whole), Field(ge=1)]
CountOrZero = Annotated[int, BeforeValidator(_whole), Field(ge=0)]
Number = Annotated[float, BeforeValidator(_number), WithJsonSchema({"type": "number"})]
Positive = Annotated[float, BeforeValidator(_number), Field(gt=0)]
Text = Annotated[str, BeforeValidator(_text), WithJsonSchema({"type": "string"})]
Nothing = Literal["none"]
"""How a scenario says that a feature is off."""


def _none_word(value: object) -> object:
    return "none" if value is None else value


Off = Annotated[Nothing, BeforeValidator(_none_word)]


def one_of(value: object, shapes: Mapping[str, type[Part]], words: tuple[str, ...]) -> Any:
    """Return ``value`` as the part whose key it has, or as the word that it is.

    ``shapes`` maps the distinguishing key to the part: ``{geometric: 20}`` is the part under
    "geometric".

    Raises
    ------
    ValueError
        When it is neither; the sentence lists what is allowed.
    """
    if isinstance(value, BaseModel):
        return value
    if isinstance(value, str) and value in words:
        return value
    if isinstance(value, Mapping):
        for key, shape in shapes.items():
            if key in value:
                return shape.model_validate(dict(value))
    allowed = [*words, *(f"{{{key}: ...}}" for key in shapes)]
    raise ValueError(f"is not understood; allowed are {', '.join(allowed)}")

"""The values that an axis of a sweep has: a list, or a range with steps or to draw from.

A range is calculated in exact fractions of the decimals that are written, and every value is
rounded once: 0.5 to 0.95 by 0.05 has 0.55 and 0.6, not 0.6000000000000001.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from decimal import Context, Decimal
from fractions import Fraction
from typing import Annotated, Any, ClassVar, Literal, NamedTuple

from pydantic import (
    BeforeValidator,
    Field,
    PrivateAttr,
    ValidationError,
    WithJsonSchema,
    model_validator,
)

from lbbench.model.fields import Part, copied, plain, whole
from lbbench.model.mistakes import Fault, Mistake, fault, mistakes_of
from lbbench.model.units import in_units, ratio

MOST = 10**6
"""Most values of one axis."""

_DRAWN = 7
"""Digits of a drawn value, in the smaller of the value and the width of its range."""

_WORK = Context(prec=40)
_WIDE = Context(prec=400)
_SHOWN = Context(prec=15)

_EXAMPLE = (
    "must be a list of at least one value, for instance [0.5, 0.7], or a range, for instance "
    "{from: 0.5, to: 0.9, step: 0.1}"
)

_NUMBER_SCHEMA = {"type": ["number", "string"]}
Written = Annotated[Any, WithJsonSchema(_NUMBER_SCHEMA)]


class _Measured(NamedTuple):
    """A range in numbers of one unit."""

    low: Fraction
    high: Fraction
    step: Fraction | None
    unit: str
    whole: bool


class Range(Part):
    """Values between two ends, both included: with ``step`` or ``count`` of them, or any.

    A range of whole numbers has whole numbers only; one with units has those of its beginning.
    """

    SHORT: ClassVar[str] = "{from: 0.5, to: 0.9, step: 0.1}"

    from_: Written = Field(alias="from")
    to: Written
    step: Annotated[Any, WithJsonSchema(_NUMBER_SCHEMA)] = None
    count: (
        Annotated[
            int,
            BeforeValidator(whole(2, MOST)),
            WithJsonSchema({"type": "integer", "minimum": 2, "maximum": MOST}),
        ]
        | None
    ) = None
    scale: Literal["linear", "log"] = "linear"

    _measured: _Measured = PrivateAttr()

    @model_validator(mode="after")
    def _sound(self) -> Range:
        if self.step is not None and self.count is not None:
            raise fault("step", "stands beside count; keep one of them")
        if self.step is not None and self.scale == "log":
            raise fault("step", "has no meaning with scale: log; give count")
        self._measured = made = self._measure()
        if made.low >= made.high:
            raise fault("to", f"must be greater than from, which is {self.from_}")
        if self.scale == "log" and made.low <= 0:
            raise fault("from", "must be greater than 0 with scale: log")
        if not self.is_sampled and (self.size or 0) > MOST:
            raise fault("step", f"gives {self.size} values; at most {MOST}")
        if self.count is not None and made.whole:
            self._count_whole(self.count)
        return self

    def _measure(self) -> _Measured:
        """Return the ends and the step in the unit of the beginning (of the end, if that is 0)."""
        found: dict[str, tuple[Fraction, str]] = {}
        given = {"from": self.from_, "to": self.to, "step": self.step}
        for key, value in given.items():
            if value is not None:
                try:
                    found[key] = in_units(value)
                except ValueError as error:
                    raise fault(key, str(error)) from None
        unit = found["to"][1] if self.from_ == 0 else found["from"][1]
        numbers: dict[str, Fraction] = {}
        for key, (number, own) in found.items():
            factor = Fraction(1) if number == 0 and not own else ratio(own, unit)
            if factor is None:
                other = "to" if self.from_ == 0 else "from"
                raise fault(key, f"does not go together with {other}: {given[other]}; use one unit")
            numbers[key] = number * factor
        step = numbers.get("step")
        if step is not None and step <= 0:
            raise fault("step", "must be greater than 0")
        ints = all(type(value) is int for value in given.values() if value is not None)
        return _Measured(numbers["from"], numbers["to"], step, unit, ints)

    def _count_whole(self, count: int) -> None:
        """Refuse more values than there are whole numbers."""
        values = [self.value(i) for i in range(count)]
        if len(set(values)) < count:
            raise fault(
                "count",
                f"is more than there are whole numbers for it from {self.from_} to {self.to}; give "
                f"a smaller one, or write {self.from_}.0 and {self.to}.0 for decimal numbers",
            )

    @property
    def is_sampled(self) -> bool:
        """Whether it has neither step nor count: its values are drawn."""
        return self.step is None and self.count is None

    @property
    def size(self) -> int | None:
        """The number of its values; None when any between the ends may be drawn.

        Whole numbers that are drawn with equal chances count as given one by one.
        """
        low, high, step, _, ints = self._measured
        if self.count is not None:
            return self.count
        if step is None:
            return int(high - low) + 1 if ints and self.scale == "linear" else None
        return (high - low) // step + 1

    def value(self, i: int) -> Any:
        """Return its value number ``i``, from 0, as a person would write it."""
        low, high, step, _, ints = self._measured
        if self.count is None:
            return self._written(low + i * (step or 1))
        if i in (0, self.count - 1):
            return self._written(low if i == 0 else high)
        at = Fraction(i, self.count - 1)
        if self.scale == "linear":
            exact = low + (high - low) * at
            return self._written(Fraction(math.floor(exact + Fraction(1, 2))) if ints else exact)
        return self._written(self._on_log_scale(at, high))

    def draw(self, u: Fraction) -> Any:
        """Return the value at ``u``, uniform in [0, 1): a uniform or log-uniform one."""
        low, high, _, _, ints = self._measured
        if ints and self.scale == "linear":
            return self._written(low + math.floor(u * (high - low + 1)))
        if ints:  # k has the chance of [k, k + 1)
            drawn = math.floor(_exact(self._logarithm(u, high + 1)))
            return self._written(min(max(Fraction(drawn), low), high))
        if self.scale == "log":
            return self._written(self._on_log_scale(u, high))
        return self._written(self._rounded(_decimal(low + (high - low) * u)))

    def ends(self) -> tuple[Any, Any]:
        """Return the first value and the last that there may be."""
        return self._written(self._measured.low), self._written(self._measured.high)

    def _logarithm(self, at: Fraction, high: Fraction) -> Decimal:
        """Return low^(1-at) high^at."""
        low_ln, high_ln = (_WORK.ln(_decimal(end)) for end in (self._measured.low, high))
        width = _WORK.subtract(high_ln, low_ln)
        return _WORK.exp(_WORK.add(low_ln, _WORK.multiply(width, _decimal(at))))

    def _on_log_scale(self, at: Fraction, high: Fraction) -> Fraction:
        found = self._logarithm(at, high)
        if self._measured.whole:
            return Fraction(math.floor(_exact(found) + Fraction(1, 2)))
        return self._rounded(found, near=found)

    def _rounded(self, value: Decimal, near: Decimal | None = None) -> Fraction:
        """Return a value with `_DRAWN` digits, within the ends."""
        low, high = self._measured.low, self._measured.high
        smaller = _decimal(high - low) if near is None else min(near, _decimal(high - low))
        unit = Decimal(1).scaleb(smaller.adjusted() - _DRAWN + 1)
        return min(max(_exact(value.quantize(unit, context=_WIDE)), low), high)

    def _written(self, number: Fraction) -> Any:
        """Return a number as a scenario has it: 3, 0.55 or "47.3ms"."""
        if self._measured.whole:
            return int(number)
        if not self._measured.unit:
            return float(number)
        digits = _SHOWN.divide(Decimal(number.numerator), Decimal(number.denominator))
        digits = digits.normalize(_SHOWN)
        form = "f" if abs(digits.adjusted()) <= 20 else "e"
        return f"{digits:{form}}{self._measured.unit}"


Levels = Annotated[tuple[Any, ...], Field(min_length=1)] | Range
"""The values of an axis."""


def read_levels(entry: object) -> Levels:
    """Return the values of an axis from plain data.

    Raises
    ------
    Fault
        When it is neither a list of plain values nor a sound range.
    """
    if isinstance(entry, Range):
        return entry
    entry = copied(entry)
    if isinstance(entry, Mapping):
        if not {"from", "to"} & set(entry):
            raise Fault([Mistake((), f"{_EXAMPLE}; a leaf is one key, like traffic.utilisation")])
        try:
            return Range.model_validate(entry)
        except ValidationError as error:
            raise Fault(mistakes_of(error)) from None
    if not isinstance(entry, list) or not entry:
        raise Fault([Mistake((), _EXAMPLE)])
    found: list[Mistake] = []
    for i, value in enumerate(entry):
        try:
            plain(value)
        except ValueError as error:
            found.append(Mistake((i,), str(error)))
    if found:
        raise Fault(found)
    return tuple(entry)


def is_sampled(levels: Levels) -> bool:
    """Tell whether the values can only be drawn."""
    return isinstance(levels, Range) and levels.is_sampled


def n_levels(levels: Levels) -> int | None:
    """Return the number of values; None when any between two ends may be drawn."""
    return levels.size if isinstance(levels, Range) else len(levels)


def level(levels: Levels, i: int) -> Any:
    """Return value number ``i``, from 0."""
    return levels.value(i) if isinstance(levels, Range) else levels[i]


def _decimal(number: Fraction) -> Decimal:
    return _WORK.divide(Decimal(number.numerator), Decimal(number.denominator))


def _exact(number: Decimal) -> Fraction:
    return Fraction(number)

"""Ranges of an axis: steps without dust, units, whole numbers, and draws by their law."""

import json
import math
from decimal import Decimal
from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError
from scipy import stats

from lbbench.model.mistakes import Fault, mistakes_of
from lbbench.model.objectives import Sweep
from lbbench.model.ranges import Range, read_levels

ALARM = 1e-6
"""Chance that a statistical test here fails though the law holds."""


def values(**keys):
    """Return the values of a range; ``from_`` is ``from``."""
    made = range_of(**keys)
    return [made.value(i) for i in range(made.size)]


def range_of(**keys):
    """Return a range; ``from_`` is ``from``."""
    return Range.model_validate({key.rstrip("_"): value for key, value in keys.items()})


def said(entry):
    """Return the sentences on a wrong range."""
    with pytest.raises(Fault) as caught:
        read_levels(entry)
    return [(mistake.keys, mistake.text) for mistake in caught.value.mistakes]


@pytest.mark.parametrize(
    ("keys", "expected"),
    [
        ({"from_": 0.5, "to": 0.95, "step": 0.05},
         [0.5, 0.55, 0.6, 0.65, 0.7, 0.75, 0.8, 0.85, 0.9, 0.95]),
        ({"from_": 0.1, "to": 0.75, "step": 0.2}, [0.1, 0.3, 0.5, 0.7]),
        ({"from_": 10, "to": 16, "step": 2}, [10, 12, 14, 16]),
        ({"from_": 0, "to": 1, "step": 0.25}, [0.0, 0.25, 0.5, 0.75, 1.0]),
        ({"from_": 10, "to": 100, "count": 4}, [10, 40, 70, 100]),
        ({"from_": 1, "to": 4, "count": 3}, [1, 3, 4]),
        ({"from_": 0.0, "to": 1, "count": 4}, [0.0, 1 / 3, 2 / 3, 1.0]),
        ({"from_": "1ms", "to": "1s", "count": 7, "scale": "log"},
         ["1ms", "3.162278ms", "10ms", "31.62278ms", "100ms", "316.2278ms", "1000ms"]),
        ({"from_": 1, "to": 1000, "count": 4, "scale": "log"}, [1, 10, 100, 1000]),
        ({"from_": 10, "to": 1000, "count": 5, "scale": "log"}, [10, 32, 100, 316, 1000]),
        ({"from_": "20 ms", "to": "0.03s", "step": "2500us"},
         ["20ms", "22.5ms", "25ms", "27.5ms", "30ms"]),
        ({"from_": "1k/s", "to": "2000/s", "count": 3}, ["1k/s", "1.5k/s", "2k/s"]),
        ({"from_": "50%", "to": 0.6, "step": "5%"}, ["50%", "55%", "60%"]),
        ({"from_": 0, "to": "20ms", "step": "10ms"}, ["0ms", "10ms", "20ms"]),
        ({"from_": -1, "to": 1, "step": 1}, [-1, 0, 1]),
    ],
)  # fmt: skip
def test_a_range_with_values_has_them_without_dust(keys, expected):
    """Both ends count where they are met; units are the first one's; whole ends stay whole."""
    found = values(**keys)
    assert found == expected
    assert [type(value) for value in found] == [type(value) for value in expected]


@given(st.integers(-500, 500), st.integers(1, 400), st.integers(1, 40), st.integers(0, 4))
def test_steps_are_the_decimals_that_a_person_would_write(low, width, step, digits):
    """Every value is the float nearest to the decimal, and the last is not above the end."""
    scale = Decimal(1).scaleb(-digits)
    ends = [float(low * scale), float((low + width) * scale), float(step * scale)]
    found = values(from_=ends[0], to=ends[1], step=ends[2])
    assert found == [float((low + i * step) * scale) for i in range(width // step + 1)]
    assert all(len(repr(value).lstrip("-").replace(".", "").lstrip("0")) <= 8 for value in found)


WRONG = [
    ({"from": 1}, (("to",), "is missing")),
    ({"to": 1, "form": 0}, (("form",), "unknown key; did you mean from?")),
    ({"from": 0.5, "to": 0.9, "step": 0.1, "count": 3}, (("step",), "stands beside count")),
    ({"from": 0.5, "to": 0.9, "step": 0}, (("step",), "must be greater than 0")),
    ({"from": 0.5, "to": 0.9, "step": -0.1}, (("step",), "must be greater than 0")),
    ({"from": 1, "to": 9, "step": 1, "scale": "log"}, (("step",), "has no meaning with scale: l")),
    ({"from": 0.9, "to": 0.5}, (("to",), "must be greater than from, which is 0.9")),
    ({"from": 0, "to": 1.0, "scale": "log"}, (("from",), "must be greater than 0 with scale: log")),
    ({"from": 1, "to": 2, "scale": "lin"}, (("scale",), "is not allowed; did you mean linear?")),
    ({"from": 1, "to": 2, "count": 1}, (("count",), "must be at least 2")),
    ({"from": "1ms", "to": 5}, (("to",), "does not go together with from: 1ms; use one unit")),
    ({"from": 5, "to": "1ms"}, (("to",), "does not go together with from: 5; use one unit")),
    ({"from": "1ms", "to": "5/s"}, (("to",), "does not go together with from: 1ms")),
    ({"from": "1ms", "to": "5ms", "step": 1}, (("step",), "does not go together with from: 1ms")),
    ({"from": 0, "to": "5ms", "step": 1}, (("step",), "does not go together with to: 5ms")),
    ({"from": "a", "to": 5}, (("from",), "is not a number; write for instance 0.5")),
    ({"from": True, "to": 5}, (("from",), "is not a number")),
    ({"from": "1 lightyear", "to": 5}, (("from",), "is not a number")),
    ({"from": math.nan, "to": 5}, (("from",), "must be a finite number")),
    ({"from": 0, "to": math.inf}, (("to",), "must be a finite number")),
    ({"from": 0, "to": 10**400}, (("to",), "must be a finite number")),
    ({"from": 0, "to": 1, "step": 1e-9}, (("step",), "gives 1000000001 values; at most 1000000")),
    ({"from": 0, "to": 1, "count": 5}, (("count",), "is more than there are whole numbers")),
    ({"from": 1, "to": 9, "count": 9, "scale": "log"}, (("count",), "or write 1.0 and 9.0 for")),
    ({"traffic": {"utilisation": [1]}}, ((), "a leaf is one key, like traffic.utilisation")),
    ({}, ((), "must be a list of at least one value, for instance [0.5, 0.7], or a range")),
]  # fmt: skip


@pytest.mark.parametrize(("entry", "expected"), WRONG, ids=range(len(WRONG)))
def test_a_wrong_range_is_told_at_its_key(entry, expected):
    """One sentence at the key that is wrong."""
    keys, text = said(entry)[0]
    assert keys == expected[0]
    assert expected[1] in text


def test_a_range_to_draw_from_needs_random_and_is_no_zip():
    """Without step, count and random there are no values; the sentence says what to add."""
    open_ = {"traffic.utilisation": {"from": 0.3, "to": 0.95}}
    with pytest.raises(ValidationError) as caught:
        Sweep(axes=open_)
    [mistake] = mistakes_of(caught.value)
    assert mistake.keys == ("axes", "traffic.utilisation")
    assert mistake.text == (
        "has no values of its own; add step or count, or draw points with random: 100 beside the "
        "axes"
    )
    with pytest.raises(ValidationError) as caught:
        Sweep(axes={"cluster.pods": [3]}, zip=open_, random=3)
    [mistake] = mistakes_of(caught.value)
    assert mistake.keys == ("zip", "traffic.utilisation")
    assert "add step or count" in mistake.text
    assert Sweep(axes=open_, random=3).random == 3


def test_a_drawn_time_has_the_unit_of_the_range_and_few_digits():
    """A draw between 20 ms and 0.2 s is a text in ms that fits a table."""
    drawn = range_of(from_="20ms", to="0.2s")
    assert drawn.draw(Fraction(0)) == "20ms"
    assert drawn.draw(Fraction(1, 3)) == "80ms"
    assert drawn.draw(Fraction(1, 7)) == "45.7143ms"
    assert range_of(from_="1us", to="1s", scale="log").draw(Fraction(1, 2)) == "1000us"
    assert range_of(from_=0.3, to=0.95).draw(Fraction(1, 7)) == 0.3928571


ENDS = st.integers(1, 10**6).flatmap(
    lambda low: st.tuples(st.just(low), st.integers(low + 1, 2 * 10**6))
)


@given(
    ENDS,
    st.sampled_from(["", "ms", "/s", "%"]),
    st.sampled_from(["linear", "log"]),
    st.integers(0, 9),
    st.integers(0, 2**53 - 1),
)
def test_a_draw_is_within_the_ends_and_its_order_is_kept(ends, unit, scale, digits, bits):
    """Rounding leaves no draw outside; what is drawn grows with what is rolled."""
    low, high = (f"{Decimal(end).scaleb(-digits):f}{unit}" for end in ends)
    made = range_of(from_=low, to=high, scale=scale)
    u = Fraction(bits, 2**53)
    drawn, later = (_number(made.draw(at), unit) for at in (u, (u + 1) / 2))
    ends = [_number(end, unit) for end in made.ends()]
    assert ends[0] <= drawn <= later <= ends[1]


def _number(written, unit):
    if not unit:
        return Decimal(repr(written))
    assert written.endswith(unit)
    return Decimal(written.removesuffix(unit))


@pytest.mark.parametrize("scale", ["linear", "log"])
def test_whole_ends_draw_every_whole_number_by_the_law(scale):
    """Uniform: each the same; log-uniform: k has ln(1 + 1/k). Exact shares of a grid of rolls.

    Of N evenly spaced rolls a number of probability p gets N p, rounded up or down: no chance.
    """
    made, rolls = range_of(from_=2, to=9, scale=scale), 10_000
    counts = dict.fromkeys(range(2, 10), 0)
    for i in range(rolls):
        counts[made.draw(Fraction(i, rolls))] += 1
    for k, count in counts.items():
        share = 1 / 8 if scale == "linear" else math.log1p(1 / k) / math.log(10 / 2)
        assert abs(count - rolls * share) <= 1


def test_values_of_numpy_become_plain():
    """Arrays and numbers of numpy are lists and numbers that JSON holds."""
    numpy = pytest.importorskip("numpy")
    sweep = Sweep(
        axes={
            "traffic.utilisation": numpy.array([0.5, 0.7]),
            "cluster.pods": [numpy.int64(3), numpy.int32(4)],
            "cluster.placement": [[numpy.int64(1), 2], numpy.array([2, 1])],
            "run.drain": {"from": "1s", "to": "3s", "count": numpy.int64(3)},
            "cluster.pod.speed": {"from": numpy.float64(0.5), "to": numpy.int64(1), "step": 0.5},
        }
    )
    assert json.loads(json.dumps(sweep.model_dump(by_alias=True)["axes"])) == {
        "traffic.utilisation": [0.5, 0.7],
        "cluster.pods": [3, 4],
        "cluster.placement": [[1, 2], [2, 1]],
        "run.drain": {"from": "1s", "to": "3s", "step": None, "count": 3, "scale": "linear"},
        "cluster.pod.speed": {"from": 0.5, "to": 1, "step": 0.5, "count": None, "scale": "linear"},
    }
    kinds = {type(value) for value in sweep.axes["traffic.utilisation"]}
    assert kinds == {float}
    assert type(sweep.axes["cluster.pods"][0]) is int
    assert type(sweep.axes["cluster.pod.speed"].value(0)) is float


@pytest.mark.parametrize("scale", ["linear", "log"])
def test_draws_follow_the_law_between_the_ends(scale):
    """Kolmogorov-Smirnov against the uniform and the log-uniform law, over evenly random rolls."""
    import random

    low, high = 0.3, 0.95
    made, roll = range_of(from_=low, to=high, scale=scale), random.Random(1)
    drawn = [made.draw(Fraction(roll.getrandbits(53), 2**53)) for _ in range(2000)]
    law = stats.uniform(low, high - low) if scale == "linear" else stats.loguniform(low, high)
    assert stats.kstest(drawn, law.cdf).pvalue > ALARM

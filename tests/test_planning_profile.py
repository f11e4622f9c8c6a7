"""Load profiles, and plans for every hour of one."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from planning import patient

from lbbench.errors import InputError
from lbbench.inputs.load_profile import read_profile
from lbbench.studies.planning.hours import by_hour

LINE = (
    '10.0.0.1 - - [{time} +0000] "GET / HTTP/1.1" 200 5 "-" "curl" 90 0.010 [ns-web-80] [] '
    "10.244.0.4:80 5 0.010 200 0123456789abcdef0123456789abcdef"
)


def profile(tmp_path: Path, text: str):
    """Return the profile in a file with this text."""
    path = tmp_path / "hours.csv"
    path.write_text(text, encoding="utf-8")
    return read_profile(path)


@pytest.mark.parametrize(
    ("text", "rates"),
    [
        ("08:00,400/s\n09:00,2k/s\n", [("08:00", 400.0), ("09:00", 2000.0)]),
        ("hour,rate\n8,400\n\n# night\n9,7200/h\n", [("8", 400.0), ("9", 2.0)]),
        ("region;Requests;Time\neu;3600;08:00\neu;0;09:00\n", [("08:00", 1.0), ("09:00", 0.0)]),
        ("rps\n12.5\n", [("2", 12.5)]),
        ("\ufeffhour\trate_per_s\n8\t1\n", [("8", 1.0)]),
    ],
)
def test_a_profile_is_read_with_or_without_a_header(tmp_path, text, rates):
    """Columns by name in any order, counts per hour, units, three separators; order is kept."""
    assert [tuple(hour) for hour in profile(tmp_path, text).hours] == rates


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "is empty"),
        ("hour,rate\n", "has a header and no hour"),
        ("hour,rate\n8,fast\n", r"hours\.csv:2: the rate 'fast' is no number"),
        ("hour,rate\n8,-3\n", r"hours\.csv:2: the rate '-3' must be"),
        ("hour,rate\n8\n", r"hours\.csv:2: has 1 columns; 2 are needed"),
        ("a,b,c\n1,2,3\n", r"hours\.csv:1: .* has 3 columns and no header"),
        ("hour,rate\n,3\n", r"hours\.csv:2: the hour has no name"),
        ("hour,rate\n8,nan\n", r"hours\.csv:2: the rate 'nan' must be"),
        ("hour,rate\n8,0\n", "no hour has a rate above 0"),
    ],
)
def test_a_mistake_in_a_profile_is_told_with_its_line(tmp_path, text, said):
    """One sentence with file, line, value and way out."""
    with pytest.raises(InputError, match=said):
        profile(tmp_path, text)


def test_an_access_log_gives_the_requests_of_each_hour(tmp_path):
    """Rates are over the seconds that the log covers of an hour; a scrap of one is left out."""
    times = [f"01/Feb/2026:09:{minute:02d}:00" for minute in range(30, 60)]
    times += [
        f"01/Feb/2026:10:{minute:02d}:{second}" for minute in range(60) for second in (10, 40)
    ]
    times += ["01/Feb/2026:11:00:10"]
    text = "\n".join(LINE.format(time=time) for time in times)
    found = profile(tmp_path, text)
    assert [hour.name for hour in found.hours] == ["2026-02-01 09:00", "2026-02-01 10:00"]
    assert [hour.rate for hour in found.hours] == pytest.approx([30 / 1800, 120 / 3600])
    assert any("11:00: left out" in note for note in found.notes)
    assert any("09:00: the log covers 1800 s" in note for note in found.notes)


class _Found:
    def __init__(self, number: int) -> None:
        self.number = number


@patient
@given(st.lists(st.integers(0, 60), min_size=1, max_size=24).filter(any))
def test_every_hour_gets_its_answer_from_few_plans(rates):
    """Answers grow with the rate; only rates between differing answers are planned, bounded."""
    planned: list[float] = []

    def answer(rate: float) -> int:
        return -(-int(rate) // 10)

    class Planner:
        def __init__(self, rate: float, bounds: tuple[int, int | None]) -> None:
            self.rate, self.bounds = rate, bounds

        def find(self):
            planned.append(self.rate)
            low, high = self.bounds
            assert low < answer(self.rate) <= (high or 100)
            return _Found(answer(self.rate))
            yield

    hours = [float(rate) for rate in rates]
    search = by_hour(Planner, hours, answer(max(hours)))
    with pytest.raises(StopIteration) as end:
        next(search)
    answers = end.value.value
    assert {rate: answers[rate] for rate in hours} == {rate: answer(rate) for rate in hours}
    assert len(planned) == len(set(planned))
    assert len(planned) <= 1 + 5 * (answer(max(hours)) + 1)

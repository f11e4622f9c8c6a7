"""The gallery of field reports: every case that can be run is met, every check can fail."""

import pytest

from lbbench.errors import InputError
from lbbench.inputs.yaml import load
from lbbench.verify import gallery as data
from lbbench.verify.cases import METRICS, Report, check_case, finding_of
from lbbench.verify.gallery import SCENARIOS, chosen, gallery
from lbbench.verify.ran import ran

IDS = (
    "C01", "C03", "C05", "C06", "C08", "C09", "C10", "C12", "C15", "C16", "C18", "C19", "C21",
    "C22", "C25", "C27", "C29", "C30", "C31", "C32", "C34", "C35", "C37", "C38", "C40", "C42",
    "C43", "C45", "C46", "C48", "C49", "C51", "C53", "C54", "C56", "C57", "C59", "C61", "C63",
    "C64", "C66", "C67", "C69", "C70", "C71", "C73", "C75", "C76", "C77", "C79", "C81", "C83",
    "C84", "C86",
)  # fmt: skip

RUN = [case for case in gallery() if case.later is None]
SLOW = (
    "C01", "C06", "C09", "C10", "C12", "C15", "C16", "C18", "C19", "C22", "C25", "C27", "C29",
    "C31", "C38", "C40", "C43", "C48", "C49", "C51", "C56", "C57", "C59", "C63", "C75",
)  # fmt: skip
"""Cases that take about a quarter of a minute of a core or more, most of it to compile."""
CHECKS = [
    pytest.param(check, id=f"{case.id}-{i}") for case in RUN for i, check in enumerate(case.checks)
]


@pytest.mark.parametrize(
    "case",
    [pytest.param(case, id=case.id, marks=[pytest.mark.long] * (case.id in SLOW)) for case in RUN],
)
def test_what_was_derived_is_found(case):
    """Every expectation of a case is met by a run of its scenario."""
    report = Report(case=case, findings=check_case(case))
    unmet = [
        (item.check.metric, item.check.op, item.value, item.found, item.error)
        for item in report.findings
        if not item.passed
    ]
    assert unmet == []
    assert report.verdict == "pass"


@pytest.mark.long
@pytest.mark.parametrize("check", CHECKS)
def test_every_check_can_fail(check):
    """Under the changes that its entry names, a check is not met, and not for a lack of a run."""
    assert check.breaks
    finding = finding_of(check, ran, check.breaks)
    assert finding.error is None
    assert not finding.passed


def test_all_reports_are_there():
    """The 54 reports of the list, in its order; the greater part of them runs."""
    assert tuple(case.id for case in gallery()) == IDS
    assert len(RUN) >= 45


@pytest.mark.parametrize("case", gallery(), ids=IDS)
def test_every_case_says_what_it_is(case):
    """A source to read, a derivation, and either checks or the part that is missing."""
    assert case.source.startswith("https://")
    assert len(case.because) > 40
    assert case.checks or case.later
    assert case.later is None or len(case.later) > 3
    for check in case.checks:
        assert check.by in METRICS
        assert check.breaks, f"{case.id} {check.metric} says nothing about what would break it"


@pytest.mark.parametrize("path", sorted(SCENARIOS.glob("*.yaml")), ids=lambda path: path.stem)
def test_every_scenario_is_valid_and_used(path):
    """It loads, begins with its question, and some check runs it."""
    assert load(path).name == path.stem
    assert path.read_text(encoding="utf-8").startswith("# ")
    assert path.stem in {check.scenario for case in gallery() for check in case.checks}


def test_cases_are_chosen_by_id():
    """Ids in any case, each once; an unknown one is refused with near misses."""
    assert [case.id for case in chosen(["c48", "C05", "c05"])] == ["C48", "C05"]
    assert chosen(None) == chosen([]) == gallery()
    with pytest.raises(InputError, match="there is no case C04; did you mean C"):
        chosen(["C04"])


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("C01: {title: a, source: b}", "C01: because is missing"),
        ("C01: {title: a, source: b, because: c, check: []}", "C01.check: is unknown"),
        ("C01: {title: a, source: b, because: c, checks: [{metric: m}]}", "op is missing"),
        (
            "C01: {title: a, source: b, because: c, checks: [{by: f, metric: m, op: a, value: 1}]}",
            "must be one of ==, <=",
        ),
    ],
)
def test_a_mistake_in_the_data_is_told(tmp_path, monkeypatch, text, sentence):
    """The place and what is wrong with it."""
    file = tmp_path / "cases.yaml"
    file.write_text(text, encoding="utf-8")
    monkeypatch.setattr(data, "DATA", file)
    with pytest.raises(InputError, match="C01") as caught:
        data.gallery.__wrapped__()
    assert sentence in str(caught.value)

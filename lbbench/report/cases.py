"""The gallery of field reports as a table: what was expected, what was found, the verdict."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

from rich.console import Console
from rich.text import Text

from lbbench.report.layout import Grid
from lbbench.verify.cases import Finding, Report
from lbbench.verify.judging import expected_text, number_text

COLUMNS = ("id", "what", "expected", "found", "verdict")


def show(reports: Sequence[Report], console: Console) -> None:
    """Print one row per case with its verdict, one per expectation below it, and the count."""
    rows = [row for report in reports for row in _rows(report)]
    console.print(Grid("", COLUMNS, rows, left=frozenset(COLUMNS)))
    for report in reports:
        for error in dict.fromkeys(item.error for item in report.findings if item.error):
            console.print(Text(f"{report.case.id}: {error}", style="yellow"))
    console.print(Text(summary(reports)))


def summary(reports: Sequence[Report]) -> str:
    """Return how many cases have which verdict."""
    found = Counter(report.verdict for report in reports)
    return f"{found['pass']} pass, {found['fail']} fail, {found['later']} later"


def _rows(report: Report) -> list[list[str]]:
    case = report.case
    if case.later is not None:
        missing = ["", f"  needs {case.later}", "", "", ""]
        return [[case.id, case.title, "", "", report.verdict], missing]
    rows = [[case.id, case.title, "", "", report.verdict]]
    return [*rows, *(_row(item) for item in report.findings)]


def _row(item: Finding) -> list[str]:
    expected = expected_text(item.check.op, item.value, item.check.tol)
    mark = "" if item.passed else "not met"
    return ["", f"  {item.check.metric}", expected, number_text(item.found), mark]

"""The page of a verification: does the engine do what theory says, claim by claim."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

from lbbench.report.page.cells import of_chance, of_count, words
from lbbench.report.page.content import Answer, Cell, Column, Page, Section, Steps, Table
from lbbench.report.page.figures import figures_of
from lbbench.report.page.words import listed
from lbbench.report.units import count, p_value, percent, seconds

CERTAIN = (0.0, 1.0)
"""p-values of checks that leave nothing to chance."""

Check = Mapping[str, Any]


def content(document: Mapping[str, Any]) -> Page:
    """Return what stands on the page of a verification (schema lbbench.verify/1)."""
    from lbbench.report.charts.of_verification import pictures

    checks: Sequence[Check] = document["checks"]
    passed, seed = bool(document["passed"]), document["seed"]
    return Page(
        kind="Verification",
        title="Verification against theory",
        answers=[
            Answer("Verdict", _verdict(checks), "good" if passed else "bad"),
            Answer("What", _topics(checks)),
            Answer("How sure", _sure(document, checks)),
        ],
        warnings=[f"{check['id']}: {check['error']}" for check in checks if check.get("error")],
        facts=[
            ("checks", count(len(checks))),
            ("failed", count(sum(not _is_passed(check) for check in checks))),
            ("family-wise error", f"{percent(document['family_error'], 2)} %"),
            ("level per check", f"{document['level_per_check']:.2g}"),
            ("seed", str(seed)),
        ],
        sections=[
            Section("pictures", "Pictures", figures=figures_of(pictures(dict(document)))),
            Section("tables", "Tables", tables=[_table(checks)]),
        ],
        steps=Steps(
            f"With lbbench {document['version']} the same seed gives the same p-values; another "
            "seed gives others, and the claims hold for any.",
            f"lbbench verify --seed {seed}",
        ),
        provenance=[
            ("lbbench", str(document["version"])),
            ("seed", str(seed)),
            *([("running time", seconds(document["wall_s"]))] if document.get("wall_s") else []),
        ],
    )


def _is_passed(check: Check) -> bool:
    return str(check["verdict"]) in ("pass", "passed", "ok")


def _verdict(checks: Sequence[Check]) -> list[str]:
    failed = [check for check in checks if not _is_passed(check)]
    if not checks:
        return ["Nothing was checked."]
    if not failed:
        return [f"All {count(len(checks))} claims stand."]
    said = [f"{count(len(failed))} of {count(len(checks))} claims fall."]
    for check in failed[:5]:
        chance = p_value(check["p_value"])
        said.append(f"{check['id']}: {check['claim']} (p {chance}).")
    return said


def _topics(checks: Sequence[Check]) -> list[str]:
    topics = Counter(str(check["topic"]) for check in checks)
    return [f"{listed([f'{name} ({n})' for name, n in topics.items()], 20)}."] if topics else []


def _sure(document: Check, checks: Sequence[Check]) -> list[str]:
    chances = [c["p_value"] for c in checks if c["p_value"] not in (None, *CERTAIN)]
    family = percent(document["family_error"], 0)
    said = [f"The chance that any true claim falls is {family} % for the whole suite."]
    if chances:
        said.append(
            f"The smallest p-value of {count(len(chances))} claims with chance in them is "
            f"{p_value(min(chances))}, held against {document['level_per_check']:.2g}; about "
            f"{min(chances) * len(chances):.2g} this small were to be expected."
        )
    return said


def _table(checks: Sequence[Check]) -> Table:
    columns = [Column("check", is_text=True), Column("topic", is_text=True),
               Column("claim", is_text=True), Column("observed"), Column("expected"),
               Column("standard error"), Column("p-value"), Column("verdict", is_text=True),
               Column("n"), Column("source", is_text=True)]  # fmt: skip
    rows = []
    for check in checks:
        passed = _is_passed(check)
        rows.append(
            [
                words(check["id"]),
                words(check["topic"]),
                words(check["claim"]),
                _number(check.get("observed")),
                _number(check.get("expected")),
                _number(check.get("standard_error")),
                of_chance(check["p_value"]),
                words(check["verdict"], "good" if passed else "bad"),
                of_count(check.get("n")),
                words(check.get("source") or "–"),
            ]
        )
    return Table("checks", "The checks", columns, rows)


def _number(value: Any) -> Cell:
    if value is None:
        return Cell("–")
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        return Cell(str(value))
    text = f"{value:,}" if isinstance(value, int) else f"{value:.5g}"
    return Cell(text, float(value))

"""The pages of lbbench: one function per kind of document, each gives a whole HTML file."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from lbbench.model.result import Result
from lbbench.report.page.rendering import render
from lbbench.studies.run import Progress
from lbbench.studies.study import Study


def page_of_result(result: Result) -> str:
    """Return the page of one result."""
    from lbbench.report.page.of_result import content

    return render(content(result))


def page_of_study(study: Study, progress: Progress | None = None) -> str:
    """Return the page of a study, finished or not; a large one takes its time."""
    from lbbench.report.page.of_study import content

    return render(content(study, progress))


def page_of_comparison(document: Mapping[str, Any]) -> str:
    """Return the page of a comparison (schema lbbench.compare/1).

    Raises
    ------
    InputError
        When a result in it is incomplete.
    """
    from lbbench.report.page.of_comparison import content

    return render(content(document))


def page_of_league(document: Mapping[str, Any]) -> str:
    """Return the page of a league (schema lbbench.league/1)."""
    from lbbench.report.page.of_league import content

    return render(content(document))


def page_of_plan(document: Mapping[str, Any]) -> str:
    """Return the page of a plan (schema lbbench.plan/1)."""
    from lbbench.report.page.of_plan import content

    return render(content(document))


def page_of_verification(document: Mapping[str, Any]) -> str:
    """Return the page of a verification (schema lbbench.verify/1)."""
    from lbbench.report.page.of_verification import content

    return render(content(document))

"""What a path holds that a page can be made of, told by what is in it."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from lbbench.errors import InputError
from lbbench.report.page.content import Page

SQLITE = b"SQLite format 3\x00"

KNOWN = ("result.json", "comparison.json")
"""What a folder is looked through for."""

WANTED = (
    "give a study (what `lbbench sweep --out` wrote), a result.json or its folder (`lbbench run "
    "--out`), or the JSON of compare, plan or verify"
)

NEEDED = {
    "lbbench.compare/1": ("leaf", "results", "differences", "sentences"),
    "lbbench.plan/1": ("name", "version", "seed", "for", "objectives"),
    "lbbench.verify/1": ("version", "seed", "family_error", "level_per_check", "checks", "passed"),
}
"""Keys without which there is no page, by schema."""


def file_of(path: Path) -> Path:
    """Return the file that a path means: itself, or in a folder its result or comparison.

    Raises
    ------
    InputError
        When there is none, or the folder has both.
    """
    if path.is_dir():
        found = [path / name for name in KNOWN if (path / name).is_file()]
        if not found:
            raise InputError(f"{path}: holds neither {' nor '.join(KNOWN)}; {WANTED}")
        if len(found) > 1:
            raise InputError(f"{path}: holds {' and '.join(KNOWN)}; name the one that is meant")
        return found[0]
    if not path.exists():
        raise InputError(f"{path}: there is no such file; {WANTED}")
    return path


def page_for(file: Path) -> Path:
    """Return where the page of a file goes by default: beside it."""
    return file.with_name("report.html") if file.name in KNOWN else file.with_suffix(".html")


def content_of(file: Path) -> Page:
    """Return the content of the page of what is in ``file``.

    Raises
    ------
    InputError
        When it is nothing that a page can be made of.
    """
    try:
        with file.open("rb") as start:
            is_study = start.read(len(SQLITE)) == SQLITE
    except OSError as error:
        raise InputError(f"{file}: cannot be read: {error.strerror}; {WANTED}") from None
    if is_study:
        from lbbench.report.page import of_study
        from lbbench.studies.study import Study

        with Study.open(file) as study:
            return of_study.content(study)
    document = _document(file)
    try:
        return _content(document)
    except InputError as error:
        raise InputError(f"{file}: {error}") from None


def _content(document: Mapping[str, Any]) -> Page:
    schema = document.get("schema")
    if schema == "lbbench.result/1":
        from lbbench.model.result import Result
        from lbbench.report.page import of_result

        return of_result.content(Result.from_dict(document))
    if schema in NEEDED:
        missing = [key for key in NEEDED[schema] if key not in document]
        if missing:
            raise InputError(f"{missing[0]} is missing: the document is incomplete; {WANTED}")
    if schema == "lbbench.compare/1":
        from lbbench.report.page import of_comparison

        return of_comparison.content(document)
    if schema == "lbbench.plan/1":
        from lbbench.report.page import of_plan

        return of_plan.content(document)
    if schema == "lbbench.verify/1":
        from lbbench.report.page import of_verification

        return of_verification.content(document)
    if schema == "lbbench.study/1":
        raise InputError("is a study as JSON, without its results; give the study itself (.sqlite)")
    raise InputError(f"schema = {schema!r} has no page; {WANTED}")


def _document(file: Path) -> Mapping[str, Any]:
    try:
        found = json.loads(file.read_text(encoding="utf-8"))
    except UnicodeDecodeError:
        raise InputError(f"{file}: is neither a study nor text; {WANTED}") from None
    except json.JSONDecodeError as error:
        raise InputError(
            f"{file}:{error.lineno}: is neither a study nor JSON ({error.msg}); {WANTED}"
        ) from None
    if not isinstance(found, Mapping):
        raise InputError(f"{file}: holds no document of lbbench; {WANTED}")
    return found

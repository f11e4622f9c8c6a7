"""What a path holds that a page can be made of, told by what is in it."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from lbbench.errors import InputError, LbbenchError
from lbbench.report.page.content import Page
from lbbench.studies.run import Progress

SQLITE = b"SQLite format 3\x00"

KNOWN = ("result.json", "comparison.json", "league.json")
"""What a folder is looked through for."""

MARK, HEAD = b'<meta name="generator" content="lbbench', 4096
"""What a page of ours has within its first bytes."""

WANTED = (
    "give a study (what `lbbench sweep --out` wrote), a result.json or its folder (`lbbench run "
    "--out`), or the JSON of compare, plan or verify, or a league.json (`lbbench compare --all`)"
)

NEEDED = {
    "lbbench.compare/1": ("leaf", "results", "differences", "sentences"),
    "lbbench.league/1": ("version", "created", "machine", "wall_s", "jobs", "rankings"),
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
    if file.name in KNOWN:
        return file.with_name("report.html")
    page = file.with_suffix(".html")
    return page if page != file else file.with_name(f"{file.name}.html")


def check_replaceable(page: Path, advice: str) -> None:
    """Refuse to write a page that nobody named over a file that is no page of ours.

    Raises
    ------
    LbbenchError
        With the file and what to do instead.
    """
    try:
        if not page.exists():
            return
        with page.open("rb") as file:
            is_ours = page.is_file() and MARK in file.read(HEAD)
        is_ours = is_ours and os.access(page, os.W_OK)
    except OSError:
        is_ours = False
    if not is_ours:
        raise LbbenchError(f"{page}: is there and no page of lbbench that may be written; {advice}")


def content_of(file: Path, progress: Progress | None = None) -> Page:
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
            return of_study.content(study, progress)
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
    if schema == "lbbench.league/1":
        from lbbench.report.page import of_league

        return of_league.content(document)
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

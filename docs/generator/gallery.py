"""docs/gallery.md: the field reports of `lbbench verify --cases`, from their data."""

from __future__ import annotations

import json
import re
from functools import cache
from pathlib import Path
from typing import Any

from docs.generator.markdown import anchor, escaped, page, table
from lbbench.verify.gallery import Case, Check, gallery

FOUND = Path(__file__).parent.parent / "cases.json"
"""What `lbbench verify --cases --json docs/cases.json` found."""

INTRO = """
What did people report of these balancers, and is it what the algorithms do? Each entry is a public
report, the consequence that follows from the algorithm (not from the report: where the two differ
the report has another cause), and what lbbench found when it played the situation. All of them:

```text
lbbench verify --cases
```

A check fails when the engines find something else than what follows. Each one was seen to fail
under a change that must break it, which is kept beside it in `lbbench/verify/cases.yaml`. What was
found is kept in `docs/cases.json`, written by `lbbench verify --cases --json docs/cases.json`.
"""

OPERATORS = {"==": "is", "<=": "is at most", ">=": "is at least", "<": "is below", ">": "is above",
             "in": "lies in"}  # fmt: skip
THREAD = re.compile(r"https://github\.com/([^/]+/[^/]+)/(?:issues|pull|discussions)/(\d+)")


def build() -> str:
    """Return the page."""
    cases = gallery()
    rows = [[f"[{case.id}](#{anchor(_title(case))})", escaped(case.title), _link(case)]
            for case in cases]  # fmt: skip
    parts = [INTRO, table(["case", "reported", "where"], rows), *(_section(case) for case in cases)]
    return page("Gallery of field reports", "`lbbench/verify/cases.yaml`", parts)


def _title(case: Case) -> str:
    return f"{case.id}: {case.title}"


def _section(case: Case) -> str:
    parts = [
        f"## {escaped(_title(case))}",
        f"**Reported**: {_link(case)}.",
        f"**What follows**: {escaped(case.because)}",
    ]
    if case.later is not None:
        parts.append(f"Not run by this version: {escaped(case.later)}.")
        return "\n\n".join(parts)
    parts += [
        table(["what is measured", "what follows", "found"], _rows(case)),
        f"```text\nlbbench verify --cases {case.id}\n```",
    ]
    return "\n\n".join(parts)


def _link(case: Case) -> str:
    thread = THREAD.match(case.source)
    return f"[{thread[1]}#{thread[2]}]({case.source})" if thread else f"<{case.source}>"


def _rows(case: Case) -> list[list[str]]:
    values = found().get(case.id) or []
    texts = [_rounded(value) for value in values] or ["–"] * len(case.checks)
    return [[*_row(check), text] for check, text in zip(case.checks, texts, strict=True)]


@cache
def found() -> dict[str, list[Any]]:
    """Return what was found for each case, in the order of its checks."""
    document = json.loads(FOUND.read_text(encoding="utf-8"))
    return {item["id"]: item["found"] for item in document["cases"]}


def _row(check: Check) -> list[str]:
    value = check.value
    if isinstance(value, dict):
        changes = ", ".join(f"`{leaf}: {_text(entry)}`" for leaf, entry in value["set"].items())
        said = f"{OPERATORS[check.op]} the same under {changes}"
    else:
        said = f"{OPERATORS[check.op]} {_text(value)}"
    within = f" ± {_text(check.tol)}" if check.tol else ""
    return [f"`{check.metric}`", said + within]


def _rounded(value: Any) -> str:
    if isinstance(value, list):
        return "[" + ", ".join(_rounded(item) for item in value) + "]"
    return f"{value:.4g}" if isinstance(value, float) else _text(value)


def _text(value: object) -> str:
    return value if isinstance(value, str) else json.dumps(value)

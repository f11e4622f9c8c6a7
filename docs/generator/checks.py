"""docs/reference/checks.md: what `lbbench verify` holds against theory, from the checks."""

from __future__ import annotations

from docs.generator.markdown import anchor, escaped, page, table
from lbbench.verify.checks import all_checks
from lbbench.verify.suite import FAMILY_ERROR, Check

INTRO = """
What does `lbbench verify` check, and against what? Each check simulates a situation whose law is
known, and gives a p-value: the chance of a finding as far off, or further, if the claim is true. By
Holm's procedure the suite of true claims fails with a chance of {error:g} %, whatever the seed.

```text
lbbench verify
lbbench verify rings mm1-p99 --seed 7
lbbench verify --json verify.json
```

The first word of an id is its group. `lbbench report verify.json` makes a page of the last.
"""


def build() -> str:
    """Return the page."""
    topics: dict[str, list[Check]] = {}
    for check in all_checks():
        topics.setdefault(check.topic, []).append(check)
    contents = "\n".join(f"- [{topic}](#{anchor(topic)})" for topic in topics)
    parts = [INTRO.format(error=100 * FAMILY_ERROR), contents]
    parts += [_section(topic, checks) for topic, checks in topics.items()]
    return page("Statistical checks", "the checks in `lbbench/verify/checks`", parts)


def _section(topic: str, checks: list[Check]) -> str:
    rows = [[f"`{one.id}`", escaped(one.claim), escaped(one.source)] for one in checks]
    return f"## {topic}\n\n{table(['check', 'claim', 'where the law comes from'], rows)}"

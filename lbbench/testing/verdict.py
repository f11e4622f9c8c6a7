"""What the conformance test found: one verdict per check."""

from __future__ import annotations

import textwrap
from dataclasses import dataclass
from typing import Any, Literal

from lbbench.errors import BalancerError

Verdict = Literal["pass", "fail", "not done"]

WIDTH = 100
SCHEMA = "lbbench.conformance/1"


@dataclass(frozen=True)
class Check:
    """One check: what it claims, what came of it, and the figure, the fault or the reason."""

    name: str
    verdict: Verdict
    detail: str = ""


@dataclass(frozen=True)
class Conformance:
    """All checks of one balancer; printed, it is a table."""

    balancer: str
    checks: tuple[Check, ...]

    @property
    def passed(self) -> bool:
        """Whether no check failed (some may not have been done)."""
        return not self.failures

    @property
    def failures(self) -> tuple[Check, ...]:
        """The checks that failed."""
        return tuple(check for check in self.checks if check.verdict == "fail")

    def verdict(self, name: str) -> Verdict:
        """Return the verdict on the check called ``name``.

        Raises
        ------
        KeyError
            When there is no such check.
        """
        return {check.name: check.verdict for check in self.checks}[name]

    def raise_if_failed(self) -> Conformance:
        """Return the report itself.

        Raises
        ------
        BalancerError
            When a check failed: all that failed, one a line.
        """
        if self.failures:
            found = "\n".join(f"  {check.name}: {check.detail}" for check in self.failures)
            raise BalancerError(f"balancer {self.balancer} is not sound:\n{found}")
        return self

    def to_dict(self) -> dict[str, Any]:
        """Return the report as plain data (schema lbbench.conformance/1)."""
        rows = [
            {"name": check.name, "verdict": check.verdict, "detail": check.detail}
            for check in self.checks
        ]
        return {
            "schema": SCHEMA,
            "balancer": self.balancer,
            "passed": self.passed,
            "checks": rows,
        }

    def __str__(self) -> str:
        name_width = max(len(check.name) for check in self.checks)
        indent = " " * (name_width + 12)
        lines = [f"{self.balancer}: {self._summary()}", ""]
        for check in self.checks:
            head = f"{check.verdict:<8}  {check.name:<{name_width}}  "
            lines.append(
                textwrap.fill(
                    check.detail or "-",
                    WIDTH,
                    initial_indent=head,
                    subsequent_indent=indent,
                    break_long_words=False,
                    break_on_hyphens=False,
                )
            )
        return "\n".join(lines)

    def _summary(self) -> str:
        count = dict.fromkeys(("pass", "fail", "not done"), 0)
        for check in self.checks:
            count[check.verdict] += 1
        parts = [f"{count['pass']} of {len(self.checks)} checks passed"]
        parts += [
            f"{count[kind]} {word}"
            for kind, word in (("fail", "failed"), ("not done", "not done"))
            if count[kind]
        ]
        return ", ".join(parts)

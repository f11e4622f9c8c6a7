"""Runs a command of lbbench inside the test's process, as a shell would see it."""

from __future__ import annotations

import sys
from typing import NamedTuple

import pytest

from lbbench.cli import main


class Ended(NamedTuple):
    """What a command left: its exit status and what it printed."""

    code: int
    out: str
    err: str


class Command:
    """A callable ``command("run", "aks-ingress", ...)``."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
        self.monkeypatch = monkeypatch
        self.capsys = capsys

    def __call__(self, *arguments: object) -> Ended:
        """Run the command line with ``arguments``."""
        self.capsys.readouterr()
        self.monkeypatch.delenv("COLUMNS", raising=False)  # a test runner may set it to 80
        self.monkeypatch.setattr(sys, "argv", ["lbbench", *map(str, arguments)])
        try:
            main()
            code = 0
        except SystemExit as end:
            code = end.code if isinstance(end.code, int) else int(bool(end.code))
        said = self.capsys.readouterr()
        return Ended(code, said.out, said.err)


def says_one_sentence(ended: Ended) -> bool:
    """Tell whether a command failed as promised: status 2, short, no traceback, no output."""
    lines = ended.err.strip().splitlines()
    return (
        ended.code == 2
        and ended.out == ""
        and 1 <= len(lines) <= 12
        and "Traceback" not in ended.err
    )

"""Fixtures of several test files."""

from __future__ import annotations

import pytest
from command import Command


@pytest.fixture
def command(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Command:
    """Return a callable that runs a command of lbbench: ``command("run", "aks-ingress")``."""
    return Command(monkeypatch, capsys)

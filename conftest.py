"""Pytest options of the repository: ``--benchmark`` runs ``benchmarks/`` instead of ``tests/``."""

from __future__ import annotations

from pathlib import Path

import pytest

ROOT = Path(__file__).parent


def pytest_addoption(parser: pytest.Parser) -> None:
    """Register ``--benchmark``; pytest-benchmark alone refuses it as an ambiguous prefix."""
    parser.addoption(
        "--benchmark",
        action="store_true",
        default=False,
        help="run the benchmarks in benchmarks/ instead of the tests in tests/",
    )


def pytest_configure(config: pytest.Config) -> None:
    """Point the collection at ``benchmarks/`` when asked; plain runs leave long tests out."""
    if config.getoption("--benchmark") and not config.invocation_params_has_path():
        config.args = [str(ROOT / "benchmarks")]

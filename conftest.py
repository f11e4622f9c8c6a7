"""Pytest options of the repository: what a plain run leaves out, and ``--benchmark``.

Plain ``pytest`` runs ``tests/`` without what is marked ``long``; ``-m long`` selects those, and a
test that is named on the command line always runs. ``pytest --benchmark`` runs ``benchmarks/``.
"""

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
    """Point the collection at ``benchmarks/`` when asked; leave long tests out of plain runs."""
    paths_given = config.args_source is pytest.Config.ArgsSource.ARGS
    if config.getoption("--benchmark") and not paths_given:
        config.args = [str(ROOT / "benchmarks")]
    if not config.option.markexpr and not any("::" in str(argument) for argument in config.args):
        config.option.markexpr = "not long"

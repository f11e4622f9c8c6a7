"""What all benchmarks have in common: the machine in every result, reasons for what is left out."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from benchmarks.programs import Unavailable, compiler
from lbbench.studies.machine import machine


def pytest_benchmark_update_machine_info(machine_info: dict[str, Any]) -> None:
    """Leave the name of the machine out of the figures: what it is made of says more."""
    machine_info.pop("node", None)


@pytest.fixture(autouse=True)
def _metadata(benchmark) -> None:
    """Store what the timing depends on beside it."""
    benchmark.extra_info["machine"] = {**machine(), "compiler": compiler()}


@pytest.fixture
def available() -> Callable[..., Any]:
    """Return a caller that skips the benchmark, with the reason, where something is missing."""

    def call(function: Callable[..., Any], *arguments: Any) -> Any:
        try:
            return function(*arguments)
        except Unavailable as reason:
            pytest.skip(str(reason))

    return call

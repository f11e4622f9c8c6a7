"""Fixtures of several test files."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from clusters import Cluster
from command import Command
from hypothesis import settings
from sweeping import small, swept

from lbbench.studies.executors import Processes
from lbbench.studies.study import Study

# How long an example takes depends on what else the machine does, so that is nothing to fail for.
settings.register_profile("lbbench", deadline=None)
settings.load_profile("lbbench")


@pytest.fixture
def command(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Command:
    """Return a callable that runs a command of lbbench: ``command("run", "aks-ingress")``."""
    return Command(monkeypatch, capsys)


@pytest.fixture
def cluster(tmp_path: Path) -> Iterator[Cluster]:
    """Start a scheduler without workers."""
    cluster = Cluster(tmp_path)
    try:
        cluster.start_scheduler()
        yield cluster
    finally:
        cluster.end()


@pytest.fixture(scope="session")
def small_study(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Study]:
    """Sweep two conditions and three balancers, with an objective, for all tests of its page."""
    folder = tmp_path_factory.mktemp("study")
    with swept(small(folder, "slo.latency.p99=150ms"), folder / "study.sqlite") as study:
        yield study


@pytest.fixture
def two() -> Iterator[Processes]:
    """Two workers, ended whatever the test does."""
    pool = Processes(2)
    yield pool
    pool.kill()

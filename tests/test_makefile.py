"""The Makefile: a second run installs nothing again, a change of the requirements does."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent

pytestmark = pytest.mark.skipif(shutil.which("make") is None, reason="make is not installed")


@pytest.fixture
def project(tmp_path: Path) -> Path:
    """Copy what the Makefile looks at, and set up a finished environment."""
    for name in ("Makefile", "pyproject.toml", "constraints.txt"):
        shutil.copy(ROOT / name, tmp_path / name)
        os.utime(tmp_path / name, (1_000, 1_000))
    (tmp_path / ".venv").mkdir()
    (tmp_path / ".venv" / ".installed").touch()
    return tmp_path


def planned(project: Path, target: str) -> str:
    """Return the commands that ``make`` would run for ``target``."""
    return subprocess.run(
        ["make", "--dry-run", target], cwd=project, capture_output=True, text=True, check=True
    ).stdout


TARGETS = ["demo", "test", "lint", "bench", "tables", "league", "studies", "live", "pictures"]


@pytest.mark.parametrize("target", TARGETS)
def test_a_second_run_installs_nothing(project: Path, target: str):
    """With the stamp newer than the requirements no target calls pip."""
    assert "pip" not in planned(project, target)


@pytest.mark.parametrize("changed", ["pyproject.toml", "constraints.txt"])
def test_changed_requirements_are_installed(project: Path, changed: str):
    """A newer pyproject.toml or constraints.txt makes every target install again."""
    stamp = (project / ".venv" / ".installed").stat().st_mtime
    os.utime(project / changed, (stamp + 10, stamp + 10))
    assert "pip install" in planned(project, "test")


def test_a_fresh_checkout_is_set_up_first(project: Path):
    """Without an environment one is made, from the exact versions, before the tests run."""
    shutil.rmtree(project / ".venv")
    steps = planned(project, "test")
    assert steps.index("-m venv") < steps.index("--constraint constraints.txt")
    assert steps.index("--constraint constraints.txt") < steps.index("-m pytest")


def test_constraints_are_exact_and_know_every_requirement():
    """Each line of constraints.txt pins one version, and no direct requirement is missing."""
    import tomllib

    lines = [
        line
        for line in (ROOT / "constraints.txt").read_text(encoding="utf-8").splitlines()
        if line and not line.startswith("#")
    ]
    assert all(line.count("==") == 1 for line in lines)
    pinned = {line.partition("==")[0].lower().replace("_", "-") for line in lines}
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    asked = [*project["dependencies"], *project["optional-dependencies"]["dev"]]
    assert {text.partition(">")[0].lower() for text in asked} <= pinned

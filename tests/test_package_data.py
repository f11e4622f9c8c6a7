"""What is no Python goes into the wheel, which an editable installation would not show."""

from __future__ import annotations

import tomllib
from pathlib import Path

import lbbench

PACKAGE = Path(lbbench.__file__).parent
PROJECT = PACKAGE.parent / "pyproject.toml"


def test_every_file_of_the_package_is_in_the_wheel():
    """Templates, scenarios and data are named by a pattern, and no pattern is idle."""
    project = tomllib.loads(PROJECT.read_text(encoding="utf-8"))
    patterns = project["tool"]["setuptools"]["package-data"]["lbbench"]
    packed = {pattern: set(PACKAGE.glob(pattern)) for pattern in patterns}
    wanted = {
        path
        for path in PACKAGE.rglob("*")
        if path.is_file() and path.suffix != ".py" and "__pycache__" not in path.parts
    }
    assert wanted - set().union(*packed.values()) == set()
    assert [pattern for pattern, files in packed.items() if not files] == []

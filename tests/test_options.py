"""The root conftest: what plain pytest runs, ``-m long`` and ``--benchmark``."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent


@pytest.fixture
def project(tmp_path: Path) -> Path:
    """Make a project of one quick test, one long one and one benchmark."""
    for name in ("conftest.py", "pyproject.toml"):
        shutil.copy(ROOT / name, tmp_path / name)
    (tmp_path / "tests").mkdir()
    (tmp_path / "benchmarks").mkdir()
    (tmp_path / "tests" / "test_a.py").write_text(
        "import pytest\ndef test_quick(): pass\n@pytest.mark.long\ndef test_slow(): pass\n",
        encoding="utf-8",
    )
    (tmp_path / "benchmarks" / "test_b.py").write_text("def test_bench(): pass\n", encoding="utf-8")
    return tmp_path


@pytest.mark.parametrize(
    ("arguments", "selected"),
    [
        ([], {"test_quick"}),
        (["tests"], {"test_quick"}),
        (["-m", "long"], {"test_slow"}),
        (["-m", "long or not long"], {"test_quick", "test_slow"}),
        (["tests/test_a.py::test_slow"], {"test_slow"}),
        (["--benchmark"], {"test_bench"}),
        (["--benchmark", "tests"], {"test_quick"}),
    ],
)
def test_what_a_call_of_pytest_selects(project: Path, arguments: list[str], selected: set[str]):
    """Plain pytest runs tests/ without the long ones; --benchmark runs benchmarks/ instead."""
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "--collect-only", "-q", "-p", "no:cacheprovider",
         *arguments],
        cwd=project,
        capture_output=True,
        text=True,
        check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr
    assert set(re.findall(r"::(\w+)", done.stdout)) == selected

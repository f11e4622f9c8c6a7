"""The folders are layers: a file imports only from lower ones, slow libraries only where used."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

import lbbench

PACKAGE = Path(lbbench.__file__).parent

LAYERS = {
    "errors": 0,
    "core": 1,
    "model": 1,
    "balancers": 2,
    "traffic": 2,
    "scenarios": 3,
    "engines": 3,
    "stats": 3,
    "inputs": 4,
    "store": 4,
    "studies": 5,
    "packetwalk": 5,
    "verify": 6,
    "report": 7,
    "testing": 7,
    "cli": 8,
    "__init__": 9,
    "__main__": 9,
}
VERSION = "__version__"  # the one name of the package itself that every layer may import

HOMES = {
    "numba": ("core/jit",),
    "simpy": ("engines/reference",),
    "altair": ("report/charts/",),
    "dask": ("studies/executors.py",),
    "distributed": ("studies/executors.py",),
    "jinja2": (),
    "markupsafe": (),
    "vl_convert": (),
    "scipy": (),
    "polars": (),
    "hdrh": (),
    "ruamel": (),
    "yaml": (),
    "ijson": (),
}
"""Beginnings of the files that may import a slow library at their top, not in functions only."""

ANYWHERE = {"numba": ("core/jit",), "altair": ("report/charts/",)}
"""Files that may import a library at all."""


def imports_of(file: Path, root: Path) -> list[tuple[int, str, bool]]:
    """Return (line, dotted name, is it done when the file is imported) of every import of ``file``.

    The dotted name has the imported name at its end, so that ``from lbbench import errors`` counts
    as ``lbbench.errors``. Imports for type checkers alone are left out of what happens at import.
    """
    tree = ast.parse(file.read_text(encoding="utf-8"))
    lazy = {
        id(inner)
        for node in ast.walk(tree)
        if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef, ast.Lambda)) or is_typing(node)
        for inner in ast.walk(node)
    }
    package = [root.name, *file.relative_to(root).parts[:-1]]
    found = []
    for node in ast.walk(tree):
        at_import = id(node) not in lazy
        if isinstance(node, ast.Import):
            found += [(node.lineno, alias.name, at_import) for alias in node.names]
        if isinstance(node, ast.ImportFrom):
            base = package[: len(package) - node.level + 1] if node.level else []
            start = ".".join([*base, *([node.module] if node.module else [])])
            found += [(node.lineno, f"{start}.{alias.name}", at_import) for alias in node.names]
    return found


def is_typing(node: ast.AST) -> bool:
    """Tell whether ``node`` is ``if TYPE_CHECKING:``."""
    return isinstance(node, ast.If) and ast.unparse(node.test).endswith("TYPE_CHECKING")


def breaches(root: Path) -> list[str]:
    """Return every import in the package at ``root`` that goes up or sideways, or is slow."""
    found = []
    for file in sorted(root.rglob("*.py")):
        name = file.relative_to(root).as_posix()
        own = name.partition("/")[0].removesuffix(".py")
        for line, target, at_import in imports_of(file, root):
            place = f"{name}:{line}"
            parts = target.split(".")
            library = parts[0]
            if library == root.name:
                found += _upward(place, own, parts[1:])
            elif library in HOMES and at_import and not name.startswith(HOMES[library]):
                found.append(f"{place}: imports {library} when it is imported")
            elif library in ANYWHERE and not name.startswith(ANYWHERE[library]):
                found.append(f"{place}: imports {library}; only {ANYWHERE[library][0]} may")
    return found


def _upward(place: str, own: str, target: list[str]) -> list[str]:
    if not target or target == [VERSION] or target[0] == own:
        return [] if target else [f"{place}: imports the whole package"]
    if target[0] not in LAYERS:
        return [f"{place}: imports {'.'.join(target)}, which no layer has"]
    if LAYERS[target[0]] < LAYERS[own]:
        return []
    return [f"{place}: {own} (layer {LAYERS[own]}) imports {target[0]} (layer {LAYERS[target[0]]})"]


def test_every_part_of_the_package_has_a_layer():
    """A new folder or module cannot appear without its place in the picture."""
    parts = {
        path.stem
        for path in PACKAGE.iterdir()
        if path.suffix == ".py" or (path.is_dir() and any(path.glob("*.py")))
    }
    assert parts <= set(LAYERS)


def test_no_file_of_the_package_breaks_the_layers():
    """Imports go down, numba stays in core/jit.py, slow libraries are imported where used."""
    assert breaches(PACKAGE) == []


@pytest.mark.parametrize(
    ("file", "code", "what"),
    [
        (
            "core/a.py",
            "from lbbench.engines import fast",
            "core (layer 1) imports engines (layer 3)",
        ),
        ("core/a.py", "from lbbench.model.units import parse", "core (layer 1) imports model"),
        ("stats/a.py", "import lbbench.engines.plan", "stats (layer 3) imports engines (layer 3)"),
        ("model/a.py", "def f():\n    from lbbench.cli import main", "model (layer 1) imports cli"),
        ("model/a.py", "from ..stats import summary", "model (layer 1) imports stats (layer 3)"),
        ("model/a.py", "from .. import report", "model (layer 1) imports report (layer 7)"),
        ("model/a.py", "from lbbench import run", "imports run, which no layer has"),
        ("model/a.py", "import lbbench", "imports the whole package"),
        ("stats/a.py", "import scipy.stats", "imports scipy when it is imported"),
        ("engines/kernel.py", "def f():\n    import numba", "imports numba; only core/jit"),
        ("engines/plan.py", "import simpy", "imports simpy when it is imported"),
        ("report/a.py", "class A:\n    import altair", "imports altair when it is imported"),
        ("report/a.py", "def f():\n    import altair", "imports altair; only report/charts/ may"),
        ("studies/a.py", "try:\n    import dask\nexcept E:\n    pass", "imports dask"),
    ],
)
def test_a_breach_is_found(tmp_path: Path, file: str, code: str, what: str):
    """Each kind of forbidden import, put into a small package, is reported with file and line."""
    path = tmp_path / "lbbench" / file
    path.parent.mkdir(parents=True)
    path.write_text(code, encoding="utf-8")
    found = breaches(tmp_path / "lbbench")
    assert len(found) == 1
    assert found[0].startswith(file)
    assert what in found[0]


@pytest.mark.parametrize(
    ("file", "code"),
    [
        ("cli/a.py", "from lbbench.report.tables import show\nfrom lbbench import __version__"),
        ("core/jit.py", "import numba"),
        ("report/charts/look.py", "import altair as alt"),
        ("engines/reference_calendar.py", "import simpy"),
        ("stats/a.py", "def f():\n    from scipy.special import stdtr"),
        ("store/a.py", "from typing import TYPE_CHECKING\nif TYPE_CHECKING:\n    import polars"),
        ("balancers/a.py", "from . import base\nfrom .base import Balancer"),
        ("balancers/a.py", "import lbbench.balancers as package"),
        ("__init__.py", "from lbbench.studies.run import run"),
    ],
)
def test_what_is_allowed_is_not_reported(tmp_path: Path, file: str, code: str):
    """Imports downward, inside a folder, for types alone, and lazy ones are no breach."""
    path = tmp_path / "lbbench" / file
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(code, encoding="utf-8")
    assert breaches(tmp_path / "lbbench") == []

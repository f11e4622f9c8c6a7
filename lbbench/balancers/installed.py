"""Balancers of installed packages: the entry points of the group ``lbbench.balancers``.

A package declares in its pyproject.toml::

    [project.entry-points."lbbench.balancers"]
    fancy = "fancy_lb.balancer:FANCY"
"""

from __future__ import annotations

import sys
from collections.abc import Mapping
from dataclasses import replace
from importlib.metadata import EntryPoint, entry_points
from importlib.util import find_spec
from pathlib import Path

from lbbench.balancers.base import Balancer, registry
from lbbench.balancers.own import check_parts, import_fault
from lbbench.errors import BalancerError, LbbenchError

GROUP = "lbbench.balancers"


def installed() -> Mapping[str, list[EntryPoint]]:
    """Return who declares a balancer, by its name; nothing is imported.

    Names of built-in balancers are among them: those are never taken from a package.
    """
    found: dict[str, list[EntryPoint]] = {}
    for entry in sorted(entry_points(group=GROUP), key=lambda entry: (entry.name, entry.value)):
        same = found.setdefault(entry.name, [])
        if all(other.value != entry.value for other in same):  # a folder twice on sys.path
            same.append(entry)
    return found


def from_package(name: str) -> Balancer:
    """Return the balancer that an installed package declares under ``name``; it has that name.

    Raises
    ------
    BalancerError
        When the name is taken, importing fails, or what is there is no Balancer.
    """
    entries = installed()[name]
    entry = entries[0]
    if name in registry():
        raise BalancerError(
            f"{_origin(entry)} is not used: {name} is a built-in balancer; the package must give "
            "it another name"
        )
    if len(entries) > 1:
        raise BalancerError(
            f"balancer {name} is declared twice, by {' and by '.join(map(_origin, entries))}; "
            "uninstall one of them"
        )
    what = _origin(entry)
    try:
        value = entry.load()
    except LbbenchError:
        raise
    except (Exception, SystemExit) as error:
        raise import_fault(error, _folder(entry), what) from error
    if not isinstance(value, Balancer):
        kind = type(value).__name__
        raise BalancerError(f"{what} is of type {kind}; it must be a lbbench Balancer")
    check_parts(value)
    return value if value.name == name else replace(value, name=name)


def all_installed() -> tuple[list[Balancer], list[str]]:
    """Return the balancers of all installed packages, and a sentence on each that is broken."""
    found, broken = [], []
    for name in installed():
        try:
            found.append(from_package(name))
        except LbbenchError as error:
            broken.append(str(error))
    return found, broken


def _origin(entry: EntryPoint) -> str:
    """Return which balancer of which package an entry point is."""
    package = f"{entry.dist.name} {entry.dist.version}" if entry.dist else "an unknown package"
    return f"balancer {entry.name} of {package} ({entry.value})"


def _folder(entry: EntryPoint) -> Path:
    """Return the folder of the package, or the file of the module, that an entry point names."""
    top = entry.module.partition(".")[0]
    try:
        spec = sys.modules[top].__spec__ if top in sys.modules else find_spec(top)
    except (ImportError, ValueError):
        spec = None
    origin = Path(spec.origin) if spec is not None and spec.origin else Path("/nowhere")
    return origin.parent if origin.name == "__init__.py" else origin

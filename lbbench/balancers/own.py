"""A balancer of somebody's own: from a file, with errors that name its lines."""

from __future__ import annotations

import importlib.util
import inspect
import sys
import traceback
from pathlib import Path
from types import ModuleType

from lbbench.balancers.base import Balancer
from lbbench.balancers.fault import said, shown, where_is
from lbbench.errors import BalancerError, LbbenchError

ARGUMENTS = {
    "state": "params, endpoints",
    "pick": "state, rng, now, key, busy, tried",
    "done": "state, endpoint, now, rtt, ok",
    "on_endpoints": "state, rng, old, new, now",
    "on_busy": "state, endpoint, busy",
    "digest": "params",
    "shares": "state, n",
}
"""What the parts of a balancer are called with, by position."""


def from_file(name: str, folder: Path) -> Balancer:
    """Return the balancer ``FILE.py:NAME``; the file is seen from ``folder`` and read anew.

    Raises
    ------
    BalancerError
        When there is no such file or name, or importing the file fails: with the line.
    """
    path_text, attribute = name.rsplit(":", 1)
    path = (folder / path_text).resolve()
    if not path.is_file():
        raise BalancerError(f"{path_text}: there is no such file; give FILE.py:NAME")
    module = _load(path)
    value = getattr(module, attribute, None)
    if not isinstance(value, Balancer):
        names = [key for key, item in vars(module).items() if isinstance(item, Balancer)]
        hint = f"it has {', '.join(names)}" if names else "it defines no Balancer"
        raise BalancerError(f"{path_text}: no balancer is called {attribute!r} there; {hint}")
    check_parts(value)
    return value


def check_parts(balancer: Balancer) -> None:
    """Refuse parts that do not take what they are called with.

    Raises
    ------
    BalancerError
        With file, line, the part's name, and the arguments that it must take.
    """
    for name, wanted in ARGUMENTS.items():
        part = getattr(balancer, name)
        if part is None:
            continue
        where = where_is(part) or f"balancer {balancer.name}: {name}"
        if not callable(part):
            raise BalancerError(f"balancer {balancer.name}: {name} = {part!r}: must be a function")
        try:
            inspect.signature(part).bind(*wanted.split(", "))
        except TypeError:
            raise BalancerError(
                f"{where} is the {name} of balancer {balancer.name} and must take "
                f"{len(wanted.split(', '))} arguments: {wanted}"
            ) from None
        except ValueError:
            continue  # nothing is known of its arguments


def import_fault(error: BaseException, inside: Path, what: str) -> BalancerError:
    """Return the sentence on an ``error`` while ``what`` was imported, whose code is ``inside``.

    The line is the last one of the file, or of a folder's files, that the error went through.
    """
    if isinstance(error, SyntaxError) and error.filename and error.lineno:
        return BalancerError(
            f"{shown(error.filename)}:{error.lineno}: {what} is no Python: {error.msg}"
        )
    frames = [
        frame
        for frame in traceback.extract_tb(error.__traceback__)
        if Path(frame.filename) == inside or inside in Path(frame.filename).parents
    ]
    if not frames:
        return BalancerError(f"{what}: importing it failed: {said(error)}")
    last = frames[-1]
    inner = "" if last.name == "<module>" else f" in {last.name}"
    return BalancerError(
        f"{shown(last.filename)}:{last.lineno}: importing {what} failed{inner}: {said(error)}"
    )


def _load(path: Path) -> ModuleType:
    """Import a user's file under a stable module name, anew when the file has changed."""
    name = f"lbbench_user_{path.stem}"
    spec = importlib.util.spec_from_file_location(name, path)
    if spec is None or spec.loader is None:
        raise BalancerError(f"{path}: this file cannot be imported as Python")
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module
    try:
        spec.loader.exec_module(module)
    except LbbenchError:
        raise
    except (Exception, SystemExit) as error:
        raise import_fault(error, path, "this file") from error
    return module

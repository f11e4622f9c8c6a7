"""Errors inside somebody's own balancer, as one sentence with their file, line and function."""

from __future__ import annotations

import functools
import operator
import re
import traceback
import types
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from lbbench.balancers.base import Balancer
from lbbench.errors import BalancerError, LbbenchError

LONGEST = 200
"""Signs of what an error or a compiler says that are repeated."""

NOISE = ("Failed in", "File ", "During:", "- ", "There are", "No match", "[", ">>>", "Known ")
"""Beginnings of the lines in which numba says where it was, not what is wrong."""

NAMED = re.compile(r'File "([^"]+)", line ([0-9]+)')


class Place(NamedTuple):
    """Where something is in somebody's code."""

    file: str
    line: int
    function: str

    def __str__(self) -> str:
        return f"{shown(self.file)}:{self.line}: {self.function}"


def shown(file: str) -> str:
    """Return a path as seen from the current folder, where it is shorter that way."""
    path = Path(file)
    return str(path.relative_to(Path.cwd())) if path.is_relative_to(Path.cwd()) else file


def is_own(balancer: Balancer) -> bool:
    """Tell whether a part of the balancer is no code of lbbench."""
    return any(not part.__module__.startswith("lbbench.") for part in parts_of(balancer))


def parts_of(balancer: Balancer) -> list[types.FunctionType]:
    """Return the balancer's functions that are written in Python, those behind methods too."""
    given = (
        balancer.pick, balancer.done, balancer.on_endpoints, balancer.on_busy, balancer.state,
        balancer.shares, balancer.digest,
    )  # fmt: skip
    functions = [_function(part) for part in given if part is not None]
    return [part for part in functions if isinstance(part, types.FunctionType)]


def where_is(part: Any) -> Place | None:
    """Return where a function of a balancer begins, None: it is not written in Python."""
    function = _function(part)
    if not isinstance(function, types.FunctionType):
        return None
    code = function.__code__
    return Place(code.co_filename, code.co_firstlineno, function.__name__)


def _function(part: Any) -> Any:
    """Return the plain function behind a method, a partial or a callable object."""
    if isinstance(part, functools.partial):
        return _function(part.func)
    if isinstance(part, types.FunctionType):
        return part
    if isinstance(part, types.MethodType):
        return part.__func__
    return vars(type(part)).get("__call__")


@contextmanager
def blaming(*balancers: Balancer) -> Iterator[None]:
    """Turn what is raised inside somebody's own balancer into a sentence that says where.

    Raises
    ------
    BalancerError
        In place of an error that went through the code of one of ``balancers``.
    """
    try:
        yield
    except LbbenchError:
        raise
    except Exception as error:
        for balancer in balancers:
            blamed = fault_of(error, balancer)
            if blamed is not None:
                raise blamed from error
        raise


def fault_of(error: BaseException, balancer: Balancer) -> BalancerError | None:
    """Return the sentence on ``error`` if it went through the own code of ``balancer``."""
    place = place_of(error, balancer)
    if place is None:
        return None
    return BalancerError(
        f"{place} of balancer {balancer.name} failed: {said(error)}; mend it there, or see "
        "lbbench balancers FILE.py:NAME --check"
    )


def said(error: BaseException) -> str:
    """Return the kind of an error and what it says, on one line."""
    text = " ".join(str(error).split())
    if len(text) > LONGEST:
        text = text[: LONGEST - 3] + "..."
    return f"{type(error).__name__}: {text}" if text else type(error).__name__


def place_of(error: BaseException, balancer: Balancer) -> Place | None:
    """Return the innermost line of the balancer's own code that ``error`` went through.

    Code beside the balancer's file, which it imports, counts as its own.
    """
    files = {Path(part.__code__.co_filename) for part in parts_of(balancer) if not _is_ours(part)}
    found: Place | None = None
    cause: BaseException | None = error
    while cause is not None and found is None:  # SimPy raises a copy of what a process raised
        for frame in traceback.extract_tb(cause.__traceback__):
            path = Path(frame.filename)
            if path in files or (found is not None and path.parent in {f.parent for f in files}):
                found = Place(frame.filename, frame.lineno or 0, frame.name)
        cause = cause.__cause__
    return found


def position(place: Any, n: int, balancer: Balancer) -> int:
    """Return what ``pick`` returned as an int.

    Raises
    ------
    BalancerError
        When it is neither -1 nor a position in a list of ``n``.
    """
    try:
        made = operator.index(place)
    except TypeError:
        made = -2
    if -1 <= made < n:
        return made
    where = where_is(balancer.pick) or "pick"
    given = str(place) if isinstance(place, np.generic) else repr(place)
    allowed = f"a position in its list of {n}, 0 to {n - 1}, or -1 for none" if n else "-1"
    raise BalancerError(
        f"{where} of balancer {balancer.name} returned {given}: it must be {allowed}"
        + ("" if n else ", for its list is empty")
    )


def compiler_says(error: BaseException, balancer: Balancer) -> tuple[Place, str]:
    """Return where in the balancer's code the compiler stopped, and its reason in few words."""
    text = re.sub(r"\x1b\[[0-9;]*m", "", str(error))
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    reasons = [line for line in lines if not line.startswith(NOISE)]
    reason = " ".join((reasons or lines or [type(error).__name__])[0].split())
    if len(reason) > LONGEST:
        reason = reason[: LONGEST - 3] + "..."
    own = [part for part in parts_of(balancer) if not _is_ours(part)]
    files = {Path(part.__code__.co_filename).resolve(): part for part in own}
    for name, line in reversed(NAMED.findall(text)):
        path = Path(name).resolve()
        if path in files:
            return _around(str(path), int(line), files[path]), reason
    named = [part for part in own if re.search(rf"\b{re.escape(part.__qualname__)}\b", text)]
    place = where_is(next(iter([*named, balancer.pick])))
    return place or Place("a part that is no Python function", 0, balancer.name), reason


def _around(file: str, line: int, part: types.FunctionType) -> Place:
    """Return the place of a line, with the function of the module that it stands in."""
    functions = [
        value
        for value in part.__globals__.values()
        if isinstance(value, types.FunctionType)
        and value.__module__ == part.__module__
        and value.__code__.co_firstlineno <= line
    ]
    within = max(functions, key=lambda value: value.__code__.co_firstlineno, default=part)
    return Place(file, line, within.__name__)


def _is_ours(part: types.FunctionType) -> bool:
    return part.__module__.startswith("lbbench.")

"""The jit boundary: the only place that knows numba, with `jit_held.py` and `jit_inlined.py`.

A kernel is an ordinary function whose parts (``pick``, ``done``, ...) are globals. `bind`
makes a copy of it with the given parts, compiles it, and keeps the machine code on disk under a
name that is the digest of *all* code and constants that it reaches. So a second process starts
warm, an edit of a balancer, a helper or a constant is always seen, and two balancers never share an
entry. `plain` makes the same copy without compiling it.

Why not numba's own ways: functions passed as arguments or held in closures never hit the disk
cache; ``cache=True`` on inner functions hits and goes stale when another file is edited.
"""

from __future__ import annotations

import builtins
import dis
import hashlib
import os
import sys
import time
import types
from collections.abc import Callable, Mapping
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np

from lbbench.core.held import apart, bounded, hold, is_apart, is_bounded, lend
from lbbench.core.jit_folder import enable_cache, index_path
from lbbench.core.jit_seen import CONSTANTS, MISSING, Seen, key_of

INNER_OPTIONS = {
    "forceinline": True,
    "_nrt": False,
    "error_model": "numpy",
    "no_cpython_wrapper": True,
    "no_cfunc_wrapper": True,
}
OUTER_OPTIONS = {"nogil": True, "_nrt": False, "error_model": "numpy", "no_cfunc_wrapper": True}
# Small functions that take a NamedTuple of arrays cost hundreds of reference-count calls each
# unless they are inlined and compiled without numba's runtime; kernels allocate nothing.

OURS = "lbbench."
"""Modules whose indices tests hold to the bounds; what others write is checked at every access."""

_MODULES = {"math", "numpy"}

MOST_REMEMBERED = 256
"""Calls of `bind` that a process remembers."""


class Bound:
    """A kernel with its parts, compiled at the first call; `digest` names the cache entry."""

    def __init__(self, function: Any, digest: str) -> None:
        self.function = function
        self.digest = digest
        self.compile_s = 0.0
        self._ready: set[bytes] = set()  # kinds of arguments that it is compiled for

    def __call__(self, *args: Any) -> Any:
        """Run the kernel; the first call compiles it or loads it from the cache."""
        return self.function(*args)

    @property
    def is_cached(self) -> bool:
        """Tell whether a finished compilation of this kernel lies in the cache folder."""
        index = index_path(self.function)
        return index is not None and index.is_file()

    def prepare(self, *args: Any) -> float:
        """Compile for the types of ``args`` (or load) without running; return the seconds."""
        if not hasattr(self.function, "compile"):
            return 0.0
        kinds = _kinds(args)
        if kinds is not None and kinds in self._ready:
            return 0.0
        started = time.perf_counter()
        signature = tuple(self.function.typeof_pyval(value) for value in args)
        self.function.compile(signature)
        self.compile_s = time.perf_counter() - started
        index = index_path(self.function)
        if index is not None and index.is_file():
            os.utime(index)
        if kinds is not None:
            self._ready.add(kinds)
        return self.compile_s

    @property
    def cache_hits(self) -> int:
        """Number of signatures that this process loaded from the disk cache."""
        return (
            sum(self.function.stats.cache_hits.values()) if hasattr(self.function, "stats") else 0
        )

    def llvm(self) -> str:
        """Return the LLVM code of every compiled signature (tests look for reference counts)."""
        return "\n".join(self.function.inspect_llvm().values())


def _kinds(args: tuple[Any, ...]) -> bytes | None:
    """Return numba's mark of the arguments' types: those of two types never have the same."""
    from numba._dispatcher import compute_fingerprint

    try:
        made: bytes = compute_fingerprint(args)
    except (NotImplementedError, ValueError):
        return None  # the compiler says what is wrong with them
    return made


def bind(
    kernel: Callable[..., Any], *, options: Mapping[str, Any] | None = None, **parts: Any
) -> Bound:
    """Return ``kernel`` compiled with ``parts`` as its globals.

    Parameters
    ----------
    kernel
        A plain module-level function without closure. Functions that it reaches through globals are
        compiled with it; they may use the parts too.
    options
        Further numba options, for instance ``{"boundscheck": True}``; part of the digest.
    parts
        Functions and constants by the name under which the kernel's code uses them.

    Raises
    ------
    TypeError
        When the code reaches something that the digest cannot see through: a module of our own, a
        closure in the kernel, an object of unknown kind.
    """
    if is_disabled():
        return Bound(plain(kernel, **parts), "disabled")
    import numba

    chosen = dict(options or {})
    key = key_of(kernel, chosen, parts)
    before = None if key is None else _before.get(key)
    if before is not None and before[0].is_as_it_was():
        return before[1]
    if kernel.__closure__:
        raise TypeError(f"{kernel.__qualname__} is a closure; pass its values as parts")
    walk = _Walk(parts, jit=_as_it_is)
    _, (reached, *classes) = walk.copy(kernel)
    facts = (
        reached,
        sorted({**OUTER_OPTIONS, **chosen}.items()),
        sorted(INNER_OPTIONS.items()),
        _lowering(),
        (sys.version_info[:3], numba.__version__, np.__version__),
    )
    digest = hashlib.sha256(repr(facts).encode()).hexdigest()
    made = _bound.get((digest, *classes))
    if made is None:
        made = _bound[digest, *classes] = _made(kernel, digest, chosen, parts)
    if key is not None:
        while len(_before) >= MOST_REMEMBERED:
            _before.pop(next(iter(_before)), None)
        _before[key] = walk.seen, made
    return made


def _made(
    kernel: Callable[..., Any], digest: str, chosen: dict[str, Any], parts: Mapping[str, Any]
) -> Bound:
    import numba

    from lbbench.core.jit_inlined import InnerCompiler, OuterCompiler

    def inner(function: Callable[..., Any], key: tuple[Any, ...]) -> Any:
        key = (repr(sorted(chosen.items())), *key)
        if key not in _inner:
            # Its symbol is made of this name. Kernels that other processes have compiled meet in
            # one process, which keeps one function of a name: the same name means the same code.
            told = hashlib.sha256(repr(key[:2]).encode()).hexdigest()
            function.__qualname__ = f"{function.__qualname__}_{told[:24]}"
            own = not function.__module__.startswith(OURS)
            checks = {"boundscheck": True} if own or is_bounded(function) else {}
            given = {**INNER_OPTIONS, "forceinline": not is_apart(function), **checks, **chosen}
            _inner[key] = numba.njit(**given, pipeline_class=InnerCompiler)(function)
        return _inner[key]

    copied, _ = _Walk(parts, jit=inner).copy(kernel)
    copied.__qualname__ = f"{kernel.__qualname__}_{digest[:24]}"
    dispatcher = numba.njit(**{**OUTER_OPTIONS, **chosen}, pipeline_class=OuterCompiler)(copied)
    enable_cache(dispatcher)
    return Bound(dispatcher, digest)


_before: dict[tuple[Any, ...], tuple[Seen, Bound]] = {}
"""What `bind` gave for the same arguments, and what it had read by then."""

_bound: dict[tuple[Any, ...], Bound] = {}
"""Kernels of this process. A class belongs to the key: an edited file brings a new one."""

_inner: dict[tuple[Any, ...], Any] = {}
"""Inner functions by digest: another kernel of this process need not translate them again."""


def forget() -> None:
    """Let the next `bind` of every kernel start from the disk cache, as a new process does."""
    _before.clear()
    _bound.clear()
    _inner.clear()


def plain(kernel: Callable[..., Any], **parts: Any) -> Callable[..., Any]:
    """Return a copy of ``kernel`` with ``parts`` as its globals, as ordinary Python."""
    made: Callable[..., Any]
    made, _ = _Walk(parts, jit=_as_it_is).copy(kernel)
    return made


@cache
def _lowering() -> str:
    """Return the digest of our own part of the compiler, this file included: it gives the names."""
    seen = hashlib.sha256()
    for name in ("jit.py", "jit_held.py", "jit_inlined.py"):
        seen.update(Path(__file__).with_name(name).read_bytes())
    return seen.hexdigest()


def _compiled(name: str) -> Any:
    from lbbench.core import jit_held

    return getattr(jit_held, name)


def _as_it_is(function: Callable[..., Any], _key: tuple[Any, ...]) -> Callable[..., Any]:
    return function


def is_disabled() -> bool:
    """Tell whether ``NUMBA_DISABLE_JIT`` asks for plain Python everywhere."""
    return os.environ.get("NUMBA_DISABLE_JIT", "0") not in ("", "0")


class _Walk:
    """Copies functions with all that they reach, and makes a digest of each with what it reaches.

    ``jit`` makes of a copied function what its callers call; it is given the digest too.
    """

    def __init__(
        self, parts: Mapping[str, Any], jit: Callable[[Callable[..., Any], tuple[Any, ...]], Any]
    ) -> None:
        self.parts = parts
        self.jit = jit
        self.made: dict[int, tuple[Any, tuple[Any, ...]]] = {}
        self.open: list[int] = []
        self.hashes: list[Any] = []  # of the functions that are open, outermost first
        self.classes: list[list[type]] = []
        self.keep: list[Any] = []  # ids stay valid only while the objects live
        self.seen = Seen()

    def note(self, *facts: object) -> None:
        self.hashes[-1].update(repr(facts).encode())

    def copy(self, function: Callable[..., Any]) -> tuple[Any, tuple[Any, ...]]:
        """Return the copy and what tells it from others: its digest, then the classes in it."""
        if not isinstance(function, types.FunctionType):
            raise TypeError(f"{function!r} is not a plain Python function")
        if id(function) in self.open:
            raise TypeError(f"{function.__qualname__} calls itself; compiled code may not recurse")
        self.open.append(id(function))
        self.hashes.append(hashlib.sha256())
        self.classes.append([])
        made = self._copy(function)
        self.open.pop()
        return made, (self.hashes.pop().hexdigest(), *self.classes.pop())

    def _copy(self, function: types.FunctionType) -> Any:
        code = function.__code__
        self.seen.function(function)
        self.note("function", function.__name__, code.co_argcount, code.co_kwonlyargcount)
        self._note_code(code)
        self.note("ours", function.__module__.startswith(OURS))
        self.note("apart", is_apart(function), is_bounded(function))
        self.note("defaults", function.__defaults__, function.__kwdefaults__)
        names: dict[str, Any] = {}
        for name in _global_names(code):
            if name in self.parts:
                value = self.parts[name]
            else:
                value = self.seen.name(function.__globals__, name)
            if value is MISSING:
                if not hasattr(builtins, name):
                    raise TypeError(
                        f"{function.__qualname__} uses {name}, which is nowhere defined"
                    )
                self.note("builtin", name)
                continue
            self.note("global", name)
            names[name] = self._reach(value, f"{function.__qualname__}: {name}")
        names["__name__"] = function.__module__
        names["__builtins__"] = builtins
        cells = self._cells(function)
        made = types.FunctionType(code, names, function.__name__, function.__defaults__, cells)
        made.__kwdefaults__ = function.__kwdefaults__
        made.__qualname__ = function.__qualname__
        made.__module__ = function.__module__
        made = bounded(made) if is_bounded(function) else made
        return apart(made) if is_apart(function) else made

    def _cells(self, function: types.FunctionType) -> tuple[types.CellType, ...] | None:
        if not function.__closure__:
            return None
        cells = []
        for name, cell in zip(function.__code__.co_freevars, function.__closure__, strict=True):
            self.note("cell", name)
            value = self.parts[name] if name in self.parts else self.seen.cell(cell)
            cells.append(types.CellType(self._reach(value, f"{function.__qualname__}: {name}")))
        return tuple(cells)

    def _reach(self, value: Any, place: str) -> Any:
        value = getattr(value, "py_func", value)
        if value is hold or value is lend:
            self.note("reference", value.__name__)
            return value if self.jit is _as_it_is else _compiled(value.__name__)
        if isinstance(value, types.FunctionType):
            if id(value) not in self.made:
                self.keep.append(value)
                copied, key = self.copy(value)
                self.made[id(value)] = self.jit(copied, key), key
            made, key = self.made[id(value)]
            self.note("calls", key[0])
            self.classes[-1].extend(kind for kind in key[1:] if kind not in self.classes[-1])
            return made
        if isinstance(value, types.ModuleType):
            if value.__name__ not in _MODULES:
                raise TypeError(
                    f"{place} is the module {value.__name__}; compiled code must import names, "
                    f"so that the digest sees them"
                )
            self.note("module", value.__name__)
            return value
        if isinstance(value, np.ndarray):
            self.seen.array(value)
            self.note(
                "array", value.dtype.str, value.shape, hashlib.sha256(value.tobytes()).digest()
            )
            return value
        if isinstance(value, CONSTANTS):
            self.note("constant", type(value).__name__, value)
            return value
        if isinstance(value, tuple):
            self.note("tuple", type(value).__name__, len(value))
            items = [self._reach(item, place) for item in value]
            return type(value)(*items) if hasattr(value, "_fields") else tuple(items)
        if isinstance(value, type):
            self.classes[-1].append(value)
            self.note("type", value.__module__, value.__qualname__, getattr(value, "_fields", ()))
            return value
        if isinstance(value, (types.BuiltinFunctionType, np.ufunc)):
            self.note("builtin", getattr(value, "__module__", ""), value.__name__)
            return value
        raise TypeError(f"{place} = {value!r} is of a kind that compiled code cannot carry")

    def _note_code(self, code: types.CodeType) -> None:
        self.note("code", code.co_code, code.co_names, code.co_freevars, code.co_cellvars)
        for constant in code.co_consts:
            if isinstance(constant, types.CodeType):
                self._note_code(constant)
            else:
                self.note("const", type(constant).__name__, constant)


@cache
def _global_names(code: types.CodeType) -> list[str]:
    names = {
        step.argval
        for step in dis.get_instructions(code)
        if step.opname in ("LOAD_GLOBAL", "LOAD_NAME")
    }
    for constant in code.co_consts:
        if isinstance(constant, types.CodeType):
            names.update(_global_names(constant))
    return sorted(names)

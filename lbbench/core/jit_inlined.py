"""How compiled code is put together: inner functions are optimised where they are inlined.

By itself numba optimises every function, links it with all that it calls, optimises that again and
makes machine code of it, which nobody runs: everything is inlined into the outer function. Here an
inner function is only translated; the outer one collects all that it reaches and optimises once.
Passes for closures, array expressions and literals are left out: compiled code has none of these.

In our own modules an index is one from 0 on: counting from the end, which costs a comparison per
access, is only looked for where somebody else wrote the code, or where the index is a constant.

Only `jit.py` imports this, when it compiles.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import llvmlite.binding as ll
import llvmlite.ir
from numba import _dynfunc, types
from numba.core import cgutils, typed_passes, untyped_passes
from numba.core.codegen import JITCodeLibrary
from numba.core.compiler import CompilerBase
from numba.core.compiler_machinery import PassManager, register_pass
from numba.core.typed_passes import NativeLowering
from numba.np import arrayobj

OURS = "lbbench."


@contextmanager
def indices_from_zero(module: str) -> Iterator[None]:
    """Let what is lowered inside take an index as it is, if ``module`` is ours."""
    usual = arrayobj.fix_integer_index

    def taken(context: Any, builder: Any, kind: Any, index: Any, size: Any) -> Any:
        if isinstance(index, llvmlite.ir.Constant):
            return usual(context, builder, kind, index, size)
        return context.cast(builder, index, kind, types.intp)

    try:
        if module.startswith(OURS):
            arrayobj.fix_integer_index = taken
        yield
    finally:
        arrayobj.fix_integer_index = usual


class Typing:
    """Numba's typing context, which remembers what an operation on given types comes to.

    Asking it costs a search among dozens of candidates, and kernels ask the same again and again.
    """

    def __init__(self, context: Any) -> None:
        self.context = context

    def __getattr__(self, name: str) -> Any:
        """Return anything else of the context."""
        return getattr(self.context, name)

    def resolve_function_type(self, function: Any, args: Any, kws: Any) -> Any:
        """Return the signature of a call; a compiled function of ours may come to a new one."""
        if kws or isinstance(function, types.Dispatcher):
            return self.context.resolve_function_type(function, args, kws)
        return self._remembered("resolve_function_type", function, tuple(args), kws)

    def resolve_getattr(self, kind: Any, name: str) -> Any:
        """Return the type of an attribute."""
        return self._remembered("resolve_getattr", kind, name)

    def resolve_getitem(self, target: Any, index: Any) -> Any:
        """Return the signature of an access."""
        return self._remembered("resolve_getitem", target, index)

    def resolve_setitem(self, target: Any, index: Any, value: Any) -> Any:
        """Return the signature of an assignment."""
        return self._remembered("resolve_setitem", target, index, value)

    def _remembered(self, what: str, *args: Any) -> Any:
        key = (what, *(arg for arg in args if not isinstance(arg, dict)))
        found = _resolved.get(key)
        if found is None:
            found = _resolved[key] = getattr(self.context, what)(*args)
        return found


_resolved: dict[tuple[Any, ...], Any] = {}


class InnerLibrary(JITCodeLibrary):  # type: ignore[misc]
    """The code of one inner function, as it was translated."""

    apart = False  # it is called, not inlined

    @property
    def callees(self) -> list[Any]:
        """The libraries of the functions that it calls."""
        return list(self._linking_libraries)

    def add_ir_module(self, ir_module: Any) -> None:
        """Take the code of a module."""
        self._raise_if_finalized()
        for function in ir_module.functions:
            if self.apart and not function.is_declaration:
                function.attributes.add("noinline")
        module = ll.parse_assembly(cgutils.normalize_ir_text(str(ir_module)))
        module.name = ir_module.name
        self._final_module.link_in(module)

    def finalize(self) -> None:
        """Nothing: whoever inlines it optimises it."""
        self._raise_if_finalized()
        self._finalized = True


class OuterLibrary(JITCodeLibrary):  # type: ignore[misc]
    """The code of a kernel with all inner functions that it reaches."""

    _linking_libraries: list[Any]

    def finalize(self) -> None:
        """Link what is reached, directly or not, callers first, and optimise."""
        reached = list(dict.fromkeys(self._linking_libraries))
        for library in reached:  # grows on the way
            if isinstance(library, InnerLibrary):
                reached += [new for new in dict.fromkeys(library.callees) if new not in reached]
        self._linking_libraries = reached
        super().finalize()


@register_pass(mutates_CFG=True, analysis_only=False)
class _LowerInner(NativeLowering):  # type: ignore[misc]
    """Translates a function and makes it known to its callers, without machine code."""

    _name = "lbbench_lower_inner"

    def run_pass(self, state: Any) -> bool:
        state.library = InnerLibrary(state.targetctx.codegen(), state.func_id.func_qualname)
        state.library.apart = not state.flags.forceinline
        state.flags.no_compile = True
        with indices_from_zero(state.func_id.modname):
            super().run_pass(state)
        lowered = state["cr"]
        known = lowered.fndesc
        name = known.qualname
        entry = _dynfunc.make_function(
            known.lookup_module(), name, name, 0, lowered.env, (state.library,)
        )
        state.targetctx.insert_user_function(entry, known, [state.library])
        state["cr"] = lowered._replace(cfunc=entry)
        return True


@register_pass(mutates_CFG=True, analysis_only=False)
class _LowerOuter(NativeLowering):  # type: ignore[misc]
    """Compiles a kernel with all that it reaches."""

    _name = "lbbench_lower_outer"

    def run_pass(self, state: Any) -> bool:
        state.library = OuterLibrary(state.targetctx.codegen(), state.func_id.func_qualname)
        state.library.enable_object_caching()
        with indices_from_zero(state.func_id.modname):
            return bool(super().run_pass(state))


class _Compiler(CompilerBase):  # type: ignore[misc]
    lowering: type[NativeLowering]

    def define_pipelines(self) -> list[PassManager]:
        self.state.typingctx = Typing(self.state.typingctx)
        made = PassManager("lbbench")
        for step in (
            untyped_passes.TranslateByteCode,
            untyped_passes.FixupArgs,
            untyped_passes.IRProcessing,
            untyped_passes.DeadBranchPrune,
            untyped_passes.ReconstructSSA,
            typed_passes.NopythonTypeInference,
            typed_passes.PreLowerStripPhis,
            typed_passes.NoPythonSupportedFeatureValidation,
            typed_passes.IRLegalization,
            self.lowering,
            typed_passes.NoPythonBackend,
        ):
            made.add_pass(step, step.name())
        made.finalize()
        return [made]


class InnerCompiler(_Compiler):
    """Translates a function that is inlined into others."""

    lowering = _LowerInner


class OuterCompiler(_Compiler):
    """Compiles a kernel."""

    lowering = _LowerOuter

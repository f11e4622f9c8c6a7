"""What `hold` compiles to: a type of numba's for a reference to a NamedTuple.

Only `jit.py` imports this, when it compiles.
"""

from __future__ import annotations

import hashlib
from functools import cache
from typing import Any

from numba import types
from numba.core import cgutils
from numba.core.typing.templates import AttributeTemplate
from numba.extending import infer_getattr, intrinsic, lower_getattr_generic, models, register_model


class Held(types.Type):  # type: ignore[misc]
    """A reference to a NamedTuple of type ``inside``; ``fixed``: whose place is not written again.

    The name is short, because numba hashes types all the time and writes them into every symbol.
    """

    def __init__(self, inside: Any, *, fixed: bool) -> None:
        self.inside = inside
        self.fixed = fixed
        digest = hashlib.sha256(str(inside).encode()).hexdigest()[:16]
        word = "Lent" if fixed else "Held"
        super().__init__(name=f"{word}{inside.instance_class.__name__}{digest}")


_held = cache(Held)


@register_model(Held)
class HeldModel(models.PrimitiveModel):  # type: ignore[misc]
    """A pointer to the tuple as a value."""

    def __init__(self, manager: Any, kind: Held) -> None:
        inside = manager.lookup(kind.inside).get_value_type()
        super().__init__(manager, kind, inside.as_pointer())


@infer_getattr
class HeldAttributes(AttributeTemplate):  # type: ignore[misc]
    """The tuple's fields; a field that is a NamedTuple itself is held too."""

    key = Held

    def generic_resolve(self, kind: Held, name: str) -> Any:
        """Return the type of the field ``name``, None when there is none."""
        if name not in kind.inside.fields:
            return None
        field = kind.inside.types[kind.inside.fields.index(name)]
        if isinstance(field, types.BaseNamedTuple):
            return _held(field, fixed=kind.fixed)
        return field


@lower_getattr_generic(Held)  # type: ignore[untyped-decorator]
def _read_field(_context: Any, builder: Any, kind: Held, value: Any, name: str) -> Any:
    at = kind.inside.fields.index(name)
    place = cgutils.gep_inbounds(builder, value, 0, at)
    if isinstance(kind.inside.types[at], types.BaseNamedTuple):
        return place
    read = builder.load(place)
    if kind.fixed:
        read.set_metadata("invariant.load", builder.module.add_metadata([]))
    return read


def _put(_context: Any, builder: Any, _signature: Any, args: Any) -> Any:
    return cgutils.alloca_once_value(builder, args[0])


@intrinsic  # type: ignore[untyped-decorator]
def hold(_typing: Any, value: Any) -> Any:
    """Put a NamedTuple in a place of the function's own and return the reference."""
    return _held(value, fixed=False)(value), _put


@intrinsic  # type: ignore[untyped-decorator]
def lend(_typing: Any, value: Any) -> Any:
    """Do the same for a function that is compiled apart."""
    return _held(value, fixed=True)(value), _put

"""docs/reference/python.md: the public names of the package, from their docstrings."""

from __future__ import annotations

import inspect
import re
from collections.abc import Callable, Iterator
from typing import Any

import lbbench
from docs.generator.markdown import anchor, entries, page, prose, sections, table
from lbbench.balancers.base import Balancer, Endpoint, find, registry
from lbbench.testing import check_balancer

INTRO = """
`import lbbench` is instant: what is heavy is imported at the first use. Everything below is what
the commands use themselves. How the calls go together: [read a
result](../how-to/read-a-result.md), [a big study](../how-to/big-study.md), [your own
balancer](../how-to/own-balancer.md).
"""

BALANCERS: dict[str, Any] = {
    "lbbench.balancers.base.Balancer": Balancer,
    "lbbench.balancers.base.Endpoint": Endpoint,
    "lbbench.balancers.base.find": find,
    "lbbench.balancers.base.registry": registry,
    "lbbench.testing.check_balancer": check_balancer,
}
"""What somebody who writes a balancer needs beside the package's own names."""

LISTS = ("Parameters", "Attributes", "Raises", "Returns", "Yields")


def build() -> str:
    """Return the page."""
    named = {
        f"lbbench.{name}": getattr(lbbench, name) for name in lbbench.__all__ if name[0] != "_"
    }
    named |= BALANCERS
    rows = [[f"[`{name}`](#{anchor(name)})", prose(_first(value))] for name, value in named.items()]
    parts = [INTRO, table(["name", "is"], rows)]
    parts += [_section(name, value) for name, value in named.items()]
    return page("Python", "the docstrings of the package", parts)


def _first(value: Any) -> str:
    return (inspect.getdoc(value) or "").split("\n\n")[0].replace("\n", " ")


def _section(name: str, value: Any) -> str:
    lines = [f"## `{name}`"]
    if not inspect.isclass(value):
        lines.append(_signature(name, value))
    lines.append(_described(value))
    if inspect.isclass(value):
        lines += [_member(key, item) for key, item in _members(value)]
    return "\n\n".join(line for line in lines if line)


def _members(value: type) -> Iterator[tuple[str, Any]]:
    """Yield what a class has of its own that is public and explained."""
    for key, item in vars(value).items():
        inner = item.__func__ if isinstance(item, classmethod) else item
        is_shown = callable(inner) or isinstance(inner, property) or hasattr(inner, "func")
        if key[0] != "_" and is_shown and _text_of(inner):
            yield key, inner


def _text_of(item: Any) -> str:
    found = item.fget if isinstance(item, property) else getattr(item, "func", item)
    if not inspect.isfunction(found) or not found.__module__.startswith("lbbench"):
        return ""  # what a library adds to its classes
    return inspect.getdoc(found) or ""


def _member(key: str, item: Any) -> str:
    text = _text_of(item)
    if inspect.isfunction(item):
        return f"### `{_call(key, item)}`\n\n{_parts(text)}"
    return f"### `{key}`\n\n{_parts(text)}"


def _signature(name: str, value: Callable[..., Any]) -> str:
    return f"```python\n{_call(name, value)}\n```"


def _call(name: str, value: Callable[..., Any]) -> str:
    """Return a call with its defaults, without the types, which the text explains."""
    signature = inspect.signature(value)
    plain = [
        parameter.replace(annotation=inspect.Parameter.empty)
        for key, parameter in signature.parameters.items()
        if key not in ("self", "cls")
    ]
    text = str(signature.replace(parameters=plain, return_annotation=inspect.Signature.empty))
    return name + re.sub(r"<function \w+ at 0x\w+>", "...", text)


def _described(value: Any) -> str:
    return _parts(inspect.getdoc(value) or "")


def _parts(docstring: str) -> str:
    found = sections(docstring)
    lines = [prose(found.pop(""))]
    for title, body in found.items():
        if title not in LISTS:
            lines.append(f"*{title}*\n\n{prose(body)}")
            continue
        known = entries(body)
        lines.append(f"*{title}*")
        lines.append("\n".join(f"- {_names(names)}: {prose(text)}" if text else f"- {prose(names)}"
                               for names, text in known))  # fmt: skip
    return "\n\n".join(lines)


def _names(names: str) -> str:
    return ", ".join(f"`{name.strip()}`" for name in names.split(","))

"""``lbbench scenarios``: the shipped examples."""

from __future__ import annotations

from typing import Annotated

import typer

from lbbench.cli.options import Debug
from lbbench.cli.output import console, print_text
from lbbench.errors import ScenarioError


def scenarios(
    name: Annotated[
        str | None, typer.Argument(metavar="[NAME]", help="print this one's YAML")
    ] = None,
    *,
    debug: Debug = False,  # noqa: ARG001
) -> None:
    """List the shipped scenarios with the question each one answers, or print one.

    \b
    Example:
      lbbench scenarios
      lbbench scenarios ewma-herding > mine.yaml
    """  # noqa: D301
    from lbbench.inputs.yaml import shipped

    texts = {key: path.read_text(encoding="utf-8") for key, path in shipped().items()}
    if name is None:
        from lbbench.report.listing import Listing

        rows = [[key, text.splitlines()[0].lstrip("# ")] for key, text in texts.items()]
        console().print(Listing(["name", "question"], rows))
        return
    if name not in texts:
        import difflib

        near = difflib.get_close_matches(name, texts, n=2)
        hint = f"did you mean {' or '.join(near)}?" if near else f"there are: {', '.join(texts)}"
        raise ScenarioError(f"there is no shipped scenario {name!r}; {hint}")
    print_text(texts[name])

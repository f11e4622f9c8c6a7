"""``lbbench schema``: the scenario's JSON Schema, for editors."""

from __future__ import annotations

from lbbench.cli.options import Debug
from lbbench.cli.output import as_json, print_text


def schema(*, debug: Debug = False) -> None:  # noqa: ARG001
    """Print the JSON Schema of scenario files, for editors.

    \b
    Example:
      lbbench schema > scenario.schema.json
    and in the first line of a scenario:
      # yaml-language-server: $schema=scenario.schema.json
    """  # noqa: D301
    from lbbench.inputs.yaml import json_schema

    print_text(as_json(json_schema()))

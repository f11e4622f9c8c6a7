"""``lbbench schema``: the scenario's JSON Schema, for editors."""

from __future__ import annotations

from lbbench.cli.options import Debug
from lbbench.cli.output import write_json


def schema(debug: Debug = False) -> None:  # noqa: ARG001
    """Print the JSON Schema of scenario files.

    Example: lbbench schema > scenario.schema.json
    """
    from lbbench.inputs.yaml import json_schema

    write_json("-", json_schema())

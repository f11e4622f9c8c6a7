"""The JSON Schema of scenario files, for editors: what a person may write, units included."""

from __future__ import annotations

import json
from typing import Any

from lbbench.inputs.meanings import MEANINGS
from lbbench.model.fields import RATE_SCHEMA, TIME_SCHEMA
from lbbench.model.scenario import DURATION, Scenario
from lbbench.model.units import write_rate, write_time

_PLAIN_TIME = {"anyOf": [{"$ref": "#/$defs/Distribution"}, TIME_SCHEMA]}


def json_schema() -> dict[str, Any]:
    """Return the JSON Schema of scenario files: keys, meanings, words, forms, bounds, defaults.

    Rules between keys (exactly one source of load, names that must exist) are left to `load`.
    """
    schema = Scenario.model_json_schema(by_alias=True, mode="validation")
    schema["$defs"]["Arrivals"]["properties"]["think_time"] = dict(_PLAIN_TIME)
    for name, part in {"Scenario": schema, **schema["$defs"]}.items():
        for key, rule in part.get("properties", {}).items():
            _write_default(rule)
            rule["description"] = MEANINGS[name][key]
    schema["$defs"]["Run"]["properties"]["duration"]["default"] = DURATION
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        **schema,
        "title": "lbbench scenario",
    }


def _write_default(rule: dict[str, Any]) -> None:
    """Write a default as a person would ("5s", "0.3/s"); an absent key has none."""
    default = rule.get("default")
    if default is None:
        rule.pop("default", None)
    elif isinstance(default, float):
        text = json.dumps(rule)
        for mark, write in ((TIME_SCHEMA, write_time), (RATE_SCHEMA, write_rate)):
            if _pattern(mark) in text:
                rule["default"] = write(default)


def _pattern(schema: dict[str, Any]) -> str:
    """Return the pattern of a schema as `json.dumps` writes it."""
    form = schema["anyOf"][0] if "anyOf" in schema else schema
    return json.dumps(form["pattern"])

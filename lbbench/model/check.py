"""From plain data to a checked Scenario, with a sentence and a place for every mistake."""

from __future__ import annotations

import difflib
import json
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ValidationError

from lbbench.errors import ScenarioError
from lbbench.model.paths import field_names, parts_at, set_leaf
from lbbench.model.scenario import PRESETS, Scenario
from lbbench.model.topology import topology

MAX_LINES = 12


def build(
    data: Mapping[str, Any],
    *,
    place: str = "scenario",
    lines: Mapping[tuple[Any, ...], int] | None = None,
    changes: Sequence[tuple[str, Any]] = (),
    folder: Path | None = None,
    stem: str | None = None,
) -> Scenario:
    """Return the checked scenario of plain data; ``changes`` sets leaves (path, value) first.

    Raises
    ------
    ScenarioError
        At most 12 lines ``FILE:LINE: path.to.key = value: what is wrong; what is allowed``.
    """
    from_set: dict[tuple[Any, ...], str] = {}
    changed = _deep_copy(data)
    for path, value in changes:
        from_set[set_leaf(changed, path, value)] = path
    preset = changed.get("preset")
    if isinstance(preset, str) and preset in PRESETS:
        changed = _merged(PRESETS[preset], changed)
    if stem and "name" not in changed:
        changed["name"] = stem
    if "run" not in changed or not isinstance(changed["run"], dict):
        changed.setdefault("run", {})
    run = changed["run"]
    if (
        isinstance(run, dict)
        and not run.keys() & {"duration", "requests"}
        and not _has_trace(changed)
    ):
        run["duration"] = "5min"
    if "traffic" not in changed:
        raise ScenarioError(
            f"{place}: traffic is missing; give exactly one of traffic.arrivals.rate, "
            f"traffic.utilisation, traffic.trace"
        )
    try:
        scenario = Scenario.model_validate(changed)
    except ValidationError as error:
        raise ScenarioError(_sentences(error, place, lines or {}, from_set)) from None
    scenario = scenario.in_folder(folder or Path.cwd())
    try:
        _check_endpoints(scenario)
    except ScenarioError as error:
        raise ScenarioError(f"{place}: {error}") from None
    return scenario


def _sentences(
    error: ValidationError,
    place: str,
    lines: Mapping[tuple[Any, ...], int],
    from_set: Mapping[tuple[Any, ...], str],
) -> str:
    seen: set[tuple[Any, ...]] = set()
    texts: list[str] = []
    for item in error.errors(include_url=False):
        at = tuple(key for key in item["loc"] if _is_key(key))
        if at in seen:
            continue
        seen.add(at)
        texts.append(f"{_place(at, place, lines, from_set)}: {_sentence(item, at)}")
    if len(texts) > MAX_LINES:
        rest = len(texts) - MAX_LINES + 1
        texts = [*texts[: MAX_LINES - 1], f"{place}: and {rest} more mistakes"]
    return "\n".join(texts)


def _is_key(key: Any) -> bool:
    """Tell a key of the file from the marks that pydantic adds for unions and functions."""
    text = str(key)
    return isinstance(key, int) or (
        re.fullmatch(r"[A-Za-z_][\w.\-]*", text) is not None
        and text not in ("int", "float", "str", "bool", "tuple", "none", "uniform")
        and not text[0].isupper()
    )


def _place(
    at: tuple[Any, ...],
    place: str,
    lines: Mapping[tuple[Any, ...], int],
    from_set: Mapping[tuple[Any, ...], str],
) -> str:
    for size in range(len(at), 0, -1):
        if at[:size] in from_set:
            return f"--set {from_set[at[:size]]}"
    for size in range(len(at), -1, -1):
        if at[:size] in lines and (size or not at):
            return f"{place}:{lines[at[:size]]}"
    return place


def _sentence(item: Any, at: tuple[Any, ...]) -> str:
    kind, context = item["type"], item.get("ctx", {})
    path = dotted(at)
    if kind == "extra_forbidden":
        return _unknown_key(at)
    value = item.get("input")
    shown = (
        f"{path} = {_shown(value)}: "
        if not isinstance(value, (dict, list, BaseModel))
        else (f"{path}: " if path else "")
    )
    if kind == "value_error":
        text = str(context.get("error", item["msg"]))
        if re.match(r"(cluster|timeline|stages|traffic)[.\[]", text):
            return text
        return f"{shown}{text}"
    if kind == "literal_error":
        allowed = str(context["expected"]).replace("'", "").replace(" or ", ", ")
        near = difflib.get_close_matches(str(value), allowed.split(", "), n=1)
        hint = f"; did you mean {near[0]}?" if near else ""
        return f"{shown}is not allowed; allowed are {allowed}{hint}"
    limits = {
        "greater_than_equal": ("must be at least", "ge"),
        "greater_than": ("must be greater than", "gt"),
        "less_than_equal": ("must be at most", "le"),
        "less_than": ("must be less than", "lt"),
    }
    if kind in limits:
        words, key = limits[kind]
        return f"{shown}{words} {context[key]}"
    if kind == "missing":
        return f"{path} is missing"
    if kind == "finite_number":
        return f"{shown}must be a finite number"
    wanted = {
        "bool": "true or false",
        "int": "a whole number",
        "float": "a number",
        "string": "a text",
        "tuple": "a list",
        "dict": "a mapping of keys",
        "model": "a mapping of keys",
    }
    for word, text in wanted.items():
        if kind.startswith(word):
            return f"{shown}must be {text}"
    return f"{shown}is not understood"


def _unknown_key(at: tuple[Any, ...]) -> str:
    names = sorted({name for model in parts_at(at[:-1]) for name in field_names(model)})
    near = difflib.get_close_matches(str(at[-1]), names, n=3)
    hint = f"did you mean {' or '.join(near)}?" if near else f"allowed are {', '.join(names)}"
    return f"{dotted(at)}: unknown key; {hint}"


def dotted(at: tuple[Any, ...]) -> str:
    """Return a path as text."""
    text = ""
    for key in at:
        text += f"[{key}]" if isinstance(key, int) else f".{key}" if text else str(key)
    return text


def _shown(value: Any) -> str:
    text = json.dumps(value) if isinstance(value, (bool, type(None))) else str(value)
    return text if len(text) <= 60 else text[:57] + "..."


def _has_trace(data: Mapping[str, Any]) -> bool:
    traffic = data.get("traffic")
    return isinstance(traffic, Mapping) and traffic.get("trace") is not None


def _check_endpoints(scenario: Scenario) -> None:
    top = topology(scenario)
    targets = top.replicas if scenario.path == "ingress" else top.pods
    if not targets:
        raise ScenarioError("stages.kube_proxy: there is no endpoint; add a pod or a replica")


def _deep_copy(data: Any) -> Any:
    if isinstance(data, Mapping):
        return {str(key): _deep_copy(value) for key, value in data.items()}
    if isinstance(data, (list, tuple)):
        return [_deep_copy(item) for item in data]
    return data


def _merged(base: Mapping[str, Any], over: Mapping[str, Any]) -> dict[str, Any]:
    """Return ``base`` overlaid with ``over``, mapping by mapping."""
    made = _deep_copy(base)
    for key, value in over.items():
        if isinstance(value, Mapping) and isinstance(made.get(key), dict):
            made[key] = _merged(made[key], value)
        else:
            made[key] = _deep_copy(value)
    return dict(made)

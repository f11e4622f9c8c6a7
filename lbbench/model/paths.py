"""Leaves of a scenario by dotted path: check the path, set the value."""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterable
from typing import Any, get_args

from pydantic import BaseModel

from lbbench.errors import ScenarioError
from lbbench.model.scenario import Scenario


def set_leaf(data: dict[str, Any], path: str, value: Any) -> tuple[Any, ...]:
    """Set the leaf at the dotted ``path`` (list entries as ``[3]``) in plain data, in place.

    Setting a run's length or the load drops its rival (duration and requests, rate and
    utilisation). Return the keys.

    Raises
    ------
    ScenarioError
        When no scenario has such a path, with the near misses.
    """
    keys = split_path(path)
    check_path(keys, path)
    target: Any = data
    for i, key in enumerate(keys[:-1]):
        target = _step_into(target, key, keys[i + 1], path)
    last = keys[-1]
    if isinstance(target, list):
        if not isinstance(last, int) or last >= len(target):
            raise ScenarioError(f"--set {path}: the list has {len(target)} entries")
        target[last] = value
    elif isinstance(target, dict):
        target[last] = value
        _drop_rival(data, keys)
    else:
        raise ScenarioError(f"--set {path}: there is nothing to set below {keys[-2]}")
    return tuple(keys)


def split_path(text: str) -> list[Any]:
    """Return the keys of a dotted path; list entries as numbers."""
    keys: list[Any] = []
    for piece in text.split("."):
        match = re.fullmatch(r"([^\[\]]+)((?:\[[0-9]+\])*)", piece)
        if match is None:
            raise ScenarioError(f"--set {text}: {piece!r} is not a key")
        keys.append(match[1])
        keys.extend(int(index) for index in re.findall(r"\[([0-9]+)\]", match[2]))
    return keys


def check_path(keys: list[Any], path: str) -> None:
    """Refuse a path that no scenario has, before values are looked at."""
    for i, key in enumerate(keys):
        if isinstance(key, int):
            continue
        models = parts_at(keys[:i])
        if not models:
            return  # below a free mapping, for instance a balancer's options
        names = {name for model in models for name in field_names(model)}
        if key not in names:
            near = difflib.get_close_matches(str(key), names, n=3)
            allowed = f"allowed are {', '.join(sorted(names))}"
            hint = f"did you mean {' or '.join(near)}?" if near else allowed
            raise ScenarioError(f"--set {path}: there is no key {key}; {hint}")


def parts_at(keys: Iterable[Any]) -> list[type[BaseModel]]:
    """Return the parts that can stand at a path of a scenario."""
    models: list[type[BaseModel]] = [Scenario]
    for key in keys:
        if isinstance(key, int):
            continue
        models = [
            inner
            for model in models
            for name, field in model.model_fields.items()
            if key in (name, field.alias)
            for inner in models_in(field.annotation)
        ]
    return models


def field_names(model: type[BaseModel]) -> list[str]:
    """Return the keys of a part as the file writes them."""
    return [field.alias or name for name, field in model.model_fields.items()]


def models_in(annotation: Any) -> list[type[BaseModel]]:
    """Return the parts that a field's type names."""
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return [annotation]
    return [model for part in get_args(annotation) for model in models_in(part)]


def _step_into(target: Any, key: Any, following: Any, path: str) -> Any:
    if isinstance(target, dict):
        if not isinstance(target.get(key), (dict, list)):
            if isinstance(following, int):
                raise ScenarioError(f"--set {path}: {key} is not a list in this scenario")
            target[key] = {}
        return target[key]
    if isinstance(target, list) and isinstance(key, int) and key < len(target):
        return target[key]
    raise ScenarioError(f"--set {path}: there is no {key} in this scenario")


def _drop_rival(data: dict[str, Any], keys: list[Any]) -> None:
    """Let a set length or load replace the file's other one."""
    rivals = {("run", "requests"): ("run", "duration"), ("run", "duration"): ("run", "requests")}
    rival = rivals.get(tuple(keys))
    if rival:
        data[rival[0]].pop(rival[1], None)
    traffic = data.get("traffic")
    if not isinstance(traffic, dict):
        return
    if keys == ["traffic", "utilisation"]:
        traffic.pop("trace", None)
        if isinstance(traffic.get("arrivals"), dict):
            traffic["arrivals"].pop("rate", None)
    elif keys == ["traffic", "arrivals", "rate"]:
        traffic.pop("utilisation", None)
        traffic.pop("trace", None)
    elif keys == ["traffic", "trace"]:
        traffic.pop("utilisation", None)
        if isinstance(traffic.get("arrivals"), dict):
            traffic["arrivals"].pop("rate", None)

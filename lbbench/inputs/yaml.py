"""Scenario files: from YAML text to a checked Scenario, with the place of every mistake."""

from __future__ import annotations

import difflib
import json
import math
import re
from collections.abc import Mapping, Sequence
from io import StringIO
from pathlib import Path
from typing import Any

from lbbench.errors import ScenarioError
from lbbench.model.check import build, dotted
from lbbench.model.scenario import Scenario

MAX_BYTES = 32 * 1024 * 1024
MAX_DEPTH = 40
MAX_ALIASES = 1000

SHIPPED = Path(__file__).resolve().parent.parent / "scenarios"


def shipped() -> dict[str, Path]:
    """Return the shipped scenarios by name."""
    return {path.stem: path for path in sorted(SHIPPED.glob("*.yaml"))}


def load(source: str | Path, set_: Sequence[str] = ()) -> Scenario:
    """Return the scenario in a file, or the shipped scenario of that name.

    Parameters
    ----------
    source
        A path, or the name of a shipped scenario.
    set_
        Changes as on the command line, "stages.ingress.balancer=ewma".

    Raises
    ------
    ScenarioError
        At most 12 lines ``FILE:LINE: path.to.key = value: what is wrong; what is allowed``.
    """
    path = Path(source)
    known = shipped()
    if not path.exists() and str(source) in known:
        path = known[str(source)]
    text = _read(path, known)
    data, lines = parse(text, str(path))
    stem = path.name.removesuffix(".yaml").removesuffix(".yml")
    return build(
        data,
        place=str(path),
        lines=lines,
        changes=[parse_set(text_) for text_ in set_],
        folder=path.resolve().parent,
        stem=stem,
    )


def parse_set(text: str) -> tuple[str, Any]:
    """Return (path, value) of a change as the command line gives it: "run.seed=2".

    Raises
    ------
    ScenarioError
        When it is not PATH=VALUE with a YAML value.
    """
    from ruamel.yaml import YAML

    path, equals, value = text.partition("=")
    path = path.strip()
    if not equals or not path:
        raise ScenarioError(f"--set {text}: write it as PATH=VALUE, for instance run.seed=2")
    try:
        node = YAML(typ="rt").compose(StringIO(value))
    except Exception:  # noqa: BLE001  (any mistake in the value is the same sentence)
        raise ScenarioError(f"--set {path}={value}: the value is not valid YAML") from None
    return path, None if node is None else _plain(node, (), {}, f"--set {path}", 0)


def dump(data: Mapping[str, Any] | Scenario) -> str:
    """Return a scenario (or its plain data) as YAML text."""
    from ruamel.yaml import YAML

    plain = data.resolved() if isinstance(data, Scenario) else dict(data)
    yaml = YAML(typ="safe", pure=True)
    yaml.default_flow_style = False
    yaml.sort_base_mapping_type_on_output = False
    yaml.width = 100
    out = StringIO()
    yaml.dump(json.loads(json.dumps(plain)), out)
    return out.getvalue()


def parse(text: str, place: str) -> tuple[dict[str, Any], dict[tuple[Any, ...], int]]:
    """Return the plain data of a YAML text and the line (from 1) of every key path."""
    from ruamel.yaml import YAML
    from ruamel.yaml.error import MarkedYAMLError, YAMLError

    _refuse_bombs(text, place)
    try:
        root = YAML(typ="rt").compose(StringIO(text))
    except MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        line = f":{mark.line + 1}" if mark else ""
        problem = (error.problem or "it cannot be read").split("\n")[0]
        raise ScenarioError(f"{place}{line}: not valid YAML: {problem}") from None
    except (YAMLError, ValueError, RecursionError) as error:
        raise ScenarioError(f"{place}: not valid YAML: {str(error).splitlines()[0]}") from None
    if root is None:
        raise ScenarioError(f"{place}: the file is empty; it needs at least `traffic`")
    lines: dict[tuple[Any, ...], int] = {}
    data = _plain(root, (), lines, place, 0)
    if not isinstance(data, dict):
        raise ScenarioError(f"{place}:1: a scenario is a mapping of keys, this is a {_kind(data)}")
    return data, lines


def json_schema() -> dict[str, Any]:
    """Return the JSON Schema of scenario files, for editors."""
    schema = Scenario.model_json_schema(by_alias=True, mode="validation")
    schema["$schema"] = "https://json-schema.org/draft/2020-12/schema"
    schema["title"] = "lbbench scenario"
    return schema


# --- reading ------------------------------------------------------------------------------------


def _read(path: Path, known: Mapping[str, Path]) -> str:
    if path.is_dir():
        raise ScenarioError(f"{path}: this is a folder; give a scenario file")
    if not path.exists():
        near = difflib.get_close_matches(path.name, known, n=3, cutoff=0.5)
        hint = f"did you mean {' or '.join(near)}?" if near else f"shipped are {', '.join(known)}"
        raise ScenarioError(f"{path}: there is no such file or shipped scenario; {hint}")
    try:
        raw = path.read_bytes()
    except OSError as error:
        raise ScenarioError(f"{path}: cannot be read: {error.strerror}") from None
    if len(raw) > MAX_BYTES:
        raise ScenarioError(f"{path}: {len(raw)} bytes are too many for a scenario")
    try:
        text = raw.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise ScenarioError(
            f"{path}: this is not text (byte {error.start} is not UTF-8); give a YAML file"
        ) from None
    if any(ord(sign) < 32 and sign not in "\t\r\n" for sign in text):
        raise ScenarioError(f"{path}: this is a binary file; give a YAML file")
    return text


def _refuse_bombs(text: str, place: str) -> None:
    if len(re.findall(r"(?<![\w&*])\*[\w-]+", text)) > MAX_ALIASES:
        raise ScenarioError(f"{place}: more than {MAX_ALIASES} YAML aliases; write the values out")
    depth = 0
    for line, content in enumerate(text.splitlines(), 1):
        if content.lstrip().startswith("#"):
            continue
        depth += content.count("[") + content.count("{") - content.count("]") - content.count("}")
        indent = len(content) - len(content.lstrip(" "))
        dashes = len(re.match(r"[ \-]*", content)[0].replace(" ", ""))  # type: ignore[index]
        if depth > MAX_DEPTH or indent > 40 * MAX_DEPTH or dashes > MAX_DEPTH:
            raise ScenarioError(f"{place}:{line}: nested deeper than {MAX_DEPTH} levels")


def _plain(
    node: Any, at: tuple[Any, ...], lines: dict[tuple[Any, ...], int], place: str, depth: int
) -> Any:
    """Turn a YAML node into plain data, noting lines; duplicate keys are errors."""
    from ruamel.yaml.nodes import MappingNode, SequenceNode

    if depth > MAX_DEPTH or len(lines) > 200_000:
        raise ScenarioError(
            f"{place}:{node.start_mark.line + 1}: nested or repeated too much for a scenario"
        )
    lines.setdefault(at, node.start_mark.line + 1)
    if isinstance(node, MappingNode):
        made: dict[str, Any] = {}
        for key_node, value_node in node.value:
            key = str(key_node.value)
            line = key_node.start_mark.line + 1
            if key in made:
                path = dotted((*at, key))
                raise ScenarioError(f"{place}:{line}: {path} is given twice; keep one of them")
            lines[(*at, key)] = line
            made[key] = _plain(value_node, (*at, key), lines, place, depth + 1)
        return made
    if isinstance(node, SequenceNode):
        return [
            _plain(item, (*at, i), lines, place, depth + 1) for i, item in enumerate(node.value)
        ]
    return _scalar(node)


def _scalar(node: Any) -> Any:
    tag = str(node.tag or "")
    text = node.value
    if node.style in ("'", '"', "|", ">"):
        return text
    if tag.endswith(":null") or text in ("", "~", "null", "Null", "NULL"):
        return None
    if text in ("true", "True", "TRUE"):
        return True
    if text in ("false", "False", "FALSE"):
        return False
    if re.fullmatch(r"[-+]?[0-9]+", text):
        return int(text)
    if re.fullmatch(r"[-+]?([0-9]+\.[0-9]*|\.[0-9]+|[0-9]+)([eE][-+]?[0-9]+)?", text):
        return float(text)
    if text.lower() in (".inf", "+.inf", "-.inf"):
        return -math.inf if text.startswith("-") else math.inf
    if text.lower() == ".nan":
        return math.nan
    return text


def _kind(value: Any) -> str:
    return "list" if isinstance(value, list) else "single value"

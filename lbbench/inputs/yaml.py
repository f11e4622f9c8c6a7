"""Scenario files: from YAML text to a checked Scenario, with the place of every mistake."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from io import StringIO
from pathlib import Path
from typing import Any

from lbbench.errors import ScenarioError
from lbbench.inputs.schema import json_schema
from lbbench.model.check import build
from lbbench.model.mistakes import near, some
from lbbench.model.notation import parse, read_value
from lbbench.model.scenario import Scenario

__all__ = ["dump", "json_schema", "load", "parse", "parse_set", "shipped"]

MAX_BYTES = 16 * 1024 * 1024

SHIPPED = Path(__file__).resolve().parent.parent / "scenarios"

LEAGUE = SHIPPED / "league"
"""Room of the jobs that every balancer is put to (`lbbench compare --all`)."""


def shipped() -> dict[str, Path]:
    """Return the shipped scenarios by name, those of the league last."""
    rooms = (SHIPPED, LEAGUE)
    return {path.stem: path for room in rooms for path in sorted(room.glob("*.yaml"))}


def load(source: str | Path, set_: Sequence[str] = ()) -> Scenario:
    """Return the scenario in a file, or the shipped scenario of that name.

    Parameters
    ----------
    source
        A path, or the name of a shipped scenario. A file in the current folder goes first.
    set_
        Changes as on the command line, "stages.ingress.balancer=ewma".

    Raises
    ------
    ScenarioError
        At most 12 lines ``FILE:LINE: path.to.key = value: what is wrong; what is allowed``.
    """
    path, text = _read(source)
    data, lines = parse(text, str(path))
    return build(
        data,
        place=str(path),
        lines=lines,
        changes=[parse_set(change) for change in set_],
        folder=path.absolute().parent,
        stem=_stem(path),
    )


def parse_set(text: str) -> tuple[str, Any]:
    """Return (path, value) of a change as the command line gives it: "run.seed=2".

    Raises
    ------
    ScenarioError
        When it is not PATH=VALUE with a YAML value.
    """
    path, equals, value = text.partition("=")
    path = path.strip()
    if not equals or not path:
        raise ScenarioError(f"--set {text}: must be PATH=VALUE, for instance run.seed=2")
    return path, read_value(value, path)


def dump(scenario: Mapping[str, Any] | Scenario) -> str:
    """Return a scenario (or plain data of one) as YAML text that `load` reads back."""
    from ruamel.yaml import YAML

    plain = scenario.resolved() if isinstance(scenario, Scenario) else dict(scenario)
    yaml = YAML(typ="safe", pure=True)
    settings = {"sort_base_mapping_type_on_output": False, "allow_unicode": True}
    for name, value in {"default_flow_style": False, **settings}.items():
        setattr(yaml, name, value)  # declared as None by ruamel.yaml
    yaml.width = 1000  # a key that is folded does not read back; names are shorter
    out = StringIO()
    yaml.dump(json.loads(json.dumps(plain)), out)
    return out.getvalue()


def _read(source: str | Path) -> tuple[Path, str]:
    """Return the path and the text of a scenario file or shipped scenario."""
    path, known = Path(source), shipped()
    try:
        if str(source) in known and not path.is_file():
            path = known[str(source)]
        if path.is_dir():
            raise ScenarioError(f"{path}: this is a folder; give a scenario file")
        with path.open("rb") as file:
            raw = file.read(MAX_BYTES + 1)
    except (FileNotFoundError, NotADirectoryError):
        hint = near(path.name, known) or f"shipped are {some(list(known), 20)}"
        raise ScenarioError(f"{path}: there is no such file or shipped scenario; {hint}") from None
    except (OSError, ValueError) as error:  # ValueError: a NUL in the path
        what = error.strerror if isinstance(error, OSError) else str(error)
        shown = str(path) if len(str(path)) < 200 else f"{str(path)[:200]}..."
        raise ScenarioError(f"{shown!r}: cannot be read: {what}; give a scenario file") from None
    return path, _decoded(raw, path)


def _decoded(raw: bytes, path: Path) -> str:
    if len(raw) > MAX_BYTES:
        raise ScenarioError(f"{path}: is longer than {MAX_BYTES >> 20} MiB; give a scenario file")
    try:
        text = raw.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise ScenarioError(
            f"{path}: is not text (byte {error.start} is not UTF-8); give a YAML file in UTF-8"
        ) from None
    if any(sign < " " and sign not in "\t\r\n" for sign in text):
        raise ScenarioError(f"{path}: is a binary file; give a YAML file")
    return text


def _stem(path: Path) -> str:
    for ending in (".yaml", ".yml", ".json"):
        if path.name.endswith(ending) and path.name != ending:
            return path.name.removesuffix(ending)
    return path.name

"""docs/reference/commands.md: every command with its options, from the command line itself."""

from __future__ import annotations

import re
from functools import cache
from typing import Any

from docs.generator.markdown import anchor, escaped, page, table

INTRO = """
FILE is the path of a scenario or the name of a shipped one (`lbbench scenarios`). `--set
PATH=VALUE` changes any leaf of it: [the keys](scenario.md). `--json -` prints JSON and nothing else
on stdout.

Exit status: 0 done; 1 the answer is no (an objective that cannot be met, a check that fails); 2 bad
input; 130 interrupted. Errors go to stderr as one sentence with the place and the way out;
`lbbench --debug COMMAND` shows the traceback. A command that fails writes no file.
"""


def build() -> str:
    """Return the page."""
    found = commands()
    rows = [
        [f"[`lbbench {name}`](#{anchor('lbbench ' + name)})", escaped(_first(command))]
        for name, command in found.items()
    ]
    parts = [INTRO, table(["command", "does"], rows)]
    parts += [_section(name, command) for name, command in found.items()]
    return page("Commands", "the command line's own help", parts)


@cache
def commands() -> dict[str, Any]:
    """Return every command of the command line by name, as typer has it."""
    import typer

    from lbbench.cli.app import app

    return dict(typer.main.get_command(app).commands)  # type: ignore[attr-defined]


def _first(command: Any) -> str:
    return re.split(r"\n\n|\x08", _text(command))[0].replace("\n", " ").strip()


def _text(command: Any) -> str:
    return command.help or ""


def _section(name: str, command: Any) -> str:
    text, _, example = _text(command).partition("\x08")
    arguments = [param for param in command.params if param.param_type_name == "argument"]
    options = [param for param in command.params if param.param_type_name == "option"]
    usage = " ".join(["lbbench", name, *(_argument(param) for param in arguments), "[options]"])
    parts = [f"## `lbbench {name}`", escaped(text.strip()), f"```text\n{usage}\n```"]
    context = command.make_context(name, [], resilient_parsing=True)
    known = [param.get_help_record(context) for param in (*arguments, *options)]
    rows = [[f"`{record[0].strip()}`", escaped(record[1])] for record in known if record]
    parts.append(table(["argument or option", "meaning"], rows))
    if example.strip():
        lines = example.strip("\n").splitlines()
        parts.append("```text\n" + "\n".join(line.removeprefix("  ") for line in lines) + "\n```")
    return "\n\n".join(part for part in parts if part)


def _argument(param: Any) -> str:
    name = str(param.metavar or param.name.upper())
    return name if param.required or name.startswith("[") else f"[{name}]"

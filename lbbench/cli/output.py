"""Where commands write: stdout for people or JSON, and files that appear whole or not at all."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

from rich.console import Console

from lbbench.errors import LbbenchError

PIPE_WIDTH = 160

Writer = Callable[[Path], object]


class _Console(Console):
    def on_broken_pipe(self) -> None:
        """Let the reader of a pipe go when it has seen enough: rich would end with status 1."""
        raise BrokenPipeError


def console(*, stderr: bool = False) -> Console:
    """Return a console; a pipe gets wide tables without colour (COLUMNS sets another width)."""
    stream = sys.stderr if stderr else sys.stdout
    if stream.isatty():
        return _Console(file=stream, highlight=False)
    given = os.environ.get("COLUMNS", "")
    width = int(given) if given.isdigit() and int(given) > 0 else PIPE_WIDTH
    return _Console(
        file=stream, width=width, force_terminal=False, color_system=None, highlight=False
    )


def check_writable(**options: str | Path | None) -> None:
    """Refuse files that cannot be written, before any work is done.

    Parameters
    ----------
    options
        Path by the name of its option; ``-`` is stdout, None not asked for.

    Raises
    ------
    LbbenchError
        With the option, the path and the reason.
    """
    seen: dict[Path, str] = {}
    for name, given in options.items():
        if given is None or str(given) == "-":
            continue
        path, place = Path(given), f"--{name} {given}"
        if path.absolute() in seen:
            raise LbbenchError(f"{place}: --{seen[path.absolute()]} writes there too; give another")
        seen[path.absolute()] = name
        if path.is_dir() or str(given).endswith("/"):
            raise LbbenchError(f"{place}: this is a folder; give the name of a file")
        if not path.parent.is_dir():
            raise LbbenchError(f"{place}: the folder {path.parent} does not exist; make it first")
        if not _can_write(path):
            raise LbbenchError(f"{place}: cannot be written; check the permissions")


def check_folder(**options: Path | None) -> None:
    """Refuse folders that cannot be made or written.

    Raises
    ------
    LbbenchError
        With the option, the path and the reason.
    """
    for name, path in options.items():
        if path is None:
            continue
        there = next(place for place in (path, *path.absolute().parents) if place.exists())
        if not there.is_dir():
            raise LbbenchError(f"--{name} {path}: {there} is a file; give the name of a folder")
        if not os.access(there, os.W_OK):
            raise LbbenchError(f"--{name} {path}: cannot be written; check the permissions")


def write_all(files: Mapping[Path, Writer], *, folders: Sequence[Path] = ()) -> None:
    """Write all files or none: each into a temporary one beside it, renamed when all are there.

    Parameters
    ----------
    files
        What fills a file, by its path.
    folders
        Folders that are made first.

    Raises
    ------
    LbbenchError
        When a file cannot be written.
    """
    made = [p for folder in folders for p in (folder, *folder.parents) if not p.exists()]
    parts = {_part(path): path for path in files if not _is_special(path)}
    try:
        for folder in folders:
            folder.mkdir(parents=True, exist_ok=True)
        for part, path in parts.items():
            files[path](part)
        for path, write in files.items():
            if _is_special(path):
                write(path)
        for part, path in parts.items():
            part.replace(path.resolve())
    except OSError as error:
        reason = error.strerror or str(error)
        where = error.filename or next(iter(folders), "a file")
        raise LbbenchError(f"{where}: cannot be written: {reason}") from None
    finally:
        for part in parts:
            part.unlink(missing_ok=True)
        for place in made:
            with suppress(OSError):  # what has files now stays
                place.rmdir()


def text_writer(text: str) -> Writer:
    """Return what writes ``text`` to a file."""
    return lambda path: path.write_text(text, encoding="utf-8")


def bytes_writer(data: bytes) -> Writer:
    """Return what writes ``data`` to a file."""
    return lambda path: path.write_bytes(data)


def as_json(data: Any) -> str:
    """Return plain data as JSON text."""
    return json.dumps(data, indent=1, ensure_ascii=False, allow_nan=False) + "\n"


def print_text(text: str) -> None:
    """Print ``text`` as it is: no wrapping, no colour."""
    sys.stdout.write(text)
    sys.stdout.flush()


def deliver(path: str | None, text: str) -> None:
    """Write ``text`` to the file of an option; ``-`` is stdout, None is nowhere."""
    if path == "-":
        print_text(text)
    elif path is not None:
        write_all({Path(path): text_writer(text)})


def _can_write(path: Path) -> bool:
    if path.exists():
        inside = _is_special(path) or os.access(path.parent, os.W_OK)
        return inside and os.access(path, os.W_OK)
    return os.access(path.parent, os.W_OK)


def _is_special(path: Path) -> bool:
    """Tell a device or a pipe, which must be written in place, from a file."""
    return path.exists() and not path.is_file()


def _part(path: Path) -> Path:
    real = path.resolve()
    return real.with_name(f".{real.name}.{os.getpid()}.part{''.join(real.suffixes[-2:])}")

"""Where commands write: stdout for people or JSON, and files that appear whole or not at all."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

from lbbench.errors import LbbenchError

PIPE_WIDTH = 160


def console() -> Any:
    """Return a console for stdout; a pipe gets wide, unwrapped tables."""
    from rich.console import Console

    if sys.stdout.isatty():
        return Console()
    width = int(os.environ.get("COLUMNS", PIPE_WIDTH))
    return Console(width=width, force_terminal=False, color_system=None)


def check_writable(*paths: str | Path | None) -> None:
    """Refuse paths that cannot be written, before any work is done.

    Raises
    ------
    LbbenchError
        With the path and the reason.
    """
    for given in paths:
        if given is None or str(given) == "-":
            continue
        path = Path(given)
        folder = path.parent
        if path.is_dir():
            raise LbbenchError(f"{path}: this is a folder; give the name of a file")
        if not folder.is_dir():
            raise LbbenchError(f"{path}: the folder {folder} does not exist; make it first")
        if not os.access(folder, os.W_OK) or (path.exists() and not os.access(path, os.W_OK)):
            raise LbbenchError(f"{path}: cannot be written; check the permissions")


def check_folder(path: Path | None) -> None:
    """Refuse a folder that cannot be made or written.

    Raises
    ------
    LbbenchError
        With the path and the reason.
    """
    if path is None:
        return
    if path.exists() and not path.is_dir():
        raise LbbenchError(f"{path}: this is a file; give the name of a folder")
    there = next(place for place in (path, *path.absolute().parents) if place.exists())
    if not os.access(there, os.W_OK):
        raise LbbenchError(f"{path}: cannot be written; check the permissions")


def write_whole(path: Path, write: Callable[[Path], object]) -> None:
    """Let ``write`` fill a temporary file beside ``path``, then put it in place.

    Raises
    ------
    LbbenchError
        When the file cannot be written.
    """
    temporary = path.with_name(f".{path.name}.{os.getpid()}.part{''.join(path.suffixes[-2:])}")
    try:
        write(temporary)
        temporary.replace(path)
    except OSError as error:
        raise LbbenchError(f"{path}: cannot be written: {error.strerror}") from None
    finally:
        temporary.unlink(missing_ok=True)


def write_text(path: str | Path, text: str) -> None:
    """Write a text file, whole; ``-`` is stdout."""
    if str(path) == "-":
        sys.stdout.write(text)
        return
    write_whole(Path(path), lambda temporary: temporary.write_text(text, encoding="utf-8"))


def write_json(path: str | Path, data: Any) -> None:
    """Write plain data as JSON, whole; ``-`` is stdout."""
    write_text(path, json.dumps(data, indent=1, ensure_ascii=False, allow_nan=False) + "\n")

"""A table as a file for other programs: CSV, Parquet or JSON, by the ending of its name."""

from __future__ import annotations

from collections.abc import Callable
from io import BufferedWriter
from pathlib import Path
from typing import TYPE_CHECKING

from lbbench.errors import InputError, RunError

if TYPE_CHECKING:
    import polars as pl


def writer_for(frame: pl.DataFrame, path: Path) -> Callable[[Path], object]:
    """Return what writes a table to the path it is given, in the form that ``path`` asks for.

    Every form gives back the values it was given: floats have all their digits, what is null is
    empty in CSV (an empty text is ``""``) and ``null`` in JSON, a list of one object per row.

    Parameters
    ----------
    frame
        The table; its columns hold numbers, texts, true and false, no lists or structures.
    path
        The name of the file that is wanted, ending in .csv, .parquet or .json.

    Raises
    ------
    InputError
        When the name ends in anything else.
    RunError
        By what is returned, when the file cannot be written.
    """
    write = FORMS.get(path.suffix.lower())
    if write is None:
        raise InputError(
            f"{path}: the ending {path.suffix!r} names no form; give one of {', '.join(FORMS)}"
        )

    def fill(target: Path) -> None:
        from polars.exceptions import PolarsError  # a full disk is one of these for Parquet

        try:
            with target.open("wb") as file:
                write(frame, file)
        except (OSError, PolarsError) as error:
            reason = getattr(error, "strerror", None) or error
            raise RunError(
                f"{path}: cannot be written: {reason}; make room, or write to another folder"
            ) from None

    return fill


def write_table(frame: pl.DataFrame, path: Path) -> None:
    """Write a table to ``path``; see `writer_for`, which also says what is raised."""
    writer_for(frame, path)(path)


def _csv(frame: pl.DataFrame, file: BufferedWriter) -> None:
    frame.write_csv(file)


def _parquet(frame: pl.DataFrame, file: BufferedWriter) -> None:
    frame.write_parquet(file, compression="zstd")


def _json(frame: pl.DataFrame, file: BufferedWriter) -> None:
    frame.write_json(file)


FORMS: dict[str, Callable[[pl.DataFrame, BufferedWriter], None]] = {
    ".csv": _csv,
    ".parquet": _parquet,
    ".json": _json,
}

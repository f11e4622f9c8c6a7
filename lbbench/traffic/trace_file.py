"""A trace as a file: reads its rows as text, and says which line is none.

Polars reads fast and explains little, so what it refuses is read once more, row by row.
"""

from __future__ import annotations

import csv
import gzip
import re
from collections.abc import Sequence
from pathlib import Path
from typing import IO, TYPE_CHECKING, NoReturn

from lbbench.errors import InputError

if TYPE_CHECKING:
    import polars as pl

COLUMNS = {
    "arrival": ("arrival_s", "t_us"),
    "work": ("work_s", "svc_us"),
    "client": ("client", "src"),
    "connection": ("connection", "conn"),
    "key": ("key", "uri"),
    "session": ("session", "jar"),
    "node": ("node", "dst"),
}
"""What is read, by the names of its column; the second name is that of load generators."""

SEPARATORS = {";": "semicolons", "\t": "tabs", "|": "bars"}
LONGEST_NAME = 40  # characters; more, or quotes and brackets, is text of another format
NO_NAME = re.compile(r"""["'\[\]{}=]""")
NUMBER = re.compile(r"-?[0-9]+(\.[0-9]*)?(e-?[0-9]+)?(_duplicated_[0-9]+)?", re.IGNORECASE)


def read_rows(path: Path) -> pl.DataFrame:
    """Return the values of a CSV file as text, a column per name of the head.

    Raises
    ------
    InputError
        When there is no such file, it is empty, or a line cannot be read.
    """
    import polars as pl

    try:
        return pl.read_csv(path, infer_schema=False, glob=False)
    except FileNotFoundError as error:
        raise InputError(
            f"{path}: there is no such trace; the path is relative to the scenario's folder"
        ) from error
    except pl.exceptions.NoDataError as error:
        raise InputError(f"{path}: is empty; expected a head line and rows under it") from error
    except (pl.exceptions.PolarsError, OSError) as error:
        _explain(path, error)


def refuse_head(path: Path, names: Sequence[str]) -> None:
    """Refuse a first line that is no head of a CSV file: other separators, a row, other text."""
    head = ",".join(names)
    expected = "a trace begins with a line such as arrival_s,client,key,work_s"
    known = {name for names in COLUMNS.values() for name in names}
    if known.intersection(names):
        return
    for separator, called in SEPARATORS.items():
        parts = [part.strip() for part in head.split(separator)]
        if len(parts) > 1 and known.intersection(parts):
            raise InputError(f"{path}:1: the columns are separated by {called}; a trace has commas")
    cells = [cell.strip() for cell in re.split(r"[,;\t|]", head)]
    if any(NUMBER.fullmatch(cell) for cell in cells):
        raise InputError(f"{path}:1: is a row, there is no head; {expected}")
    if any(len(name) > LONGEST_NAME or NO_NAME.search(name) for name in names):
        shown = head if len(head) <= LONGEST_NAME else f"{head[: LONGEST_NAME - 3]}..."
        raise InputError(
            f"{path}:1: {shown!r} is no head of columns; {expected}, "
            f"which lbbench import access-log makes of a log"
        )


def refuse_short(path: Path) -> None:
    """Refuse the first row that has fewer values than the head; blank lines are no rows."""
    with _opened(path) as stream:
        rows = csv.reader(stream)
        width = len(next(rows, []))
        for row in rows:
            if len(row) < width and any(value.strip() for value in row):
                columns = "column" if len(row) == 1 else "columns"
                raise InputError(
                    f"{path}:{rows.line_num}: {len(row)} {columns} where the head has {width}; "
                    f"give every row all of them, or leave values empty between commas"
                )


def _explain(path: Path, error: Exception) -> NoReturn:
    """Raise InputError with the first line that cannot be read."""
    try:
        with _opened(path) as stream:
            rows = csv.reader(stream)
            head = next(rows, [])
            width = len(head)
            refuse_head(path, [name.strip().removeprefix("\ufeff") for name in head])
            for row in rows:
                if len(row) > width:
                    raise InputError(
                        f"{path}:{rows.line_num}: {len(row)} values under {width} columns; "
                        f"quote values that hold commas"
                    ) from error
    except UnicodeDecodeError as cause:
        raise InputError(f"{path}: is no UTF-8 text; a CSV file is needed") from cause
    except (OSError, EOFError, csv.Error) as cause:
        raise InputError(f"{path}: cannot be read ({cause}); a CSV file is needed") from cause
    raise InputError(f"{path}: cannot be read ({error}); a CSV file is needed") from error


def _opened(path: Path) -> IO[str]:
    with path.open("rb") as stream:
        is_packed = stream.read(2) == b"\x1f\x8b"
    if is_packed:
        return gzip.open(path, "rt", encoding="utf-8", newline="")
    return path.open(encoding="utf-8", newline="")

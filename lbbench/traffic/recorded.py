"""Recorded requests as columns: reads a trace file (CSV, also gzip) and says what it found.

| column | also read as (microseconds) | meaning |
| --- | --- | --- |
| ``arrival_s`` | ``t_us`` | arrival from the start, seconds; the one that must be there |
| ``work_s`` | ``svc_us`` | seconds of service at speed 1 |
| ``client`` | ``src`` | address, which is kept; or number or name, which gets a synthetic address |
| ``connection`` | ``conn`` | requests with the same one share a connection; empty: one of its own |
| ``key`` | ``uri`` | what ``$request_uri`` takes |
| ``session`` | ``jar`` | cookie jar; empty or -1: none |
| ``node`` | ``dst`` | entry node, for ``{fixed: COLUMN}`` only, which may name any column |

Distinct values are numbered in sorted order: as integers when all of them are integers, else as
text (keys always as text).
"""

from __future__ import annotations

import difflib
import ipaddress
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from lbbench.errors import InputError
from lbbench.traffic.clients import MAX_CLIENTS, client_address
from lbbench.traffic.trace_file import COLUMNS, read_rows, refuse_head, refuse_short

if TYPE_CHECKING:
    import polars as pl

MICROSECONDS = 1e6
NOTHING = ("-",)  # what logs write where there is no value; an empty value is none anyway
FIRST_ROW = 2  # line number of the first row


@dataclass(frozen=True)
class Recorded:
    """The requests of a trace in order of arrival; a column that it leaves out is None.

    Attributes
    ----------
    arrival, work
        float64[n], seconds.
    client, connection, session, node
        int64[n], dense numbers; -1 in ``connection`` and ``session``: none.
    key
        int64[n], index into ``keys``.
    client_address
        int64[clients], index into ``addresses``.
    n_connections, n_sessions, n_nodes
        How many distinct ones there are.
    notes
        Sentences on what was ignored or put right.
    """

    arrival: np.ndarray
    work: np.ndarray | None
    client: np.ndarray | None
    connection: np.ndarray | None
    key: np.ndarray | None
    session: np.ndarray | None
    node: np.ndarray | None
    client_address: np.ndarray
    addresses: tuple[str, ...]
    keys: tuple[str, ...]
    n_connections: int
    n_sessions: int
    n_nodes: int
    notes: tuple[str, ...]

    def until(self, n_requests: int | None, duration: float | None) -> Recorded:
        """Return the first ``n_requests`` requests, or those that arrive before ``duration``."""
        n = len(self.arrival)
        if n_requests is not None:
            n = min(n, n_requests)
        if duration is not None:
            n = min(n, int(np.searchsorted(self.arrival, duration)))
        names = ("arrival", "work", "client", "connection", "key", "session", "node")
        columns = {name: getattr(self, name) for name in names}
        cut: dict[str, Any] = {name: c if c is None else c[:n] for name, c in columns.items()}
        return replace(self, **cut)


def read_trace(path: Path, *, node_column: str | None = None) -> Recorded:
    """Return the requests recorded in ``path``.

    Parameters
    ----------
    path
        A CSV file with a head line, gzip or not.
    node_column
        The column that tells the entry node; None: the trace does not decide it.

    Raises
    ------
    InputError
        When the file cannot be read, holds no requests, or a value makes no sense; with its line.
    """
    table = _Table(path)
    arrival = table.seconds("arrival")
    if arrival is None:
        wanted = " or ".join(COLUMNS["arrival"])
        hints = (
            f"rename {name} to {hit}"
            for name, hit in table.near_misses()
            if hit in COLUMNS["arrival"]
        )
        raise InputError(
            f"{path}: no column {wanted}; a trace needs the time of arrival, "
            f"its columns are: {', '.join(table.names) or 'none'}"
            + "".join(f"; {hint}" for hint in hints)
        )
    client, client_texts = table.numbered("client")
    connection, connection_texts = table.numbered("connection", nothing=NOTHING)
    key, keys = table.numbered("key", nothing=None)
    session, session_texts = table.numbered("session", nothing=(*NOTHING, "-1"))
    node, node_texts = table.nodes(node_column)
    n_connections = len(connection_texts)
    if client is not None and connection is not None:
        connection, n_connections = _by_client(connection, client, len(client_texts))
    columns = {
        "arrival": arrival,
        "work": table.seconds("work"),
        "client": client,
        "connection": connection,
        "key": key,
        "session": session,
        "node": node,
    }
    notes = [*table.notes(), *_sort(columns)]
    client_addresses, addresses = _addresses(client_texts)
    return Recorded(
        **columns,  # type: ignore[arg-type]
        client_address=client_addresses,
        addresses=addresses,
        keys=keys,
        n_connections=n_connections,
        n_sessions=len(session_texts),
        n_nodes=len(node_texts),
        notes=tuple(notes),
    )


class _Table:
    """The rows of a trace as text, with the line that each row is on."""

    def __init__(self, path: Path) -> None:
        import polars as pl

        self.path = path
        frame = read_rows(path)
        names = [name.strip() for name in frame.columns]
        self.names = tuple(names)
        refuse_head(path, names)
        frame.columns = [f"{i} {name}" for i, name in enumerate(names)]
        text = frame.select(pl.all().str.strip_chars().replace("", None))
        rows = text.with_row_index("line", FIRST_ROW)
        rows = rows.filter(~pl.all_horizontal(pl.exclude("line").is_null()))  # blank lines
        if rows.is_empty():
            raise InputError(f"{path}: holds no requests; expected a head line and rows under it")
        self.lines = rows["line"].to_numpy()
        self.columns = rows.drop("line")
        if self.columns[:, -1].has_nulls():  # missing or empty: the frame does not tell which
            refuse_short(path)
        self.used: set[str] = set()

    def column(self, what: str) -> tuple[str, pl.Series] | None:
        """Return (name, texts) of the column that holds ``what``, None when there is none."""
        there = [name for name in self.names if name in COLUMNS[what]]
        if len(there) > 1:
            raise InputError(
                f"{self.path}:1: columns {' and '.join(there)} both give the {what}; remove one"
            )
        return self._named(there[0]) if there else None

    def _named(self, name: str) -> tuple[str, pl.Series]:
        self.used.add(name)
        return name, self.columns[:, self.names.index(name)]

    def seconds(self, what: str) -> np.ndarray | None:
        """Return times in seconds, float64[n], each finite and not negative."""
        import polars as pl

        found = self.column(what)
        if found is None:
            return None
        name, texts = found
        numbers = texts.cast(pl.Float64, strict=False).fill_null(float("nan"))
        values = numbers.to_numpy().astype(np.float64)
        self._refuse(name, texts, ~np.isfinite(values), "is no number")
        self._refuse(name, texts, values < 0.0, "is negative")
        return values / MICROSECONDS if name.endswith("_us") else values

    def numbered(
        self, what: str, *, nothing: tuple[str, ...] | None = ()
    ) -> tuple[np.ndarray | None, tuple[str, ...]]:
        """Return (number of each row's value, int64[n]; the distinct values in sorted order).

        ``nothing`` are the texts that mean none, which like an empty value is numbered -1; with ()
        an empty value is an error, with None it is the empty text and all are taken as text.
        """
        found = self.column(what)
        if found is None:
            return None, ()
        name, texts = found
        if nothing is None:
            return number_values(texts.fill_null(""), as_text=True)
        if nothing:
            texts = texts.replace(list(nothing), [None] * len(nothing))
        else:
            self._refuse(name, texts, texts.is_null().to_numpy(), "is missing")
        return number_values(texts)

    def nodes(self, column: str | None) -> tuple[np.ndarray | None, tuple[str, ...]]:
        """Return (node of each row, distinct values) by the column that the scenario names."""
        if column is None:
            return None, ()
        name = column if column in self.names else None
        if name is None and column in COLUMNS["node"]:
            name = next((other for other in COLUMNS["node"] if other in self.names), None)
        if name is None:
            raise InputError(
                f"{self.path}: no column {column}, which the scenario names for the entry node; "
                f"its columns are: {', '.join(self.names)}"
            )
        name, texts = self._named(name)
        self._refuse(name, texts, texts.is_null().to_numpy(), "is missing")
        return number_values(texts)

    def near_misses(self) -> Iterator[tuple[str, str]]:
        """Yield (name, the column that may be meant) of unknown columns, if that one is missing."""
        known = {name: names for names in COLUMNS.values() for name in names}
        given = {names for name, names in known.items() if name in self.names}
        missing = {name for name, names in known.items() if names not in given}
        for name in self.names:
            hits = difflib.get_close_matches(name.lower(), sorted(missing), n=1)
            if hits and name not in known:
                yield name, hits[0]

    def notes(self) -> list[str]:
        """Return a sentence on the columns that are not used, if there are any."""
        unused = [name for name in self.names if name not in self.used]
        if not unused:
            return []
        plural = "columns are" if len(unused) > 1 else "column is"
        said = f"{self.path.name}: {len(unused)} {plural} not used: {', '.join(unused)}"
        hits = [hit for _, hit in self.near_misses() if hit not in COLUMNS["node"]]
        return [f"{said}; did you mean {' and '.join(hits)}?" if hits else said]

    def _refuse(self, name: str, texts: pl.Series, bad: np.ndarray, why: str) -> None:
        rows = np.flatnonzero(bad)
        if not len(rows):
            return
        row = int(rows[0])
        more = f" (and {len(rows) - 1} more)" if len(rows) > 1 else ""
        text = texts[row] if texts[row] is not None else ""
        raise InputError(
            f"{self.path}:{self.lines[row]}: {name} = {text!r}{more} {why}; "
            f"{'give seconds' if name.endswith('_s') else 'give a value'} in every row"
        )


def number_values(texts: pl.Series, *, as_text: bool = False) -> tuple[np.ndarray, tuple[str, ...]]:
    """Return (rank of each text among the distinct ones, int64[n], -1 for null; these texts)."""
    import polars as pl

    numbers = texts.cast(pl.Int64, strict=False)
    is_text = as_text or numbers.null_count() > texts.null_count()
    keys = texts if is_text else numbers
    ranks = (keys.rank("dense").cast(pl.Int64) - 1).fill_null(-1)
    distinct = keys.drop_nulls().unique().sort().cast(pl.String).to_list()
    return ranks.to_numpy().astype(np.int64), tuple(distinct)


def _by_client(connection: np.ndarray, client: np.ndarray, clients: int) -> tuple[np.ndarray, int]:
    """Return dense connections that belong to one client each, and their number.

    A connection has one client; the same name under two clients is two connections.
    """
    pairs = connection * clients + client
    distinct, dense = np.unique(pairs, return_inverse=True)
    unnamed = int(np.searchsorted(distinct, 0))  # pairs of -1 come first
    dense = dense.astype(np.int64) - unnamed
    dense[connection < 0] = -1
    return dense, len(distinct) - unnamed


def _sort(columns: dict[str, Any]) -> Iterator[str]:
    """Sort all columns by arrival, equal arrivals in the order of rows; tell how many were late."""
    arrival = columns["arrival"]
    late = int((arrival < np.maximum.accumulate(arrival)).sum())
    if not late:
        return
    order = np.argsort(arrival, kind="stable")
    for name, values in columns.items():
        if values is not None:
            columns[name] = values[order]
    yield f"{late} of {len(arrival)} rows arrive before a row above them; all are sorted by arrival"


def _addresses(texts: tuple[str, ...]) -> tuple[np.ndarray, tuple[str, ...]]:
    """Return (index by client, distinct addresses): addresses are kept, other names get synthetic.

    A client that is given by a number below 2^24 has the address of that number.
    """
    number: dict[str, int] = {}
    index = np.empty(len(texts), np.int64)
    for client, text in enumerate(texts):
        try:
            address = str(ipaddress.ip_address(text)) if "." in text or ":" in text else ""
        except ValueError:
            address = ""
        if not address:
            given = int(text) if text.isdecimal() and int(text) < MAX_CLIENTS else client
            address = client_address(given)
        index[client] = number.setdefault(address, len(number))
    return index, tuple(number)

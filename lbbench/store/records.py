"""One row per request: a run's records as a table, for Parquet and polars."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from lbbench.model.tally import ERRORS, RunShape
from lbbench.model.trace import Population

if TYPE_CHECKING:
    import polars as pl

NO_ERROR = -1


def records_table(
    replications: Sequence[tuple[Mapping[str, np.ndarray], RunShape, Population]],
) -> pl.DataFrame:
    """Return the requests of all replications, in order of arrival.

    Columns: request, arrival_s, connection (source address and port), key (what $request_uri is),
    session, node, replica, worker, pod, attempts, start_s, end_s, error; a column ``replication``
    comes first when there are several. Empty fields are null: no session, no pod, no error.
    """
    import polars as pl

    tables = [_table(*part) for part in replications]
    if len(tables) == 1:
        return tables[0]
    numbered = [
        table.select(pl.lit(number, pl.Int32).alias("replication"), pl.all())
        for number, table in enumerate(tables)
    ]
    return pl.concat(numbered)


def _table(columns: Mapping[str, np.ndarray], shape: RunShape, people: Population) -> pl.DataFrame:
    import polars as pl

    n = len(columns["arrival"])
    source = _named(people.client_address[columns["client"]], people.addresses)
    return pl.DataFrame(
        {
            "request": np.arange(n, dtype=np.int64),
            "arrival_s": columns["arrival"],
            "connection": source.cast(pl.String) + ":" + pl.Series(columns["port"]).cast(pl.String),
            "key": _keys(columns["key"], people.keys),
            "session": _or_null(columns["session"]),
            "node": _named(columns["node"], shape.nodes),
            "replica": _named(columns["replica"], shape.replicas),
            "worker": _named(columns["worker"], shape.workers),
            "pod": _named(columns["pod"], shape.pods),
            "attempts": columns["attempts"],
            "start_s": columns["start"],
            "end_s": columns["end"],
            "error": _named(_codes(columns["error"]), (*ERRORS, "unfinished")),
        }
    )


def _codes(error: np.ndarray) -> np.ndarray:
    """Return positions in ERRORS and "unfinished" after it, -1 for none."""
    return np.where(error < NO_ERROR, len(ERRORS), error)


def _keys(key: np.ndarray, keys: tuple[str, ...] | int) -> pl.Series:
    import polars as pl

    if isinstance(keys, int):
        return ("/k" + pl.Series(key).cast(pl.String)).alias("key")
    return _named(key, keys)


def _named(index: np.ndarray, names: Sequence[str]) -> pl.Series:
    """Return the names at ``index``, null where it is negative, as a dictionary-coded column."""
    import polars as pl

    texts = pl.Series(list(names) or [""], dtype=pl.String).cast(pl.Categorical)
    return texts.gather(_or_null(index))


def _or_null(values: np.ndarray) -> Any:
    import polars as pl

    whole = pl.Series(values)
    return whole.set(whole < 0, None)

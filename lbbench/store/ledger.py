"""The ledger of a study: what is planned and what every replication gave, in one SQLite file.

One process writes, any number read, also while it writes. The file holds JSON as text, so that
``sqlite3 study.sqlite 'SELECT * FROM results'`` and the like work without this package.
"""

from __future__ import annotations

import hashlib
import json
import sqlite3
from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import islice
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from lbbench.errors import InputError
from lbbench.model.study import Effort, Member, Row, Status
from lbbench.store.database import open_reading, open_writing, told, transaction
from lbbench.store.lock import WriterLock

_BATCH = 1000  # members read or written at a time

_FORM: dict[str, Any] = {"separators": (",", ":"), "ensure_ascii": False, "allow_nan": False}
_canonical = json.JSONEncoder(sort_keys=True, **_FORM).encode  # the same text for the same content
_ordered = json.JSONEncoder(**_FORM).encode  # keeps the order of names


def replication_key(content: str, seed: int, replication: int, version: str) -> str:
    """Return the SHA-256, in hex, of what a replication depends on."""
    return hashlib.sha256(_canonical([content, seed, replication, version]).encode()).hexdigest()


class Ledger:
    """A study's file; `open` gives one, which closes at the end of its ``with``.

    Each method that writes is one transaction: it is kept as a whole, from its end on, also when
    the process is killed or the disk fills up afterwards. Methods raise RunError when the file
    cannot be read or written, with the reason and the way out, and the ledger stays usable.
    """

    def __init__(self, path: Path, db: sqlite3.Connection, lock: WriterLock | None) -> None:
        self.path = path
        self._db = db
        self._lock = lock

    @classmethod
    def open(cls, path: Path, *, write: bool) -> Self:
        """Return the ledger in a file.

        Parameters
        ----------
        path
            The file; made when it is missing and ``write`` is set.
        write
            Become its one writer, until `close`; without, the file is not changed.

        Raises
        ------
        InputError
            When there is no study, or one of a newer version of the package.
        RunError
            When another process writes to it, or it cannot be read or written.
        """
        file = _place(path, write=write)
        if not write:
            return cls(path, open_reading(file, path), None)
        if file.exists():  # other files are refused before anything is made
            open_reading(file, path, may_be_empty=True).close()
        lock = WriterLock(file, path)
        is_new = not file.exists()  # asked by the holder of the lock: nobody makes it meanwhile
        try:
            return cls(path, open_writing(file, path), lock)
        except BaseException:
            if is_new:
                for end in ("", "-wal", "-shm"):
                    file.with_name(file.name + end).unlink(missing_ok=True)
            lock.release()
            raise

    def close(self) -> None:
        """Put everything into the one file and let the next writer in; a second call is nothing."""
        self._db.close()
        if self._lock is not None:
            self._lock.release()

    def discard(self) -> None:
        """Remove the file, then let the next writer in: what was made has come to nothing."""
        self._db.close()
        file = self.path.resolve()
        for end in ("", "-wal", "-shm"):
            file.with_name(file.name + end).unlink(missing_ok=True)
        self.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    # --- what the study is ------------------------------------------------------------------------

    def note(self, name: str, value: str) -> None:
        """Keep a text under a name, in place of an earlier one."""
        with told(self.path), transaction(self._db):
            self._db.execute("INSERT OR REPLACE INTO notes VALUES (?, ?)", (name, value))

    def noted(self, name: str) -> str | None:
        """Return the text kept under a name, None when there is none."""
        found = self._all("SELECT value FROM notes WHERE name = ?", name)
        return found[0][0] if found else None

    def plan(self, members: Iterable[Member], notes: Mapping[str, str] | None = None) -> None:
        """Make these the members of the study; all points and replications stay.

        ``notes`` are kept in the same transaction, each as `note` does it.
        """
        left = iter(members)
        with told(self.path), transaction(self._db):
            self._db.execute("DELETE FROM members")
            self._db.executemany(
                "INSERT OR REPLACE INTO notes VALUES (?, ?)", (notes or {}).items()
            )
            while batch := list(islice(left, _BATCH)):
                self._db.executemany(
                    "INSERT INTO members VALUES (?, ?, ?)",
                    # The order of the axes is part of what was asked for.
                    ((m.number, m.content, _ordered(m.values)) for m in batch),
                )
                self._db.executemany(
                    """INSERT INTO points VALUES (?1, ?2, ?3) ON CONFLICT (content) DO UPDATE
                       SET scenario = ?2, invalid = ?3
                       WHERE scenario IS NOT ?2 OR invalid IS NOT ?3""",
                    ((m.content, m.scenario, m.invalid) for m in batch),
                )

    def members(self) -> Iterator[Member]:
        """Yield the members in the order of their numbers."""
        last = -1
        # In batches: a query that stays open would keep the file from taking in its -wal.
        while batch := self._all(
            """SELECT number, axes, content, scenario, invalid
               FROM members JOIN points USING (content)
               WHERE number > ? ORDER BY number LIMIT ?""",
            last,
            _BATCH,
        ):
            for number, axes, content, scenario, invalid in batch:
                yield Member(number, json.loads(axes), content, scenario, invalid)
            last = batch[-1][0]

    def scenario(self, content: str) -> str:
        """Return the scenario of a point, planned now or earlier, as JSON.

        Raises
        ------
        KeyError
            When no such point was ever planned.
        """
        found = self._all("SELECT scenario FROM points WHERE content = ?", content)
        if not found:
            raise KeyError(content)
        return str(found[0][0])

    # --- what its replications gave ---------------------------------------------------------------

    def write(self, rows: Sequence[Row]) -> None:
        """Keep replications, each in place of an earlier one of the same key."""
        with told(self.path), transaction(self._db):
            self._db.executemany(
                "INSERT INTO machines (machine) VALUES (?) ON CONFLICT DO NOTHING",
                ((machine,) for machine in {row.machine for row in rows}),
            )
            self._db.executemany(
                """INSERT OR REPLACE INTO replications VALUES
                   (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, (SELECT id FROM machines WHERE machine = ?),
                    ?, ?, ?)""",
                (
                    (replication_key(row.content, row.seed, row.replication, row.version), *row)
                    for row in rows
                ),
            )

    def rows(self, content: str, seed: int) -> list[Row]:
        """Return the replications of a point by number, those of all versions."""
        found = self._all(
            """SELECT content, seed, replication, version, status, error, wall_s, compile_s,
                      created, machines.machine, result, segments, histograms
               FROM replications JOIN machines ON machines.id = replications.machine
               WHERE content = ? AND seed = ? ORDER BY replication, version""",
            content,
            seed,
        )
        return [Row(*row) for row in found]

    def statuses(self) -> dict[tuple[str, int, int, str], Status]:
        """Return how every replication ended, by (content, seed, replication, version)."""
        found = self._all("SELECT content, seed, replication, version, status FROM replications")
        return {(content, seed, r, version): status for content, seed, r, version, status in found}

    def counts(self, seed: int) -> dict[tuple[str, Status], int]:
        """Return how many replications of the members there are, by (version, status)."""
        found = self._all(
            """SELECT version, status, count(*) FROM replications
               WHERE seed = ? AND content IN (SELECT content FROM members)
               GROUP BY version, status ORDER BY version, status""",
            seed,
        )
        return {(version, status): n for version, status, n in found}

    def efforts(self, seed: int, versions: Sequence[str]) -> list[Effort]:
        """Return what the replications of the members cost, by the machine that ran them."""
        marks = ", ".join("?" * len(versions))
        found = self._all(
            f"""SELECT machines.machine, count(*), sum(wall_s), sum(compile_s), min(created),
                       max(created)
                FROM replications JOIN machines ON machines.id = replications.machine
                WHERE seed = ? AND version IN ({marks})
                      AND content IN (SELECT content FROM members)
                GROUP BY machines.id ORDER BY count(*) DESC, machines.id""",  # noqa: S608
            seed,
            *versions,
        )
        return [Effort(*row) for row in found]

    def _all(self, question: str, *values: Any) -> list[Any]:
        with told(self.path):
            return self._db.execute(question, values).fetchall()


def _place(path: Path, *, write: bool) -> Path:
    """Return the file with every link followed; refuse what SQLite would make or open instead."""
    try:
        file = path.resolve()
        exists, is_file, has_folder = file.exists(), file.is_file(), file.parent.is_dir()
    except (OSError, RuntimeError) as error:  # RuntimeError: links in a circle
        reason = getattr(error, "strerror", None) or error
        raise InputError(f"{path}: cannot be reached ({reason}); check the path") from None
    if file.is_dir():
        raise InputError(f"{path}: is a folder; give the name of a file")
    if exists and not is_file:
        raise InputError(f"{path}: is no regular file; give the name of one")
    if not exists and not write:
        raise InputError(f"{path}: there is no such file; give the file of a sweep")
    if not has_folder:
        raise InputError(f"{path}: the folder {path.parent} does not exist; make it first")
    return file

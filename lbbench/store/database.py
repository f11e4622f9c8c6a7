"""The SQLite file of a study: how it is opened to read or to write, and what went wrong in words.

The file is in WAL mode: each commit is appended to ``<name>-wal`` and read from there, so a killed
process loses nothing that was committed, and readers go on while a writer writes. A clean close
puts everything into the one file and removes the others.

No function here opens the file by itself: closing it would drop SQLite's own locks on it for the
whole process.
"""

from __future__ import annotations

import os
import shutil
import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from lbbench.errors import InputError, LbbenchError, RunError

APPLICATION_ID = 0x6C626265  # "lbbe": marks the file as a study
FORM = 1
"""The form of the tables, kept as the file's ``user_version``; `SCHEMA` is its text."""

SCHEMA = (
    "CREATE TABLE notes (name TEXT PRIMARY KEY, value TEXT NOT NULL)",
    "CREATE TABLE members (number INTEGER PRIMARY KEY, content TEXT NOT NULL, axes TEXT NOT NULL)",
    "CREATE TABLE points (content TEXT PRIMARY KEY, scenario TEXT NOT NULL, invalid TEXT)",
    "CREATE TABLE machines (id INTEGER PRIMARY KEY, machine TEXT NOT NULL UNIQUE)",
    # What is large stands last: SQLite reads a row up to the last column that is asked for.
    """CREATE TABLE replications (
         key TEXT PRIMARY KEY, content TEXT NOT NULL, seed INTEGER NOT NULL,
         replication INTEGER NOT NULL, version TEXT NOT NULL, status TEXT NOT NULL, error TEXT,
         wall_s REAL NOT NULL, compile_s REAL NOT NULL, created TEXT NOT NULL,
         machine INTEGER NOT NULL REFERENCES machines (id),
         result TEXT, segments BLOB, histograms TEXT)""",
    # Holds all that is asked of every replication, so that no row with its histograms is read.
    """CREATE INDEX replications_by_content
         ON replications (content, seed, replication, version, status)""",
    # For people: sqlite3 study.sqlite 'SELECT * FROM results'
    """CREATE VIEW results AS
         SELECT m.number AS point, m.axes, r.seed, r.replication, r.version, r.status, r.error,
                json_extract(r.result, '$.time_s.warmup') AS own_warmup_s,
                json_extract(r.result, '$.latency_s.mean') AS own_latency_mean_s,
                json_extract(r.result, '$.latency_s.p99') AS own_latency_p99_s,
                json_extract(r.result, '$.requests.offered') AS offered,
                json_extract(r.result, '$.requests.failed') AS failed,
                json_extract(r.result, '$.requests.by_error') AS failed_by_error,
                r.wall_s, r.created
         FROM members m JOIN replications r ON r.content = m.content
         WHERE r.seed = COALESCE(
                   (SELECT json_extract(value, '$.run.seed') FROM notes WHERE name = 'scenario'),
                   r.seed)
               AND r.replication < COALESCE(
                   (SELECT json_extract(value, '$."' || m.content || '"') FROM notes
                    WHERE name = 'sizes'),
                   (SELECT CAST(value AS INTEGER) FROM notes WHERE name = 'at_first'),
                   1 + r.replication)
         ORDER BY m.number, r.seed, r.replication, r.version""",
    f"PRAGMA application_id = {APPLICATION_ID}",
    f"PRAGMA user_version = {FORM}",
)

_SETTINGS = (
    "page_size = 8192",  # scenarios of 2 kB waste half of the default's 4096; for new files only
    "journal_mode = WAL",
    "synchronous = NORMAL",  # commits survive a killed process without waiting for the disk
    "wal_autocheckpoint = 4000",  # 32 MB, about 500 replications between two waits for the disk
    "cache_size = -32768",  # KiB: the indices of 100 000 replications fit
)

WAIT_S = 1.0  # within SQLite, where Ctrl-C is not heard
TRIES = 30
"""How often `transaction` waits that long for another program's lock."""

_LITTLE_ROOM = 1 << 16  # bytes; SQLite calls a full disk an I/O error when its index does not fit

_REASONS = {
    sqlite3.SQLITE_FULL: "the disk is full; what is finished is kept: make room and give the same"
    " command again",
    sqlite3.SQLITE_IOERR: "reading or writing failed ({error}); what is finished is kept: check the"
    " disk and give the same command again",
    sqlite3.SQLITE_READONLY: "cannot be written ({error}); check the permissions of the file and of"
    " its folder",
    sqlite3.SQLITE_CANTOPEN: "cannot be opened ({error}); check the permissions, or copy it with"
    " {name}-wal to a folder that can be written",
    sqlite3.SQLITE_BUSY: "another program keeps it locked; what is finished is kept: end that"
    " program and give the same command again",
    sqlite3.SQLITE_CORRUPT: "is damaged ({error}); restore it from a copy, or start another file",
}
"""What can happen to a file, and the way out, by SQLite's primary code."""

_OTHER_WAYS = (
    sqlite3.SQLITE_CANTOPEN,
    sqlite3.SQLITE_READONLY,
    sqlite3.SQLITE_FULL,
    sqlite3.SQLITE_IOERR,
)
"""Failures of one way to read that another one may not have."""


def open_writing(path: Path, name: Path) -> sqlite3.Connection:
    """Return a connection that writes; makes the tables in a file that is new or empty.

    The caller holds the writer's lock. Parameters are those of `open_reading`.

    Raises
    ------
    InputError
        When the file is something else than a study.
    RunError
        When it cannot be written.
    """
    if path.exists() and not os.access(path, os.W_OK):  # SQLite would open it to read, in silence
        raise RunError(f"{name}: cannot be written; check the permissions of the file")
    with told(name), _opened(path, "mode=rwc") as db:
        is_new = not _is_study(db, name)
        for setting in _SETTINGS:
            db.execute(f"PRAGMA {setting}")
        if is_new:
            with transaction(db):
                for statement in SCHEMA:
                    db.execute(statement)
    return db


def open_reading(path: Path, name: Path, *, may_be_empty: bool = False) -> sqlite3.Connection:
    """Return a connection that reads, during a sweep or not, and leaves no file behind.

    Parameters
    ----------
    path
        The file, with every link followed.
    name
        What messages call it.
    may_be_empty
        Let a file without tables pass: its maker was killed at once, or it is to become a study.

    Raises
    ------
    InputError
        When the file is no study.
    RunError
        When it cannot be read.
    """
    *ways, last = _ways_to_read(path)
    with told(name):
        for way in ways:
            try:
                return _reader(path, way, name, may_be_empty=may_be_empty)
            except sqlite3.OperationalError as error:
                if _code(error) not in _OTHER_WAYS:
                    raise
        return _reader(path, last, name, may_be_empty=may_be_empty)


def _reader(path: Path, way: str, name: Path, *, may_be_empty: bool) -> sqlite3.Connection:
    with _opened(path, way) as db:
        db.execute("PRAGMA query_only = ON")
        if not _is_study(db, name) and not may_be_empty:
            raise InputError(f"{name}: is empty, so no study; give the file of a sweep")
    return db


def _ways_to_read(path: Path) -> list[str]:
    """Return the modes of SQLite to read the file with, the best one first, at least one.

    A reader of a WAL file needs the index ``-shm``. One that may write (``query_only`` keeps it
    from that) makes it where it is missing and removes it at the end; a read-only one leaves it
    behind, and finds none in a read-only folder. ``immutable`` needs none, but sees neither the
    commits in a ``-wal`` nor a writer at work: it is for files that nothing is pending for.
    """
    try:
        pending = path.with_name(f"{path.name}-wal").stat().st_size
    except OSError:
        pending = None
    ways = []
    if os.access(path, os.W_OK) and os.access(path.parent, os.W_OK):
        ways.append("mode=rw")
    if pending is not None:
        ways.append("mode=ro")
    if not pending:
        ways.append("mode=ro&immutable=1")
    return ways


@contextmanager
def _opened(path: Path, mode: str) -> Iterator[sqlite3.Connection]:
    """Give a connection, which is closed when its block fails."""
    db = sqlite3.connect(f"{path.as_uri()}?{mode}", uri=True, isolation_level=None, timeout=WAIT_S)
    try:
        yield db
    except BaseException:
        db.close()
        raise


def _is_study(db: sqlite3.Connection, name: Path) -> bool:
    """Tell a study from an empty file; refuse everything else."""
    (application,), (form,), (parts,) = (
        db.execute(question).fetchone()
        for question in (
            "PRAGMA application_id",
            "PRAGMA user_version",
            "SELECT count(*) FROM sqlite_master",
        )
    )
    if (application, form, parts) == (0, 0, 0):
        return False
    if application != APPLICATION_ID:
        raise InputError(
            f"{name}: is a database of another program, no study; give the file of a sweep"
        )
    if form > FORM:
        raise InputError(
            f"{name}: was written by a newer lbbench (form {form}, this one knows up to {FORM});"
            " update lbbench, or give another file"
        )
    return True


@contextmanager
def transaction(db: sqlite3.Connection) -> Iterator[None]:
    """Commit all that the block does, or nothing of it."""
    _begin(db)
    try:
        yield
        db.execute("COMMIT")
    finally:
        if db.in_transaction:
            with suppress(sqlite3.Error):  # what made the block fail is what is told
                db.execute("ROLLBACK")


def _begin(db: sqlite3.Connection) -> None:
    for left in reversed(range(TRIES)):
        try:
            db.execute("BEGIN IMMEDIATE")
        except sqlite3.OperationalError as error:
            if not left or _code(error) != sqlite3.SQLITE_BUSY:
                raise
        else:
            return


@contextmanager
def told(name: Path) -> Iterator[None]:
    """Turn what SQLite could not do into a sentence; mistakes in SQL stay what they are.

    Raises
    ------
    LbbenchError
        With the file, the reason and the way out.
    """
    try:
        yield
    except sqlite3.Error as error:
        sentence = _sentence(name, error)
        if sentence is None:
            raise
        raise sentence from None


def _sentence(name: Path, error: sqlite3.Error) -> LbbenchError | None:
    code = _code(error)
    if code == sqlite3.SQLITE_NOTADB:
        return InputError(f"{name}: is no SQLite database, so no study; give the file of a sweep")
    if code == sqlite3.SQLITE_IOERR and _is_full(name):
        code = sqlite3.SQLITE_FULL
    if code not in _REASONS:
        return None
    return RunError(f"{name}: {_REASONS[code].format(error=error, name=name.name)}")


def _code(error: sqlite3.Error) -> int:
    """Return SQLite's primary error code, -1 when the error is not its own."""
    return getattr(error, "sqlite_errorcode", -1) & 0xFF


def _is_full(name: Path) -> bool:
    with suppress(OSError):
        return shutil.disk_usage(name.absolute().parent).free < _LITTLE_ROOM
    return False

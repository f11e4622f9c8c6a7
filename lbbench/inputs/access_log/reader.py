"""Reading of an ingress-nginx access log, line by line in bounded memory.

What is kept are compact columns, which go to a temporary file when they are long, and the distinct
clients, URIs and upstreams. Lines that cannot be read are counted and reported.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from lbbench.errors import InputError
from lbbench.inputs.access_log.columns import ROWS, Column
from lbbench.inputs.access_log.line import (
    DEFAULT_BACKEND,
    Line,
    Moment,
    key_of,
    last_attempt,
    moment,
    parse,
)
from lbbench.inputs.access_log.log import COLUMNS, AccessLog
from lbbench.inputs.access_log.texts import Texts
from lbbench.inputs.source import MOST_FOREIGN, STDIN, Skipped, lines, listed, named
from lbbench.model.units import LONGEST_S

Progress = Callable[[str, int, int | None], None]
"""Called as progress(what, bytes read, bytes in all or None when unknown)."""

SHOWN = 10  # lines that cannot be read and are listed; all are counted
REPORT_EVERY = 4096  # lines between two reports of progress
NO_UPSTREAM = -1
NEVER = Moment(0, float("nan"), "")
FAILED = (499, 502, 503, 504)
"""Statuses whose upstream time is no service time: client gone, refused, none there, timed out."""


def read_access_log(
    paths: str | Path | Sequence[str | Path], progress: Progress | None = None
) -> AccessLog:
    """Return the requests in the access logs ``paths``; ``-`` is standard input, gzip is unpacked.

    Raises
    ------
    InputError
        When a file cannot be read, or none of its lines is an access line with upstream fields.
    """
    reader = _Reader()
    for path in listed(paths):
        before = len(reader.end)
        reader.read(path, progress)
        if len(reader.end) == before:
            raise InputError(reader.nothing(named(path)))
    return reader.result()


@dataclass(slots=True)
class _Reader:
    """Fills the columns line by line."""

    end: Column = field(default_factory=lambda: Column("q"))
    fraction: Column = field(default_factory=lambda: Column("f"))
    request_time: Column = field(default_factory=lambda: Column("d"))
    service: Column = field(default_factory=lambda: Column("d"))
    status: Column = field(default_factory=lambda: Column("h"))
    attempts: Column = field(default_factory=lambda: Column("B"))
    client: Column = field(default_factory=lambda: Column("i"))
    key: Column = field(default_factory=lambda: Column("i"))
    backend: Column = field(default_factory=lambda: Column("i"))
    upstream: Column = field(default_factory=lambda: Column("i"))
    clients: Texts = field(default_factory=Texts)
    keys: Texts = field(default_factory=Texts)
    backends: Texts = field(default_factory=Texts)
    upstreams: Texts = field(default_factory=Texts)
    starts: list[int] = field(default_factory=list)
    files: list[str] = field(default_factory=list)
    tried: Counter[tuple[bytes, bytes]] = field(default_factory=Counter)
    failed: Counter[tuple[bytes, bytes]] = field(default_factory=Counter)
    answered: Counter[tuple[bytes, bytes]] = field(default_factory=Counter)
    decimals: Counter[str] = field(default_factory=Counter)  # lines by what gave them
    older_lines: int = 0
    default_lines: int = 0
    multi_lines: int = 0
    lost_blanks: int = 0
    without_codes: int = 0
    n_lines: int = 0
    skipped: list[Skipped] = field(default_factory=list)
    reasons: Counter[str] = field(default_factory=Counter)
    stamp: bytes = b""
    moment: Moment = NEVER

    def read(self, path: str | Path, progress: Progress | None) -> None:
        """Add the lines of one file."""
        name = named(path)
        self.starts.append(len(self.end))
        self.files.append(name)
        for number, text in enumerate(_watched(path, progress), 1):
            if not text.strip():
                continue
            self.n_lines += 1
            line = parse(text)
            reason = line if isinstance(line, str) else self.add(line)
            if reason:
                self.reasons[reason] += 1
                if len(self.skipped) < SHOWN:
                    self.skipped.append((name, number, reason))
            if len(self.end) == self.starts[-1] and number >= MOST_FOREIGN:
                break  # no access log: `nothing` says so

    def add(self, line: Line) -> str:
        """Add a line's request; return "" or why it cannot be read."""
        if line.stamp != self.stamp:  # most lines share the second of the line before
            try:
                self.moment = moment(line.stamp)
            except ValueError:
                return "a time that does not exist"
            self.stamp = line.stamp
        attempts = line.attempts
        if line.request_time > LONGEST_S or any(item.time > LONGEST_S for item in attempts):
            return "a time of more than 30 years"
        counted = last_attempt(attempts)
        if counted is None:
            upstream, service = NO_UPSTREAM, float("nan")
            self.default_lines += bool(attempts)
        else:
            upstream, service = self.upstreams.number(counted.address), counted.time
            self.answered[line.backend, counted.address] += 1
            if line.status in FAILED or counted.status in _FAILED_TEXT:
                service = float("nan")
        self._count(line)
        self.end.append(self.moment.second)
        self.fraction.append(self.moment.fraction)
        if self.moment.decimals:
            self.decimals[self.moment.decimals] += 1
        self.request_time.append(line.request_time)
        self.service.append(service)
        self.status.append(line.status)
        self.attempts.append(min(len(attempts), 255))
        self.client.append(self.clients.number(line.client))
        self.key.append(self.keys.number(key_of(line.request)))
        self.backend.append(self.backends.number(line.backend))
        self.upstream.append(upstream)
        self.older_lines += line.older
        self.lost_blanks += line.lost_blank
        self.without_codes += not line.has_codes
        if len(self.end) % ROWS == 0:
            self._spill()
        return ""

    def _spill(self) -> None:
        for name in COLUMNS:
            getattr(self, name).spill()

    def _count(self, line: Line) -> None:
        """Count tries and failures by upstream; a try before another one has failed."""
        tries = [item for item in line.attempts if item.address != DEFAULT_BACKEND]
        self.multi_lines += len(line.attempts) > 1
        for position, item in enumerate(tries, 1):
            self.tried[line.backend, item.address] += 1
            if position < len(tries) or item.status in _FAILED_TEXT:
                self.failed[line.backend, item.address] += 1

    def nothing(self, name: str) -> str:
        """Return the sentence for a file without a readable line."""
        if not self.n_lines:
            return f"{name}: is empty; write it with: kubectl logs POD-OF-THE-CONTROLLER"
        reason, _ = self.reasons.most_common(1)[0]
        first = next((item for item in self.skipped if item[0] == name), self.skipped[-1])
        return (
            f"{name}:{first[1]}: none of the {self.n_lines} lines is an access line of "
            f"ingress-nginx in its upstreaminfo format, nor JSON or combined with upstream fields "
            f"({reason}); give the log of the controller's pod"
        )

    def result(self) -> AccessLog:
        """Return the columns."""
        columns = {name: getattr(self, name).result() for name in COLUMNS}
        return AccessLog(
            **columns,
            clients=self.clients,
            keys=self.keys,
            backends=tuple(self.backends),
            upstreams=tuple(self.upstreams),
            starts=np.array(self.starts, np.int64),
            tried=_by_text(self.tried),
            answered=_by_text(self.answered),
            failed=_by_text(self.failed),
            older_lines=self.older_lines,
            default_backend_lines=self.default_lines,
            multi_attempt_lines=self.multi_lines,
            lost_blanks=self.lost_blanks,
            files=tuple(self.files),
            lines=self.n_lines,
            n_skipped=sum(self.reasons.values()),
            skipped=tuple(self.skipped),
            notes=tuple(self._notes()),
        )

    def _notes(self) -> list[str]:
        notes = [f"{len(self.end)} of {self.n_lines} lines read"]
        skipped = sum(self.reasons.values())
        if skipped:
            why = ", ".join(f"{reason}: {n}" for reason, n in self.reasons.most_common())
            first = ", ".join(f"{path}:{number}" for path, number, _ in self.skipped)
            notes.append(f"lines that cannot be read: {skipped} ({why}); the first: {first}")
        if self.lost_blanks:
            notes.append(
                "lines that have lost the blank between upstream status and request id, and were "
                f"read all the same: {self.lost_blanks}"
            )
        if self.without_codes:
            notes.append(
                "lines without upstream status: the response's counts for the last attempt, the "
                f"attempts before it have failed: {self.without_codes}"
            )
        if self.multi_lines:
            notes.append(f"lines with several attempts: {self.multi_lines}")
        if self.decimals:
            which = ", ".join(f"{name}: {n}" for name, n in self.decimals.items())
            notes.append(f"lines whose time has fractions of a second, used as they are ({which})")
        if self.default_lines:
            notes.append(
                f"requests answered by the controller's default backend: {self.default_lines}"
            )
        return notes


_FAILED_TEXT = frozenset(str(status).encode() for status in FAILED) | {b"-"}


def _watched(path: str | Path, progress: Progress | None) -> Iterator[bytes]:
    """Yield the lines of ``path`` and report how far they are."""
    if progress is None:
        yield from lines(path)
        return
    name = named(path)
    plain = name != STDIN and not name.endswith(".gz") and Path(path).is_file()
    total = Path(path).stat().st_size if plain else None
    done = 0
    for number, text in enumerate(lines(path)):
        if number % REPORT_EVERY == 0:
            progress(f"reading {name}", done, total)
        done += len(text) + 1
        yield text
    progress(f"reading {name}", done, done)


def _by_text(counts: Counter[tuple[bytes, bytes]]) -> dict[tuple[str, str], int]:
    def text(name: bytes) -> str:
        return name.decode("utf-8", "backslashreplace")

    return {(text(a), text(b)): n for (a, b), n in counts.items()}

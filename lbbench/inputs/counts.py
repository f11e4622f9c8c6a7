"""Counted things as people paste them: ``sort | uniq -c``, ``name count``, ``name: count``, CSV.

Which of the columns is the count is told from all lines together, because ``10 20`` alone could be
either. Three columns are groups (``run label count``), each of them counted for itself.
"""

from __future__ import annotations

import csv
import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from lbbench.errors import InputError
from lbbench.inputs.imported import SCHEMA, UTILISATION, Imported, plain, put
from lbbench.inputs.placement import place, with_port
from lbbench.inputs.source import Skipped, lines, listed, named

LARGEST = 10**15
"""A larger count is a mistake; up to here every sum of them is exact."""

LONGEST_NAME = 60
SHOWN = 10
MOST_LABELS = 100_000
LONGEST = 10_000
"""Bytes of a line: no label is so long."""

HEADS = ("count", "counts", "requests", "connections", "hits", "n", "total", "number")
"""Names of a column of counts in a head line."""

_NUMBER = re.compile(r"^\d{1,3}(?:,\d{3})+$|^\d+$")
_SEPARATED = re.compile(r"[,;\t|]")


@dataclass(slots=True)
class Counts:
    """Counts by label, in groups; a file without groups has one called "".

    Attributes
    ----------
    groups
        Count by label by group, in the order of the input.
    places
        Line of each group's first count: (file, number).
    skipped
        The first ten lines that hold no count; ``n_skipped`` are all.
    """

    files: list[str] = field(default_factory=list)
    groups: dict[str, dict[str, int]] = field(default_factory=dict)
    places: dict[str, tuple[str, int]] = field(default_factory=dict)
    notes: list[str] = field(default_factory=list)
    skipped: list[Skipped] = field(default_factory=list)
    n_skipped: int = 0

    def skip(self, line: Skipped) -> None:
        """Count a line that holds no count."""
        self.n_skipped += 1
        if len(self.skipped) < SHOWN:
            self.skipped.append(line)

    def chosen(self, group: str | None = None) -> str:
        """Return ``group`` if it is there; None is the only one.

        Raises
        ------
        InputError
            When there are several, or not this one.
        """
        if group is None and len(self.groups) == 1:
            return next(iter(self.groups))
        if group in self.groups:
            return str(group)
        known = ", ".join(_short(name) for name in list(self.groups)[:SHOWN])
        if group is None:
            raise InputError(
                f"{self.files[0]}:1: counts of {len(self.groups)} groups ({known}); "
                "choose one with --service"
            )
        raise InputError(f"{self.files[0]}:1: no group {_short(group)!r} among the counts: {known}")


def read_counts(paths: str | Path | Sequence[str | Path]) -> Counts:
    """Return the counts in ``paths``; the same label again is added.

    Raises
    ------
    InputError
        When a file cannot be read, or none of its lines is a label with a count.
    """
    found = Counts()
    for path in listed(paths):
        name = named(path)
        found.files.append(name)
        rows: list[tuple[int, list[str]]] = []
        for number, raw in enumerate(lines(path), 1):
            if len(raw) > LONGEST:
                found.skip((name, number, f"longer than {LONGEST} bytes"))
                continue
            words = _words(raw.decode("utf-8", "backslashreplace"))
            if words:
                rows.append((number, words))
            if len(rows) > MOST_LABELS:
                raise InputError(
                    f"{name}:{number}: more than {MOST_LABELS} lines: no table of counts; count "
                    "them first with: sort | uniq -c"
                )
        _add(found, name, rows)
    return found


def _words(line: str) -> list[str]:
    """Return the columns of a line, none for a comment or a rule of hyphens."""
    text = line.strip().strip("|").strip()
    if not text or text.startswith("#") or not text.strip("-=+| :"):
        return []
    mark = _SEPARATED.search(text)
    if mark and (mark[0] != "," or not _thousands(text)):
        row = next(csv.reader([text.replace("\0", "")], delimiter=mark[0]), [])
        return [word.strip() for word in row if word.strip()]
    head, colon, tail = text.rpartition(":")
    if colon and head and tail[:1].isspace() and _NUMBER.match(tail.strip()):
        return [head.strip(), tail.strip()]
    words = text.split()
    # uniq -c of lines with blanks: the count, and all the rest is the label
    if len(words) > 3 and _NUMBER.match(words[0]) and not _NUMBER.match(words[-1]):
        return [words[0], " ".join(words[1:])]
    return words


def _thousands(text: str) -> bool:
    """Tell whether the commas of a line are those within its numbers."""
    return all(_NUMBER.match(word) for word in text.replace(": ", " ").split() if "," in word)


def _add(found: Counts, name: str, rows: Sequence[tuple[int, list[str]]]) -> None:
    if not rows and found.skipped and found.skipped[-1][0] == name:
        number, why = found.skipped[-1][1:]
        raise InputError(
            f"{name}:{number}: no label with a count in it ({why}); give lines such as those of: "
            "sort | uniq -c"
        )
    if not rows:
        raise InputError(f"{name}:1: is empty; give lines such as those of: sort | uniq -c")
    width = Counter(len(words) for _, words in rows).most_common(1)[0][0]
    if width not in {1, 2, 3}:
        width = 2
    at = _column(rows, width)
    before, sums = len(found.groups), 0
    for number, words in rows:
        reason = _row(found, (name, number), words, width, at)
        if reason == "again":
            sums += 1
        elif reason and number == rows[0][0] and any(w.lower() in HEADS for w in words):
            continue  # the head of a table
        elif reason:
            found.skip((name, number, reason))
    if sums:
        found.notes.append(f"{name}: {sums} labels appear again: their counts are added")
    if (
        len(found.groups) == before
        and not any(p[0] == name for p in found.places.values())
        and not sums
    ):
        number, why = found.skipped[-1][1:] if found.skipped else (rows[0][0], "only a head")
        raise InputError(
            f"{name}:{number}: no label with a count in it ({why}, {len(rows)} lines); give lines "
            "such as those of: sort | uniq -c"
        )


def _column(rows: Sequence[tuple[int, list[str]]], width: int) -> int:
    """Return which column holds the counts: the first, as ``uniq -c`` has it, or the last."""
    full = [words for _, words in rows if len(words) == width]
    head = [word.lower() for word in full[0]] if full else []
    for i in (width - 1, 0):
        if head and head[i] in HEADS:
            return i
    last, first = (sum(bool(_NUMBER.match(words[i])) for words in full) for i in (width - 1, 0))
    return 0 if first > last or (first == last > 0 and width == 2) else width - 1


def _row(found: Counts, place: tuple[str, int], words: list[str], width: int, at: int) -> str:
    """Add one line; return "" , "again" for a label that was there, or what is wrong."""
    if len(words) != width:
        return f"{len(words)} columns where others have {width}"
    text = words[at]
    if not _NUMBER.match(text):
        return f"{text[:40]!r} is no count"
    count = int(text.replace(",", "")) if len(text) < 22 else LARGEST + 1
    if count > LARGEST:
        return f"a count of more than {LARGEST}"
    rest = words[:at] + words[at + 1 :]
    label, group = (rest[-1] if rest else f"line {place[1]}"), (rest[0] if width == 3 else "")
    table = found.groups.setdefault(group, {})
    found.places.setdefault(group, place)
    if label not in table and len(table) >= MOST_LABELS:
        return f"more than {MOST_LABELS} labels"
    again = label in table
    table[label] = table.get(label, 0) + count
    return "again" if again else ""


def from_counts(counts: Counts, group: str | None = None) -> Imported:
    """Return a scenario whose pods are the labels, with what was counted beside them.

    Raises
    ------
    InputError
        When there are several groups and none is chosen.
    """
    chosen = counts.chosen(group)
    table = counts.groups[chosen]
    name, line = counts.places[chosen]
    imported = Imported({}, list(counts.notes), list(counts.skipped))
    if counts.n_skipped:
        imported.notes.append(f"lines that hold no count, left out: {counts.n_skipped}")
    scenario = imported.scenario
    scenario |= {"schema": SCHEMA, "name": plain(chosen or Path(name).stem), "path": "service"}
    addresses = {label: with_port(label) for label in table}
    known = [address for address in addresses.values() if address]
    pods: list[dict[str, str]]
    names = {label: address or label for label, address in addresses.items()}
    if len(set(known)) == len(table):
        placement = place(known)
        imported.notes.append(placement.note)
        put(scenario, "cluster.nodes", [{"name": name} for name in placement.nodes])
        pods = [
            {"name": f"pod-{i}", "node": placement.node_of[address], "address": address}
            for i, address in enumerate(known)
        ]
    else:
        names = _names(list(table))
        pods = [{"name": name} for name in names.values()]
        imported.notes.append("labels are names: the pods are called so, their nodes are assumed")
    put(scenario, "cluster.pods", pods)
    put(scenario, "traffic.utilisation", UTILISATION)
    imported.notes.append(
        f"{name}:{line}: {sum(table.values())} counted in {len(table)} labels; they tell no rate: "
        f"utilisation {UTILISATION} is assumed; lbbench fit tells whether they are chance"
    )
    put(
        scenario,
        "observed",
        {
            "pods": {names[label]: n for label, n in table.items()},
            "requests": sum(table.values()),
            "note": "counts" + (f" of {chosen}" if chosen else ""),
        },
    )
    for key in ("cluster", "traffic", "observed"):
        imported.sources[key] = f"{name}:{line}"
    return imported


def _names(labels: Sequence[str]) -> dict[str, str]:
    """Return labels as names of pods: printable, short enough, no two alike."""
    found: dict[str, str] = {}
    taken: set[str] = set()
    for i, label in enumerate(labels):
        name = "".join(sign if sign.isprintable() else "?" for sign in label[:240]).strip() or "?"
        name = f"{name}-{i}" if name in taken else name
        taken.add(name)
        found[label] = name
    return found


def _short(name: str) -> str:
    """Return the name of a group as messages show it."""
    return name if len(name) <= LONGEST_NAME else f"{name[: LONGEST_NAME - 3]}..."

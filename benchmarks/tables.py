"""The tables of speed in docs/how-to/speed-and-memory.md and the league's in README.md.

    python -m benchmarks.tables FILE.json ... [--into PAGE.md]
    python -m benchmarks.tables --compare BEFORE.json AFTER.json

They are written from the figures and never typed. A FILE is what ``pytest --benchmark
--benchmark-json``, ``python -m benchmarks.ratios --json`` or ``lbbench compare --all --out`` (its
league.json) wrote. The tables stand between two markers in the page. Figures of different machines
are not refused, but a sentence says so, in the tables too; nothing is left out without a word.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from benchmarks import league_tables
from benchmarks.lines import SCHEMA, amount
from lbbench.errors import LbbenchError

BEGIN = "<!-- benchmarks: begin -->"
END = "<!-- benchmarks: end -->"
NOTHING = "–"


@dataclass(frozen=True)
class Figures:
    """What one file says: pytest's benchmarks, the lines of the ratios or a league; from where."""

    source: str
    machine: Mapping[str, Any]
    benchmarks: Sequence[Mapping[str, Any]] = ()
    lines: Sequence[Mapping[str, Any]] = ()
    league: Mapping[str, Any] | None = None

    @property
    def place(self) -> str:
        """Return the machine in words."""
        known = self.machine
        versions = [
            f"{name} {known[name]}" for name in ("python", "numpy", "numba") if name in known
        ]
        cores = f"{known.get('cores', 'unknown number of')} cores"
        said = [
            known.get("processor", "unknown processor"),
            cores,
            known.get("system", ""),
            *versions,
        ]
        return ", ".join(str(part) for part in (*said, known.get("compiler", "")) if part)


def read(path: Path) -> Figures:
    """Return the figures of a file.

    Raises
    ------
    LbbenchError
        When it cannot be read, or holds neither kind of figures.
    """
    try:
        data = json.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise LbbenchError(f"{path}: cannot be read: {error.strerror}") from None
    except json.JSONDecodeError as error:
        raise LbbenchError(f"{path}: line {error.lineno}: no JSON: {error.msg}") from None
    if isinstance(data, dict) and data.get("schema") == SCHEMA:
        return Figures(str(path), data["machine"], lines=data["lines"])
    if isinstance(data, dict) and data.get("schema") == league_tables.SCHEMA:
        return Figures(str(path), data["machine"], league=data)
    if isinstance(data, dict) and "benchmarks" in data:
        benchmarks = data["benchmarks"]
        machines = [item["extra_info"].get("machine") for item in benchmarks]
        if not machines or machines[0] is None:
            raise LbbenchError(f"{path}: holds no benchmark that tells its machine")
        return Figures(str(path), machines[0], benchmarks=benchmarks)
    raise LbbenchError(
        f"{path}: holds neither {SCHEMA} nor the figures of pytest --benchmark, nor a league"
    )


def differences(figures: Sequence[Figures]) -> list[str]:
    """Return a sentence for every file that is from another machine than the first."""
    first = figures[0]
    said = []
    for other in figures[1:]:
        if dict(other.machine) != dict(first.machine):
            keys = {*first.machine, *other.machine}
            unlike = sorted(k for k in keys if first.machine.get(k) != other.machine.get(k))
            said.append(
                f"{first.source} is from {first.place}, {other.source} from {other.place}: they "
                f"differ in {', '.join(unlike)}, so only ratios within one file compare"
            )
    return said


# --- tables ---------------------------------------------------------------------------------------


def tables(figures: Sequence[Figures]) -> tuple[str, list[str]]:
    """Return the tables as Markdown and the names of the benchmarks that are in none."""
    lines = [line for item in figures for line in item.lines]
    rows = [item for figure in figures for item in figure.benchmarks]
    parts = [
        _of_ratios(lines, "bare", "Balancers alone, and C at the same job with the same methods"),
        _of_ratios(lines, "path", "Whole runs, and C's bare ewma loop with as many pods"),
        _of_ratios(lines, "processes", "Two processes, and one"),
        _of_ratios(lines, "lookup", "Hash lookups, and C's"),
        _of_startup(lines, _group(rows, "startup")),
        _grid(_group(rows, "engine"), "Requests/s of whole runs", "requests_per_s", _speed,
              row=("job", "balancer", "engine"), column="pods", column_name="{} pods"),
        _grid(_group(rows, "peers"), "Requests/s of other programs at the bare job, 16 pods",
              "requests_per_s", _speed, row=("program",), column="balancer"),
        _grid(_picks(rows), "Nanoseconds per pick among n endpoints", "ns_per_pick", _short,
              row=("picker", "program"), column="nodes", column_name="n = {}"),
        _of_quality(_group(rows, "quality")),
        _grid(_at_jobs(rows), "p99 at short versions of the league's jobs, ms",
              "p99_ms", _short, row=("picker",), column="job"),
        *[league_tables.rankings(one.league) for one in figures if one.league is not None],
        _grid(_group(rows, "study"), "Points of a study per second, 20 000 requests each",
              "points_per_s", _short, row=("study",), column="points", column_name="{} points"),
    ]  # fmt: skip
    shown = ("startup", "engine", "peers", "pick", "quality", "league", "study", "bare")
    left = [str(row["name"]) for row in rows if _group_of(row) not in shown]
    head = sorted({f"Measured on: {figure.place}." for figure in figures})
    said = [f"**Note:** {sentence}." for sentence in differences(figures)]
    return "\n\n".join([*head, *said, *[part for part in parts if part]]) + "\n", left


def _of_ratios(lines: Sequence[Mapping[str, Any]], group: str, title: str) -> str:
    """Return the table of one group of the ratios: ours, theirs, ratio, what is promised."""
    rows = []
    for line in lines:
        if line["group"] != group:
            continue
        promise = NOTHING if line["bound"] is None else f"{line['side']} {line['bound']:g}"
        ours = amount(line["our_median"], line["unit"])
        theirs = amount(line["their_median"], line["unit"])
        said = f"{line['ratio']:.2f}{'' if line['holds'] is not False else ' (missed)'}"
        rows.append([line["name"], ours, theirs, said, promise])
    return _table(title, ["", "lbbench", "the other", "ratio", "promised"], rows)


def _of_startup(lines: Sequence[Mapping[str, Any]], rows: Sequence[Mapping[str, Any]]) -> str:
    """Return the seconds a user waits; those of the ratios where both are there."""
    body = []
    for line in lines:
        if line["group"] == "startup":
            missed = " (missed)" if line["holds"] is False else ""
            promise = f"{line['side']} {line['bound']:g} s"
            body.append([line["name"], f"{line['our_median']:.3g} s{missed}", promise])
    if not body:
        known = [row["extra_info"] for row in rows]
        body = [[info["what"], f"{info['seconds']:.3g} s", NOTHING] for info in known]
    return _table("Seconds until something is there, fresh processes", ["", "waits", "promised"],
                  body)  # fmt: skip


def _of_quality(rows: Sequence[Mapping[str, Any]]) -> str:
    """Return balance and remap by balancer."""
    body = []
    for row in rows:
        info = row["extra_info"]
        moved = NOTHING
        if info["moved"] is not None:
            moved = f"{info['moved']:.1%} of {info['least']:.1%}"
        body.append([info["picker"], str(info["nodes"]), f"{info['max_over_mean']:.3f}",
                     f"{info['cov']:.3f}", moved, _short(info["ns_per_pick"])])  # fmt: skip
    head = ["balancer", "endpoints", "largest / mean", "cov", "moves of must", "ns"]
    return _table("Balance of 20 000 picks, keys that move when an endpoint leaves", head, body)


def _grid(
    rows: Sequence[Mapping[str, Any]],
    title: str,
    figure: str,
    shown: Any,
    *,
    row: Sequence[str],
    column: str,
    column_name: str = "{}",
) -> str:
    """Return a table of one figure by the values of some fields of ``extra_info``."""
    known = [item["extra_info"] for item in rows]
    columns = list(dict.fromkeys(info[column] for info in known))
    cells: dict[tuple[str, ...], dict[Any, str]] = {}
    for info in known:
        name = tuple(str(info[field]) for field in row)
        cells.setdefault(name, {})[info[column]] = shown(info[figure])
    head = [*row, *[column_name.format(value) for value in columns]]
    body = [[*name, *[found.get(value, NOTHING) for value in columns]]
            for name, found in cells.items()]  # fmt: skip
    return _table(title, head, body)


def _picks(rows: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """Return the picks as rows of one kind: C tells several at once."""
    found: list[dict[str, Any]] = []
    for row in _group(rows, "pick"):
        info = row["extra_info"]
        of_c = [{"picker": item["picker"], "program": "C", "nodes": item["nodes"],
                 "ns_per_pick": item["ns"]} for item in info.get("pickers", [])]  # fmt: skip
        found += [{"extra_info": item} for item in of_c or [info]]
    return sorted(found, key=lambda item: item["extra_info"]["nodes"])


def _at_jobs(rows: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """Return the benchmarks at the league's jobs with their p99 in milliseconds."""
    return [
        {"extra_info": {**row["extra_info"], "p99_ms": 1e3 * row["extra_info"]["p99"]["value"]}}
        for row in _group(rows, "league")
        if row["extra_info"]["p99"]["value"] is not None
    ]


def _group(rows: Sequence[Mapping[str, Any]], name: str) -> list[Mapping[str, Any]]:
    return [row for row in rows if _group_of(row) == name]


def _group_of(row: Mapping[str, Any]) -> str:
    return str(row["group"]).partition(":")[0]


def _speed(value: float) -> str:
    return amount(value, "requests/s")


def _short(value: float) -> str:
    return f"{value:.3g}" if value < 1000 else f"{value:,.0f}"


def _table(title: str, head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """Return a Markdown table under its title; nothing without rows."""
    if not rows:
        return ""
    rule = ["---", *["---:"] * (len(head) - 1)]
    body = "\n".join(f"| {' | '.join(cells)} |" for cells in (head, rule, *rows))
    return f"{title}:\n\n{body}"


# --- into a file, against another file ------------------------------------------------------------


def put_between(text: str, made: str, name: str) -> str:
    """Return ``text`` with ``made`` between the markers.

    Raises
    ------
    LbbenchError
        When the markers are not there once each, in order.
    """
    if text.count(BEGIN) != 1 or text.count(END) != 1 or text.index(BEGIN) > text.index(END):
        raise LbbenchError(f"{name}: the tables go between one line {BEGIN} and one line {END}")
    before, after = text.partition(BEGIN)[0], text.partition(END)[2]
    return f"{before}{BEGIN}\n{made}{END}{after}"


def compared(before: Figures, after: Figures) -> tuple[str, list[str]]:
    """Return a table of what both files have, and sentences on what does not compare."""
    old, new = _medians(before), _medians(after)
    both = [name for name in old if name in new]
    rows = [[name, f"{old[name]:.4g}", f"{new[name]:.4g}", f"{new[name] / old[name]:.3f}"]
            for name in both]  # fmt: skip
    said = differences([before, after])
    for one, other, figures in ((old, new, before), (new, old, after)):
        alone = [name for name in one if name not in other]
        if alone:
            said.append(f"only {figures.source} has {', '.join(alone)}")
    return _table("Medians before and after", ["", "before", "after", "ratio"], rows), said


def _medians(figures: Figures) -> dict[str, float]:
    """Return the median of every benchmark (seconds) and of every line (its unit) by name."""
    timed = {str(item["name"]): float(item["stats"]["median"]) for item in figures.benchmarks}
    lines = {f"{line['group']}: {line['name']}, {line['unit']}": float(line["our_median"])
             for line in figures.lines}  # fmt: skip
    return {**timed, **lines}


def main(arguments: Sequence[str] | None = None) -> int:
    """Write or print tables; 2 when something cannot be read or has no place to go to."""
    parser = argparse.ArgumentParser(prog="benchmarks.tables", description="tables of figures")
    parser.add_argument("files", nargs="+", type=Path, metavar="FILE.json")
    parser.add_argument("--into", type=Path, help="write between this file's markers")
    parser.add_argument("--compare", action="store_true", help="two files: before, after")
    asked = parser.parse_args(arguments)
    if asked.compare and (len(asked.files) != 2 or asked.into is not None):
        parser.error("--compare takes two files and prints; leave --into out")
    try:
        figures = [read(path) for path in asked.files]
        if asked.compare:
            made, said = compared(*figures)
        else:
            made, left = tables(figures)
            said = differences(figures)
            said += [f"in no table: {', '.join(left)}"] if left else []
        if asked.into is None:
            print(made)
        else:
            old = asked.into.read_text(encoding="utf-8")
            asked.into.write_text(put_between(old, made, str(asked.into)), encoding="utf-8")
    except LbbenchError as error:
        print(error, file=sys.stderr)
        return 2
    except OSError as error:
        print(f"{asked.into}: {error.strerror}", file=sys.stderr)
        return 2
    for sentence in said:
        print(f"warning: {sentence}", file=sys.stderr)
    return 0


if __name__ == "__main__":
    sys.exit(main())

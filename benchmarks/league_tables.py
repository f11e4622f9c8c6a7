"""Tables of a league in Markdown, from its document (schema lbbench.league/1) and never typed."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from benchmarks.shipped_tables.cells import NOTHING, short, table
from lbbench.report.league import about, half, missing, times
from lbbench.report.units import count

SCHEMA = "lbbench.league/1"

Document = Mapping[str, Any]

WHO = {"ingress": "balancer", "service": "mode"}


def rankings(document: Document) -> str:
    """Return the ranking of every path with how it is to be read; the ingress path first."""
    return "\n\n".join(ranking(document, one["path"]) for one in document["rankings"])


def ranking(document: Document, path: str) -> str:
    """Return who is how far from the best over all jobs of a path."""
    one = next(one for one in document["rankings"] if one["path"] == path)
    heads = ["", WHO[path], "p99 / best (95 %)", "p50 / best (95 %)", "max/mean", "errors, %",
             "session loss, %", "M picks/s"]  # fmt: skip
    rows = [
        [
            str(row["place"]),
            row["name"],
            _ratio(row["p99_to_best"]),
            _ratio(row["p50_to_best"]),
            *_shares(row),
        ]
        for row in one["entrants"]
    ]
    return f"{made_of(document, one)}\n\n{table(heads, rows, left=2)}"


def tails(document: Document, path: str = "ingress") -> str:
    """Return the p99 of every entrant at every job of a path, milliseconds, or what it fails."""
    one = next(one for one in document["rankings"] if one["path"] == path)
    jobs = [job for job in document["jobs"] if job["path"] == path]
    known = {job["name"]: {row["name"]: row for row in job["entrants"]} for job in jobs}
    names = [row["name"] for row in one["entrants"]] + list(one["partly"])
    rows = [[name, *(_tail(known[job["name"]].get(name)) for job in jobs)] for name in names]
    return table([WHO[path], *(job["name"] for job in jobs)], rows)


def left_out(document: Document) -> str:
    """Return who could not do a job, and why; a sentence when everybody could."""
    lines = [
        f"- {job['name']}: {', '.join(names)}: {reason}"
        for job in document["jobs"]
        for names, reason in missing(job)
    ]
    lines += [f"- picks/s of {one['balancer']}: {one['reason']}" for one in document["no_picks"]]
    return "\n".join(lines) or "Everybody did every job."


def made_of(document: Document, one: Document) -> str:
    """Return what a ranking rests on: jobs, runs, seed, version, and how it is to be read."""
    jobs = [job for job in document["jobs"] if job["name"] in one["jobs"]]
    runs = sorted({job["replications"] for job in jobs})
    asked = sorted({job["scenario"]["run"].get("requests") or 0 for job in jobs})
    seeds = sorted({job["seed"] for job in jobs})
    text = (
        f"{len(jobs)} jobs ({', '.join(one['jobs'])}), {_some(runs)} x {_some(asked)} requests "
        f"each, seed {_some(seeds)}, lbbench {document['version']}."
    )
    return " ".join([text, *about(one)])


def _tail(row: Document | None) -> str:
    if row is None:
        return NOTHING
    if row["fails"]:
        return f"{100.0 * row['error_rate']['value']:.1f} % fail"
    value, ci95 = row["p99"]["value"], row["p99"]["ci95"]
    if value is None:
        return NOTHING
    if ci95 is None:
        return f"{short(1e3 * value)} (no interval)"
    return f"{short(1e3 * value)} ({short(1e3 * ci95[0])}–{short(1e3 * ci95[1])})"


def _ratio(figure: Document) -> str:
    value, ci95 = figure["value"], figure["ci95"]
    if value is None:
        return NOTHING
    return times(value) if ci95 is None else f"{times(value)} ({times(ci95[0])}–{times(ci95[1])})"


def _shares(row: Document) -> list[str]:
    return [
        _plus_minus(row["max_over_mean"], 1.0, 3),
        _plus_minus(row["error_rate"], 100.0, 2),
        _plus_minus(row["session_loss"], 100.0, 2),
        _plus_minus(row["picks_per_s"], 1e-6, 1),
    ]


def _plus_minus(figure: Document, scale: float, digits: int) -> str:
    if figure["value"] is None:
        return NOTHING
    text, error = f"{scale * figure['value']:.{digits}f}", half(figure, scale)
    return text if error is None else f"{text} ± {error:.{digits}f}"


def _some(numbers: Sequence[int]) -> str:
    return " or ".join(map(count, numbers))

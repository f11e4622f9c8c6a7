"""The tables of the shipped studies in results/, written from their ledgers and never typed.

    python -m benchmarks.shipped results/ewma-herding results/scale-out

Each table of a README stands between the two lines ``<!-- NAME: begin -->`` and ``<!-- NAME: end
-->``. The ledgers (``study.sqlite`` and those beside it) are what ``make ewma-herding`` and its
like leave there.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from benchmarks.shipped_tables import ewma_herding, local_or_cluster, scale_out
from lbbench.errors import LbbenchError
from lbbench.studies.study import Study

TABLES: Mapping[str, Mapping[str, Mapping[str, Callable[[Study], str]]]] = {
    "ewma-herding": {
        "study": {
            "means": ewma_herding.means,
            "ratios": ewma_herding.ratios,
            "tails": ewma_herding.tails,
        },
        "unlike-pods": {"unlike": ewma_herding.unlike},
    },
    "local-or-cluster": {
        "study": {
            "shares": local_or_cluster.shares,
            "latency": local_or_cluster.latency,
            "ratios": local_or_cluster.ratios,
        },
        "hops": {"hops": local_or_cluster.hops, "crossing": local_or_cluster.crossing},
    },
    "scale-out": {
        "study": {
            "sessions": scale_out.sessions,
            "load": scale_out.load,
            "tail": scale_out.tail,
        },
        "keep-alive": {"keep-alive": scale_out.keep_alive},
    },
}
"""By folder and ledger: the tables by the name of their markers."""


def put(text: str, name: str, made: str, place: str) -> str:
    """Return ``text`` with ``made`` between the markers of ``name``.

    Raises
    ------
    LbbenchError
        When the markers are not there once each, in order.
    """
    begin, end = f"<!-- {name}: begin -->", f"<!-- {name}: end -->"
    if text.count(begin) != 1 or text.count(end) != 1 or text.index(begin) > text.index(end):
        raise LbbenchError(f"{place}: the table goes between one line {begin} and one line {end}")
    before, after = text.partition(begin)[0], text.partition(end)[2]
    return f"{before}{begin}\n{made}\n{end}{after}"


def fill(folder: Path) -> None:
    """Write the tables of the study in ``folder`` into its README."""
    page = folder / "README.md"
    text = page.read_text(encoding="utf-8")
    for ledger, tables in TABLES[folder.name].items():
        with Study.open(folder / f"{ledger}.sqlite") as study:
            for name, build in tables.items():
                text = put(text, name, build(study), str(page))
    page.write_text(text, encoding="utf-8")


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line of this file and return its exit status."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.shipped", description=__doc__)
    parser.add_argument("folders", nargs="+", type=Path, metavar="FOLDER")
    for folder in parser.parse_args(arguments).folders:
        fill(folder)
        print(f"{folder}/README.md: tables written")
    return 0


if __name__ == "__main__":
    try:
        sys.exit(main())
    except LbbenchError as error:
        sys.exit(f"error: {error}")

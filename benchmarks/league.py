"""Writes what rests on the league of results/: its README's tables, what the package ships of it.

    lbbench compare --all --out results/league
    python -m benchmarks.league results/league

``make league`` does both, and the README's table (`benchmarks.tables`) and the generated pages of
the documentation (`docs.generate`) with them. Nothing is typed.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from benchmarks.league_tables import SCHEMA, left_out, ranking, tails
from benchmarks.shipped import put
from lbbench.errors import LbbenchError
from lbbench.report.relatives import MEASURED, of_league

TABLES: Mapping[str, Callable[[Mapping[str, Any]], str]] = {
    "ranking": lambda document: ranking(document, "ingress"),
    "tails": tails,
    "modes": lambda document: ranking(document, "service"),
    "mode-tails": lambda document: tails(document, "service"),
    "left-out": left_out,
}
"""By the name of their markers in results/league/README.md."""


def read(folder: Path) -> dict[str, Any]:
    """Return the document of a league's folder.

    Raises
    ------
    LbbenchError
        When there is none, or it is not of all jobs.
    """
    path = folder / "league.json"
    try:
        found: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, json.JSONDecodeError) as error:
        raise LbbenchError(f"{path}: cannot be read ({error}); make it with make league") from None
    if found.get("schema") != SCHEMA or len(found.get("rankings") or ()) != 2:
        raise LbbenchError(f"{path}: is not the league of all jobs; make it with make league")
    return found


def filled(text: str, document: Mapping[str, Any], name: str) -> str:
    """Return the text of the league's page with its tables between their markers.

    Raises
    ------
    LbbenchError
        When a marker is missing.
    """
    for marker, build in TABLES.items():
        text = put(text, marker, build(document), name)
    return text


def shipped(document: Mapping[str, Any]) -> str:
    """Return the text of what the package ships of a league."""
    return json.dumps(of_league(document), indent=1, ensure_ascii=False) + "\n"


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line of this file and return its exit status."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.league", description=__doc__)
    parser.add_argument("folder", type=Path, metavar="FOLDER")
    parser.add_argument("--ship", type=Path, default=MEASURED, help="the package's own file")
    asked = parser.parse_args(arguments)
    try:
        document = read(asked.folder)
        page = asked.folder / "README.md"
        made = filled(page.read_text(encoding="utf-8"), document, str(page))
        page.write_text(made, encoding="utf-8")
        asked.ship.parent.mkdir(parents=True, exist_ok=True)
        asked.ship.write_text(shipped(document), encoding="utf-8")
    except (LbbenchError, OSError) as error:
        print(error, file=sys.stderr)
        return 2
    print(f"{page}: tables written; {asked.ship}: {len(document['pairs'])} differences")
    return 0


if __name__ == "__main__":
    sys.exit(main())

"""Write the generated pages of the documentation, or say which ones are not up to date.

``python -m docs.generate`` writes them; with ``--check`` nothing is written, and the status is 1 if
a page would change.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from docs.generator import balancers, checks, commands, gallery, python, reality, scenario

HERE = Path(__file__).parent

PAGES: Mapping[str, Callable[[], str]] = {
    "balancers.md": balancers.build,
    "gallery.md": gallery.build,
    "reality.md": reality.build,
    "reference/checks.md": checks.build,
    "reference/commands.md": commands.build,
    "reference/python.md": python.build,
    "reference/scenario.md": scenario.build,
}
"""What makes each generated page, by its path below this folder."""


def stale(folder: Path = HERE) -> list[str]:
    """Return the generated pages below ``folder`` that are missing or differ from what is made."""
    return [name for name, build in PAGES.items() if _text(folder / name) != build()]


def write(folder: Path = HERE) -> list[str]:
    """Write the pages that are not up to date, and return their names."""
    changed = stale(folder)
    for name in changed:
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(PAGES[name](), encoding="utf-8")
    return changed


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line of this file and return its exit status."""
    parser = argparse.ArgumentParser(prog="python -m docs.generate", description=__doc__)
    parser.add_argument("--check", action="store_true", help="write nothing; 1 if pages are stale")
    given = parser.parse_args(arguments)
    names = stale() if given.check else write()
    what = "is not up to date: run python -m docs.generate" if given.check else "written"
    for name in names:
        sys.stdout.write(f"docs/{name}: {what}\n")
    return 1 if given.check and names else 0


def _text(path: Path) -> str | None:
    return path.read_text(encoding="utf-8") if path.is_file() else None


if __name__ == "__main__":
    sys.exit(main())

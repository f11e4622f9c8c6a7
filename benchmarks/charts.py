"""Charts of the kept figures: what a pick costs, against how evenly it spreads the requests.

    python -m benchmarks.charts FILE.json ... [--into FOLDER]

A FILE is what ``pytest --benchmark --benchmark-json`` wrote; its group ``quality`` has the time per
pick and the shares that came of it. One chart per number of endpoints, as SVG and as PNG.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from benchmarks.tables import Figures, read
from lbbench.balancers.base import registry
from lbbench.errors import LbbenchError
from lbbench.report.charts.pick_cost_against_quality import pick_cost_against_quality
from lbbench.report.charts.picture import Picture, png, svg

FOLDER = Path("results/benchmarks")
GROUP = "quality: "


def pictures(figures: Sequence[Figures]) -> list[Picture]:
    """Return one chart per number of endpoints, of lbbench's own balancers.

    Raises
    ------
    LbbenchError
        When no figure tells what a pick costs.
    """
    by_size: dict[int, dict[str, Mapping[str, Any]]] = {}
    for one in figures:
        for benchmark in one.benchmarks:
            info = benchmark["extra_info"]
            if str(benchmark["group"]).startswith(GROUP) and info["picker"] in registry():
                by_size.setdefault(int(info["nodes"]), {})[info["picker"]] = info
    if not by_size:
        names = ", ".join(one.source for one in figures)
        raise LbbenchError(f"{names}: no figures of the group quality; run make bench first")
    machines = dict.fromkeys(_machine(one.machine) for one in figures if one.benchmarks)
    return [
        pick_cost_against_quality(
            [
                {
                    "balancer": info["picker"],
                    "ns": info["ns_per_pick"],
                    "quality": max(info["max_over_mean"], 1.0),
                }
                for info in some.values()
            ],
            quality="busiest endpoint's share / mean share (ratio)",
            name=f"pick-cost-against-quality-{size}",
            title=f"What a pick costs, and how even the shares are, {size} endpoints",
            note=f"20,000 picks on {' and '.join(machines)}; none waits for an answer.",
        )
        for size, some in sorted(by_size.items())
    ]


def _machine(known: Mapping[str, Any]) -> str:
    return f"{known.get('processor', 'an unknown processor')} with {known.get('cores', '?')} cores"


def main(arguments: Sequence[str] | None = None) -> int:
    """Write the charts; return the exit status."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("files", nargs="+", type=Path, metavar="FILE.json")
    parser.add_argument("--into", type=Path, default=FOLDER, metavar="FOLDER")
    given = parser.parse_args(arguments)
    try:
        made = pictures([read(path) for path in given.files])
        for picture in made:
            path = given.into / picture.name
            path.with_suffix(".svg").write_text(svg(picture), encoding="utf-8")
            path.with_suffix(".png").write_bytes(png(picture))
            print(f"{path}.svg, {path}.png: {picture.title}")
    except (LbbenchError, OSError) as error:
        print(error, file=sys.stderr)
        return 2
    return 0


if __name__ == "__main__":
    sys.exit(main())

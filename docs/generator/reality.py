"""docs/reality.md: recorded runs beside what was predicted, from docs/reality.json."""

from __future__ import annotations

import itertools
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from docs.generator.markdown import escaped, page, prose, table
from lbbench.verify import reality_ensemble, reality_forced, reality_picks, reality_reading
from lbbench.verify.reality_ensemble import LATENCIES, SHARE

FOUND = Path(__file__).parent.parent / "reality.json"

INTRO = """
Does the simulation predict what real programs do? {runs} runs of the real chain were recorded:
kernel iptables, nginx with the unmodified Lua balancers of ingress-nginx, nginx's own and
HAProxy's balancers, with every request's pod and latency. `lbbench verify --reality` takes the
recorded requests through the same scenario and gives a verdict per measure; the status is 1 if one
fails. {verdict}

```text
lbbench verify --reality tests/reality
lbbench verify --reality tests/reality E4_ewma_n10_rho0.7 --replications 50
lbbench verify --reality tests/reality --json reality.json
```

The folder `tests/reality` has the beginnings of {some} of these runs; below is the whole set. The
same chain can be [run anew on your own machine](how-to/live-bed.md).
"""

HAPROXY = """
## HAProxy's random(2) is no ideal power of two choices

At load 0.7 with ten servers 70.7 ms were measured, where two distinct uniform draws give 65.4 ms,
12.6 standard deviations away. The rule explains it: a draw is a hash, and servers own unlike shares
of HAProxy's tree, which has 16 points for each (0.071 to 0.134 of it), so that both draws often
meet in one server. With the real points the balancer `haproxy_random` gives 69.8 ms, and every
statistic lies within two standard deviations, the shares of the single servers included. The
recordings are of 2.6.12, where the later draw wins a tie. By session rate, as in 3.5-dev5, the
shares would be more even than they were (3.3 standard deviations at load 0.7).
"""


def build() -> str:
    """Return the page."""
    found = json.loads(FOUND.read_text(encoding="utf-8"))
    rows = found["runs"]
    runs = [list(group) for _, group in itertools.groupby(rows, key=_run)]
    failed = [row for row in rows if row["verdict"] == "fail"]
    verdict = (
        f"All {len(rows)} measures pass."
        if not failed
        else f"Of {len(rows)} measures {len(failed)} fail; they are marked below."
    )
    recorded = FOUND.parent.parent / "tests" / "reality"
    some = len(list(recorded.glob("*/scenario.yaml")))
    parts = [
        INTRO.format(runs=len(runs), verdict=verdict, some=some),
        *(
            f"## {title}\n\n{prose(module.__doc__ or '')}"
            for title, module in (
                ("What a recording is", reality_reading),
                ("Picks that leave no room", reality_picks),
                ("Parts of the model, the rest taken from the recording", reality_forced),
                ("The free-running prediction", reality_ensemble),
            )
        ),
        HAPROXY,
        f"## Every recorded run: {found['replications']} simulated runs each\n\n"
        "Milliseconds: measured, in brackets mean ± standard deviation of the ensemble.\n\n"
        + table(
            ["run", *LATENCIES, "share", "skewed", "verdict"], [_free(group) for group in runs]
        ),
        "## The exact checks of every run\n\n"
        + table(["run", "claim", "measured", "allowed", "verdict"], list(_exact(rows))),
    ]
    return page("Reality", "`docs/reality.json` and `lbbench/verify/reality*.py`", parts)


def _run(row: Mapping[str, Any]) -> str:
    return f"{row['name']} r{row['repeat']}"


def _free(rows: Sequence[Mapping[str, Any]]) -> list[str]:
    by_name = {row["statistic"]: row for row in rows if row["mean"] is not None}
    cells = [
        f"{1e3 * row['measured']:.1f} ({1e3 * row['mean']:.1f} ± {1e3 * row['sd']:.1f})"
        for row in (by_name[name] for name in LATENCIES)
    ]
    share = by_name[SHARE]
    cells.append(f"{share['measured']:.4f} ({share['mean']:.4f})")
    skewed = [name for name, row in by_name.items() if "tail" in row["note"]]
    failed = [row["statistic"] for row in by_name.values() if row["verdict"] == "fail"]
    verdict = f"**fail**: {', '.join(failed)}" if failed else "pass"
    return [_run(rows[0]), *cells, ", ".join(skewed), verdict]


def _exact(rows: Sequence[Mapping[str, Any]]) -> list[list[str]]:
    return [
        [
            _run(row),
            escaped(row["statistic"]),
            f"{row['measured']:.3g}",
            escaped(row["limit"]),
            row["verdict"] if row["verdict"] == "pass" else "**fail**",
        ]
        for row in rows
        if row["mean"] is None
    ]

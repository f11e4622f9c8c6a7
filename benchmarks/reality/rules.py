"""Connections through the exported rules of a node, against the shares that the rules say."""

from __future__ import annotations

import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.reality.addresses import version_of
from benchmarks.reality.bed import make_bed
from benchmarks.reality.counting import counted
from lbbench.errors import RunError
from lbbench.inputs.iptables.reader import read_iptables
from lbbench.model.scenario import Scenario
from lbbench.packetwalk.ruleset import restore_text
from lbbench.stats.fit import judge

SOURCES = {4: [f"10.1.0.{i}" for i in range(1, 21)], 6: [f"2001:db8:1::{i}" for i in range(1, 21)]}


@dataclass(frozen=True)
class Split:
    """How connections split over n endpoints.

    Attributes
    ----------
    name, node
        The scenario and the node whose rules were loaded.
    endpoints
        Their addresses in the order of the rules.
    shares : float64[n]
        What the importer reads out of the rules.
    counts : int64[n]
        Connections that each endpoint took.
    stray
        Connections that came to pods which the rules do not name.
    """

    name: str
    node: str
    endpoints: tuple[str, ...]
    shares: np.ndarray
    counts: np.ndarray
    stray: int

    @property
    def chi2(self) -> float:
        """Return Pearson's statistic."""
        return judge(self.counts, self.shares).chi2

    @property
    def p(self) -> float:
        """Return the chance of a statistic as large when the rules draw as they say."""
        return judge(self.counts, self.shares).p_high

    def to_dict(self) -> dict[str, Any]:
        """Return the split as plain data."""
        return {
            "name": self.name,
            "node": self.node,
            "endpoints": list(self.endpoints),
            "shares": [round(float(share), 10) for share in self.shares],
            "counts": self.counts.tolist(),
            "stray": self.stray,
            "chi2": round(self.chi2, 3),
            "df": len(self.counts) - 1,
            "p": self.p,
        }


def split_of(scenario: Scenario, connections: int, *, node: str | None = None) -> Split:
    """Send connections through the rules of a node of ``scenario`` and count them.

    Parameters
    ----------
    connections
        How many, from twenty addresses in turn.
    node
        Its name, address or number; the first when not given.

    Raises
    ------
    InputError
        When the scenario has no iptables rules to write.
    RunError
        When the rules name fewer than two endpoints, are not taken, or a connection fails.
    """
    text = restore_text(scenario, node=node)
    endpoints, shares = _law(text)
    if len(endpoints) < 2:
        raise RunError(
            f"{scenario.name}: the rules of node {node or 0} name {len(endpoints)} endpoints, "
            "which leaves nothing to chance; choose a node with two or more"
        )
    sources = SOURCES[version_of(scenario.cluster.vip)]
    with make_bed(scenario, sources) as bed:
        bed.load_rules(text)
        bed.start_pods()
        found = counted(bed.client, scenario.cluster.vip, connections, sources)
        address = [pod.address for pod in bed.topology.pods]
    by_address = {address[pod]: count for pod, count in found.items()}
    counts = np.array([by_address.pop(item, 0) for item in endpoints], np.int64)
    name = text.split(" in ", 1)[0].removeprefix("# Rules of ")
    return Split(scenario.name, name, endpoints, shares, counts, sum(by_address.values()))


def _law(text: str) -> tuple[tuple[str, ...], np.ndarray]:
    """Return the endpoints for traffic from outside and their shares, by the importer."""
    with tempfile.TemporaryDirectory(prefix="lbbench-bed-") as folder:
        path = Path(folder) / "node.rules"
        path.write_text(text, encoding="utf-8")
        (service,) = read_iptables(path).services
    shares = service.external_shares
    return tuple(shares), np.array(list(shares.values()))

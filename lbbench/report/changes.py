"""The tables of a cluster that changes: what each change did, what sessions lost, what was lost."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from rich.text import Text

from lbbench.report.layout import Grid
from lbbench.report.units import count, moment, percent, seconds


def changes_table(changes: Sequence[Mapping[str, Any]]) -> Grid:
    """Return what happened in order, and how long everybody took to follow."""
    rows = [
        [
            str(change["what"]),
            moment(change["at_s"]),
            seconds(change["detect_s"]),
            seconds(change["reroute_s"]),
            seconds(change["recover_s"]),
            count(change["dead"]["attempts"]),
        ]
        for change in changes
    ]
    return Grid(
        "changes of the cluster",
        ["", "at s", "detected", "rerouted", "recovered", "to dead pods"],
        rows,
    )


def affinity_table(affinity: Mapping[str, Any]) -> Grid | None:
    """Return how many requests stayed with their pod; None without sessions and remaps."""
    requests, moved = affinity["requests"], affinity["remap_fraction"]
    unit = affinity.get("unit", "session")
    rows = []
    if requests:
        for name, what in (
            ("kept", "same pod as before"),
            ("session_loss", "another pod, the old one was there"),
            ("forced_loss", "another pod, the old one was gone"),
        ):
            rows.append([what, count(affinity[name]), percent(affinity[name] / requests, 2)])
    if moved:
        rows.append([f"{unit}s moved by a change", "", percent(moved, 2)])
        rows.append([f"{unit}s moved without need", "", percent(affinity["excess_remap"], 2)])
    if not rows:
        return None
    columns = ["", "requests", "%"]
    if not requests:
        rows, columns = [[row[0], row[2]] for row in rows], ["", "%"]
    of = f" of {count(requests)} requests whose session had an answer before" if requests else ""
    return Grid(f"affinity{of}", columns, rows)


def losses_text(network: Mapping[str, Any]) -> Text | None:
    """Return what the network lost, in one line; None when it lost nothing."""
    parts = []
    if network.get("lost_syns"):
        parts.append(
            f"{count(network['lost_syns'])} SYNs without an answer, "
            f"{count(network['lost_connections'])} connections began with one"
        )
    snat = network.get("snat") or {}
    if snat.get("no_port"):
        parts.append(
            f"{count(snat['no_port'])} SYNs found no source port (at most "
            f"{count(snat['peak_per_target'])} connections from one node to one target)"
        )
    if network.get("dropped_samples"):
        parts.append(f"{count(network['dropped_samples'])} samples of ewma dropped by its lock")
    return Text(f"lost: {'; '.join(parts)}") if parts else None

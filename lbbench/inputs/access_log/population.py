"""How popular clients and URIs of an access log are, however many there are."""

from __future__ import annotations

from typing import Any

import numpy as np

from lbbench.inputs.access_log.log import AccessLog
from lbbench.inputs.access_log.requests import Requests
from lbbench.inputs.access_log.sorted_rows import SortedRows, runs
from lbbench.inputs.access_log.texts import Texts
from lbbench.inputs.calibration import Counts, is_uniform, zipf_exponent
from lbbench.inputs.imported import Imported, put
from lbbench.inputs.placement import in_pod_network


def set_population(imported: Imported, log: AccessLog, chosen: Requests) -> None:
    """Set the number and popularity of clients and keys; say where clients are hidden by SNAT."""
    clients = SortedRows([("client", "i8")], "client")
    keys = SortedRows([("key", "i8")], "key")
    inside = 0
    for part in chosen.slices():
        inside += _n_inside(log.clients, part["client"])
        clients.add(_texts(log.clients, part["client"], "client"))
        keys.add(_texts(log.keys, part["key"], "key"))
    by_key = Counts.of(runs(keys))
    put(imported.scenario, "traffic.keys", _popularity(by_key))
    if inside > 0.5 * len(chosen):
        imported.notes.append(
            "most client addresses are of the pod network: the sources are hidden by SNAT "
            "(externalTrafficPolicy Cluster), so clients keep their default"
        )
        return
    by_client = Counts.of(runs(clients))
    put(imported.scenario, "traffic.clients", _popularity(by_client))
    imported.notes.append(
        f"{len(by_client)} client addresses, {len(by_key)} URIs; their "
        "popularity is the likeliest Zipf exponent, or uniform where that fits"
    )


def _texts(texts: Texts, numbers: np.ndarray, name: str) -> np.ndarray:
    rows = np.empty(len(numbers), [(name, "i8")])
    rows[name] = texts.identity(numbers)
    return rows


def _n_inside(clients: Texts, numbers: np.ndarray) -> int:
    """Return how many of the requests with these clients come from the pod network."""
    distinct, times = np.unique(numbers, return_counts=True)
    inside = [in_pod_network(clients[number]) for number in distinct.tolist()]
    clients.release()
    return int(times[inside].sum())


def _popularity(counts: Counts) -> dict[str, Any]:
    uniform = is_uniform(counts)
    return {
        "count": len(counts),
        "popularity": "uniform" if uniform else {"zipf": zipf_exponent(counts)},
    }

"""From a connection table to a scenario: the pods, what they were counted with, the clients.

A table is a picture of one moment on one node: it tells how many connections each pod has, not how
many requests; open ones, and those closed within the last two minutes.
"""

from __future__ import annotations

from ipaddress import ip_address

import numpy as np

from lbbench.inputs.calibration import FEW, Counts, is_uniform, zipf_exponent
from lbbench.inputs.conntrack.reader import TIME_WAIT_S, Connections
from lbbench.inputs.imported import SCHEMA, UTILISATION, Imported, plain, put
from lbbench.inputs.placement import in_pod_network, place

SHOWN = 10
LONG_S = 240.0
"""The load balancer drops a connection that has been silent so long (idle_timeout)."""


def from_conntrack(found: Connections, service: str | None = None) -> Imported:
    """Return the scenario of one service of a connection table.

    Parameters
    ----------
    service
        ``ip:port`` that clients dial; None takes the one with most connections.

    Raises
    ------
    InputError
        When no answered connection went to it.
    """
    chosen = found.chosen(service)
    counts = found.pods(chosen)
    imported = Imported({}, _notes(found, chosen), list(found.skipped))
    scenario = imported.scenario
    scenario |= {"schema": SCHEMA, "name": plain(f"service-{chosen}"), "path": "service"}
    placement = place(list(counts))
    imported.notes.append(placement.note)
    put(scenario, "cluster.nodes", [{"name": name} for name in placement.nodes])
    pods = [
        {"name": f"pod-{i}", "node": placement.node_of[address], "address": address}
        for i, address in enumerate(counts)
    ]
    put(scenario, "cluster.pods", pods)
    put(scenario, "cluster.vip", chosen)
    _policy(imported, found, chosen)
    _clients(imported, found, chosen)
    put(scenario, "traffic.utilisation", UTILISATION)
    imported.notes.append(
        f"a connection table tells no rate and no requests: utilisation {UTILISATION} is assumed, "
        "one request per connection"
    )
    observed = {
        "pods": counts,
        "requests": sum(counts.values()),
        "note": f"connections to {chosen} in the connection table of one node",
    }
    put(scenario, "observed", observed)
    for key in ("cluster", "stages", "traffic", "observed"):
        imported.sources[key] = found.files[0]
    return imported


def _notes(found: Connections, chosen: str) -> list[str]:
    """Return what the table holds, and what of it is not counted as a client's connection."""
    kinds = ", ".join(f"{n} {name}" for name, n in found.protocols.most_common())
    notes = [
        f"{found.lines} flows ({kinds}): {found.assured} assured, {found.unreplied} unreplied"
        + (f", {found.repeated} updates and ends of events left out" if found.repeated else "")
    ]
    if found.n_skipped:
        notes.append(f"lines that are no flows: {found.n_skipped}")
    if found.probes:
        notes.append(
            f"{found.probes} flows are health probes of the load balancer (168.63.129.16): they "
            "are counted apart"
        )
    if found.unreplied:
        lost = found.unanswered.most_common(3)
        shown = "".join(f"; {n} from {service} to {pod}" for (service, pod), n in lost)
        notes.append(
            f"unreplied flows are counted apart, {found.stale} of them stale or not translated "
            f"(the reply would come from the service's own address){shown}"
        )
    if found.direct:
        notes.append(f"{found.direct.total()} flows were not translated: no service's, left out")
    if found.portless:
        notes.append(f"{found.portless} translated flows have no port: no service's, left out")
    others = [f"{name} ({n})" for name, n in found.services().items() if name != chosen]
    if others:
        notes.append(
            f"the scenario is of {chosen}; other services, to be chosen with --service: "
            + ", ".join(others[:SHOWN])
            + (f" and {len(others) - SHOWN} more" if len(others) > SHOWN else "")
        )
    return [*notes, *_lifetimes(found, chosen)]


def _lifetimes(found: Connections, chosen: str) -> list[str]:
    """Return what the states and timers tell about how long connections live."""
    opened, closed = found.open[chosen], found.closed[chosen]
    notes = [f"{chosen}: {opened} connections open, {closed} closed within {TIME_WAIT_S:.0f} s"]
    idle = found.idle(chosen)
    if len(idle):
        notes.append(
            f"{chosen}: open connections have been silent for {np.median(idle):.0f} s (median), "
            f"{idle.max():.0f} s at most; {int((idle > LONG_S).sum())} longer than {LONG_S:.0f} s, "
            "which the load balancer has forgotten unless it was told otherwise"
        )
    if closed and opened:
        lasts = opened * TIME_WAIT_S / closed
        kind = "long-lived: a change of pods moves few of them" if lasts > 600 else "short-lived"
        notes.append(
            f"{chosen}: {closed / TIME_WAIT_S:.2g} connections end per second, so each lives "
            f"about {lasts:.0f} s if as many begin (Little's law): {kind}"
        )
    elif opened:
        notes.append(f"{chosen}: nobody has reconnected within {TIME_WAIT_S:.0f} s: long-lived")
    elif closed:
        notes.append(f"{chosen}: no connection is open: each is closed as soon as it is answered")
    return notes


def _policy(imported: Imported, found: Connections, chosen: str) -> None:
    """Tell the traffic policy from the translation of the source."""
    masked, clients = found.masqueraded[chosen], found.clients(chosen)
    outside = sum(n for name, n in clients.items() if not in_pod_network(name))
    if masked and masked >= outside > 0:
        put(imported.scenario, "stages.kube_proxy.external_traffic_policy", "Cluster")
        imported.notes.append(
            f"{masked} connections have their source replaced (SNAT): externalTrafficPolicy Cluster"
        )
    elif not masked and any(ip_address(name).is_global for name in clients):
        put(imported.scenario, "stages.kube_proxy.external_traffic_policy", "Local")
        imported.notes.append(
            "public clients keep their address (no SNAT): externalTrafficPolicy Local"
        )


def _clients(imported: Imported, found: Connections, chosen: str) -> None:
    counts = np.array(list(found.clients(chosen).values()))
    if counts.sum() < FEW:
        imported.notes.append(
            f"{counts.sum()} connections of {len(counts)} client addresses are too few for a "
            f"popularity (it takes {FEW}): clients keep their default"
        )
        return
    names = Counts.of([counts])
    popularity = "uniform" if is_uniform(names) else {"zipf": zipf_exponent(names)}
    put(imported.scenario, "traffic.clients", {"count": len(counts), "popularity": popularity})
    imported.notes.append(f"{len(counts)} client addresses")

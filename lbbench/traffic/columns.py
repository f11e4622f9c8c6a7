"""What a scenario says of each column: work, clients, connections, keys, sessions, pauses."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from lbbench.errors import RunError
from lbbench.model.demand import Fixed, Geometric, Sessions
from lbbench.model.distributions import Distribution, Zipf
from lbbench.model.scenario import Scenario
from lbbench.traffic import service
from lbbench.traffic.clients import Popularity, addresses_of
from lbbench.traffic.empirical import read_distribution
from lbbench.traffic.sessions import Budget
from lbbench.traffic.streams import KEY, Streams


@dataclass(frozen=True)
class Columns:
    """The distributions that the columns of a trace are drawn from.

    Attributes
    ----------
    client_address, addresses
        int64[clients], index into the distinct source addresses; see `Population`.
    with_keys
        Whether requests have keys; without them the column is -1.
    lifetime
        How long a session lasts; None: for ever.
    gap
        From an answer to the next request on its connection; None: requests have arrivals.
    think
        From an answer to the user's next request in a closed loop; None: the process is open.
    """

    work: service.ServiceTime
    clients: Popularity
    client_address: np.ndarray
    addresses: tuple[str, ...]
    budget: Budget
    keys: Popularity
    with_keys: bool
    n_sessions: int
    lifetime: service.ServiceTime | None
    gap: service.ServiceTime | None
    think: service.ServiceTime | None

    def key_draw(self, streams: Streams) -> service.Draw:
        """Return what draws the keys of requests, int64."""
        if not self.with_keys:
            return service.always(-1)
        return self.keys.sampler(streams.open(KEY)).draw


def columns_of(scenario: Scenario, *, keys: bool = True) -> Columns:
    """Return the columns that ``scenario`` asks for, with keys or without.

    Raises
    ------
    InputError
        When the file of an empirical distribution cannot be used.
    RunError
        When there are more clients than addresses, or no work at all.
    """
    traffic = scenario.traffic
    client_address, addresses = addresses_of(
        traffic.clients.count,
        share_behind_nat=traffic.clients.behind_nat,
        nat_addresses=traffic.clients.nat_addresses,
    )
    folder = scenario.folder
    work = service_time(traffic.service_time, folder)
    if work.mean <= 0.0:
        raise RunError(
            f"{scenario.name}: traffic.service_time has mean 0; give at least one value above 0 a "
            f"share above 0"
        )
    return Columns(
        work=work,
        clients=_popularity(traffic.clients.count, traffic.clients.popularity),
        client_address=client_address,
        addresses=addresses,
        budget=_budget(traffic.connections.requests),
        keys=_popularity(traffic.keys.count, traffic.keys.popularity),
        with_keys=keys,
        n_sessions=_sessions(scenario.sessions),
        lifetime=_times(scenario.sessions.lifetime if scenario.sessions else None, folder),
        gap=_times(traffic.connections.gap, folder),
        think=_times(traffic.arrivals.think_time, folder),
    )


def service_time(spec: Distribution, folder: Path) -> service.ServiceTime:
    """Return the distribution that ``spec`` describes; its file is relative to ``folder``."""
    figures = {
        name: value
        for name, value in dict(spec).items()
        if value is not None and name != "distribution"
    }
    if spec.distribution == "empirical":
        return read_distribution(folder / figures["file"])
    return _BY_NAME[spec.distribution](**figures)


_BY_NAME: dict[str, Callable[..., service.ServiceTime]] = {
    "deterministic": service.deterministic,
    "exponential": service.exponential,
    "erlang": service.erlang,
    "lognormal": service.lognormal,
    "hyperexponential": service.hyperexponential,
    "pareto": service.pareto,
    "bounded_pareto": service.bounded_pareto,
    "bimodal": service.discrete,
}
"""The makers by the word in scenarios; their parameters have the names of the keys."""


def _times(spec: Distribution | None, folder: Path) -> service.ServiceTime | None:
    return None if spec is None else service_time(spec, folder)


def _popularity(count: int, spec: str | Zipf) -> Popularity:
    return Popularity(count, spec.zipf if isinstance(spec, Zipf) else 0.0)


def _budget(spec: int | str | Geometric | Fixed) -> Budget:
    if isinstance(spec, Geometric):
        return Budget(spec.geometric, is_geometric=True)
    if isinstance(spec, Fixed):
        return Budget(float(spec.fixed))
    return Budget(1.0 if spec == 1 else math.inf)


def _sessions(spec: Sessions | None) -> int:
    """Return the number of cookie jars; who keeps no cookies has none."""
    return spec.count if spec is not None and spec.cookies == "kept" else 0

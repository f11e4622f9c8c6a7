"""From a scenario to its requests: blocks of columns, generated or played back from a trace.

The columns depend on `traffic`, `run.seed` and the replication alone: whatever balancer, cluster or
network is compared meets the same requests. Only `utilisation` looks at the capacity of the pods.
"""

from __future__ import annotations

import math
from collections.abc import Iterator

import numpy as np

from lbbench.errors import InputError, RunError
from lbbench.model.arrivals import Arrivals
from lbbench.model.scenario import Scenario
from lbbench.model.topology import capacity, topology
from lbbench.model.trace import Population, Trace
from lbbench.traffic.arrivals import Diurnal, Modulated, Process, Renewal, Steps
from lbbench.traffic.columns import columns_of
from lbbench.traffic.recorded import read_trace
from lbbench.traffic.replay import replayed
from lbbench.traffic.sessions import Jars
from lbbench.traffic.streams import CLIENT, KEY, Streams

BLOCK = 16_384
DURATION = 300.0  # seconds, when neither `run.duration` nor `run.requests` is given


class Traffic:
    """The requests of one replication of a scenario.

    Attributes
    ----------
    population
        What the requests refer to: addresses, lanes, keys, the mean work and the average rate.
    n_requests
        How many requests come; None when they come for a `duration`.
    duration
        Seconds in which requests come (the last arrival is before it); None with `n_requests`.
    notes
        Sentences on what a trace left out or had to be put right.
    """

    def __init__(self, scenario: Scenario, *, replication: int = 0, block: int = BLOCK) -> None:
        """Prepare the requests; a trace is read here, generated columns are drawn in `blocks`.

        Raises
        ------
        RunError
            When the scenario asks for traffic that this version does not make.
        InputError
            When a trace or a file of service times cannot be used.
        """
        refuse_later_parts(scenario)
        self.block = block
        self.streams = Streams(scenario.run.seed, replication)
        self.columns = columns_of(scenario)
        self.n_requests = scenario.run.requests
        self.duration = scenario.run.duration
        self.notes: tuple[str, ...] = ()
        self._recorded: Trace | None = None
        if scenario.traffic.trace is not None:
            self._play_back(scenario)
            return
        if self.n_requests is None and self.duration is None:
            self.duration = DURATION
        self.process, rate = arrival_process(scenario, self.columns.work.mean, self.duration)
        self.population = Population(
            client_address=self.columns.client_address,
            addresses=self.columns.addresses,
            n_lanes=self.columns.clients.count,
            n_sessions=self.columns.n_sessions,
            keys=self.columns.keys.count,
            mean_work=self.columns.work.mean,
            rate=rate,
        )

    def blocks(self) -> Iterator[Trace]:
        """Yield the requests in order of arrival, at most `block` at a time, from the start.

        Concatenated, the columns are the same bits whatever the size of the blocks.
        """
        if self._recorded is not None:
            for start in range(0, len(self._recorded.arrival), self.block):
                yield Trace(*(column[start : start + self.block] for column in self._recorded))
            return
        yield from self._generated()

    def _generated(self) -> Iterator[Trace]:
        columns, streams = self.columns, self.streams
        clock = self.process.start(streams)
        work = columns.work.start(streams)
        clients = columns.clients.sampler(streams.open(CLIENT))
        keys = columns.keys.sampler(streams.open(KEY))
        jars = Jars(columns.n_sessions, columns.clients.count).start(streams)
        connections = columns.budget.start(columns.clients.count, streams)
        made = 0
        ended = False
        while not ended:
            wanted = self.block
            if self.n_requests is not None:
                wanted = min(wanted, self.n_requests - made)
            arrival = clock.take(wanted)
            if self.duration is not None:
                arrival = arrival[: np.searchsorted(arrival, self.duration)]
            n = len(arrival)
            made += n
            ended = n < wanted or made == self.n_requests
            if n == 0:
                return
            client = clients.draw(n)
            yield Trace(
                arrival=arrival,
                work=work(n),
                client=client,
                lane=client,
                key=keys.draw(n),
                session=jars.draw(client),
                last=connections.last(client),
                node=np.full(n, -1, np.int64),
                gap=np.full(n, -1.0),
                life=np.full(n, np.inf),
            )

    def _play_back(self, scenario: Scenario) -> None:
        path = scenario.folder / str(scenario.traffic.trace)
        recorded = read_trace(path, node_column=scenario.stages.azure_lb.fixed)
        nodes = scenario.cluster.nodes
        n_nodes = nodes if isinstance(nodes, int) else len(nodes)
        if recorded.n_nodes > n_nodes:
            raise InputError(
                f"{path}: column {scenario.stages.azure_lb.fixed} has {recorded.n_nodes} distinct "
                f"values for {n_nodes} nodes; set cluster.nodes to at least {recorded.n_nodes}"
            )
        shown = recorded.until(self.n_requests, self.duration)
        if not len(shown.arrival):
            raise InputError(f"{path}: no request arrives before run.duration = {self.duration} s")
        self.notes = shown.notes
        asked, there = scenario.run.requests, len(shown.arrival)
        if asked is not None and asked > there:
            text = (
                f"{path.name} has {there} requests, run.requests asks for {asked}: all are played"
            )
            self.notes = (*self.notes, text)
        self._recorded, self.population = replayed(shown, self.columns, self.streams)
        if self.duration is None:
            self.n_requests = len(shown.arrival)
        else:
            rate = len(shown.arrival) / self.duration
            self.population = self.population._replace(rate=rate)


def refuse_later_parts(scenario: Scenario) -> None:
    """Raise RunError for traffic that scenarios can ask for but that is not made yet."""
    traffic = scenario.traffic
    asked = {
        "traffic.arrivals.process = closed": traffic.arrivals.process == "closed",
        "traffic.connections.gap": traffic.connections.gap is not None,
        "traffic.sessions.lifetime": scenario.sessions is not None
        and scenario.sessions.lifetime is not None,
    }
    for name, is_asked in asked.items():
        if is_asked:
            raise RunError(
                f"{scenario.name}: {name} is accepted in scenarios but not simulated by this "
                f"version; use an open process without it"
            )
    if scenario.stages.azure_lb.fixed is not None and traffic.trace is None:
        raise RunError(
            f"{scenario.name}: stages.azure_lb.fixed = {scenario.stages.azure_lb.fixed} takes the "
            f"node from a trace; give traffic.trace, or remove it"
        )


def arrival_process(
    scenario: Scenario, mean_work: float, duration: float | None
) -> tuple[Process, float]:
    """Return the arrival process of ``scenario`` and its time-average rate, per second.

    `utilisation`, or an `arrivals.rate` beside a process's own figures, scales the whole process to
    that average: of the long run, for steps of the time in which requests come.
    """
    spec, requests = scenario.traffic.arrivals, scenario.run.requests
    rate = spec.rate
    if scenario.traffic.utilisation is not None:
        rate = scenario.traffic.utilisation * capacity(topology(scenario), mean_work)
    process = _process(spec)
    if isinstance(process, Steps) and duration is None and process.rates[-1] == 0.0:
        raise RunError(
            f"{scenario.name}: traffic.arrivals.steps end at rate 0, so run.requests = {requests} "
            f"may never come; give run.duration"
        )
    if rate is None:
        horizon = duration if duration is not None else process.expected_end(int(requests or 1))
        return process, process.rate(horizon)
    horizon = duration if duration is not None else int(requests or 1) / rate
    average = process.rate(horizon)
    if average <= 0.0:
        raise RunError(
            f"{scenario.name}: traffic.arrivals.steps have rate 0 for the whole {horizon:g} s of "
            f"the run, so no factor gives them the rate {rate:g}/s; begin with a rate above 0"
        )
    return process.scaled(rate / average), rate


def _process(spec: Arrivals) -> Process:
    """Return the process with its own figures; what is scaled anyway has rate 1."""
    if spec.process == "mmpp":
        return Modulated(spec.rates or (), spec.means or ())
    if spec.process == "steps":
        steps = spec.steps or ()
        return Steps(tuple(at for at, _ in steps), tuple(rate for _, rate in steps))
    if spec.process == "diurnal":
        return Diurnal(spec.base or 1.0, spec.amplitude or 0.0, spec.period or math.inf)
    cv = {"poisson": 1.0, "deterministic": 0.0}.get(spec.process, spec.cv)
    return Renewal(spec.rate or 1.0, 1.0 if cv is None else cv)

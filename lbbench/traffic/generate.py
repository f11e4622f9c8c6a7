"""From a scenario to its requests: blocks of columns, generated or played back from a trace.

The columns depend on `traffic`, `run.seed` and the replication alone: whatever balancer, cluster or
network is compared meets the same requests. Only `utilisation` looks at the capacity of the pods.

A closed loop has no blocks: its users (`Users`) bring their rows one chunk after the other.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence

import numpy as np

from lbbench.errors import InputError, RunError
from lbbench.model.arrivals import Arrivals
from lbbench.model.scenario import Scenario
from lbbench.model.topology import capacity, topology
from lbbench.model.trace import Population, Trace
from lbbench.traffic.arrivals import Diurnal, Modulated, Process, Renewal, Steps
from lbbench.traffic.closed import Users, rate_bound
from lbbench.traffic.columns import columns_of
from lbbench.traffic.gaps import connection_blocks
from lbbench.traffic.recorded import Recorded, read_trace
from lbbench.traffic.replay import replayed
from lbbench.traffic.service import ServiceTime, always
from lbbench.traffic.sessions import Jars, session_lives
from lbbench.traffic.streams import CLIENT, Streams

BLOCK = 16_384
DURATION = 300.0  # seconds, when neither `run.duration` nor `run.requests` is given


class Traffic:
    """The requests of one replication of a scenario.

    Attributes
    ----------
    population
        What the requests refer to: addresses, lanes, keys, the mean work and the average rate (of a
        closed loop: an upper bound of it).
    users
        Those of a closed loop, which has no blocks; None for all other traffic.
    has_gaps
        Whether arrivals are those of connections, whose later requests come a gap after an answer.
    n_requests
        How many requests come; None when they come for a `duration`.
    duration
        Seconds in which requests come (the last arrival is before it); None with `n_requests`. With
        gaps, connections start before it, and the engine decides on their later requests.
    notes
        Sentences on what a trace left out or had to be put right.
    """

    def __init__(
        self, scenario: Scenario, *, replication: int = 0, block: int = BLOCK, keys: bool = True
    ) -> None:
        """Prepare the requests; a trace is read here, generated columns are drawn in `blocks`.

        Without ``keys`` the column of keys that nothing reads is not drawn but -1; all others have
        streams of their own and stay as they are.

        Raises
        ------
        RunError
            When parts of the traffic contradict each other.
        InputError
            When a trace or a file of service times cannot be used.
        """
        refuse_contradictions(scenario)
        self.block = block
        self.streams = Streams(scenario.run.seed, replication)
        self.columns = columns_of(scenario, keys=keys)
        self.n_requests = scenario.run.requests
        self.duration = scenario.run.duration
        self.notes: tuple[str, ...] = ()
        self.users: Users | None = None
        self.has_gaps = self.columns.gap is not None
        self._recorded: Trace | None = None
        if scenario.traffic.trace is not None:
            self._play_back(scenario)
            return
        if self.n_requests is None and self.duration is None:
            self.duration = DURATION
        if self.columns.think is not None:
            self._close_the_loop(scenario, self.columns.think)
            return
        self.process, rate = arrival_process(scenario, self.columns.work.mean, self.duration)
        self.population = self._population(self.columns.clients.count, rate)

    def blocks(self) -> Iterator[Trace]:
        """Yield the requests in order of arrival, at most `block` at a time, from the start.

        Concatenated, the columns are the same bits whatever the size of the blocks. With gaps, a
        block holds whole connections (see `connection_blocks`); a closed loop yields nothing.
        Columns that hold one value throughout share memory between blocks: only read them.
        """
        if self.users is not None:
            return
        if self._recorded is not None:
            for start in range(0, len(self._recorded.arrival), self.block):
                yield Trace(*(column[start : start + self.block] for column in self._recorded))
            return
        if self.columns.gap is not None:
            yield from connection_blocks(
                self.columns,
                self.columns.gap,
                self.process.scaled(1.0 / self.columns.budget.mean).start(self.streams),
                self.streams,
                block=self.block,
                n_requests=self.n_requests,
                duration=self.duration,
            )
            return
        yield from self._generated()

    def _generated(self) -> Iterator[Trace]:
        columns, streams = self.columns, self.streams
        clock = self.process.start(streams)
        work = columns.work.start(streams)
        clients = columns.clients.sampler(streams.open(CLIENT))
        keys = columns.key_draw(streams)
        jars = Jars(columns.n_sessions, columns.clients.count).start(streams)
        connections = columns.budget.start(columns.clients.count, streams)
        node, gap = always(-1), always(-1.0)
        life = session_lives(columns.lifetime, columns.n_sessions, streams)
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
                key=keys(n),
                session=jars.draw(client),
                last=connections.last(client),
                node=node(n),
                gap=gap(n),
                life=life(n),
            )

    def _population(self, n_lanes: int, rate: float) -> Population:
        columns = self.columns
        return Population(
            client_address=columns.client_address,
            addresses=columns.addresses,
            n_lanes=n_lanes,
            n_sessions=columns.n_sessions,
            keys=columns.keys.count,
            mean_work=columns.work.mean,
            rate=rate,
        )

    def _close_the_loop(self, scenario: Scenario, think: ServiceTime) -> None:
        count = int(scenario.traffic.arrivals.users or 0)
        self.users = Users(self.columns, think, count, self.streams)
        rate = rate_bound(count, think.mean, self.columns.work.mean, topology(scenario))
        self.population = self._population(count, rate)
        if scenario.traffic.clients.popularity != "uniform":
            text = (
                "traffic.clients.popularity is not used in a closed loop: user u is client u mod "
                "traffic.clients.count"
            )
            self.notes = (text,)

    def _drawn(self, recorded: Recorded) -> dict[str, str]:
        """Return what is drawn in place of columns that are not there; keys only if they matter."""
        drawn = {}
        if recorded.work is None:
            drawn["work_s"] = "service times"
        if recorded.client is None:
            drawn["client"] = "clients"
        if recorded.key is None and self.columns.with_keys:
            drawn["key"] = "keys"
        return drawn

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
        drawn = self._drawn(recorded)
        self.notes = (
            *shown.notes,
            *_left_to_draw(path.name, drawn),
            *_length(path.name, scenario, len(recorded.arrival), len(shown.arrival)),
        )
        if scenario.run.replications > 1 or scenario.run.precision is not None:
            self.notes = (*self.notes, _repeated(list(drawn.values())))
        self._recorded, self.population = replayed(shown, self.columns, self.streams)
        if self.duration is None:
            self.n_requests = len(shown.arrival)
        else:
            rate = len(shown.arrival) / self.duration
            self.population = self.population._replace(rate=rate)


def _left_to_draw(name: str, drawn: Mapping[str, str]) -> Iterator[str]:
    """Say which columns the trace leaves to the scenario: their names, and what they hold."""
    if drawn:
        yield (
            f"{name} has no {' and no '.join(drawn)}: {_enumerated(list(drawn.values()))} are "
            f"drawn from the scenario"
        )


def _length(name: str, scenario: Scenario, recorded: int, shown: int) -> Iterator[str]:
    """Say where the length of the run is not that of the trace.

    Fewer requests than a file asks of its own traffic are as wanted when `--trace` replaces it.
    """
    run, left = scenario.run, recorded - shown
    if left and run.requests is not None:
        yield (
            f"{name}: {left} of {recorded} requests come after the first run.requests = "
            f"{run.requests} and are left out"
        )
    elif left:
        yield (
            f"{name}: {left} of {recorded} requests arrive after run.duration = "
            f"{run.duration:g} s and are left out"
        )
    replaced = scenario.place_of("traffic", "trace").startswith("--set")
    of_its_own = not scenario.place_of("run", "requests").startswith("--set")
    if run.requests is not None and run.requests > recorded and not (replaced and of_its_own):
        asked = f"run.requests asks for {run.requests}"
        yield f"{name} has {recorded} requests, {asked}: all are played"


def _repeated(drawn: list[str]) -> str:
    """Say what the interval from replications of one trace does not cover."""
    same = "arrivals" if drawn else "requests"
    return (
        f"the same {same} in each replication: the interval covers the draws of "
        f"{_enumerated(['the balancers', *drawn])}, not other traffic"
    )


def _enumerated(words: Sequence[str]) -> str:
    """Return words as "a, b and c"."""
    return " and ".join(part for part in (", ".join(words[:-1]), *words[-1:]) if part)


def refuse_contradictions(scenario: Scenario) -> None:
    """Raise RunError for parts of the traffic that exclude each other."""
    traffic = scenario.traffic
    if traffic.connections.gap is not None and traffic.arrivals.process == "closed":
        raise RunError(
            f"{scenario.name}: traffic.connections.gap stands beside a closed process, whose users "
            f"pause by traffic.arrivals.think_time; remove one of them"
        )
    if traffic.connections.gap is not None and traffic.trace is not None:
        raise RunError(
            f"{scenario.name}: traffic.connections.gap stands beside traffic.trace = "
            f"{traffic.trace}, whose requests have their own times; remove one of them"
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

"""From a checked scenario to the arrays that the engines run: the only reader of Scenario here."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from lbbench.balancers import base
from lbbench.balancers.fault import blaming
from lbbench.core.rng import stream, wrapping
from lbbench.engines.expected import expected_shares
from lbbench.engines.instances import Seats, listed, seats, streams, unlisted
from lbbench.engines.keys import key_tables, reads_keys
from lbbench.engines.layout import Layout, layout_of, lists_of, named, script_for, view_lists
from lbbench.engines.network import flow_tables, hop_rtts, node_table
from lbbench.engines.numbers import numbers_of
from lbbench.engines.objects import Objects
from lbbench.engines.stages import azure_stage, hash_template, ingress_stage, node_stage
from lbbench.engines.tables import POD, VIEW_OF, WORKER, table
from lbbench.engines.timeline import Life, life_of
from lbbench.engines.world import Facts, Lists, States
from lbbench.model.scenario import Scenario
from lbbench.model.tally import MAX_WINDOWS, SEGMENTS, RunShape
from lbbench.model.topology import Topology, topology
from lbbench.model.trace import Population
from lbbench.traffic.generate import Traffic

FIRST_PID = 30  # of an ingress replica's workers
SETTLED_AUTO = 16  # MSER drops at most this many segments
MANY_PODS = 1024  # above this, per-pod histograms and windows are left out


@dataclass(frozen=True)
class Plan:
    """Everything that a run needs, made once; both engines copy what they change."""

    scenario: Scenario
    life: Life
    topology: Topology  # with the pods that come later
    traffic: Traffic
    facts: Facts
    lists: Lists
    members: np.ndarray  # int64[] pods that belong to the cluster at first
    states: States
    azure: base.Balancer
    node: base.Balancer
    pod: base.Balancer
    common: tuple[str, ...]  # fields of the L7 states that the instances of a scope share
    shape: RunShape
    windows: int
    units: int  # sessions or keys whose pods are remembered
    pod_order: np.ndarray  # int64[P] the scenario's number of the pod with endpoint id i
    replica_order: np.ndarray  # int64[R] the same for replicas


def make_plan(scenario: Scenario, *, replication: int = 0, keys: bool = True) -> Plan:
    """Resolve ``scenario`` into arrays for replication number ``replication``.

    Without ``keys`` requests have none, unless a pick follows from them: for runs without records.

    Raises
    ------
    BalancerError, RunError
        When a balancer is unknown, or when the engines cannot do what the scenario asks.
    """
    ingress = scenario.path == "ingress"
    azure, azure_options = azure_stage(scenario)
    node, node_options = node_stage(scenario)
    pod, pod_options = ingress_stage(scenario)
    template = hash_template(scenario, pod)
    keys = keys or (ingress and reads_keys(template))
    traffic = Traffic(scenario, replication=replication, keys=keys)
    horizon = _horizon(traffic) * (1.0 if traffic.duration else 2.0) + float(scenario.run.drain)
    life = life_of(scenario, topology(scenario), replication=replication, horizon=horizon)
    top = life.topology
    layout = layout_of(life, ingress=ingress)
    canary = scenario.stages.ingress.canary
    backends = 1 if isinstance(canary, str) else 2
    workers = top.workers_per_replica
    names = [item.name for item in layout.replicas]
    places = seats(pod, names, workers, views_differ=bool(life.steps))
    script = script_for(layout, places, backends, workers)
    seed = scenario.run.seed
    azure_rng = streams(seed, replication, "azure_lb", ["all"])
    node_rng = streams(seed, replication, "kube_proxy", [item.name for item in top.nodes])
    pod_rng = streams(seed, replication, "ingress", _stream_names(scenario, places))
    views = view_lists(layout, places, backends)
    view_of = _view_of(places, backends)
    with wrapping():
        azure_state = unlisted(azure, azure_options, named(top.nodes), 1)
        new_node = unlisted(node, node_options, named(layout.targets), len(top.nodes))
        own = max(places.n_own, 1) * backends
        new_pod = unlisted(
            pod, pod_options, named(layout.pods), own, max(places.n_common, 1), places.common
        )
        _number_processes(new_pod, workers, backends)
        states = States(
            azure=azure_state,
            node=copied(new_node),
            pod=copied(new_pod),
            new_node=new_node,
            new_pod=new_pod,
            azure_rng=azure_rng,
            node_rng=node_rng,
            pod_rng=pod_rng,
        )
        listed(azure, states.azure, [layout.lb_list], list(azure_rng))
        listed(node, states.node, layout.node_lists, list(node_rng))
        rngs = [pod_rng[of.rng] for of in view_of]
        commons = view_of["common"].tolist()
        listed(pod, states.pod, views, rngs, commons, places.common)
    window, windows = _windows(scenario, traffic)
    settled = _settled(scenario, traffic)
    people = traffic.population
    users = traffic.users
    with blaming(pod):
        keyed = key_tables(
            template,
            people,
            top,
            local=scenario.stages.kube_proxy.external_traffic_policy == "Local",
            digest=pod.digest(pod_options) if pod.digest else None,
        )
    facts = Facts(
        **numbers_of(scenario, traffic, node, pod, pod_options, template),
        backends=backends,
        target_node=layout.target_node,
        pod=_pods(scenario, layout),
        **flow_tables(people.addresses, top.vip, scenario.stages.azure_lb.distribution, seed),
        node=node_table(top),
        **keyed,
        worker=_workers(places, layout, workers, backends),
        replica_workers=workers if layout.replicas else 1,
        view_of=view_of,
        step=script.step,
        listed=script.listed,
        jitter_salt=stream(seed, replication, "network", "jitter")[:1].copy(),
        client_address=np.require(people.client_address, np.int64, ["C", "W"]),
        user_client=_column(None if users is None else users.client),
        user_session=_column(None if users is None else users.session),
        replica_salt=_replica_salts(seed, layout),
        hop_rtt=hop_rtts(
            len(top.nodes),
            float(scenario.cluster.network.same_node_rtt),
            float(scenario.cluster.network.cross_node_rtt),
        ),
        window=window,
        settled=settled,
        records=0,
    )
    return Plan(
        scenario=scenario,
        life=life,
        topology=top,
        traffic=traffic,
        facts=facts,
        lists=lists_of(layout, views, len(top.nodes)),
        members=layout.pods_of((*life.first_pods, *life.canary_pods)),
        states=states,
        azure=azure,
        node=node,
        pod=pod,
        common=places.common,
        shape=_shape(scenario, layout, (azure, node, pod), settled, window, states, places.common),
        windows=windows,
        units=_units(facts, people),
        pod_order=layout.pod_order,
        replica_order=layout.replica_order,
    )


def copied(states: Any) -> Any:
    """Return a deep copy of a NamedTuple of arrays, or of objects."""
    if isinstance(states, Objects):
        return states.copied()
    return type(states)(*(array.copy() for array in states))


def _stream_names(scenario: Scenario, places: Seats) -> list[str]:
    """Return the names of the workers' streams.

    Before release 0.22 no worker seeded its generator, so all drew the same sequence.
    """
    names = places.streams or ["none"]
    if scenario.stages.ingress.release == "0.21":
        return ["unseeded"] * len(names)
    return names


def _number_processes(states: Any, workers: int, backends: int) -> None:
    """Give every worker's state its own number, where the balancer makes use of it.

    That is the number of its process, and its number among all workers.
    """
    fields = getattr(states, "_fields", ())
    if "pid" in fields:
        for own in range(len(states.pid)):
            states.pid[own] = FIRST_PID + (own // backends) % max(workers, 1)
    if "dispatcher" in fields:
        for own in range(len(states.dispatcher)):
            states.dispatcher[own] = (own // backends, len(states.dispatcher) // backends)


def _view_of(places: Seats, backends: int) -> np.ndarray:
    """Return what each view's state uses; the first worker with a view gives it its stream."""
    rows = table(VIEW_OF, max(places.n_own, 1) * backends)
    for worker in range(len(places.own_of) - 1, -1, -1):
        first = int(places.own_of[worker]) * backends
        rows["common"][first : first + backends] = places.common_of[worker]
        rows["rng"][first : first + backends] = places.rng_of[worker]
    return rows


def _workers(places: Seats, layout: Layout, workers: int, backends: int) -> np.ndarray:
    rows = table(WORKER, max(len(layout.replicas) * workers, 1))
    if layout.replicas:
        rows["node"] = np.repeat(layout.target_node, workers)
        rows["own"] = places.own_of * backends
        rows["common"] = places.common_of
        rows["busy"] = places.busy_of
        rows["rng"] = places.rng_of
        first = np.full(len(rows), len(rows))
        last = np.zeros(len(rows), np.int64)
        np.minimum.at(first, places.busy_of, places.own_of)
        np.maximum.at(last, places.busy_of, places.own_of)
        rows["first"] = first[places.busy_of] * backends
        rows["views"] = (last - first + 1)[places.busy_of] * backends
    return rows


def _pods(scenario: Scenario, layout: Layout) -> np.ndarray:
    spec = scenario.cluster.pod
    rows = table(POD, len(layout.pods))
    waiting = 2**60 if spec.queue == "unlimited" else int(spec.queue)
    for i, item in enumerate(layout.pods):
        rows[i] = (item.node, item.speed, item.concurrency, item.concurrency + waiting)
    return rows


def _column(values: np.ndarray | None) -> np.ndarray:
    return np.zeros(0, np.int64) if values is None else np.ascontiguousarray(values, np.int64)


def _replica_salts(seed: int, layout: Layout) -> np.ndarray:
    salts = [stream(seed, 0, "reuse_port", item.name)[0] for item in layout.replicas]
    return np.array(salts or [0], np.uint64)


def _units(facts: Facts, people: Population) -> int:
    """Return how many sessions or keys there are whose pods are remembered."""
    if not facts.by_key:
        return people.n_sessions
    return people.keys if isinstance(people.keys, int) else len(people.keys)


def _horizon(traffic: Traffic) -> float:
    """Return how many seconds the arrivals are expected to last."""
    return traffic.duration or (traffic.n_requests or 1) / max(traffic.population.rate, 1e-9)


def _windows(scenario: Scenario, traffic: Traffic) -> tuple[float, int]:
    """Return (width, number) of the windows: at most 600, 1, 2 or 5 x 10^k seconds wide."""
    horizon = _horizon(traffic)
    given = scenario.run.window
    width = horizon / 60 if given == "auto" else float(given)
    width = max(width, horizon / (MAX_WINDOWS if traffic.duration else MAX_WINDOWS / 2), 1e-6)
    power = 10.0 ** np.floor(np.log10(width))
    width = next(float(m * power) for m in (1, 2, 5, 10) if m * power >= width * (1 - 1e-12))
    # a run given by its number of requests may last longer than expected
    spare = 1.0 if traffic.duration else 2.0
    return width, int(min(MAX_WINDOWS, max(1, np.ceil(horizon / width * spare))))


def _settled(scenario: Scenario, traffic: Traffic) -> int:
    """Return the first segment of histograms that are not kept per segment."""
    given = scenario.run.warmup
    if given == "auto":
        return SETTLED_AUTO
    horizon = _horizon(traffic)
    return int(min(np.ceil(float(given) / horizon * SEGMENTS - 1e-9), SEGMENTS - 1))


def _shape(
    scenario: Scenario,
    layout: Layout,
    balancers: tuple[base.Balancer, base.Balancer, base.Balancer],
    settled: int,
    window: float,
    states: States,
    common: tuple[str, ...],
) -> RunShape:
    azure, node, pod = balancers
    life, top = layout.life, layout.life.topology
    ingress = layout.ingress
    workers = [f"{item.name}/{k}" for item in top.replicas for k in range(top.workers_per_replica)]
    names = {"azure_lb": azure.name, "kube_proxy": node.name}
    return RunShape(
        path=scenario.path,
        nodes=tuple(item.name for item in top.nodes),
        replicas=tuple(item.name for item in top.replicas) if ingress else (),
        workers=tuple(workers) if ingress else (),
        pods=tuple(item.name for item in top.pods),
        pod_node=tuple(item.node for item in top.pods),
        concurrency=np.array([item.concurrency for item in top.pods], np.int64),
        born=np.array(life.born),
        gone=np.array(life.gone),
        settled=settled,
        warmup_s=-1.0 if scenario.run.warmup == "auto" else float(scenario.run.warmup),
        window_s=window,
        simulated=0.0,
        expected=expected_shares(layout, balancers, states, common),
        random=_random_stages(scenario, balancers) if not life.steps else frozenset(),
        balancers=names | ({"ingress": pod.name} if ingress else {}),
        lists_change=bool(life.steps) or bool(life.canary_pods),
        changes=life.changes,
    )


def _random_stages(
    scenario: Scenario, balancers: tuple[base.Balancer, base.Balancer, base.Balancer]
) -> frozenset[str]:
    """Return the stages whose picks are independent draws, so that chi-square means something.

    Under a source-address distribution or affinity the connections of one client go together.
    """
    azure, kube = scenario.stages.azure_lb, scenario.stages.kube_proxy
    nodes = balancers[0].independent and azure.distribution == "Default" and azure.fixed is None
    # under Local a target gets what its node gets
    targets = balancers[1].independent and kube.session_affinity == "None"
    targets = targets and (nodes or kube.external_traffic_policy == "Cluster")
    random = {
        "azure_lb": nodes,
        "kube_proxy": targets,
        "reuse_port": targets,
        "ingress": balancers[2].independent,
    }
    return frozenset(stage for stage, is_random in random.items() if is_random)

"""From a checked scenario to the arrays that the engines run: the only reader of Scenario here."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from lbbench.balancers import base
from lbbench.core.rng import stream, wrapping
from lbbench.engines.expected import list_shares, node_shares, target_shares
from lbbench.engines.instances import Seats, seats, started, streams
from lbbench.engines.keys import key_tables
from lbbench.engines.limits import refuse_what_is_missing
from lbbench.engines.network import flow_tables, hop_rtts, members, node_table
from lbbench.engines.stages import azure_stage, ingress_stage, node_stage
from lbbench.engines.world import POD, WORKER, Facts, States, table
from lbbench.model.scenario import Scenario
from lbbench.model.tally import MAX_WINDOWS, SEGMENTS, RunShape
from lbbench.model.topology import Topology, topology
from lbbench.traffic.generate import Traffic

SETTLED_AUTO = 16  # MSER drops at most this many segments
MANY_PODS = 1024  # above this, per-pod histograms and windows are left out


@dataclass(frozen=True)
class Plan:
    """Everything that a run needs, made once; both engines copy what they change."""

    scenario: Scenario
    topology: Topology
    traffic: Traffic
    facts: Facts
    states: States
    azure: base.Balancer
    node: base.Balancer
    pod: base.Balancer
    shape: RunShape
    windows: int
    targets: int
    pod_order: np.ndarray  # int64[P] the scenario's number of the pod with endpoint id i
    replica_order: np.ndarray  # int64[R] the same for replicas


@dataclass(frozen=True)
class _Layout:
    """Pods and replicas in the order of their addresses, which is what balancers see."""

    pod_order: np.ndarray
    replica_order: np.ndarray
    pods: list[Any]
    replicas: list[Any]
    targets: list[Any]
    target_node: np.ndarray
    healthy: np.ndarray
    member: np.ndarray
    counts: np.ndarray


def make_plan(scenario: Scenario, *, replication: int = 0) -> Plan:
    """Resolve ``scenario`` into arrays for replication number ``replication``.

    Raises
    ------
    BalancerError, RunError
        When a balancer is unknown, or when the engines cannot do what the scenario asks.
    """
    refuse_what_is_missing(scenario)
    top = topology(scenario)
    traffic = Traffic(scenario, replication=replication)
    layout = _lay_out(scenario, top)
    azure, azure_options = azure_stage(scenario)
    node, node_options = node_stage(scenario)
    pod, pod_options = ingress_stage(scenario)
    places = seats(pod, [item.name for item in layout.replicas], top.workers_per_replica)
    seed = scenario.run.seed
    azure_rng = streams(seed, replication, "azure_lb", ["all"])
    node_rng = streams(seed, replication, "kube_proxy", [item.name for item in top.nodes])
    pod_rng = streams(seed, replication, "ingress", places.streams or ["none"])
    node_lists = [layout.member[i, : layout.counts[i]] for i in range(len(top.nodes))]
    pod_lists = [np.arange(len(layout.pods))] * max(places.n_states, 1)
    with wrapping():
        states = States(
            azure=started(azure, azure_options, _named(top.nodes), [layout.healthy], azure_rng),
            node=started(node, node_options, _named(layout.targets), node_lists, node_rng),
            pod=started(pod, pod_options, _named(layout.pods), pod_lists, pod_rng),
            azure_rng=azure_rng,
            node_rng=node_rng,
            pod_rng=pod_rng,
        )
    window, windows = _windows(scenario, traffic)
    settled = _settled(scenario, traffic)
    facts = Facts(
        **_numbers(scenario, traffic, pod),
        **_pods(scenario, layout),
        **flow_tables(
            traffic.population.addresses, top.vip, scenario.stages.azure_lb.distribution, seed
        ),
        node=node_table(top, layout.counts),
        **key_tables(
            scenario.stages.ingress.hash_by,
            traffic.population,
            top,
            local=scenario.stages.kube_proxy.external_traffic_policy == "Local",
        ),
        **_seated(places, layout, top),
        jitter_salt=stream(seed, replication, "network", "jitter")[:1].copy(),
        client_address=np.ascontiguousarray(traffic.population.client_address, np.int64),
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
        topology=top,
        traffic=traffic,
        facts=facts,
        states=states,
        azure=azure,
        node=node,
        pod=pod,
        shape=_shape(scenario, top, layout, (azure, node, pod), settled, window, states),
        windows=windows,
        targets=len(layout.targets),
        pod_order=layout.pod_order,
        replica_order=layout.replica_order,
    )


def _lay_out(scenario: Scenario, top: Topology) -> _Layout:
    pod_order = np.array(sorted(range(len(top.pods)), key=lambda i: top.pods[i].address), np.int64)
    ingress = scenario.path == "ingress"
    replica_order = np.array(
        sorted(range(len(top.replicas)), key=lambda i: top.replicas[i].address), np.int64
    )
    pods = [top.pods[i] for i in pod_order]
    replicas = [top.replicas[i] for i in replica_order] if ingress else []
    targets: list[Any] = replicas if ingress else pods
    target_node = np.array([item.node for item in targets], np.int64)
    healthy, member, counts = members(
        target_node,
        len(top.nodes),
        local=scenario.stages.kube_proxy.external_traffic_policy == "Local",
    )
    return _Layout(
        pod_order, replica_order, pods, replicas, targets, target_node, healthy, member, counts
    )


def _named(items: Any) -> tuple[base.Endpoint, ...]:
    return tuple(base.Endpoint(item.address) for item in items)


def _numbers(scenario: Scenario, traffic: Traffic, pod: base.Balancer) -> dict[str, Any]:
    ingress = scenario.stages.ingress
    network = scenario.cluster.network
    connections = scenario.traffic.connections
    return {
        "ingress": int(scenario.path == "ingress"),
        "local": int(scenario.stages.kube_proxy.external_traffic_policy == "Local"),
        "streams": connections.streams if connections.protocol == "http2" else 1,
        "tries": ingress.next_upstream.tries,
        "retry_on_error": int("error" in ingress.next_upstream.on),
        "cookies": int(pod.cookies),
        "keepalive": ingress.keepalive.upstream if scenario.path == "ingress" else 0,
        "keepalive_requests": ingress.keepalive.upstream_requests,
        "keepalive_timeout": float(ingress.keepalive.upstream_timeout),
        "worker_cpu": float(scenario.cluster.ingress.cpu_per_request),
        "client_rtt": float(network.client_rtt),
        "path_delay": float(network.path_delay),
        "path_jitter": float(network.path_jitter),
        "drain": float(scenario.run.drain),
        "duration": float(traffic.duration or 0.0),
        "n_requests": int(traffic.n_requests or 0),
        "sees_pods": int(pod.sees == "pods"),
        "ms_clock": int(pod.clock == "ms"),
    }


def _pods(scenario: Scenario, layout: _Layout) -> dict[str, Any]:
    spec = scenario.cluster.pod
    rows = table(POD, len(layout.pods))
    waiting = 2**60 if spec.queue == "unlimited" else int(spec.queue)
    for i, item in enumerate(layout.pods):
        rows[i] = (item.node, item.speed, item.concurrency, item.concurrency + waiting)
    return {
        "node_member": layout.healthy,
        "target_member": layout.member,
        "target_node": layout.target_node,
        "pod": rows,
        "shared": int(spec.discipline == "ps"),
    }


def _seated(places: Seats, layout: _Layout, top: Topology) -> dict[str, Any]:
    workers = top.workers_per_replica if layout.replicas else 1
    rows = table(WORKER, max(len(layout.replicas), 1) * workers)
    if layout.replicas:
        rows["node"] = np.repeat(layout.target_node, workers)
        rows["state"] = places.state_of
        rows["busy"] = places.busy_of
        rows["rng"] = places.rng_of
    return {"worker": rows, "replica_workers": workers}


def _replica_salts(seed: int, layout: _Layout) -> np.ndarray:
    salts = [stream(seed, 0, "reuse_port", item.name)[0] for item in layout.replicas]
    return np.array(salts or [0], np.uint64)


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
    top: Topology,
    layout: _Layout,
    balancers: tuple[base.Balancer, base.Balancer, base.Balancer],
    settled: int,
    window: float,
    states: States,
) -> RunShape:
    azure, node, pod = balancers
    ingress = scenario.path == "ingress"
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
        settled=settled,
        warmup_segments=-1,
        warmup_s=-1.0 if scenario.run.warmup == "auto" else float(scenario.run.warmup),
        window_s=window,
        simulated=0.0,
        expected=_expected(layout, top, balancers, states, ingress=ingress),
        random=_random_stages(scenario, balancers),
        balancers=names | ({"ingress": pod.name} if ingress else {}),
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


def _expected(
    layout: _Layout,
    top: Topology,
    balancers: tuple[base.Balancer, base.Balancer, base.Balancer],
    states: States,
    *,
    ingress: bool,
) -> dict[str, np.ndarray]:
    """Return the expected shares by stage, targets in the scenario's order."""
    azure, node, pod = balancers
    by_node = node_shares(azure, states.azure, layout.healthy, len(top.nodes))
    by_target = target_shares(
        node, states.node, by_node, layout.member, layout.counts, len(layout.targets)
    )
    order = layout.replica_order if ingress else layout.pod_order
    shares = {"azure_lb": by_node, "kube_proxy": restored(by_target, order)}
    if ingress:
        workers = top.workers_per_replica
        shares["reuse_port"] = np.repeat(shares["kube_proxy"] / workers, workers)
        by_pod = list_shares(pod, states.pod, 0, len(layout.pods))
        shares["ingress"] = restored(by_pod, layout.pod_order)
    return shares


def restored(values: np.ndarray, order: np.ndarray, axis: int = -1) -> np.ndarray:
    """Return ``values`` with its last axis back in the scenario's order."""
    made = np.empty_like(values)
    index: list[Any] = [slice(None)] * values.ndim
    index[axis] = order
    made[tuple(index)] = values
    return made

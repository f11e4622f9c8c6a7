"""From a scenario to what a packet meets in it."""

from __future__ import annotations

from collections.abc import Sequence
from ipaddress import ip_address, ip_network
from typing import Any

from lbbench.balancers.base import find
from lbbench.core.chains import service_port_name
from lbbench.engines.keys import HOST
from lbbench.engines.network import bridge_addresses, pod_networks
from lbbench.engines.stages import azure_stage, ingress_stage, node_stage
from lbbench.model.scenario import Scenario
from lbbench.model.stages import split_address
from lbbench.model.topology import PodInfo, ReplicaInfo, Topology, topology
from lbbench.packetwalk.choices import first_port
from lbbench.packetwalk.site import Controller, Front, Node, Service, Site, Target
from lbbench.traffic.clients import client_address
from lbbench.traffic.columns import service_time

NAMESPACE = "default"
CLIENT = 1  # number of the synthetic client that walks: 11.0.0.1
CLIENT_6 = "2001:db8::1"  # for a VIP of IPv6

POD_CIDR = {4: 16, 6: 48}  # prefix length of the cluster's pod network


def site_of(scenario: Scenario) -> Site:
    """Return the site of a scenario: its names, addresses, policy, balancers and round trips.

    Raises
    ------
    LbbenchError
        When a balancer or a file that the scenario names cannot be used.
    """
    top = topology(scenario)
    network = scenario.cluster.network
    vip, port = split_address(top.vip)
    pods = _pods(scenario, top.pods)
    ingress = scenario.path == "ingress"
    targets = _targets(top.replicas) if ingress else pods
    client = client_address(CLIENT) if ip_address(vip).version == 4 else CLIENT_6
    remarks: dict[str, tuple[str, ...]] = {"client": (), "azure_lb": ()}
    if network.path_jitter > 0.0:
        remarks["client"] = (
            "path_jitter is drawn for every request of a run and left out of the walk.",
        )
    if scenario.stages.azure_lb.fixed is not None:
        remarks["azure_lb"] = (
            (
                f"In a run the node comes from the trace, column {scenario.stages.azure_lb.fixed}; "
                "the walk has no trace and takes the hash."
            ),
        )
    if scenario.traffic.trace is not None:
        remarks["served"] = (
            "In a run the service time comes from the trace; it counts as 0 here.",
        )
    return Site(
        name=scenario.name,
        path=scenario.path,
        nodes=_nodes(top),
        targets=targets,
        front=_front(scenario, port),
        service=_service(scenario, vip, port, targets),
        controller=_controller(scenario, pods) if ingress else None,
        client=(client, first_port(scenario.run.seed, CLIENT)),
        seed=scenario.run.seed,
        client_rtt_s=network.client_rtt,
        same_node_rtt_s=network.same_node_rtt,
        cross_node_rtt_s=network.cross_node_rtt,
        path_delay_s=network.path_delay,
        connect_timeout_s=scenario.traffic.connect_timeout,
        remarks=remarks,
    )


def _nodes(top: Topology) -> tuple[Node, ...]:
    return tuple(
        Node(name=node.name, address=node.address, bridge=bridge, pod_network=own)
        for node, bridge, own in zip(
            top.nodes, bridge_addresses(top), pod_networks(top), strict=True
        )
    )


def _network(ip: str, prefixes: dict[int, int]) -> str:
    return str(ip_network(f"{ip}/{prefixes[ip_address(ip).version]}", strict=False))


def _pods(scenario: Scenario, pods: Sequence[PodInfo]) -> tuple[Target, ...]:
    mean = 0.0
    if scenario.traffic.trace is None:
        mean = service_time(scenario.traffic.service_time, scenario.folder).mean
    return tuple(
        Target(name=item.name, node=item.node, address=item.address, service_s=mean / item.speed)
        for item in pods
    )


def _targets(replicas: Sequence[ReplicaInfo]) -> tuple[Target, ...]:
    return tuple(Target(name=item.name, node=item.node, address=item.address) for item in replicas)


def _front(scenario: Scenario, port: int) -> Front:
    stage = scenario.stages.azure_lb
    local = scenario.stages.kube_proxy.external_traffic_policy == "Local"
    balancer, options = azure_stage(scenario)
    kind = stage.probe.kind
    return Front(
        rule=f"{scenario.name}-TCP-{port}",
        balancer=balancer,
        options=options,
        distribution=stage.distribution,
        mapping=stage.mapping,
        probe=("http" if local else "tcp") if kind == "auto" else kind,
        interval_s=stage.probe.interval,
        threshold=stage.probe.threshold,
        idle_timeout_s=stage.idle_timeout,
    )


def _service(scenario: Scenario, vip: str, port: int, targets: Sequence[Target]) -> Service:
    stage = scenario.stages.kube_proxy
    options: dict[str, Any]
    if stage.mode == "iptables":  # the walk goes through the rules itself
        balancer, options = find("iptables"), {}
    else:
        balancer, options = node_stage(scenario)
    return Service(
        port_name=service_port_name(NAMESPACE, scenario.name),
        vip=vip,
        port=port,
        naming="new",
        balancer=balancer,
        options=options,
        policy=stage.external_traffic_policy,
        mode=stage.mode,
        probability_format=stage.probability_format,
        probabilities=stage.probabilities,
        affinity_timeout_s=stage.affinity_timeout if stage.session_affinity == "ClientIP" else 0.0,
        pod_cidr=_network(targets[0].ip, POD_CIDR),
    )


def _controller(scenario: Scenario, pods: tuple[Target, ...]) -> Controller:
    stage = scenario.stages.ingress
    balancer, options = ingress_stage(scenario)
    return Controller(
        pods=pods,
        upstream=f"{NAMESPACE}-{scenario.name}-80",
        host=HOST,
        workers=scenario.cluster.ingress.workers,
        balancer=balancer,
        options=options,
        hash_by=stage.hash_by,
        release=stage.release,
        cpu_per_request_s=scenario.cluster.ingress.cpu_per_request,
        keepalive=stage.keepalive.upstream,
    )

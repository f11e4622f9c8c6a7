"""The two walks of the seed: "A Day in the Life of a Packet in AKS (part 2)", January 2019.

A two-node AKS cluster with kubenet, Kubernetes 1.11. Everything here was printed in that post;
what it got wrong is put right in the notes of the hop concerned.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from types import MappingProxyType

from lbbench.balancers.base import find
from lbbench.core.chains import service_port_name
from lbbench.packetwalk.seed_remarks import SEED_INGRESS, SEED_LB
from lbbench.packetwalk.site import (
    Controller,
    Front,
    Listing,
    Node,
    Record,
    Sample,
    Service,
    Site,
    Target,
)

CLIENT = "109.125.120.58"
POST = "the post of January 2019"

SAME_NODE_RTT_S = 0.0001
CROSS_NODE_RTT_S = 0.00099  # pings between pods on two nodes: 1.00, 0.901, 1.07 ms
GET_S = 0.376 - CROSS_NODE_RTT_S * 2  # first GET / of the post's log, less connect and round trip

NODES = (
    Node(
        name="aks-nodepool1-31351229-0",
        address="10.13.77.4",
        bridge="10.244.0.1",
        pod_network="10.244.0.0/24",
    ),
    Node(
        name="aks-nodepool1-31351229-1",
        address="10.13.77.5",
        bridge="10.244.1.1",
        pod_network="10.244.1.0/24",
    ),
)


def seed_lb() -> Site:
    """Return path A: a LoadBalancer Service with externalTrafficPolicy Cluster."""
    return Site(
        name="seed-lb",
        path="service",
        nodes=NODES,
        targets=(
            Target(
                name="whereami-564765b89-mx45h",
                node=0,
                address="10.244.0.10:80",
                service_s=GET_S,
                remark="Its cable is veth6313441d, port 7 of cbr0; its MAC is ca:38:e3:c1:9f:49.",
            ),
            Target(
                name="whereami-564765b89-g4xq5",
                node=1,
                address="10.244.1.2:80",
                service_s=GET_S,
            ),
        ),
        front=Front(
            rule="af6ce64281dbb11e9a6ba269b1ccf60c-TCP-80",
            balancer=find("azure_lb"),
            options=find("azure_lb").options({}),
            probe="tcp",
            probe_port=31808,
        ),
        service=Service(
            port_name=service_port_name("default", "whereami", naming="old"),
            vip="23.101.73.47",
            port=80,
            naming="old",
            balancer=find("iptables"),
            options=find("iptables").options({"probability_format": "%0.5f"}),
            probability_format="%0.5f",
        ),
        controller=None,
        client=(CLIENT, 62585),
        same_node_rtt_s=SAME_NODE_RTT_S,
        cross_node_rtt_s=CROSS_NODE_RTT_S,
        gateway="10.13.77.1",
        route_table="aks-agentpool-31351229-routetable",
        listing=Listing(established_s=86397),
        record=Record(client=(CLIENT, 62585), node=0, pod="10.244.0.10:80", source=POST),
        remarks=SEED_LB,
    )


def seed_ingress() -> Site:
    """Return path B: the nginx ingress controller behind externalTrafficPolicy Local."""
    samples = {
        "10.244.0.13:80": Sample(
            stamp="22/Jan/2019:10:26:23 +0000",
            user_agent="curl/7.58.0",
            body_bytes=4666,
            request_bytes=122,
            request_time_s=0.319,
            upstream_time_s=0.316,
            request_id="e86645fb39b6cf9ba6127386ead7f7f1",
        ),
        "10.244.1.9:80": Sample(
            stamp="22/Jan/2019:10:26:10 +0000",
            user_agent="curl/7.58.0",
            body_bytes=4665,
            request_bytes=122,
            request_time_s=0.581,
            upstream_time_s=0.576,
            request_id="acb473c5f0c792b53fd7c936478cd6ec",
        ),
    }
    return Site(
        name="seed-ingress",
        path="ingress",
        nodes=NODES,
        targets=(
            Target(
                name="addon-http-application-routing-nginx-ingress-controller-ffbbqj6",
                node=1,
                address="10.244.1.6:80",
            ),
        ),
        front=Front(
            rule="a4c1a6c4c1e1d11e99cfe8afbff07ff3-TCP-80",
            balancer=find("azure_lb"),
            options=find("azure_lb").options({}),
            probe="http",
            probe_port=31924,
        ),
        service=Service(
            port_name=service_port_name(
                "kube-system", "addon-http-application-routing-nginx-ingress", "http", naming="old"
            ),
            vip="51.136.49.205",
            port=80,
            naming="old",
            policy="Local",
            balancer=find("iptables"),
            options=find("iptables").options({"probability_format": "%0.5f"}),
            probability_format="%0.5f",
        ),
        controller=Controller(
            pods=tuple(
                Target(
                    name=f"whereami-ingress-{node}",  # the post does not print these pods' names
                    node=node,
                    address=address,
                    service_s=samples[address].upstream_time_s - 2 * rtt,
                )
                for node, address, rtt in (
                    (0, "10.244.0.13:80", CROSS_NODE_RTT_S),
                    (1, "10.244.1.9:80", SAME_NODE_RTT_S),
                )
            ),
            upstream="default-whereami-ingress-80",
            host="whereami-ingress.bf52096edbd84ca1b3b6.westeurope.aksapp.io",
            workers=2,
            balancer=find("round_robin"),
            options=find("round_robin").options({"start": "first"}),
            release="0.21",
            keepalive=32,
            port=55710,
            samples=MappingProxyType(samples),
        ),
        client=(CLIENT, 63774),
        same_node_rtt_s=SAME_NODE_RTT_S,
        cross_node_rtt_s=CROSS_NODE_RTT_S,
        gateway="10.13.77.1",
        route_table="aks-agentpool-31351229-routetable",
        listing=Listing(
            established_s=86386,
            second_state="TIME_WAIT",
            second_s=97,
        ),
        record=Record(client=(CLIENT, 63774), node=1, pod="10.244.0.13:80", source=POST),
        remarks=SEED_INGRESS,
    )


PRESETS: Mapping[str, Callable[[], Site]] = MappingProxyType(
    {"seed-lb": seed_lb, "seed-ingress": seed_ingress}
)
"""The presets of `lbbench walk` by name."""

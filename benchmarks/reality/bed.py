"""The bed: a client, a node and pods, each in a network namespace, joined by two cables.

    client ─────── node ─────── pods
    sources        rules        one address for each pod
                   replica of the ingress controller, where there is one

What comes to the pods has gone through the node's kernel as a forwarded packet, as on a real node.
The pods of all nodes of a scenario are behind the one node whose rules are loaded.
"""

from __future__ import annotations

from collections.abc import Iterable
from contextlib import ExitStack, suppress
from dataclasses import dataclass
from typing import NamedTuple, Self

from benchmarks.reality.addresses import bits_of, version_of
from benchmarks.reality.namespace import Namespace
from lbbench.errors import RunError
from lbbench.model.addresses import split_address
from lbbench.model.scenario import Scenario
from lbbench.model.topology import Topology, topology

PORTS = "2000 65000"  # of clients: connections that have ended keep theirs for a minute


TABLES = {4: "iptables", 6: "ip6tables"}


class Cable(NamedTuple):
    """The addresses of the two ends; from the ranges for benchmarks of RFC 2544 and RFC 5180."""

    near: str
    far: str
    bits: int


CABLES = {
    4: (Cable("198.18.0.1", "198.18.0.2", 30), Cable("198.18.0.5", "198.18.0.6", 30)),
    6: (Cable("2001:2::1", "2001:2::2", 64), Cable("2001:2:0:1::1", "2001:2:0:1::2", 64)),
}


@dataclass(frozen=True)
class Bed:
    """The three namespaces, joined and with their addresses."""

    client: Namespace
    node: Namespace
    pods: Namespace
    topology: Topology
    stack: ExitStack

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.stack.close()

    def load_rules(self, text: str) -> None:
        """Load what `lbbench export-rules` writes into the node.

        Raises
        ------
        RunError
            When the real iptables-restore does not take it.
        """
        self.node.do([f"{TABLES[version_of(self.topology.vip)]}-restore"], text)

    def rules(self) -> str:
        """Return the node's rules with packet counters, as iptables-save prints them."""
        save = f"{TABLES[version_of(self.topology.vip)]}-save"
        return self.node.do([save, "-c", "-t", "nat"])

    def start_pods(self, *, punctual: bool = False) -> None:
        """Start the pods' servers and wait until all of them listen.

        With ``punctual`` they go before other work of the machine.

        Raises
        ------
        RunError
            When they do not.
        """
        pods = self.topology.pods
        (places,) = {pod.concurrency for pod in pods}
        words = [f"{pod.address}={1.0 / pod.speed}" for pod in pods]
        ready = self.pods.start_python(
            "pods", str(places), *words, punctual=punctual, stdout=-1, stderr=-1
        )
        assert ready.stdout is not None, "asked for"
        if ready.stdout.readline() != "ready\n":
            _, said = ready.communicate()
            raise RunError(f"the bed's pods: did not start: {said.strip()[-500:]}")


def make_bed(scenario: Scenario, sources: Iterable[str], *, listening: Iterable[str] = ()) -> Bed:
    """Return a bed for the pods of ``scenario``; use it in ``with``.

    Parameters
    ----------
    sources
        IP addresses from which the client will send.
    listening
        IP addresses of the node itself, beside those of its cables.

    Raises
    ------
    RunError
        When the machine does not allow it.
    """
    top = topology(scenario)
    ips = [split_address(pod.address)[0] for pod in top.pods]
    version = version_of(top.vip)
    six = version == 6
    with ExitStack() as stack:
        client, node, pods = (
            stack.enter_context(Namespace(name)) for name in ("client", "node", "pods")
        )
        to_client, to_pods = CABLES[version]
        sources = sorted(set(sources))
        _join(node, client, "client")
        _join(node, pods, "pods")
        _set(node, six=six, forwards=True)
        _set(client, six=six, forwards=False)
        _configure(
            client,
            *_own(sources),
            *_cable("node", to_client.near, to_client.bits),
            f"route add default via {to_client.far}",
        )
        _configure(
            pods,
            *_own(ips),
            *_cable("node", to_pods.far, to_pods.bits),
            f"route add default via {to_pods.near}",
        )
        _configure(
            node,
            *_own(listening),
            *_cable("client", to_client.far, to_client.bits),
            *_cable("pods", to_pods.near, to_pods.bits),
            *(f"route add {ip}/{bits_of(ip)} via {to_client.near}" for ip in sources),
            *(f"route add {ip}/{bits_of(ip)} via {to_pods.far}" for ip in sorted(set(ips))),
        )
        return Bed(client, node, pods, top, stack.pop_all())


def _join(node: Namespace, other: Namespace, name: str) -> None:
    """Lay a cable: ``name`` at the node's end, ``node`` at the other."""
    pair = f"link add name {name} type veth peer name node netns {other.pid}"
    node.do(["ip", *pair.split()])


def _set(namespace: Namespace, *, six: bool, forwards: bool) -> None:
    namespace.set(ipv4__ip_local_port_range=PORTS)
    if forwards:
        namespace.set(ipv4__ip_forward="1")
        if six:
            namespace.set(ipv6__conf__all__forwarding="1")
    with suppress(RunError):  # older kernels have it for the whole machine only
        namespace.set(ipv4__tcp_tw_reuse="1")


def _own(ips: Iterable[str]) -> list[str]:
    """Return what gives a namespace addresses of its own."""
    return [
        "link set lo up",
        *(
            f"address add {ip}/{bits_of(ip)} dev lo{' nodad' if bits_of(ip) == 128 else ''}"
            for ip in sorted(set(ips))
        ),
    ]


def _cable(device: str, ip: str, bits: int) -> list[str]:
    nodad = " nodad" if bits_of(ip) == 128 else ""
    return [f"address add {ip}/{bits} dev {device}{nodad}", f"link set {device} up"]


def _configure(namespace: Namespace, *lines: str) -> None:
    namespace.do(["ip", "-batch", "-"], "\n".join(lines) + "\n")

"""What a person names on the command line: a client, a node, a pod of a site."""

from __future__ import annotations

import difflib
from collections.abc import Sequence
from ipaddress import ip_address, ip_network

from lbbench.errors import InputError
from lbbench.model.stages import split_address
from lbbench.packetwalk.site import Site, Target

SHOWN = 6  # names that an error lists
EXAMPLE = "198.51.100.7:40000"


def client_of(site: Site, text: str) -> tuple[str, int]:
    """Return (address, port) of ``IP:PORT``.

    Raises
    ------
    InputError
        When it is none, of another IP version than the VIP, or an address of the cluster's pods.
    """
    try:
        ip, port = split_address(text)
    except ValueError:
        raise InputError(
            f"--client {text}: must be IP:PORT with a port from 1 to 65535, for instance {EXAMPLE}"
        ) from None
    address, vip = ip_address(ip), ip_address(site.service.vip)
    if address.version != vip.version:
        raise InputError(
            f"--client {text}: the load balancer's address {site.service.vip} is IPv{vip.version}; "
            f"give a client address of IPv{vip.version}"
        )
    for node in site.nodes:
        if node.pod_network and address in ip_network(node.pod_network):
            raise InputError(
                f"--client {text}: is an address of the pods of {node.name} ({node.pod_network}); "
                f"give a client outside, for instance {EXAMPLE}"
            )
    return str(address), port


def node_of(site: Site, text: str) -> int:
    """Return the number of the node with this name, address or number.

    Raises
    ------
    InputError
        When there is none; the sentence names those that exist.
    """
    for i, node in enumerate(site.nodes):
        if text == node.name:
            return i
    for i, node in enumerate(site.nodes):
        if text in (node.address, str(i), f"node-{i}"):
            return i
    raise InputError(
        f"--node {text}: {site.name} has no such node; {_known(text, [n.name for n in site.nodes])}"
    )


def pod_of(site: Site, text: str) -> Target:
    """Return the pod with this name or address, with or without the port.

    Raises
    ------
    InputError
        When there is none; the sentence names those that exist.
    """
    pods = site.pods()
    for item in pods:
        if text in (item.name, item.ip, item.address):
            return item
    names = [f"{item.name} ({item.ip})" for item in pods]
    raise InputError(f"--pod {text}: {site.name} has no such pod; {_known(text, names)}")


def _known(text: str, names: Sequence[str]) -> str:
    near = difflib.get_close_matches(text, names, n=3)
    if near:
        return f"did you mean {' or '.join(near)}?"
    return f"there are {some(names)}"


def some(names: Sequence[str]) -> str:
    """Return the first names, and how many more there are."""
    more = f" and {len(names) - SHOWN} more" if len(names) > SHOWN else ""
    return ", ".join(names[:SHOWN]) + more

"""What this machine lacks for a case, in a sentence."""

from __future__ import annotations

import os
import shutil
from functools import cache

from benchmarks.reality.cases import HAPROXY, KERNEL, NGINX
from benchmarks.reality.namespace import Namespace
from lbbench.errors import RunError

PACKAGES = {
    "unshare": "util-linux",
    "nsenter": "util-linux",
    "chrt": "util-linux",
    "ip": "iproute2",
    "iptables-restore": "iptables",
    "nginx": "nginx-light",
    "haproxy": "haproxy",
}
"""Debian's package of each program."""

COMMON = ("unshare", "nsenter", "chrt", "ip", "iptables-restore")
PROGRAMS = {KERNEL: COMMON, NGINX: (*COMMON, "nginx"), HAPROXY: (*COMMON, "haproxy")}


TRIAL = """*nat
-A PREROUTING -m comment --comment trial -m addrtype --dst-type LOCAL -m mark --mark 1 -j RETURN
-A PREROUTING -m statistic --mode random --probability 0.5 -j MARK --set-xmark 1/1
-A PREROUTING -p tcp -m tcp --dport 80 -j DNAT --to-destination {address}:80
-A POSTROUTING -j MASQUERADE --random-fully
COMMIT
"""
"""One rule of each kind that the exported ones use, written apart from them."""


def lacking(case: str, *, six: bool = False) -> str:
    """Return why a case cannot be run here and what would help, "" when it can.

    Parameters
    ----------
    six
        With addresses of IPv6.
    """
    if os.geteuid() != 0:
        return f"the live case {case} needs root, for network namespaces; run it with sudo"
    lost = [name for name in PROGRAMS[case] if shutil.which(name) is None]
    if lost:
        packages = dict.fromkeys(PACKAGES[name] for name in lost)
        return (
            f"the live case {case} needs {', '.join(lost)}; install "
            f"{' '.join(packages)} (apt-get install)"
        )
    return _forbidden(six=six)


@cache
def _forbidden(*, six: bool) -> str:
    """Return why the kernel gives no namespace with such rules in it, "" when it does."""
    bare = "2001:db8::1" if six else "192.0.2.1"
    address = f"[{bare}]" if six else bare
    try:
        with Namespace("trial") as namespace:
            links = f"link add name one type veth peer name two\naddress add {bare} dev lo\n"
            namespace.do(["ip", "-batch", "-"], links)
            restore = "ip6tables-restore" if six else "iptables-restore"
            namespace.do([restore], TRIAL.format(address=address))
            namespace.set(ipv4__ip_forward="1")
    except RunError as error:
        return str(error)
    return ""

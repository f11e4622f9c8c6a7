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
    "ip": "iproute2",
    "iptables-restore": "iptables",
    "nginx": "nginx-light",
    "haproxy": "haproxy",
}
"""Debian's package of each program."""

COMMON = ("unshare", "nsenter", "ip", "iptables-restore")
PROGRAMS = {KERNEL: COMMON, NGINX: (*COMMON, "nginx"), HAPROXY: (*COMMON, "haproxy")}


def lacking(case: str) -> str:
    """Return why a case cannot be run here and what would help, "" when it can."""
    if os.geteuid() != 0:
        return f"the live case {case} needs root, for network namespaces; run it with sudo"
    lost = [name for name in PROGRAMS[case] if shutil.which(name) is None]
    if lost:
        packages = dict.fromkeys(PACKAGES[name] for name in lost)
        return (
            f"the live case {case} needs {', '.join(lost)}; install "
            f"{' '.join(packages)} (apt-get install)"
        )
    return _forbidden()


@cache
def _forbidden() -> str:
    """Return why the kernel gives no namespace with rules in it, "" when it does."""
    try:
        with Namespace("trial") as namespace:
            namespace.do(
                ["ip", "link", "add", "name", "one", "type", "veth", "peer", "name", "two"]
            )
            namespace.do(["iptables-restore"], "*nat\nCOMMIT\n")
            namespace.set(ipv4__ip_forward="1")
    except RunError as error:
        return str(error)
    return ""

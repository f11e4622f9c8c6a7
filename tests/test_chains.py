"""Chain names: the seed's, and those of saves from AKS nodes."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from lbbench.core.chains import endpoint_chain, service_chain, service_port_name, suffix

DATA = Path(__file__).parent / "data" / "files"
SEED = Path(__file__).parent.parent / "lbbench" / "scenarios" / "seed" / "iptables-save.rules"

GOLDEN = {
    "default/whereami:tcp": "7G2JV7LNOR6DDNIY",
    "default/whereami:tcp10.244.0.10:80": "KFF4FJCPYGQEXMDG",
    "default/whereami:tcp10.244.1.2:80": "2QV3R2JVLUZRDSSA",
    "kube-system/addon-http-application-routing-nginx-ingress:httptcp": "PXYKE4WDT2UXBLRE",
    "kube-system/addon-http-application-routing-nginx-ingress:httptcp10.244.1.6:80": (
        "EVDIGAVJIJH6RX2S"
    ),
    "default/whereamitcp": "AYIUZSRKUWY4XTSW",
    "kube-system/addon-http-application-routing-nginx-ingress:httpstcp": "AJTCEOVVINMVBEMO",
}


@pytest.mark.parametrize(("text", "name"), GOLDEN.items())
def test_suffixes_are_those_of_the_seed(text, name):
    """Every suffix that the seed prints is recomputed, and two it does not print."""
    assert suffix(text) == name


def test_an_unnamed_port_keeps_its_colon_in_the_old_generation_only():
    """The same Service has other chains in the two generations; a named port has not."""
    assert service_port_name("default", "whereami", naming="old") == "default/whereami:"
    assert service_port_name("default", "whereami") == "default/whereami"
    for naming in ("old", "new"):
        assert service_port_name("a", "b", "http", naming=naming) == "a/b:http"


def test_all_chains_of_a_port_share_the_suffix():
    """KUBE-SVC, -FW, -XLB, -EXT and -SVL of one port differ in their prefix alone."""
    names = {
        service_chain(kind, "default/whereami:") for kind in ("SVC", "FW", "XLB", "EXT", "SVL")
    }
    assert {name.rsplit("-", 1)[1] for name in names} == {"7G2JV7LNOR6DDNIY"}
    assert len(names) == 5


SAVES = [
    SEED,
    *(DATA / name for name in ("F01_aks_cluster_1ep.rules", "F05_aks_cluster_2ep.rules")),
]


@pytest.mark.parametrize("path", SAVES, ids=lambda path: path.name)
def test_endpoint_chains_of_real_saves_are_recomputed(path):
    """The chain of every DNAT rule follows from its comment and destination, on real nodes too."""
    rule = re.compile(
        r'-A (KUBE-SEP-\w+) -p tcp .*--comment "?([^"\s]+)"?.* --to-destination (\S+)'
    )
    found = [
        match.groups() for line in path.read_text().splitlines() if (match := rule.match(line))
    ]
    assert found
    assert all(name == endpoint_chain(port, target) for name, port, target in found)

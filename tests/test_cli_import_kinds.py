"""`lbbench import` of every kind of text: a scenario that loads, and imports put together."""

from __future__ import annotations

from pathlib import Path

import pytest
from command import says_one_sentence

from lbbench.inputs.yaml import load
from lbbench.studies.imported import KINDS, Trial

DATA = Path(__file__).parent / "data"
INPUTS = {
    "iptables": ["files/F08_iptables_L_nv.txt"],
    "nftables": ["nft/kube-proxy.nft"],
    "ipvs": ["ipvs/node.ipvs", "ipvs/node.stats"],
    "nginx.conf": ["nginx/plain.conf"],
    "counts": ["files/F26_observed_counts.txt", "--service", "kubeai113"],
}


@pytest.fixture(autouse=True)
def _no_trial(monkeypatch):
    """Leave out the short run: it is the same for all kinds."""
    monkeypatch.setattr("lbbench.studies.imported.trial", lambda *_, **__: Trial(None, ""))


@pytest.mark.parametrize("kind", INPUTS)
def test_every_kind_becomes_a_scenario(command, tmp_path: Path, kind: str):
    """The file loads, and what was assumed is said."""
    path = tmp_path / "new.yaml"
    files = [DATA / item if "/" in item else item for item in INPUTS[kind]]
    ended = command("import", kind, *files, "-o", path)
    assert ended.code == 0, ended.err
    load(path)
    assert "utilisation 0.8 is assumed" in ended.out


@pytest.mark.parametrize(
    ("kind", "name"),
    [
        ("iptables", "files/F08_iptables_L_nv.txt"),
        ("nftables", "nft/kube-proxy.nft"),
        ("nginx.conf", "nginx/plain.conf"),
        ("access-log", "logs/round_robin_dead_endpoint/access.log.gz"),
        ("kubernetes", "pasted.txt"),
    ],
)
def test_a_file_read_as_another_kind_is_told(command, kind: str, name: str):
    """`import ipvs` of anything else says what it looks like, with the command."""
    ended = command("import", "ipvs", DATA / name)
    assert says_one_sentence(ended)
    assert f"it looks like another kind: lbbench import {kind} {DATA / name}" in ended.err


def test_imports_of_different_kinds_are_put_together(command, tmp_path: Path):
    """Rules, then the settings of nginx: pods and policy stay, keepalive and workers come."""
    path = tmp_path / "both.yaml"
    log = Path(load.__code__.co_filename).parents[1] / "scenarios" / "seed" / "access.log"
    assert command("import", "access-log", log, "-o", path).code == 0
    ended = command("import", "nginx.conf", DATA / "nginx" / "ingress-nginx.conf", "--into", path)
    assert ended.code == 0, ended.err
    scenario = load(path)
    assert [pod.address for pod in scenario.cluster.pods] == ["10.244.0.13:80", "10.244.1.9:80"]
    assert scenario.stages.ingress.keepalive.upstream == 320
    assert scenario.cluster.ingress.workers == 2


def test_options_belong_to_their_kinds(command):
    """--backend is for logs and nginx.conf, --service for the rest; all kinds are known."""
    ended = command("import", "conntrack", DATA / "files" / "F17_conntrack.txt", "--backend", "x")
    assert ended.code == 2
    assert "belongs to access-log and nginx.conf" in ended.err
    assert {*INPUTS, "conntrack", "access-log"} <= set(KINDS)

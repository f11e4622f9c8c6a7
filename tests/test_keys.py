"""`upstream-hash-by` templates: the string that is hashed, against the original's."""

from __future__ import annotations

import json
import zlib
from pathlib import Path

import numpy as np
import pytest

from lbbench.core.hashes import RSS_KEY, flow_bytes, toeplitz, toeplitz_tables
from lbbench.engines.hashkey import hash_key
from lbbench.engines.keys import key_tables, split_template, unknown_variables
from lbbench.engines.l4 import flow_hash
from lbbench.engines.network import bridge_addresses, flow_tables, pod_networks
from lbbench.engines.plan import make_plan
from lbbench.errors import BalancerError
from lbbench.model.check import build
from lbbench.model.topology import topology

GOLDEN = Path(__file__).parent / "golden" / "chash.json"
LEVEL = json.loads(GOLDEN.read_text(encoding="utf-8"))["balancer_level"]


@pytest.mark.parametrize("case", LEVEL, ids=[case["hash_by"] for case in LEVEL])
def test_templates_evaluate_as_the_original(case):
    """Literals, variables, braces, unknown variables and escaped dollars give the original key."""
    parts = split_template(case["hash_by"])
    for request in case["requests"]:
        found = "".join(
            request["vars"].get(text, "") if is_variable else text for is_variable, text in parts
        )
        assert found == request["key"]


@pytest.mark.parametrize("template", ["a$request_uri?", "$remote_addr"])
def test_a_balancer_makes_keys_of_its_own(template):
    """A digest gets the whole text, every one once."""
    plan = make_plan(scenario(template, "Local"))
    texts = (
        [f"a/k{i}?" for i in range(7)] if "uri" in template else plan.traffic.population.addresses
    )
    found = key_tables(
        template, plan.traffic.population, plan.topology, local=True,
        digest=lambda text: int.from_bytes(text, "little") % 2**61,
    )["key_hash"]  # fmt: skip
    assert found.tolist() == [int.from_bytes(t.encode(), "little") % 2**61 for t in texts]


def test_a_digest_takes_one_variable():
    """Two cannot be joined by it: the sentence says what to do."""
    plan = make_plan(scenario("$request_uri", "Local"))
    with pytest.raises(BalancerError, match="hashes one variable at a time; keep one of them"):
        key_tables("$remote_addr$request_uri", plan.traffic.population, plan.topology,
                   local=True, digest=len)  # fmt: skip


def test_unknown_variables_are_named():
    """What evaluates to nothing is told, so that a warning can say so."""
    assert unknown_variables("$remote_addr-$arg_user-$cookie_x") == ["$arg_user", "$cookie_x"]


def scenario(hash_by: str, policy: str):
    return build(
        {
            "cluster": {"nodes": 2, "pods": 2, "ingress": {"replicas": 2}},
            "stages": {
                "kube_proxy": {"external_traffic_policy": policy},
                "ingress": {"balancer": "chash", "hash_by": hash_by},
            },
            "traffic": {"utilisation": 0.5, "keys": {"count": 7}, "clients": {"count": 3}},
            "run": {"requests": 10},
        }
    )


@pytest.mark.parametrize("template", ["$request_uri", "a$remote_addr", "$remote_addr|$request_uri"])
def test_the_key_is_the_crc32_of_the_evaluated_text(template):
    """Tables for one varying part and the continued crc32 for several give zlib's value."""
    facts = make_plan(scenario(template, "Local")).facts
    for client in range(3):
        for key in range(7):
            text = template.replace("$remote_addr", f"11.0.0.{client}")
            text = text.replace("$request_uri", f"/k{key}")
            found = hash_key(facts, client, 0, 0, key)
            assert int(found) == zlib.crc32(text.encode())


def test_under_cluster_the_replica_sees_the_node_or_its_bridge():
    """$remote_addr is the entry node's address, or its bridge's when the replica is local."""
    made = scenario("$remote_addr", "Cluster")
    facts, top = make_plan(made).facts, topology(made)
    bridges = bridge_addresses(top)
    for node in range(2):
        for here, text in ((0, top.nodes[node].address), (1, bridges[node])):
            assert int(hash_key(facts, 0, node, here, 0)) == zlib.crc32(text.encode())


def test_a_pod_network_is_a_slice_that_one_node_has_alone():
    """Synthetic pods lie in a /24 per node; mixed addresses give no network, and no clash."""
    top = topology(scenario("$remote_addr", "Local"))
    assert pod_networks(top) == ["10.244.0.0/24", "10.244.1.0/24"]
    assert bridge_addresses(top) == ["10.244.0.1", "10.244.1.1"]
    mixed = build(
        {
            "path": "service",
            "cluster": {
                "nodes": 2,
                "pods": [
                    {"name": "a", "node": "node-0", "address": "10.1.0.5:80"},
                    {"name": "b", "node": "node-1", "address": "10.1.0.6:80"},
                ],
            },
            "traffic": {"utilisation": 0.5},
        }
    )
    assert pod_networks(topology(mixed)) == ["", ""]
    assert len(set(bridge_addresses(topology(mixed)))) == 2
    assert np.array(pod_networks(topology(mixed))).shape == (2,)


def test_flow_hashes_of_all_sources_are_the_toeplitz_hash_of_their_flow():
    """Address part and port part together give the hash of the whole 5-tuple, IPv4 and IPv6."""
    tables = toeplitz_tables(RSS_KEY)
    for vip, sources in (
        ("20.0.0.1:80", ["11.0.0.1", "66.9.149.187", "100.64.0.7"]),
        ("[2001:db8::1]:443", ["2001:db8::2", "fe80::1"]),
    ):
        for kind in ("Default", "SourceIP", "SourceIPProtocol"):
            made = flow_tables(sources, vip, kind, seed=1)
            host, port = vip.rsplit(":", 1)
            for i, source in enumerate(sources):
                row = made["address"][i]
                for source_port in (32768, 60999, 443):
                    data = flow_bytes(kind, source, source_port, host.strip("[]"), int(port))
                    wanted = toeplitz(tables, np.frombuffer(data, np.uint8))
                    found = flow_hash(row.hash, made["port_hash"][row.family], source_port)
                    assert found == int(wanted)

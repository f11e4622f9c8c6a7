"""The plan: what the engines are told about stages, shares and order."""

from __future__ import annotations

import numpy as np
import pytest

from lbbench.engines import reference
from lbbench.engines.plan import make_plan
from lbbench.model.check import build


def plan(**stages):
    return make_plan(
        build(
            {
                "cluster": {"nodes": 2, "pods": 12, "placement": [9, 3]},
                "stages": stages,
                "traffic": {"utilisation": 0.5},
                "run": {"requests": 100},
            }
        )
    )


@pytest.mark.parametrize(
    ("stages", "random"),
    [
        ({}, {"azure_lb", "kube_proxy", "reuse_port"}),
        ({"azure_lb": {"distribution": "SourceIP"}}, {"kube_proxy", "reuse_port"}),
        ({"kube_proxy": {"session_affinity": "ClientIP"}}, {"azure_lb"}),
        ({"kube_proxy": {"mode": "iptables_nth"}}, {"azure_lb"}),
        (
            {
                "azure_lb": {"distribution": "SourceIP"},
                "kube_proxy": {"external_traffic_policy": "Local"},
            },
            set(),
        ),
        ({"ingress": {"balancer": "random"}}, {"azure_lb", "kube_proxy", "reuse_port", "ingress"}),
    ],
)
def test_only_independent_picks_are_tested_for_chance(stages, random):
    """Connections of one client that go together are no draws, nor what follows from them."""
    assert plan(**stages).shape.random == random


@pytest.mark.parametrize(
    ("data", "read"),
    [
        ({}, False),
        ({"stages": {"ingress": {"hash_by": "$remote_addr$host"}}}, False),
        ({"stages": {"ingress": {"hash_by": "x${request_uri}"}}}, True),
        ({"stages": {"ingress": {"hash_by": "$host$uri"}}}, True),
        ({"stages": {"ingress": {"hash_by": "$request_uri"}}, "path": "service"}, False),
    ],
)
def test_keys_are_drawn_where_a_pick_follows_from_them(data, read):
    """Without records a plan has keys only for a template that names them; they change nothing."""
    data = {"traffic": {"utilisation": 0.5}, "run": {"requests": 60}, **data}
    with_keys, without = (make_plan(build(data), keys=keys) for keys in (True, False))
    drawn = [block.key for block in without.traffic.blocks()]
    assert (np.concatenate(drawn) >= 0).all() == read
    a, b = reference.run(with_keys).tally, reference.run(without).tally
    for name in a._fields:
        assert np.array_equal(getattr(a, name), getattr(b, name)), name


def test_expected_shares_of_every_stage_add_up_to_one():
    """Shares by the rules alone: nodes, replicas, workers, pods."""
    for name, shares in plan().shape.expected.items():
        assert shares.sum() == pytest.approx(1.0), name


def test_pods_are_numbered_by_address_inside_and_shown_in_the_order_of_the_scenario():
    """Balancers see endpoints sorted by ip:port; names stay as the scenario lists them."""
    made = plan()
    addresses = [pod.address for pod in made.topology.pods]
    assert [addresses[i] for i in made.pod_order] == sorted(addresses)
    assert list(made.shape.pods) == [f"pod-{i}" for i in range(12)]
    assert not np.array_equal(made.pod_order, np.arange(12))  # 10.244.0.10 sorts before 10.244.0.2


def test_local_policy_takes_nodes_without_endpoint_out_from_the_start():
    """Under Local a node without a target fails its probe; the others share alike."""
    made = make_plan(
        build(
            {
                "path": "service",
                "cluster": {"nodes": 3, "pods": 4, "placement": [3, 1, 0]},
                "stages": {"kube_proxy": {"external_traffic_policy": "Local"}},
                "traffic": {"utilisation": 0.3},
                "run": {"requests": 10},
            }
        )
    )
    seen = made.lists.azure_seen[0]
    assert made.lists.azure[0, : seen.n].tolist() == [0, 1]
    assert made.shape.expected["azure_lb"].tolist() == [0.5, 0.5, 0.0]
    assert made.shape.expected["kube_proxy"] == pytest.approx([1 / 6, 1 / 6, 1 / 6, 1 / 2])


@pytest.mark.parametrize("hash_by", ["$request_uri", "$remote_addr", "$remote_addr$request_uri"])
def test_what_is_kept_for_the_next_plan_cannot_be_changed(hash_by):
    """Whatever a run does to the arrays of its plan, the next plan of the process is as before."""
    scenario = build(
        {
            "cluster": {"nodes": 2, "pods": 4},
            "stages": {
                "kube_proxy": {"external_traffic_policy": "Local"},
                "ingress": {"balancer": "chash", "hash_by": hash_by},
            },
            "traffic": {"utilisation": 0.5, "clients": {"count": 50, "behind_nat": 0.3}},
        }
    )
    first = make_plan(scenario)
    before = [np.array(values) for values in first.facts if isinstance(values, np.ndarray)]
    for values in first.facts:
        if isinstance(values, np.ndarray):
            assert values.flags.writeable
            values.view(np.uint8)[...] = 255
    with pytest.raises(ValueError, match="read-only"):
        first.traffic.population.client_address[0] = 1
    again = [values for values in make_plan(scenario).facts if isinstance(values, np.ndarray)]
    for old, new in zip(before, again, strict=True):
        assert old.tobytes() == new.tobytes()

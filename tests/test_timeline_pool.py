"""The load balancer's pool in whole lives: verdicts, admin states, and every node down."""

import pytest
from living import NAMES, is_uniform, life, lived, scenario_of, views

from lbbench.engines.script import CUT, LB_VIEW
from lbbench.engines.timeline.pool import Pool


def node(at, name="node-0", until=None, **what):
    """Return a change of a node."""
    return {"at": at, "node": name, **what} | ({} if until is None else {"until": until})


def pools(*timeline, nodes=3, azure=None, **keys):
    """Return (time, nodes or "cut") of the balancer's steps."""
    keys.setdefault("path", "service")
    stages = {"azure_lb": azure or {}, **keys.pop("stages", {})}
    found = life(*timeline, cluster={"nodes": nodes, "pods": 6}, stages=stages, **keys)
    kept = [step for step in found.steps if step.op in (LB_VIEW, CUT)]
    return [(step.time, "cut" if step.op == CUT else step.listed) for step in kept]


def crash(at="100s", until=None):
    """Return changes after which every pod refuses, so that every TCP probe is reset."""
    ends = {} if until is None else {"until": until}
    return [{"at": at, "pod": f"pod-{i}", "fail": "refuse", **ends} for i in range(6)]


@pytest.mark.parametrize(
    ("verdicts", "admin", "eligible"),
    [
        ("110", ("none", "none", "none"), (0, 1)),
        ("110", ("down", "none", "up"), (1, 2)),
        ("000", ("none", "none", "none"), ()),
        ("000", ("none", "up", "none"), (1,)),
        ("111", ("down", "down", "down"), ()),
    ],
)
def test_admin_states_go_before_probes(verdicts, admin, eligible):
    """Up: always; down: never; none: the probes decide."""
    up = [letter == "1" for letter in verdicts]
    assert Pool("Standard", "drop_new").eligible(up, admin) == eligible


def test_all_probed_up_takes_every_node_that_is_not_switched_off():
    """Azure's AllProbedUp, which a Basic balancer does not have."""
    down, states = [False] * 3, ("none", "down", "none")
    assert Pool("Standard", "all_up").eligible(down, states) == (0, 2)
    assert Pool("Basic", "all_up").eligible(down, states) == ()


@pytest.mark.parametrize(
    ("azure", "nodes", "last"),
    [
        ({}, 3, [()]),
        ({"on_all_down": "drop_all"}, 3, ["cut", ()]),
        ({"sku": "Basic"}, 3, ["cut", ()]),
        ({"on_all_down": "all_up"}, 3, [(0, 1, 2)]),
        ({}, 1, ["cut", ()]),
        ({"on_all_down": "all_up"}, 1, []),
    ],
)
def test_every_node_probed_down(azure, nodes, last):
    """Standard drops new flows or takes all nodes; Basic, drop_all and a pool of one cut."""
    found = pools(*crash(), azure=azure, nodes=nodes)
    assert [what for _, what in found][-len(last) :] == last if last else found == []
    assert [what for _, what in found].count("cut") == last.count("cut")
    cuts = [time for time, what in found if what == "cut"]
    assert cuts == [time for time, what in found if what == ()][: len(cuts)]


def test_nodes_come_back_one_by_one_when_pods_recover():
    """Each after its own probes."""
    found = pools(*crash(until="200s"))
    assert [len(what) for _, what in found] == [2, 1, 0, 1, 2, 3]
    assert all(105.0 <= time < 110.0 for time, _ in found[:3])
    assert all(205.0 <= time < 210.0 for time, _ in found[3:])


def test_detection_of_a_node_in_a_whole_life():
    """A dead node, TCP, 5 s x 2: it is out after 10 to 15 s, uniformly, and back within 5 s."""
    scenario = scenario_of(node("100s", state="down", until="200s"), cluster={"nodes": 2})
    outs, backs = [], []
    for replication in range(300):
        found = lived(scenario, replication=replication)
        seen = [time for time, _, listed in views(found, LB_VIEW) if 0 not in listed]
        outs.append(min(seen) - 100.0)
        backs += [found.changes[1].last_view_at - 200.0]
        # replicas of the dead node also fail probes of the other one, as often as they are drawn
        assert found.changes[0].first_view_at == min(
            step.time for step in found.steps if step.time > 100.0 and NAMES[step.op] == "LB_VIEW"
        )
    # its own verdict cannot turn earlier, and it is down from then on
    assert is_uniform(outs, 10.0, 15.0)
    assert min(backs) >= 0.0


def test_under_local_the_last_pod_that_drains_takes_its_node_out():
    """Healthz answers 503 as soon as the rules know; the rules still list the pod that drains."""
    found = life(
        node("100s", "node-2", state="drained"),
        path="service",
        cluster={"nodes": 3, "pods": 3},
        stages={"kube_proxy": {"external_traffic_policy": "Local"}},
    )
    out = [(time, listed) for time, _, listed in views(found, LB_VIEW)]
    assert [listed for _, listed in out] == [(0, 1)]
    assert 100.0 <= out[0][0] <= 106.2


def test_admin_down_drains_without_a_cut():
    """New flows go elsewhere at once; what is established goes on, even with the last node."""
    found = pools(node("10s", azure="down", until="20s"), nodes=1, azure={"sku": "Basic"})
    assert found == [(10.0, ()), (20.0, (0,))]


def test_admin_up_overrules_the_probes():
    """A dead node that is switched up gets new flows."""
    found = pools(
        node("10s", "node-1", azure="up", until="150s"), node("100s", "node-1", state="down")
    )
    first = next(time for time, what in found if 1 not in what)
    assert first == 150.0

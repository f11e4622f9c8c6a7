"""`check` of a cluster that changes: what the pods can serve when, and what is said of it."""

from __future__ import annotations

import itertools

import pytest

from lbbench.engines.plan import make_plan
from lbbench.model.check import build
from lbbench.studies.capacity import strengths
from lbbench.studies.check import forecast


def scenario(*timeline, **more):
    """Return 4 pods of 100 requests/s each at load 0.6, for 100 s."""
    return build(
        {
            "cluster": {"nodes": 2, "pods": 4},
            "traffic": {"utilisation": 0.6, "service_time": {"mean": "10ms"}},
            "run": {"duration": "100s"},
            "timeline": list(timeline),
            **more,
        }
    )


def pieces(*timeline):
    """Return (begin, end, work, pods) of every piece."""
    life = make_plan(scenario(*timeline)).life
    return [(p.begin, p.end, p.work, p.pods) for p in strengths(life, 100.0)]


@pytest.mark.parametrize(
    ("change", "then"),
    [
        ({"scale": {"pods": 6}}, [(20.0, 100.0, 6.0, 6)]),
        ({"scale": {"pods": 1}}, [(20.0, 100.0, 1.0, 1)]),
        ({"scale": {"pods": 5, "ready_after": "10s"}}, [(30.0, 100.0, 5.0, 5)]),
        ({"pod": "pod-0", "speed": 0.25}, [(20.0, 100.0, 3.25, 4)]),
        ({"pod": "pod-0", "pause": "2s"}, [(20.0, 22.0, 3.0, 3), (22.0, 100.0, 4.0, 4)]),
        ({"pod": "pod-0", "fail": "refuse"}, [(20.0, 100.0, 3.0, 3)]),
        ({"pod": "pod-0", "fail": "hang", "until": "30s"},
         [(20.0, 30.0, 3.0, 3), (30.0, 100.0, 4.0, 4)]),
        ({"node": "node-1", "state": "down"}, [(20.0, 100.0, 2.0, 2)]),
    ],
)  # fmt: skip
def test_every_change_leaves_what_still_serves(change, then):
    """Work per second and pods, as the contract says of each change; before it 4 of 4 serve."""
    assert pieces({"at": "20s", **change})[1:] == then


def test_pieces_cover_the_run_without_a_gap():
    """Each begins where the one before ends, from 0 to the end."""
    found = pieces({"at": "20s", "rollout": {}}, {"at": "50s", "node": "node-0", "state": "down"})
    assert found[0][0] == 0.0
    assert found[-1][1] == 100.0
    assert all(a[1] == b[0] for a, b in itertools.pairwise(found))
    assert all(a[2:] != b[2:] for a, b in itertools.pairwise(found))
    assert found[0][2:] == (4.0, 4)


def test_changes_are_listed_in_order_with_their_times():
    """As the plan resolved them, also in the JSON; pods that come later have no load at first."""
    given = ({"at": "60s", "pod": "pod-1", "fail": "error"}, {"at": "20s", "scale": {"pods": 6}})
    found = forecast(scenario(*given))
    assert [change["what"] for change in found.changes] == [
        "scale to 6 pods", "pod-1 fails: error",
    ]  # fmt: skip
    scaled, failed = found.to_dict()["changes"]
    assert scaled["at_s"] == scaled["list_changed_at_s"] == 20.0
    assert 20.0 <= scaled["first_view_at_s"] <= scaled["last_view_at_s"] <= 25.0
    assert failed["first_view_at_s"] is None
    assert list(found.load_by_pod) == [f"pod-{i}" for i in range(4)]
    assert found.utilisation == pytest.approx(0.6)
    assert found.warnings == ()


def test_a_later_state_over_capacity_is_told():
    """Two pods of four at load 0.6 are at 1.2, with the time and the reason."""
    (said,) = forecast(scenario({"at": "20s", "scale": {"pods": 2}})).warnings
    assert (
        "from 20 s to the end (after: scale to 2 pods) the load is at 1.20 of what the 2 pods"
        in (said)
    )
    assert forecast(scenario({"at": "20s", "scale": {"pods": 3}})).warnings == ()
    (said,) = forecast(scenario({"at": "20s", "pod": "pod-0", "pause": "1s"},
                                traffic={"utilisation": 0.9})).warnings  # fmt: skip
    assert "from 20 s until 21 s" in said
    (said,) = forecast(scenario({"at": "20s", "scale": {"pods": 0}})).warnings
    assert "the load is beyond what the 0 pods that serve can take" in said


def test_a_saturated_closed_loop_has_no_growing_queue():
    """Its rate is a bound, and what is said is said of a bound; few users say nothing."""
    loop = {"process": "closed", "users": 1000, "think_time": "1s"}
    many = forecast(scenario(traffic={"arrivals": loop, "service_time": {"mean": "10ms"}}))
    assert many.is_bound
    assert many.to_dict()["rate_is_bound"] is True
    assert many.utilisation == pytest.approx(1.0)
    assert len(many.warnings) == 1
    assert "upper bound" in many.warnings[0]
    assert "queues grow" not in many.warnings[0]
    few = {**loop, "users": 10}
    assert (
        forecast(scenario(traffic={"arrivals": few, "service_time": {"mean": "10ms"}})).warnings
        == ()
    )
    assert not forecast(scenario()).is_bound


def test_a_closed_loop_on_a_hash_balancer_takes_the_rules():
    """There are no requests to look up before the users have asked for them."""
    loop = {"process": "closed", "users": 10, "think_time": "1s"}
    by_key = {"ingress": {"balancer": "chash", "hash_by": "$request_uri"}}
    assert forecast(scenario(traffic={"arrivals": loop}, stages=by_key)).basis == "the rules"


def test_a_canary_gets_its_weight():
    """Of 240 requests/s 20 % go to two pods, 24 each; the four others get 48 each."""
    canary = {"ingress": {"canary": {"pods": 2, "weight": 20}}}
    found = forecast(
        scenario(
            stages=canary, traffic={"arrivals": {"rate": "240/s"}, "service_time": {"mean": "10ms"}}
        )
    )
    assert list(found.rate_by_pod.values()) == pytest.approx([48.0] * 4 + [24.0] * 2)
    assert found.utilisation == pytest.approx(240 / 600)


def test_memory_counts_the_script():
    """Many changes of long lists take memory, once for the plan and once for the run."""
    timeline = [
        {"at": f"{10 + i / 4}s", "scale": {"pods": 400 if i % 2 else 401, "drain": "0s"}}
        for i in range(200)
    ]
    often = {"ingress": {"sync": {"rate_limit": "unlimited", "worker_interval": "250ms"}}}
    given = scenario(*timeline, cluster={"nodes": 4, "pods": 401}, stages=often)
    plan = make_plan(given)
    script = plan.facts.step.nbytes + plan.facts.listed.nbytes
    still = scenario(cluster={"nodes": 4, "pods": len(plan.topology.pods)})
    grown = forecast(given).memory_mib - forecast(still).memory_mib
    assert 2 * script / 2**20 <= grown + 1.0
    assert script > 2**20

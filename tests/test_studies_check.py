"""`check`: offered load per pod, predicted instability, and the need of a run."""

from __future__ import annotations

import math

import pytest

from lbbench.model.check import build
from lbbench.studies.check import forecast
from lbbench.studies.run import run


def chain(**changes):
    """Return 4 pods behind one worker at load 0.8, with leaves changed by dotted path."""
    data = {
        "cluster": {"nodes": 1, "pods": 4, "ingress": {"workers": 1}},
        "traffic": {"utilisation": 0.8, "service_time": {"mean": "10ms"}},
        "run": {"requests": 20_000},
    }
    return build(data, changes=[(path.replace("__", "."), v) for path, v in changes.items()])


def test_equal_pods_get_equal_load():
    """At utilisation 0.8 each of four equal pods is offered 80 requests/s of its 100."""
    found = forecast(chain())
    assert found.rate == pytest.approx(320.0)
    assert found.utilisation == pytest.approx(0.8)
    assert list(found.load_by_pod.values()) == pytest.approx([0.8] * 4)
    assert list(found.rate_by_pod.values()) == pytest.approx([80.0] * 4)
    assert found.warnings == ()


def test_a_slow_pod_is_predicted_to_be_over_capacity():
    """Round robin gives a pod of half speed its full share: 1.6 times what it can serve here."""
    pods = [{"name": "slow", "speed": 0.5}, *({"name": f"pod-{i}"} for i in range(3))]
    found = forecast(chain(cluster__pods=pods, traffic__utilisation=0.9))
    # capacity 350/s, rate 315/s, a quarter of it on a pod that serves 50/s
    assert found.load_by_pod["slow"] == pytest.approx(315 / 4 / 50)
    assert "slow is over capacity" in found.warnings[0]


@pytest.mark.long
def test_the_prediction_is_what_a_run_finds():
    """The hottest pod of a hash balancer: predicted load against the utilisation of a run.

    Twelve pods, so that the order of their addresses is not that of their names. The prediction
    looks up 16 384 keys, the run has 15 000 settled requests of exponential work. Where a pod gets
    a fifth of them or more, the standard error of the ratio is below
    sqrt(1 / 3000 + 2 / 3000) = 3.2 %; four of them are 13 %.
    """
    scenario = chain(
        cluster__pods=12,
        stages__ingress__balancer="chash",
        stages__ingress__hash_by="$request_uri",
        traffic__utilisation=0.3,
    )
    found = forecast(scenario)
    assert found.basis.startswith("the keys of the first 16,384 requests")
    name, load = max(found.load_by_pod.items(), key=lambda item: item[1])
    assert 0.95 > load > 0.2 * 12 * 0.3  # a fifth of the requests or more
    result = run(scenario, engine="reference")
    measured = next(pod["utilisation"] for pod in result.pods if pod["name"] == name)
    assert load == pytest.approx(measured, rel=0.13)
    assert sum(found.load_by_pod.values()) == pytest.approx(12 * 0.3)


def test_a_hot_key_is_predicted_to_overload_its_pod():
    """With one key all traffic goes to one pod, which is told before anything is run."""
    found = forecast(
        chain(
            stages__ingress__balancer="chash",
            stages__ingress__hash_by="$request_uri",
            traffic__keys__count=1,
        )
    )
    assert sorted(found.load_by_pod.values()) == pytest.approx([0.0, 0.0, 0.0, 3.2])
    assert any("is over capacity: it gets 3.20" in warning for warning in found.warnings)


def test_the_rules_of_a_service_are_used():
    """Policy Local with 3 + 1 pods on two nodes: 1/6, 1/6, 1/6 and 1/2 of the connections."""
    found = forecast(
        chain(
            path="service",
            cluster__nodes=2,
            cluster__placement=[3, 1],
            stages__kube_proxy__external_traffic_policy="Local",
        )
    )
    assert list(found.load_by_pod.values()) == pytest.approx([3.2 / 6] * 3 + [3.2 / 2])
    assert "pod-3 is over capacity" in found.warnings[0]


@pytest.mark.parametrize(
    ("cpu", "is_told"), [("2ms", False), ("2.9ms", False), ("3ms", True), ("5ms", True)]
)
def test_busy_workers_are_predicted(cpu: str, is_told: bool):
    """One worker at 320 requests/s: 2.9 ms each are load 0.93, 3 ms are 0.96, above the 0.95."""
    warnings = forecast(chain(cluster__ingress__cpu_per_request=cpu)).warnings
    assert any("nginx worker" in warning for warning in warnings) == is_told


def test_an_overloaded_cluster_is_told():
    """A utilisation above 1 is a warning, and so is a pod just below its capacity."""
    assert "the cluster is over capacity" in forecast(chain(traffic__utilisation=1.1)).warnings[0]
    assert "takes a long run" in forecast(chain(traffic__utilisation=0.96)).warnings[0]


def test_the_need_of_a_run_grows_with_its_size():
    """More requests take longer and no more memory; more pods take more memory."""
    small, long, wide = (
        forecast(chain()),
        forecast(chain(run__requests=20_000_000)),
        forecast(chain(cluster__pods=1000)),
    )
    assert small.requests == 20_000
    assert long.requests == 20_000_000
    assert long.seconds > 5 * small.seconds
    assert math.isclose(long.memory_mib, small.memory_mib, rel_tol=0.01)
    assert wide.memory_mib > small.memory_mib + 10

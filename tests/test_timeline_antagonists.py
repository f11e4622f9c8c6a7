"""Other tenants of the machines, who take cores from the pods now and then."""

import math
from itertools import pairwise

import numpy as np
import pytest
from living import FALSE_ALARM, lived, scenario_of, told
from scipy import stats

from lbbench.engines.timeline import antagonists
from lbbench.errors import ScenarioError
from lbbench.model.topology import capacity, topology

SPEED, SHARE, LASTING = 0.25, 0.2, 4.0
ANTAGONIST = {"speed": SPEED, "share": SHARE, "lasting": f"{LASTING}s"}
QUIET = LASTING * (1 - SHARE) / SHARE


def disturbed(pods, *timeline, horizon, spec=ANTAGONIST, replication=0, **keys):
    """Return the life of a cluster of so many pods with antagonists."""
    cluster = {"pods": pods, "nodes": 1, "pod": {"antagonist": spec}, **keys.pop("cluster", {})}
    scenario = scenario_of(*timeline, cluster=cluster, path="service", **keys)
    return lived(scenario, replication=replication, horizon=horizon)


def spells(found, pod, horizon):
    """Return (begin, end) of the times at which a pod is disturbed."""
    steps = [(time, speed) for time, _, a, speed in told(found.steps, "SPEED") if a == pod]
    ends = [time for time, _ in steps[1:]] + [horizon]
    return [(time, end) for (time, speed), end in zip(steps, ends, strict=True) if speed == SPEED]


def test_a_share_of_the_pods_is_disturbed_at_first():
    """Binomial with `share`: the process does not have to settle."""
    found = disturbed(200, horizon=1e-6)
    count = sum(time == 0.0 for time, _, _, speed in told(found.steps, "SPEED") if speed == SPEED)
    assert stats.binomtest(count, 200, SHARE).pvalue > FALSE_ALARM


def test_spells_and_quiet_times_are_exponential():
    """Kolmogorov and Smirnov's test on the times between changes, those cut off left out."""
    horizon = 40_000.0
    inside = spells(disturbed(1, horizon=horizon), 0, horizon)[1:-1]
    lengths = [end - begin for begin, end in inside]
    between = [begin - end for (_, end), (begin, _) in pairwise(inside)]
    assert len(lengths) > 1000
    assert stats.kstest(lengths, stats.expon(scale=LASTING).cdf).pvalue > FALSE_ALARM
    assert stats.kstest(between, stats.expon(scale=QUIET).cdf).pvalue > FALSE_ALARM


def test_the_share_of_the_time_is_as_asked():
    """The mean of a chain of two states has the variance 2 a b / ((a + b)^3 T)."""
    horizon, pods = 4000.0, 20
    found = disturbed(pods, horizon=horizon)
    time = math.fsum(end - begin for i in range(pods) for begin, end in spells(found, i, horizon))
    leave, come = 1 / LASTING, 1 / QUIET
    sd = math.sqrt(2 * leave * come / (leave + come) ** 3 / (horizon * pods))
    allowed = stats.norm.isf(FALSE_ALARM / 2) * sd
    assert abs(time / (horizon * pods) - SHARE) < allowed


def test_each_pod_has_antagonists_of_its_own():
    """In every replication others, whatever the number of pods and the balancer."""
    few = disturbed(2, horizon=200.0)
    many = disturbed(5, horizon=200.0, stages={"azure_lb": {"mapping": "maglev"}})
    other = disturbed(2, horizon=200.0, replication=1)
    assert spells(few, 0, 200.0) == spells(many, 0, 200.0) != spells(few, 1, 200.0)
    assert spells(few, 0, 200.0) != spells(other, 0, 200.0)


def test_pods_that_come_have_them_and_pods_that_go_do_not():
    """From the creation of a pod on, and to its end."""
    grow = {"at": "100s", "scale": {"pods": 2}}
    shrink = {"at": "200s", "scale": {"pods": 1, "drain": "0s", "grace": "0s"}}
    steps = told(disturbed(1, grow, shrink, horizon=400.0).steps, "SPEED")
    later = [time for time, _, pod, _ in steps if pod == 1]
    assert min(later) >= 100.0
    assert max(later) <= 200.0
    assert len(later) > 2


def test_what_is_left_of_the_speed_multiplies():
    """Own speed 2, and half of it by the timeline: 2 or 1 if nobody disturbs it, else a quarter."""
    half = {"at": "100s", "pod": "pod-0", "speed": 0.5}
    cluster = {"pods": [{"name": "pod-0", "speed": 2.0}]}
    steps = told(disturbed(1, half, horizon=400.0, cluster=cluster).steps, "SPEED")
    assert {speed for time, _, _, speed in steps if time < 100.0} <= {2.0, 0.5}
    assert {speed for time, _, _, speed in steps if time > 100.0} == {1.0, 0.25}


def test_the_load_is_a_share_of_what_is_left_on_average():
    """Utilisation 0.5 of pods that work at 1 - 0.2 (1 - 0.25) of their speed."""
    scenario = scenario_of(cluster={"pods": 4, "pod": {"antagonist": ANTAGONIST}})
    assert capacity(topology(scenario), 0.02) == pytest.approx(4 / 0.02 * 0.85)


@pytest.mark.parametrize("share", [0, 1, "100%"])
def test_never_and_always_are_no_shares(share):
    """An antagonist that is always there is a slower pod."""
    with pytest.raises(ScenarioError, match=r"share = .*: must be above 0 and below 1"):
        scenario_of(cluster={"pod": {"antagonist": {"share": share}}})


def test_too_many_spells_are_refused(monkeypatch):
    """Before the memory is full, with the way out."""
    monkeypatch.setattr(antagonists, "MOST_SPELLS", 100)
    with pytest.raises(ScenarioError, match=r"cluster\.pod\.antagonist: about .* spells"):
        disturbed(10, horizon=1000.0)
    assert np.isfinite(disturbed(1, horizon=1000.0).steps[-1].time)

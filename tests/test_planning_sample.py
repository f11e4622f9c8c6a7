"""What a plan keeps of a replication agrees with the result of the same run."""

from __future__ import annotations

import numpy as np
import pytest
from planning import clockwork
from planning import sample as made_by_hand

from lbbench import __version__
from lbbench.stats.evidence import evidence_of, pack, unpack_numbers, with_histograms
from lbbench.stats.latency import counts_from
from lbbench.studies.planning.case import cluster_of
from lbbench.studies.planning.sample import Sample, sample, sample_of
from lbbench.studies.point import Task
from lbbench.studies.run import replication, sum_up


@pytest.fixture(scope="module")
def scenario():
    """Return two busy pods of different speed behind two nodes, with failures and a warm-up."""
    return clockwork(
        **{
            "cluster.nodes": 2,
            "cluster.pods": [{"name": "pod-0"}, {"name": "pod-1", "speed": 0.5}],
            "cluster.ingress": {"replicas": "per_node", "workers": 2},
            "traffic.arrivals": {"process": "poisson", "rate": "500/s"},
            "run": {"requests": 1500, "warmup": "1s"},
            "timeline": [{"at": "1s", "pod": "pod-1", "fail": "error", "until": "2s"}],
        }
    )


@pytest.fixture(scope="module")
def task(scenario) -> Task:
    """Return the task of its first replication."""
    cluster = cluster_of(scenario)
    return Task(cluster.content, cluster.scenario, str(scenario.folder), 1, 0, "reference",
                __version__, whole=False, time_limit=None)  # fmt: skip


@pytest.fixture(scope="module")
def done(scenario):
    """Return the run itself."""
    return replication(scenario, 0, engine="reference")


@pytest.fixture(scope="module")
def kept(task) -> Sample:
    """Return what the worker sends of the same run."""
    found = sample(task)
    assert isinstance(found, Sample)
    return found


def test_pods_parts_and_errors_are_those_of_the_result(scenario, done, kept):
    """Utilisation, shares, tails, parts, failures and overload, after the same warm-up."""
    result = sum_up(scenario, done)
    assert kept.pods == tuple(pod["name"] for pod in result.pods)
    assert kept.utilisation == pytest.approx([pod["utilisation"] for pod in result.pods])
    assert kept.share == pytest.approx([pod["share"] for pod in result.pods])
    assert kept.tail == pytest.approx([pod["latency_s"]["p99"] for pod in result.pods])
    for name, part in kept.parts.items():
        assert part._asdict() == pytest.approx(result.latency_by_stage_s[name])
    assert kept.errors == {name: n for name, n in result.requests["by_error"].items() if n}
    assert kept.errors["error_5xx"] > 0
    assert kept.largest == pytest.approx(result.latency_s["max"], rel=1e-3)
    assert kept.attempts == pytest.approx(result.requests["attempts_per_request"])
    assert kept.overloaded == any("over capacity" in text for text in result.warnings)


def test_the_evidence_is_that_of_a_study(done, kept):
    """Histograms behind any warm-up, and numbers by segment, are those that a sweep keeps."""
    outcome = done.outcomes[0]
    numbers, histograms = pack(evidence_of(outcome.tally, outcome.shape))
    for first in (0, 7, 16):
        stored = with_histograms(unpack_numbers(numbers), histograms, first)
        found = kept.behind(first)
        assert np.array_equal(counts_from(found, first), counts_from(stored, first))
        assert np.array_equal(found.latency_sum, stored.latency_sum)
    with pytest.raises(ValueError, match="cannot be cut at segment 20"):
        made_by_hand([0.1]).behind(20)


def test_what_goes_wrong_is_a_row_with_its_sentence(task):
    """A scenario that cannot be run comes back as an error in words."""
    broken = task._replace(scenario=task.scenario.replace("round_robin", "no_such_thing"))
    found = sample(broken._replace(content=_content(broken)))
    assert not isinstance(found, Sample)
    assert found.status == "failed"
    assert "no_such_thing" in str(found.error)


def test_skews_are_the_most_over_the_mean(scenario, done, task):
    """By kind of target; a single node or replica has none."""
    outcome = done.outcomes[0]
    found = sample_of(outcome.tally, outcome.shape, scenario, task)
    requests = outcome.tally.node_requests.sum(axis=0)
    assert set(found.skews) == {"node", "replica", "worker"}
    assert found.skews["node"] >= 1.0
    assert requests.sum() == 1500


def _content(task: Task) -> str:
    import json
    from pathlib import Path

    from lbbench.studies.content import content_of

    return content_of(json.loads(task.scenario), Path(task.folder))

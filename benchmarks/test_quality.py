"""What does a fast pick buy? Balance and remap beside the time.

``moved`` is the share of keys that change their endpoint when one of them leaves, ``least`` the
share that has to. Both are only there for balancers that go by the key.

What it buys in the end, latency, errors and sessions, depends on the job: each balancer does a
short version of the league's jobs (`lbbench compare --all` does the whole ones).
"""

from __future__ import annotations

import pytest

from benchmarks.instances import Instance
from lbbench.balancers.base import registry
from lbbench.inputs.yaml import load
from lbbench.studies.league.alone import alone
from lbbench.studies.league.jobs import JOBS, starters
from lbbench.studies.league.league import endpoints
from lbbench.studies.league.pick_cost import picks_per_s

PICKS = 20_000
SIZES = (16, 256)
REQUESTS, REPLICATIONS = 20_000, 5  # of a job
UNTIL_CHANGED = 100_000  # requests of a job whose cluster changes: the change is in their midst


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("name", sorted(registry()))
def test_quality(benchmark, name: str, size: int):
    """Time 20 000 picks; extra_info has how well they were spread."""
    benchmark.group = f"quality: {size} endpoints"
    instance = Instance(name, size, PICKS)
    benchmark.pedantic(instance.run, rounds=3, warmup_rounds=1)
    quality = instance.quality()
    benchmark.extra_info |= {
        "picker": name,
        "nodes": size,
        "ns_per_pick": round(benchmark.stats.stats.median / PICKS * 1e9, 2),
        "max_over_mean": round(quality.max_over_mean, 4),
        "cov": round(quality.cov, 4),
        "moved": quality.moved,
        "least": quality.least,
    }


@pytest.mark.parametrize("job", JOBS)
@pytest.mark.parametrize("name", sorted(n for n, b in registry().items() if b.level == "l7"))
def test_quality_at_job(benchmark, name: str, job: str):
    """Time a short version of a league's job; extra_info has the figures of the league."""
    benchmark.group = f"league: {job}"
    scenario = load(job, [f"run.replications={REPLICATIONS}"])
    changes = any(change.at > 0.0 for change in scenario.timeline)
    requests = UNTIL_CHANGED if changes else REQUESTS
    scenario = scenario.with_({"run.requests": requests})
    known = {one.name: one for one in starters(scenario).entrants}
    if name not in known:
        pytest.skip(starters(scenario).refused[name])
    found = benchmark.pedantic(lambda: alone(scenario, known[name]), rounds=1, warmup_rounds=1)
    pods = endpoints(scenario.resolved())
    benchmark.extra_info |= {
        "picker": name,
        "job": job,
        "requests": requests * REPLICATIONS,
        "seed": scenario.run.seed,
        "requests_per_s": round(requests * REPLICATIONS / benchmark.stats.stats.median),
        **{figure: value.to_dict() for figure, value in found.items()},
        "picks_per_s": picks_per_s(name, pods, ".").to_dict(),
    }

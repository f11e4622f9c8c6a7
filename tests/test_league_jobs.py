"""The jobs of the league, and who is put to them."""

from __future__ import annotations

import pytest

from lbbench.balancers.base import registry
from lbbench.engines.stages import MODES
from lbbench.inputs.yaml import LEAGUE, load
from lbbench.model.topology import topology
from lbbench.studies.league.jobs import (
    JOBS,
    REPLICATIONS,
    SERVICE_JOBS,
    jobs,
    starters,
    with_replications,
)
from lbbench.studies.league.league import endpoints
from lbbench.traffic.generate import Traffic


def test_every_job_of_the_room_is_in_the_league():
    """Eight jobs of the ingress path and those of kube-proxy are all that lies in the room."""
    assert len(JOBS) == 8
    assert {path.stem for path in LEAGUE.glob("*.yaml")} == {*JOBS, *SERVICE_JOBS}
    assert [one.path for one in jobs()] == ["ingress"] * len(JOBS) + ["service"] * len(SERVICE_JOBS)


@pytest.mark.parametrize("name", [*JOBS, *SERVICE_JOBS])
def test_a_job_has_a_seed_and_can_carry_intervals(name: str):
    """Five replications of 200 000 requests under seed 1, at most 16 pods at any time."""
    scenario = load(name)
    assert (scenario.run.seed, scenario.run.replications) == (1, REPLICATIONS)
    assert scenario.run.requests == 200_000
    assert endpoints(scenario.resolved()) == 16


@pytest.mark.parametrize("name", [*JOBS, *SERVICE_JOBS])
def test_a_job_is_stable_for_random_choices(name: str):
    """Equal shares keep every pod below its capacity: rate / n x mean / speed < 0.9."""
    scenario = load(name)
    pods = topology(scenario).pods
    work = scenario.traffic.service_time.mean
    per_pod = Traffic(scenario).population.rate / len(pods)
    assert max(per_pod * work / (pod.speed * pod.concurrency) for pod in pods) < 0.9


def test_every_balancer_of_layer_7_takes_part():
    """The registry decides who is put to a job; nobody has to be entered."""
    found = starters(load("equal-pods"))
    wanted = {name for name, item in registry().items() if item.level == "l7"}
    assert {one.name for one in found.entrants} | set(found.refused) == wanted
    assert [one.name for one in found.entrants] == sorted(one.name for one in found.entrants)


def test_who_cannot_do_a_job_is_named_with_the_reason():
    """change_on_failure is nothing for the stickiness of release 0.21, which pays no heed to it."""
    found = starters(load("equal-pods", ["stages.ingress.change_on_failure=true"]))
    assert "pays no heed to failures" in found.refused["sticky_0.21"]
    assert not found.refused["sticky_0.21"].startswith("equal-pods")


def test_a_job_of_the_service_path_is_for_modes_of_kube_proxy():
    """Modes that this version simulates are put to it, the others are named with the reason."""
    found = starters(load("service-keep-alive"))
    there = {mode for mode, name in MODES.items() if name in registry()} - {"ipvs"}
    assert there <= {one.name for one in found.entrants}
    assert {one.balancer for one in found.entrants} <= set(registry())
    assert all("not simulated" in reason for reason in found.refused.values())


def test_a_single_replication_becomes_several():
    """Shares have no interval in one run, so `--all` takes five unless more are asked for."""
    assert with_replications(load("aks-ingress")).run.replications == REPLICATIONS
    assert with_replications(load("aks-ingress", ["run.replications=2"])).run.replications == 2

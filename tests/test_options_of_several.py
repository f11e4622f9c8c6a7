"""Options of one balancer in a scenario that is run with several: who gets them, what is told."""

from __future__ import annotations

import json

import pytest

from lbbench.errors import ScenarioError
from lbbench.model.check import build
from lbbench.studies.beginning import members_of
from lbbench.studies.league.jobs import starters
from lbbench.studies.variants import partly_known


def swept(options: dict, names: list[str], **axes):
    """Return a scenario with options and an axis of balancers."""
    return build(
        {
            "traffic": {"utilisation": 0.5},
            "run": {"requests": 100},
            "stages": {"ingress": {"balancer": names[0], "options": options}},
            "sweep": {"axes": {"stages.ingress.balancer": names, **axes}},
        }
    )


def options_of(scenario) -> list[dict]:
    """Return the options of every point of a sweep."""
    return [
        json.loads(member.scenario)["stages"]["ingress"]["options"]
        for member in members_of(scenario)
    ]


def test_an_option_goes_to_those_of_an_axis_that_have_it():
    """Ewma has a decay, p2c and round robin have none."""
    found = options_of(swept({"decay": "5s"}, ["ewma", "p2c", "round_robin"]))
    assert found == [{"decay": "5s"}, {}, {}]


def test_an_option_that_nobody_has_is_a_mistake_as_ever():
    """It is not left out in silence."""
    scenario = swept({"decya": "5s"}, ["ewma", "p2c"])
    assert partly_known(scenario, ["ewma", "p2c"]) == ()
    assert options_of(scenario) == [{"decya": "5s"}] * 2  # the points' runs say so


def test_an_option_that_is_an_axis_itself_stays():
    """Who varies the options says for whom."""
    axes = {"stages.ingress.options.decay": ["5s", "10s"]}
    found = options_of(swept({}, ["ewma", "p2c"], **axes))
    assert found == [{"decay": "5s"}, {"decay": "10s"}] * 2


def test_a_league_of_somebodys_scenario_has_every_balancer():
    """Options of its balancer keep nobody out; what nobody has keeps everybody out."""
    plain = build({"traffic": {"utilisation": 0.5}})
    given = {"stages.ingress.balancer": "ewma", "stages.ingress.options": {"decay": "5s"}}
    assert starters(plain.with_(given)).entrants == starters(plain).entrants
    nobody = starters(plain.with_({"stages.ingress.options": {"decya": "5s"}}))
    assert nobody.entrants == ()
    assert all("no option 'decya'" in reason for reason in nobody.refused.values())


def test_an_unknown_balancer_is_told_where_it_always_was():
    """The check of the axes names it, with near misses."""
    with pytest.raises(ScenarioError, match="there is no balancer 'ewmaa'; did you mean"):
        members_of(swept({"decay": "5s"}, ["ewma", "ewmaa"]))

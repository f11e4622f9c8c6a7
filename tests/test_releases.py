"""Operators' words lead to the balancer of their release, or to a sentence."""

from __future__ import annotations

import pytest

from lbbench.balancers.base import registry
from lbbench.balancers.releases import LATER, THEN, for_release
from lbbench.engines.stages import ingress_stage
from lbbench.errors import BalancerError, LbbenchError
from lbbench.model.check import build


def ingress(**stage):
    return ingress_stage(
        build({"name": "s", "stages": {"ingress": stage}, "traffic": {"utilisation": 0.5}})
    )


@pytest.mark.parametrize("name", sorted(registry()))
def test_every_word_means_a_balancer_that_there_is(name: str):
    """Today's words mean themselves today; in 0.21 each leads to a balancer or is refused."""
    assert for_release(name, "current") == name
    if name in LATER:
        with pytest.raises(BalancerError, match=f"{name} did not exist in release 0.21.* use "):
            for_release(name, "0.21")
    else:
        assert for_release(name, "0.21") in registry()


def test_what_a_sentence_recommends_exists_in_that_release():
    """The way out of an error is one."""
    for _, instead in LATER.values():
        assert for_release(instead.partition(",")[0], "0.21") in registry()


def test_an_unknown_release_is_told():
    """A release that is not modelled names those that are."""
    with pytest.raises(BalancerError, match=r"no release '0\.9'; known are: current, 0\.21"):
        for_release("ewma", "0.9")


def test_a_users_own_balancer_belongs_to_no_release():
    """A file's balancer stays itself."""
    assert for_release("my_lb.py:mine", "0.21") == "my_lb.py:mine"


@pytest.mark.parametrize(("word", "then"), sorted(THEN.items()))
def test_the_ingress_uses_the_generation_that_is_asked_for(word: str, then: str):
    """`release` chooses between today's and the old balancer of one word."""
    assert ingress(balancer=word)[0].name == word
    assert ingress(balancer=word, release="0.21")[0].name == then


def test_round_robin_of_0_21_begins_at_the_first_node():
    """Whatever `start` says; the balancer's own options come last, as always."""
    assert ingress(balancer="round_robin")[1]["start"] == "random"
    assert ingress(balancer="round_robin", release="0.21")[1]["start"] == "first"
    given = {"balancer": "round_robin", "release": "0.21", "options": {"start": "random"}}
    assert ingress(**given)[1]["start"] == "random"


@pytest.mark.parametrize(
    ("stage", "words"),
    [
        (
            {"balancer": "chashsubset"},
            r"^s: stages\.ingress\.release: .* came with 0\.22; use chash",
        ),
        ({"balancer": "sticky_persistent"}, "came with 0.26"),
        ({"balancer": "sticky_balanced", "change_on_failure": True}, "pays no heed to failures"),
        ({"balancer": "ewma", "options": {"lock_hold": "1us"}}, "no option 'lock_hold'"),
    ],
)
def test_what_0_21_had_not_is_refused_with_its_place(stage: dict, words: str):
    """Nothing of a later release is silently left out."""
    with pytest.raises(LbbenchError, match=words):
        ingress(release="0.21", **stage)


def test_cookie_jars_come_with_both_generations():
    """Sessions are on by default for today's word with an old release, and for the old name."""
    for stage in (
        {"balancer": "sticky_balanced", "release": "0.21"},
        {"balancer": "sticky_0.21"},
    ):
        built = build({"stages": {"ingress": stage}, "traffic": {"utilisation": 0.5}})
        assert built.traffic.sessions != "none"

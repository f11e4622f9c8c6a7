"""The suite: what is measured where, which claims fall, what the document says."""

from __future__ import annotations

from functools import partial

import measures
import numpy as np
import pytest

from lbbench.errors import InputError
from lbbench.verify import chance
from lbbench.verify.checks import all_checks
from lbbench.verify.experiment import Experiment, samples, seed_of, stacked
from lbbench.verify.oracles import oracle
from lbbench.verify.suite import FAMILY_ERROR, Check, Verification, chosen, judged, run_suite


def claim(name: str, found: chance.Found, of: Experiment | None = None) -> Check:
    """Return a check that finds what it is told to."""
    of = of or Experiment("drawn", measures.drawn, 8, at_once=3)
    return Check(name, "Topic", "a claim", "a book", of, lambda _sample: found)


def at_chance(p: float) -> chance.Found:
    return chance.Found(1.0, 2.0, 0.1, p, 9, "t")


def test_workers_measure_every_replication_once():
    """Eight replications in goes of three: all there, in order, as `measure` alone gives them."""
    told = []
    of = Experiment("drawn", measures.drawn, 8, at_once=3)
    found = samples([of], 5, workers=2, progress=lambda *said: told.append(said))["drawn"]
    assert found["number"].tolist() == list(range(8))
    seed = seed_of(5, "drawn")
    assert found["x"].tolist() == [measures.drawn(seed, i)["x"] for i in range(8)]
    assert [said[0] for said in told] == ["replications"] * 3
    assert told[-1][1:] == (8, 8)


def test_what_breaks_one_experiment_breaks_its_checks_alone():
    """The check on the broken one fails with the error's sentence; the other is judged."""
    right = Experiment("drawn", measures.drawn, 8, at_once=8)
    mean = partial(chance.mean_is, expected=1.0)
    checks = [
        Check("good-one", "Topic", "a claim", "a book", right, lambda sample: mean(sample["x"])),
        claim("bad-one", at_chance(1.0), Experiment("broken", measures.broken, 2)),
        Check("odd-one", "Topic", "a claim", "a book", right, lambda sample: mean(sample["y"])),
    ]
    found = run_suite(checks, workers=1)
    assert [item.verdict for item in found.judged] == ["pass", "fail", "fail"]
    assert found.judged[1].error == "ValueError: replication 0 has no numbers"
    assert found.judged[1].p_value == 0.0
    assert found.judged[2].error == "KeyError: 'y'"
    assert not found.passed


def test_what_a_killed_worker_had_is_done_again(tmp_path):
    """A worker that is killed once or twice costs nothing; what kills three is broken."""
    kinds = {"once": 1, "twice": 2, "always": 9}
    for name in kinds:
        (tmp_path / name).mkdir()
    found = samples(
        [
            Experiment(name, partial(measures.deadly, tmp_path / name, most), 1)
            for name, most in kinds.items()
        ],
        1,
        workers=2,
    )
    assert found["once"]["number"].tolist() == found["twice"]["number"].tolist() == [0]
    assert "SIGKILL" in str(found["always"])


def test_seeds_of_experiments_differ_and_follow_the_seed():
    """Two experiments share no seed, and another seed of the suite gives other ones."""
    names = {check.of.name for check in all_checks()}
    assert len({seed_of(1, name) for name in names}) == len(names)
    assert all(seed_of(1, name) != seed_of(2, name) for name in names)


def test_numbers_are_stacked_in_order_of_the_replications():
    """Whoever was done first: row i is replication i."""
    rows = {2: {"x": 20, "y": np.array([2, 2])}, 0: {"x": 0, "y": np.array([0, 0])}}
    made = stacked(rows)
    assert made["x"].tolist() == [0, 20]
    assert made["y"].shape == (2, 2)


def test_certain_claims_cost_the_others_nothing():
    """One claim of two left to chance is held against half of 1 %, however many are certain."""
    sure = chance.certain(0.0, 0.0, 4)
    wrong = chance.certain(1.0, 0.0, 4)
    found = [at_chance(0.004), sure, wrong, sure, at_chance(0.2)]
    items = judged([claim(f"c-{i}", one) for i, one in enumerate(found)], found)
    assert [item.passed for item in items] == [False, True, False, True, True]
    assert Verification(items, 1, 0.1).level == FAMILY_ERROR / 2
    found[0] = at_chance(0.006)
    assert judged([claim("c", one) for one in found], found)[0].passed


def test_the_document_holds_every_check():
    """Schema, level, and for each check its claim, numbers, p-value, verdict and source."""
    found = [at_chance(0.5), chance.certain(1.0, 0.0, 4)]
    checks = [claim("a-one", found[0]), claim("a-two", found[1])]
    document = Verification(judged(checks, found), 3, 1.23456).to_dict()
    assert document.keys() == {
        "schema", "version", "seed", "family_error", "level_per_check", "checks", "passed",
        "wall_s",
    }  # fmt: skip
    assert document["schema"] == "lbbench.verify/1"
    assert (document["seed"], document["passed"], document["wall_s"]) == (3, False, 1.235)
    assert (document["family_error"], document["level_per_check"]) == (0.01, 0.01)
    assert document["checks"][0] == {
        "id": "a-one", "topic": "Topic", "claim": "a claim", "observed": 1.0, "expected": 2.0,
        "standard_error": 0.1, "p_value": 0.5, "verdict": "pass", "source": "a book", "n": 9,
        "test": "t",
    }  # fmt: skip
    assert document["checks"][1]["standard_error"] is None
    assert (document["checks"][1]["p_value"], document["checks"][1]["verdict"]) == (0.0, "fail")


def test_checks_are_chosen_by_id_and_by_group():
    """An id gives one, the first word of ids all of them, nothing everything, each once."""
    every = all_checks()
    assert chosen(None, every) == every
    assert [check.id for check in chosen(["MM1-P99", "mm1-p99"], every)] == ["mm1-p99"]
    rings = chosen(["rings", "rings-arcs"], every)
    assert len(rings) > 3
    assert all(check.id.startswith("rings-") for check in rings)


@pytest.mark.parametrize(
    ("name", "hint"),
    [
        ("mm1-p98", "did you mean mm1-p99"),
        ("ring", "did you mean rings"),
        ("xyzzy", "there are the groups mm1, mmc"),
        ("c05", "it is a case: lbbench verify --cases C05"),
    ],
)
def test_a_check_that_is_not_there_is_refused(name: str, hint: str):
    """The sentence has what was asked for and what there is."""
    with pytest.raises(InputError, match="there is no such check") as raised:
        chosen([name], all_checks())
    assert name in str(raised.value)
    assert hint in str(raised.value)


def test_an_oracle_is_one_entry():
    """A model and its parameters lead to one entry, with its source; anything else is refused."""
    found = oracle("M/M/1 sojourn", rho=0.5)
    assert (found["mean"], found.kind) == (2.0, "exact")
    assert "Kleinrock" in found.source
    for params in ({}, {"rho": 0.123}):
        with pytest.raises(KeyError):
            oracle("M/M/1 sojourn", **params)

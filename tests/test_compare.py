"""`compare`: one traffic, one warm-up, paired differences in numbers and words."""

from __future__ import annotations

import math

import pytest

from lbbench.errors import LbbenchError, RunError, ScenarioError
from lbbench.model.check import build
from lbbench.model.label import label_of
from lbbench.stats.pairs import Difference
from lbbench.studies.compare import BALANCER, compare, variants_of
from lbbench.studies.differences import _sentence
from lbbench.studies.run import FIRST_REPLICATIONS, replicate, warmup_segments


def chain(requests: int, utilisation: float = 0.8, **run):
    """Return 16 FIFO pods behind one worker: no network, no worker CPU, exponential service."""
    return build(
        {
            "name": "chain",
            "cluster": {"nodes": 1, "pods": 16, "ingress": {"workers": 1}},
            "traffic": {"utilisation": utilisation, "service_time": {"mean": "50ms"}},
            "run": {"requests": requests, **run},
        }
    )


def said(**changes) -> Difference:
    """Return a difference with figures of its own: b is 5.2 times a."""
    figures = {
        "metric": "p99", "a": 0.1, "b": 0.52, "difference": 0.42, "difference_ci95": (0.4, 0.44),
        "ratio": 5.2, "ratio_ci95": (5.0, 5.4), "p_value": 1e-9, "units": 48, "source": "batches",
    }  # fmt: skip
    return Difference(**{**figures, **changes})


@pytest.mark.long
def test_random_and_round_robin_differ_as_theory_says():
    """Mean response: M/M/1 per pod against E16/M/1, 5.00 and 2.84 service times at load 0.8.

    G/M/1: the mean response is 1 / (1 - sigma) service times, where sigma solves
    sigma = A*((1 - sigma) mu) and the transform of 16 exponential gaps of rate 12.8 mu is
    A*(s) = (1 + s / (12.8 mu))^-16. The interval of the ratio is 95 %; twice its width is 3.9
    standard errors: a false alarm once in 10 000.
    """
    sigma = 0.5
    for _ in range(200):
        sigma = (1.0 + (1.0 - sigma) / 12.8) ** -16
    wanted = (1.0 / (1.0 - sigma)) / 5.0
    assert 5.0 * wanted == pytest.approx(2.84, abs=0.005)  # as the literature has it
    found = compare(chain(60_000), ["random", "round_robin"])
    mean = next(item for item in found.differences.items["round_robin"] if item.metric == "mean")
    low, high = mean.ratio_ci95
    assert abs(math.log(mean.ratio / wanted)) <= math.log(high / low)
    assert found.differences.told_apart["round_robin"]["mean"]


def test_every_variant_meets_the_same_requests():
    """Arrivals, work, clients and keys are the same columns whatever the balancer."""
    columns = {}
    for name in ("random", "round_robin", "ewma"):
        scenario = chain(500).with_({BALANCER: name})
        records = replicate(scenario, engine="reference", record=True).outcomes[0].records
        columns[name] = [records[key].tolist() for key in ("arrival", "client", "port", "key")]
    assert columns["random"] == columns["round_robin"] == columns["ewma"]


@pytest.mark.long
def test_the_largest_warmup_holds_for_all():
    """All variants are cut at the warm-up of the one that needs the longest."""
    values = ["round_robin", "random", "least_conn"]
    found = compare(chain(3000, 0.95), values, engine="reference")
    needed = [
        warmup_segments(replicate(chain(3000, 0.95).with_({BALANCER: name}),
                                  engine="reference").outcomes)
        for name in values
    ]  # fmt: skip
    assert len(set(needed)) > 1  # else the maximum is no choice
    kept = {result.latency_s["n"] for result in found.results.values()}
    first = max(needed)
    assert kept == {3000 - math.ceil(first * 3000 / 64)}


def test_equal_variants_cannot_be_told_apart():
    """A leaf without influence on the requests gives differences of exactly zero."""
    found = compare(chain(2000), ["1s", "7s"], leaf="run.window", engine="reference")
    for item in found.differences.items["7s"]:
        assert item.difference == 0.0
    assert found.sentences == (
        "7s mean and 1s cannot be told apart",
        "7s p99 and 1s: too few requests to tell them apart",
    )


def test_the_document_holds_everything_by_name():
    """The JSON has leaf, sentences, every difference with its interval, and the whole results."""
    found = compare(chain(1000), ["round_robin", "random"], engine="reference")
    document = found.to_dict()
    assert document["schema"] == "lbbench.compare/1"
    assert document["leaf"] == BALANCER
    assert [item["metric"] for item in document["differences"]] == [
        "latency.mean",
        "latency.p50",
        "latency.p99",
    ]
    assert all(item["against"] == "round_robin" for item in document["differences"])
    assert set(document["results"]) == {"round_robin", "random"}
    assert document["results"]["random"]["schema"] == "lbbench.result/1"


def test_failures_are_compared_when_there_are_any():
    """With a full queue the error rates of the variants are compared and said too."""
    scenario = chain(4000).with_({"cluster.pod.queue": 1})
    found = compare(scenario, ["round_robin", "random"], engine="reference")
    rate = next(item for item in found.differences.items["random"] if item.metric == "error_rate")
    failed = [result.requests["failed"] for result in found.results.values()]
    assert failed[1] > failed[0] > 0
    assert rate.b > rate.a
    assert found.sentences[-1].startswith("random error rate ")


@pytest.mark.parametrize(
    ("item", "told", "sentence"),
    [
        (said(), True, "ewma p99 5.2x round_robin, 95 % 5.0-5.4"),
        (said(ratio_ci95=(5.18, 5.22)), True, "ewma p99 5.20x round_robin, 95 % 5.18-5.22"),
        (said(ratio=52.0, ratio_ci95=(40.0, 70.0)), True, "ewma p99 52x round_robin, 95 % 40-70"),
        (said(), False, "ewma p99 and round_robin cannot be told apart"),
        (
            said(difference_ci95=None, ratio_ci95=None, p_value=None),
            False,
            "ewma p99 and round_robin: too few requests to tell them apart",
        ),
        (
            said(metric="error_rate", a=0.0, b=0.02, difference=0.02,
                 difference_ci95=(0.015, 0.025), ratio=None, ratio_ci95=None),
            True,
            "ewma error rate +2 % against round_robin, 95 % 1.5-2.5",
        ),
    ],
)  # fmt: skip
def test_a_difference_in_words(item: Difference, told: bool, sentence: str):
    """A difference is a ratio with its interval, or it is said that there is none to tell."""
    assert _sentence("round_robin", "ewma", item, told_apart=told) == sentence


@pytest.mark.parametrize(
    ("balancers", "vary", "wanted"),
    [
        (None, None, (BALANCER, ["a", "b"])),
        ("ewma, random", None, (BALANCER, ["ewma", "random"])),
        (None, "cluster.pods=1,2", ("cluster.pods", [1, 2])),
        (None, "stages.azure_lb.distribution=Default,SourceIP",
         ("stages.azure_lb.distribution", ["Default", "SourceIP"])),
        (None, "traffic.keys.popularity=uniform,{zipf: 1.2}",
         ("traffic.keys.popularity", ["uniform", {"zipf": 1.2}])),
        (None, "cluster.placement=[5, 5, 6],spread",
         ("cluster.placement", [[5, 5, 6], "spread"])),
    ],
)  # fmt: skip
def test_what_varies_is_read_from_the_command_line(balancers, vary, wanted):
    """Values are YAML: commas inside brackets belong to a value."""
    assert variants_of(chain(10), balancers, vary, "a,b") == wanted


@pytest.mark.parametrize(
    ("balancers", "vary", "message"),
    [
        ("ewma", "run.seed=1,2", "give one of them"),
        (None, "run.seed", "write it as LEAF=X,Y"),
        (None, "run.seed=", "write it as LEAF=X,Y"),
        (None, "cluster.pods=[1", "not valid YAML"),
        (None, "run.seed=1,2", "the same traffic"),
        ("", None, "at least two different"),
        ("ewma,ewma", None, "at least two different"),
    ],
)
def test_what_cannot_vary_is_refused(balancers, vary, message):
    """Both options, or one that cannot be read, are errors with a way out."""
    with pytest.raises(LbbenchError, match=message):
        variants_of(chain(10), balancers, vary, "a,b")


def test_a_service_has_no_ingress_balancer_to_compare():
    """On the service path a comparison of ingress balancers would compare nothing."""
    with pytest.raises(RunError, match=r"path = service .* --vary"):
        variants_of(chain(10).with_({"path": "service"}), None, None, "a,b")


@pytest.mark.parametrize(
    ("values", "error", "message"),
    [
        (["ewma"], RunError, "at least two values"),
        (["ewma", "random", "ewma"], RunError, "ewma is given twice"),
        (["ewma", "emwa"], LbbenchError, "did you mean ewma"),
    ],
)
def test_wrong_variants_are_refused_before_anything_runs(monkeypatch, values, error, message):
    """No variant runs when one of them is wrong."""
    monkeypatch.setattr("lbbench.studies.compare.replicate", lambda *_, **__: pytest.fail("ran"))
    with pytest.raises(error, match=message):
        compare(chain(10), values)


def test_a_wrong_leaf_is_refused():
    """A leaf that does not exist is the scenario's error, with near misses."""
    with pytest.raises(ScenarioError, match=r"run\.sed"):
        compare(chain(10), [1, 2], leaf="run.sed")


@pytest.mark.long
def test_with_precision_all_variants_get_as_many_replications():
    """Pairs need equally many replications: all get what the least precise variant needs."""
    asked = {"metric": "latency.mean", "relative": "6%", "max_replications": 40}
    found = compare(chain(2_000, precision=asked), ["random", "round_robin"])
    offered = {result.requests["offered"] for result in found.results.values()}
    assert len(offered) == 1
    n = offered.pop() // 2_000
    assert n > FIRST_REPLICATIONS
    halves = {}
    for name, result in found.results.items():
        low, high = result.latency_s["ci95"]["mean"]
        halves[name] = (high - low) / 2 / result.latency_s["mean"]
    assert max(halves.values()) <= 0.06
    before = compare(chain(2_000, replications=n - 1), ["random", "round_robin"])
    widths = []
    for result in before.results.values():
        low, high = result.latency_s["ci95"]["mean"]
        widths.append((high - low) / 2 / result.latency_s["mean"])
    assert max(widths) > 0.06


def test_precision_that_is_not_reached_is_told():
    """When the most replications do not suffice, the variants that are too vague say so."""
    asked = {"metric": "latency.mean", "relative": "0.01%", "max_replications": 2}
    found = compare(chain(500, precision=asked), ["random", "round_robin"])
    for result in found.results.values():
        assert result.requests["offered"] == 1_000
        assert any("is not within 0.0001" in warning for warning in result.warnings)


def test_results_get_distinct_names_of_files():
    """Names with folders or signs become names of files, different ones for different variants."""
    found = compare(chain(100), ["1s", "2s"], leaf="run.window", engine="reference")
    one = found.results["1s"]
    renamed = found.__class__(
        **{**vars(found), "results": {"/a/my.py:mine": one, "/b/my.py:mine": one, "..": one}}
    )
    assert list(renamed.by_file_name()) == ["my.py_mine", "my.py_mine-1", "value"]
    assert label_of("/a/my.py:mine") == "my.py:mine"
    assert label_of("ewma") == "ewma"


def test_options_come_with_a_name_or_stay_with_whom_they_are_meant_for():
    """Braces replace the scenario's options; without them a balancer keeps what it has of them."""
    from lbbench.studies.variants import split_names, with_balancer

    names = split_names("round_robin, envoy_random{outlier: true, interval: 1s},haproxy_leastconn")
    assert names == [
        "round_robin", "envoy_random{outlier: true, interval: 1s}", "haproxy_leastconn",
    ]  # fmt: skip
    scenario = build(
        {
            "stages": {"ingress": {"balancer": "p2c", "options": {"choices": 3}}},
            "traffic": {"utilisation": 0.5},
        }
    )
    made = {name: with_balancer(scenario, name) for name in (*names, "p2c", "envoy_least_request")}
    options = {name: dict(one.scenario.stages.ingress.options) for name, one in made.items()}
    assert options["p2c"] == options["envoy_least_request"] == {"choices": 3}
    assert options[names[1]] == {"outlier": True, "interval": "1s"}
    assert options["round_robin"] == options["haproxy_leastconn"] == {}
    assert made["haproxy_leastconn"].left_out == ("choices",)
    assert made["p2c"].left_out == made[names[1]].left_out == ()


def test_what_a_balancer_does_not_take_is_said_in_the_result():
    """The note names the option and how to give it."""
    scenario = build(
        {
            "cluster": {"pods": 2},
            "stages": {"ingress": {"balancer": "p2c", "options": {"choices": 2}}},
            "traffic": {"utilisation": 0.5},
            "run": {"requests": 200},
        }
    )
    found = compare(scenario, ["p2c", "random", "p2c {choices: 1}"], engine="reference")
    said = {name: " ".join(result.warnings) for name, result in found.results.items()}
    assert "choices left out, which this balancer does not have" in said["random"]
    assert "left out" not in said["p2c"] + said["p2c {choices: 1}"]

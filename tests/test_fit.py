"""`lbbench fit`: verdicts and causes on published counts, made-up shapes, real logs."""

import json
import re
import time
from pathlib import Path

import numpy as np
import pytest
from command import says_one_sentence

from lbbench.errors import LbbenchError
from lbbench.stats.fit import Design
from lbbench.studies.fit import fit
from lbbench.studies.fit_causes import causes
from lbbench.studies.fit_expected import expected_shares
from lbbench.verify.gallery import chosen

DATA = Path(__file__).parent / "data"
F26 = DATA / "files" / "F26_observed_counts.txt"
LOGS = DATA / "logs"
EXPECTED = {
    item["file"]: item["expect"]
    for item in json.loads((DATA / "files" / "MANIFEST.json").read_text(encoding="utf-8"))["files"]
}[F26.name]


def of(tmp_path, text, **options):
    """Fit a text."""
    path = tmp_path / "counts.txt"
    path.write_text(text, encoding="utf-8")
    return fit(str(path), **options)


def listed(counts):
    """Write counts as `sort | uniq -c` does."""
    return "\n".join(f"{n:7d} 10.244.0.{i + 1}:80" for i, n in enumerate(counts))


def test_every_statistic_of_f26_holds():
    """Chi-square and degrees of freedom of four published groups; one of them is chance."""
    groups = {item.group: item for item in fit(str(F26)).groups}
    found = {name: item.chance.chi2 for name, item in groups.items()}
    for name, chi2 in EXPECTED["chi2"].items():
        assert found[name] == pytest.approx(chi2, abs=0.001)
    assert {name: item.chance.df for name, item in groups.items()} == EXPECTED["df"]
    assert {name: item.verdict for name, item in groups.items()} == {
        "k8s37932-2022": "uneven",
        "mosip1920-before": "uneven",
        "mosip1920-after": "chance",
        "kubeai113": "uneven",
    }
    assert groups["kubeai113"].causes[0].name == "few hot targets"


RNG = np.random.default_rng(11)
SHAPES = {
    "few hot targets": ((5, 3, 1, 1, 1, 1, 1, 1, 1, 1), None),
    "one hot target": ((3, 1, 1, 1, 1, 1, 1, 1), None),
    "everything to one target": ((100, 1, 1, 1, 1), None),
    "targets without traffic": ((1, 1, 0, 1, 1, 1, 0, 1), None),
    "only the first of the list": ((1, 1, 1, 0, 0, 0, 0, 0), None),
    "policy Local with unequal nodes": ((3, 3, 2, 2, 2), "kube_proxy"),
    "equal probabilities in the rules": ((625, 500, 400, 320, 1280), "kube_proxy"),
    "a pod that ewma always prefers": ((2, *[8 / 9] * 9), "ingress"),
    "a slow pod under ewma or least connections": ((0.4, 1, 1, 1, 1, 1), "ingress"),
    "a target that came later": ((0.4, 1, 1, 1, 1, 1), "kube_proxy"),
    "none of the known shapes": ((1, 2, 3, 4, 5, 6), "ingress"),
}


@pytest.mark.parametrize("name", SHAPES)
def test_the_shape_that_made_the_counts_is_the_likeliest(name):
    """20 samples of 6000 draws for each shape; at least 17 name it first."""
    weights, stage = SHAPES[name]
    shares = np.array(weights, float) / sum(weights)
    n = len(shares)
    labels = [f"10.0.0.{i + 1}" for i in range(n)]
    hits = sum(
        causes(counts, np.full(n, 1 / n), labels, stage=stage)[0].name == name
        for counts in np.random.default_rng(len(name)).multinomial(6000, shares, size=20)
    )
    assert hits >= 17


def test_few_connections_are_told_from_hot_targets():
    """Twenty connections with geometric requests on 12 pods: the scatter has no pattern."""
    rng = np.random.default_rng(2)
    hits = 0
    for _ in range(20):
        counts = np.bincount(
            rng.integers(0, 12, 60), weights=rng.geometric(0.02, 60), minlength=12
        ).astype(np.int64)
        first = causes(counts, np.full(12, 1 / 12), [str(i) for i in range(12)], stage="kube_proxy")
        hits += first[0].name == "few long-lived connections"
    assert hits >= 14


def test_the_weights_add_up_and_the_cases_are_in_the_gallery():
    """Weights are a distribution over the causes; every case that is cited exists."""
    counts = np.array([60, 10, 7, 3, 6, 4, 10])
    for stage in (None, "azure_lb", "kube_proxy", "reuse_port", "ingress"):
        found = causes(counts, np.full(7, 1 / 7), [f"p{i}" for i in range(7)], stage=stage)
        assert sum(item.weight for item in found) == pytest.approx(1.0)
    source = Path(fit.__code__.co_filename).with_name("fit_causes.py").read_text(encoding="utf-8")
    cited = set(re.findall(r'"(C\d\d)"', source))
    assert {case.id for case in chosen(sorted(cited))} == cited


def test_clients_that_are_held_are_the_cause_when_they_are_seen():
    """With counts by client, affinity is not guessed but measured."""
    held = Design(9.0, 40, sticking=0.99, by_chance=0.4)
    counts = np.array([90, 10, 10])
    found = causes(counts, np.full(3, 1 / 3), ["a", "b", "c"], stage="kube_proxy", design=held)
    assert found[0].name == "clients are held to targets"
    assert "C66" in found[0].cases


def test_a_round_robin_is_told_and_is_a_fault_only_where_draws_are_promised(tmp_path):
    """1000, 1000, 999, ...: too even; kube-proxy must not do so, the ingress balancer may."""
    text = listed([1000, 1000, 999, 1000, 1000])
    for stage, rejected in ((None, True), ("kube_proxy", True), ("ingress", False)):
        report = of(tmp_path, text, stage=stage)
        assert report.groups[0].verdict == "too even"
        assert report.groups[0].causes[0].name == "round robin"
        assert report.rejected == rejected


def test_a_log_with_a_dead_endpoint_names_it():
    """The pod that was tried and never answered counts 0 and is the cause."""
    group = fit(str(LOGS / "round_robin_dead_endpoint" / "access.log.gz")).groups[0]
    assert group.stage == "ingress"
    assert dict(zip(group.names, group.counts.tolist(), strict=True))["10.244.0.6:8080"] == 0
    assert group.causes[0].name == "a dead endpoint in the list"
    assert "1963 attempts" in group.causes[0].sentence


def test_a_log_of_ewma_is_told_as_such():
    """Balancing by answers: a little uneven, no pattern; requests of one client scatter."""
    group = fit(str(LOGS / "ewma" / "access.log.gz")).groups[0]
    assert group.verdict == "uneven"
    assert group.causes[0].name == "a balancer that looks at answers"
    assert group.chance.design.clusters == 50
    assert group.chance.design.effect == pytest.approx(1.0, abs=0.2)


def test_a_connection_table_is_read_by_itself(tmp_path):
    """Flows by pod; a pod that answered nobody is the cause when the rest is even."""
    flow = (
        "tcp 6 86000 ESTABLISHED src=9.9.{c}.9 dst=20.1.2.3 sport={s} dport=80 "
        "src=10.244.{p}.4 dst=9.9.{c}.9 sport=8080 dport={s} [ASSURED]"
    )
    lines = [flow.format(c=k % 90, s=1000 + k, p=k % 2) for k in range(200)]
    lost = (
        flow.format(c=1, s=99, p=7)
        .replace("[ASSURED]", "")
        .replace("src=10.", "[UNREPLIED] src=10.")
    )
    group = of(tmp_path, "\n".join([*lines, *[lost] * 50])).groups[0]
    assert (group.unit, group.stage) == ("connections", "kube_proxy")
    assert group.chance.total == 200
    assert group.causes[0].name == "a dead endpoint in the list"


def test_connections_correct_the_verdict(tmp_path):
    """The same counts are no chance for 4000 requests and chance for 40 connections."""
    text = listed([1150, 880, 1010, 960])
    assert of(tmp_path, text).groups[0].verdict == "uneven"
    found = of(tmp_path, text, connections="40").groups[0]
    assert found.verdict == "chance"
    assert found.chance.design.effect == 199.0
    with pytest.raises(LbbenchError, match="--connections x: must be client, none, or a number"):
        of(tmp_path, text, connections="x")
    with pytest.raises(LbbenchError, match="names no clients"):
        of(tmp_path, text, connections="client")


def test_expected_shares_come_from_text_counts_and_rules(tmp_path):
    """In order, by name, from a node's rules by address; what does not fit is one sentence."""
    counts = {"10.244.0.113": 480, "10.244.1.136": 520}
    rules = str(DATA / "files" / "F05_aks_cluster_2ep.rules")
    for given in (None, "0.5,0.5", "10.244.0.113=2,10.244.1.136=2", rules):
        table, shares, _ = expected_shares(given, counts)
        assert sorted(table.values()) == [480, 520]
        assert list(shares.values()) == [0.5, 0.5]
    nft = str(DATA / "nft" / "kube-proxy.nft")
    table, shares, notes = expected_shares(nft, {"10.244.1.4:8080": 5, "10.244.2.4:8080": 6})
    assert table["10.244.2.5:8080"] == 0
    assert list(shares.values()) == pytest.approx([1 / 3] * 3)
    assert "expected: the shares of shop/web:http by the nftables rules" in notes[0]
    ipvs = str(DATA / "ipvs" / "node.save")
    _, shares, _ = expected_shares(ipvs, {"10.0.0.6:6443": 1, "10.0.0.5:6443": 3})
    assert shares == {"10.0.0.6:6443": 0.25, "10.0.0.5:6443": 0.75}
    other = tmp_path / "weights"
    other.write_text("10.244.0.113 3\n10.244.1.136 1\n", encoding="utf-8")
    assert list(expected_shares(str(other), counts)[1].values()) == [0.75, 0.25]
    for wrong, said in {
        "0.5": "1 shares for 2 targets",
        "0.5,-1": "must be a number above 0",
        "a=1,b=2": "no share for 10.244.0.113",
        "none.rules": "no such file, and no shares",
    }.items():
        with pytest.raises(LbbenchError, match=said):
            expected_shares(wrong, counts)


def test_targets_that_got_nothing_can_be_added(tmp_path):
    """`uniq -c` does not list what was never hit."""
    group = of(tmp_path, listed([50, 52]), targets=4).groups[0]
    assert group.verdict == "uneven"
    assert group.counts.tolist() == [50, 52, 0, 0]
    with pytest.raises(LbbenchError, match="--targets 2: the counts already have 3"):
        of(tmp_path, listed([1, 2, 3]), targets=2)
    with pytest.raises(LbbenchError, match="one target only"):
        of(tmp_path, listed([5]))


def test_twenty_thousand_targets_are_judged_in_bounded_time(tmp_path):
    """Sampled where nothing can be enumerated; no table of all targets by all outcomes."""
    text = "\n".join(f"{1 + (k % 3 == 0)} pod-{k}" for k in range(20_000))
    began = time.perf_counter()
    group = of(tmp_path, text).groups[0]
    assert group.chance.how == "moments"
    assert group.verdict == "too even"
    assert time.perf_counter() - began < 10.0


def test_the_command_prints_a_verdict_and_ends_with_1_only_on_request(command):
    """Sentence, table, figures; --fail makes 1 of a rejection, and nothing of chance."""
    ended = command("fit", F26, "--group", "kubeai113")
    assert ended.code == 0
    assert "This is not chance (p <0.0001)" in ended.out
    assert "few hot targets: pod03, pod21, pod04 get 2.9 to 4.0 times" in ended.out
    assert command("fit", F26, "--group", "kubeai113", "--fail", "--quiet").code == 1
    assert command("fit", F26, "--group", "mosip1920-after", "--fail").code == 0
    assert command("fit", F26, "--fail").code == 1


def test_json_has_everything_and_nothing_else_is_printed(command, tmp_path):
    """``--json -`` prints one document; a file gets the same."""
    ended = command("fit", F26, "--json", "-")
    document = json.loads(ended.out)
    assert document["schema"] == "lbbench.fit/1"
    assert [item["verdict"] for item in document["groups"]][2] == "chance"
    first = document["groups"][0]
    assert sum(item["count"] for item in first["targets"]) == 100
    assert sum(item["weight"] for item in first["causes"]) == pytest.approx(1.0)
    path = tmp_path / "fit.json"
    command("fit", F26, "--json", path)
    assert json.loads(path.read_text(encoding="utf-8")) == document


@pytest.mark.parametrize(
    "arguments",
    [
        ("none.txt",),
        (F26, "--stage", "kubeproxy"),
        (F26, "--kind", "log"),
        (F26, "--group", "none"),
        (F26, "--level", "2"),
        (F26, "--connections", "0"),
    ],
)
def test_mistakes_are_one_sentence(command, arguments):
    """Status 2, a sentence, no traceback."""
    assert says_one_sentence(command("fit", *arguments))


def test_the_output_fits_80_columns(monkeypatch):
    """No line of a narrow console is longer than it is wide."""
    monkeypatch.setenv("COLUMNS", "80")
    from lbbench.cli.output import console
    from lbbench.report.fit import show

    with (made := console()).capture() as kept:
        show(fit(str(F26)), made)
    assert max(map(len, kept.get().splitlines())) <= 80

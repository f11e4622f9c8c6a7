"""Whole plans whose answers can be worked out by hand, in Python and on the command line.

Requests come and are served like clockwork, 2000/s of 2.5 ms: 5 pods are exactly full, 4 too few.
"""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from command import says_one_sentence
from planning import clockwork, least_pods, mm1_sample, sample

import lbbench
from lbbench.errors import RunError
from lbbench.inputs.yaml import dump
from lbbench.report.charts.pods_against_rate import _amount
from lbbench.report.page import of_plan
from lbbench.studies.planning import driver, words
from lbbench.studies.planning.watching import Watcher

LIMIT = {"latency.max": "2.6ms"}


def planned(scenario=None, **options):
    """Return a plan made in this process by the readable engine."""
    options = {"objective": LIMIT, "workers": 1, "engine": "reference", **options}
    return lbbench.plan(clockwork() if scenario is None else scenario, **options)


def sides(document: dict) -> dict[float, set[str]]:
    """Return the verdicts by value."""
    found: dict[float, set[str]] = {}
    for item in document["evidence"]:
        found.setdefault(item["value"], set()).add(item["verdict"])
    return found


def test_the_least_number_of_pods_has_evidence_on_both_sides():
    """Five pods are full and nothing waits; four are offered 1.25 times what they can serve."""
    plan = planned()
    document = plan.to_dict()
    assert (plan.answer, plan.met, document["undecided"]) == (5, True, None)
    assert sides(document)[5] == {"met"}
    assert sides(document)[4] == {"not met"}
    too_few = next(item for item in document["evidence"] if item["value"] == 4)
    assert "1.25 times what they can serve" in too_few["because"]
    assert document["schema"] == "lbbench.plan/1"
    assert document["objectives"] == [{"metric": "latency.max", "limit": 0.0026}]
    assert document["scenario"]["traffic"]["arrivals"]["rate"] == "2000/s"
    assert document["sentence"].startswith("5 pods with round_robin: max 2.5 ms")
    minus = document["n_minus_1"]
    assert (minus["lost"], minus["met"], minus["headroom"]) == ("pod-4", False, 0.8)
    assert document["most_loaded"]["utilisation"] == pytest.approx(1.0, abs=0.05)
    json.dumps(document, allow_nan=False)


@pytest.fixture
def made_up(monkeypatch):
    """Let every run be that of M/M/1 pods, made by hand: what is tested is the plan."""
    monkeypatch.setattr(driver, "sample", mm1_sample)


def poisson(**changes):
    """Return a scenario of 2000 requests/s of 2.5 ms that come and are served at random."""
    laws = {"arrivals.process": "poisson", "service_time.distribution": "exponential"}
    return clockwork(**{f"traffic.{leaf}": law for leaf, law in laws.items()}, **changes)


MEAN = {"latency.mean": "6.1ms"}


@pytest.mark.parametrize("limit", ["4ms", "6.1ms", "12ms"])
@pytest.mark.usefixtures("made_up")
def test_the_answer_is_the_least_that_meets_the_limit(limit):
    """The known mean of M/M/1 pods gives the answer; both neighbours of the boundary are there."""
    exact = least_pods(2000.0, float(limit.removesuffix("ms")) / 1000)
    document = planned(poisson(), objective={"latency.mean": limit}).to_dict()
    assert document["answer"] == exact
    assert sides(document)[exact] == {"met"}
    assert sides(document)[exact - 1] == {"not met"}
    assert document["undecided"] is None


@pytest.mark.usefixtures("made_up")
def test_a_limit_at_a_value_is_undecided_and_the_larger_is_the_answer():
    """At 10 pods the mean is the limit itself: 64 replications do not decide, 11 is the answer."""
    document = planned(poisson(), objective={"latency.mean": "5ms"}).to_dict()
    assert document["answer"] == 11
    assert document["undecided"] == [10, 11]
    ten = next(item for item in document["evidence"] if item["value"] == 10)
    assert (ten["verdict"], ten["replications"]) == ("undecided", 64)
    assert "10 may be enough, which 64 replications do not decide" in document["sentence"]
    rate = planned(
        poisson(**{"cluster.pods": 10}), for_="rate", objective={"latency.mean": "5ms"}
    ).to_dict()
    assert rate["undecided"][0] == rate["answer"] < 2000.0 <= rate["undecided"][1]


@pytest.mark.usefixtures("made_up")
def test_the_greatest_rate_is_found_in_steps():
    """2 pods have a mean of 6.1 ms at 472.1/s, in steps of 5/s."""
    document = planned(poisson(), for_="rate", objective=MEAN).to_dict()
    assert document["answer"] == 470.0
    assert sides(document)[475.0] == {"not met"}
    assert document["unit"] == "requests/s"


@pytest.mark.usefixtures("made_up")
def test_places_are_found_like_pods():
    """Of 2 pods each needs half of the places that pods of one place would be."""
    exact = -(-least_pods(2000.0, 0.0061) // 2)
    assert planned(poisson(), for_="concurrency", objective=MEAN).answer == exact


def test_an_answer_in_nodes_says_how_many_pods_they_hold():
    """The file's node holds two pods, so every node brings two: three nodes hold the five pods."""
    found = planned(for_="nodes").to_dict()
    assert found["answer"] == 3
    assert found["sentence"].startswith("3 nodes (6 pods) with round_robin: ")


@pytest.mark.usefixtures("made_up")
def test_surviving_a_loss_takes_more():
    """One pod more survives a pod; a node of two pods takes as many more as it has."""
    pods = least_pods(2000.0, 0.0061)
    nodes = {"cluster.nodes": 2, "cluster.pods": 4, "cluster.ingress.replicas": "per_node"}
    assert planned(poisson(), survive="pod", objective=MEAN).answer == pods + 1
    plan = planned(poisson(**nodes), for_="nodes", survive="node", objective=MEAN)
    assert plan.answer == -(-pods // 2) + 1
    found = plan.to_dict()["evidence"]
    answer = [item for item in found if item["value"] == plan.answer]
    assert {item["lost"] for item in answer} == {None, f"node-{plan.answer - 1}"}
    assert {item["verdict"] for item in answer} == {"met"}
    less = [item for item in found if item["value"] == plan.answer - 1]
    assert any(item["lost"] and item["verdict"] == "not met" for item in less)
    minus = plan.to_dict()["n_minus_1"]  # what was decided, by as many replications
    decided = next(item for item in answer if item["lost"])
    assert minus["met"] is True
    assert minus["metrics"] == {"latency.mean": decided["estimate"]}


@pytest.mark.usefixtures("made_up")
def test_the_headroom_is_the_load_that_one_less_still_serves():
    """One pod less meets the limit up to the rate at which they are exactly enough, in 2 %."""
    plan = planned(poisson(), objective=MEAN)
    minus = plan.to_dict()["n_minus_1"]
    holds = (plan.answer - 1) / 0.0025 * (1.0 - 0.0025 / 0.0061)
    assert minus["lost"] == f"pod-{plan.answer - 1}"
    assert minus["met"] is False
    assert 0.0 <= holds / 2000.0 - minus["headroom"] < 0.03
    assert minus["metrics"]["latency.mean"] > 0.0061


@pytest.mark.usefixtures("made_up")
def test_one_less_is_never_said_to_hold_where_it_was_not_decided_so():
    """A limit just above what one pod less has: few replications find it met, 64 leave it open."""
    scenario = poisson()
    less = least_pods(2000.0, 0.0061) - 1
    limit = 0.0025 / (1.0 - 2000.0 * 0.0025 / less) * 1.0005
    plan = planned(scenario, objective={"latency.mean": f"{1000.0 * limit:.6f}ms"})
    minus = plan.to_dict()["n_minus_1"]
    assert plan.undecided == (less, less + 1)
    assert minus["met"] is False
    assert minus["headroom"] < 1.0


LUCKY = 4
"""Replication n has the noise of n ^ LUCKY: 0 and 1 that of 4 and 5, 0.7 % below the mean."""


@pytest.fixture
def lucky(monkeypatch):
    """Let runs be those of `made_up` in another order, the first two look good."""

    def run(task):
        made = mm1_sample(task._replace(replication=task.replication ^ LUCKY))
        return made._replace(replication=task.replication)

    monkeypatch.setattr(driver, "sample", run)


@pytest.mark.parametrize("for_", ["pods", "nodes"])
@pytest.mark.usefixtures("lucky")
def test_one_listed_pod_or_node_less_is_what_was_decided_of_it(for_):
    """Two lucky replications find one less met, 64 leave it open: the table says what these do."""
    less = least_pods(2000.0, 0.0061) - 1
    limit = 0.0025 / (1.0 - 2000.0 * 0.0025 / less) * 1.0005
    cluster = {"cluster.nodes": 2, "cluster.pods": 2, "cluster.ingress.replicas": "per_node"}
    if for_ == "pods":
        cluster = {"cluster.pods": [{"name": f"web-{i}", "node": "node-0"} for i in range(3)]}
    asked = {"latency.mean": f"{1000.0 * limit:.6f}ms"}
    plan = planned(poisson(**cluster), for_=for_, objective=asked)
    minus = plan.to_dict()["n_minus_1"]
    assert plan.undecided == (less, less + 1)
    below = next(item for item in plan.to_dict()["evidence"] if item["value"] == less)
    assert minus["met"] is False
    assert minus["headroom"] < 1.0
    assert minus["metrics"] == {"latency.mean": below["estimate"]}


def entry(*replicas: str, zones: bool = False):
    """Return the random scenario on two nodes, listed as an import does, replicas on these."""
    nodes = [{"name": f"node-{i}", **({"zone": f"z{i}"} if zones else {})} for i in range(2)]
    held = [{"name": f"ingress-{i}", "node": node} for i, node in enumerate(replicas)]
    pods = [{"name": f"pod-{i}", "node": f"node-{i}"} for i in range(2)]
    return poisson(
        **{"cluster.nodes": nodes, "cluster.pods": pods, "cluster.ingress.replicas": held}
    )


@pytest.mark.parametrize("policy", ["Cluster", "Local"])
@pytest.mark.parametrize("for_", ["pods", "concurrency", "rate", "nodes"])
@pytest.mark.usefixtures("made_up")
def test_no_number_survives_the_loss_of_the_only_way_in(policy, for_):
    """A node that holds every ingress replica leaves none, however many pods the other has."""
    scenario = entry("node-1").with_({"stages.kube_proxy.external_traffic_policy": policy})
    plan = planned(scenario, survive="node", for_=for_, objective=MEAN)
    document = plan.to_dict()
    if for_ == "nodes":  # further nodes are like those of the file, replica included
        assert plan.met
        return
    assert (plan.met, plan.answer) == (False, None)
    what = "rate" if for_ == "rate" else "number of " + words.MANY[for_]
    assert document["reason"] == (
        f"no {what} helps: node-1 holds the only ingress replica; add one on another node"
    )
    assert document["notes"] == document["balancers"][0]["notes"] == []
    assert {item["lost"] for item in document["evidence"]} == {"node-1"}
    assert plan.replications == 0


@pytest.mark.usefixtures("made_up")
def test_no_number_survives_the_loss_of_the_only_zone_with_a_way_in():
    """The same of a zone; a replica in the other one mends it."""
    said = "zone z1 holds all 2 ingress replicas; add one in another zone"
    alone = planned(entry("node-1", "node-1", zones=True), survive="zone", objective=MEAN)
    assert said in alone.to_dict()["reason"]
    assert planned(entry("node-0", "node-1", zones=True), survive="zone", objective=MEAN).met


def test_the_command_ends_with_one_where_no_number_survives(command, tmp_path):
    """Status 1 and the way out."""
    path = tmp_path / "entry.yaml"
    path.write_text(dump(entry("node-1")), encoding="utf-8")
    ended = command("plan", path, "--slo", "latency.mean=1s", "--survive", "node", *RUN)
    assert ended.code == 1, ended.err
    assert "add one on another node" in " ".join(ended.out.split())
    assert "not met (no cluster)" in ended.out


@pytest.mark.usefixtures("made_up")
def test_every_node_whose_loss_may_be_worst_is_judged():
    """One node has most pods, another all replicas but one: an answer holds without either."""
    nodes = [{"name": name} for name in "abc"]
    pods = [{"name": f"pod-{i}", "node": node} for i, node in enumerate("aaaaaabbcc")]
    held = [{"name": f"in-{i}", "node": node} for i, node in enumerate("bbc")]
    cluster = {"cluster.nodes": nodes, "cluster.pods": pods, "cluster.ingress.replicas": held}
    plan = planned(poisson(**cluster), survive="node", objective=MEAN)
    answer = [item for item in plan.to_dict()["evidence"] if item["value"] == plan.answer]
    assert {(item["lost"], item["verdict"]) for item in answer} == {
        (None, "met"), ("a", "met"), ("b", "met"),
    }  # fmt: skip
    minus = plan.to_dict()["n_minus_1"]
    worst = max((item for item in answer if item["lost"]), key=lambda item: item["estimate"])
    assert (minus["lost"], minus["met"]) == (worst["lost"], True)
    assert minus["headroom"] >= 1.0


@pytest.mark.parametrize(
    ("ends", "limit", "said"),
    [
        ((1.0031, 1.012), 1.0, "1.003-1.012 s"),
        ((0.96, 0.9999), 1.0, "0.96-0.9999 s"),
        ((1.0, 1.012), 1.0, "1-1.01 s"),  # an end that is the limit
        ((1.2, 1.3), 1.0, "1.2-1.3 s"),
    ],
)
def test_an_interval_touches_the_limit_only_where_it_does(ends, limit, said):
    """As many digits as it takes; with none to tell apart, three."""
    assert words.span("latency.p99", *ends, limit) == said
    shares = words.span("error_rate", 0.010001, 0.02, 0.01)
    assert shares == "1.0001-2 %"


@pytest.mark.usefixtures("made_up")
def test_every_balancer_has_a_plan_under_the_same_requests():
    """The blocks come in the order given; the top repeats the best, the first of equal ones."""
    document = planned(poisson(), balancers=["random", "round_robin"], objective=MEAN).to_dict()
    assert [block["balancer"] for block in document["balancers"]] == ["random", "round_robin"]
    assert document["best"] == document["balancer"] == "random"
    assert document["answer"] == document["balancers"][1]["answer"]


@pytest.mark.usefixtures("made_up")
def test_a_profile_has_an_answer_for_every_hour():
    """The plan is that of the peak; each hour has the least number for its own rate."""
    hours = Path(__file__).parent / "data" / "planning" / "hours.csv"
    document = planned(poisson(), profile=hours, objective=MEAN).to_dict()
    assert document["answer"] == least_pods(2000.0, 0.0061)
    answers = {hour["hour"]: hour["answers"]["round_robin"] for hour in document["profile"]}
    assert answers == {
        "03:00": 0,
        "08:00": least_pods(800.0, 0.0061),
        "12:00": least_pods(2000.0, 0.0061),
        "18:00": least_pods(1600.0, 0.0061),
    }


@pytest.mark.usefixtures("made_up")
def test_what_the_service_time_forbids_has_that_reason():
    """A limit below the mean service time: no answer, and the sentence says so."""
    plan = planned(poisson(), objective={"latency.mean": "2ms"})
    assert (plan.met, plan.answer) == (False, None)
    document = plan.to_dict()
    assert "alone have a mean of 2.5 ms, above the limit of 2 ms" in document["reason"]
    assert document["evidence"][-1]["verdict"] == "not met"
    assert document["most_loaded"]["pod"] == "pod-0"


@pytest.mark.usefixtures("made_up")
def test_what_no_longer_gets_better_is_given_up():
    """A metric that stays while the pods idle is given up long before the last number of pods."""
    failing = [{"at": "0s", "pod": "pod-0", "fail": "refuse"}]
    plan = planned(poisson(timeline=failing), objective={"error_rate": "1%"})
    document = plan.to_dict()
    assert document["answer"] is None
    assert "error rate no longer gets better: 9.09 % at" in document["reason"]
    assert "requests fail: reset 100 %" in document["reason"]
    assert max(item["value"] for item in document["evidence"]) < 100


@pytest.mark.usefixtures("made_up")
def test_who_watches_hears_what_is_tried_and_the_answer():
    """A watcher is told the values, the answer and how many replications are done."""

    class Heard(Watcher):
        def __init__(self) -> None:
            self.tried: list[str] = []
            self.said: list[str] = []
            self.done = 0

        def tries(self, _balancer: str, text: str) -> None:
            self.tried.append(text)

        def answered(self, _balancer: str, text: str) -> None:
            self.said.append(text)

        def stand(self, done: int, _asked: int) -> None:
            self.done = max(self.done, done)

    heard = Heard()
    plan = planned(poisson(), watcher=heard, objective=MEAN)
    assert any(text.startswith(f"{plan.answer} pods") for text in heard.tried)
    assert heard.said == list(plan.sentences)
    assert heard.done == plan.replications > 0


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"objective": None}, "there is no objective"),
        ({"objective": {"latency.p98": "1s"}}, "is not a metric"),
        ({"objective": {"latency.p99": "3"}}, "write a number with a unit"),
        ({"for_": "racks"}, "give one of pods, nodes, rate, concurrency"),
        ({"survive": "node"}, "single node"),
        ({"balancers": ["random", "random"]}, "name each balancer once"),
        ({"workers": 0}, "must be at least 1"),
        ({"for_": "rate", "profile": "hours.csv"}, "asks for what is given"),
    ],
)
def test_what_cannot_be_planned_is_refused(options, said):
    """One sentence, before anything is run."""
    with pytest.raises(RunError, match=said):
        planned(**options)


def test_runs_too_short_for_a_percentile_are_refused(monkeypatch):
    """64 replications of 4 requests tell no p99; the sentence says how many it takes."""

    def short(task):
        return sample([0.01, 0.02, 0.01, 0.02], content=task.content, number=task.replication)

    monkeypatch.setattr(driver, "sample", short)
    with pytest.raises(RunError, match=r"latency\.p99 takes 500 independent .* have 256 after"):
        planned(poisson(), objective={"latency.p99": "1s"})


@pytest.fixture
def file(tmp_path) -> Path:
    """Return the clockwork scenario as a file."""
    path = tmp_path / "clock.yaml"
    path.write_text(dump(clockwork()), encoding="utf-8")
    return path


RUN = ("--engine", "reference", "--workers", "1")


@pytest.mark.parametrize("width", [50, 160])
def test_the_command_says_the_answer_first(command, file, width, tmp_path):
    """Sentence, objectives, table and evidence, at any width; the JSON is the same plan."""
    out = tmp_path / "plan.json"
    ended = command("plan", file, "--slo", "latency.max=2.6ms", *RUN, "--json", out)
    assert ended.code == 0, ended.err
    assert ended.out.startswith("5 pods with round_robin: max 2.5 ms")
    assert "4 are too few" in " ".join(ended.out.split())
    assert json.loads(out.read_text())["answer"] == 5
    from rich.console import Console

    from lbbench.report.plan import show

    narrow = Console(width=width, color_system=None, force_terminal=False)
    with narrow.capture() as captured:
        show(json.loads(out.read_text()), narrow)
    assert all(len(line) <= width for line in captured.get().splitlines())
    assert "pod-4" in captured.get() or width < 80


def test_an_objective_that_cannot_be_met_ends_with_one(command, file):
    """Status 1, the reason on stdout, as JSON when asked for."""
    ended = command("plan", file, "--slo", "latency.mean=2ms", *RUN, "--json", "-")
    assert ended.code == 1
    document = json.loads(ended.out)
    assert document["met"] is False
    assert document["reason"]


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("--slo", "latency.p99"), "METRIC=LIMIT"),
        (("--slo", "latency.p99=1s", "--slo", "latency.p99=2s"), "given twice"),
        (("--slo", "latency.p99=fast"), "--slo latency.p99 = fast"),
        ((), "there is no objective"),
        (("--slo", "latency.mean=1s", "--profile", "nowhere.csv"), "no such file"),
        (("--slo", "latency.mean=1s", "--balancers", "nothing"), "nothing"),
        (("--slo", "latency.mean=1s", "--survive", "zone"), "no zones"),
        (("--slo", "latency.mean=1s", "--set", "path=service", "--balancers", "ewma"), "service"),
    ],
)
def test_a_wrong_question_is_one_sentence(command, file, tmp_path, arguments, said):
    """Status 2, nothing written."""
    out = tmp_path / "plan.json"
    ended = command("plan", file, *RUN, *arguments, "--json", out)
    assert says_one_sentence(ended)
    assert said in ended.err
    assert not out.exists()


def test_the_snippet_of_the_guide_runs(monkeypatch, capsys):
    """What the guide shows in Python is what a plan has: answer, undecided, met."""
    guide = Path(__file__).parents[1] / "docs" / "how-to" / "how-many-pods.md"
    snippet = guide.read_text(encoding="utf-8").partition("```python\n")[2].partition("```")[0]
    made = planned()

    def stands_in(scenario, *, objective):
        assert (scenario.name, objective) == ("aks-ingress", {"latency.p99": "250ms"})
        return made

    monkeypatch.setattr(lbbench, "plan", stands_in)
    exec(compile(snippet, str(guide), "exec"), {})
    assert capsys.readouterr().out == f"{made.answer} {made.undecided}\n"
    assert (made.answer, made.undecided, made.met) == (5, None, True)


def test_replications_of_the_file_are_said_not_to_count():
    """A plan runs as many as its verdicts take, and says so where the file asks for a number."""
    notes = planned(clockwork(**{"run.replications": 3})).to_dict()["notes"]
    assert any(note.startswith("run.replications does not count here") for note in notes)


@pytest.mark.parametrize(
    ("value", "text"),
    [(12345.68, "12 346"), (1234.5, "1 234"), (470.5, "470.5"), (0.01234, "0.01234"), (7, "7")],
)
def test_numbers_have_no_exponent(value, text):
    """Thousands apart, at least four digits, whatever the size."""
    assert words.number(value) == text


def test_the_page_says_how_to_ask_the_same_again():
    """Profile and engine are on the command line; what is undecided is a range."""
    hours = Path(__file__).parent / "data" / "planning" / "hours.csv"
    document = planned(profile=hours).to_dict()
    options = of_plan._options(document, document["balancers"])
    assert f"--profile {hours}" in options
    assert "--engine reference" in options
    open_ = {**document["balancers"][0], "undecided": [3, 5]}
    assert any(cell.text == "3 to 5" for cell in of_plan._answers(document, [open_]).rows[0])
    assert (
        "leave 3 to 5 undecided; the answer is the safe end" in of_plan._sure(document, [open_])[1]
    )


@pytest.mark.parametrize(("open_", "said"), [([470, 480], "480"), ([460, 470], "460")])
def test_a_bar_names_the_end_that_is_not_the_answer(open_, said):
    """Of a rate the other end lies above the answer, of pods below it."""
    assert _amount({"needed": 470, "undecided": open_}) == f"470 (perhaps {said})"

"""What the checks measure: readers against the records of a run, setups, sources, warm-up."""

from __future__ import annotations

import ast
import math
from collections import Counter
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

from lbbench.engines import reference
from lbbench.engines.outcome import Outcome
from lbbench.engines.plan import make_plan
from lbbench.model.check import build
from lbbench.model.scenario import Scenario
from lbbench.model.tally import SEGMENTS
from lbbench.verify import checks as package
from lbbench.verify.checks import (
    all_checks,
    balls,
    choices,
    layer4,
    moving_average,
    queues,
    retries,
    sharing,
    times,
)
from lbbench.verify.checks.setups import SERVICE, ingress_path, long_run, service_path
from lbbench.verify.experiment import Ran, Simulated
from lbbench.verify.readings import Queue, first_kept

CHECKS = all_checks()
REQUESTS = 1600


def ran(scenario: dict, *, number: int = 0) -> Ran:
    """Run with the readable engine, which needs no compiling, and with records."""
    checked = build(scenario, place="test")
    return Ran(checked, reference.run(make_plan(checked, replication=number), record=True), number)


@pytest.fixture(scope="module")
def queue_run() -> Ran:
    """Four pods at load 0.8."""
    return ran(service_path(pods=4, load=0.8, run=long_run(REQUESTS, 0.8, 4)))


def test_a_queue_is_read_as_its_records_have_it(queue_run: Ran):
    """Means, waits, shares and tails of the kept requests, sorted out of the records."""
    rows = queue_run.outcome.records
    found = Queue(SERVICE, (2.0, 20.0))(queue_run)
    kept = np.arange(REQUESTS) >= 8 * REQUESTS // SEGMENTS
    spent = (rows["end"] - rows["arrival"])[kept] / SERVICE
    waited = (rows["start"] - rows["arrival"])[kept] / SERVICE
    assert first_kept(queue_run) == 8
    assert found["kept"] == kept.sum()
    assert found["mean"] == pytest.approx(spent.mean(), rel=1e-6)
    assert found["wait"] == pytest.approx(waited.mean(), rel=1e-6)
    assert found["no_wait"] == pytest.approx((waited == 0).mean(), abs=1e-3)
    for i, threshold in enumerate((2.0, 20.0)):
        assert found["above"][i] <= (spent > threshold).mean() <= found["reach"][i]
        assert found["reach"][i] - found["above"][i] < 0.01
    assert found["pods"].tolist() == np.bincount(rows["pod"]).tolist()
    assert found["refused"] == 0.0


def test_averages_over_time_are_integrals_of_the_records(queue_run: Ran):
    """Requests inside, working places and arrivals per service time, from begin and end of each."""
    rows, y = queue_run.outcome.records, queue_run.outcome.tally
    found = Queue(SERVICE)(queue_run)
    begin, end = y.segment_start[8], y.segment_start[-1]

    def overlap(start: str) -> float:
        inside = np.minimum(rows["end"], end) - np.maximum(rows[start], begin)
        return float(np.maximum(inside, 0.0).sum() / (end - begin) / 4)

    assert found["inside"] == pytest.approx(overlap("arrival"), rel=1e-6)
    assert found["busy"] == pytest.approx(overlap("start"), rel=1e-6)
    assert found["rate"] == pytest.approx(found["kept"] * SERVICE / (end - begin) / 4)


def test_refused_requests_are_a_share_of_those_that_come():
    """Two places and no queue: what fails over what was offered, after the warm-up."""
    run = ran(service_path(pod={"concurrency": 2, "queue": 0}, load=1.5, run=long_run(960, 1.5, 2)))
    failed = run.outcome.records["error"] >= 0
    found = Queue(SERVICE)(run)
    assert found["refused"] == pytest.approx(failed[first_kept(run) * 960 // SEGMENTS :].mean())
    assert found["refused"] > 0.2


def test_an_overtaken_request_is_counted(queue_run: Ran):
    """No start comes before an earlier one's; with two of a pod exchanged, one or two do."""
    assert queues.starts_in_turn(queue_run)["faults"] == 0
    rows = dict(queue_run.outcome.records)
    a, b = np.flatnonzero(rows["pod"] == 0)[[300, 301]]
    rows["start"] = rows["start"].copy()
    rows["start"][[a, b]] = rows["start"][[b, a]]
    changed = queue_run._replace(outcome=_with(queue_run, rows))
    assert queues.starts_in_turn(changed)["faults"] in {1, 2}


def _with(run: Ran, rows: dict) -> Outcome:
    return replace(run.outcome, records=rows)


def test_a_broken_cycle_is_counted():
    """Each worker goes round: no fault, one start each; a pick out of turn breaks two steps."""
    of = choices._cycles()[0].of.measure
    run = ran({**of.scenario, "run": {"requests": 400, "seed": 3}})
    found = choices.turns(run)
    assert (found["faults"], found["compared"]) == (0, 400 - 12)
    assert found["starts"].sum() == 12
    assert found["workers"].sum() == 400
    rows = dict(run.outcome.records)
    rows["pod"] = rows["pod"].copy()
    at = np.flatnonzero(rows["worker"] == 5)[10]
    rows["pod"][at] = (rows["pod"][at] + 1) % choices.IN_CYCLE
    assert choices.turns(run._replace(outcome=_with(run, rows)))["faults"] == 2


def test_slowdowns_are_read_by_size():
    """One job at a time is served at once: small and large requests take their work alone."""
    scenario = service_path(
        pod={"discipline": "ps"},
        load=0.01,
        work=sharing.TWO_SIZES,
        traffic={"arrivals": {"process": "deterministic"}},
        run={"requests": 300, "warmup": "0s"},
    )
    found = sharing.slowdowns(ran(scenario))
    assert found["small"] == pytest.approx(1.0)
    assert found["large"] == pytest.approx(1.0)


def made(*, pods: int, records: dict | None = None, **tally: np.ndarray) -> Ran:
    """Return a run with nothing but these counts and records."""
    names = tuple(f"pod-{i}" for i in range(pods))
    outcome = SimpleNamespace(
        records=records, tally=SimpleNamespace(**tally), shape=SimpleNamespace(pods=names)
    )
    return Ran(None, outcome)


def test_clients_are_counted_at_the_pod_that_they_stay_with():
    """A group's clients are spread over the pods once, however many requests they send."""
    rng = np.random.default_rng(3)
    clients = balls.GROUPS * balls.CLIENTS
    home = rng.integers(16, size=clients)
    client = np.concatenate([np.arange(clients), rng.integers(clients, size=5000)])
    found = balls.clients_per_pod(made(pods=16, records={"client": client, "pod": home[client]}))
    counts = np.zeros((balls.GROUPS, 16), int)
    np.add.at(counts, (np.arange(clients) // balls.CLIENTS, home), 1)
    assert found["largest"] == counts.max(axis=1).mean()
    assert found["empty"] == (counts == 0).sum() / balls.GROUPS
    assert found["variance"] == pytest.approx(((counts - 6.25) ** 2).mean())


def test_the_squared_variation_is_that_of_endless_requests():
    """Shares of four pods from 200 requests: drawn often, the mean is that of the true shares."""
    rng = np.random.default_rng(1)
    shares = np.array([0.4, 0.3, 0.2, 0.1])
    found = [
        balls.share_spread(made(pods=4, pod_first=counts[None]))["squared_cv"]
        for counts in rng.multinomial(200, shares, 4000)
    ]
    true = ((shares * 4 - 1) ** 2).mean()
    error = np.std(found) / np.sqrt(len(found))
    assert abs(np.mean(found) - true) < 5 * error


def test_retries_and_refusals_are_counted():
    """One pod of four refuses: what fails and what was tried, against the records."""
    scenario = ingress_path(
        "random",
        pods=4,
        ingress={"next_upstream": {"on": ["error"], "tries": 2}},
        run={"requests": 600},
    )
    scenario["timeline"] = [{"at": "0s", "pod": "pod-3", "fail": "refuse"}]
    run = ran(scenario)
    rows, found = run.outcome.records, retries.outcomes_of_tries(run)
    assert found["offered"] == 600
    assert found["failed"] == (rows["error"] >= 0).sum() > 0
    assert found["attempts"] == rows["attempts"].sum()
    assert found["refused"] == (rows["attempts"] - 1).sum() + found["failed"]


def test_latencies_are_the_sum_of_their_parts_in_the_readable_engine():
    """The sums of the check hold for the model's specification."""
    of = times._latency()[0].of.measure
    found = times.sums_of_parts(ran({**of.scenario, "run": {"requests": 300, "warmup": "0s"}}))
    assert (found["faults"], found["compared"]) == (0, 300)
    assert found["latency"] == pytest.approx(found["expected"], abs=1e-9)
    assert found["connect"] == pytest.approx(found["round_trips"], abs=1e-9)


def test_visits_follow_the_decay_in_the_readable_engine():
    """Ten visits to the slow pod: each as long after the last as the law of ewma says."""
    for check in moving_average.checks()[2:]:
        of = check.of.measure
        found = of.read(ran({**of.scenario, "run": {"requests": 700}}))
        assert found["n"] >= 10
        sample = {name: np.array([value]) for name, value in found.items()}
        assert check.judge(sample).p_value == 1.0


def test_thresholds_are_held_against_real_ones(monkeypatch):
    """As they are none differs; with one more in every rule all do."""
    assert layer4.compare_thresholds(1, 0)["faults"] == 0
    real = layer4.chain_thresholds
    monkeypatch.setattr(layer4, "chain_thresholds", lambda *a: [x + 1 for x in real(*a)])
    found = layer4.compare_thresholds(1, 0)
    assert found["faults"] == found["compared"] > 10_000


def test_ids_are_unique_and_sources_are_told():
    """Lower case words, the first one that of the group; claim, topic and source are there."""
    ids = Counter(check.id for check in CHECKS)
    assert max(ids.values()) == 1
    assert len(ids) >= 60
    for check in CHECKS:
        assert check.id == check.id.lower()
        assert "-" in check.id
        assert check.claim
        assert check.source
        assert not check.claim.endswith(".")
    by_name = {check.of.name: check.of for check in CHECKS}
    assert all(check.of == by_name[check.of.name] for check in CHECKS)


def test_no_check_leans_on_the_formulas_of_the_package():
    """Expected figures come from the file of oracles, not from `stats.theory`, which is tested."""
    for file in Path(package.__file__).parent.glob("*.py"):
        for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
            if isinstance(node, ast.ImportFrom):
                assert node.module is not None
                assert "theory" not in node.module, file.name


def test_few_event_loops_are_needed():
    """A cold start compiles each once; many more would take longer than the checks."""
    kernels = {check.of.kernel for check in CHECKS} - {""}
    assert len(kernels) <= 14


SIMULATED = {
    check.of.name: check.of.measure for check in CHECKS if isinstance(check.of.measure, Simulated)
}


def relaxation(scenario: Scenario) -> float:
    """Return the relaxation time of what a setup's pods are, in mean service times.

    The inverse of the spectral gap of the birth and death chain: 1 - sqrt(load) squared for one
    place, c times that or 1 for c (E. van Doorn 1981), 1 for a loss system at least, with a cosine
    for a bounded queue. Turns and choices give pods arrivals more even than the Poisson ones of
    M/M/1, whose time is taken for them.
    """
    pod, load = scenario.cluster.pod, scenario.traffic.utilisation
    if pod.queue == 0:
        return 1.0
    if pod.queue != "unlimited" and pod.queue < 100:
        cosine = math.cos(math.pi / (pod.queue + 2))
        return 1.0 / (1.0 + load - 2.0 * math.sqrt(load) * cosine)
    places = 1 if pod.discipline == "ps" else pod.concurrency
    return max(1.0, 1.0 / (places * (1.0 - math.sqrt(load)) ** 2))


def relaxation_of_two_choices(load: float) -> float:
    """Return that of very many pods: of the linear equations around the fixed point.

    s_k' = load (s_(k-1)^2 - s_k^2) - (s_k - s_(k+1)) for the share s_k of pods with k or more.
    """
    n = 10
    s = [load ** (2**k - 1) for k in range(n + 1)]
    jacobian = np.diag([-2 * load * x - 1 for x in s[1:]]) + np.diag(np.ones(n - 1), 1)
    jacobian += np.diag([2 * load * x for x in s[1:n]], -1)
    return float(-1.0 / np.linalg.eigvals(jacobian).real.max())


@pytest.mark.parametrize("name", SIMULATED)
def test_the_start_from_empty_queues_is_forgotten(name: str):
    """Where a law is compared the warm-up lasts 20 relaxation times: exp(-20) of a bias is left."""
    measure = SIMULATED[name]
    if not isinstance(measure.read, Queue) and measure.read is not sharing.slowdowns:
        return
    scenario = build(measure.scenario, place="test")
    time = relaxation(scenario)
    if name == "p2c many":
        time = relaxation_of_two_choices(0.8)
    if name.startswith("central_queue"):  # M/M/16: 1 / (sqrt(c) - sqrt(c rho))^2 services
        time = 1.0 / (4.0 - math.sqrt(16 * 0.9)) ** 2
    assert float(scenario.run.warmup) >= 20 * time * SERVICE

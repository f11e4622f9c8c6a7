"""The access-log importer loses no line, and says how far its arrivals and times can be trusted.

Two real logs (nginx with the unmodified Lua balancers, 90 s each) lie beside what was really sent
and measured. Figures found, dead endpoint (9 817 lines) / ewma (10 882 lines):

- lines read: all; requests per pod: exactly the truth;
- arrivals, mean absolute error: 0.044 s / 0.041 s (middle of the second: 0.250 s);
- rate: -0.03 % / -0.02 %; CV of the gaps: 0.906 for 0.995 / 0.961 for 0.998;
- logged times (an upper bound of the work): mean 0.040 s for 0.025 s / 0.117 s for 0.030 s.
"""

import csv
import gzip
import json
import math
from collections import defaultdict
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lbbench.errors import InputError
from lbbench.inputs.access_log.arrivals import recover
from lbbench.inputs.access_log.reader import read_access_log
from lbbench.inputs.access_log.requests import select
from lbbench.inputs.access_log.scenario import MEASURED, from_log
from lbbench.inputs.calibration import (
    Counts,
    bursts,
    is_uniform,
    representatives,
    zipf_exponent,
)
from lbbench.model.check import build
from lbbench.traffic.recorded import read_trace

DATA = Path(__file__).parent / "data"
SEED = Path(__file__).parent.parent / "lbbench" / "scenarios" / "seed" / "access.log"
REAL = ("round_robin_dead_endpoint", "ewma")
F19 = DATA / "files" / "F19_access_upstreaminfo.log"
MANIFEST = {
    item["file"]: item["expect"]
    for item in json.loads((DATA / "files" / "MANIFEST.json").read_text(encoding="utf-8"))["files"]
}
PRESENT = (
    b'203.0.113.7 - - [25/Nov/2026:04:22:24 +0000] "GET /a?b=1 HTTP/1.1" 200 6 "-" "curl/8" 61 '
    b"0.013 [shop-web-80] [] 10.244.0.6:8080 6 0.012 200 12edeb809134f544f958dba9b975fc15"
)
Z = 4.0  # two-sided false alarm 6e-5 per check


def rows(path):
    """Read a packed CSV file as a list of rows by column name."""
    with gzip.open(path, "rt", encoding="utf-8") as stream:
        return list(csv.DictReader(stream))


class Truth:
    """A real log beside the truth: rows of the log matched with the requests that were sent."""

    def __init__(self, name):
        folder = DATA / "logs" / name
        self.log = read_access_log(folder / "access.log.gz")
        self.summary = json.loads((folder / "summary_r1.json").read_text(encoding="utf-8"))
        sent, seen = rows(folder / "trace.csv.gz"), rows(folder / "observed_r1.csv.gz")
        due = np.array([float(row["t_us"]) for row in sent]) / 1e6
        lateness = np.array([float(row["sent_us"]) for row in seen]) / 1e6
        self.arrival = due + lateness  # when nginx saw the request
        self.answer = due + np.array([float(row["lat_us"]) for row in seen]) / 1e6
        self.work = np.array([float(row["svc_us"]) for row in sent]) / 1e6
        self.pod = np.array([int(row["pod"]) for row in seen])
        self.match = self._matched([(row["src"], row["uri"]) for row in sent])

    def _matched(self, labels):
        """Assign log rows to requests: same client, URI and pod, least difference in times."""
        from scipy.optimize import linear_sum_assignment

        log, took = self.log, self.answer - self.arrival
        offset = np.median(np.sort(log.end + 0.5) - np.sort(self.answer))
        ours, theirs = defaultdict(list), defaultdict(list)
        for row in range(len(log)):
            pod = int(log.upstreams[log.upstream[row]].split(":")[0].split(".")[-1]) - 1
            key = (log.clients[log.client[row]], log.keys[log.key[row]], pod)
            ours[key].append(row)
        for number, label in enumerate(labels):
            theirs[(*label, self.pod[number])].append(number)
        assert ours.keys() == theirs.keys()
        match = np.empty(len(log), int)
        for key, lines in ours.items():
            sent = np.array(theirs[key])
            apart = np.abs((log.end[lines] + 0.5 - offset)[:, None] - self.answer[sent])
            apart += 50 * np.abs(log.request_time[lines][:, None] - took[sent])
            first, second = linear_sum_assignment(apart)
            match[np.array(lines)[first]] = sent[second]
        return match

    def error(self, time):
        """Mean absolute error of recovered times against the truth, the common offset removed."""
        apart = time - self.arrival[self.match]
        return float(np.abs(apart - np.median(apart)).mean())


@pytest.fixture(scope="module")
def truths():
    """Read and match both real logs once."""
    return {name: Truth(name) for name in REAL}


@pytest.mark.parametrize("name", REAL)
def test_the_real_logs_are_read_without_a_lost_line(truths, name):
    """20 699 lines in all; every one matches a request that was sent, times within 2.5 ms."""
    truth = truths[name]
    assert len(truth.log) == truth.summary["requests"] == {REAL[0]: 9817, REAL[1]: 10882}[name]
    assert truth.log.n_skipped == 0
    assert sorted(truth.match) == list(range(len(truth.log)))
    took = (truth.answer - truth.arrival)[truth.match]
    assert np.abs(truth.log.request_time - took).max() < 2.5e-3


@pytest.mark.parametrize("name", REAL)
def test_requests_per_pod_are_exactly_the_truth(truths, name):
    """Shares have no error; the pod that refuses answered nothing and is no pod of the scenario."""
    truth = truths[name]
    counts = truth.log.requests_by_upstream()
    expected = truth.summary["per_pod_requests"]
    for pod, n in enumerate(expected):
        assert counts.get(f"10.244.0.{pod + 1}:8080", 0) == n
    imported = from_log(truth.log)
    assert imported.scenario["observed"]["pods"] == dict(sorted(counts.items()))
    assert len(imported.scenario["cluster"]["pods"]) == truth.summary["listening_pods"]


def test_two_attempts_are_counted_at_both_endpoints(truths):
    """The dead endpoint was tried as often as requests were retried, and failed every time."""
    log, summary = truths[REAL[0]].log, truths[REAL[0]].summary
    dead = ("default-web-80", "10.244.0.6:8080")
    assert log.multi_attempt_lines == summary["retried"] == log.tried[dead] == log.failed[dead]
    notes = " ".join(from_log(log).notes)
    assert "10.244.0.6:8080 was tried 1963 times and answered nothing" in notes


def test_an_attempt_before_another_one_has_failed(tmp_path):
    """Also a 500 that `http_500` sends on: tried twice, failed once, answered by the second."""
    path = tmp_path / "access.log"
    one = b"10.244.0.6:8080 6 0.012 200"
    two = b"10.244.0.6:8080, 10.244.0.1:8080 6, 6 0.004, 0.039 500, 200"
    path.write_bytes(PRESENT.replace(one, two))
    log = read_access_log(path)
    assert log.failed == {("shop-web-80", "10.244.0.6:8080"): 1}
    assert log.requests_by_upstream() == {"10.244.0.1:8080": 1}
    assert log.service.tolist() == [0.039]


@pytest.mark.parametrize("name", REAL)
def test_arrivals_are_recovered_as_well_as_theory_allows(truths, name):
    """E|error| = 0.313/sqrt(k) for k lines of a worker in a second.

    About 180 worker-seconds, each a bridge whose mean absolute value scatters by 0.4 of itself:
    standard error 3 %. Blocks of two workers that end in the same second cannot be told apart,
    which the truth shows to cost at most 8 %.
    """
    truth = truths[name]
    found = recover(truth.log.end, truth.log.request_time, truth.log.starts)
    assert found.writers == truth.summary["workers"]
    assert truth.error(found.time) < found.error * (1.08 + Z * 0.4 / math.sqrt(180))
    assert truth.error(found.time) > found.error * (1 - Z * 0.4 / math.sqrt(180))


def test_the_chosen_method_beats_the_others_and_the_note_is_true(truths):
    """Ranks beat the middle and random places; the figures in the note are those found here."""
    rng = np.random.default_rng(1)
    for name in REAL:
        truth = truths[name]
        log = truth.log
        found = recover(log.end, log.request_time, log.starts)
        middle = log.end + 0.5 - log.request_time
        uniform = log.end + rng.random(len(log)) - log.request_time
        assert truth.error(found.time) < 0.2 * truth.error(middle)
        assert truth.error(found.time) < 0.2 * truth.error(uniform)
        assert f"{truth.error(found.time):.3f}" in MEASURED
        pace, true = bursts(np.sort(found.time)), bursts(np.sort(truth.arrival))
        assert abs(pace.rate / true.rate - 1) < 4e-4
        assert f"{100 * (pace.gap_cv / true.gap_cv - 1):.0f}" in MEASURED
        assert f"{true.rate:.0f}/s" in MEASURED


@pytest.mark.parametrize("name", REAL)
def test_logged_times_are_an_upper_bound(truths, name):
    """No logged time is shorter than the true one by more than the clock's milliseconds."""
    truth = truths[name]
    assert (truth.log.service + 2e-3 >= truth.work[truth.match]).all()
    assert truth.log.service.mean() > truth.work.mean()


@pytest.mark.parametrize("name", REAL)
def test_the_calibrated_scenario_is_stable_and_complete(truths, name):
    """Poisson (as sent), the true rate, Zipf keys, load below one, latency of the log."""
    imported = from_log(truths[name].log)
    scenario = build(imported.scenario)
    true = truths[name].arrival
    rate = scenario.traffic.arrivals.rate
    assert scenario.traffic.arrivals.process == "poisson"
    assert rate == pytest.approx((len(true) - 1) / np.ptp(true), rel=4e-4)
    values, shares = scenario.traffic.service_time.values, scenario.traffic.service_time.shares
    mean = math.fsum(v * s for v, s in zip(values, shares, strict=True))
    assert mean == pytest.approx(truths[name].work.mean(), rel=0.05)
    assert rate * mean / len(scenario.cluster.pods) <= 0.8
    assert scenario.cluster.pod.concurrency == 1
    # both were sent with Zipf(1.0) keys; sd of the estimate 1/sqrt(n Var(log rank)), Var about 2
    assert scenario.traffic.keys.popularity.zipf == pytest.approx(1.0, abs=0.01 + Z * 0.008)
    took = truths[name].answer - true
    for p, quantile in (("p50", 0.5), ("p99", 0.99)):
        assert scenario.observed.latency[p] == pytest.approx(np.quantile(took, quantile), abs=5e-3)


def test_the_trace_reads_back(truths, tmp_path):
    """Written gzip CSV, the same bytes each time; the trace reader finds every request."""
    log = truths["ewma"].log
    for name in ("a", "b"):
        from_log(log).write_trace(tmp_path / f"{name}.trace.csv.gz")
    path = tmp_path / "a.trace.csv.gz"
    assert path.read_bytes() == (tmp_path / "b.trace.csv.gz").read_bytes()
    assert path.read_bytes()[4:8] == bytes(4)  # no time of writing in the gzip header
    recorded = read_trace(path)
    (chosen,) = select(log).slices()
    assert len(recorded.arrival) == len(log)
    assert np.abs(recorded.arrival - chosen["arrival"]).max() < 1e-6
    assert recorded.arrival[0] == 0.0
    assert recorded.work.sum() == pytest.approx(chosen["work"].sum(), abs=len(log) * 1e-6)
    assert set(recorded.keys) == set(log.keys)
    assert set(recorded.addresses) == set(log.clients)
    assert not recorded.notes


def test_every_expectation_of_the_manifest_holds():
    """F19: seven lines, seven read, five pods, one line of the default backend."""
    log, expected = read_access_log(F19), MANIFEST[F19.name]
    assert log.lines == expected["lines"]
    assert len(log) == expected["parse"]
    assert len(log.upstreams) == expected["upstreams_excluding_default"]
    assert log.default_backend_lines == expected["default_backend_lines"]
    assert log.multi_attempt_lines == expected["multi_attempt_lines"]


def test_the_seed_log_is_read_with_its_lost_blank():
    """Eight lines; `2007db4e...` is status 200 and the id; the pods are .13 .9 .13 .9 .13 .9 ..."""
    log = read_access_log(SEED)
    assert len(log) == log.lines == log.older_lines == 8
    assert log.lost_blanks == 1
    assert [log.upstreams[i][7:11] for i in log.upstream] == [
        "0.13", "1.9:", "0.13", "1.9:", "0.13", "1.9:", "0.13", "0.13",
    ]  # fmt: skip
    assert log.service.tolist() == [0.376, 0.0, 0.004, 0.576, 0.316, 0.32, 0.296, 0.38]
    imported = from_log(log)
    assert imported.scenario["traffic"]["utilisation"] == 0.8
    assert "arrivals" not in imported.scenario["traffic"]
    assert any("handful" in note for note in imported.notes)


def test_rank_inside_a_second_follows_each_workers_lines():
    """Two blocks of the same seconds are two streams; a third goes on where one ended."""
    end = np.repeat([0, 1, 0, 1, 2, 1, 2], 20)
    found = recover(end, np.zeros(len(end)), np.array([0]))
    assert found.writers == 2
    ordered = np.sort(found.time)
    assert (np.floor(ordered) == np.sort(end)).all()
    even = (np.arange(20) + 0.5) / 20
    assert found.time[:20].tolist() == found.time[40:60].tolist() == even.tolist()
    assert found.time[80:100].tolist() == (2 + even).tolist()


def test_a_log_in_disorder_is_one_stream():
    """Lines collected from many places: ranks in the order of the file."""
    rng = np.random.default_rng(3)
    end = np.arange(400) // 4 + rng.integers(0, 3, 400)
    assert recover(end, np.zeros(400), np.array([0])).writers == 1


@settings(max_examples=50, deadline=None)
@given(st.lists(st.integers(0, 40), min_size=1, max_size=200), st.integers(1, 4))
def test_recovered_ends_stay_in_their_second(seconds, files):
    """Whatever the order of lines and files: end - request time lies in the logged second."""
    end = np.array(seconds, np.int64)
    starts = np.unique(np.linspace(0, len(end), files, endpoint=False).astype(int))
    found = recover(end, np.zeros(len(end)), starts)
    assert (found.time >= end).all()
    assert (found.time <= end + 1).all()
    assert 0.0 <= found.error <= 0.25


def test_dispersion_tells_gamma_from_poisson():
    """Counts of a renewal process: variance over mean tends to cv^2.

    600 windows: standard error of the index sqrt(2/599) = 0.058 for Poisson, which is_poisson
    allows three times; cv 0.5 and 2 give about 0.25 and 4.
    """
    rng = np.random.default_rng(11)
    for cv, poisson in ((1.0, True), (0.5, False), (2.0, False)):
        shape = 1 / cv**2
        gaps = rng.gamma(shape, 0.02 / shape, 30_000)
        pace = bursts(np.cumsum(gaps))
        assert pace.is_poisson is poisson
        assert pace.rate == pytest.approx(50.0, rel=Z * cv / math.sqrt(30_000))
        assert pace.cv == pytest.approx(cv, rel=Z * math.sqrt(2 / 599) / 2 + 0.05)


def test_zipf_and_uniform_popularity_are_told_apart():
    """Counts of 20 000 draws from 50 names: exponent within Z standard errors, or uniform."""
    rng = np.random.default_rng(5)
    ranks = np.arange(1, 51)
    for s in (0.6, 1.2):
        weight = ranks**-s / (ranks**-s).sum()
        spread = math.sqrt(weight @ np.log(ranks) ** 2 - (weight @ np.log(ranks)) ** 2)
        counts = Counts.of([rng.multinomial(20_000, weight)])
        # sorting the counts adds a little, at most 0.02 here
        assert zipf_exponent(counts) == pytest.approx(s, abs=Z / (spread * math.sqrt(2e4)) + 0.02)
        assert not is_uniform(counts)
    assert is_uniform(Counts.of([rng.multinomial(20_000, np.full(50, 0.02))]))


def test_representative_times_keep_mean_and_tail():
    """Slices keep the mean to a microsecond, and the 99.9 % quantile within its slice."""
    times = np.random.default_rng(7).exponential(0.05, 20_000)
    values, shares = representatives(times)
    assert shares.sum() == pytest.approx(1.0, abs=1e-12)
    assert values @ shares == pytest.approx(times.mean(), abs=1e-6)
    assert values[-1] > np.quantile(times, 0.999)
    few, equal = representatives(np.array([0.3, 0.1, 0.3]))
    assert few.tolist() == [0.1, 0.3]
    assert equal.tolist() == pytest.approx([1 / 3, 2 / 3])


@settings(max_examples=150, deadline=None)
@given(
    st.lists(
        st.one_of(
            st.binary(max_size=80),
            st.tuples(st.integers(0, len(PRESENT)), st.binary(max_size=6)).map(
                lambda cut: PRESENT[: cut[0]] + cut[1] + PRESENT[cut[0] + len(cut[1]) :]
            ),
        ),
        max_size=8,
    )
)
def test_garbage_raises_nothing_but_input_errors(tmp_path_factory, rows):
    """Lines of any bytes, and real lines with bytes replaced: a log, or an InputError."""
    path = tmp_path_factory.mktemp("garbage") / "any.log"
    path.write_bytes(b"\n".join(rows))
    try:
        log = read_access_log(path)
        imported = from_log(log)
    except InputError:
        return
    assert len(log) + log.n_skipped == log.lines
    build(imported.scenario)
    imported.write_trace(path.with_suffix(".trace.csv.gz"))

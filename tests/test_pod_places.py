"""The number of places, and with it the work, comes out of logs of real pods as surely as is said.

The runs of `tests/reality` went through real balancers to pods with one place, and their true
service times are known. Here they are written as nginx logs them (`logged`): all lines in the order
of their ends; a file per worker, as buffers make it; and with $msec in place of whole seconds.
"""

from functools import cache
from pathlib import Path

import numpy as np
import pytest
from logged import write_log
from scipy.stats import kstest

from lbbench.inputs.access_log.pod_places import CLOCK as SLACK
from lbbench.inputs.access_log.pod_places import Lines, _chances, judge_places
from lbbench.inputs.access_log.reader import read_access_log
from lbbench.inputs.access_log.requests import select

REALITY = Path(__file__).parent / "reality"
RUNS = sorted(path.name for path in REALITY.iterdir() if path.is_dir())
FORMS = {
    "in_order": {"apart": False},
    "by_worker": {"apart": True},
    "msec": {"apart": False, "fraction": True},
}
CLOCK = 1e-3  # seconds, one step of logged durations


@pytest.fixture(scope="module")
def recovered(tmp_path_factory):
    """Return what finds (requests that were recovered, true and logged and recovered work)."""

    @cache
    def found(run, form):
        folder = tmp_path_factory.mktemp(f"{run}_{form}")
        written = write_log(REALITY / run, folder, **FORMS[form])
        log = read_access_log(written.paths)
        chosen = select(log)
        requests = np.concatenate(list(chosen.slices()))
        requests = requests[~np.isnan(requests["service"])]
        numbers = [int(log.keys[key][1:]) for key in requests["key"].tolist()]
        return chosen.recovered, written.work[numbers], requests["service"], requests["work"]

    return found


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("run", RUNS)
def test_the_places_are_right(recovered, run, form):
    """One place, as the pods had; and nothing in the log refuses it.

    Also where four workers' lines are apart, and the mean times alone would say two.
    """
    found = recovered(run, form)[0]
    assert found.places == found.found.bound == 1


def test_mean_times_alone_are_misled_by_uncertain_ends(recovered):
    """Why evidence is asked for: with a file per worker the means of E3_rr_n10_4w say two."""
    assert recovered("E3_rr_n10_4w", "by_worker")[0].found.by_means == 2


@pytest.mark.parametrize("run", RUNS)
def test_with_milliseconds_the_work_is_exact(recovered, run):
    """What is left is the clock and the path between proxy and pod.

    A response time is cut to whole milliseconds (0.5 too short on average) and has the path in it
    (0.13 to 0.43 ms, README of the recordings): mean and median are within one step, and p99 within
    two, as it is of the few whose ends come late.
    """
    _, true, _, ours = recovered(run, "msec")
    assert ours.mean() == pytest.approx(true.mean(), abs=CLOCK)
    for level, steps in ((0.5, 1), (0.99, 2)):
        expected = np.quantile(true, level)
        assert np.quantile(ours, level) == pytest.approx(expected, abs=steps * CLOCK)


@pytest.mark.parametrize("form", ["in_order", "by_worker"])
@pytest.mark.parametrize("run", RUNS)
def test_with_whole_seconds_the_work_is_as_sure_as_the_notes_say(recovered, run, form):
    """As the notes promise it, and with most of the queueing gone from every quantile.

    The expected error per request comes from ends drawn again, which have the distribution that the
    true ones have if they are uniform in their seconds; it is itself an estimate from a few
    thousand requests that hang together in busy periods: within 25 %. The mean is within the clock
    and four of its standard errors. A quantile of the logged times is off by the queueing; of that
    at most a third may be left.
    """
    found, true, logged, ours = recovered(run, form)
    assert np.abs(ours - true).mean() == pytest.approx(found.error, rel=0.25)
    assert abs(ours.mean() - true.mean()) < CLOCK + 4 * found.mean_error
    for level in (0.5, 0.99):
        exact, told, raw = (np.quantile(x, level) for x in (true, ours, logged))
        assert abs(told - exact) < abs(raw - exact) / 3


@pytest.mark.parametrize("extra", [0, 1])
def test_a_request_overtakes_one_less_than_there_are_places(extra):
    """Two places: every third request is long and overtaken by the next, by one at a time.

    Exact ends. With ``extra`` a second long one is overtaken as well, which takes a third place.
    """
    start = np.arange(3000) * 0.1
    work = np.where(np.arange(3000) % 3 == 0, 0.35, 0.05)
    if extra:
        work[1::3] = 0.2
    found = judge_places(start + work, work, np.zeros(3000, int))
    assert found.bound == 2 + extra


def test_the_chance_of_a_pair_is_that_of_uniform_places():
    """The d-th of k uniform places after another: the chance of its distance is uniform itself.

    4000 seconds of 20 lines each, one pair of each, response times that differ by the distance:
    Kolmogorov-Smirnov, false alarm 1e-4.
    """
    rng = np.random.default_rng(2)
    n, k = 4000, 20
    first, other = np.sort(rng.integers(0, k, (n, 2)), axis=1).T
    rows = np.nonzero(first < other)[0]
    places = np.sort(rng.random((n, k)), axis=1)
    apart = (places[np.arange(n), other] - places[np.arange(n), first])[rows]
    m = len(rows)
    rank = np.concatenate([first[rows], other[rows]])
    zero = np.zeros(2 * m, np.int64)
    lines = Lines(zero, zero, rank, zero + k, zero.astype(bool))
    response = np.concatenate([np.zeros(m), apart + SLACK])
    found = _chances(np.zeros(2 * m), response, lines, np.arange(m), m + np.arange(m))
    assert kstest(found, "uniform").pvalue > 1e-4


def test_without_overtaking_there_is_one_place():
    """Ends in the order of arrivals, whatever the times: nothing refuses one place."""
    start = np.arange(3000) * 0.1
    work = np.random.default_rng(1).uniform(0.0, 0.1, 3000)
    assert judge_places(start + work, work, np.zeros(3000, int)).places == 1
    assert judge_places(start[:1] + 1.0, work[:1], np.zeros(1, int)).places == 1

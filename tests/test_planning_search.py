"""The search for a boundary, and the driver that runs what searches ask for."""

from __future__ import annotations

from concurrent.futures import Future

import pytest
from hypothesis import given
from hypothesis import strategies as st
from planning import patient, sample

from lbbench.errors import RunError
from lbbench.studies.planning import driver
from lbbench.studies.planning.case import Cluster
from lbbench.studies.planning.driver import Here, Need, Runs, drive
from lbbench.studies.planning.search import least_far
from lbbench.studies.point import missing


def found(boundary: int, start: int, **options: int) -> tuple[int | None, list[int]]:
    """Return what a search finds when all from ``boundary`` on is far, and what it asked for."""
    search, asked = least_far(start, **options), []
    try:
        value = next(search)
        while True:
            asked.append(value)
            value = search.send(value >= boundary)
    except StopIteration as end:
        return end.value, asked


@patient
@given(st.integers(1, 500), st.integers(1, 500), st.integers(0, 500), st.integers(0, 500))
def test_a_search_finds_the_boundary_with_evidence_on_both_sides(boundary, start, near, far):
    """The least far value, asked for, and the one below it too unless it was known; each once."""
    near = min(near, boundary - 1)
    given_far = boundary + far if far else None
    answer, asked = found(boundary, start, near=near, far=given_far, most=1000)
    assert answer == boundary
    assert boundary in asked or boundary == given_far
    assert boundary - 1 in asked or boundary - 1 == near
    assert len(set(asked)) == len(asked)
    assert all(near < value < (given_far or 1001) for value in asked)


@patient
@given(st.integers(1, 4096), st.integers(1, 4096))
def test_a_search_asks_for_few_values(boundary, start):
    """Galloping and bisecting take at most 2 log2 of the range and two more."""
    _, asked = found(boundary, start, most=4096)
    assert len(asked) <= 26


def test_a_search_that_never_gets_far_ends_at_the_most():
    """Without a far value up to the most there is no answer, and the most was asked for."""
    answer, asked = found(10_000, 3, most=100)
    assert answer is None
    assert asked[-1] == 100
    assert found(5, 3, near=100, most=100) == (None, [])


@pytest.fixture
def told(monkeypatch):
    """Answer tasks with samples made by hand; return which (content, replication) were run."""
    ran: list[tuple[str, int]] = []

    def answer(task):
        ran.append((task.content, task.replication))
        if task.content == "broken":
            return missing(task, "failed", "a sentence", 0.0)
        return sample([1.0, 2.0], content=task.content, number=task.replication)

    monkeypatch.setattr(driver, "sample", answer)
    return ran


def runs_here() -> Runs:
    """Return runs in this process."""
    return Runs(Here(), folder=".", seed=1, engine="fast")


def test_a_replication_is_run_once_whoever_asks(told):
    """Two searches that need the same runs share them, and growing needs run what is missing."""
    cluster, other = Cluster(None, "{}", "a"), Cluster(None, "{}", "b")
    runs = runs_here()

    def asks(*needs: Need):
        yield from needs
        return [item.replication for item in runs.of(needs[-1].clusters[0], needs[-1].replications)]

    answers = drive(
        {
            "one": asks(Need((cluster,), 2), Need((cluster, other), 4)),
            "two": asks(Need((cluster,), 3)),
        },
        runs,
    )
    assert answers == {"one": [0, 1, 2, 3], "two": [0, 1, 2]}
    assert sorted(told) == [(name, n) for name in "ab" for n in range(4)]


def test_a_run_without_a_result_ends_the_plan_with_its_sentence(told):
    """What went wrong in a replication is told once, as an error, with value and balancer."""

    def asks():
        yield Need((Cluster(None, "{}", "broken"),), 2, "12 pods with ewma")

    with pytest.raises(RunError, match="the plan failed, 12 pods with ewma: a sentence"):
        drive({"one": asks()}, runs_here())
    assert told


def test_a_search_waits_for_its_kernel(told):
    """The first runs of a search come after one worker has compiled what they need."""

    class Slow(Here):
        """Compiles only when something else has been run."""

        kernel: Future[None]

        def submit(self, fn, /, *args, **kwargs):
            if fn is driver.prepare:
                self.kernel = Future()
                return self.kernel
            future = super().submit(fn, *args, **kwargs)
            if not self.kernel.done():
                self.kernel.set_result(None)
            return future

    def asks(name: str):
        yield Need((Cluster(None, "{}", name),), 1)
        return name

    runs = Runs(Slow(), folder=".", seed=1, engine="fast")
    found = drive({"a": asks("a"), "b": asks("b")}, runs, warm={"a": "{}"})
    assert found == {"a": "a", "b": "b"}
    assert told == [("b", 0), ("a", 0)]


def test_an_error_in_this_process_is_an_error_of_its_future():
    """`Here` runs at once and keeps what was raised for whoever asks for the result."""

    def fails() -> None:
        raise ValueError("no")

    future: Future[None] = Here().submit(fails)
    assert isinstance(future.exception(), ValueError)
    assert Here().submit(lambda: 3).result() == 3

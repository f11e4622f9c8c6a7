"""Which replications run: each missing one once, the same ones whatever happened in between."""

from __future__ import annotations

import random

from hypothesis import given
from hypothesis import strategies as st

from lbbench.model.study import Member
from lbbench.studies.schedule import Schedule, Wanted, condition_of, conditions, policy_of

BALANCER = "stages.ingress.balancer"


def members(balancers=("a", "b"), loads=(0.5, 0.9), invalid=()):
    """Return a grid of points."""
    made = []
    for load in loads:
        for name in balancers:
            values = {"traffic.utilisation": load, BALANCER: name}
            number = len(made)
            why = "cannot be" if number in invalid else None
            made.append(Member(number, values, f"c{number}", "{}", why))
    return made


def run_all(schedule: Schedule, order: random.Random, stop: int | None = None, failing=()):
    """Run what waits, several at once, in a random order; return what ran."""
    ran, flying = [], []
    while (schedule.waiting or flying) and (stop is None or len(ran) < stop):
        while schedule.waiting and len(flying) < 3:
            flying.append(schedule.waiting.popleft())
        item = flying.pop(order.randrange(len(flying)))
        key = (item.member.content, item.replication)
        ran.append(key)
        schedule.landed(*key, "failed" if item.member.content in failing else "done")
    return ran


def precise_from(needs):
    """Return an `is_precise` for which a point needs a number of replications of its own."""
    return lambda points, n: all(n >= needs[point.content] for point in points)


def test_a_condition_holds_the_points_that_differ_in_policy_alone():
    """Points are grouped by every axis that is not below `stages`, in the order of the study."""
    groups = conditions(members())
    assert [[m.number for m in group] for group in groups] == [[0, 1], [2, 3]]
    assert condition_of(groups[1][0]) == {"traffic.utilisation": 0.9}
    assert policy_of(groups[1][1]) == {BALANCER: "b"}


def test_every_replication_runs_once():
    """Nothing waits twice, nothing that is no scenario waits, and the counts agree."""
    schedule = Schedule(members(invalid=(2,)), {}, Wanted(3, 3))
    assert schedule.total == 9
    ran = run_all(schedule, random.Random(1))
    assert sorted(ran) == sorted({(f"c{i}", r) for i in (0, 1, 3) for r in range(3)})
    assert schedule.n_ended == schedule.total
    schedule.landed(*ran[0], "done")  # told once more: it counts once
    assert schedule.n_ended == schedule.total


def test_what_the_ledger_has_does_not_run_again():
    """Ended replications count as done from the start, those beyond the study do not count."""
    ended = {("c0", 0): "done", ("c0", 1): "failed", ("c1", 7): "done", ("other", 0): "done"}
    schedule = Schedule(members(loads=(0.5,)), ended, Wanted(2, 2))
    assert (schedule.total, schedule.n_ended) == (4, 2)
    assert sorted(run_all(schedule, random.Random(1))) == [("c1", 0), ("c1", 1)]


def test_points_of_the_same_content_run_once():
    """Two ways to write the same value are two points and one run."""
    first, second = members(loads=(0.5,))
    twin = second._replace(content=first.content)
    schedule = Schedule([first, twin], {}, Wanted(2, 2))
    assert run_all(schedule, random.Random(1)) == [("c0", 0), ("c0", 1)]
    assert schedule.total == schedule.n_ended == 2


@given(
    st.integers(0, 2**32),
    st.lists(st.integers(1, 9), min_size=4, max_size=4),
    st.lists(st.integers(0, 12), max_size=3),
)
def test_precision_asks_for_the_same_replications_whatever_the_order(seed, needs, stops):
    """Each condition gets what its neediest point needs, at most 8, interrupted or not."""
    order = random.Random(seed)
    points = members()
    need = {point.content: n for point, n in zip(points, needs, strict=True)}
    wanted, is_precise = Wanted(2, 8), precise_from(need)
    ended: dict[tuple[str, int], str] = {}
    for stop in [*stops, None]:
        schedule = Schedule(points, ended, wanted, is_precise)
        ended |= dict.fromkeys(run_all(schedule, order, stop), "done")
    sizes = [min(max(*needs[at : at + 2], 2), 8) for at in (0, 2)]
    assert schedule.sizes == sizes
    assert set(ended) == {
        (point.content, r) for point in points for r in range(sizes[point.number // 2])
    }


def test_a_point_that_fails_does_not_hold_up_the_others():
    """A condition asks only its points with results for precision; with none it stops."""
    points = members()
    need = {point.content: 4 for point in points}
    schedule = Schedule(points, {}, Wanted(2, 8), precise_from(need))
    ran = run_all(schedule, random.Random(3), failing=("c0", "c2", "c3"))
    assert schedule.sizes == [4, 2]
    assert len(ran) == len(set(ran)) == 2 * 4 + 2 * 2

"""Users of a closed loop: the same rows whatever else there is, by the laws asked for.

Tolerances: z = 4.5 standard errors (two-sided false alarm 7e-6), p = 1e-5 for laws.
"""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from lbbench.model.scenario import Scenario
from lbbench.traffic.closed import CHUNK, UserRows
from lbbench.traffic.generate import Traffic
from lbbench.traffic.streams import THINK, WORK, generator

Z = 4.5
P = 1e-5

THINKING = {"distribution": "exponential", "mean": "1s"}


def demand(users, *, think=None, requests=None, **others):
    return {
        "arrivals": {"process": "closed", "users": users, "think_time": think or THINKING},
        "connections": {"requests": requests or {"geometric": 4}},
        "sessions": {"count": 30, "lifetime": {"mean": "60s"}},
        "clients": {"count": 30},
        **others,
    }


def traffic(demand, *, replication=0, run=None, **others):
    data = {"traffic": demand, "run": run or {"requests": 1_000}, **others}
    return Traffic(Scenario.model_validate(data), replication=replication)


def users(*args, **kwargs):
    return traffic(demand(*args, **kwargs)).users


def chunks(people, user, n):
    """Return the first ``n`` chunks of ``user`` as one."""
    parts = [people.rows(user, chunk) for chunk in range(n)]
    return UserRows(*(np.concatenate(column) for column in zip(*parts, strict=True)))


def same(a, b):
    """Names of the columns that are equal bit for bit."""
    return {
        name
        for name in UserRows._fields
        if getattr(a, name).tobytes() == getattr(b, name).tobytes()
    }


ALL = set(UserRows._fields)


def test_rows_have_their_types():
    """A chunk has 64 rows in contiguous columns; a table has a line of them for each user."""
    types = [np.float64, np.float64, np.int64, np.uint8, np.float64]
    people = users(5)
    for rows, shape in ((people.rows(2, 0), (CHUNK,)), (people.table([1, 4], [0, 3]), (2, CHUNK))):
        assert [column.dtype for column in rows] == types
        assert all(column.shape == shape and column.flags.c_contiguous for column in rows)


def test_a_column_is_its_users_own_stream():
    """Think times and work are the draws of the streams of that name and user, in order."""
    people = users(5)
    for user in range(5):
        found = chunks(people, user, 3)
        for name, column, mean in ((THINK, found.think, 1.0), (WORK, found.work, 0.02)):
            stream = generator(1, 0, name, user=user)
            assert column.tolist() == (mean * stream.standard_exponential(3 * CHUNK)).tolist()


def test_more_users_leave_the_others_as_they_are():
    """User 3 of 5 is user 3 of 500, whoever was asked before and however many at a time."""
    few, many = users(5), users(500)
    many.table(range(500), [0] * 500)
    assert same(chunks(few, 3, 4), chunks(many, 3, 4)) == ALL


@given(
    asked=st.lists(
        st.lists(st.tuples(st.integers(0, 4), st.integers(0, 6)), min_size=1, max_size=6),
        max_size=6,
    )
)
def test_rows_depend_on_the_user_and_the_number_of_the_chunk_alone(asked):
    """Asked in any order, singly or in tables, again or with chunks left out: the same rows."""
    people = users(5)
    wanted = [chunks(users(5), user, 7) for user in range(5)]
    for pairs in asked:
        table = people.table([user for user, _ in pairs], [chunk for _, chunk in pairs])
        for i, (user, chunk) in enumerate(pairs):
            part = slice(chunk * CHUNK, (chunk + 1) * CHUNK)
            line = UserRows(*(column[part] for column in wanted[user]))
            assert same(UserRows(*(column[i] for column in table)), line) == ALL
    assert (
        same(people.rows(0, 2), UserRows(*(column[2 * CHUNK : 3 * CHUNK] for column in wanted[0])))
        == ALL
    )


@pytest.mark.parametrize(
    ("change", "changed"),
    [
        ({"think": {"distribution": "hyperexponential", "mean": "1s", "cv": 4}}, {"think"}),
        ({"service_time": {"distribution": "lognormal", "mean": "20ms", "cv": 2}}, {"work"}),
        ({"keys": {"count": 20}}, {"key"}),
        ({"requests": {"geometric": 3}}, {"last"}),
        ({"requests": {"fixed": 3}}, {"last"}),
        ({"sessions": {"count": 30}}, {"life"}),
        ({"sessions": "none"}, {"life"}),
        ({"clients": {"count": 7}}, set()),
    ],
)
def test_a_change_of_one_column_leaves_the_others(change, changed):
    """Every column of a user has a stream of its own, also the branches of mixtures."""
    base, other = users(3), users(3, **change)
    for user in range(3):
        assert same(chunks(base, user, 2), chunks(other, user, 2)) == ALL - changed


def test_nothing_outside_the_traffic_changes_a_row():
    """Every balancer and cluster meets the same users."""
    base = chunks(users(3), 1, 2)
    for other in (
        {"stages": {"ingress": {"balancer": "ewma"}}},
        {"cluster": {"pods": 3, "pod": {"speed": 2.0}}},
        {"path": "service"},
        {"run": {"duration": "20s"}},
    ):
        assert same(base, chunks(traffic(demand(3), **other).users, 1, 2)) == ALL


def test_users_seeds_and_replications_differ():
    """No drawn column is shared between users, replications or seeds."""
    base = users(3)
    others = [
        base.rows(1, 0),
        traffic(demand(3), replication=1).users.rows(0, 0),
        traffic(demand(3), run={"requests": 1_000, "seed": 2}).users.rows(0, 0),
    ]
    for other in others:
        assert not same(base.rows(0, 0), other)


def test_columns_follow_their_laws():
    """Over 500 users: think, work and lives are exponential, keys Zipf, budgets geometric."""
    people, n = users(500, keys={"count": 40, "popularity": {"zipf": 1.0}}), 500 * CHUNK
    found = people.table(range(500), [0] * 500)
    for column, mean in ((found.think, 1.0), (found.work, 0.02), (found.life, 60.0)):
        assert stats.kstest(column.ravel(), stats.expon(scale=mean).cdf).pvalue > P
    shares = 1.0 / np.arange(1, 41)
    counts = np.bincount(found.key.ravel(), minlength=40)
    assert stats.chisquare(counts, n * shares / shares.sum()).pvalue > P
    assert abs(found.last.mean() - 0.25) < Z * math.sqrt(0.25 * 0.75 / n)


def test_columns_and_users_are_independent():
    """Neither columns nor neighbouring users nor following rows: |r| < z / sqrt(n)."""
    found = users(400).table(range(400), [0] * 400)
    columns = [column.astype(float) for column in found]
    neighbours = [column[1:].ravel() for column in columns]
    before = [column[:-1].ravel() for column in columns]
    later = [np.roll(column[:-1], 1, axis=1).ravel() for column in columns]
    correlations = np.corrcoef([*neighbours, *before, *later])[np.triu_indices(15, 1)]
    assert (np.abs(correlations) < Z / math.sqrt(399 * CHUNK)).all()


def test_geometric_budgets_have_their_law():
    """Requests between ends: P(k) = (1/m) (1 - 1/m)^(k-1), chi-square over one user's first ones.

    Taken as a given number of budgets, not as those of a given number of rows, they have no bias.
    """
    m, n = 4.0, 10_000
    last = chunks(users(1), 0, 700).last
    budgets = np.diff(np.flatnonzero(last), prepend=-1)[:n]
    assert len(budgets) == n
    law, most = stats.geom(1 / m), 20
    counts = np.bincount(np.minimum(budgets, most), minlength=most + 1)[1:]
    expected = n * np.append(law.pmf(np.arange(1, most)), law.sf(most - 1))
    assert stats.chisquare(counts, expected).pvalue > P
    assert abs(budgets.mean() - m) < Z * math.sqrt(m * (m - 1) / n)


@pytest.mark.parametrize(
    ("requests", "every"), [(1, 1), ({"fixed": 7}, 7), ({"fixed": 100}, 100), ("unlimited", 10**9)]
)
def test_fixed_budgets_end_every_so_many_requests(requests, every):
    """Requests number k, 2 k, 3 k, ... of a user are last ones, across chunks."""
    last = chunks(users(2, requests=requests), 1, 5).last
    assert (np.flatnonzero(last) == np.arange(every - 1, 5 * CHUNK, every)).all()


@given(st.integers(1, 60), st.integers(1, 30), st.integers(0, 60))
def test_a_users_session_belongs_to_its_client(count, clients, sessions):
    """User u is client u mod count, its session one of that client's, which are used in turn."""
    given_ = {"count": sessions} if sessions else "none"
    people = users(count, clients={"count": clients}, sessions=given_)
    assert people.client.tolist() == [user % clients for user in range(count)]
    assert people.client.dtype == people.session.dtype == np.int64
    for client, session in zip(people.client, people.session, strict=True):
        assert session == -1 if client >= sessions else session % clients == client
    assert (people.session < max(sessions, 1)).all()
    if sessions >= count:
        assert people.session.tolist() == list(range(count))
    for client in range(min(clients, sessions)):
        own = range(client, sessions, clients)
        uses = [int((people.session == session).sum()) for session in own]
        assert max(uses) - min(uses) <= 1


def test_lives_are_infinite_without_lifetime():
    """A session lasts for ever unless the scenario says how long."""
    assert np.isinf(users(2, sessions={"count": 5}).rows(1, 0).life).all()


def test_think_times_may_be_constant_or_nothing():
    """A plain time is a constant; users without think time send at once."""
    assert (users(2, think="3s").rows(0, 1).think == 3.0).all()
    made = traffic(demand(2, think="0s"))
    assert (made.users.rows(0, 1).think == 0.0).all()
    assert made.population.rate == pytest.approx(2 / 0.02)


def test_a_closed_loop_has_users_and_no_blocks():
    """The population has a lane per user; other traffic has no users."""
    made = traffic(demand(100), run={"duration": "20s"})
    assert list(made.blocks()) == []
    assert made.users.count == made.population.n_lanes == 100
    assert (made.population.n_sessions, len(made.population.client_address)) == (30, 30)
    assert (made.n_requests, made.duration, made.has_gaps) == (None, 20.0, False)
    assert traffic({"arrivals": {"rate": "1/s"}}).users is None


@pytest.mark.parametrize(
    ("count", "cluster", "rate"),
    [
        (100, {}, 100 / 1.02),
        (10_000, {}, 500.0),
        (100, {"pods": [{"name": "a", "speed": 2.0, "concurrency": 9}, {"name": "b"}]}, 100 / 1.01),
    ],
)
def test_the_rate_is_bounded_by_users_and_by_pods(count, cluster, rate):
    """N / (Z + E[work] / speed), and the capacity: 10 pods of 20 ms serve 500/s."""
    made = traffic(demand(count), cluster=cluster)
    assert made.population.rate == pytest.approx(rate)


def test_popular_clients_are_said_to_be_unused():
    """Users are dealt out to clients, so a popularity is told to have no effect."""
    assert traffic(demand(3)).notes == ()
    popular = {"count": 30, "popularity": {"zipf": 1.0}}
    assert "popularity is not used" in traffic(demand(3, clients=popular)).notes[0]

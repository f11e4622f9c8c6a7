"""Units in groups against a count by hand; figures of groups against their definitions."""

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from lbbench.errors import RunError
from lbbench.verify import metrics
from lbbench.verify.placements import counts

rows = st.lists(st.tuples(st.integers(0, 9), st.integers(-1, 2)), min_size=1, max_size=60)


def by_hand(pairs, size):
    """Return the counts of the first place of each unit, in groups, the slow way."""
    first = {}
    for unit, place in pairs:
        if place >= 0:
            first.setdefault(unit, place)
    places = list(first.values())
    groups = [places[i : i + size] for i in range(0, len(places) // size * size, size)]
    return [[group.count(target) for target in range(3)] for group in groups]


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(pairs=rows, size=st.integers(1, 4))
def test_counts_are_those_of_first_places(made_run, pairs, size):
    """Each unit counts once, where its first request went; what fills no group is left out."""
    run = made_run(client=[a for a, _ in pairs], pod=[b for _, b in pairs])
    expected = by_hand(pairs, size)
    if not expected:
        with pytest.raises(RunError, match="fewer than the group"):
            counts(run, unit="client", on="pod", size=size)
        return
    assert counts(run, unit="client", on="pod", size=size).tolist() == expected


def test_units_are_what_they_say(made_run):
    """A connection is a client and a port, or a request where each has its own; NAT is shared."""
    kept = {"traffic.connections.requests": "unlimited"}
    run = made_run(changes=kept, client=[1, 1, 1, 2], port=[5, 5, 6, 5], pod=[0, 1, 1, 2])
    assert counts(run, unit="connection", on="pod").tolist() == [[1, 1, 1]]
    run = made_run(client=[1, 1, 1, 2], port=[5, 5, 6, 5], pod=[0, 1, 1, 2])
    assert counts(run, unit="connection", on="pod").tolist() == [[1, 2, 1]]
    run = made_run(client=[1, 9, 10, 11], pod=[0, 1, 2, 2])
    assert counts(run, unit="address", on="pod").tolist() == [[1, 0, 1]]
    run = made_run(node=[0, 0, 1, -1], pod=[2, 1, 1, 0])
    assert counts(run, unit="node", on="pod").tolist() == [[0, 1, 1]]


@pytest.fixture
def groups(made_run):
    """Return a run of three groups of four requests: 4 0 0, 2 2 0, 2 1 1."""
    return made_run(pod=[0, 0, 0, 0, 0, 0, 1, 1, 0, 0, 1, 2])


def test_figures_of_groups(groups):
    """Each figure by its definition, worked out by hand for three groups."""
    four = {"unit": "request", "size": 4}
    assert metrics.used(groups, **four) == pytest.approx((1 + 2 + 3) / 3)
    assert metrics.most_used(groups, **four) == 3
    assert metrics.max_share(groups, **four) == pytest.approx((4 + 2 + 2) / 12)
    assert metrics.p_one_unused(groups, **four) == pytest.approx(2 / 3)
    assert metrics.p_unused(groups, **four) == pytest.approx(3 / 9)
    assert metrics.p_all_on_one(groups, on="pod", **four) == pytest.approx(1 / 3)
    assert metrics.p_more_than(groups, cap=2, **four) == pytest.approx(1 / 3)
    variances = [np.var(row) for row in ([4, 0, 0], [2, 2, 0], [2, 1, 1])]
    expected = np.sqrt(np.mean(variances)) / (4 / 3)
    assert metrics.cv(groups, unit="request", on="pod", size=4) == pytest.approx(expected)


def test_figures_of_whole_runs(groups):
    """Shares, extremes and their ratios over all twelve requests: 8, 3, 1."""
    assert metrics.shares(groups) == pytest.approx([8 / 12, 3 / 12, 1 / 12])
    assert metrics.shares_of_first(groups, n=2) == pytest.approx([8 / 12, 3 / 12])
    assert metrics.sorted_counts(groups) == [8, 3, 1]
    assert metrics.least(groups) == 1
    assert metrics.least_share(groups) == pytest.approx(1 / 12)
    assert metrics.max_minus_min(groups) == 7
    assert metrics.max_over_mean(groups) == pytest.approx(2)
    assert metrics.max_over_min(groups, unit="request") == 8
    assert metrics.used_share(groups) == 1


def test_the_first_pods_are_those_of_the_list(made_run):
    """Addresses are compared as texts: .10 comes before .2, so pod-8 of one node is the first."""
    changes = {"cluster.nodes": 1}
    run = made_run(pods=12, changes=changes, pod=[8, 8, 0, 1])
    assert metrics.shares_of_first(run, n=2) == pytest.approx([0.5, 0.0])


def test_how_many_pods_are_enough(made_run):
    """The fewest of the runs whose groups overfill a pod rarely; none: nothing was found."""
    full = made_run(pods=3, pod=[0, 0, 0, 0])
    even = made_run(pods=4, pod=[0, 1, 2, 3])
    what = {"cap": 2, "chance": 0.01, "unit": "request", "size": 4}
    assert metrics.fewest(full, even, **what) == 4
    assert metrics.fewest(full, **what) is None


def test_repetitions_of_a_run_and_of_a_client(made_run):
    """Pairs in a row, or pairs of the same client in a row."""
    run = made_run(client=[1, 2, 1, 2, 1], pod=[0, 0, 1, 0, 1])
    assert metrics.repeats(run) == pytest.approx(1 / 4)
    assert metrics.repeats(run, of="client") == pytest.approx(2 / 3)


def test_first_clients_of_a_node(made_run):
    """All requests of a node's first two clients count, nodes with fewer are left out."""
    node = [0, 0, 0, 0, 1, 1]
    run = made_run(node=node, client=[1, 2, 3, 1, 4, 4], pod=[0, 0, 2, 1, 2, 2])
    assert metrics.used_by_first_clients(run, clients=2) == 2

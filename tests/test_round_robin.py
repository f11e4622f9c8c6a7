"""round_robin is lua-resty-balancer's, as ingress-nginx uses it: recorded cycles come back."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Sequence
from itertools import pairwise
from typing import Any

import numpy as np
import pytest
from feeding import NO_TRIES, Draws, Script, assert_compiled_agrees, fed, golden, history
from hypothesis import given
from hypothesis import strategies as st

from lbbench.balancers import round_robin
from lbbench.balancers.base import Endpoint
from lbbench.balancers.round_robin import (
    CURRENT,
    GCD,
    HEAD,
    HIGHEST,
    LAST,
    ROUND_ROBIN,
    RoundRobinState,
)
from lbbench.core.rng import lua_random, stream, wrapping
from lbbench.errors import BalancerError

VECTORS = golden("round_robin.json")
LIVE = golden("nginx_live.json")
NO_RNG = np.zeros(4, np.uint64)


class Worker:
    """One worker with an endpoint list, in the words of a replay."""

    def __init__(self, weights: dict[str, int], **options: Any) -> None:
        self.names = list(weights)
        self.state = state_of(list(weights.values()), **options)
        self.listed: list[str] = []

    def ids(self, names: Sequence[str]) -> np.ndarray:
        """Return endpoint ids."""
        return np.array([self.names.index(name) for name in names], np.int64)

    def take(
        self,
        names: Sequence[str],
        draws: Sequence[dict[str, Any]],
        *,
        start_order: Sequence[str] = (),
        find_order: Sequence[str] = (),
    ) -> None:
        """Let the worker take a list; the orders are those of the two Lua tables."""
        if start_order:
            self.state.order_for_start_draw[:] = self._completed(start_order)
            self.state.order_for_find[:] = self._completed(find_order)
        fed_draws = Draws(draws)
        fed_draws.fed(round_robin.on_endpoints)(
            self.state, NO_RNG, self.ids(self.listed), self.ids(names), 0.0
        )
        fed_draws.assert_used()
        self.listed = list(names)

    def _completed(self, order: Sequence[str]) -> np.ndarray:
        return self.ids([*order, *(name for name in self.names if name not in order)])

    def pick(self) -> str:
        """Return the endpoint of the next pick."""
        busy = np.zeros(len(self.listed), np.int64)
        return self.listed[round_robin.pick(self.state, NO_RNG, 0.0, -1, busy, NO_TRIES)]

    @property
    def last(self) -> str | None:
        """The last node, None before the head."""
        place = self.state.number[LAST]
        return None if place == HEAD else self.listed[self.state.walk[place]]

    def set_weight(self, name: str, weight: int) -> None:
        """Do what the library's `set` does to a live table; ingress-nginx never calls it.

        A higher weight leaves the current one; a lower one caps it at the new highest; weight 0
        deletes the node, and forgets the last one if it was that.
        """
        state, number, last = self.state, self.state.number, self.last
        raised = weight > state.weight[self.names.index(name)]
        state.weight[self.names.index(name)] = weight
        if weight == 0:
            self.listed.remove(name)
        state.seat[self.ids(self.listed)] = range(len(self.listed))
        round_robin._lay_out(state)
        round_robin._measure(state)
        state.seat[:] = -1
        number[LAST] = HEAD
        if last in self.listed:
            number[LAST] = state.walk.tolist().index(self.listed.index(last))
        if not raised:
            number[CURRENT] = min(number[CURRENT], number[HIGHEST])


def state_of(weights: Sequence[int], **options: Any) -> RoundRobinState:
    endpoints = [Endpoint(f"10.0.0.{i}:80", weight) for i, weight in enumerate(weights)]
    return ROUND_ROBIN.state(ROUND_ROBIN.options(options), endpoints)


def take(state: RoundRobinState, old: Sequence[int], new: Sequence[int], *draws: int) -> None:
    """Let a state take a list; the draws give these values."""
    script = Script(draws)
    fed(round_robin.on_endpoints, lua_random=script)(
        state, NO_RNG, np.array(old, np.int64), np.array(new, np.int64), 0.0
    )
    assert not script.waiting


def picks(state: RoundRobinState, count: int, n: int) -> list[int]:
    busy = np.zeros(n, np.int64)
    return [round_robin.pick(state, NO_RNG, 0.0, -1, busy, NO_TRIES) for _ in range(count)]


# --- golden ---------------------------------------------------------------------------------------


def _ids(scenarios: Sequence[dict[str, Any]]) -> list[str]:
    return [f"{item.get('name', 'backend')}-{i}" for i, item in enumerate(scenarios)]


@pytest.mark.parametrize("scenario", VECTORS["scenarios"], ids=_ids(VECTORS["scenarios"]))
def test_every_recorded_table_comes_back(scenario: dict[str, Any]):
    """All 35 tables with all phases: gcd, start, current weights, picks and draws exactly."""
    lists = [scenario["nodes"], *(step["nodes"] for step in scenario["later"])]
    weights = {name: weight for nodes in reversed(lists) for name, weight in nodes}
    worker = Worker(weights)
    for step, phase in zip([{"op": "reinit"}, *scenario["later"]], scenario["phases"], strict=True):
        if step["op"] == "set":
            assert phase["draws"] == []
            for name, weight in step["nodes"]:
                worker.set_weight(name, weight)
        else:
            worker.take(
                [name for name, _ in step.get("nodes", scenario["nodes"])],
                phase["draws"],
                start_order=phase["order_for_start_draw"],
                find_order=phase["order_for_find"],
            )
        number = worker.state.number
        assert worker.last == phase["last_id"]
        assert (number[CURRENT], number[HIGHEST]) == (phase["cw"], phase["max_weight"])
        assert number[GCD] == phase["gcd"]
        found = [(worker.pick(), number[CURRENT]) for _ in phase["picks"]]
        assert found == list(zip(phase["picks"], phase["cw_after_each_pick"], strict=True))


@pytest.mark.parametrize("backend", VECTORS["balancer_level"], ids=_ids(VECTORS["balancer_level"]))
def test_every_recorded_sync_comes_back(backend: dict[str, Any]):
    """Through ingress-nginx's `sync`: a reordered list goes on, a new set draws and restarts."""
    names = dict.fromkeys(
        [*backend["endpoints"], *(n for p in backend["phases"] for n in p.get("endpoints", []))]
    )
    worker = Worker(dict.fromkeys(names, 1))
    for phase in backend["phases"]:
        worker.take(
            phase.get("endpoints", backend["endpoints"]),
            phase.get("draws", phase.get("draws_used")),
            start_order=phase["order"],
            find_order=phase["order"],
        )
        assert worker.last == phase.get("last_id", phase.get("last_id_before_picks"))
        assert [worker.pick() for _ in phase["picks"]] == phase["picks"]


def test_retries_through_a_live_nginx_take_turns_of_the_cycle():
    """With one refusing endpoint of three the attempts of all requests are one plain cycle."""
    attempts = [
        address
        for request in LIVE["requests"]["rrdead"]
        for address in request["upstream_addr"].split(", ")
    ]
    names = [item.split(" ")[0] for item in LIVE["backends"]["rrdead"]]
    worker = Worker(dict.fromkeys(names, 1))
    worker.take(names, [{"args": [3], "value": 1 + (names.index(attempts[0]) - 1) % 3}])
    assert [worker.pick() for _ in attempts] == attempts
    assert sum(len(request["tries"]) for request in LIVE["requests"]["rrdead"]) == len(attempts)


def test_the_formula_of_the_draws_is_lua_random():
    """Every recorded uniform gives the recorded value by floor(u n) + 1."""
    phases = [
        p for part in ("scenarios", "balancer_level") for s in VECTORS[part] for p in s["phases"]
    ]
    draws = [
        draw for phase in phases for draw in (*phase.get("draws", ()), *phase.get("draws_used", ()))
    ]
    assert len(draws) > 40
    for draw in draws:
        (n,) = draw["args"]
        assert fed(lua_random, uniform=Script([draw["u"]]))(NO_RNG, 1, n) == draw["value"]


def test_the_list_stands_for_the_orders_of_real_tables():
    """All 60 recorded orders of fresh tables are rotations, and workers of a launch share theirs.

    Then `order: list` loses nothing: by the start draw every rotation gives the same cycles.
    """
    for sample in VECTORS["next_order_samples"]:
        n = len(sample["endpoints"])
        ours = cycles(n, list(range(n)))
        for order in sample["orders_in_20_fresh_vms"]:
            assert order == [(order[0] + k) % n for k in range(n)]
            assert cycles(n, order) == ours
    for launch in VECTORS["worker_order_samples"]["launches_of_4_workers"]:
        assert len({tuple(order) for _, order in launch}) == 1


def cycles(n: int, order: list[int]) -> Counter[tuple[int, ...]]:
    """Return the first 2 n picks after each of the n start draws."""
    found = []
    for draw in range(1, n + 1):
        state = state_of([1] * n, order=order)
        take(state, [], range(n), draw)
        found.append(tuple(picks(state, 2 * n, n)))
    return Counter(found)


# --- laws -----------------------------------------------------------------------------------------

weights = st.lists(st.integers(1, 12), min_size=1, max_size=7)


@given(weights, st.data())
def test_a_round_gives_every_node_its_weight(values: list[int], data: st.DataObject):
    """Any sum(weights) / gcd picks in a row hold each node weight / gcd times."""
    n = len(values)
    state = state_of(values, order=data.draw(st.permutations(range(n))))
    take(state, [], range(n), data.draw(st.integers(1, n)))
    picks(state, data.draw(st.integers(0, 30)), n)
    unit = math.gcd(*values)
    found = Counter(picks(state, sum(values) // unit, n))
    assert [found[i] for i in range(n)] == [value // unit for value in values]


@given(st.integers(1, 9), st.lists(st.integers(0, 200), min_size=1, max_size=6), st.randoms())
def test_pods_differ_by_at_most_one_pick_per_worker(n: int, amounts: list[int], random: Any):
    """W workers with any numbers of picks: counts of two pods differ by at most W."""
    total: Counter[int] = Counter(dict.fromkeys(range(n), 0))
    for amount in amounts:
        state = state_of([1] * n)
        take(state, [], range(n), random.randint(1, n))
        found = Counter(picks(state, amount, n))
        counts = [found[i] for i in range(n)]
        assert max(counts) - min(counts) <= 1
        total.update(found)
    assert max(total.values()) - min(total.values()) <= len(amounts)


@given(st.integers(2, 9), st.data())
def test_picks_are_cyclic_in_the_given_order(n: int, data: st.DataObject):
    """With equal weights each pick is the successor of the one before in `order`."""
    order = data.draw(st.permutations(range(n)))
    state = state_of([data.draw(st.integers(1, 5))] * n, order=list(order))
    take(state, [], range(n), data.draw(st.integers(1, n)))
    for one, other in pairwise(picks(state, 3 * n, n)):
        assert order.index(other) == (order.index(one) + 1) % n


@pytest.mark.parametrize("n", range(1, 6))
def test_the_first_pick_is_uniform_and_follows_the_drawn_node(n: int):
    """The n values of the one draw give the n endpoints once each: the node after the drawn one."""
    first = []
    for draw in range(1, n + 1):
        state = state_of([1] * n)
        take(state, [], range(n), draw)
        first += picks(state, 1, n)
    assert first == [*range(1, n), 0]


def test_a_draw_of_the_last_node_begins_with_a_lowered_weight():
    """Weights 3 and 1: from the head at current weight 3 - 1, so the heavy one comes twice."""
    state = state_of([3, 1])
    take(state, [], [0, 1], 2)
    assert picks(state, 4, 2) == [0, 0, 1, 0]
    assert state.number[CURRENT] == 3


def test_start_first_begins_at_the_head_without_a_draw():
    """As before mid 2019: every worker begins with the same pod."""
    for order, expected in (("list", [0, 1, 2]), ([2, 0, 1], [2, 0, 1])):
        state = state_of([1, 1, 1], start="first", order=order)
        take(state, [], [0, 1, 2])
        assert picks(state, 3, 3) == expected


def test_a_new_set_draws_and_the_same_set_goes_on():
    """Another set restarts with one draw (also for one node), another order does not."""
    state = state_of([1, 1, 1, 1])
    take(state, [], [0, 1, 2], 3)
    assert picks(state, 1, 3) == [0]
    take(state, [0, 1, 2], [2, 1, 0])
    assert picks(state, 2, 3) == [1, 0]  # ids 1 and 2, at positions 1 and 0
    take(state, [2, 1, 0], [0, 1, 2, 3], 4)
    assert picks(state, 4, 4) == [0, 1, 2, 3]
    take(state, [0, 1, 2, 3], [0, 1, 2], 1)
    assert picks(state, 3, 3) == [1, 2, 0]
    take(state, [0, 1, 2], [3], 1)
    assert picks(state, 2, 1) == [0, 0]
    take(state, [3], [])
    assert picks(state, 1, 0) == [-1]
    take(state, [], [1, 2], 1)
    assert picks(state, 2, 2) == [1, 0]
    assert (state.seat == -1).all()


def test_a_shuffled_order_depends_on_addresses_alone():
    """All workers share it, another seed gives another one, and a subset keeps it."""
    orders = {
        seed: state_of([1] * 12, order={"shuffled": seed}).order_for_find.tolist()
        for seed in range(20)
    }
    assert state_of([1] * 12, order="shuffled").order_for_find.tolist() == orders[0]
    assert all(sorted(order) == list(range(12)) for order in orders.values())
    assert len({tuple(order) for order in orders.values()}) == 20
    fewer = state_of([1] * 8, order="shuffled").order_for_find.tolist()
    assert fewer == [i for i in orders[0] if i < 8]


def test_the_start_draw_comes_from_the_stream():
    """One draw of the instance's own stream per new set: the same stream, the same start."""
    with wrapping():
        rng, expected = stream(3, 0, "ingress", "a/0"), stream(3, 0, "ingress", "a/0")
        state = state_of([1] * 9)
        round_robin.on_endpoints(state, rng, NO_TRIES, np.arange(9), 0.0)
        drawn = lua_random(expected, 1, 9)
    assert rng.tolist() == expected.tolist()
    assert picks(state, 1, 9) == [drawn % 9]


# --- options and agreement ------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"start": "last"}, "start = last: must be random or first"),
        ({"order": "hash"}, "order = hash"),
        ({"order": [0, 1]}, r"order = \[0, 1\]: .* 0 to 2, each once"),
        ({"order": [0, 1, 1]}, "order"),
        ({"order": {"seed": 1}}, "order"),
        ({"seed": 1}, "no option 'seed'"),
    ],
)
def test_bad_options_are_one_sentence(options: dict[str, Any], words: str):
    """The sentence names the option, its value and what is allowed."""
    with pytest.raises(BalancerError, match=words):
        state_of([1, 1, 1], **options)


def test_compiled_and_plain_agree(monkeypatch, tmp_path):
    """Picks, states and draws of a random history with weights are equal bit for bit."""
    endpoints = [Endpoint(f"10.0.0.{i}:80", weight) for i, weight in enumerate([6, 1, 4, 2, 2, 3])]
    calls = history(5, calls=3000, endpoints=6)
    picked = assert_compiled_agrees(
        ROUND_ROBIN, {"order": "shuffled"}, endpoints, calls, monkeypatch, tmp_path
    )
    assert set(picked) == {-9, -1, *range(6)}

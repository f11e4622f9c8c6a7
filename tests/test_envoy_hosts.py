"""Envoy's outlier detection and panic, by hand; every balancer of Envoy's has them."""

from __future__ import annotations

import numpy as np
import pytest
from feeding import NO_TRIES
from hypothesis import given
from hypothesis import strategies as st

from lbbench.balancers.base import Endpoint, registry
from lbbench.balancers.envoy_outlier import BACKOFF, EJECTED, ERRORS
from lbbench.core.rng import stream, wrapping

NAMES = [name for name in registry() if name.startswith("envoy_")]
ROBIN = registry()["envoy_round_robin"]


class Envoy:
    """A process that lists ``n`` hosts and tells its balancer of answers."""

    def __init__(self, n, balancer=ROBIN, **options) -> None:
        endpoints = [Endpoint(f"10.0.0.{i:02}:80") for i in range(n)]
        small = {"table_size": 251} if "table_size" in balancer.params else {}
        given_options = {"outlier": True, **small, **options}
        self.balancer, self.ids = balancer, np.arange(n)
        self.state = balancer.state(balancer.options(given_options), endpoints)
        self.rng = stream(1, 0, "ingress", "a")
        self.listed = NO_TRIES
        self.change(self.ids, 0.0)

    def change(self, listed, now):
        """List these hosts."""
        with wrapping():
            self.balancer.on_endpoints(self.state, self.rng, self.listed, listed, now)
        self.listed = listed

    def fail(self, host, now, times=5):
        """Answer with errors."""
        for _ in range(times):
            self.balancer.done(self.state, host, now, 0.01, False)

    def works(self, host, now):
        """Answer well."""
        self.balancer.done(self.state, host, now, 0.01, True)

    def picked(self, now, picks=60, tried=NO_TRIES):
        """Return the set of hosts that get one of many picks with many keys."""
        busy = np.zeros(len(self.listed), np.int64)
        with wrapping():
            places = {
                int(
                    self.balancer.pick(
                        self.state, self.rng, now, key * 44 * 10**15 + 7, busy, tried
                    )
                )
                for key in range(-picks // 2, picks // 2)
            }
        return {int(self.listed[place]) if place >= 0 else -1 for place in places}

    @property
    def out(self):
        """Return the hosts that are ejected."""
        return set(np.flatnonzero(self.state.health[EJECTED]).tolist())


@pytest.mark.parametrize("name", NAMES)
def test_five_errors_in_a_row_eject_a_host(name):
    """Four do not, and an answer between them begins the count anew; of ten one may be out."""
    envoy = Envoy(10, registry()[name])
    envoy.fail(3, 1.0, times=4)
    envoy.works(3, 1.0)
    envoy.fail(3, 1.0, times=4)
    assert 3 in envoy.picked(1.5, picks=400)
    envoy.fail(3, 2.0, times=1)
    assert envoy.picked(2.5, picks=400) == set(range(10)) - {3}
    assert envoy.picked(39.9, picks=400) == set(range(10)) - {3}
    assert envoy.picked(40.0, picks=400) == set(range(10))  # the tick after 30 s from 2.0


def test_off_by_default():
    """As in Envoy, where the section has to be configured."""
    envoy = Envoy(10, outlier=False)
    envoy.fail(3, 1.0, times=50)
    assert envoy.picked(2.0) == set(range(10))


@pytest.mark.parametrize(
    ("n", "percent", "always", "expected"),
    [
        (9, 10, False, set()),  # 1 of 9 is 11 %
        (10, 10, False, {0}),
        (19, 10, False, {0}),  # 2 of 19 are 10.5 %
        (20, 10, False, {0, 1}),
        (4, 50, False, {0, 1}),
        (4, 10, True, {0}),
        (4, 100, False, {0, 1, 2}),
        (4, 0, False, set()),
    ],
)
def test_not_more_than_max_ejection_percent_are_out(n, percent, always, expected):
    """Three hosts fail; who would be one too many stays, its errors counted anew."""
    envoy = Envoy(n, max_ejection_percent=percent, always_eject_one_host=always)
    for host in range(3):
        envoy.fail(host, 1.0)
    assert envoy.out == expected
    assert envoy.state.health[ERRORS, 2] == 0


def test_the_second_ejection_lasts_twice_as_long():
    """30 s, 60 s: out at 2 and at 41, with ticks every 10 s back at 40 and at 110."""
    envoy = Envoy(10)
    envoy.fail(3, 2.0)
    assert envoy.picked(40.0) >= {3}
    envoy.fail(3, 41.0)
    assert 3 not in envoy.picked(100.9)
    assert 3 not in envoy.picked(109.9)
    assert 3 in envoy.picked(110.0)


def test_backoff_falls_by_one_with_each_tick_that_finds_the_host_in():
    """Twice out, back at 110 with 2; at 120 it is 1, at 130 0 and stays so."""
    envoy = Envoy(10)
    envoy.fail(3, 2.0)
    envoy.picked(40.0)
    envoy.fail(3, 41.0)
    left = []
    for now in (105.0, 110.0, 119.0, 120.0, 130.0, 140.0, 1e6):
        envoy.picked(now)
        left.append(int(envoy.state.health[BACKOFF, 3]))
    assert left == [2, 2, 2, 1, 0, 0, 0]


def test_an_ejection_is_never_longer_than_the_longest():
    """40 s at most: the third one would last 90."""
    envoy = Envoy(10, max_ejection_time="40s", interval="1s")
    now = 0.0
    for span in (30, 40, 40):
        envoy.fail(3, now)
        assert envoy.out == {3}
        envoy.works(1, now + span - 0.5)
        assert envoy.out == {3}
        envoy.works(1, now + span)
        assert envoy.out == set()
        now += span


def test_a_failure_that_is_tried_again_counts_at_that_pick():
    """Five requests come back from host 3, whose position is 3."""
    envoy = Envoy(10)
    for _ in range(4):
        envoy.picked(1.0, picks=1, tried=np.array([7, 3]))
    assert envoy.out == set()
    envoy.picked(1.0, picks=1, tried=np.array([3]))
    assert envoy.out == {3}


def test_what_leaves_and_comes_back_has_no_past():
    """An ejected host that leaves comes back healthy; errors of a gone one are nobody's."""
    envoy = Envoy(10)
    envoy.fail(3, 1.0)
    envoy.change(np.delete(envoy.ids, 3), 2.0)
    envoy.fail(3, 2.0, times=8)  # five, and three
    assert envoy.out == set()
    envoy.change(envoy.ids, 3.0)
    assert envoy.picked(3.0) == set(range(10))
    envoy.fail(3, 3.0, times=4)
    assert envoy.out == set()


@pytest.mark.parametrize(
    ("threshold", "out", "panic"),
    [
        (50, 5, False),  # 50 % healthy is not below 50 %
        (50, 6, True),
        (0, 9, False),
        (30, 7, False),
        (30, 8, True),
        (90, 2, False),  # 140 % of 80 % are enough
        (90, 3, True),  # 98 %
        (100, 9, True),
    ],
)
def test_panic_uses_all_hosts(threshold, out, panic):
    """Below the threshold of healthy hosts, ejected ones are picked as well."""
    envoy = Envoy(10, panic_threshold=threshold, max_ejection_percent=100)
    for host in range(out):
        envoy.fail(host, 1.0)
    assert envoy.picked(1.0) == (set(range(10)) if panic else set(range(out, 10)))


@pytest.mark.parametrize("name", NAMES)
def test_nobody_healthy_and_no_panic_is_no_endpoint(name):
    """With threshold 0 a request gets an error; with the default all are used."""
    for threshold, expected in ((0, {-1}), (50, {0, 1, 2})):
        envoy = Envoy(3, registry()[name], panic_threshold=threshold, max_ejection_percent=100)
        for host in range(3):
            envoy.fail(host, 1.0)
        assert envoy.picked(1.0) == expected


@given(
    st.lists(
        st.tuples(st.integers(0, 7), st.booleans(), st.floats(0, 40)), min_size=1, max_size=150
    ),
    st.integers(0, 100),
)
def test_never_more_are_out_than_allowed(events, percent):
    """Whatever answers come when, and what is out is not picked unless there is panic."""
    envoy, now = Envoy(8, max_ejection_percent=percent, consecutive_5xx=2), 0.0
    for host, ok, gap in events:
        now += gap
        (envoy.works if ok else lambda h, t: envoy.fail(h, t, times=1))(host, now)
        assert 100 * len(envoy.out) <= percent * 8
        healthy = 8 - len(envoy.out)
        picked = envoy.picked(now, picks=16)
        assert picked == (set(range(8)) if healthy < 4 else set(range(8)) - envoy.out)

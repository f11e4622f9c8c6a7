"""sticky_persistent names endpoints in cookies as ingress-nginx does, and never moves a session."""

from __future__ import annotations

import numpy as np
import pytest
from golden_replay import Fed, choose, fresh, listing, vectors
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from lbbench.balancers.cookies import cookie_value, may_set_cookie, persistent_key, read_cookie
from lbbench.balancers.sticky_persistent import STICKY_PERSISTENT, distinct
from lbbench.core.hashes import crc32_text
from lbbench.core.rng import stream

SCENARIOS = [s for s in vectors("sticky")["scenarios"] if s["mode"] == "sticky_persistent"]
LIVE = vectors("nginx_live")
NAMES = [f"10.244.{i}.{7 * i % 256}:8080" for i in range(8)]
ELSEWHERE = -1  # position of a failed endpoint that is not listed


class Replay:
    """A backend whose list is put into the original's order before every pick."""

    def __init__(self, everyone, backend, *, change) -> None:
        self.everyone = everyone
        self.backend = backend
        self.state = fresh(
            STICKY_PERSISTENT, everyone, listed=[], change_on_failure=change, salt=backend
        )
        self.pick = Fed(STICKY_PERSISTENT.pick)
        keys = [persistent_key(address, backend) for address in everyone]
        self.address = dict(zip(keys, everyone, strict=True))
        self.code = dict(zip(keys, self.state.code.tolist(), strict=True))
        assert [code == int(key[:8], 16) for key, code in self.code.items()] == [True] * len(keys)

    def number(self, header, name) -> int:
        """Return the number that stands for the header's cookie, -1 without one."""
        cookie = read_cookie(header, name)
        if cookie is None:
            return -1
        return self.code.get(cookie.key, crc32_text(cookie.key))

    def choose(self, order, header, name, failed, draws, *, has_failed):
        """Return (endpoint, whole cookie or None) for a list in ``order``."""
        listing(STICKY_PERSISTENT, self.state, [self.everyone.index(a) for a in order])
        tried = [order.index(address) for address in failed if address in order]
        if has_failed and not tried:
            tried = [ELSEWHERE]
        key = self.number(header, name)
        place = self.pick(self.state, 0.0, key, tried, draws, n=len(order))
        made = int(self.state.set_cookie[0])
        if made < 0:
            return (None if place < 0 else order[place]), None
        (text,) = [text for text, code in self.code.items() if code == made]
        return order[place], cookie_value(text, self.backend)


@pytest.mark.parametrize("scenario", SCENARIOS, ids=lambda scenario: scenario["name"])
def test_requests_and_syncs_equal_the_originals(scenario):
    """Endpoint, draws and cookies, over retries, garbage and endpoint changes.

    The candidates' order is that of the original's hash tables, as the vectors give it: that of the
    map, and after a failure that of the table of what remains.
    """
    affinity = scenario["affinity"]
    name = affinity.get("name", "route")
    lists = [
        scenario["endpoints"],
        *(op["endpoints"] for op in scenario["ops"] if "endpoints" in op),
    ]
    everyone = sorted({address for listed in lists for address in listed})
    change = bool(affinity.get("change_on_failure"))
    replay = Replay(everyone, scenario["backend_name"], change=change)
    order: list[str] = []
    for op in scenario["ops"]:
        if "persistent_map" in op:
            order = [op["persistent_map"][key] for key in op["persistent_map_iteration_order"]]
        if op["op"] == "sync":
            assert sorted(order) == sorted(op["endpoints"])
            continue
        failed = op["upstream_addr"].split(", ") if "upstream_addr" in op else []
        walked = order
        if "candidate_order" in op:
            left = [replay.address[key] for key in op["candidate_order"]]
            assert sorted(left) == sorted(set(order) - set(failed))
            walked = [*left, *(address for address in order if address in failed)]
        place, value = replay.choose(
            walked, op.get("cookie_header"), name, failed, op["draws"],
            has_failed="last_failure" in op,
        )  # fmt: skip
        assert place == op["upstream"]
        host, path = op.get("host", "example.com"), op.get("location_path", "/")
        if not may_set_cookie(affinity["locations"], host, path, op.get("server_name", "")):
            value = None
        written = value and f"{name}={value}"
        assert written == (op["set_cookie"] and op["set_cookie"].split(";")[0])


def orders_seen(requests, endpoints):
    """Return, by the set of failed endpoints, which candidate each drawn number stood for."""
    seen: dict[frozenset[str], dict[int, str]] = {}
    for request in requests:
        chosen = request["upstream_addr"].split(", ")
        for number, attempt in enumerate(request["tries"]):
            for draw in attempt["draws"]:
                table = seen.setdefault(frozenset(chosen[:number]), {})
                assert table.setdefault(draw["value"], chosen[number]) == chosen[number]
    for failed, table in seen.items():
        rest = [address for address in endpoints if address not in failed]
        left = [address for address in rest if address not in table.values()]
        free = [k for k in range(1, len(rest) + 1) if k not in table]
        table.update(zip(free, left, strict=True))
    return {failed: [table[k] for k in sorted(table)] for failed, table in seen.items()}


@pytest.mark.parametrize("change", [True, False])
def test_live_requests_equal_those_of_nginx(change):
    """50 requests through a live nginx with a dead endpoint: every try, draw and first cookie.

    The hash tables' orders were not recorded; each drawn number stands for one and the same
    candidate throughout, and with that order all is reproduced.
    """
    backend = f"sticky_persistent_{'true' if change else 'false'}"
    endpoints = [text.split()[0] for text in LIVE["backends"]["sticky_*"]]
    requests = LIVE["requests"][backend]
    orders = orders_seen(requests, endpoints)
    replay = Replay(endpoints, backend, change=change)
    retries = 0
    for request in requests:
        chosen = request["upstream_addr"].split(", ")
        first = None
        for number, attempt in enumerate(request["tries"]):
            failed = chosen[:number]
            order = orders.get(frozenset(failed), endpoints)
            order = [*order, *(address for address in endpoints if address not in order)]
            place, value = replay.choose(
                order, request["request_cookie"], "C", failed, attempt["draws"],
                has_failed=number > 0,
            )  # fmt: skip
            assert place == chosen[number]
            first = first or value
            retries += number > 0
        recorded = request["set_cookie_first_header"]
        assert (first and f"C={first}") == (recorded and recorded.split(";")[0])
    assert retries > 5


@pytest.mark.parametrize("backend", ["sticky_persistent_true", "sticky_persistent_false"])
def test_the_last_cookie_that_a_client_got_names_its_server(backend):
    """Of two Set-Cookie headers the first names the dead endpoint, the last the answer's."""
    endpoints = [text.split()[0] for text in LIVE["backends"]["sticky_*"]]
    keys = {persistent_key(address, backend): address for address in endpoints}
    twice = 0
    for view in LIVE["client_view_of_cookies"]:
        if view["backend"] != backend or view["status"] != 200:
            continue
        cookies = [read_cookie(header.split(";")[0], "C") for header in view["set_cookie_headers"]]
        served = [keys[cookie.key] for cookie in cookies]
        if served:
            assert served[-1].endswith(":" + view["served_by_port"])
            assert all(address.endswith(":19007") for address in served[:-1])
            twice += len(served) > 1
    assert twice > 3


@given(
    st.lists(st.sets(st.integers(0, 7)), min_size=1, max_size=6),
    st.booleans(),
    st.integers(0, 2**31),
)
def test_a_session_never_moves_while_its_endpoint_lives(lists, change, seed):
    """Over any changes of the list; when it is gone, a new endpoint is drawn and its cookie set."""
    state = fresh(STICKY_PERSISTENT, NAMES, change_on_failure=change)
    rng = stream(seed, 0, "test", "session")
    owner = choose(STICKY_PERSISTENT, state, -1, rng=rng)
    cookie = int(state.set_cookie[0])
    for listed in map(sorted, lists):
        listing(STICKY_PERSISTENT, state, listed)
        place = choose(STICKY_PERSISTENT, state, cookie, rng=rng)
        if owner in listed:
            assert listed[place] == owner
            assert state.set_cookie[0] == -1
        elif listed:
            owner, cookie = listed[place], int(state.set_cookie[0])
            assert cookie == state.code[owner]
        else:
            assert place == -1
            assert state.set_cookie[0] == -1


@pytest.mark.parametrize("change", [False, True])
def test_a_retry_with_a_cookie_moves_only_on_request(change):
    """Without `change_on_failure` the dead endpoint is tried again and the cookie stays."""
    state = fresh(STICKY_PERSISTENT, NAMES, change_on_failure=change)
    rng = stream(1, 0, "test", "retry")
    for dead, cookie in enumerate(state.code.tolist()):
        place = choose(STICKY_PERSISTENT, state, cookie, rng=rng, tried=[dead])
        assert (place == dead) != change
        assert (state.set_cookie[0] >= 0) == change


def test_new_sessions_are_uniform_over_what_has_not_failed():
    """Chi-square of 20000 first picks over 6 of 8 endpoints: alarm below 1e-5."""
    state = fresh(STICKY_PERSISTENT, NAMES)
    rng = stream(4, 0, "test", "uniform")
    places = [choose(STICKY_PERSISTENT, state, -1, rng=rng, tried=[2, 5]) for _ in range(20_000)]
    counts = np.bincount(places, minlength=8)
    assert counts[2] == counts[5] == 0
    assert stats.chisquare(counts[counts > 0]).pvalue > 1e-5


def test_nothing_is_drawn_when_everything_has_failed():
    """-1 without draw and cookie, as for an empty list."""
    pick = Fed(STICKY_PERSISTENT.pick)
    assert pick(fresh(STICKY_PERSISTENT, NAMES), 0.0, -1, range(8), [], n=8) == -1
    for state in (fresh(STICKY_PERSISTENT, NAMES, listed=[]), fresh(STICKY_PERSISTENT, [])):
        assert pick(state, 0.0, -1, [], [], n=0) == -1
        assert pick(state, 0.0, 7, [], [], n=0) == -1


@given(st.lists(st.integers(2**32 - 4, 2**32 - 1) | st.integers(0, 3), max_size=8))
def test_cookie_numbers_are_distinct(numbers):
    """Equal md5 heads move up to the next free uint32, wrapping; free ones stay as they are."""
    made = distinct(numbers).tolist()
    assert len(set(made)) == len(numbers)
    assert all(0 <= number < 2**32 for number in made)
    assert not numbers or made[0] == numbers[0]
    if len(set(numbers)) == len(numbers):
        assert made == numbers

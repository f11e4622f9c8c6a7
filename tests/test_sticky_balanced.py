"""sticky_balanced makes, reads and moves cookies as ingress-nginx does."""

from __future__ import annotations

import math

import numpy as np
import pytest
from golden_replay import Fed, choose, fresh, listing, vectors
from hypothesis import example, given
from hypothesis import strategies as st
from scipy import stats

from lbbench.balancers.cookies import balanced_key, cookie_value, may_set_cookie, read_cookie
from lbbench.balancers.sticky_balanced import (
    EPOCH,
    MAX_CHECKS,
    PID_AT,
    STICKY_BALANCED,
    write_text,
)
from lbbench.core.hashes import crc32_text
from lbbench.core.rng import stream
from lbbench.errors import BalancerError

SCENARIOS = [s for s in vectors("sticky")["scenarios"] if s["mode"] == "sticky_balanced"]
LIVE = vectors("nginx_live")
NAMES = [f"10.244.{i}.{7 * i % 256}:8080" for i in range(8)]
ELSEWHERE = -1  # position of a failed endpoint that is not listed


def text_of(state) -> str:
    return bytes(state.text[: state.length[0]]).decode()


def key_of(header, name):
    cookie = read_cookie(header, name)
    return -1 if cookie is None else crc32_text(cookie.key)


@pytest.mark.parametrize("scenario", SCENARIOS, ids=lambda scenario: scenario["name"])
def test_requests_and_syncs_equal_the_originals(scenario):
    """Endpoint, draws and the text of every cookie, over retries, garbage and endpoint changes."""
    pick = Fed(STICKY_BALANCED.pick)
    affinity = scenario["affinity"]
    name = affinity.get("name", "route")
    lists = [
        scenario["endpoints"],
        *(op["endpoints"] for op in scenario["ops"] if "endpoints" in op),
    ]
    everyone = sorted({address for listed in lists for address in listed})
    endpoints = scenario["endpoints"]
    change = bool(affinity.get("change_on_failure"))
    state = fresh(STICKY_BALANCED, everyone, listed=[], change_on_failure=change, epoch=0)
    listing(STICKY_BALANCED, state, [everyone.index(address) for address in endpoints])
    for op in scenario["ops"]:
        if op["op"] == "sync":
            endpoints = op["endpoints"]
            listing(STICKY_BALANCED, state, [everyone.index(address) for address in endpoints])
            continue
        state.number[PID_AT] = op["pid"]
        failed = op["upstream_addr"].split(", ") if "upstream_addr" in op else []
        tried = [endpoints.index(address) for address in failed if address in endpoints]
        if "last_failure" in op and not tried:
            tried = [ELSEWHERE]
        key = key_of(op.get("cookie_header"), name)
        place = pick(state, op["now"], key, tried, op["draws"], n=len(endpoints))
        assert (None if place < 0 else endpoints[place]) == op["upstream"]
        host, path = op.get("host", "example.com"), op.get("location_path", "/")
        written = None
        if state.set_cookie[0] >= 0:
            assert crc32_text(text_of(state)) == state.set_cookie[0]
            if may_set_cookie(affinity["locations"], host, path, op.get("server_name", "")):
                written = f"{name}={cookie_value(text_of(state), scenario['backend_name'])}"
        recorded = op["set_cookie"]
        assert written == (recorded and recorded.split(";")[0])


@pytest.mark.parametrize("change", [True, False])
def test_live_requests_equal_those_of_nginx(change):
    """50 requests through a live nginx with a dead endpoint: every try, draw and first cookie."""
    backend = f"sticky_balanced_{'true' if change else 'false'}"
    endpoints = [text.split()[0] for text in LIVE["backends"]["sticky_*"]]
    state = fresh(STICKY_BALANCED, endpoints, change_on_failure=change, epoch=0)
    pick = Fed(STICKY_BALANCED.pick)
    retries = 0
    for request in LIVE["requests"][backend]:
        carried = request["request_cookie"]
        key = key_of(carried, "C")
        chosen = request["upstream_addr"].split(", ")
        first = None
        for number, attempt in enumerate(request["tries"]):
            tried = [endpoints.index(address) for address in chosen[:number]]
            text = next(iter(attempt["now"]), "0")
            cookie = None if carried is None else carried.partition("=")[2]
            state.number[PID_AT] = 13577
            place = pick(state, float(text), key, tried, attempt["draws"], n=len(endpoints))
            assert endpoints[place] == chosen[number]
            if state.set_cookie[0] >= 0 and first is None:
                first = f"C={cookie_value(text_of(state), backend)}"
            assert cookie is None or change or state.set_cookie[0] == -1
            retries += number > 0
        recorded = request["set_cookie_first_header"]
        assert first == (recorded and recorded.split(";")[0])
    assert retries > 5


@pytest.mark.parametrize("backend", ["sticky_balanced_true", "sticky_balanced_false"])
def test_the_last_cookie_that_a_client_got_leads_to_its_server(backend):
    """Of two Set-Cookie headers the first leads to the dead endpoint, the last to the answer's."""
    endpoints = [text.split()[0] for text in LIVE["backends"]["sticky_*"]]
    state = fresh(STICKY_BALANCED, endpoints)
    seen = [view for view in LIVE["client_view_of_cookies"] if view["backend"] == backend]
    twice = 0
    for view in seen:
        headers = [header.split(";")[0] for header in view["set_cookie_headers"]]
        served = [endpoints[choose(STICKY_BALANCED, state, key_of(h, "C"))] for h in headers]
        if headers and view["status"] == 200:
            assert served[-1].endswith(":" + view["served_by_port"])
            assert all(address.endswith(":19007") for address in served[:-1])
            twice += len(served) > 1
    assert twice > 3


@given(
    st.integers(0, 10**9),
    st.integers(1, MAX_CHECKS),
    st.integers(0, 2**22),
    st.integers(1, 999_999),
    st.sampled_from([0, EPOCH]),
)
@example(1001, 1, 30, 7, EPOCH)  # 1.001 * 1000 is 1000.9999999999999
def test_the_jitted_digits_are_luas(milliseconds, check, pid, drawn, epoch):
    """For every millisecond the text is what ``%.14g`` prints, without trailing zeros."""
    state = fresh(STICKY_BALANCED, NAMES, pid=pid, epoch=epoch)
    write_text(state, milliseconds / 1000, check, drawn)
    assert text_of(state) == balanced_key(epoch + milliseconds / 1000, check, pid, drawn)


def test_a_new_cookie_avoids_failed_endpoints_in_20_checks():
    """No text leads to a failed endpoint; with all failed, 20 draws and no endpoint, no cookie."""
    state = fresh(STICKY_BALANCED, NAMES)
    rng = stream(1, 0, "test", "sticky")
    for _ in range(100):
        place = choose(STICKY_BALANCED, state, -1, rng=rng, tried=[0, 1, 2, 3, 5])
        assert place in (4, 6, 7)
        assert choose(STICKY_BALANCED, state, int(state.set_cookie[0])) == place
    draws = [{"args": [999_999], "value": value} for value in range(1, MAX_CHECKS + 1)]
    pick = Fed(STICKY_BALANCED.pick)
    assert pick(state, 1.0, -1, range(len(NAMES)), draws, n=8) == -1
    assert state.set_cookie[0] == -1
    assert text_of(state) == balanced_key(EPOCH + 1.0, 20, 30, 20)


@pytest.mark.parametrize("change", [False, True])
def test_a_retry_with_a_cookie_moves_only_on_request(change):
    """Without `change_on_failure` the dead endpoint is tried again and the cookie stays."""
    state = fresh(STICKY_BALANCED, NAMES, change_on_failure=change)
    rng = stream(1, 0, "test", "retry")
    for key in range(0, 2**32, 2**27):
        dead = choose(STICKY_BALANCED, state, key)
        assert state.set_cookie[0] == -1
        place = choose(STICKY_BALANCED, state, key, rng=rng, tried=[dead])
        assert (place == dead) != change
        assert (state.set_cookie[0] >= 0) == change


@given(
    st.sets(st.integers(0, 7), min_size=1),
    st.sets(st.integers(0, 7), min_size=1),
    st.integers(0, 2**32 - 1),
)
def test_a_session_moves_only_when_its_arc_changes_hands(before, after, cookie):
    """Its endpoint leaves, or a new endpoint takes the arc; a garbage cookie is never replaced."""
    old, new = sorted(before), sorted(after)
    state = fresh(STICKY_BALANCED, NAMES, listed=old)
    owner = old[choose(STICKY_BALANCED, state, cookie)]
    listing(STICKY_BALANCED, state, new)
    now = new[choose(STICKY_BALANCED, state, cookie)]
    assert state.set_cookie[0] == -1
    assert now == owner or owner not in after or now not in before


def test_new_sessions_follow_the_arcs():
    """Chi-square of 20000 new cookies against the exact arcs: alarm below 1e-5."""
    state = fresh(STICKY_BALANCED, NAMES)
    rng = stream(3, 0, "test", "arcs")
    places = [choose(STICKY_BALANCED, state, -1, rng=rng, now=k / 100) for k in range(20_000)]
    shares = STICKY_BALANCED.shares(state, len(NAMES))
    assert math.isclose(shares.sum(), 1.0)
    expected = 20_000 * shares
    assert stats.chisquare(np.bincount(places, minlength=8), expected).pvalue > 1e-5


def test_without_endpoints_there_is_neither_pick_nor_draw():
    """An empty list gives -1 with and without a cookie."""
    pick = Fed(STICKY_BALANCED.pick)
    for state in (fresh(STICKY_BALANCED, NAMES, listed=[]), fresh(STICKY_BALANCED, [])):
        assert pick(state, 1.0, -1, [], [], n=0) == -1
        assert pick(state, 1.0, 7, [], [], n=0) == -1


@pytest.mark.parametrize("options", [{"pid": -1}, {"epoch": 1.5}, {"epoch": 10**12}])
def test_bad_options_are_sentences(options):
    """Numbers that could not be printed into the text are errors with their value."""
    ((name, value),) = options.items()
    with pytest.raises(BalancerError, match=f"{name} = {value}: must be a whole number"):
        fresh(STICKY_BALANCED, NAMES, **options)

"""Cookie texts, headers and rules are those that ingress-nginx wrote."""

from __future__ import annotations

import pytest
from golden_replay import vectors
from hypothesis import given
from hypothesis import strategies as st

from lbbench.balancers.cookies import (
    Cookie,
    backend_key,
    cookie_value,
    is_affinitized,
    may_set_cookie,
    persistent_key,
    read_cookie,
)

SCENARIOS = vectors("sticky")["scenarios"]
REQUESTS = [
    (scenario, op) for scenario in SCENARIOS for op in scenario["ops"] if op["op"] == "request"
]
LOCATIONS = {"example.com": ["/"], "*.wild.com": ["/a", "/b"], "_": ["/default"]}


def test_the_backends_key_is_an_md5_of_an_md5():
    """md5(md5(name) .. name), as in every recorded scenario."""
    for scenario in SCENARIOS:
        assert backend_key(scenario["backend_name"]) == scenario["backend_key"]


def test_persistent_keys_are_salted_md5s():
    """md5(backend name .. "ip:port") in every recorded map."""
    maps = [
        (scenario["backend_name"], op["persistent_map"])
        for scenario in SCENARIOS
        for op in scenario["ops"]
        if "persistent_map" in op
    ]
    assert len(maps) == 18
    for salt, recorded in maps:
        assert {persistent_key(address, salt): address for address in recorded.values()} == recorded


def test_whose_cookie_it_is_follows_the_part_after_the_bar():
    """`is_affinitized` of all 315 recorded requests."""
    assert len(REQUESTS) == 315
    for scenario, op in REQUESTS:
        name = scenario["affinity"].get("name", "route")
        header = op.get("cookie_header")
        assert is_affinitized(header, scenario["backend_name"], name) == op["is_affinitized"]


@pytest.mark.parametrize(
    ("header", "cookie"),
    [
        (None, None),
        ("", None),
        ("other=1", None),
        ("route=", None),
        ("xroute=1", None),
        ("route=|", None),
        ("route=|x", Cookie("x", None)),
        ("route=garbage", Cookie("garbage", None)),
        ("a=1; route=k|b|zzz; c=2", Cookie("k", "b")),
        ("a=route=2;route=k=v", Cookie("k=v", None)),
    ],
)
def test_a_header_is_read_as_pairs(header, cookie):
    """The pair of that name counts; words between bars are key and backend; no word, no cookie."""
    assert read_cookie(header) == cookie


@given(st.text("abc0123456789.", min_size=1, max_size=30), st.text("abc-0", max_size=20))
def test_a_cookie_that_was_set_is_read_back(key, backend):
    """Whatever key and backend, the browser's copy has the same key and is affinitized."""
    header = f"a=b; route={cookie_value(key, backend)}; c=d"
    assert read_cookie(header) == Cookie(key, backend_key(backend))
    assert is_affinitized(header, backend)
    assert not is_affinitized(header, backend + "x")


@pytest.mark.parametrize(
    ("host", "path", "server", "may"),
    [
        ("example.com", "/", "", True),
        ("example.com", "/other", "", False),
        ("x.com", "/", "", False),
        ("a.wild.com", "/b", "", True),
        ("a.wild.com", "/", "", False),
        ("a.b.wild.com", "/a", "", False),
        ("wild.com", "/a", "", False),
        ("localhost", "/", "", False),
        ("example.com", "/", "_", False),
        ("anything", "/default", "_", True),
    ],
)
def test_a_cookie_is_set_only_where_the_location_is_listed(host, path, server, may):
    """Exact host first, else its first label as a wildcard; the catch-all server by its name."""
    assert may_set_cookie(LOCATIONS, host, path, server) == may

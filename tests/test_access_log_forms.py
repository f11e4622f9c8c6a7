"""JSON lines and the combined format with upstream fields say the same as upstreaminfo lines."""

from __future__ import annotations

import gzip
import json
import math
import re

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from test_access_log import DATA, PRESENT

from lbbench.errors import InputError
from lbbench.inputs.access_log.line import Line, moment, parse
from lbbench.inputs.access_log.reader import read_access_log
from lbbench.inputs.access_log.requests import select
from lbbench.inputs.access_log.scenario import from_log

LOG = DATA / "logs" / "round_robin_dead_endpoint" / "access.log.gz"
HEAD = b'203.0.113.7 - - [25/Nov/2026:04:22:24 +0000] "GET /a?b=1 HTTP/1.1" 200 6 "-" "curl/8"'
JSON = {
    "time_iso8601": "2026-11-25T04:22:24+00:00",
    "remote_addr": "203.0.113.7",
    "request_method": "GET",
    "request_uri": "/a?b=1",
    "status": "200",
    "request_time": "0.013",
    "proxy_upstream_name": "shop-web-80",
    "upstream_addr": "10.244.0.6:8080",
    "upstream_response_time": "0.012",
    "upstream_status": "200",
}
FIELDS = re.compile(
    rb'(\S+) - - \[(.*?)\] "(.*?)" (\d+) \S+ "-" "-" \d+ (\S+) \[(.*?)\] \[\] '
    rb"(\S+(?:, \S+)*) \S+(?:, \S+)* (\S+(?:, \S+)*) (\S+(?:, \S+)*) \S+"
)


def as_json(line):
    """Write an upstreaminfo line as JSON with nginx's names."""
    names = ("remote_addr", "time_local", "request", "status", "request_time",
             "proxy_upstream_name", "upstream_addr", "upstream_response_time",
             "upstream_status")  # fmt: skip
    values = [text.decode() for text in FIELDS.fullmatch(line).groups()]
    return json.dumps(dict(zip(names, values, strict=True))).encode()


def as_labelled(line):
    """Write an upstreaminfo line as combined with labels."""
    client, stamp, request, status, took, _, hosts, times, codes = FIELDS.fullmatch(line).groups()
    return (
        b'%s - - [%s] "%s" %s 6 "-" "-" rt=%s uct="0.000" urt="%s" ua="%s" us="%s"'
        % (client, stamp, request, status, took, times, hosts, codes)
    )  # fmt: skip


@pytest.mark.parametrize("form", [as_json, as_labelled])
def test_a_real_log_says_the_same_in_every_form(tmp_path, form):
    """9 817 lines, one in five with two attempts: the same columns in each form."""
    lines = gzip.decompress(LOG.read_bytes()).splitlines()
    path = tmp_path / "other.log"
    path.write_bytes(b"\n".join(map(form, lines)))
    ours, plain = read_access_log(path), read_access_log(LOG)
    assert len(ours) == len(plain) == len(lines)
    assert ours.n_skipped == 0
    for name in ("end", "request_time", "service", "status", "attempts", "client", "key"):
        assert np.array_equal(getattr(ours, name), getattr(plain, name), equal_nan=True)
    assert ours.upstreams == plain.upstreams
    assert list(ours.tried.values()) == list(plain.tried.values())


def without_status(line):
    """Write an upstreaminfo line as JSON without ``upstream_status``."""
    found = json.loads(as_json(line))
    del found["upstream_status"]
    return json.dumps(found).encode()


def without_labelled_status(line):
    """Write an upstreaminfo line as combined with labels, without ``us``."""
    return re.sub(rb' us="[^"]*"', b"", as_labelled(line))


def by_shape(line):
    """Write an upstreaminfo line as combined with fields of no name, without their status."""
    client, stamp, request, status, took, _, hosts, times, _ = FIELDS.fullmatch(line).groups()
    head = b'%s - - [%s] "%s" %s 6 "-" "-"' % (client, stamp, request, status)
    return head + b' "%s" "%s" "%s"' % (took, times, hosts)


@pytest.mark.parametrize("form", [without_status, without_labelled_status, by_shape])
def test_a_status_that_is_not_logged_is_no_failure(tmp_path, form):
    """The same service times, and failed attempts as where it is logged; a note says so.

    All requests of that log were answered at last, and tried again only after a failure, so that
    the response's status for the last attempt is the truth. Told by shape, the longer time is the
    request's, which rounding makes the shorter by 1 ms now and then.
    """
    rounding = 0.0011 if form is by_shape else 0.0
    lines = gzip.decompress(LOG.read_bytes()).splitlines()
    path = tmp_path / "other.log"
    path.write_bytes(b"\n".join(map(form, lines)))
    ours, plain = read_access_log(path), read_access_log(LOG)
    assert len(ours) == len(plain)
    np.testing.assert_allclose(ours.service, plain.service, rtol=0.0, atol=rounding)
    assert list(ours.failed.values()) == list(plain.failed.values())
    assert any("lines without upstream status" in note for note in ours.notes)
    assert not any("without upstream status" in note for note in plain.notes)
    if not rounding:
        found, wanted = (from_log(log).scenario["traffic"] for log in (ours, plain))
        assert found["service_time"] == wanted["service_time"]


def test_json_by_variables_or_collectors_names():
    """Method and URI apart, numbers instead of texts, a collector's prefix, other names."""
    expected = parse(PRESENT)
    first = parse(json.dumps(JSON).encode())
    assert first[2:7] == expected[2:7]
    assert moment(first.stamp).second == moment(expected.stamp).second
    other = {
        "ts": 1795580544.25, "client_ip": "203.0.113.7", "method": "GET", "path": "/a?b=1",
        "status": 200, "duration": 0.013, "upstream": "10.244.0.6:8080", "upstream_time": 0.012,
    }  # fmt: skip
    text = b"2026-11-25T04:22:24.5Z stdout F " + json.dumps(other).encode()
    line = parse(text)
    assert (line.client, line.status, line.request_time) == (b"203.0.113.7", 200, 0.013)
    assert line.attempts[0][:2] == (b"10.244.0.6:8080", 0.012)
    assert (line.backend, moment(line.stamp)) == (b"unnamed", (1_795_580_544, 0.25, "msec"))


def test_an_infinite_duration_is_no_duration():
    """Infinity, which Python's JSON knows, counts as not given."""
    assert math.isnan(parse(json.dumps({**JSON, "request_time": math.inf}).encode()).request_time)


@pytest.mark.parametrize(
    "rest",
    [
        b' rt=0.013 uct="0.000" urt="0.012" ua="10.244.0.6:8080" us="200"',
        b" request_time=0.013 upstream_addr=10.244.0.6:8080 upstream_response_time=0.012",
        b' "-" 0.013 0.012 10.244.0.6:8080 200',
        b" 10.244.0.6:8080 200 0.012 0.013",
        b' "0.013" "0.012" "10.244.0.6:8080"',
    ],
)
def test_combined_with_upstream_fields(rest):
    """Labelled, or told by shape: the longer duration is the request's."""
    line = parse(HEAD + rest)
    assert isinstance(line, Line), line
    assert (line.request_time, line.attempts[0].address) == (0.013, b"10.244.0.6:8080")
    assert line.attempts[0].time == 0.012


@pytest.mark.parametrize(
    ("text", "why"),
    [
        (b'{"status": 200', "damaged JSON"),
        (b"[1]", "not an access line"),
        (json.dumps({**JSON, "upstream_addr": None}).encode(), "no field upstream_addr"),
        (json.dumps({**JSON, "status": "ok"}).encode(), "a status that is no number"),
        (json.dumps({**JSON, "request_time": "1e999"}).encode(), "duration that is no number"),
        (json.dumps({**JSON, "time_iso8601": "noon"}).encode(), "a time that is neither"),
        (HEAD + b" 0.013 10.244.0.6:8080", "upstream"),
        (HEAD + b' "-"', "combined format"),
    ],
)
def test_what_is_missing_is_said(text, why):
    """The reason names the field, and nothing is raised."""
    found = parse(text)
    assert (isinstance(found, str) and why in found) or (
        why == "" and math.isnan(found.request_time)
    )


def test_a_day_that_does_not_exist_is_skipped_with_its_line(tmp_path):
    """February 30th in JSON is a line that cannot be read."""
    path = tmp_path / "a.log"
    bad = {**JSON, "time_iso8601": "2026-02-30T04:22:24+00:00"}
    path.write_text(f"{json.dumps(JSON)}\n{json.dumps(bad)}\n", encoding="utf-8")
    log = read_access_log(path)
    assert log.skipped == ((str(path), 2, "a time that does not exist"),)


@pytest.mark.parametrize(
    ("stamps", "second", "fraction", "told"),
    [
        ({"msec": "1795580544.678"}, 1_795_580_544, 0.678, "msec"),
        ({"msec": 1795580544.0}, 1_795_580_544, 0.0, "msec"),
        ({"msec": "soon"}, 1_795_580_544, None, ""),
        ({"time_iso8601": "2026-11-25T05:22:24.25+01:00"}, 1_795_580_544, 0.25, "decimals"),
        ({"time_iso8601": "2026-11-25T04:22:24.5Z"}, 1_795_580_544, 0.5, "decimals"),
        ({}, 1_795_580_544, None, ""),
    ],
)
def test_decimals_of_a_time_are_read(stamps, second, fraction, told):
    """$msec goes before other stamps; one that cannot be read gives way to the next."""
    found = moment(parse(json.dumps({**JSON, **stamps}).encode()).stamp)
    assert found.second == second
    assert found.fraction == fraction or (fraction is None and math.isnan(found.fraction))
    assert found.decimals.startswith(told)
    assert bool(found.decimals) == bool(told)


def test_decimals_give_the_arrival_and_are_said(tmp_path):
    """Two of three lines have $msec: their ends are exact, the third is placed by its rank."""
    path = tmp_path / "a.log"
    stamps = ({"msec": "1795580544.100"}, {"msec": "1795580544.900"}, {})
    rows = [{**JSON, **stamp, "request_uri": f"/{i}"} for i, stamp in enumerate(stamps)]
    path.write_text("\n".join(map(json.dumps, rows)), encoding="utf-8")
    log = read_access_log(path)
    assert any("fractions of a second, used as they are (msec: 2)" in note for note in log.notes)
    chosen = select(log)
    (requests,) = chosen.slices()
    # the third of three lines is at 5/6 of its second; all took 13 ms
    ends = dict(zip(requests["row"].tolist(), requests["arrival"] + chosen.first, strict=True))
    expected = (0.1 - 0.013, 0.9 - 0.013, 5 / 6 - 0.013)
    for row, place in enumerate(expected):
        assert ends[row] - 1_795_580_544 == pytest.approx(place, abs=1e-6)


def test_a_request_without_an_answer_takes_the_work_of_the_one_before(tmp_path):
    """The first one that of the first with a time; how many there are is counted."""
    path = tmp_path / "a.log"
    times = (None, 0.03, None, None, 0.05)
    rows = [
        {**JSON, "msec": f"{1795580544 + i}.0"}
        | ({"upstream_response_time": str(took)} if took else {"upstream_status": "502"})
        for i, took in enumerate(times)
    ]
    path.write_text("\n".join(map(json.dumps, rows)), encoding="utf-8")
    chosen = select(read_access_log(path))
    (requests,) = chosen.slices()
    assert requests["work"].tolist() == [0.03, 0.03, 0.03, 0.03, 0.05]
    assert chosen.filled == 3
    assert chosen.mean == pytest.approx(0.034)


VALUES = st.recursive(
    st.one_of(st.none(), st.booleans(), st.integers(), st.floats(), st.text(max_size=12)),
    lambda inner: st.lists(inner, max_size=3),
    max_leaves=4,
)


@settings(max_examples=150, deadline=None)
@given(st.dictionaries(st.sampled_from(sorted(JSON)), VALUES), st.binary(max_size=20))
def test_any_json_is_read_or_refused(tmp_path_factory, changed, tail):
    """Fields of any kind, and bytes after them: a log, or an InputError."""
    path = tmp_path_factory.mktemp("any") / "any.log"
    path.write_bytes(json.dumps({**JSON, **changed}).encode() + tail + b"\n")
    try:
        log = read_access_log(path)
    except InputError:
        return
    assert len(log) + log.n_skipped == log.lines

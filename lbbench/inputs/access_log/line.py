r"""One line of an ingress-nginx access log (``upstreaminfo``), present and 2018/19 format.

Present::

    $remote_addr - $remote_user [$time_local] "$request" $status $body_bytes_sent "$http_referer"
    "$http_user_agent" $request_length $request_time [$proxy_upstream_name]
    [$proxy_alternative_upstream_name] $upstream_addr $upstream_response_length
    $upstream_response_time $upstream_status $req_id

2018/19 starts ``$the_real_ip - [$the_real_ip] - $remote_user [...`` and has no alternative name.
Fields of the upstream hold one value per attempt, joined by ``, ``, and by `` : `` where nginx
redirected internally. nginx writes quotes and control characters inside fields as ``\xHH``.
Lines in other forms are read by `forms`.
Source: kubernetes/ingress-nginx, docs/user-guide/nginx-configuration/log-format.md.
"""

from __future__ import annotations

import re
from datetime import datetime, timedelta, timezone
from typing import NamedTuple

from lbbench.inputs.access_log.forms import Fields, from_combined, from_json

LONGEST = 1 << 16  # bytes; nginx takes request lines of at most 8 KiB by default

_QUOTED = rb'"((?:[^"\\]|\\.)*)"'


def _list(item: bytes) -> bytes:
    return rb"(%s(?:(?:, | : )%s)*)" % (item, item)


LINE = re.compile(
    rb"(\S+) - (\[[^\]]*\] - )?.{0,256}? "
    rb"\[(\d\d/[A-Z][a-z]{2}/\d{4}:\d\d:\d\d:\d\d [+-]\d{4})\] "
    + _QUOTED
    + rb" (\d{3}) (?:\d+|-) "
    + _QUOTED
    + rb" "
    + _QUOTED
    + rb" (?:\d+|-) (\d+(?:\.\d+)?|-) \[([^\]]*)\] (?:\[([^\]]*)\] )?"
    + _list(rb"[^\s,]*[^\s,:]")
    + rb" "
    + _list(rb"(?:\d+|-)")
    + rb" "
    + _list(rb"(?:\d+(?:\.\d+)?|-)")
    + rb" "
    + _list(rb"(?:\d{3}|-)")
    # the seed's first line has lost the blank between the status and the 32 digits of the id
    + rb"(?: (\S+)|([0-9a-f]{32}))?(?: .*)?\s*$"
)
"""Groups: client, the real address (2018/19), time, request, status, referer, agent, request time,
backend, alternative, addresses, lengths, times, statuses, id, id after a lost blank."""

# what log collectors put in front: RFC 3339 time, stream and flag (CRI), or the pod's name (stern)
PREFIX = re.compile(
    rb"(?:\[[^\]\s]+\] )?(?:\d{4}-\d\d-\d\dT[0-9:.]+(?:Z|[+-]\d\d:\d\d) )?(?:std(?:out|err) [FP] )?"
)
ATTEMPTS = re.compile(rb", | : ")
DEFAULT_BACKEND = b"127.0.0.1:8181"
"""The controller itself answers there for requests that no ingress rule wants."""

_MONTHS = {
    name: number
    for number, name in enumerate(
        ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"), 1
    )
}


class Attempt(NamedTuple):
    """One try of a request at one upstream."""

    address: bytes
    time: float  # seconds, NaN for "-"
    status: bytes  # three digits, or "-"


class Line(NamedTuple):
    """What is used of a line."""

    client: bytes
    stamp: bytes  # the text of $time_local
    request: bytes
    status: int
    request_time: float  # seconds, NaN for "-"
    backend: bytes  # the alternative (canary) where one is named
    attempts: tuple[Attempt, ...]  # empty when no upstream was asked
    older: bool  # 2018/19 format
    lost_blank: bool
    form: str = "upstreaminfo"  # or "other"
    has_codes: bool = True  # the statuses of the attempts are logged


def parse(text: bytes) -> Line | str:
    """Return what a line says, or the reason why it cannot be read."""
    if len(text) > LONGEST:
        return "longer than 64 KiB"
    match = LINE.match(text)
    if match is None:
        prefix = PREFIX.match(text)
        begin = prefix.end() if prefix else 0
        match = LINE.match(text, begin) if begin else None
        if match is None:
            return _other_form(text[begin:]) or _why(text)
    client, real, stamp, request, status, _, _, duration, backend, other = match.groups()[:10]
    hosts, _, times, codes, _, lost = match.groups()[10:]
    return Line(
        client,
        stamp,
        request,
        int(status),
        _seconds(duration),
        other or backend,
        _tries(hosts, times, codes),
        real is not None,
        lost is not None,
    )


def _other_form(text: bytes) -> Line | str | None:
    """Return a line of JSON or of the combined format, why it cannot be read, or None: neither."""
    found = from_json(text) if text.startswith(b"{") else from_combined(text)
    if not isinstance(found, Fields):
        return found
    took, tries = _seconds(found.took), _tries(found.hosts, found.times, found.codes)
    head = (found.client, found.stamp, found.request, found.status, took, found.backend)
    return Line(
        *head, tries, older=False, lost_blank=False, form="other", has_codes=found.has_codes
    )


def _tries(hosts: bytes, times: bytes, codes: bytes) -> tuple[Attempt, ...]:
    if any(b"," in listed or b" : " in listed for listed in (hosts, times, codes)):
        return _attempts(hosts, times, codes)
    return () if hosts == b"-" else (Attempt(hosts, _seconds(times), codes),)


def _attempts(hosts: bytes, times: bytes, codes: bytes) -> tuple[Attempt, ...]:
    """Return the attempts of a line with several; short lists are padded with "-"."""
    addresses = ATTEMPTS.split(hosts)
    seconds = [_seconds(item) for item in ATTEMPTS.split(times)]
    statuses = ATTEMPTS.split(codes)
    seconds += [float("nan")] * (len(addresses) - len(seconds))
    statuses += [b"-"] * (len(addresses) - len(statuses))
    rows = zip(addresses, seconds, statuses, strict=False)
    return tuple(Attempt(*row) for row in rows if row[0] != b"-")


def _seconds(text: bytes) -> float:
    return float("nan") if text == b"-" else float(text)


def _why(text: bytes) -> str:
    """Return the likely reason why a line does not match."""
    if not text.strip():
        return "empty"
    if re.match(rb"[IWEF]\d{4} \d\d:\d\d:\d\d", text):
        return "a message of the controller, not of nginx"
    if re.match(rb"\d{4}/\d\d/\d\d \d\d:\d\d:\d\d \[", text):
        return "a line of nginx's error log"
    if re.match(rb'\S+ - .{0,256}\[\d\d/\w{3}/\d{4}:.{14}\] "', text):
        if not text.rstrip().endswith(b'"'):
            return "an access line without all the fields of upstreaminfo: cut off?"
        return "a line in nginx's combined format: it has no upstream fields"
    return "not an access line"


class Moment(NamedTuple):
    """When a line was written."""

    second: int  # since 1970
    fraction: float  # of the second, NaN where the stamp has whole seconds
    decimals: str  # what gave the fraction, "" for none


def moment(stamp: bytes) -> Moment:
    """Return the time that ``22/Jan/2019:10:17:23 +0000`` says.

    Also ``2019-01-22T10:17:23.5+00:00`` and ``1548152243.500`` ($msec), whose decimals are kept.

    Raises
    ------
    ValueError
        When there is no such day, hour or month.
    """
    text = stamp.decode("ascii")
    if text[2:3] != "/":
        return _with_decimals(text)
    month = _MONTHS.get(text[3:6])
    if month is None:
        raise ValueError(text)
    zone = timezone(timedelta(hours=int(text[21:24]), minutes=int(text[21] + text[24:26])))
    clock = [int(part) for part in text[12:20].split(":")]
    # a leap second is written as :60
    minute = datetime(int(text[7:11]), month, int(text[:2]), clock[0], clock[1], 0, tzinfo=zone)
    if clock[2] > 60:
        raise ValueError(text)
    return Moment(int(minute.timestamp()) + clock[2], float("nan"), "")


def _with_decimals(text: str) -> Moment:
    """Return the time of an ISO 8601 or epoch stamp; the decimals are read as they stand."""
    whole, point, rest = text.partition(".")
    decimals = rest[: len(rest) - len(rest.lstrip("0123456789"))]
    fraction = float(f"0.{decimals}") if point and decimals else float("nan")
    if whole.isdecimal():
        return Moment(int(whole), fraction, "msec" if decimals else "")
    second = datetime.fromisoformat(whole + rest[len(decimals) :])
    return Moment(int(second.timestamp()), fraction, "decimals of the time" if decimals else "")


def key_of(request: bytes) -> bytes:
    """Return the URI of a request line; the line itself when it is not "METHOD URI VERSION"."""
    parts = request.split(b" ")
    return parts[1] if len(parts) == 3 and parts[2].startswith(b"HTTP/") else request


def last_attempt(attempts: tuple[Attempt, ...]) -> Attempt | None:
    """Return the attempt that counts: the last that is not the controller's default backend."""
    for attempt in reversed(attempts):
        if attempt.address != DEFAULT_BACKEND:
            return attempt
    return None

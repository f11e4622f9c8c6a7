r"""Other forms of nginx's access log: JSON lines, and the combined format with upstream fields.

JSON (``log-format-escape-json``) is told by its brace; its keys are the names of nginx's variables
or what `NAMES` lists, in any order. The combined format ends in the user agent; fields after it are
read by their labels (``rt=0.013 urt="0.012" ua="10.0.0.1:80" us="200"``) or, without labels, by
their shape: one list of addresses with ports, two durations of which the longer is the request's
and the other the upstream's, and the status of the upstream. A line without an address or
without a time is refused with the reason: which pod answered, and when, is what an import is for.

Sources: nginx, ngx_http_log_module (combined) and ngx_http_upstream_module (lists of attempts);
kubernetes/ingress-nginx, docs/user-guide/nginx-configuration/configmap.md (log-format-upstream).
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Mapping
from typing import Any, NamedTuple

UNNAMED = b"unnamed"
"""The backend of lines that do not name one."""

NAMES = {
    "client": ("remote_addr", "the_real_ip", "remote_ip", "client_ip", "client", "remote_address"),
    "stamp": ("msec", "time_local", "time_iso8601", "time", "@timestamp", "timestamp", "ts"),
    "request": ("request",),
    "method": ("request_method", "method"),
    "uri": ("request_uri", "path", "uri", "url"),
    "status": ("status", "status_code"),
    "took": ("request_time", "rt", "request_duration", "duration"),
    "backend": ("proxy_upstream_name", "upstream_name", "ingress_upstream", "backend"),
    "other": ("proxy_alternative_upstream_name", "alternative_upstream_name"),
    "hosts": ("upstream_addr", "ua", "uaddr", "upstream", "upstream_address"),
    "times": ("upstream_response_time", "urt", "upstream_time", "upstream_duration"),
    "codes": ("upstream_status", "us", "ustatus", "upstream_status_code"),
}
"""Names that a field is known by, the best first."""

COMBINED = re.compile(
    rb"(\S+) - .{0,256}? \[(\d\d/[A-Z][a-z]{2}/\d{4}:\d\d:\d\d:\d\d [+-]\d{4})\] "
    rb'"((?:[^"\\]|\\.)*)" (\d{3}) (?:\d+|-) "(?:[^"\\]|\\.)*" "(?:[^"\\]|\\.)*"(.*)$'
)
"""Groups: client, time, request, status, what follows the user agent."""

LABELLED = re.compile(rb'([A-Za-z_@]\w*)[=:]\s*(?:"((?:[^"\\]|\\.)*)"|((?:[^\s",]+, )*[^\s",]+))')
_ADDRESS = rb"(?:[\w.-]+|\[[0-9a-fA-F:]+\]):\d{1,5}"
SEPARATED = rb"(?:, | : )"
ADDRESSES = re.compile(rb'(?<![^\s"])(%s(?:%s%s)*)(?![^\s"])' % (_ADDRESS, SEPARATED, _ADDRESS))
DURATIONS = re.compile(
    rb'(?<![^\s"])((?:\d+\.\d{3}|-)(?:%s(?:\d+\.\d{3}|-))*)(?![^\s"])' % SEPARATED
)
STATUSES = re.compile(rb'(?<![^\s"])([1-5]\d\d(?:%s[1-5]\d\d)*)(?![^\s"])' % SEPARATED)
NUMBER = re.compile(rb"\d{1,9}(?:\.\d{1,9})?")
STAMP = re.compile(
    rb"\d\d/[A-Z][a-z]{2}/\d{4}:\d\d:\d\d:\d\d [+-]\d{4}|"
    rb"\d{4}-\d\d-\d\d[T ]\d\d:\d\d:\d\d(?:\.\d{1,9})?(?:Z|[+-]\d\d:?\d\d)|"
    rb"\d{9,11}(?:\.\d{1,9})?"
)


class Fields(NamedTuple):
    """The fields of a line as texts, as the upstreaminfo format has them."""

    client: bytes
    stamp: bytes
    request: bytes
    status: int
    took: bytes
    backend: bytes
    hosts: bytes  # one or several, joined by ", " or " : "
    times: bytes
    codes: bytes
    has_codes: bool  # False: upstream statuses are not logged, ``codes`` ends in the response's


def from_json(text: bytes) -> Fields | str:
    """Return the fields of a line of JSON, or the reason why it cannot be read."""
    try:
        found = json.loads(text)
    except (ValueError, RecursionError):
        return "damaged JSON: cut off?"
    if not isinstance(found, dict):
        return "JSON, but no object with fields"
    fields = _fields({str(key): _text(value) for key, value in found.items()})
    return f"JSON with {fields}" if isinstance(fields, str) else fields


def from_combined(text: bytes) -> Fields | str | None:
    """Return the fields of a combined line with upstream fields, or why not; None: another form."""
    match = COMBINED.match(text)
    if match is None or not match[5].strip(b' "-\r'):
        return None
    client, stamp, request, status, rest = match.groups()
    given = {
        label.decode("ascii"): quoted or plain for label, quoted, plain in LABELLED.findall(rest)
    }
    if not any(name in given for name in NAMES["hosts"]):
        given = _by_shape(rest)
    if not given:
        return None
    line = {"remote_addr": client, "time_local": stamp, "request": request, "status": status}
    return _fields({**given, **line})


def _by_shape(rest: bytes) -> dict[str, bytes]:
    """Return the fields after the user agent that their shape tells; nothing when it does not."""
    hosts = ADDRESSES.findall(rest)
    # a list is the upstream's, whose rounded sum may be longer than the request
    longest = sorted(
        (item for item in DURATIONS.findall(rest) if item.strip(b"-")),
        key=lambda item: (re.search(SEPARATED, item) is not None, -_total(item)),
    )
    if len(hosts) != 1 or len(longest) != 2:
        return {}
    codes = STATUSES.findall(rest)
    return {
        "request_time": longest[0],
        "upstream_response_time": longest[1],
        "upstream_addr": hosts[0],
        **({"upstream_status": codes[-1]} if codes else {}),
    }


def _total(times: bytes) -> float:
    return sum(float(item) for item in re.split(SEPARATED, times) if item != b"-")


def _fields(given: Mapping[str, bytes]) -> Fields | str:
    """Return the fields by their names, or what is missing or wrong."""

    def of(what: str, otherwise: bytes = b"-") -> bytes:
        return next((given[name] for name in NAMES[what] if given.get(name)), otherwise)

    # the best stamp that can be read: msec has fractions of a second
    stamps = [given[name] for name in NAMES["stamp"] if given.get(name)]
    stamp = next((text for text in stamps if STAMP.fullmatch(text)), b"".join(stamps[:1]))
    hosts, client = of("hosts", b""), of("client", b"")
    missing = [
        NAMES[name][0]
        for name, text in (("client", client), ("stamp", stamp), ("hosts", hosts))
        if not text
    ]
    if missing:
        return f"no field {' and no '.join(missing)}"
    if not STAMP.fullmatch(stamp):
        return "a time that is neither time_local, time_iso8601 nor msec"
    status, took, times = of("status"), of("took"), of("times")
    if not re.fullmatch(rb"\d{3}(\.0)?", status):
        return "a status that is no number of three digits"
    for item in (took, *re.split(SEPARATED, times)):
        if item != b"-" and not NUMBER.fullmatch(item):
            return "a duration that is no number of seconds"
    request = of("request", b"")
    if not request:
        request = of("method", b"GET") + b" " + of("uri") + b" HTTP/1.1"
    other = of("other", b"-")
    backend = other if other != b"-" else of("backend", UNNAMED)
    if backend == b"-":
        backend = UNNAMED
    codes = of("codes", b"")
    has_codes = codes != b""
    if not has_codes:
        # what the client got is what the last attempt answered; nginx tries again after failures
        before = len(re.findall(SEPARATED, hosts))
        codes = b"-, " * before + status[:3]
    head = (client, stamp, request, int(status[:3]), took, backend)
    return Fields(*head, hosts, times, codes, has_codes)


def _text(value: Any) -> bytes:
    """Return a JSON value as nginx would have written it; what is none of its own is empty."""
    if isinstance(value, bool) or value is None:
        return b""
    if isinstance(value, float):
        text = f"{value:.9f}".rstrip("0")  # 1795580544.0 keeps its decimal: msec is a fraction
        return f"{text}{'0' * text.endswith('.')}".encode() if math.isfinite(value) else b""
    if isinstance(value, str | int):
        return str(value).encode("utf-8", "backslashreplace")
    return b""

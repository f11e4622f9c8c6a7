"""The text of ingress-nginx's session cookies: what the simulated numbers stand for.

A cookie is ``KEY|BACKEND_KEY``. The key is a made-up text (sticky_balanced) or the md5 of an
endpoint (sticky_persistent); the backend's key only tells canaries whose cookie it is. The engines
carry numbers instead of texts: crc32(KEY) or the first 32 bits of the md5. Plain Python.

Original: kubernetes/ingress-nginx rootfs/etc/nginx/lua/balancer/sticky.lua, sticky_balanced.lua,
sticky_persistent.lua at dbb11b92; cloudflare/lua-resty-cookie at f418d770 reads the header.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import NamedTuple

from lbbench.core.hashes import md5_text

DEFAULT_NAME = "route"  # sticky.lua: DEFAULT_COOKIE_NAME
CATCH_ALL = "_"


class Cookie(NamedTuple):
    """A cookie as a request carries it."""

    key: str
    backend_key: str | None  # None: there is no second part


def balanced_key(now: float, check: int, pid: int, drawn: int) -> str:
    """Return the key that worker ``pid`` makes at ``now`` (seconds since 1970) in check 1, 2, ....

    Lua prints the sum with ``%.14g``, so trailing zeros vanish: 1543238266.1 in check 1 gives
    "1543238267.1".
    """
    return f"{now + check:.14g}.{pid}.{drawn}"


def persistent_key(address: str, salt: str) -> str:
    """Return the key of the endpoint "ip:port"; the salt is the backend's name."""
    return md5_text(salt + address)


def backend_key(backend: str) -> str:
    """Return what follows the bar in every cookie of a backend."""
    return md5_text(md5_text(backend) + backend)


def cookie_value(key: str, backend: str) -> str:
    """Return the whole value that a response sets."""
    return f"{key}|{backend_key(backend)}"


def read_cookie(header: str | None, name: str = DEFAULT_NAME) -> Cookie | None:
    """Return the session cookie in a Cookie header, None without one.

    The original reads the value as words between bars, so "|x" has the key "x"; a value without any
    word is no cookie.
    """
    for pair in (header or "").split(";"):
        found, _, value = pair.strip().partition("=")
        words = [word for word in value.split("|") if word]
        if found == name and words:
            return Cookie(words[0], words[1] if len(words) > 1 else None)
    return None


def is_affinitized(header: str | None, backend: str, name: str = DEFAULT_NAME) -> bool:
    """Tell whether a request carries this backend's cookie (what keeps it off a canary)."""
    cookie = read_cookie(header, name)
    return cookie is not None and cookie.backend_key == backend_key(backend)


def may_set_cookie(
    locations: Mapping[str, Collection[str]], host: str, path: str, server_name: str = ""
) -> bool:
    """Tell whether a response of this host and location may set the cookie.

    ``locations`` lists the paths with affinity by host. A host that is not listed is looked up with
    its first label as a wildcard ("a.wild.com" as "*.wild.com"); requests of the catch-all server
    "_" go by that name.
    """
    if server_name == CATCH_ALL:
        host = CATCH_ALL
    paths = locations.get(host)
    if paths is None and "." in host:
        paths = locations.get("*." + host.split(".", 1)[1])
    return paths is not None and path in paths

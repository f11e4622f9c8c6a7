"""`upstream-hash-by` templates: from text to the tables that `hashkey.py` reads."""

from __future__ import annotations

import ipaddress
import re
import zlib
from collections.abc import Callable, Iterable, Sequence
from functools import lru_cache
from typing import Any

import numpy as np

from lbbench.engines.hashkey import BY_CLIENT, BY_KEY, BY_NODE, LITERAL
from lbbench.engines.network import bridge_addresses
from lbbench.errors import BalancerError
from lbbench.model.topology import Topology
from lbbench.model.trace import Population

VARIABLE = re.compile(r"(?<!\\)\$\{?([a-z_0-9]+)\}?", re.IGNORECASE)

URI = ("request_uri", "uri")
KNOWN = {"remote_addr", "binary_remote_addr", "request_uri", "uri", "host", "http_host"}
HOST = "example.com"

MOST_KEPT = 2**16  # keys, or clients, whose texts and hashes are kept for the next run: 5 MB


def split_template(template: str) -> list[tuple[bool, str]]:
    """Split a template into (is variable, text) parts in order."""
    parts: list[tuple[bool, str]] = []
    at = 0
    for match in VARIABLE.finditer(template):
        if match.start() > at:
            parts.append((False, template[at : match.start()]))
        parts.append((True, match[1].lower()))
        at = match.end()
    if at < len(template):
        parts.append((False, template[at:]))
    return parts


def unknown_variables(template: str) -> list[str]:
    """Return the variables of a template that evaluate to nothing in the simulation."""
    return [f"${text}" for is_variable, text in split_template(template)
            if is_variable and text not in KNOWN]  # fmt: skip


def reads_keys(template: str) -> bool:
    """Tell whether the template's value follows from the request's key."""
    return any(is_variable and text in URI for is_variable, text in split_template(template))


def key_tables(
    template: str,
    people: Population,
    top: Topology,
    *,
    local: bool,
    digest: Callable[[bytes], int] | None = None,
) -> dict[str, Any]:
    """Return ``part_kind``, ``part_row``, ``text_start``, ``text_bytes`` and ``key_hash``.

    ``digest`` makes the key of a text, addresses as text too; without one it is the crc32.

    Raises
    ------
    BalancerError
        When several parts vary and there is a ``digest``, which cannot be continued over parts.
    """
    parts = [
        _resolve(part, people, top, local=local, as_text=digest is not None)
        for part in split_template(template)
    ]
    parts = [(kind, texts) for kind, texts in parts if kind != LITERAL or texts != [b""]]
    varying = [kind for kind, _ in parts if kind != LITERAL]
    if len(varying) <= 1:
        single = _single(parts) if digest is None else _digested(parts, digest)
        return _packed([], [], single, varying or [LITERAL])
    if digest is not None:
        raise BalancerError(
            f"stages.ingress.hash_by = {template}: this balancer hashes one variable at a time; "
            "keep one of them"
        )
    rows: list[bytes] = []
    first: list[int] = []
    for _, texts in parts:
        first.append(len(rows))
        rows.extend(texts)
    return _packed(rows, first, np.zeros(0, np.int64), [kind for kind, _ in parts])


def _resolve(
    part: tuple[bool, str], people: Population, top: Topology, *, local: bool, as_text: bool
) -> tuple[int, Sequence[bytes] | Iterable[bytes]]:
    is_variable, text = part
    if not is_variable:
        return LITERAL, [text.encode()]
    if text in ("remote_addr", "binary_remote_addr"):
        packed = text == "binary_remote_addr" and not as_text
        if local:
            few = len(people.addresses) <= MOST_KEPT
            written = _written if few else _written.__wrapped__
            return BY_CLIENT, written(people.addresses, packed)
        addresses = [node.address for node in top.nodes]
        pairs = list(
            zip(addresses, bridge_addresses(top), strict=True)
        )  # another node's replica sees the node, its own replica sees the bridge
        return BY_NODE, _written(tuple(address for pair in pairs for address in pair), packed)
    if text in URI:
        keys = people.keys
        if isinstance(keys, int):
            return BY_KEY, _numbered(keys) if keys <= MOST_KEPT else _numbered.__wrapped__(keys)
        return BY_KEY, [key.encode() for key in keys]
    if text in ("host", "http_host"):
        return LITERAL, [HOST.encode()]
    return LITERAL, [b""]


@lru_cache(maxsize=4)
def _numbered(keys: int) -> tuple[bytes, ...]:
    """Return the paths of numbered keys."""
    return tuple(b"/k%d" % i for i in range(keys))


@lru_cache(maxsize=4)
def _written(addresses: tuple[str, ...], packed: bool) -> tuple[bytes, ...]:  # noqa: FBT001
    """Return addresses as texts, or as they go over the wire."""
    return tuple(map(_packed_address if packed else str.encode, addresses))


@lru_cache(maxsize=4)
def _crcs(texts: tuple[bytes, ...], head: int) -> tuple[int, ...]:
    """Return the crc32 of each text continued from ``head``."""
    return tuple(zlib.crc32(text, head) for text in texts)


def _packed_address(address: str) -> bytes:
    return ipaddress.ip_address(address).packed


def _single(parts: Sequence[tuple[int, Iterable[bytes]]]) -> np.ndarray:
    """Return crc32 of the whole template by index of its one varying part."""
    crcs: Sequence[int] | None = None
    head = 0
    for kind, texts in parts:
        if kind != LITERAL:
            every = tuple(texts)
            crcs = (_crcs if len(every) <= MOST_KEPT else _crcs.__wrapped__)(every, head)
        elif crcs is None:
            head = zlib.crc32(next(iter(texts)), head)
        else:
            tail = next(iter(texts))
            crcs = [zlib.crc32(tail, crc) for crc in crcs]
    return np.array([head] if crcs is None else crcs, np.int64)


def _digested(
    parts: Sequence[tuple[int, Iterable[bytes]]], digest: Callable[[bytes], int]
) -> np.ndarray:
    """Return the balancer's own key of the whole template by index of its one varying part."""
    whole: list[bytes] = [b""]
    for _, texts in parts:
        whole = [before + text for before in whole for text in texts]
    made = _digests if len(whole) <= MOST_KEPT else _digests.__wrapped__
    return np.array(made(tuple(whole), digest), np.int64)


@lru_cache(maxsize=4)
def _digests(texts: tuple[bytes, ...], digest: Callable[[bytes], int]) -> tuple[int, ...]:
    """Return the key of each text; the runs of a study repeat them."""
    keys = tuple(digest(text) for text in texts)
    for text, key in zip(texts, keys, strict=True):
        if not -(2**63) <= key < 2**63:
            raise BalancerError(
                f"digest({text!r}) = {key}: a key must fit 64 bits with a sign; take it mod 2^63"
            )
    return keys


def _packed(
    rows: list[bytes], first: list[int], key_hash: np.ndarray, kinds: list[int]
) -> dict[str, Any]:
    start = np.cumsum([0, *(len(row) for row in rows)]).astype(np.int64)
    return {
        "part_kind": np.array(kinds, np.int64),
        "part_row": np.array(first or [0], np.int64),
        "text_start": start,
        "text_bytes": np.frombuffer(b"".join(rows) or b"\0", np.uint8).copy(),
        "key_hash": key_hash,
    }

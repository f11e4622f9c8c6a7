"""Hash functions of the chain, exact to the published values: Toeplitz, crc32, md5, murmur3, xxh64.

`toeplitz` and `crc32_continue` compile; the others name things before a run and stay plain Python.

References
----------
Microsoft, "Verifying the RSS Hash Calculation"; RFC 1321; A. Appleby, MurmurHash3 (public domain);
Y. Collet, "xxHash fast digest algorithm", specification 0.1.1.
"""

from __future__ import annotations

import hashlib
import ipaddress
import zlib
from typing import Literal

import numpy as np

RSS_KEY = bytes.fromhex(
    "6d5a56da255b0ec24167253d43a38fb0d0ca2bcbae7b30b477cb2da38030f20c6a42b73bbeac01fa"
)
"""The key of Microsoft's published RSS verification values."""

TCP = 6
IPV4_FLOW = 12  # bytes of two IPv4 addresses and two ports
MAX_BYTES = 40  # an IPv6 5-tuple with the protocol has 37 bytes

Distribution = Literal["Default", "SourceIP", "SourceIPProtocol"]

U8 = np.uint32(8)
U16 = np.uint32(16)
U24 = np.uint32(24)
BYTE = np.uint32(0xFF)
ONES = np.uint32(0xFFFFFFFF)


# --- Toeplitz -------------------------------------------------------------------------------------


def toeplitz_tables(key: bytes) -> np.ndarray:
    """Return what each byte at each position adds to the hash, uint32[40, 256].

    The hash XORs, for every set bit of the input, the 32 bits of the key that begin there; being
    linear it is the XOR of one table entry per byte. A key that is too short is repeated.

    Raises
    ------
    ValueError
        When the key has fewer than 4 bytes.
    """
    if len(key) < 4:
        raise ValueError(f"a Toeplitz key needs at least 4 bytes, this one has {len(key)}")
    wanted = MAX_BYTES + 4  # the window of the last bit ends in the fourth byte after it
    stream = (key * (wanted // len(key) + 1))[:wanted]
    number = int.from_bytes(stream, "big")
    windows = [number >> (8 * wanted - 32 - bit) & 0xFFFFFFFF for bit in range(8 * MAX_BYTES)]
    tables = np.zeros((MAX_BYTES, 256), np.uint32)
    values = np.arange(256)
    for position in range(MAX_BYTES):
        for bit in range(8):
            is_set = (values >> (7 - bit)) & 1 == 1
            tables[position, is_set] ^= np.uint32(windows[8 * position + bit])
    return tables


def toeplitz(tables: np.ndarray, data: np.ndarray) -> np.uint32:
    """Return the Toeplitz hash of ``data`` (uint8[n], n <= 40); compiles.

    Being linear over XOR it has a known flaw: neighbouring inputs are not spread as independent
    ones would be.
    """
    value = np.uint32(0)
    if data.size == IPV4_FLOW:  # a loop of known length compiles to half the time
        for i in range(IPV4_FLOW):
            value ^= tables[i, data[i]]
        return np.uint32(value)
    for i in range(data.size):
        value ^= tables[i, data[i]]
    return np.uint32(value)


def flow_bytes(
    kind: Distribution,
    source: str,
    source_port: int,
    destination: str,
    destination_port: int,
    *,
    protocol: int | None = TCP,
) -> bytes:
    """Return the hash input of a flow: addresses, ports, protocol, in network byte order.

    ``kind`` chooses the fields: ``Default`` 5-tuple, ``SourceIPProtocol`` 3-tuple, ``SourceIP``
    2-tuple. ``protocol`` None leaves the protocol byte out, as the published RSS values do. IPv6
    addresses come without brackets.

    Raises
    ------
    ValueError
        When an address cannot be read.
    """
    data = ipaddress.ip_address(source).packed + ipaddress.ip_address(destination).packed
    if kind == "Default":
        data += source_port.to_bytes(2, "big") + destination_port.to_bytes(2, "big")
    if kind != "SourceIP" and protocol is not None:
        data += bytes([protocol])
    return data


# --- crc32 ------------------------------------------------------------------------------------


def _crc_tables() -> np.ndarray:
    """Return what a byte adds to the crc when 0 .. 3 bytes follow it, uint32[4, 256]."""
    tables = np.zeros((4, 256), np.uint32)
    tables[0] = np.arange(256)
    for _ in range(8):
        odd = tables[0] & 1 == 1
        tables[0] = (tables[0] >> 1) ^ np.where(odd, np.uint32(0xEDB88320), np.uint32(0))
    for k in range(1, 4):
        tables[k] = tables[0, tables[k - 1] & BYTE] ^ (tables[k - 1] >> 8)
    return tables


CRC_TABLES = _crc_tables()
BYTES = 0xFF  # for numbers in int64


def crc32_continue(crc: np.uint32, data: np.ndarray) -> np.uint32:
    """Return zlib's crc32 of ``data`` (uint8[n]) continued from ``crc``; compiles.

    Four bytes at a time: their look-ups do not wait for each other ("slicing by 4", M. Kounavis and
    F. Berry, IEEE Transactions on Computers 57, 2008).
    """
    value = crc ^ ONES
    whole = data.size - data.size % 4
    for i in range(0, whole, 4):
        value ^= (
            np.uint32(data[i])
            | (np.uint32(data[i + 1]) << U8)
            | (np.uint32(data[i + 2]) << U16)
            | (np.uint32(data[i + 3]) << U24)
        )
        value = (
            CRC_TABLES[3, value & BYTE]
            ^ CRC_TABLES[2, (value >> U8) & BYTE]
            ^ CRC_TABLES[1, (value >> U16) & BYTE]
            ^ CRC_TABLES[0, (value >> U24) & BYTE]
        )
    for i in range(whole, data.size):
        value = CRC_TABLES[0, (value ^ np.uint32(data[i])) & BYTE] ^ (value >> U8)
    return np.uint32(value ^ ONES)


def crc32_behind(before: int, crc: int, length: int) -> int:
    """Return the crc32 of two texts in a row from that of each, as int64; compiles. O(length).

    ``before`` is the first one's, ``crc`` that of the second, which has ``length`` bytes: the crc32
    is linear but for its inversions, which cancel out.
    """
    value = before
    for _ in range(length):
        value = int(CRC_TABLES[0, value & BYTES]) ^ (value >> 8)
    return value ^ crc


def crc32_text(text: str) -> int:
    """Return the crc32 of a text (UTF-8), 0 .. 2^32 - 1."""
    return zlib.crc32(text.encode())


# --- names, not speed -------------------------------------------------------------------------


def md5_text(text: str) -> str:
    """Return the md5 of a text (UTF-8) as 32 hexadecimal digits."""
    return hashlib.md5(text.encode(), usedforsecurity=False).hexdigest()


_M64 = 2**64 - 1
_C1, _C2 = 0x87C37B91114253D5, 0x4CF5AD432745937F  # MurmurHash3_x64_128: c1, c2
_P1, _P2, _P3, _P4, _P5 = (  # xxHash specification: PRIME64_1 .. PRIME64_5
    0x9E3779B185EBCA87,
    0xC2B2AE3D27D4EB4F,
    0x165667B19E3779F9,
    0x85EBCA77C2B2AE63,
    0x27D4EB2F165667C5,
)


def murmur3_x64_128(data: bytes, seed: int) -> tuple[int, int]:
    """Return the two 64-bit halves of MurmurHash3 x64 128: Cilium's Maglev offset and skip."""
    h1 = h2 = seed
    whole = len(data) // 16 * 16
    for at in range(0, whole, 16):
        k1 = int.from_bytes(data[at : at + 8], "little")
        k2 = int.from_bytes(data[at + 8 : at + 16], "little")
        h1 ^= _rotated(k1 * _C1 & _M64, 31) * _C2 & _M64
        h1 = ((_rotated(h1, 27) + h2) * 5 + 0x52DCE729) & _M64
        h2 ^= _rotated(k2 * _C2 & _M64, 33) * _C1 & _M64
        h2 = ((_rotated(h2, 31) + h1) * 5 + 0x38495AB5) & _M64
    tail = data[whole:]
    if len(tail) > 8:
        h2 ^= _rotated(int.from_bytes(tail[8:], "little") * _C2 & _M64, 33) * _C1 & _M64
    if tail:
        h1 ^= _rotated(int.from_bytes(tail[:8], "little") * _C1 & _M64, 31) * _C2 & _M64
    h1 ^= len(data)
    h2 ^= len(data)
    h1 = (h1 + h2) & _M64
    h2 = (h2 + h1) & _M64
    h1, h2 = _final(h1), _final(h2)
    h1 = (h1 + h2) & _M64
    return h1, (h2 + h1) & _M64


def _rotated(x: int, by: int) -> int:
    return ((x << by) | (x >> (64 - by))) & _M64


def _final(x: int) -> int:
    x = (x ^ (x >> 33)) * 0xFF51AFD7ED558CCD & _M64
    x = (x ^ (x >> 33)) * 0xC4CEB9FE1A85EC53 & _M64
    return x ^ (x >> 33)


def xxhash64(data: bytes, seed: int) -> int:
    """Return the 64-bit xxHash: Envoy's Maglev offset (seed 0) and skip (seed 1)."""
    at = 0
    value = seed + _P5
    if len(data) >= 32:
        lanes = [seed + _P1 + _P2, seed + _P2, seed, seed - _P1]
        while at + 32 <= len(data):
            for lane in range(4):
                lanes[lane] = _round(lanes[lane], _word(data, at + 8 * lane, 8))
            at += 32
        value = sum(_rotated(lanes[k] & _M64, by) for k, by in enumerate((1, 7, 12, 18)))
        for lane in lanes:
            value = (value ^ _round(0, lane & _M64)) * _P1 + _P4
    value = value + len(data) & _M64
    while at + 8 <= len(data):
        value = (_rotated(value ^ _round(0, _word(data, at, 8)), 27) * _P1 + _P4) & _M64
        at += 8
    if at + 4 <= len(data):
        value = (_rotated(value ^ _word(data, at, 4) * _P1 & _M64, 23) * _P2 + _P3) & _M64
        at += 4
    for byte in data[at:]:
        value = _rotated(value ^ byte * _P5 & _M64, 11) * _P1 & _M64
    value = (value ^ (value >> 33)) * _P2 & _M64
    value = (value ^ (value >> 29)) * _P3 & _M64
    return value ^ (value >> 32)


def _word(data: bytes, at: int, size: int) -> int:
    return int.from_bytes(data[at : at + size], "little")


def _round(lane: int, word: int) -> int:
    return _rotated((lane + word * _P2) & _M64, 31) * _P1 & _M64

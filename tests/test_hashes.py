"""The hash functions give the published values and compile to the same ones."""

from __future__ import annotations

import zlib

import numpy as np
import pytest
from golden_replay import vectors
from hypothesis import given
from hypothesis import strategies as st

from lbbench.core import jit
from lbbench.core.hashes import (
    MAX_BYTES,
    RSS_KEY,
    crc32_continue,
    crc32_text,
    flow_bytes,
    md5_text,
    murmur3_x64_128,
    toeplitz,
    toeplitz_tables,
    xxhash64,
)

TABLES = toeplitz_tables(RSS_KEY)
SYMMETRIC = toeplitz_tables(b"\x6d\x5a" * 2)
PUBLISHED = vectors("toeplitz")["vectors"]
UNPUBLISHED = vectors("toeplitz")["own_extra_not_published"]["rows"]


def hashed(data: bytes, tables=TABLES) -> int:
    return int(toeplitz(tables, np.frombuffer(data, np.uint8)))


def flow(vector, kind="Default", protocol=None):
    return flow_bytes(
        kind, vector["source"], vector["source_port"], vector["destination"],
        vector["destination_port"], protocol=protocol,
    )  # fmt: skip


@pytest.mark.parametrize("vector", PUBLISHED, ids=lambda vector: vector["source"])
def test_toeplitz_gives_every_published_rss_value(vector):
    """IPv4 and IPv6, with and without ports: the values of Microsoft's verification page."""
    assert bytes.fromhex(vectors("toeplitz")["key_hex"]) == RSS_KEY
    assert flow(vector).hex() == vector["input_hex_with_ports"]
    assert hashed(flow(vector)) == int(vector["published_with_ports"], 16)
    assert hashed(flow(vector, "SourceIP")) == int(vector["published_addr_only"], 16)
    assert hashed(flow(vector, "SourceIPProtocol")) == int(vector["published_addr_only"], 16)


@pytest.mark.parametrize("row", UNPUBLISHED, ids=lambda row: row[0])
def test_toeplitz_agrees_with_a_bit_by_bit_implementation(row):
    """Under the RSS key and under a short repeated key, which hashes both directions alike."""
    source, source_port, destination, destination_port, plain, symmetric, is_symmetric = row
    there = flow_bytes("Default", source, source_port, destination, destination_port, protocol=None)
    back = flow_bytes("Default", destination, destination_port, source, source_port, protocol=None)
    assert hashed(there) == int(plain, 16)
    assert hashed(there, SYMMETRIC) == int(symmetric, 16)
    assert is_symmetric
    assert hashed(back, SYMMETRIC) == int(symmetric, 16)


@given(st.binary(min_size=MAX_BYTES, max_size=MAX_BYTES), st.integers(0, MAX_BYTES), st.data())
def test_toeplitz_tables_are_the_bitwise_definition_for_any_key(key, size, data):
    """A set input bit adds the 32 key bits that begin there (key repeated past its end)."""
    text = data.draw(st.binary(min_size=size, max_size=size))
    bits = "".join(f"{byte:08b}" for byte in key * 2)
    expected = 0
    for place, bit in enumerate("".join(f"{byte:08b}" for byte in text)):
        if bit == "1":
            expected ^= int(bits[place : place + 32], 2)
    assert hashed(text, toeplitz_tables(key)) == expected


def test_toeplitz_refuses_a_key_without_one_window():
    """Three bytes hold no 32-bit window."""
    with pytest.raises(ValueError, match="at least 4 bytes"):
        toeplitz_tables(b"abc")


@pytest.mark.parametrize(
    ("kind", "sizes"),
    [("Default", (13, 37)), ("SourceIPProtocol", (9, 33)), ("SourceIP", (8, 32))],
)
def test_distribution_modes_hash_the_documented_fields(kind, sizes):
    """5-, 3- and 2-tuple: addresses, ports if any, the protocol byte last."""
    four, six = PUBLISHED[0], PUBLISHED[5]
    assert (len(flow(four, kind, 6)), len(flow(six, kind, 6))) == sizes
    if kind != "SourceIP":
        assert flow(four, kind, 6) == flow(four, kind) + b"\x06"
    other_port = {**four, "source_port": 1}
    assert (flow(four, kind, 6) == flow(other_port, kind, 6)) == (kind != "Default")


def test_crc32_of_every_recorded_key():
    """331 keys, empty, NUL and UTF-8 among them, hash as in nginx and in zlib."""
    golden = vectors("chash")
    recorded = [crc for crc, _, _ in golden["sets"][0]["picks"]]
    assert [crc32_text(key) for key in golden["keys"]] == recorded
    for key, crc in zip(golden["keys"], recorded, strict=True):
        assert int(crc32_continue(np.uint32(0), np.frombuffer(key.encode(), np.uint8))) == crc


@given(st.binary(max_size=80), st.binary(max_size=80))
def test_crc32_continues(head, tail):
    """Hashing in two pieces is hashing the whole, as with zlib."""
    crc = crc32_continue(np.uint32(zlib.crc32(head)), np.frombuffer(tail, np.uint8))
    assert int(crc) == zlib.crc32(head + tail)
    assert isinstance(crc, np.uint32)


def kernel(tables, texts, out):
    for i in range(texts.shape[0]):
        out[0, i] = np.int64(toeplitz(tables, texts[i]))
        out[1, i] = np.int64(crc32_continue(np.uint32(i), texts[i]))


def test_compiled_hashes_equal_plain_ones(tmp_path, monkeypatch):
    """Toeplitz and crc32 of random bytes of every length are the same compiled and plain."""
    monkeypatch.setenv("LBBENCH_CACHE_DIR", str(tmp_path))
    compiled = jit.bind(kernel)
    for size in range(MAX_BYTES + 1):
        texts = np.random.default_rng(size).integers(0, 256, (5, size), np.uint8)
        ours, theirs = np.zeros((2, 5), np.int64), np.zeros((2, 5), np.int64)
        kernel(TABLES, texts, theirs)
        compiled(TABLES, texts, ours)
        np.testing.assert_array_equal(ours, theirs)
        crcs = [zlib.crc32(text.tobytes(), i) for i, text in enumerate(texts)]
        assert theirs[1].tolist() == crcs


@pytest.mark.parametrize(
    ("text", "digest"),
    [("", "d41d8cd98f00b204e9800998ecf8427e"), ("abc", "900150983cd24fb0d6963f7d28e17f72")],
)
def test_md5_gives_the_values_of_rfc_1321(text, digest):
    """The test suite of RFC 1321, appendix A.5."""
    assert md5_text(text) == digest


@pytest.mark.parametrize(
    ("data", "value"),
    [
        (b"", 0xEF46DB3751D8E999),
        (b"a", 0xD24EC4F1A98C6E5B),
        (b"abc", 0x44BC2CF5AD770999),
        (b"Nobody inspects the spammish repetition", 0xFBCEA83C8A378BF1),
    ],
)
def test_xxhash64_gives_known_values(data, value):
    """Values printed in the documentation of xxHash's bindings, short and longer than a stripe."""
    assert xxhash64(data, 0) == value


def test_murmur3_gives_known_values():
    """The digest of the pangram that MurmurHash3's users quote."""
    fox = b"The quick brown fox jumps over the lazy dog"
    assert murmur3_x64_128(fox, 0) == (0xE34BBC7BBC071B6C, 0x7A433CA9C49A9347)
    assert murmur3_x64_128(b"", 0) == (0, 0)

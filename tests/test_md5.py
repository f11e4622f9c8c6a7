"""The md5 that compiles is RFC 1321's."""

from __future__ import annotations

import hashlib

import numpy as np
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from lbbench.core import jit
from lbbench.core.md5 import hex_into, md5_into


def digest(data: bytes) -> str:
    words, text = np.zeros(4, np.uint64), np.zeros(32, np.uint8)
    md5_into(words, np.frombuffer(data, np.uint8))
    hex_into(text, words)
    return text.tobytes().decode()


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("", "d41d8cd98f00b204e9800998ecf8427e"),
        ("a", "0cc175b9c0f1b6a831c399e269772661"),
        ("abc", "900150983cd24fb0d6963f7d28e17f72"),
        ("message digest", "f96b697d7cb7938d525a2f31aaf161d0"),
        ("abcdefghijklmnopqrstuvwxyz", "c3fcd3d76192e4007dfb496cca67e13b"),
        ("1234567890" * 8, "57edf4a22be3c955ac49da2e2107b67a"),
    ],
)
def test_the_test_suite_of_rfc_1321(text: str, expected: str):
    """Appendix A.5, from no byte to two blocks."""
    assert digest(text.encode()) == expected


@given(st.binary(max_size=200))
@example(b"x" * 55)  # the last that fits one block with its mark and length
@example(b"x" * 56)
@example(b"x" * 64)
@example(b"x" * 119)
@example(b"x" * 120)
def test_any_text_hashes_as_in_hashlib(data: bytes):
    """Lengths around each end of a block too."""
    assert digest(data) == hashlib.md5(data, usedforsecurity=False).hexdigest()


def kernel(texts, sizes, words, out):
    for i in range(sizes.size):
        md5_into(words, texts[i, : sizes[i]])
        hex_into(out[i], words)


def test_compiled_digests_equal_plain_ones(tmp_path, monkeypatch):
    """Random texts of all lengths up to two blocks; the machine code counts no references."""
    monkeypatch.setenv("LBBENCH_CACHE_DIR", str(tmp_path))
    jit.forget()
    texts = np.random.default_rng(3).integers(0, 256, (129, 129), np.uint8)
    sizes, words = np.arange(129), np.zeros(4, np.uint64)
    out = np.zeros((129, 32), np.uint8)
    compiled = jit.bind(kernel)
    compiled(texts, sizes, words, out)
    for i in range(129):
        assert out[i].tobytes().decode() == digest(texts[i, :i].tobytes())
    if not jit.is_disabled():
        assert "NRT_incref" not in compiled.llvm()

"""Damaged, huge and hostile dumps: one sentence, bounded memory and time."""

import gzip
import tracemalloc

import kubectl
import pytest

from lbbench.errors import InputError
from lbbench.inputs.kubernetes.objects import read_kubernetes

WHOLE = kubectl.as_list(kubectl.cluster()).encode()
BOMB = b"a: &a [x,x,x,x,x,x,x,x,x]\n" + b"".join(
    b"%c: &%c [" % (98 + i, 98 + i) + b",".join([b"*%c" % (97 + i)] * 9) + b"]\n" for i in range(9)
)


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"", "is empty"),
        (b" \n\n", "is empty"),
        (WHOLE[: len(WHOLE) // 2], "truncated JSON"),
        (WHOLE[:-9], "truncated JSON"),
        (b"[" * 100_000, "nested deeper"),
        (b'{"a":' * 100_000, "nested deeper"),
        (b"a: " + b"[" * 100_000, "nested deeper|nesting depth"),
        (b"a: " + b"{b: " * 100_000, "nested deeper|nesting depth"),
        (BOMB, "aliases repeat more than"),
        (b"a: *nothing\n", "not defined|undefined"),
        (b"kind: [\n", "not valid YAML"),
        (b'{"kind": nonsense}', "no valid JSON"),
        (b"[1, 2, 3]", "holds 1 where an object is expected"),
        (b'{"kind": "\xff\xfe"}', "no valid JSON"),
        (WHOLE[:50] + b"\0" + WHOLE[50:], "NUL"),
        (WHOLE.decode().encode("utf-16"), "UTF-16"),
        (gzip.compress(WHOLE)[:-9], "cut off"),
        (b"hello world\n", "no node, pod, service"),
        (b"a: \xff\xfe\n", "no node, pod, service"),
    ],
)
def test_damage_is_one_sentence(tmp_path, content, said):
    """The sentence names the file and the way out."""
    path = tmp_path / "dump"
    path.write_bytes(content)
    with pytest.raises(InputError, match=said) as caught:
        read_kubernetes(path)
    assert str(caught.value).startswith(str(path))
    assert "\n" not in str(caught.value)


def test_gzip_crlf_and_a_mark_are_read(tmp_path):
    """A packed file, Windows line ends and a byte order mark change nothing."""
    for content in (gzip.compress(WHOLE), WHOLE.replace(b"\n", b"\r\n"), b"\xef\xbb\xbf" + WHOLE):
        path = tmp_path / "dump"
        path.write_bytes(content)
        assert len(read_kubernetes(path).of("Pod")) == 7


@pytest.mark.parametrize("begin", [b'{"kind": "', b"kind: ", b"x"])
def test_a_line_of_200_mb_takes_bounded_memory(tmp_path, begin):
    """It is refused before it is held."""
    path = tmp_path / "long"
    path.write_bytes(begin)
    with path.open("r+b") as file:
        file.seek(0, 2)
        for _ in range(200):
            file.write(b"y" * (1 << 20))
    tracemalloc.start()
    try:
        with pytest.raises(InputError, match="longer than"):
            read_kubernetes(path)
        assert tracemalloc.get_traced_memory()[1] < 64 << 20
    finally:
        tracemalloc.stop()

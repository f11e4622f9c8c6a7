"""What happens to files on their way: cut, doubled, spliced, edited, sent between systems."""

from __future__ import annotations

import json
from typing import Any

from examples import FILES, examples
from hypothesis import strategies as st

MOST = 100_000  # bytes of a damaged file

WORDS = (
    *(b"0", b"-1", b"00", b"1e999", b"-0.0", b"nan", b"inf", b"65535", b"65536", b"0x10", b"1_0"),
    *(b"9" * 10, b"9" * 19, b"9" * 400, b"1." + b"3" * 30, b"18446744073709551616", b"1e-320"),
    *(b"", b" ", b"\t", b"-", b"--", b"!", b"'", b'"', b"`", b"\\", b"#", b"%", b"*", b"=", b":"),
    *(b"{", b"}", b"[", b"]", b"(", b")", b"<", b">", b",", b";", b"|", b"&a", b"*a", b"!!"),
    *(b"\n", b"\r", b"\r\n", b"\x00", b"\x0b", b"\x0c", b"\x1b[31m", b"\x1c", b"\x7f", b"\x85"),
    *(b"\xef\xbb\xbf", b"\xff\xfe", b"\xe9", b"\xc3", b"\xed\xa0\x80", b"\xf4\x90\x80\x80"),
    *("é", "\u2028", "\u202e", "٣", "²", "Ⅷ", "\U0001f600", "\ufeff", "a\u0301", "İ", "\u00a0"),
    *(b"0.0.0.0", b"10.0.0.256", b"::", b"::1", b"fe80::1%eth0", b"[::]:80", b"10.0.0.1:", b":80"),
    *(b"null", b"true", b"~", b"NaN", b"None", b"[red]", b"[/]", b"a" * 300, b"a." * 200),
)
"""What replaces or follows a word; text stands for its bytes."""

words = st.sampled_from([w.encode() if isinstance(w, str) else w for w in WORDS])


@st.composite
def damaged(draw: st.DrawFn, kind: str) -> bytes:
    """Draw a real file of ``kind`` after one to six accidents."""
    content = draw(st.sampled_from(examples(kind)))
    for _ in range(draw(st.integers(1, 6))):
        content = draw(st.sampled_from(ACCIDENTS))(draw, content, kind)[:MOST]
    return content


def _lines(draw: st.DrawFn, content: bytes, _kind: str) -> bytes:
    """Remove, repeat or move some lines."""
    lines = content.splitlines(keepends=True) or [b""]
    start = draw(st.integers(0, len(lines) - 1))
    end = min(len(lines), start + draw(st.integers(1, 5)))
    how = draw(st.sampled_from(("remove", "repeat", "many", "move", "join")))
    some = lines[start:end]
    if how == "remove":
        return b"".join(lines[:start] + lines[end:])
    if how == "repeat":
        return b"".join(lines[:end] + some + lines[end:])
    if how == "many":
        return b"".join(lines[:end] + some * draw(st.integers(2, 60)) + lines[end:])
    if how == "join":
        return b"".join(lines[:start] + [item.rstrip(b"\r\n") for item in some] + lines[end:])
    rest = lines[:start] + lines[end:]
    at = draw(st.integers(0, len(rest)))
    return b"".join(rest[:at] + some + rest[at:])


def _splice(draw: st.DrawFn, content: bytes, kind: str) -> bytes:
    """Go on with another file, sometimes of another kind."""
    other = draw(st.sampled_from(examples(draw(st.sampled_from([kind, kind, *FILES])))))
    here, there = draw(st.integers(0, len(content))), draw(st.integers(0, len(other)))
    return content[:here] + other[there:]


def _cut(draw: st.DrawFn, content: bytes, _kind: str) -> bytes:
    """Lose the beginning or the end."""
    at = draw(st.integers(0, len(content)))
    return draw(st.sampled_from((content[:at], content[at:])))


def _bytes(draw: st.DrawFn, content: bytes, _kind: str) -> bytes:
    """Change single bytes."""
    held = bytearray(content)
    for _ in range(draw(st.integers(1, 8)) if held else 0):
        held[draw(st.integers(0, len(held) - 1))] = draw(st.integers(0, 255))
    return bytes(held)


def _word(draw: st.DrawFn, content: bytes, _kind: str) -> bytes:
    """Put a word in the place of a number, a word or nothing."""
    at = draw(st.integers(0, len(content)))
    new = draw(words)
    wanted = draw(st.sampled_from((b"0123456789", b"0123456789.", _LETTERS, b"")))
    while at < len(content) and wanted and content[at] not in wanted:
        at += 1  # to the next of its kind
    begin, end = at, at
    while begin > 0 and content[begin - 1] in wanted:
        begin -= 1
    while end < len(content) and content[end] in wanted:
        end += 1
    return content[:begin] + new + content[end:]


def _everywhere(draw: st.DrawFn, content: bytes, _kind: str) -> bytes:
    """Put a word in the place of every occurrence of a piece of the file."""
    at = draw(st.integers(0, len(content)))
    piece = content[at : at + draw(st.integers(1, 8))]
    return content.replace(piece, draw(words)) if piece else content


def _send(draw: st.DrawFn, content: bytes, _kind: str) -> bytes:
    """Go through an editor or a system with other habits."""
    text = content.decode("utf-8", "replace")
    return draw(
        st.sampled_from(
            (
                content.replace(b"\n", b"\r\n"),
                content.replace(b"\n", b"\r"),
                b"\xef\xbb\xbf" + content,
                text.encode("utf-16"),
                text.encode("latin-1", "replace"),
                content.replace(b" ", b"\xa0"),
                content.replace(b"  ", b"\t"),
                content.replace(b" ", b"  "),
                content.replace(b"\n", b"\n\n"),
                content.replace(b"\n", b" "),
                content.replace(b'"', "“".encode()),
                b"".join(b"> " + line for line in content.splitlines(keepends=True)),
                content.upper(),
            )
        )
    )


def _value(draw: st.DrawFn, content: bytes, _kind: str) -> bytes:
    """Put another value, a wrong type mostly, in the place of one in a JSON text."""
    try:
        whole = json.loads(content)
    except (ValueError, RecursionError):
        return content
    for _ in range(draw(st.integers(1, 4))):
        here: Any = whole
        holder, key = None, None
        while (
            isinstance(here, dict | list) and here and (holder is None or draw(st.integers(0, 6)))
        ):
            places = list(here) if isinstance(here, dict) else range(len(here))
            holder, key = here, draw(st.sampled_from(places))
            here = holder[key]
        if holder is not None:
            holder[key] = draw(values)
    return json.dumps(whole, ensure_ascii=draw(st.booleans())).encode("utf-8", "replace")


_LETTERS = bytes(range(65, 91)) + bytes(range(97, 123)) + b"_-"
values = st.one_of(
    st.sampled_from(
        [
            *(None, True, False, 0, -1, 1, 65536, 10**30, 0.5, 1e300, "", "0", "-1", "100m"),
            *("1e999", "10.0.0.1", "::", "10.0.0.1:80", "\x00", "\x1b", "é", "\ud800", "a" * 300),
            *([], {}, [[]]),
        ]
    ),
    st.recursive(
        st.none() | st.integers() | st.text(max_size=8),
        lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=4), inner),
        max_leaves=5,
    ),
)
ACCIDENTS = (_lines, _splice, _cut, _bytes, _word, _word, _word, _everywhere, _send, _value, _value)

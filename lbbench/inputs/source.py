"""Reading an input: a file, a gzip file or standard input, in bounded pieces, as bytes.

Whatever the file, what is held of it at once is bounded: a piece, a line, and for what is read
whole the text and the number of its lines.
"""

from __future__ import annotations

import gzip
import sys
import zlib
from collections.abc import Iterator, Sequence
from itertools import chain
from pathlib import Path
from typing import BinaryIO

from lbbench.errors import InputError

Place = tuple[str, int]
"""A line: file and number, counted from 1."""

Skipped = tuple[str, int, str]
"""A line that was not used: file, number, reason."""

PIECE = 1 << 20  # bytes read at once
PACKED = 1 << 16  # bytes unpacked at once: each of many small members copies what is behind it
LONGEST_LINE = 1 << 20
"""Bytes; of a longer line the beginning is given out (it is still longer), the rest is dropped."""

MOST_TEXT = 128 << 20
MOST_LINES = 1_000_000
"""Bytes and lines of a text that is held whole; the rules of the largest clusters are half that."""

MOST_UNPACKED = 100
FEW_UNPACKED = 16 << 20
"""How many times its size a gzip file may unpack to, beyond some bytes: logs and dumps pack 5 to 40
to 1, a bomb 1000 to 1."""

MOST_FOREIGN = 500_000
"""Lines of a stream without one that can be used, after which the rest is not looked at."""

STDIN = "<stdin>"

_OTHERS = {
    b"PK\x03\x04": "a zip file",
    b"BZh": "a bzip2 file",
    b"\xfd7zXZ\0": "an xz file",
    b"\x28\xb5\x2f\xfd": "a zstd file",
}
"""Packed files that are not unpacked here, by their first bytes."""


def named(path: str | Path) -> str:
    """Return how ``path`` is called in messages; ``-`` is standard input."""
    return STDIN if str(path) == "-" else str(path)


def listed(paths: str | Path | Sequence[str | Path]) -> list[str | Path]:
    """Return ``paths`` as a list; a single path may be given alone.

    Raises
    ------
    InputError
        When the list is empty, or names standard input twice.
    """
    items: list[str | Path] = [paths] if isinstance(paths, str | Path) else list(paths)
    if not items:
        raise InputError("no input file given; name at least one, or - for standard input")
    if sum(str(item) == "-" for item in items) > 1:
        raise InputError("- is given more than once; standard input can be read only once")
    return items


def pieces(path: str | Path) -> Iterator[bytes]:
    """Yield the bytes of ``path`` piece by piece, gzip unpacked (told by its first two bytes).

    Raises
    ------
    InputError
        When the file cannot be opened or unpacked, is packed in another way, unpacks to far more
        than text does, or holds NUL bytes (binary, or UTF-16 text).
    """
    name = named(path)
    done = 0
    try:
        for piece in _unpacked(path):
            if not done or b"\0" in piece:
                _refuse_binary(piece, name, done)
            yield piece[3:] if not done and piece.startswith(b"\xef\xbb\xbf") else piece
            done += len(piece)
    except IsADirectoryError as error:
        raise InputError(f"{name}: is a folder; name a file in it") from error
    except FileNotFoundError as error:
        raise InputError(f"{name}: no such file; check the path") from error
    except (EOFError, zlib.error, gzip.BadGzipFile) as error:
        raise InputError(
            f"{name}: the gzip data is damaged or cut off ({error}); copy it again"
        ) from error
    except (OSError, ValueError) as error:  # ValueError: a NUL inside the path
        raise InputError(f"{name}: cannot be read ({error}); check path and permissions") from error


def lines(path: str | Path) -> Iterator[bytes]:
    r"""Yield the lines of ``path``; ``\n``, ``\r\n`` and ``\r`` end a line and are left out.

    One that is longer than `LONGEST_LINE` may come without its end, still longer than that: it is
    one line all the same, and the lines behind it keep their numbers.
    """
    rest = b""
    given = False  # the beginning of the line was given out: what is left of it is dropped
    for piece in pieces(path):
        held = rest + piece
        # a \r at the end may be the first half of \r\n: it waits for the next piece
        whole = len(held) - 1 if held.endswith(b"\r") else len(held)
        cut = max(held.rfind(b"\n", 0, whole), held.rfind(b"\r", 0, whole)) + 1
        found, rest = held[:cut].splitlines(), held[cut:]
        if given and found:
            del found[0]
            given = False
        yield from found
        if len(rest) > LONGEST_LINE or given:
            if not given:
                yield rest.rstrip(b"\r")
            given = True
            rest = rest[-1:] if rest.endswith(b"\r") else b""
    yield from rest.splitlines()[given:]


def read_text(path: str | Path) -> list[str]:
    r"""Return the lines of a text file; bytes that are no UTF-8 are shown as ``\xNN``.

    Raises
    ------
    InputError
        As `pieces`; with the line, when the text is too long to be held.
    """
    name, size = named(path), 0
    held: list[str] = []
    for number, line in enumerate(lines(path), 1):
        size += len(line)
        if len(line) > LONGEST_LINE:
            raise InputError(
                f"{name}:{number}: a line of more than {LONGEST_LINE >> 20} MiB, as no program "
                "prints it; give the file as it was written"
            )
        if size > MOST_TEXT or number > MOST_LINES:
            raise InputError(
                f"{name}:{number}: more than {MOST_TEXT >> 20} MiB or {MOST_LINES} lines of text; "
                "give the part that is needed"
            )
        held.append(line.decode("utf-8", "backslashreplace"))
    return held


def read_filled(path: str | Path, empty: str) -> list[str]:
    """Return the lines of a text file that must hold something.

    Raises
    ------
    InputError
        As `read_text`; ``empty`` behind the file's name when it holds blanks only.
    """
    text = read_text(path)
    if not any(line.strip() for line in text):
        raise InputError(f"{named(path)}{empty}")
    return text


def _unpacked(path: str | Path) -> Iterator[bytes]:
    if str(path) == "-":
        if sys.stdin is None:
            raise InputError(f"{STDIN}: is closed; pipe the text in, or name a file")
        yield from _from_stream(sys.stdin.buffer, named(path))
        return
    with Path(path).open("rb") as stream:
        yield from _from_stream(stream, named(path))


def _from_stream(stream: BinaryIO, name: str) -> Iterator[bytes]:
    piece = stream.read(PIECE)
    if piece.startswith(b"\x1f\x8b"):
        yield from _gunzip(chain([piece], iter(lambda: stream.read(PIECE), b"")), name)
        return
    while piece:
        yield piece
        piece = stream.read(PIECE)


def _gunzip(packed: Iterator[bytes], name: str) -> Iterator[bytes]:
    """Unpack pieces; several gzip members in a row are one text (rotated logs, cat a.gz b.gz)."""
    unpack = zlib.decompressobj(wbits=31)
    taken = given = 0
    for piece in packed:
        for at in range(0, len(piece), PACKED):
            rest = piece[at : at + PACKED]
            taken += len(rest)
            while rest:
                if unpack.eof:
                    unpack = zlib.decompressobj(wbits=31)
                out = unpack.decompress(rest, PIECE)
                rest = unpack.unused_data if unpack.eof else unpack.unconsumed_tail
                given += len(out)
                if given > FEW_UNPACKED + taken * MOST_UNPACKED:
                    raise InputError(
                        f"{name}: the gzip data unpacks to more than {MOST_UNPACKED} times its "
                        "size, as no text does; unpack it with gunzip and look at it"
                    )
                if out:
                    yield out
    if not unpack.eof:
        raise EOFError("it ends too early")


def _refuse_binary(piece: bytes, name: str, before: int) -> None:
    """Raise when a piece is no text; ``before`` it were so many bytes."""
    if before == 0 and piece.startswith((b"\xff\xfe", b"\xfe\xff")):
        raise InputError(f"{name}: is UTF-16 text; save it as UTF-8")
    for begin, what in _OTHERS.items():
        if before == 0 and piece.startswith(begin):
            raise InputError(f"{name}: is {what}; unpack it first, or pack it with gzip")
    if b"\0" in piece:
        raise InputError(
            f"{name}: is a binary file (a NUL byte at {before + piece.index(0)}); a text file is "
            "needed"
        )

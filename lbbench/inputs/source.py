"""Reading an input: a file, a gzip file or standard input, in bounded pieces, as bytes."""

from __future__ import annotations

import gzip
import sys
import zlib
from collections.abc import Iterator, Sequence
from pathlib import Path

from lbbench.errors import InputError

PIECE = 1 << 20  # bytes read at once
LONGEST_LINE = 1 << 20  # bytes; what is longer is cut, so that a file without line ends fits memory
STDIN = "<stdin>"


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
        When the file cannot be opened or unpacked, or holds NUL bytes (binary, or UTF-16 text).
    """
    name = named(path)
    try:
        first = True
        for piece in _unpacked(path):
            if b"\0" in piece:
                raise InputError(f"{name}: {_binary(piece, first=first)}")
            yield piece[3:] if first and piece.startswith(b"\xef\xbb\xbf") else piece
            first = False
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
    r"""Yield the lines of ``path``; ``\n``, ``\r\n`` and ``\r`` end a line and are left out."""
    rest = b""
    for piece in pieces(path):
        held = rest + piece
        # a \r at the end may be the first half of \r\n: it waits for the next piece
        whole = len(held) - 1 if held.endswith(b"\r") else len(held)
        cut = max(held.rfind(b"\n", 0, whole), held.rfind(b"\r", 0, whole)) + 1
        yield from held[:cut].splitlines()
        rest = held[cut:]
        if len(rest) > LONGEST_LINE:
            yield rest
            rest = b""
    yield from rest.splitlines()


def read_text(path: str | Path) -> list[str]:
    r"""Return the lines of a text file; bytes that are no UTF-8 are shown as ``\xNN``."""
    return [line.decode("utf-8", "backslashreplace") for line in lines(path)]


def _unpacked(path: str | Path) -> Iterator[bytes]:
    if str(path) == "-":
        yield from _from_stream(sys.stdin.buffer)
        return
    with Path(path).open("rb") as stream:
        yield from _from_stream(stream)


def _from_stream(stream: object) -> Iterator[bytes]:
    read = stream.read  # type: ignore[attr-defined]
    piece = read(PIECE)
    if not piece.startswith(b"\x1f\x8b"):
        while piece:
            yield piece
            piece = read(PIECE)
        return
    unpack = zlib.decompressobj(wbits=31)
    while piece:
        out = unpack.decompress(piece, PIECE)
        if out:
            yield out
        piece = unpack.unconsumed_tail
        if (
            unpack.eof
        ):  # several gzip members in one file are one text (rotated logs, cat a.gz b.gz)
            piece = unpack.unused_data or read(PIECE)
            if piece:
                unpack = zlib.decompressobj(wbits=31)
        elif not piece:
            piece = read(PIECE)
    if not unpack.eof:
        raise EOFError("it ends too early")


def _binary(piece: bytes, *, first: bool) -> str:
    if first and piece.startswith((b"\xff\xfe", b"\xfe\xff")):
        return "is UTF-16 text; save it as UTF-8"
    return f"is a binary file (a NUL byte at {piece.index(0)}); a text file is needed"

"""Hostile files, and files from other systems, for every kind of import."""

from __future__ import annotations

import gzip
import io
import os
import re
import sys
import threading
from pathlib import Path

import pytest
from examples import examples
from guarded import check_sentence, limits, read
from hostile import FILES

from lbbench.errors import InputError, LbbenchError
from lbbench.inputs.source import named
from lbbench.studies.imported import KINDS, read_input

SAID = {
    "nothing": "empty",
    "blank": "empty",
    "nul": r"NUL byte at 1\b",
    "nul late": r"NUL byte at 1800000\b|more than|longer than",
    "utf-16": "UTF-16",
    "gzip cut off": "gzip data is damaged or cut off",
    "gzip damaged": "gzip data is damaged or cut off",
    "gzip and more": "gzip data is damaged or cut off",
    "gzip bomb of one line": "of more than 1 MiB|longer than|more than 100 times its size",
    "zip": "a zip file; unpack it first",
    "bzip2": "a bzip2 file; unpack it first",
    "xz": "an xz file; unpack it first",
    "zstd": "a zstd file; unpack it first",
}
"""What the sentence says whatever the kind; of the others any sentence, or a scenario, is right."""


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory):
    """Return a function that writes a hostile file once, for all kinds."""
    folder = tmp_path_factory.mktemp("hostile")

    def path_of(name: str) -> Path:
        path = folder / name.replace(" ", "-")
        if not path.exists():
            path.write_bytes(FILES[name]())
        return path

    return path_of


@pytest.mark.parametrize("kind", KINDS)
def test_a_hostile_file_is_a_sentence_soon_and_in_little_memory(made, kind: str):
    """Bombs, levels, bytes: 5 s of the processor and half a gigabyte are the limits of each."""
    for name in FILES:
        try:
            became = read(kind, made(name))
        except Exception as error:
            raise AssertionError(f"{kind}, {name}: {error!r}") from error
        if name in SAID:
            assert isinstance(became, str), f"{kind}, {name}: {became}"
            assert re.search(SAID[name], became), f"{kind}, {name}: {became}"


def outcome(kind: str, path: Path | str) -> tuple[object, ...]:
    """Return what an import says of a file, the place of the file left out."""
    try:
        found = read_input(kind, [str(path)])
    except LbbenchError as error:
        return (str(error).replace(named(path), "FILE"),)
    said = [*found.notes, *(f"{line}: {why}" for _, line, why in found.skipped)]
    scenario = {key: value for key, value in found.scenario.items() if key != "name"}
    return (scenario, [note.replace(named(path), "FILE") for note in said])


SENT = {
    "windows": lambda content: content.replace(b"\n", b"\r\n"),
    "old mac": lambda content: content.replace(b"\n", b"\r"),
    "a mark before it": lambda content: b"\xef\xbb\xbf" + content,
    "gzip": gzip.compress,
    "gzip in two members": lambda content: (
        gzip.compress(content[:99]) + gzip.compress(content[99:])
    ),
}


@pytest.mark.parametrize("how", SENT)
@pytest.mark.parametrize("kind", KINDS)
def test_a_file_from_another_system_says_the_same(tmp_path: Path, kind: str, how: str):
    """Scenario, notes and skipped lines of every real file are those of the file itself."""
    path = tmp_path / "input"
    for content in examples(kind):
        unix = content.replace(b"\r\n", b"\n")
        path.write_bytes(unix)
        before = outcome(kind, path)
        path.write_bytes(SENT[how](unix))
        assert outcome(kind, path) == before


@pytest.mark.parametrize("kind", KINDS)
def test_pipes_are_read_like_files(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, kind: str):
    """Standard input, a named pipe."""
    content = examples(kind)[0]
    path, pipe = tmp_path / "input", tmp_path / "pipe"
    path.write_bytes(content)
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(content)))
    assert outcome(kind, "-") == outcome(kind, path)
    os.mkfifo(pipe)
    writer = threading.Thread(target=pipe.write_bytes, args=(content,))
    writer.start()
    assert outcome(kind, pipe) == outcome(kind, path)
    writer.join()


@pytest.mark.parametrize("kind", KINDS)
def test_what_is_no_file_is_a_sentence(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, kind: str):
    """Nothing there, a folder, links in a circle, a file that may not be read, a closed stdin."""
    (tmp_path / "circle").symlink_to(tmp_path / "circle")
    (tmp_path / "locked").write_bytes(examples(kind)[0])
    (tmp_path / "locked").chmod(0)
    for path, said in (
        (tmp_path / "absent", "no such file"),
        (tmp_path, "is a folder"),
        (tmp_path / "circle", "cannot be read"),
        *([] if os.access(tmp_path / "locked", os.R_OK) else [(tmp_path / "locked", "Permission")]),
        (Path("a\0b"), "cannot be read"),
        (Path("a" * 5000), "cannot be read"),
    ):
        with pytest.raises(InputError, match=said):
            read_input(kind, [str(path)])
    monkeypatch.setattr(sys, "stdin", None)
    with pytest.raises(InputError, match="<stdin>: is closed"):
        read_input(kind, ["-"])


BEGIN = {
    "conntrack": b"tcp 6 ",
    "kubernetes": b'{"kind": "',
    "azure": b"name: ",
    "nginx.conf": b"http { ",
    "counts": b"1 ",
}


@pytest.mark.parametrize("kind", KINDS)
def test_a_line_of_200_mb_takes_little_memory(tmp_path: Path, kind: str):
    """It is refused, or counted, before it is held: 160 MB of addresses are enough."""
    path = tmp_path / "long"
    with path.open("wb") as file:
        file.write(BEGIN.get(kind, b""))
        for _ in range(200):
            file.write(b"xy:{ 1}," * (1 << 17))
    try:
        with limits(memory=160 << 20):
            read_input(kind, [str(path)])
    except LbbenchError as error:
        check_sentence(str(error), path)
    finally:
        path.unlink()

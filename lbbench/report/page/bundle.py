"""The Vega libraries as one script, kept on disk: bundling them takes seconds."""

from __future__ import annotations

import hashlib
import os
import re
from contextlib import suppress
from functools import cache
from importlib.metadata import version
from pathlib import Path

from lbbench.core.jit_folder import cache_root

FOLDER = "page"

SNIPPET = "window.vegaEmbed = vegaEmbed;"
"""What the page takes from the libraries."""


@cache
def bundle(vega_lite: str) -> str:
    """Return a script that defines ``vegaEmbed``, ready to stand in a page.

    Parameters
    ----------
    vega_lite
        Version of Vega-Lite, ``6.1``.
    """
    folder = cache_root() / FOLDER
    stem = f"vega-{_plain(version('vl-convert-python'))}-{_plain(vega_lite)}"
    known = _kept(folder, stem)
    if known is not None:
        return known
    import vl_convert

    script = inert(vl_convert.javascript_bundle(SNIPPET, vega_lite))
    _keep(folder, stem, script)
    return script


def inert(script: str) -> str:
    """Return a script that ends only where its element does, whatever its texts hold."""
    return re.sub(r"<(/script|!--)", r"<\\\1", script, flags=re.IGNORECASE)


def _kept(folder: Path, stem: str) -> str | None:
    """Return the script in the cache; None when there is none, or not all of it."""
    for file in sorted(folder.glob(f"{stem}-*.js")) if folder.is_dir() else ():
        with suppress(OSError, UnicodeDecodeError):
            script = file.read_bytes().decode()
            if file.stem == f"{stem}-{_digest(script)}":
                return script
    return None


def _keep(folder: Path, stem: str, script: str) -> None:
    """Put the script into the cache; without a writable one it is made anew the next time."""
    file = folder / f"{stem}-{_digest(script)}.js"
    part = file.with_suffix(f".{os.getpid()}.part")
    with suppress(OSError):
        folder.mkdir(parents=True, exist_ok=True)
        part.write_bytes(script.encode())
        part.replace(file)


def _digest(script: str) -> str:
    return hashlib.sha256(script.encode()).hexdigest()[:16]


def _plain(text: str) -> str:
    return re.sub(r"[^\w.]", "", text)

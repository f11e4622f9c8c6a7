"""The folder on disk that keeps compiled kernels from one process to the next."""

from __future__ import annotations

import os
import shutil
import time
import warnings
from pathlib import Path
from typing import Any

KEEP_SECONDS = 60 * 86_400.0
"""Cache entries that no process has used for this long are dropped."""


def cache_root() -> Path:
    """Return where everything lies that can be made again; it may not be there yet.

    ``LBBENCH_CACHE_DIR`` overrides the user's cache directory (``XDG_CACHE_HOME`` or ``~/.cache``).
    """
    given = os.environ.get("LBBENCH_CACHE_DIR")
    home = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    return Path(given) if given else Path(home) / "lbbench"


def cache_folder() -> Path | None:
    """Return the folder of compiled kernels, or None (with one warning) when none is writable."""
    folder = cache_root() / "kernels"
    try:
        folder.mkdir(parents=True, exist_ok=True)
        probe = folder / f".probe-{os.getpid()}"
        probe.touch()
        probe.unlink()
    except OSError as error:
        warnings.warn(
            f"the cache folder {folder} cannot be written ({error.strerror}); kernels are compiled "
            f"anew in every process; set LBBENCH_CACHE_DIR to a writable folder",
            RuntimeWarning,
            stacklevel=2,
        )
        return None
    return folder


def drop_old_entries(folder: Path, *, now: float | None = None) -> int:
    """Delete cache entries unused for `KEEP_SECONDS`; return how many sub-folders went."""
    limit = (time.time() if now is None else now) - KEEP_SECONDS
    dropped = 0
    for entry in folder.iterdir():
        if not entry.is_dir():
            continue
        newest = max((item.stat().st_mtime for item in entry.iterdir()), default=0.0)
        if newest < limit:
            shutil.rmtree(entry, ignore_errors=True)
            dropped += 1
    return dropped


def enable_cache(dispatcher: Any) -> None:
    """Turn numba's disk cache on for this dispatcher alone, in a folder of its own."""
    from numba.core import config

    folder = cache_folder()
    if folder is None:
        return
    before = config.CACHE_DIR
    config.CACHE_DIR = str(folder / dispatcher.py_func.__qualname__)
    try:
        dispatcher.enable_caching()
    finally:
        config.CACHE_DIR = before
    if not (folder / dispatcher.py_func.__qualname__).exists():
        drop_old_entries(folder)


def index_path(function: Any) -> Path | None:
    """Return the file in which a dispatcher's compiled code is listed; None: it has no cache."""
    cache = getattr(function, "_cache", None)
    file = getattr(cache, "_cache_file", None)
    name = getattr(file, "_index_path", None)
    return Path(name) if name else None

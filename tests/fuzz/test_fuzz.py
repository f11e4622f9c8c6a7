"""Whatever a file holds, an import ends with a scenario or a sentence, soon and in little memory.

A plain run draws the same few hundred files of every kind each time, so that a change is refused
for its own faults alone. The long test draws new ones, for ten minutes a kind or for as many
seconds as LBBENCH_FUZZ_SECONDS says::

    LBBENCH_FUZZ_SECONDS=60 pytest tests/fuzz -m long -k counts
"""

from __future__ import annotations

import contextlib
import os
import secrets
import time
from pathlib import Path

import pytest
from damage import damaged
from grammar import written
from guarded import TooSlowError, limits, read
from hypothesis import HealthCheck, Phase, given, seed, settings
from hypothesis import strategies as st

from lbbench.studies.imported import KINDS

LONG_S = float(os.environ.get("LBBENCH_FUZZ_SECONDS", "600"))
EXAMPLES = 200  # files of one kind in a plain run
ROUND = 300  # files between two looks at the clock in the long test
HOW = {
    "deadline": None,
    "database": None,
    "phases": (Phase.generate,),  # a failing file is shown as it was drawn: shrinking takes minutes
    "suppress_health_check": tuple(HealthCheck),  # large files are drawn on purpose
}


def files(kind: str) -> st.SearchStrategy[bytes]:
    """Return files of a kind: real ones after accidents, nearly right ones, any bytes."""
    return st.one_of(damaged(kind), damaged(kind), written(kind), st.binary(max_size=2000))


def test_the_limits_hold():
    """What would hang is stopped past every ``except``, what would eat the memory has none."""

    def hang() -> None:
        while True:
            with contextlib.suppress(Exception):
                sum(range(1000))

    with pytest.raises(TooSlowError), limits(seconds=0.05):
        hang()
    with pytest.raises(MemoryError), limits(memory=1 << 20):
        bytearray(1 << 30)
    bytearray(64 << 20)


@pytest.mark.parametrize("kind", KINDS)
def test_any_file_gives_a_scenario_or_a_sentence(tmp_path: Path, kind: str):
    """The same files every time."""

    @settings(**HOW, max_examples=EXAMPLES, derandomize=True)
    @given(content=files(kind))
    def check(content: bytes) -> None:
        read(kind, _saved(tmp_path, content))

    check()


@pytest.mark.long
@pytest.mark.parametrize("kind", KINDS)
def test_any_new_file_gives_a_scenario_or_a_sentence(tmp_path: Path, kind: str):
    """New files every time, until the time is over."""
    begin, drawn = time.monotonic(), 0

    def check(content: bytes) -> None:
        nonlocal drawn
        drawn += 1
        read(kind, _saved(tmp_path, content))

    while time.monotonic() - begin < LONG_S:
        how = settings(**HOW, max_examples=ROUND)
        seed(secrets.randbits(64))(how(given(content=files(kind))(check)))()
    print(f"{kind}: {drawn} files in {time.monotonic() - begin:.0f} s")  # noqa: T201


def _saved(folder: Path, content: bytes) -> Path:
    path = folder / "input"
    path.write_bytes(content)
    return path

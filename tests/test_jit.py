"""The jit boundary: hits in a second process, never stale, never shared, same without it."""

from __future__ import annotations

import os
import subprocess
import sys
import textwrap
from pathlib import Path

import numpy as np
import pytest

from lbbench.core import jit, jit_folder

MODULE = """
from typing import NamedTuple
import math
import numpy as np

FACTOR = {factor}

class State(NamedTuple):
    total: np.ndarray  # float64[1]

def helper(x):
    return x * FACTOR + {offset}

def pick(state, x):
    state.total[0] += helper(x)
    return {pick}

def other_pick(state, x):
    return 7.0

def inner(state, x):
    return pick(state, x)

def kernel(state, values, out):
    for i in range(values.size):
        out[i] = inner(state, values[i])
"""

MAIN = """
import sys
sys.path.insert(0, {folder!r})
import numpy as np
import balancers_under_test as m
from lbbench.core.jit import bind
kernel = bind(m.kernel, pick=m.{part})
state, values, out = m.State(np.zeros(1)), np.arange(4.0), np.zeros(4)
was_cached = kernel.is_cached
kernel.prepare(state, values, out)
kernel(state, values, out)
print(was_cached, kernel.cache_hits, out.tolist(), state.total[0])
"""


APART = """
import sys
import numpy as np
from lbbench.core.held import apart
from lbbench.core.jit import bind

MODE = 0

@apart
def inner(values):
    return 10.0 * MODE * values[0]

def kernel(values):
    return inner(values) + 0.0 * inner(values)

if __name__ == "__main__":
    for mode in map(int, sys.argv[1:]):
        print(f"{mode}: {bind(kernel, MODE=mode)(np.ones(1))}")
"""


class Bench:
    """A module on disk, run in fresh processes that share one cache folder."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.write()

    def write(self, *, factor: str = "2.0", offset: str = "1.0", pick: str = "helper(x) + 1.0"):
        """Write the module with these pieces of code in it."""
        text = MODULE.format(factor=factor, offset=offset, pick=pick)
        (self.folder / "balancers_under_test.py").write_text(text)

    def run(self, part: str = "pick", **environment: str) -> str:
        """Return what a fresh process prints."""
        code = MAIN.format(folder=str(self.folder), part=part)
        env = {
            **os.environ,
            "LBBENCH_CACHE_DIR": str(self.folder / "cache"),
            "PYTHONDONTWRITEBYTECODE": "1",
            **environment,
        }
        done = subprocess.run(
            [sys.executable, "-W", "ignore", "-c", textwrap.dedent(code)],
            env=env, capture_output=True, text=True, check=True, timeout=120,
        )  # fmt: skip
        return done.stdout.strip()


@pytest.fixture
def bench(tmp_path: Path) -> Bench:
    return Bench(tmp_path)


def test_a_second_process_starts_from_the_cache(bench: Bench):
    """The first process compiles, the second finds the same kernel on disk."""
    assert bench.run() == "False 0 [2.0, 4.0, 6.0, 8.0] 16.0"
    assert bench.run() == "True 1 [2.0, 4.0, 6.0, 8.0] 16.0"


@pytest.mark.parametrize(
    ("edit", "answer"),
    [
        ({"factor": "3.0"}, "[2.0, 5.0, 8.0, 11.0] 22.0"),
        ({"offset": "2.0"}, "[3.0, 5.0, 7.0, 9.0] 20.0"),
        ({"pick": "helper(x) + 5.0"}, "[6.0, 8.0, 10.0, 12.0] 16.0"),
    ],
    ids=["constant", "helper", "balancer"],
)
def test_an_edit_is_always_seen(bench: Bench, edit: dict[str, str], answer: str):
    """An edited constant, helper or balancer gives the new answer, not the cached one."""
    bench.run()
    bench.write(**edit)
    assert bench.run() == f"False 0 {answer}"


def test_two_balancers_never_share_an_entry(bench: Bench):
    """The same kernel with another part is another entry with its own answer."""
    bench.run()
    assert bench.run("other_pick") == "False 0 [7.0, 7.0, 7.0, 7.0] 0.0"
    assert bench.run() == "True 1 [2.0, 4.0, 6.0, 8.0] 16.0"


def test_kernels_of_several_processes_keep_their_own_inner_functions(tmp_path: Path):
    """Two kernels that differ in a constant, each compiled by another process, meet in a third.

    The function that they call has the same name and types in both, and not the same code.
    """
    (tmp_path / "apart_under_test.py").write_text(APART)

    def run(*modes: int) -> str:
        env = {**os.environ, "LBBENCH_CACHE_DIR": str(tmp_path / "cache")}
        done = subprocess.run(
            [sys.executable, "-W", "ignore", "apart_under_test.py", *map(str, modes)],
            cwd=tmp_path, env=env, capture_output=True, text=True, check=True, timeout=120,
        )  # fmt: skip
        return done.stdout.strip()

    assert run(1) == "1: 10.0"
    assert run(2) == "2: 20.0"
    assert run(1, 2).splitlines() == ["1: 10.0", "2: 20.0"]
    assert run(2, 1).splitlines() == ["2: 20.0", "1: 10.0"]


def test_without_compilation_the_answers_are_the_same(bench: Bench):
    """NUMBA_DISABLE_JIT=1 runs the same kernel as plain Python."""
    plain = bench.run(NUMBA_DISABLE_JIT="1")
    assert plain.split(" ", 2)[2] == bench.run().split(" ", 2)[2]


@pytest.fixture(autouse=True)
def _as_a_new_process():
    jit.forget()


def twice(x):
    return 2.0 * x


def sum_of(values):
    total = 0.0
    for i in range(values.size):
        total += part(values[i])
    return total


def part(x):
    raise NotImplementedError


def test_a_bound_kernel_counts_no_references(monkeypatch, tmp_path):
    """The compiled code holds no reference counting: `_nrt` and `forceinline` do what we need."""
    monkeypatch.setenv("LBBENCH_CACHE_DIR", str(tmp_path))
    kernel = jit.bind(sum_of, part=twice)
    assert kernel(np.arange(5.0)) == 20.0
    assert "NRT_incref" not in kernel.llvm()
    assert "NRT_decref" not in kernel.llvm()


def thrice(x):
    return 3.0 * x


def test_a_process_binds_the_same_kernel_once(monkeypatch, tmp_path):
    """The same code is the same kernel, in memory too; another part is another one."""
    monkeypatch.setenv("LBBENCH_CACHE_DIR", str(tmp_path))
    kernel = jit.bind(sum_of, part=twice)
    assert jit.bind(sum_of, part=twice) is kernel
    other = jit.bind(sum_of, part=thrice)
    assert other is not kernel
    assert (kernel(np.arange(3.0)), other(np.arange(3.0))) == (6.0, 9.0)
    assert jit.bind(sum_of, options={"boundscheck": True}, part=twice) is not kernel


TIMES = 2.0
TABLE = np.array([1.0, 2.0])
shift = 0.0


def shifted(x):
    return x + shift


def scaled(x, by=1.0):
    return shifted(x) * TIMES * TABLE[1] * by


def another_shifted(x):
    return x + 100.0


def with_cell(value):
    def cell(x):
        return x * value

    return cell


def _rename(monkeypatch):
    monkeypatch.setitem(globals(), "shifted", another_shifted)


def _rewrite(monkeypatch):
    monkeypatch.setattr(shifted, "__code__", another_shifted.__code__)


def _rebind(monkeypatch):
    monkeypatch.setitem(globals(), "TIMES", 7.0)


def _retype(monkeypatch):
    monkeypatch.setitem(globals(), "shift", 2)


def _default(monkeypatch):
    monkeypatch.setattr(scaled, "__defaults__", (5.0,))


@pytest.mark.parametrize("edit", [_rename, _rewrite, _rebind, _retype, _default])
def test_an_edit_within_a_process_is_seen(edit, monkeypatch, tmp_path):
    """What was bound before is no answer for code, defaults or globals that changed."""
    monkeypatch.setenv("LBBENCH_CACHE_DIR", str(tmp_path))
    values = np.arange(3.0)
    before = jit.bind(sum_of, part=scaled)
    assert before(values) == jit.plain(sum_of, part=scaled)(values)
    edit(monkeypatch)
    after = jit.bind(sum_of, part=scaled)
    assert after is not before
    assert after(values) == jit.plain(sum_of, part=scaled)(values) != before(values)
    monkeypatch.undo()
    assert jit.bind(sum_of, part=scaled) is before


def test_changed_numbers_of_an_array_are_seen(monkeypatch, tmp_path):
    """An array that the code reads counts by its numbers, as compiled code has them inside."""
    monkeypatch.setenv("LBBENCH_CACHE_DIR", str(tmp_path))
    table = np.array([1.0, 2.0])
    monkeypatch.setitem(globals(), "TABLE", table)
    values = np.arange(3.0)
    assert jit.bind(sum_of, part=scaled)(values) == 12.0
    table[1] = 4.0
    assert jit.bind(sum_of, part=scaled)(values) == 24.0


def test_a_changed_cell_is_seen(monkeypatch, tmp_path):
    """A part that is a closure counts by what it holds now."""
    monkeypatch.setenv("LBBENCH_CACHE_DIR", str(tmp_path))
    part = with_cell(3.0)
    before = jit.bind(sum_of, part=part)
    part.__closure__[0].cell_contents = 4.0
    after = jit.bind(sum_of, part=part)
    assert (before(np.arange(3.0)), after(np.arange(3.0))) == (9.0, 12.0)


def level(x):
    return x + HEIGHT


HEIGHT = 1


def summed_levels(values):
    total = 0.0
    for i in range(values.size):
        total += level(values[i])
    return total


def test_constants_that_are_equal_are_not_the_same(monkeypatch, tmp_path):
    """True, 1 and 1.0 as a part make kernels of their own, and so do 0.0 and -0.0."""
    monkeypatch.setenv("LBBENCH_CACHE_DIR", str(tmp_path))
    made = [jit.bind(summed_levels, HEIGHT=height) for height in (1, True, 1.0, 0.0, -0.0)]
    again = [jit.bind(summed_levels, HEIGHT=height) for height in (1, True, 1.0, 0.0, -0.0)]
    assert len(set(map(id, made))) == len(made)
    assert list(map(id, again)) == list(map(id, made))


def test_what_was_bound_before_needs_no_digest(monkeypatch, tmp_path):
    """The second `bind` of the same parts walks through no code; the memory has a limit."""
    monkeypatch.setenv("LBBENCH_CACHE_DIR", str(tmp_path))
    monkeypatch.setattr(jit, "MOST_REMEMBERED", 2)
    kernel = jit.bind(sum_of, part=scaled)
    with monkeypatch.context() as nothing_walks:
        nothing_walks.setattr(jit, "_Walk", None)
        assert jit.bind(sum_of, part=scaled) is kernel
    for part in (twice, thrice, shifted):
        jit.bind(sum_of, part=part)
    assert len(jit._before) == 2


def test_preparing_again_for_the_same_types_costs_nothing(monkeypatch, tmp_path):
    """A kernel is asked to compile once for arguments of the same types, and again for others."""
    monkeypatch.setenv("LBBENCH_CACHE_DIR", str(tmp_path))
    kernel = jit.bind(sum_of, part=twice)
    assert kernel.prepare(np.arange(3.0)) > 0.0
    assert kernel.prepare(np.arange(5.0)) == 0.0
    assert kernel.prepare(np.arange(5)) > 0.0
    assert len(kernel.function.signatures) == 2


def test_plain_uses_the_parts_without_compiling():
    """`plain` gives an ordinary function with the parts in place."""
    assert jit.plain(sum_of, part=twice)(np.arange(5.0)) == 20.0


def uses_module(x):
    return jit.time.time() + x


def calls_itself(x):
    return calls_itself(x - 1) if x > 0 else 0


def uses_nothing_known(x):
    return surely_undefined(x)  # noqa: F821


@pytest.mark.parametrize(
    ("kernel", "sentence"),
    [
        (uses_module, "is the module"),
        (calls_itself, "calls itself"),
        (uses_nothing_known, "nowhere defined"),
        (lambda x: [x], None),
    ],
)
def test_what_the_digest_cannot_see_is_refused(kernel, sentence, monkeypatch, tmp_path):
    """A module of ours, recursion and undefined names are errors, not silent cache misses."""
    monkeypatch.setenv("LBBENCH_CACHE_DIR", str(tmp_path))
    if sentence is None:
        jit.bind(kernel)
        return
    with pytest.raises(TypeError, match=sentence):
        jit.bind(kernel)


def test_a_read_only_cache_folder_warns_once_and_works(monkeypatch, tmp_path):
    """Where nothing can be written the kernel compiles anyway, with one warning."""
    blocked = tmp_path / "file"
    blocked.write_text("not a folder")
    monkeypatch.setenv("LBBENCH_CACHE_DIR", str(blocked))
    with pytest.warns(RuntimeWarning, match="set LBBENCH_CACHE_DIR"):
        kernel = jit.bind(sum_of, part=twice)
    assert kernel(np.arange(3.0)) == 6.0


def test_old_entries_are_dropped_and_young_ones_kept(tmp_path):
    """Only entries that nobody used for the keeping time are deleted."""
    for name, age in (("old", jit_folder.KEEP_SECONDS + 10), ("young", 10.0)):
        (tmp_path / name).mkdir()
        file = tmp_path / name / "kernel.nbi"
        file.touch()
        os.utime(file, (1e9 - age, 1e9 - age))
    assert jit_folder.drop_old_entries(tmp_path, now=1e9) == 1
    assert [item.name for item in tmp_path.iterdir()] == ["young"]

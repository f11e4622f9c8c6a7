"""Tuples by reference, called functions, indices: compiled code answers as Python does."""

from __future__ import annotations

import re
from typing import NamedTuple

import numpy as np
import pytest

from lbbench.core import jit
from lbbench.core.held import apart, hold, lend


class Inside(NamedTuple):
    """A tuple in another one."""

    rows: np.ndarray  # float64[n]


class Outside(NamedTuple):
    """What kernels are given."""

    factor: float
    inside: Inside
    table: np.ndarray  # float64[m, n]


@pytest.fixture(autouse=True)
def _fresh(monkeypatch, tmp_path):
    monkeypatch.setenv("LBBENCH_CACHE_DIR", str(tmp_path))
    jit.forget()
    yield
    jit.forget()


def add(o, k):
    o.inside.rows[k] += o.factor * o.table[k % 2, k]
    return o.inside.rows[k]


@apart
def add_apart(o, k):
    return step(o, k)


def step(o, k):
    raise NotImplementedError


def held(o):
    place = hold(o)
    total = 0.0
    for k in range(o.inside.rows.size):
        total += step(place, k)
    return total


def held_anew(o):
    """Each turn holds another tuple: what was read of the one before must not be kept."""
    total = 0.0
    for k in range(o.inside.rows.size):
        row = hold(Inside(o.table[k % 2]))
        total += row.rows[k]
    return total


@apart
def all_steps(o):
    total = 0.0
    for k in range(o.inside.rows.size):
        total += add_apart(o, k)
    return total


def lent(o):
    return all_steps(lend(o))


def outside() -> Outside:
    return Outside(3.0, Inside(np.arange(4.0)), np.arange(8.0).reshape(2, 4) ** 2)


@pytest.mark.parametrize("kernel", [held, held_anew, lent])
def test_references_give_the_answers_of_python(kernel):
    """A tuple by reference is read and written like the tuple itself, nested or not."""
    mine, its = outside(), outside()
    assert jit.bind(kernel, step=add)(mine) == jit.plain(kernel, step=add)(its)
    assert np.array_equal(mine.inside.rows, its.inside.rows)


@pytest.mark.skipif(jit.is_disabled(), reason="there is no compiled code")
def test_a_function_apart_is_called_and_the_others_are_not():
    """What is marked stays a function of its own in the machine code; nothing else does."""
    kernel = jit.bind(lent, step=add)
    kernel(outside())
    made = [line for line in kernel.llvm().splitlines() if line.startswith("define")]
    for name, there in (("all_steps", True), ("add_apart", True), ("add", False)):
        named = re.compile(rf"test_held\d+{name}_[0-9a-f]{{24}}B")
        assert any(named.search(line) for line in made) == there, name
    assert "NRT_incref" not in kernel.llvm()


@pytest.mark.skipif(jit.is_disabled(), reason="there is no digest")
def test_the_mark_belongs_to_the_digest():
    """A function that becomes apart is other machine code, so another cache entry."""

    def same(o, k):
        return add(o, k)

    before = jit.bind(held, step=same).digest
    assert jit.bind(held, step=apart(same)).digest != before


def last_first(values):
    total = 0.0
    for k in range(values.size):
        total = 10.0 * total + values[-1 - k]
    return total


def test_somebody_elses_code_may_count_from_the_end():
    """Only our own modules take an index as it is."""
    assert jit.bind(last_first)(np.arange(1.0, 4.0)) == 321.0


@pytest.mark.skipif(jit.is_disabled(), reason="nothing is translated")
def test_a_second_kernel_translates_only_what_is_new():
    """Inner functions are shared by the kernels of a process, by the digest of what they reach."""
    jit.bind(lent, step=add)
    before = dict(jit._inner)
    other = jit.bind(lent, step=twice)
    assert len(jit._inner) == len(before) + 3  # twice, add_apart, all_steps
    jit.bind(held, step=add)
    assert len(jit._inner) == len(before) + 3
    assert other(outside()) == 2.0 * (0 + 1 + 2 + 3)


def twice(o, k):
    return 2.0 * o.inside.rows[k]

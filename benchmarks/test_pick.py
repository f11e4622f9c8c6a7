"""How long does one pick take? Nanoseconds by balancer and number of endpoints, beside others'.

The compiled loop holds the pick, the count of what is outstanding and, for balancers with feedback,
the `done` that follows. Others: the C pickers of ``c/pick.c`` and two Python libraries.
"""

from __future__ import annotations

import pytest

from benchmarks import programs
from benchmarks.instances import Instance
from benchmarks.lookups import KEYS, LOOKUPS, REPEATS, Lookup
from benchmarks.peers import need
from lbbench.balancers.base import registry

PICKS = 20_000
PEER_PICKS = 5_000
SIZES = (16, 256, 4096)
ROUNDS = 5


def _noted(benchmark, picker: str, program: str, nodes: int, ns: float) -> None:
    benchmark.extra_info |= {
        "picker": picker,
        "program": program,
        "nodes": nodes,
        "ns_per_pick": round(ns, 2),
    }


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("name", sorted(registry()))
def test_pick(benchmark, name: str, size: int):
    """Time 20 000 picks of one instance."""
    benchmark.group = f"pick: {size} endpoints"
    instance = Instance(name, size, PICKS)
    benchmark.pedantic(instance.run, rounds=ROUNDS, warmup_rounds=1)
    _noted(benchmark, name, "lbbench", size, benchmark.stats.stats.median / PICKS * 1e9)


@pytest.mark.parametrize(("picker", "nodes"), LOOKUPS)
def test_pick_by_hash(benchmark, picker: str, nodes: int):
    """Time the hash of a key of 12 bytes, and the hash and the search in a ring."""
    benchmark.group = "pick: hash of 12 bytes"
    lookup = Lookup(picker, nodes)
    benchmark.pedantic(lookup.run, rounds=ROUNDS, warmup_rounds=1)
    ns = benchmark.stats.stats.median / (REPEATS * KEYS) * 1e9
    _noted(benchmark, picker, "lbbench", nodes, ns)


def test_pick_in_c(benchmark, available):
    """Let the C program time its own loops; extra_info has all of them."""
    benchmark.group = "pick: hash of 12 bytes"
    available(programs.build, "pick")
    found = benchmark.pedantic(programs.picks, (ROUNDS,), rounds=1)
    benchmark.extra_info |= {"program": "C", "pickers": found}


@pytest.mark.parametrize("size", SIZES)
def test_pick_of_uhashring(benchmark, available, size: int):
    """Time uhashring's ketama ring, a Python library."""
    benchmark.group = f"pick: {size} endpoints"
    available(need, "uhashring")
    import uhashring

    ring = uhashring.HashRing(
        [f"10.1.{i >> 8}.{i & 255}:80" for i in range(size)], hash_fn="ketama"
    )
    keys = [f"10.0.{i >> 8}.{i & 255}" for i in range(PEER_PICKS)]
    benchmark.pedantic(lambda: [ring.get_node(key) for key in keys], rounds=3, warmup_rounds=1)
    _noted(benchmark, "ring", "uhashring", size, benchmark.stats.stats.median / PEER_PICKS * 1e9)


@pytest.mark.parametrize("size", SIZES)
def test_pick_of_jump(benchmark, available, size: int):
    """Time jump-consistent-hash, a Python library written in C."""
    benchmark.group = f"pick: {size} endpoints"
    available(need, "jump")
    import jump

    keys = list(range(PEER_PICKS))
    benchmark.pedantic(lambda: [jump.hash(key, size) for key in keys], rounds=3, warmup_rounds=1)
    _noted(benchmark, "jump", "jump-consistent-hash", size,
           benchmark.stats.stats.median / PEER_PICKS * 1e9)  # fmt: skip

"""What does a fast pick buy? Balance and remap beside the time.

``moved`` is the share of keys that change their endpoint when one of them leaves, ``least`` the
share that has to. Both are only there for balancers that go by the key.
"""

from __future__ import annotations

import pytest

from benchmarks.instances import Instance
from lbbench.balancers.base import registry

PICKS = 20_000
SIZES = (16, 256)


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("name", sorted(registry()))
def test_quality(benchmark, name: str, size: int):
    """Time 20 000 picks; extra_info has how well they were spread."""
    benchmark.group = f"quality: {size} endpoints"
    instance = Instance(name, size, PICKS)
    benchmark.pedantic(instance.run, rounds=3, warmup_rounds=1)
    quality = instance.quality()
    benchmark.extra_info |= {
        "picker": name,
        "nodes": size,
        "ns_per_pick": round(benchmark.stats.stats.median / PICKS * 1e9, 2),
        "max_over_mean": round(quality.max_over_mean, 4),
        "cov": round(quality.cov, 4),
        "moved": quality.moved,
        "least": quality.least,
    }

"""The hash and cookie balancers give the same answers as plain Python and compiled."""

from __future__ import annotations

import numpy as np
import pytest
from golden_replay import kernels, walked

from lbbench.balancers.base import find

CASES = [
    ("azure_lb", {"mapping": "modulo"}),
    ("azure_lb", {"mapping": "rendezvous"}),
    ("azure_lb", {"mapping": "maglev", "table": 251}),
    ("chash", {}),
    ("chashsubset", {"subset_size": 2}),
    ("sticky_balanced", {"change_on_failure": True}),
    ("sticky_balanced", {"change_on_failure": False, "epoch": 0, "pid": 4242}),
    ("sticky_0.21", {}),
    ("sticky_0.21", {"epoch": 0}),
    ("sticky_persistent", {"change_on_failure": True}),
    ("sticky_persistent", {"change_on_failure": False}),
]
COMPILED = {}


@pytest.fixture(autouse=True, scope="module")
def own_cache(tmp_path_factory):
    """Keep compiled code out of the user's cache."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("LBBENCH_CACHE_DIR", str(tmp_path_factory.mktemp("cache")))
        yield


@pytest.mark.parametrize(("name", "options"), CASES)
def test_compiled_and_plain_picks_are_equal(name, options):
    """Picks, cookies, draws used and every array of the state are equal; indices are in bounds."""
    balancer = find(name)
    if name not in COMPILED:
        COMPILED[name] = kernels(balancer)
    plain, compiled, checked = COMPILED[name]
    expected = walked(plain, balancer, **options)
    places = expected[0][0]
    assert places.min() == -1
    assert places.max() == 6
    for kernel in (compiled, checked):
        for ours, theirs in zip(walked(kernel, balancer, **options), expected, strict=True):
            assert ours.dtype == theirs.dtype
            np.testing.assert_array_equal(ours, theirs)


@pytest.mark.parametrize("name", sorted({name for name, _ in CASES}))
def test_compiled_picks_count_no_references(name):
    """The machine code has no reference counting, which would cost most of the speed."""
    balancer = find(name)
    if name not in COMPILED:
        COMPILED[name] = kernels(balancer)
    compiled = COMPILED[name][1]
    walked(compiled, balancer)
    if hasattr(compiled.function, "inspect_llvm"):
        assert "NRT_incref" not in compiled.llvm()

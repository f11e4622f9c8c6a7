"""Balancers of installed packages are found by their names; broken ones are told."""

from __future__ import annotations

import subprocess
import sys
import textwrap
from pathlib import Path

import pytest
from command import Command, says_one_sentence

import lbbench
from lbbench.balancers.base import find, registry
from lbbench.balancers.fault import is_own
from lbbench.errors import BalancerError

GOOD = """
import numpy as np
from typing import NamedTuple
from lbbench.balancers.base import Balancer


class Turn(NamedTuple):
    turn: np.ndarray


def state(params, endpoints):
    return Turn(np.zeros(1, np.int64))


def pick(state, rng, now, key, busy, tried):
    n = len(busy)
    if n == 0:
        return -1
    state.turn[0] += 1
    return state.turn[0] % n


FANCY = Balancer(name="other", level="l7", summary="takes turns", source="a package",
                 state=state, pick=pick)
"""


@pytest.fixture
def package(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """Return a callable that installs a package: its code, its entry points."""
    monkeypatch.syspath_prepend(tmp_path)

    def install(name: str, code: str, *entries: str) -> Path:
        folder = tmp_path / name
        folder.mkdir()
        (folder / "__init__.py").write_text(textwrap.dedent(code), encoding="utf-8")
        info = tmp_path / f"{name}-1.2.dist-info"
        info.mkdir()
        (info / "METADATA").write_text(
            f"Metadata-Version: 2.1\nName: {name}\nVersion: 1.2\n", encoding="utf-8"
        )
        lines = "\n".join(["[lbbench.balancers]", *entries])
        (info / "entry_points.txt").write_text(lines + "\n", encoding="utf-8")
        monkeypatch.delitem(sys.modules, name, raising=False)
        return folder / "__init__.py"

    yield install
    for name in [name for name in sys.modules if name.startswith("fancy_")]:
        del sys.modules[name]


def test_a_package_brings_a_balancer(package, command: Command):
    """It is listed, explained and found by the name of the entry point."""
    package("fancy_lb", GOOD, "fancy = fancy_lb:FANCY")
    assert find("fancy").name == "fancy"
    assert is_own(find("fancy"))
    ended = command("balancers")
    assert ended.code == 0
    assert any(line.startswith("fancy ") for line in ended.out.splitlines())
    assert ended.err == ""
    assert "takes turns" in command("balancers", "fancy").out
    assert "fancy" not in registry()


def test_it_goes_wherever_a_name_goes(package, command: Command):
    """A scenario takes it, and so does a comparison."""
    package("fancy_lb", GOOD, "fancy = fancy_lb:FANCY")
    small = {"stages.ingress.balancer": "fancy", "run.requests": 500}
    result = lbbench.run(lbbench.load("ewma-herding").with_(small), engine="reference")
    assert result.requests["completed"] == 500
    ended = command(
        "compare", "ewma-herding", "--balancers", "random,fancy", "--set", "run.requests=500",
        "--engine", "reference", "--quiet",
    )  # fmt: skip
    assert ended.code == 0, ended.err


def test_a_near_miss_is_named(package):
    """The hint knows the installed ones."""
    package("fancy_lb", GOOD, "fancy = fancy_lb:FANCY")
    with pytest.raises(BalancerError, match="did you mean fancy"):
        find("fanci")


@pytest.mark.parametrize(
    ("code", "entry", "sentence"),
    [
        ("\nimport nowhere_at_all\n", "broken = fancy_bad:X", "fancy_bad/__init__.py:2: importing"),
        (
            "X = 3",
            "broken = fancy_bad:X",
            "(fancy_bad:X) is of type int; it must be a lbbench Balancer",
        ),
        ("X = 3", "broken = fancy_bad:Y", "no attribute 'Y'"),
        ("X = 3", "broken = fancy_absent:Y", "No module named 'fancy_absent'"),
        ("X = (", "broken = fancy_bad:X", "fancy_bad/__init__.py:1: balancer broken of fancy_bad"),
        ("raise SystemExit(3)", "broken = fancy_bad:X", "SystemExit: 3"),
    ],
)
def test_a_broken_one_is_a_sentence(package, command: Command, code, entry, sentence):
    """It is told with its package; the list of the others is whole, and status 0."""
    package("fancy_bad", code, entry)
    ended = command("balancers")
    assert ended.code == 0
    assert sentence in ended.err
    assert "fancy_bad 1.2" in ended.err
    assert ended.err.count("\n") == 1
    assert any(line.startswith("round_robin ") for line in ended.out.splitlines())
    asked = command("balancers", "broken")
    assert says_one_sentence(asked)
    assert sentence in asked.err


def test_a_built_in_name_cannot_be_taken(package, command: Command):
    """The built-in one stays; the clash is told."""
    package("fancy_lb", GOOD, "ewma = fancy_lb:FANCY")
    assert find("ewma") is registry()["ewma"]
    ended = command("balancers")
    assert "balancer ewma of fancy_lb 1.2 (fancy_lb:FANCY) is not used" in ended.err
    assert sum(line.startswith("ewma ") for line in ended.out.splitlines()) == 1


def test_two_packages_cannot_have_the_same_name(package):
    """Which one would be meant is not guessed."""
    package("fancy_a", GOOD, "fancy = fancy_a:FANCY")
    package("fancy_b", GOOD, "fancy = fancy_b:FANCY")
    with pytest.raises(BalancerError, match=r"declared twice, by .*fancy_a.* and by .*fancy_b"):
        find("fancy")


def test_help_looks_for_no_package():
    """The list of what is installed is read only for a name that is not built in."""
    code = (
        "import sys\nsys.argv = ['lbbench', '--help']\nfrom lbbench.cli import main\n"
        "try: main()\nexcept SystemExit: pass\n"
        "print('lbbench.balancers.installed' in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.splitlines()[-1] == "False"

"""Start-up is instant: importing the package or asking for help loads no slow library."""

from __future__ import annotations

import json
import subprocess
import sys

import pytest

SLOW = {
    "numba", "llvmlite", "simpy", "scipy", "polars", "altair", "hdrh", "numpy", "ruamel",
    "dask", "distributed", "jinja2", "vl_convert",
}  # fmt: skip

CALL = """
sys.argv = ['lbbench', {0}'--help']
from lbbench.cli import main
try: main()
except SystemExit: pass
"""

CODE = """
import json, sys
{0}
print(json.dumps(sorted({{name.partition('.')[0] for name in sys.modules}})), file=sys.stderr)
"""


def modules_after(code: str) -> set[str]:
    """Return the libraries that a fresh process has loaded after ``code``."""
    done = subprocess.run(
        [sys.executable, "-c", CODE.format(code)], capture_output=True, text=True, check=True
    )
    return set(json.loads(done.stderr.splitlines()[-1]))


@pytest.mark.parametrize(
    "code",
    [
        "import lbbench; lbbench.__version__",
        "import lbbench.cli, lbbench.cli.app",
        CALL.format(""),
        CALL.format("'run', "),
    ],
    ids=["package", "command line", "help", "help of a command"],
)
def test_slow_libraries_are_not_loaded(code):
    """None of numba, numpy, scipy and the like is loaded before there is work for it."""
    assert modules_after(code) & SLOW == set()


def test_loading_a_scenario_loads_no_numeric_library():
    """A scenario is read and checked without numba, scipy, polars or simpy."""
    loaded = modules_after("import lbbench; lbbench.load('ewma-herding')")
    assert loaded & {"numba", "scipy", "polars", "simpy", "hdrh"} == set()
    assert "pydantic" in loaded  # the check looks at the right process


def test_the_lazy_names_of_the_package_are_there():
    """Every name in ``__all__`` can be had from the package, and unknown ones are an error."""
    import lbbench

    assert all(getattr(lbbench, name) is not None for name in lbbench.__all__)
    assert set(lbbench.__all__) <= set(dir(lbbench))
    with pytest.raises(AttributeError, match="no attribute 'nothing'"):
        _ = lbbench.nothing

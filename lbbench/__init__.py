"""lbbench: the load-balancing chain of a Kubernetes cluster, simulated with the real algorithms."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from lbbench.inputs.yaml import load
    from lbbench.model.result import Result
    from lbbench.model.scenario import Scenario
    from lbbench.studies.compare import compare
    from lbbench.studies.planning.plan import plan
    from lbbench.studies.run import run
    from lbbench.studies.study import Study
    from lbbench.studies.sweep import sweep

__version__ = "0.1.0"

__all__ = ["Result", "Scenario", "Study", "__version__", "compare", "load", "plan", "run", "sweep"]

_HOMES = {
    "Result": "lbbench.model.result",
    "Scenario": "lbbench.model.scenario",
    "Study": "lbbench.studies.study",
    "compare": "lbbench.studies.compare",
    "load": "lbbench.inputs.yaml",
    "plan": "lbbench.studies.planning.plan",
    "run": "lbbench.studies.run",
    "sweep": "lbbench.studies.sweep",
}
# Imported at the first use: `import lbbench` stays instant and pulls in no numeric library.


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module 'lbbench' has no attribute {name!r}")
    return getattr(import_module(_HOMES[name]), name)


def __dir__() -> list[str]:
    return sorted(__all__)

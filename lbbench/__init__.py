"""lbbench: the load-balancing chain of a Kubernetes cluster, simulated with the real algorithms."""

from __future__ import annotations

from typing import Any

__version__ = "0.1.0"

__all__ = ["__version__", "load", "run"]


def __getattr__(name: str) -> Any:
    if name == "load":
        from lbbench.inputs.yaml import load

        return load
    if name == "run":
        from lbbench.studies.run import run

        return run
    raise AttributeError(f"module 'lbbench' has no attribute {name!r}")

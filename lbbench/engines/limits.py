"""What the engines cannot run yet, refused with a sentence instead of being ignored."""

from __future__ import annotations

from lbbench.errors import RunError
from lbbench.model.scenario import Scenario


def refuse_what_is_missing(scenario: Scenario) -> None:
    """Raise RunError when ``scenario`` asks for something that this version does not simulate."""
    asked = {
        "cluster.pod.cfs": scenario.cluster.pod.cfs not in (None, "none"),
    }
    missing = [name for name, is_asked in asked.items() if is_asked]
    if missing:
        raise RunError(
            f"{scenario.name}: {missing[0]} is accepted in scenarios but not simulated by this "
            f"version; remove it to run the rest"
        )

"""One entrant at one job, in this process: what the benchmarks put beside the cost of a pick."""

from __future__ import annotations

from lbbench.model.scenario import Scenario
from lbbench.studies.league.figures import Figure, figures_of
from lbbench.studies.league.jobs import Entrant
from lbbench.studies.run import Engine, replication, sum_up, tallies, together, warmup_segments


def alone(scenario: Scenario, entrant: Entrant, *, engine: Engine = "fast") -> dict[str, Figure]:
    """Return the figures of one entrant over the replications of a job.

    The warm-up is its own, where the league takes the largest of all entrants.

    Raises
    ------
    LbbenchError
        When the entrant cannot do the job.
    """
    variant = scenario.with_(dict(entrant.values))
    parts = [replication(variant, n, engine=engine) for n in range(variant.run.replications)]
    outcomes = together(parts).outcomes
    first = warmup_segments(outcomes)
    results = [sum_up(variant, part, warmup_segments=first) for part in parts]
    return figures_of(results, tallies(outcomes), first)

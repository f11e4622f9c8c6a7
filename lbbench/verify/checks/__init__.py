"""The checks by topic; every file gives its own in the order in which they are shown."""

from __future__ import annotations

from lbbench.verify.suite import Check


def all_checks() -> tuple[Check, ...]:
    """Return every check of the suite.

    The files are imported here, when the suite is asked for.
    """
    from lbbench.verify.checks import (
        balls,
        choices,
        hashing,
        layer4,
        losses,
        moving_average,
        queues,
        replications,
        retries,
        rings,
        sharing,
        times,
    )

    topics = (
        queues, sharing, choices, losses, layer4, balls, hashing, rings, moving_average, retries,
        times, replications,
    )  # fmt: skip
    return tuple(check for topic in topics for check in topic.checks())

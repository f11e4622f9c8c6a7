"""What is told about a plan while it is made."""

from __future__ import annotations


class Watcher:
    """Hears how a plan goes; this one keeps silent."""

    def tries(self, balancer: str, text: str) -> None:
        """Hear what the search of a balancer looks at now."""

    def answered(self, balancer: str, text: str) -> None:
        """Hear the answer of a balancer."""

    def stand(self, done: int, asked: int) -> None:
        """Hear how many replications are done, of those asked for so far."""

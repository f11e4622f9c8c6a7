"""What the steady loops do with a request's slot, and how they give up."""

from __future__ import annotations

from lbbench.engines.steady.world import N_FREE, N_STRAYED, Steady


def free_slot(w: Steady, slot: int) -> None:
    """Give the slot back."""
    w.free[w.number[N_FREE]] = slot
    w.number[N_FREE] += 1


def stray(w: Steady) -> None:
    """Say that this run is not steady: the general kernel has to take it from the start."""
    w.number[N_STRAYED] = 1

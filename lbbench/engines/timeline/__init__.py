"""The control plane, played before the run: what becomes of the cluster and of everybody's view."""

from lbbench.engines.timeline.life import ChangeNote, Life, life_of

__all__ = ["ChangeNote", "Life", "life_of"]

"""A step that changes somebody's view, with the changes of the timeline behind it."""

from __future__ import annotations

from typing import NamedTuple

from lbbench.engines.script import Step
from lbbench.engines.timeline.track import Notes


class View(NamedTuple):
    """A VIEW step (or the CUT that goes with one)."""

    step: Step
    notes: Notes

"""The latency percentiles of every point of a study, in the format of the HDR histogram tools."""

from __future__ import annotations

import json

import numpy as np

from lbbench.core.histogram import hgrm
from lbbench.stats.latency import counts_from
from lbbench.studies.gathered import gathered
from lbbench.studies.run import Progress
from lbbench.studies.schedule import conditions
from lbbench.studies.study import Study


def percentiles(study: Study, progress: Progress | None = None) -> dict[int, str]:
    """Return ``.hgrm`` text by the number of the point, of those that have a result, in ms.

    The replications are merged; the warm-up is the one that is common to all points which met the
    same requests. A comment line tells the values of the axes.
    """
    texts: dict[int, str] = {}
    for done, group in enumerate(conditions(study.points)):
        first, evidence = gathered({member.number: study.rows(member) for member in group})
        for member in group:
            counts = [counts_from(item, first) for item in evidence[member.number].values()]
            if counts:
                values = json.dumps(dict(member.values), ensure_ascii=False)
                texts[member.number] = f"{hgrm(np.sum(counts, axis=0))}#[Point {values}]\n"
        if progress is not None:
            progress("reading", done, None)
    return dict(sorted(texts.items()))

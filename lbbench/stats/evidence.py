"""What is left of a run's counts once it is over, small enough to be kept for every replication.

The numbers by segment, and the latency histograms of groups of segments: those at which a warm-up
may end stand alone, the rest are added up. So a warm-up can be chosen afterwards, the same for all
that is compared, and percentiles come from merged histograms, whoever ran the parts.

`Evidence` has the fields of a `Tally` that `stats/intervals.py` reads, and takes its place there.
"""

from __future__ import annotations

import json
import zlib
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from lbbench.core.histogram import FINE, decoded, encoded
from lbbench.model.tally import SEGMENTS, RunShape, Tally
from lbbench.stats.intervals import MOST_DROPPED, given_warmup, settle

_SEGMENT_NUMBERS = ("offered", "completed", "failed", "unfinished", "latency_sum")


class Evidence(NamedTuple):
    """One replication; int64 unless said, S segments in G groups, H buckets."""

    offered: np.ndarray  # [S]
    completed: np.ndarray  # [S]
    failed: np.ndarray  # [S]
    unfinished: np.ndarray  # [S]
    latency_sum: np.ndarray  # [S] nanoseconds
    segment_start: np.ndarray  # float64[S + 1]
    edges: np.ndarray  # [G + 1] first segment of each group, and S
    latency_counts: np.ndarray  # [G, H]
    warmup_s: float  # given warm-up in seconds; -1: to be found


def evidence_of(tally: Tally, shape: RunShape, *, whole: bool = False) -> Evidence:
    """Return what is kept of a run.

    ``whole`` leaves every segment by itself, as the batches of a single run need it.
    """
    edges = np.arange(SEGMENTS + 1) if whole else _edges(shape.warmup_s)
    return Evidence(
        **{name: getattr(tally, name) for name in _SEGMENT_NUMBERS},
        segment_start=tally.segment_start,
        edges=edges,
        latency_counts=_grouped(tally.latency_counts, edges),
        warmup_s=shape.warmup_s,
    )


def _grouped(counts: np.ndarray, edges: np.ndarray) -> np.ndarray:
    """Return the sums of the rows of each group, int64[G, H]; most groups are a single row."""
    made = np.empty((len(edges) - 1, counts.shape[1]), counts.dtype)
    for row, first, last in zip(made, edges[:-1], edges[1:], strict=True):
        if last - first == 1:
            row[:] = counts[first]
        else:
            counts[first:last].sum(axis=0, out=row)
    return made


def common_warmup(points: Sequence[Sequence[Evidence]]) -> int:
    """Return the segments that are warm-up for all ``points``: the most that one of them needs.

    Each is a list of replications; only their numbers are looked at. 0 when none has any.
    """
    return max((_warmup(replications) for replications in points if replications), default=0)


def pack(evidence: Evidence) -> tuple[bytes, str]:
    """Return the numbers by segment, compressed, and the histograms as text.

    The histograms are ``[[first segment, behind the last, text], ...]``, each text in the
    interchange encoding (V2) of the HDR histogram tools; groups without a latency are left out.
    """
    whole = np.stack([getattr(evidence, name) for name in _SEGMENT_NUMBERS]).astype("<i8")
    floats = np.r_[evidence.segment_start, evidence.warmup_s].astype("<f8")
    spans = zip(evidence.edges[:-1].tolist(), evidence.edges[1:].tolist(), strict=True)
    histograms = [
        [first, last, encoded(row) if row.any() else ""]
        for (first, last), row in zip(spans, evidence.latency_counts, strict=True)
    ]
    numbers = zlib.compress(whole.tobytes() + floats.tobytes())
    return numbers, json.dumps(histograms, separators=(",", ":"))


def unpack_numbers(numbers: bytes) -> Evidence:
    """Return what `pack` made into bytes, without any histogram."""
    raw = zlib.decompress(numbers)
    size = len(_SEGMENT_NUMBERS) * SEGMENTS * 8
    whole = np.frombuffer(raw[:size], "<i8").reshape(len(_SEGMENT_NUMBERS), SEGMENTS)
    floats = np.frombuffer(raw[size:], "<f8")
    return Evidence(
        **dict(zip(_SEGMENT_NUMBERS, whole.astype(np.int64), strict=True)),
        segment_start=floats[:-1].astype(np.float64),
        edges=np.array([SEGMENTS], np.int64),
        latency_counts=np.zeros((0, FINE), np.int64),
        warmup_s=float(floats[-1]),
    )


def with_histograms(numbers: Evidence, histograms: str, first: int | None = None) -> Evidence:
    """Return evidence with the histograms that `pack` made into text.

    With ``first`` those of the segments from there on are added up into one (200 kB instead of
    megabytes), without all groups stay.

    Raises
    ------
    ValueError
        When the histograms of segments on both sides of ``first`` have been added up.
    """
    groups = json.loads(histograms)
    edges = [*(at for at, _, _ in groups), SEGMENTS]
    if first is None:
        counts = np.zeros((len(groups), FINE), np.int64)
        for row, (_, _, text) in zip(counts, groups, strict=True):
            if text:
                row[:] = decoded(text)
        return numbers._replace(edges=np.array(edges, np.int64), latency_counts=counts)
    if first not in edges:
        raise ValueError(f"the histograms cannot be cut at segment {first}, only at {edges}")
    counts = np.zeros((1, FINE), np.int64)
    for at, _, text in groups:
        if at >= first and text:
            counts[0] += decoded(text)
    return numbers._replace(edges=np.array([first, SEGMENTS], np.int64), latency_counts=counts)


def _warmup(replications: Sequence[Evidence]) -> int:
    given = replications[0].warmup_s
    if given < 0.0:
        return settle(replications)
    return given_warmup([item.segment_start for item in replications], given)


def _edges(warmup_s: float) -> np.ndarray:
    """Return where groups of segments begin: wherever a warm-up may end.

    A given one ends where the replication that needs most segments for it has it, and others keep
    what that one needs: any segment.
    """
    if warmup_s > 0.0:
        return np.arange(SEGMENTS + 1)
    return np.array([*range(MOST_DROPPED + 1 if warmup_s < 0.0 else 1), SEGMENTS], np.int64)

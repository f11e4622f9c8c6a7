"""An ingress-nginx access log: what was asked, which pods answered, how long it took.

Columns are in memory while they are short, else in a temporary file; clients and URIs likewise.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from lbbench.inputs.access_log import columns
from lbbench.inputs.access_log.texts import Texts
from lbbench.inputs.source import Skipped

COLUMNS = (
    "end", "fraction", "request_time", "service", "status", "attempts", "client", "key", "backend",
    "upstream",
)  # fmt: skip
"""Names of the columns of an `AccessLog`."""


@dataclass(frozen=True, slots=True)
class AccessLog:
    """Requests as columns, in the order of the lines; index columns refer to the tuples of texts.

    ``service`` is the response time of the attempt that counts: an upper bound of the service time,
    because it contains the queueing at the pod.
    """

    end: np.ndarray  # int64[n], whole seconds since 1970: when the line was written
    fraction: np.ndarray  # float32[n], what the log says of the place in that second; NaN: nothing
    request_time: np.ndarray  # float64[n], seconds, NaN for "-"
    service: np.ndarray  # float64[n], seconds, NaN without an answer of an upstream
    status: np.ndarray  # int16[n], sent to the client
    attempts: np.ndarray  # uint8[n], upstreams tried
    client: np.ndarray  # int32[n]
    key: np.ndarray  # int32[n], the URI
    backend: np.ndarray  # int32[n], namespace-service-port
    upstream: np.ndarray  # int32[n], of the attempt that counts, -1: none but the default backend
    clients: Texts
    keys: Texts
    backends: tuple[str, ...]
    upstreams: tuple[str, ...]  # addresses of pods, the controller's default backend left out
    starts: np.ndarray  # int64[files], first row of every file
    tried: dict[tuple[str, str], int]  # attempts by (backend, upstream)
    answered: dict[
        tuple[str, str], int
    ]  # requests by (backend, upstream of the attempt that counts)
    failed: dict[tuple[str, str], int]  # those followed by another attempt or answered by FAILED
    older_lines: int  # in the format of 2018/19
    default_backend_lines: int
    multi_attempt_lines: int
    lost_blanks: int
    files: tuple[str, ...]
    lines: int  # all lines that are not empty
    n_skipped: int
    skipped: tuple[Skipped, ...]  # the first ten
    notes: tuple[str, ...]

    def __len__(self) -> int:
        """Return the number of requests that were read."""
        return len(self.end)

    def requests_by_upstream(self) -> dict[str, int]:
        """Return how many requests each upstream answered last, by address."""
        counts = dict.fromkeys(self.upstreams, 0)
        for (_, upstream), n in self.answered.items():
            counts[upstream] += n
        return counts

    def requests_by_backend(self) -> dict[str, int]:
        """Return how many requests reached a pod of each backend, the most frequent first."""
        counts = dict.fromkeys(self.backends, 0)
        for (backend, _), n in self.answered.items():
            counts[backend] += n
        return {
            name: counts[name] for name in sorted(counts, key=lambda n: -counts[n]) if counts[name]
        }

    def blocks(self, *names: str) -> Iterator[list[np.ndarray]]:
        """Yield the columns called ``names`` in pieces, one in memory at a time."""
        for _, block in columns.blocks(*(getattr(self, name) for name in names)):
            yield block

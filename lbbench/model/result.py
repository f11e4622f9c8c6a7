"""What a run found out: the result document, its JSON and its figures by name."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from dataclasses import dataclass, fields, replace
from pathlib import Path
from typing import Any, Literal

from lbbench.errors import InputError, LbbenchError

SCHEMA = "lbbench.result/1"

CLOCK_FIELDS = ("created", "machine", "startup_s", "compile_s", "wall_s", "requests_per_s")
"""What depends on when and where a run took place; all else depends on its input alone."""

_LATENCIES = ("mean", "p50", "p90", "p95", "p99", "p999", "max")

METRICS = (
    *(f"latency.{name}" for name in _LATENCIES),
    "error_rate",
    "attainment",
    "utilisation.max",
)
"""Names that `Result.metric` and objectives know."""

Table = Literal["metrics", "pods", "targets", "windows"]


@dataclass(frozen=True, kw_only=True)
class Result:
    """The outcome of one scenario under one seed; times in seconds, shares 0 .. 1.

    Counts (`requests`, the connections and requests of targets and pods) cover the whole run.
    Latency, shares, balance and utilisation cover what is after the warm-up.

    Attributes
    ----------
    name, version, engine, seed, scenario
        What was run: the resolved scenario, by which engine of which version of the package.
    created, machine, startup_s, compile_s, wall_s, requests_per_s
        When, where, how long; see `CLOCK_FIELDS`. None until `timed` fills them.
    time_s
        ``simulated`` (until the last answer) and ``warmup``; means over the replications.
    requests
        ``offered = completed + failed + unfinished``, ``attempts``, ``retried``, ``saved`` (failed
        first and answered after a retry), ``by_error``.
    stages
        In the order of the path, each with its ``targets`` and their ``balance``.
    pods
        ``requests`` counts attempts, retries included; ``share`` is the share of these. A pod that
        is not there the whole run has ``from_s`` and ``to_s`` (None: to the end).
    latency_s, latency_by_stage_s, failed_latency_s
        Answered requests; the parts of their latency; failed requests.
    affinity, windows, slo, warnings, network
        See the documentation of the result's schema. ``slo`` is None without objectives.
    changes
        What happened to the cluster, in order: ``at_s``, ``what``, then seconds after ``at_s``
        until the API's list (``list_changed_s``), the first view (``detect_s``), the last one
        (``reroute_s``) followed and the windows were as before (``recover_s``), None for never;
        and ``dead``: ``attempts`` sent to pods that took none, ``from_s`` .. ``to_s``. How each is
        worked out stands in ``lbbench/stats/changes.py``. Empty without a timeline.
    flows
        Answered requests of the whole run by where they went: for two neighbouring stages the
        targets of the first (``from``), of the second (``to``), ``requests[from][to]``. Empty above
        1024 pods.
    observed
        What an importer counted in the real system, to stand beside the simulated; left out of the
        JSON when there is nothing.
    """

    schema: str = SCHEMA
    name: str
    version: str
    engine: str
    seed: int
    scenario: Mapping[str, Any]
    created: str | None = None
    machine: Mapping[str, Any] | None = None
    startup_s: float | None = None
    compile_s: float | None = None
    wall_s: float | None = None
    requests_per_s: float | None = None
    time_s: Mapping[str, Any]
    requests: Mapping[str, Any]
    stages: tuple[Mapping[str, Any], ...]
    pods: tuple[Mapping[str, Any], ...]
    latency_s: Mapping[str, Any]
    latency_by_stage_s: Mapping[str, Any]
    failed_latency_s: Mapping[str, Any]
    affinity: Mapping[str, Any]
    windows: tuple[Mapping[str, Any], ...]
    changes: tuple[Mapping[str, Any], ...] = ()
    slo: Mapping[str, Any] | None = None
    warnings: tuple[str, ...] = ()
    network: Mapping[str, Any]
    flows: tuple[Mapping[str, Any], ...] = ()
    observed: Mapping[str, Any] | None = None

    @property
    def latency(self) -> Mapping[str, Any]:
        """Return the latency block: n, mean, percentiles, max, intervals."""
        return self.latency_s

    def metric(self, name: str) -> float | None:
        """Return a figure by the name that objectives use, None when nothing was counted.

        Raises
        ------
        InputError
            When there is no such figure.
        """
        if name not in METRICS:
            raise InputError(f"metric {name!r} is unknown; the metrics are: {', '.join(METRICS)}")
        if name == "error_rate":
            offered = self.requests["offered"]
            return self.requests["failed"] / offered if offered else None
        if name == "attainment":
            return self._attainment()
        if name == "utilisation.max":
            known = [p["utilisation"] for p in self.pods if p["utilisation"] is not None]
            return max(known, default=None)
        value = self.latency_s[name.removeprefix("latency.")]
        return None if value is None else float(value)

    def _attainment(self) -> float | None:
        """Return the attainment of the objectives; without any, the share that was answered."""
        if self.slo is not None and self.slo["attainment"] is not None:
            return float(self.slo["attainment"])
        offered = self.requests["offered"]
        return self.requests["completed"] / offered if offered else None

    def timed(
        self,
        *,
        created: str | None = None,
        machine: Mapping[str, Any] | None = None,
        startup_s: float | None = None,
        compile_s: float | None = None,
        wall_s: float | None = None,
    ) -> Result:
        """Return a copy with its clock fields set; ``requests_per_s`` is offered / wall_s."""
        rate = self.requests["offered"] / wall_s if wall_s else None
        return replace(
            self,
            created=created,
            machine=machine,
            startup_s=startup_s,
            compile_s=compile_s,
            wall_s=wall_s,
            requests_per_s=rate,
        )

    def to_dict(self, *, clock: bool = True) -> dict[str, Any]:
        """Return the document, in the order of the schema; NaN and infinity become None.

        ``clock=False`` leaves `CLOCK_FIELDS` and ``engine`` out: what is left is equal for every
        run of the same scenario, seed and version, by whichever engine.
        """
        left_out = set() if clock else {*CLOCK_FIELDS, "engine"}
        if self.observed is None:
            left_out.add("observed")
        names = [field.name for field in fields(self) if field.name not in left_out]
        return {name: _plain(getattr(self, name)) for name in names}

    def to_json(self, *, clock: bool = True) -> str:
        """Return the document as JSON text, the same characters for the same content."""
        document = self.to_dict(clock=clock)
        return json.dumps(document, ensure_ascii=False, allow_nan=False, indent=1) + "\n"

    @classmethod
    def from_json(cls, text: str) -> Result:
        """Return the result that `to_json` wrote.

        Raises
        ------
        InputError
            When ``text`` is no result, or one of another schema.
        """
        try:
            document = json.loads(text)
        except json.JSONDecodeError as error:
            raise InputError(f"line {error.lineno}: no JSON, so no result: {error.msg}") from None
        if not isinstance(document, dict):
            document = {}
        return cls.from_dict(document)

    @classmethod
    def from_dict(cls, document: Mapping[str, Any]) -> Result:
        """Return the result that `to_dict` gave; clock fields that were left out are None.

        Raises
        ------
        InputError
            When it is no result, or one of another schema.
        """
        schema = document.get("schema")
        if schema != SCHEMA:
            raise InputError(f"schema = {schema!r}: this version reads {SCHEMA} only")
        known = {field.name for field in fields(cls)}
        missing = known - set(document) - {"observed", "changes", "flows", *CLOCK_FIELDS}
        if missing:
            raise InputError(f"{min(missing)} is missing: the result is incomplete")
        kept = {name: value for name, value in document.items() if name in known}
        for name in ("stages", "pods", "windows", "changes", "warnings", "flows"):
            kept[name] = tuple(kept.get(name, ()))
        return cls(**kept)

    def save(self, path: str | Path) -> Path:
        """Write the JSON to ``path`` (into a folder: ``result.json`` there) and return the file."""
        text = self.to_json()
        file = Path(path)
        file = file / "result.json" if file.is_dir() else file
        try:
            file.write_text(text, encoding="utf-8")
        except OSError as error:
            raise LbbenchError(f"{file}: cannot write the result: {error.strerror}") from None
        return file

    def to_polars(self, table: Table = "metrics") -> Any:
        """Return a polars DataFrame: all figures by name, or one row per pod, target or window."""
        import polars as pl

        if table == "metrics":
            rows = [{"metric": name, "value": self.metric(name)} for name in METRICS]
            whole = {"name": self.name, "engine": self.engine, "seed": self.seed}
            schema = {"name": str, "engine": str, "seed": int, "metric": str, "value": float}
            return pl.DataFrame([{**whole, **row} for row in rows], schema=schema)
        if table == "pods":
            return pl.DataFrame([_flat(_plain(pod)) for pod in self.pods], infer_schema_length=None)
        if table == "windows":
            return pl.DataFrame(_plain(self.windows), infer_schema_length=None)
        targets = [
            {"stage": stage["name"], "balancer": stage["balancer"], **_plain(target)}
            for stage in self.stages
            for target in stage["targets"]
        ]
        return pl.DataFrame(targets, infer_schema_length=None)


def _plain(value: Any) -> Any:
    """Return ``value`` as dicts, lists and scalars of JSON, which has no NaN and no infinity."""
    if isinstance(value, Mapping):
        return {str(key): _plain(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [_plain(item) for item in value]
    if hasattr(value, "tolist"):  # a numpy array or scalar
        return _plain(value.tolist())
    if isinstance(value, float) and not math.isfinite(value):
        return None
    return value


def _flat(row: Mapping[str, Any]) -> dict[str, Any]:
    """Return ``row`` with the keys of nested blocks joined by dots."""
    flat: dict[str, Any] = {}
    for key, value in row.items():
        if isinstance(value, Mapping):
            flat.update({f"{key}.{inner}": item for inner, item in _flat(value).items()})
        else:
            flat[key] = value
    return flat

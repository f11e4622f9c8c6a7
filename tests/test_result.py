"""Result: the document has the schema's fields in its order, survives JSON, and finds figures."""

from __future__ import annotations

import json
import math
from dataclasses import FrozenInstanceError, fields, replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from lbbench.errors import InputError, LbbenchError
from lbbench.model.result import CLOCK_FIELDS, METRICS, SCHEMA, Result

# The order of the published schema, lbbench.result/1.
PUBLISHED = [
    "schema",
    "name",
    "version",
    "engine",
    "seed",
    "scenario",
    "created",
    "machine",
    "startup_s",
    "compile_s",
    "wall_s",
    "requests_per_s",
    "time_s",
    "requests",
    "stages",
    "pods",
    "latency_s",
    "latency_by_stage_s",
    "failed_latency_s",
    "affinity",
    "windows",
    "changes",
    "slo",
    "warnings",
    "network",
    "flows",
]

NUMBERS = (
    st.none() | st.integers(-(2**53), 2**53) | st.floats(allow_nan=False, allow_infinity=False)
)
DOCUMENTS = st.dictionaries(
    st.text(max_size=8), st.recursive(NUMBERS | st.text(), st.lists, max_leaves=8), max_size=4
)


def made(**changed):
    """Return a small result."""
    latency = {"n": 9, "mean": 0.1, "p50": 0.1, "p90": 0.2, "p95": 0.2, "p99": 0.3, "p999": 0.3}
    content = {
        "name": "small",
        "version": "0.1.0",
        "engine": "fast",
        "seed": 1,
        "scenario": {"name": "small"},
        "time_s": {"simulated": 1.0, "warmup": 0.0},
        "requests": {"offered": 10, "completed": 9, "failed": 1, "unfinished": 0},
        "stages": (
            {
                "name": "azure_lb",
                "balancer": "azure_lb",
                "targets": [
                    {"name": "node-0", "connections": 4, "requests": 10, "share": 1.0},
                ],
            },
        ),
        "pods": (
            {"name": "pod-0", "utilisation": 0.7, "in_flight": {"mean": 0.5, "max": 2}},
            {"name": "pod-1", "utilisation": None, "in_flight": {"mean": None, "max": 0}},
        ),
        "latency_s": {**latency, "max": 0.4, "ci95": {"mean": [0.09, 0.11], "from": "batches"}},
        "latency_by_stage_s": {},
        "failed_latency_s": {"n": 1},
        "affinity": {"requests": 0},
        "windows": ({"start_s": 0.0, "end_s": 1.0, "requests": 10, "per_pod": [5, 5]},),
        "network": {"cross_node_fraction": 0.5},
    }
    return Result(**{**content, **changed})


def test_fields_stand_in_the_order_of_the_schema():
    """Names and order are the published ones; what was observed comes last, if there is any."""
    assert [field.name for field in fields(Result)] == [*PUBLISHED, "observed"]
    assert list(made().to_dict()) == PUBLISHED
    assert list(json.loads(made(observed={"pods": {}}).to_json())) == [*PUBLISHED, "observed"]
    assert made().to_dict()["schema"] == SCHEMA == "lbbench.result/1"


@given(DOCUMENTS, DOCUMENTS, st.lists(st.text(), max_size=3))
def test_json_round_trip_keeps_every_byte(scenario, affinity, warnings):
    """Reading and writing again gives the same characters, whatever the content."""
    result = made(scenario=scenario, affinity=affinity, warnings=tuple(warnings))
    text = result.to_json()
    back = Result.from_json(text)
    assert back.to_json() == text
    assert back.warnings == tuple(warnings)
    assert Result.from_json(back.to_json()) == back


def test_no_number_of_json_is_nan():
    """NaN, infinity and numpy scalars become None and plain numbers."""
    odd = {"nan": math.nan, "inf": np.float64(math.inf), "n": np.int64(3), "x": np.array([1.5])}
    found = json.loads(made(affinity=odd).to_json(), parse_constant=pytest.fail)["affinity"]
    assert found == {"nan": None, "inf": None, "n": 3, "x": [1.5]}


def test_runs_differ_in_their_clock_fields_only():
    """Without date, machine, timings and engine the text of two runs is the same."""
    a = made().timed(created="2030-01-01", machine={"cores": 2}, startup_s=0.1, wall_s=2.0)
    b = replace(made(), engine="reference").timed(wall_s=4.0)
    assert a.to_json() != b.to_json()
    assert a.to_json(clock=False) == b.to_json(clock=False)
    assert set(PUBLISHED) - set(json.loads(a.to_json(clock=False))) == {*CLOCK_FIELDS, "engine"}
    assert a.requests_per_s == 5.0
    assert made().timed(wall_s=None).requests_per_s is None


def test_figures_are_found_by_the_names_of_objectives():
    """Latencies, error rate, attainment, the largest utilisation; unknown names are refused."""
    result = made()
    assert result.metric("latency.p99") == 0.3
    assert result.metric("latency.max") == 0.4
    assert result.metric("error_rate") == 0.1
    assert result.metric("attainment") == 0.9
    assert result.metric("utilisation.max") == 0.7
    assert result.latency is result.latency_s
    assert made(slo={"attainment": 0.5}).metric("attainment") == 0.5
    nothing = made(requests={"offered": 0, "failed": 0, "completed": 0}, pods=())
    assert nothing.metric("error_rate") is None
    assert nothing.metric("attainment") is None
    assert nothing.metric("utilisation.max") is None
    with pytest.raises(InputError, match=r"'latency.p42' is unknown.*latency.p99"):
        result.metric("latency.p42")


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("{", "line 1: no JSON"),
        ("[1]", "schema = None"),
        ('{"schema": "lbbench.result/9"}', "this version reads lbbench.result/1"),
        ('{"schema": "lbbench.result/1"}', "affinity is missing"),
    ],
)
def test_texts_that_are_no_result_are_refused_in_a_sentence(text, said):
    """Broken JSON, another document, another version, a cut file: one sentence each."""
    with pytest.raises(InputError, match=said):
        Result.from_json(text)


def test_saved_results_are_read_back(tmp_path):
    """A path is written as it is, a folder gets result.json, a missing one is an error."""
    result = made()
    file = result.save(tmp_path / "one.json")
    assert Result.from_json(file.read_text(encoding="utf-8")).to_json() == result.to_json()
    assert result.save(tmp_path) == tmp_path / "result.json"
    with pytest.raises(LbbenchError, match="cannot write the result"):
        result.save(tmp_path / "missing" / "one.json")


def test_tables_have_a_row_per_figure_pod_target_and_window():
    """The frames carry the names and values of the document."""
    result = made()
    frame = result.to_polars()
    assert frame["metric"].to_list() == list(METRICS)
    assert frame.row(0, named=True)["value"] == 0.1
    assert result.to_polars("pods")["in_flight.max"].to_list() == [2, 0]
    assert result.to_polars("targets")["stage"].to_list() == ["azure_lb"]
    assert result.to_polars("windows")["requests"].to_list() == [10]


def test_a_result_cannot_be_changed():
    """The document of a run is frozen."""
    with pytest.raises(FrozenInstanceError):
        made().seed = 2

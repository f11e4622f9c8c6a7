"""The content of a point: the same for the same run, another one for anything that changes it."""

from __future__ import annotations

import pytest

from lbbench.model.check import build
from lbbench.studies.content import content_of, point_data

BASE = {
    "name": "base",
    "traffic": {"arrivals": {"rate": "100/s"}, "service_time": {"mean": "20ms"}},
    "run": {"requests": 500},
}


def content(tmp_path, changes=None, folder=None) -> str:
    scenario = build(BASE, folder=folder or tmp_path).with_(changes or {})
    return content_of(point_data(scenario), scenario.folder)


@pytest.mark.parametrize(
    "changes",
    [
        {"name": "other"},
        {"run.seed": 7},
        {"run.replications": 9},
        {"run.precision": {"metric": "latency.mean"}},
        {"sweep": {"axes": {"cluster.pods": [1, 2]}}},
        {"traffic.service_time.mean": "0.02s"},
        {"cluster.nodes": 3},
    ],
)
def test_what_changes_no_number_changes_no_content(tmp_path, changes):
    """Name, seed, number of replications, the sweep around it, another way to write a value."""
    assert content(tmp_path, changes) == content(tmp_path)


@pytest.mark.parametrize(
    "changes",
    [
        {"traffic.service_time.mean": "21ms"},
        {"cluster.pods": 11},
        {"run.requests": 501},
        {"run.warmup": "1s"},
        {"slo": {"latency.p99": "1s"}},
        {"stages.ingress.balancer": "ewma"},
    ],
)
def test_what_changes_a_result_changes_the_content(tmp_path, changes):
    """Anything else in the scenario, the objectives that a result is judged by included."""
    assert content(tmp_path, changes) != content(tmp_path)


@pytest.mark.parametrize(
    ("name", "changes"),
    [
        ("mine.py", {"stages.ingress.balancer": "mine.py:mine"}),
        ("work.csv", {"traffic.service_time": {"distribution": "empirical", "file": "work.csv"}}),
    ],
)
def test_files_count_with_what_is_in_them(tmp_path, name, changes):
    """An edited balancer or trace is another content; the same text elsewhere is the same one."""
    before = content(tmp_path, changes)  # the file is missing
    (tmp_path / name).write_text("1\n2\n", encoding="utf-8")
    written = content(tmp_path, changes)
    (tmp_path / name).write_text("1\n3\n5\n", encoding="utf-8")
    edited = content(tmp_path, changes)
    assert len({before, written, edited}) == 3
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    (elsewhere / name).write_text("1\n2\n", encoding="utf-8")
    assert content(tmp_path, changes, folder=elsewhere) == written
    if name == "mine.py":  # an absolute path, as --set gives it
        moved = {"stages.ingress.balancer": f"{elsewhere / name}:mine"}
        assert content(tmp_path, moved) == written

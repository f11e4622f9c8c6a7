"""The tables of a cluster that changes, at every width; nothing where nothing happened."""

from __future__ import annotations

import io

import pytest
from rich.console import Console

from lbbench.model.check import build
from lbbench.report import changes, forecast
from lbbench.report.layout import Grid
from lbbench.report.tables import tables_of
from lbbench.report.terminal import show
from lbbench.report.units import milliseconds, moment, percent, span
from lbbench.studies.check import forecast as forecast_of
from lbbench.studies.run import run

NOBODY = {
    "unit": "session", "requests": 0, "kept": 0, "session_loss": 0, "forced_loss": 0,
    "remap_fraction": None, "excess_remap": None,
}  # fmt: skip
QUIET = {
    "lost_syns": 0, "lost_connections": 0, "dropped_samples": 0,
    "snat": {"connections": 9, "peak_per_target": 3, "no_port": 0},
}  # fmt: skip


def scenario(**more):
    """Return cookie sessions on two nodes, of which one loses power during a rollout."""
    return build(
        {
            "name": "life",
            "cluster": {"nodes": 2, "pods": 4},
            "stages": {"ingress": {"balancer": "sticky_balanced"}},
            "traffic": {
                "utilisation": 0.4,
                "service_time": {"mean": "50ms"},
                "sessions": {"count": 50},
            },
            "run": {"duration": "60s"},
            "timeline": [
                {"at": "20s", "rollout": {"ready_after": "2s", "drain": "0s", "grace": "1s"}},
                {"at": "40s", "node": "node-1", "state": "down", "until": "50s"},
            ],
            **more,
        }
    )


@pytest.fixture(scope="module")
def result():
    """Return its result."""
    return run(scenario(), engine="reference")


def titled(result, start):
    """Return the table whose title is the shortest with that ``start``, None: there is none."""
    tables = [part for part in tables_of(result) if isinstance(part, Grid)]
    found = [table for table in tables if table.title.startswith(start)]
    return min(found, key=lambda table: len(table.title), default=None)


@pytest.mark.parametrize("width", [40, 60, 80, 120, 160])
def test_a_changing_run_fits_every_width(result, width: int):
    """No line is longer than the console and every change is there with its numbers."""
    out = io.StringIO()
    show(result, Console(file=out, width=width, color_system=None))
    assert max(map(len, out.getvalue().splitlines())) <= width
    text = " ".join(out.getvalue().split())
    for part in ("changes of the cluster", "rollout", "node-1 goes down", "node-1 is up"):
        assert part in text
    for part in ("to dead pods", "recovered", "affinity of ", "SYNs without an answer"):
        assert part in text


def test_the_rows_of_changes_are_those_of_the_document(result):
    """One row per change in order, with when, how long and how many."""
    table = titled(result, "changes of the cluster")
    assert [row[0] for row in table.rows] == [change["what"] for change in result.changes]
    assert [row[1] for row in table.rows] == ["20.0", "40.0", "50.0"]
    sent = [int(row[5].replace(",", "")) for row in table.rows]
    assert sent == [change["dead"]["attempts"] for change in result.changes]
    assert sum(sent) > 0


def test_pods_that_come_and_go_have_their_times(result):
    """Old pods end, new ones begin, and the expected shares are not shown where there are none."""
    table = titled(result, "pods")
    begin, end = table.columns.index("from s"), table.columns.index("to s")
    rows = {row[0]: row for row in table.rows}
    assert rows["pod-0"][begin] == "0.0"
    assert 20.0 < float(rows["pod-0"][end]) < 40.0
    assert float(rows["pod-4"][begin]) >= 20.0
    assert rows["pod-7"][end] == ""
    assert "expected %" not in titled(result, "pods, chosen by").columns


def test_affinity_shows_what_sessions_lost(result):
    """Kept and lost requests with their shares of all that had an answer before."""
    table = titled(result, "affinity of ")
    found = result.affinity
    assert [int(row[1].replace(",", "")) for row in table.rows[:3]] == [
        found["kept"], found["session_loss"], found["forced_loss"],
    ]  # fmt: skip
    assert sum(float(row[2]) for row in table.rows[:3]) == pytest.approx(100.0, abs=0.02)
    assert found["forced_loss"] > 0


def test_keys_that_moved_are_shown_without_sessions():
    """Without sessions there is no count, only the shares of the keys' answers."""
    moved = {**NOBODY, "unit": "key", "remap_fraction": 0.25, "excess_remap": 0.05}
    table = changes.affinity_table(moved)
    assert table.columns == ["", "%"]
    assert table.rows == [["keys moved by a change", "25.00"], ["keys moved without need", "5.00"]]


def test_nothing_is_said_where_nothing_happened():
    """Without timeline, sessions and losses there is no table and no line about them."""
    assert changes.affinity_table(NOBODY) is None
    assert changes.losses_text(QUIET) is None
    calm = run(
        build({"traffic": {"utilisation": 0.3}, "run": {"requests": 500}}), engine="reference"
    )
    out = io.StringIO()
    show(calm, Console(file=out, width=120, color_system=None))
    for word in ("changes of", "affinity", "lost:", "from s", "saved", "endpoints changed"):
        assert word not in out.getvalue()


def test_losses_are_one_line():
    """SYNs, ports and samples of ewma, each with its number."""
    lost = {**QUIET, "lost_syns": 1234, "lost_connections": 56, "dropped_samples": 7}
    lost["snat"] = {"connections": 9, "peak_per_target": 64_000, "no_port": 8}
    assert str(changes.losses_text(lost)) == (
        "lost: 1,234 SYNs without an answer, 56 connections began with one; 8 SYNs found no source "
        "port (at most 64,000 connections from one node to one target); 7 samples of ewma dropped "
        "by its lock"
    )


@pytest.mark.parametrize("width", [60, 80, 120])
def test_a_forecast_of_changes_fits_every_width(width: int):
    """`check` lists the changes with their times; in narrow consoles as blocks."""
    out = io.StringIO()
    forecast.show(forecast_of(scenario()), Console(file=out, width=width, color_system=None))
    assert max(map(len, out.getvalue().splitlines())) <= width
    text = " ".join(out.getvalue().split())
    assert "changes of the cluster, and when the views follow" in text
    assert text.index("rollout") < text.index("node-1 goes down") < text.index("node-1 is up")


def test_an_interval_of_times_begins_at_zero_at_the_least():
    """Batches that differ much give a half width above the mean; no request takes less than 0."""
    assert span([-0.5, 1.5], 0) == "0-1,500"


def test_a_number_that_rounds_to_zero_has_no_sign():
    """What is left of a latency may be a nanosecond below zero."""
    assert (milliseconds(-1e-9, 1), percent(-1e-9), percent(-0.25)) == ("0.0", "0.0", "-25.0")
    assert (moment(None), moment(1234.56)) == ("", "1,234.6")

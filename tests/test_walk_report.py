"""A walk as text and as JSON: what fits, what is never broken, what is kept."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from test_packetwalk import LINE_LB, NODE_0, scenario, texts

from lbbench.inputs.access_log.line import parse
from lbbench.model.check import build
from lbbench.packetwalk import walk
from lbbench.packetwalk.scenario_site import site_of
from lbbench.packetwalk.seed import PRESETS, seed_ingress, seed_lb
from lbbench.report.walk import plain, render

# --- as text and JSON -----------------------------------------------------------------------------


@given(st.sampled_from(sorted(PRESETS)), st.integers(38, 200))
@settings(max_examples=30, deadline=None)
def test_text_keeps_to_the_width_but_never_breaks_an_entry(name, width):
    """Every line fits but conntrack and log lines, which stand whole and alone."""
    found = walk(PRESETS[name]())
    lines = render(found, width=width, wrap_rules=True)
    raw = [line.text for line in lines if line.style == "raw"]
    log = [] if found.access_log is None else [found.access_log]
    assert raw == [entry.line() for entry in found.conntrack] + log
    assert all(len(line.text) <= width for line in lines if line.style != "raw")


def test_rules_stay_whole_without_wrapping():
    """Each rule is one line that ends with its text, so that a pipe can be searched."""
    found = walk(seed_ingress())
    lines = [line.text for line in render(found, width=40)]
    assert all(any(line.endswith(text) for line in lines) for text in texts(found))


def test_long_chains_are_shortened_in_text_only():
    """A thousand endpoints: a screen of rules in the text, all of them in the JSON."""
    data = scenario(nodes=10, pods=1000)
    found = walk(site_of(build(data)), pod="pod-500")
    lines = [line.text for line in render(found)]
    assert sum("-A KUBE-SVC-" in line for line in lines) <= 6
    assert any("more rules like these" in line for line in lines)
    chain = next(item for item in plain(found)["hops"] if item["kind"] == "endpoints")
    assert len(chain["rules"]) == 1000


def test_json_holds_the_hops():
    """Schema, numbered hops with flows, marks, entries and times, as plain data."""
    data = plain(walk(seed_lb()))
    assert data["schema"] == "lbbench.walk/1"
    assert [item["number"] for item in data["hops"]] == list(range(1, len(data["hops"]) + 1))
    assert data["conntrack"] == [{"node": NODE_0, "line": LINE_LB}]
    masqueraded = next(item for item in data["hops"] if item["kind"] == "postrouting")
    assert masqueraded["before"] == "109.125.120.58:62585 -> 10.244.0.10:80"
    assert masqueraded["after"] == "10.244.0.1:62585 -> 10.244.0.10:80"
    assert masqueraded["mark"] == "0x4000"
    assert data["hops"][-1]["time_s"] == data["time_s"]


def test_the_log_line_of_a_scenario_can_be_imported():
    """The present format, with the time that nginx would have measured."""
    data = scenario()
    data["path"] = "ingress"
    found = walk(site_of(build(data)))
    line = parse(found.access_log.encode())
    assert not isinstance(line, str)
    assert not line.older
    assert line.attempts[0].address.decode() == found.pod
    assert line.attempts[0].time == pytest.approx(
        0.008, abs=0.0031
    )  # service, round trips, 1 ms clock

"""The JSON Schema that editors use describes what the reader accepts."""

import pytest

from lbbench.errors import ScenarioError
from lbbench.inputs.schema import json_schema
from lbbench.inputs.yaml import load, parse, shipped
from lbbench.model.check import build

jsonschema = pytest.importorskip("jsonschema")


@pytest.fixture(scope="module")
def validator():
    """Return a validator of the scenario schema."""
    schema = json_schema()
    jsonschema.Draft202012Validator.check_schema(schema)
    return jsonschema.Draft202012Validator(schema)


@pytest.mark.parametrize("name", sorted(shipped()))
def test_shipped_scenarios_and_what_they_resolve_to_fit_the_schema(validator, name):
    """Both what a person writes and what lbbench prints are valid."""
    assert not list(validator.iter_errors(parse(shipped()[name].read_text(), name)[0]))
    assert not list(validator.iter_errors(load(name).resolved()))


@pytest.mark.parametrize(
    "text",
    [
        "{clusters: {}}", "{cluster: {pods: 0}}", "{cluster: {pods: many}}", "{path: ingres}",
        "{run: {duration: 300}}", "{run: {seed: x}}", "{traffic: {arrivals: {rate: 400}}}",
        "{stages: {ingress: {keepalive: {upstram: 1}}}}", "{timeline: [{scale: {pods: 1}}]}",
    ],
)  # fmt: skip
def test_single_mistakes_break_the_schema_as_they_break_the_reader(validator, text):
    """Unknown keys, wrong words, sizes and units are marked in the editor too."""
    data = {"traffic": {"utilisation": 0.5}, **parse(text, "text")[0]}
    assert list(validator.iter_errors(data))
    with pytest.raises(ScenarioError):
        build(data)


@pytest.mark.parametrize(
    "axes",
    [
        "{traffic.clients.popularity: [uniform, {zipf: 1}]}",
        "{random: 3, zip: {run.drain: [1s]}, cluster.pods: [1]}",
        "{cluster.pods: {from: 1, to: 5, step: 1}}",
        "{random: 3, run.drain: {from: 1ms, to: 1s, scale: log}}",
        "{zip: {run.drain: {from: 1ms, to: 1s, count: 3}}}",
    ],
)  # fmt: skip
def test_axes_have_lists_or_ranges(validator, axes):
    """A range is as good as a list, also below zip; both may stand inside axes with random."""
    data = parse(f"{{traffic: {{utilisation: 0.5}}, sweep: {{axes: {axes}}}}}", "text")[0]
    assert not list(validator.iter_errors(data))
    assert not list(validator.iter_errors(build(data).resolved()))


@pytest.mark.parametrize(
    "axes",
    [
        "{cluster.pods: 1}", "{cluster.pods: []}", "{cluster.pods: {from: 1}}", "{random: 0}",
        "{cluster.pods: {from: 1, to: 5, stp: 1}}", "{cluster.pods: {from: 1, to: 5, count: 1}}",
        "{zip: {cluster.pods: 3}}", "{cluster.pods: {from: 1.0, to: 5, count: 3, scale: ln}}",
    ],
)  # fmt: skip
def test_wrong_axes_break_the_schema_too(validator, axes):
    """What the reader refuses of an axis is marked in the editor."""
    data = parse(f"{{traffic: {{utilisation: 0.5}}, sweep: {{axes: {axes}}}}}", "text")[0]
    assert list(validator.iter_errors(data))
    with pytest.raises(ScenarioError):
        build(data)


def test_defaults_are_written_as_a_person_writes_them():
    """An editor proposes 4min and 0.3/s, not 240.0 and 0.3."""
    parts = json_schema()["$defs"]
    assert parts["AzureLb"]["properties"]["idle_timeout"]["default"] == "4min"
    assert parts["Sync"]["properties"]["rate_limit"]["default"] == "0.3/s"
    assert parts["Run"]["properties"]["duration"]["default"] == "5min"
    assert parts["PodSpec"]["properties"]["speed"]["default"] == 1.0

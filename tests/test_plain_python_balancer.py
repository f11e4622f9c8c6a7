"""What numba cannot compile runs in the readable engine, and it is said."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from command import Command
from own import DICTS, line_of, using, written

import lbbench
from lbbench.engines.choice import why_readable
from lbbench.engines.plan import make_plan
from lbbench.errors import BalancerError
from lbbench.studies.compare import compare

STRINGS = """
    def pick(state, rng, now, key, busy, tried):
        if len(busy) == 0:
            return -1
        state.turn[0] += 1
        words = {place: str(place) for place in range(len(busy))}  # here
        return int(words[state.turn[0] % len(busy)])
    """


@pytest.fixture(autouse=True, scope="module")
def own_cache(tmp_path_factory):
    """Keep compiled code out of the user's cache."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("LBBENCH_CACHE_DIR", str(tmp_path_factory.mktemp("cache")))
        yield


@pytest.mark.parametrize(
    ("body", "more", "why"),
    [
        (DICTS, "MORE = {}", "state: what it returns is a dict"),
        (DICTS, "MORE = {'compiled': False}", "it says compiled = False"),
        ("", "MORE = {'compiled': False}", "it says compiled = False"),
        (STRINGS, "MORE = {}", "pick cannot be compiled"),
    ],
)
def test_it_runs_and_says_which_engine(tmp_path: Path, body: str, more: str, why: str):
    """The numbers are those of the same turns in arrays; engine and note are in the result."""
    known = lbbench.run(using(written(tmp_path)), engine="reference").to_dict(clock=False)
    result = lbbench.run(using(written(tmp_path, body, more)))
    assert result.engine == "reference"
    note = next(text for text in result.warnings if "plain Python" in text)
    assert "my_lb.py:" in note or "compiled = False" in note
    assert "1,000 times slower" in note
    assert why in note
    assert result.latency_s == known["latency_s"]
    assert lbbench.run(using(written(tmp_path, body, more)), engine="reference").warnings == tuple(
        text for text in result.warnings if text != note
    )


def test_the_note_names_the_line_that_numba_refuses(tmp_path: Path):
    """Its file and line, not those of lbbench."""
    note = why_readable(make_plan(using(written(tmp_path, STRINGS))))
    assert f"my_lb.py:{line_of(tmp_path)}: pick cannot be compiled" in note
    assert "\n" not in note
    assert len(note) < 600


def test_what_can_be_compiled_has_no_note(tmp_path: Path):
    """Built-in ones are not even tried."""
    assert why_readable(make_plan(using(written(tmp_path)))) is None
    assert why_readable(make_plan(using("ewma"))) is None


def test_every_instance_has_its_own_object(tmp_path: Path):
    """With two workers, each takes its turns; a replica's workers share them."""
    counts = {}
    for scope in ("worker", "replica"):
        name = written(tmp_path, DICTS, f"MORE = {{'scope': '{scope}'}}")
        more = {"cluster.ingress": {"replicas": 1, "workers": 2}, "run.requests": 40}
        objects = lbbench.run(using(name, **more), engine="reference")
        name = written(tmp_path, "", f"MORE = {{'scope': '{scope}'}}")
        arrays = lbbench.run(using(name, **more), engine="reference")
        assert objects.pods == arrays.pods
        counts[scope] = [pod["requests"] for pod in objects.pods]
    assert counts["replica"] == [10] * 4


def test_lists_change_and_nodes_start_anew(tmp_path: Path):
    """A node that dies takes the states of its workers with it, as with arrays."""
    more = {
        "timeline": [
            {"at": "2s", "scale": {"pods": 6}},
            {"at": "4s", "node": "node-0", "state": "down", "until": "6s"},
        ],
    }
    known, found = (
        lbbench.run(using(written(tmp_path, body), **more), engine="reference")
        for body in ("", DICTS)
    )
    assert known.to_dict(clock=False)["pods"] == found.to_dict(clock=False)["pods"]


@pytest.mark.parametrize("more", ["{'scope': 'shared'}", "{'scope': 'replica', 'common': ('a',)}"])
def test_such_a_state_cannot_be_shared_in_parts(tmp_path: Path, more: str):
    """The sentence says what needs arrays, and what does not."""
    name = written(tmp_path, DICTS, f"MORE = {more}")
    with pytest.raises(BalancerError, match="use scope = worker or replica"):
        lbbench.run(using(name), engine="reference")


def test_compare_takes_it_beside_others(tmp_path: Path):
    """Each result has its own engine; the traffic is the same."""
    name = written(tmp_path, DICTS)
    found = compare(using("random"), ["random", name], engine="reference")
    assert [result.engine for result in found.results.values()] == ["reference"] * 2
    found = compare(using(name), [name, f"{tmp_path}/./my_lb.py:mine"])
    assert [result.engine for result in found.results.values()] == ["reference"] * 2


@pytest.mark.long
def test_sweep_and_plan_take_it_in_their_workers(tmp_path: Path, command: Command):
    """Results of worker processes carry engine and note; a plan says it among its notes."""
    name = written(tmp_path, DICTS)
    using(name)
    scenario = tmp_path / "small.yaml"
    scenario.write_text(
        f"""
name: small
cluster: {{pods: 4, nodes: 1, ingress: {{replicas: 1, workers: 1}}}}
stages: {{ingress: {{balancer: "{name}"}}}}
traffic: {{utilisation: 0.5, service_time: {{distribution: exponential, mean: 50ms}}}}
run: {{requests: 300}}
sweep: {{axes: {{traffic.utilisation: [0.3, 0.5]}}}}
""",
        encoding="utf-8",
    )
    ended = command("sweep", scenario, "--out", tmp_path / "out", "--workers", 1, "--quiet")
    assert ended.code == 0, ended.err
    with lbbench.Study.open(tmp_path / "out") as study:
        results = [result for point in study.points for result in study.results(point)]
    assert {result.engine for result in results} == {"reference"}
    assert all(any("plain Python" in text for text in result.warnings) for result in results)
    ended = command(
        "plan", scenario, "--slo", "latency.p99=10s", "--workers", 1, "--json", "-", "--quiet"
    )
    assert ended.code in (0, 1), ended.err
    assert any("plain Python" in text for text in json.loads(ended.out)["notes"])

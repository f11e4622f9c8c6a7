"""`lbbench.run`: the same bytes for the same seed, replications, precision, timings, notes."""

from __future__ import annotations

import json

import pytest

import lbbench
from lbbench.engines import reference
from lbbench.errors import RunError
from lbbench.model.check import build
from lbbench.studies.run import FIRST_REPLICATIONS, replicate, run, sum_up


def small(**changes):
    """Return a scenario of 4 pods and 600 requests, with leaves changed by dotted path."""
    data = {
        "name": "small",
        "cluster": {"nodes": 2, "pods": 4, "ingress": {"workers": 1}},
        "stages": {"ingress": {"balancer": "random"}},
        "traffic": {"utilisation": 0.6},
        "run": {"requests": 600},
    }
    return build(data, changes=[(path.replace("__", "."), v) for path, v in changes.items()])


def test_a_run_is_repeated_bit_for_bit():
    """The same scenario and seed give the same bytes, another seed other ones."""
    first = run(small(), engine="reference").to_json(clock=False)
    assert run(small(), engine="reference").to_json(clock=False) == first
    assert run(small(run__seed=2), engine="reference").to_json(clock=False) != first


def test_both_engines_give_the_same_result():
    """The document of the compiled engine is that of the readable one, timings aside."""
    scenario = small(run__replications=2)
    fast, reference = run(scenario), run(scenario, engine="reference")
    assert fast.to_json(clock=False) == reference.to_json(clock=False)
    assert (fast.engine, reference.engine) == ("fast", "reference")


def test_the_public_name_runs_the_resolved_scenario():
    """`lbbench.run` is this function; the result carries the scenario and reads back."""
    scenario = small()
    result = lbbench.run(scenario, engine="reference")
    assert result.scenario == scenario.resolved()
    assert result.version == lbbench.__version__
    assert build(json.loads(json.dumps(result.scenario))) == scenario


def test_replications_differ_and_add_up():
    """Three replications bring three times the requests, each its own traffic."""
    done = replicate(small(run__replications=3), engine="reference", record=True)
    arrivals = [tuple(outcome.records["arrival"][:5]) for outcome in done.outcomes]
    assert len(set(arrivals)) == 3
    result = sum_up(small(run__replications=3), done)
    requests = result.requests
    assert requests["offered"] == 1800
    assert requests["completed"] + requests["failed"] + requests["unfinished"] == 1800
    assert result.latency_s["ci95"]["from"] == "replications"


def test_the_clock_fields_hold_together():
    """requests_per_s = offered / wall_s; compilation and start-up stand apart from wall_s."""
    result = run(small(), engine="reference", startup_s=0.25)
    assert result.requests_per_s == pytest.approx(600 / result.wall_s, rel=1e-12)
    assert result.startup_s == 0.25
    assert result.compile_s == 0.0
    assert set(result.machine) == {"processor", "cores", "system", "python", "numpy", "numba"}
    assert result.created.endswith("+00:00")


def test_compilation_is_taken_out_of_the_wall_time(monkeypatch):
    """What an engine reports as compilation is subtracted, and reported."""
    real = reference.run

    def slow(plan, **options):
        outcome = real(plan, **options)
        return outcome.__class__(**{**vars(outcome), "compile_s": 1000.0})

    monkeypatch.setattr(reference, "run", slow)
    done = replicate(small(), engine="reference")
    assert done.compile_s == pytest.approx(1000.0, abs=0.1)
    assert done.wall_s < 0.0  # the time that passed minus what was "compiled"


def test_progress_names_the_replication():
    """Progress comes for every replication with its number, and ends at the last request."""
    seen = []
    replicate(small(run__replications=2), progress=lambda *step: seen.append(step))
    steps = [step for step in seen if not step[0].startswith("compiling")]
    assert {what for what, _, _ in steps} == {"simulating (1 of 2)", "simulating (2 of 2)"}
    assert {(done, total) for _, done, total in steps} >= {(600, 600)}
    assert all("of 2" not in what for what, _, _ in seen if what.startswith("compiling"))


@pytest.mark.long
def test_precision_replicates_until_the_interval_is_narrow():
    """With `run.precision` replications go on until half the interval is within the share asked."""
    asked = small(
        run__precision={"metric": "latency.mean", "relative": "10%", "max_replications": 60}
    )
    result = run(asked, engine="reference")
    low, high = result.latency_s["ci95"]["mean"]
    assert (high - low) / 2 <= 0.1 * result.latency_s["mean"]
    n = result.requests["offered"] // 600
    assert n > FIRST_REPLICATIONS  # so the loop went on at least once
    before = run(small(run__replications=n - 1), engine="reference")
    low, high = before.latency_s["ci95"]["mean"]
    assert (high - low) / 2 > 0.1 * before.latency_s["mean"]


def test_precision_that_is_not_reached_is_a_warning():
    """When the most replications do not suffice, the result says so."""
    asked = small(run__precision={"metric": "latency.p50", "relative": "0.1%",
                                  "max_replications": 3})  # fmt: skip
    result = run(asked, engine="reference")
    assert result.requests["offered"] == 3 * 600
    assert any("latency.p50 is not within 0.001" in warning for warning in result.warnings)


def test_precision_needs_a_metric_with_an_interval():
    """A maximum has no interval: refused with the metrics that have one."""
    with pytest.raises(RunError, match=r"latency\.max: there is no interval .* latency\.mean"):
        run(small(run__precision={"metric": "latency.max"}), engine="reference")


def test_variables_that_are_not_simulated_are_named():
    """`hash_by` with a variable that the model does not know gives a warning, others none."""
    balancer = {"stages__ingress__balancer": "chash"}
    named = run(small(**balancer, stages__ingress__hash_by="$arg_user"), engine="reference")
    assert any("$arg_user" in warning for warning in named.warnings)
    known = run(small(**balancer, stages__ingress__hash_by="$request_uri"), engine="reference")
    assert not any("hash_by" in warning for warning in known.warnings)


def test_a_given_number_of_warmup_segments_is_cut():
    """A comparison's warm-up overrides the scenario's: 16 of 64 segments are a quarter."""
    done = replicate(small(), engine="reference")
    result = sum_up(small(), done, warmup_segments=16)
    assert result.latency_s["n"] == 450

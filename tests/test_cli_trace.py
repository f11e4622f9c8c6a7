"""`lbbench run --trace` sends logged requests through another balancer, or to more pods."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from typer.testing import CliRunner

from lbbench.cli.app import app
from lbbench.cli.options import changes
from lbbench.inputs.yaml import load
from lbbench.traffic.generate import Traffic

LOG = Path(__file__).parent / "data" / "logs" / "ewma" / "access.log.gz"
LINES = 10_882


@pytest.fixture
def imported(command, tmp_path: Path):
    """Import the real log; return the paths of the scenario and of its trace."""
    path = tmp_path / "mine.yaml"
    ended = command("import", "access-log", LOG, "-o", path, "--quiet")
    assert ended.code == 0, ended.err
    return path, tmp_path / "mine.trace.csv.gz"


@pytest.mark.long
def test_the_logged_requests_go_through_other_balancers(command, imported):
    """All 10 882 of them, the same for both; round_robin beats ewma as it does on real pods.

    The pods answered within 447 ms at p99 behind ewma. Shares of round_robin are even to the cycles
    of its workers, which differ by one request each.
    """
    path, trace = imported
    ended = command(
        "compare", path, "--trace", trace, "--balancers", "round_robin,ewma", "--json", "-"
    )
    assert ended.code == 0, ended.err
    found = json.loads(ended.out)
    results = {name: found["results"][name] for name in ("round_robin", "ewma")}
    for result in results.values():
        assert result["requests"]["offered"] == result["requests"]["completed"] == LINES
        assert result["scenario"]["traffic"]["trace"] == str(trace)
    p99 = {name: result["latency_s"]["p99"] for name, result in results.items()}
    assert p99["round_robin"] < 0.7 * p99["ewma"]


def test_more_pods_are_tried_on_the_same_requests(command, imported):
    """`--trace` with `--set cluster.pods`: twice the pods, the same requests, less waiting."""
    path, trace = imported
    waits = []
    for pods in (6, 12):
        ended = command(
            "run", path, "--trace", trace, "--set", f"cluster.pods={pods}", "--json", "-"
        )
        assert ended.code == 0, ended.err
        result = json.loads(ended.out)
        assert result["requests"]["offered"] == LINES
        assert len(result["pods"]) == pods
        waits.append(result["latency_by_stage_s"]["pod_queue"]["mean"])
    assert waits[1] < waits[0] / 2


@pytest.mark.parametrize("columns", ["60", "160"])
def test_another_balancer_and_more_pods_as_a_reader_sees_it(imported, columns):
    """Log to trace to another balancer with eight pods: the tables fit narrow and wide terminals.

    The observed latency stands beside, as the log has it; the new pods have nothing observed.
    """
    path, trace = imported
    change = ["--set", "stages.ingress.balancer=round_robin", "--set", "cluster.pods=8"]
    arguments = ["run", str(path), "--trace", str(trace), *change]
    ended = CliRunner().invoke(app, arguments, env={"COLUMNS": columns})
    assert ended.exit_code == 0, ended.output
    rows = ended.output.splitlines()
    assert max(map(len, rows)) <= int(columns)
    said = " ".join(ended.output.split())
    assert "10,882 requests = 10,882 completed + 0 failed + 0 unfinished" in said
    assert "-> ingress round_robin" in said
    p99 = next(row.split() for row in rows if row.startswith("p99 "))
    assert float(p99[1]) < float(p99[-1]) == 447.0
    last = [row.split() for row in rows if row.startswith("pod-7 ")][-1]
    assert {"1,360", "12.50", "-"} <= set(last)
    assert not any(row.startswith("pod-8 ") for row in rows)


def test_what_a_shorter_run_leaves_out_is_said(command, imported):
    """`run.duration` ends the trace early; how many requests are left out is a warning."""
    path, trace = imported
    ended = command("run", path, "--trace", trace, "--set", "run.duration=30s", "--json", "-")
    result = json.loads(ended.out)
    left = LINES - result["requests"]["offered"]
    assert any(
        f"{left} of {LINES} requests arrive after run.duration = 30 s" in text
        for text in result["warnings"]
    )


def test_a_trace_that_is_not_there_is_one_sentence(command, imported, tmp_path: Path):
    """The path is seen from the current folder, and named as typed; nothing is run."""
    for name in ("run", "compare"):
        ended = command(name, imported[0], "--trace", "sub/no: such.csv.gz")
        assert ended.code == 2
        assert ended.err == ("--trace sub/no: such.csv.gz: there is no such file; check the path\n")
    ended = command("run", imported[0], "--set", f"traffic.trace={tmp_path}/nosuch.csv")
    assert ended.code == 2
    assert "nosuch.csv: there is no such trace; the path is relative to the scenario's" in ended.err
    assert ended.err.count("\n") == 1


@pytest.mark.parametrize(
    ("command_", "option", "change", "sentence"),
    [
        ("run", "--set", "traffic.arrivals.rate=50/s", "--set traffic.arrivals.rate"),
        ("compare", "--set", "traffic.utilisation=0.5", "--set traffic.utilisation"),
        ("compare", "--vary", "traffic.utilisation=0.5,0.8", "--vary traffic.utilisation"),
    ],
)
def test_arrivals_beside_a_trace_are_refused_by_what_was_typed(
    command, tmp_path: Path, command_, option, change, sentence
):
    """`--trace` replaces them; a comparison of rates would leave the trace out without a word."""
    trace = tmp_path / "t.csv"
    trace.write_text("arrival_s,work_s\n1,0.1\n")
    ended = command(command_, "aks-ingress", "--trace", trace, option, change)
    assert ended.code == 2
    assert ended.err == f"--trace replaces the arrivals; leave out {sentence}\n"
    ended = command("run", "aks-ingress", "--trace", trace, "--set", "traffic.trace=other.csv")
    assert ended.code == 2
    assert ended.err == "--trace and --set traffic.trace both name a trace; leave out one\n"


def test_requests_that_nobody_asked_for_are_no_warning(tmp_path: Path):
    """aks-ingress has `run.requests` of its own; what `--set` asks for beyond the trace is told."""
    trace = tmp_path / "t.csv"
    trace.write_text("arrival_s,client,key,work_s\n1,a,/x,0.1\n2,b,/y,0.1\n")
    made = changes(None, trace=trace)
    assert Traffic(load("aks-ingress", made)).notes == ()
    made = changes(["run.requests=5"], trace=trace)
    assert Traffic(load("aks-ingress", made)).notes == (
        "t.csv has 2 requests, run.requests asks for 5: all are played",
    )
    path = tmp_path / "own.yaml"
    path.write_text("{traffic: {trace: t.csv}, run: {requests: 5}}\n")
    assert "run.requests asks for 5" in Traffic(load(path)).notes[0]


def test_given_concurrency_is_used_and_belongs_to_access_logs(command, tmp_path: Path):
    """`--concurrency 2` of an access log; of other kinds it is refused with the owner's name."""
    ended = command("import", "access-log", LOG, "--concurrency", 2, "-o", tmp_path / "a.yaml")
    assert ended.code == 0, ended.err
    assert "2 requests at a time, as given" in " ".join(ended.out.split())
    assert "concurrency: 2" in (tmp_path / "a.yaml").read_text(encoding="utf-8")
    ended = command("import", "counts", LOG, "--concurrency", 2)
    assert ended.code == 2
    assert "belongs to access-log" in ended.err

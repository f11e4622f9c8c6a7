"""`lbbench import`: the seed's rules and log become a scenario, with everything said about them."""

from __future__ import annotations

import io
import sys
from pathlib import Path

import pytest
from command import says_one_sentence

from lbbench.inputs.yaml import SHIPPED, load

RULES = SHIPPED / "seed" / "iptables-save.rules"
LOG = SHIPPED / "seed" / "access.log"


@pytest.fixture(autouse=True)
def _reference_trial(monkeypatch):
    """Let the short run use few requests and the engine that compiles nothing."""
    from lbbench.studies import imported

    monkeypatch.setattr(imported, "TRIAL_REQUESTS", 400)
    monkeypatch.setattr(
        imported, "run", lambda scenario, **_: imported_run(scenario, engine="reference")
    )


def imported_run(scenario, *, engine):
    """Run a scenario as `lbbench.run` does."""
    from lbbench.studies.run import run

    return run(scenario, engine=engine)


def test_the_seed_becomes_a_scenario(command, tmp_path: Path):
    """Rules, then log: topology and policy of the rules, pods and service times of the log."""
    path = tmp_path / "seed.yaml"
    first = command("import", "iptables", RULES, "-o", path)
    assert first.code == 0, first.err
    assert f"wrote {path}" in first.out
    second = command("import", "access-log", LOG, "--into", path)
    assert second.code == 0, second.err
    assert {item.name for item in tmp_path.iterdir()} == {"seed.yaml", "seed.trace.csv.gz"}
    scenario = load(path)
    assert scenario.stages.kube_proxy.external_traffic_policy == "Local"
    assert [pod.address for pod in scenario.cluster.pods] == ["10.244.0.13:80", "10.244.1.9:80"]
    assert scenario.traffic.utilisation == 0.8
    assert dict(scenario.observed.pods) == {"10.244.0.13:80": 5, "10.244.1.9:80": 3}


def test_what_was_read_and_inferred_is_said(command, tmp_path: Path):
    """The notes name the lines, the load that is assumed, and the upper bound of the work."""
    out = command("import", "access-log", LOG, "-o", tmp_path / "a.yaml").out
    assert "8 of 8 lines read" in out
    assert "a handful, too few for a rate" in out
    assert "upper bound" in out


def test_observed_shares_and_latency_stand_beside_the_simulated(command, tmp_path: Path):
    """5 of 8 and 3 of 8 requests, and the log's quantiles, beside a short run."""
    lines = command("import", "access-log", LOG, "-o", tmp_path / "a.yaml").out.splitlines()
    start = next(i for i, line in enumerate(lines) if line.startswith("shares of the pods"))
    assert lines[start + 2].split()[:3] == ["pod-0", "5", "62.50"]
    assert lines[start + 3].split()[:3] == ["pod-1", "3", "37.50"]
    assert sum(float(line.split()[3]) for line in lines[start + 2 : start + 4]) == pytest.approx(
        100
    )
    start = next(i for i, line in enumerate(lines) if line.startswith("latency (simulated"))
    names = [line.split()[0] for line in lines[start + 2 : start + 7]]
    assert names == ["mean", "p50", "p90", "p99", "max"]


def test_without_a_target_the_scenario_goes_to_stdout(command, tmp_path: Path, monkeypatch):
    """Then stdout is YAML that loads, and the notes are on stderr; ``-`` reads stdin."""

    class Stdin(io.TextIOWrapper):
        pass

    monkeypatch.setattr(sys, "stdin", Stdin(io.BytesIO(LOG.read_bytes())))
    ended = command("import", "access-log", "-")
    assert ended.code == 0, ended.err
    path = tmp_path / "s.yaml"
    path.write_text(ended.out, encoding="utf-8")
    assert len(load(path).cluster.pods) == 2
    assert "8 of 8 lines read" in ended.err


def test_skipped_lines_are_listed_with_their_numbers(command, tmp_path: Path):
    """A line that cannot be read is named with file and number, and the rest is used."""
    log = tmp_path / "mixed.log"
    lines = LOG.read_text(encoding="utf-8").splitlines()
    log.write_text("\n".join([*lines[:2], "no access line", *lines[2:]]), encoding="utf-8")
    out = command("import", "access-log", log, "-o", tmp_path / "a.yaml").out
    assert f"{log}:3:" in out
    assert "8 of 9 lines read" in out


def test_quiet_only_writes(command, tmp_path: Path):
    """``--quiet`` writes the files and prints nothing."""
    ended = command("import", "access-log", LOG, "-o", tmp_path / "a.yaml", "--quiet")
    assert ended == (0, "", "")


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("access-log", "missing.log"), "missing.log: no such file"),
        (("access-log", RULES), "none of the"),
        (("iptables", LOG), "access.log"),
        (("access-log", LOG, "--service", "default/whereami:"), "belongs to iptables"),
        (("iptables", RULES, "--backend", "x"), "belongs to access-log"),
        (("iptables", RULES, "--service", "nothing"), "nothing"),
        (("nginx", LOG), "import nginx: is no kind of input; did you mean nginx.conf?"),
    ],
)
def test_a_failed_import_creates_nothing(command, tmp_path: Path, arguments, message: str):
    """What cannot be imported is one sentence with the place, and no file is made."""
    ended = command("import", *arguments, "-o", tmp_path / "new.yaml")
    assert says_one_sentence(ended)
    assert message in ended.err
    assert list(tmp_path.iterdir()) == []


def test_a_name_without_an_ending_names_both_files(command, tmp_path: Path):
    """`-o new` writes new.yaml and new.trace.csv.gz, which a run takes as they are."""
    ended = command("import", "access-log", LOG, "-o", tmp_path / "new", "-q")
    assert ended.code == 0, ended.err
    assert {item.name for item in tmp_path.iterdir()} == {"new.yaml", "new.trace.csv.gz"}


def test_the_short_run_has_no_more_members_than_it_can_hold(command, tmp_path: Path, monkeypatch):
    """A log of ever more clients takes no more memory; the table says what was left out."""
    from lbbench.studies import imported

    monkeypatch.setattr(imported, "MOST_MEMBERS", 2)
    path = tmp_path / "a.log"
    line = (
        '10.0.{}.{} - - [25/Nov/2026:04:22:{:02} +0000] "GET /{} HTTP/1.1" 200 6 "-" "-" 9 0.011 '
    )
    line += "[a-b-80] [] 10.244.0.5:80 6 0.010 200 x\n"
    lines = [line.format(i // 250, i % 250, i // 10, i % 40) for i in range(300)]
    path.write_text("".join(lines), encoding="utf-8")
    ended = command("import", "access-log", path, "-o", tmp_path / "a.yaml")
    assert ended.code == 0, ended.err
    assert "the short run has the most popular 2 of the 300 clients and 2 of the 40 URIs" in (
        " ".join(ended.out.split())
    )
    assert load(tmp_path / "a.yaml").traffic.clients.count == 300


def test_the_file_of_a_scenario_is_yaml(command, tmp_path: Path):
    """A target that does not end in .yaml is refused, as the trace is named after it."""
    ended = command("import", "access-log", LOG, "-o", tmp_path / "new.txt")
    assert says_one_sentence(ended)
    assert "ends in .yaml" in ended.err


def test_binary_input_is_one_sentence(command, tmp_path: Path):
    """A binary file is told apart from a log."""
    path = tmp_path / "x.log"
    path.write_bytes(bytes(range(256)) * 4)
    ended = command("import", "access-log", path, "-o", tmp_path / "new.yaml")
    assert says_one_sentence(ended)
    assert "binary" in ended.err


def test_a_scenario_that_cannot_be_run_is_imported_all_the_same(
    command, tmp_path: Path, monkeypatch
):
    """When the short run fails, the files are there and the reason is said."""
    from lbbench.errors import RunError
    from lbbench.studies import imported

    def refuse(*_, **__):
        raise RunError("too big")

    monkeypatch.setattr(imported, "run", refuse)
    ended = command("import", "access-log", LOG, "-o", tmp_path / "a.yaml")
    assert ended.code == 0
    assert "not simulated for comparison: too big" in ended.out
    assert (tmp_path / "a.yaml").exists()

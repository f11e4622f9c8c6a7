"""Counting instructions: what the tools write is read, what is missing is said."""

from __future__ import annotations

import re

import pytest

from benchmarks import instructions, ratios
from benchmarks.instructions import PATHS, Tool, counted, per_request
from benchmarks.programs import Unavailable

OF_CACHEGRIND = """
==7== I   refs:      1,234,567
==7== I1  misses:        1,000
==7== LLi misses:          900
==7== D   refs:        500,000  (400,000 rd   + 100,000 wr)
==7== D1  misses:        2,500  (  2,000 rd   +     500 wr)
==7== LLd misses:          125  (    100 rd   +      25 wr)
"""
OF_PERF = "1234567,,instructions:u,2000000,100.00,,\n321,,cache-misses:u,2000000,100.00,,\n"


def test_the_summary_of_cachegrind_is_read():
    """All instructions; misses of data in the first and in the last cache."""
    assert counted(OF_CACHEGRIND, is_simulated=True) == {
        "instructions": 1_234_567,
        "misses_48k": 2_500,
        "misses_2m": 125,
    }


def test_the_counters_of_perf_are_read():
    """The lines of ``perf stat -x,``; a counter that is not supported is left out."""
    assert counted(OF_PERF, is_simulated=False) == {"instructions": 1_234_567, "misses": 321}
    partly = OF_PERF.replace("321", "<not supported>")
    assert counted(partly, is_simulated=False) == {"instructions": 1_234_567}


def test_output_without_counts_is_an_error():
    """A tool that failed is told with what it said."""
    with pytest.raises(RuntimeError, match="no count of instructions in: Illegal instruction"):
        counted("Illegal instruction", is_simulated=True)


def test_what_start_up_costs_drops_out(monkeypatch):
    """With 1000 or 1020 instructions at start and 7 per request two lengths say 7, within 0.2."""
    starts = iter([0, 1000, 1020, 1010])  # warm, short, short again, long

    class Ended:
        def __init__(self, requests: int) -> None:
            count = next(starts) + 7 * requests
            self.stderr = f"I refs: {count}\nD1 misses: 50\nLLd misses: {requests}\n"

    monkeypatch.setattr(instructions, "command", lambda _path, n, **_: [str(n)])
    monkeypatch.setattr(instructions.fresh, "run", lambda words, **_: Ended(int(words[-1])))
    found = per_request("c:ewma:16", 10, 110, Tool("x", ("count",), is_simulated=True))
    assert found == {"instructions": (7.0, 0.2), "misses_48k": (0.0, 0.0), "misses_2m": (1.0, 0.0)}
    assert str(found["instructions"]) == "7.00 ± 0.20"


def test_without_a_tool_there_is_a_sentence(monkeypatch, capsys):
    """Neither perf nor valgrind: nothing is counted, and what to install is said."""
    monkeypatch.setattr(instructions.shutil, "which", lambda _name: None)
    with pytest.raises(Unavailable, match=r"neither perf .* nor valgrind is there"):
        instructions.tool()
    assert instructions.main(["c:ewma:16"]) == 0
    assert "left out: neither perf" in capsys.readouterr().out


def test_perf_without_counters_is_not_used(monkeypatch):
    """On many virtual machines perf is there and counts nothing."""

    class Told:
        returncode = 0
        stderr = "<not supported>,,instructions:u,0,100.00,,\n"

    monkeypatch.setattr(instructions.shutil, "which", lambda name: f"/usr/bin/{name}")
    monkeypatch.setattr(instructions.subprocess, "run", lambda *_, **__: Told)
    assert instructions.tool().name == "valgrind --tool=cachegrind"
    Told.stderr = OF_PERF
    assert instructions.tool().name == "perf stat"


@pytest.mark.parametrize("path", ["c:chash:16", "run:nothing:16", "c:ewma:0", "c:ewma", "x", ""])
def test_an_unknown_path_is_refused(path, capsys):
    """What cannot be run is refused before anything is, with the forms that can."""
    with pytest.raises(SystemExit):
        instructions.main([path])
    assert "must be c:BALANCER:PODS, bare:BALANCER:PODS or run:JOB:PODS" in re.sub(
        r"\s+", " ", capsys.readouterr().err
    )


def test_the_usual_paths_are_paths():
    """What is counted without arguments can be counted."""
    for path in PATHS:
        instructions._split(path)


def test_an_unknown_group_of_ratios_is_refused(capsys):
    """A group that does not exist ends with those that do."""
    with pytest.raises(SystemExit):
        ratios.main(["bear"])
    assert "no group 'bear'; known are bare, path" in capsys.readouterr().err


def test_ratios_without_a_compiler_are_left_out_with_a_reason(monkeypatch, capsys, tmp_path):
    """Without gcc the groups against C are named as left out, and nothing fails."""

    def missing(_name):
        raise Unavailable("gcc is not installed")

    monkeypatch.setattr(ratios.programs, "build", missing)
    file = tmp_path / "r.json"
    assert ratios.main(["bare", "lookup", "--json", str(file)]) == 0
    told = capsys.readouterr().out
    assert "bare       left out: gcc is not installed" in told
    assert "lookup     left out" in told
    assert '"lines": []' in file.read_text(encoding="utf-8")

"""The tables of the benchmarks: nothing typed, nothing left out without a word."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from benchmarks.lines import Line, amount, document
from benchmarks.tables import BEGIN, END, main, put_between, read, tables
from lbbench.errors import LbbenchError

HERE = {"processor": "A", "cores": 2, "system": "Linux", "python": "3.11.7", "numpy": "2.4.6"}
THERE = {**HERE, "processor": "B"}


def benchmark(name: str, group: str, median: float = 0.5, **info: Any) -> dict[str, Any]:
    """Return a benchmark as pytest-benchmark writes it, what we read of it."""
    told = {"machine": HERE, **info}
    return {"name": name, "group": group, "stats": {"median": median}, "extra_info": told}


def pick(picker: str, nodes: int, ns: float, **info: Any) -> dict[str, Any]:
    """Return the benchmark of a pick."""
    told = {"picker": picker, "program": "lbbench", "nodes": nodes, "ns_per_pick": ns, **info}
    return benchmark(f"test_pick[{picker}-{nodes}]", f"pick: {nodes} endpoints", **told)


def bare(ours: list[float], theirs: list[float]) -> Line:
    """Return a line of the ratios."""
    return Line(group="bare", name="ewma, 16 pods", unit="requests/s", ours=ours, theirs=theirs,
                against="C", bound=0.9)  # fmt: skip


@pytest.fixture
def written(tmp_path: Path):
    """Return a writer of JSON files into a folder of its own."""

    def write(name: str, data: Any) -> Path:
        path = tmp_path / name
        path.write_text(json.dumps(data), encoding="utf-8")
        return path

    return write


def ratios(*lines: Line, machine: Any = HERE) -> dict[str, Any]:
    """Return the document of lines from a given machine."""
    return {**document(lines), "machine": machine}


# --- lines ----------------------------------------------------------------------------------------


def test_a_ratio_is_that_of_the_medians():
    """Medians 2e6 and 4e6: 0.5, which 0.9 at least is not; each bound in its direction."""
    line = bare([1e6, 2e6, 9e6], [4e6, 4e6, 1e6])
    assert (line.ratio, line.holds) == (0.5, False)
    assert bare([4e6], [4e6]).holds is True
    slow = Line(group="lookup", name="ring", unit="ns", ours=[3.0], theirs=[1.0], bound=1.5,
                side="at most")  # fmt: skip
    assert slow.holds is False


def test_a_bound_without_counterpart_is_on_the_figure_itself():
    """A start-up time is at most so many seconds; without a bound nothing is promised."""
    line = Line(group="startup", name="help", unit="s", ours=[0.3], bound=0.4, side="at most")
    assert (line.ratio, line.their_median, line.holds) == (None, None, True)
    assert Line(group="path", name="x", unit="s", ours=[0.3]).holds is None
    assert "DOES NOT HOLD" in str(bare([1.0], [2.0]))


@pytest.mark.parametrize(
    ("value", "unit", "said"),
    [(12_345_678, "requests/s", "12.3 M"), (45_600, "requests/s", "45.6 k"),
     (12, "requests/s", "12"), (7.81, "ns", "7.81 ns"), (0.1234, "s", "0.123 s")],
)  # fmt: skip
def test_amounts_have_three_digits_and_a_unit(value, unit, said):
    """Figures are rounded to what they are worth."""
    assert amount(value, unit) == said


# --- tables ---------------------------------------------------------------------------------------


def test_the_ratios_become_a_table(written):
    """Ours, theirs, the ratio, what is promised, and that it is missed."""
    made, left = tables([read(written("r.json", ratios(bare([2e6], [4e6]))))])
    assert "| ewma, 16 pods | 2 M | 4 M | 0.50 (missed) | at least 0.9 |" in made
    assert "Measured on: A, 2 cores, Linux, python 3.11.7, numpy 2.4.6." in made
    assert left == []


def test_picks_stand_beside_each_other_by_size(written):
    """A row per picker and program, a column per size, a dash where nothing was measured."""
    in_c = benchmark("test_pick_in_c", "pick: hash", program="C",
                     pickers=[{"picker": "ring", "nodes": 256, "ns": 31.24}])  # fmt: skip
    data = {"benchmarks": [pick("ewma", 256, 7.0), pick("ewma", 16, 6.5), in_c]}
    made, _ = tables([read(written("b.json", data))])
    assert "| picker | program | n = 16 | n = 256 |" in made
    assert "| ewma | lbbench | 6.5 | 7 |" in made
    assert "| ring | C | – | 31.2 |" in made


def test_every_group_has_its_table(written):
    """Engine, peers, startup, quality and study are shown with what they measured."""
    data = {
        "benchmarks": [
            benchmark("e", "engine: ingress", job="ingress", balancer="ewma", engine="fast",
                      pods=16, requests_per_s=2_000_000),
            benchmark("p", "peers: ewma", program="ciw", balancer="ewma", requests_per_s=6000),
            benchmark("s", "startup", what="warm", seconds=0.75),
            benchmark("q", "quality: 16 endpoints", picker="chash", nodes=16, max_over_mean=1.2,
                      cov=0.09, moved=0.0571, least=0.0571, ns_per_pick=30.0),
            benchmark("t", "study", study="balancers", points=4, points_per_s=12.5),
        ]
    }  # fmt: skip
    made, left = tables([read(written("b.json", data))])
    for row in (
        "| ingress | ewma | fast | 2 M |",
        "| ciw | 6 k |",
        "| warm | 0.75 s | – |",
        "| chash | 16 | 1.200 | 0.090 | 5.7% of 5.7% | 30 |",
        "| balancers | 12.5 |",
    ):
        assert row in made
    assert left == []


def test_what_has_no_table_is_named(written, capsys):
    """A benchmark of an unknown group is not lost without a word."""
    file = written("b.json", {"benchmarks": [benchmark("test_new[3]", "new: things")]})
    assert main([str(file)]) == 0
    assert "in no table: test_new[3]" in capsys.readouterr().err


def test_other_machines_are_told(written, capsys):
    """Figures of two machines make tables, a note in them and a warning that names both."""
    here = written("here.json", ratios(bare([2e6], [4e6])))
    there = written("there.json", ratios(bare([3e6], [4e6]), machine=THERE))
    assert main([str(here), str(there)]) == 0
    told = capsys.readouterr()
    for text in (told.out, told.err):
        assert f"{here} is from A, 2 cores" in text
        assert f"{there} from B, 2 cores" in text
        assert "differ in processor" in text
    assert main([str(here), str(here)]) == 0
    assert capsys.readouterr().err == ""


# --- into the README, against another file --------------------------------------------------------


def test_only_what_is_between_the_markers_changes(written, tmp_path):
    """The text around stays; a second time nothing changes any more."""
    readme = tmp_path / "README.md"
    readme.write_text(f"before\n{BEGIN}\nold figures\n{END}\nafter\n", encoding="utf-8")
    file = written("r.json", ratios(bare([2e6], [4e6])))
    assert main([str(file), "--into", str(readme)]) == 0
    once = readme.read_text(encoding="utf-8")
    assert once.startswith(f"before\n{BEGIN}\n")
    assert once.endswith(f"{END}\nafter\n")
    assert "old figures" not in once
    assert "0.50 (missed)" in once
    assert main([str(file), "--into", str(readme)]) == 0
    assert readme.read_text(encoding="utf-8") == once


@pytest.mark.parametrize(
    "text", ["no markers", BEGIN, f"{END} {BEGIN}", f"{BEGIN}{END}{BEGIN}{END}"]
)
def test_a_readme_without_place_is_refused(text):
    """Markers that are missing, doubled or turned round are an error with the markers in it."""
    with pytest.raises(LbbenchError, match="the tables go between one line <!-- benchmarks: begin"):
        put_between(text, "made", "README.md")


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("{", "line 1: no JSON"),
        ('{"schema": "other/1"}', "holds neither lbbench.ratios/1 nor"),
        ('{"benchmarks": []}', "holds no benchmark that tells its machine"),
    ],
)
def test_a_file_of_another_kind_is_refused(tmp_path, capsys, text, sentence):
    """What is no file of figures ends in a sentence with its name."""
    file = tmp_path / "x.json"
    file.write_text(text, encoding="utf-8")
    assert main([str(file)]) == 2
    told = capsys.readouterr().err
    assert str(file) in told
    assert sentence in told


def test_two_files_are_compared(written, capsys):
    """Medians side by side; what only one file has, and another machine, is told."""
    machine = {**pick("random", 16, 1.0), "name": "gone"}
    before = {"benchmarks": [{**pick("ewma", 16, 7.0), "stats": {"median": 0.5}}, machine]}
    after = {"benchmarks": [{**pick("ewma", 16, 6.0), "stats": {"median": 0.25}}]}
    for item in after["benchmarks"]:
        item["extra_info"] = {**item["extra_info"], "machine": THERE}
    old, new = written("old.json", before), written("new.json", after)
    assert main(["--compare", str(old), str(new)]) == 0
    told = capsys.readouterr()
    assert "| test_pick[ewma-16] | 0.5 | 0.25 | 0.500 |" in told.out
    assert f"only {old} has gone" in told.err
    assert f"{old} is from A" in told.err

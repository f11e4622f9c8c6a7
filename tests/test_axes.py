"""The axes of a study: its points one by one, drawn ones, and what is refused before it runs."""

import itertools
import math
import os
import pickle
import time
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from ruamel.yaml import YAML
from scipy import stats

from lbbench.errors import ScenarioError
from lbbench.inputs.yaml import dump, load
from lbbench.model.check import build
from lbbench.model.objectives import Sweep
from lbbench.studies.axes import check_axes, n_points, points

ALARM = 1e-6
"""Chance that a statistical test here fails though the law holds."""

BASE = "traffic: {utilisation: 0.8}\nrun: {requests: 1000}\n"


def sweep_of(**keys):
    """Return a sweep."""
    return Sweep.model_validate(keys)


def values(sweep, seed=1):
    """Return the values of every point as a tuple."""
    return [tuple(point.values.values()) for point in points(sweep, seed)]


def written(tmp_path, text, set_=()):
    """Return the scenario of a file s.yaml that has ``text`` below a load and a length."""
    path = tmp_path / "s.yaml"
    path.write_text(BASE + text)
    return load(path, set_)


def refused(tmp_path, text, set_=(), *, yes=False):
    """Return what is said against the sweep of a file, by reading or by checking it."""
    with pytest.raises(ScenarioError) as caught:
        check_axes(written(tmp_path, text, set_), yes=yes)
    return str(caught.value).replace(f"{tmp_path}{os.sep}", "")


# --- points -------------------------------------------------------------------------------------

LISTS = st.lists(st.integers(1, 5), min_size=0, max_size=4)


ANY = st.none() | st.integers(1, 700)


@st.composite
def sweeps(draw, random=ANY):
    """Draw a sweep of 0 to 4 listed axes, perhaps with zip; values tell where they stand."""
    sizes = draw(LISTS)
    axes = {f"a{i}": [f"{i}.{k}" for k in range(size)] for i, size in enumerate(sizes)}
    rows = draw(st.integers(0 if axes else 1, 4))
    zipped = {f"z{i}": [f"{i}:{k}" for k in range(rows)] for i in range(2)} if rows else {}
    return sweep_of(axes=axes, zip=zipped, random=draw(random))


@given(sweeps(), st.integers(0, 2**63 - 1))
def test_there_are_as_many_points_as_are_counted_all_different(sweep, seed):
    """n_points is the length of points; no combination comes twice; numbers go up from 0."""
    found = list(points(sweep, seed))
    assert len(found) == n_points(sweep)
    assert len({tuple(point.values.items()) for point in found}) == len(found)
    assert [point.number for point in found] == list(range(len(found)))
    assert all(list(point.values) == list(sweep.leaves()) for point in found)


@given(sweeps(st.none()))
def test_a_grid_is_the_product_with_the_last_axis_fastest(sweep):
    """itertools.product of the axes and of the rows of zip says the same."""
    rows = list(zip(*sweep.zip.values(), strict=True)) if sweep.zip else [()]
    expected = [(*most, *row) for *most, row in itertools.product(*sweep.axes.values(), rows)]
    assert values(sweep) == expected


@given(sweeps(st.integers(1, 200)), st.integers(1, 200), st.integers(0, 2**63 - 1))
def test_more_points_keep_the_earlier_ones(sweep, more, seed):
    """A study that draws more points begins with those it had; as many as there are is the grid."""
    grown = sweep.model_copy(update={"random": sweep.random + more})
    grid = sweep.model_copy(update={"random": None})
    few, many, every = values(sweep, seed), values(grown, seed), values(grid)
    if len(many) < len(every):
        assert many[: len(few)] == few
    else:
        assert many == every
    assert set(few) <= set(every)
    assert values(sweep, seed) == few


def test_more_drawn_values_keep_the_earlier_ones():
    """The same for axes of ranges, and a new axis changes no value of another one."""
    axes = {"u": {"from": 0.3, "to": 0.95}, "b": ["x", "y", "z"]}
    few, many = (values(sweep_of(axes=axes, random=n), 5) for n in (10, 1000))
    assert many[:10] == few
    other = sweep_of(axes={"t": {"from": "1ms", "to": "1s", "scale": "log"}, **axes}, random=10)
    assert [row[1:] for row in values(other, 5)] == few
    assert values(sweep_of(axes=axes, random=10), 6) != few


def test_points_of_another_seed_are_others():
    """run.seed decides what is drawn."""
    sweep = sweep_of(axes={"a": list(range(1000))}, random=20)
    assert len({tuple(values(sweep, seed)) for seed in range(50)}) == 50


def test_a_grid_that_no_memory_holds_is_drawn_from_at_once():
    """10^15 combinations, 100 of them: counted and drawn in well under a second."""
    axes = {f"a{i}": {"from": 1, "to": 1000, "step": 1} for i in range(5)}
    start = time.process_time()
    sweep = sweep_of(axes=axes, random=100)
    assert n_points(sweep) == 100
    assert len(set(values(sweep))) == 100
    assert n_points(sweep_of(axes=axes)) == 10**15
    first = next(points(sweep_of(axes=axes), 1))
    assert first == (0, dict.fromkeys(axes, 1))
    assert time.process_time() - start < 1.0


def test_every_value_of_every_axis_is_drawn_equally_often():
    """Seven of 2 x 3 x 5 combinations under 400 seeds: each comes in 7/30 of them.

    Whether it comes is a coin of p = 7/30 per seed, so its count has the variance n p (1 - p).
    """
    axes = {"a": [0, 1], "b": [0, 1, 2], "c": [0, 1, 2, 3, 4]}
    counts = dict.fromkeys(itertools.product(*axes.values()), 0)
    for seed in range(400):
        for row in values(sweep_of(axes=axes, random=7), seed):
            counts[row] += 1
    expected, spread = 400 * 7 / 30, math.sqrt(400 * 7 / 30 * 23 / 30)
    bound = stats.norm.isf(ALARM / 2 / len(counts))
    assert max(abs(count - expected) for count in counts.values()) < bound * spread


@pytest.mark.parametrize("beside", [{}, {"u": {"from": 0.3, "to": 0.95}}])
def test_first_points_and_lists_beside_a_range_are_uniform(beside):
    """Chi-square of a list's values: at the first point of 3000 seeds, and in 3000 points."""
    axes = {"b": list("abcde"), "d": [1, 2, 3], **beside}
    rows = [next(points(sweep_of(axes=axes, random=2), seed)).values["b"] for seed in range(3000)]
    if beside:
        found = list(points(sweep_of(axes=axes, random=3000), 7))
        pairs = [(point.values["b"], point.values["d"]) for point in found]
        cells = [pairs.count(cell) for cell in itertools.product("abcde", [1, 2, 3])]
        assert stats.chisquare(cells).pvalue > ALARM
    assert stats.chisquare([rows.count(value) for value in "abcde"]).pvalue > ALARM


def test_ranges_are_drawn_independently_and_by_their_law():
    """Each axis follows its law over the points of one study, and two of them are uncorrelated."""
    axes = {"u": {"from": 0.3, "to": 0.95}, "v": {"from": 1.0, "to": 1000.0, "scale": "log"}}
    found = values(sweep_of(axes=axes, random=3000))
    u, v = zip(*found, strict=True)
    assert stats.kstest(u, stats.uniform(0.3, 0.65).cdf).pvalue > ALARM
    assert stats.kstest(v, stats.loguniform(1, 1000).cdf).pvalue > ALARM
    assert abs(stats.spearmanr(u, v).statistic) < stats.norm.isf(ALARM / 2) / math.sqrt(2999)


def test_a_range_of_whole_numbers_is_a_list_of_them():
    """Drawn without repetition, and no more of them than there are."""
    sweep = sweep_of(axes={"cluster.pods": {"from": 3, "to": 12}}, random=1000)
    assert values(sweep) == [(k,) for k in range(3, 13)]
    few = sweep_of(axes={"cluster.pods": {"from": 1, "to": 10**12}}, random=5)
    assert len(set(values(few))) == n_points(few) == 5


# --- a scenario's own -----------------------------------------------------------------------------


def test_a_sweep_with_ranges_is_read_written_and_read_again(tmp_path):
    """File, resolved data and YAML lead to the same scenario; pickled, too."""
    scenario = written(
        tmp_path,
        "sweep:\n  axes:\n    traffic.utilisation: {from: 0.3, to: 0.95}\n"
        "    run.drain: {from: 1ms, to: 1s, count: 7, scale: log}\n"
        "    cluster.pods: [3, 4]\n    random: 10\n"
        "    zip: {cluster.nodes: {from: 1, to: 2, step: 1}, traffic.clients.count: [5, 6]}\n",
    )
    again = build(scenario.resolved())
    assert again == scenario == load_text(tmp_path, dump(scenario))
    assert scenario.resolved()["sweep"]["axes"]["run.drain"] == {
        "from": "1ms", "to": "1s", "count": 7, "scale": "log",
    }  # fmt: skip
    copy = pickle.loads(pickle.dumps(scenario))
    assert copy == scenario
    assert values(copy.sweep) == values(scenario.sweep) == values(again.sweep)
    assert list(points(scenario.sweep, 1))[9].values.keys() == {
        "traffic.utilisation", "run.drain", "cluster.pods", "cluster.nodes",
        "traffic.clients.count",
    }  # fmt: skip


def load_text(tmp_path, text):
    """Return the scenario of a whole file."""
    path = tmp_path / "again.yaml"
    path.write_text(text)
    return load(path)


def test_the_scenario_of_a_point_has_its_values_and_no_sweep(tmp_path):
    """As with `with_`, rivals give way; texts stay what the file says; the sweep is not touched."""
    text = """sweep:
  axes:
    traffic.arrivals.rate: [100/s, 2k/s]
    stages.kube_proxy.probability_format: ["%0.5f"]
    traffic.service_time: [{distribution: lognormal, mean: 5ms, cv: 2}]
    traffic.service_time.distribution: [lognormal, exponential]
    cluster.pods: {from: 3, to: 4, step: 1}
"""
    scenario = written(tmp_path, text)
    sweep = check_axes(scenario)
    before = scenario.resolved()
    last = list(points(sweep, 1))[-1]
    made = scenario.at_point(last.values)
    assert made.sweep is None
    assert made.traffic.utilisation is None
    assert made.traffic.arrivals.rate == 2000.0
    assert made.traffic.service_time.distribution == "exponential"
    assert made.traffic.service_time.cv is None
    assert made.stages.kube_proxy.probability_format == "%0.5f"
    assert made.cluster.pods == 4
    assert (made.name, made.folder) == ("s", tmp_path)
    assert scenario.resolved() == before
    first = scenario.at_point(next(points(sweep, 1)).values)
    assert first.traffic.service_time.cv == 2.0


def test_a_point_whose_values_do_not_go_together_has_the_place_of_the_axis(tmp_path):
    """The sentence of a combination that is no scenario names the lines of the file."""
    text = """sweep:
  axes:
    cluster.pods:
      [10, 2]
    cluster.placement: [[4, 3, 3], [1, 1, 0]]
    cluster.pods[5].speed: [2]
"""
    scenario = written(tmp_path, text)
    check_axes(scenario)
    said = []
    for point in points(scenario.sweep, 1):
        try:
            scenario.at_point(point.values)
            said.append("")
        except ScenarioError as error:
            said.append(str(error).replace(f"{tmp_path}{os.sep}", ""))
    assert said[0] == ""
    assert said[1].startswith("s.yaml:7: cluster.placement = [1, 1, 0]: ")
    assert said[2].startswith("s.yaml:8: cluster.pods[5].speed: the list has 2 entries")


def test_a_scenario_remembers_the_lines_of_its_keys(tmp_path):
    """Also after with_: what a change breaks elsewhere has its line, earlier changes theirs."""
    scenario = written(
        tmp_path, "cluster:\n  placement: [4, 3, 3]\n", ["run.drain=1s", "cluster.nodes=3"]
    )
    place = f"{tmp_path / 's.yaml'}"
    assert scenario.place_of("cluster", "placement") == f"{place}:4"
    assert scenario.place_of("cluster", "pods") == f"{place}:3"
    assert scenario.place_of("run", "drain") == "--set run.drain"
    changed = scenario.with_({"run.seed": 2})
    assert changed.place_of("run", "seed") == "--set run.seed"
    assert changed.place_of("run", "requests") == f"{place}:2"
    assert changed.place_of("run", "drain") == "--set run.drain"
    with pytest.raises(ScenarioError, match=r"s\.yaml:4: cluster\.placement = \[4, 3, 3\]: "):
        changed.with_({"cluster.pods": 9})
    with pytest.raises(ScenarioError, match=r"--set cluster\.nodes: cluster\.nodes = 0: must be"):
        written(tmp_path, "", ["cluster.nodes=0"])


# --- refused --------------------------------------------------------------------------------------

MISTAKES = YAML(typ="safe", pure=True).load(Path(__file__).parent / "data" / "axes_mistakes.yaml")


@pytest.mark.parametrize(("text", "sentence"), [(row["text"], row["says"]) for row in MISTAKES])
def test_bad_axes_are_refused_with_their_place(tmp_path, text, sentence):
    """FILE:LINE: the key in the sweep = its value: what is wrong; what to do instead."""
    found = refused(tmp_path, text + "\n")
    assert sentence in found
    assert found.startswith("s.yaml:")
    assert "\n" not in found


def test_a_change_on_the_command_line_is_the_place_of_its_mistakes(tmp_path):
    """--set PATH stands for FILE:LINE."""
    assert refused(tmp_path, "", ["sweep.axes.traffic.utilisation=[0.5, abc]"]).startswith(
        "--set sweep.axes.traffic.utilisation: sweep.axes.traffic.utilisation[1] = abc: "
    )
    assert refused(tmp_path, "", ["sweep.axes.run.seed=[1, 2]"]).startswith(
        "--set sweep.axes.run.seed: sweep.axes.run.seed = [1, 2]: is the same for all points"
    )
    changed = written(tmp_path, "").with_({"sweep.axes.cluster.pods": [3, 3]})
    with pytest.raises(ScenarioError, match=r"^--set sweep\.axes\.cluster\.pods: .* given twice"):
        check_axes(changed)


def test_every_bad_value_of_a_long_list_is_found_before_anything_runs(tmp_path):
    """Reading tries 200 values; the check finds what comes behind them, 12 lines at most."""
    text = "sweep:\n  axes:\n    cluster.pods: ["
    good = ", ".join(str(k) for k in range(1, 211))
    scenario = written(tmp_path, f"{text}{good}, 0]\n")
    assert n_points(scenario.sweep) == 211
    assert refused(tmp_path, f"{text}{good}, 0]\n").startswith(
        "s.yaml:5: sweep.axes.cluster.pods[210] = 0: must be at least 1"
    )
    many = refused(tmp_path, f"{text}{good}, {', '.join('abcdefghijklmnop')}]\n").splitlines()
    assert len(many) == 12


def test_a_big_grid_is_accepted_with_yes_or_drawn_from(tmp_path):
    """A million points need no yes, more of them do."""
    sizes = {"cluster.pods": 100, "traffic.clients.count": 100, "run.requests": 101}
    text = "sweep:\n  axes:\n" + "".join(
        f"    {path}: {{from: 1, to: {size}, step: 1}}\n" for path, size in sizes.items()
    )
    assert n_points(check_axes(written(tmp_path, text), yes=True)) == 1_010_000
    assert n_points(check_axes(written(tmp_path, text + "  random: 5\n"))) == 5
    assert "1,010,000 points" in refused(tmp_path, text)
    text = text.replace("to: 101", "to: 100")
    assert n_points(check_axes(written(tmp_path, text))) == 1_000_000


@pytest.mark.parametrize(
    "text",
    [
        "{axes: {cluster.pods: [10, 4]}}\ncluster: {placement: [4, 3, 3]}",
        "{zip: {cluster.pods: [10, 4], cluster.placement: [[4, 3, 3], [2, 1, 1]]}}",
        "{axes: {cluster.pods: [10, 4], cluster.placement: [[4, 3, 3], [2, 1, 1]]}}",
        "{axes: {traffic.service_time.cv: [2, 3], traffic.service_time.distribution: [lognormal]}}",
        "{zip: {traffic.service_time.cv: [2], traffic.service_time.distribution: [lognormal]}}",
        "{random: 5, axes: {traffic.service_time.cv: {from: 1.5, to: 3.5}, "  # noqa: ISC004
        "traffic.service_time.distribution: [lognormal]}}",
    ],
)
def test_a_value_that_another_axis_mends_is_no_mistake(tmp_path, text):
    """Two pods do not fit the base's placement, but that of another axis: the points will tell."""
    assert n_points(check_axes(written(tmp_path, f"sweep: {text}\n"))) > 0


def test_a_value_that_no_other_axis_mends_is_one(tmp_path):
    """Beside other axes, too, a wrong value is found."""
    text = "sweep: {axes: {cluster.pods: [10, 4], cluster.placement: [[4, 3, 3], [2, 1, 2]]}}\n"
    assert "sweep.axes.cluster.placement[1] = [2, 1, 2]: " in refused(tmp_path, text)


def test_a_utilisation_takes_the_place_of_the_rate_of_the_file(tmp_path):
    """And a rate that of a utilisation: each value is tried as the point will have it."""
    path = tmp_path / "s.yaml"
    path.write_text("traffic: {arrivals: {rate: 400/s}}\nsweep: {axes: {traffic.utilisation: [1]}}")
    scenario = load(path)
    [point] = points(check_axes(scenario), 1)
    made = scenario.at_point(point.values)
    assert (made.traffic.utilisation, made.traffic.arrivals.rate) == (1.0, None)

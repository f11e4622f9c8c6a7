"""Reading scenario files: every mistake becomes one sentence with its place, never a traceback."""

import os
from pathlib import Path

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from ruamel.yaml import YAML

import lbbench
from lbbench.errors import ScenarioError
from lbbench.inputs.yaml import dump, load, parse, shipped
from lbbench.model import notation

LOAD = "traffic: {utilisation: 0.8}\n"


def refused(tmp_path, text, set_=()):
    """Return the error text of a scenario file, the folder taken out."""
    path = tmp_path / "s.yaml"
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    with pytest.raises(ScenarioError) as caught:
        load(path, set_)
    return str(caught.value).replace(f"{tmp_path}{os.sep}", "")


MISTAKES = YAML(typ="safe", pure=True).load(
    Path(__file__).parent / "data" / "scenario_mistakes.yaml"
)


def rows(kind):
    """Return the parameters of a test from the table of mistakes."""
    return pytest.mark.parametrize(
        ("text", "sentence"), [(row["text"], row["says"]) for row in MISTAKES[kind]]
    )


@rows("keys")
def test_a_mistake_is_told_with_place_value_and_way_out(tmp_path, text, sentence):
    """FILE:LINE: path = value: what is wrong; what is allowed."""
    found = refused(tmp_path, LOAD + text + "\n")
    assert sentence in found
    assert found.startswith("s.yaml:")
    assert "\n" not in found


@rows("traffic")
def test_a_scenario_has_exactly_one_load(tmp_path, text, sentence):
    """A rate or the process's own figures, a utilisation or a trace; what contradicts is told."""
    found = refused(tmp_path, f"traffic: {text}\n")
    assert sentence in found
    assert "\n" not in found


@rows("service_time")
def test_a_service_time_has_its_figures_and_a_finite_mean(tmp_path, text, sentence):
    """Missing, foreign and impossible figures are told."""
    found = refused(tmp_path, f"traffic: {{utilisation: 1, service_time: {text}}}\n")
    assert found.startswith("s.yaml:1: traffic.service_time.")
    assert sentence in found


def test_all_mistakes_are_told_at_once_in_the_order_of_the_file(tmp_path):
    """One reading tells every mistake, wherever it is."""
    text = """cluster:
  pods: [{name: a, sped: 1}, {nme: b}]
path: ingres
stages:
  ingress: {subset_size: x, keepalive: {upstream: -1}}
run: {seed: -1}
"""
    lines = refused(tmp_path, text + LOAD).splitlines()
    assert [line.split(": ")[1].split(" = ")[0] for line in lines] == [
        "cluster.pods[0].sped",
        "cluster.pods[1].nme",
        "cluster.pods[1].name",
        "path",
        "stages.ingress.subset_size",
        "stages.ingress.keepalive.upstream",
        "run.seed",
    ]
    assert [line.split(":")[1] for line in lines] == ["2", "2", "2", "3", "5", "5", "6"]


def test_at_most_twelve_lines_are_told(tmp_path):
    """Forty mistakes are eleven lines and a count of the rest."""
    lines = refused(tmp_path, LOAD + "".join(f"bad{i}: 1\n" for i in range(40))).splitlines()
    assert len(lines) == 12
    assert lines[-1] == "s.yaml: and 29 more mistakes"


DAMAGED = [
    ("", "s.yaml: there is nothing in it; a scenario needs at least traffic"),
    ("# only a comment\n", "there is nothing in it"),
    ("- a\n", "s.yaml:1: this is a list; a scenario has keys"),
    ("hello\n", "s.yaml:1: this is a single value"),
    ("traffic: {utilisation: 0.8\n", "s.yaml:2: not valid YAML: expected ',' or '}'"),
    ("traffic:\n\tutilisation: 0.8\n", "s.yaml:2: not valid YAML: found character '\\t'"),
    (LOAD + LOAD, "s.yaml:2: traffic: is given twice; keep one of them"),
    ("cluster:\n  pods: 1\n  pods: 2\n", "s.yaml:3: cluster.pods: is given twice"),
    (LOAD + "---\n" + LOAD, "s.yaml:2: not valid YAML: but found another document"),
    ("traffic: !!python/object/apply:os.system ['ls']\n", "the tag !!python/object/apply"),
    ("traffic: *x\n", "s.yaml:1: not valid YAML: found undefined alias"),
    ("traffic: &a {utilisation: *a}\n", "nested deeper than 40 levels"),
    ("? [a, b]\n: 3\n", "a key must be a word"),
    ("traffic: " + "[" * 5000 + "\n", "nested deeper than 40 levels"),
    ("traffic: " + "{a: " * 300 + "}" * 300 + "\n", "nested deeper than 40 levels"),
    ("".join(" " * i + "a:\n" for i in range(2000)), "nested deeper than 40 levels"),
    (bytes(range(256)), "s.yaml: is not text (byte 128 is not UTF-8)"),
    (LOAD.encode() + b"\x00", "s.yaml: is a binary file; give a YAML file"),
    (b"\x1f\x8b\x08" + bytes(50), "is not text"),
    (LOAD.encode("utf-16"), "is not text"),
]  # fmt: skip


@pytest.mark.parametrize(("text", "sentence"), DAMAGED, ids=range(len(DAMAGED)))
def test_a_file_that_is_no_scenario_is_told_in_one_sentence(tmp_path, text, sentence):
    """Syntax errors, binary files, empty ones and bottomless ones are told, not traced back."""
    found = refused(tmp_path, text)
    assert sentence in found
    assert "\n" not in found


@pytest.mark.parametrize("shape", ["[{}]", "{{{}}}"])
def test_an_alias_bomb_is_stopped(tmp_path, shape):
    """Nine aliases to nine aliases to ... 9^9 values: refused before they are made."""
    inner = ",".join(f"k{i}: *{{0}}" if shape[0] == "{" else "*{0}" for i in range(9))
    lines = ["a: &a {k: v}"]
    for name, below in zip("bcdefghij", "abcdefghi", strict=True):
        lines.append(f"{name}: &{name} " + shape.format(inner.format(below)))
    assert "aliases repeat more than 100000 values" in refused(tmp_path, "\n".join(lines) + "\n")


def test_paths_that_cannot_be_read_are_told(tmp_path, monkeypatch):
    """A folder, a missing file, a name that is nearly a shipped one, an impossible name."""
    monkeypatch.chdir(tmp_path)
    for source, sentence in [
        (tmp_path, "this is a folder; give a scenario file"),
        ("ewma-herdin", "there is no such file or shipped scenario; did you mean ewma-herding?"),
        (
            tmp_path / "qqq.yaml",
            "there is no such file or shipped scenario; shipped are aks-ingress",
        ),
        (tmp_path / "a" / "b.yaml", "there is no such file"),
        ("x" * 300, "cannot be read"),
        ("a\0b", "cannot be read"),
    ]:
        with pytest.raises(ScenarioError, match=sentence) as caught:
            load(source)
        assert "\n" not in str(caught.value)


def test_a_file_goes_before_a_shipped_scenario_and_a_folder_does_not(tmp_path, monkeypatch):
    """`lbbench run seed` finds the shipped scenario although there is a folder of that name."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "seed").mkdir()
    assert load("seed").preset == "seed"
    (tmp_path / "aks-service").write_text(LOAD)
    assert load("aks-service").path == "ingress"


def test_name_and_folder_come_from_the_file(tmp_path):
    """The name is the file's stem unless given; relative paths start in its folder."""
    path = tmp_path / "my.test.yaml"
    path.write_text("\ufeff" + LOAD.replace("\n", "\r\n"), encoding="utf-8")
    scenario = load(path)
    assert (scenario.name, scenario.folder) == ("my.test", tmp_path)
    assert scenario.with_({"run.seed": 2}).name == "my.test"
    assert scenario.with_({"run.seed": 2}).folder == tmp_path
    path.write_text(LOAD + "name: Ω\n", encoding="utf-8")
    assert lbbench.load(path).name == "Ω"


def test_anchors_merge_keys_and_quotes_mean_what_yaml_says(tmp_path):
    """An alias repeats a value, << takes keys over, a quoted number is a number again."""
    path = tmp_path / "s.yaml"
    path.write_text("""cluster: {pods: &n "4", nodes: *n, network: &net {client_rtt: 1ms}}
traffic: {utilisation: 8e-1, service_time: &t {mean: 5ms, distribution: deterministic},
          connections: {gap: {<<: *t, mean: 1s}}}
""")
    scenario = load(path)
    assert (scenario.cluster.nodes, scenario.cluster.pods) == (4, 4)
    assert scenario.traffic.utilisation == 0.8
    assert scenario.traffic.connections.gap.mean == 1.0
    assert scenario.traffic.connections.gap.distribution == "deterministic"


def test_dump_is_yaml_that_loads_back(tmp_path):
    """A dumped scenario is a file like any other, also with --set."""
    scenario = load("aks-ingress", ["stages.ingress.balancer=ewma", "cluster.pods[3].speed=0.2"])
    path = tmp_path / "aks-ingress.yaml"
    path.write_text(dump(scenario))
    assert load(path) == scenario


words = st.sampled_from(
    ["traffic", "cluster", "pods", "nodes", "utilisation", "rate", "run", "timeline", "at", "slo",
     "none", "4/s", "1ms", "-1", "0", "1e999", ".nan", "~", "{", "}", "[", "]", ":", ",", "\n",
     "- ", "&a", "*a", "<<", "!t", "'", '"', "#", "|", "%", "sweep", "axes", "stages", "\t", "?"]
)  # fmt: skip


@settings(max_examples=150)
@example("&a { &a")  # an anchor given twice
@given(
    st.one_of(
        st.lists(words, max_size=30).map(" ".join), st.text(max_size=60), st.binary(max_size=60)
    )
)
@example("traffic: {utilisation: 0.8}\nsweep: {axes: {cluster.pods[1]: [1]}}")
def test_whatever_is_in_a_file_the_answer_is_a_scenario_or_a_sentence(tmp_path_factory, text):
    """Damaged and random files raise ScenarioError with at most 12 lines, and nothing else."""
    path = tmp_path_factory.mktemp("any") / "s.yaml"
    path.write_bytes(text if isinstance(text, bytes) else text.encode("utf-8", "surrogatepass"))
    try:
        load(path)
    except ScenarioError as error:
        assert 1 <= len(str(error).splitlines()) <= 12  # noqa: PT017


def test_parse_knows_the_line_of_every_key():
    """Lines count from 1, entries of lists have theirs."""
    data, lines = parse("a: 1\nb:\n  - x\n  - {c: 2}\n", "text")
    assert data == {"a": 1, "b": ["x", {"c": 2}]}
    assert lines == {(): 1, ("a",): 1, ("b",): 2, ("b", 0): 3, ("b", 1): 4, ("b", 1, "c"): 4}


def test_shipped_scenarios_are_found_by_name():
    """The names are the stems of the files."""
    assert {"ewma-herding", "aks-ingress", "aks-service", "seed"} <= shipped().keys()
    assert all(path.is_file() for path in shipped().values())


def test_a_folded_text_is_one_line():
    """A text behind ``>-`` is joined by blanks and holds nothing else."""
    data, _ = parse("name: >-\n  one\n  two\n", "x")
    assert data == {"name": "one two"}


@given(
    st.from_regex(notation._WORD, fullmatch=True)
    | st.sampled_from(["null", "True", "007", "1e5", "1.e-3", "2026-01-02", "1_000", "0x1f", "no"])
)
def test_a_word_means_the_same_with_and_without_the_parser(text):
    """Plain words are read without ruamel.yaml; what comes out is what it would give."""
    if len(text) < 1000:
        node = notation._compose(text, "text")
        read = notation._Reader("text", numbered=False).read(node, (), 0)
        assert notation.read_value(text, "x") == read
        assert type(notation.read_value(text, "x")) is type(read)

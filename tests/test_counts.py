"""The counts importer: every form in which people paste how often each pod was hit."""

import json
import time
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lbbench.errors import InputError
from lbbench.inputs.counts import LARGEST, from_counts, read_counts
from lbbench.model.check import build

DATA = Path(__file__).parent / "data" / "files"
F26 = DATA / "F26_observed_counts.txt"
EXPECTED = {
    item["file"]: item["expect"]
    for item in json.loads((DATA / "MANIFEST.json").read_text(encoding="utf-8"))["files"]
}[F26.name]
SAME = {"10.244.0.4": 17, "10.244.1.4": 1204, "10.244.2.4": 3}


@pytest.fixture
def counted(tmp_path):
    """Return a function that reads a text."""

    def read(text):
        path = tmp_path / "counts.txt"
        path.write_bytes(text if isinstance(text, bytes) else text.encode())
        return read_counts(path)

    return read


def test_every_expectation_of_f26_holds():
    """Four published groups and their totals; the statistics are in test_fit.py."""
    counts = read_counts(F26)
    assert len(counts.groups) == EXPECTED["groups"]
    totals = {name: sum(table.values()) for name, table in counts.groups.items()}
    assert totals == EXPECTED["totals"]
    assert {name: len(table) - 1 for name, table in counts.groups.items()} == EXPECTED["df"]
    assert counts.places["mosip1920-after"] == (str(F26), 17)


@pytest.mark.parametrize(
    "text",
    [
        "     17 10.244.0.4\n   1204 10.244.1.4\n      3 10.244.2.4\n",
        "10.244.0.4 17\n10.244.1.4 1204\n10.244.2.4 3\n",
        "10.244.0.4: 17\n10.244.1.4: 1,204\n10.244.2.4: 3\n",
        "10.244.0.4 17\n10.244.1.4 1,204\n10.244.2.4 3\n",
        "pod,requests\n10.244.0.4,17\n10.244.1.4,1204\n10.244.2.4,3\n",
        "count;pod\n17;10.244.0.4\n1204;10.244.1.4\n3;10.244.2.4\n",
        "10.244.0.4\t17\r\n10.244.1.4\t1204\r\n10.244.2.4\t3\r\n",
        "| pod | n |\n|---|---|\n| 10.244.0.4 | 17 |\n| 10.244.1.4 | 1204 |\n| 10.244.2.4 | 3 |\n",
        '"10.244.0.4","17"\n"10.244.1.4","1204"\n"10.244.2.4","3"\n',
        "# counted\n17 10.244.0.4\n1200 10.244.1.4\n4 10.244.1.4\n3 10.244.2.4\n",
    ],
)
def test_every_form_gives_the_same_counts(counted, text):
    """`uniq -c`, words, colons, thousands, CSV with marks of all kinds, Markdown, a sum."""
    counts = counted(text)
    assert counts.groups == {"": SAME}
    assert counts.n_skipped == 0


def test_labels_with_blanks_and_ports_are_whole(counted):
    """All that follows the count of `uniq -c` is the label; an address keeps its port."""
    assert counted("  3 GET / of pod a\n  4 GET / of pod b\n").groups == {
        "": {"GET / of pod a": 3, "GET / of pod b": 4}
    }
    assert counted("10.0.0.1:80 3\n[::1]:80 4\n").groups == {"": {"10.0.0.1:80": 3, "[::1]:80": 4}}


def test_numbers_alone_are_read_and_numbers_as_labels_too(counted):
    """One column: the lines are the labels. Two columns of numbers: as `uniq -c` has them."""
    assert counted("5\n7\n").groups == {"": {"line 1": 5, "line 2": 7}}
    assert counted("  5 8080\n  7 8081\n").groups == {"": {"8080": 5, "8081": 7}}


def test_lines_without_a_count_are_shown(counted):
    """Words, negative and huge numbers, other widths: counted, the first ten with their line."""
    counts = counted(f"a 1\nb x\nc -3\nd 4\ne {LARGEST}0\nf 1 2 3\n")
    assert counts.groups == {"": {"a": 1, "d": 4}}
    assert [(line, why) for _, line, why in counts.skipped] == [
        (2, "'x' is no count"),
        (3, "'-3' is no count"),
        (5, f"a count of more than {LARGEST}"),
        (6, "4 columns where others have 2"),
    ]


def test_counts_become_a_scenario(counted):
    """The labels are the pods; what was counted stands beside them; a group has to be chosen."""
    scenario = build(from_counts(counted("10.244.0.4 3\n10.244.1.4 4\n")).scenario, place="x")
    assert dict(scenario.observed.pods) == {"10.244.0.4:80": 3, "10.244.1.4:80": 4}
    assert [pod.node for pod in scenario.cluster.pods] == ["node-0", "node-1"]
    with pytest.raises(InputError, match=r":1: counts of 4 groups .* choose one with --service"):
        from_counts(read_counts(F26))
    scenario = build(from_counts(read_counts(F26), "kubeai113").scenario, place="x")
    assert len(scenario.cluster.pods) == 25


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"", ":1: is empty"),
        (b"3 a\x00", "binary"),
        ("3 a\n".encode("utf-16"), "UTF-16"),
        (b"\nhello world\n", ":2: no label with a count in it .'world' is no count"),
        (b"pod count\n", ":1: no label with a count"),
        (b"# only a comment\n", ":1: is empty"),
    ],
)
def test_bad_input_is_one_sentence_with_place_and_way_out(tmp_path, content, said):
    """Empty, binary, prose, a head without a table."""
    path = tmp_path / "counts.txt"
    path.write_bytes(content)
    with pytest.raises(InputError, match=said) as caught:
        read_counts(path)
    assert str(caught.value).startswith(str(path))


@settings(max_examples=200, deadline=None)
@given(st.lists(st.text(st.sampled_from("ab 019,;:\t|\"'-#é"), max_size=20), max_size=10))
def test_garbage_raises_nothing_but_input_errors(tmp_path_factory, texts):
    """Whatever the lines, the answer is a scenario or an InputError."""
    path = tmp_path_factory.mktemp("garbage") / "any"
    path.write_text("\n".join(texts), encoding="utf-8")
    try:
        counts = read_counts(path)
        build(from_counts(counts, next(iter(counts.groups))).scenario, place="x")
    except InputError:
        return


@pytest.mark.parametrize("piece", [",", '"', "1,", "a ", ":", "| "])
def test_a_hostile_line_takes_linear_time(tmp_path, piece):
    """A megabyte on one line takes no five seconds, and the other lines are read."""
    path = tmp_path / "long"
    path.write_text(f"a 1\nb 2\n{piece * (1_000_000 // len(piece))}\n", encoding="utf-8")
    began = time.process_time()
    assert read_counts(path).groups[""] == {"a": 1, "b": 2}
    assert time.process_time() - began < 5.0


def test_labels_that_cannot_be_names_are_changed(counted):
    """Signs that cannot be printed and labels of unending length still become pods."""
    text = f"{'x' * 300}\x07 3\n{'x' * 300} 4\n\x1ba 5\n"
    scenario = build(from_counts(counted(text)).scenario, place="x")
    assert [pod.name for pod in scenario.cluster.pods] == ["x" * 240, f"{'x' * 240}-1", "?a"]
    assert sum(scenario.observed.pods.values()) == 12

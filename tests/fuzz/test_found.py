"""What fuzzing has found, each with the smallest file that showed it."""

from __future__ import annotations

import contextlib
import gzip
from pathlib import Path

import pytest
from hostile import bomb

from lbbench.errors import InputError, LbbenchError, printable
from lbbench.inputs.access_log.reader import read_access_log
from lbbench.inputs.conntrack.line import parse as parse_flow
from lbbench.inputs.documents import Text, read_documents
from lbbench.inputs.source import LONGEST_LINE, lines, read_text
from lbbench.inputs.yaml import dump, load
from lbbench.studies.imported import read_input

FLOW = (
    "tcp 6 9 TIME_WAIT src=1.1.1.1 dst=20.1.2.3 sport=1 dport=80 "
    "src=10.244.0.4 dst=1.1.1.1 sport=8080 dport=1 [ASSURED] "
)


@pytest.fixture
def imported(tmp_path: Path):
    """Return a function that imports the content of a file."""

    def of(kind: str, content: str | bytes):
        path = tmp_path / "input"
        path.write_bytes(content if isinstance(content, bytes) else content.encode())
        return read_input(kind, [str(path)])

    return of


def test_two_rules_to_one_pod_are_a_sentence(imported):
    """It was a TypeError when the two were sorted, and one pod less with other policies."""
    rules = (
        '-A KUBE-SERVICES -d 10.0.0.9/32 -p tcp -m comment --comment "a/b cluster IP" '
        "-m tcp --dport 80 -j KUBE-SVC-X\n"
        "-A KUBE-SVC-X -m statistic --mode random --probability 0.5 -j KUBE-SEP-1\n"
        "-A KUBE-SVC-X -j KUBE-SEP-2\n"
        "-A KUBE-SEP-1 -p tcp -m tcp -j DNAT --to-destination 10.244.0.4:80\n"
        "-A KUBE-SEP-2 -p tcp -m tcp -j DNAT --to-destination 10.244.0.4:80\n"
    )
    with pytest.raises(InputError, match=r"input:3: a/b: .*-2 leads to .*-1 at .*:2"):
        imported("iptables", rules)


def test_a_translated_flow_without_ports_is_no_service(imported):
    """A ping through DNAT made a service without a port, which no scenario can have."""
    ping = "icmp 1 9 src=1.1.1.1 dst=2.2.2.2 type=8 src=10.244.0.4 dst=1.1.1.1 type=0\n"
    found = imported("conntrack", FLOW + "\n" + ping * 3)
    assert found.scenario["cluster"]["vip"] == "20.1.2.3:80"
    assert "3 translated flows have no port: no service's, left out" in found.notes
    with pytest.raises(InputError, match="no answered connection to a service"):
        imported("conntrack", ping)


def test_two_flows_in_a_line_are_not_counted_as_one():
    """A table that has lost its line ends lost all flows but the first of each line, unsaid."""
    assert parse_flow(FLOW + FLOW) == "more than one flow in a line: has it lost its line ends?"
    assert parse_flow(FLOW * 40) == "more than one flow in a line: has it lost its line ends?"


def test_a_time_that_overflows_is_no_time(tmp_path: Path):
    """A response time of 400 digits became infinite, and so did the mean."""
    line = (
        b'1.1.1.1 - - [22/Jan/2019:10:17:23 +0000] "GET / HTTP/1.1" 200 1 "-" "-" 1 0.1 [a-b-80] '
        b"[] 10.0.0.1:80 1 %s 200 a\n"
    )
    path = tmp_path / "access.log"
    path.write_bytes(line % b"0.1" + line % (b"9" * 400))
    log = read_access_log(path)
    assert len(log.end) == 1
    assert log.skipped == ((str(path), 2, "a time of more than 30 years"),)


def test_a_long_label_is_written_so_that_it_reads_back(imported, tmp_path: Path):
    """A key of 98 signs with blanks was folded, which is no YAML."""
    found = imported("counts", "".join(f"{k} label{k} {'word ' * 20}\n" for k in range(3, 6)))
    path = tmp_path / "written.yaml"
    path.write_text(dump(found.scenario), encoding="utf-8")
    assert len(load(path).cluster.pods) == 3


def test_a_long_name_is_cut(imported):
    """The name of a service without a comment is that of its chain, of any length."""
    chain = "KUBE-SVC-" + "A" * 400
    rules = f"-A {chain} -j KUBE-SEP-1\n-A KUBE-SEP-1 -p tcp -j DNAT --to-destination 10.1.1.1:80\n"
    assert len(imported("iptables", rules).scenario["name"]) <= 120


def test_lines_without_a_count_are_all_counted(imported):
    """Ten were listed and nothing told of the others; long ones were not even counted."""
    found = imported("counts", "3 a\n4 b\n5 c\n" * 9 + "x y\n" * 12 + f"1 {'x,' * 9000}\n")
    assert "lines that hold no count, left out: 13" in found.notes
    assert found.skipped[0][2] == "longer than 10000 bytes"


def test_what_is_no_object_in_a_yaml_list_is_shown(imported):
    """An item of a list that is a word was left out unsaid."""
    text = (
        "kind: List\nitems:\n- lost\n- {kind: Service, metadata: {name: a}, spec: {ports: "
        "[{port: 80}]}}\n- {kind: Endpoints, metadata: {name: a}, subsets: [{addresses: "
        "[{ip: 10.244.0.4}], ports: [{port: 8080}]}]}\n"
    )
    assert [line for line in imported("kubernetes", text).skipped if line[1] == 1]


def test_control_signs_of_a_file_are_shown_not_sent_to_the_terminal(imported):
    """A file could clear the screen or set the window's title from within a message."""
    with pytest.raises(LbbenchError, match=r"group|groups .a.x1b.2J") as caught:
        imported("counts", "g\x1b[2J a 1\ng\x1b[2J b 1\nh a 1\nh b 2\n")
    assert "\x1b" not in str(caught.value)
    assert printable("a\x1b\u202e\ud800\n\té") == "a\\x1b\\u202e\\ud800\n\té"


def test_a_long_line_is_one_line(tmp_path: Path):
    """Its pieces were lines of their own, which moved the numbers of all that followed."""
    path = tmp_path / "long"
    for end in (b"\n", b"\r\n", b"\r"):
        long = b"x" * (5 * LONGEST_LINE + 7)
        path.write_bytes(b"a" + end + long + end + b"b" + end + long)
        first, second, third, fourth = lines(path)
        assert (first, third) == (b"a", b"b")
        assert min(len(second), len(fourth)) > LONGEST_LINE
        with pytest.raises(InputError, match=r"long:2: a line of more than 1 MiB"):
            read_text(path)


def test_a_nul_is_told_by_its_place_in_the_file(tmp_path: Path):
    """It was the place in the piece that happened to be read."""
    path = tmp_path / "nul"
    path.write_bytes(b"a\n" * (1 << 20) + b"\0")
    with pytest.raises(InputError, match="NUL byte at 2097152"):
        list(lines(path))


def test_a_gzip_bomb_is_refused_and_a_packed_text_is_not(tmp_path: Path):
    """A hundred times its size beyond 16 MiB: what packs 30 to 1 is read whatever its length."""
    path = tmp_path / "packed.gz"
    path.write_bytes(bomb(b"x y 1\n", 100 << 20))
    with pytest.raises(InputError, match="more than 100 times its size"):
        list(lines(path))
    text = b"".join(b"10.0.%d.%d %d\n" % (k >> 8 & 255, k & 255, k) for k in range(1_500_000))
    path.write_bytes(gzip.compress(text, 1))
    assert sum(1 for _ in lines(path)) == 1_500_000


def test_lines_of_a_table_end_where_those_of_a_file_do(tmp_path: Path):
    """Signs that only Python takes for line ends moved the numbers of the lines behind them."""
    path = tmp_path / "pasted"
    path.write_text("a\x1cb\u2028c\r\nd\n", encoding="utf-8")
    (found,) = read_documents(path)
    assert isinstance(found, Text)
    assert found.lines[:2] == ["a\x1cb\u2028c", "d"]


def test_a_table_without_a_column_is_shown_as_not_used(imported):
    """A name such as endpoints/web made an object of a row that lacks what such an object has."""
    table = (
        "NAME            AGE\nendpoints/web   11d\n\n"
        "NAME          TYPE        CLUSTER-IP   PORT(S)   AGE\n"
        "service/web   ClusterIP   10.0.0.1     80/TCP    1d\n\n"
        "NAME            ENDPOINTS         AGE\nendpoints/web   10.244.0.4:8080   1d\n"
    )
    (line,) = imported("kubernetes", table).skipped
    assert line[1:] == (2, "a row without the column ENDPOINTS: no Endpoints")


@pytest.mark.parametrize("port", ["\u00b2", "9" * 5000])
@pytest.mark.parametrize(
    ("kind", "text"),
    [
        ("kubernetes", "NAME   ENDPOINTS   AGE\nweb   10.244.0.4:PORT   1d\n"),
        ("kubernetes", "NAME  ADDRESSTYPE  PORTS  ENDPOINTS  AGE\nweb  IPv4  PORT  10.1.1.1  1d\n"),
        ("azure", "a\tPORT\tPORT\tTcp\t4\n"),
    ],
)
def test_digits_that_are_no_number_raise_nothing(imported, kind: str, text: str, port: str):
    """Python calls a raised two a digit and refuses to read it, or 5000 digits, as a number."""
    with contextlib.suppress(LbbenchError):
        imported(kind, text.replace("PORT", port))


def test_times_of_more_attempts_than_addresses_are_no_crash(imported):
    """One address beside two times ended in a ValueError."""
    line = (
        '203.0.113.7 - - [22/Jan/2019:10:17:23 +0000] "GET / HTTP/1.1" 504 2 "-" "-" 80 1.000 '
        "[a-b-80] [] {hosts} 0, 1 1.000, 1.000 504, 200 0a1b\n"
    )
    for hosts in ("10.0.0.1:, 10.244.0.4:30080", "10.244.0.4:30080", "10.0.0.1:"):
        with contextlib.suppress(LbbenchError):
            imported("access-log", line.format(hosts=hosts) * 3)


def test_long_names_of_groups_are_cut(imported):
    """Five names of 500 letters made a message of 3 000."""
    rows = "".join(f"{k}{'a' * 500} pod-{i} 7\n" for k in range(5) for i in range(3))
    with pytest.raises(InputError, match="choose one with --service") as told:
        imported("counts", rows)
    assert len(str(told.value)) < 600

"""The conntrack importer: connections per pod and client, probes and unanswered flows apart."""

import json
import time
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lbbench.errors import InputError
from lbbench.inputs.conntrack.line import Entry, parse
from lbbench.inputs.conntrack.reader import read_conntrack
from lbbench.inputs.conntrack.scenario import from_conntrack
from lbbench.model.check import build

DATA = Path(__file__).parent / "data"
F17 = DATA / "files" / "F17_conntrack.txt"
MANIFEST = {
    item["file"]: item["expect"]
    for item in json.loads((DATA / "files" / "MANIFEST.json").read_text(encoding="utf-8"))["files"]
}
WORDS = (
    *("tcp", "6", "86395", "ESTABLISHED", "src=10.0.0.1", "dst=10.0.0.2", "sport=1", "dport=80"),
    *("[UNREPLIED]", "[ASSURED]", "ipv4", "2", "udp", "17", "src=", "sport=x", "[NEW]", "mark=0"),
    *("src=fd00::1", "dst=::", "use=1", "src=1.2.3"),
)


def flow(client, pod, *, port=40_000, state="ESTABLISHED", left=86_000, snat=None, vip="20.1.2.3"):
    """Write a translated flow as `conntrack -L` does."""
    return (
        f"tcp      6 {left} {state} src={client} dst={vip} sport={port + 1} dport=80 "
        f"src={pod} dst={snat or client} sport=8080 dport={port + 1} [ASSURED] mark=0 use=1"
    )


@pytest.fixture
def table(tmp_path):
    """Return a function that writes lines to a file and reads it."""

    def read(lines, name="node.conntrack"):
        path = tmp_path / name
        path.write_text("\n".join(lines), encoding="utf-8")
        return read_conntrack(path)

    return read


@pytest.mark.parametrize(("key", "expected"), MANIFEST[F17.name].items())
def test_every_expectation_of_f17_holds(key, expected):
    """Ten published lines, item by item."""
    found = read_conntrack(F17)
    read = {
        "lines": found.lines,
        "tcp": found.protocols["tcp"],
        "udp": found.protocols["udp"],
        "assured": found.assured,
        "unreplied": found.unreplied,
        "probe_lines": found.probes,
        "established": found.states["ESTABLISHED"],
    }
    assert read[key] == expected


def test_a_table_without_clients_is_refused_with_its_counts():
    """F17 has probes, unreplied and untranslated flows only."""
    with pytest.raises(
        InputError, match=r"F17.*:1: no answered connection .*3 health probes, 4 unreplied, 3 not"
    ):
        from_conntrack(read_conntrack(F17))
    assert read_conntrack(F17).stale == 2


def test_connections_are_counted_by_pod_and_client(table):
    """The reply's source is the pod; a probe and an unanswered flow are no client's."""
    lost = flow("9.9.9.9", "10.244.2.9", state="SYN_SENT").replace("[ASSURED]", "")
    lost = lost.replace(" src=10.244.2.9", " [UNREPLIED] src=10.244.2.9")
    found = table(
        [
            *(flow("9.9.9.9", "10.244.1.4", port=p) for p in range(5)),
            flow("9.9.9.8", "10.244.2.4"),
            flow("168.63.129.16", "10.244.2.4"),
            lost,
            "conntrack v1.4.6 (conntrack-tools): 8 flow entries have been shown.",
        ]
    )
    service = found.chosen()
    assert service == "20.1.2.3:80"
    assert found.pods(service) == {"10.244.1.4:8080": 5, "10.244.2.4:8080": 1, "10.244.2.9:8080": 0}
    assert found.clients(service) == {"9.9.9.9": 5, "9.9.9.8": 1}
    assert (found.probes, found.unreplied, found.n_skipped) == (1, 1, 0)


def test_the_scenario_has_pods_counts_and_policy(table):
    """Observed counts by address; public clients without SNAT mean Local, with SNAT Cluster."""
    for snat, policy in ((None, "Local"), ("10.244.0.1", "Cluster")):
        lines = [flow("9.9.9.9", f"10.244.{k % 2}.4", port=k, snat=snat) for k in range(10)]
        imported = from_conntrack(table(lines))
        scenario = build(imported.scenario, place="x")
        assert dict(scenario.observed.pods) == {"10.244.0.4:8080": 5, "10.244.1.4:8080": 5}
        assert scenario.stages.kube_proxy.external_traffic_policy == policy
        assert scenario.cluster.vip == "20.1.2.3:80"


def test_lifetimes_are_told_from_states_and_timers(table):
    """Silence = kube-proxy's day minus what is left; Little's law from those just closed."""
    lines = [flow("9.9.9.9", "10.244.0.4", port=k, left=86_400 - 300) for k in range(30)]
    lines += [flow("9.9.9.9", "10.244.0.4", port=99, state="TIME_WAIT", left=7) for _ in range(6)]
    found = table(lines)
    assert np.array_equal(found.idle(found.chosen()), np.full(30, 300.0))
    notes = "\n".join(from_conntrack(found).notes)
    assert "silent for 300 s (median)" in notes
    assert "30 longer than 240 s" in notes
    assert "each lives about 600 s" in notes


def test_the_file_in_proc_and_events_are_read(table):
    """`ipv4 2` in front; of a log of events the new ones count once."""
    line = flow("9.9.9.9", "10.244.0.4")
    new = line.replace("src=10.244", "[UNREPLIED] src=10.244").replace("[ASSURED]", "")
    found = table(
        [f"ipv4     2 {line}", f"    [NEW] {new}", f" [UPDATE] {line}", f"[DESTROY] {line}"]
    )
    assert (found.lines, found.repeated) == (2, 2)
    assert found.pods("20.1.2.3:80") == {"10.244.0.4:8080": 2}


def test_ipv6_and_protocols_without_ports_are_read():
    """Brackets around addresses with colons; ICMP has no ports."""
    six = parse(
        "tcp 6 9 TIME_WAIT src=fd00::1 dst=fd00::2 sport=1 dport=80 src=fd00::3 dst=fd00::1 "
        "sport=8080 dport=1 [ASSURED]"
    )
    assert isinstance(six, Entry)
    assert (six.original.target, six.reply.source) == ("[fd00::2]:80", "[fd00::3]:8080")
    ping = parse(
        "icmp 1 29 src=1.1.1.1 dst=2.2.2.2 type=8 code=0 id=1 src=2.2.2.2 dst=1.1.1.1 type=0"
    )
    assert isinstance(ping, Entry)
    assert not ping.translated


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"", ":1: no flow in it"),
        (b"tcp 6 1\x00", "binary"),
        ("tcp      6".encode("utf-16"), "UTF-16"),
        (b"hello\n", ":1: no flow in it .not a line of conntrack"),
        (b"\ntcp      6 86395 ESTABLISHED src=10.224.0.5 dst=10.2", ":2: no flow in it .a flow"),
    ],
)
def test_bad_input_is_one_sentence_with_place_and_way_out(tmp_path, content, said):
    """Empty, binary, something else, cut off."""
    path = tmp_path / "node.conntrack"
    path.write_bytes(content)
    with pytest.raises(InputError, match=said) as caught:
        read_conntrack(path)
    assert str(caught.value).startswith(str(path))


def test_a_table_cut_anywhere_counts_the_whole_lines(tmp_path):
    """CRLF, a byte that is no UTF-8, and half a line: the rest is read, the half is shown."""
    path = tmp_path / "cut"
    raw = F17.read_bytes().replace(b"\n", b"\r\n").replace(b"use=1", b"us\xe9=1")
    path.write_bytes(raw[:-140])
    found = read_conntrack(path)
    assert found.lines == 9
    assert [(line, why) for _, line, why in found.skipped] == [
        (10, "a flow without both directions: cut off?")
    ]
    for cut in range(20, 150, 7):  # never more lines than there are, whatever the place of the cut
        path.write_bytes(raw[:-cut])
        assert read_conntrack(path).lines in {9, 10}


@settings(max_examples=200, deadline=None)
@given(
    st.lists(
        st.one_of(
            st.text(max_size=40), st.lists(st.sampled_from(WORDS), max_size=18).map(" ".join)
        ),
        max_size=8,
    )
)
def test_garbage_raises_nothing_but_input_errors(tmp_path_factory, lines):
    """Whatever the lines, the answer is a scenario or an InputError."""
    path = tmp_path_factory.mktemp("garbage") / "any"
    path.write_text("\n".join(lines), encoding="utf-8", errors="surrogatepass")
    try:
        build(from_conntrack(read_conntrack(path)).scenario, place="x")
    except InputError:
        return


def test_a_long_table_is_read_in_bounded_time(tmp_path):
    """50 000 flows and a line of a megabyte in a few seconds."""
    path = tmp_path / "long"
    lines = [flow(f"9.9.{k % 250}.9", f"10.244.{k % 3}.4", port=k) for k in range(50_000)]
    path.write_text("\n".join([*lines, "tcp 6 " + "src=1.1.1.1 " * 90_000]), encoding="utf-8")
    began = time.process_time()
    found = read_conntrack(path)
    assert sum(found.pods(found.chosen()).values()) == 50_000
    assert time.process_time() - began < 5.0

"""The IPVS importer: listings with and without numbers, counters, and saves."""

import time
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lbbench.errors import InputError
from lbbench.inputs.iptables.scenario import from_rules
from lbbench.inputs.ipvs.reader import gather, read_ruleset
from lbbench.inputs.ipvs.text import parse_ipvs
from lbbench.model.check import build

DATA = Path(__file__).parent / "data" / "ipvs"
WORDS = (
    *("TCP", "UDP", "FWM", "10.0.0.1:80", "->", "-A", "-a", "-t", "-r", "-w", "-s", "rr", "Masq"),
    *("1", "0", "x", "persistent", "[::1]:80", "12K", "Prot LocalAddress:Port Conns", "Route"),
)


def test_the_ways_into_one_service_are_put_together():
    """Cluster address, load balancer and node port lead to the same two pods: one service."""
    ruleset = read_ruleset(DATA / "node.ipvs")
    web = ruleset.service("10.96.0.20:80/tcp")
    assert (web.cluster_ip, web.port, web.node_port) == ("10.96.0.20", 80, 30080)
    assert web.external_ips == ("203.0.113.9",)
    assert web.external_policy == "Cluster"
    assert web.addresses == ("10.244.1.4:8080", "10.244.2.4:8080")
    assert (web.proxy, web.scheduler) == ("ipvs", "rr")
    assert ruleset.names() == (
        *("10.96.0.1:443/tcp", "10.96.0.20:80/tcp"),
        *("10.96.0.10:53/udp", "[fd00::a]:80/tcp"),
    )


def test_weights_are_shares_and_weight_zero_is_left_out():
    """A wlc of 3:1:0 gives 3/4 and 1/4; both facts are said with the line."""
    ruleset = read_ruleset(DATA / "node.ipvs")
    api = ruleset.service("10.96.0.1")
    assert api.shares == (0.75, 0.25)
    assert api.affinity_seconds == 10_800
    assert api.scheduler == "wlc"
    notes = "\n".join(ruleset.notes)
    assert "node.ipvs:10: 1 destinations of 10.96.0.1:443 have weight 0" in notes
    assert "unequal weights (10.0.0.5:6443 3, 10.0.0.6:6443 1)" in notes
    pods = build(from_rules(ruleset, "10.96.0.1").scenario, place="x").cluster.pods
    assert [pod.weight for pod in pods] == [3, 1]
    assert "203.0.113.9:80: open connections (active + inactive): 10.244.1.4:8080 40+3" in notes


def test_a_save_is_read_like_a_listing():
    """`ipvsadm -S -n` has the same services, weights, persistence; schedulers beyond rr too."""
    ruleset = read_ruleset(DATA / "node.save")
    assert ruleset.service("10.96.0.1").shares == (0.75, 0.25)
    assert ruleset.service("10.96.0.1").affinity_seconds == 10_800
    assert ruleset.service("10.96.0.30").scheduler == "mh"


def test_counters_are_observed_connections():
    """`--stats` beside `-Ln`: connections of all ways in are added; K means thousands."""
    ruleset = read_ruleset([DATA / "node.ipvs", DATA / "node.stats"])
    imported = from_rules(ruleset, "10.96.0.20")
    scenario = build(imported.scenario, place="x")
    assert dict(scenario.observed.pods) == {"10.244.1.4:8080": 6062, "10.244.2.4:8080": 6050}
    assert (scenario.stages.kube_proxy.mode, scenario.stages.kube_proxy.scheduler) == ("ipvs", "rr")


def test_counters_alone_are_read_and_the_scheduler_is_assumed():
    """A --stats listing shows no scheduler: rr, and it is said."""
    ruleset = read_ruleset(DATA / "node.stats")
    assert ruleset.service("10.96.0.20").scheduler == "rr"
    assert any("is not shown (--stats, --rate)" in note for note in ruleset.notes)


def test_names_instead_of_numbers_are_survived():
    """Without -n: ports by name are numbers again, hosts by name get placeholders."""
    ruleset = read_ruleset(DATA / "names.ipvs")
    service = ruleset.services[0]
    assert [item.address for item in service.endpoints] == [None, "10.0.0.6:443"]
    scenario = build(from_rules(ruleset).scenario, place="x")
    assert [pod.address for pod in scenario.cluster.pods] == ["192.0.2.1:443", "10.0.0.6:443"]


def test_other_schedulers_are_said():
    """A scheduler that is not simulated is replaced, and that is said."""
    ruleset = gather([parse_ipvs(["TCP  10.0.0.1:80 lblcr", "-> 10.1.0.1:80 Masq 1 0 0"], "x")])
    assert ruleset.services[0].scheduler == "wlc"
    assert "x:1: scheduler lblcr" in ruleset.notes[0]


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"", ":1: is empty"),
        (b"\x00TCP", "binary"),
        ("TCP  1.2.3.4:80 rr".encode("utf-16"), "UTF-16"),
        (b"hello\nworld\n", ":1: no virtual service"),
        (b"TCP  10.0.0.1:80 rr\n  -> 10.1.0.1:80     Masq   1\n", ":2: truncated input"),
        (b"-A -t 10.0.0.1:80 -s rr\n-a -t 10.0.0.1:80 -r\n", ":2: truncated input"),
        (b"IP Virtual Server version 1.2.1 (size=4096)\n", ":1: no virtual service"),
    ],
)
def test_bad_input_is_one_sentence_with_place_and_way_out(tmp_path, content, said):
    """Empty, binary, another program's output, cut off in a destination."""
    path = tmp_path / "node.ipvs"
    path.write_bytes(content)
    with pytest.raises(InputError, match=said) as caught:
        read_ruleset(path)
    assert str(caught.value).startswith(str(path))


def test_line_ends_of_windows_and_other_encodings_are_survived(tmp_path):
    """CRLF and a byte that is no UTF-8."""
    path = tmp_path / "crlf.ipvs"
    path.write_bytes((DATA / "node.ipvs").read_bytes().replace(b"\n", b"\r\n") + b"\xe9\r\n")
    ruleset = read_ruleset(path)
    assert ruleset.names() == read_ruleset(DATA / "node.ipvs").names()
    assert [(line, why) for _, line, why in ruleset.skipped] == [(21, "not a line of ipvsadm")]


@settings(max_examples=200, deadline=None)
@given(
    st.lists(
        st.one_of(st.text(max_size=40), st.lists(st.sampled_from(WORDS), max_size=9).map(" ".join)),
        max_size=12,
    )
)
def test_garbage_raises_nothing_but_input_errors(tmp_path_factory, lines):
    """Whatever the lines, the answer is a rule set or an InputError."""
    path = tmp_path_factory.mktemp("garbage") / "any.ipvs"
    path.write_text("\n".join(lines), encoding="utf-8", errors="surrogatepass")
    try:
        ruleset = read_ruleset(path)
    except InputError:
        return
    for service in ruleset.services:
        assert sum(service.shares) == pytest.approx(1.0) or not service.endpoints


@pytest.mark.parametrize("piece", [" ", "-A ", "TCP ", "-> ", "1"])
def test_a_hostile_line_takes_linear_time(tmp_path, piece):
    """A megabyte on one line takes no five seconds."""
    path = tmp_path / "long.ipvs"
    path.write_text(
        f"TCP 1.2.3.4:80 rr\n-> {piece * (1_000_000 // len(piece))}\n", encoding="utf-8"
    )
    began = time.process_time()
    with pytest.raises(InputError):
        read_ruleset(path)
    assert time.process_time() - began < 5.0

"""The nftables importer: kube-proxy's own tables, and iptables-nft rules in nft's words."""

import json
import time
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lbbench.errors import InputError
from lbbench.inputs.iptables.scenario import from_rules
from lbbench.inputs.nftables.reader import gather, read_nftables
from lbbench.inputs.nftables.services import seconds
from lbbench.inputs.nftables.text import parse_nft, read_nft, split_elements
from lbbench.inputs.nftables.translated import as_iptables
from lbbench.model.check import build

DATA = Path(__file__).parent / "data"
NATIVE = DATA / "nft" / "kube-proxy.nft"
F11 = DATA / "files" / "F11_nft_translated.txt"
MANIFEST = {
    item["file"]: item["expect"]
    for item in json.loads((DATA / "files" / "MANIFEST.json").read_text(encoding="utf-8"))["files"]
}
WORDS = (
    *(
        "table ip kube-proxy {",
        "map service-ips {",
        "elements = { 1.2.3.4 . tcp . 80 : goto x",
        "}",
    ),
    *("chain service-A-a/b/tcp/c {", "numgen random mod 0 vmap { 0 : goto", "{", "} }", '"', ","),
    *("chain KUBE-SVC-X {", 'xt match "statistic" jump KUBE-SEP-1', "dnat to :0", "# handle 1"),
    *("numgen random mod 3 vmap { 0-999999999 : goto endpoint-A }", "timeout 3h", "\u20ac"),
)


def test_services_of_kube_proxy_have_addresses_ports_policy_and_affinity():
    """Verdict maps give the ways in, `numgen` the shares, the set's timeout the affinity."""
    ruleset = read_nftables(NATIVE)
    web = ruleset.service("shop/web")
    assert (web.name, web.protocol, web.port, web.cluster_ip) == (
        *("shop/web:http", "tcp"),
        *(80, "10.96.0.20"),
    )
    assert (web.external_ips, web.node_port, web.external_policy) == (
        *(("203.0.113.9",), 30080),
        "Local",
    )
    assert web.affinity_seconds == 5400
    assert web.addresses == ("10.244.1.4:8080", "10.244.2.4:8080", "10.244.2.5:8080")
    assert web.shares == pytest.approx((1 / 3,) * 3)
    assert [item.address for item in web.local_endpoints] == ["10.244.1.4:8080"]
    assert web.complete
    assert ruleset.cluster_cidr == "10.244.0.0/16"


def test_what_has_no_chain_or_no_endpoint_is_said():
    """A service whose chain is not shown, and one that kube-proxy refuses."""
    ruleset = read_nftables(NATIVE)
    assert ruleset.dangling_chains == ("service-AAAAAAAA-shop/lost/tcp/https",)
    assert any("10.96.0.40 tcp 80" in note for note in ruleset.notes)


def test_the_scenario_is_of_mode_nftables():
    """The mode is that of the rules; counters are observed connections."""
    imported = from_rules(read_nftables(NATIVE), "kube-dns")
    scenario = build(imported.scenario, place="x")
    assert scenario.stages.kube_proxy.mode == "nftables"
    assert scenario.stages.kube_proxy.probabilities is None
    assert dict(scenario.observed.pods) == {"10.244.0.2:53": 17, "10.244.0.3:53": 19}


def test_shares_follow_the_numbers_of_the_verdict_map():
    """An endpoint with two of three numbers gets 2/3; a number without endpoint is missing."""
    text = [
        "chain service-A-a/b/tcp/c {",
        "numgen random mod 3 vmap { 0-1 : goto endpoint-X-a/b/tcp/c__10.0.0.1/80, 2 : goto e-Y }",
        "}",
        "chain service-B-a/d/tcp/c {",
        "numgen random mod 3 vmap { 0 : goto endpoint-X-a/b/tcp/c__10.0.0.1/80 }",
        "}",
    ]
    ruleset = gather([parse_nft(text, "x")])
    assert ruleset.service("a/b").shares == pytest.approx((2 / 3, 1 / 3))
    assert ruleset.service("a/b").endpoints[0].address == "10.0.0.1:80"
    assert not ruleset.service("a/d").complete


def test_several_nodes_give_the_local_endpoints_of_each(tmp_path):
    """Two files are two nodes: the placement of the pods is known."""
    other = tmp_path / "b.nft"
    text = NATIVE.read_text(encoding="utf-8")
    start, end = text.index("chain local-"), text.index("chain external-")
    local = text[start:end].replace(
        "ULMVA6XW-shop/web/tcp/http__10.244.1.4", "BBBBBBBB-shop/web/tcp/http__10.244.2.4"
    )
    other.write_text(text[:start] + local + text[end:], encoding="utf-8")
    web = read_nftables([NATIVE, other]).service("shop/web")
    assert list(web.local_by_file.values()) == [("10.244.1.4:8080",), ("10.244.2.4:8080",)]


def test_every_expectation_of_f11_holds():
    """iptables-nft rules of two nodes: four services each, no endpoint, refused in one sentence."""
    expected = MANIFEST[F11.name]
    text = read_nft(F11)
    nodes, _ = as_iptables(text)
    found = {
        "format": "nft(iptables-nft)",
        "nodes": len(nodes),
        "services_per_node": len(
            {
                rule.target
                for rule in nodes[1].chains["KUBE-SERVICES"]
                if rule.target.startswith("KUBE-SVC-")
            }
        ),
        "endpoints": sum(len(item.endpoints) for item in gather([text]).services),
    }
    assert found == expected
    with pytest.raises(InputError, match=r"F11.*:3: rules of 2 nodes name 4 services"):
        read_nftables(F11)


TRANSLATED = [
    "table ip nat {",
    "chain KUBE-SERVICES {",
    (
        'meta l4proto tcp ip daddr 10.0.0.9 tcp dport 80 counter packets 5 bytes 300 comment "a/b '
        'cluster IP" jump KUBE-SVC-X'
    ),
    "}",
    "chain KUBE-SVC-X {",
    "ip saddr != 10.244.0.0/16 ip daddr 10.0.0.9 tcp dport 80 jump KUBE-MARK-MASQ",
    "{} counter packets 1 bytes 60 jump KUBE-SEP-1",
    "{} counter packets 1 bytes 60 jump KUBE-SEP-2",
    "counter packets 1 bytes 60 jump KUBE-SEP-3",
    "}",
    *(
        line
        for k in (1, 2, 3)
        for line in (
            f"chain KUBE-SEP-{k} {{",
            f"meta l4proto tcp counter packets {k} bytes 60 dnat to 10.244.0.{k}:8080",
            "}",
        )
    ),
    "}",
]


@pytest.mark.parametrize(
    ("match", "shares", "said"),
    [
        ("meta random & 2147483647 < 536870912", (0.25, 0.1875, 0.5625), False),
        ("numgen random mod 0x80000000 < 0x40000000", (0.5, 0.25, 0.25), False),
        ('xt match "statistic"', (1 / 3, 1 / 3, 1 / 3), True),
    ],
)
def test_translated_rules_have_the_probabilities_of_iptables(match, shares, said):
    """A comparison with random bits is exact; a match that nft cannot show is inferred and said."""
    text = [line.format(match) if line.startswith("{}") else line for line in TRANSLATED]
    ruleset = gather([parse_nft(text, "x")])
    service = ruleset.service()
    assert service.name == "a/b"
    assert service.shares == pytest.approx(shares, abs=1e-9)
    assert [item.packets for item in service.endpoints] == [1, 2, 3]
    assert any("does not show the probabilities" in note for note in ruleset.notes) == said
    assert ruleset.cluster_cidr == "10.244.0.0/16"
    assert from_rules(ruleset).scenario["stages"]["kube_proxy"]["mode"] == "iptables"


def test_input_of_nft_is_read_like_its_output():
    """`add rule` and `add element` lines, as `nft -f` takes them."""
    ruleset = gather(
        [
            parse_nft(
                [
                    "add table ip kube-proxy",
                    (
                        "add rule ip kube-proxy service-A-a/b/tcp/c numgen random mod 1 vmap "
                        "{ 0 : goto endpoint-A-a/b/tcp/c__10.0.0.1/80 }"
                    ),
                    (
                        "add element ip kube-proxy service-ips { 10.9.0.1 . tcp . 80 comment "
                        '"a/b:c" : goto service-A-a/b/tcp/c }'
                    ),
                ],
                "x",
            )
        ]
    )
    service = ruleset.service()
    assert (service.cluster_ip, service.port, service.addresses) == (
        *("10.9.0.1", 80),
        ("10.0.0.1:80",),
    )


def test_times_and_elements_are_read():
    """Times as nft writes them; commas in a comment do not split an element."""
    assert [seconds(text) for text in ("3h", "1h30m", "10800s", "2d", "x")] == [
        *(10_800, 5_400, 10_800),
        *(172_800, 0),
    ]
    assert split_elements('a : b, c comment "d, e" : f,') == ["a : b", 'c comment "d, e" : f']


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"", ":1: is empty"),
        (b"\x7fELF\x00\x01", "binary"),
        ("table ip nat {".encode("utf-16"), "UTF-16"),
        (b"hello\n", ":1: no rule of a Kubernetes service"),
        (b"table ip nat {\n\tchain a {\n", ":2: truncated input"),
        (
            b"table ip kube-proxy {\n\tmap service-ips {\n\t\telements = { 1.2.3.4,\n",
            ":2: truncated",
        ),
        (b"-A KUBE-SVC-X -j KUBE-SEP-1\n", "no rule of a Kubernetes service"),
    ],
)
def test_bad_input_is_one_sentence_with_place_and_way_out(tmp_path, content, said):
    """Empty, binary, another program's output, cut off in a chain or in a map."""
    path = tmp_path / "node.nft"
    path.write_bytes(content)
    with pytest.raises(InputError, match=said) as caught:
        read_nftables(path)
    assert str(caught.value).startswith(str(path))
    assert "\n" not in str(caught.value)


def test_a_ruleset_cut_anywhere_is_refused_or_whole(tmp_path):
    """Whatever the place of the cut, no service loses some of its endpoints silently."""
    raw = NATIVE.read_bytes()
    whole = {item.name: item.addresses for item in read_nftables(NATIVE).services}
    path = tmp_path / "cut.nft"
    for kept in range(0, len(raw), 97):
        path.write_bytes(raw[:kept])
        try:
            found = read_nftables(path)
        except InputError:
            continue
        assert {item.name: item.addresses for item in found.services} == whole


def test_line_ends_of_windows_are_survived(tmp_path):
    """CRLF, and bytes that are no UTF-8 in a comment."""
    path = tmp_path / "crlf.nft"
    raw = NATIVE.read_bytes().replace(b"\n", b"\r\n").replace(b"rules for", b"r\xe9gles")
    path.write_bytes(raw)
    assert read_nftables(path).names() == read_nftables(NATIVE).names()


@settings(max_examples=150, deadline=None)
@given(st.lists(st.one_of(st.text(max_size=40), st.sampled_from(WORDS)), max_size=14))
def test_garbage_raises_nothing_but_input_errors(tmp_path_factory, lines):
    """Whatever the lines, the answer is a rule set or an InputError, and shares are shares."""
    path = tmp_path_factory.mktemp("garbage") / "any.nft"
    path.write_text("\n".join(lines), encoding="utf-8", errors="surrogatepass")
    try:
        ruleset = read_nftables(path)
    except InputError:
        return
    for service in ruleset.services:
        assert all(0.0 <= item.share <= 1.0 for item in service.endpoints)


@pytest.mark.parametrize("piece", ['"', "{", ",", "elements = { a,", "/* ", "} ", "comment "])
def test_a_hostile_line_takes_linear_time(tmp_path, piece):
    """A megabyte of quotes, braces, commas or comments on one line takes no five seconds."""
    path = tmp_path / "long.nft"
    long = piece * (1_000_000 // len(piece))
    path.write_text(
        f"chain KUBE-SVC-A {{\n{long}\n}}\nchain service-A {{\n{long}\n", encoding="utf-8"
    )
    began = time.process_time()
    with pytest.raises(InputError):
        read_nftables(path)
    assert time.process_time() - began < 5.0

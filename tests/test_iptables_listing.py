"""`iptables -L` shows what `iptables-save` shows: the same services come out of both."""

import pytest
from test_iptables_import import FILES, by_name, written

from lbbench.inputs.iptables.listing import count_of
from lbbench.inputs.iptables.reader import assemble, read_iptables
from lbbench.inputs.iptables.rules import parse_rules
from lbbench.inputs.iptables.scenario import from_rules


def listed(lines, *, verbose=False, numbers=False, numeric_protocol=False):
    """Write a save's rules as a listing, in the columns that iptables prints."""
    chains = {}
    for rule in parse_rules(lines, "made").chains.values():
        for item in rule:
            chains.setdefault(item.chain, []).append(item)
    out = []
    for chain, rules in chains.items():
        out.append(f"Chain {chain} (1 references)")
        head = "target     prot opt source               destination         "
        if verbose:
            head = f" pkts bytes {head.replace('source', 'in     out     source')}"
        out.append(f"num  {head}" if numbers else head)
        for number, item in enumerate(rules, 1):
            protocol = item.get("protocol") or "all"
            if numeric_protocol:
                protocol = {"all": "0", "tcp": "6", "udp": "17"}[protocol]
            source = item.options.get("source", (False, "0.0.0.0/0"))
            words = [item.target, protocol, "--"]
            words += ["*", "*"] if verbose else []
            words += ["!" * source[0] + source[1], item.get("destination") or "0.0.0.0/0"]
            words += [f"/* {item.comment} */"] if item.comment else []
            words += [f"tcp dpt:{item.get('dport')}"] if item.get("dport") else []
            if item.get("probability"):
                words += [f"statistic mode random probability {item.get('probability')}"]
            if item.get("to-destination"):
                words += [f"to:{item.get('to-destination')}"]
            before = [str(number)] if numbers else []
            before += ["   12", " 3456K"] if verbose else []
            out.append("  ".join([*before, *words]))
        out.append("")
    return out


@pytest.mark.parametrize("verbose", [False, True])
@pytest.mark.parametrize("numbers", [False, True])
@pytest.mark.parametrize("numeric", [False, True])
def test_a_listing_gives_the_services_of_the_save(verbose, numbers, numeric):
    """Columns, numbers of rules, protocols as numbers: addresses, ports, shares are the same."""
    lines = written(7)
    saved = assemble([parse_rules(lines, "save")]).service()
    text = listed(lines, verbose=verbose, numbers=numbers, numeric_protocol=numeric)
    found = parse_rules(text, "list")
    service = assemble([found]).service()
    assert not found.skipped
    assert service.addresses == saved.addresses
    assert service.shares == saved.shares
    assert (service.name, service.port, service.cluster_ip) == (saved.name, 80, "10.0.0.9")
    assert service.endpoints[0].packets == (12 if verbose else None)


def test_affinity_policy_and_nth_are_read_from_the_text_of_the_modules():
    """`recent: CHECK`, `ADDRTYPE match src-type LOCAL` and `statistic mode nth` count."""
    ruleset = assemble(
        [
            parse_rules(
                [
                    "Chain KUBE-EXT-X (1 references)",
                    "target     prot opt source               destination",
                    (
                        "KUBE-SVC-X  all -- 0.0.0.0/0 0.0.0.0/0 /* route LOCAL traffic for a/b:c "
                        "external destinations */ ADDRTYPE match src-type LOCAL"
                    ),
                    "Chain KUBE-SVC-X (1 references)",
                    "target     prot opt source               destination",
                    (
                        "KUBE-SEP-1  all -- 0.0.0.0/0 0.0.0.0/0 /* a/b:c */ recent: CHECK seconds: "
                        "300 reap name: KUBE-SEP-1 side: source mask: 255.255.255.255"
                    ),
                    "KUBE-SEP-1  all -- 0.0.0.0/0 0.0.0.0/0 /* a/b:c */ statistic mode nth every 2",
                    "KUBE-SEP-2  all -- 0.0.0.0/0 0.0.0.0/0 /* a/b:c */",
                ],
                "x",
            )
        ]
    )
    service = ruleset.service()
    assert service.affinity_seconds == 300
    assert service.external_policy == "Local"
    assert service.mode == "nth"
    assert service.shares == (0.5, 0.5)


def test_counters_with_a_suffix_are_thousands():
    """`-v` without `-x` rounds to thousands; what is no counter is none."""
    assert [count_of(text) for text in ("17", "12K", "3M", "x", "1.5K", "9" * 30)] == [
        *(17, 12_000, 3_000_000),
        *(None, None, None),
    ]


def test_published_listings_become_scenarios():
    """The listing of a cluster of 2018 is as good as a save: probabilities 0.5 and a node port."""
    ruleset = read_iptables(FILES / "F08_iptables_L_nv.txt")
    found = by_name(ruleset, lambda s: s.probabilities, ["default/nginx-svc:"])
    assert found["default/nginx-svc:"][-1] == 1.0
    scenario = from_rules(ruleset, "kube-system/kube-dns:dns").scenario
    assert scenario["stages"]["kube_proxy"]["probabilities"] == [0.5, 1.0]


def test_a_listing_cut_in_a_chain_says_so():
    """Half a line and a comment without an end are counted with their line."""
    found = parse_rules(
        [
            "Chain KUBE-SVC-X (1 references)",
            "target     prot opt source               destination",
            "KUBE-SEP-1  all -- 0.0.0.0/0 0.0.0.0/0 /* a/b:c",
            "KUBE-SEP-1  all  --",
        ],
        "x",
    )
    assert [(n, reason) for _, n, reason in found.skipped] == [
        (3, "a comment without its end: cut off?"),
        (4, "not a rule"),
    ]

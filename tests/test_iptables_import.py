"""The iptables importer reads what people have, says what it inferred, and refuses the rest."""

import json
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lbbench.errors import InputError
from lbbench.inputs.iptables.probabilities import format_of
from lbbench.inputs.iptables.reader import assemble, read_iptables
from lbbench.inputs.iptables.rules import parse_rules, read_rules
from lbbench.inputs.ruleset import RuleSet

FILES = Path(__file__).parent / "data" / "files"
MANIFEST = {
    item["file"]: item["expect"]
    for item in json.loads((FILES / "MANIFEST.json").read_text(encoding="utf-8"))["files"]
}
LISTINGS = ("F08_iptables_L_nv.txt", "F09_iptables_L_n.txt")
RULES = sorted({*LISTINGS, *(n for n in MANIFEST if n.endswith((".rules", ".sh")))})
U31 = 2**31
WORDS = (
    *("-A", "KUBE-SVC-X", "KUBE-SEP-1", "KUBE-SERVICES", "-j", "-m", "!", "-s", "10.0.0.1/32"),
    *("--probability", "0.5", "nan", "-1", "--comment", '"a/b:c"', "--to-destination", ":0"),
    *("--every", "0", "--dport", "x", "*nat", "COMMIT", "[1:2]", "DNAT", "--rcheck", "--seconds"),
)


def expectations():
    """Every expectation of the manifest about rules as (file, key, value)."""
    return [(name, key, value) for name in RULES for key, value in MANIFEST[name].items()]


def ruleset_of(name: str) -> RuleSet:
    """Read a file as far as it goes, a truncated one included."""
    return assemble([read_rules(FILES / name)])


def by_name(ruleset, value_of, names):
    """Values of the named services."""
    return {name: value_of(ruleset.service(name)) for name in names}


def addresses(endpoints):
    """Addresses of endpoints as a list."""
    return [item.address for item in endpoints]


def port_text(service):
    """Write the service as `kubectl` does: name, port and protocol; no port when unknown."""
    if service.port is None or service.name.count(":"):
        return service.name
    return f"{service.name}: {service.port}/{service.protocol.upper()}"


def flat(value_of):
    """Read from the only service of a file."""
    return lambda ruleset, _expected: value_of(ruleset.services[0])


def by_service(value_of):
    """Read from every service that the expectation names, or from the only one."""

    def read(ruleset, expected):
        if isinstance(expected, dict):
            return by_name(ruleset, value_of, expected)
        return value_of(ruleset.services[0])

    return read


READ = {
    "services": lambda r, _: len(r.services),
    "service_ports": lambda r, expected: sorted(
        [*map(port_text, r.services), *(f"{name} (no SVC rules)" for name in r.unresolved)],
        key=lambda name: expected.index(name) if name in expected else len(expected),
    ),
    "endpoints": by_service(lambda s: addresses(s.endpoints)),
    "endpoints_known": flat(lambda s: list(s.addresses)),
    "endpoints_total": flat(lambda s: len(s.endpoints)),
    "endpoint_chains": by_service(lambda s: len(s.endpoints)),
    "unresolved_sep": lambda r, _: r.unresolved_sep,
    "local_endpoints": by_service(lambda s: addresses(s.local_endpoints)),
    "cluster_ip": flat(lambda s: s.cluster_ip),
    "node_port": by_service(lambda s: s.node_port),
    "health_check_node_port": flat(lambda s: s.health_check_node_port),
    "external_ips": flat(lambda s: len(s.external_ips)),
    "external_policy": flat(lambda s: s.external_policy),
    "external_shares": flat(lambda s: s.external_shares),
    "affinity": by_service(lambda s: s.affinity_seconds),
    "duplicate_rules": lambda r, _: r.duplicate_rules,
    "dangling_chains": lambda r, expected: sorted(r.dangling_chains, key=expected.index),
    "services_with_rules": lambda r, _: len(r.services),
    "declared_svc_chains": lambda r, _: r.declared_svc_chains,
    "declared_sep_chains": lambda r, _: r.declared_sep_chains,
}


@pytest.mark.parametrize(("name", "key", "expected"), expectations())
def test_every_expectation_of_the_manifest_holds(name, key, expected):
    """What a correct parser extracts from eleven pieces of public rule sets, item by item."""
    ruleset = ruleset_of(name)
    if key in {"probabilities", "shares", "share_tolerance", "format"}:
        return  # the tests below, test_iptables_listing
    if key == "must":
        return  # test_what_must_be_said_is_said
    assert READ[key](ruleset, expected) == expected


@pytest.mark.parametrize("name", [n for n in RULES if "probabilities" in MANIFEST[n]])
def test_probabilities_are_kept_as_written(name):
    """The manifest lists the printed probabilities, or the shares where it ends with 0.5, 0.5."""
    service, expected = ruleset_of(name).services[0], MANIFEST[name]["probabilities"]
    read = service.probabilities if expected[-1] == 1.0 else service.shares
    assert list(read) == expected
    assert service.probabilities[-1] == 1.0


@pytest.mark.parametrize("name", [n for n in RULES if "shares" in MANIFEST[n]])
def test_shares_are_the_product_of_the_rules(name):
    """Share of rule i = p_i times what the rules before it leave."""
    ruleset, expected = ruleset_of(name), MANIFEST[name]["shares"]
    per_service = expected if isinstance(expected, dict) else {ruleset.names()[0]: expected}
    for service, shares in per_service.items():
        assert list(ruleset.service(service).shares) == pytest.approx(shares, abs=1e-6)
        assert sum(ruleset.service(service).shares) == pytest.approx(1.0, abs=1e-12)


def test_what_must_be_said_is_said():
    """The inferred jump of F02 is in the notes; F07 is refused as truncated, with the counts."""
    notes = " ".join(read_iptables(FILES / "F02_aks_local_node_with_pod.rules").notes)
    assert "KUBE-SVL-2CMXP7HKUVJN7L6M is missing and is inferred" in notes
    with pytest.raises(InputError, match=r"truncated input.* 8 service chains and 15 endpoint"):
        read_iptables(FILES / "F07_truncated_save.rules")


def test_the_whole_manifest_is_covered():
    """Every key of the manifest is read by a test of this file."""
    known = {*READ, "format", "probabilities", "shares", "share_tolerance", "must"}
    assert {key for _, key, _ in expectations()} <= known


# -- a small writer of rules, as kube-proxy orders them -------------------------------------------


def printed(probability: str) -> str:
    """Print a decimal of kube-proxy as iptables-save does: 31 bits, 11 decimals."""
    return f"{round(float(probability) * U31) / U31:.11f}"


def written(n, form="%0.10f", *, name="shop/web:http", save=True, suffix="AAAA", first=1):
    """Rules of a service with ``n`` endpoints in the present generation's chains."""
    lines = ["*nat", ":KUBE-SERVICES - [0:0]", f":KUBE-SVC-{suffix} - [0:0]"]
    lines += [
        (
            f'-A KUBE-SERVICES -d 10.0.0.9/32 -p tcp -m comment --comment "{name} cluster IP" '
            f"-m tcp --dport 80 -j KUBE-SVC-{suffix}"
        )
    ]
    ips = [f"10.244.{k % 3}.{first + k // 3}" for k in range(n)]
    for k, ip in enumerate(ips):
        sep = f"KUBE-SEP-{suffix}{k:04d}"
        lines += [f'-A {sep} -s {ip}/32 -m comment --comment "{name}" -j KUBE-MARK-MASQ']
        lines += [
            (
                f'-A {sep} -p tcp -m comment --comment "{name}" -m tcp -j DNAT --to-destination '
                f"{ip}:8080"
            )
        ]
    for k, ip in enumerate(ips):
        text = form % (1.0 / (n - k))
        chance = f"-m statistic --mode random --probability {printed(text) if save else text} "
        lines += [
            (
                f'-A KUBE-SVC-{suffix} -m comment --comment "{name} -> {ip}:8080" '
                f"{chance if k < n - 1 else ''}-j KUBE-SEP-{suffix}{k:04d}"
            )
        ]
    return [*lines, "COMMIT"]


@settings(max_examples=40, deadline=None)
@given(st.integers(1, 40), st.sampled_from(["%0.5f", "%0.10f"]), st.booleans())
def test_written_rules_read_back_to_the_same_probabilities(n, form, save):
    """Both formats, saved or as restore input: probabilities and format come back."""
    ruleset = assemble([parse_rules(written(n, form, save=save), "made.rules")])
    service = ruleset.service()
    texts = [form % (1.0 / (n - k)) for k in range(n - 1)]
    expected = [float(printed(text) if save else text) for text in texts] + [1.0]
    assert list(service.probabilities) == expected
    left = 1.0
    for share, probability in zip(service.shares, expected, strict=True):
        exact = round(probability * U31) / U31  # the kernel's 31 bits
        assert share == pytest.approx(left * exact, abs=1e-15)
        left *= 1.0 - exact
    assert service.complete
    assert ruleset.probability_format in {form, None, "%0.10f" if n < 3 else form}
    assert not ruleset.unresolved_sep


def test_the_format_is_told_from_the_printed_decimals():
    """1/3 tells the formats apart, 1/2 does not, 0.4 fits neither."""
    assert format_of([[0.33332999982, 0.5, 1.0]]) == "%0.5f"
    assert format_of([[0.33333333349, 0.5, 1.0]]) == "%0.10f"
    assert format_of([[0.5, 1.0]]) is None
    assert format_of([[0.4, 1.0]]) is None


def test_argument_order_comments_and_counters_do_not_matter():
    """A rule with counters, journal prefix, other order and no quotes is the same rule."""
    plain = (
        '-A KUBE-SVC-X -m comment --comment "a/b:c" -m statistic --mode random '
        "--probability 0.25 -j KUBE-SEP-1"
    )
    other = (
        "Nov 14 11:06:11 host kube-proxy[1]: [3:180] -A KUBE-SVC-X -j KUBE-SEP-1 "
        "-m statistic --probability 0.25 --mode random -m comment --comment a/b:c"
    )
    text = parse_rules([plain, other, "-A KUBE-SVC-X -j KUBE-SEP-2"], "x")
    assert text.duplicates == 1
    assert [rule.target for rule in text.chains["KUBE-SVC-X"]] == ["KUBE-SEP-1", "KUBE-SEP-2"]


def test_counters_of_a_save_are_connections_per_endpoint():
    """`iptables-save -c` counts new connections at the DNAT rule."""
    rules = [
        f"[{10 + k}:600] {line}" if "DNAT" in line else line for k, line in enumerate(written(3))
    ]
    service = assemble([parse_rules(rules, "x")]).service()
    assert all(item.packets for item in service.endpoints)


def test_negations_of_all_ages_are_read():
    """`! -s`, `-s !` and `-s !1.2.3.0/24` are the same; the cluster's network comes from them."""
    for source in ("! -s 10.244.0.0/16", "-s ! 10.244.0.0/16", "-s !10.244.0.0/16"):
        line = f"-A KUBE-SVC-X {source} -d 10.0.0.9/32 -p tcp --dport 80 -j KUBE-MARK-MASQ"
        ruleset = assemble([parse_rules([line, "-A KUBE-SVC-X -j KUBE-SEP-1"], "x")])
        assert ruleset.cluster_cidr == "10.244.0.0/16"


def test_nth_rules_are_read():
    """`--mode nth --every 3` is a third; the mode is told."""
    rules = [
        (
            '-A KUBE-SVC-X -m comment --comment "a/b" -m statistic --mode nth --every 3 --packet 0 '
            "-j KUBE-SEP-1"
        ),
        "-A KUBE-SVC-X -m statistic --mode nth --every 2 --packet 0 -j KUBE-SEP-2",
        "-A KUBE-SVC-X -j KUBE-SEP-3",
    ]
    service = assemble([parse_rules(rules, "x")]).service()
    assert service.mode == "nth"
    assert service.shares == pytest.approx((1 / 3, 1 / 3, 1 / 3))


def test_affinity_rules_are_not_balancing_rules():
    """`recent --rcheck` gives the seconds and no share; a lost one is inferred from `--set`."""
    check = (
        "-A KUBE-SVC-X -m recent --rcheck --seconds 300 --reap --name KUBE-SEP-1 --mask "
        '255.255.255.255 --rsource -m comment --comment "a/b" -j KUBE-SEP-1'
    )
    jump = "-A KUBE-SVC-X -j KUBE-SEP-1"
    nat = (
        "-A KUBE-SEP-1 -p tcp -m recent --set --name KUBE-SEP-1 --rsource -m tcp -j DNAT "
        "--to-destination 10.244.0.3:80"
    )
    whole = assemble([parse_rules([check, jump, nat], "x")]).service()
    assert (whole.affinity_seconds, whole.shares) == (300, (1.0,))
    piece = assemble([parse_rules([jump, nat], "x")])
    assert piece.service().affinity_seconds == 10_800
    assert "10800 s is assumed" in " ".join(piece.notes)


def test_rules_after_an_unconditional_one_are_unreachable():
    """A chain pasted from two moments: what follows a rule without probability gets nothing."""
    rules = ["-A KUBE-SVC-X -j KUBE-SEP-1", "-A KUBE-SVC-X -j KUBE-SEP-2"]
    ruleset = assemble([parse_rules(rules, "x")])
    assert [item.chain for item in ruleset.services[0].endpoints] == ["KUBE-SEP-1"]
    assert "x:2: never reached" in " ".join(ruleset.notes)


def test_ipv6_addresses_keep_their_brackets():
    """An IPv6 service: VIP and endpoints are written [address]:port."""
    rules = [
        (
            "-A KUBE-SERVICES -d 2001:db8::9/128 -p tcp -m comment --comment "
            '"a/b:http loadbalancer IP" -m tcp --dport 80 -j KUBE-EXT-X'
        ),
        "-A KUBE-EXT-X -j KUBE-SVC-X",
        "-A KUBE-SVC-X -j KUBE-SEP-1",
        "-A KUBE-SEP-1 -p tcp -m tcp -j DNAT --to-destination [fd00:10:244::5]:8080",
    ]
    service = assemble([parse_rules(rules, "x")]).service()
    assert service.vip == "[2001:db8::9]:80"
    assert service.addresses == ("[fd00:10:244::5]:8080",)


def test_an_unreadable_dnat_rule_is_replaced_by_what_else_tells():
    """Mixed iptables versions print `:0 --persistent`; the hairpin rule still has the address."""
    rules = [
        (
            '-A KUBE-SERVICES -d 10.0.0.9/32 -p tcp -m comment --comment "a/b cluster IP" -m tcp '
            "--dport 8080 -j KUBE-SVC-X"
        ),
        "-A KUBE-SVC-X -j KUBE-SEP-1",
        "-A KUBE-SEP-1 -s 10.244.1.7/32 -j KUBE-MARK-MASQ",
        "-A KUBE-SEP-1 -p tcp -m tcp -j DNAT --to-destination :0 --persistent --to-destination :0",
    ]
    ruleset = assemble([parse_rules(rules, "x")])
    assert ruleset.service().addresses == ("10.244.1.7:8080",)
    assert "guessed" in " ".join(ruleset.notes)


def test_two_nodes_give_the_local_endpoints_of_each(tmp_path):
    """Local chains differ by node and are kept by file; the shared chains are taken once."""
    shared = written(2)[:-1]
    external = [
        (
            "-A KUBE-SERVICES -d 20.1.1.1/32 -p tcp -m comment --comment "
            '"shop/web:http loadbalancer IP" -m tcp --dport 80 -j KUBE-EXT-AAAA'
        ),
        "-A KUBE-EXT-AAAA -j KUBE-SVL-AAAA",
    ]
    paths = []
    for node in range(2):
        path = tmp_path / f"node{node}.rules"
        local = f"-A KUBE-SVL-AAAA -j KUBE-SEP-AAAA{node:04d}"
        path.write_text("\n".join([*shared, *external, local, "COMMIT"]), encoding="utf-8")
        paths.append(path)
    ruleset = read_iptables(paths)
    service = ruleset.service()
    assert service.external_policy == "Local"
    assert ruleset.duplicate_rules == 0
    assert list(service.local_by_file.values()) == [("10.244.0.1:8080",), ("10.244.1.1:8080",)]


def test_pieces_of_one_save_add_up(tmp_path):
    """Two greps of one node, one service each: the shared chains hold the rules of both."""
    for name, suffix in (("a/web:http", "AAAA"), ("b/api:http", "BBBB")):
        lines = [line for line in written(2, name=name, suffix=suffix) if line[:3] == "-A "]
        (tmp_path / suffix).write_text("\n".join(lines), encoding="utf-8")
    ruleset = read_iptables([tmp_path / "AAAA", tmp_path / "BBBB"])
    assert ruleset.names() == ("a/web:http", "b/api:http")
    assert all(service.cluster_ip == "10.0.0.9" for service in ruleset.services)


def test_a_disagreement_of_two_files_names_both_places(tmp_path):
    """The same chain with different rules in two files is reported with both lines."""
    for name, n in (("a", 2), ("b", 3)):
        (tmp_path / name).write_text("\n".join(written(n)), encoding="utf-8")
    notes = " ".join(read_iptables([tmp_path / "a", tmp_path / "b"]).notes)
    assert "KUBE-SVC-AAAA differs between" in notes
    assert f"{tmp_path / 'a'}:9" in notes


def test_the_default_service_is_the_controller_on_port_80():
    """Whole before broken, controllers first; a name may be shortened while it is unique."""
    rules = [*written(5, name="shop/web:http")[:-1]]
    for port, name, suffix in ((443, "https", "S"), (80, "http", "P")):
        title = f"ingress-nginx/controller:{name}"
        rules += [
            (
                "-A KUBE-SERVICES -d 20.1.1.1/32 -p tcp -m comment --comment "
                f'"{title} loadbalancer IP" -m tcp --dport {port} -j KUBE-EXT-{suffix}'
            ),
            f"-A KUBE-EXT-{suffix} -j KUBE-SVC-{suffix}",
            f"-A KUBE-SVC-{suffix} -j KUBE-SEP-{suffix}",
            f"-A KUBE-SEP-{suffix} -p tcp -m tcp -j DNAT --to-destination 10.244.0.9:{port}",
        ]
    ruleset = assemble([parse_rules(rules, "x")])
    assert ruleset.service().name == "ingress-nginx/controller:http"
    assert ruleset.service("web").name == "shop/web:http"
    with pytest.raises(InputError, match="fits more than one"):
        ruleset.service("ingress-nginx/controller")
    with pytest.raises(InputError, match=r"is not among the services.*shop/web:http"):
        ruleset.service("nothing")

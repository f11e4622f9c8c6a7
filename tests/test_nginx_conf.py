"""The nginx.conf importer: upstreams, methods, keepalive, timeouts, retries, workers."""

import contextlib
import time
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lbbench.errors import InputError
from lbbench.inputs.nginx_conf.reader import read_nginx_conf
from lbbench.inputs.nginx_conf.text import DEEPEST, parse_nginx
from lbbench.model.check import build

DATA = Path(__file__).parent / "data" / "nginx"
WORDS = (
    *("http", "upstream", "{", "}", ";", "server", "10.0.0.1:80", "weight=2", "keepalive", "16"),
    *("proxy_pass", "http://a", "a", "hash", "$uri", "least_conn", '"', "'", "\\", "${", "#", "\n"),
    *("balancer_by_lua_block", "keepalive_timeout", "1h30m", "proxy_next_upstream", "off", "down"),
)


@pytest.fixture
def conf(tmp_path):
    """Return a function that imports a text."""

    def read(text, upstream=None):
        path = tmp_path / "nginx.conf"
        path.write_text(text, encoding="utf-8")
        imported = read_nginx_conf(path, upstream)
        return imported, build(imported.scenario, place="x")

    return read


def test_a_plain_file_gives_pods_method_and_settings():
    """What most locations pass to is the subject; the settings are those that hold there."""
    imported = read_nginx_conf(DATA / "plain.conf")
    scenario = build(imported.scenario, place="x")
    stage = scenario.stages.ingress
    assert [pod.address for pod in scenario.cluster.pods] == ["10.244.1.4:8080", "10.244.2.4:8080"]
    assert stage.balancer == "nginx_least_conn"
    assert scenario.cluster.ingress.workers == 4
    assert (stage.keepalive.upstream, stage.keepalive.upstream_timeout) == (16, 30.0)
    assert (stage.keepalive.client_timeout, stage.keepalive.client_requests) == (65.0, 500)
    assert (stage.timeouts.connect, stage.timeouts.read) == (1.5, 90.0)
    assert (stage.next_upstream.on, stage.next_upstream.tries) == (
        *(("error", "timeout", "http_503"),),
        2,
    )


def test_what_a_scenario_cannot_say_is_said():
    """Weights, servers that are down or spare, conditions, includes: each with its line."""
    imported = read_nginx_conf(DATA / "plain.conf")
    notes = "\n".join(imported.notes)
    assert "the servers' weights are the pods'" in notes
    assert [pod["weight"] for pod in imported.scenario["cluster"]["pods"]] == [2, 1]
    assert "plain.conf:32: not simulated in proxy_next_upstream: http_429" in notes
    assert "plain.conf:6: 1 includes are not followed" in notes
    assert [(line, why.rpartition(": ")[2]) for _, line, why in imported.skipped] == [
        *((17, "down"), (18, "backup")),
    ]


def test_another_upstream_can_be_chosen():
    """A consistent hash with its key; addresses without a port have port 80."""
    scenario = build(read_nginx_conf(DATA / "plain.conf", "static").scenario, place="x")
    assert (scenario.stages.ingress.balancer, scenario.stages.ingress.hash_by) == (
        *("nginx_hash_consistent", "$request_uri"),
    )
    assert [pod.address for pod in scenario.cluster.pods] == ["10.244.1.9:80", "[fd00::9]:81"]
    assert scenario.stages.ingress.keepalive.upstream == 0
    with pytest.raises(InputError, match="no upstream 'none'; the file has api, static"):
        read_nginx_conf(DATA / "plain.conf", "none")


def test_the_generated_file_gives_settings_and_says_where_the_rest_is():
    """ingress-nginx keeps pods and balancer in Lua; braces and quotes in Lua do not matter."""
    imported = read_nginx_conf(DATA / "ingress-nginx.conf")
    scenario = build(imported.scenario, place="x")
    stage = scenario.stages.ingress
    assert "pods" not in imported.scenario["cluster"]
    assert scenario.cluster.ingress.workers == 2
    assert (stage.keepalive.upstream, stage.keepalive.upstream_requests) == (320, 10_000)
    assert (stage.keepalive.upstream_timeout, stage.timeouts.read) == (60.0, 120.0)
    assert any("ingress-nginx.conf:47: the balancer is in Lua" in n for n in imported.notes)


def test_defaults_of_nginx_hold_where_nothing_is_written(conf):
    """Round robin, no keepalive towards the servers, every server is tried."""
    _, scenario = conf("upstream a { server 1.1.1.1:80; server 2.2.2.2:80; }")
    stage = scenario.stages.ingress
    assert (stage.balancer, stage.keepalive.upstream, stage.next_upstream.tries) == (
        *("nginx_round_robin", 0),
        2,
    )


@pytest.mark.parametrize(
    ("method", "balancer", "key"),
    [
        ("ip_hash;", "nginx_ip_hash", "$remote_addr"),
        ("hash $cookie_x;", "nginx_hash", "$cookie_x"),
        ("hash $cookie_x consistent;", "nginx_hash_consistent", "$cookie_x"),
        ("random;", "nginx_random", "$remote_addr"),
        ("random two least_conn;", "nginx_random_two", "$remote_addr"),
        ("zone a 64k; random two;", "nginx_random_two_zone", "$remote_addr"),
        ("least_conn; zone a 64k;", "nginx_least_conn_zone", "$remote_addr"),
        ("sticky cookie srv_id;", "round_robin", "$remote_addr"),
    ],
)
def test_methods_become_balancers(conf, method, balancer, key):
    """Each method has a balancer, or it is said that it has none."""
    imported, scenario = conf(f"upstream a {{ {method} server 1.1.1.1:80; }}")
    assert scenario.stages.ingress.balancer == balancer
    assert scenario.stages.ingress.hash_by == key
    assert any(
        ("nginx.conf:1: " in note and balancer.split("_")[1] in note) or "sticky" in note
        for note in imported.notes
    )


def test_without_a_method_weights_count(conf):
    """Smooth weighted round robin, per worker or with a zone."""
    for zone, name in (("", "nginx_round_robin"), ("zone a 64k;", "nginx_round_robin_zone")):
        _, scenario = conf(f"upstream a {{ {zone} server 1.1.1.1:80 weight=3; server 2.2.2.2; }}")
        assert scenario.stages.ingress.balancer == name
        assert [pod.weight for pod in scenario.cluster.pods] == [3, 1]


def test_when_a_server_is_left_out_is_read(conf):
    """What is alike for all servers becomes options; what is not is said, with the line."""
    imported, scenario = conf(
        "upstream a {\n server 1.1.1.1 max_fails=3 fail_timeout=1m max_conns=50;\n"
        " server 2.2.2.2 max_fails=3 fail_timeout=1m;\n"
        " server 3.3.3.3 max_fails=3 fail_timeout=1m;\n}"
    )
    assert scenario.stages.ingress.options == {"max_fails": 3, "fail_timeout": "1min"}
    assert any(
        ":2: max_conns is not alike for all servers: that of most, 0, holds for all" in note
        for note in imported.notes
    )
    imported, scenario = conf("upstream a { server 1.1.1.1 fail_timeout=0 max_fails=0; }")
    assert scenario.stages.ingress.options == {"max_fails": 0}
    assert any(":1: fail_timeout=0 is not simulated: 10s holds" in n for n in imported.notes)


def test_settings_without_an_upstream_are_read(conf):
    """A file of settings only, retries switched off, connections of clients closed at once."""
    _, scenario = conf("keepalive_timeout 0; proxy_next_upstream off; worker_processes auto;")
    assert scenario.stages.ingress.keepalive.client_requests == 1
    assert scenario.stages.ingress.next_upstream.on == ()


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"", ":1: no directive"),
        (b"http\x00{", "binary"),
        ("http {}".encode("utf-16"), "UTF-16"),
        (b"hello\n", ":1: truncated input: hello has no end"),
        (b"\n\nhttp {\n upstream a {\n server 1.1.1.1;\n", ":4: truncated input: the block"),
        (b"http {\n log_format 'x\n", ":2: a quote without its partner"),
        (b"}\n", ":1: a } without its {"),
        (b"a {\n b c\n}\n", ":2: b has no ; at its end"),
        (b"http {\n init_by_lua_block {\n x = '}'\n", ":2: truncated input: the Lua block"),
        (b"a{" * 100, "more than 64 blocks"),
        (b"user x;\n", ":1: no upstream and no setting of a proxy in 1 directives"),
        (b"{ }", "a { without a name"),
    ],
)
def test_bad_input_is_one_sentence_with_place_and_way_out(tmp_path, content, said):
    """Empty, binary, cut off in a block, in a string, in Lua, too deep."""
    path = tmp_path / "nginx.conf"
    path.write_bytes(content)
    with pytest.raises(InputError, match=said) as caught:
        read_nginx_conf(path)
    assert str(caught.value).startswith(str(path))
    assert "\n" not in str(caught.value)
    assert DEEPEST == 64


@pytest.mark.parametrize("name", ["plain.conf", "ingress-nginx.conf"])
def test_a_file_cut_anywhere_is_refused(tmp_path, name):
    """The last brace closes http: whatever is missing, it is noticed."""
    raw = (DATA / name).read_bytes().rstrip()
    path = tmp_path / "cut.conf"
    for kept in range(raw.index(b"http {") + 6, len(raw), 41):
        path.write_bytes(raw[:kept])
        with pytest.raises(InputError, match=r"truncated|partner"):
            read_nginx_conf(path)


def test_line_ends_of_windows_and_other_encodings_are_survived(tmp_path):
    """CRLF and a byte that is no UTF-8 in a comment."""
    path = tmp_path / "crlf.conf"
    path.write_bytes(b"# caf\xe9\r\n" + (DATA / "plain.conf").read_bytes().replace(b"\n", b"\r\n"))
    assert read_nginx_conf(path).scenario == read_nginx_conf(DATA / "plain.conf").scenario


@settings(max_examples=300, deadline=None)
@given(st.lists(st.one_of(st.text(max_size=20), st.sampled_from(WORDS)), max_size=30))
def test_garbage_raises_nothing_but_input_errors(tmp_path_factory, words):
    """Whatever the words, the answer is a scenario or an InputError."""
    path = tmp_path_factory.mktemp("garbage") / "any.conf"
    path.write_text(" ".join(words), encoding="utf-8", errors="surrogatepass")
    try:
        build(read_nginx_conf(path).scenario, place="x")
    except InputError:
        return


@pytest.mark.parametrize("piece", ["a ", "{", "a;", "$", "\\\\", '""', "a{}", "#\n", "${", "--"])
def test_a_hostile_text_takes_linear_time(piece):
    """A megabyte of one piece takes no five seconds."""
    began = time.process_time()
    with contextlib.suppress(InputError):
        parse_nginx("a_by_lua_block {" * (piece == "--") + piece * (1_000_000 // len(piece)), "x")
    assert time.process_time() - began < 5.0

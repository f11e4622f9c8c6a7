"""Reading scenario files: every mistake becomes one sentence with its place, never a traceback."""

import os

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

import lbbench
from lbbench.errors import ScenarioError
from lbbench.inputs.yaml import dump, load, parse, shipped

LOAD = "traffic: {utilisation: 0.8}\n"


def refused(tmp_path, text, set_=()):
    """Return the error text of a scenario file, the folder taken out."""
    path = tmp_path / "s.yaml"
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    with pytest.raises(ScenarioError) as caught:
        load(path, set_)
    return str(caught.value).replace(f"{tmp_path}{os.sep}", "")


MISTAKES = [
    # keys
    ("clusters: {}", "s.yaml:2: clusters: unknown key; did you mean cluster?"),
    ("cluster:\n  pod:\n    concurency: 2",
     "s.yaml:4: cluster.pod.concurency = 2: unknown key; did you mean concurrency?"),
    ("zzz: 1", "s.yaml:2: zzz = 1: unknown key; allowed are cluster, name, observed, path, preset, "
               "run, schema, slo, stages, sweep, timeline, traffic"),
    ("schema_: 1", "s.yaml:2: schema_ = 1: unknown key; did you mean schema?"),
    ("stages: {ingress: {canary: {weight: 2}}}", "s.yaml:2: stages.ingress.canary.pods: is missing"),
    ("cluster: {pods: [{node: node-0}]}", "s.yaml:2: cluster.pods[0].name: is missing; write"),
    # sizes
    ("cluster: {pods: 0}", "s.yaml:2: cluster.pods = 0: must be at least 1"),
    ("cluster: {pods: []}", "s.yaml:2: cluster.pods = []: must have 1 to 100000 entries"),
    ("cluster: {pods: -3}", "s.yaml:2: cluster.pods = -3: must be at least 1"),
    ("cluster: {pods: 1.5}", "s.yaml:2: cluster.pods = 1.5: must be a whole number"),
    ("cluster: {pods: true}", "s.yaml:2: cluster.pods = true: must be a whole number"),
    ("cluster: {pods: .inf}", "s.yaml:2: cluster.pods = inf: must be a whole number"),
    ("cluster: {pods: 999999999}", "must be at most 100000"),
    ("cluster: {nodes: 4000}", "must be at most 3072"),
    ("cluster: {pod: {speed: .nan}}", "s.yaml:2: cluster.pod.speed = nan: must be a finite number"),
    ("cluster: {pod: {concurrency: 0}}", "cluster.pod.concurrency = 0: must be at least 1"),
    ("cluster: {pod: {queue: lots}}", 'cluster.pod.queue = lots: must be a whole number, or "unlimited"'),
    ("stages: {azure_lb: {tcp_reset: yes}}", "stages.azure_lb.tcp_reset = yes: must be true or false"),
    ("run: {seed: -1}", "run.seed = -1: must be at least 0"),
    # units
    ("run: {duration: 300}", 's.yaml:2: run.duration = 300: a time needs a unit; write "300s" or "300ms"'),
    ("run: {duration: 0s}", "run.duration = 0s: must be greater than 0"),
    ("run: {warmup: later}", "run.warmup = later: is not a time"),
    ("cluster: {network: {client_rtt: -1ms}}", "cluster.network.client_rtt = -1ms: must not be negative"),
    # words
    ("path: ingres", "s.yaml:2: path = ingres: is not allowed; did you mean ingress? allowed are ingress, service"),
    ("schema: lbbench.scenario/2", "schema = lbbench.scenario/2: is not allowed"),
    ("preset: azure", "preset = azure: is not allowed; allowed are aks-kubenet, seed"),
    ("stages: {kube_proxy: {external_traffic_policy: local}}", "did you mean Local? allowed are Cluster, Local"),
    ("stages: {ingress: {next_upstream: {on: [err]}}}", "stages.ingress.next_upstream.on[0] = err: is not"),
    ("cluster: {placement: scatter}", "cluster.placement = scatter: is not allowed; allowed are spread, pack"),
    ("cluster: big", "s.yaml:2: cluster = big: must be a mapping of keys"),
    ("cluster: {pod: {cold_start: fast}}", 'must be "none" or keys, for instance {factor: 3, duration: 30s}'),
    # rules between keys
    ("run: {requests: 3, duration: 3s}", "run.requests = 3: stands beside run.duration; keep one of them"),
    ("run: {warmup: 10min}", "run.warmup = 10min: must be shorter than run.duration"),
    ("cluster: {placement: [4, 3, 2]}",
     "s.yaml:2: cluster.placement = [4, 3, 2]: adds up to 9; it must be the 10 of cluster.pods"),
    ("cluster: {placement: [5, 5]}", "has 2 entries; it needs 3, one per node"),
    ("cluster: {placement: [11, -1, 0]}", "cluster.placement[1] = -1: must be at least 0"),
    ("cluster: {pods: [{name: a, node: node-0}], placement: [0, 1, 0]}", "leaves 0 for node-0, which 1 pods name"),
    ("cluster: {pods: [{name: a}, {name: a}]}", "cluster.pods[1].name = a: is given twice"),
    ('cluster: {pods: [{name: a, address: "1.1.1.1:1"}, {name: b, address: "1.1.1.1:1"}]}',
     "cluster.pods[1].address = 1.1.1.1:1: is given twice"),
    ("cluster: {nodes: [{name: a}, {name: a}]}", "cluster.nodes[1].name = a: is given twice"),
    ("cluster: {pods: [{name: a, node: node-9}]}", "cluster.pods[0].node = node-9: there is no such node"),
    ("cluster: {ingress: {replicas: [{name: a, node: x}]}}",
     "cluster.ingress.replicas[0].node = x: there is no such node; there are node-0, node-1, node-2"),
    ("cluster: {ingress: {replicas: 0}}", "leaves the service without an endpoint; give at least 1"),
    ("cluster: {ingress: {replicas: []}}", "leaves the service without an endpoint"),
    ("cluster: {vip: 20.0.0.1}", "cluster.vip = 20.0.0.1: is not an address with a port"),
    ("cluster: {nodes: [{name: a, address: x}]}", "cluster.nodes[0].address = x: is not an IP address"),
    ("path: service\nstages: {ingress: {balancer: sticky_balanced}}", "needs cookies, so it needs path: ingress"),
    ("stages: {azure_lb: {fixed: node, balancer: random}}", "stands beside balancer; keep one of them"),
    ("stages: {kube_proxy: {probabilities: [0.5, 0.5]}}", "must end with 1"),
    ("stages: {kube_proxy: {probabilities: [0.5, 1]}}", "it needs 3, one for each of the ingress replicas"),
    ("stages: {ingress: {canary: {pods: 1, weight: 200}}}", "must be at most weight_total, 100"),
    ("stages: {ingress: {options: {decay: .nan}}}", "stages.ingress.options.decay = nan: must be a plain"),
    # timeline, objectives, sweep
    ("timeline: [{at: 1s, node: node-9, state: down}]", "timeline[0].node = node-9: there is no such node"),
    ("timeline: [{at: 1s, pod: pod-10, speed: 2}]", "timeline[0].pod = pod-10: there is no such pod"),
    ("timeline: [{at: 1s, pod: pod-10, speed: 2}, {at: 2s, scale: {pods: 11}}]", "timeline[0].pod = pod-10"),
    ("timeline: [{at: 1s}]", "timeline[0]: must have exactly one of scale, rollout, routes, pod, node"),
    ("timeline: [{at: 1s, scale: {pods: 1}, routes: missing}]", "timeline[0]: must have exactly one of"),
    ("timeline: [{at: 9s, routes: missing, until: 5s}]", "timeline[0].until = 5s: must be later than at"),
    ("timeline: [{at: 9s, scale: {pods: 2}, until: 10s}]", "timeline[0].until = 10s: does not belong to scale"),
    ("timeline: [{at: 1s, pod: pod-1}]", "timeline[0].pod = pod-1: needs exactly one of speed, cold, pause, fail"),
    ("timeline: [{at: 1s, scale: {pods: 2}, state: up}]", "belongs to a change of a node, not to scale"),
    ("timeline: [{at: 1s, pod: pod-1, fail: hang, after: 1s}]", "timeline[0].after = 1s: belongs to fail: error"),
    ("timeline: [{routes: missing}]", "timeline[0].at: is missing; write for instance"),
    ("timeline: {at: 1s}", "timeline: must be a list of changes"),
    ("slo: {latency.p98: 1ms}", "slo.latency.p98 = 1ms: is not a metric; did you mean latency.p99"),
    ("slo: {latency.p99: 250}", "slo.latency.p99 = 250: a time needs a unit"),
    ("slo: {error_rate: 120%}", "slo.error_rate = 120%: must be between 0 and 1"),
    ("run: {precision: {metric: p99}}", "run.precision.metric = p99: is not a metric"),
    ("sweep: {axes: {stages.ingress.balancr: [a]}}",
     'sweep.axes.stages.ingress.balancr = ["a"]: there is no key balancr; did you mean balancer?'),
    ("sweep: {axes: {traffic.utilisation: 0.8}}", "must be a list of at least one value"),
    ("sweep: {axes: {traffic.utilisation: [0.5, -2]}}", "sweep.axes.traffic.utilisation[1] = -2: must not be negative"),
    ("sweep: {zip: {run.seed: [1, 2], cluster.pods: [3]}}", "sweep.zip: must have lists of the same length"),
    ("sweep: {}", "sweep.axes: has nothing to vary"),
    ("observed: {pods: {a: -1}}", "observed.pods.a = -1: must be at least 0"),
    ("observed: {latency: {p42: 1s}}", "observed.latency.p42 = 1s: is not allowed"),
]  # fmt: skip

LOADS = [
    ("{}", "traffic: has no load; give exactly one of arrivals.rate, utilisation and trace"),
    ("~", "traffic = null: is missing; give exactly one of"),
    ("{utilisation: 0}", "traffic.utilisation = 0: must be greater than 0"),
    ("{utilisation: .inf}", "traffic.utilisation = inf: must be a finite number"),
    ("{utilisation: 1, arrivals: {rate: 4/s}}", "traffic.utilisation = 1: stands beside arrivals.rate"),
    ("{utilisation: 1, trace: x}", "traffic.utilisation = 1: stands beside trace; give exactly one"),
    ("{trace: x, arrivals: {rate: 4/s}}", "traffic.trace = x: stands beside figures of arrivals"),
    ("{trace: x, arrivals: {process: steps, steps: [[0s, 1/s]]}}", "stands beside figures of arrivals"),
    ("{trace: x, arrivals: {process: closed, users: 1, think_time: 1s}}", "stands beside figures of arrivals"),
    ("{utilisation: 1, arrivals: {process: closed, users: 1, think_time: 1s}}",
     "traffic.utilisation = 1: closed arrivals set their own rate"),
    ("{arrivals: {process: closed, users: 1, think_time: 1s, rate: 1/s}}", "does not belong to the process closed"),
    ("{arrivals: {rate: -4/s}}", "traffic.arrivals.rate = -4/s: must not be negative"),
    ("{arrivals: {rate: 0/s}}", "traffic.arrivals.rate = 0/s: must be greater than 0"),
    ("{arrivals: {rate: 400}}", "traffic.arrivals.rate = 400: a rate needs a unit"),
    ("{arrivals: {process: gamma, rate: 4/s}}", "traffic.arrivals: lacks cv; the process gamma needs it"),
    ("{arrivals: {process: poison, rate: 4/s}}", "traffic.arrivals.process = poison: is not allowed; did you mean poisson?"),
    ("{arrivals: {cv: 2, rate: 4/s}}", "traffic.arrivals.cv = 2: does not belong to the process poisson"),
    ("{arrivals: {process: mmpp, rates: [1/s], means: [1s, 2s]}}", "must have as many entries as means"),
    ("{arrivals: {process: mmpp, rates: [0/s], means: [1s]}}", "must have one that is greater than 0"),
    ("{arrivals: {process: steps, steps: [[1s, 1/s]]}}", "must begin at 0s and rise in time"),
    ("{arrivals: {process: steps, steps: [[0s, 1]]}}", "traffic.arrivals.steps[0] = [\"0s\", 1]: a rate needs a unit"),
]  # fmt: skip

TIMES = [
    ("{distribution: pareto, mean: 1ms, alpha: 1}", "alpha = 1: must be greater than 1, else the mean is infinite"),
    ("{distribution: pareto, mean: 1ms, alpha: .nan}", "alpha = nan: must be a finite number"),
    ("{distribution: hyperexponential, mean: 1ms, cv: 0.5}", "cv = 0.5: must be at least 1"),
    ("{distribution: bounded_pareto, low: 1s, high: 1ms, alpha: 1}", "low = 1s: must be shorter than high"),
    ("{distribution: bimodal, values: [1ms, 2ms], shares: [0.5, 0.6]}", "must add up to 1 (100%), not to 1.1"),
    ("{distribution: bimodal, values: [1ms], shares: [0.5, 0.5]}", "must have as many entries as values"),
    ("{distribution: bimodal, values: [0s], shares: [1]}", "must have one that is longer than 0"),
    ("{distribution: empirical}", "file: is missing; the distribution empirical needs it"),
    ("{mean: 1ms, k: 3}", "k = 3: does not belong to the distribution exponential; allowed are mean"),
    ("{mean: 0s}", "mean = 0s: must be longer than 0"),
    ("{distribution: deterministic, mean: 0s}", "mean = 0s: must be longer than 0"),
]  # fmt: skip


@pytest.mark.parametrize(("text", "sentence"), MISTAKES)
def test_a_mistake_is_told_with_place_value_and_way_out(tmp_path, text, sentence):
    """FILE:LINE: path = value: what is wrong; what is allowed."""
    found = refused(tmp_path, LOAD + text + "\n")
    assert sentence in found
    assert found.startswith("s.yaml:")
    assert "\n" not in found


@pytest.mark.parametrize(("text", "sentence"), LOADS)
def test_a_scenario_has_exactly_one_load(tmp_path, text, sentence):
    """A rate or the process's own figures, a utilisation or a trace; what contradicts is told."""
    found = refused(tmp_path, f"traffic: {text}\n")
    assert sentence in found
    assert "\n" not in found


@pytest.mark.parametrize(("text", "sentence"), TIMES)
def test_a_service_time_has_its_figures_and_a_finite_mean(tmp_path, text, sentence):
    """Missing, foreign and impossible figures are told."""
    found = refused(tmp_path, f"traffic: {{utilisation: 1, service_time: {text}}}\n")
    assert f"traffic.service_time.{sentence}" in found or sentence in found


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
    ("traffic: !!python/object/apply:os.system ['ls']\n", "the tag !!python/object/apply:os.system is not"),
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
        (tmp_path / "qqq.yaml", "there is no such file or shipped scenario; shipped are aks-ingress"),
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
     "none", "4/s", "1ms", "-1", "0", "1e999", ".nan", "~", "{", "}", "[", "]", ":", ",", "\n", "  ",
     "- ", "&a", "*a", "<<", "!t", "'", '"', "#", "|", "%", "sweep", "axes", "stages", "\t", "?"]
)  # fmt: skip


@settings(max_examples=150)
@given(st.one_of(st.lists(words, max_size=30).map(" ".join), st.text(max_size=60), st.binary(max_size=60)))
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

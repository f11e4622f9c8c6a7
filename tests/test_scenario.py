"""Scenario keys: defaults, forms, rules between keys, presets, and the way back to plain data."""

import copy
import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lbbench.errors import ScenarioError
from lbbench.inputs.yaml import dump, parse
from lbbench.model.check import build
from lbbench.model.demand import Fixed, Geometric, Sessions, Zipf

DEFAULTS = """
schema: lbbench.scenario/1
name: scenario
path: ingress
cluster:
  nodes: 3
  pods: 10
  placement: spread
  pod: {concurrency: 1, discipline: fifo, queue: unlimited, speed: 1.0, cold_start: none,
        readiness: none, cfs: none, antagonist: none}
  ingress: {replicas: per_node, workers: 4, cpu_per_request: 0s}
  network: {client_rtt: 0s, same_node_rtt: 0s, cross_node_rtt: 0s, path_delay: 0s, path_jitter: 0s}
  vip: "20.0.0.1:80"
stages:
  azure_lb: {distribution: Default, hash: toeplitz, mapping: modulo,
             probe: {kind: auto, interval: 5s, threshold: 2}, idle_timeout: 4min, tcp_reset: false,
             sku: Standard, on_all_down: drop_new}
  kube_proxy: {mode: iptables, scheduler: rr, external_traffic_policy: Cluster,
               session_affinity: None, affinity_timeout: 3h, probability_format: "%0.10f",
               min_sync_period: 1s, topology: none, options: {}}
  ingress: {balancer: round_robin, release: current, hash_by: "$remote_addr", subset_size: 3,
            change_on_failure: false, start: random, options: {},
            keepalive: {upstream: 320, upstream_requests: 10000, upstream_timeout: 1min,
                        client_timeout: 75s, client_requests: 1000},
            timeouts: {connect: 5s, read: 1min}, next_upstream: {on: [error, timeout], tries: 3},
            sync: {rate_limit: 0.3/s, worker_interval: 1s}, canary: none, health_check: none}
traffic:
  arrivals: {process: poisson}
  utilisation: 0.8
  service_time: {distribution: exponential, mean: 20ms}
  clients: {count: 1000, popularity: uniform, behind_nat: 0.0, nat_addresses: 1}
  connections: {requests: 1, protocol: http1, streams: 128}
  keys: {count: 500, popularity: {zipf: 1.0}}
  sessions: none
  connect_timeout: 10s
run: {duration: 5min, warmup: auto, replications: 1, seed: 1, window: auto, drain: 2min}
"""

CONTRACT = """
cluster:
  nodes: [{name: node-0, zone: "1"}, {name: node-1, zone: "2"}, {name: node-2}]
  pods: 10
  placement: [4, 3, 3]
  pod: {readiness: {period: 10s, failures: 3}, cold_start: {factor: 3, duration: 30s},
        cfs: {quota: 50ms, period: 100ms}, antagonist: {speed: 0.5, share: 0.1, lasting: 2s},
        queue: 20, discipline: ps}
  ingress: {replicas: [{name: a, node: node-0}, {name: b, node: node-2}]}
stages:
  azure_lb: {fixed: node}
  kube_proxy: {mode: ipvs, scheduler: wlc, session_affinity: ClientIP, topology: zone}
  ingress: {balancer: "my.py:mine", release: 0.21, options: {decay: 10s, choices: 2},
            sync: {rate_limit: unlimited}, canary: {pods: 2, weight: 20, weight_total: 100}}
traffic:
  arrivals: {process: closed, users: 100, think_time: {distribution: exponential, mean: 1s}}
  clients: {popularity: {zipf: 1.1}, behind_nat: 40%}
  connections: {requests: {geometric: 20}, gap: {distribution: exponential, mean: 1s},
                protocol: http2, streams: 10}
  sessions: {count: 10, cookies: kept, lifetime: {distribution: lognormal, mean: 10min, cv: 2}}
run: {requests: 5000, warmup: 1s, precision: {metric: latency.p99, relative: 5%}}
timeline:
  - {at: 60s, scale: {pods: 15}}
  - {at: 90s, pod: pod-3, speed: 0.2}
  - {at: 90s, pod: pod-14, cold: true}
  - {at: 90s, pod: pod-3, pause: 2s}
  - {at: 95s, pod: pod-4, fail: refuse, until: 120s}
  - {at: 95s, pod: pod-4, fail: error, after: 1ms}
  - {at: 150s, node: node-1, state: down}
  - {at: 150s, node: node-1, azure: down}
  - {at: 160s, routes: missing, until: 180s}
  - {at: 200s, rollout: {max_surge: 1, max_unavailable: 1, ready_after: 10s, drain: 5s, grace: 30s}}
  - {at: 300s, scale: {pods: 0}}
slo: {latency.p99: 250ms, error_rate: 0.1%}
sweep:
  axes: {stages.ingress.balancer: [round_robin, ewma], zip: {cluster.pods: [10], run.seed: [3]}}
observed: {pods: {"10.244.0.4:80": 3}, latency: {p50: 1ms, p90: 2.5ms}, requests: 3, note: "text"}
"""


def data_of(text):
    """Return the plain data of a YAML text."""
    return parse(text, "text")[0]


def made(text="", load="traffic: {utilisation: 0.8}"):
    """Return the scenario of a YAML text."""
    return build(data_of(f"{load}\n{text}"))


def test_defaults_are_those_of_the_contract_and_nothing_else_is_on():
    """The scenario that gives only its load has exactly the values that the contract prints."""
    assert made().resolved() == data_of(DEFAULTS)


@pytest.mark.parametrize("text", [DEFAULTS, CONTRACT])
def test_resolved_loads_back_to_an_equal_scenario(text):
    """Plain data, JSON and YAML of a scenario lead back to it, with the same hash."""
    scenario = build(data_of(text))
    for again in (
        build(scenario.resolved()),
        build(json.loads(json.dumps(scenario.resolved()))),
        build(data_of(dump(scenario))),
    ):
        assert again == scenario
        assert hash(again) == hash(scenario)
        assert again.resolved() == scenario.resolved()


def test_the_folder_is_no_part_of_what_a_scenario_says(tmp_path):
    """Two scenarios with the same keys are equal wherever their files are."""
    assert made().in_folder(tmp_path) == made()
    assert made().in_folder(tmp_path).folder == tmp_path
    assert made() != made("path: service")
    assert made() != "scenario"


@given(
    st.floats(1e-12, 1e8),
    st.floats(1e-9, 1e9),
    st.floats(0, 1),
    st.floats(1e-9, 1e9, exclude_min=True),
)
def test_every_float_survives_the_round_trip(seconds, rate, share, speed):
    """No bit of a time, rate, share or number is lost on the way to JSON and back."""
    scenario = made().with_(
        {
            "run.drain": f"{seconds!r}s",
            "traffic.arrivals.rate": f"{rate!r}/s",
            "traffic.clients.behind_nat": share,
            "cluster.pod.speed": speed,
        }
    )
    again = build(json.loads(json.dumps(scenario.resolved())))
    assert again == scenario
    assert again.run.drain == seconds
    assert again.traffic.arrivals.rate == rate
    assert again.traffic.clients.behind_nat == share
    assert again.cluster.pod.speed == speed


def test_attributes_are_the_keys_with_numbers_in_seconds():
    """Times are seconds, rates per second, shares 0 to 1; forms are small parts."""
    full = build(data_of(CONTRACT))
    assert full.cluster.pod.cold_start.duration == 30.0
    assert full.stages.azure_lb.idle_timeout == 240.0
    assert full.traffic.connections.requests == Geometric(geometric=20)
    assert full.traffic.clients.popularity == Zipf(zipf=1.1)
    assert full.traffic.clients.behind_nat == 0.4
    assert full.traffic.arrivals.think_time.mean == 1.0
    assert full.run.precision.relative == 0.05
    assert full.stages.ingress.release == "0.21"
    assert full.stages.ingress.sync.rate_limit == "unlimited"
    assert full.objectives() == {"latency.p99": 0.25, "error_rate": 0.001}
    assert full.sweep.leaves()["run.seed"] == (3,)
    assert full.timeline[5].after == 0.001
    assert full.timeline[4].after is None


@pytest.mark.parametrize(
    ("text", "value"),
    [("1", 1), ("7", Fixed(fixed=7)), ("{fixed: 1}", Fixed(fixed=1)),
     ("{geometric: 1.5}", Geometric(geometric=1.5)), ("unlimited", "unlimited")],
)  # fmt: skip
def test_requests_per_connection_have_four_forms(text, value):
    """1, a number, a mean or unlimited."""
    scenario = made(load=f"traffic: {{utilisation: 1, connections: {{requests: {text}}}}}")
    assert scenario.traffic.connections.requests == value


def test_a_null_is_a_key_left_out():
    """A section whose lines are all commented out has its defaults."""
    assert made("cluster:\nstages: {ingress: ~}\nrun: {duration: null}") == made()


def test_cookie_jars_come_with_a_sticky_balancer_only():
    """1000 kept jars if the balancer is sticky, none else; what is written wins."""
    sticky = "stages: {ingress: {balancer: sticky_balanced}}"
    assert made().sessions is None
    assert made(sticky).sessions == Sessions(count=1000, cookies="kept")
    assert made(sticky, "traffic: {utilisation: 1, sessions: none}").sessions is None
    given_ = made(load="traffic: {utilisation: 1, sessions: {count: 7}}")
    assert given_.sessions == Sessions(count=7)
    assert made().with_({"stages.ingress.balancer": "sticky_persistent"}).sessions.count == 1000
    assert made(sticky).with_({"stages.ingress.balancer": "ewma"}).sessions is None


def test_a_trace_sets_its_own_length():
    """run.duration is 5 min by default, but not for recorded requests."""
    assert made().run.duration == 300.0
    assert made(load="traffic: {trace: x.csv}").run.duration is None
    assert made("run: {requests: 7}").run.duration is None


def test_presets_switch_on_their_values_and_written_keys_win():
    """Seed has the two workers, five digits and keepalive 32 of the blog post's cluster."""
    seed = made("preset: seed\nstages: {ingress: {keepalive: {client_requests: 7}}}")
    assert seed.cluster.ingress.workers == 2
    assert seed.cluster.network.cross_node_rtt == 0.00099
    assert seed.cluster.network.same_node_rtt == 0.0001
    assert seed.cluster.network.client_rtt == 0.0
    assert seed.stages.kube_proxy.probability_format == "%0.5f"
    kept = seed.stages.ingress.keepalive
    assert (kept.upstream, kept.upstream_requests, kept.client_requests) == (32, 100, 7)
    aks = made("preset: aks-kubenet")
    assert aks.cluster.network.cross_node_rtt == 0.00099
    assert aks.stages.ingress.keepalive == made().stages.ingress.keepalive
    assert made().with_({"preset": "seed"}).stages.ingress.keepalive.upstream == 32


def test_utilisation_scales_processes_with_figures_of_their_own():
    """Rates of an mmpp, a base and steps are a shape when the average is given."""
    shapes = (
        "{process: mmpp, rates: [100/s, 0/s], means: [1s, 2s]}",
        "{process: diurnal, base: 100/s, amplitude: 50%, period: 1h}",
        "{process: diurnal, amplitude: 50%, period: 1h}",
        "{process: steps, steps: [[0s, 100/s], [60s, 0/s]]}",
        "{process: gamma, cv: 2}",
    )
    for shape in shapes:
        scenario = made(load=f"traffic: {{utilisation: 80%, arrivals: {shape}}}")
        assert scenario.traffic.utilisation == 0.8
        assert build(scenario.resolved()) == scenario


def test_a_service_time_without_a_mean_has_the_usual_one():
    """Setting only the distribution keeps the default mean of 20 ms."""
    assert (
        made()
        .with_({"traffic.service_time.distribution": "deterministic"})
        .traffic.service_time.mean
        == 0.02
    )
    load = "traffic: {utilisation: 1, service_time: {distribution: lognormal, cv: 2}}"
    assert made(load=load).traffic.service_time.mean == 0.02


def leaves(data, at=()):
    """Yield the path of every key below plain data."""
    entries = data.items() if isinstance(data, dict) else enumerate(data)
    for key, value in entries:
        yield (*at, key)
        if isinstance(value, (dict, list)):
            yield from leaves(value, (*at, key))


JUNK = [None, True, 0, -1, 3.5, float("nan"), float("inf"), 10**400, "", "x", "none", "-1s", "4/s",
        "1e999s", "50%", "\x00", "a" * 20_000, [], [1], [[1]], {}, {"a": 1}, {1: 2}, [{}], b"x",
        object(), {"geometric": "x"}, {"zipf": None}, {"distribution": "empirical"}]  # fmt: skip


@settings(max_examples=300)
@given(
    st.sampled_from([DEFAULTS, CONTRACT]),
    st.lists(st.tuples(st.integers(0, 10**6), st.sampled_from(range(len(JUNK)))), max_size=3),
)
def test_damaged_data_is_refused_in_our_own_words(text, damage):
    """Whatever stands at a key, the answer is a scenario that round-trips or a ScenarioError."""
    data = data_of(text)
    for where, what in damage:
        paths = list(leaves(data))
        path = paths[where % len(paths)]
        holder = data
        for key in path[:-1]:
            holder = holder[key]
        holder[path[-1]] = copy.deepcopy(JUNK[what])
    try:
        scenario = build(data)
    except ScenarioError as error:
        told = str(error)
        assert 1 <= len(told.splitlines()) <= 12
        for words in ("Input should", "pydantic", "validation error", "function-", "literal["):
            assert words not in told
    else:
        assert build(scenario.resolved()) == scenario


def test_a_scenario_is_frozen():
    """Nothing of a scenario can be assigned."""
    scenario = made()
    with pytest.raises(Exception, match="frozen"):
        scenario.run.seed = 3
    with pytest.raises(Exception, match="frozen"):
        scenario.name = "other"


def test_the_timeline_may_name_pods_that_it_brings():
    """pod-N counts up: a scale-up to 12 brings pod-10 and pod-11, a rollout of 12 twelve more."""
    text = """timeline:
- {at: 9s, pod: pod-23, speed: 2}
- {at: 1s, scale: {pods: 12}}
- {at: 2s, pod: pod-11, speed: 2}
- {at: 3s, rollout: {}}"""
    assert made(text).timeline[0].pod == "pod-23"
    with pytest.raises(ScenarioError, match=r"timeline\[0\]\.pod = pod-24: there is no such pod"):
        made(text.replace("pod-23", "pod-24"))


def test_the_timeline_may_name_canary_pods_and_replacements_of_a_drain():
    """canary-k exists while there is a canary; a drained node's pods may come again elsewhere."""
    text = """timeline:
- {at: 1s, pod: canary-1, fail: hang}
- {at: 2s, node: node-0, state: drained}
- {at: 20s, pod: pod-10, speed: 2}
stages: {ingress: {canary: {pods: 2, weight: 20}}}"""
    assert made(text).timeline[0].pod == "canary-1"
    with pytest.raises(ScenarioError, match=r"timeline\[0\]\.pod = canary-2: there is no such pod"):
        made(text.replace("canary-1", "canary-2"))


def test_later_pods_have_numbers_above_those_given():
    """pod-7 in the list makes pod-8 the next, whatever the count."""
    text = """cluster: {pods: [{name: pod-7}, {name: web}]}
timeline:
- {at: 1s, scale: {pods: 3}}
- {at: 2s, pod: pod-8, speed: 2}"""
    assert made(text).cluster.next_pod_number() == 8
    for name in ("pod-2", "pod-9"):
        with pytest.raises(ScenarioError, match=f"pod = {name}: there is no such pod"):
            made(text.replace("pod-8", name))


def test_a_scale_has_the_times_of_its_pods():
    """New ones are ready at once, old ones drain for 5 s and have 30 s in all."""
    scale = made("timeline: [{at: 1s, scale: {pods: 3}}]").timeline[0].scale
    assert (scale.ready_after, scale.drain, scale.grace) == (0.0, 5.0, 30.0)


def test_probabilities_as_written_survive():
    """An import's probabilities keep every digit and belong to as many endpoints."""
    text = """path: service
cluster: {pods: 3}
stages: {kube_proxy: {probabilities: [0.33332999982, 0.5, 1.0]}}"""
    assert made(text).stages.kube_proxy.probabilities == (0.33332999982, 0.5, 1.0)
    with pytest.raises(ScenarioError, match="has 3 entries; it needs 2, one for each of the pods"):
        made(text).with_({"cluster.pods": 2})
    with pytest.raises(ScenarioError, match="belong to mode iptables"):
        made(text).with_({"stages.kube_proxy.mode": "nftables"})
    with pytest.raises(ScenarioError, match="need external_traffic_policy Cluster"):
        made(text).with_({"stages.kube_proxy.external_traffic_policy": "Local"})

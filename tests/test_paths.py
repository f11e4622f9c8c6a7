"""Changing leaves: `--set PATH=VALUE` on the command line, `with_` in Python."""

import pytest

from lbbench.errors import ScenarioError
from lbbench.inputs.yaml import load
from lbbench.model.check import build
from lbbench.model.demand import Geometric, Zipf
from lbbench.model.topology import topology

LOAD = {"traffic": {"utilisation": 0.8}}


def made(**data):
    """Return a scenario of plain data with a load."""
    return build({**LOAD, **data})


def test_a_text_is_read_as_yaml_and_other_values_as_they_are():
    """with_ takes what --set takes, and Python values."""
    scenario = made()
    assert scenario.with_({"stages.ingress.balancer": "ewma"}).stages.ingress.balancer == "ewma"
    assert scenario.with_({"cluster.pods": "7"}).cluster.pods == 7
    assert scenario.with_({"cluster.pods": 7}).cluster.pods == 7
    assert scenario.with_({"traffic.arrivals.rate": "1k/s"}).traffic.arrivals.rate == 1000.0
    listed = {"cluster.placement": "[4, 3, 3]"}
    assert scenario.with_(listed).cluster.placement == (4, 3, 3)
    assert scenario.with_({"cluster.placement": [1, 2, 7]}).cluster.placement == (1, 2, 7)
    assert scenario.with_({"stages.azure_lb.tcp_reset": "true"}).stages.azure_lb.tcp_reset is True
    whole = scenario.with_({"cluster.pod": "{speed: 2, concurrency: 3}"}).cluster.pod
    assert (whole.speed, whole.concurrency) == (2.0, 3)
    assert scenario == made()


def test_changes_add_up():
    """A changed scenario can be changed again, and null goes back to the default."""
    scenario = made().with_({"run.seed": 2}).with_({"cluster.pods": 3})
    assert (scenario.run.seed, scenario.cluster.pods) == (2, 3)
    assert scenario.with_({"run.seed": None}) == made().with_({"cluster.pods": 3})


def test_an_entry_of_a_number_of_pods_nodes_or_replicas_can_be_set():
    """cluster.pods[3].speed names the pods that the number stands for; the rest stays as it is."""
    before = topology(made(cluster={"pods": 5}))
    after = topology(made(cluster={"pods": 5}).with_({"cluster.pods[3].speed": 0.2}))
    assert [pod.speed for pod in after.pods] == [1.0, 1.0, 1.0, 0.2, 1.0]
    assert [(p.name, p.node, p.address) for p in after.pods] == [
        (p.name, p.node, p.address) for p in before.pods
    ]
    zoned = made().with_({"cluster.nodes[1].zone": "2"})
    assert [node.zone for node in topology(zoned).nodes] == ["", "2", ""]
    moved = made().with_({"cluster.ingress.replicas[2].node": "node-0"})
    assert [item.node for item in topology(moved).replicas] == [0, 1, 0]


def test_keys_with_dots_are_reached():
    """Objectives, options, axes and observed pods are keys of free mappings."""
    scenario = made().with_(
        {
            "slo.latency.p99": "250ms",
            "stages.ingress.options.decay": "5s",
            "sweep.axes.traffic.utilisation": [0.5, 0.7],
            "sweep.axes.cluster.pods[0].speed": [1, 2],
            "observed.pods.10.244.0.4:80": 3,
        }
    )
    assert scenario.objectives() == {"latency.p99": 0.25}
    assert scenario.stages.ingress.options == {"decay": "5s"}
    assert scenario.sweep.axes == {
        "traffic.utilisation": (0.5, 0.7),
        "cluster.pods[0].speed": (1, 2),
    }
    assert scenario.observed.pods == {"10.244.0.4:80": 3}


def test_a_word_gives_way_to_the_keys_that_are_set():
    """none, uniform, unlimited and the other form are replaced."""
    scenario = made(cluster={"pod": {"cold_start": "none"}})
    assert scenario.with_({"cluster.pod.cold_start.factor": 2}).cluster.pod.cold_start.factor == 2.0
    clients = scenario.with_({"traffic.clients.popularity.zipf": 1.5}).traffic.clients
    assert clients.popularity == Zipf(zipf=1.5)
    fixed = scenario.with_({"traffic.connections.requests.fixed": 3})
    mean = fixed.with_({"traffic.connections.requests.geometric": 20})
    assert mean.traffic.connections.requests == Geometric(geometric=20)


def test_a_set_length_drops_the_other_one():
    """--set of duration drops requests and the other way round; both set are an error."""
    scenario = made(run={"requests": 100})
    assert scenario.with_({"run.duration": "1s"}).run.requests is None
    assert made(run={"duration": "1s"}).with_({"run.requests": 9}).run.duration is None
    with pytest.raises(ScenarioError, match=r"--set run\.requests: run\.requests = 3: stands"):
        scenario.with_({"run.requests": 3, "run.duration": "1s"})


def test_a_set_load_drops_the_others():
    """Each of rate, utilisation, trace and closed arrivals replaces what the file has."""
    closed = {"process": "closed", "users": 3, "think_time": "1s"}
    changes = {
        "rate": {"traffic.arrivals.rate": "4/s"},
        "utilisation": {"traffic.utilisation": 0.5},
        "trace": {"traffic.trace": "x.csv"},
        "closed": {f"traffic.arrivals.{name}": value for name, value in closed.items()},
        "whole": {"traffic.arrivals": closed},
    }
    loads = [
        {"arrivals": {"rate": "9/s"}},
        {"utilisation": 0.9},
        {"trace": "old.csv"},
        {"arrivals": closed},
        {"arrivals": {"process": "gamma", "cv": 2, "rate": "9/s"}},
    ]
    for load_ in loads:
        for name, change in changes.items():
            found = build({"traffic": load_}).with_(change).traffic
            assert (found.arrivals.rate == 4.0) == (name == "rate")
            assert (found.utilisation == 0.5) == (name == "utilisation")
            assert (found.trace == "x.csv") == (name == "trace")
            assert (found.arrivals.process == "closed") == (name in ("closed", "whole"))
    with pytest.raises(ScenarioError, match=r"stands beside arrivals\.rate"):
        made().with_({**changes["rate"], **changes["utilisation"]})


def test_a_set_utilisation_scales_a_shape_and_does_not_drop_it():
    """The rates of an mmpp stay when its average is set."""
    arrivals = {"process": "mmpp", "rates": ["1/s", "9/s"], "means": ["1s", "2s"]}
    found = build({"traffic": {"arrivals": arrivals}}).with_({"traffic.utilisation": "50%"}).traffic
    assert (found.utilisation, found.arrivals.rates) == (0.5, (1.0, 9.0))


def test_a_set_distribution_or_process_drops_foreign_figures():
    """Lognormal's cv goes when the distribution becomes exponential; a figure set with it stays."""
    scenario = made(
        traffic={
            "arrivals": {"process": "gamma", "cv": 2, "rate": "4/s"},
            "service_time": {"distribution": "lognormal", "mean": "5ms", "cv": 2},
        }
    )
    found = scenario.with_(
        {"traffic.service_time.distribution": "exponential", "traffic.arrivals.process": "poisson"}
    ).traffic
    assert (found.service_time.mean, found.service_time.cv) == (0.005, None)
    assert (found.arrivals.rate, found.arrivals.cv) == (4.0, None)
    with pytest.raises(ScenarioError, match=r"k = 3: does not belong to the distribution"):
        scenario.with_(
            {"traffic.service_time.distribution": "exponential", "traffic.service_time.k": 3}
        )


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        ("stages.ingres.balancer=x", "there is no key ingres; did you mean ingress?"),
        ("run.seed", "must be PATH=VALUE, for instance run.seed=2"),
        ("=3", "must be PATH=VALUE"),
        ("cluster.pods[99].speed=1", "the list has 16 entries, [0] is the first"),
        ("cluster.pods[99]=1", "the list has 16 entries, [0] is the first"),
        ("cluster.pods[-1].speed=1", "is not a path; write for instance cluster.pods[3].speed"),
        ("cluster.pods.speed=1", "cluster.pods is a list; write [0] for its first entry"),
        ("run.seed.x=1", "run.seed has no keys"),
        ("run.seed[0]=1", "run.seed is no list"),
        ("run..seed=1", "is not a path"),
        ("run.seed.=1", "is not a path"),
        ("cluster[0]=1", "cluster is no list"),
        ("cluster.placement[0]=3", "cluster.placement is no list in this scenario"),
        ("cluster.pod.speed=-1", "cluster.pod.speed = -1: must be greater than 0"),
        ("cluster.pod=[1", "not valid YAML"),
        ("cluster.pod={speed: 1, speed: 2}", "speed: is given twice"),
        ("cluster.pods=0", "cluster.pods = 0: must be at least 1"),
        ("cluster=3", "cluster = 3: must be a mapping of keys"),
        ("timeline[0].at=3s", "timeline is no list in this scenario"),
    ],
)  # fmt: skip
def test_a_wrong_change_is_told_with_set_as_its_place(change, sentence):
    """The place is --set PATH, not the file."""
    with pytest.raises(ScenarioError) as caught:
        load("ewma-herding", [change])
    assert sentence in str(caught.value)
    assert str(caught.value).startswith("--set ")
    assert "\n" not in str(caught.value)


def test_what_a_change_breaks_elsewhere_has_its_own_place():
    """Four pods no longer fit a placement of ten: the placement's line is named."""
    with pytest.raises(ScenarioError, match=r"local-or-cluster\.yaml:\d+: cluster\.placement"):
        load("local-or-cluster", ["cluster.pods=9"])

"""Which balancer a stage may use, and what is said when it may not."""

from __future__ import annotations

import pytest

from lbbench.engines.plan import make_plan
from lbbench.engines.stages import azure_stage, ingress_stage, node_stage
from lbbench.errors import LbbenchError
from lbbench.model.check import build


def scenario(**stages):
    return build({"name": "s", "stages": stages, "traffic": {"utilisation": 0.5}})


@pytest.mark.parametrize("name", ["azure_lb", "round_robin", "random", "least_conn", "p2c"])
def test_layer_4_takes_balancers_that_need_no_request(name):
    """A stage that places connections can use whatever needs neither key nor answer."""
    assert azure_stage(scenario(azure_lb={"balancer": name}))[0].name == name


@pytest.mark.parametrize(
    "name", ["ewma", "chash", "chashsubset", "sticky_balanced", "jsq", "jsq_d"]
)
def test_layer_4_refuses_balancers_that_need_answers_keys_or_cookies(name):
    """They would silently do something else than their name says."""
    with pytest.raises(LbbenchError, match="which layer 4 does not see"):
        azure_stage(scenario(azure_lb={"balancer": name}))


def test_kube_proxys_modes_take_options():
    """The scheduler's own, by the names that `lbbench balancers` lists."""
    stage = {"mode": "ipvs", "scheduler": "sh", "options": {"port": True, "hash": "product"}}
    _, options = node_stage(scenario(kube_proxy=stage))
    assert (options["port"], options["hash"]) == (True, "product")


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        ({"prot": True}, "ipvs_sh has no option 'prot'"),
        ({"port": "no"}, "port = no: must be true or false"),
        ({"affinity_timeout": "1s"}, "has a key of its own"),
    ],
)
def test_options_that_a_mode_does_not_take_are_told(options, sentence):
    """With the place and the way out."""
    stage = {"mode": "ipvs", "scheduler": "sh", "options": options}
    with pytest.raises(LbbenchError, match=r"stages\.kube_proxy\.options") as told:
        node_stage(scenario(kube_proxy=stage))
    assert sentence in str(told.value)


@pytest.mark.parametrize("name", ["azure_lb", "iptables", "iptables_nth"])
def test_the_ingress_refuses_layer_4_balancers(name):
    """A layer 4 balancer at layer 7 would get a key that is no flow."""
    with pytest.raises(LbbenchError, match="layer 4 balancer"):
        ingress_stage(scenario(ingress={"balancer": name}))


@pytest.mark.parametrize(
    ("stage", "name"),
    [
        ({"mode": "nftables"}, "nft_numgen"),
        ({"mode": "maglev"}, "maglev"),
        ({"mode": "ipvs"}, "ipvs_rr"),
        ({"mode": "ipvs", "scheduler": "wlc"}, "ipvs_wlc"),
    ],
)
def test_modes_and_schedulers_of_kube_proxy(stage, name):
    """Each has its balancer, and gets the affinity's timeout only when there is affinity."""
    balancer, options = node_stage(scenario(kube_proxy=stage))
    assert (balancer.name, options["affinity_timeout"]) == (name, 0.0)
    affine = {**stage, "session_affinity": "ClientIP", "affinity_timeout": "7s"}
    assert node_stage(scenario(kube_proxy=affine))[1]["affinity_timeout"] == 7.0


def test_destination_hashing_gets_the_services_address():
    """What dh hashes is what clients dial."""
    stage = {"mode": "ipvs", "scheduler": "dh"}
    assert node_stage(scenario(kube_proxy=stage))[1]["destination"] == "20.0.0.1:80"


@pytest.mark.parametrize("options", [{"foo": 0}, {"decay": "-1s"}])
def test_a_wrong_option_is_told_with_its_place(options):
    """Unknown and impossible options name the scenario and the key."""
    with pytest.raises(LbbenchError, match=r"^s: stages\.ingress\.options: "):
        ingress_stage(scenario(ingress={"balancer": "ewma", "options": options}))


@pytest.mark.parametrize(
    "name",
    ["nginx_round_robin", "nginx_round_robin_zone", "nginx_random", "nginx_hash", "nginx_ip_hash",
     "haproxy_roundrobin", "haproxy_hash", "envoy_round_robin"],
)  # fmt: skip
def test_weights_show_in_the_expected_shares(name):
    """Pods of weight 1, 2 and 5, in the scenario's order: 1/8, 2/8, 5/8."""
    pods = [{"name": f"pod-{i}", "weight": w} for i, w in enumerate((1, 2, 5))]
    made = build(
        {
            "cluster": {"pods": pods},
            "stages": {"ingress": {"balancer": name}},
            "traffic": {"utilisation": 0.5},
        }
    )
    shares = make_plan(made).shape.expected["ingress"]
    assert shares.tolist() == pytest.approx([0.125, 0.25, 0.625])

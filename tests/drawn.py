"""Scenarios drawn by hypothesis: both paths, balancers of every kind, all that can happen.

Small clusters, small timeouts and short periods, so that a few hundred requests meet much; half of
the scenarios lie on a grid of 1/1024 s, where events tie exactly and delays are zero.
"""

from __future__ import annotations

import numpy as np
from hypothesis import strategies as st

from lbbench.model.trace import Trace

BALANCERS = (
    "round_robin",
    "random",
    "least_conn",
    "jsq",
    "p2c",
    "ewma",
    "chash",
    "chashsubset",
    "sticky_balanced",
    "sticky_persistent",
    "nginx_least_conn",
    "nginx_random_two",
    "haproxy_leastconn",
    "haproxy_random",
)
FEW = ("round_robin", "ewma", "chash", "sticky_balanced", "least_conn", "jsq")
"""One of each kind that the loops of the engines tell apart; every one that is compiled costs."""

FAULTS = ("refuse", "blackhole", "hang", "error")
TICK = 1 / 1024


class Grid:
    """Traffic on a grid of 1/1024 s, so that events tie exactly."""

    def __init__(self, traffic, block: int) -> None:
        self.inner = traffic
        self.block = block
        self.population = traffic.population
        self.n_requests = traffic.n_requests
        self.duration = traffic.duration
        self.notes = traffic.notes
        self.users = traffic.users and GridUsers(traffic.users)

    def blocks(self):
        """Yield the same requests with times rounded to the grid."""
        blocks = [on_grid(block) for block in self.inner.blocks()]
        if not blocks:
            return
        whole = Trace(*(np.concatenate(columns) for columns in zip(*blocks, strict=True)))
        starts = np.flatnonzero(whole.gap < 0.0)  # a block begins with a connection
        at = 0
        while at < len(whole.arrival):
            after = starts[starts >= at + self.block]
            end = int(after[0]) if len(after) else len(whole.arrival)
            yield Trace(*(column[at:end] for column in whole))
            at = end


def on_grid(block: Trace) -> Trace:
    """Return the block with times on the grid."""
    gaps = np.where(block.gap < 0.0, block.gap, np.floor(block.gap * 1024) / 1024)
    return block._replace(
        arrival=np.floor(block.arrival * 1024) / 1024,
        work=np.ceil(block.work * 1024) / 1024,
        gap=gaps,
        life=np.floor(block.life * 1024) / 1024,
    )


class GridUsers:
    """Users of a closed loop with times on the grid."""

    def __init__(self, users) -> None:
        self.inner = users
        self.count, self.client, self.session = users.count, users.client, users.session

    def rows(self, user, chunk):
        """Return one user's rows."""
        return users_on_grid(self.inner.rows(user, chunk))

    def table(self, users, chunks):
        """Return several users' rows."""
        return users_on_grid(self.inner.table(users, chunks))


def users_on_grid(rows):
    """Return the rows with times on the grid."""
    return rows._replace(
        think=np.floor(rows.think * 1024) / 1024,
        work=np.ceil(rows.work * 1024) / 1024,
        life=np.floor(rows.life * 1024) / 1024,
    )


def ticks(n: int) -> str:
    """Return n ticks of 1/1024 s as a time of the scenario, exactly."""
    return f"{n * TICK!r}s" if n else "0s"


@st.composite
def scenarios(
    draw,
    *,
    grid: bool,
    timeline: bool = False,
    requests: int = 160,
    balancers: tuple[str, ...] = FEW,
):
    """Draw a scenario: both paths, these balancers, small clusters, ties and zero delays."""

    def pick(*values):
        return draw(st.sampled_from(values))

    def delay(most: int = 3) -> str:
        return ticks(draw(st.integers(0, most))) if grid else f"{draw(st.integers(0, 2000))}us"

    def moment(low: int, high: int) -> str:
        """Return a time of `low` to `high` milliseconds, or as many ticks."""
        n = draw(st.integers(low, high))
        return ticks(n) if grid else f"{n * 1.0137}ms"

    path = pick("ingress", "ingress", "service")
    pods = draw(st.integers(1, 6))
    nodes = draw(st.integers(1, 3))
    sticky = draw(st.booleans())
    balancer = pick(*balancers) if path == "ingress" else "round_robin"
    release = (
        "0.21"
        if timeline and balancer in ("ewma", "sticky_balanced") and pick(0, 0, 1)
        else "current"
    )
    data = {
        "name": "drawn",
        "path": path,
        "cluster": {
            "nodes": [{"name": f"node-{i}", "zone": str(i % 2)} for i in range(nodes)],
            "pods": [{"name": f"pod-{i}", "speed": pick(1.0, 1.0, 0.5)} for i in range(pods)],
            "pod": {
                "concurrency": draw(st.integers(1, 3)),
                "discipline": pick("fifo", "ps"),
                "queue": pick("unlimited", "unlimited", 0, 2),
            },
            "ingress": {
                "replicas": pick("per_node", 1, 2),
                "workers": draw(st.integers(1, 3)),
                "cpu_per_request": delay(2),
            },
            "network": {
                "client_rtt": delay(),
                "same_node_rtt": delay(1),
                "cross_node_rtt": delay(),
                "path_delay": delay(1),
                "path_jitter": "0s" if grid else delay(1),
            },
        },
        "stages": {
            "azure_lb": {
                "distribution": pick("Default", "SourceIP", "SourceIPProtocol"),
                "mapping": pick("modulo", "rendezvous"),
                "idle_timeout": pick("4min", moment(20, 400)),
                "tcp_reset": draw(st.booleans()),
            },
            "kube_proxy": {
                "external_traffic_policy": pick("Cluster", "Local"),
                "session_affinity": pick("None", "ClientIP"),
                "affinity_timeout": "1s",
            },
            "ingress": {
                "balancer": balancer,
                "release": release,
                "hash_by": pick("$remote_addr", "$request_uri", "$remote_addr$request_uri", "x"),
                "subset_size": draw(st.integers(1, 4)),
                "keepalive": {
                    "upstream": pick(0, 1, 3, 320),
                    "upstream_requests": pick(2, 1000),
                    "upstream_timeout": pick("50ms", "60s"),
                    "client_requests": pick(1, 2, 1000),
                    "client_timeout": pick("75s", moment(5, 300)),
                },
                "next_upstream": {
                    "tries": draw(st.integers(1, 4)),
                    "on": pick(["error", "timeout"], ["error"], ["timeout"], ["error", "http_500"]),
                },
                "timeouts": {"connect": moment(1, 200), "read": pick("60s", moment(1, 200))},
            },
        },
        "traffic": {
            "arrivals": {"rate": f"{pick(20, 60, 200)}/s"},
            "service_time": {"distribution": "exponential", "mean": "20ms"},
            "clients": {"count": draw(st.integers(1, 12)), "behind_nat": 0.5},
            "connections": {
                "requests": pick(1, {"geometric": 4}, {"fixed": 3}, "unlimited"),
                "protocol": pick("http1", "http2"),
                "streams": 2,
            },
            "keys": {"count": 30},
            "sessions": {"count": 5} if sticky else "none",
            "connect_timeout": pick("10s", moment(1, 4000)),
        },
        "run": {
            "requests": draw(st.integers(1, requests)),
            "seed": draw(st.integers(0, 10**6)),
            "drain": pick("10ms", "120s"),
        },
    }
    kind = pick("open", "open", "closed", "gap")
    traffic = data["traffic"]
    if kind == "closed":
        traffic["arrivals"] = {
            "process": "closed",
            "users": draw(st.integers(1, 8)),
            "think_time": {"distribution": "exponential", "mean": "30ms"},
        }
    elif kind == "gap" and traffic["connections"]["requests"] != "unlimited":
        traffic["connections"]["gap"] = {"distribution": "exponential", "mean": "30ms"}
    if sticky and pick(0, 1):
        traffic["sessions"]["lifetime"] = {"distribution": "exponential", "mean": "300ms"}
    if pick(0, 0, 1):
        data["run"]["duration"] = moment(1, 1500)
        del data["run"]["requests"]
    if timeline:
        _add_life(draw, data, pick, moment)
    return data


def _add_life(draw, data, pick, moment) -> None:
    """Add what happens to the cluster, and how fast news of it spread."""
    cluster, stages = data["cluster"], data["stages"]
    stages["azure_lb"]["probe"] = {
        "kind": pick("auto", "tcp", "http"),
        "interval": moment(20, 300),
        "threshold": pick(1, 2),
    }
    stages["ingress"]["health_check"] = pick(
        "none",
        "none",
        {
            "kind": pick("http", "tcp"),
            "interval": moment(5, 100),
            "timeout": moment(1, 50),
            "rise": pick(1, 2),
            "fall": pick(1, 3),
        },
    )
    stages["azure_lb"]["sku"] = pick("Standard", "Basic")
    stages["azure_lb"]["on_all_down"] = pick("drop_new", "all_up", "drop_all")
    stages["kube_proxy"]["min_sync_period"] = moment(0, 300)
    stages["kube_proxy"]["topology"] = pick("none", "none", "zone", "node")
    stages["ingress"]["sync"] = {
        "rate_limit": pick("unlimited", "5/s", "0.3/s"),
        "worker_interval": moment(5, 400),
    }
    if pick(0, 0, 1) and data["path"] == "ingress":
        stages["ingress"]["canary"] = {"pods": pick(1, 2), "weight": pick(0, 30, 100)}
    if stages["ingress"]["balancer"] == "ewma" and stages["ingress"]["release"] == "current":
        stages["ingress"]["options"] = {"lock_hold": pick("0us", "3ms")}
    cluster["pod"]["cold_start"] = pick("none", {"factor": 3, "duration": moment(10, 300)})
    cluster["pod"]["cfs"] = pick("none", "none", {"quota": moment(1, 60), "period": moment(10, 60)})
    cluster["pod"]["antagonist"] = pick(
        "none", "none", {"speed": 0.3, "share": "30%", "lasting": moment(20, 200)}
    )
    cluster["pod"]["readiness"] = pick("none", {"period": moment(20, 200), "failures": pick(1, 2)})
    pods = [pod["name"] for pod in cluster["pods"]]
    nodes = [node["name"] for node in cluster["nodes"]]
    timeline = []
    for _ in range(draw(st.integers(1, 6))):
        at = draw(st.integers(0, 1500))
        change = pick(
            "scale", "rollout", "speed", "cold", "pause", "fail", "fail", "node", "azure", "routes"
        )
        entry: dict = {"at": _time(at, moment)}
        ends = pick(0, 1)
        if change == "scale":
            entry["scale"] = {
                "pods": draw(st.integers(0, 8)),
                "ready_after": moment(0, 100),
                "drain": moment(0, 100),
                "grace": moment(0, 200),
            }
        elif change == "rollout":
            entry["rollout"] = {
                "max_surge": pick(1, 2),
                "max_unavailable": pick(0, 1, 2),
                "ready_after": moment(0, 100),
                "drain": moment(0, 100),
                "grace": moment(0, 200),
            }
        elif change == "routes":
            entry["routes"] = "missing"
        elif change == "node":
            entry |= {"node": pick(*nodes), "state": pick("down", "down", "drained", "up")}
        elif change == "azure":
            entry |= {"node": pick(*nodes), "azure": pick("up", "down", "none")}
        else:
            entry["pod"] = pick(*pods)
            entry |= {
                "speed": {"speed": pick(0.1, 0.5, 2.0)},
                "cold": {"cold": True},
                "pause": {"pause": moment(1, 300)},
                "fail": {"fail": pick(*FAULTS)},
            }[change]
        lasts = change not in ("scale", "rollout", "cold", "pause") and entry.get("state") != "up"
        if ends and lasts:
            entry["until"] = _time(at + draw(st.integers(1, 800)), moment)
        timeline.append(entry)
    data["timeline"] = timeline


def _time(n: int, moment) -> str:
    """Return n milliseconds, or as many ticks where `moment` gives ticks."""
    return ticks(n) if moment(1, 1) == ticks(1) else f"{n * 1.0137}ms"

"""ewma: what a value is worth after a while, and what goes into it, read off the picks of a run.

Two pods of constant response times: the slow one is picked when its decayed value has fallen below
the other's, which is renewed all the time. So the time between two visits to the slow pod tells the
decay and the ratio of the values.
"""

from __future__ import annotations

import math
from functools import partial
from typing import Any

import numpy as np

from lbbench.balancers import ewma
from lbbench.balancers.base import Endpoint
from lbbench.verify.chance import Found, certain
from lbbench.verify.checks.setups import cited, ingress_path
from lbbench.verify.experiment import Experiment, Numbers, Ran, Sample, Simulated
from lbbench.verify.oracles import oracle
from lbbench.verify.suite import Check

TOPIC = "ewma: weight and decay"
LUA = "kubernetes/ingress-nginx rootfs/etc/nginx/lua/balancer/ewma.lua@dbb11b92"
KERNEL = "ingress, ewma"
IDLE = (0.1, 1, 5, 10, 20, 60)

GAP = 0.7  # seconds between two requests: longer than any answer takes
FAST, SLOW = 0.01, 0.5  # seconds of service
FAR = 0.04  # round trip to the other node
DECAY = 10.0


def checks() -> list[Check]:
    """Return the checks on ewma."""
    by_idle = [oracle("ingress-nginx EWMA", idle_s=idle) for idle in IDLE]
    theory = by_idle[0]
    table = Experiment("weights", weights, replications=1)
    visits = Experiment("visits", Simulated(_two_pods(), intervals, record=True), 1, kernel=KERNEL)
    connects = Experiment(
        "connects", Simulated(_far_pod(), intervals, record=True), 1, kernel=KERNEL
    )
    source = cited(theory).replace("idle_s 0.1", "0.1 s to 60 s")
    return [
        Check(
            "ewma-score",
            TOPIC,
            "largest error of a score after 0.1 s to 60 s without an answer",
            source,
            table,
            partial(_largest, "score", [entry["score_after_idle_from_1"] for entry in by_idle]),
        ),
        Check(
            "ewma-update",
            TOPIC,
            "largest error of an update from 0 by a response time of 1",
            source,
            table,
            partial(_largest, "update", [entry["update_from_0_rtt_1"] for entry in by_idle]),
        ),
        Check(
            "ewma-visits",
            TOPIC,
            "seconds between picks of the slower of two pods, 500 ms against 10 ms",
            f"{LUA}: 10 s ln(50) after the answer",
            visits,
            partial(_interval, FAST, FAST),
        ),
        Check(
            "ewma-connect",
            TOPIC,
            "the same where the faster pod is on another node and every request connects",
            f"{LUA}: connect time is added to a response time that holds it already",
            connects,
            # connect, its second counting, there and back, service
            partial(_interval, 3 * FAR + FAST, 2 * FAR + FAST),
        ),
    ]


def weights(_seed: int, _number: int) -> Numbers:
    """Return what scores and updates make of a value after each of the idle times."""
    pod = (Endpoint("10.244.0.2:8080"),)
    score, update = [], []
    for idle in IDLE:
        state = ewma.state(ewma.EWMA.params, pod)
        ewma.done(state, 0, 0.0, 1.0, True)
        score.append(ewma.score(state, 0, float(idle)))
        state.value[0] = 0.0
        ewma.done(state, 0, float(idle), 1.0, True)
        update.append(state.value[0])
    return {"score": np.array(score), "update": np.array(update)}


def _largest(name: str, wanted: list[float], sample: Sample) -> Found:
    off = np.abs(sample[name][0] - np.array(wanted)).max()
    return certain(float(off), 0.0, len(wanted), within=1e-9)  # the theory has ten decimals


def _two_pods() -> dict[str, Any]:
    pods = [_pod(0, 1.0), _pod(0, FAST / SLOW)]
    return _steps(pods, nodes=1)


def _far_pod() -> dict[str, Any]:
    """Return the pods on two nodes: the fast one is not on that of the only ingress replica."""
    pods = [_pod(1, 1.0), _pod(0, FAST / SLOW)]
    made = _steps(pods, nodes=2)
    made["cluster"]["network"] = {"cross_node_rtt": f"{FAR:g}s"}
    made["stages"]["ingress"]["keepalive"] = {"upstream": 0}
    return made


def _pod(node: int, speed: float) -> dict[str, Any]:
    return {"node": f"node-{node}", "speed": speed}


def _steps(pods: list[dict[str, Any]], *, nodes: int) -> dict[str, Any]:
    named = [{"name": f"pod-{i}", **pod} for i, pod in enumerate(pods)]
    made = ingress_path(
        "ewma",
        pods=named,
        nodes=nodes,
        work={"distribution": "deterministic", "mean": f"{FAST:g}s"},
        cluster={"ingress": {"replicas": [{"name": "ingress-0", "node": "node-0"}], "workers": 1}},
        run={"requests": 10_000},
    )
    del made["traffic"]["utilisation"]
    made["traffic"]["arrivals"] = {"process": "deterministic", "rate": f"{1.0 / GAP!r}/s"}
    return made


def intervals(run: Ran) -> Numbers:
    """Return the least and the greatest time between two picks of the slow pod, and how many."""
    rows = run.outcome.records
    assert rows is not None
    at = rows["arrival"][rows["pod"] == 1]
    between = np.diff(at)
    return {"least": between.min(), "most": between.max(), "n": len(between)}


def _interval(value: float, stay: float, sample: Sample) -> Found:
    """Judge the time between two visits to the slow pod.

    The fast pod's ``value`` was renewed its ``stay`` after the pick before; that of the slow one is
    its response time, renewed as long after its own pick. The first request after the two have met
    is the next visit; clocks of 1 ms do not change which one that is.
    """
    meets = SLOW + DECAY * math.log(SLOW / value) + GAP - stay
    expected = math.ceil(meets / GAP) * GAP
    least, most = float(sample["least"][0]), float(sample["most"][0])
    observed = max(least, most, key=lambda found: abs(found - expected))
    return certain(observed, expected, int(sample["n"][0]), within=1e-6)

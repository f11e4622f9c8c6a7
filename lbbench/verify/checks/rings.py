"""Rings of consistent hashing: the points and picks of lua-resty-balancer, arcs, who moves."""

from __future__ import annotations

import bisect
import tempfile
import zlib
from collections.abc import Sequence
from functools import partial
from pathlib import Path

import numpy as np

from lbbench.core.rings import arcs, ketama_points
from lbbench.verify.chance import Found, mean_is
from lbbench.verify.checks.setups import cited, ingress_path, no_faults
from lbbench.verify.experiment import Experiment, Numbers, Sample, run_once
from lbbench.verify.oracles import oracle, vectors
from lbbench.verify.suite import Check

TOPIC = "Rings: chash, 160 points per pod"
LUA = "lua-resty-balancer v0.05 under LuaJIT"
POINTS = 160
PODS = 16
KEYS = 400


def checks() -> list[Check]:
    """Return the checks on rings."""
    real = Experiment("real rings", compare_real_arcs, replications=1)
    picks = Experiment("real picks", compare_real_picks, 3, kernel="ingress, chash")
    moves = Experiment("moved keys", moved_keys, 2, kernel="ingress, chash")
    shares = Experiment("random rings", random_arcs, replications=400, at_once=100)
    theory = oracle("consistent-hash ring", v=POINTS, N=PODS)
    return [
        Check(
            "rings-arcs",
            TOPIC,
            "arcs of 3, 10 and 50 pods that differ from the real ones, of 2^32",
            LUA,
            real,
            no_faults,
        ),
        Check(
            "rings-picks",
            TOPIC,
            "keys that go to another pod than with the real balancer",
            LUA,
            picks,
            no_faults,
        ),
        Check(
            "rings-points",
            TOPIC,
            "keys that do not go to the owner of the next point of the ring",
            "ketama with chained crc32, worked out apart; look-up by bisection",
            moves,
            no_faults,
        ),
        Check(
            "rings-moved",
            TOPIC,
            "keys that move when 1 of 16 pods leaves and are not the lost one's, or stay",
            cited(oracle("share of keys that move", N=PODS)),
            moves,
            lambda sample: no_faults({**sample, "faults": sample["unforced"]}),
        ),
        Check(
            "rings-spread",
            TOPIC,
            "squared variation of the arcs of 16 pods with random addresses",
            cited(theory),
            shares,
            lambda sample: mean_is(sample["squared_cv"], theory["cv"] ** 2),
        ),
        Check(
            "rings-largest",
            TOPIC,
            "largest arc of 16 over the fair share",
            cited(theory),
            shares,
            partial(_simulated, "largest", theory["mean_max_over_fair"], theory["se_mean_max"]),
        ),
        Check(
            "rings-smallest",
            TOPIC,
            "smallest arc of 16 over the fair share",
            cited(theory),
            shares,
            partial(_simulated, "smallest", theory["mean_min_over_fair"], theory["se_mean_max"]),
        ),
    ]


def _simulated(name: str, expected: float, error: float, sample: Sample) -> Found:
    """Judge by a figure that is itself a simulation's: within four of its standard errors."""
    return mean_is(sample[name], expected, slack=4.0 * error)


def compare_real_arcs(_seed: int, _number: int) -> Numbers:
    """Return how many arcs of the real rings are of another size here."""
    faults = compared = 0
    for ring in vectors()["rings"]:
        hashes, owners = ketama_points(ring["nodes"])
        made = arcs(hashes, owners, len(ring["nodes"]))
        faults += int((made != np.array(ring["arcs"])).sum())
        compared += len(made)
    return {"faults": faults, "compared": compared}


def compare_real_picks(seed: int, number: int) -> Numbers:
    """Return how many keys of a real ring an engine's chash sends to another pod."""
    ring = vectors()["rings"][number]
    texts = [key for key, _ in ring["picks"]]
    found = _pods_of(texts, ring["nodes"], seed)
    wanted = np.array([node for _, node in ring["picks"]])
    return {"faults": int((found != wanted).sum()), "compared": len(wanted)}


def moved_keys(seed: int, number: int) -> Numbers:
    """Return how many keys are not where the ring says, and move without need, or do not."""
    drawn = np.random.default_rng([seed, number])
    names = _random_names(drawn, PODS)
    texts = [f"/{value:x}" for value in drawn.integers(2**40, size=KEYS).tolist()]
    before, after = _pods_of(texts, names, seed), _pods_of(texts, names[:-1], seed)
    points = _points(names)
    wanted = np.array([_owner(points, text) for text in texts])
    lost = before == PODS - 1
    return {
        "faults": int((before != wanted).sum()),
        "unforced": int(((before != after) != lost).sum()),
        "compared": KEYS,
    }


def random_arcs(seed: int, number: int) -> Numbers:
    """Return how unequal the arcs of pods with random addresses are."""
    names = _random_names(np.random.default_rng([seed, number]), PODS)
    hashes, owners = ketama_points(names)
    share = arcs(hashes, owners, PODS) * (PODS / 2**32)
    return {
        "squared_cv": ((share - 1.0) ** 2).mean(),
        "largest": share.max(),
        "smallest": share.min(),
    }


def _random_names(drawn: np.random.Generator, n: int) -> list[str]:
    """Return random pod addresses, all different."""
    places = drawn.choice(2**16, n, replace=False).tolist()
    return [f"10.244.{place >> 8}.{place & 255}:8080" for place in places]


def _points(names: Sequence[str]) -> list[tuple[int, int]]:
    """Return (hash, number of the pod) of all points in order, worked out apart."""
    points = []
    for number, name in enumerate(names):
        point = 0
        for _ in range(POINTS):
            point = zlib.crc32(point.to_bytes(4, "little"), zlib.crc32(name.encode()))
            points.append((point, number))
    return sorted(points)


def _owner(points: Sequence[tuple[int, int]], key: str) -> int:
    """Return whose point is the first at or after the key's hash."""
    at = bisect.bisect_left(points, (zlib.crc32(key.encode()), -1))
    return points[at % len(points)][1]


def _pods_of(texts: Sequence[str], names: Sequence[str], seed: int) -> np.ndarray:
    """Return the pod that an engine gives every key: one recorded request each."""
    rows = ["arrival_s,key,work_s"]
    rows += [f"{i * 0.01:g},{text},0.001" for i, text in enumerate(texts)]
    pods = [{"name": f"pod-{i}", "node": "node-0", "address": name} for i, name in enumerate(names)]
    with tempfile.TemporaryDirectory() as folder:
        trace = Path(folder) / "keys.csv"
        trace.write_text("\n".join(rows) + "\n", encoding="utf-8")
        scenario = ingress_path("chash", pods=pods, ingress={"hash_by": "$request_uri"})
        scenario["traffic"] = {"trace": str(trace)}
        columns = run_once(scenario, seed, record=True).outcome.records
    assert columns is not None
    made: np.ndarray = columns["pod"]
    return made

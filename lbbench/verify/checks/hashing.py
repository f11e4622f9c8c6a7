"""Clients of random addresses by the load balancer's hash: largest count, and who moves."""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import Any

import numpy as np

from lbbench.verify.chance import Found, counts_are, share_is
from lbbench.verify.checks.setups import cited, mean_check, no_faults, service_path
from lbbench.verify.experiment import Experiment, Numbers, Sample, run_once
from lbbench.verify.oracles import oracle
from lbbench.verify.suite import Check

TOPIC = "Hash of clients to nodes"
NODES = 16
FEW, MANY = 64, 1920  # clients in a group, and in a run
NETWORK = 11 << 24  # the clients' addresses: 11.x.y.z


def checks() -> list[Check]:
    """Return the checks on the hash of source addresses."""
    largest = oracle("K equal clients", K=FEW, N=NODES)
    moved = oracle("share of keys that move", N=NODES)
    moves = Experiment("moved clients", moved_clients, 10, kernel="service, connections")
    return [
        mean_check(
            "hash-largest",
            TOPIC,
            f"most of {FEW} random clients at one of {NODES} nodes (SourceIP)",
            moves,
            largest,
            "mean_max",
            read="largest",
        ),
        Check(
            "hash-shares",
            TOPIC,
            "clients per node, chi-square",
            "multinomial law: a linear hash of random addresses is uniform",
            moves,
            lambda sample: counts_are(sample["counts"].sum(axis=0)),
        ),
        Check(
            "hash-modulo",
            TOPIC,
            "share of the clients that move when 1 of 16 nodes leaves, hash modulo n",
            cited(moved),
            moves,
            lambda sample: _share(sample, "modulo", moved["modulo"]),
        ),
        Check(
            "hash-rendezvous",
            TOPIC,
            "share of the clients that move when 1 of 16 nodes leaves, rendezvous",
            cited(moved),
            moves,
            lambda sample: _share(sample, "rendezvous", moved["ring_or_maglev_ideal"]),
        ),
        Check(
            "hash-unforced",
            TOPIC,
            "clients that move although their node stays, rendezvous",
            cited(moved),
            moves,
            no_faults,
        ),
    ]


def _share(sample: Sample, name: str, expected: float) -> Found:
    return share_is(int(sample[name].sum()), int(sample["compared"].sum()), expected)


def moved_clients(seed: int, number: int) -> Numbers:
    """Return how many clients another node gets when the last of the nodes is not there."""
    addresses = _addresses(seed, number, MANY)
    made: dict[str, Any] = {"compared": MANY}
    for mapping in ("modulo", "rendezvous"):
        before = _nodes_of(addresses, seed, NODES, mapping)
        after = _nodes_of(addresses, seed, NODES - 1, mapping)
        made[mapping] = int((before != after).sum())
        made["faults"] = int(((before != after) & (before != NODES - 1)).sum())
        if mapping == "modulo":
            groups = before.reshape(-1, FEW)
            counts = np.array([np.bincount(group, minlength=NODES) for group in groups])
            made |= {"counts": counts.sum(axis=0), "largest": counts.max(axis=1).mean()}
    return made


def _addresses(seed: int, number: int, n: int) -> np.ndarray:
    """Return random addresses, all different, as numbers."""
    drawn = np.random.default_rng([seed, number]).choice(2**24, n, replace=False)
    made: np.ndarray = drawn + NETWORK
    return made


def _nodes_of(addresses: np.ndarray, seed: int, nodes: int, mapping: str) -> np.ndarray:
    """Return the node of every client: one recorded request each."""
    rows = ["arrival_s,client,work_s"]  # one after the other, so in this order in the records
    for i, address in enumerate(addresses.tolist()):
        parts = ".".join(str(address >> shift & 255) for shift in (24, 16, 8, 0))
        rows.append(f"{i * 0.01:g},{parts},0.001")
    with tempfile.TemporaryDirectory() as folder:
        trace = Path(folder) / "clients.csv"
        trace.write_text("\n".join(rows) + "\n", encoding="utf-8")
        scenario = service_path(
            nodes=nodes,
            pods=1,
            stages={"azure_lb": {"distribution": "SourceIP", "mapping": mapping}},
        )
        scenario["traffic"] = {"trace": str(trace)}
        rows_of = run_once(scenario, seed, record=True).outcome.records
    assert rows_of is not None
    made: np.ndarray = rows_of["node"]
    return made

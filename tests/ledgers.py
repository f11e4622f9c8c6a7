"""Rows and members for the tests of a study's ledger, and processes that open one."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import textwrap
from pathlib import Path

from lbbench.model.study import Member, Row

RESULT = {
    "requests": {"offered": 100, "failed": 3, "by_error": {"refused": 3}},
    "latency_s": {"mean": 0.02, "p99": 0.25},
}


def member(number: int, **changes: object) -> Member:
    values = {"traffic.utilisation": number / 10, "stages.ingress.balancer": "ewma"}
    scenario = json.dumps({"name": "größe", "n": number}, ensure_ascii=False)
    return Member(number, values, f"content-{number}", scenario)._replace(**changes)


def row(number: int = 0, replication: int = 0, **changes: object) -> Row:
    return Row(
        content=f"content-{number}",
        seed=1,
        replication=replication,
        version="0.1.0",
        status="done",
        error=None,
        wall_s=0.1 + 0.2,
        compile_s=0.0,
        created="2026-01-01T00:00:00Z",
        machine='{"processor":"a"}',
        result=json.dumps(RESULT),
        segments=bytes(range(256)),
        histograms='[[0,5,"HIST"]]',
    )._replace(**changes)


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def run_beside(code: str, *arguments: object) -> subprocess.Popen:
    """Start a Python process that has ``Ledger``, ``row`` and its arguments as ``argv``."""
    start = "import os, subprocess, sys, time\nfrom pathlib import Path\n"
    start += "from lbbench.store.ledger import Ledger\nfrom ledgers import row\n"
    folder = str(Path(__file__).parent)
    path = os.pathsep.join([folder, *(p for p in sys.path if p)])
    return subprocess.Popen(
        [sys.executable, "-c", start + textwrap.dedent(code), *map(str, arguments)],
        stdout=subprocess.PIPE,
        text=True,
        env={**os.environ, "PYTHONPATH": path},
    )


WRITES_ON = """
    with Ledger.open(Path(sys.argv[1]), write=True) as ledger:
        for n in range(int(sys.argv[2]), 1_000_000):
            ledger.write([row(n, histograms=chr(97 + n % 26) * 60_000)])
            print(n, flush=True)
"""

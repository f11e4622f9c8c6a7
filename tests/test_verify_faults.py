"""The verify suite finds what is wrong: faults put into a copy of the package, one at a time.

A fault is a replaced piece of source text, in what the fast engine runs. Each copy runs the whole
suite in processes of its own; it must end with status 1, and the check that should notice must be
among those that fail. The copies share one cache folder: kernels that a fault does not reach are
compiled once.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import pytest

import lbbench

PACKAGE = Path(lbbench.__file__).parent
PATIENCE = 3600  # seconds, on a machine that has other things to do


@dataclass(frozen=True)
class Fault:
    """One mistake: what is replaced in which file, and the checks that must notice."""

    file: str
    old: str
    new: str
    found_by: tuple[str, ...]


FAULTS = {
    # the u32 that a rule's probability becomes: one of 2^31 more, which no statistics can see
    "threshold off by one": Fault(
        "balancers/iptables.py",
        "return whole + int(scaled - whole >= 0.5)",
        "return whole + int(scaled - whole >= 0.5) + 1",
        ("iptables-thresholds",),
    ),
    "probe threshold off by one": Fault(
        "engines/timeline/probes.py",
        "self.streak >= self.threshold",
        "self.streak > self.threshold",
        ("probes-delay",),
    ),
    "ewma without decay": Fault(
        "balancers/ewma.py",
        "return float(state.value[endpoint] * weight_of_past(state, endpoint, now))",
        "return float(state.value[endpoint])",
        ("ewma-score", "ewma-visits"),
    ),
    "round robin state shared by workers": Fault(
        "balancers/round_robin.py",
        'scope="worker",',
        'scope="replica",',
        ("rr-cycle",),
    ),
    "fifo as lifo": Fault(
        "engines/pods.py",
        """            if queue.head < 0:
                queue.head = slot
            else:
                w.request[queue.tail].next = slot
            queue.tail = slot
""",
        """            request.next = queue.head
            queue.head = slot
""",
        ("fifo-order", "fifo-p99"),
    ),
    "retry not excluded": Fault(
        "engines/attempts.py",
        """        w.tried[slot, request.n_tried] = pod
        request.n_tried += 1
""",
        "",
        ("retry-excluded",),
    ),
    "warm-up kept": Fault(
        "stats/intervals.py",
        "    return min(first, SEGMENTS - 1)\n",
        "    return 0 * first\n",
        ("warmup-mean", "warmup-requests"),
    ),
    "seed reused across replications": Fault(
        "traffic/streams.py",
        "entropy = [seed % WORD, seed // WORD, replication]",
        "entropy = [seed % WORD, seed // WORD, 0 * replication]",
        ("replications-arrivals", "replications-work", "replications-variance"),
    ),
    "seed of balancers reused across replications": Fault(
        "core/rng.py",
        'text = f"{seed}\\x00{replication}\\x00{stage}\\x00{instance}"',
        'text = f"{seed}\\x00{0 * replication}\\x00{stage}\\x00{instance}"',
        ("replications-picks",),
    ),
    "connect time not counted": Fault(
        "engines/timing.py",
        "        connect = milliseconds(connected) - begun\n",
        "        connect = 0\n",
        ("ewma-connect",),
    ),
    "connect takes no time": Fault(
        "engines/steady/workers.py",
        "        connected = leaves + rtt\n",
        "        connected = leaves\n",
        ("latency-served", "latency-mean", "latency-connect"),
    ),
    "ps rate": Fault(
        "engines/sharing.py",
        "return speed * min(1.0, places / jobs)",
        "return speed * min(1.0, places / (jobs + 1))",
        ("ps-mean-exponential", "ps-mean-constant", "ps-slowdown-small", "ps-cores"),
    ),
    "what waits is no work": Fault(
        "engines/work.py",
        "        left += nanoseconds(w.request[slot].todo)\n",
        "        left += 0\n",
        ("lwl-mean", "lwl-p99"),
    ),
    "who stands in line takes no place": Fault(
        "engines/work.py",
        "    free_at[first] += takes\n",
        "    free_at[first] += 0 * takes\n",
        ("central_queue-mean", "central_queue-p99"),
    ),
    # sorted as if hashes had a sign: half of the ring comes before the other
    "order of ring points": Fault(
        "core/rings.py",
        'order = np.argsort(made, kind="stable")',
        'order = np.argsort(made.view(np.int32), kind="stable")',
        ("rings-picks", "rings-points"),
    ),
}


def copy_of(folder: Path) -> Path:
    """Copy the package into ``folder``; times of files are kept, which caches go by."""
    made = folder / "lbbench"
    shutil.copytree(PACKAGE, made, ignore=shutil.ignore_patterns("__pycache__"))
    return made


@pytest.fixture(scope="module")
def cache(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return the cache folder of all copies."""
    return tmp_path_factory.mktemp("kernels")


@pytest.mark.parametrize("name", FAULTS)
def test_a_fault_is_in_the_text_that_it_changes(name: str):
    """The text to be replaced is there, once: a fault that changes nothing would prove nothing."""
    fault = FAULTS[name]
    assert (PACKAGE / fault.file).read_text(encoding="utf-8").count(fault.old) == 1


@pytest.mark.long
@pytest.mark.parametrize("name", FAULTS)
def test_the_suite_finds_a_fault(name: str, tmp_path: Path, cache: Path):
    """Status 1, the right checks among those that fail, and a sentence for each of these."""
    fault = FAULTS[name]
    patched = copy_of(tmp_path) / fault.file
    text = patched.read_text(encoding="utf-8")
    assert text.count(fault.old) == 1
    patched.write_text(text.replace(fault.old, fault.new), encoding="utf-8")
    document = tmp_path / "verdict.json"
    done = subprocess.run(
        [sys.executable, "-m", "lbbench", "verify", "--json", str(document)],
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": str(tmp_path), "LBBENCH_CACHE_DIR": str(cache)},
        capture_output=True,
        text=True,
        timeout=PATIENCE,
        check=False,
    )
    assert done.returncode == 1, done.stderr
    found = json.loads(document.read_text(encoding="utf-8"))
    failed = {check["id"] for check in found["checks"] if check["verdict"] == "fail"}
    assert not found["passed"]
    assert set(fault.found_by) <= failed
    assert all(f"{check} fails: " in done.stdout for check in failed)

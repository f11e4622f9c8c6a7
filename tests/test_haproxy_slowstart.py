"""HAProxy's slowstart: weights and turns by hand, and what the running program picks and says."""

from __future__ import annotations

import json
import secrets
import shutil
from pathlib import Path

import numpy as np
import pytest
from feeding import NO_TRIES, assert_compiled_agrees, history
from warming import DOWN, KINDS, PICKS, LateError, record, script

from lbbench.balancers import haproxy_random
from lbbench.balancers.base import Endpoint, registry
from lbbench.balancers.haproxy_keys import avalanche_key
from lbbench.core.nearest import full_hash, nearest
from lbbench.core.rng import stream, wrapping
from lbbench.errors import BalancerError

GOLDEN = json.loads((Path(__file__).parent / "golden" / "warming_live.json").read_text())
NAMES = ("haproxy_roundrobin", "haproxy_leastconn", "haproxy_random")
NO_RNG = np.zeros(4, np.uint64)


class Process:
    """A process that keeps its own books, as an engine does."""

    def __init__(self, name, weights, slowstart, addresses=None, first=None) -> None:
        self.balancer = registry()[name]
        places = addresses or [f"10.0.0.{i}:80" for i in range(len(weights))]
        endpoints = [Endpoint(*pair) for pair in zip(places, weights, strict=True)]
        options = self.balancer.options({"slowstart": slowstart})
        self.state = self.balancer.state(options, endpoints)
        self.rng = stream(1, 0, "ingress", name)
        self.listed: list[int] = []
        self.busy = np.zeros(len(weights), np.int64)
        self.list(range(len(weights)) if first is None else first, 0.0)

    def list(self, servers, now):
        """Take another list."""
        old, new = np.array(self.listed, np.int64), np.array(sorted(servers), np.int64)
        self.balancer.on_endpoints(self.state, NO_RNG, old, new, now)
        self.listed = new.tolist()

    def pick(self, now):
        """Return the server that is picked; it has nothing more in flight than before."""
        with wrapping():
            place = self.balancer.pick(
                self.state, self.rng, now, -1, self.busy[self.listed], NO_TRIES
            )
        return self.listed[place]

    def move(self, server, by):
        """Begin or end an attempt."""
        self.busy[server] += by
        self.balancer.on_busy(self.state, server, self.busy[server])

    def shown(self):
        """Return [weight, throttle in percent or ""] of each server, as the program displays them.

        The weight is rounded up from 16ths; the throttle is that of servers that warm up.
        """
        weights = zip(self.state.uweight.tolist(), self.state.eweight.tolist(), strict=True)
        warming = [k in self.listed and self.state.due[k] < 2**62 for k in range(len(self.busy))]
        return [
            [str((now + 15) // 16), str((100 * now + 15) // (16 * full)) if warm else ""]
            for (full, now), warm in zip(weights, warming, strict=True)
        ]


def replayed(run, kind):
    """Return what our balancer does in a recorded run: [picks, weights] of each step with picks."""
    name = {"hash": "haproxy_random"}.get(kind, f"haproxy_{kind}")
    process = Process(name, run["weights"], run["slowstart"], run["addresses"])
    found = []
    for step in run["steps"]:
        now = step["at"]
        if step["what"] != PICKS:
            rest = set(process.listed) ^ {step["server"]}
            assert (step["server"] in rest) == (step["what"] != DOWN)
            process.list(rest, now)
            continue
        made = step["picks"][kind]
        if kind == "roundrobin":
            picks = [process.pick(now) for _ in made]
        elif kind == "leastconn":
            picks = []
            for server, by in made:
                picks.append([process.pick(now) if by == 1 else server, by])
                process.move(picks[-1][0], by)
        else:
            process.pick(now)
            state = process.state
            points = state.number[haproxy_random.POINTS]
            keys = [(key, nearest(state.hashes, points, avalanche_key(key.encode())))
                    for key, _ in made]  # fmt: skip
            picks = [[key, process.listed[state.owners[point]]] for key, point in keys]
        found.append([picks, process.shown()])
    return found


def recorded(run, kind):
    """Return what the program did in a run, as `replayed` has it."""
    steps = [step for step in run["steps"] if step["what"] == PICKS]
    return [[step["picks"][kind], step["weights"][kind]] for step in steps]


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("run", GOLDEN["runs"], ids=lambda run: f"{run['weights']}")
def test_every_recorded_pick_and_weight_is_ours(run, kind):
    """Turns, fewest in flight and the points of the tree while servers go and come back."""
    assert replayed(run, kind) == recorded(run, kind)


@pytest.mark.long
@pytest.mark.skipif(not shutil.which("haproxy"), reason="not installed: haproxy")
def test_every_live_pick_and_weight_is_ours():
    """Random weights, times and changes; the seed is in the message."""
    seed = secrets.randbits(32)
    draw = np.random.default_rng(seed)
    weights = draw.integers(1, 20, size=int(draw.integers(2, 5))).tolist()
    try:
        slowstart = f"{draw.integers(1500, 9000)}ms"
        run = record(weights, slowstart, script(len(weights), seed), seed)
    except LateError as error:
        pytest.skip(f"this machine is too slow now: {error}")
    wrong = [kind for kind in KINDS if replayed(run, kind) != recorded(run, kind)]
    assert not wrong, (seed, weights, wrong)


# --- by hand --------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", NAMES)
def test_weights_grow_by_whole_seconds(name):
    """5.5 s are 6; weight 3, there from 10.4: 3 ((16 d + 6) // 6) after each of the task's runs.

    16 d + 6 = 6, 22, 38, 54, 70, 86 give 1, 3, 6, 9, 11, 14 sixteenths; the task runs at 11.4, 12.4
    and so on; at 16.4 all 16 are there.
    """
    process = Process(name, [1, 3], "5500ms")
    assert process.state.eweight.tolist() == [16, 48]  # the process starts with it
    process.list([0], 9.0)
    process.list([0, 1], 10.4)
    found = []
    for now in (10.4, 11.3, 11.4, 12.5, 13.5, 14.5, 15.5, 16.3, 16.5):
        process.pick(now)
        found.append(int(process.state.eweight[1]))
    assert found == [3 * share for share in (1, 1, 3, 6, 9, 11, 14, 14, 16)]
    assert process.state.eweight[0] == 16


@pytest.mark.parametrize("name", NAMES)
def test_who_is_back_before_its_task_keeps_its_times(name):
    """Back at 11.2, task at 11.4: it finds second 11, d = 0; at 12.4 d = 1, (16 + 4) // 4 = 5."""
    process = Process(name, [1, 1], "4s")
    for servers, now in (([0], 9.0), ([0, 1], 10.4), ([0], 11.0), ([0, 1], 11.2)):
        process.list(servers, now)
    found = []
    for now in (11.3, 11.5, 12.3, 12.5):
        process.pick(now)
        found.append(int(process.state.eweight[1]))
    assert found == [1, 1, 1, 5]


@pytest.mark.parametrize("name", NAMES)
def test_runs_that_were_missed_are_caught_up_with(name):
    """One pick after the end leaves the weights of one pick every 10 ms."""
    often, seldom = Process(name, [2, 5, 3], "4s"), Process(name, [2, 5, 3], "4s")
    for process in (often, seldom):
        process.list([2], 1.0)
        process.list([1, 2], 1.3)
        process.list([0, 1, 2], 2.6)
    for step in range(270, 800):
        often.pick(step / 100)
    seldom.pick(8.0)
    assert seldom.state.eweight.tolist() == often.state.eweight.tolist() == [32, 80, 48]


def test_turns_while_a_server_warms_up():
    """Two servers of weight 16, slowstart 2: the second weighs 1, 9 = (16 + 2) // 2, 16.

    Server 0 alone has the position 17 after its first pick. Then 1 comes: 17 + (17 + 16 - 17) / 1
    = 33 is beyond the end, 32, so it is in ``next``. 0 goes on until 32; in the new round, of 17
    from 17 on, 0 has 16 turns before what is left over makes a hole for 1. After the first of them
    the weight 9 comes: the sum is 25, 0 moves by 1 9/16 and 1 by 2 7/9:

    0 at 18, 19 (next 21), hole at 20: 1 (next 22), 0 at 21 (next 22), 1 as it was put in first
    (next 25), 0 at 22 (next 24), 0 at 24 (next 25). Position 25, 1 is due first. Now the weight 16:
    sum 32, step 2; last turn + 2 = 24 is not 2 ahead, so 1 goes to 25 + 2. 0 has its turn at 25,
    then they alternate, 1 first as it was put in first.
    """
    process = Process("haproxy_roundrobin", [1, 1], "2s", first=[0])
    assert process.pick(0.6) == 0
    process.list([0, 1], 1.0)
    assert [process.pick(1.5) for _ in range(16)] == [0] * 16
    assert [process.pick(2.1) for _ in range(7)] == [0, 0, 1, 0, 1, 0, 0]
    assert [process.pick(3.1) for _ in range(6)] == [0, 1, 0, 1, 0, 1]


def test_keys_of_leastconn_while_a_server_warms_up():
    """Slowstart 4, weight 1: server 1 weighs 1, a second later 5 of 16.

    With one in flight its key is 2 4096 / 1 = 8192, which 0 reaches with 31: 32 4096 / 16. 1 was
    put in first, and goes to 2 in flight. With the weight 5 its key is 3 4096 / 5 = 2457, and it
    takes all until 10 4096 / 5 = 8192, with 9 in flight: then 0, put in before, comes first.
    """
    process = Process("haproxy_leastconn", [1, 1], "4s", first=[0])
    process.list([0, 1], 1.0)

    def begun(count, now):
        picks = []
        for _ in range(count):
            picks.append(process.pick(now))
            process.move(picks[-1], 1)
        return picks

    assert begun(33, 1.5) == [0, 1, *[0] * 30, 1]
    assert process.state.level.tolist() == [8192, 12288]
    assert begun(8, 2.5) == [*[1] * 7, 0]


def test_an_idle_server_whose_weight_grows_is_put_behind_the_idle():
    """0 had an attempt after 1 came, so 1 comes first, until its weight changes."""
    process = Process("haproxy_leastconn", [1, 1], "4s", first=[0])
    process.list([0, 1], 1.0)
    process.move(0, 1)
    process.move(0, -1)
    assert process.pick(1.9) == 1
    assert process.pick(2.1) == 0


def test_a_warming_server_has_its_first_points():
    """Slowstart 4, weight 2: 2, 10 = 2 ((16 + 4) // 4), 18, 26, 32 points of its 32."""
    process = Process("haproxy_random", [1, 2], "4s", first=[0])
    process.list([0, 1], 1.0)
    state = process.state
    for second, count in enumerate((2, 10, 18, 26, 32)):
        process.pick(1.5 + second)
        points = state.number[haproxy_random.POINTS]
        mine = state.hashes[:points][state.owners[:points] == 1]
        assert mine.tolist() == sorted(full_hash(2 * 4096 + k) for k in range(count))
        assert points == 16 + count


@pytest.mark.parametrize("name", NAMES)
def test_a_slowstart_that_is_no_time_is_told(name):
    """The sentence has the balancer, the option and its value."""
    with pytest.raises(BalancerError, match=rf"^{name}: slowstart = soon: "):
        Process(name, [1], "soon")


@pytest.mark.parametrize("name", NAMES)
def test_compiled_and_plain_agree(name, monkeypatch, tmp_path):
    """Picks, draws and states of a random history with changes of the list."""
    endpoints = [Endpoint(f"10.0.0.{i}:80", weight) for i, weight in enumerate([1, 3, 2, 1, 1, 5])]
    calls, options = history(9, calls=1500, endpoints=6), {"slowstart": "5s"}
    found = registry()[name]
    picked = assert_compiled_agrees(found, options, endpoints, calls, monkeypatch, tmp_path)
    assert set(picked) == {-9, -1, *range(6)}

"""The parts of the live bed that need no privilege: texts, traces, folders, pods, the client."""

from __future__ import annotations

import socket
from itertools import pairwise
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
from bedding import case, rows, short

from benchmarks.reality import __main__ as command_line
from benchmarks.reality import pods, requirements
from benchmarks.reality.cases import BALANCERS, VIP
from benchmarks.reality.client import Client, Request
from benchmarks.reality.folder import check_free, summary_of, write_experiment, write_repeat
from benchmarks.reality.loop import Loop
from benchmarks.reality.pods import Pod
from benchmarks.reality.proxies import haproxy_text, nginx_text
from benchmarks.reality.requirements import lacking
from benchmarks.reality.run import Seen, check_bed, number_workers
from benchmarks.reality.trace import COLUMNS, csv_bytes, drawn, read_trace
from lbbench.errors import InputError, RunError
from lbbench.inputs.yaml import load
from lbbench.verify.reality_forced import residuals
from lbbench.verify.reality_reading import recordings

ROOT = Path(__file__).parent.parent

# --- configurations -------------------------------------------------------------------------------


def test_nginx_is_told_the_pods_in_their_order_and_the_method():
    """Twelve servers as the scenario lists them, the method first, upstream keep-alive after."""
    texts = {name: nginx_text(case("nginx", name, pods=12), name) for name in BALANCERS["nginx"]}
    for text in texts.values():
        (inside,) = (part.partition("}")[0] for part in text.split("upstream pods {")[1:])
        servers = [line.split()[1].strip(";") for line in inside.splitlines() if "server" in line]
        assert servers == [f"10.244.0.{i + 2}:8080" for i in range(12)]
        assert inside.index("server") < inside.index("keepalive 320;")
        assert "listen 10.244.255.1:80 reuseport" in text
    assert "least_conn" not in texts["round_robin"]
    for name, method in (
        ("nginx_least_conn", "    least_conn;\n    server"),
        ("nginx_random_two", "    random two least_conn;\n    server"),
    ):
        assert method in texts[name]


def test_haproxy_is_told_the_servers_in_the_order_of_their_addresses():
    """10.244.0.9 stands before 10.244.0.10, wherever the scenario lists them."""
    pods = [{"name": f"p{i}", "address": f"10.244.0.{i}:8080"} for i in (10, 9)]
    scenario = case("haproxy", "haproxy_random", pods=2).with_({"cluster.pods": pods})
    text = haproxy_text(scenario, "haproxy_random")
    assert text.index("server s0 10.244.0.9:8080") < text.index("server s1 10.244.0.10:8080")
    assert "balance random(2)\n" in text
    three = scenario.with_({"stages.ingress.options": {"draws": 3}})
    assert "balance random(3)\n" in haproxy_text(three, "haproxy_random")
    assert "balance leastconn\n" in haproxy_text(scenario, "haproxy_leastconn")


@pytest.mark.parametrize(
    ("name", "change", "said"),
    [
        ("kernel", {"path": "ingress"}, "path = ingress: the case kernel is of path service"),
        ("kernel", {"cluster.nodes": 2}, "cluster.nodes: has 2; a bed has one node"),
        ("kernel", {"cluster.pods[0].concurrency": 2}, "cluster.pods: differ in concurrency"),
        ("kernel", {"cluster.pod.queue": 3}, "cluster.pod: discipline fifo, queue 3"),
        ("kernel", {"timeline": [{"at": "1s", "pod": "pod-0", "speed": 0.5}]}, "timeline: a bed"),
    ],
)
def test_what_a_bed_cannot_be_is_one_sentence(name, change, said):
    """Each refusal names the scenario, the key and what the bed has."""
    scenario = case(name, BALANCERS[name][0])
    check_bed(name, scenario)
    with pytest.raises(RunError, match=rf"^kernel_iptables_n10: {said}"):
        check_bed(name, scenario.with_(change))


# --- traces and folders ---------------------------------------------------------------------------


def test_a_drawn_trace_has_the_rate_and_the_work_asked_for():
    """Poisson count and exponential sum within 5 standard deviations; read back it is the same."""
    trace = drawn(rate=50.0, duration_s=100.0, mean_s=0.02, seed=3, vip=VIP)
    assert abs(len(trace) - 5000) < 5.0 * 5000**0.5
    work = np.array([float(row["svc_us"]) for row in trace])
    assert abs(work.mean() - 20e3) < 5.0 * 20e3 / len(trace) ** 0.5
    times = [int(row["t_us"]) for row in trace]
    assert times == sorted(times)
    assert times[-1] < 100e6


def test_a_trace_is_read_back_and_filled_up(tmp_path):
    """Whole rows stay as they are but for the address; three columns alone get the others."""
    trace = short()
    path = tmp_path / "t.csv.gz"
    path.write_bytes(csv_bytes(COLUMNS, trace))
    assert read_trace(path, vip=VIP) == trace
    assert {row["dst"] for row in read_trace(path, vip="1.2.3.4:80")} == {"1.2.3.4:80"}
    path.write_text("id,t_us,svc_us\n7,5,1.5\n8,5,2\n")
    one, two = read_trace(path, vip=VIP)
    assert (one["id"], one["src"], one["svc_us"]) == ("7", "10.1.0.1", "1.5")
    assert one["conn"] != two["conn"]


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("id,t_us\n1,2\n", "t.csv: has no requests with svc_us"),
        ("id,t_us,svc_us\n", "t.csv: has no requests with id, t_us, svc_us"),
        ("id,t_us,svc_us\n1,9,1\n2,8,1\n", "t.csv:3: t_us = 8, svc_us = 1: must be"),
        ("id,t_us,svc_us\n1,9,nan\n", "t.csv:2: t_us = 9, svc_us = nan: must be"),
        ("id,t_us,svc_us\n1\n", "t.csv:2: t_us = None"),
    ],
)
def test_a_trace_that_is_none_is_one_sentence(tmp_path, text, said):
    """File, line, value and what is allowed."""
    path = tmp_path / "t.csv"
    path.write_text(text)
    with pytest.raises(InputError, match=said):
        read_trace(path, vip=VIP)
    with pytest.raises(InputError, match=r"no\.csv: cannot be read"):
        read_trace(tmp_path / "no.csv", vip=VIP)


def test_a_folder_is_what_verify_reads(tmp_path):
    """Scenario, trace and a repeat written by the bed come back through the reader."""
    scenario = case("nginx", "nginx_least_conn", pods=3).with_({"cluster.pods[1].speed": 0.5})
    trace = rows((0, "a", 1000), (500, "b", 2000), (900, "a", 50))
    told = [(0, 200, 100, 1400), (1, 200, 80, 4300), (-1, -111, 0, 30)]
    seen = [
        {"id": str(i), "pod": pod, "status": status, "sent_us": sent, "lat_us": latency}
        | {"pod_wait_us": 0, "worker": 0}
        for i, (pod, status, sent, latency) in enumerate(told)
    ]
    summary = summary_of(
        "nginx",
        scenario,
        trace,
        Seen(tuple(seen), "*nat\n"),
        repeat=1,
        balancer="nginx_least_conn",
        versions={},
    )
    folder = tmp_path / "run"
    check_free(folder)
    write_experiment(folder, scenario, trace)
    write_repeat(folder, 1, Seen(tuple(seen), "*nat\n"), summary)
    (run,) = recordings(folder)
    assert run.balancer == "nginx_least_conn"
    assert run.scenario.cluster.vip == VIP
    assert run.pod.tolist() == [0, 1, -1]
    assert run.answered.tolist() == [True, True, False]
    assert run.written.tolist() == pytest.approx([100e-6, 580e-6, 900e-6])
    assert summary["concurrency"] == 1
    assert summary["pod_args"] == ["-s", "1=2"]
    assert summary["failed_transport"] == 1
    assert summary["overhead"]["path_ms"]["mean"] == pytest.approx((0.3 + 0.22) / 2)
    assert len(residuals(run)) == 4
    assert load(folder / "scenario.yaml").resolved() == scenario.resolved()
    for taken in (folder, folder / "scenario.yaml" / "below"):
        with pytest.raises(RunError, match="has files of an earlier run; give --out another"):
            check_free(taken)


def test_workers_are_numbered_by_their_processes():
    """Process 99 is worker 0 and 101 worker 1; who was answered by none has 0."""
    told = [{"worker": process} for process in ("101", "0", "99", "101")]
    number_workers(told)
    assert [row["worker"] for row in told] == ["1", "0", "0", "1"]


# --- pods and the client, in one process ----------------------------------------------------------


@pytest.fixture
def here():
    """Yield (loop, address of a free port), and close the loop."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    loop = Loop()
    yield loop, f"127.0.0.1:{port}"
    loop.close()


def sent_to(loop, address, trace):
    """Send a trace from this process and return its requests with what became of them."""
    requests = [Request({**row, "src": "127.0.0.1"}, "pods") for row in trace]
    Client(loop, address, requests).run()
    return requests


def test_a_pod_serves_in_order_of_arrival_with_its_places(here):
    """Two places, work 50, 30, 10 ns at 0, 10, 20 and factor 2: the third waits for the second."""
    loop, address = here
    pod = Pod(loop, 0, address, places=2, factor=2.0)
    waits = []
    for k, (arrived, work_us) in enumerate([(0, 50), (10_000, 30), (20_000, 10)]):
        answer = SimpleNamespace(write=lambda waited, k=k: waits.append((k, waited)))
        pod.serve(arrived, work_us, answer)
    loop.at(10**6, loop.stop)
    loop.run()
    assert waits == [(1, 0), (2, 50), (0, 0)]
    assert sorted(pod.free) == [90_000, 100_000]
    pod.close()


def test_the_client_keeps_connections_and_their_order(here, monkeypatch):
    """Four requests on one connection follow each other's answers; another does not wait."""
    loop, address = here
    pod = Pod(loop, 3, address, places=10, factor=1.0)
    opened = []
    begin = pods.Conversation
    monkeypatch.setattr(pods, "Conversation", lambda *given: opened.append(begin(*given)))
    found = sent_to(loop, address, rows(*[(i, "kept", 3000) for i in range(4)], (4, "own", 1)))
    assert [(item.status, item.pod) for item in found] == [(200, 3)] * 5
    assert len(opened) == 2
    for one, two in pairwise(found[:4]):
        assert two.t_us + two.sent_us >= one.t_us + one.lat_us
    assert all(item.lat_us >= item.sent_us + 3000 for item in found[:4])
    pod.close()


def test_the_client_tells_why_a_connection_failed(here):
    """Nobody listens: connection refused, no pod, and the next request tries again."""
    loop, address = here
    found = sent_to(loop, address, rows((0, "a", 1), (10, "a", 1)))
    assert [(item.status, item.pod) for item in found] == [(-111, -1)] * 2


# --- the command ----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["--balancer", "round_robin"], "--balancer: is for one case"),
        (["--case", "kernel", "--balancer", "ewma"], "--balancer ewma: the case kernel has none"),
        (
            ["--case", "nginx", "--experiment", "x", "--balancer", "round_robin"],
            "--balancer: the given --experiment has its own",
        ),
        (["--case", "nginx", "--experiment", "nowhere"], "nowhere/scenario.yaml: there is no such"),
        (["--utilisation", "1"], "--utilisation 1.0: must be above 0 and below 1"),
        (["--pods", "1"], "--pods 1: must be 2 or more"),
        (["--mean", "0ms"], "0ms: must be above 0"),
    ],
)
def test_wrong_options_are_one_sentence(tmp_path, capsys, monkeypatch, words, said):
    """Status 2 and the option with its value, before anything is written."""
    monkeypatch.setattr(command_line, "lacking", lambda _case: "")
    out = tmp_path / "out"
    try:
        status = command_line.main(["--out", str(out), *words])
    except SystemExit as ended:
        status = ended.code
    assert status == 2
    assert said in capsys.readouterr().err
    assert not out.exists()


def test_what_is_missing_is_said(tmp_path, capsys, monkeypatch):
    """Not root, or a program that is not there: skipped with the reason and the package."""
    monkeypatch.setattr(requirements.os, "geteuid", lambda: 1000)
    assert command_line.main(["--out", str(tmp_path / "out"), "--case", "nginx"]) == 2
    assert "skipped nginx: the live case nginx needs root" in capsys.readouterr().err
    monkeypatch.setattr(requirements.os, "geteuid", lambda: 0)
    monkeypatch.setattr(
        requirements.shutil, "which", lambda name: None if name == "haproxy" else name
    )
    assert lacking("haproxy") == (
        "the live case haproxy needs haproxy; install haproxy (apt-get install)"
    )


def test_an_experiment_is_run_as_it_was_recorded(tmp_path, capsys, monkeypatch):
    """The recorded scenario and trace go into the bed, once, with the address that is dialled."""
    given = []
    monkeypatch.setattr(command_line, "lacking", lambda _case: "")
    monkeypatch.setattr(command_line, "_record", lambda *words: given.append(words[:4]))
    name = "E9_haproxy_leastconn_rho0.7"
    words = ["--case", "haproxy", "--experiment", str(ROOT / "tests" / "reality" / name)]
    assert command_line.main(["--out", str(tmp_path), *words]) == 0
    ((_, balancer, scenario, trace),) = given
    assert (balancer, scenario.name) == ("haproxy_leastconn", name)
    assert scenario.written["cluster"]["vip"] == VIP
    assert {row["dst"] for row in trace} == {VIP}
    (run,) = recordings(ROOT / "tests" / "reality", [name])
    assert [float(row["svc_us"]) for row in trace] == run.sent["svc_us"].tolist()
    words[1] = "nginx"
    assert command_line.main(["--out", str(tmp_path), *words]) == 2
    assert "haproxy_leastconn: is none of the case nginx" in capsys.readouterr().err

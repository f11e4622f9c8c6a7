"""Access logs as nginx would have written them of the recorded runs, with the truth beside them."""

import csv
import datetime as dt
import gzip
import json
from pathlib import Path
from typing import NamedTuple

import numpy as np

START = dt.datetime(2026, 11, 25, 4, 22, 24, tzinfo=dt.UTC)


class Logged(NamedTuple):
    """Log files of a run, and its true work in seconds by the number that is the request's URI."""

    paths: list[Path]
    work: np.ndarray
    places: int


def rows(path):
    """Read a packed CSV file as a list of rows by column name."""
    with gzip.open(path, "rt", encoding="utf-8") as stream:
        return list(csv.DictReader(stream))


def write_log(run, folder, *, apart, fraction=False):
    """Write the access log of a recorded run; failed requests have the status 502 and no time.

    ``apart``: a file per worker. Otherwise all lines in the order of their ends. ``fraction``:
    lines of JSON with $msec in place of whole seconds.
    """
    summary_path = min(run.glob("summary_r*.json"))
    summary = json.loads(summary_path.read_text(encoding="utf-8"))
    slower = {}
    args = iter(map(str, summary.get("pod_args") or ()))
    for arg in args:
        if arg == "-s":
            pod, factor = next(args).split("=")
            slower[int(pod)] = float(factor)
    work, lines = [], []
    for sent, seen in zip(
        rows(run / "trace.csv.gz"), rows(min(run.glob("observed_r*.csv.gz"))), strict=True
    ):
        assert sent["id"] == seen["id"]
        pod = int(seen["pod"])
        work.append(float(sent["svc_us"]) * 1e-6 * slower.get(pod, 1.0))
        end_us = int(sent["t_us"]) + int(seen["lat_us"])
        took = (int(seen["lat_us"]) - int(seen["sent_us"])) // 1000 / 1000
        ok = seen["status"] == "200" and pod >= 0
        write = _json if fraction else _line
        host = f"10.244.0.{pod + 1}:8080" if ok else "10.244.9.9:8080"
        text = write(end_us, sent["src"], len(work) - 1, "200" if ok else "502", took, host)
        lines.append((int(seen.get("worker") or 0) if apart else 0, end_us, text))
    lines.sort()
    paths = []
    for worker in sorted({line[0] for line in lines}):
        path = folder / f"{run.name}.{worker}.log"
        path.write_text("\n".join(text for of, _, text in lines if of == worker), encoding="ascii")
        paths.append(path)
    return Logged(paths, np.array(work), summary["concurrency"])


def _line(end_us, client, number, status, took, host):
    stamp = (START + dt.timedelta(seconds=end_us // 1_000_000)).strftime("%d/%b/%Y:%H:%M:%S +0000")
    time = f"{took:.3f}" if status == "200" else "-"
    return (
        f'{client} - - [{stamp}] "GET /{number} HTTP/1.1" {status} 6 "-" "-" 61 {took:.3f} '
        f"[default-web-80] [] {host} 6 {time} {status} {number:032x}"
    )


def _json(end_us, client, number, status, took, host):
    moment = START + dt.timedelta(microseconds=end_us)
    return json.dumps(
        {
            "time_iso8601": moment.strftime("%Y-%m-%dT%H:%M:%S+00:00"),
            "msec": f"{moment.timestamp():.3f}",
            "remote_addr": client,
            "request": f"GET /{number} HTTP/1.1",
            "status": status,
            "request_time": f"{took:.3f}",
            "proxy_upstream_name": "default-web-80",
            "upstream_addr": host,
            "upstream_response_time": f"{took:.3f}" if status == "200" else "-",
            "upstream_status": status,
        }
    )

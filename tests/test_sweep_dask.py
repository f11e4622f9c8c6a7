"""A sweep on a real Dask cluster: the numbers of the processes, also when a worker is killed."""

from __future__ import annotations

import signal

import polars as pl
import pytest
from clusters import Cluster
from sweeping import n_rows, small, start, until, values, written

from lbbench.studies.sweep import sweep

pytest.importorskip("distributed")


@pytest.fixture
def by_processes(tmp_path) -> pl.DataFrame:
    """Return what processes find."""
    with sweep(small(tmp_path), out=tmp_path / "p.sqlite", engine="reference") as study:
        return values(study)


def test_dask_finds_what_processes_find(cluster: Cluster, tmp_path, by_processes):
    """Value for value, and the second call has nothing to do."""
    cluster.worker()
    cluster.worker()
    how = {"out": tmp_path / "d.sqlite", "engine": "reference", "dask": cluster.address}
    with sweep(small(tmp_path), **how) as study:
        assert values(study).equals(by_processes, null_equal=True)
    cluster.end()
    with sweep(small(tmp_path), **how) as study:  # no scheduler is needed any more
        assert values(study).equals(by_processes, null_equal=True)


def test_a_killed_dask_worker_costs_nothing(cluster: Cluster, tmp_path, by_processes):
    """SIGKILL of one of two workers in mid-run: its points are run again by the other."""
    first, _ = cluster.worker(), cluster.worker()
    file, out = written(tmp_path), tmp_path / "d.sqlite"
    process = start(file, out, "--quiet", "--dask", cluster.address, workers=False)
    assert until(lambda: n_rows(out) >= 2)
    first.send_signal(signal.SIGKILL)
    _, err = process.communicate(timeout=60)
    assert (process.returncode, err) == (0, "")
    assert values(out).equals(by_processes, null_equal=True)


def test_threads_of_one_worker_do_not_meet(cluster: Cluster, tmp_path):
    """Two points at once in one process, by the compiled engine: the same numbers."""
    cluster.worker(threads=2)
    scenario = small(tmp_path, requests=2_000)
    with sweep(scenario, out=tmp_path / "p.sqlite") as study:
        wanted = values(study)
    with sweep(scenario, out=tmp_path / "d.sqlite", dask=cluster.address) as study:
        assert values(study).equals(wanted, null_equal=True)


def test_a_lost_scheduler_is_a_sentence_and_costs_nothing(cluster: Cluster, tmp_path, by_processes):
    """What ended is kept; processes can end what a cluster began."""
    cluster.worker()
    file, out = written(tmp_path), tmp_path / "d.sqlite"
    process = start(file, out, "--quiet", "--dask", cluster.address, workers=False)
    assert until(lambda: n_rows(out) >= 2)
    cluster.end()
    _, err = process.communicate(timeout=60)
    assert process.returncode == 2
    assert len(err.strip().splitlines()) == 1
    assert "is lost" in err
    with sweep(small(tmp_path), out=out, engine="reference") as study:
        assert values(study).equals(by_processes, null_equal=True)

"""The same scan on a Dask cluster of real worker processes, some of them killed."""

import os
import signal

import pytest
from distributed import LocalCluster
from small_scans import MANY, tree

from sde_grok.scans import read_scan, scan
from sde_grok.scans.networks import NetworkScan


@pytest.fixture
def cluster():
    # A worker that imports compiles nothing: kernels are in the disk cache.
    with LocalCluster(
        n_workers=2, threads_per_worker=1, processes=True, dashboard_address=None
    ) as started:
        yield started


@pytest.fixture
def plan(written):
    return read_scan(written(MANY, "scan.toml"))


@pytest.mark.slow
def test_a_cluster_gives_the_bits_of_threads(cluster, plan, tmp_path):
    scan(plan, out=tmp_path / "here", workers=2)
    scan(plan, out=tmp_path / "there", scheduler=cluster.scheduler_address)
    assert tree(tmp_path / "here") == tree(tmp_path / "there")


@pytest.mark.slow
def test_a_cluster_trains_the_networks_of_threads(cluster, tmp_path):
    base = {"task": "z11", "embedding": 8, "width": 16, "max_steps": 400, "batch_size": 40}
    networks = NetworkScan(preset="tiny", seeds=2, base=base, axes={"eta": [0.01, 0.03]})
    here = scan(networks, out=tmp_path / "here", workers=2)
    there = scan(networks, out=tmp_path / "there", scheduler=cluster.scheduler_address)
    assert there.identical(here)


@pytest.mark.slow
def test_a_killed_worker_loses_nothing(cluster, plan, tmp_path):
    killed: list[int] = []

    def kill(seen):
        if seen.done > 6 * len(killed) and len(killed) < 2:
            victim = next(w for w in cluster.workers.values() if w.status.name == "running").pid
            if victim not in killed:
                os.kill(victim, signal.SIGKILL)
                killed.append(victim)

    scan(plan, out=tmp_path / "there", scheduler=cluster.scheduler_address, progress=kill)
    assert len(killed) == 2
    scan(plan, out=tmp_path / "here", workers=2)
    assert tree(tmp_path / "here") == tree(tmp_path / "there")

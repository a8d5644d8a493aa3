"""The bookkeeping of the benchmark's peers; the benchmark itself checks their means."""

import numpy as np
import peers
from peers import numpy_peers, sdeint_peers, workloads


def test_every_peer_has_a_size_and_every_workload_a_step():
    assert peers.SIZES.keys() == peers.PEERS.keys()
    assert (
        {workload for workload, _ in peers.PEERS}
        == workloads.STEP.keys()
        == workloads.HORIZON.keys()
    )


def test_compaction_gives_each_path_its_own_time():
    countdown = np.random.default_rng(1).integers(1, 40, 200).astype(float)
    expected = countdown.copy()

    def step(left, twin):
        left -= 1
        twin -= 1
        np.testing.assert_array_equal(twin, np.stack([left, left], axis=1))
        return left <= 0

    twin = np.stack([countdown, countdown], axis=1)
    np.testing.assert_array_equal(numpy_peers._compacting(step, countdown, twin), expected)


def test_whole_paths_count_useful_steps_and_leave_the_others_nan():
    inside = np.zeros((5, 3), bool)
    inside[2, 0] = inside[4, 0] = inside[4, 1] = True
    timing = sdeint_peers._first_passage("radial", [inside[:, :1], inside[:, 1:]])
    np.testing.assert_allclose(timing.times, [2 * workloads.DT, 4 * workloads.DT, np.nan])
    assert timing.path_steps == 2 + 4 + 4
    assert timing.steps_run == 12

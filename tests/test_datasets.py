"""Labelled results: what goes in comes out, simulated or measured."""

import json
import math

import numpy as np
import pytest
import xarray as xr

from sde_grok.datasets import CELL, VARIABLES, dataset, escape_dataset, escape_times
from sde_grok.escape_times import Status
from sde_grok.kernels.outcome import PENDING


@pytest.fixture(scope="module")
def result(escape):
    """Some of the paths are censored."""
    return escape("radial", max_steps=70)


def same_estimates(one, other):
    """All estimates are equal to the last bit."""
    return all(
        np.array_equal(left, right, equal_nan=True)
        for left, right in [
            (one.mean, other.mean),
            (one.median, other.median),
            *zip(one.survival(), other.survival(), strict=True),
        ]
    )


def test_a_simulation_comes_back(result):
    assert 0 < result.censored_fraction < 1
    assert same_estimates(escape_times(escape_dataset(result)), result)


def test_a_simulation_knows_its_parameters(result):
    data = escape_dataset(result)
    optimizer = result.provenance["optimizer"]
    assert {name: data[name].item() for name in ("eta", "lam", "batch_size")} == {
        name: optimizer[name] for name in ("eta", "lam", "batch_size")
    }
    assert data["system"] == "radial"
    assert dict(data.sizes) == {"path": result.n_paths}
    record = json.loads(data.attrs["provenance"])
    assert record == json.loads(json.dumps({**record, **result.provenance}))
    assert (record["max_steps"], record["dt"]) == (result.max_steps, result.dt)


def test_a_simulation_survives_a_dictionary(result):
    data = escape_dataset(result)
    xr.testing.assert_identical(xr.Dataset.from_dict(data.to_dict()), data)


def test_simulations_can_be_put_together(escape):
    parts = [escape_dataset(escape("radial", seed=seed)) for seed in (1, 2)]
    both = xr.concat(parts, "path")
    steps = [escape_times(part).steps for part in parts]
    assert np.array_equal(escape_times(both).steps, np.concatenate(steps))


def runs(status, steps):
    shape = (1, 1, 2, len(status) // 2)
    values = {"escape_steps": np.reshape(steps, shape), "status": np.reshape(status, shape)}
    coords = {"eta": [1e-3], "batch_size": [32], "lam": [0.1, 0.2], "seed": range(shape[3])}
    return dataset(CELL, values, coords, {})


def test_runs_are_read_as_simulations_are():
    data = runs(
        [Status.HIT, Status.CENSORED, Status.HIT, Status.FAILED], [3.0, 9.0, -1.0, math.nan]
    )
    found = escape_times(data)
    assert found.n_paths == 4
    assert found.failed_fraction == 0.25
    assert escape_times(data.sel(lam=0.1)).mean.value == 6.0
    assert escape_times(data.sel(lam=0.2)).median == -1.0


def test_runs_that_are_not_there_are_left_out():
    data = runs([Status.HIT, Status.HIT, PENDING, PENDING], [3.0, 5.0, math.nan, math.nan])
    assert escape_times(data).n_paths == 2
    assert escape_times(data).mean.value == 4.0


# --- The schema -------------------------------------------------------------------------------


UNITS = {"1", "1/step", "steps", "nats", "nats^2", "nats^4"}


def test_every_variable_has_a_unit_and_a_meaning():
    assert {variable.units for variable in VARIABLES.values()} == UNITS
    assert all(variable.description.strip() for variable in VARIABLES.values())
    assert len({variable.description for variable in VARIABLES.values()}) == len(VARIABLES)


def test_variables_take_their_labels_from_the_schema():
    data = dataset(
        ("seed",), {"rho2": np.ones((2, 3))}, {"step": [0, 10, 20]}, {"b": 1, "a": "‖θ‖²"}
    )
    assert data["rho2"].dims == ("seed", "step")
    assert data["rho2"].attrs == {
        "units": VARIABLES["rho2"].units,
        "long_name": VARIABLES["rho2"].description,
    }
    assert data.attrs["provenance"] == '{"a": "‖θ‖²", "b": 1}'


def test_a_name_outside_the_schema_is_no_variable():
    with pytest.raises(KeyError, match="rho3"):
        dataset(("seed",), {"rho3": np.ones(2)}, {}, {})

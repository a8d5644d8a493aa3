"""Experiments: what they keep, what they refuse, and that they survive as JSON."""

import dataclasses
import json
import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sde_grok.checks import ParameterError
from sde_grok.networks.experiment import CHECKPOINTS, Experiment
from sde_grok.networks.presets import PRESETS

SMALL = {
    "task": "z7",
    "embedding": 8,
    "width": 6,
    "eta": (0.01,),
    "lam": (0.001,),
    "batch_size": (5,),
    "seeds": 2,
    "max_steps": 100,
    "eval_every": 10,
}


def experiment(**changes):
    return Experiment(**(SMALL | changes))


def round_trip(settings):
    return Experiment(**json.loads(json.dumps(settings.as_dict(), allow_nan=False)))


# --- What they keep ---------------------------------------------------------------------------

TUPLES = {
    "eta": st.floats(1e-6, 10),
    "lam": st.just(0.0) | st.floats(1e-30, 10),
    "batch_size": st.integers(0, 24),
    "noise_at": st.sampled_from(CHECKPOINTS),
}
VALUES = {
    "task": st.sampled_from(["z7", "z7-mul", "z7-div", "s4", "parity-7-3"]),
    "train_fraction": st.floats(0.6, 0.9),
    "model": st.sampled_from(["mlp", "transformer", "transformer-layernorm"]),
    "embedding": st.sampled_from([4, 8]),
    "width": st.integers(1, 64),
    "heads": st.sampled_from([1, 2, 4]),
    "init": st.sampled_from(["lecun", "glorot", "pytorch"]),
    "init_scale": st.floats(1e-3, 1e3),
    "optimizer": st.sampled_from(["adam", "sgd"]),
    "decay": st.sampled_from(["coupled", "decoupled"]),
    "sampling": st.sampled_from(["replacement", "epochs"]),
    "beta1": st.floats(0, 1, exclude_max=True),
    "beta2": st.floats(0, 1, exclude_max=True),
    "eps": st.floats(0, 1),
    "seeds": st.integers(1, 2**20),
    "seed": st.integers(0, 2**31),
    "eval_every": st.integers(1, 1000),
    "max_steps": st.integers(1000, 2**30),
    "train_accuracy": st.floats(0, 1, exclude_min=True),
    "test_accuracy": st.floats(0, 1, exclude_min=True),
    "hold": st.integers(1, 100),
    "noise_rank": st.integers(1, 16),
    "snapshot_every": st.just(0),
    "sketch": st.integers(0, 2**20),
    "precision": st.sampled_from(["single", "double"]),
    **{
        name: st.lists(values, min_size=name != "noise_at", max_size=3, unique=True).map(tuple)
        for name, values in TUPLES.items()
    },
}


@given(st.fixed_dictionaries(VALUES))
def test_an_experiment_keeps_what_it_is_given_and_survives_as_json(given_values):
    settings = Experiment(**given_values)
    assert dataclasses.asdict(settings) == given_values
    assert round_trip(settings) == settings
    assert hash(round_trip(settings)) == hash(settings)


def test_all_parameters_are_tried():
    assert set(VALUES) == {field.name for field in dataclasses.fields(Experiment)}


@pytest.mark.parametrize("name", PRESETS)
def test_presets_survive_as_json(name):
    assert round_trip(PRESETS[name]) == PRESETS[name]


@pytest.mark.parametrize("kind", [float, np.float64, np.array], ids=["float", "float64", "0-d"])
def test_a_scalar_is_an_axis_of_one(kind):
    settings = experiment(eta=kind(0.25), lam=kind(0.0))
    assert (settings.eta, settings.lam) == ((0.25,), (0.0,))


def test_other_axes_of_one_and_none():
    settings = experiment(batch_size=0, noise_at="grok")
    assert (settings.batch_size, settings.noise_at) == ((0,), ("grok",))
    assert experiment(noise_at=[]).noise_at == ()


def test_axes_are_tuples_of_plain_numbers_in_the_order_given():
    settings = experiment(eta=np.array([0.5, 0.25], np.float32), batch_size=range(4, 0, -1))
    assert settings.eta == (0.5, 0.25)
    assert settings.batch_size == (4, 3, 2, 1)
    assert {type(x) for x in settings.eta} == {float}
    assert {type(b) for b in settings.batch_size} == {int}


NUMPY = {
    "train_fraction": np.float32(0.5),
    "embedding": np.int64(8),
    "width": np.uint8(6),
    "init_scale": np.float32(1.0),
    "beta1": np.float32(0.5),
    "seeds": np.int32(2),
    "test_accuracy": np.float32(0.5),
    "noise_rank": np.int16(3),
}


@pytest.mark.parametrize("field", NUMPY)
def test_numbers_of_numpy_survive_as_json(field):
    settings = experiment(**{field: NUMPY[field]})
    assert round_trip(settings) == experiment(**{field: NUMPY[field].item()})


def test_sizes_that_follow():
    settings = experiment(task="z7", train_fraction=0.4, seed=5, seeds=3)
    assert settings.n_train == 20  # of 49: 19.6
    assert settings.all_seeds == range(5, 8)
    assert len(settings.table.targets) == 49
    assert dataclasses.asdict(settings.thresholds) == {
        "train_accuracy": 0.99,
        "test_accuracy": 0.95,
        "hold": 10,
    }


def test_an_experiment_is_frozen():
    with pytest.raises(dataclasses.FrozenInstanceError):
        experiment().width = 7


# --- What they refuse -------------------------------------------------------------------------

NOT_POSITIVE = [0, -1, math.nan, math.inf, "1", None, True]
NOT_COUNTS = [0, -1, 2.5, math.nan, "3", None, True]
NOT_PARTS = [-0.1, 1.0, math.nan, "0.5", None, True]
NOT_THRESHOLDS = [0, 1.1, math.nan, "0.5", None, True]
BAD = {
    "task": ["z1", "", "z59x", None, 7],
    "train_fraction": [0, 1, -0.5, 1.5, 0.03, 0.999, math.nan, "0.5", None, True],
    "model": ["MLP", "", None, 1],
    "embedding": [*NOT_COUNTS, 2**20 + 1],
    "width": [*NOT_COUNTS, 2**20 + 1],
    "heads": NOT_COUNTS,
    "init": ["he", "", None],
    "init_scale": NOT_POSITIVE,
    "optimizer": ["adamw", "Adam", None],
    "decay": ["", "l2", None],
    "eta": [*NOT_POSITIVE, 1e-60, 1e39, (), [], (0.1, 0.1), (0.1, 0), [0.1, "0.2"], "0.1", [[0.1]]],
    "lam": [1e-60, 1e39, -1, math.nan, math.inf, "1", None, True, (), (0.1, 0.2, 0.1), (0.0, -0.0)],
    "batch_size": [-1, 2.5, math.nan, "3", None, True, (), (5, 5), (5, 5.0), (5, -1), 2**20 + 1],
    "sampling": ["epoch", "", None],
    "beta1": NOT_PARTS,
    "beta2": NOT_PARTS,
    "eps": [-1e-9, math.nan, math.inf, "0", None, True],
    "seeds": [*NOT_COUNTS, 2**20 + 1],
    "seed": [-1, 2.5, math.nan, "3", None, True, 2**31 + 1],
    "max_steps": [*NOT_COUNTS, 9, 2**30 + 1],
    "eval_every": [*NOT_COUNTS, 2**30 + 1],
    "train_accuracy": NOT_THRESHOLDS,
    "test_accuracy": NOT_THRESHOLDS,
    "hold": NOT_COUNTS,
    "noise_at": ["start", ("init", "init"), ("init", 3), 1],
    "noise_rank": NOT_COUNTS,
    "snapshot_every": [-10, 5, 15, 2.5, math.nan, "10", None, True],
    "sketch": [-1, 2.5, math.nan, "3", None, True, 2**20 + 1],
    "precision": ["half", "float32", 64, None],
}


def refused(field, **changes):
    with pytest.raises(ParameterError) as error:
        experiment(**changes)
    assert error.value.field == field
    assert "\n" not in str(error.value)
    return str(error.value)


def test_every_parameter_is_checked():
    assert set(BAD) == {field.name for field in dataclasses.fields(Experiment)}


@pytest.mark.parametrize(
    ("field", "value"), [(field, value) for field, values in BAD.items() for value in values]
)
def test_bad_values_are_refused_by_name(field, value):
    assert refused(field, **{field: value}).startswith(f"{field} = ")


def test_batches_of_an_epoch_are_of_the_training_set():
    assert experiment(sampling="epochs", batch_size=24).batch_size == (24,)
    assert experiment(sampling="replacement", batch_size=25).batch_size == (25,)
    assert "<= 24" in refused("batch_size", sampling="epochs", batch_size=(5, 25))


@pytest.mark.parametrize("model", ["transformer", "transformer-layernorm"])
def test_heads_divide_the_embedding_of_a_transformer(model):
    assert experiment(model=model, heads=8).heads == 8
    assert "a divisor of embedding = 8" in refused("heads", model=model, heads=3)
    assert experiment(model="mlp", heads=3).heads == 3


def test_snapshots_are_taken_at_evaluations():
    assert experiment(snapshot_every=30).snapshot_every == 30
    assert "a multiple of eval_every = 10" in refused("snapshot_every", snapshot_every=25)


def test_there_are_no_more_eigenvalues_than_examples_allow():
    assert experiment(noise_at="end", noise_rank=23).noise_rank == 23
    assert "<= 23" in refused("noise_rank", noise_at="end", noise_rank=24)


def test_there_are_fewer_eigenvalues_than_parameters():
    """2 embeddings of 1, a hidden unit with 8 inputs, 2 outputs: d = 12, of which 11 are found."""
    tiny = {"task": "parity-8-2", "embedding": 1, "width": 1, "noise_at": "init"}
    assert experiment(**tiny, noise_rank=11).noise_rank == 11
    refused("noise_rank", **tiny, noise_rank=12)


@pytest.mark.parametrize(("n_train", "beyond"), [(2, 1.4), (48, 48.6)])
def test_smallest_training_and_test_sets(n_train, beyond):
    """Of the 49 examples, 2 at least are trained on and 1 is not."""
    settings = experiment(train_fraction=n_train / 49, noise_rank=1)
    assert settings.n_train == n_train
    assert "49 examples" in refused("train_fraction", train_fraction=beyond / 49)


def test_a_small_task_needs_no_rank_of_a_noise_that_is_not_measured():
    assert experiment(task="z3").n_train == 4

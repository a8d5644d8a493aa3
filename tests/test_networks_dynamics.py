"""Runs step by step: their start, their minibatches, and the optimizers against loops."""

from functools import cache, partial

import jax
import jax.numpy as jnp
import naive_networks
import numpy as np
import optax
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sde_grok.networks.batches import SAMPLERS
from sde_grok.networks.dynamics import advance, load, start
from sde_grok.networks.experiment import Experiment

QUICK = {"xla_backend_optimization_level": 0}  # compiling takes most of the time here
SEGMENT, SEGMENTS = 20, 3
STANDARD = {
    "task": "z7",
    "embedding": 4,
    "width": 6,
    "beta1": 0.8,
    "beta2": 0.95,
    "eps": 1e-3,
    "eta": 0.02,
    "lam": 0.05,
    "seeds": 1,
    "max_steps": SEGMENT,
    "eval_every": SEGMENT,
    "precision": "double",
}
CASES = {
    "Adam": {"batch_size": 5},
    "AdamW": {"decay": "decoupled", "batch_size": 7, "sampling": "epochs"},
    "SGD": {"optimizer": "sgd", "batch_size": 0},
    "SGD, decoupled": {
        "optimizer": "sgd",
        "decay": "decoupled",
        "batch_size": 6,
        "sampling": "epochs",
    },
}


@pytest.fixture(autouse=True, scope="module")
def double():
    with jax.enable_x64(True):
        yield


def begun(experiment, seed=0):
    return start(
        experiment, np.float64(experiment.eta[0]), np.float64(experiment.lam[0]), np.uint32(seed)
    )


@cache
def compiled(case):
    """The experiment, its table, and what advances it."""
    experiment = Experiment(**STANDARD, **CASES[case])
    step = partial(advance, experiment, experiment.batch_size[0])
    return experiment, load(experiment), jax.jit(step, compiler_options=QUICK)


def as_arrays(tree):
    return {name: np.asarray(w) for name, w in tree.items()}


def same_bits(a, b):
    return all(np.array_equal(a[name], b[name]) for name in a)


# --- Minibatches ------------------------------------------------------------------------------


@partial(jax.jit, static_argnums=(0, 3, 4), compiler_options=QUICK)
def drawn(sampling, key, steps, n, batch_size):
    return SAMPLERS[sampling](key, steps, n, batch_size)


def batches(sampling, n, batch_size, steps, seed=0):
    return np.asarray(drawn(sampling, jax.random.key(seed), steps, n, batch_size))


@settings(max_examples=20)
@given(
    st.sampled_from(sorted(SAMPLERS)),
    st.sampled_from([(2, 1, 3), (7, 7, 1), (24, 5, 6)]),
    st.integers(0, 2**20),
    st.integers(0, 2**31),
)
def test_batches_are_of_the_right_shape_and_range(sampling, sizes, first, seed):
    n, batch_size, count = sizes
    found = batches(sampling, n, batch_size, first + np.arange(count), seed)
    assert found.shape == (count, batch_size)
    assert np.all((found >= 0) & (found < n))
    if sampling == "epochs":
        assert all(len(set(batch)) == batch_size for batch in found.tolist())


@pytest.mark.parametrize("sampling", SAMPLERS)
@pytest.mark.parametrize(("n", "batch_size"), [(13, 4), (12, 12)])
def test_batches_do_not_depend_on_where_a_run_is_cut(sampling, n, batch_size):
    at_once = batches(sampling, n, batch_size, np.arange(39))
    cut = [batches(sampling, n, batch_size, part) for part in np.split(np.arange(39), 3)]
    assert np.array_equal(at_once, np.concatenate(cut))


@pytest.mark.parametrize("sampling", SAMPLERS)
def test_batches_depend_on_step_and_key(sampling):
    a, b = (batches(sampling, 12, 4, np.arange(39), seed) for seed in (0, 1))
    assert len({tuple(batch) for batch in a.tolist()}) == 39
    assert not np.array_equal(a, b)


@pytest.mark.parametrize("sampling", SAMPLERS)
def test_every_example_is_seen(sampling):
    """One of twelve is missed by 156 independent draws for one seed in 65 000."""
    seen = np.unique(batches(sampling, 12, 4, np.arange(39)))
    assert np.array_equal(seen, np.arange(12))


def test_an_epoch_sees_each_example_once_in_an_order_of_its_own():
    epochs = batches("epochs", 12, 4, np.arange(39)).reshape(13, 12)
    assert np.array_equal(np.sort(epochs, axis=1), np.tile(np.arange(12), (13, 1)))
    assert len({tuple(epoch) for epoch in epochs.tolist()}) == 13


def test_what_is_left_over_in_an_epoch_is_left_out_and_differs_from_epoch_to_epoch():
    epochs = batches("epochs", 13, 4, np.arange(39)).reshape(13, 12)
    left_out = [set(range(13)) - set(epoch) for epoch in epochs.tolist()]
    assert {len(left) for left in left_out} == {1}
    assert len(set.union(*left_out)) > 1


# --- Start ------------------------------------------------------------------------------------


def test_a_run_starts_at_rest():
    experiment, data, _ = compiled("Adam")
    member, state = begun(experiment)
    assert (int(state.step), int(state.diverged)) == (0, -1)
    assert (float(member.eta), float(member.lam)) == (0.02, 0.05)
    assert np.array_equal(np.sort(member.rows), np.arange(49))
    for name in ("mu", "nu"):
        assert not any(np.any(w) for w in optax.tree.get(state.optimizer, name).values())
    assert np.array_equal(data.inputs, experiment.table.inputs)
    assert np.array_equal(data.targets, experiment.table.targets)


def test_a_seed_means_the_same_in_every_cell():
    experiment, _, _ = compiled("Adam")
    here, there = (start(experiment, x, 2 * x, np.uint32(1)) for x in np.array([0.1, 0.2]))
    assert same_bits(here[1].params, there[1].params)
    assert np.array_equal(here[0].rows, there[0].rows)
    assert here[0].batches == there[0].batches


def test_other_seeds_mean_other_weights_subsets_and_batches():
    experiment, _, _ = compiled("Adam")
    (member_a, state_a), (member_b, state_b) = (begun(experiment, seed) for seed in (1, 2))
    assert not any(np.any(state_a.params[name] == w) for name, w in state_b.params.items())
    train_a, train_b = (set(m.rows[:24].tolist()) for m in (member_a, member_b))
    assert train_a != train_b
    assert member_a.batches != member_b.batches


@pytest.mark.parametrize(("precision", "dtype"), [("single", np.float32), ("double", np.float64)])
def test_all_floats_are_of_the_precision(precision, dtype):
    experiment = Experiment(**STANDARD | {"precision": precision}, batch_size=5)
    member, state = begun(experiment)
    floats = [x for x in jax.tree.leaves((member, state)) if jnp.issubdtype(x.dtype, np.floating)]
    assert len(floats) == 2 + 3 * 3
    assert {x.dtype for x in floats} == {np.dtype(dtype)}


# --- Steps ------------------------------------------------------------------------------------


def places(experiment, member, steps):
    """Training examples of each step, as `SAMPLERS` says; all of them if the batch is full."""
    n, (batch_size,) = experiment.n_train, experiment.batch_size
    if batch_size == 0:
        return np.tile(np.arange(n), (steps, 1))
    return np.asarray(drawn(experiment.sampling, member.batches, np.arange(steps), n, batch_size))


@pytest.mark.parametrize("case", CASES)
def test_steps_are_those_of_the_formulas_on_the_same_minibatches(case):
    experiment, data, advanced = compiled(case)
    member, state = begun(experiment)
    table, rows = experiment.table, np.asarray(member.rows)
    walker = naive_networks.at_rest(as_arrays(state.params))
    seen = places(experiment, member, SEGMENT * SEGMENTS)
    for segment in np.split(seen, SEGMENTS):
        for batch in rows[segment]:
            each = naive_networks.example_gradients(
                "mlp", walker.theta, table.inputs[batch], table.targets[batch]
            )
            gradient = naive_networks.mean(each)
            walker = naive_networks.step(experiment, 0.02, 0.05, walker, gradient)
        state = advanced(data, member, state)
        assert int(state.step) == walker.k
        assert int(state.diverged) == -1
        assert_close(state.params, walker.theta)
        if experiment.optimizer == "sgd":
            assert_close(optax.tree.get(state.optimizer, "trace"), walker.m)
        else:
            assert_close(optax.tree.get(state.optimizer, "mu"), walker.m)
            assert_close(optax.tree.get(state.optimizer, "nu"), walker.v)


def assert_close(found, expected):
    """To the rounding of 60 steps, in units of the largest entry of each array."""
    for name, array in expected.items():
        assert found[name] == pytest.approx(array, rel=0, abs=1e-13 * np.max(np.abs(array))), name


@pytest.mark.parametrize("case", ["Adam", "SGD"])
def test_rate_and_shrinkage_are_those_of_the_member(case):
    experiment, data, advanced = compiled(case)
    member, state = begun(experiment)
    still = advanced(data, member._replace(eta=np.float64(0.0)), state)
    assert same_bits(still.params, state.params)
    plain = advanced(data, member, state)
    shrunk = advanced(data, member._replace(lam=np.float64(0.5)), state)
    assert naive_networks.norm(shrunk.params) < naive_networks.norm(plain.params)


def test_steps_of_the_full_batch_have_no_noise_at_all():
    experiment, data, advanced = compiled("SGD")
    member, state = begun(experiment)
    other = member._replace(batches=jax.random.key(99))
    assert same_bits(advanced(data, member, state).params, advanced(data, other, state).params)


def test_steps_of_minibatches_have_noise():
    experiment, data, advanced = compiled("SGD, decoupled")
    member, state = begun(experiment)
    other = member._replace(batches=jax.random.key(99))
    assert not same_bits(advanced(data, member, state).params, advanced(data, other, state).params)


def test_examples_for_testing_do_not_move_the_weights():
    experiment, data, advanced = compiled("SGD")
    member, state = begun(experiment)
    n, rows = experiment.n_train, np.asarray(member.rows)
    wrong = np.array(data.targets)
    wrong[rows[n:]] = (wrong[rows[n:]] + 1) % 7
    moved = advanced(data._replace(targets=jnp.asarray(wrong)), member, state)
    assert same_bits(moved.params, advanced(data, member, state).params)


def test_a_loss_that_is_not_finite_is_marked_with_its_first_step():
    """At this rate the weights overflow in the first step, which the loss of the second sees."""
    experiment, data, advanced = compiled("SGD")
    member, state = begun(experiment)
    state = advanced(data, member._replace(eta=np.float64(1e300)), state)
    assert int(state.diverged) == 1
    state = advanced(data, member, state)
    assert (int(state.diverged), int(state.step)) == (1, 2 * SEGMENT)
    late = state._replace(diverged=jnp.array(-1, jnp.int32))
    assert int(advanced(data, member, late).diverged) == 2 * SEGMENT

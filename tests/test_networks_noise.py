"""Gradient noise: its spectrum against the dense covariance, and that of minibatches against Σ."""

import math
from functools import cache, partial

import jax
import jax.numpy as jnp
import naive_networks
import numpy as np
import pytest
import stats_tools
from scipy.stats import f as f_distribution

from sde_grok.networks.batches import SAMPLERS, noise_factor
from sde_grok.networks.gradient_noise import PROBES, covariance_product, gradient_noise
from sde_grok.networks.models import MODELS
from sde_grok.networks.tasks import task_table

MLP = MODELS["mlp"]
P, EMBEDDING, WIDTH = 11, 4, 6
N, FEW = 60, 12  # examples; each number of them is compiled for
QUICK = {"xla_backend_optimization_level": 0}  # compiling takes most of the time here
CLOSE = 1e-3  # relative: what the iteration is asked for


@pytest.fixture(autouse=True, scope="module")
def double():
    with jax.enable_x64(True):
        yield


def weights(scale=1.0):
    rng = np.random.default_rng(1)
    shapes = {
        "embedding": (P, EMBEDDING),
        "hidden": (2 * EMBEDDING, WIDTH),
        "readout": (WIDTH, P),
    }
    return {name: scale * rng.standard_normal(shape) for name, shape in shapes.items()}


def examples(n=N):
    """n examples of the table at random."""
    table = task_table(f"z{P}")
    rows = np.random.default_rng(2).permutation(P * P)[:n]
    return table.inputs[rows], table.targets[rows]


def dense(theta, x, y):
    """Σ and ∇L from the gradients of all examples."""
    G = naive_networks.gradient_matrix(naive_networks.example_gradients("mlp", theta, x, y))
    return naive_networks.covariance(G), G.mean(axis=0)


def measured(theta, x, y, rank, dtype=np.float64, seed=0):
    params = {name: jnp.asarray(w, dtype) for name, w in theta.items()}
    return gradient_noise(MLP, params, jnp.asarray(x), jnp.asarray(y), rank=rank, seed=seed)


@cache
def typical():
    theta, (x, y) = weights(), examples()
    return *dense(theta, x, y), measured(theta, x, y, rank=8)


# --- Spectrum ---------------------------------------------------------------------------------


def test_product_with_the_covariance_is_that_of_the_matrix():
    theta, (x, y) = weights(), examples(FEW)
    covariance, _ = dense(theta, x, y)
    params = {name: jnp.asarray(w) for name, w in theta.items()}
    product = partial(covariance_product, MLP, params, jnp.asarray(x), jnp.asarray(y))
    columns = np.array([product(e) for e in np.eye(len(covariance))])
    assert columns == pytest.approx(covariance, rel=0, abs=1e-14 * np.max(covariance))


def test_largest_eigenvalues_are_those_of_the_matrix():
    covariance, _, noise = typical()
    expected = np.linalg.eigvalsh(covariance)[:-9:-1]
    assert noise.eigenvalues == pytest.approx(expected, rel=CLOSE)


def test_sums_over_the_diagonal_and_the_signal_are_exact():
    covariance, gradient, noise = typical()
    assert noise.total == pytest.approx(np.trace(covariance), rel=1e-13)
    assert noise.diagonal_square == pytest.approx(np.sum(np.diag(covariance) ** 2), rel=1e-13)
    assert noise.signal == pytest.approx(gradient @ gradient, rel=1e-13)


@pytest.mark.parametrize("rank", [1, 8])
def test_sum_of_squares_is_within_five_standard_errors(rank):
    covariance, _, noise = typical()
    if rank != 8:
        noise = measured(weights(), *examples(), rank=rank)
    square = np.sum(covariance**2)
    assert abs(noise.square - square) < 5 * noise.square_stderr
    assert 0 < noise.square_stderr < (0.2 if rank == 1 else 0.02) * square


@pytest.mark.statistical
def test_standard_error_is_that_of_other_seeds():
    """Two estimates of a variance, from 8 seeds and from 32 probes of each: F-distributed."""
    theta, (x, y) = weights(), examples(FEW)
    noises = [measured(theta, x, y, rank=2, seed=seed) for seed in range(8)]
    spread = np.var([noise.square for noise in noises], ddof=1)
    ratio = spread / np.mean([noise.square_stderr**2 for noise in noises])
    law = f_distribution(7, 8 * (PROBES - 1))
    p = float(2 * min(law.cdf(ratio), law.sf(ratio)))
    stats_tools.check_p("standard error of tr Σ²", p)


def test_nothing_is_random_once_the_whole_range_is_known():
    """The rank of Σ is one less than the number of examples."""
    theta, (x, y) = weights(), examples(FEW)
    covariance, _ = dense(theta, x, y)
    noise = measured(theta, x, y, rank=FEW - 1)
    assert noise.square == pytest.approx(np.sum(covariance**2), rel=1e-10)
    assert noise.square_stderr < 1e-10 * noise.square
    assert np.sum(noise.eigenvalues) == pytest.approx(noise.total, rel=1e-10)


def test_eigenvalues_beyond_the_rank_are_zero():
    """Four examples, three times each: Σ has rank 3."""
    theta, (x, y) = weights(), examples(4)
    x, y = np.tile(x, (FEW // 4, 1)), np.tile(y, FEW // 4)
    covariance, _ = dense(theta, x, y)
    noise = measured(theta, x, y, rank=6)
    expected = np.linalg.eigvalsh(covariance)[:-7:-1]
    assert noise.eigenvalues == pytest.approx(expected, rel=CLOSE, abs=1e-12 * expected[0])
    assert noise.square == pytest.approx(np.sum(covariance**2), rel=1e-10)


@pytest.mark.parametrize("scale", [1e-1, 1e-4])
def test_eigenvalues_of_a_small_network_are_as_close_as_those_of_a_large_one(scale):
    theta, (x, y) = weights(scale), examples()
    covariance, _ = dense(theta, x, y)
    noise = measured(theta, x, y, rank=8)
    expected = np.linalg.eigvalsh(covariance)[:-9:-1]
    assert noise.eigenvalues == pytest.approx(expected, rel=CLOSE, abs=0)
    assert noise.total == pytest.approx(np.trace(covariance), rel=1e-12, abs=0)


def test_without_noise_all_of_it_is_zero():
    """θ = 0: no example has a gradient."""
    noise = measured(weights(0.0), *examples(FEW), rank=3)
    assert np.array_equal(noise.eigenvalues, np.zeros(3))
    assert noise[1:] == (0, 0, 0, 0, 0)


def test_single_precision_is_that_of_the_floats():
    theta, (x, y) = weights(), examples(FEW)
    exact = measured(theta, x, y, rank=4)
    with jax.enable_x64(False):
        noise = measured(theta, x, y, rank=4, dtype=np.float32)
    assert noise.eigenvalues == pytest.approx(exact.eigenvalues, rel=CLOSE)
    assert noise[1:] == pytest.approx(exact[1:], rel=1e-5)  # the same probes


def test_the_same_seed_gives_the_same_bits():
    a, b = (measured(weights(), *examples(FEW), rank=2, seed=4) for _ in range(2))
    assert np.array_equal(a.eigenvalues, b.eigenvalues)
    assert a[1:] == b[1:]


# --- Minibatches ------------------------------------------------------------------------------

TRAIN, BATCH, EPOCHS = 24, 5, 4000
PER_EPOCH = TRAIN // BATCH


@cache
def deviations(sampling):
    """(epochs, batches an epoch, d): minibatch gradients minus ∇L."""
    theta, (x, y) = weights(), examples(TRAIN)
    G = naive_networks.gradient_matrix(naive_networks.example_gradients("mlp", theta, x, y))
    draw = jax.jit(partial(SAMPLERS[sampling], n=TRAIN, batch_size=BATCH), compiler_options=QUICK)
    batches = np.asarray(draw(jax.random.key(7), jnp.arange(EPOCHS * PER_EPOCH)))
    # A batch's gradient as its counts of the examples, times their gradients.
    counts = np.zeros((len(batches), TRAIN))
    np.add.at(counts, (np.arange(len(batches))[:, None], batches), 1 / BATCH)
    return (counts @ (G - G.mean(axis=0))).reshape(EPOCHS, PER_EPOCH, -1)


@pytest.mark.statistical
@pytest.mark.parametrize("sampling", SAMPLERS)
@pytest.mark.parametrize("what", ["trace", "leading direction"])
def test_covariance_of_minibatches_is_the_stated_part_of_sigma(sampling, what):
    """Batches of one epoch depend on each other: the error is that of the epochs' means."""
    covariance, _ = dense(weights(), *examples(TRAIN))
    off = deviations(sampling)
    if what == "trace":
        square, whole = np.sum(off**2, axis=2), np.trace(covariance)
    else:
        values, vectors = np.linalg.eigh(covariance)
        square, whole = (off @ vectors[:, -1]) ** 2, values[-1]
    by_epoch = square.mean(axis=1)
    stderr = np.std(by_epoch) / math.sqrt(EPOCHS)
    expected = noise_factor(sampling, TRAIN, BATCH) * whole
    stats_tools.check_z(f"minibatches, {sampling}, {what}", by_epoch.mean(), stderr, expected)


def test_so_many_minibatches_tell_the_two_kinds_apart():
    with_replacement, by_epochs = (
        np.sum(deviations(sampling) ** 2, axis=2).mean() for sampling in ("replacement", "epochs")
    )
    assert by_epochs < 0.9 * with_replacement


def test_a_batch_of_all_examples_is_all_of_them_in_another_order():
    draw = jax.jit(partial(SAMPLERS["epochs"], n=TRAIN, batch_size=TRAIN), compiler_options=QUICK)
    batches = np.asarray(draw(jax.random.key(3), jnp.arange(50)))
    assert np.array_equal(np.sort(batches, axis=1), np.tile(np.arange(TRAIN), (50, 1)))
    assert noise_factor("epochs", TRAIN, TRAIN) == 0

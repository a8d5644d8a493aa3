"""Networks and their initial weights: logits, gradients and mean squares against loops."""

import math
from functools import cache, partial

import jax
import jax.numpy as jnp
import naive_networks
import numpy as np
import pytest
import stats_tools
from scipy.stats import chi2

from sde_grok.laws import init_shell_mean, init_shell_sd
from sde_grok.networks.dynamics import start
from sde_grok.networks.experiment import Experiment
from sde_grok.networks.initializers import INITIALIZERS
from sde_grok.networks.models import MODELS, cross_entropy
from sde_grok.networks.models.model import CHUNK, mean_square_by_example
from sde_grok.networks.tasks import task_table

P, EMBEDDING, WIDTH, HEADS = 7, 4, 6, 2
FEW = 6  # examples
QUICK = {"xla_backend_optimization_level": 0}  # compiling takes most of the time here
ROUNDING = 1e-13  # of sums of some tens of terms


@pytest.fixture(autouse=True, scope="module")
def double():
    with jax.enable_x64(True):
        yield


def experiment(**changes):
    standard = {
        "task": f"z{P}",
        "embedding": EMBEDDING,
        "width": WIDTH,
        "heads": HEADS,
        "eta": 0.01,
        "lam": 0.001,
        "batch_size": 5,
        "seeds": 1,
        "max_steps": 10,
        "eval_every": 10,
        "precision": "double",
    }
    return Experiment(**(standard | changes))


def weights(model, seed=0, tokens=2, vocabulary=P, classes=P):
    """Random entries of order 1 in every array, the scales of LayerNorm among them."""
    shapes = jax.eval_shape(
        lambda key: MODELS[model].init(
            key, vocabulary, tokens, classes, experiment(), INITIALIZERS["lecun"]
        ),
        jax.random.key(0),
    )
    rng = np.random.default_rng(seed)
    return {name: rng.standard_normal(w.shape) for name, w in shapes.items()}


def examples(n, seed=0):
    """n examples of the table in random order, the last with x = y."""
    table = task_table(f"z{P}")
    order = np.random.default_rng(seed).permutation(len(table.targets))
    twins = table.inputs[order, 0] == table.inputs[order, 1]
    rows = np.append(order[: n - 1], order[twins][-1])
    return table.inputs[rows], table.targets[rows]


def assert_same(found, expected, rel=ROUNDING):
    """Equal arrays by name, to a part of the largest entry of each."""
    assert set(found) == set(expected)
    for name, array in expected.items():
        assert found[name].shape == array.shape
        assert found[name] == pytest.approx(array, rel=0, abs=rel * np.max(np.abs(array))), name


@cache
def compiled(name):
    """(θ, x, y) ↦ logits, loss, its gradient, mean square of the examples' gradients."""
    model = MODELS[name]

    def loss(theta, x, y):
        return cross_entropy(model.logits(theta, x), y)

    return jax.jit(
        lambda theta, x, y: (
            model.logits(theta, x),
            *jax.value_and_grad(loss)(theta, x, y),
            model.mean_square(theta, x, y),
        ),
        compiler_options=QUICK,
    )


# --- Networks ---------------------------------------------------------------------------------


def test_the_two_references_for_gradients_agree():
    theta, (x, y) = weights("mlp"), examples(3)
    for x_i, y_i in zip(x, y, strict=True):
        by_hand = naive_networks.mlp_gradient(theta, x_i, y_i)
        by_steps = naive_networks.complex_step(
            lambda t, x_i=x_i, y_i=y_i: naive_networks.cross_entropy(
                naive_networks.mlp_logits(t, x_i), y_i
            ),
            theta,
        )
        assert_same(by_steps, by_hand)


@pytest.mark.parametrize("model", MODELS)
def test_logits_and_loss_are_those_of_loops_over_examples_heads_and_positions(model):
    theta, (x, y) = weights(model), examples(FEW)
    logits, loss, *_ = compiled(model)(theta, x, y)
    expected = np.array([naive_networks.NETWORKS[model].logits(theta, x_i) for x_i in x])
    assert logits.dtype == np.float64
    assert_same({"logits": logits}, {"logits": expected})
    assert float(loss) == pytest.approx(naive_networks.loss(model, theta, x, y), rel=ROUNDING)


@pytest.mark.parametrize("model", MODELS)
def test_gradient_is_the_mean_of_the_examples_gradients(model):
    theta, (x, y) = weights(model), examples(FEW)
    _, _, gradient, _ = compiled(model)(theta, x, y)
    each = naive_networks.example_gradients(model, theta, x, y)
    assert_same(gradient, naive_networks.mean(each))


@pytest.mark.parametrize("model", ["mlp", "transformer"])
def test_unnormalised_networks_know_only_the_size_of_what_they_read(model):
    """Twice the readout is twice the logits; the MLP is homogeneous of degree 3."""
    theta, (x, _) = weights(model), examples(5)
    logits = MODELS[model].logits
    doubled = logits({**theta, "readout": 2 * theta["readout"]}, x)
    assert np.array_equal(doubled, 2 * logits(theta, x))
    if model == "mlp":
        scaled = logits({name: 2 * w for name, w in theta.items()}, x)
        assert np.array_equal(scaled, 8 * logits(theta, x))


def test_a_mean_loss_does_not_overflow():
    logits = jnp.array([[1e4, 0.0], [0.0, 1e4]])
    assert cross_entropy(logits, jnp.array([0, 0])) == pytest.approx(5e3)


# --- Mean squares -----------------------------------------------------------------------------


@pytest.mark.parametrize("model", MODELS)
def test_mean_square_is_that_of_the_examples_gradients(model):
    """The last example has the same token twice."""
    theta, (x, y) = weights(model), examples(FEW)
    *_, square = compiled(model)(theta, x, y)
    each = naive_networks.example_gradients(model, theta, x, y)
    assert_same(square, naive_networks.mean_square(each))


def test_mean_square_of_one_example_is_its_gradient_squared():
    theta, (x, y) = weights("mlp"), examples(1)
    assert x[0, 0] == x[0, 1]
    _, _, gradient, square = compiled("mlp")(theta, x, y)
    assert_same(square, naive_networks.mapped(np.square, gradient))


def test_mean_square_where_all_tokens_are_of_two_kinds():
    table = task_table("parity-5-2")
    theta = weights("mlp", tokens=5, vocabulary=2, classes=2)
    x, y = table.inputs, table.targets
    *_, square = compiled("mlp")(theta, x, y)
    each = naive_networks.example_gradients("mlp", theta, x, y)
    assert_same(square, naive_networks.mean_square(each))


@pytest.mark.parametrize("n", [FEW, CHUNK, CHUNK + 3])
def test_mean_square_example_by_example_is_that_by_formula(n):
    """Whatever of the last chunk is filled up with examples that do not count."""
    theta, (x, y) = weights("mlp"), examples(n)
    square = partial(mean_square_by_example, MODELS["mlp"].logits)
    by_example = jax.jit(square, compiler_options=QUICK)(theta, x, y)
    each = naive_networks.example_gradients("mlp", theta, x, y)
    assert_same(by_example, naive_networks.mean_square(each))


# --- Initial weights --------------------------------------------------------------------------


def drawn(settings):
    """Seed ↦ initial weights before they are scaled."""
    table, model = task_table(settings.task), MODELS[settings.model]
    shapes = (table.vocabulary, table.inputs.shape[1], table.classes, settings)
    draw = INITIALIZERS[settings.init]
    return lambda seed: model.init(jax.random.key(seed), *shapes, draw)


SHAPE = (200, 300)
VARIANCES = {
    "lecun": (1 / 300, 1 / 200, "normal", "normal"),
    "glorot": (2 / 500, 2 / 500, "uniform", "uniform"),
    "pytorch": (1.0, 1 / 600, "normal", "uniform"),
}
FOURTH_MOMENT = {"normal": 3.0, "uniform": 1.8}


@pytest.mark.statistical
@pytest.mark.parametrize("name", INITIALIZERS)
def test_mean_and_variance_of_initial_entries(name):
    """Four sums of 60 000 independent entries, each normal: their squares together are χ²₄."""
    table, matrix, *laws = VARIANCES[name]
    squares = 0.0
    for draw, variance, law in zip(INITIALIZERS[name], (table, matrix), laws, strict=True):
        w = np.ravel(draw(jax.random.key(1), SHAPE)) / math.sqrt(variance)
        squares += w.size * np.mean(w) ** 2
        squares += w.size * np.mean(w**2 - 1) ** 2 / (FOURTH_MOMENT[law] - 1)
        largest = np.max(np.abs(w))
        assert largest <= math.sqrt(3) if law == "uniform" else largest > 4
    stats_tools.check_p(f"initial entries, {name}", float(chi2.sf(squares, 4)))


@pytest.mark.statistical
def test_lecun_networks_start_in_the_shell_of_the_theory():
    """Each embedding and each neuron, of the hidden layer and of the readout, is a sub-vector."""
    settings = experiment(task="z31", embedding=8, width=16)
    sizes = np.repeat([8, 16, 16], [31, 16, 31])
    theta = jax.jit(jax.vmap(drawn(settings)), compiler_options=QUICK)(jnp.arange(200))
    rho2 = sum(np.sum(np.asarray(w) ** 2, axis=(1, 2)) for w in theta.values())
    mean, sd = init_shell_mean(sizes, 1 / sizes), init_shell_sd(sizes, 1 / sizes)
    assert mean == pytest.approx(31 + 16 + 31)
    stats_tools.check_z("LeCun shell, mean", np.mean(rho2), sd / math.sqrt(200), mean)
    square = (rho2 - mean) ** 2
    stderr = np.std(square) / math.sqrt(200)
    stats_tools.check_z("LeCun shell, variance", np.mean(square), stderr, sd**2)


def test_init_scale_multiplies_all_weights():
    theta = {}
    for scale in (1.0, 4.0):
        settings = experiment(init="pytorch", init_scale=scale)
        _, state = start(settings, np.float64(0.01), np.float64(0.0), np.uint32(3))
        theta[scale] = state.params
    for name, w in theta[1.0].items():
        assert np.all(w)
        assert np.array_equal(theta[4.0][name], 4 * w)


def test_no_two_arrays_start_with_the_same_numbers_but_scales_which_are_one():
    settings = experiment(model="transformer-layernorm", embedding=8, width=8)
    theta = jax.jit(drawn(settings), compiler_options=QUICK)(0)
    scales = {name: theta.pop(name) for name in list(theta) if name.startswith("norm")}
    assert set(scales) == {"norm_attention", "norm_network", "norm_readout"}
    assert np.array_equal([*scales.values()], np.ones((3, 8)))
    alike = {name for name, w in theta.items() if w.size == 64}
    assert alike == {"embedding", "query", "key", "value", "output", "hidden", "back"}
    assert len({float(np.sum(w**2)) for w in theta.values()}) == len(theta)

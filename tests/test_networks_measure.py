"""What is measured at an evaluation: every number from its definition, and what they mean."""

from functools import cache, partial

import jax
import jax.numpy as jnp
import naive_networks
import numpy as np
import optax
import pytest

from sde_grok.networks.batches import noise_factor
from sde_grok.networks.dynamics import Member, State, load
from sde_grok.networks.experiment import Experiment
from sde_grok.networks.initializers import INITIALIZERS
from sde_grok.networks.measure import measure
from sde_grok.networks.models import MODELS
from sde_grok.networks.optimizers import transformation
from sde_grok.networks.store import dimensions

QUICK = {"xla_backend_optimization_level": 0}  # compiling takes most of the time here
ETA, LAM, STEP = 0.02, 0.05, 7
DIM = 7 * 4 + 8 * 6 + 6 * 7  # of the MLP
STANDARD = {
    "task": "z7",
    "embedding": 4,
    "width": 6,
    "heads": 2,
    "beta1": 0.8,
    "beta2": 0.95,
    "eps": 1e-3,
    "eta": ETA,
    "lam": LAM,
    "seeds": 1,
    "max_steps": 10,
    "eval_every": 10,
    "noise_rank": 1,
    "precision": "double",
}
CASES = {
    "Adam": {"batch_size": 5},
    "AdamW": {"decay": "decoupled", "batch_size": 6, "sampling": "epochs"},
    "Adam, full batch": {"batch_size": 0},
    "Adam, one example": {"beta1": 0.0, "beta2": 0.999, "batch_size": 1},
    "SGD, one example": {"optimizer": "sgd", "beta1": 0.0, "batch_size": 1},
    "SGD, decoupled": {
        "optimizer": "sgd",
        "decay": "decoupled",
        "batch_size": 6,
        "sampling": "epochs",
    },
    "transformer": {
        "model": "transformer",
        "task": "z3",
        "train_fraction": 0.7,
        "batch_size": 4,
        "sampling": "epochs",
    },
}
MOVES = {"shrinkage_pull", "loss_push", "noise_push"}
UNDEFINED_AT_START = {
    "Adam": {"m_deviation", "v_deviation"},
    "AdamW": {"m_deviation", "v_deviation", "noise_push"},  # by epochs
    "SGD, decoupled": {"m_deviation", "v_deviation", "mean_sqrt_v", "noise_push"},
}


@pytest.fixture(autouse=True, scope="module")
def double():
    with jax.enable_x64(True):
        yield


@cache
def compiled(case, precision="double"):
    """The experiment, and (member, state) ↦ what is measured, as NumPy arrays."""
    experiment = Experiment(**STANDARD | CASES[case] | {"precision": precision})
    look = jax.jit(partial(measure, experiment, experiment.batch_size[0]), compiler_options=QUICK)
    data = load(experiment)
    return experiment, lambda member, state: jax.tree.map(np.asarray, look(data, member, state))


def somewhere(experiment):
    """Random θ and moments after a few steps."""
    table, rng = experiment.table, np.random.default_rng(5)
    shapes = jax.eval_shape(
        lambda key: MODELS[experiment.model].init(
            key,
            table.vocabulary,
            table.inputs.shape[1],
            table.classes,
            experiment,
            INITIALIZERS["lecun"],
        ),
        jax.random.key(0),
    )
    theta, m = ({n: rng.standard_normal(w.shape) for n, w in shapes.items()} for _ in range(2))
    v = {name: rng.exponential(size=w.shape) for name, w in shapes.items()}
    return naive_networks.Walker(STEP, theta, m, v)


def network(experiment, walker, dtype=np.float64):
    """The same as a member of the grid and its state."""
    theta, m, v = ({name: jnp.asarray(w, dtype) for name, w in tree.items()} for tree in walker[1:])
    member = Member(
        jnp.array(ETA, dtype),
        jnp.array(LAM, dtype),
        jax.random.key(0),
        jnp.asarray(np.random.default_rng(6).permutation(len(experiment.table.targets))),
    )
    moments = {"trace": m} if experiment.optimizer == "sgd" else {"mu": m, "nu": v}
    optimizer = optax.tree.set(transformation(experiment, ETA, LAM).init(theta), **moments)
    return member, State(jnp.array(walker.k, jnp.int32), theta, optimizer, jnp.array(-1))


def split(experiment, member):
    """Training and test set, each (inputs, targets)."""
    table, n = experiment.table, experiment.n_train
    rows = np.asarray(member.rows)
    return [(table.inputs[part], table.targets[part]) for part in (rows[:n], rows[n:])]


def naive(experiment, walker, member):
    batch_size = experiment.batch_size[0]
    return naive_networks.measured(
        experiment, ETA, LAM, batch_size, walker, *split(experiment, member)
    )


# --- Definitions ------------------------------------------------------------------------------


@pytest.mark.parametrize("case", CASES)
def test_every_number_is_that_of_its_definition(case):
    experiment, look = compiled(case)
    walker = somewhere(experiment)
    member, state = network(experiment, walker)
    found, expected = look(member, state)._asdict(), naive(experiment, walker, member)
    assert set(found) == set(expected)
    for name, value in expected.items():
        assert found[name] == pytest.approx(value, rel=1e-12, abs=0, nan_ok=True), name


def test_numbers_in_single_precision_are_those_in_double():
    experiment, _ = compiled("AdamW")
    walker = somewhere(experiment)
    member, _ = network(experiment, walker)
    expected = naive(experiment, walker, member)
    with jax.enable_x64(False):
        experiment, look = compiled("AdamW", "single")
        found = look(*network(experiment, walker, np.float32))._asdict()
    for name, value in expected.items():
        counted = name.endswith("_right")
        assert found[name].dtype == (np.int32 if counted else np.float32)
        assert found[name] == pytest.approx(value, rel=1e-5, nan_ok=True), name


def test_layers_are_in_the_order_of_the_names_that_are_kept_with_them():
    experiment, look = compiled("transformer")
    walker = somewhere(experiment)
    layers = dimensions(experiment)["layer"]
    found = look(*network(experiment, walker)).rho2_layer
    assert set(layers) == set(walker.theta)
    for name, rho2 in zip(layers, found, strict=True):
        assert rho2 == pytest.approx(np.sum(walker.theta[name] ** 2), rel=1e-12)


@pytest.mark.parametrize("case", UNDEFINED_AT_START)
def test_only_what_there_is_not_at_the_start_is_nan(case):
    experiment, look = compiled(case)
    walker = naive_networks.at_rest(somewhere(experiment).theta)
    found = look(*network(experiment, walker))
    undefined = {name for name, x in found._asdict().items() if not np.all(np.isfinite(x))}
    assert undefined == UNDEFINED_AT_START[case]
    assert all(np.isnan(getattr(found, name)) for name in undefined)


@pytest.mark.parametrize("batch_size", [1, 5, 24, 100])
def test_covariance_of_a_batch_with_replacement_is_that_of_independent_examples(batch_size):
    assert noise_factor("replacement", 24, batch_size) == 1 / batch_size


def test_covariance_of_a_batch_from_an_epoch_ends_at_the_full_batch():
    factors = [noise_factor("epochs", 24, b) for b in range(1, 25)]
    assert factors[0] == 1  # one example is one example
    assert factors[-1] == 0
    assert factors == pytest.approx([(24 - b) / (23 * b) for b in range(1, 25)])


# --- Meaning ----------------------------------------------------------------------------------


def test_pull_and_pushes_are_the_mean_change_of_rho2_over_all_batches():
    """SGD: E ‖θ − η(g + λθ)‖² − ‖θ‖² is their sum and η²‖h‖², exactly; batches of one example."""
    experiment, look = compiled("SGD, one example")
    walker = somewhere(experiment)
    member, state = network(experiment, walker)
    train, _ = split(experiment, member)
    change = [
        naive_networks.norm(naive_networks.step(experiment, ETA, LAM, walker, g).theta) ** 2
        - naive_networks.norm(walker.theta) ** 2
        for g in naive_networks.example_gradients("mlp", walker.theta, *train)
    ]
    found = look(member, state)
    balance = found.shrinkage_pull + found.loss_push + found.noise_push
    assert balance + ETA**2 * found.gradient_norm2 == pytest.approx(np.mean(change), rel=1e-11)


def changes_of_adam(v_of_mean_square):
    """What is measured where v is some function of E g², and Δρ² by each batch of one example."""
    experiment, look = compiled("Adam, one example")
    walker = somewhere(experiment)
    member, _ = network(experiment, walker)
    train, _ = split(experiment, member)
    each = naive_networks.example_gradients("mlp", walker.theta, *train)
    mean_g2 = naive_networks.mapped(lambda *g: np.mean(np.array(g) ** 2, axis=0), *each)
    m = naive_networks.mapped(np.zeros_like, walker.m)
    walker = walker._replace(k=10**5, m=m, v=naive_networks.mapped(v_of_mean_square, mean_g2))
    before = naive_networks.norm(walker.theta) ** 2
    after = [naive_networks.step(experiment, ETA, LAM, walker, g).theta for g in each]
    change = [naive_networks.norm(theta) ** 2 - before for theta in after]
    return look(*network(experiment, walker)), np.mean(change)


def test_pull_and_pushes_of_adam_are_its_mean_change_of_rho2():
    """Batches of one example; left out are η² Σ h²/P², between 0 and η² d, and terms ∝ 1 − β₂."""
    found, change = changes_of_adam(lambda g2: g2)
    rest = change - found.shrinkage_pull - found.loss_push - found.noise_push
    assert found.noise_push > 0.5 * ETA**2 * DIM  # most of E g² is noise
    assert -0.02 * found.noise_push < rest < ETA**2 * DIM - 0.9 * found.noise_push


def test_parameters_that_v_has_not_seen_do_not_move_by_a_step_over_eps():
    found, change = changes_of_adam(np.zeros_like)
    largest = ETA**2 * DIM / (1 - 0.999)
    assert 0 < found.noise_push < largest
    assert abs(change) < largest


def test_moments_that_are_what_they_estimate_deviate_by_nothing():
    experiment, look = compiled("AdamW")
    walker = somewhere(experiment)
    member, _ = network(experiment, walker)
    train, _ = split(experiment, member)
    each = naive_networks.example_gradients("mlp", walker.theta, *train)
    gradient, n = naive_networks.mean(each), len(each)
    variance = naive_networks.mapped(lambda *g: np.var(np.array(g), axis=0), *each)
    c = (n - 6) / (6 * (n - 1))
    m = naive_networks.mapped(lambda g: (1 - 0.8**STEP) * g, gradient)
    v = naive_networks.mapped(lambda g, s: (1 - 0.95**STEP) * (g**2 + c * s), gradient, variance)
    found = look(*network(experiment, walker._replace(m=m, v=v)))
    assert found.m_deviation < 1e-14
    assert found.v_deviation < 1e-14


def test_the_full_batch_has_no_noise_at_all():
    experiment, look = compiled("Adam, full batch")
    found = look(*network(experiment, somewhere(experiment)))
    assert found.noise_push == 0
    assert found.noise_trace > 0


def test_where_all_examples_are_alike_there_is_no_noise():
    """θ = 0: no example has a gradient; the MLP is homogeneous of degree 3."""
    experiment, look = compiled("SGD, one example")
    nowhere = naive_networks.mapped(np.zeros_like, somewhere(experiment).theta)
    found = look(*network(experiment, naive_networks.at_rest(nowhere)))
    assert found.train_loss == pytest.approx(np.log(7), rel=1e-14)
    moves = [getattr(found, name) for name in (*MOVES, "noise_trace", "gradient_norm2", "rho2")]
    assert moves == [0] * 6

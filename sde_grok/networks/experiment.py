"""What is trained: one frozen value from which a whole grid of runs follows."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, fields
from functools import cached_property
from typing import Any, Literal, get_args

import jax
import numpy as np

from sde_grok.checks import ParameterError, choice, integer, number
from sde_grok.networks.initializers import INITIALIZERS
from sde_grok.networks.models import MODELS, Params
from sde_grok.networks.tasks import Table, task_table
from sde_grok.optimizer import Decay
from sde_grok.runs.stopping import Thresholds

__all__ = ["CHECKPOINTS", "Experiment", "Precision", "Rule", "Sampling"]

Rule = Literal["adam", "sgd"]
Sampling = Literal["replacement", "epochs"]
Precision = Literal["single", "double"]
CHECKPOINTS = ("init", "mem", "grok", "end")


@dataclass(frozen=True, kw_only=True)
class Experiment:
    """A network, its task, and a grid of optimizers and seeds.

    Parameters
    ----------
    task : str
        "z59" (addition mod 59), "z59-mul", "z59-div", "s5", "parity-10-3", …
    train_fraction : float
        Part of the full table that is trained on, in (0, 1); a random subset for each seed.
    model : {"mlp", "transformer", "transformer-layernorm"}
        Network.
    embedding, width : int
        Numbers of embedding dimensions and of hidden units.
    heads : int
        Attention heads of a transformer; they divide `embedding`.
    init : {"lecun", "glorot", "pytorch"}
        Distribution of the initial weights.
    init_scale : float
        Factor on all of them.
    optimizer : {"adam", "sgd"}
        Adam, or SGD with momentum `beta1`.
    decay : {"coupled", "decoupled"}
        Where λ acts: through the gradient (the theory's form), or on θ directly (AdamW).
    eta, lam : tuple of float
        Learning rates and shrinkages of the grid.
    batch_size : tuple of int
        Batch sizes of the grid; 0 is the full batch.
    sampling : {"replacement", "epochs"}
        Examples drawn independently, or by shuffled epochs. It does not matter for the full batch.
    beta1, beta2, eps : float
        Of Adam.
    seeds : int
        Runs a cell. A seed determines the initial weights, the training subset and the batches.
    seed : int
        The first of the seeds.
    max_steps : int
        Budget of a run; runs end at the last evaluation within it.
    eval_every : int
        Steps between evaluations: all times are quantised to it.
    train_accuracy, test_accuracy, hold :
        Thresholds of memorization and grokking, and the evaluations for which the latter has to
        hold to be for good; see `sde_grok.runs.stopping.Thresholds`.
    noise_at : tuple of {"init", "mem", "grok", "end"}
        Where the spectrum of the gradient noise is measured.
    noise_rank : int
        Number of its leading eigenvalues.
    snapshot_every : int
        Steps between snapshots of θ, a multiple of `eval_every`; 0 keeps none.
    sketch : int
        Length of a random sketch of θ that preserves distances, to be kept instead of θ itself in
        half precision; 0 keeps θ.
    precision : {"single", "double"}
        Of all floats.

    Raises
    ------
    ParameterError
        If a parameter is out of range.
    """

    task: str
    train_fraction: float = 0.5
    model: str = "mlp"
    embedding: int
    width: int
    heads: int = 4
    init: str = "lecun"
    init_scale: float = 1.0
    optimizer: Rule = "adam"
    decay: Decay = "coupled"
    eta: tuple[float, ...]
    lam: tuple[float, ...]
    batch_size: tuple[int, ...]
    sampling: Sampling = "replacement"
    beta1: float = 0.9
    beta2: float = 0.999
    eps: float = 1e-8
    seeds: int
    seed: int = 0
    max_steps: int
    eval_every: int
    train_accuracy: float = 0.99
    test_accuracy: float = 0.95
    hold: int = 10
    noise_at: tuple[str, ...] = ()
    noise_rank: int = 16
    snapshot_every: int = 0
    sketch: int = 0
    precision: Precision = "single"

    def __post_init__(self) -> None:
        n_train, thresholds = self.n_train, self.thresholds
        width = integer("width", self.width, low=1, high=2**20)
        embedding = integer("embedding", self.embedding, low=1, high=2**20)
        eval_every = integer("eval_every", self.eval_every, low=1, high=2**30)
        checked: dict[str, Any] = {
            "task": str(self.task),
            "train_fraction": float(self.train_fraction),
            "model": choice("model", self.model, tuple(MODELS)),
            "embedding": embedding,
            "width": width,
            "heads": integer("heads", self.heads, low=1),
            "init": choice("init", self.init, tuple(INITIALIZERS)),
            "init_scale": number("init_scale", self.init_scale, low=0, open_low=True),
            "optimizer": choice("optimizer", self.optimizer, get_args(Rule)),
            "decay": choice("decay", self.decay, get_args(Decay)),
            "eta": axis("eta", self.eta, lambda x: positive("eta", x, self.precision)),
            "lam": axis("lam", self.lam, lambda x: shrinkage(x, self.precision)),
            "batch_size": axis(
                "batch_size", self.batch_size, lambda b: _batch_size(b, n_train, self.sampling)
            ),
            "sampling": choice("sampling", self.sampling, get_args(Sampling)),
            "beta1": number("beta1", self.beta1, low=0, high=1),
            "beta2": number("beta2", self.beta2, low=0, high=1),
            "eps": number("eps", self.eps, low=0),
            "seeds": integer("seeds", self.seeds, low=1, high=2**20),
            "seed": integer("seed", self.seed, low=0, high=2**31),
            "max_steps": integer("max_steps", self.max_steps, low=eval_every, high=2**30),
            "eval_every": eval_every,
            "train_accuracy": thresholds.train_accuracy,
            "test_accuracy": thresholds.test_accuracy,
            "hold": thresholds.hold,
            "noise_at": checkpoints(self.noise_at),
            "noise_rank": integer("noise_rank", self.noise_rank, low=1),
            "snapshot_every": integer("snapshot_every", self.snapshot_every, low=0),
            "sketch": integer("sketch", self.sketch, low=0, high=2**20),
            "precision": choice("precision", self.precision, get_args(Precision)),
        }
        if self.model != "mlp" and embedding % checked["heads"]:
            raise ParameterError("heads", self.heads, f"a divisor of embedding = {embedding}")
        if checked["snapshot_every"] % eval_every:
            allowed = f"a multiple of eval_every = {eval_every}"
            raise ParameterError("snapshot_every", self.snapshot_every, allowed)
        for field, value in checked.items():
            object.__setattr__(self, field, value)
        if self.noise_at:
            most = min(n_train, self.n_parameters) - 1
            if self.noise_rank > most:
                allowed = f"<= {most}, below the numbers of training examples and of parameters"
                raise ParameterError("noise_rank", self.noise_rank, allowed)

    @property
    def dtype(self) -> type[np.floating[Any]]:
        """Float type of the runs."""
        return float_type(self.precision)

    @property
    def n_parameters(self) -> int:
        """Dimension d of parameter space."""
        return sum(math.prod(w.shape) for w in self.shapes.values())

    @cached_property
    def shapes(self) -> Params:
        """Shapes of the parameters, by layer."""
        table, draw = self.table, INITIALIZERS[self.init]
        sizes = (table.vocabulary, table.inputs.shape[1], table.classes, self, draw)
        init = MODELS[self.model].init
        return dict(jax.eval_shape(lambda: init(jax.random.key(0), *sizes)))

    @property
    def table(self) -> Table:
        """Full table of the task."""
        return task_table(self.task)

    @cached_property
    def thresholds(self) -> Thresholds:
        """What counts as memorized and as grokked."""
        return Thresholds(
            train_accuracy=self.train_accuracy, test_accuracy=self.test_accuracy, hold=self.hold
        )

    @cached_property
    def n_train(self) -> int:
        """Number of training examples."""
        return _train_size(self.table, self.train_fraction)

    @property
    def n_test(self) -> int:
        """Number of test examples."""
        return len(self.table.targets) - self.n_train

    @property
    def all_seeds(self) -> range:
        """The seeds of a cell."""
        return range(self.seed, self.seed + self.seeds)

    @property
    def shape(self) -> tuple[int, int, int, int]:
        """Numbers of η, b, λ and seeds: the grid of runs."""
        return len(self.eta), len(self.batch_size), len(self.lam), self.seeds

    def as_dict(self) -> dict[str, Any]:
        """Plain values, by parameter; what `Experiment` takes."""
        values = {field.name: getattr(self, field.name) for field in fields(self)}
        return {k: list(v) if isinstance(v, tuple) else v for k, v in values.items()}


def axis(field: str, values: Any, checked: Callable[[Any], Any]) -> tuple[Any, ...]:
    """Return the distinct values of an axis, each checked; a single value is an axis of one."""
    each = np.atleast_1d(np.asarray(values, dtype=object)).tolist()
    found = tuple(checked(x) for x in each)
    if not found or len(set(found)) < len(found):
        raise ParameterError(field, values, "one or more distinct values")
    return found


def positive(field: str, value: Any, precision: str) -> float:
    """Return a number > 0 that is one in the precision of the runs, too."""
    kind = np.finfo(float_type(precision))
    smallest, largest = float(kind.tiny), float(kind.max)
    x = number(field, value, low=0, open_low=True)
    if not smallest <= x <= largest:
        allowed = f"from {smallest:.2g} to {largest:.2g} in {precision} precision"
        raise ParameterError(field, value, allowed)
    return x


def float_type(precision: str) -> type[np.floating[Any]]:
    """Float type of a precision."""
    return np.float64 if precision == "double" else np.float32


def shrinkage(value: Any, precision: str) -> float:
    """Return λ, 0 or a number > 0."""
    x = number("lam", value, low=0)
    return positive("lam", x, precision) if x else 0.0


def checkpoints(values: Any) -> tuple[str, ...]:
    """Return the names of distinct checkpoints, none or more."""
    if np.size(values) == 0:
        return ()
    return axis("noise_at", values, lambda x: choice("noise_at", x, CHECKPOINTS))


def _train_size(table: Table, train_fraction: float) -> int:
    fraction = number("train_fraction", train_fraction, low=0, high=1, open_low=True)
    n = len(table.targets)
    n_train = round(fraction * n)
    if not 2 <= n_train < n:
        allowed = f"such that 2 or more of the {n} examples are for training and 1 for testing"
        raise ParameterError("train_fraction", train_fraction, allowed)
    return n_train


def _batch_size(value: Any, n_train: int, sampling: str) -> int:
    if sampling == "epochs":
        return integer("batch_size", value, low=0, high=n_train)
    return integer("batch_size", value, low=0, high=2**20)

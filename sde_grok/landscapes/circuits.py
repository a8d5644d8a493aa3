"""Circuits that share a margin: homogeneous networks in caricature, with all radii computable.

θ is a row of blocks, one a circuit. That of the norm ρ_c adds a_c ρ_c^h to the margin z of the
training examples and e_c ρ_c^h to that of the test, where h is the number of layers; a circuit that
memorizes has e_c = 0. With L = C ℓ(z), ℓ(z) = e^{−z} or ln(1 + e^{−z}), and the residual
r = −dℓ/dz,

    ∇L = −C r h a_c ρ_c^{h−2} θ    in the block c.

At rest with coupled shrinkage C r h a_c ρ_c^{h−2} = λ in each block that is not at 0.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from sde_grok.checks import ParameterError, choice, integer, number
from sde_grok.dual import exp_or_inf
from sde_grok.kernels.jit import inlined
from sde_grok.kernels.outcome import LOSS, NOISE, TEST
from sde_grok.landscapes.landscape import Landscape

__all__ = ["circuits", "loss_at_margin", "margin", "two_circuits"]

FORMS = ("exponential", "logistic")
NOISES = ("constant", "loss", "residual")
HEAD = 5  # parameters before those of the blocks


@inlined
def _logistic(z):  # type: ignore[no-untyped-def]
    """ln(1 + e^{−z}), also where e^{−z} is no float."""
    return max(-z, 0.0) + math.log1p(math.exp(-abs(z)))


def _in_lanes(S, n, parameters, scratch, measured):  # type: ignore[no-untyped-def]
    scale, degree, logistic, kind = parameters[0], parameters[1], parameters[2], parameters[3]
    blocks = int(parameters[4])
    ends = parameters[HEAD : HEAD + blocks]
    train, test = parameters[HEAD + blocks : HEAD + 2 * blocks], parameters[HEAD + 2 * blocks :]
    pull = np.zeros((blocks, S.shape[2]), S.dtype)
    first = 0
    for block in range(blocks):
        square = pull[block]
        for i in range(first, int(ends[block])):
            for lane in range(n):
                square[lane] += S[i, 0, lane] * S[i, 0, lane]
        first = int(ends[block])
    for lane in range(n):
        z = shown = 0.0
        for block in range(blocks):
            power = pull[block, lane] ** (0.5 * degree)
            z += train[block] * power
            shown += test[block] * power
        residual = 1 / (1 + math.exp(z)) if logistic else math.exp(-z)
        loss = _logistic(z) if logistic else residual
        unseen = _logistic(shown) if logistic else math.exp(-shown)
        measured[LOSS, lane], measured[TEST, lane] = scale * loss, scale * unseen
        measured[NOISE, lane] = 1.0
        if kind == 1:
            measured[NOISE, lane] = math.sqrt(loss)
        elif kind == 2:
            measured[NOISE, lane] = residual
        for block in range(blocks):
            power = pull[block, lane] ** (0.5 * degree - 1)
            pull[block, lane] = -scale * residual * degree * train[block] * power
    first = 0
    for block in range(blocks):
        force = pull[block]
        for i in range(first, int(ends[block])):
            for lane in range(n):
                S[i, 1, lane] = force[lane] * S[i, 0, lane]
        first = int(ends[block])


def circuits(
    dims: Sequence[int],
    train: Sequence[float],
    test: Sequence[float],
    *,
    degree: float = 3.0,
    scale: float = 1.0,
    form: str = "logistic",
    noise: str = "residual",
) -> Landscape:
    """Several circuits of one network (see the module).

    Parameters
    ----------
    dims : sequence of int
        Length of each block; together d.
    train, test : sequence of float
        a_c > 0 and e_c, in units of the margin per ρ^h.
    degree : float
        h >= 2.
    scale : float
        C > 0, in units of loss.
    form : {"logistic", "exponential"}
        ℓ(z).
    noise : {"residual", "loss", "constant"}
        The covariance of the gradient noise is Σ times r², ℓ or 1.

    Returns
    -------
    Landscape

    Raises
    ------
    ParameterError
        If a parameter is out of range.
    """
    sizes = [integer("dims", size, low=1) for size in _row("dims", dims)]
    rates = [number("train", a, low=0, open_low=True) for a in _row("train", train)]
    seen = [number("test", e) for e in _row("test", test)]
    if not len(sizes) == len(rates) == len(seen) > 0:
        counts = [len(sizes), len(rates), len(seen)]
        raise ParameterError("dims", counts, "as many blocks in dims, train and test")
    numbers = [
        number("scale", scale, low=0, open_low=True),
        number("degree", degree, low=2),
        FORMS.index(choice("form", form, FORMS)),
        NOISES.index(choice("noise", noise, NOISES)),
        len(sizes),
    ]
    parameters = np.array([*numbers, *np.cumsum(sizes), *rates, *seen], np.float64)
    return Landscape("circuits", parameters=parameters, in_lanes=_in_lanes, dim=sum(sizes))


def _row(name: str, values: Sequence[float]) -> list[float]:
    try:
        return list(values)
    except TypeError:
        raise ParameterError(name, values, "a sequence, one number a block") from None


def loss_at_margin(margin: float, *, scale: float = 1.0, form: str = "logistic") -> float:
    """Loss C ℓ(z) at the margin z, so that thresholds can be stated by margins.

    Parameters
    ----------
    margin : float
        z.
    scale, form :
        As of `circuits`.

    Returns
    -------
    float

    Raises
    ------
    ParameterError
        If a parameter is out of range.
    """
    z = number("margin", margin)
    size = number("scale", scale, low=0, open_low=True)
    logistic = choice("form", form, FORMS) == "logistic"
    loss = size * float(np.logaddexp(0.0, -z)) if logistic else size * exp_or_inf(-z)
    if not math.isfinite(loss):
        raise ParameterError("margin", margin, "such that its loss is in the range of floats")
    return loss


@inlined
def _alone(rho2, parameters):  # type: ignore[no-untyped-def]
    """θ·∇L = −C r h a ρ^h and f of a circuit alone."""
    scale, degree, logistic, kind = parameters[0], parameters[1], parameters[2], parameters[3]
    z = parameters[HEAD + 1] * rho2 ** (0.5 * degree)
    residual = 1 / (1 + math.exp(z)) if logistic else math.exp(-z)
    f = 1.0
    if kind == 1:
        f = math.sqrt(_logistic(z) if logistic else residual)
    elif kind == 2:
        f = residual
    return -scale * residual * degree * z, f


def margin(
    dim: int,
    rate: float,
    *,
    degree: float = 3.0,
    scale: float = 1.0,
    form: str = "exponential",
    noise: str = "residual",
) -> Landscape:
    """One circuit, which generalizes: L = C exp(−a ρ^h), or its logistic form; also radial.

    Parameters
    ----------
    dim : int
        Dimension d.
    rate : float
        a > 0.
    degree, scale, form, noise :
        As of `circuits`.
    """
    size = [integer("dim", dim, low=1)]
    rates = [number("rate", rate, low=0, open_low=True)]
    one = circuits(size, rates, rates, degree=degree, scale=scale, form=form, noise=noise)
    return replace(one, radial=_alone)


def two_circuits(
    dim_memorizing: int,
    dim_generalizing: int,
    *,
    rate_memorizing: float,
    rate_generalizing: float,
    mislead: float,
    degree: float = 3.0,
    scale: float = 1.0,
    form: str = "logistic",
    noise: str = "residual",
) -> Landscape:
    """A circuit that memorizes, of norm ρ_m, beside one that generalizes, of norm ρ_g.

    The margin of the training examples is a_m ρ_m^h + a_g ρ_g^h, that of the test −κ ρ_m^h + a_g ρ_g^h.

    Parameters
    ----------
    dim_memorizing, dim_generalizing : int
        Coordinates of each, >= 1; together d.
    rate_memorizing, rate_generalizing : float
        a_m > 0 and a_g > 0, in units of the margin per ρ^h.
    mislead : float
        κ, by which what is memorized misleads the test.
    degree, scale, form, noise :
        As of `circuits`.

    Returns
    -------
    Landscape

    Raises
    ------
    ParameterError
        If a parameter is out of range.
    """
    dims = {"dim_memorizing": dim_memorizing, "dim_generalizing": dim_generalizing}
    sizes = [integer(name, size, low=1) for name, size in dims.items()]
    rates = {"rate_memorizing": rate_memorizing, "rate_generalizing": rate_generalizing}
    train = [number(name, rate, low=0, open_low=True) for name, rate in rates.items()]
    test = [-number("mislead", mislead), train[1]]
    return circuits(sizes, train, test, degree=degree, scale=scale, form=form, noise=noise)

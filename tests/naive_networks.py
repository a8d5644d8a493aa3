"""Slow, obvious references for the networks: one example at a time, written from the formulas.

θ and everything shaped like it are dicts of float64 arrays, as the networks have them.
"""

from __future__ import annotations

import math
from itertools import permutations, product
from typing import NamedTuple

import numpy as np

# --- Tables -----------------------------------------------------------------------------------


def addition(p):
    return {(x, y): (x + y) % p for x in range(p) for y in range(p)}


def multiplication(p):
    return {(x, y): x * y % p for x in range(p) for y in range(p)}


def division(p):
    """x / y is the z with zy = x."""
    return {
        (x, y): next(z for z in range(p) if z * y % p == x) for x in range(p) for y in range(1, p)
    }


def composition(n):
    """(a ∘ b)(i) = a(b(i)), permutations numbered in lexicographic order."""
    group = list(permutations(range(n)))
    return {
        (i, j): group.index(tuple(a[b[k]] for k in range(n)))
        for i, a in enumerate(group)
        for j, b in enumerate(group)
    }


def parity(n, k):
    return {bits: sum(bits[:k]) % 2 for bits in product((0, 1), repeat=n)}


# --- Networks ---------------------------------------------------------------------------------


def relu(z):
    return np.where(z.real > 0, z, 0)


def softmax(z):
    e = np.exp(z - np.max(z.real))
    return e / e.sum()


def cross_entropy(logits, target):
    return -np.log(softmax(logits)[target])


def one_hot(target, classes):
    return np.array([float(k == target) for k in range(classes)])


def mlp_logits(theta, x):
    """relu(concat(E[x₁], E[x₂], …) W) U."""
    a = np.concatenate([theta["embedding"][token] for token in x])
    return relu(a @ theta["hidden"]) @ theta["readout"]


def mlp_gradient(theta, x, target):
    """Chain rule, from the loss back to the tokens."""
    E, W, U = theta["embedding"], theta["hidden"], theta["readout"]
    a = np.concatenate([E[token] for token in x])
    h = relu(a @ W)
    at_logits = softmax(h @ U) - one_hot(target, U.shape[1])
    at_hidden = np.where(a @ W > 0, U @ at_logits, 0)
    at_embedding = np.zeros_like(E)
    for token, back in zip(x, np.split(W @ at_hidden, len(x)), strict=True):
        at_embedding[token] += back
    return {
        "embedding": at_embedding,
        "hidden": np.outer(a, at_hidden),
        "readout": np.outer(h, at_logits),
    }


def transformer_logits(theta, x):
    """One block over the tokens and "=", read at "="; LayerNorm where θ has its scales."""
    tokens = [*x, len(theta["embedding"]) - 1]
    stream = [theta["embedding"][token] + theta["position"][t] for t, token in enumerate(tokens)]
    seen = [normalised(theta, "norm_attention", s) for s in stream]
    heads = []
    for head in range(theta["query"].shape[1]):
        query = seen[-1] @ theta["query"][:, head]
        keys = [s @ theta["key"][:, head] for s in seen]
        values = [s @ theta["value"][:, head] for s in seen]
        weights = softmax(np.array([query @ key for key in keys]) / math.sqrt(len(query)))
        heads.append(sum(w * v for w, v in zip(weights, values, strict=True)))
    last = stream[-1] + np.concatenate(heads) @ theta["output"]
    hidden = relu(normalised(theta, "norm_network", last) @ theta["hidden"])
    last = last + hidden @ theta["back"]
    return normalised(theta, "norm_readout", last) @ theta["readout"]


def normalised(theta, name, x):
    if name not in theta:
        return x
    off = x - np.mean(x)
    return off / np.sqrt(np.mean(off**2) + 1e-5) * theta[name]


def complex_step(function, theta):
    """∂f/∂θᵢ = Im f(θ + i h eᵢ)/h, exact to rounding: nothing is subtracted."""
    gradient = {name: np.empty_like(w) for name, w in theta.items()}
    for name, w in theta.items():
        for index in np.ndindex(w.shape):
            moved = w.astype(complex)
            moved[index] += 1e-30j
            gradient[name][index] = function({**theta, name: moved}).imag / 1e-30
    return gradient


def transformer_gradient(theta, x, target):
    return complex_step(lambda t: cross_entropy(transformer_logits(t, x), target), theta)


class Network(NamedTuple):
    """Logits and gradient of one example."""

    logits: object
    gradient: object


NETWORKS = {
    "mlp": Network(mlp_logits, mlp_gradient),
    "transformer": Network(transformer_logits, transformer_gradient),
    "transformer-layernorm": Network(transformer_logits, transformer_gradient),
}


def example_gradients(model, theta, inputs, targets):
    pairs = zip(inputs, targets, strict=True)
    return [NETWORKS[model].gradient(theta, x, target) for x, target in pairs]


def loss(model, theta, inputs, targets):
    pairs = zip(inputs, targets, strict=True)
    return np.mean([cross_entropy(NETWORKS[model].logits(theta, x), y) for x, y in pairs])


def right(model, theta, inputs, targets):
    found = [
        np.argmax(NETWORKS[model].logits(theta, x)) == target
        for x, target in zip(inputs, targets, strict=True)
    ]
    return sum(found)


# --- Trees of arrays --------------------------------------------------------------------------


def mapped(function, *trees):
    return {name: function(*(tree[name] for tree in trees)) for name in trees[0]}


def flat(tree):
    """All entries, in alphabetical order of the names."""
    return np.concatenate([tree[name].ravel() for name in sorted(tree)])


def norm(tree):
    return math.sqrt(sum(float(x) ** 2 for x in flat(tree)))


def mean(trees):
    return mapped(lambda *x: sum(x) / len(x), *trees)


def mean_square(trees):
    return mean([mapped(np.square, tree) for tree in trees])


def gradient_matrix(gradients):
    """(n, d): each row is an example's gradient."""
    return np.array([flat(g) for g in gradients])


def covariance(G):
    """Σ = E (g − ∇L)(g − ∇L)ᵀ, dense."""
    off = G - G.mean(axis=0)
    return sum(np.outer(g, g) for g in off) / len(G)


# --- Optimizers -------------------------------------------------------------------------------


class Walker(NamedTuple):
    """θ after k steps; m and v are Adam's moments without bias correction, m is SGD's trace."""

    k: int
    theta: dict
    m: dict
    v: dict


def at_rest(theta):
    return Walker(0, theta, mapped(np.zeros_like, theta), mapped(np.zeros_like, theta))


def step(o, eta, lam, walker, gradient):
    """One step with the gradient of the loss alone; `o` has optimizer, decay, β₁, β₂ and ε."""
    k, theta, m, v = walker.k + 1, walker.theta, walker.m, walker.v
    coupled = lam if o.decay == "coupled" else 0.0
    g = mapped(lambda g, w: g + coupled * w, gradient, theta)
    if o.optimizer == "sgd":
        m = mapped(lambda m, g: o.beta1 * m + g, m, g)
        move = m
    else:
        m = mapped(lambda m, g: o.beta1 * m + (1 - o.beta1) * g, m, g)
        v = mapped(lambda v, g: o.beta2 * v + (1 - o.beta2) * g**2, v, g)
        B1, B2 = 1 - o.beta1**k, 1 - o.beta2**k
        move = mapped(lambda m, v: (m / B1) / (np.sqrt(v / B2) + o.eps), m, v)
    decoupled = lam if o.decay == "decoupled" else 0.0
    theta = mapped(lambda w, u: w - eta * u - eta * decoupled * w, theta, move)
    return Walker(k, theta, m, v)


# --- Measurements -----------------------------------------------------------------------------


def noise_factor(o, n, batch_size):
    """Covariance of a minibatch gradient in units of Σ; batch size 0 is the full batch."""
    if batch_size == 0:
        return 0.0
    if o.sampling == "replacement":
        return 1 / batch_size
    return (n - batch_size) / (n - 1) / batch_size


def measured(o, eta, lam, batch_size, walker, train, test):
    """Every variable that is measured at an evaluation, from its definition; k >= 1."""
    k, theta, m, v = walker
    each = example_gradients(o.model, theta, *train)
    gradient = mean(each)
    C = mapped(
        lambda *g: noise_factor(o, len(each), batch_size) * np.var(np.array(g), axis=0), *each
    )
    independent = o.sampling == "replacement" or batch_size in {0, len(each)}
    coupled = o.decay == "coupled"
    h = mapped(lambda g, w: g + lam * w, gradient, theta) if coupled else gradient
    if o.optimizer == "sgd":
        # A gradient moves θ by −η(1 + β₁ + β₁² + …) times itself in all.
        rate, P = eta / (1 - o.beta1), mapped(np.ones_like, theta)
        past = mapped(lambda m: m / sum(o.beta1**j for j in range(k)), m)
        v_deviation = mean_sqrt_v = math.nan
    else:
        rate, v_hat = eta, mapped(lambda v: v / (1 - o.beta2**k), v)
        past = mapped(lambda m: m / (1 - o.beta1**k), m)
        expected = mapped(lambda h, c: h**2 + c, h, C)
        after = mapped(lambda v, g2: o.beta2 * v + (1 - o.beta2) * g2, v, expected)
        P = mapped(lambda v: np.sqrt(v / (1 - o.beta2 ** (k + 1))) + o.eps, after)
        v_deviation = norm(mapped(np.subtract, v_hat, expected)) / norm(expected)
        mean_sqrt_v = np.mean(np.sqrt(flat(v)))
    shrunk = sum(flat(theta) ** 2 / flat(P)) if coupled else norm(theta) ** 2
    return {
        "train_loss": loss(o.model, theta, *train),
        "test_loss": loss(o.model, theta, *test),
        "train_right": right(o.model, theta, *train),
        "test_right": right(o.model, theta, *test),
        "rho2": norm(theta) ** 2,
        "rho2_layer": [norm({name: theta[name]}) ** 2 for name in sorted(theta)],
        "mean_sqrt_v": mean_sqrt_v,
        "m_deviation": norm(mapped(np.subtract, past, h)) / norm(h),
        "v_deviation": v_deviation,
        "gradient_norm2": norm(h) ** 2,
        "noise_trace": np.trace(covariance(gradient_matrix(each))),
        "shrinkage_pull": -2 * (rate if coupled else eta) * lam * shrunk,
        "loss_push": -2 * rate * sum(flat(theta) * flat(gradient) / flat(P)),
        "noise_push": rate**2 * sum(flat(C) / flat(P) ** 2) if independent else math.nan,
    }

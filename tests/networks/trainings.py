"""Data and an oracle that tests of training share: the same steps taken by a plain loop over Optax."""

from __future__ import annotations

import jax
import jax.numpy as jnp
import numpy as np
import optax

import downslope as ds
from downslope.networks.data._examples import prepare

RNG = np.random.default_rng(3)
X = RNG.normal(size=(120, 3)).astype(np.float32)
SLOPES = np.array([1.0, 2.0, -1.0], np.float32)
NUMBERS = X @ SLOPES + 0.1 * RNG.normal(size=120).astype(np.float32)
CLASSES = np.argmax(X @ RNG.normal(size=(3, 3)), axis=1)
IMAGES = RNG.normal(size=(40, 6, 6)).astype(np.float32)
QUIET = {"progress": False, "probe_every": 0}
PLAIN = {**QUIET, "layers_every": 0}  # no program that looks at anything but the loss
TINY = {**QUIET, "layers_every": 1, "steps": 6, "batch": 16}


def finite(training: ds.Training) -> None:
    """Hold that a training took all its steps and met finite numbers only."""
    assert training.trace.outcome is ds.Outcome.STEPS_USED
    assert np.isfinite(training.trace.columns["value"]).all()
    assert np.isfinite(training.trace.columns["gradient_norm"]).all()
    assert all(np.isfinite(leaf).all() for leaf in training.trace.end.values())


def order(rows: int, size: int, seed: int, steps: int) -> np.ndarray:
    """Return the examples of each step, as the documentation tells: a fresh shuffle each time all were seen."""
    rounds = [np.random.default_rng([seed, number]).permutation(rows) for number in range(steps * size // rows + 1)]
    return np.concatenate(rounds)[: steps * size].reshape(steps, size)


def plain_loss(weights: dict, inputs, targets, l2: float = 0.0):
    """The loss of a network of one tanh layer, written by hand."""
    hidden = jnp.tanh(inputs @ weights["layers/0/weight"] + weights["layers/0/bias"])
    outputs = hidden @ weights["layers/1/weight"] + weights["layers/1/bias"]
    penalty = sum(jnp.sum(weights[f"layers/{place}/weight"] ** 2) for place in (0, 1))
    if targets.ndim == 1:
        value = optax.softmax_cross_entropy_with_integer_labels(outputs, targets).mean()
    else:
        value = jnp.mean((outputs - targets) ** 2)
    return value + l2 * penalty


plain_slope = jax.jit(jax.value_and_grad(plain_loss))


def by_optax(made: ds.Training, data, transformation, steps: int, size: int, l2: float = 0.0) -> tuple[dict, object]:
    """Return the weights after a plain loop from where a training began, and the state of the transformation."""
    training, _ = prepare(data)
    weights = {name: jnp.asarray(leaf) for name, leaf in made.trace.start.items()}
    state = transformation.init(weights)
    updated = jax.jit(transformation.update)
    for chosen in order(len(training), size, 0, steps):
        _, gradient = plain_slope(weights, training.inputs[chosen], training.targets[chosen], l2)
        update, state = updated(gradient, state, weights)
        weights = optax.apply_updates(weights, update)
    return weights, state

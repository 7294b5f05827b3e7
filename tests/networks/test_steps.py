"""The steps of a training are those that a plain loop over Optax takes."""

from __future__ import annotations

import jax.numpy as jnp
import numpy as np
import optax
import pytest

import downslope as ds
from tests.networks.trainings import (
    CLASSES,
    NUMBERS,
    PLAIN,
    QUIET,
    X,
    by_optax,
)

METHODS = {
    "gradient descent": (optax.sgd(0.1), {"learning_rate": 0.1}),
    "momentum": (optax.sgd(0.05, momentum=0.8), {"learning_rate": 0.05, "momentum": 0.8}),
    "nesterov": (optax.sgd(0.05, momentum=0.9, nesterov=True), {"learning_rate": 0.05}),
    "adam": (optax.adam(1e-2), {"learning_rate": 1e-2}),
    "rmsprop": (optax.rmsprop(1e-3, decay=0.9), {}),
    "adamw": (optax.adamw(1e-3), {}),
    "lion": (optax.lion(1e-4), {}),
}


def _some_slow(names, slow: set[str]):
    return [pytest.param(name, marks=pytest.mark.slow) if name in slow else name for name in names]


@pytest.mark.parametrize("name", _some_slow(METHODS, {"gradient descent", "nesterov", "adamw"}))
def test_the_steps_are_those_of_a_plain_optax_loop(name):
    transformation, settings = METHODS[name]
    made = ds.train(
        data=(X, CLASSES), hidden=(5,), activation="tanh", method=name, **PLAIN, steps=20, batch=25, **settings
    )
    expected, _ = by_optax(made, (X, CLASSES), transformation, 20, 25)
    for part, leaf in expected.items():
        np.testing.assert_allclose(made.trace.end[part], leaf, rtol=1e-4, atol=2e-6)


CHOICES = {
    "decay by adam": ({"weight_decay": 0.1}, optax.adamw(1e-3, weight_decay=0.1), 0.0),
    "decay": (
        {"weight_decay": 0.3, "method": "gradient descent", "learning_rate": 0.1},
        optax.chain(optax.add_decayed_weights(0.3), optax.sgd(0.1)),
        0.0,
    ),
    "l2": ({"l2": 0.05, "method": "gradient descent"}, optax.sgd(0.1), 0.05),
    "clipped norm": (
        {"clip_norm": 0.1, "method": "gradient descent"},
        optax.chain(optax.clip_by_global_norm(0.1), optax.sgd(0.1)),
        0.0,
    ),
    "clipped entries": (
        {"clip_value": 0.02, "method": "gradient descent"},
        optax.chain(optax.clip(0.02), optax.sgd(0.1)),
        0.0,
    ),
    "cosine": ({"schedule": "cosine", "learning_rate": 0.01}, optax.adam(optax.cosine_decay_schedule(0.01, 20)), 0.0),
    "an Optax schedule": (
        {"schedule": optax.exponential_decay(0.01, 10, 0.5)},
        optax.adam(optax.exponential_decay(0.01, 10, 0.5)),
        0.0,
    ),
    "an Optax transformation": ({"method": optax.adam(0.01)}, optax.adam(0.01), 0.0),
    "warm-up": (
        {"schedule": "warm-up", "warm_up": 5, "learning_rate": 0.1, "method": "gradient descent"},
        optax.sgd(lambda step: 0.1 * jnp.minimum((step + 1) / 5, 1.0)),
        0.0,
    ),
}


@pytest.mark.parametrize("name", _some_slow(CHOICES, {"clipped entries", "warm-up", "an Optax transformation"}))
def test_what_is_chosen_of_a_step_is_what_optax_makes_of_it(name):
    settings, transformation, l2 = CHOICES[name]
    made = ds.train(data=(X, NUMBERS), hidden=(5,), activation="tanh", **PLAIN, steps=20, batch=25, **settings)
    expected, _ = by_optax(made, (X, NUMBERS), transformation, 20, 25, l2)
    for part, leaf in expected.items():
        np.testing.assert_allclose(made.trace.end[part], leaf, rtol=1e-4, atol=2e-6)


def test_weight_decay_by_hand():
    made = ds.train(
        data=(X, np.zeros(120)), hidden=(), task="numbers", scale_targets=False, standardise=False, validation=0,
        method="gradient descent", learning_rate=0.1, weight_decay=0.5, batch=None, **PLAIN | {"steps": 3},
    )  # fmt: skip
    weights = made.trace.start["layers/0/weight"].astype(float)
    bias = np.zeros(1)
    for _ in range(3):
        wrong = X @ weights + bias
        weights, bias = (
            weights - 0.1 * (2 * X.T @ wrong / 120 + 0.5 * weights),
            bias - 0.1 * (2 * wrong.mean(0) + 0.5 * bias),
        )
    np.testing.assert_allclose(made.trace.end["layers/0/weight"], weights, rtol=1e-5)
    np.testing.assert_allclose(made.trace.end["layers/0/bias"], bias, rtol=1e-4, atol=1e-7)


def test_accumulated_batches_make_the_step_of_a_large_one():
    one = ds.train(data=(X, CLASSES), hidden=(5,), steps=15, batch=8, accumulate=4, **QUIET)
    other = ds.train(data=(X, CLASSES), hidden=(5,), steps=15, batch=32, **QUIET)
    for name in ("value", "gradient_norm"):
        np.testing.assert_allclose(one.trace.columns[name], other.trace.columns[name], rtol=1e-3)
    for part, leaf in other.trace.end.items():
        np.testing.assert_allclose(one.trace.end[part], leaf, atol=1e-4)
    average = one.trace.layers["activation_mean"].to_numpy()
    np.testing.assert_allclose(average, other.trace.layers["activation_mean"].to_numpy(), rtol=1e-3, atol=1e-5)

"""What a network can be made of: every activation, loss, initialisation and layer trains."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

import downslope as ds
from downslope import Activate, Convolution, Dense, Dropout, Flatten, MaxPool
from downslope.networks.data._examples import prepare
from tests.equality import same
from tests.networks.trainings import (
    CLASSES,
    IMAGES,
    NUMBERS,
    PLAIN,
    QUIET,
    RNG,
    TINY,
    X,
    finite,
    order,
)


def test_every_activation_trains():
    layers = [Dense(4, name) for name in ds.activation_names()]
    made = ds.train([*layers, Activate("tanh"), Dense(3)], (X, CLASSES), **TINY)
    finite(made)
    assert made.trace.facts["network"]["activations"] == [*ds.activation_names(), "linear"]


@pytest.mark.parametrize("loss", ["mean squared error", "mean absolute error", "huber"])
def test_every_loss_of_numbers_trains(loss):
    made = ds.train(data=(X, NUMBERS), loss=loss, hidden=(4,), **TINY)
    finite(made)
    assert made.trace.facts["network"]["loss"]["name"] == loss
    assert "wrong_loss" not in ds.diagnose(made.trace)


def test_every_initialisation_trains():
    names = [f"{who}_{shape}" for who in ("glorot", "he", "lecun") for shape in ("uniform", "normal")]
    names += ["zeros", "ones", "uniform_0.3", "normal_0.1", "constant_0.01", "auto"]
    made = ds.train([*(Dense(4, "tanh", name) for name in names), Dense(3)], (X, CLASSES), **TINY)
    finite(made)
    assert np.all(made.trace.start["layers/8/weight"].std() > 0)
    assert np.all(made.trace.start["layers/10/weight"] == np.float32(0.01))


def test_normalisations_skips_and_dropout_train():
    layers = [
        Dense(4, "relu", normalisation="batch", dropout=0.2),
        Dense(4, "relu", normalisation="layer", skip=True),
        Dropout(0.3),
        Dense(4, "tanh", normalisation="batch", skip=True, dropout=0.5),
        Dense(1),
    ]
    finite(ds.train(layers, (X, NUMBERS), **TINY))


def test_images_go_through_convolutions():
    layers = [
        Convolution(3, 3, "relu", normalisation="batch", padding="same"),
        Convolution(3, 3, "relu", skip=True, padding="same", dropout=0.1),
        MaxPool(2),
        Convolution(2, 2, "relu", normalisation="layer", stride=2),
        Flatten(),
        Dense(2),
    ]
    finite(ds.train(layers, (IMAGES, RNG.normal(size=(40, 2))), **TINY))
    finite(ds.train(data=(IMAGES, RNG.normal(size=40)), convolutions=(2,), hidden=(4,), **{**PLAIN, "steps": 6}))


def test_a_network_that_was_trained_trains_on():
    first = ds.train(data=(X, NUMBERS), hidden=(4,), **TINY)
    on = ds.train(first.model, (X, NUMBERS), **TINY)
    same(dict(on.trace.start), dict(first.trace.end))


def test_bfloat16_trains_and_keeps_float32_weights():
    made = ds.train(
        data=(X, NUMBERS),
        hidden=(8,),
        normalisation="batch",
        mixed_precision=True,
        steps=200,
        learning_rate=0.01,
        **QUIET,
    )
    assert {leaf.dtype for leaf in made.trace.end.values()} == {np.dtype("float32")}
    assert made.metrics["validation_r2"] > 0.5
    exact = ds.train(data=(X, NUMBERS), hidden=(8,), normalisation="batch", steps=200, learning_rate=0.01, **PLAIN)
    assert not np.array_equal(made.trace.end["layers/0/weight"], exact.trace.end["layers/0/weight"])
    np.testing.assert_allclose(made.trace.columns["value"], exact.trace.columns["value"], atol=0.2)


# --- batch normalisation, and what is kept of it ----------------------------------------------------------------------


def test_running_means_are_used_at_rest_and_saved(tmp_path: Path):
    made = ds.train(
        data=(X, NUMBERS),
        hidden=(4,),
        normalisation="batch",
        steps=40,
        standardise=False,
        save=tmp_path / "run",
        **PLAIN,
    )
    mean, variance = made.trace.facts["memory"]
    assert not np.allclose(mean, 0)
    weights = made.trace.end
    inward = X @ weights["layers/0/weight"] + weights["layers/0/bias"]
    inward = (inward - mean) / np.sqrt(variance + 1e-5) * weights["layers/0/scale"] + weights["layers/0/offset"]
    outward = np.maximum(inward, 0) @ weights["layers/1/weight"] + weights["layers/1/bias"]
    target = made.encoding.target
    np.testing.assert_allclose(
        made.predict(X), outward[:, 0] * target.deviation[0] + target.mean[0], rtol=1e-4, atol=1e-4
    )
    same(ds.predict(tmp_path / "run", X), made.predict(X))
    same(ds.predict(made.trace, X), made.predict(X))
    ds.save(made.trace, tmp_path / "again")
    same(ds.predict(tmp_path / "again", X), made.predict(X))
    one = made.predict(X[:1])  # a row alone is predicted as among others
    np.testing.assert_allclose(one, made.predict(X)[:1], rtol=1e-5)


def test_the_running_mean_is_that_of_the_batches():
    made = ds.train(data=(X, NUMBERS), hidden=(4,), normalisation="batch", validation=0, **TINY | {"steps": 1})
    training, _ = prepare((X, NUMBERS), validation=0)
    batch = training.inputs[order(120, 16, 0, 1)[0]]
    inward = batch @ made.trace.start["layers/0/weight"]
    np.testing.assert_allclose(made.trace.facts["memory"][0], 0.01 * inward.mean(0), rtol=1e-4, atol=1e-6)
    np.testing.assert_allclose(made.trace.facts["memory"][1], 0.99 + 0.01 * inward.var(0), rtol=1e-4)

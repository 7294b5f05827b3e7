"""Faults in networks of layers of one's own choice and in plain loss functions, found in short trainings."""

from __future__ import annotations

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

import downslope as ds
from downslope.networks.layers import with_layers

RNG = np.random.default_rng(5)
X = RNG.normal(size=(240, 4)).astype(np.float32)
CLASSES = np.where(X[:, 0] * X[:, 1] > 0, 2, (X[:, 2] > 0).astype(int))
NUMBERS = (np.sin(X[:, 0]) + X[:, 1]).astype(np.float32)
QUIET = {"progress": False, "probe_every": 0, "layers_every": 20}
START = {
    "first": {"w": RNG.normal(size=(4, 16)).astype(np.float32) * 0.7, "b": np.zeros(16, np.float32)},
    "last": {"w": RNG.normal(size=(16, 3)).astype(np.float32) * 0.3, "b": np.zeros(3, np.float32)},
}
SCORED = {"outputs": lambda params, batch: outputs(params, batch["x"]), "targets": "t"}


def outputs(params, x):
    hidden = jax.nn.relu(x @ params["first"]["w"] + params["first"]["b"])
    return hidden @ params["last"]["w"] + params["last"]["b"]


def entropy(params, batch):
    return optax.softmax_cross_entropy_with_integer_labels(outputs(params, batch["x"]), batch["t"]).mean()


def trained(loss=entropy, x=X, t=CLASSES, start=START, steps=60, **choices):
    return ds.train(loss, {"x": x, "t": t}, start=start, steps=steps, **{**QUIET, **choices})


def problems(trace):
    return [finding.symptom for finding in ds.diagnose(trace) if finding.severity is ds.Severity.PROBLEM]


# --- an activation by itself ----------------------------------------------------------------------------------------


def test_an_activation_by_itself_is_that_of_the_layer_before_it():
    apart = [ds.Dense(8), ds.Dropout(0.1), ds.Activate("relu"), ds.Dense(8, "tanh"), ds.Dense(3), ds.Activate("relu")]
    trace = ds.train(apart, (X, CLASSES), steps=20, **QUIET).trace
    network = trace.facts["network"]
    assert network["activations"] == ["relu", "tanh", "relu"]
    assert (network["output"], network["output_bounds"]) == ("relu", [0.0, None])
    assert np.isfinite(trace.layer_columns["dead_share"]).all()
    assert "missing_nonlinearity" not in ds.diagnose(trace)
    assert "wrong_output_activation" in ds.diagnose(trace)


def test_what_is_recorded_of_a_layer_is_the_same_however_its_activation_is_written():
    within = [ds.Dense(8, "tanh", "normal_1.5"), ds.Dense(3, "linear", "constant_0.1")]
    apart = [ds.Dense(8, "linear", "normal_1.5"), ds.Activate("tanh"), ds.Dense(3, "linear", "constant_0.1")]
    first, second = (ds.train(layers, (X, CLASSES), steps=20, **QUIET).trace for layers in (within, apart))
    for name, column in first.layer_columns.items():
        # The second layer's weights are drawn by its place in the list.
        np.testing.assert_allclose(second.layer_columns[name][0, 0], column[0, 0], rtol=1e-5, err_msg=name)


def test_a_flattened_image_has_other_units_than_the_layer_before():
    layers = [ds.Convolution(2, 3), ds.Flatten(), ds.Activate("relu"), ds.Dense(3)]
    images = RNG.normal(size=(30, 5, 5)).astype(np.float32)
    trace = ds.train(layers, (images, CLASSES[:30]), steps=4, **QUIET).trace
    assert trace.facts["network"]["activations"] == ["linear", "linear"]


def test_a_remedy_changes_the_activation_where_it_stands():
    layers = [ds.Dense(8), ds.Activate("sigmoid"), ds.Dense(8, "sigmoid"), ds.Dense(3), ds.Activate("relu")]
    changed = with_layers(layers, {"activation": "tanh", "output_activation": "auto"})
    assert [getattr(layer, "activation", None) for layer in changed] == ["linear", "tanh", "tanh", "linear", "linear"]


# --- loss functions -------------------------------------------------------------------------------------------------


def confident(params, batch):
    """A loss that forgets the targets."""
    return -jnp.mean(jnp.max(jax.nn.log_softmax(outputs(params, batch["x"])), axis=1))


def test_a_loss_that_does_not_read_its_targets_is_wrong():
    for targets in ("t", lambda batch: batch["t"]):
        trace = trained(confident, **{**SCORED, "targets": targets}).trace
        assert problems(trace)[0] == "wrong_loss"
        assert "whatever the targets are" in ds.diagnose(trace)[0].sentence
    assert "wrong_loss" not in problems(trained(**SCORED).trace)


def test_a_loss_that_reads_one_array_alone_is_worth_a_word():
    diagnosis = ds.diagnose(trained(confident).trace)
    (finding,) = [finding for finding in diagnosis if finding.symptom == "wrong_loss"]
    assert finding.severity is ds.Severity.NOTE
    assert "whatever t holds" in finding.sentence
    assert "what the notes say" in diagnosis[0].sentence
    assert "wrong_loss" not in ds.diagnose(trained().trace)


def test_labels_that_begin_at_one_are_not_numbered_as_the_outputs():
    def shifted(step):
        def loss(params, batch):
            labels = jax.nn.one_hot(batch["t"] + step, 3)
            return optax.softmax_cross_entropy(outputs(params, batch["x"]), labels).mean()

        return loss

    trace = trained(shifted(1), steps=150, **SCORED).trace
    assert trace.facts["loss"]["label_shift"] == 1
    assert problems(trace)[0] == "wrong_loss"
    assert "not numbered alike" in ds.diagnose(trace)[0].sentence
    assert trained(shifted(0), steps=2, **SCORED).trace.facts["loss"]["label_shift"] == 0
    turned = trained(lambda params, batch: -entropy(params, batch), steps=2, **SCORED).trace
    assert turned.facts["loss"]["label_shift"] is None


@pytest.mark.parametrize("strength", [0.0, 0.7])
def test_a_penalty_written_into_the_loss_is_seen(strength):
    def loss(params, batch):
        penalty = sum(jnp.sum(leaf**2) for leaf in jax.tree.leaves(params))
        return entropy(params, batch) + strength * penalty if strength else entropy(params, batch)

    squares = sum(float(np.sum(np.square(leaf, dtype=float))) for leaf in jax.tree.leaves(START))
    trace = trained(loss, steps=300, learning_rate=0.01, **SCORED).trace
    assert trace.facts["network"]["penalty"] == pytest.approx(strength * squares, rel=1e-5)
    assert ("over_regularised" in problems(trace)) == (strength > 0)


def test_units_that_are_copies_at_the_end_are_a_problem_without_a_score():
    start = jax.tree.map(np.copy, START)
    start["first"]["w"][:] = start["first"]["w"][:, :1]
    start["last"]["w"][:] = start["last"]["w"][:1]
    assert problems(trained(start=start).trace) == ["symmetric_units"]
    assert problems(trained().trace) == []


def test_data_that_are_not_finite_are_named_by_array_and_row():
    x = X.copy()
    x[17, 2] = np.nan
    diagnosis = ds.diagnose(trained(x=x, validation=0).trace)
    assert diagnosis.symptoms == ("not_finite",)
    assert "NaN or ∞ in 1 row of 240 of the array x, row 18." in diagnosis[0].sentence
    assert "smaller learning rate" not in str(diagnosis)

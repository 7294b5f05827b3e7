"""Every number that a training records is right, and is read again bit for bit."""

from __future__ import annotations

from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

import downslope as ds
from downslope import Dense
from downslope.networks.data._examples import prepare
from tests.equality import same
from tests.networks.trainings import (
    CLASSES,
    NUMBERS,
    QUIET,
    SLOPES,
    TINY,
    X,
    by_optax,
    order,
    plain_loss,
    plain_slope,
)


@pytest.fixture(scope="module")
def recorded() -> ds.Training:
    """A training of a small network by Adam whose every step is looked into."""
    return ds.train(
        data=(X, CLASSES), hidden=(5,), activation="tanh", steps=24, batch=25, layers_every=1, evaluate_every=8,
        learning_rate=0.01, probe_every=12, progress=False,
    )  # fmt: skip


def _at(recorded: ds.Training, step: int) -> tuple[dict, np.ndarray, np.ndarray]:
    """Return the weights at a step, and its batch."""
    training, _ = prepare((X, CLASSES))
    weights, _ = by_optax(recorded, (X, CLASSES), optax.adam(0.01), step, 25)
    chosen = order(len(training), 25, 0, step + 1)[step]
    return weights, training.inputs[chosen], training.targets[chosen]


@pytest.mark.parametrize("step", [0, 7, 24])
def test_value_gradient_and_update_are_those_of_the_step(recorded, step):
    weights, inputs, targets = _at(recorded, step)
    value, gradient = plain_slope(weights, inputs, targets, 0.0)
    columns = recorded.trace.columns
    np.testing.assert_allclose(columns["value"][step], value, rtol=1e-4)
    np.testing.assert_allclose(columns["gradient_norm"][step], optax.tree.norm(gradient), rtol=1e-4)
    for place, part in enumerate(recorded.trace.part_names):
        norms = {name: column[step, place] for name, column in recorded.trace.part_columns.items()}
        np.testing.assert_allclose(norms["parameter_norm"], np.linalg.norm(weights[part]), rtol=1e-4)
        np.testing.assert_allclose(norms["gradient_norm"], np.linalg.norm(gradient[part]), rtol=1e-4)
    if step == 24:  # no step leaves the last row
        assert np.isnan(columns["update_norm"][step])
        assert np.isnan(recorded.trace.part_columns["update_norm"][step]).all()
        return
    after, _, _ = _at(recorded, step + 1)
    update = {name: np.asarray(after[name] - leaf) for name, leaf in weights.items()}
    np.testing.assert_allclose(columns["update_norm"][step], optax.tree.norm(update), rtol=1e-3)
    falls = -sum(float(np.sum(update[name] * gradient[name])) for name in update)
    np.testing.assert_allclose(recorded.trace.recorded["first_order_decrease"][step], falls, rtol=1e-3)


@pytest.mark.parametrize("step", [0, 13])
def test_what_is_recorded_of_the_layers_is_what_goes_through_them(recorded, step):
    weights, inputs, targets = _at(recorded, step)

    def nudged(nudges):
        inward = inputs @ weights["layers/0/weight"] + weights["layers/0/bias"] + nudges[0]
        outputs = jnp.tanh(inward) @ weights["layers/1/weight"] + weights["layers/1/bias"] + nudges[1]
        value = optax.softmax_cross_entropy_with_integer_labels(outputs, targets).mean()
        return value, (inward, outputs)

    gradients, (inward, outputs) = jax.jit(jax.grad(nudged, has_aux=True))((jnp.zeros((25, 5)), jnp.zeros((25, 3))))
    hidden = np.tanh(inward)
    columns = {name: column[step] for name, column in recorded.trace.layer_columns.items()}
    np.testing.assert_allclose(columns["activation_mean"], [hidden.mean(), outputs.mean()], rtol=1e-4, atol=1e-6)
    np.testing.assert_allclose(columns["activation_deviation"], [hidden.std(), outputs.std()], rtol=1e-4)
    scatter = [np.sqrt(values.var(0).mean()) for values in (hidden, outputs)]
    np.testing.assert_allclose(columns["activation_variation"], scatter, rtol=1e-4)
    flat = 1 - hidden**2 < 0.01
    np.testing.assert_allclose(columns["saturated_share"], [flat.mean(), np.nan], rtol=1e-5)
    np.testing.assert_allclose(columns["dead_share"], [flat.all(0).mean(), np.nan], rtol=1e-5)
    lengths = [float(np.linalg.norm(gradient)) for gradient in gradients]
    np.testing.assert_allclose(columns["activation_gradient_norm"], lengths, rtol=1e-4)


def test_dead_and_saturated_units_are_counted():
    made = ds.train([Dense(4, "relu", bias=-100.0), Dense(6, "sigmoid", bias=50.0), Dense(1)], (X, NUMBERS), **TINY)
    assert np.all(made.trace.layer_columns["dead_share"][0][:2] == 1)
    assert np.all(made.trace.layer_columns["saturated_share"][0][:2] == 1)
    assert made.trace.layer_columns["activation_gradient_norm"][0][0] == 0


def test_the_ends_of_the_hessian_are_those_of_the_dense_one(recorded):
    training, _ = prepare((X, CLASSES))  # fewer rows than a look takes: it looks at all of them

    def value(flat):
        return plain_loss(unravel(flat), training.inputs, training.targets)

    _, unravel = jax.flatten_util.ravel_pytree(dict(recorded.trace.start))
    slope_of, hessian_of = jax.jit(jax.grad(value)), jax.jit(jax.hessian(value))
    assert [spectrum.step for spectrum in recorded.trace.spectra] == [0, 12, 24]
    for spectrum in recorded.trace.spectra:
        weights, state = by_optax(recorded, (X, CLASSES), optax.adam(0.01), spectrum.step, 25)
        flat, _ = jax.flatten_util.ravel_pytree(weights)
        hessian = np.asarray(hessian_of(flat), float)
        values, vectors = np.linalg.eigh(hessian)
        np.testing.assert_allclose(spectrum.highest, values[-1], rtol=2e-3)
        np.testing.assert_allclose(spectrum.lowest, values[0], rtol=2e-2, atol=2e-3)
        assert spectrum.has_directions == (spectrum.step != 12)  # the first and the last keep them
        if spectrum.has_directions:
            parts = [spectrum.highest_direction[part].ravel() for part in sorted(recorded.trace.part_names)]
            assert abs(np.concatenate(parts) @ vectors[:, -1]) > 0.98
        gradient = np.asarray(slope_of(flat), float)
        curvature = gradient @ hessian @ gradient / (gradient @ gradient)
        told = recorded.trace.metrics["curvature"][list(recorded.trace.metrics["step"]).index(spectrum.step)]
        np.testing.assert_allclose(told, curvature, rtol=1e-3)
        if spectrum.step == 0:
            assert spectrum.preconditioned_highest is None
            continue
        squares, _ = jax.flatten_util.ravel_pytree(state[0].nu)
        root = np.sqrt(np.sqrt(np.asarray(squares, float) / (1 - 0.999**spectrum.step)) + 1e-8)
        scaled = np.linalg.eigvalsh(hessian / np.outer(root, root))[-1]
        np.testing.assert_allclose(spectrum.preconditioned_highest, scaled, rtol=1e-2)


def test_the_noise_scale_is_that_of_the_examples():
    rows, rng = 400, np.random.default_rng(1)
    inputs = rng.normal(size=(rows, 4)).astype(np.float32)
    targets = inputs @ np.ones(4) + 0.5 * rng.normal(size=rows)
    made = ds.train(
        data=(inputs, targets), hidden=(), validation=0, standardise=False, scale_targets=False, steps=0, batch=100,
        progress=False,
    )  # fmt: skip
    weights = made.trace.start["layers/0/weight"]
    wrong = inputs @ weights - targets[:, None]
    each = np.hstack([2 * wrong * inputs, 2 * wrong])  # the gradient of each example
    mean = each.mean(0)
    exact = np.sum(each.var(0, ddof=1)) / (mean @ mean)
    assert 0.4 * exact < made.metrics["noise_scale"] < 2.5 * exact
    np.testing.assert_allclose(made.metrics["sample_gradient_norm"], np.linalg.norm(mean), rtol=1e-3)


def test_what_is_evaluated_is_the_whole_of_the_data(recorded):
    training, held = prepare((X, CLASSES))
    evaluations = recorded.trace.evaluations
    assert evaluations["step"].to_list() == [0, 8, 12, 16, 24]
    for name, examples in (("training", training), ("validation", held)):
        weights = recorded.trace.end
        hidden = np.tanh(examples.inputs @ weights["layers/0/weight"] + weights["layers/0/bias"])
        outputs = hidden @ weights["layers/1/weight"] + weights["layers/1/bias"]
        right = np.mean(outputs.argmax(1) == examples.targets)
        assert evaluations[f"{name}_accuracy"][-1] == pytest.approx(right)
        value = float(plain_loss(dict(weights), examples.inputs, examples.targets))
        assert evaluations[f"{name}_loss"][-1] == pytest.approx(value, rel=1e-4)
    assert evaluations["training_loss"][2] is None  # a look at the curvature alone
    assert recorded.metrics["validation_accuracy"] == evaluations["validation_accuracy"][-1]


def test_large_data_are_evaluated_in_blocks_to_the_same_numbers():
    inputs = np.random.default_rng(0).normal(size=(1234, 3)).astype(np.float32)
    made = ds.train(data=(inputs, inputs @ SLOPES), hidden=(4,), validation=0, **TINY)
    outputs = made.outputs(made.encoding.encode(inputs))
    targets = made.encoding.target.scaled((inputs @ SLOPES)[:, None].astype(float))
    assert made.metrics["training_loss"] == pytest.approx(float(np.mean((outputs - targets) ** 2)), rel=1e-4)


def test_frames_hold_what_was_recorded(recorded):
    layers, trace = recorded.trace.layers, recorded.trace
    assert layers["layer"].to_list() == ["layers/0", "layers/1"] * 25
    assert layers["step"].to_list() == [step for step in range(25) for _ in range(2)]
    parts = trace.part_columns["gradient_norm"]
    owned = [name.startswith("layers/1/") for name in trace.part_names]
    assert layers["gradient_norm"][5] == pytest.approx(float(np.linalg.norm(parts[2][owned])))
    assert layers["saturated_share"][1] is None
    assert layers["update_norm"][-1] is None
    assert trace.steps.height == 25
    assert trace.parts.height == 25 * 4


def test_rows_between_two_looks_hold_value_and_gradient_alone():
    made = ds.train(data=(X, NUMBERS), hidden=(4,), steps=25, layers_every=10, **QUIET)
    assert made.trace.layer_steps.tolist() == [0, 10, 20, 25]
    known = np.flatnonzero(np.isfinite(made.trace.columns["update_norm"]))
    assert known.tolist() == [0, 10, 20]
    assert np.isfinite(made.trace.columns["gradient_norm"]).all()


def test_a_trace_is_saved_and_read_bit_for_bit(recorded, tmp_path: Path):
    same(ds.load(ds.save(recorded.trace, tmp_path / "trace")), recorded.trace)


def test_a_run_that_is_written_while_it_goes_on_is_read_bit_for_bit(tmp_path: Path):
    made = ds.train(
        data=(X, CLASSES), hidden=(5,), normalisation="batch", steps=60, save=tmp_path / "run", evaluate_every=10,
        probe_every=20, progress=False,
    )  # fmt: skip
    same(ds.load(tmp_path / "run"), made.trace)
    told = ds.train(
        data=(X, CLASSES), hidden=(5,), normalisation="batch", steps=60, evaluate_every=10, probe_every=20,
        progress=False,
    )  # fmt: skip
    for name in ("start", "end", "recorded", "part_columns", "layer_columns", "metrics", "spectra"):
        ours, theirs = getattr(made.trace, name), getattr(told.trace, name)
        same(ours if isinstance(ours, tuple) else dict(ours), theirs if isinstance(theirs, tuple) else dict(theirs))

"""Training: it learns, it takes the steps that it says, and every number that it records is right."""

from __future__ import annotations

from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

import downslope as ds
from downslope import Activate, Convolution, Dense, Dropout, Flatten, MaxPool
from downslope.networks.data._examples import prepare
from tests.equality import same

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


# --- what is learnt ---------------------------------------------------------------------------------------------------


def test_digits_are_told_apart_after_few_steps():
    made = ds.train(data="digits", steps=200, **PLAIN)
    assert made.metrics["validation_accuracy"] > 0.9
    images, labels = ds.networks.data._samples.sample("digits").data
    assert np.mean(made.predict(images) == labels["digit"]) > 0.9


@pytest.mark.slow
def test_digits_are_told_apart_well():
    assert ds.train(data="digits", steps=2000, progress=False).metrics["validation_accuracy"] >= 0.96


def test_numbers_of_a_table_are_learnt_in_their_own_scale(tmp_path: Path):
    file = tmp_path / "plain.csv"
    rows = [f"{a},{b},{c},{1000 + 50 * y}" for (a, b, c), y in zip(X, NUMBERS, strict=True)]
    file.write_text("\n".join(["a,b,c,price", *rows]), encoding="utf-8")
    made = ds.train(data=file, target="price", hidden=(16,), steps=400, learning_rate=0.01, **PLAIN)
    assert made.metrics["validation_r2"] > 0.95
    predicted = made.predict({"c": X[:, 2], "a": X[:, 0], "b": X[:, 1]})
    assert np.std(predicted - (1000 + 50 * NUMBERS)) < 0.25 * 50 * np.std(NUMBERS)
    assert made.trace.facts["network"]["metric"] == "r2"


def test_two_classes_are_told_apart_by_one_output():
    labels = np.where(X @ SLOPES > 0, "up", "down")
    made = ds.train(data=(X, labels), hidden=(8,), steps=300, learning_rate=0.01, **PLAIN)
    assert made.model.outputs == (1,)
    assert made.metrics["validation_accuracy"] > 0.9
    assert np.mean(made.predict(X) == labels) > 0.9
    probability = ds.train(
        data=(X, labels), output_activation="sigmoid", hidden=(8,), steps=300, learning_rate=0.01, **PLAIN
    )
    assert probability.trace.facts["network"]["loss"]["from_logits"] is False
    assert np.mean(probability.predict(X) == labels) > 0.9


def test_two_classes_may_have_two_outputs():
    made = ds.train(data=(X, X[:, 0] > 0), output_activation="softmax", hidden=(8,), steps=300, **PLAIN)
    assert made.model.outputs == (2,)
    assert np.mean(made.predict(X) == (X[:, 0] > 0)) > 0.85


# --- what a network can be made of ------------------------------------------------------------------------------------


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


@pytest.mark.usefixtures("optimised")
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


# --- an oracle: the same steps taken by a plain loop over Optax -------------------------------------------------------


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
        data=(X, CLASSES), hidden=(5,), activation="tanh", method=name, **QUIET, steps=20, batch=25, **settings
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
        method="gradient descent", learning_rate=0.1, weight_decay=0.5, batch=None, **QUIET | {"steps": 3},
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


# --- when it ends, and how often it is the same -----------------------------------------------------------------------


def test_a_run_ends_early_when_the_validation_loss_stops_falling():
    noise = np.random.default_rng(0).normal(size=120)
    made = ds.train(
        data=(X, noise), hidden=(64,), steps=2000, learning_rate=0.01, patience=3, evaluate_every=20, **PLAIN
    )
    assert made.trace.outcome is ds.Outcome.STOPPED_EARLY
    told = made.trace.metrics["validation_loss"]
    assert made.trace.last_step == made.trace.metrics["step"][-1] == 20 * (np.argmin(told) + 3)
    assert len(made.trace) == made.trace.last_step + 1


def test_patience_needs_something_to_wait_for():
    with pytest.raises(ds.SettingError, match="validation"):
        ds.train(data=(X, NUMBERS), patience=3, validation=0, **TINY)


def test_the_same_seed_gives_the_same_bits():
    settings = {"hidden": (5,), "dropout": 0.2, "normalisation": "batch", **QUIET, "steps": 25}
    one, other = (ds.train(data=(X, CLASSES), seed=4, **settings) for _ in range(2))
    for name in ("start", "end", "recorded", "part_columns", "layer_columns", "metrics"):
        same(dict(getattr(one.trace, name)), dict(getattr(other.trace, name)))
    third = ds.train(data=(X, CLASSES), seed=5, **settings)
    assert not np.array_equal(one.trace.start["layers/0/weight"], third.trace.start["layers/0/weight"])


def test_a_run_is_stopped_by_the_user_and_tells_where_it_stands():
    import signal

    def stop(done: int, steps: int, value: float) -> None:
        if done >= 40:
            signal.raise_signal(signal.SIGINT)

    made = ds.train(data=(X, NUMBERS), hidden=(4,), steps=5000, evaluate_every=1000, progress=stop, probe_every=0)
    assert made.trace.outcome is ds.Outcome.INTERRUPTED
    assert 40 <= made.trace.last_step < 5000
    assert made.trace.metrics["step"][-1] == made.trace.last_step
    assert np.isnan(made.trace.recorded["first_order_decrease"][-1])


def test_a_run_of_no_steps_tells_of_its_start():
    made = ds.train(data=(X, NUMBERS), hidden=(4,), steps=0, progress=False)
    same(dict(made.trace.start), dict(made.trace.end))
    assert len(made.trace) == 1
    assert len(made.trace.spectra) == 1


# --- what is recorded -------------------------------------------------------------------------------------------------


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


# --- what is refused at the door --------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "settings, match",
    [
        ({"data": None}, "no data"),
        ({"batch": 0}, "batch"),
        ({"accumulate": 1.5}, "accumulate"),
        ({"evaluate_every": 0}, "evaluate_every"),
        ({"probe_every": -1}, "probe_every"),
        ({"patience": 0}, "patience"),
        ({"l2": -1}, "l2"),
        ({"resume": True}, "resume needs a folder"),
        ({"overwrite": True}, "overwrite needs a folder"),
        ({"layers_every": -1}, "layers_every must be a whole number from 0 up, not -1"),
        ({"steps": "10"}, "steps must be a whole number from 0 up"),
        ({"validation": 1.5}, "between 0 and 1"),
        ({"momentum": 0.9}, "momentum"),
        ({"hiden": (3,)}, "hiden"),
        ({"hidden": (0,)}, "hidden must be whole numbers from 1 up"),
        ({"activation": "reluu"}, "relu"),
        ({"loss": "softmax cross-entropy"}, "classes"),
        ({"model": "network"}, "model"),
        ({"model": ds.network(2, [Dense(1)])}, "shape"),
    ],
)
def test_what_makes_no_sense_is_refused(settings, match):
    with pytest.raises(ds.DownslopeError, match=match):
        ds.train(**{"data": (X, NUMBERS), **TINY, **settings})

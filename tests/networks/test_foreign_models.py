"""Equinox and Flax NNX modules are trained as they are, come back in their own kind, and are looked into."""

from __future__ import annotations

from pathlib import Path

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from flax import nnx

import downslope as ds
from downslope.networks._objective import _Judged
from downslope.networks.data._examples import prepare

RNG = np.random.default_rng(5)
X = RNG.normal(size=(90, 3)).astype(np.float32)
NUMBERS = X @ np.array([1.0, 2.0, -1.0]) + 0.1 * RNG.normal(size=90)
CLASSES = np.argmax(X @ RNG.normal(size=(3, 3)), axis=1)
IMAGES = RNG.normal(size=(40, 6, 6)).astype(np.float32)
QUIET = {"progress": False, "probe_every": 0, "layers_every": 0}
TINY = {**QUIET, "layers_every": 1, "steps": 6, "batch": 16}
TINY_SETUP = {name: choice for name, choice in TINY.items() if name != "progress"}


class Plain(eqx.Module):
    first: eqx.nn.Linear
    second: eqx.nn.Linear

    def __init__(self, outputs: int = 1):
        one, other = jax.random.split(jax.random.key(1))
        self.first, self.second = eqx.nn.Linear(3, 5, key=one), eqx.nn.Linear(5, outputs, key=other)

    def __call__(self, x):
        return self.second(jax.nn.tanh(self.first(x)))


class Bare(Plain):
    """A module that returns a bare number."""

    def __call__(self, x):
        return super().__call__(x)[0]


class Chancy(Plain):
    """A module with dropout, which asks for a key."""

    dropout: eqx.nn.Dropout

    def __init__(self):
        super().__init__()
        self.dropout = eqx.nn.Dropout(0.5)

    def __call__(self, x, *, key):
        return self.second(self.dropout(jax.nn.relu(self.first(x)), key=key))


class Remembering(eqx.Module):
    """A module with batch normalisation, and so with a state, and dropout."""

    first: eqx.nn.Linear
    norm: eqx.nn.BatchNorm
    dropout: eqx.nn.Dropout
    second: eqx.nn.Linear

    def __init__(self, key):
        one, other = jax.random.split(key)
        self.first, self.second = eqx.nn.Linear(3, 5, key=one), eqx.nn.Linear(5, 1, key=other)
        self.norm = eqx.nn.BatchNorm(5, axis_name="rows", mode="batch")
        self.dropout = eqx.nn.Dropout(0.2)

    def __call__(self, x, state, key=None):
        x, state = self.norm(self.first(x), state)
        return self.second(self.dropout(jax.nn.relu(x), key=key)), state


class Pictures(eqx.Module):
    convolution: eqx.nn.Conv2d
    last: eqx.nn.Linear

    def __init__(self):
        one, other = jax.random.split(jax.random.key(1))
        self.convolution, self.last = eqx.nn.Conv2d(1, 4, 3, key=one), eqx.nn.Linear(64, 2, key=other)

    def __call__(self, image):
        return self.last(jax.nn.relu(self.convolution(image[None])).reshape(-1))


class Flax(nnx.Module):
    def __init__(self, rngs: nnx.Rngs, outputs: int = 1):
        self.first = nnx.Linear(3, 5, rngs=rngs)
        self.norm = nnx.BatchNorm(5, rngs=rngs)
        self.dropout = nnx.Dropout(0.3, rngs=rngs)
        self.second = nnx.Linear(5, outputs, rngs=rngs)

    def __call__(self, x):
        x = nnx.relu(self.norm(self.first(x)))
        return self.second(self.dropout(x))


class Stacked(nnx.Module):
    def __init__(self, rngs: nnx.Rngs):
        self.layers = nnx.List([nnx.Linear(3 if place == 0 else 4, 4, rngs=rngs) for place in range(11)])

    def __call__(self, x):
        for layer in self.layers:
            x = nnx.tanh(layer(x))
        return x[:, :3]


def remembering():
    return eqx.nn.make_with_state(Remembering)(jax.random.key(0))


def finite(training: ds.Training) -> None:
    assert training.trace.outcome is ds.Outcome.STEPS_USED
    assert np.isfinite(training.trace.columns["value"]).all()
    assert np.isfinite(training.trace.columns["gradient_norm"]).all()


def decoded(made: ds.Training, outputs) -> np.ndarray:
    target = made.encoding.target
    return np.asarray(outputs, float).reshape(-1) * target.deviation[0] + target.mean[0]


# --- they are trained, and come back ----------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def plain() -> ds.Training:
    return ds.train(Plain(), (X, NUMBERS), steps=300, learning_rate=0.02, **QUIET)


def test_an_equinox_module_comes_back_trained(plain):
    made = plain
    assert type(made.model) is Plain
    assert isinstance(made.model.first.weight, jax.Array)
    assert made.metrics["validation_r2"] > 0.95
    inputs = made.encoding.encode(X)
    np.testing.assert_allclose(made.predict(X), decoded(made, jax.vmap(made.model)(inputs)), rtol=1e-5)
    assert made.trace.plan["read_as"] == "mean squared error of Plain (Equinox)"
    assert "Plain" in str(made)


def test_the_steps_are_those_of_a_plain_equinox_loop():
    model = Plain(3)
    before = np.array(model.first.weight)
    made = ds.train(model, (X, CLASSES), method="gradient descent", learning_rate=0.1, **{**QUIET, "steps": 12})
    np.testing.assert_array_equal(model.first.weight, before)
    training, _ = prepare((X, CLASSES))
    rounds = np.concatenate([np.random.default_rng([0, number]).permutation(72) for number in range(7)])

    @eqx.filter_jit
    def slope(model, inputs, targets):
        def value(model):
            return optax.softmax_cross_entropy_with_integer_labels(jax.vmap(model)(inputs), targets).mean()

        return eqx.filter_value_and_grad(value)(model)

    for step in range(12):
        chosen = rounds[32 * step : 32 * step + 32]
        value, gradient = slope(model, training.inputs[chosen], training.targets[chosen])
        assert made.trace.columns["value"][step] == pytest.approx(float(value), rel=1e-4)
        model = jax.tree.map(lambda leaf, change: leaf - 0.1 * change, model, gradient)
    np.testing.assert_allclose(made.model.second.weight, model.second.weight, rtol=1e-4, atol=1e-6)


def test_a_module_that_returns_a_bare_number_is_trained(plain):
    made = ds.train(Bare(), (X, NUMBERS), steps=300, learning_rate=0.02, **QUIET)
    assert made.metrics["validation_r2"] > 0.95
    np.testing.assert_allclose(made.predict(X), NUMBERS, atol=1.5)
    np.testing.assert_allclose(made.trace.columns["value"], plain.trace.columns["value"], rtol=1e-3)


def test_dropout_is_drawn_anew_each_step_and_left_out_at_rest():
    made = ds.train(Chancy(), (X, NUMBERS), steps=30, learning_rate=0.0 + 1e-9, batch=None, **QUIET)
    values = made.trace.columns["value"]
    assert np.std(values) > 0.01  # the weights stand still, and the loss does not
    again = ds.train(Chancy(), (X, NUMBERS), steps=30, learning_rate=1e-9, batch=None, **QUIET)
    np.testing.assert_array_equal(values, again.trace.columns["value"])
    np.testing.assert_array_equal(made.predict(X), made.predict(X))
    quiet = eqx.nn.inference_mode(made.model)
    outputs = jax.vmap(lambda x: quiet(x, key=None))(made.encoding.encode(X))
    np.testing.assert_allclose(made.predict(X), decoded(made, outputs), rtol=1e-5)


def test_the_state_of_an_equinox_module_is_carried_and_comes_back():
    model, state = remembering()
    made = ds.train((model, state), (X, NUMBERS), steps=150, learning_rate=0.02, **QUIET)
    assert type(made.model) is tuple
    trained, kept = made.model
    assert type(trained) is Remembering
    assert isinstance(kept, eqx.nn.State)
    mean, _ = kept.get(
        trained.norm.batch_state_index if hasattr(trained.norm, "batch_state_index") else trained.norm.state_index
    )
    assert np.abs(mean).max() > 0.01
    assert made.metrics["validation_r2"] > 0.8
    quiet = eqx.nn.inference_mode(trained)
    outputs, _ = jax.vmap(quiet, in_axes=(0, None), out_axes=(0, None), axis_name="rows")(made.encoding.encode(X), kept)
    np.testing.assert_allclose(made.predict(X), decoded(made, outputs), rtol=1e-4, atol=1e-5)
    on = ds.train(made.model, (X, NUMBERS), steps=3, learning_rate=0.02, **QUIET)  # by the program of the first
    np.testing.assert_array_equal(on.trace.start["first/weight"], made.trace.end["first/weight"])


def test_a_module_whose_state_is_missing_is_refused():
    with pytest.raises(ds.ObjectiveError, match="state"):
        ds.train(remembering()[0], (X, NUMBERS), **TINY)


def test_a_flax_module_comes_back_trained():
    model = Flax(nnx.Rngs(0))
    before = np.array(model.first.kernel[...])
    made = ds.train(model, (X, NUMBERS), steps=200, learning_rate=0.02, **QUIET)
    assert type(made.model) is Flax
    np.testing.assert_array_equal(model.first.kernel[...], before)
    np.testing.assert_array_equal(model.norm.mean[...], 0)
    assert np.abs(made.model.norm.mean[...]).max() > 0.01
    assert made.metrics["validation_r2"] > 0.8
    made.model.eval()
    outputs = made.model(made.encoding.encode(X))
    np.testing.assert_allclose(made.predict(X), decoded(made, outputs), rtol=1e-4, atol=1e-5)
    assert made.trace.part_names == (
        "first/bias", "first/kernel", "norm/bias", "norm/scale", "second/bias", "second/kernel",
    )  # fmt: skip


def test_dropout_of_a_flax_module_is_drawn_anew_each_step():
    made, again = (
        ds.train(Flax(nnx.Rngs(0)), (X, NUMBERS), steps=30, learning_rate=1e-9, batch=None, **QUIET) for _ in range(2)
    )
    assert np.std(made.trace.columns["value"]) > 0.003
    np.testing.assert_array_equal(made.trace.columns["value"], again.trace.columns["value"])


def test_more_than_ten_layers_of_a_list_keep_their_order():
    made = ds.train(Stacked(nnx.Rngs(0)), (X, CLASSES), **TINY)
    finite(made)
    assert made.trace.layer_names == tuple(f"layers/{place}" for place in range(11))
    outputs = made.model(made.encoding.encode(X))
    np.testing.assert_array_equal(made.predict(X), np.argmax(outputs, 1))


# --- they are looked into ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "model, layers, activations",
    [
        (Plain, ("first", "second"), ["tanh", "linear"]),
        (Chancy, ("first", "second"), ["relu", "linear"]),
        (
            lambda: eqx.nn.MLP(3, 1, 4, 2, key=jax.random.key(0)),
            ("layers/0", "layers/1", "layers/2"),
            ["relu", "relu", "linear"],
        ),
    ],
)
def test_layers_of_equinox_modules_are_found(model, layers, activations):
    made = ds.train(model(), (X, NUMBERS), **TINY)
    finite(made)
    network = made.trace.facts["network"]
    assert network["inferred"] is True
    assert network["skipped"] == []
    assert made.trace.layer_names == layers
    assert network["activations"] == activations
    frame = made.trace.layers
    assert frame.height == 7 * len(layers)
    assert frame["gradient_norm"].null_count() == 0
    assert frame["activation_gradient_norm"].null_count() == 0


def test_layers_of_a_flax_module_are_found():
    made = ds.train(Flax(nnx.Rngs(0)), (X, NUMBERS), **TINY)
    finite(made)
    assert made.trace.layer_names == ("first", "second")
    assert made.trace.facts["network"]["normalised"] is True
    assert np.isfinite(made.trace.layer_columns["activation_gradient_norm"]).all()


def test_what_is_seen_of_a_foreign_layer_is_what_goes_through_it():
    model = Plain()
    made = ds.train(model, (X, NUMBERS), validation=0, **TINY)
    training, _ = prepare((X, NUMBERS), validation=0)
    chosen = np.random.default_rng([0, 0]).permutation(90)[:16]
    hidden = np.tanh(training.inputs[chosen] @ model.first.weight.T + model.first.bias)
    outputs = jax.vmap(model)(training.inputs[chosen])
    told = {name: column[0] for name, column in made.trace.layer_columns.items()}
    np.testing.assert_allclose(told["activation_mean"], [hidden.mean(), outputs.mean()], rtol=1e-4, atol=1e-6)
    np.testing.assert_allclose(told["activation_deviation"], [hidden.std(), outputs.std()], rtol=1e-4)
    backward = 2 * (outputs - training.targets[chosen]) / 16
    inward = (backward @ model.second.weight) * (1 - hidden**2)
    lengths = [np.linalg.norm(inward), np.linalg.norm(backward)]
    np.testing.assert_allclose(told["activation_gradient_norm"], lengths, rtol=1e-4)


def test_a_convolution_of_equinox_is_looked_into():
    targets = RNG.normal(size=(40, 2))
    made = ds.train(Pictures(), (IMAGES, targets), **TINY)
    finite(made)
    assert made.trace.layer_names == ("convolution", "last")
    assert np.isfinite(made.trace.layer_columns["activation_mean"][:, 0]).all()


@pytest.mark.parametrize("settings", [{"batch": 8, "accumulate": 3}, {"batch": None}, {"batch": 16, "accumulate": 9}])
def test_layers_are_seen_whatever_a_step_sees(settings):
    made = ds.train(Plain(), (X, NUMBERS), **{**TINY, **settings})
    finite(made)
    assert np.isfinite(made.trace.layer_columns["activation_mean"]).all()
    size = 24 if settings["batch"] == 8 else None
    own = ds.train(Plain(), (X, NUMBERS), **{**TINY, "layers_every": 0, "batch": size})
    np.testing.assert_allclose(made.trace.columns["value"], own.trace.columns["value"], rtol=1e-3)


@pytest.mark.parametrize("model", [Plain, Chancy, remembering, lambda: Flax(nnx.Rngs(0))])
def test_foreign_modules_train_in_bfloat16(model):
    made = ds.train(model(), (X, NUMBERS), mixed_precision=True, **TINY)
    finite(made)
    assert {leaf.dtype for leaf in made.trace.end.values()} == {np.dtype("float32")}
    assert all(np.asarray(leaf).dtype in (np.float32, np.int32, np.uint32) for leaf in made.trace.facts["memory"])


# --- they are measured, saved and gone on with ------------------------------------------------------------------------


@pytest.mark.parametrize("model", [remembering, lambda: Flax(nnx.Rngs(0))])
def test_a_run_of_a_foreign_module_is_measured_and_written(model, tmp_path: Path):
    made = ds.train(model(), (X, NUMBERS), steps=20, save=tmp_path / "run", progress=False)
    assert len(made.trace.spectra) == 2
    assert np.isfinite([spectrum.highest for spectrum in made.trace.spectra]).all()
    again = ds.load(tmp_path / "run")
    np.testing.assert_array_equal(again.end["first/bias"], made.trace.end["first/bias"])
    with pytest.raises(ds.TraceError, match="the network cannot be rebuilt from this trace"):
        ds.predict(tmp_path / "run", X)


# --- what is refused --------------------------------------------------------------------------------------------------


class Wrong(eqx.Module):
    weight: jax.Array

    def __call__(self, x):
        return self.weight @ x


def test_a_module_that_does_not_take_the_examples_says_so():
    with pytest.raises(ds.ObjectiveError, match=r"Wrong fails on examples of shape \(3,\)"):
        ds.train(Wrong(jnp.ones((2, 7))), (X, NUMBERS), **TINY)


def test_outputs_that_do_not_fit_the_targets_are_refused():
    with pytest.raises(ds.SettingError, match="3 outputs, and 2 are needed"):
        ds.train(Wrong(jnp.ones((3, 3))), (X, np.stack([NUMBERS, NUMBERS], axis=1)), **TINY)
    with pytest.raises(ds.SettingError, match="1 outputs, and 3 are needed"):
        ds.train(Plain(), (X, CLASSES), **TINY)


def test_two_outputs_for_two_classes_are_compared_by_softmax():
    made = ds.train(Plain(2), (X, X[:, 0] > 0), steps=200, learning_rate=0.02, **QUIET)
    assert made.trace.facts["network"]["loss"]["name"] == "softmax cross-entropy"
    assert np.mean(made.predict(X) == (X[:, 0] > 0)) > 0.9


def test_a_foreign_model_is_traced_three_times_before_its_first_step():
    """Once for the shape of its outputs, once for its layers and once for what it does last."""
    calls = []

    class Counted(Plain):
        def __call__(self, x):
            calls.append(x.shape)
            return super().__call__(x)

    _ = ds.Setup.of(Counted(), (X, NUMBERS), **TINY_SETUP).task.objective
    assert len(calls) == 3


def test_the_network_at_the_end_is_evaluated_once(monkeypatch):
    evaluated = []
    call = _Judged.__call__

    def counted(self, *arguments):
        evaluate = self._judged
        self._judged = lambda *same: evaluated.append(same) or evaluate(*same)
        try:
            return call(self, *arguments)
        finally:
            self._judged = evaluate

    monkeypatch.setattr(_Judged, "__call__", counted)
    trace = ds.train(Plain(), (X, NUMBERS), **{**TINY, "evaluate_every": 3}).trace
    assert list(trace.metrics["step"]) == [0, 3, 6]
    assert len(evaluated) == 3
    assert trace.facts["scores"]["validation"]["r2"] == pytest.approx(trace.metrics["validation_r2"][-1], rel=1e-5)

"""A loss function of parameters and a batch is trained on examples that are drawn, or on batches as they come."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest

import downslope as ds

RNG = np.random.default_rng(2)
X = RNG.normal(size=(100, 3)).astype(np.float32)
Y = (X @ np.array([1.0, 2.0, -1.0]) + 0.1 * RNG.normal(size=100)).astype(np.float32)
START = {"w1": 0.5 * RNG.normal(size=(3, 4)), "b1": np.zeros(4), "w2": 0.5 * RNG.normal(size=(4, 1)), "b2": np.zeros(1)}
QUIET = {"progress": False, "probe_every": 0}
PLAIN = {**QUIET, "layers_every": 0}  # no program that looks at anything but the loss
TINY = {**QUIET, "layers_every": 1, "steps": 6, "batch": 16}


def loss(params, batch):
    x, y = batch
    hidden = jnp.tanh(x @ params["w1"] + params["b1"])
    return jnp.mean(((hidden @ params["w2"] + params["b2"])[:, 0] - y) ** 2)


def order(rows: int, size: int, steps: int) -> np.ndarray:
    rounds = [np.random.default_rng([0, number]).permutation(rows) for number in range(steps * size // rows + 1)]
    return np.concatenate(rounds)[: steps * size].reshape(steps, size)


GRADIENT = jax.jit(jax.grad(loss))


def by_hand(batches, rate: float) -> dict:
    """Return the parameters after plain gradient descent over batches."""
    params = {name: np.float32(leaf) for name, leaf in START.items()}
    for batch in batches:
        gradient = GRADIENT(params, batch)
        params = {name: leaf - rate * gradient[name] for name, leaf in params.items()}
    return params


def test_examples_are_drawn_and_the_parameters_come_back():
    made = ds.train(
        loss, (X, Y), start=START, method="gradient descent", learning_rate=0.1, validation=0, **{**PLAIN, "steps": 30}
    )
    expected = by_hand([(X[chosen], Y[chosen]) for chosen in order(100, 32, 30)], 0.1)
    assert isinstance(made.model["w1"], jax.Array)
    for name, leaf in expected.items():
        np.testing.assert_allclose(made.model[name], leaf, rtol=1e-4, atol=1e-6)
    assert made.metrics["training_loss"] == pytest.approx(float(loss(expected, (X[:96], Y[:96]))), rel=1e-3)
    assert "loss" in repr(made)


def test_examples_are_held_back_and_looked_at():
    made = ds.train(
        lambda params, batch: loss(params, (batch["x"], batch["y"])), {"x": X, "y": Y}, start=START,
        learning_rate=0.05, steps=300, patience=10, progress=False,
    )  # fmt: skip
    assert made.metrics["validation_loss"] < 0.1
    data = made.trace.facts["data"]
    assert (data["rows"], data["validation_rows"], data["repeated_rows"], data["rows_on_both_sides"]) == (80, 20, 0, 0)
    assert len(made.trace.spectra) >= 2
    assert np.isfinite(made.metrics["noise_scale"])
    with pytest.raises(ds.DataError, match="no predictions"):
        made.predict(X)


def test_layers_of_a_loss_function_are_found():
    made = ds.train(loss, (X, Y), start=START, **TINY)
    assert made.trace.layer_names == ("w1", "w2")
    assert made.trace.facts["network"]["activations"] == ["tanh", "linear"]
    told = {name: column[0] for name, column in made.trace.layer_columns.items()}
    assert np.isfinite(told["activation_gradient_norm"]).all()
    frame = made.trace.layers
    assert frame.height == 7 * 2


def test_a_function_without_layers_is_trained_all_the_same():
    made = ds.train(lambda w, batch: jnp.mean((batch - w) ** 2), Y, start=0.0, steps=200, learning_rate=0.1, **QUIET)
    assert float(made.model) == pytest.approx(float(Y.mean()), abs=0.3)
    assert made.trace.layer_names == ()
    assert made.trace.layers.height == 0
    assert made.trace.part_names == ("value",)


def test_a_list_of_numbers_is_one_array():
    made = ds.train(lambda w, batch: jnp.mean((batch @ w["w"] - 1) ** 2), X, start={"w": [0.0, 0.0, 0.0]}, **TINY)
    assert made.model["w"].shape == (3,)


def test_randomness_comes_from_the_key():
    def noisy(params, batch, key):
        return loss(params, batch) + 0.1 * jax.random.normal(key)

    one, other = (ds.train(noisy, (X, Y), start=START, seed=1, **TINY) for _ in range(2))
    third = ds.train(noisy, (X, Y), start=START, seed=2, validation=0, **TINY)
    np.testing.assert_array_equal(one.trace.columns["value"], other.trace.columns["value"])
    assert not np.allclose(one.trace.columns["value"], third.trace.columns["value"])


def test_an_equinox_module_may_be_the_parameters():
    model = eqx.nn.MLP(3, "scalar", 8, 1, key=jax.random.key(0))

    def of_model(model, batch):
        return jnp.mean((jax.vmap(model)(batch[0]) - batch[1]) ** 2)

    made = ds.train(of_model, (X, Y), start=model, learning_rate=0.02, steps=300, **QUIET)
    assert type(made.model) is eqx.nn.MLP
    assert float(of_model(made.model, (X, Y))) < 0.2
    assert made.trace.layer_names == ("layers/0", "layers/1")


# --- streams ----------------------------------------------------------------------------------------------------------


def batches(count: int, size: int = 20) -> list:
    return [(X[chosen], Y[chosen]) for chosen in order(100, size, count)]


class Loader:
    """Something that can be read again and again, as the loaders of other libraries."""

    def __iter__(self) -> Iterator:
        return iter([[x, y] for x, y in batches(5)])


def same_as_by_hand(made: ds.Training, stream, steps: int) -> None:
    for name, leaf in by_hand(stream[:steps], 0.1).items():
        np.testing.assert_allclose(made.model[name], leaf, rtol=1e-4, atol=1e-6)


@pytest.mark.parametrize("steps", [4, 37, 75])
def test_a_stream_is_taken_batch_by_batch_in_its_order(steps):
    stream = batches(90)
    for given in (stream, iter(stream), (batch for batch in stream)):
        made = ds.train(loss, given, start=START, method="gradient descent", learning_rate=0.1, steps=steps, **PLAIN)
        same_as_by_hand(made, stream, steps)


def test_a_stream_may_end_with_the_steps():
    stream = batches(50)
    made = ds.train(loss, iter(stream), start=START, method="gradient descent", learning_rate=0.1, steps=50, **PLAIN)
    same_as_by_hand(made, stream, 50)
    assert len(made.trace) == 51


def test_a_stream_that_ends_before_the_steps_is_refused():
    with pytest.raises(ds.DataError, match="ended after 20"):
        ds.train(loss, iter(batches(20)), start=START, steps=21 + 1, **PLAIN)


def test_what_can_be_read_again_is_read_again():
    made = ds.train(loss, batches(5), start=START, method="gradient descent", learning_rate=0.1, steps=17, **PLAIN)
    same_as_by_hand(made, batches(5) * 4, 17)


def test_a_loader_is_read_again_and_again():
    made = ds.train(lambda params, batch: loss(params, tuple(batch)), Loader(), start=START, steps=12, **PLAIN)
    other = ds.train(loss, batches(5), start=START, steps=12, **PLAIN)
    np.testing.assert_array_equal(made.model["w1"], other.model["w1"])


def test_batches_of_a_stream_are_accumulated():
    stream = [{"x": x, "y": y} for x, y in batches(40)]
    one = ds.train(
        lambda params, batch: loss(params, (batch["x"], batch["y"])),
        stream,
        start=START,
        accumulate=2,
        steps=12,
        **PLAIN,
    )
    large = [
        (np.concatenate([a["x"], b["x"]]), np.concatenate([a["y"], b["y"]]))
        for a, b in zip(stream[::2], stream[1::2], strict=True)
    ]
    other = ds.train(loss, large, start=START, steps=12, **PLAIN)
    np.testing.assert_allclose(one.trace.columns["value"], other.trace.columns["value"], rtol=1e-4)


def test_a_stream_is_measured_on_its_first_batches_and_on_what_is_given():
    made = ds.train(
        loss, batches(200), start=START, validation=(X[:50], Y[:50]), learning_rate=0.05, steps=200, progress=False
    )
    data = made.trace.facts["data"]
    assert (data["rows"], data["validation_rows"]) == (None, 50)
    assert abs(data["between_batches"] - data["between_batches_shuffled"]) < 0.05
    assert made.metrics["validation_loss"] < made.trace.metrics["validation_loss"][0] / 2
    assert made.metrics["training_loss"] < made.trace.metrics["training_loss"][0] / 2
    assert np.isfinite(made.trace.spectra[-1].highest)


def test_batches_without_a_common_axis_are_trained_on():
    stream = [{"x": X[:10], "weight": np.float32(0.5), "y": Y[:10]} for _ in range(12)]

    def weighed(params, batch):
        return batch["weight"] * loss(params, (batch["x"], batch["y"]))

    made = ds.train(weighed, stream, start=START, steps=12, progress=False)
    assert made.trace.layer_names == ("w1", "w2")
    assert "training_loss" not in made.trace.metrics
    assert made.trace.spectra == ()
    assert str(made)
    with pytest.raises(ds.DataError, match="accumulate"):
        ds.train(weighed, stream, start=START, steps=12, accumulate=2, **PLAIN)


def test_a_run_on_a_stream_is_written_and_read(tmp_path: Path):
    made = ds.train(loss, batches(60), start=START, steps=60, save=tmp_path / "run", **PLAIN)
    np.testing.assert_array_equal(ds.load(tmp_path / "run").end["w1"], made.trace.end["w1"])


# --- what is refused --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "settings, match",
    [
        ({"start": None}, "start=params"),
        ({"data": None}, "no training data"),
        ({"data": "digits"}, "read the file first"),
        ({"data": (X, Y[:50])}, "first axes"),
        ({"data": (X, 3.0)}, "first axes"),
        ({"data": []}, "empty"),
        ({"data": [(X[:10], Y[:10])] * 5 + [(X[:9], Y[:9])]}, r"batch 6 of the stream holds float32\[9, 3\]"),
        ({"data": batches(10), "validation": 0.2}, "share"),
        ({"target": "y"}, "target does not apply to a"),
        ({"l2": 0.1}, "l2 does not apply to a"),
        ({"hidden": (3,)}, "hidden does not apply to a"),
        ({"model": ds.network(3, [ds.Dense(1)])}, "loss function"),
        ({"model": lambda params, batch: batch[0] @ params["w1"]}, "array of shape"),
        ({"model": lambda params: 1.0}, "fails on a batch"),
        ({"model": lambda params, batch: "text"}, "fails on a batch"),
        ({"start": {"w": "text"}}, "fails"),
    ],
)
def test_what_makes_no_sense_is_refused(settings, match):
    with pytest.raises(ds.DownslopeError, match=match):
        ds.train(**{"model": loss, "data": (X, Y), "start": START, **TINY, **settings})


# --- outputs and targets ----------------------------------------------------------------------------------------------


def outputs(params, batch):
    return jnp.tanh(batch[0] @ params["w1"] + params["b1"]) @ params["w2"] + params["b2"]


def test_a_loss_function_with_outputs_and_targets_is_scored():
    made = ds.train(loss, (X, Y), start=START, outputs=outputs, targets="1", **TINY)
    held = made.trace.facts["data"]["validation_rows"]
    assert made.trace.facts["data"]["reference_by"] in ("ridge", "nearest neighbours")
    assert made.trace.facts["network"]["metric"] == "r2"
    assert made.trace.facts["loss"]["form"] == "squares"
    assert held == 20
    assert {"training_r2", "validation_r2"} <= made.metrics.keys()
    # Blocks of one batch: 80 rows are five of 16.
    first = made.trace.metrics["training_r2"][0]
    assert first < 1
    again = ds.train(loss, (X, Y), start=START, **TINY)
    assert "training_r2" not in again.metrics
    np.testing.assert_array_equal(again.trace.columns["value"], made.trace.columns["value"])


def test_scores_of_classes_are_accuracies():
    classes = (Y > 0).astype(int)

    def entropy(params, batch):
        logits = outputs(params, (batch["x"],))[:, 0]
        return jnp.mean(jax.nn.softplus(logits) - batch["y"] * logits)

    made = ds.train(
        entropy, {"x": X, "y": classes}, start=START, outputs=lambda params, batch: outputs(params, (batch["x"],)),
        targets=lambda batch: batch["y"], validation=0, steps=0, **PLAIN,
    )  # fmt: skip
    predicted = np.tanh(X @ START["w1"] + START["b1"]) @ START["w2"] + START["b2"]
    whole = len(X) // 32 * 32
    assert made.metrics["training_accuracy"] == pytest.approx(np.mean((predicted[:whole, 0] > 0) == classes[:whole]))
    assert made.trace.facts["loss"]["takes"] == "logits"


def test_what_is_wrong_with_outputs_and_targets_is_said_before_the_first_step():
    with pytest.raises(ds.SettingError, match="targets are missing"):
        ds.train(loss, (X, Y), start=START, outputs=outputs, **TINY)
    with pytest.raises(ds.DataError, match="no 'z'"):
        ds.train(loss, (X, Y), start=START, outputs=outputs, targets="z", **TINY)
    with pytest.raises(ds.ObjectiveError, match="outputs fails"):
        ds.train(loss, (X, Y), start=START, outputs=lambda params, batch: params["none"], targets="1", **TINY)
    with pytest.raises(ds.SettingError, match="does not apply"):
        ds.train(data=(X, Y), outputs=outputs, targets="1", **QUIET)


def test_rows_on_both_sides_and_sorted_batches_are_seen_without_knowing_what_is_a_target():
    rows = {"x": X, "y": Y}
    repeated = {name: np.concatenate([leaf, leaf]) for name, leaf in rows.items()}
    assert objective_of(lambda p, b: loss(p, (b["x"], b["y"])), repeated)["share_on_both_sides"] > 0.5
    many = RNG.normal(size=(320, 3)).astype(np.float32)
    many = many[np.argsort(many[:, 1])]
    stream = [(many[at : at + 16], many[at : at + 16, 0]) for at in range(0, 320, 16)]
    assert objective_of(loss, stream)["between_batches"] > 0.8


def objective_of(function, data):
    """Return the facts on the data of a training that has not begun."""
    return ds.Setup.of(function, data, start=START).task.objective.batched.facts["data"]

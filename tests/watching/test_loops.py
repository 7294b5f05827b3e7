"""Watched loops of JAX: rows, looks into layers, and the same numbers as `train` records."""

from __future__ import annotations

from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from jax_loop import BATCH, INPUTS, loss, run, start

import downslope as ds


def test_a_watched_loop_is_recorded_as_a_training(tmp_path: Path) -> None:
    """With donated buffers, so that nothing may be read of what a later step has overwritten."""
    tx, params = ds.recorded(optax.sgd(0.5), every=5, capacity=20), start()
    with ds.watch(
        params, tx, tmp_path / "run", every=5, criterion=loss, batch=BATCH, curvature_every=0, rows=0
    ) as watch:
        end = run(watch, tx, params, 47)
        watch.evaluation(validation_accuracy=0.75)
    trace = watch.trace
    assert trace.recorded["step"].tolist() == list(range(47))
    assert trace.layer_names == ("first", "second")
    assert trace.part_names == ("first/bias", "first/kernel", "second/bias", "second/kernel")
    assert trace.layer_steps is not None
    assert trace.layer_steps.tolist() == list(range(0, 46, 5))
    assert trace.facts["network"]["activations"] == ["tanh", None]
    assert trace.facts["network"]["metric"] == "accuracy"
    assert trace.plan["method"] == "gradient descent"
    assert trace.plan["learning_rate"] == pytest.approx(0.5, rel=1e-5)
    np.testing.assert_array_equal(trace.end["first/kernel"], np.asarray(end["first"]["kernel"]))
    np.testing.assert_array_equal(trace.start["first/kernel"], np.asarray(start()["first"]["kernel"]))
    # A look sees what the step at which it was taken saw, as the batch is the same.
    inputs = np.tanh(INPUTS @ np.asarray(start()["first"]["kernel"]))
    assert trace.layer_columns["activation_deviation"][0, 0] == pytest.approx(inputs.std(), rel=1e-4)
    assert np.isfinite(trace.part_columns["update_norm"]).all()
    loaded = ds.load_trace(tmp_path / "run")
    assert loaded.recorded["value"].tolist() == trace.recorded["value"].tolist()
    assert loaded.at_end("validation_accuracy") == 0.75
    np.testing.assert_allclose(loaded.metrics["training_loss"][:-1], trace.recorded["value"][::5], rtol=1e-5)
    assert ds.diagnose(loaded).symptoms == ds.diagnose(trace).symptoms


def test_layers_that_are_cut_off_do_not_fade() -> None:
    """A gradient of 0 behind `stop_gradient` is no factor per layer, and JAX keeps no gradient from step to step."""
    random = np.random.default_rng(0)
    sides = [(6, 8), (8, 8), (8, 8), (8, 3)]
    params = {f"layer{n}": jnp.asarray(0.4 * random.normal(size=side), "float32") for n, side in enumerate(sides)}
    batch = random.normal(size=(60, 6)).astype("float32"), random.integers(3, size=60)

    def cut(point: dict[str, jax.Array], rows: tuple[np.ndarray, np.ndarray]) -> jax.Array:
        x = jnp.asarray(rows[0])
        for n in range(3):
            x = jnp.tanh(x @ point[f"layer{n}"])
        outputs = jax.lax.stop_gradient(x) @ point["layer3"]
        return optax.losses.softmax_cross_entropy_with_integer_labels(outputs, jnp.asarray(rows[1])).mean()

    tx = ds.recorded(optax.sgd(0.1), every=5, capacity=20)
    state = tx.init(params)
    with ds.watch(params, tx, every=5, criterion=cut, batch=batch, curvature_every=0, rows=0) as watch:
        for _ in range(40):
            value, gradient = jax.value_and_grad(cut)(params, batch)
            updates, state = tx.update(gradient, state, params, value=value)
            params = optax.apply_updates(params, updates)
            watch.step(state, params)
    diagnosis = ds.diagnose(watch.trace)
    assert "frozen_parameters" in diagnosis
    assert "vanishing_gradients" not in diagnosis
    assert "uncleared_gradients" not in {each.symptom for each in diagnosis.not_run}


def test_a_loop_that_passes_no_value_tells_the_loss() -> None:
    tx = ds.recorded(optax.sgd(0.5), every=0, capacity=8)
    watch = ds.watch(None, tx, flush=5)
    losses: list[float] = []
    run(watch, tx, start(), 20, losses)
    trace = watch.close()
    assert trace.recorded["value"].tolist() == pytest.approx(losses, rel=1e-6)
    assert trace.recorded["step"].tolist() == list(range(20))


def test_rows_that_were_lost_are_said() -> None:
    tx = ds.recorded(optax.sgd(0.1), every=0, capacity=5)
    params = {"w": jnp.ones(2)}
    state = tx.init(params)
    watch = ds.watch(None, tx)
    for _ in range(12):
        _, state = tx.update(params, state, params, value=1.0)
    with pytest.warns(UserWarning, match="7 steps were overwritten before they were read, from step 0 on"):
        watch.step(state)
    trace = watch.close()
    assert trace.recorded["step"].tolist() == [7, 8, 9, 10, 11]
    assert trace.facts["recording"] == {"lost_steps": 7}


def test_what_cannot_be_watched_is_refused() -> None:
    tx = ds.recorded(optax.sgd(0.1))
    with pytest.raises(ds.SettingError, match="needs the batch"):
        ds.watch(start(), tx, criterion=loss)
    with pytest.raises(ds.SettingError, match="no recorded transformation"):
        ds.watch(None, tx).step(optax.sgd(0.1).init(start()))
    with pytest.raises(ds.SettingError, match="2 parallel runs"):
        ds.watch(None, tx).step(jax.vmap(tx.init)({"w": jnp.ones((2, 3))}))
    with pytest.raises(ds.SettingError, match="scalars alone"):
        ds.watch().step(tx.init(start()))

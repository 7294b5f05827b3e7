"""Watched loops of JAX: rows, looks into layers, and the same numbers as `train` records."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

import downslope as ds

RANDOM = np.random.default_rng(0)
INPUTS = RANDOM.normal(size=(64, 4)).astype("float32")
TARGETS = (INPUTS.sum(1) > 0).astype(int)
BATCH = (INPUTS, TARGETS)


def start(scale: float = 0.5) -> dict[str, Any]:
    """Return the weights of a network of two layers."""
    random = np.random.default_rng(1)
    return {
        "first": {"bias": jnp.zeros(8), "kernel": jnp.asarray(scale * random.normal(size=(4, 8)), "float32")},
        "second": {"bias": jnp.zeros(2), "kernel": jnp.asarray(scale * random.normal(size=(8, 2)), "float32")},
    }


def loss(params: Any, batch: Any) -> Any:
    """Return the cross-entropy of the network."""
    inputs, targets = batch
    hidden = jnp.tanh(inputs @ params["first"]["kernel"] + params["first"]["bias"])
    logits = hidden @ params["second"]["kernel"] + params["second"]["bias"]
    return optax.softmax_cross_entropy_with_integer_labels(logits, targets).mean()


def run(watch: ds.Watch, tx: Any, params: Any, steps: int, *, tells: bool = False) -> Any:
    """Take steps in a plain loop, and return the state."""

    @jax.jit
    def step(params: Any, state: Any) -> Any:
        value, gradient = jax.value_and_grad(loss)(params, BATCH)
        updates, state = tx.update(gradient, state, params, **({} if tells else {"value": value}))
        return optax.apply_updates(params, updates), state, value

    state = tx.init(params)
    for _ in range(steps):
        params, state, value = step(params, state)
        if tells:
            watch.loss(value)
        watch.step(state, params)
    return state


def test_a_watched_loop_is_recorded_as_a_training(tmp_path: Path) -> None:
    tx = ds.recorded(optax.sgd(0.5), every=5, capacity=20)
    with ds.watch(start(), tx, tmp_path / "run", every=5, criterion=loss, batch=BATCH) as watch:
        run(watch, tx, start(), 47)
        watch.evaluation(validation_loss=0.5)
    trace = watch.trace
    assert trace.recorded["step"].tolist() == list(range(47))
    assert trace.layer_names == ("first", "second")
    assert trace.part_names == ("first/bias", "first/kernel", "second/bias", "second/kernel")
    assert trace.layer_steps is not None
    assert trace.layer_steps.tolist() == list(range(0, 46, 5))
    assert trace.facts["network"]["activations"] == ["tanh", "linear"]
    assert trace.plan["method"] == "gradient descent"
    assert trace.plan["learning_rate"] == pytest.approx(0.5, rel=1e-5)
    assert ds.diagnose(trace)
    # The same steps by `train`.
    ours = ds.train(loss, BATCH, start=start(), method="gradient descent", learning_rate=0.5, steps=47, batch=None,
                    layers_every=5, validation=0, probe_every=0).trace  # fmt: skip
    for name in ("value", "gradient_norm"):
        np.testing.assert_allclose(trace.columns[name], ours.columns[name][:47], rtol=1e-4)
    rows = len(trace.layer_steps)
    for name, column in trace.layer_columns.items():
        np.testing.assert_allclose(column, np.asarray(ours.layer_columns[name])[:rows], rtol=1e-3, atol=1e-6)
    for name, column in trace.part_columns.items():
        np.testing.assert_allclose(column, np.asarray(ours.part_columns[name])[:rows], rtol=1e-3, atol=1e-6)
    np.testing.assert_allclose(trace.end["second/kernel"], ours.end["second/kernel"], rtol=1e-3)
    loaded = ds.load_trace(tmp_path / "run")
    assert loaded.recorded["value"].tolist() == trace.recorded["value"].tolist()
    assert loaded.metrics["validation_loss"].tolist() == [0.5]


def test_a_loop_that_passes_no_value_tells_the_loss() -> None:
    tx = ds.recorded(optax.sgd(0.5), every=0, capacity=8)
    watch = ds.watch(None, tx)
    run(watch, tx, start(), 20, tells=True)
    told = watch.close()
    tx = ds.recorded(optax.sgd(0.5), every=0, capacity=8)
    other = ds.watch(None, tx)
    run(other, tx, start(), 20)
    assert told.recorded["value"].tolist() == pytest.approx(other.close().recorded["value"].tolist(), rel=1e-6)


def test_a_scanned_loop_is_read_once_a_scan() -> None:
    tx = ds.recorded(optax.adam(0.05), every=10, capacity=50)
    params = start()

    @jax.jit
    def many(params: Any, state: Any) -> Any:
        def step(carry: Any, _: Any) -> Any:
            params, state = carry
            value, gradient = jax.value_and_grad(loss)(params, BATCH)
            updates, state = tx.update(gradient, state, params, value=value)
            return (optax.apply_updates(params, updates), state), None

        return jax.lax.scan(step, (params, state), None, 25)[0]

    state = tx.init(params)
    with ds.watch(params, tx, every=10, criterion=loss, batch=BATCH) as watch:
        for _ in range(4):
            params, state = many(params, state)
            watch.step(state, params)
    trace = watch.trace
    assert trace.recorded["step"].tolist() == list(range(100))
    assert trace.layer_steps is not None
    assert trace.layer_steps.tolist() == [0, 25, 50, 75, 100]
    assert trace.plan["method"] == "adam"
    assert np.isfinite(trace.part_columns["parameter_norm"]).all()


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


def test_a_donating_loop_loses_nothing() -> None:
    tx = ds.recorded(optax.sgd(0.5), every=2, capacity=6)

    def step(params: Any, state: Any) -> Any:
        value, gradient = jax.value_and_grad(loss)(params, BATCH)
        updates, state = tx.update(gradient, state, params, value=value)
        return optax.apply_updates(params, updates), state

    donating = jax.jit(step, donate_argnums=(0, 1))
    params = start()
    state = tx.init(params)
    watch = ds.watch(params, tx, every=2, criterion=loss, batch=BATCH)
    for _ in range(15):
        params, state = donating(params, state)
        watch.step(state, params)
    trace = watch.close()
    assert trace.recorded["step"].tolist() == list(range(15))
    assert trace.layer_steps is not None
    assert trace.layer_steps.tolist() == list(range(0, 15, 2))
    np.testing.assert_array_equal(trace.end["first/kernel"], np.asarray(params["first"]["kernel"]))
    np.testing.assert_array_equal(trace.start["first/kernel"], np.asarray(start()["first"]["kernel"]))


def test_a_look_that_fails_ends_the_looks_and_not_the_loop(monkeypatch: pytest.MonkeyPatch) -> None:
    tx = ds.recorded(optax.sgd(0.5), every=2)
    watch = ds.watch(start(), tx, every=2, criterion=loss, batch=BATCH)
    state = tx.init(start())
    gradient = start()
    _, state = tx.update(gradient, state, gradient, value=1.0)
    with pytest.warns(UserWarning, match="no more looks into the layers"):
        for _ in range(3):
            _, state = tx.update(gradient, state, gradient, value=1.0)
            watch.step(state, {"first": jnp.zeros(3)})
    assert len(watch.close()) == 4


def test_modules_of_equinox_and_flax_are_watched() -> None:
    import equinox
    from flax import nnx

    tx = ds.recorded(optax.sgd(0.1), every=2)
    module = equinox.nn.MLP(4, 2, 8, 1, key=jax.random.key(0))

    def of_module(module: Any, inputs: Any, targets: Any) -> Any:
        logits = jax.vmap(module)(inputs)
        return optax.softmax_cross_entropy_with_integer_labels(logits, targets).mean()

    watch = ds.watch(module, tx, every=2, criterion=of_module, batch=BATCH)
    state = tx.init(equinox.filter(module, equinox.is_inexact_array))
    for _ in range(3):
        value, gradient = equinox.filter_value_and_grad(of_module)(module, *BATCH)
        updates, state = tx.update(gradient, state, equinox.filter(module, equinox.is_inexact_array), value=value)
        module = equinox.apply_updates(module, updates)
        watch.step(state, module)
    trace = watch.close()
    assert trace.layer_names == ("layers/0", "layers/1")
    assert np.isfinite(trace.part_columns["update_norm"][:2]).all()

    class Net(nnx.Module):
        def __init__(self) -> None:
            rngs = nnx.Rngs(0)
            self.hidden, self.output = nnx.Linear(4, 8, rngs=rngs), nnx.Linear(8, 2, rngs=rngs)

        def __call__(self, inputs: Any) -> Any:
            return self.output(nnx.relu(self.hidden(inputs)))

    def of_net(net: Any, batch: Any) -> Any:
        return optax.softmax_cross_entropy_with_integer_labels(net(batch[0]), batch[1]).mean()

    net = Net()
    optimizer = nnx.Optimizer(net, tx, wrt=nnx.Param)
    watch = ds.watch(net, optimizer, every=2, criterion=of_net, batch=BATCH)
    for _ in range(3):
        value, gradient = nnx.value_and_grad(of_net)(net, BATCH)
        optimizer.update(net, gradient, value=value)
        watch.step(optimizer, net)
    trace = watch.close()
    assert trace.layer_names == ("hidden", "output")
    assert np.isfinite(trace.part_columns["update_norm"][:2]).all()
    assert len(trace) == 3


def test_what_cannot_be_watched_is_refused() -> None:
    tx = ds.recorded(optax.sgd(0.1))
    with pytest.raises(ds.SettingError, match="needs the batch"):
        ds.watch(start(), tx, criterion=loss)
    with pytest.raises(ds.SettingError, match="no recorded transformation"):
        ds.watch(None, tx).step(optax.sgd(0.1).init(start()))
    with pytest.raises(ds.SettingError, match="scalars alone"):
        ds.watch().step(tx.init(start()))

"""Watched loops of JAX that are too dear for the base tests: twins of trainings, scans, modules, several devices."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from jax_loop import BATCH, INPUTS, loss, run, start

import downslope as ds


def test_a_watched_loop_has_the_columns_that_train_records() -> None:
    tx = ds.recorded(optax.sgd(0.5), every=5, capacity=20)
    with ds.watch(start(), tx, every=5, criterion=loss, batch=BATCH) as watch:
        run(watch, tx, start(), 47)
    trace = watch.trace
    assert trace.layer_steps is not None
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


def test_a_loop_goes_on_from_a_checkpoint_with_the_same_rows() -> None:
    tx = ds.recorded(optax.adam(0.05), every=4)
    choices: dict[str, Any] = {"every": 4, "criterion": loss, "batch": BATCH, "curvature_every": 0}

    @jax.jit
    def step(params: Any, state: Any) -> Any:
        value, gradient = jax.value_and_grad(loss)(params, BATCH)
        updates, state = tx.update(gradient, state, params, value=value)
        return optax.apply_updates(params, updates), state

    traces = []
    for stops in ((30,), (13, 17)):
        params = start()
        state, saved = tx.init(params), None
        for count in stops:
            watch = ds.watch(params, tx, **choices)
            if saved is not None:
                watch.load_state_dict(saved)
            for _ in range(count):
                params, state = step(params, state)
                watch.step(state, params)
            saved = watch.state_dict()
        traces.append(watch.close())
    whole, resumed = traces
    np.testing.assert_array_equal(resumed.recorded["step"], whole.recorded["step"])
    np.testing.assert_allclose(resumed.recorded["value"], whole.recorded["value"], rtol=1e-6)
    assert whole.layer_steps is not None
    assert resumed.layer_steps is not None
    np.testing.assert_array_equal(resumed.layer_steps, whole.layer_steps)
    for name, column in whole.part_columns.items():
        np.testing.assert_allclose(resumed.part_columns[name], column, rtol=1e-5)


def test_a_train_state_of_flax_tells_its_loss() -> None:
    from flax import linen
    from flax.training.train_state import TrainState

    class Net(linen.Module):
        @linen.compact
        def __call__(self, inputs: Any) -> Any:
            return linen.Dense(2)(linen.relu(linen.Dense(8)(inputs)))

    net = Net()

    def of_net(params: Any, batch: Any) -> Any:
        logits = net.apply({"params": params}, batch[0])
        return optax.softmax_cross_entropy_with_integer_labels(logits, batch[1]).mean()

    params = net.init(jax.random.key(0), INPUTS)["params"]
    state: Any = TrainState.create(apply_fn=net.apply, params=params, tx=ds.recorded(optax.adam(0.05), every=4))
    watch = ds.watch(params, state.tx, every=4, criterion=of_net, batch=BATCH)
    values = []
    for _ in range(9):
        value, gradient = jax.value_and_grad(of_net)(state.params, BATCH)
        state = state.apply_gradients(grads=gradient)
        values.append(float(watch.loss(value)))
        watch.step(state, state.params)
    trace = watch.close()
    assert trace.recorded["value"].tolist() == pytest.approx(values, rel=1e-6)
    assert trace.layer_names == ("Dense_1", "Dense_0")  # in the order in which they run
    assert trace.facts["network"]["activations"] == ["relu", None]


def test_a_look_that_fails_ends_the_looks_and_not_the_loop() -> None:
    tx = ds.recorded(optax.sgd(0.5), every=2)
    watch = ds.watch(start(), tx, every=2, criterion=loss, batch=BATCH)
    state = tx.init(start())
    gradient = start()
    _, state = tx.update(gradient, state, gradient, value=1.0)

    def take(steps: int) -> None:
        nonlocal state
        for _ in range(steps):
            _, state = tx.update(gradient, state, gradient, value=1.0)
            watch.step(state, {"first": jnp.zeros(3)})

    with pytest.warns(UserWarning, match="looking into the layers ended"):
        take(3)
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


TRANSFORMATIONS: dict[str, Callable[[], optax.GradientTransformation]] = {
    "momentum": lambda: optax.sgd(0.05, momentum=0.9, nesterov=True),
    "lion": lambda: optax.lion(1e-2),
    "injected": lambda: optax.inject_hyperparams(optax.adam)(optax.cosine_decay_schedule(0.05, 30)),
    "masked": lambda: optax.masked(optax.adam(0.05), {"first": True, "second": False}),
    "line search": lambda: optax.chain(optax.sgd(0.5), optax.scale_by_backtracking_linesearch(10)),
}


@pytest.mark.parametrize("name", TRANSFORMATIONS)
def test_updates_are_those_of_the_bare_transformation_to_the_last_bit(name: str) -> None:
    ends = []
    for recording in (False, True):
        bare = TRANSFORMATIONS[name]()
        tx = ds.recorded(bare, every=3, capacity=7) if recording else optax.with_extra_args_support(bare)

        @jax.jit
        def step(params: Any, state: Any, tx: Any = tx) -> Any:
            value, gradient = jax.value_and_grad(loss)(params, BATCH)
            extra = {"value": value, "grad": gradient, "value_fn": lambda params: loss(params, BATCH)}
            updates, state = tx.update(gradient, state, params, **extra)
            return optax.apply_updates(params, updates), state

        params = start()
        state = tx.init(params)
        for _ in range(25):
            params, state = step(params, state)
        ends.append(jax.tree.leaves((params, state.inner_state if recording else state)))
    assert all(np.array_equal(a, b) for a, b in zip(*ends, strict=True))


ON_DEVICES = """
import jax, jax.numpy as jnp, numpy as np, optax
import downslope as ds
from jax.sharding import NamedSharding, PartitionSpec as P

assert len(jax.devices()) == 4
by_compiler = jax.make_mesh((4,), ("data",), axis_types=(jax.sharding.AxisType.Auto,))
explicit = jax.make_mesh((4,), ("data",), axis_types=(jax.sharding.AxisType.Explicit,))
inputs = np.random.default_rng(0).normal(size=(64, 8)).astype("float32")
tx = ds.recorded(optax.adam(0.05), every=2)

def loss(params, inputs):
    return jnp.mean((jnp.tanh(inputs @ params["w"]) @ params["v"]) ** 2)

def ran(place_params, place_batch):
    params = {"w": jnp.asarray(np.eye(8), "float32"), "v": jnp.ones((8, 1))}
    params = place_params(params)
    state = tx.init(params)

    @jax.jit
    def step(params, state, batch):
        value, gradient = jax.value_and_grad(loss)(params, batch)
        updates, state = tx.update(gradient, state, params, value=value)
        return optax.apply_updates(params, updates), state

    for _ in range(4):
        params, state = step(params, state, place_batch(inputs))
    batch = place_batch(inputs)
    scanned = jax.jit(lambda carry: jax.lax.scan(lambda held, _: (step(*held, batch), None), carry, None, 2)[0])
    params, state = scanned((params, state))
    return ds.recorded_rows(state)

alone = ran(lambda params: params, lambda batch: batch)
others = []
for mesh in (by_compiler, explicit):
    spread, whole = NamedSharding(mesh, P("data")), NamedSharding(mesh, P())
    others.append(ran(lambda params: jax.device_put(params, whole), lambda batch: jax.device_put(batch, spread)))
    others.append(ran(lambda params: jax.device_put(params, spread), lambda batch: jax.device_put(batch, whole)))
for other in others:
    for name in ("loss", "gradient_norm"):
        np.testing.assert_allclose(other.steps[name], alone.steps[name], rtol=1e-5)
    np.testing.assert_allclose(other.parts["w"]["gradient_norm"], alone.parts["w"]["gradient_norm"], rtol=1e-5)
"""


def test_rows_are_the_same_on_several_devices() -> None:
    flags = f"{os.environ.get('XLA_FLAGS', '')} --xla_force_host_platform_device_count=4"
    environment = {**os.environ, "XLA_FLAGS": flags, "JAX_PLATFORMS": "cpu"}
    subprocess.run([sys.executable, "-c", ON_DEVICES], env=environment, check=True)

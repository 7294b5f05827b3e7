"""Rows in the state of an Optax transformation: what they say, and that the updates stay the same."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

import downslope as ds

Loop = Callable[..., Any]


def start() -> dict[str, Any]:
    """Return the weights of a network of one hidden layer."""
    random = np.random.default_rng(0)
    return {
        "hidden": {"kernel": jnp.asarray(random.normal(size=(4, 8)), "float32"), "bias": jnp.zeros(8)},
        "output": jnp.asarray(random.normal(size=(8, 1)), "float32"),
    }


def batches(count: int) -> tuple[Any, Any]:
    """Return inputs and targets of some batches, shape (count, 16, …)."""
    random = np.random.default_rng(1)
    inputs = random.normal(size=(count, 16, 4)).astype("float32")
    return jnp.asarray(inputs), jnp.asarray(inputs.sum(-1, keepdims=True))


def loss(params: Any, batch: Any) -> Any:
    """Return the mean squared error of the network."""
    inputs, targets = batch
    hidden = jax.nn.relu(inputs @ params["hidden"]["kernel"] + params["hidden"]["bias"])
    return jnp.mean((hidden @ params["output"] - targets) ** 2)


def step_of(tx: optax.GradientTransformation) -> Loop:
    """Return a step of the loop."""

    def step(carry: Any, batch: Any) -> tuple[Any, Any]:
        params, state = carry
        value, gradient = jax.value_and_grad(loss)(params, batch)
        updates, state = optax.with_extra_args_support(tx).update(gradient, state, params, value=value)
        return (optax.apply_updates(params, updates), state), (value, gradient, updates)

    return step


@functools.cache
def run(is_recorded: bool) -> tuple[Any, Any]:
    """Return parameters and state after a scanned loop, and what each step computed."""
    bare = optax.chain(optax.clip_by_global_norm(0.5), optax.adamw(optax.cosine_decay_schedule(0.05, 30)))
    tx = ds.recorded(bare, every=3) if is_recorded else bare
    params = start()
    return jax.jit(lambda carry, xs: jax.lax.scan(step_of(tx), carry, xs))((params, tx.init(params)), batches(20))


def simple(tx: Any, steps: int, values: Any = None) -> Any:
    """Return the state after steps of a gradient of ones, scanned."""
    params = {"w": jnp.ones(2)}

    def step(state: Any, value: Any) -> Any:
        extra = {} if values is None else {"value": value}
        return tx.update(params, state, params, **extra)[1], None

    inputs = jnp.zeros(steps) if values is None else jnp.asarray(values, "float32")
    return jax.jit(lambda state: jax.lax.scan(step, state, inputs)[0])(tx.init(params))


def norms(tree: Any) -> np.ndarray:
    """Return the norms of trees stacked along a first axis."""
    return np.sqrt(
        sum(np.sum(np.asarray(leaf, float).reshape(len(leaf), -1) ** 2, 1) for leaf in jax.tree.leaves(tree))
    )


def test_rows_are_those_of_the_loop() -> None:
    (_, state), (values, gradients, updates) = run(True)
    rows = ds.recorded_rows(state)
    assert rows.count == 20
    assert rows.overwritten == 0
    assert rows.steps["step"].tolist() == list(range(20))
    np.testing.assert_allclose(rows.steps["loss"], values, rtol=1e-6)
    np.testing.assert_allclose(rows.steps["gradient_norm"], norms(gradients), rtol=1e-5)
    at_looks: Any = rows.steps["update_norm"]
    assert at_looks.mask.tolist() == [step % 3 != 0 for step in range(20)]
    np.testing.assert_allclose(at_looks.compressed(), norms(updates)[::3], rtol=1e-5)
    assert rows.looks.tolist() == [0, 3, 6, 9, 12, 15, 18]
    assert list(rows.parts) == ["hidden/bias", "hidden/kernel", "output"]
    by_part = rows.parts["output"]
    np.testing.assert_allclose(by_part["gradient_norm"], norms(gradients["output"])[::3], rtol=1e-5)
    np.testing.assert_allclose(by_part["update_norm"], norms(updates["output"])[::3], rtol=1e-5)
    assert by_part["parameter_norm"][0] == pytest.approx(float(np.linalg.norm(start()["output"])), rel=1e-6)


def test_updates_are_those_of_the_bare_transformation_to_the_last_bit() -> None:
    (params, state), (_, _, updates) = run(False)
    (recorded_params, recorded_state), (_, _, recorded_updates) = run(True)
    ours = jax.tree.leaves((params, state, updates))
    theirs = jax.tree.leaves((recorded_params, recorded_state.inner_state, recorded_updates))
    assert all(np.array_equal(a, b) for a, b in zip(ours, theirs, strict=True))


def test_rows_make_a_trace() -> None:
    (_, state), (values, _, _) = run(True)
    rows = ds.recorded_rows(state)
    trace = ds.trace_from(rows.steps, parts=rows.parts, looks=rows.looks)
    np.testing.assert_allclose(trace.columns["value"], values, rtol=1e-6)
    assert trace.parts.height == 7 * 3


def test_a_state_holds_the_last_steps_and_says_how_many_it_lost() -> None:
    values = np.arange(25.0)
    rows = ds.recorded_rows(simple(ds.recorded(optax.sgd(0.01), every=4, capacity=10), 25, values))
    assert rows.overwritten == 15
    assert rows.steps["step"].tolist() == list(range(15, 25))
    assert rows.steps["loss"].tolist() == values[15:].tolist()
    assert rows.looks.tolist() == [16, 20, 24]
    assert rows.since(20).steps["step"].tolist() == [20, 21, 22, 23, 24]
    assert rows.since(20).looks.tolist() == [20, 24]
    assert len(rows.since(20).parts["w"]["gradient_norm"]) == 2


def test_the_rate_is_recorded_where_it_is_known() -> None:
    schedule = optax.linear_schedule(0.1, 0.0, 4)
    shown = ds.recorded(optax.inject_hyperparams(optax.sgd)(learning_rate=schedule), every=0)
    passed = ds.recorded(optax.sgd(schedule), every=0, learning_rate=schedule)
    for tx in (shown, passed):
        rows = ds.recorded_rows(simple(tx, 4))
        np.testing.assert_allclose(rows.steps["learning_rate"], [0.1, 0.075, 0.05, 0.025])
        assert "loss" not in rows.steps  # none was passed
        assert not rows.parts


def test_a_loss_that_is_not_a_number_is_no_loss_that_was_not_passed() -> None:
    tx = ds.recorded(optax.sgd(0.1), every=0)
    params = {"w": jnp.ones(2)}
    state = simple(tx, 1)
    _, state = jax.jit(tx.update)(params, state, params, value=jnp.nan)
    rows = ds.recorded_rows(state)
    column: Any = rows.steps["loss"]
    assert column.mask.tolist() == [True, False]
    assert np.isnan(column.data[1])
    assert "learning_rate" not in rows.steps


def test_seeds_side_by_side_are_read_by_run() -> None:
    tx = ds.recorded(optax.sgd(0.1), every=2)
    params = {"w": jnp.arange(6.0).reshape(3, 2)}
    state = jax.vmap(tx.init)(params)
    step = jax.jit(jax.vmap(lambda params, state: tx.update(params, state, params)[1]))
    for _ in range(3):
        state = step(params, state)
    rows = ds.recorded_rows(state, run=2)
    np.testing.assert_allclose(rows.steps["gradient_norm"], np.full(3, np.hypot(4, 5)), rtol=1e-6)
    assert rows.looks.tolist() == [0, 2]
    with pytest.raises(ds.SettingError, match="3 runs side by side"):
        ds.recorded_rows(state)
    with pytest.raises(ds.SettingError, match="one run"):
        ds.recorded_rows(tx.init({"w": jnp.zeros(2)}), run=0)


def test_a_donated_state_is_refused_and_its_successor_read() -> None:
    tx = ds.recorded(optax.sgd(0.1))
    params = {"w": jnp.ones(2)}
    step = jax.jit(lambda params, state: tx.update(params, state, params, value=1.0)[1], donate_argnums=1)
    before = tx.init(params)
    after = step(params, before)
    assert ds.recorded_rows(after).count == 1
    if before.recorded_count.is_deleted():
        with pytest.raises(ds.SettingError, match="donated"):
            ds.recorded_rows(before)


def test_a_state_is_spread_over_devices_like_any_other() -> None:
    mesh = jax.make_mesh((1,), ("data",))
    spread = jax.sharding.NamedSharding(mesh, jax.sharding.PartitionSpec("data"))
    whole = jax.sharding.NamedSharding(mesh, jax.sharding.PartitionSpec())
    tx = ds.recorded(optax.adam(0.1))
    params = {"w": jnp.ones(4), "b": jnp.ones(2)}
    specs = {"w": spread, "b": spread}
    state = tx.init(params)
    shardings = optax.tree_map_params(tx, lambda _, spec: spec, state, specs, transform_non_params=lambda _: whole)
    placed_params, placed = jax.device_put(params, specs), jax.device_put(state, shardings)
    step = jax.jit(lambda p, s: tx.update(p, s, p, value=2.0)[1], out_shardings=shardings)
    assert ds.recorded_rows(step(placed_params, placed)).steps["gradient_norm"][0] == pytest.approx(np.sqrt(6))


def after(tx: Any, params: Any, steps: int = 1) -> Any:
    """Return the state after steps whose gradients are the parameters."""
    step, state = jax.jit(lambda state: tx.update(params, state, params)[1]), tx.init(params)
    for _ in range(steps):
        state = step(state)
    return state


def test_wrappers_of_optax_keep_the_state_readable() -> None:
    params = {"frozen": jnp.ones(2), "w": jnp.ones(3)}
    recorded = ds.recorded(optax.sgd(0.1), every=1)
    masked = optax.masked(recorded, {"frozen": False, "w": True})
    assert list(ds.recorded_rows(after(masked, params)).parts) == ["w"]
    assert ds.recorded_rows(after(optax.MultiSteps(recorded, 2), params, 4)).count == 2
    assert ds.recorded_rows(after(ds.recorded(optax.MultiSteps(optax.sgd(0.1), 2)), params)).count == 1
    chained = ds.recorded_rows(after(optax.chain(optax.clip(0.5), recorded), params))
    assert chained.steps["gradient_norm"][0] == pytest.approx(0.5 * np.sqrt(5))
    assert int(optax.tree.get(ds.recorded(optax.adam(0.1)).init(params), "count")) == 0


def test_norms_of_narrow_and_complex_weights_are_those_of_wide_ones() -> None:
    params = {"half": jnp.full(1000, 0.1, "bfloat16"), "wave": jnp.array([3 + 4j])}
    rows = ds.recorded_rows(after(ds.recorded(optax.sgd(0.1), every=1), params))
    expected = np.linalg.norm(np.asarray(params["half"], float))
    assert rows.parts["half"]["parameter_norm"][0] == pytest.approx(expected, rel=1e-5)
    assert rows.parts["wave"]["gradient_norm"][0] == pytest.approx(5, rel=1e-6)


def test_equinox_modules_and_flax_states_name_their_parts() -> None:
    import equinox
    from flax import nnx

    tx = ds.recorded(optax.sgd(0.1))
    linear = equinox.nn.Linear(2, 3, key=jax.random.key(0))
    state = tx.init(equinox.filter(linear, equinox.is_inexact_array))
    assert list(ds.recorded_rows(state).parts) == ["weight", "bias"]
    optimizer = nnx.Optimizer(nnx.Linear(2, 3, rngs=nnx.Rngs(0)), tx, wrt=nnx.Param)
    assert sorted(ds.recorded_rows(optimizer).parts) == ["bias", "kernel"]


def test_what_cannot_be_recorded_is_refused() -> None:
    with pytest.raises(ds.SettingError, match="a transformation of Optax, not 3"):
        ds.recorded(3)  # type: ignore[arg-type]
    with pytest.raises(ds.SettingError, match="capacity is 0"):
        ds.recorded(optax.sgd(0.1), capacity=0)
    with pytest.raises(ds.SettingError, match="no recorded transformation"):
        ds.recorded_rows(optax.sgd(0.1).init({"w": jnp.ones(2)}))
    tx, params = ds.recorded(optax.sgd(0.1)), {"w": jnp.ones(2)}
    state = tx.init(params)
    with pytest.raises(ds.SettingError, match="one number"):
        tx.update(params, state, value=jnp.ones(2))


def test_steps_that_were_lost_are_a_caveat_of_the_diagnosis() -> None:
    tx = ds.recorded(optax.sgd(0.01), capacity=20)
    state = simple(tx, 50, jnp.linspace(2.0, 1.0, 50))
    with (
        pytest.warns(UserWarning, match="30 steps were overwritten"),
        ds.watch({"w": jnp.ones(2)}, tx, folder=None) as watch,
    ):
        watch.step(state)
    (caveat,) = ds.diagnose(watch.trace).caveats
    assert caveat == "30 steps were overwritten before they were read; the first row is that of step 30, not the start"
